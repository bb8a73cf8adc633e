//! `andon init`, `policy` and `keys`: what is made, that it is believable, that nothing is overwritten.
use crate::common::{Place, tree};
use andon_model::Time;
use andon_model::enrol::Anchor;
use andon_model::envelope::Envelope;
use std::os::unix::fs::PermissionsExt;

const JUST_NOW: fn() -> Time = || {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Time(u64::try_from(since.as_millis()).unwrap())
};

#[test]
fn a_new_line_is_complete_and_its_policy_is_signed_by_the_threshold() {
    let place = Place::laid_out();
    let anchor: Anchor =
        serde_json::from_slice(&std::fs::read(place.path("d/anchor.json")).unwrap()).unwrap();
    assert_eq!(anchor.line.to_string(), "operator:hospital");
    assert_eq!((anchor.operators.len(), anchor.operators_threshold), (3, 2));
    let bytes = std::fs::read(place.path("d/server/policy.json")).unwrap();
    let envelope = Envelope::parse(&bytes).unwrap();
    let policy = andon_trust::policy::verify(&envelope, &anchor, JUST_NOW(), 0).unwrap();
    assert_eq!(policy.version, 1);
    // The key that signs policy is not the key that a person uses every day.
    let daily: Vec<_> = policy.people.iter().map(|person| person.key).collect();
    assert!(anchor.operators.iter().all(|person| !daily.contains(&person.key)));
    for name in ["1.root.json", "1.targets.json", "1.snapshot.json", "timestamp.json"] {
        assert!(place.path("d/server/data/tuf").join(name).is_file(), "{name} is missing");
    }
}

/// A vendor's own line: it signs releases with vendor keys, and nobody is its vendor of record.
#[test]
fn a_vendors_line_is_laid_out_as_one() {
    let place = Place::new();
    place.andon(&["init", "--vendor-line", "acme"]).expect(0);
    let anchor: Anchor =
        serde_json::from_slice(&std::fs::read(place.path("d/anchor.json")).unwrap()).unwrap();
    assert_eq!(anchor.line.to_string(), "vendor:acme");
    let bytes = std::fs::read(place.path("d/server/policy.json")).unwrap();
    let envelope = Envelope::parse(&bytes).unwrap();
    let policy = andon_trust::policy::verify(&envelope, &anchor, JUST_NOW(), 0).unwrap();
    assert_eq!(policy.line, anchor.line);
    assert_eq!(policy.absent_max_ppm, 50_000, "one seat in twenty may be away");
    assert!(place.path("d/keys/vendors/acme").is_dir(), "keys that sign its releases");
    let both = place.andon(&["init", "--vendor-line", "acme", "--operator", "hospital"]);
    both.expect(2);
}

/// Key, configuration and policy speak of one log and the same witnesses.
#[test]
fn a_line_with_a_log_is_laid_out_with_what_its_hosts_will_demand() {
    use andon_server::config::Inputs;
    let place = Place::new();
    let key = |name: &str| {
        let file = place.path(name);
        let out = file.to_str().unwrap();
        let made = place.andon(&["keys", "note", "--for", "witness", "--name", name, "--out", out]);
        format!("{}@http://127.0.0.1:7/{name}", made.expect(0).out.trim())
    };
    let witnesses = [key("w1"), key("w2"), key("w3")];
    let mut words = vec!["--json", "init", "--operator", "hospital", "--log"];
    witnesses.iter().for_each(|witness| words.extend(["--witness", witness]));
    let made: serde_json::Value = serde_json::from_str(&place.andon(&words).expect(0).out).unwrap();
    let inputs = Inputs::read(&place.path("d/server/andond.toml")).unwrap();
    let log = inputs.log.unwrap();
    assert_eq!(made["log"], log.key.verifier().to_string());
    assert_eq!(log.key.verifier().name(), "operator:hospital/log");
    let policy =
        andon_trust::policy::verify(&inputs.policy, &inputs.anchor, JUST_NOW(), 0).unwrap();
    let demanded = andon_trust::policy::demanded_log(&policy).unwrap().unwrap();
    assert_eq!(demanded.logs().collect::<Vec<_>>(), [log.key.verifier()]);
    let asked: Vec<_> = log.witnesses.iter().map(|witness| &witness.vkey).collect();
    assert_eq!(demanded.witnesses().collect::<Vec<_>>(), asked);
    assert!(demanded.is_quorum(|at| at != 1) && !demanded.is_quorum(|at| at == 1), "2 of 3");
    // It can be signed again as it is.
    place.andon(&["policy", "sign", "--key", "alice", "--key", "bob"]).expect(0);
    for refused in ["x", "x@http://h", "x@ftp://h"] {
        place.andon(&["--dir", "e", "init", "--log", "--witness", refused]).expect(2);
    }
    place.andon(&["--dir", "e", "init", "--witness", &witnesses[0]]).expect(2);
}

#[test]
fn only_the_owner_can_read_secrets() {
    let place = Place::laid_out();
    for path in tree(&place.path("d")) {
        let secret = path.components().any(|part| part.as_os_str() == "keys")
            || path.file_name().is_some_and(|name| name == "join-token");
        if path.is_file() && secret {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", path.display());
        }
    }
    let alice = place.path("d/keys/people/alice.json");
    std::fs::set_permissions(&alice, std::fs::Permissions::from_mode(0o640)).unwrap();
    let shown = place.andon(&["keys", "list"]).expect(0);
    assert!(shown.err.contains("chmod 600"), "{}", shown.err);
    let key = ["pull", "all", "--as", "operator", "--reason", "x", "--key", "alice"];
    let refused = place.andon(&key).expect(1);
    assert!(refused.err.contains("chmod 600"), "{}", refused.err);
}

#[test]
fn a_folder_that_is_there_is_never_overwritten() {
    let place = Place::laid_out();
    let before = std::fs::read(place.path("d/anchor.json")).unwrap();
    let refused = place.andon(&["init", "--operator", "other"]).expect(1);
    assert!(refused.err.contains("already there"), "{}", refused.err);
    assert_eq!(std::fs::read(place.path("d/anchor.json")).unwrap(), before);
}

#[test]
fn a_refused_init_leaves_nothing_behind() {
    let cases: [&[&str]; 4] = [
        &["init", "--people", "alice"],
        &["init", "--people", "alice,alice,bob"],
        &["init", "--operator", "acme", "--vendor", "acme"],
        &["init", "--threshold", "0"],
    ];
    for words in cases {
        let place = Place::new();
        place.andon(words).expect(1);
        assert!(tree(&place.path(".")).is_empty(), "{words:?} left something");
    }
}

#[test]
fn an_edited_policy_needs_the_threshold_and_counts_up() {
    let place = Place::laid_out();
    let form = place.path("d/policy.toml");
    let text = std::fs::read_to_string(&form).unwrap();
    std::fs::write(&form, text.replace("first_wave_max = 16", "first_wave_max = 8")).unwrap();
    place.andon(&["policy", "sign", "--key", "alice"]).expect(3);
    place.andon(&["policy", "sign", "--key", "alice", "--key", "alice"]).expect(3);
    place.andon(&["policy", "sign", "--key", "alice", "--key", "bob"]).expect(0);
    let shown = place.andon(&["policy", "show", "--json"]).expect(0).json();
    assert_eq!(shown["policy"]["version"], 2);
    assert_eq!(shown["policy"]["routine"]["first_wave_max"], 8);
    assert_eq!(shown["signed_by"], serde_json::json!(["alice", "bob"]));

    std::fs::write(&form, text.replace("growth_max_permille = 25000", "growth_max_permille = 1"))
        .unwrap();
    let refused = place.andon(&["policy", "sign", "--key", "alice", "--key", "bob"]).expect(1);
    assert!(refused.err.contains("growth_max_permille"), "{}", refused.err);
    let shown = place.andon(&["policy", "show", "--json"]).expect(0).json();
    assert_eq!(shown["policy"]["version"], 2, "a refused policy replaced the good one");
}
