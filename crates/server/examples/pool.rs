//! How long a vendor line's server takes over its largest members' list: seats into an order, every
//! member's places, every tally checked and a round added up. Not a test: it prints seconds.
//!
//! `cargo run --release -p andon-server --example pool [MEMBERS [HOSTS_EACH]]`
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::unwrap_used, reason = "a run stops where it is wrong")]
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::line::{Member, Roster};
use andon_model::policy::{Horizon, Lane, LanePolicy, Person, Policy, Timing, Watch};
use andon_model::release::Version;
use andon_model::{
    ComponentId, Digest, LineId, Millis, OperatorId, PersonId, PublicKey, RolloutId, StratumId,
    Time, VendorId,
};
use andon_rollout::lines::{LineTally, MemberStanding, MemberStratum};
use andon_rollout::{Count, Event, Plan, PlanRequest, StratumTally, Terms};
use andon_server::app::Core;
use andon_server::pooled::{intake, round, start};
use andon_server::record::{Counted, Record};
use std::time::Instant;

const START: Time = Time(1_800_000_000_000);
const STRATA: usize = 64;
const ROUNDS: u64 = 12;

fn operator(number: usize) -> OperatorId {
    OperatorId::new(&format!("operator-{number:04}")).unwrap()
}

fn line() -> LineId {
    LineId::Vendor(VendorId::new("acme").unwrap())
}

fn policy(members: usize, hosts: u32) -> Policy {
    let budget = vec![Horizon { after: Millis(0), hosts_max: 100, share_max_ppm: 1_000_000 }];
    let lane = |approvals_min| LanePolicy {
        budget: budget.clone(),
        first_wave_max: 16,
        growth_max_permille: 25_000,
        soak_min: Millis::from_secs(5),
        approvals_min,
    };
    let key = PublicKey([7; 32]);
    let member = |at| Member { operator: operator(at), key, hosts_max: hosts };
    Policy {
        members: (0..members).map(member).collect(),
        absent_max_ppm: 0,
        log: None,
        fast_lane: None,
        overrides: Vec::new(),
        attestations: Default::default(),
        vendor_lines: Vec::new(),
        verifiers: Default::default(),
        schema: 1,
        line: line(),
        version: 1,
        expires: Time(u64::MAX),
        online: key,
        people: vec![Person { person: PersonId::new("ada").unwrap(), key }],
        emergency: lane(2),
        routine: lane(0),
        alpha_ppm: 1000,
        delta_ppm: 1000,
        holdback_permille: 5,
        holdback_min: 1,
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

fn tell(core: &mut Core, at: Time, record: &Record) {
    let seq = core.state.seq + 1;
    core.state.apply(seq, at, record);
}

/// Seats for everybody, and a rollout that has begun.
fn begin(core: &mut Core, policy: &Policy, hosts: u32) -> RolloutId {
    let payload = serde_json::to_vec(policy).unwrap();
    let envelope = Envelope { payload_type: PayloadType::Policy, payload, signatures: vec![] };
    println!("policy's envelope  {:>8} bytes", envelope.to_bytes().len());
    tell(core, START, &Record::PolicyAccepted { envelope });
    let names: Vec<StratumId> =
        (0..STRATA).map(|at| StratumId::new(&format!("s{at:02}")).unwrap()).collect();
    for member in &policy.members {
        let roster = Roster {
            schema: 1,
            line: line(),
            operator: member.operator.clone(),
            host_first: 1,
            strata: names.clone(),
            hosts: (0..hosts).map(|host| u16::try_from(host as usize % STRATA).unwrap()).collect(),
        };
        let seat_first = core.state.seats.offer(member, &roster).unwrap();
        let (operator, roster) = (member.operator.clone(), Box::new(roster));
        tell(core, START, &Record::SeatsTaken { operator, seat_first, roster });
    }
    let rollout = RolloutId::new("measured").unwrap();
    let begun = Instant::now();
    let (strata, terms) =
        start::strata(policy, &policy.eligibility, &core.state.seats, &[], Lane::Routine).unwrap();
    let request = PlanRequest {
        rollout: rollout.clone(),
        release: Digest::of(b"release"),
        component: ComponentId::new("content").unwrap(),
        version: Version(2),
        lane: Lane::Routine,
        seed: Digest::of(b"seed"),
        enrolled_max: core.state.seats.last(),
        strata,
        terms: Terms { ..terms },
        generation_base: 0,
        parent: None,
        created: START,
    };
    let (plan, report) = Plan::new(policy, request);
    let (by, vendor) = (PersonId::new("ada").unwrap(), VendorId::new("acme").unwrap());
    tell(
        core,
        START,
        &Record::RolloutStarted { by: Some(by), vendor, plan: Box::new(plan), report },
    );
    println!("plan and order     {:>8.3} s", begun.elapsed().as_secs_f64());
    let (event, counted) = (Event::Started, Counted::default());
    let record = Record::Rollout { rollout: rollout.clone(), event, counted, approval: None };
    tell(core, START, &record);
    rollout
}

/// What an honest member says whose hosts are all well.
fn tally(
    core: &Core,
    rollout: &RolloutId,
    due: intake::Due,
    of: &OperatorId,
    at: Time,
) -> LineTally {
    let state = &core.state.rollouts[rollout];
    let members = state.members.as_deref().unwrap();
    let well = |mut it: StratumTally| {
        let handed: u32 = it.waves.iter().map(|arm| arm.hosts).sum();
        for arm in it.waves.iter_mut() {
            arm.confirmed = arm.hosts;
        }
        for arm in it.waves.iter_mut().chain([&mut it.controls, &mut it.gauge]) {
            arm.silence = Count::of(0, arm.hosts);
            arm.report = arm.silence;
        }
        for (row, arm) in it.wave_windows.iter_mut().zip(&it.waves) {
            row.clean = arm.hosts;
        }
        it.windows[0].clean = handed;
        it
    };
    let strata = members.arms(state, &core.state.seats, of).strata.into_iter().map(well);
    LineTally {
        schema: 1,
        line: line(),
        operator: of.clone(),
        rollout: rollout.clone(),
        round: due.round,
        generation: due.generation,
        at,
        standing: MemberStanding::Live,
        strata: (0..)
            .zip(strata)
            .map(|(stratum, tally)| MemberStratum { stratum, tally })
            .collect(),
    }
}

fn main() {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<u32>().unwrap());
    let (count, hosts) = (words.next().unwrap_or(1700), words.next().unwrap_or(5000));
    let policy = policy(count as usize, hosts);
    let mut core = Core::default();
    let rollout = begin(&mut core, &policy, hosts);
    let begun = Instant::now();
    for member in &policy.members {
        let state = &core.state.rollouts[&rollout];
        let members = state.members.as_deref().unwrap();
        assert!(members.places(&state.plan, &core.state.seats, &member.operator).is_some());
    }
    println!("places of all      {:>8.3} s", begun.elapsed().as_secs_f64());
    for number in 1..=ROUNDS {
        let now = START.plus(Millis::from_secs(number * 40));
        let state = &core.state.rollouts[&rollout];
        if state.issue_due() {
            let generation = state.exposure.as_ref().unwrap().generation;
            let event = Event::TicketIssued { generation, at: now };
            tell(&mut core, now, &Record::event(&rollout, event));
        }
        let Some(due) = intake::due(&core.state.rollouts[&rollout]) else { break };
        let (mut bytes, mut checked) = (0, 0.0);
        for member in &policy.members {
            let tally = tally(&core, &rollout, due, &member.operator, now);
            let payload = serde_json::to_vec(&tally).unwrap();
            bytes += payload.len() * 4 / 3;
            let begun = Instant::now();
            let digest = Digest::of(&payload);
            intake::take(&mut core, &tally, digest, now).unwrap();
            assert!(core.collected.keep(due, digest, tally));
            checked += begun.elapsed().as_secs_f64();
        }
        let begun = Instant::now();
        let records = round::look(&mut core, now);
        let added = begun.elapsed().as_secs_f64();
        assert_eq!(records.len(), 2, "the observation and its round");
        for record in &records {
            tell(&mut core, now, record);
        }
        let state = &core.state.rollouts[&rollout];
        let handed: u32 = state.handed().iter().sum();
        let waves = state.waves.len();
        println!(
            "round {number:>2}: {waves} waves, {handed:>8} hosts, {:>6.1} MB of tallies; \
             checked in {checked:.3} s, added up in {added:.3} s",
            bytes as f64 / 1e6
        );
    }
}
