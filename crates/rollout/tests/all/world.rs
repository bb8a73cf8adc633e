//! A small fleet, host by host, and the tiny random source that all tests draw from. Not production
//! code: it plays hosts and server around the rollout.
use andon_model::beat::Presence;
use andon_model::policy::{Horizon, Lane, LanePolicy, Person, Policy, Timing, Watch};
use andon_model::release::Version;
use andon_model::{
    ComponentId, Digest, HostId, LineId, Millis, PersonId, PublicKey, RolloutId, StratumId, Time,
};
use andon_rollout::{
    Action, ArmTally, Count, Event, Exposure, Observation, Plan, PlanReport, PlanRequest, Rollout,
    StratumTally,
};
use andon_rollout::{watch, windows};
use std::collections::BTreeMap;

/// splitmix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }
    /// Binomial by jumping from success to success: exact, quick while n p is small.
    pub(crate) fn binomial(&mut self, n: u32, p: f64) -> u32 {
        if p >= 1.0 {
            return n;
        }
        if p <= 0.0 {
            return 0;
        }
        let (mut at, mut hits) = (0.0, 0);
        loop {
            at += (self.unit().max(1e-300).ln() / (-p).ln_1p()).floor() + 1.0;
            if at > f64::from(n) {
                return hits;
            }
            hits += 1;
        }
    }
}

/// The demo: 1,001 hosts in three strata.
pub(crate) const DEMO: [u32; 3] = [600, 300, 101];

pub(crate) fn at(ms: u64) -> Time {
    Time(1_000_000 + ms)
}

pub(crate) fn person(name: &str) -> PersonId {
    PersonId::new(name).unwrap()
}

/// The demo's policy: emergency lane, beat 1 s, silent after 4 s, delivery 1 s, window 3 s.
pub(crate) fn policy(budget: &[(u64, u64)]) -> Policy {
    let lane = LanePolicy {
        budget: budget
            .iter()
            .map(|(ms, hosts)| Horizon {
                after: Millis(*ms),
                hosts_max: *hosts,
                share_max_ppm: 1_000_000,
            })
            .collect(),
        first_wave_max: 16,
        growth_max_permille: 15_500,
        soak_min: Millis(4000),
        approvals_min: 0,
    };
    let policy = Policy {
        members: Vec::new(),
        absent_max_ppm: 0,
        log: None,
        fast_lane: None,
        overrides: Vec::new(),
        attestations: Default::default(),
        vendor_lines: Vec::new(),
        verifiers: Default::default(),
        schema: 1,
        line: "operator:demo".parse::<LineId>().unwrap(),
        version: 1,
        expires: Time(u64::MAX),
        online: PublicKey([7; 32]),
        people: vec![Person { person: person("ada"), key: PublicKey([8; 32]) }],
        routine: lane.clone(),
        emergency: LanePolicy { approvals_min: 2, ..lane },
        alpha_ppm: 1000,
        delta_ppm: 1000,
        holdback_permille: 5,
        holdback_min: 5,
        watch: Watch {
            beat: Millis(1000),
            silent_after: Millis(4000),
            restart_missed_ppm: andon_model::policy::restart_missed_ppm(),
        },
        timing: Timing { delivery: Millis(1000), window: Millis(3000) },
        background_ppm_per_h: 7200,
        controls_max: 1_000_000,
        ticket_valid: Millis(600_000),
        probes: vec![],
        eligibility: andon_model::eligible::Rules::default(),
        budgets: vec![],
    };
    policy.check().unwrap();
    policy
}

pub(crate) fn plan_with(policy: &Policy, lane: Lane, sizes: &[u32]) -> (Plan, PlanReport) {
    let strata: BTreeMap<StratumId, u32> = sizes
        .iter()
        .enumerate()
        .map(|(i, size)| (StratumId::new(&format!("s{i:03}")).unwrap(), *size))
        .collect();
    let hosts: u64 = sizes.iter().map(|s| u64::from(*s)).sum();
    let request = PlanRequest {
        rollout: RolloutId::new("r1").unwrap(),
        release: Digest::of(b"release"),
        component: ComponentId::new("content").unwrap(),
        version: Version(2),
        lane,
        seed: Digest::of(b"seed"),
        enrolled_max: HostId::new(hosts).ok(),
        strata,
        terms: andon_rollout::Terms::default(),
        generation_base: 0,
        parent: None,
        created: at(0),
    };
    Plan::new(policy, request)
}

pub(crate) fn plan(sizes: &[u32]) -> Plan {
    plan_with(&policy(&[(0, 100)]), Lane::Routine, sizes).0
}

pub(crate) fn exposures(actions: &[Action]) -> Vec<Exposure> {
    let exposure = |action: &Action| match action {
        Action::Expose(exposure) => Some(exposure.clone()),
        _ => None,
    };
    actions.iter().filter_map(exposure).collect()
}

/// A tally without trouble: every covered host confirmed.
pub(crate) fn well(rollout: &Rollout, now: Time) -> Observation {
    let plan = rollout.plan();
    let waves = rollout.waves();
    let arm = |hosts: u32, confirmed: u32| {
        let risk = Count::of(0, hosts);
        ArmTally {
            silence: risk,
            report: risk,
            probe: risk,
            confirmed,
            hosts,
            ..ArmTally::default()
        }
    };
    let stratum = |s: usize| {
        let mut before = 0;
        let mut tally = StratumTally::default();
        for wave in &waves {
            tally.waves.push(arm(wave[s] - before, wave[s] - before));
            before = wave[s];
        }
        tally.controls = arm(plan.strata[s].size - before, 0);
        tally
    };
    let mut seen = Observation { strata: (0..plan.strata.len()).map(stratum).collect() };
    windows::by_wave(rollout, now, &mut seen);
    seen
}

/// What goes wrong in a fleet, and when.
#[derive(Clone, Copy)]
pub(crate) struct Trouble {
    /// probability that a host that activates crashes
    pub(crate) q: f64,
    /// of the crashing hosts, the share that dies whole and says nothing
    pub(crate) mute: f64,
    /// ticks between activation and crash
    pub(crate) late: u64,
    /// (tick, share of all hosts that lose power then)
    pub(crate) outage: Option<(u64, f64)>,
    /// watch given to controls: the same, but for the test that shows why
    pub(crate) controls_slower: u64,
}

impl Trouble {
    pub(crate) const NONE: Trouble =
        Trouble { q: 0.0, mute: 0.0, late: 0, outage: None, controls_slower: 1 };
}

#[derive(Clone)]
struct Host {
    stratum: usize,
    rank: u32,
    last_seen: Time,
    gone: bool,
    fails: bool,
    mute: bool,
    activated: Option<u64>,
    crashed: bool,
    confirmed: bool,
    silent: bool,
    reported: bool,
    bad: bool,
}

/// Plays a whole rollout, tick by tick, host by host.
pub(crate) struct World {
    pub(crate) rollout: Rollout,
    pub(crate) journal: Vec<(Time, Event)>,
    pub(crate) actions: Vec<Vec<Action>>,
    pub(crate) tick: u64,
    hosts: Vec<Host>,
    trouble: Trouble,
    random: Random,
}

impl World {
    pub(crate) fn new(plan: Plan, trouble: Trouble, seed: u64) -> World {
        let mut random = Random(seed);
        let mut hosts = Vec::new();
        for (stratum, s) in plan.strata.iter().enumerate() {
            let mut ranks: Vec<u32> = (0..s.size).collect();
            for i in (1..ranks.len()).rev() {
                ranks.swap(i, random.below(i + 1));
            }
            hosts.extend(ranks.into_iter().map(|rank| Host {
                stratum,
                rank,
                last_seen: at(0),
                gone: false,
                fails: random.unit() < trouble.q,
                mute: random.unit() < trouble.mute,
                activated: None,
                crashed: false,
                confirmed: false,
                silent: false,
                reported: false,
                bad: false,
            }));
        }
        let (rollout, first) = Rollout::start(plan, at(0));
        let journal = vec![(at(0), Event::Started)];
        let mut world =
            World { rollout, journal, actions: Vec::new(), tick: 0, hosts, trouble, random };
        world.carry_out(first);
        world
    }

    pub(crate) fn now(&self) -> Time {
        at(self.tick * 1000)
    }

    pub(crate) fn apply(&mut self, event: Event) {
        let now = self.now();
        self.journal.push((now, event.clone()));
        let actions = self.rollout.apply(now, event);
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        let issued = exposures(&actions);
        self.actions.push(actions);
        for exposure in issued {
            let now = self.now();
            self.apply(Event::TicketIssued { generation: exposure.generation, at: now });
        }
    }

    /// One second of everybody's life, then the server's tick.
    pub(crate) fn step(&mut self) {
        self.tick += 1;
        let (now, tick) = (self.now(), self.tick);
        let waves: Vec<Vec<u32>> = self.rollout.waves().iter().map(|w| w.to_vec()).collect();
        let halted = self.rollout.ended();
        for host in &mut self.hosts {
            if let Some((when, share)) = self.trouble.outage
                && when == tick
                && self.random.unit() < share
            {
                host.gone = true;
            }
            let covered = waves.last().is_some_and(|w| host.rank < w[host.stratum]) && !halted;
            if covered && !host.gone && host.activated.is_none() {
                host.activated = Some(tick);
            }
            let age = host.activated.map(|then| tick - then);
            if host.fails && !host.crashed && !host.gone && age == Some(self.trouble.late) {
                host.crashed = true;
                host.gone = host.mute;
            }
            if age.is_some_and(|age| age >= 3) && !host.crashed && !host.gone {
                host.confirmed = true;
            }
            if !host.gone {
                host.last_seen = now;
            }
        }
        let seen = self.observe(&waves);
        self.apply(Event::Observed(seen));
    }

    /// As the server does it, host by host.
    fn observe(&mut self, waves: &[Vec<u32>]) -> Observation {
        let (now, plan) = (self.now(), self.rollout.plan());
        let empty =
            StratumTally { waves: vec![ArmTally::default(); waves.len()], ..Default::default() };
        let mut seen = Observation { strata: vec![empty; plan.strata.len()] };
        for host in &mut self.hosts {
            let wave = waves.iter().position(|wave| host.rank < wave[host.stratum]);
            let mut watch = watch::of_arm(&plan.watch, wave);
            let stratum = &mut seen.strata[host.stratum];
            let arm = match wave {
                Some(wave) => &mut stratum.waves[wave],
                None => &mut stratum.controls,
            };
            if wave.is_none() {
                watch.silent_after.0 *= self.trouble.controls_slower;
            }
            let silent = watch::silent(&watch, host.last_seen, Presence::Alive, now);
            host.count(arm, silent);
        }
        windows::by_wave(&self.rollout, now, &mut seen);
        seen
    }

    /// Until it is over, at most so many seconds.
    pub(crate) fn run(&mut self, ticks: u64) {
        while self.tick < ticks && !self.rollout.ended() {
            self.step();
        }
    }

    /// From now on every host of a stratum fails that activates.
    pub(crate) fn fail_stratum(&mut self, stratum: usize) {
        for host in self.hosts.iter_mut().filter(|host| host.stratum == stratum) {
            host.fails = true;
        }
    }

    pub(crate) fn crashed(&self) -> usize {
        self.hosts.iter().filter(|host| host.crashed).count()
    }
}

impl Host {
    /// Only the first event of a channel counts, and only the first of all for `bad_new`.
    fn count(&mut self, arm: &mut ArmTally, silent: bool) {
        arm.hosts += 1;
        let reports = self.crashed && !self.mute;
        let channels = [
            (&mut arm.silence, &mut self.silent, silent),
            (&mut arm.report, &mut self.reported, reports),
        ];
        let mut news = false;
        for (count, before, now) in channels {
            count.at_risk += u32::from(!*before);
            count.new += u32::from(now && !*before);
            news |= now && !*before;
            *before |= now;
        }
        arm.probe.at_risk += 1;
        arm.bad_new += u32::from(news && !self.bad);
        self.bad |= news;
        arm.confirmed += u32::from(self.confirmed);
        arm.fell_back += u32::from(reports);
    }
}
