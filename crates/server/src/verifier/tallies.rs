//! A vendor line's observation against the members' tallies that the journal names: each is judged as the
//! server had to judge it, and all are added up again. Pure: whoever follows the journal brings the files.
use super::Doubt;
use crate::pooled::intake::{self, Due, IntakeError};
use crate::pooled::kept::{self, TALLY_ENVELOPE_MAX, TallyRefusal};
use crate::pooled::members::Members;
use crate::pooled::{absent, round};
use crate::record::Record;
use crate::rollout_state::RolloutState;
use crate::state::State;
use andon_model::envelope::{Envelope, EnvelopeError};
use andon_model::policy::Policy;
use andon_model::text::Text;
use andon_model::{Digest, OperatorId, PublicKey, RolloutId, Time};
use andon_rollout::lines::LineTally;
use andon_rollout::{Event, Observation};
use std::collections::BTreeMap;

/// A tally that a record rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// of which rollout
    pub rollout: RolloutId,
    /// of which round
    pub due: Due,
    /// whose
    pub operator: OperatorId,
    /// digest of its envelope, by the journal
    pub digest: Digest,
}

impl Named {
    /// Where the server serves it.
    #[must_use]
    pub fn path(&self) -> String {
        let Due { round, generation } = self.due;
        format!("/v1/line/tallies/{}/{round}-{generation}/{}", self.rollout, self.operator)
    }
}

/// Why a tally is not one that the line could have counted.
#[derive(Debug, thiserror::Error)]
pub enum TallyDoubt {
    /// the record was taken without it
    #[error("it was not brought")]
    Missing,
    /// other bytes than those that were counted
    #[error("its digest is not the one in the journal")]
    Digest,
    /// unreadable
    #[error("read its envelope")]
    Envelope(#[from] EnvelopeError),
    /// not the member's
    #[error("verify it")]
    Refused(#[from] TallyRefusal),
    /// what its member says of something else
    #[error("it answers another round, or is of another rollout, line or operator")]
    Elsewhere,
    /// not the hosts that the plan's order puts there
    #[error("check its counts")]
    Counts(#[from] IntakeError),
}

/// The line was not told to hold for a member whose own line has halted.
const NOT_HEARD: &str = "a member's halt in them was not heard";

/// What was read of the round that is next in the journal.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// members' keys by every policy so far, and since when it was in force
    keys: Vec<(Time, BTreeMap<OperatorId, PublicKey>)>,
    /// for what rollouts were told to hold since the last round
    held: Vec<(RolloutId, Event)>,
    /// the observation for which the next record must name the tallies
    seen: Option<(RolloutId, Observation)>,
    brought: BTreeMap<OperatorId, (Digest, LineTally)>,
}

impl Rounds {
    /// Tallies that this record rests on.
    pub(super) fn rests_on(record: &Record) -> Vec<Named> {
        let Record::TalliesPooled { rollout, round, generation, tallies, .. } = record else {
            return Vec::new();
        };
        let due = Due { round: *round, generation: *generation };
        let named = tallies.iter().map(|(operator, digest)| Named {
            rollout: rollout.clone(),
            due,
            operator: operator.clone(),
            digest: *digest,
        });
        named.collect()
    }

    /// Whether the last record is an observation whose tallies are still to be named.
    pub(super) fn is_open(&self) -> bool {
        self.seen.is_some()
    }

    /// Takes a tally, if it is the one that was named and its member's word about exactly the hosts that
    /// it has in the plan.
    pub(super) fn bring(
        &mut self,
        state: &State,
        named: &Named,
        bytes: &[u8],
    ) -> Result<(), TallyDoubt> {
        if Digest::of(bytes) != named.digest {
            return Err(TallyDoubt::Digest);
        }
        let envelope = Envelope::parse_limited(bytes, TALLY_ENVELOPE_MAX)?;
        let tally = kept::unverified(&envelope)?;
        let (rollout, members) = of_members(state, &named.rollout).ok_or(TallyDoubt::Elsewhere)?;
        let due = Due { round: tally.round, generation: tally.generation };
        let told = (&tally.line, &tally.rollout, &tally.operator, due);
        if told != (&rollout.plan.line, &named.rollout, &named.operator, named.due) {
            return Err(TallyDoubt::Elsewhere);
        }
        let since = members.pooled_at.unwrap_or(rollout.plan.created);
        let mut refused = TallyRefusal::Stranger(named.operator.clone());
        let verified = self.keys_since(&named.operator, since).any(|key| {
            let verified = kept::verify(&envelope, &tally, &key);
            verified.map_err(|why| refused = why).is_ok()
        });
        if !verified {
            return Err(refused.into());
        }
        intake::counts(state, rollout, members, &tally)?;
        self.brought.insert(named.operator.clone(), (named.digest, tally));
        Ok(())
    }

    /// A member's keys by the policies that were in force at some time since then: its tally came
    /// between two rounds, and was verified when it came.
    fn keys_since(&self, operator: &OperatorId, since: Time) -> impl Iterator<Item = PublicKey> {
        let ends = self.keys.iter().skip(1).map(|(at, _)| Some(*at)).chain([None]);
        let in_force =
            self.keys.iter().zip(ends).filter(move |(_, end)| *end >= Some(since) || end.is_none());
        in_force.filter_map(|((_, keys), _)| keys.get(operator).copied())
    }

    /// Whether this record may follow the last one, and the tallies that it names add up to what was
    /// observed. `known`: it was checked before the memory was written.
    pub(super) fn check(
        &self,
        state: &State,
        (seq, record): (u64, &Record),
        known: bool,
    ) -> Result<(), Doubt> {
        let counts =
            |rollout: &RolloutId, what| Err(Doubt::Counts { rollout: rollout.clone(), seq, what });
        let Record::TalliesPooled { rollout: name, round, generation, tallies, halted } = record
        else {
            return match (&self.seen, record) {
                (Some((name, _)), _) => counts(name, "no tallies are named for them"),
                (None, Record::MemberHalted { rollout, operator, why, .. }) => {
                    let halted = [(operator.clone(), why.clone())];
                    let known = state.rollouts.get(rollout);
                    let heard = known.is_some_and(|known| self.heard(known, &halted));
                    if heard { Ok(()) } else { counts(rollout, NOT_HEARD) }
                }
                (None, _) => Ok(()),
            };
        };
        let seen = self.seen.as_ref().filter(|(seen, _)| seen == name).map(|(_, seen)| seen);
        let (Some(seen), Some((rollout, members))) = (seen, of_members(state, name)) else {
            return counts(name, "tallies are named for no observation");
        };
        if known {
            return Ok(());
        }
        let newest = rollout.waves.last().map_or(0, |wave| wave.generation);
        if (*round, *generation) != (members.pool.round(), newest) {
            return counts(name, "they are of another round than the one that is due");
        }
        if !members.awaited().eq(tallies.iter().map(|(operator, _)| operator)) {
            return counts(name, "they are not those of the members that are awaited");
        }
        for named in Rounds::rests_on(record) {
            let brought = self.brought.get(&named.operator);
            if brought.is_none_or(|(digest, _)| *digest != named.digest) {
                return Err(Doubt::Tally { named: Box::new(named), why: TallyDoubt::Missing });
            }
        }
        let told = |operator: &OperatorId| self.brought.get(operator).map(|(_, tally)| tally);
        let made = round::sum(state, rollout, members, told);
        let made = made.map_err(|why| Doubt::Pool { rollout: name.clone(), seq, why })?;
        if made != *seen {
            return counts(name, "they are not what the members' tallies add up to");
        }
        if round::newly_halted(members, told) != *halted || !self.heard(rollout, halted) {
            return counts(name, NOT_HEARD);
        }
        Ok(())
    }

    /// Whether the line was told to hold for each of these members' sake.
    fn heard(&self, rollout: &RolloutState, halted: &[(OperatorId, Text)]) -> bool {
        let plan = &rollout.plan;
        let mut events =
            halted.iter().flat_map(|(operator, why)| absent::halts(&plan.line, operator, why));
        events.all(|event| self.held.contains(&(plan.rollout.clone(), event)))
    }

    /// The record was taken.
    pub(super) fn note(&mut self, state: &State, at: Time, record: &Record) {
        self.seen = None;
        match record {
            Record::Rollout { rollout, event, .. } if of_members(state, rollout).is_some() => {
                match event {
                    Event::Observed(seen) => self.seen = Some((rollout.clone(), seen.clone())),
                    Event::ActionFailed { .. } => self.held.push((rollout.clone(), event.clone())),
                    _ => {}
                }
            }
            Record::TalliesPooled { .. } => {
                self.brought.clear();
                self.held.clear();
            }
            Record::PolicyAccepted { envelope } => {
                if let Ok(policy) = Policy::parse(&envelope.payload) {
                    let keys = policy.members.into_iter().map(|it| (it.operator, it.key));
                    self.keys.push((at, keys.collect()));
                }
            }
            _ => {}
        }
    }
}

fn of_members<'s>(
    state: &'s State,
    rollout: &RolloutId,
) -> Option<(&'s RolloutState, &'s Members)> {
    let rollout = state.rollouts.get(rollout)?;
    Some((rollout, rollout.members.as_deref()?))
}
