//! The plan: everything a rollout is bound to, fixed before its first event. Not its progress.
use andon_model::policy::{Lane, Policy, Timing, Watch};
use andon_model::release::Version;
use andon_model::{ComponentId, Digest, HostId, LineId, Millis, RolloutId, StratumId, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanRequest {
    /// name of the rollout
    pub rollout: RolloutId,
    /// digest of the release's manifest
    pub release: Digest,
    /// its component
    pub component: ComponentId,
    /// its version
    pub version: Version,
    /// speed class
    pub lane: Lane,
    /// seed of the random order, drawn by the caller before the release's hosts are known
    pub seed: Digest,
    /// the last host enrolled; `None` on an empty line
    pub enrolled_max: Option<HostId>,
    /// hosts per stratum, of those up to `enrolled_max`
    pub strata: BTreeMap<StratumId, u32>,
    /// tickets of this rollout begin above this generation; 0 unless a plan replaces another
    pub generation_base: u32,
    /// the rollout that this one follows (a fix after a halt)
    pub parent: Option<RolloutId>,
    /// when
    pub created: Time,
}

/// An immutable plan, stored with the journal that it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// name of the rollout
    pub rollout: RolloutId,
    /// whose budget
    pub line: LineId,
    /// digest of the release's manifest
    pub release: Digest,
    /// its component
    pub component: ComponentId,
    /// its version
    pub version: Version,
    /// speed class
    pub lane: Lane,
    /// seed of the random order
    pub seed: Digest,
    /// the last host that the plan knows
    pub enrolled_max: Option<HostId>,
    /// sorted by stratum
    pub strata: Vec<StratumPlan>,
    /// B(D): (D, hosts), sorted by D
    pub budget: Vec<(Millis, u64)>,
    /// most hosts in the first wave
    pub first_wave_max: u32,
    /// a ticket covers at most this multiple of the one before it, in thousandths
    pub growth_max_permille: u64,
    /// least time between two tickets
    pub soak_min: Millis,
    /// distinct people who must approve first
    pub approvals_min: u32,
    /// false-alarm bound α, in millionths
    pub alpha_ppm: u32,
    /// budget-overrun bound δ, in millionths
    pub delta_ppm: u32,
    /// time constants
    pub timing: Timing,
    /// how every host is observed, treated or not
    pub watch: Watch,
    /// version of the policy it was made under
    pub policy_version: u64,
    /// its generations count up from here
    pub generation_base: u32,
    /// the rollout it follows
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RolloutId>,
    /// when it was made
    pub created: Time,
}

/// One stratum of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StratumPlan {
    /// which
    pub stratum: StratumId,
    /// its hosts
    pub size: u32,
    /// of them, handed nothing before the last soak of the rest has ended
    pub holdback: u32,
}

/// What a person should know before the start: above all what the gate can not see here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanReport {
    /// hosts of the plan
    pub hosts: u64,
    /// hosts held back
    pub holdback: u64,
    /// hosts of the first wave
    pub first_wave: u32,
    /// so many of the first wave must go bad in one channel for a halt; `None`: it cannot halt
    pub crashes_to_halt: Option<u32>,
    /// what is weak on this fleet
    pub findings: Vec<Finding>,
}

/// Something the gate cannot do on this fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// the line has no hosts: the release becomes its baseline without any evidence
    Baseline,
    /// too few hosts for controls of its own: a fault of this stratum alone shows only through others
    StratumBlind {
        /// which
        stratum: StratumId,
        /// its hosts
        size: u32,
    },
    /// the budget allows for all hosts: it bounds nothing
    BudgetCoversAll {
        /// D, milliseconds
        after_ms: u64,
        /// B(D)
        hosts: u64,
    },
    /// even a first wave that goes bad whole would not halt it
    FirstWaveCannotHalt,
    /// faults that hide for longer than this are outside the promise
    HorizonEnds {
        /// the longest D, milliseconds
        after_ms: u64,
    },
}

impl Plan {
    /// Binds a request to the policy.
    #[must_use]
    pub fn new(policy: &Policy, request: PlanRequest) -> (Plan, PlanReport) {
        let lane = policy.lane(request.lane);
        let strata: Vec<StratumPlan> = request
            .strata
            .into_iter()
            .filter(|(_, size)| *size > 0)
            .map(|(stratum, size)| StratumPlan { stratum, size, holdback: holdback(policy, size) })
            .collect();
        let hosts: u64 = strata.iter().map(|s| u64::from(s.size)).sum();
        let plan = Plan {
            rollout: request.rollout,
            line: policy.line.clone(),
            release: request.release,
            component: request.component,
            version: request.version,
            lane: request.lane,
            seed: request.seed,
            enrolled_max: request.enrolled_max,
            strata,
            budget: lane.budget.iter().map(|h| (h.after, h.budget(hosts))).collect(),
            first_wave_max: lane.first_wave_max,
            growth_max_permille: lane.growth_max_permille,
            soak_min: lane.soak_min,
            approvals_min: lane.approvals_min,
            alpha_ppm: policy.alpha_ppm,
            delta_ppm: policy.delta_ppm,
            timing: policy.timing,
            watch: policy.watch,
            policy_version: policy.version,
            generation_base: request.generation_base,
            parent: request.parent,
            created: request.created,
        };
        let report = plan.report();
        (plan, report)
    }

    /// Hosts of the plan.
    #[must_use]
    pub fn hosts(&self) -> u64 {
        self.strata.iter().map(|s| u64::from(s.size)).sum()
    }

    /// From hand-out to the moment when a fault with D = 0 has shown, in silence if not in words.
    #[must_use]
    pub fn generation(&self) -> Millis {
        self.timing.delivery.plus(self.timing.window).plus(self.watch.silent_after)
    }

    fn report(&self) -> PlanReport {
        PlanReport {
            hosts: self.hosts(),
            holdback: self.strata.iter().map(|s| u64::from(s.holdback)).sum(),
            first_wave: 0,
            crashes_to_halt: None,
            findings: Vec::new(),
        }
    }
}

/// Hosts to hold back in a stratum of `size`: the policy's share, at least its minimum, at most half.
fn holdback(policy: &Policy, size: u32) -> u32 {
    let share = u64::from(size).saturating_mul(u64::from(policy.holdback_permille)).div_ceil(1000);
    let wanted = u32::try_from(share).unwrap_or(u32::MAX).max(policy.holdback_min);
    wanted.min(size / 2)
}
