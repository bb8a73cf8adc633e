//! Exit codes and the shape of JSON: what scripts rely on.
use crate::common::Place;
use serde_json::Value;

#[test]
fn exit_codes_are_as_documented() {
    let place = Place::laid_out();
    let cases: [(i32, &[&str]); 11] = [
        (0, &["--help"]),
        (0, &["--version"]),
        (2, &[]),
        (2, &["no-such-command"]),
        (2, &["rollout", "get", "NOT A NAME"]),
        (2, &["why", "host", "17"]),
        (2, &["pull", "all"]),
        (2, &["line", "withdraw", "clinic"]),
        (1, &["keys", "show", "--dir", "nowhere"]),
        // Port 1 of the loopback: nobody listens there.
        (5, &["rollout", "get", "r1"]),
        (5, &["line", "status"]),
    ];
    for (code, words) in cases {
        let ran = place.andon(words);
        assert_eq!(ran.code, code, "{words:?}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn failures_say_what_to_do_next_and_keep_standard_output_clean() {
    let place = Place::laid_out();
    let ran = place.andon(&["host", "list"]).expect(5);
    assert!(ran.out.is_empty());
    assert!(
        ran.err.contains("reach http://127.0.0.1:1") && ran.err.contains("next:"),
        "{}",
        ran.err
    );
    let ran = place.andon(&["host", "list", "--json"]).expect(5);
    assert!(ran.out.is_empty());
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!(error["error"]["exit"], 5);
    assert!(error["error"]["next"].is_string());
}

#[test]
fn json_documents_keep_their_fields() {
    let place = Place::new();
    let made = place.andon(&["init", "--json", "--operator", "hospital"]).expect(0).json();
    let fields =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let want = [
        "anchor",
        "dir",
        "join_token",
        "keys",
        "line",
        "log",
        "next",
        "people",
        "policy",
        "policy_form",
        "rigs",
        "server_config",
        "threshold",
        "tuf",
        "vendor_of_record",
        "vendors",
        "verifiers",
    ];
    assert_eq!(fields(&made), want);
    place.write("data/a.txt", b"one");
    let words = [
        "adopt",
        "data",
        "--from",
        "data",
        "--offline",
        "--key",
        "alice",
        "--key",
        "bob",
        "-o",
        "r",
        "--json",
    ];
    let adopted = place.andon(&words).expect(0).json();
    let want = [
        "bytes",
        "component",
        "dir",
        "files",
        "mode",
        "origin",
        "release",
        "signatures",
        "threshold",
        "validation",
        "vendor",
        "version",
    ];
    assert_eq!(fields(&adopted), want);
    let keys = place.andon(&["keys", "show", "--json"]).expect(0).json();
    assert!(!keys.to_string().contains("private"), "a private key was shown");
}
