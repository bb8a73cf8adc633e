//! `andon simulate` and `andon replay`, as scripts use them.
use crate::common::Place;
use serde_json::Value;

const SMALL: [&str; 7] = ["simulate", "small-1000", "--runs", "3", "--seed", "7", "--json"];

#[test]
fn the_same_seed_gives_the_same_figures_on_any_number_of_threads() {
    let place = Place::new();
    let play = |more: &[&str]| {
        let mut it = place.andon(&[&SMALL[..], more].concat()).expect(0).json();
        assert!(it["wall_s"].as_f64().unwrap() >= 0.0);
        it.as_object_mut().unwrap().remove("wall_s");
        it
    };
    let one = play(&["--threads", "1"]);
    assert_eq!(play(&["--threads", "3"]), one);
    assert_eq!(
        (&one["runs"], &one["mode"], &one["policy"]),
        (&3.into(), &"counts".into(), &"andon".into())
    );
    assert_ne!(play(&["--seed", "8", "--threads", "1"])["trace_hash"], one["trace_hash"]);
}

#[test]
fn everything_that_can_be_played_is_listed() {
    let list = Place::new().andon(&["simulate", "--list", "--json"]).expect(0).json();
    let names = |key: &str| -> Vec<String> {
        let items = list[key].as_array().unwrap();
        items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let scenarios = [
        "july-2024",
        "july-2024-no-vendor-line",
        "one-model",
        "random-0.1pct",
        "rare-stratum",
        "sleeper-10min",
        "next-boot",
        "good",
        "good-outage-5pct",
        "good-site-outages",
        "good-flapping",
        "laptops",
        "small-50",
        "small-200",
        "small-1000",
        "small-5000",
        "law",
        "worm",
        "campaign",
        "stolen-online-key",
        "sybil-canaries",
        "healer-broken",
    ];
    let policies = [
        "andon",
        "andon-850",
        "andon-10min-8500",
        "andon-10min-850",
        "andon-routine",
        "all-at-once",
        "rings-24h",
        "hawkbit",
        "bottlerocket-default",
        "bottlerocket-ohno",
        "aws-exponential",
        "fcos-linear",
        "nebraska-safe",
        "vendor-rings-now",
    ];
    assert_eq!(names("scenarios"), scenarios);
    assert_eq!(names("policies"), policies);
}

#[test]
fn wrong_options_and_files_are_refused_with_place_and_advice() {
    let place = Place::new();
    place.write("bad.toml", b"name = \"bad\"\nabout = \"x\"\nhosts = 10\nbackground_per_h = inf\n");
    place.write("p.toml", b"name = \"p\"\nabout = \"x\"\n[kind.andon]\nalpha_ppm = 0\n");
    let cases: [(&[&str], &str); 9] = [
        (&[], "SCENARIO"),
        (&["no-such"], "small-50, small-200"),
        (&["./nowhere.toml"], "nowhere.toml"),
        (&["bad.toml"], "bad.toml, line 4, field background_per_h: is inf"),
        (&["small-50", "--policy", "p.toml"], "p.toml, line 4, field kind.andon.alpha_ppm: is 0"),
        (&["small-50", "--hosts", "0"], "0"),
        (&["small-50", "--hosts", "99999999999999999999"], "99999999999999999999"),
        (&["small-50", "--operators", "51"], "operators"),
        (&["small-50", "--runs", "-1"], "-1"),
    ];
    for (words, want) in cases {
        let ran = place.andon(&[&["simulate"], words].concat()).expect(2);
        assert!(ran.out.is_empty() && ran.err.contains(want), "{words:?}: {}", ran.err);
    }
    let ran = place.andon(&["simulate", "small-50", "--trace", "no/such/folder"]).expect(1);
    assert!(ran.err.contains("write no/such/folder"), "{}", ran.err);
}

#[test]
fn a_trace_can_be_replayed_step_by_step() {
    let place = Place::new();
    place.andon(&[&SMALL[..], &["--trace", "t.jsonl"]].concat()).expect(0);
    let ran = place.andon(&["replay", "t.jsonl", "--json"]).expect(0);
    let steps: Vec<Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(steps[0]["event"]["event"], "started");
    let last = steps.last().unwrap();
    assert_eq!(last["number"], steps.len());
    assert_eq!(last["state"], "halted");
    for field in ["after_s", "actions", "e", "threshold", "handed", "reason"] {
        assert!(!last[field].is_null(), "{field}");
    }
    let people = place.andon(&["replay", "t.jsonl"]).expect(0).out;
    assert!(people.contains("halted: e = ") && people.contains("ticket 1 issued"), "{people}");
    // Nobody presses Enter: the first event, then the end of the input ends it.
    let first = place.andon(&["replay", "t.jsonl", "--step", "--json"]).expect(0).out;
    assert_eq!(first.lines().count(), 1);
}

#[test]
fn journals_that_are_none_are_refused() {
    let place = Place::new();
    place.write("j.jsonl", b"{}\n");
    let ran = place.andon(&["replay", "j.jsonl"]).expect(1);
    assert!(ran.err.contains("line 1 of the journal as a plan"), "{}", ran.err);
    place.andon(&["replay", "nowhere"]).expect(1);
    place.andon(&["replay", "rollout:NOT A NAME"]).expect(2);
    place.andon(&["replay", "rollout:r1", "--server", "http://127.0.0.1:1"]).expect(5);
}

#[test]
fn a_report_is_one_page() {
    let place = Place::new();
    let words = ["simulate", "small-50", "--report", "out.html", "--json"];
    place.andon(&words).expect(0);
    let page = std::fs::read_to_string(place.path("out.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert!(page.contains("small-50 under andon") && !page.contains("http"));
}
