//! Small bad inputs, each found by the rule that it breaks and by no other.
use super::*;

fn rules() -> SourceRules {
    toml::from_str(
        "names = ['Manager', 'Info', 'Node']\nserde_folders = ['crates/model/']\n\
         serde_files = ['wire', 'report']\n\
         [[except]]\nword = 'sleep'\npath = 'e2e/src/wait.rs'\nreason = 'polls'\n",
    )
    .unwrap()
}

fn said(path: &str, text: &str) -> Vec<String> {
    let file = File { path: path.to_owned(), text: text.to_owned() };
    check(&rules(), &[file]).1.iter().map(Finding::to_string).collect()
}

#[track_caller]
fn finds(path: &str, text: &str, what: &str) {
    let found = said(path, text);
    assert!(found.len() == 1 && found[0].contains(what), "{path} {text:?}: {found:?}");
}

#[track_caller]
fn fine(path: &str, text: &str) {
    assert_eq!(said(path, text), Vec::<String>::new(), "{path} {text:?}");
}

#[test]
fn names_that_say_nothing_are_found_and_longer_words_are_not() {
    finds("a.rs", "//! a\nstruct HostManager;", "a.rs:2: type HostManager has the word Manager");
    finds("a.rs", "//! a\nenum InfoKind {}", "word Info");
    finds("a.rs", "//! a\ntrait Node {}", "word Node");
    finds("a.rs", "//! a\ntype Node = u8;", "word Node");
    fine("a.rs", "//! a\nstruct Nodes;\nstruct Information;");
}

#[test]
fn the_opening_comment_is_asked_for() {
    finds("a.rs", "fn f() {}", "a.rs:1: begins without //!");
    finds("a.rs", "//! a\nfn {", "a.rs:2: parse");
}

#[test]
fn allow_is_found_wherever_an_attribute_may_stand() {
    finds("a.rs", concat!("//! a\n#[al", "low(dead_code)]\nfn f() {}"), "a.rs:2: has allow");
    finds("a.rs", concat!("//! a\n#![al", "low(dead_code)]\n"), "has allow");
    fine("a.rs", "//! a\n#[expect(dead_code, reason = \"x\")]\nfn f() {}");
}

#[test]
fn queues_without_a_limit_are_found() {
    finds("a.rs", "//! a\nfn f() { std::sync::mpsc::channel::<u8>(); }", "has no limit");
    fine("a.rs", "//! a\nfn f() { tokio::sync::mpsc::channel::<u8>(8); }");
    let call = concat!("unbounded", "_channel");
    finds("a.rs", &format!("//! a\nfn f() {{ m!({call}()); }}"), "every queue has a limit");
}

#[test]
fn sleeping_is_found_in_tests_only_and_where_no_exception_stands() {
    let sleeps = "//! a\nfn f() { std::thread::sleep(x); }";
    fine("crates/a/src/lib.rs", sleeps);
    fine("e2e/src/wait.rs", sleeps);
    finds("e2e/src/lib.rs", sleeps, "wait for the condition");
    finds("crates/a/tests/x.rs", sleeps, "wait for the condition");
    let module = "//! a\n#[cfg(test)]\nmod tests { async fn f() { tokio::time::sleep(x).await } }";
    finds("crates/a/src/lib.rs", module, "wait for the condition");
}

#[test]
fn serialisation_is_derived_in_wire_types_only() {
    let derives = "//! a\n#[derive(Debug, serde::Serialize)]\nstruct A;";
    finds("crates/a/src/core.rs", derives, "a.rs".replace("a.rs", "core.rs:2").as_str());
    fine("crates/model/src/core.rs", derives);
    fine("crates/a/src/wire.rs", derives);
    fine("crates/a/src/report/table.rs", derives);
    fine("crates/a/src/core.rs", "//! a\n#[derive(Debug)]\nstruct A;");
}

#[test]
fn sizes_leave_out_comments_and_the_trailing_test_module() {
    let text =
        "//! a\n\nfn f() {\n    // why\n    a();\n\n    b();\n}\n#[cfg(test)]\nmod tests {\n}\n";
    let file = File { path: "a.rs".to_owned(), text: text.to_owned() };
    let (sizes, _) = check(&rules(), &[file]);
    let path = "a.rs".to_owned();
    assert_eq!(sizes[0], Size::File { path: path.clone(), code: 4, all: 11 });
    assert_eq!(sizes[1], Size::Function { path, name: "f".to_owned(), line: 3, code: 2 });
}

#[test]
fn an_exception_without_a_reason_is_found() {
    let mut rules = rules();
    rules.except[0].reason.clear();
    assert!(check(&rules, &[]).1[0].message.contains("has no reason"));
}
