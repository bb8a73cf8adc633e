//! What a plan of a vendor line is made of: the seats of the members in force, stratum by stratum. What
//! only hosts could keep (groups' budgets, rings, windows) is refused here and not half kept.
use crate::pooled::seats::Seats;
use andon_model::eligible::Rules;
use andon_model::policy::{Lane, Policy};
use andon_model::{GroupId, Millis, StratumId};
use andon_rollout::Terms;
use std::collections::BTreeMap;

/// Whether a server under this policy has members instead of hosts.
#[must_use]
pub fn pools(policy: &Policy) -> bool {
    !policy.members.is_empty()
}

/// Why a vendor line makes no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// seats name no groups
    #[error("budgets of groups cannot be kept on a vendor line: its seats name no groups")]
    Budgets,
    /// as above
    #[error("rules of groups cannot be kept on a vendor line: its seats name no groups")]
    Groups,
    /// each member's own line keeps its hosts' windows, and delays
    #[error(
        "maintenance windows and delays cannot be kept on a vendor line: members keep their own"
    )]
    Windows,
}

/// Hosts per stratum, and the terms of the plan. `rules`: the policy's for the release's kind;
/// `excluded`: the groups that they say no to.
/// # Errors
/// [`StartError`].
pub fn strata(
    policy: &Policy,
    rules: &Rules,
    seats: &Seats,
    excluded: &[GroupId],
    lane: Lane,
) -> Result<(BTreeMap<StratumId, u32>, Terms), StartError> {
    if !policy.budgets.is_empty() {
        return Err(StartError::Budgets);
    }
    if !excluded.is_empty() || !rules.scheduled(lane).is_empty() {
        return Err(StartError::Groups);
    }
    let waits = !rules.windows.is_empty() || rules.delay > Millis::ZERO;
    if lane == Lane::Routine && waits {
        return Err(StartError::Windows);
    }
    let mut sizes = vec![0_u32; seats.strata().len()];
    for member in &policy.members {
        for seat in seats.of(&member.operator, seats.last()) {
            if let Some(size) = seats.stratum(seat).and_then(|at| sizes.get_mut(usize::from(at))) {
                *size += 1;
            }
        }
    }
    let named = seats.strata().iter().cloned().zip(sizes).filter(|(_, size)| *size > 0);
    Ok((named.collect(), Terms::default()))
}
