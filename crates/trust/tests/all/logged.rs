//! A policy that demands public logging: no release is offered without a proof.
use crate::world::*;
use andon_model::log_entry::LogEntry;
use andon_model::merkle::{Head, Tree};
use andon_model::policy::Policy;
use andon_model::release::Manifest;
use andon_model::{Digest, Millis, Time};
use andon_trust::log::{Checkpoint, KeyKind, LogProof, NoteKey};
use andon_trust::sign::SigningKey;
use andon_trust::view::{Outcome, RefusalCode, View};

const SOON: Time = Time(NOW.0 + 1000);

fn note(name: &str, kind: KeyKind, seed: u8) -> NoteKey {
    NoteKey::new(name, kind, SigningKey::from_seed([seed; 32])).unwrap()
}

pub(crate) fn log() -> NoteKey {
    note("log.example", KeyKind::Log, 60)
}

pub(crate) fn witness(number: u8) -> NoteKey {
    note(&format!("w{number}.example"), KeyKind::Witness, 60 + number)
}

/// Our log and two of three witnesses.
fn demanded() -> String {
    let mut text = format!("log {}\n", log().verifier());
    for number in 1..=3 {
        text += &format!("witness w{number} {}\n", witness(number).verifier());
    }
    text + "group two 2 w1 w2 w3\nquorum two\n"
}

pub(crate) fn seal_policy(world: &mut World, change: impl FnOnce(&mut Policy)) {
    change(&mut world.policy);
    let envelope = seal(&[1, 2], andon_model::envelope::PayloadType::Policy, &world.policy);
    world.put_policy(&envelope);
}

/// A world whose hosts want to see releases in the log.
pub(crate) fn world() -> World {
    let mut world = World::new();
    seal_policy(&mut world, |policy| policy.log = Some(demanded()));
    world
}

/// A proof that `log` holds the release as its second entry, seen by these witnesses.
pub(crate) fn proof(
    log: &NoteKey,
    release: Digest,
    manifest: &Manifest,
    witnesses: &[u8],
) -> LogProof {
    proof_at(NOW, log, release, manifest, witnesses)
}

/// The same, seen at that time.
fn proof_at(
    at: Time,
    log: &NoteKey,
    release: Digest,
    manifest: &Manifest,
    witnesses: &[u8],
) -> LogProof {
    let other = andon_model::merkle::leaf(b"other");
    let tree = Tree::new(vec![other, LogEntry::release(release, manifest).leaf(), other]);
    let head = Head { size: 3, root: tree.root() };
    let origin = log.verifier().name().to_owned();
    let checkpoint = Checkpoint { origin, head, extensions: vec![] };
    let mut checkpoint = log.seal(&checkpoint, 0).unwrap();
    for number in witnesses {
        let line = witness(*number).sign(checkpoint.note().text(), at.0 / 1000);
        checkpoint.add(line);
    }
    LogProof { extra: None, index: 1, hashes: tree.proof(1).unwrap(), checkpoint }
}

pub(crate) fn put_proof(world: &mut World, release: Digest, proof: &LogProof) {
    world.files.insert(format!("/v1/log/proofs/{release}"), proof.to_text().into_bytes());
}

fn refused(outcome: &Outcome, release: Digest) -> Vec<String> {
    let named = format!("release {}", release.short());
    let of = outcome.refusals.iter().inspect(|why| {
        assert_eq!((&why.what, why.code), (&named, RefusalCode::Unlogged), "{why:?}");
    });
    of.map(|why| why.why.clone()).collect()
}

/// Mutant: host-demands-no-proof.
#[test]
fn a_release_without_a_proof_that_the_policy_accepts_is_refused_by_name() {
    let mut world = world();
    let (manifest, digest) = world.release("acme", 1, &[20, 21]);
    let other = Manifest { bundle: Digest::of(b"other bundle"), ..manifest.clone() };
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    let good = proof(&log(), digest, &manifest, &[1, 3]);
    let stranger = note("log.example", KeyKind::Log, 70);
    let mut elsewhere = good.clone();
    elsewhere.index = 2;
    let bad = [
        (None, "does not have it"),
        (Some(proof(&log(), Digest::of(b"x"), &manifest, &[1, 2, 3])), "at index 1"),
        (Some(proof(&log(), digest, &other, &[1, 2, 3])), "at index 1"),
        (Some(elsewhere), "at index 2"),
        (Some(proof(&log(), digest, &manifest, &[])), "0 of 3 witnesses"),
        (Some(proof(&log(), digest, &manifest, &[2])), "1 of 3 witnesses"),
        (Some(proof(&stranger, digest, &manifest, &[1, 2, 3])), "not signed by log"),
        (
            Some(proof(&note("b", KeyKind::Log, 60), digest, &manifest, &[1, 2])),
            "not in the policy",
        ),
    ];
    let mut view = view(7);
    for (proof, why) in bad {
        world.files.remove(&format!("/v1/log/proofs/{digest}"));
        if let Some(proof) = proof {
            put_proof(&mut world, digest, &proof);
        }
        let outcome = world.sync(&mut view, SOON);
        assert_eq!(outcome.offers, [], "{why}");
        let whys = refused(&outcome, digest);
        assert!(whys.len() == 1 && whys[0].contains(why), "{why}: {whys:?}");
    }
    world.files.insert(format!("/v1/log/proofs/{digest}"), b"no proof".to_vec());
    assert!(refused(&world.sync(&mut view, SOON), digest)[0].contains("does not begin with"));
    // A good one in the next round is enough, and is not asked for again.
    put_proof(&mut world, digest, &good);
    let outcome = world.sync(&mut view, SOON);
    assert_eq!((outcome.offers.len(), outcome.refusals), (1, vec![]));
    assert_eq!(world.sync(&mut view, SOON).offers.len(), 1);
    assert_eq!(world.fetched, ["/v1/lines/operator:hospital/index.json"]);
}

#[test]
fn one_vendors_missing_proof_is_not_another_vendors() {
    let mut world = world();
    let (_, withheld) = world.release("acme", 1, &[20, 21]);
    let (manifest, shown) = world.release("zeta", 2, &[30]);
    world.issue(&world.ticket("r1", withheld, 1, &[(16, 0)]));
    world.issue(&world.ticket("r2", shown, 2, &[(16, 0)]));
    put_proof(&mut world, shown, &proof(&log(), shown, &manifest, &[1, 2]));
    let outcome = world.sync(&mut view(7), SOON);
    let offered: Vec<Digest> = outcome.offers.iter().map(|offer| offer.release).collect();
    assert_eq!(offered, [shown]);
    assert_eq!(refused(&outcome, withheld).len(), 1);
}

#[test]
fn a_policy_without_the_field_asks_for_no_proof() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    let outcome = world.sync(&mut view(7), SOON);
    assert_eq!((outcome.offers.len(), outcome.refusals), (1, vec![]));
    assert!(!world.fetched.iter().any(|path| path.contains("/log/")), "{:?}", world.fetched);
}

#[test]
fn a_new_policy_judges_proofs_again() {
    let mut world = world();
    let (manifest, digest) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    put_proof(&mut world, digest, &proof(&log(), digest, &manifest, &[1, 2]));
    let mut view = view(7);
    assert_eq!(world.sync(&mut view, SOON).offers.len(), 1);
    let all = demanded().replace("group two 2", "group two 3");
    seal_policy(&mut world, |policy| (policy.version, policy.log) = (4, Some(all)));
    let mut ticket = world.ticket("r1", digest, 1, &[(16, 0)]);
    ticket.not_before = ticket.not_before.plus(Millis(1));
    world.issue(&ticket);
    let outcome = world.sync(&mut view, SOON);
    assert_eq!(outcome.offers, []);
    assert!(refused(&outcome, digest)[0].contains("2 of 3 witnesses"));
}

#[test]
fn a_policy_whose_log_policy_cannot_be_read_is_refused() {
    for (text, why) in [
        ("quorum none\n", "names no log"),
        ("quorum nobody\n", "line 1"),
        ("log x\nquorum none\n", "line 1"),
    ] {
        let mut world = World::new();
        seal_policy(&mut world, |policy| policy.log = Some(text.to_owned()));
        let outcome = world.sync(&mut view(7), SOON);
        let told = outcome.refusals.iter().find(|told| told.what == "policy").unwrap();
        assert_eq!(told.code, RefusalCode::Malformed);
        assert!(told.why.contains(why), "{}", told.why);
    }
}

/// A host whose clock is years behind would believe in whatever was true then.
/// Mutant: clock-behind-its-witnesses.
#[test]
fn it_is_never_earlier_than_a_quorum_of_witnesses_has_vouched_for() {
    let mut world = world();
    let (manifest, digest) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    put_proof(&mut world, digest, &proof(&log(), digest, &manifest, &[1, 2]));
    let mut view = view(7);
    let outcome = world.sync(&mut view, SOON);
    assert_eq!((outcome.offers.len(), outcome.refusals), (1, vec![]));
    // Battery empty, and the host starts anew: the ticket is in force all the same, and it is said why.
    let record = view.record();
    let again = |bytes: &[u8]| View::restore(anchor(), host(7), class(), bytes).unwrap();
    let epoch = Time(1000);
    let outcome = world.sync(&mut again(&record), epoch);
    assert_eq!(outcome.offers.len(), 1, "{:?}", outcome.refusals);
    let said: Vec<_> = outcome.refusals.iter().map(|why| why.code).collect();
    assert_eq!(said, [RefusalCode::Clock]);
    assert!(outcome.refusals[0].why.contains(&NOW.to_string()), "{:?}", outcome.refusals);
    // Two hours later a quorum has seen another release: the first ticket is over, by whatever clock.
    let later = Time(NOW.0 + 2 * 3_600_000);
    let (other, newer) = world.release("zeta", 2, &[30]);
    world.issue(&world.ticket("r2", newer, 2, &[(16, 0)]));
    let mut outcomes = Vec::new();
    for (witnesses, at) in [(&[1, 2][..], NOW), (&[1, 2], later)] {
        put_proof(&mut world, newer, &proof_at(at, &log(), newer, &other, witnesses));
        let mut view = again(&record);
        world.sync(&mut view, SOON);
        outcomes.push(world.sync(&mut view, SOON).offers.len());
    }
    assert_eq!(outcomes, [2, 0]);
}

/// A single witness's word is no clock: the quorum's is, and a policy without a quorum has none.
#[test]
fn one_witness_alone_sets_no_clock() {
    let later = Time(NOW.0 + 2 * 3_600_000);
    let none =
        format!("log {}\nwitness w1 {}\nquorum none\n", log().verifier(), witness(1).verifier());
    for demanded in [demanded(), none] {
        let mut world = World::new();
        seal_policy(&mut world, |policy| policy.log = Some(demanded));
        let (manifest, digest) = world.release("acme", 1, &[20, 21]);
        world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
        let mut shown = proof(&log(), digest, &manifest, &[2, 3]);
        let line = witness(1).sign(shown.checkpoint.note().text(), later.0 / 1000);
        shown.checkpoint.add(line);
        put_proof(&mut world, digest, &shown);
        let mut view = view(7);
        world.sync(&mut view, SOON);
        let outcome = world.sync(&mut view, SOON);
        assert_eq!((outcome.offers.len(), outcome.refusals), (1, vec![]));
    }
}
