//! Target: a host's whole round in which one answer of the server is whatever came.
use crate::Fate;
use crate::world::{NOW, class, host, world};
use andon_model::{Millis, Time};
use andon_trust::view::{Answer, Fetch, Outcome, Step, View};
use std::sync::LazyLock;

/// More than any honest round needs; an endless one is a fault.
const STEPS_MAX: usize = 200;
/// When the world's ticket is in force.
const NOON: Time = NOW.plus(Millis(7000));

/// The first byte says which of the world's files is replaced by the rest, and its highest bit that the
/// host's clock says 1970, so that it asks for the checkpoint too. Nothing is offered, stopped or
/// believed that is not when all answers are honest; and one dishonest answer spoils no later round.
pub(crate) fn view(bytes: &[u8]) -> Fate {
    let Some((which, lie)) = bytes.split_first() else { return Fate::Refused };
    let paths: Vec<&String> = world().files.keys().collect();
    let lied = paths[usize::from(*which & 0x7f) % paths.len()];
    let clock = if which & 0x80 == 0 { NOON } else { Time(1000) };
    let mut view = View::new(world().anchor.clone(), host(), class()).expect("the world's anchor");
    let mut fate = Fate::Refused;
    let told = round(&mut view, clock, |fetch| match fetch.path == *lied {
        true => {
            fate = Fate::Taken;
            Answer::Bytes(lie.to_vec())
        }
        false => honest(fetch),
    });
    let truth = truth();
    assert!(
        told.offers.iter().all(|offer| truth.offers.contains(offer)),
        "offers what nobody signed"
    );
    let stopped = |freeze| truth.freezes.contains(freeze);
    assert!(told.freezes.iter().all(stopped), "stops what nobody stopped");
    assert!(told.policy.is_none() || told.policy == truth.policy, "another policy");
    // Over a restart, with what it remembers, and with honest answers.
    let record = view.record();
    let restored = View::restore(world().anchor.clone(), host(), class(), &record);
    let mut restored = restored.expect("its own record");
    for view in [&mut view, &mut restored] {
        let later = round(view, NOON, honest);
        assert_eq!(later.offers, truth.offers, "an answer of yesterday denies today's update");
        assert_eq!((&later.freezes, &later.policy), (&truth.freezes, &truth.policy));
    }
    fate
}

/// What a host finds when every answer is honest: one offer, one freeze, one policy.
fn truth() -> &'static Outcome {
    static TRUTH: LazyLock<Outcome> = LazyLock::new(|| {
        let anchor = world().anchor.clone();
        let mut view = View::new(anchor, host(), class()).expect("the world's anchor");
        let outcome = round(&mut view, NOON, honest);
        assert_eq!((outcome.offers.len(), outcome.freezes.len()), (1, 1), "{:?}", outcome.refusals);
        outcome
    });
    &TRUTH
}

fn honest(fetch: &Fetch) -> Answer {
    match world().files.get(&fetch.path) {
        Some(bytes) if bytes.len() <= fetch.limit => Answer::Bytes(bytes.clone()),
        Some(_) => Answer::Failed("too large".to_owned()),
        None => Answer::Missing,
    }
}

fn round(view: &mut View, clock: Time, mut answer: impl FnMut(&Fetch) -> Answer) -> Outcome {
    view.begin(clock);
    for _ in 0..STEPS_MAX {
        match view.next() {
            Step::Fetch(fetch) => view.supply(answer(&fetch)),
            Step::Done => return view.outcome().clone(),
        }
    }
    panic!("a round of over {STEPS_MAX} requests");
}
