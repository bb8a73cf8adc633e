//! A clock that is wrong by years: what a host takes for now, what it does then, and what it says. Proofs
//! and policies as in `logged`.
use crate::logged::{log, proof, put_proof, seal_policy, witness, world};
use crate::world::*;
use andon_model::envelope::PayloadType;
use andon_model::stop::{Party, Scope};
use andon_model::{Digest, Millis, Time};
use andon_trust::log::{Checkpoint, LogProof};
use andon_trust::view::{Outcome, RefusalCode, View};

const SOON: Time = Time(NOW.0 + 1000);
const IN_1970: Time = Time(1000);
const CHECKPOINT: &str = "/v1/log/checkpoint";

fn codes(outcome: &Outcome) -> Vec<RefusalCode> {
    outcome.refusals.iter().map(|refusal| refusal.code).collect()
}

fn why(outcome: &Outcome, what: &str) -> String {
    let told = outcome.refusals.iter().find(|refusal| refusal.what == what);
    told.unwrap_or_else(|| panic!("nothing about {what}: {:?}", outcome.refusals)).why.clone()
}

/// A released and logged update, and the checkpoint as witnesses have seen it.
fn published(witnesses: &[u8]) -> (World, Digest) {
    let mut world = world();
    let (manifest, digest) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    let shown = proof(&log(), digest, &manifest, &[1, 2]);
    put_proof(&mut world, digest, &shown);
    put_checkpoint(&mut world, &shown, witnesses, NOW);
    (world, digest)
}

fn put_checkpoint(world: &mut World, shown: &LogProof, witnesses: &[u8], at: Time) {
    let text: Checkpoint = shown.checkpoint.checkpoint().clone();
    let mut checkpoint = log().seal(&text, 0).unwrap();
    for number in witnesses {
        let line = witness(*number).sign(checkpoint.note().text(), at.0 / 1000);
        checkpoint.add(line);
    }
    world.files.insert(CHECKPOINT.to_owned(), checkpoint.to_text().into_bytes());
}

/// A dead battery on a host that was never started before: everything is dated in the future by its clock.
/// Mutant: clock-not-asked-of-witnesses.
#[test]
fn a_host_that_begins_in_1970_learns_the_time_from_witnesses_and_says_so() {
    let (mut world, _) = published(&[1, 2]);
    let freeze = freeze(Party::Platform, Scope::Release(Digest::of(b"another")));
    world.put_stop(&seal(&[10], PayloadType::Freeze, &freeze));
    let mut view = view(7);
    let outcome = world.sync(&mut view, IN_1970);
    assert_eq!((outcome.offers.len(), outcome.freezes.len()), (1, 1), "{:?}", outcome.refusals);
    assert_eq!(codes(&outcome), [RefusalCode::Clock]);
    let said = why(&outcome, "clock");
    assert!(said.contains("20833 days behind") && said.contains(&NOW.to_string()), "{said}");
    // A minute later it says the same, in the same words: nothing fills the journal.
    assert_eq!(why(&world.sync(&mut view, Time(61_000)), "clock"), said);
    // The clock is set: nothing more is said, and nothing more is asked.
    let outcome = world.sync(&mut view, SOON);
    assert_eq!((outcome.offers.len(), outcome.refusals), (1, vec![]));
    assert!(!world.fetched.iter().any(|path| path == CHECKPOINT), "{:?}", world.fetched);
}

/// Without a quorum nobody says what time it is, and the host says what it waits for.
#[test]
fn in_1970_nothing_is_activated_on_the_word_of_one_witness_or_of_none() {
    let told = |world: &mut World| {
        let outcome = world.sync(&mut view(7), IN_1970);
        assert_eq!(outcome.offers, []);
        assert!(why(&outcome, "ticket r1").contains("dated in the future"));
        outcome
    };
    let (mut world, _) = published(&[1]);
    assert!(why(&told(&mut world), "checkpoint of the log").contains("1 of 3 witnesses"));
    world.files.insert(CHECKPOINT.to_owned(), b"no checkpoint".to_vec());
    assert!(why(&told(&mut world), "checkpoint of the log").contains("note has no text"));
    world.files.remove(CHECKPOINT);
    assert!(why(&told(&mut world), "checkpoint of the log").contains("does not have it"));
    seal_policy(&mut world, |policy| policy.log = None);
    assert_eq!(codes(&told(&mut world)), [RefusalCode::Expired]);
    assert!(!world.fetched.iter().any(|path| path == CHECKPOINT), "nobody to ask");
}

/// Ten years ahead everything is over: nothing new is activated, the host says by which day, and goes on
/// as soon as its clock is set, without a restart.
/// Mutant: clock-set-back-forgotten.
#[test]
fn ten_years_ahead_everything_is_over_until_the_clock_is_set() {
    let (mut world, digest) = published(&[1, 2]);
    let stop = freeze(Party::Platform, Scope::Release(Digest::of(b"another")));
    world.put_stop(&seal(&[10], PayloadType::Freeze, &stop));
    let ahead = NOW.plus(Millis(10 * YEAR.0));
    let day = &ahead.to_string()[..10];
    let mut settled = view(7);
    assert_eq!(world.sync(&mut settled, SOON).offers.len(), 1);
    let record = settled.record();
    let restarted = View::restore(anchor(), host(7), class(), &record).unwrap();
    for mut view in [view(7), settled, restarted] {
        let outcome = world.sync(&mut view, ahead);
        assert_eq!((outcome.offers, outcome.policy), (vec![], None));
        let said =
            &outcome.refusals.iter().find(|told| told.why.contains("nothing new")).unwrap().why;
        assert!(said.contains(day), "{said}");
        let outcome = world.sync(&mut view, SOON);
        let offered: Vec<Digest> = outcome.offers.iter().map(|offer| offer.release).collect();
        assert_eq!((offered, outcome.refusals), (vec![digest], vec![]));
        assert_eq!(
            outcome.freezes.len(),
            1,
            "a freeze that was over by the wrong clock holds again"
        );
    }
}
