//! The explicit order of a rollout whose policy has budgets of groups: the hosts of the line as the
//! planner reads them, and the shards that hosts fetch. Pure; serving is [`crate::driver`]'s.
use crate::state::{HostState, column};
use andon_model::GroupId;
use andon_model::budget::GroupBudget;
use andon_model::order::{self, Commitment, Shard};
use andon_rollout::Plan;
use andon_rollout::groups::{self, LineOrder, OrderError, Seat};

/// The order of this plan's hosts under these budgets, audited; `None`: no host is in a group that has
/// one. The same plan and hosts always give the same order.
/// # Errors
/// [`OrderError`].
pub fn of(
    plan: &Plan,
    budgets: &[GroupBudget],
    hosts: &[HostState],
) -> Result<Option<LineOrder>, OrderError> {
    if budgets.is_empty() {
        return Ok(None);
    }
    let known = plan.enrolled_max.map_or(0, |last| column(last) + 1).min(hosts.len());
    let seat = |host: &HostState| {
        let stratum = host.stratum_in(&plan.terms);
        let at = stratum.and_then(|s| plan.strata.binary_search_by(|p| p.stratum.cmp(&s)).ok());
        at.and_then(|at| u16::try_from(at).ok())
    };
    let strata: Vec<Option<u16>> = hosts[..known].iter().map(seat).collect();
    let groups = hosts[..known].iter().map(|host| host.class.groups.as_slice());
    let seats = strata.into_iter().zip(groups);
    let seats: Vec<Seat<'_>> =
        seats.map(|(stratum, groups): (_, &[GroupId])| Seat { stratum, groups }).collect();
    groups::line_order(plan, budgets, &seats)
}

/// The shards of these places, if they are the ones that `signed` commits to.
#[must_use]
pub fn shards(
    plan: &Plan,
    places: &[Option<order::Place>],
    signed: &Commitment,
) -> Option<Vec<Shard>> {
    let (found, shards) = order::commit(&groups::strata(plan), places).ok()?;
    (found == *signed).then_some(shards)
}
