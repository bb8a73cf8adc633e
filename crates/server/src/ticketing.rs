//! From an exposure to a ticket: the ceiling of a stratum is the position of its last covered host,
//! so 16 means 16. Pure; signing and serving are [`crate::driver`]'s.
use crate::late;
use crate::rollout_state::RolloutState;
use crate::state::HostState;
use andon_model::policy::Policy;
use andon_model::position::Position;
use andon_model::ticket::{Ceiling, Step, Ticket};
use andon_model::{Digest, Time};
use andon_rollout::Exposure;

/// Why an exposure makes no ticket. The rollout holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketingError {
    /// not one number per stratum of the plan
    #[error("exposure has {got} strata, the plan has {want}")]
    Strata {
        /// numbers there
        got: usize,
        /// strata of the plan
        want: usize,
    },
    /// more hosts than there are
    #[error("exposure covers {handed} hosts of a stratum of {size}")]
    Rank {
        /// hosts to cover
        handed: u32,
        /// hosts there
        size: usize,
    },
    /// the hosts here do not give the order that the plan committed to
    #[error("the hosts' order is not the one that the plan committed to")]
    Order,
}

/// The ticket of this exposure, issued or renewed at `now`.
/// # Errors
/// [`TicketingError`].
pub fn ticket(
    rollout: &RolloutState,
    exposure: &Exposure,
    hosts: &[HostState],
    policy: &Policy,
    now: Time,
) -> Result<Ticket, TicketingError> {
    let plan = &rollout.plan;
    let mut steps = exposure.steps.clone();
    for step in &mut steps {
        step.at = issued_at(rollout, step).unwrap_or(now);
    }
    let mut ceilings = ceilings(rollout, &exposure.handed)?;
    let soak = policy.lane(plan.lane).soak_min;
    let late = late::ceilings(rollout, hosts, &exposure.late, soak, now);
    for (ceiling, late) in ceilings.iter_mut().zip(late) {
        ceiling.late_max = late;
    }
    Ok(Ticket {
        seats: plan.inside.as_ref().map(|inside| inside.seats.clone()).unwrap_or_default(),
        schema: 1,
        line: plan.line.clone(),
        rollout: plan.rollout.clone(),
        release: plan.release,
        component: plan.component.clone(),
        version: plan.version,
        lane: plan.lane,
        generation: exposure.generation,
        seed: plan.seed,
        enrolled_max: plan.enrolled_max,
        newcomers: exposure.newcomers,
        planned: (!plan.terms.schedules.is_empty()).then_some(plan.created),
        scheduled: plan.terms.scheduled.clone(),
        excluded: plan.terms.excluded.clone(),
        told_apart: plan.terms.told_apart.clone(),
        order: plan.order.as_ref().map(|order| order.commitment),
        committed: None,
        ceilings,
        steps,
        watch: plan.watch,
        not_before: now,
        not_after: now.plus(policy.ticket_valid),
        evidence: Digest::of(&serde_json::to_vec(&exposure.evidence).unwrap_or_default()),
        policy_version: policy.version,
        approvals: rollout.approvals.clone(),
    })
}

/// When a step's ticket was issued, by the journal; `None`: it is being issued now.
fn issued_at(rollout: &RolloutState, step: &Step) -> Option<Time> {
    let mut waves = rollout.waves.iter();
    waves.find(|wave| wave.generation == step.generation).map(|wave| wave.at)
}

/// Cuts every stratum at exact rank.
/// # Errors
/// [`TicketingError`].
pub fn ceilings(rollout: &RolloutState, handed: &[u32]) -> Result<Vec<Ceiling>, TicketingError> {
    let plan = &rollout.plan;
    let (got, want) = (handed.len(), plan.strata.len());
    if got != want {
        return Err(TicketingError::Strata { got, want });
    }
    if plan.order.as_ref().map(|order| order.commitment) != rollout.recomputed {
        return Err(TicketingError::Order);
    }
    let strata = plan.strata.iter().zip(&rollout.order).zip(handed);
    strata
        .map(|((stratum, order), handed)| {
            let position_max = match handed.checked_sub(1) {
                None => None,
                Some(last) => {
                    let size = order.len();
                    let host = order
                        .get(last as usize)
                        .ok_or(TicketingError::Rank { handed: *handed, size })?;
                    Some(match plan.order {
                        Some(_) => Position(u64::from(last)),
                        // Whoever is in the order has a position.
                        None => plan.position(*host).ok_or(TicketingError::Order)?,
                    })
                }
            };
            let stratum = stratum.stratum.clone();
            Ok(Ceiling { stratum, position_max, handed: *handed, late_max: None })
        })
        .collect()
}
