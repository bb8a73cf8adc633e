//! `andon trust`: who may do what, and what a thief of each key reaches, on lines as they are laid out.
use crate::common::Place;
use serde_json::Value;

const INIT: [&str; 7] =
    ["init", "--operator", "hospital", "--vendor", "acme", "--listen", "127.0.0.1:1"];

fn laid_out(more: &[&str]) -> Place {
    let place = Place::new();
    place.andon(&[&INIT[..], more].concat()).expect(0);
    place
}

fn what_if(place: &Place, more: &[&str]) -> Vec<Value> {
    let words = [&["trust", "what-if", "--json"][..], more].concat();
    place.andon(&words).expect(0).json().as_array().unwrap().clone()
}

fn figure(row: &Value, name: &str) -> u64 {
    row[name].as_u64().unwrap_or_else(|| panic!("{name}: {row}"))
}

#[test]
fn every_key_and_every_pair_of_a_line_as_it_is_laid_out_is_measured() {
    let place = laid_out(&["--rig", "bench", "--fast-lane", "acme/rules"]);
    let rows = what_if(&place, &["--all"]);
    let keys = 3 + 3 + 3 + 1 + 1 + 3 + 2 + 3 + 2;
    assert_eq!(rows.len(), keys + keys * (keys - 1) / 2);
    for row in &rows {
        let stolen: Vec<&str> =
            row["stolen"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        let within = row["within_signed_wave"].as_bool().unwrap();
        assert_eq!(within, figure(row, "hosts_reached_max") <= figure(row, "wave_signed"), "{row}");
        let root = |name: &&&str| name.starts_with("operator-root/");
        let beyond =
            stolen == ["online", "verifiers/v1"] || stolen.iter().filter(root).count() == 2;
        assert_eq!(!within, beyond, "{row}");
        assert_eq!(row["needs_also"].as_array().unwrap().is_empty(), beyond, "{row}");
        assert!(row["can_freeze"].is_boolean());
        if stolen == ["rigs/bench"] {
            let kept_away = ["hosts_unprotected_max", "hosts_unprotected_after_rotation"];
            assert_eq!(kept_away.map(|name| figure(row, name)), [10_000, 0], "{row}");
        }
    }
}

#[test]
fn without_a_verifier_the_tool_says_that_the_online_key_reaches_everybody() {
    let place = laid_out(&["--no-verifier"]);
    let row = &what_if(&place, &["--stolen", "online"])[0];
    assert_eq!(row["within_signed_wave"], false, "{row}");
    assert_eq!(figure(row, "hosts_reached_max") + figure(row, "wave_signed"), 10_000);
    assert_eq!(figure(row, "hosts_foreign_code_max"), 0);
    let person = &what_if(&place, &["--stolen", "alice"])[0];
    assert_eq!(person["stolen"], serde_json::json!(["people/alice"]));
    place.andon(&["trust", "what-if", "--stolen", "mallory"]).expect(4);
    place.andon(&["trust", "what-if"]).expect(2);
}

/// Two ways to ask the same: how many hosts does a thief of the online key move beyond the wave?
#[test]
fn the_simulators_thief_of_the_online_key_reaches_no_more_either() {
    let place = laid_out(&["--verifier", "v1"]);
    let row = &what_if(&place, &["--stolen", "online"])[0];
    let wave = figure(row, "wave_signed");
    assert!(figure(row, "hosts_reached_max") <= wave);
    let words = ["simulate", "stolen-online-key", "--hosts", "100000", "--runs", "20", "--json"];
    let played = place.andon(&words).expect(0).json();
    assert_eq!(played["violations"], 0, "{played}");
}

#[test]
fn the_tree_names_every_key_and_how_many_it_takes() {
    let place = laid_out(&["--verifier", "v1", "--rig", "bench"]);
    let shown = place.andon(&["trust", "show"]).expect(0).out;
    for text in [
        "platform: replace any key below: 2 of platform/root-1, platform/root-2, platform/root-3",
        "sign releases of acme: 2 of vendors/acme/1, vendors/acme/2, vendors/acme/3",
        "operator: sign the policy: 2 of operator-root/alice, operator-root/bob, operator-root/carol",
        "cosign every ticket: verifiers/v1",
        "in the routine lane, with whoever starts it: nobody has to",
        "that it failed: rigs/bench",
        "waive what is missing, for canary waves only: 2 of people/alice, people/bob, people/carol",
        "of what is acme's, as acme",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let tree = place.andon(&["trust", "show", "--json"]).expect(0).json();
    assert_eq!(tree["may"][0]["needed"], 2);
    assert_eq!(tree["keys"].as_array().unwrap().len(), 21);
}
