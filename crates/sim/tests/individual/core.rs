//! The production rollout core around the individual engine.
use andon_model::policy::{Horizon, Lane, LanePolicy, Person, Policy, Timing, Watch};
use andon_model::release::Version;
use andon_model::{
    ComponentId, Digest, HostId, Millis, PersonId, PublicKey, RolloutId, StratumId, Time,
};
use andon_rollout::{Action, Event, Plan, PlanRequest, Rollout};
use andon_sim::controller::{Controller, Pace, Shape, Sight, Standing};
use andon_sim::individual::START;

pub(crate) struct Core {
    pub(crate) rollout: Rollout,
    handed: Vec<u32>,
}

/// The emergency lane's numbers: beat 5 s, silent after 15 s, delivery 15 s, window 10 s.
fn policy() -> Policy {
    let budget = |after_s, hosts_max| Horizon {
        after: Millis::from_secs(after_s),
        hosts_max,
        share_max_ppm: 1_000_000,
    };
    let lane = LanePolicy {
        budget: vec![budget(0, 100)],
        first_wave_max: 16,
        growth_max_permille: 25_000,
        soak_min: Millis::from_secs(25),
        approvals_min: 0,
    };
    let ada = Person { person: PersonId::new("ada").unwrap(), key: PublicKey([8; 32]) };
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
        line: "vendor:simulated".parse().unwrap(),
        version: 1,
        expires: Time(u64::MAX),
        online: PublicKey([7; 32]),
        people: vec![ada],
        emergency: LanePolicy { approvals_min: 2, ..lane.clone() },
        routine: lane,
        alpha_ppm: 1000,
        delta_ppm: 1000,
        holdback_permille: 5,
        holdback_min: 5,
        watch: Watch {
            beat: Millis::from_secs(5),
            silent_after: Millis::from_secs(15),
            restart_missed_ppm: andon_model::policy::restart_missed_ppm(),
        },
        background_ppm_per_h: 7200,
        controls_max: 50_000,
        timing: Timing { delivery: Millis::from_secs(15), window: Millis::from_secs(10) },
        ticket_valid: Millis::from_secs(86_400),
        probes: Vec::new(),
        eligibility: andon_model::eligible::Rules::default(),
        budgets: vec![],
    }
}

impl Core {
    pub(crate) fn new(sizes: &[u32]) -> Core {
        let named =
            |(at, size): (usize, &u32)| (StratumId::new(&format!("s{at:03}")).unwrap(), *size);
        let hosts = sizes.iter().map(|size| u64::from(*size)).sum();
        let request = PlanRequest {
            rollout: RolloutId::new("simulated").unwrap(),
            release: Digest::of(b"release"),
            component: ComponentId::new("content").unwrap(),
            version: Version(2),
            lane: Lane::Routine,
            seed: Digest::of(b"seed"),
            enrolled_max: HostId::new(hosts).ok(),
            strata: sizes.iter().enumerate().map(named).collect(),
            terms: andon_rollout::Terms::default(),
            generation_base: 0,
            parent: None,
            created: START,
        };
        let plan = Plan::new(&policy(), request).0;
        let (rollout, actions) = Rollout::start(plan, START);
        let mut core = Core { rollout, handed: vec![0; sizes.len()] };
        core.carry_out(START, actions);
        core
    }

    fn carry_out(&mut self, now: Time, actions: Vec<Action>) {
        for action in actions {
            if let Action::Expose(exposure) = action {
                self.handed.clone_from(&exposure.handed);
                let issued = Event::TicketIssued { generation: exposure.generation, at: now };
                let actions = self.rollout.apply(now, issued);
                self.carry_out(now, actions);
            }
        }
    }
}

impl Controller for Core {
    fn shape(&self) -> Option<Shape> {
        let plan = self.rollout.plan();
        Some(Shape {
            strata: plan.strata.iter().map(|s| s.size).collect(),
            beat_s: plan.watch.beat.as_secs_f64(),
            silent_after_s: plan.watch.silent_after.as_secs_f64(),
            window_s: plan.timing.window.as_secs_f64(),
            horizons_s: plan.budget.iter().map(|point| point.0.as_secs_f64()).collect(),
            budget: plan.budget.iter().map(|point| point.1).collect(),
            controls: plan.strata.iter().map(|s| s.sample.min(s.size)).collect(),
            gauge_every: plan.strata.iter().map(|s| s.gauge_every).collect(),
        })
    }
    fn waves(&self) -> Vec<&[u32]> {
        self.rollout.waves()
    }
    fn pace(&self) -> Option<Pace> {
        let plan = self.rollout.plan();
        Some(Pace {
            first_wave_max: u64::from(plan.first_wave_max),
            growth_max: plan.growth_max_permille as f64 / 1000.0,
            soak_min_s: plan.soak_min.as_secs_f64(),
        })
    }
    fn reads_tallies(&self) -> bool {
        true
    }
    fn tick(&mut self, sight: &Sight<'_>) -> &[u32] {
        let seen = Event::Observed(sight.tallies.unwrap().clone());
        let actions = self.rollout.apply(sight.now, seen);
        self.carry_out(sight.now, actions);
        &self.handed
    }
    fn standing(&self) -> Standing {
        match self.rollout.pending().first() {
            Some(Action::Freeze { .. }) => Standing::Halted,
            Some(Action::Complete) => Standing::Done,
            Some(Action::Withdraw | Action::AskApproval { .. }) => Standing::Held,
            _ => Standing::Running,
        }
    }
}
