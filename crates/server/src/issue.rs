//! What is next for one rollout's ticket: nothing, ask the gate verifiers, issue, or fail. A decision
//! as a value; [`crate::driver`] carries it out.
use crate::app::Core;
use crate::cosign::{self, MADE_AGAIN_AFTER};
use crate::rollout_state::RolloutState;
use crate::ticketing::{self, TicketingError};
use andon_model::envelope::Envelope;
use andon_model::policy::Policy;
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::{PublicKey, RolloutId, Time};
use andon_rollout::StateName;

/// What makes a ticket the wanted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// its generation
    pub generation: u32,
    /// whether newcomers are covered
    pub newcomers: Newcomers,
    /// late hosts covered, per stratum
    pub late: Vec<u32>,
    /// version of the policy it is issued under
    pub policy_version: u64,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// sign it, record it if it is new, serve it
    Issue {
        /// the ticket
        ticket: Box<Ticket>,
        /// as signed and cosigned, where the policy asks for that
        cosigned: Option<Envelope>,
        /// what it is made for
        wanted: Wanted,
        /// whether the core has not been told of it
        fresh: bool,
    },
    /// sign it and put it before the gate verifiers
    Ask {
        /// the ticket
        ticket: Box<Ticket>,
        /// what it is made for
        wanted: Wanted,
        /// number of the last record that it was made from
        seq: u64,
    },
    /// tell the core that it cannot be made
    Fail {
        /// which
        generation: u32,
        /// why
        what: String,
    },
}

/// See the module's documentation. `served`: what is served now and when that is to be renewed;
/// `online`: the key that this server holds.
#[must_use]
pub fn next(
    core: &Core,
    (name, rollout): (&RolloutId, &RolloutState),
    policy: &Policy,
    (served, online): (Option<(&Wanted, Time)>, &PublicKey),
    now: Time,
) -> Option<Next> {
    let exposure = rollout.exposure.as_ref()?;
    let wanted = Wanted {
        generation: exposure.generation,
        newcomers: exposure.newcomers,
        late: exposure.late.clone(),
        policy_version: policy.version,
    };
    if served.is_some_and(|(served, renew_at)| *served == wanted && now < renew_at) {
        return None;
    }
    let fresh = rollout.issue_due();
    let generation = wanted.generation;
    if fresh && policy.online != *online {
        let what = "the policy names another online key than this server holds".to_owned();
        return Some(Next::Fail { generation, what });
    }
    let asks = policy.verifiers.needed > 0;
    if asks && let Some(waiting) = core.desk.get(name).filter(|asked| asked.wanted == wanted) {
        if cosign::complete(&waiting.envelope, policy) {
            let (ticket, cosigned) = (Box::new(waiting.ticket.clone()), waiting.envelope.clone());
            return Some(Next::Issue { ticket, cosigned: Some(cosigned), wanted, fresh });
        }
        if now < waiting.ticket.not_before.plus(MADE_AGAIN_AFTER) {
            return None;
        }
    }
    match ticketing::ticket(rollout, exposure, &core.state.hosts, policy, now) {
        Ok(ticket) if asks => {
            Some(Next::Ask { ticket: Box::new(ticket), wanted, seq: core.state.seq })
        }
        Ok(ticket) => Some(Next::Issue { ticket: Box::new(ticket), cosigned: None, wanted, fresh }),
        // Only a fresh exposure is told to fail; a renewal cannot, it was a ticket before.
        // But for an order that is not the plan's own after a restart: nobody may go by it.
        Err(why) if fresh || (why == TicketingError::Order && exposing(rollout)) => {
            Some(Next::Fail { generation, what: why.to_string() })
        }
        Err(_) => None,
    }
}

fn exposing(rollout: &RolloutState) -> bool {
    rollout.machine.state() == StateName::Exposing
}
