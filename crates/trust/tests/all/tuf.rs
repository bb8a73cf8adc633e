//! TUF beyond the specification's own text: aliased keys, thresholds, rotation, withheld files, and
//! what is not fetched twice.
use crate::world::*;
use andon_model::digest::to_hex;
use andon_model::envelope::PayloadType;
use andon_model::stop::{Party, Scope};
use andon_model::{Millis, Time, VendorId};
use andon_trust::repository as signing;
use andon_trust::tuf::{MetadataSet as _, TufError, TufSet};
use andon_trust::view::RefusalCode;
use serde_json::{Value, json};

fn later(seconds: u64) -> Time {
    NOW.plus(Millis::from_secs(seconds))
}

fn pem(key: u8) -> String {
    let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    der.extend_from_slice(&crate::world::key(key).public().0);
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64(&der))
}

/// 44 bytes need no line break; the padding is what 44 mod 3 asks for.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * at)) as usize & 63] as char;
            out.push(if at <= chunk.len() { digit } else { '=' });
        }
    }
    out
}

/// The same physical key a second time, under an id of its own, as each writer might put it.
fn aliases(key: u8) -> Vec<Value> {
    let hex = to_hex(&crate::world::key(key).public().0);
    let plain = |public: &str| json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}});
    let mut labelled = plain(&hex);
    labelled["x-owner"] = json!("somebody else");
    vec![
        plain(&hex),
        labelled,
        plain(&hex.to_uppercase()),
        plain(&format!(" {hex}\n")),
        plain(&pem(key)),
    ]
}

#[test]
fn one_physical_key_under_two_ids_is_refused_in_root_and_delegations() {
    for alias in aliases(15) {
        let bytes = resigned(root(&root_roles(), &[10, 11]), &[10, 11], |signed| {
            signed["keys"]["ab"] = alias.clone();
            signed["roles"]["timestamp"]["keyids"].as_array_mut().unwrap().push(json!("ab"));
            signed["roles"]["timestamp"]["threshold"] = json!(2);
        });
        let refused = TufSet::from_root(&bytes).unwrap_err();
        assert!(matches!(refused, TufError::AliasedKey(_)), "{alias}: {refused}");
    }
    for alias in aliases(30) {
        let mut world = World::new();
        world.tamper = Some((
            "targets",
            Box::new(move |bytes| {
                let alias = alias.clone();
                resigned(bytes, &[13], move |signed| {
                    signed["delegations"]["keys"]["ab"] = alias.clone();
                    let role = &mut signed["delegations"]["roles"][1];
                    role["keyids"].as_array_mut().unwrap().push(json!("ab"));
                    role["threshold"] = json!(2);
                })
            }),
        ));
        world.publish();
        let outcome = world.sync(&mut view(7), later(1));
        let refusal = outcome.refusals.iter().find(|r| r.what == "targets").unwrap();
        assert!(refusal.why.contains("one key's material under two ids"), "{}", refusal.why);
    }
}

#[test]
fn a_threshold_nobody_or_anybody_could_meet_is_refused() {
    for threshold in [0, 3] {
        let mut roles = root_roles();
        roles[3].1 = role(&[15, 16], threshold);
        let refused = TufSet::from_root(&root(&roles, &[10, 11])).unwrap_err();
        assert!(matches!(refused, TufError::Threshold(..)), "threshold {threshold}: {refused}");
    }
}

#[test]
fn unknown_fields_in_metadata_are_accepted_as_the_specification_asks() {
    let mut world = World::new();
    for file in ["timestamp", "snapshot", "targets"] {
        let change = |b| resigned(b, &[13, 14, 15], |signed| signed["x-note"] = json!("hello"));
        world.tamper = Some((file, Box::new(change)));
        world.publish();
        let outcome = world.sync(&mut view(7), later(1));
        assert_eq!(outcome.refusals, [], "{file}");
    }
}

#[test]
fn roots_are_walked_one_by_one_and_a_rotated_key_is_dead() {
    let mut world = World::new();
    world.publish();
    let mut view = view(7);
    assert_eq!(world.sync(&mut view, later(1)).refusals, []);
    // Root 2 takes the timestamp key 15 away and puts 16 in its place.
    let mut roles = root_roles();
    roles[3].1 = role(&[16], 1);
    let mut second = signing::root(2, NOW.plus(YEAR), &roles).unwrap();
    [10, 12].iter().for_each(|n| second.sign(&key(*n)).unwrap());
    world.files.insert("/v1/tuf/2.root.json".to_owned(), second.to_bytes());
    world.publish();
    let before = view.record();
    let outcome = world.sync(&mut view, later(2));
    assert_eq!(outcome.refusals[0].what, "timestamp");
    assert_eq!(outcome.refusals[0].code, RefusalCode::Signature);
    assert!(view.record() == before, "a half refresh left a trace");
    world.tamper = Some(("timestamp", Box::new(|b| resigned(b, &[16], |_| {}))));
    world.publish();
    assert_eq!(world.sync(&mut view, later(3)).refusals, []);
    // A root that the first root's keys did not sign to their threshold ends the walk.
    let mut third = signing::root(3, NOW.plus(YEAR), &roles).unwrap();
    third.sign(&key(10)).unwrap();
    world.files.insert("/v1/tuf/3.root.json".to_owned(), third.to_bytes());
    world.publish();
    let outcome = world.sync(&mut view, later(4));
    assert_eq!(outcome.refusals[0].what, "root");
}

#[test]
fn a_withheld_file_keeps_the_last_good_state_and_is_asked_for_again() {
    for file in ["2.snapshot", "2.targets", "timestamp"] {
        let mut world = World::new();
        let (_, digest) = world.release("acme", 1, &[20, 21]);
        world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
        let mut view = view(7);
        assert_eq!(world.sync(&mut view, later(1)).offers.len(), 1);
        let (_, second) = world.release("acme", 2, &[20, 21]);
        world.issue(&world.ticket("r2", second, 2, &[(16, 0)]));
        let path = format!("/v1/tuf/{file}.json");
        let bytes = world.files.remove(&path).unwrap();
        let outcome = world.sync(&mut view, later(2));
        assert_eq!(outcome.offers.len(), 1, "{file}");
        assert!(outcome.refusals.iter().any(|r| r.code == RefusalCode::Missing), "{file}");
        world.files.insert(path, bytes);
        let outcome = world.sync(&mut view, later(3));
        assert_eq!((outcome.offers.len(), outcome.refusals), (2, vec![]), "{file}");
    }
}

#[test]
fn only_what_changed_is_fetched_again() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    world.release("zeta", 1, &[30]);
    let mut view = view(7);
    world.sync(&mut view, later(1));
    let roles = |w: &World| w.fetched.iter().filter(|p| p.contains("zeta")).count();
    assert_eq!(roles(&world), 0, "nothing needed that vendor: {:?}", world.fetched);
    // nine files, and a proof bundle that this server does not have
    assert_eq!(world.fetched.len(), 10, "{:?}", world.fetched);
    // A timestamp signed anew over the same snapshot costs index, next root, timestamp.
    world.stamp_again(&[15]);
    assert_eq!(world.sync(&mut view, later(2)).refusals, []);
    assert_eq!(world.fetched.len(), 3, "{:?}", world.fetched);
    world.sync(&mut view, later(3));
    assert_eq!(world.fetched.len(), 1, "{:?}", world.fetched);
    // Another vendor's release: acme's role stays as it was read.
    world.release("zeta", 2, &[30]);
    let outcome = world.sync(&mut view, later(4));
    assert_eq!((outcome.offers.len(), outcome.refusals), (1, vec![]));
    assert!(!world.fetched.iter().any(|p| p.contains("acme")), "{:?}", world.fetched);
}

#[test]
fn a_freeze_holds_when_metadata_has_expired_and_over_a_restart() {
    let acme = VendorId::new("acme").unwrap();
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    let mut view = view(7);
    assert_eq!(world.sync(&mut view, later(1)).offers.len(), 1);
    // The next metadata is broken for good; the vendor pulls the cord over its own release.
    world.tamper = Some(("timestamp", Box::new(|b| resigned(b, &[99], |_| {}))));
    world.publish();
    let mut cord = freeze(Party::Vendor(acme), Scope::Release(digest));
    let when = NOW.plus(YEAR).plus(Millis::from_secs(60));
    (cord.issued, cord.expires) = (when, when.plus(Millis::from_secs(3600)));
    world.put_stop(&seal(&[21], PayloadType::Freeze, &cord));
    let outcome = world.sync(&mut view, when);
    assert_eq!(outcome.freezes.len(), 1, "{:?}", outcome.refusals);
    // The server forgets the freeze, the host restarts: it holds until it expires by itself.
    world.index.stops.clear();
    world.bump();
    let record = view.record();
    let mut view = andon_trust::view::View::restore(anchor(), host(7), class(), &record).unwrap();
    assert_eq!(world.sync(&mut view, when).freezes, outcome.freezes);
    assert_eq!(world.sync(&mut view, cord.expires).freezes, []);
}

#[test]
fn an_expired_timestamp_stops_every_offer_while_policy_and_ticket_are_in_force() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    world.tamper = Some((
        "timestamp",
        Box::new(|b| resigned(b, &[15], |s| s["expires"] = json!("2027-01-15T08:01:40Z"))),
    ));
    world.publish();
    let mut view = view(7);
    assert_eq!(world.sync(&mut view, later(1)).offers.len(), 1);
    let outcome = world.sync(&mut view, later(101));
    assert_eq!(outcome.offers, []);
    assert!(outcome.refusals[0].why.contains("TUF metadata has expired"), "{:?}", outcome.refusals);
    assert!(outcome.policy.is_some());
}

#[test]
fn a_manifest_with_one_bit_changed_is_refused() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    let path = format!("/v1/targets/releases/acme/rules/{digest}.1.json");
    let good = world.files[&path].clone();
    let text = String::from_utf8(good.clone()).unwrap();
    for bad in [text.replace("\"soak\":3000", "\"soak\":2000"), format!("{text} "), "{}".to_owned()]
    {
        world.files.insert(path.clone(), bad.into_bytes());
        let outcome = world.sync(&mut view(7), later(1));
        assert_eq!((outcome.offers.len(), outcome.refusals[0].code), (0, RefusalCode::Digest));
    }
    world.files.insert(path, good);
    assert_eq!(world.sync(&mut view(7), later(1)).offers.len(), 1);
}

#[test]
fn an_expired_role_stops_its_own_vendor_only() {
    let mut world = World::new();
    let (_, acme) = world.release_until("acme", 1, &[20, 21], later(100));
    let (_, zeta) = world.release("zeta", 1, &[30]);
    world.issue(&world.ticket("r1", acme, 1, &[(16, 0)]));
    world.issue(&world.ticket("r2", zeta, 1, &[(16, 0)]));
    let mut view = view(7);
    assert_eq!(world.sync(&mut view, later(1)).offers.len(), 2);
    let outcome = world.sync(&mut view, later(101));
    let offered: Vec<_> = outcome.offers.iter().map(|o| o.release).collect();
    assert_eq!(offered, [zeta]);
    assert!(outcome.refusals[0].why.contains("vendor acme has expired"), "{:?}", outcome.refusals);
}

#[test]
fn a_release_whose_vendor_lost_its_delegation_is_offered_no_more() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    let mut view = view(7);
    assert_eq!(world.sync(&mut view, later(1)).offers.len(), 1);
    let zeta = signing::Delegation { vendor: VendorId::new("zeta").unwrap(), role: role(&[30], 1) };
    world.publish_with(&[zeta], NOW.plus(YEAR));
    let outcome = world.sync(&mut view, later(2));
    assert_eq!(outcome.offers, []);
    assert!(outcome.refusals[0].why.contains("no vendor's metadata"), "{:?}", outcome.refusals);
}

#[test]
fn damaged_records_are_refused_by_name() {
    let mut world = World::new();
    world.publish();
    let mut view = view(7);
    world.sync(&mut view, later(1));
    let record = view.record();
    let restore = |bytes: &[u8]| {
        andon_trust::view::View::restore(anchor(), host(7), class(), bytes).map(|v| v.record())
    };
    assert!(restore(&record).unwrap() == record, "what is restored is what was recorded");
    let edited = |field: &str, value: Value| {
        let mut all: Value = serde_json::from_slice(&record).unwrap();
        all[field] = value;
        serde_json::to_vec(&all).unwrap()
    };
    for (bytes, want) in [
        (record[..record.len() / 2].to_vec(), "parse view record"),
        (edited("surprise", json!(1)), "parse view record"),
        (edited("schema", json!(2)), "schema 2"),
        (edited("root", json!("{}")), "verify metadata"),
        (edited("snapshot", json!("{}")), "verify metadata"),
    ] {
        let refused = restore(&bytes).unwrap_err().to_string();
        assert!(refused.contains(want), "{refused}");
    }
}

#[test]
fn sets_answer_in_the_specifications_order_only() {
    let mut set = TufSet::from_root(&root(&root_roles(), &[10, 11])).unwrap();
    assert!(set.targets_version().is_err());
    assert!(set.authorised(NOW).is_err());
    assert!(set.update_snapshot(b"{}", NOW).is_err());
    assert_eq!((set.root_version(), set.timestamp_version(), set.snapshot_version()), (1, 0, 0));
}
