//! How long the server takes to look at a whole fleet once: 8.5 million host states folded into the
//! gate's tallies. Not a test: it prints seconds.
//!
//! `cargo run --release -p andon-server --example fold [HOSTS]`
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::unwrap_used, reason = "a run stops where it is wrong")]
use andon_model::beat::Presence;
use andon_model::class::HostClass;
use andon_model::facts::Facts;
use andon_model::policy::{Horizon, Lane, LanePolicy, Policy, Timing, Watch};
use andon_model::release::Version;
use andon_model::{
    ComponentId, Digest, HostId, Millis, PublicKey, RolloutId, StratumId, Time, VendorId,
};
use andon_rollout::{Event, Plan, PlanRequest};
use andon_server::fleet::Heard;
use andon_server::record::Counted;
use andon_server::rollout_state::{RolloutState, Wave};
use andon_server::state::HostState;
use andon_server::tally;
use std::time::Instant;

const START: Time = Time(1_800_000_000_000);
const STRATA: u64 = 64;
const LOOKS: u32 = 5;

fn name(stratum: u64) -> StratumId {
    StratumId::new(&format!("s{stratum:02}")).unwrap()
}

fn host(at: u64) -> HostState {
    HostState {
        key: PublicKey([7; 32]),
        class: HostClass {
            arch: name(0),
            os: name(0),
            model: name(at % STRATA),
            groups: Vec::new(),
        },
        stratum: name(at % STRATA),
        enrolled: START,
        sequence: 1,
        presence: Presence::Alive,
        components: Vec::new(),
        charges_stored: 0,
        charges: 0,
        answered: false,
        unwell: Vec::new(),
        freezes: Vec::new(),
        facts: Facts::default(),
    }
}

fn policy() -> Policy {
    let horizon = |s: u64, hosts_max| Horizon {
        after: Millis::from_secs(s),
        hosts_max,
        share_max_ppm: 1_000_000,
    };
    let lane = LanePolicy {
        budget: vec![horizon(0, 100), horizon(600, 8500)],
        first_wave_max: 16,
        growth_max_permille: 25_000,
        soak_min: Millis::from_secs(35),
        approvals_min: 0,
    };
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
        line: "operator:measured".parse().unwrap(),
        version: 1,
        expires: Time(u64::MAX),
        online: PublicKey([7; 32]),
        people: Vec::new(),
        emergency: lane.clone(),
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
        controls_max: 1_000_000,
        timing: Timing { delivery: Millis::from_secs(15), window: Millis::from_secs(5) },
        ticket_valid: Millis::from_secs(86_400),
        probes: Vec::new(),
        eligibility: andon_model::eligible::Rules::default(),
        budgets: vec![],
    }
}

fn rollout(hosts: &[HostState]) -> RolloutState {
    let each = |at: u64| (hosts.len() as u64 + STRATA - 1 - at) / STRATA;
    let strata = (0..STRATA).map(|at| (name(at), u32::try_from(each(at)).unwrap())).collect();
    let request = PlanRequest {
        rollout: RolloutId::new("measured").unwrap(),
        release: Digest::of(b"release"),
        component: ComponentId::new("content").unwrap(),
        version: Version(2),
        lane: Lane::Routine,
        seed: Digest::of(b"seed"),
        enrolled_max: HostId::new(hosts.len() as u64).ok(),
        strata,
        terms: andon_rollout::Terms::default(),
        generation_base: 0,
        parent: None,
        created: START,
    };
    let (plan, report) = Plan::new(&policy(), request);
    let vendor = VendorId::new("acme").unwrap();
    let mut rollout = RolloutState::new(plan, report, vendor, 1, hosts);
    rollout.apply(START, &Event::Started, &Counted::default(), None);
    rollout
}

fn main() {
    let word = std::env::args().nth(1).map(|word| word.parse().unwrap());
    let count: u64 = word.unwrap_or(8_500_000);
    let hosts: Vec<HostState> = (0..count).map(host).collect();
    let begun = Instant::now();
    let mut rollout = rollout(&hosts);
    let ordered = begun.elapsed().as_secs_f64();
    // Eight waves, half of the fleet.
    let parts = (1..=8).map(|wave| 1_u64 << (2 * (8 - wave) + 1));
    rollout.waves = (1..)
        .zip(parts)
        .map(|(generation, part)| Wave {
            generation,
            handed: rollout
                .plan
                .strata
                .iter()
                .map(|s| s.size / u32::try_from(part).unwrap())
                .collect(),
            at: START,
        })
        .collect();
    let row = Heard::here(START, 1, true);
    let mut heard = vec![row; hosts.len()];
    let now = START.plus(Millis::from_secs(30));
    for (at, row) in heard.iter_mut().enumerate() {
        row.at = if at % 1000 == 0 { START } else { now };
    }
    println!("{count} hosts, {STRATA} strata: put in order in {ordered:.2} s");
    for _ in 0..LOOKS {
        let begun = Instant::now();
        let (seen, counted) = tally::observe_own(&rollout, &hosts, &heard, now);
        let seconds = begun.elapsed().as_secs_f64();
        let arms = seen.strata.iter().map(|s| s.waves.len() + 2).sum::<usize>();
        println!("one look: {seconds:.3} s ({arms} arms, {} silent)", counted.silent.len());
    }
}
