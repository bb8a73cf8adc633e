//! What a member answers to a round: its hosts counted as this server counts for itself, by the
//! vendor line's places, waves and watch, and with marks kept apart for that line. Pure.
use super::permit;
use super::state::Followed;
use crate::fleet::Heard;
use crate::record::Counted;
use crate::rollout_state::{RolloutState, Wish};
use crate::state::{HostState, State};
use crate::tally;
use andon_model::line::{LineStanding, Round};
use andon_model::text::Text;
use andon_model::{LineId, OperatorId, Time};
use andon_rollout::lines::{LineTally, MemberStanding, MemberStratum};
use andon_rollout::{HaltReason, StateName};

/// What is due for a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// nothing: it is over, or its tickets are not all here
    Nothing,
    /// the tally that was sent before, the same bytes
    Again,
    /// a tally counted now
    Count,
}

/// What is due for this round. A round before the last one sent, or pooled already, is an old answer.
#[must_use]
pub fn due(followed: &Followed, round: &Round) -> Due {
    let last = followed.pending.as_ref().map_or(followed.pooled, |pending| pending.round);
    let complete = round.standing == LineStanding::Completed;
    let known = followed.generation() == round.generation;
    let old = round.round < last || round.round <= followed.pooled;
    if complete || !known || old {
        return Due::Nothing;
    }
    match &followed.pending {
        Some(sent) if (sent.round, sent.generation) == (round.round, round.generation) => {
            Due::Again
        }
        _ => Due::Count,
    }
}

/// Counts our hosts for a round.
#[must_use]
pub fn count(
    (line, operator): (&LineId, &OperatorId),
    followed: &Followed,
    round: &Round,
    standing: MemberStanding,
    (hosts, heard): (&[HostState], &[Heard]),
    now: Time,
) -> (LineTally, Counted) {
    let (seen, counted) = tally::observe(followed.arms(), hosts, heard, now);
    let mut ours = vec![false; seen.strata.len()];
    for place in followed.places.iter().flatten() {
        if let Some(ours) = ours.get_mut(usize::from(place.stratum)) {
            *ours = true;
        }
    }
    let strata = (0..).zip(seen.strata).zip(ours).filter(|(_, ours)| *ours);
    let strata = strata.map(|((stratum, tally), _)| MemberStratum { stratum, tally }).collect();
    let tally = LineTally {
        schema: 1,
        line: line.clone(),
        operator: operator.clone(),
        rollout: round.rollout.clone(),
        round: round.round,
        generation: round.generation,
        at: now,
        standing,
        strata,
    };
    (tally, counted)
}

/// What our own line does about the release; `why_not`: why it has not begun.
#[must_use]
pub fn standing(state: &State, line: &LineId, round: &Round, why_not: &str) -> MemberStanding {
    match permit::own(state, line, &round.rollout) {
        None => MemberStanding::Waiting { why: Text::clipped(why_not) },
        Some(own) => of_own(own),
    }
}

fn of_own(own: &RolloutState) -> MemberStanding {
    let wait = |why: &str| MemberStanding::Waiting { why: Text::clipped(why) };
    match (&own.wish, own.machine.state()) {
        (Wish::Stop(reason), _) => MemberStanding::Halted { why: Text::clipped(&words(reason)) },
        (Wish::Complete, _) => MemberStanding::Completed,
        (Wish::Serve, StateName::AwaitingApproval) => wait("approvals are missing"),
        (Wish::Serve, StateName::Held) => wait("it is on hold"),
        (Wish::Serve, _) => MemberStanding::Live,
    }
}

fn words(reason: &HaltReason) -> String {
    match reason {
        HaltReason::Gate { e, threshold, .. } => {
            format!("its own gate: evidence {e:.0} of {threshold:.0}")
        }
        HaltReason::Person { by, reason } => format!("{by}: {reason}"),
        HaltReason::Frozen { by, .. } => format!("frozen by {by}"),
    }
}
