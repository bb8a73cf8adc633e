//! `andon release create` and `sign` without a server.
use crate::common::Place;
use andon_model::release::Manifest;
use andon_model::{Digest, VendorId};
use serde_json::Value;

const CREATE: [&str; 9] =
    ["release", "create", "--vendor", "acme", "--component", "rules", "--version", "1", "-o"];

fn create<'w>(out: &'w str, more: &[&'w str]) -> Vec<&'w str> {
    [&CREATE[..], &[out], more].concat()
}

const RULE: &str = "\
title: Marker
id: 5f6c1c9e-7f0b-4f53-9a51-0d4f0c1f8a01
logsource:
  category: process_creation
  product: linux
detection:
  selection:
    CommandLine|contains: 'marker'
  condition: selection
level: high
";

#[test]
fn a_release_names_every_byte_and_is_reproducible() {
    let place = Place::new();
    place.write("in/b.bin", b"two");
    place.write("in/a/c.txt", b"one");
    for out in ["r1", "r2"] {
        place.andon(&create(out, &["--kind", "files", "in"])).expect(0);
    }
    let bytes = std::fs::read(place.path("r1/manifest.json")).unwrap();
    assert_eq!(bytes, std::fs::read(place.path("r2/manifest.json")).unwrap());
    let manifest = Manifest::parse(&bytes).unwrap();
    let bundle = std::fs::read(place.path("r1/bundle")).unwrap();
    let files = manifest.split(&bundle).unwrap();
    let names: Vec<_> = files.iter().map(|(entry, bytes)| (entry.path.as_str(), *bytes)).collect();
    assert_eq!(names, [("a/c.txt", &b"one"[..]), ("b.bin", b"two")]);
    let again = place.andon(&create("r1", &["--kind", "files", "in"])).expect(1);
    assert!(again.err.contains("already there"), "{}", again.err);
}

#[test]
fn kinds_get_what_they_need_or_are_refused() {
    let place = Place::new();
    place.write("in/program", b"#!/bin/sh\n");
    let cases: [(i32, &[&str]); 6] = [
        (0, &["--kind", "service", "--exec", "program --flag '{content:rules}'", "in"]),
        (1, &["--kind", "service", "in"]),
        (1, &["--kind", "content", "in"]),
        (0, &["--kind", "content", "--consumer", "legacy", "in"]),
        (2, &["--kind", "service", "--exec", "program 'open", "in"]),
        (1, &["--kind", "files", "missing"]),
    ];
    for (number, (code, words)) in cases.into_iter().enumerate() {
        let out = format!("r{number}");
        let ran = place.andon(&create(&out, words));
        assert_eq!(ran.code, code, "{words:?}: {}{}", ran.out, ran.err);
        assert_eq!(place.path(&out).exists(), code == 0, "{words:?} left something half done");
    }
}

#[test]
fn rules_for_the_sensor_are_loaded_by_its_own_engine_first() {
    let place = Place::new();
    place.write("good/marker.yml", RULE.as_bytes());
    place.write("bad/marker.yml", RULE.replace("condition: selection", "condition: )(").as_bytes());
    let words = ["--kind", "content", "--consumer", "sensor"];
    let made = place.andon(&create("r1", &[&words[..], &["good"]].concat())).expect(0);
    assert!(made.out.contains("checked by the sensor's engine"), "{}", made.out);
    let refused = place.andon(&create("r2", &[&words[..], &["bad"]].concat())).expect(1);
    assert!(refused.err.contains("marker.yml"), "{}", refused.err);
    assert!(!place.path("r2").exists());
}

#[test]
fn two_people_sign_one_after_the_other() {
    let place = Place::laid_out();
    place.write("in/a", b"one");
    place.andon(&create("r1", &["--kind", "files", "in"])).expect(0);
    let one = ["release", "sign", "r1", "--role", "new", "--json", "--key", "vendors/acme/1"];
    assert_eq!(place.andon(&one).expect(0).json()["signatures"], 1);
    let two =
        ["release", "sign", "--add", "r1", "--role", "new", "--json", "--key", "vendors/acme/2"];
    assert_eq!(place.andon(&two).expect(0).json()["signatures"], 2);
    assert_eq!(place.andon(&two).expect(0).json()["signatures"], 2, "one key was counted twice");

    let targets = std::fs::read(place.path("d/server/data/tuf/1.targets.json")).unwrap();
    let role = std::fs::read(place.path("r1/role.json")).unwrap();
    let manifest = std::fs::read(place.path("r1/manifest.json")).unwrap();
    let vendor = VendorId::new("acme").unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = andon_model::Time(u64::try_from(now.as_millis()).unwrap());
    let seen = andon_trust::tuf::check_vendor_role(&targets, &vendor, &role, now).unwrap();
    assert_eq!(seen.targets["releases/acme/rules/1.json"].digest, Digest::of(&manifest));
}

#[test]
fn a_second_signer_is_not_made_to_sign_something_else() {
    let place = Place::laid_out();
    place.write("in/a", b"one");
    place.andon(&create("r1", &["--kind", "files", "in"])).expect(0);
    place.andon(&["release", "sign", "r1", "--role", "new", "--key", "vendors/acme/1"]).expect(0);
    let path = place.path("r1/role.json");
    let mut role: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let file = role["signed"]["targets"]["releases/acme/rules/1.json"].clone();
    role["signed"]["targets"]["releases/acme/other/9.json"] = file;
    std::fs::write(&path, serde_json::to_vec(&role).unwrap()).unwrap();
    let words = ["release", "sign", "--add", "r1", "--role", "new", "--key", "vendors/acme/2"];
    let refused = place.andon(&words).expect(1);
    assert!(refused.err.contains("releases/acme/other/9.json"), "{}", refused.err);
}
