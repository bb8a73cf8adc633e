//! The late queue's hosts: who enrolled after a rollout's plan, in the order of enrolment, and which of
//! them the counts of an exposure cover. How many may go is the core's to say ([`andon_rollout::late`]).
use crate::rollout_state::{Marks, RolloutState};
use crate::state::{HostState, column, host_at};
use andon_model::ticket::soaked;
use andon_model::{HostId, Millis, Time};
use andon_rollout::LateTally;

/// The late hosts of a rollout with their strata's places in its plan, first enrolled first. Not those
/// that its rules leave out or whose stratum it does not know, and none beside an explicit order or where
/// a host's stratum may change with what it runs: they wait until newcomers are included.
fn queue<'a>(
    rollout: &'a RolloutState,
    hosts: &'a [HostState],
) -> impl Iterator<Item = (usize, HostId, &'a HostState)> {
    let plan = &rollout.plan;
    let lasting = plan.order.is_none() && plan.terms.told_apart.is_empty();
    let queued = lasting && plan.enrolled_max.is_some();
    let from = if queued { rollout.places.len() } else { hosts.len() };
    hosts.iter().enumerate().skip(from).filter_map(|(at, host)| {
        let stratum = host.stratum_in(&plan.terms)?;
        if plan.terms.canary_only.contains(&stratum) {
            return None;
        }
        let stratum = plan.strata.binary_search_by(|s| s.stratum.cmp(&stratum)).ok()?;
        Some((stratum, host_at(at)?, host))
    })
}

/// The last host that a late ceiling may name so that hosts accept it.
fn reach(rollout: &RolloutState, soak: Millis, now: Time) -> u64 {
    let handed = |handed: &[u32]| handed.iter().map(|hosts| u64::from(*hosts)).sum();
    let steps = rollout.waves.iter().map(|wave| (wave.at, handed(&wave.handed)));
    let known = rollout.plan.enrolled_max.map_or(0, HostId::number);
    known.saturating_add(soaked(steps, soak, now))
}

/// Per stratum, the last of its first so many late hosts: what the ticket says.
#[must_use]
pub fn ceilings(
    rollout: &RolloutState,
    hosts: &[HostState],
    covered: &[u32],
    soak: Millis,
    now: Time,
) -> Vec<Option<HostId>> {
    let mut left: Vec<u32> = covered.to_vec();
    left.resize(rollout.plan.strata.len(), 0);
    let mut last = vec![None; left.len()];
    if left.iter().all(|hosts| *hosts == 0) {
        return last;
    }
    let reach = reach(rollout, soak, now);
    for (stratum, id, _) in queue(rollout, hosts).take_while(|(_, id, _)| id.number() <= reach) {
        if let Some(more) = left[stratum].checked_sub(1) {
            (left[stratum], last[stratum]) = (more, Some(id));
        }
    }
    last
}

/// Whether the ticket issued last covers a late host.
#[must_use]
pub fn covers(rollout: &RolloutState, hosts: &[HostState], late: HostId) -> bool {
    let issued = rollout.issued.as_ref().map_or(&[][..], |issued| &issued.late);
    let mut left = issued.to_vec();
    for (stratum, id, _) in queue(rollout, hosts) {
        let goes = left.get_mut(stratum).is_some_and(|left| {
            let goes = *left > 0;
            *left = left.saturating_sub(1);
            goes
        });
        if id >= late {
            return id == late && goes;
        }
    }
    false
}

/// One tick's late tallies. `judge` looks at a covered late host that has confirmed and says whether
/// something bad befell it, now or before; before it has confirmed, it counts as not through anyway.
pub fn observe(
    rollout: &RolloutState,
    hosts: &[HostState],
    now: Time,
    mut judge: impl FnMut(usize, HostId, Marks) -> bool,
) -> Vec<LateTally> {
    let plan = &rollout.plan;
    let reach = reach(rollout, plan.soak_min, now);
    let mut left = rollout.issued.as_ref().map_or(Vec::new(), |issued| issued.late.clone());
    left.resize(plan.strata.len(), 0);
    let mut tallies = vec![LateTally::default(); plan.strata.len()];
    for (stratum, id, _) in queue(rollout, hosts) {
        let tally = &mut tallies[stratum];
        if id.number() > reach && left[stratum] == 0 {
            continue;
        }
        tally.hosts += 1;
        if tally.clean.is_empty() {
            tally.clean.resize(plan.budget.len(), 0);
        }
        let Some(more) = left[stratum].checked_sub(1) else { continue };
        left[stratum] = more;
        let at = column(id);
        let marks = rollout.marks.get(at).copied().unwrap_or_default();
        if !marks.has(Marks::CONFIRMED) || judge(at, id, marks) || marks.has(Marks::FELL_BACK) {
            continue;
        }
        let confirmed = rollout.confirmed_at.get(at).copied().unwrap_or(now);
        for (clean, (after, _)) in tally.clean.iter_mut().zip(&plan.budget) {
            *clean += u32::from(now >= confirmed.plus(plan.watch.silent_after).plus(*after));
        }
    }
    tallies
}
