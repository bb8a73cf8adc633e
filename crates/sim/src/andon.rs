//! The production rollout core as a controller. It adds nothing to it: tickets are issued at once,
//! approvals are there from the start.
use crate::controller::{Controller, Pace, Shape, Sight, Standing};
use andon_model::policy::{Horizon, Lane, LanePolicy, Person, Policy, Timing, Watch};
use andon_model::release::Version;
use andon_model::{
    ComponentId, Digest, HostId, LineId, Millis, PersonId, PublicKey, RolloutId, StratumId, Time,
};
use andon_rollout::{Action, Event, Plan, PlanReport, PlanRequest, Rollout, StateName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an Andon policy file says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AndonPolicy {
    /// B(D)
    pub budget: Vec<Point>,
    /// most hosts of the canary wave
    pub first_wave: u32,
    /// a ticket covers at most this multiple of the one before it, in thousandths
    pub growth_max_permille: u64,
    /// least time between two tickets, seconds
    pub soak_min_s: f64,
    /// time between two beats on probation, seconds
    pub beat_s: f64,
    /// no beat for so long: silent, seconds
    pub silent_after_s: f64,
    /// longest from ticket to activation, seconds
    pub delivery_s: f64,
    /// load and soak, seconds
    pub window_s: f64,
    /// false-alarm bound, millionths
    pub alpha_ppm: u32,
    /// budget-overrun bound, millionths
    pub delta_ppm: u32,
    /// share of a stratum held back, thousandths
    pub holdback_permille: u32,
    /// least hosts held back per stratum
    pub holdback_min: u32,
    /// most controls at probation cadence
    pub controls_max: u64,
    /// expected background, share per hour
    pub background_per_h: f64,
}

/// One point of B(D).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// D, seconds
    pub after_s: f64,
    /// most hosts
    pub hosts_max: u64,
    /// most of the line's hosts, millionths
    #[serde(default = "everybody")]
    pub share_max_ppm: u32,
}

const fn everybody() -> u32 {
    1_000_000
}

impl Default for AndonPolicy {
    /// The emergency lane: B = {0 s: 100}.
    fn default() -> AndonPolicy {
        AndonPolicy {
            budget: vec![Point { after_s: 0.0, hosts_max: 100, share_max_ppm: 1_000_000 }],
            first_wave: 16,
            growth_max_permille: 25_000,
            soak_min_s: 35.0,
            beat_s: 5.0,
            silent_after_s: 15.0,
            delivery_s: 15.0,
            window_s: 5.0,
            alpha_ppm: 1000,
            delta_ppm: 1000,
            holdback_permille: 5,
            holdback_min: 5,
            controls_max: 1_000_000,
            background_per_h: 0.0072,
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked when read")]
fn millis(seconds: f64) -> Millis {
    Millis((seconds * 1000.0).round() as u64)
}

impl AndonPolicy {
    /// The signed policy that these numbers stand for, with keys that sign nothing.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked when read"
    )]
    pub fn policy(&self, line: LineId) -> Policy {
        let horizon = |point: &Point| Horizon {
            after: millis(point.after_s),
            hosts_max: point.hosts_max,
            share_max_ppm: point.share_max_ppm,
        };
        let lane = LanePolicy {
            budget: self.budget.iter().map(horizon).collect(),
            first_wave_max: self.first_wave,
            growth_max_permille: self.growth_max_permille,
            soak_min: millis(self.soak_min_s),
            approvals_min: 0,
        };
        let person = PersonId::new("simulated").ok();
        let people =
            person.into_iter().map(|person| Person { person, key: PublicKey([8; 32]) }).collect();
        Policy {
            members: Vec::new(),
            absent_max_ppm: 0,
            log: None,
            fast_lane: None,
            overrides: Vec::new(),
            attestations: Default::default(),
            vendor_lines: Vec::new(),
            verifiers: Default::default(),
            schema: 1,
            line,
            version: 1,
            expires: Time(u64::MAX),
            online: PublicKey([7; 32]),
            people,
            emergency: LanePolicy { approvals_min: 2, ..lane.clone() },
            routine: lane,
            alpha_ppm: self.alpha_ppm,
            delta_ppm: self.delta_ppm,
            holdback_permille: self.holdback_permille,
            holdback_min: self.holdback_min,
            watch: Watch {
                beat: millis(self.beat_s),
                silent_after: millis(self.silent_after_s),
                restart_missed_ppm: andon_model::policy::restart_missed_ppm(),
            },
            background_ppm_per_h: ((self.background_per_h * 1e6).round() as u32).max(1),
            controls_max: self.controls_max,
            timing: Timing { delivery: millis(self.delivery_s), window: millis(self.window_s) },
            ticket_valid: Millis::from_secs(86_400),
            probes: Vec::new(),
            eligibility: andon_model::eligible::Rules::default(),
            budgets: vec![],
        }
    }
}

/// A rollout of the production core.
#[derive(Debug)]
pub struct Andon {
    rollout: Rollout,
    handed: Vec<u32>,
    journal: Option<Vec<(Time, Event)>>,
}

impl Andon {
    /// Plans a rollout over strata of these sizes.
    /// # Panics
    /// Never: its names are constants.
    #[must_use]
    pub fn new(policy: &AndonPolicy, sizes: &[u32], seed: u64) -> Andon {
        let plan = plan(policy, sizes, seed);
        let (rollout, actions) = Rollout::start(plan, START);
        let mut andon = Andon { rollout, handed: vec![0; sizes.len()], journal: None };
        andon.carry_out(START, actions);
        andon
    }

    /// Keeps every event, for `andon replay`. Call it first.
    #[must_use]
    pub fn recorded(mut self) -> Andon {
        let issued = self.rollout.steps();
        let mut journal = vec![(START, Event::Started)];
        let issue = |step: &andon_model::ticket::Step| {
            (step.at, Event::TicketIssued { generation: step.generation, at: step.at })
        };
        journal.extend(issued.iter().map(issue));
        self.journal = Some(journal);
        self
    }

    /// The recorded events.
    #[must_use]
    pub fn journal(&self) -> &[(Time, Event)] {
        self.journal.as_deref().unwrap_or(&[])
    }

    /// Hosts covered per stratum.
    #[must_use]
    pub fn handed(&self) -> &[u32] {
        &self.handed
    }

    /// The core.
    #[must_use]
    pub fn rollout(&self) -> &Rollout {
        &self.rollout
    }

    fn apply(&mut self, now: Time, event: Event) {
        if let Some(journal) = &mut self.journal {
            journal.push((now, event.clone()));
        }
        let actions = self.rollout.apply(now, event);
        self.carry_out(now, actions);
    }

    fn carry_out(&mut self, now: Time, actions: Vec<Action>) {
        for action in actions {
            if let Action::Expose(exposure) = action {
                self.handed.clone_from(&exposure.handed);
                self.apply(now, Event::TicketIssued { generation: exposure.generation, at: now });
            }
        }
    }
}

/// Simulated time begins here: late enough that no subtraction reaches 0.
pub const START: Time = Time(1_000_000_000);

/// What a person should know before a rollout over strata of these sizes.
#[must_use]
pub fn report(policy: &AndonPolicy, sizes: &[u32]) -> PlanReport {
    planned(policy, sizes, 0).1
}

fn plan(policy: &AndonPolicy, sizes: &[u32], seed: u64) -> Plan {
    planned(policy, sizes, seed).0
}

fn planned(policy: &AndonPolicy, sizes: &[u32], seed: u64) -> (Plan, PlanReport) {
    let named = |(at, size): (usize, &u32)| {
        StratumId::new(&format!("s{at:04}")).ok().map(|stratum| (stratum, *size))
    };
    let strata: BTreeMap<StratumId, u32> = sizes.iter().enumerate().filter_map(named).collect();
    let hosts: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
    let line: LineId = "vendor:simulated".parse().unwrap_or_else(|_| unreachable!("a constant"));
    let name = |text: &str| ComponentId::new(text).unwrap_or_else(|_| unreachable!("a constant"));
    let request = PlanRequest {
        rollout: RolloutId::new("simulated").unwrap_or_else(|_| unreachable!("a constant")),
        release: Digest::of(b"simulated release"),
        component: name("content"),
        version: Version(1),
        lane: Lane::Routine,
        seed: Digest::of(&seed.to_be_bytes()),
        enrolled_max: HostId::new(hosts).ok(),
        strata,
        terms: andon_rollout::Terms::default(),
        generation_base: 0,
        parent: None,
        created: START,
    };
    Plan::new(&policy.policy(line), request)
}

impl Controller for Andon {
    fn shape(&self) -> Option<Shape> {
        let plan = self.rollout.plan();
        Some(Shape {
            strata: plan.strata.iter().map(|s| s.size).collect(),
            beat_s: plan.watch.beat.as_secs_f64(),
            silent_after_s: plan.watch.silent_after.as_secs_f64(),
            window_s: plan.timing.window.as_secs_f64(),
            horizons_s: plan.budget.iter().map(|(after, _)| after.as_secs_f64()).collect(),
            budget: plan.budget.iter().map(|(_, hosts)| *hosts).collect(),
            controls: plan.strata.iter().map(|s| s.sample.min(s.size)).collect(),
            gauge_every: plan.strata.iter().map(|s| s.gauge_every.max(2)).collect(),
        })
    }
    fn waves(&self) -> Vec<&[u32]> {
        self.rollout.waves()
    }
    fn pace(&self) -> Option<Pace> {
        let plan = self.rollout.plan();
        #[expect(clippy::cast_precision_loss, reason = "thousandths of a factor")]
        let growth_max = plan.growth_max_permille as f64 / 1000.0;
        Some(Pace {
            first_wave_max: u64::from(plan.first_wave_max),
            growth_max,
            soak_min_s: plan.soak_min.as_secs_f64(),
        })
    }
    fn reads_tallies(&self) -> bool {
        true
    }
    fn tick(&mut self, sight: &Sight<'_>) -> &[u32] {
        if let Some(tallies) = sight.tallies {
            self.apply(sight.now, Event::Observed(tallies.clone()));
        }
        &self.handed
    }
    fn standing(&self) -> Standing {
        match self.rollout.state() {
            StateName::Halted => Standing::Halted,
            StateName::Completed => Standing::Done,
            StateName::Held | StateName::AwaitingApproval | StateName::Planned => Standing::Held,
            StateName::Exposing => Standing::Running,
        }
    }
    fn evidence(&self) -> f64 {
        self.rollout.e()
    }
}
