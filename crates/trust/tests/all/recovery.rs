//! Keys get lost and stolen, and there is a way back: rehearsed on hosts that have seen the world before.
//! The words for people are docs/operate/key-loss.md.
use crate::world::*;
use andon_model::enrol::Anchor;
use andon_model::envelope::PayloadType;
use andon_model::{Digest, Millis};
use andon_trust::repository as tuf;
use andon_trust::view::{Outcome, RefusalCode, View};

/// Three people, two of whom sign: alice (1), bob (2), carol (4).
fn of_three() -> Anchor {
    Anchor { operators: vec![person("alice", 1), person("bob", 2), person("carol", 4)], ..anchor() }
}

fn codes_of(outcome: &Outcome, what: &str) -> Vec<RefusalCode> {
    let of = outcome.refusals.iter().filter(|told| told.what == what);
    of.map(|told| told.code).collect()
}

/// Signs the next version of the policy by these keys, and shows it.
fn sign_policy(world: &mut World, version: u64, keys: &[u8]) {
    world.policy.version = version;
    let envelope = seal(keys, PayloadType::Policy, &world.policy);
    world.put_policy(&envelope);
}

/// A world whose first release every host of the first wave has, and a host's record of it.
fn seen(anchor: Anchor) -> (World, Digest, Vec<u8>) {
    let mut world = World::new();
    world.versions = 10;
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    let mut view = View::new(anchor, host(7), class()).unwrap();
    assert_eq!(world.sync(&mut view, NOW).offers.len(), 1);
    (world, digest, view.record())
}

#[test]
fn a_lost_key_of_three_stops_no_policy_and_two_lost_ones_do() {
    let (mut world, ..) = seen(of_three());
    let mut view = View::new(of_three(), host(7), class()).unwrap();
    // Carol's is lost: the others sign as ever.
    sign_policy(&mut world, 4, &[1, 2]);
    assert_eq!(codes_of(&world.sync(&mut view, NOW), "policy"), []);
    assert_eq!(view.policy().unwrap().version, 4);
    // Bob's too: nobody can change anything, and what was signed holds until it expires.
    sign_policy(&mut world, 5, &[1]);
    let outcome = world.sync(&mut view, NOW);
    assert_eq!(codes_of(&outcome, "policy"), [RefusalCode::Signature]);
    assert_eq!((view.policy().unwrap().version, outcome.offers.len()), (4, 1));
}

/// The operator's root is made anew and hosts are given the new anchor: they keep what they have seen.
#[test]
fn a_fleet_under_a_new_operators_root_goes_on_and_nothing_goes_back() {
    let (mut world, digest, record) = seen(of_three());
    let new = Anchor { operators: vec![person("alice", 5), person("dora", 6)], ..anchor() };
    let mut view = View::restore(new.clone(), host(7), class(), &record).unwrap();
    let outcome = world.sync(&mut view, NOW);
    let codes = codes_of(&outcome, "policy");
    assert_eq!(codes, [RefusalCode::Signature, RefusalCode::Expired], "none is in force");
    assert_eq!(outcome.offers, [], "what the old root signed holds no more");
    // The first policy of the new root is none that is older than the last of the old one.
    for (version, codes) in [(2, vec![RefusalCode::Rollback, RefusalCode::Expired]), (4, vec![])] {
        sign_policy(&mut world, version, &[5, 6]);
        world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
        let outcome = world.sync(&mut view, NOW);
        assert_eq!(codes_of(&outcome, "policy"), codes);
        assert_eq!(outcome.offers.len(), usize::from(codes.is_empty()), "version {version}");
    }
    // The old root's people are nobody, and no ticket goes back behind one seen before the change.
    sign_policy(&mut world, 5, &[1, 2]);
    assert_eq!(codes_of(&world.sync(&mut view, NOW), "policy"), [RefusalCode::Signature]);
    sign_policy(&mut world, 5, &[5, 6]);
    let mut other = world.ticket("r1", Digest::of(b"another"), 1, &[(16, 0)]);
    other.not_before = NOW.plus(Millis(1));
    world.issue(&other);
    let outcome = world.sync(&mut view, NOW.plus(Millis(1)));
    assert_eq!(codes_of(&outcome, "ticket r1"), [RefusalCode::Rollback]);
}

/// So many platform keys are lost that the root cannot be rotated: a new platform, from version 1 on.
/// Mutant: old-platform-outlives-its-anchor.
#[test]
fn a_fleet_under_a_new_platforms_root_leaves_the_old_one() {
    let (mut world, digest, record) = seen(anchor());
    let mut roles = root_roles();
    roles[0].1 = role(&[40, 41, 42], 2);
    roles[1].1 = role(&[43], 1);
    let bytes = root(&roles, &[40, 41]);
    let new = Anchor { tuf_root: serde_json::from_slice(&bytes).unwrap(), ..anchor() };
    world.tamper = Some(("targets", Box::new(|bytes| resigned(bytes, &[43], |_| ()))));
    world.publish();
    let mut old = View::restore(anchor(), host(7), class(), &record).unwrap();
    let codes = codes_of(&world.sync(&mut old, NOW), "targets");
    assert_eq!(codes, [RefusalCode::Signature], "the old anchor believes the old platform only");
    // Its repository counts from the beginning, below what hosts have seen of the old one.
    world.versions = 0;
    world.publish();
    let mut view = View::restore(new, host(7), class(), &record).unwrap();
    let outcome = world.sync(&mut view, NOW);
    let offered: Vec<Digest> = outcome.offers.iter().map(|offer| offer.release).collect();
    assert_eq!((offered, outcome.refusals), (vec![digest], vec![]));
    // It remembers under which anchor: the next start is an ordinary one.
    let again = view.record();
    assert!(tuf::version_of(&bytes).is_ok());
    let text = String::from_utf8(again).unwrap();
    assert!(text.contains("\"anchored\""));
}
