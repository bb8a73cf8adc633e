//! Why a host is where it is, as data: `andon why host` prints the same enum. Decides nothing.
use crate::app::Core;
use crate::late;
use crate::rollout_state::{Marks, RolloutState};
use crate::state::{HostState, column, host_at};
use andon_model::beat::{ComponentState, ComponentStatus, Presence};
use andon_model::class::HostClass;
use andon_model::facts::Facts;
use andon_model::position::Position;
use andon_model::ticket::Newcomers;
use andon_model::{ComponentId, Digest, HostId, Millis, RolloutId, StratumId, Time};
use andon_rollout::gate::Evidence;
use andon_rollout::watch;
use serde::{Deserialize, Serialize};

/// A host in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostLine {
    /// which
    pub host: HostId,
    /// the stratum it is compared in
    pub stratum: StratumId,
    /// whether it is heard
    pub presence: Heard,
    /// its components
    pub components: Vec<ComponentStatus>,
    /// charges stored
    pub charges: u32,
}

/// Whether a host is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// beats come
    Alive,
    /// away by its own word
    Away,
    /// no beat for longer than the policy's patience
    Silent,
}

/// Everything about one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostWhy {
    /// which
    pub host: HostId,
    /// what it is
    pub class: HostClass,
    /// what it runs, by its last word on that
    #[serde(default, skip_serializing_if = "Facts::is_unknown")]
    pub facts: Facts,
    /// the stratum it is compared in
    pub stratum: StratumId,
    /// whether it is heard
    pub presence: Heard,
    /// time since its last beat (or the server's restart)
    pub last_heard: Millis,
    /// its components
    pub components: Vec<ComponentStatus>,
    /// operator's probes that fail
    pub unwell: Vec<ComponentId>,
    /// distinct charges stored
    pub charges: u32,
    /// freezes in force on it
    pub freezes: Vec<Digest>,
    /// its place in every rollout that is not replaced
    pub rollouts: Vec<RolloutWhy>,
}

/// One host in one rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutWhy {
    /// which
    pub rollout: RolloutId,
    /// its component
    pub component: ComponentId,
    /// the host's place in the random order
    pub position: Position,
    /// its rank in its stratum, from 1; absent for newcomers
    pub rank: Option<u32>,
    /// why it has the release, or has it not
    pub reason: Reason,
    /// what the gate reads in this rollout, its strata and this host's among them
    pub evidence: Evidence,
    /// the next command to type
    pub next: Vec<String>,
}

/// Why a host has a release, or has it not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Reason {
    /// its turn has not come
    NotCoveredYet {
        /// hosts of its stratum covered so far
        handed: u32,
    },
    /// held back until everybody else has soaked
    Holdback,
    /// it enrolled after the plan: it waits in the late queue, or for the end
    NewcomerWaiting,
    /// covered, and it does not answer
    Silent,
    /// covered, the release is on its way
    Covered {
        /// since the ticket of this generation
        generation: u32,
    },
    /// runs it on probation
    Probation,
    /// runs it well
    Confirmed,
    /// the release is only observed here
    Observed,
    /// went back by itself
    FellBack,
    /// both slots bad: the component is off
    SafeMode,
    /// a directive switched the component off
    Parked,
    /// the release is frozen
    Frozen {
        /// by whom
        by: String,
    },
    /// the rollout is over
    Halted,
}

/// One host with its place in every rollout that still matters.
#[must_use]
pub fn host(core: &Core, id: HostId, now: Time) -> Option<HostWhy> {
    let state = core.state.host(id)?;
    let last = core.fleet.row(id).map_or(Time(0), |row| row.at);
    let rollouts = core.state.rollouts.values().filter(|r| !core.state.replaced(r));
    Some(HostWhy {
        host: id,
        class: state.class.clone(),
        facts: state.facts.clone(),
        stratum: state.stratum.clone(),
        presence: heard(core, id, now),
        last_heard: now.since(last),
        components: state.components.clone(),
        unwell: state.unwell.clone(),
        charges: state.charges,
        freezes: state.freezes.clone(),
        rollouts: rollouts.map(|rollout| in_rollout(core, rollout, id, state, now)).collect(),
    })
}

/// A page of hosts.
#[must_use]
pub fn hosts(core: &Core, after: Option<HostId>, limit: usize, now: Time) -> Vec<HostLine> {
    let from = after.map_or(0, |after| column(after) + 1);
    let page = core.state.hosts.iter().enumerate().skip(from).take(limit);
    page.filter_map(|(at, state)| {
        let host = host_at(at)?;
        Some(HostLine {
            host,
            stratum: state.stratum.clone(),
            presence: heard(core, host, now),
            components: state.components.clone(),
            charges: state.charges,
        })
    })
    .collect()
}

/// How many hosts are silent.
#[must_use]
pub fn silent_hosts(core: &Core, now: Time) -> usize {
    let ids = (0..core.state.hosts.len()).filter_map(host_at);
    ids.filter(|id| heard(core, *id, now) == Heard::Silent).count()
}

fn heard(core: &Core, id: HostId, now: Time) -> Heard {
    let (Some(row), Some(policy)) = (core.fleet.row(id), &core.state.policy) else {
        return Heard::Silent;
    };
    if watch::silent(&policy.policy.watch, row.at, row.presence, now) {
        return Heard::Silent;
    }
    match row.presence {
        Presence::Alive => Heard::Alive,
        Presence::Goodbye { .. } | Presence::Restart { .. } => Heard::Away,
    }
}

fn in_rollout(
    core: &Core,
    rollout: &RolloutState,
    id: HostId,
    state: &HostState,
    now: Time,
) -> RolloutWhy {
    let plan = &rollout.plan;
    let place = rollout.places.get(column(id)).copied().flatten();
    RolloutWhy {
        rollout: plan.rollout.clone(),
        component: plan.component.clone(),
        position: match (&plan.order, place) {
            (None, _) => plan.position(id).unwrap_or(Position::MAX),
            (Some(_), Some(place)) => Position(u64::from(place.rank)),
            (Some(_), None) => Position::MAX,
        },
        rank: place.map(|place| place.rank + 1),
        reason: reason(core, rollout, id, state, now),
        evidence: rollout.machine.explain(now).evidence,
        next: vec![format!("andon why rollout {}", plan.rollout)],
    }
}

fn reason(core: &Core, rollout: &RolloutState, id: HostId, state: &HostState, now: Time) -> Reason {
    let plan = &rollout.plan;
    let status = state.components.iter().find(|status| status.component == plan.component);
    let marks = rollout.marks.get(column(id)).copied().unwrap_or_default();
    if marks.has(Marks::FELL_BACK) {
        let safe = status.is_some_and(|status| status.state == ComponentState::SafeMode);
        return if safe { Reason::SafeMode } else { Reason::FellBack };
    }
    if let Some(status) = status.filter(|status| status.release == Some(plan.release)) {
        match status.state {
            ComponentState::Confirmed => return Reason::Confirmed,
            ComponentState::Observed => return Reason::Observed,
            ComponentState::Probation => return Reason::Probation,
            ComponentState::Parked => return Reason::Parked,
            ComponentState::Empty | ComponentState::FellBack | ComponentState::SafeMode => {}
        }
    }
    if let Some(stopped) = core.state.frozen(&rollout.vendor, &plan.release, now) {
        return Reason::Frozen { by: stopped.by.to_string() };
    }
    if rollout.halted() {
        return Reason::Halted;
    }
    match covered(core, rollout, id) {
        Ok(_) if heard(core, id, now) == Heard::Silent => Reason::Silent,
        Ok(generation) => Reason::Covered { generation },
        Err(reason) => reason,
    }
}

/// The generation that covers a host, or why none does.
fn covered(core: &Core, rollout: &RolloutState, id: HostId) -> Result<u32, Reason> {
    let Some(place) = rollout.places.get(column(id)).copied().flatten() else {
        let included = |issued: &andon_rollout::Exposure| {
            issued.newcomers == Newcomers::Included || late::covers(rollout, &core.state.hosts, id)
        };
        let issued = rollout.issued.as_ref().filter(|issued| included(issued));
        return issued.map(|issued| issued.generation).ok_or(Reason::NewcomerWaiting);
    };
    let stratum = usize::from(place.stratum);
    let mut waves = rollout.waves.iter();
    let first = waves.find(|w| w.handed.get(stratum).is_some_and(|h| place.rank < *h));
    if let Some(wave) = first {
        return Ok(wave.generation);
    }
    let held_back = rollout
        .plan
        .strata
        .get(stratum)
        .is_some_and(|plan| place.rank >= plan.size.saturating_sub(plan.holdback));
    let handed = rollout.handed().get(stratum).copied().unwrap_or(0);
    Err(if held_back { Reason::Holdback } else { Reason::NotCoveredYet { handed } })
}
