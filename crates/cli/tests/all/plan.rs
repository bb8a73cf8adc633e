//! `andon plan`: needs no folder and no server; its document, its refusals.
use crate::common::Place;
use serde_json::Value;

fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn plan_document_keeps_its_fields() {
    let place = Place::new();
    let made = place.andon(&["plan", "--hosts", "100000", "--json"]).expect(0).json();
    let want = [
        "alternatives",
        "attack_loss_host_hours",
        "blast_over_budget_probability",
        "crash_loss_host_hours",
        "crashed_hosts_if_faulty",
        "expected_loss_host_hours",
        "faulty_probability_upper_95",
        "inputs",
        "plan",
        "price_of_a_minute_host_hours",
        "sensitivity",
        "t99_min",
    ];
    assert_eq!(fields(&made), want);
    assert_eq!(fields(&made["plan"]), ["budget", "waves"]);
    let wave = &made["plan"]["waves"][0];
    assert_eq!(fields(wave), ["at_min", "hosts", "hosts_total", "share", "share_total"]);
    assert_eq!(fields(&made["plan"]["budget"][0]), ["after_s", "hosts"]);
    assert_eq!(fields(&made["alternatives"][0]), ["loss_host_hours", "policy", "ratio"]);
    let want = ["best_loss_host_hours", "factor", "input", "loss_host_hours", "ratio"];
    assert_eq!(fields(&made["sensitivity"][0]), want);
    let counts = |key: &str| made[key].as_array().unwrap().len();
    assert_eq!((counts("alternatives"), counts("sensitivity")), (6, 6));
    let waves = made["plan"]["waves"].as_array().unwrap();
    let hosts: u64 = waves.iter().map(|wave| wave["hosts"].as_u64().unwrap()).sum();
    assert_eq!(hosts, 100_000);
}

#[test]
fn inputs_of_the_document_are_a_world_file_that_gives_the_same_advice() {
    let place = Place::new();
    let words = ["plan", "--json", "--hosts", "5000", "--spread-per-min", "0.05", "--heal"];
    let words = [&words[..], &["0.9:0.8,0:0.2", "--vendor-faults", "1"]].concat();
    let first = place.andon(&words).expect(0).json();
    assert!(first["faulty_probability_upper_95"].is_number());
    let world = toml::to_string(&first["inputs"]).unwrap();
    place.write("world.toml", world.as_bytes());
    let again = place.andon(&["plan", "--json", "--world", "world.toml"]).expect(0).json();
    assert_eq!(first["plan"], again["plan"]);
    let other = ["plan", "--json", "--world", "world.toml", "--hosts", "6000"];
    assert_eq!(place.andon(&other).expect(0).json()["inputs"]["hosts"], 6000);
}

#[test]
fn people_get_waves_alternatives_and_sensitivity() {
    let ran = Place::new().andon(&["plan", "--hosts", "8500000"]).expect(0);
    for want in ["8,500,000 hosts in ", "budget B(D)", "all-at-once", "faulty_probability x10"] {
        assert!(ran.out.contains(want), "{want}: {}", ran.out);
    }
}

#[test]
fn worlds_that_make_no_sense_are_refused_by_name() {
    let place = Place::new();
    place.write("world.toml", b"repairs_per_min = inf\n");
    place.write("unknown.toml", b"host = 5\n");
    place.write("binary.toml", &[0xff, 0xfe]);
    let cases: [(&[&str], i32, &str); 13] = [
        (&["--hosts", "0"], 2, "hosts"),
        (&["--hosts", "99999999999"], 2, "hosts"),
        (&["--hosts", "-5"], 2, "--hosts"),
        (&["--fix-min", "-1"], 2, "fix_min"),
        (&["--attack-rate-per-min", "NaN"], 2, "attack_rate_per_min"),
        (&["--infected-cost-host-hours", "1e300"], 2, "infected_cost_host_hours"),
        (&["--faulty-probability", "1.5"], 2, "faulty_probability"),
        (&["--faulty-probability", "0.1", "--vendor-faults", "1"], 2, "--vendor-faults"),
        (&["--heal", "2:1"], 2, "heal"),
        (&["--world", "world.toml"], 2, "repairs_per_min"),
        (&["--world", "unknown.toml"], 2, "host"),
        (&["--world", "binary.toml"], 2, "UTF-8"),
        (&["--world", "nowhere.toml"], 1, "nowhere.toml"),
    ];
    for (words, code, name) in cases {
        let ran = place.andon(&[&["plan"], words].concat());
        assert_eq!(ran.code, code, "{words:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(name) && ran.out.is_empty(), "{words:?}: {}{}", ran.out, ran.err);
    }
}
