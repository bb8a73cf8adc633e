//! One look at the vendor line's open rounds: what is complete is pooled; of what is late, members within
//! the policy's share are left out ([`absent`]), else the line holds and says who. It decides as values;
//! [`crate::driver`] writes them down.
use crate::app::Core;
use crate::pooled::absent;
use crate::pooled::intake::{self, Due, Open};
use crate::pooled::members::Members;
use crate::record::Record;
use crate::rollout_state::RolloutState;
use crate::state::State;
use andon_model::text::Text;
use andon_model::{LineId, OperatorId, RolloutId, Time};
use andon_rollout::lines::{LineTally, MemberStanding, PoolDoubt, Standing};
use andon_rollout::{Event, HoldReason, Observation, Reason, StateName};
use std::borrow::Cow;

/// What is to be written down now. Every round comes at most once: the records of one round close it.
pub fn look(core: &mut Core, now: Time) -> Vec<Record> {
    let Core { state, collected, .. } = core;
    let mut records = Vec::new();
    for (name, rollout) in &state.rollouts {
        let (Some(members), Some(due)) = (rollout.members.as_deref(), intake::due(rollout)) else {
            collected.close(name);
            continue;
        };
        let open = collected.open(name, due, now);
        // Nobody is waited for while it is on hold: whoever resumes it gives everybody their time.
        let exposing = rollout.machine.state() == StateName::Exposing;
        if !exposing {
            open.since = now;
        }
        // Nothing new is to be seen faster than hosts beat.
        let beat = rollout.plan.watch.beat;
        if members.pooled_at.is_some_and(|at| now < at.plus(beat)) {
            continue;
        }
        let told = |operator: &OperatorId| open.tally(operator).map(|(_, tally)| tally);
        match sum(state, rollout, members, told) {
            Ok(seen) => records.extend(pooled(name, due, members, open, seen, &rollout.plan.line)),
            Err(PoolDoubt::OperatorMissing(_)) => {
                let late = now.since(open.since) >= rollout.plan.generation();
                if exposing && late {
                    records.push(absent::late(name, due, members, open));
                }
            }
            Err(doubt) => {
                if exposing {
                    records.push(Record::event(name, doubt.event()));
                }
                // What made the doubt must not make it again: whoever answers counts afresh.
                collected.close(name);
            }
        }
    }
    records
}

/// What one member's report is made of.
enum Source<'a> {
    /// its tally
    Told(&'a LineTally),
    /// it left: where its hosts stand, and nothing good of them
    Left,
}

/// Adds the round up; `told`: the tally of each member that is awaited. A gate verifier does the same.
pub(crate) fn sum<'t>(
    state: &State,
    rollout: &RolloutState,
    members: &Members,
    told: impl Fn(&OperatorId) -> Option<&'t LineTally>,
) -> Result<Observation, PoolDoubt> {
    let (strata, waves) = (rollout.plan.strata.len(), rollout.waves.len());
    let find = |operator: &OperatorId, standing| match standing {
        Standing::Absent | Standing::Withdrawn => Some(Source::Left),
        Standing::Consenting | Standing::Halted => told(operator).map(Source::Told),
    };
    let read = |operator: &OperatorId, source: Source<'_>| match source {
        Source::Left => Cow::Owned(members.arms(rollout, &state.seats, operator)),
        // Spread once before, when it came: it cannot fail, and an empty one would not add up.
        Source::Told(tally) => Cow::Owned(tally.clone().spread(strata, waves).unwrap_or_default()),
    };
    members.pool.sum(&rollout.machine.waves(), find, read)
}

/// The records of one round. A member's halt holds the line before what it counted may widen it.
fn pooled(
    name: &RolloutId,
    due: Due,
    members: &Members,
    open: &Open,
    seen: Observation,
    line: &LineId,
) -> Vec<Record> {
    let mut records = Vec::new();
    let mut halted = Vec::new();
    let told = |operator: &OperatorId| open.tally(operator).map(|(_, tally)| tally);
    for (operator, why) in newly_halted(members, told) {
        let events = absent::halts(line, &operator, &why).into_iter();
        records.extend(events.map(|event| Record::event(name, event)));
        halted.push((operator, why));
    }
    records.push(Record::event(name, Event::Observed(seen)));
    let tallies = members.awaited().filter_map(|operator| {
        let (digest, _) = open.tally(operator)?;
        Some((operator.clone(), digest))
    });
    records.push(Record::TalliesPooled {
        rollout: name.clone(),
        round: due.round,
        generation: due.generation,
        tallies: tallies.collect(),
        halted,
    });
    records
}

/// Members that say for the first time that their own line has halted.
pub(crate) fn newly_halted<'t>(
    members: &Members,
    told: impl Fn(&OperatorId) -> Option<&'t LineTally>,
) -> Vec<(OperatorId, Text)> {
    let consenting = members.awaited().filter(|operator| !members.halted.contains_key(*operator));
    let halted = consenting.filter_map(|operator| match &told(operator)?.standing {
        MemberStanding::Halted { why } => Some((operator.clone(), why.clone())),
        MemberStanding::Live | MemberStanding::Waiting { .. } | MemberStanding::Completed => None,
    });
    halted.collect()
}

/// Whether the line holds for this member's sake, because it halted or is among those that did not
/// answer: then withdrawing it lets the line go on, and the others have their time again.
#[must_use]
pub fn holds_for(rollout: &RolloutState, operator: &OperatorId, now: Time) -> bool {
    let Some(members) = rollout.members.as_deref() else { return false };
    let Reason::Held(HoldReason::ActionFailed { generation, what }) =
        rollout.machine.explain(now).reason
    else {
        return false;
    };
    let why = members.halted.get(operator);
    let halted = why.map(|why| absent::halts(&rollout.plan.line, operator, why));
    absent::names(&what, operator)
        || halted.is_some_and(|halted| halted.contains(&Event::ActionFailed { generation, what }))
}
