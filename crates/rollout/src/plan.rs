//! The plan: everything a rollout is bound to, fixed before its first event. Not its progress.
use crate::report::PlanReport;
use andon_model::budget::GroupBudget;
use andon_model::eligible::Schedule;
use andon_model::facts::FactKind;
use andon_model::limits::{HORIZONS_MAX, HOSTS_MAX, STRATA_MAX};
use andon_model::line::{Pace, SeatBlock, blocks_are_sane, seat};
use andon_model::order::Commitment;
use andon_model::policy::{Lane, Policy, Timing, Watch};
use andon_model::position::Position;
use andon_model::release::Version;
use andon_model::{
    ComponentId, Digest, GroupId, HostId, LineId, Millis, RolloutId, StratumId, Time,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Least controls of a stratum while it has them: below, its own bound would be blind.
const SAMPLE_MIN: u32 = 20_000;

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
    /// hosts per stratum, of those up to `enrolled_max` that the rules do not leave out
    pub strata: BTreeMap<StratumId, u32>,
    /// what the policy's rules make of this release
    pub terms: Terms,
    /// tickets of this rollout begin above this generation; 0 unless a plan replaces another
    pub generation_base: u32,
    /// the rollout that this one follows (a fix after a halt)
    pub parent: Option<RolloutId>,
    /// when
    pub created: Time,
}

/// What the operator's rules on who may take what when make of one release, as the plan was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// groups whose hosts are strata of their own, sorted
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scheduled: Vec<GroupId>,
    /// groups that are left out, sorted: a hold, a pin, one behind
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<GroupId>,
    /// strata that may not change at any time, and when they may
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: BTreeMap<StratumId, Schedule>,
    /// by what of that which hosts run the strata are cut, sorted: the policy's demands look at it
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told_apart: Vec<FactKind>,
    /// strata that are left out, sorted: no rig has shown that the release runs on their class
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unattested: Vec<StratumId>,
    /// strata whose hosts obey canary waves only, sorted: handed in the first wave, and not again
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canary_only: Vec<StratumId>,
}

impl Terms {
    /// Whether the rules say nothing here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Terms::default()
    }
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
    /// what the policy's rules made of the release
    #[serde(default, skip_serializing_if = "Terms::is_empty")]
    pub terms: Terms,
    /// the explicit order that keeps the groups' budgets; `None`: a host's position is its hash
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<GroupOrder>,
    /// the vendor line that this rollout goes inside; `None`: the line is alone
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<Inside>,
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
    /// hosts expected to fall silent for reasons of their own, millionths per hour
    #[serde(default = "andon_model::policy::background_ppm_per_h")]
    pub background_ppm_per_h: u32,
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

/// What a plan binds when budgets of groups have a say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupOrder {
    /// to every host's place; tickets carry it
    pub commitment: Commitment,
    /// the budgets it keeps, by name of the group
    pub budgets: Vec<GroupBudget>,
    /// for so many generations a member counts as un-vouched
    pub unvouched_generations: u32,
    /// per generation, hosts of each stratum handed by its end
    pub generations: Vec<Vec<u32>>,
}

/// The rollout of a vendor line that an operator's plan goes inside: it hands out only what that
/// line covers ([`crate::Event::Permitted`]), in the order of the hosts' seats there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inside {
    /// the vendor line
    pub line: LineId,
    /// its rollout
    pub rollout: RolloutId,
    /// digest of its plan's payload
    pub plan: Digest,
    /// whether this line waits for its own evidence too
    pub pace: Pace,
    /// the hosts' seats there, sorted by host
    pub seats: Vec<SeatBlock>,
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
    /// hosts at the end of the order that stand for the rest as controls while they are not handed
    #[serde(default = "everybody")]
    pub sample: u32,
    /// of these, every so-manyth rank is the gauge; the others are compared
    #[serde(default = "two")]
    pub gauge_every: u32,
}

/// Plans from before samples watched everybody.
const fn everybody() -> u32 {
    u32::MAX
}

const fn two() -> u32 {
    2
}

/// From so many controls on, an eighth of them is gauge enough; half of them below.
const GAUGE_EIGHTH_FROM: u32 = 16_000;

impl StratumPlan {
    fn new(stratum: StratumId, size: u32, holdback: u32) -> StratumPlan {
        StratumPlan { stratum, size, holdback, sample: size, gauge_every: 2 }.with_sample(size)
    }
    fn with_sample(mut self, sample: u32) -> StratumPlan {
        self.sample = sample;
        self.gauge_every = if sample >= GAUGE_EIGHTH_FROM { 8 } else { 2 };
        self
    }
    /// Whether the control of this rank belongs to the gauge.
    #[must_use]
    pub fn gauges(&self, rank: u32) -> bool {
        rank % self.gauge_every.max(2) == self.gauge_every.max(2) - 1
    }
    /// The rank (from 0) from which on hosts stand as controls once `handed` are covered.
    #[must_use]
    pub fn sampled_from(&self, handed: u32) -> u32 {
        self.size.saturating_sub(self.sample).max(handed)
    }
    /// Sampled controls once `handed` hosts are covered: those compared, and the gauge.
    #[must_use]
    pub fn sample(&self, handed: u32) -> (u32, u32) {
        let from = self.sampled_from(handed).min(self.size);
        let every = self.gauge_every.max(2);
        let gauge = self.size / every - from / every;
        (self.size - from - gauge, gauge)
    }
}

/// Why a plan makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// a field outside its range
    #[error("plan field {0} {1}")]
    Field(&'static str, &'static str),
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
            .map(|(stratum, size)| StratumPlan::new(stratum, size, holdback(policy, size)))
            .collect();
        let hosts: u64 = strata.iter().map(|s| u64::from(s.size)).sum();
        let strata = sampled(policy, strata, hosts);
        let plan = Plan {
            rollout: request.rollout,
            line: policy.line.clone(),
            release: request.release,
            component: request.component,
            version: request.version,
            lane: request.lane,
            seed: request.seed,
            enrolled_max: request.enrolled_max,
            terms: request.terms,
            order: None,
            inside: None,
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
            background_ppm_per_h: policy.background_ppm_per_h,
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

    /// A host's position, where no order of groups says it: its number's, or inside a vendor line its
    /// seat's. `None`: it has no seat there, so it is a newcomer.
    #[must_use]
    pub fn position(&self, host: HostId) -> Option<Position> {
        let number = match &self.inside {
            None => host,
            Some(inside) => seat(&inside.seats, host)?,
        };
        Some(Position::of(&self.seed, &self.release, number))
    }

    /// From hand-out to the moment when a fault with D = 0 has shown, in silence if not in words.
    #[must_use]
    pub fn generation(&self) -> Millis {
        self.timing.delivery.plus(self.timing.window).plus(self.watch.silent_after)
    }

    /// Whether the plan is consistent in itself: the machine holds on one that is not.
    /// # Errors
    /// [`PlanError`] naming the first field that is wrong.
    pub fn check(&self) -> Result<(), PlanError> {
        let rule = |holds: bool, field, problem| {
            if holds { Ok(()) } else { Err(PlanError::Field(field, problem)) }
        };
        rule(self.strata.len() <= STRATA_MAX, "strata", "is too long")?;
        let sorted = self.strata.windows(2).all(|pair| pair[0].stratum < pair[1].stratum);
        rule(sorted, "strata", "is not sorted")?;
        let sane = |s: &StratumPlan| s.size > 0 && s.holdback < s.size;
        rule(self.strata.iter().all(sane), "strata", "has an empty or wholly held back stratum")?;
        rule(self.hosts() <= HOSTS_MAX, "strata", "has too many hosts")?;
        rule(!self.budget.is_empty() && self.budget.len() <= HORIZONS_MAX, "budget", "is empty")?;
        let rising = self.budget.windows(2).all(|pair| pair[0].0 < pair[1].0);
        rule(rising, "budget", "is not sorted by horizon")?;
        rule(self.budget.iter().all(|point| point.1 > 0), "budget", "has a point of no hosts")?;
        rule(self.first_wave_max > 0, "first_wave_max", "is 0")?;
        let fits = self.order.as_ref().is_none_or(|order| order.fits(self));
        rule(fits, "order", "does not fit the strata")?;
        let seats = self.inside.as_ref().is_none_or(|inside| blocks_are_sane(&inside.seats));
        rule(seats, "inside", "has seats that are not sorted, or given twice")?;
        let one = self.inside.is_none() || self.order.is_none();
        rule(one, "inside", "stands beside an order of groups")?;
        rule(self.growth_max_permille > 1000, "growth_max_permille", "is not over 1000")?;
        rule((1..=500_000).contains(&self.alpha_ppm), "alpha_ppm", "is not within 1 to 500000")?;
        rule((1..=500_000).contains(&self.delta_ppm), "delta_ppm", "is not within 1 to 500000")
    }

    /// When hosts of a stratum may next be handed the release, at or after `from`.
    #[must_use]
    pub fn opening(&self, stratum: usize, from: Time) -> Time {
        // Nearly all plans: no rules, no look-ups.
        if self.terms.schedules.is_empty() {
            return from;
        }
        let schedule = self.strata.get(stratum).and_then(|s| self.terms.schedules.get(&s.stratum));
        schedule.map_or(from, |schedule| schedule.opening(self.created, from))
    }

    /// Whether hosts of a stratum obey canary waves only.
    #[must_use]
    pub fn canary_only(&self, stratum: usize) -> bool {
        let of = |s: &StratumPlan| self.terms.canary_only.binary_search(&s.stratum).is_ok();
        !self.terms.canary_only.is_empty() && self.strata.get(stratum).is_some_and(of)
    }

    /// Hosts of the first wave per stratum at `now`: as even as possible over the strata that may
    /// change then, the largest first, within the tightest budget and beside the holdback.
    #[must_use]
    pub fn first_wave(&self, now: Time) -> Vec<u32> {
        let budget = self.budget.iter().map(|point| point.1).min().unwrap_or(0);
        self.spread(u64::from(self.first_wave_max).min(budget), now)
    }

    /// `hosts` spread evenly over the strata that are open at `now`, what does not divide to the
    /// largest.
    pub(crate) fn spread(&self, hosts: u64, now: Time) -> Vec<u32> {
        let mut order: Vec<usize> =
            (0..self.strata.len()).filter(|at| self.opening(*at, now) <= now).collect();
        order.sort_by_key(|at| (std::cmp::Reverse(self.strata[*at].size), *at));
        let mut out = vec![0_u32; self.strata.len()];
        let mut left = hosts;
        loop {
            let open =
                |out: &[u32], at: usize| self.strata[at].size - self.strata[at].holdback > out[at];
            order.retain(|at| open(&out, *at));
            if left == 0 || order.is_empty() {
                return out;
            }
            let each = u32::try_from(left / order.len() as u64).unwrap_or(u32::MAX).max(1);
            for at in &order {
                let most = self.strata[*at].size - self.strata[*at].holdback - out[*at];
                let more = each.min(most).min(u32::try_from(left).unwrap_or(u32::MAX));
                out[*at] += more;
                left -= u64::from(more);
            }
        }
    }
}

/// Exactly `total` (or all, if there are fewer), in proportion to `weights` and never above `caps`:
/// what a full stratum cannot take goes to the others. Proportion to the strata keeps what the
/// vouched hosts are like what the next ones are, on which the pooled bound relies.
pub(crate) fn apportion(total: u64, weights: &[u64], caps: &[u64]) -> Vec<u64> {
    let sum: u128 = caps.iter().map(|cap| u128::from(*cap)).sum();
    if u128::from(total) >= sum {
        return caps.to_vec();
    }
    let mut out = vec![0; caps.len()];
    let mut left = total;
    let mut open: Vec<usize> = (0..caps.len()).filter(|at| caps[*at] > 0).collect();
    loop {
        let weight = |at: usize| u128::from(weights[at].max(1));
        let all: u128 = open.iter().map(|at| weight(*at)).sum();
        let full = |at: &usize| u128::from(left) * weight(*at) >= u128::from(caps[*at]) * all;
        let (filled, rest): (Vec<usize>, Vec<usize>) = open.iter().partition(|at| full(at));
        if filled.is_empty() {
            return shares(left, &open, weights, out);
        }
        for at in filled {
            out[at] = caps[at];
            left = left.saturating_sub(caps[at]);
        }
        open = rest;
    }
}

/// `left` split over the `open` ones by weight; what does not divide goes to the largest remainders,
/// ties to the first.
fn shares(left: u64, open: &[usize], weights: &[u64], mut out: Vec<u64>) -> Vec<u64> {
    let weight = |at: usize| u128::from(weights[at].max(1));
    let all: u128 = open.iter().map(|at| weight(*at)).sum();
    let share = |at: usize| u128::from(left) * weight(at);
    let mut given = 0;
    for at in open {
        out[*at] = u64::try_from(share(*at) / all.max(1)).unwrap_or(u64::MAX);
        given += out[*at];
    }
    let mut order = open.to_vec();
    order.sort_by_cached_key(|at| (std::cmp::Reverse(share(*at) % all.max(1)), *at));
    let more = usize::try_from(left.saturating_sub(given)).unwrap_or(usize::MAX);
    for at in order.into_iter().take(more) {
        out[at] += 1;
    }
    out
}

/// Draws the line between hosts that stand as controls and hosts that merely wait: in proportion to
/// the strata, at least the holdback and [`SAMPLE_MIN`] of each.
fn sampled(policy: &Policy, mut strata: Vec<StratumPlan>, hosts: u64) -> Vec<StratumPlan> {
    if hosts > policy.controls_max {
        for stratum in &mut strata {
            let share = u128::from(stratum.size) * u128::from(policy.controls_max);
            let share = u32::try_from(share / u128::from(hosts)).unwrap_or(u32::MAX);
            let sample = share.max(SAMPLE_MIN).max(stratum.holdback).min(stratum.size);
            *stratum = stratum.clone().with_sample(sample);
        }
    }
    strata
}

/// Hosts to hold back in a stratum of `size`: the policy's share, at least its minimum, at most half.
fn holdback(policy: &Policy, size: u32) -> u32 {
    let share = u64::from(size).saturating_mul(u64::from(policy.holdback_permille)).div_ceil(1000);
    let wanted = u32::try_from(share).unwrap_or(u32::MAX).max(policy.holdback_min);
    wanted.min(size / 2)
}
