//! The verbs of `andon policy`: pause, allow, pin, unpin.
use crate::common::Place;
use serde_json::Value;

const KEYS: [&str; 4] = ["--key", "alice", "--key", "bob"];

fn form(place: &Place) -> String {
    std::fs::read_to_string(place.path("d/policy.toml")).unwrap()
}

fn rules(place: &Place) -> (Value, Value) {
    let shown = place.andon(&["policy", "show", "--json"]).expect(0).json();
    (shown["policy"]["version"].clone(), shown["policy"]["eligibility"].clone())
}

#[test]
fn a_verb_changes_one_rule_and_leaves_what_people_wrote() {
    let place = Place::laid_out();
    let before = form(&place);
    let own = format!("{before}\n# ours, for the hospital\n[[rules.hold]]\ngroup = \"hospital\"\n");
    std::fs::write(place.path("d/policy.toml"), &own).unwrap();
    let pause = ["policy", "pause", "--kind", "content", "--until", "2027-01-02T03:04:05Z"];
    let told = place.andon(&[&pause[..], &KEYS].concat()).expect(0);
    assert!(told.out.contains("Policy version 2 is signed"), "{}", told.out);
    let (version, shown) = rules(&place);
    assert_eq!(version, 2);
    assert_eq!(shown["holds"][0]["group"], "hospital");
    assert_eq!(shown["kinds"][0]["kind"], "content");
    let until = &shown["kinds"][0]["rules"]["holds"][0]["until"];
    assert_eq!(until, &serde_json::json!(1_798_859_045_000_u64), "{shown:#}");
    let text = form(&place);
    assert!(text.starts_with(own.trim_end()), "what was there is not as it was:\n{text}");
    // The same once more is not there twice; without an end it has none.
    place.andon(&[&["policy", "pause", "--kind", "content"], &KEYS[..]].concat()).expect(0);
    let (_, shown) = rules(&place);
    assert_eq!(shown["kinds"][0]["rules"]["holds"].as_array().unwrap().len(), 1);
    assert!(shown["kinds"][0]["rules"]["holds"][0].get("until").is_none_or(Value::is_null));
    // A pin, of a group's, and its end.
    let pin = ["policy", "pin", "--component", "rules", "--group", "lab", "--version", "41"];
    place.andon(&[&pin[..], &KEYS].concat()).expect(0);
    let (_, shown) = rules(&place);
    assert_eq!(
        (&shown["pins"][0]["version"], &shown["pins"][0]["group"]),
        (&41.into(), &"lab".into())
    );
    let unpin = ["policy", "unpin", "--component", "rules", "--group", "lab"];
    place.andon(&[&unpin[..], &KEYS].concat()).expect(0);
    place.andon(&[&["policy", "allow", "--kind", "content"], &KEYS[..]].concat()).expect(0);
    let (version, shown) = rules(&place);
    assert_eq!(version, 6);
    assert!(shown.get("kinds").is_none_or(|kinds| kinds == &serde_json::json!([])), "{shown:#}");
    assert_eq!(form(&place).trim_end(), own.trim_end());
}

#[test]
fn what_is_refused_changes_nothing() {
    let place = Place::laid_out();
    let (before, signed) =
        (form(&place), std::fs::read(place.path("d/server/policy.json")).unwrap());
    let refused = |words: &[&str], exit: i32, why: &str| {
        let told = place.andon(words).expect(exit);
        assert!(told.err.contains(why), "{words:?}: {}", told.err);
        assert_eq!(form(&place), before, "{words:?}");
        assert_eq!(std::fs::read(place.path("d/server/policy.json")).unwrap(), signed);
    };
    // one key where two are needed, nothing to allow, nobody's pin, a server that is not there
    refused(&["policy", "pause", "--key", "alice"], 3, "sign with 2");
    refused(&["policy", "allow", "--kind", "service"], 1, "there is none at all");
    refused(&["policy", "pin", "--version", "3"], 2, "--component");
    refused(&["policy", "pause", "--until", "soon"], 2, "date and time");
    refused(&["policy", "pause", "--kind", "driver"], 2, "content, service, files or kmod");
    refused(&["policy", "pause", "--send"], 2, "--key");
    let send = [&["policy", "pause"], &KEYS[..], &["--send"]].concat();
    refused(&send, 5, "");
    // without keys only the form changes, and says so
    let told = place.andon(&["policy", "pause", "--group", "till"]).expect(0);
    assert!(told.err.contains("nothing is in force before"), "{}", told.err);
    assert_eq!(std::fs::read(place.path("d/server/policy.json")).unwrap(), signed);
    let told = place.andon(&["policy", "allow"]).expect(1);
    assert!(told.err.contains("there are: group till"), "{}", told.err);
    place.andon(&["policy", "allow", "--group", "till"]).expect(0);
    assert_eq!(form(&place).trim_end(), before.trim_end());
}
