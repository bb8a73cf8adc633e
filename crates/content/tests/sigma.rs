//! The engine on rules and command lines: what must match, what must not, what must be refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use andon_content::sigma::{LoadError, RuleSet};
use andon_content::{Detect, ProcessEvent, preflight};
use std::path::{Path, PathBuf};

const MARKER: &str = "
title: Marker
id: 7c1f5d0e-6a65-4d3a-9d9c-0f0e4a5b6c7d
logsource: { category: process_creation, product: linux }
detection:
  selection: { Image|endswith: '/tool', CommandLine|contains: 'marker-42' }
  condition: selection
level: high
";

fn exec(image: &str, command_line: &str) -> ProcessEvent {
    ProcessEvent {
        image: image.to_owned(),
        command_line: command_line.to_owned(),
        user: "root".to_owned(),
        pid: 7,
        parent_pid: 1,
        ..ProcessEvent::default()
    }
}

fn one(rule: &str) -> Result<RuleSet, LoadError> {
    RuleSet::load([("rule.yml", rule.as_bytes())])
}

#[test]
fn a_rule_matches_only_what_it_says() {
    let rules = one(MARKER).unwrap();
    let found = rules.detect(&exec("/opt/tool", "tool --name MARKER-42"));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].title.as_str(), found[0].level.as_str()), ("Marker", "high"));
    assert_eq!(found[0].id, "7c1f5d0e-6a65-4d3a-9d9c-0f0e4a5b6c7d");
    for (image, command_line) in
        [("/opt/tool", "tool"), ("/opt/other", "other marker-42"), ("", "marker-42"), ("", "")]
    {
        assert_eq!(rules.detect(&exec(image, command_line)), [], "{image} {command_line}");
    }
}

#[test]
fn rules_for_other_events_never_fire_on_a_program_start() {
    let elsewhere = [
        "{ category: process_creation, product: windows }",
        "{ category: file_event, product: linux }",
        "{ product: linux, service: auditd }",
        "{ product: linux }",
        "{ category: process_creation, product: linux, service: sudo }",
    ];
    for source in elsewhere {
        let rule = MARKER.replace("{ category: process_creation, product: linux }", source);
        let rules = one(&rule).unwrap();
        assert_eq!((rules.counts().active, rules.counts().inert), (0, 1), "{source}");
        assert_eq!(rules.detect(&exec("/opt/tool", "tool marker-42")), [], "{source}");
    }
    let any_product = MARKER.replace(", product: linux", "");
    assert_eq!(one(&any_product).unwrap().detect(&exec("/opt/tool", "marker-42")).len(), 1);
}

#[test]
fn a_field_that_the_event_lacks_is_no_match() {
    let rule = MARKER.replace("Image|endswith: '/tool', CommandLine|contains", "Field21");
    assert_eq!(one(&rule).unwrap().detect(&exec("/opt/tool", "marker-42")), []);
}

#[test]
fn a_set_with_one_bad_file_is_refused_whole_and_the_file_is_named() {
    let unknown_selection = MARKER.replace("condition: selection", "condition: nothing");
    let bad_regex = MARKER.replace("CommandLine|contains: 'marker-42'", "CommandLine|re: '('");
    let bad_modifier = MARKER.replace("|contains", "|surprise");
    let no_title = MARKER.replace("title: Marker", "");
    let deep = format!("title: {}", "[".repeat(100_000));
    let parentheses = MARKER.replace(
        "condition: selection",
        &format!("condition: {}selection{}", "(".repeat(30_000), ")".repeat(30_000)),
    );
    let pairs = ["ab", "bc", "cd", "de", "ef", "fg", "gh", "hi", "ij"];
    let level = |pair: &str| {
        let (from, to) = pair.split_at(1);
        format!("{to}: &{to} [*{from}{}]\n", format!(",*{from}").repeat(8))
    };
    let aliases = format!("a: &a [x,x,x,x,x,x,x,x,x]\n{}title: bomb\n", pairs.map(level).concat());
    let zeros = String::from_utf8(vec![0; 4096]).unwrap();
    let truncated = &MARKER[..MARKER.find("condition").unwrap()];
    let bad: [(&str, &[u8]); 11] = [
        ("selection.yml", unknown_selection.as_bytes()),
        ("regex.yml", bad_regex.as_bytes()),
        ("modifier.yml", bad_modifier.as_bytes()),
        ("title.yml", no_title.as_bytes()),
        ("deep.yml", deep.as_bytes()),
        ("parentheses.yml", parentheses.as_bytes()),
        ("aliases.yml", aliases.as_bytes()),
        ("zeros.yml", zeros.as_bytes()),
        ("truncated.yaml", truncated.as_bytes()),
        ("binary.yml", &[0xff, 0xfe, 0x00]),
        ("empty.yml", b""),
    ];
    for (name, bytes) in bad {
        let files = [("good.yml", MARKER.as_bytes()), (name, bytes)];
        match RuleSet::load(files) {
            Err(LoadError::Files(problems)) => {
                assert_eq!(problems.len(), 1, "{name}");
                assert_eq!(problems[0].path, name);
                assert!(!problems[0].why.is_empty());
            }
            other => panic!("{name}: {other:?}"),
        }
        assert!(preflight::validate(files).is_err(), "{name}: validator and engine differ");
    }
}

#[test]
fn limits_hold() {
    let long = format!("{MARKER}# {}", "x".repeat(256 * 1024));
    assert!(matches!(one(&long), Err(LoadError::Files(_))));
    let file = MARKER.replace("level: high", "level: high\n---").repeat(1_000);
    let many = (0..21).map(|at| (format!("{at}.yml"), &file));
    assert!(matches!(RuleSet::load(many), Err(LoadError::Rules | LoadError::Files(_))));
    let block = vec![b'#'; 1024 * 1024];
    let huge = (0..65).map(|at| (format!("{at}.txt"), block.as_slice()));
    assert!(matches!(RuleSet::load(huge), Err(LoadError::Bytes)));
    let nothing: [(&str, &[u8]); 1] = [("LICENSE", b"text")];
    assert!(matches!(RuleSet::load(nothing), Err(LoadError::Empty)));
}

fn public_rules() -> Option<Vec<(String, Vec<u8>)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/sigma-linux/rules");
    if !root.is_dir() {
        eprintln!("skipped: {} is not there", root.display());
        return None;
    }
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                files.push((name, std::fs::read(path).unwrap()));
            }
        }
    }
    Some(files)
}

#[test]
fn the_public_linux_rules_load_and_judge_command_lines() {
    let Some(files) = public_rules() else { return };
    assert_eq!(files.len(), 52);
    let rules = RuleSet::load(files.clone()).unwrap();
    assert_eq!((rules.counts().active, rules.counts().inert), (41, 11));
    let title = |image, command_line: &str| -> Vec<String> {
        rules.detect(&exec(image, command_line)).into_iter().map(|found| found.title).collect()
    };
    let matching = [
        ("/usr/sbin/groupdel", "groupdel wheel", "Group Has Been Deleted Via Groupdel"),
        ("/usr/bin/doas", "doas id", "Linux Doas Tool Execution"),
        ("/usr/bin/chattr", "chattr -i /etc/passwd", "Remove Immutable File Attribute"),
        ("/usr/bin/nohup", "nohup ./x", "Nohup Execution"),
        ("/usr/bin/dd", "dd if=/dev/zero of=/tmp/x", "DD File Overwrite"),
        ("/usr/bin/cat", "cat /etc/resolv.conf", "System Network Discovery - Linux"),
    ];
    for (image, command_line, want) in matching {
        let got = title(image, command_line);
        assert!(got.iter().any(|title| title == want), "{command_line}: {got:?}");
    }
    for (image, command_line) in [
        ("/usr/bin/true", "true"),
        ("/usr/bin/vi", "vi notes.txt"),
        ("/usr/bin/git", "git status"),
        ("/usr/bin/dd", "dd --version"),
        ("/usr/bin/find", "find . -name x"),
        ("/usr/bin/python3", "python3 -m http.server"),
    ] {
        assert_eq!(title(image, command_line), Vec::<String>::new(), "{command_line}");
    }
    let report = preflight::validate(files).unwrap();
    assert_eq!((report.counts.active, report.noise), (41, 0));
}
