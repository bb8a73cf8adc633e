//! One ticket against the journal: recomputed, compared, and in time by this machine's clock.
use super::Verifier;
use super::record::AskedTicket;
use crate::driver::wants_ticket;
use crate::ticketing::{self, TicketingError};
use andon_model::ceilings::CeilingsError;
use andon_model::limits::MESSAGE_SKEW_MAX;
use andon_model::ticket::Ticket;
use andon_model::{Millis, RolloutId, Time};
use andon_trust::ticket::{TicketRefusal, verify_before_cosigning};

/// Why a ticket is not cosigned.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// the journal has not been read so far
    #[error("ticket was made after journal record {want}, read so far: {have}")]
    Behind {
        /// record that it was made after
        want: u64,
        /// last record read
        have: u64,
    },
    /// no policy is in force
    #[error("no policy is in force")]
    Policy,
    /// hosts would not obey it either
    #[error("check ticket")]
    Ticket(#[from] TicketRefusal),
    /// of another rollout than it is asked for
    #[error("ticket is for another rollout than {0}")]
    Rollout(RolloutId),
    /// made long ago
    #[error("ticket was made {} s ago", .0.0 / 1000)]
    Stale(Millis),
    /// nothing of the kind is called for
    #[error("the journal calls for no ticket of this rollout")]
    NotWanted,
    /// it cannot be made from the journal
    #[error("recompute ticket")]
    Recompute(#[from] TicketingError),
    /// its ceilings cannot be committed to
    #[error("commit to ceilings")]
    Ceilings(#[from] CeilingsError),
    /// another ticket than the journal calls for
    #[error("ticket's {0} is not what the journal calls for")]
    Differs(&'static str),
    /// the ticket before it was seen too lately
    #[error("the last wave was seen less than the policy's soak ago: {} ms are left", .0.0)]
    TooSoon(Millis),
}

impl Verifier {
    /// The ticket, if the journal calls for exactly this one.
    /// # Errors
    /// [`Refused`].
    pub fn judge(&self, asked: &AskedTicket, now: Time) -> Result<Ticket, Refused> {
        let state = &self.core.state;
        if state.seq < asked.seq {
            return Err(Refused::Behind { want: asked.seq, have: state.seq });
        }
        if self.rounds.is_open() {
            // An observation whose tallies are still to come: nothing rests on it yet.
            return Err(Refused::Behind { want: state.seq + 1, have: state.seq });
        }
        let policy = &self.core.policy(now).ok_or(Refused::Policy)?.policy;
        let ticket = verify_before_cosigning(&asked.envelope, policy, now, None)?;
        if ticket.rollout != asked.rollout {
            return Err(Refused::Rollout(asked.rollout.clone()));
        }
        let age = now.since(ticket.not_before);
        if age > MESSAGE_SKEW_MAX {
            return Err(Refused::Stale(age));
        }
        let rollout = state.rollouts.get(&ticket.rollout).ok_or(Refused::NotWanted)?;
        let exposure = rollout.exposure.as_ref().filter(|_| wants_ticket(state, rollout, now));
        let exposure = exposure.ok_or(Refused::NotWanted)?;
        // All ceilings are made here, so that the root over them is checked like any other field.
        let made = ticketing::ticket(rollout, exposure, &state.hosts, policy, ticket.not_before)?;
        let (made, _) = made.sealed()?;
        if let Some(what) = difference(&made, &ticket) {
            return Err(Refused::Differs(what));
        }
        let widens = rollout.waves.last().filter(|last| last.generation < ticket.generation);
        if let Some(last) = widens {
            let seen = self.memory.issued.get(&ticket.rollout);
            let seen = seen.and_then(|seen| seen.get(&last.generation)).copied().unwrap_or(now);
            let soaked = now.since(seen);
            let soak = policy.lane(ticket.lane).soak_min;
            if soaked < soak {
                return Err(Refused::TooSoon(Millis(soak.0 - soaked.0)));
            }
        }
        Ok(ticket)
    }
}

/// The first field in which two tickets differ, for people; every field counts.
fn difference(made: &Ticket, asked: &Ticket) -> Option<&'static str> {
    if made == asked {
        return None;
    }
    let fields = [
        ("ceilings", (&made.ceilings, made.committed) != (&asked.ceilings, asked.committed)),
        ("steps", made.steps != asked.steps),
        ("newcomers", made.newcomers != asked.newcomers),
        ("seed", made.seed != asked.seed),
        ("release", made.release != asked.release),
        ("evidence", made.evidence != asked.evidence),
        ("policy version", made.policy_version != asked.policy_version),
        ("time", made.not_after != asked.not_after),
    ];
    let first = fields.into_iter().find(|(_, differs)| *differs);
    Some(first.map_or("text", |(name, _)| name))
}
