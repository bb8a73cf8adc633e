//! The machine, event by event: what it does, and what it refuses to do.
use crate::world::{DEMO, Trouble, World, at, exposures, person, plan, plan_with, policy, well};
use andon_model::policy::Lane;
use andon_model::text::Text;
use andon_model::ticket::Newcomers;
use andon_model::{Digest, Millis, Time};
use andon_rollout::Finding;
use andon_rollout::action::CountRule;
use andon_rollout::gate::Channel;
use andon_rollout::windows;
use andon_rollout::{
    Action, Count, Event, HaltReason, HoldReason, Observation, Reason, Rollout, StateName,
};

fn started() -> Rollout {
    let (mut rollout, actions) = Rollout::start(plan(&DEMO), at(0));
    assert_eq!(exposures(&actions).len(), 1);
    issue(&mut rollout, 1, 0);
    rollout
}

fn issue(rollout: &mut Rollout, generation: u32, ms: u64) -> Vec<Action> {
    rollout.apply(at(ms), Event::TicketIssued { generation, at: at(ms) })
}

fn see_well(rollout: &mut Rollout, ms: u64) -> Vec<Action> {
    let seen = well(rollout, at(ms));
    rollout.apply(at(ms), Event::Observed(seen))
}

fn state(rollout: &Rollout) -> StateName {
    rollout.explain(at(0)).state
}

#[test]
fn first_wave_is_exact_and_goes_to_the_largest_strata() {
    for (sizes, want) in [
        (&[600, 300, 101][..], vec![6, 5, 5]),
        (&[1, 900, 100][..], vec![1, 8, 7]),
        (&[40; 20][..], [vec![1; 16], vec![0; 4]].concat()),
        (&[3, 2, 1][..], vec![2, 1, 1]),
    ] {
        assert_eq!(plan(sizes).first_wave(at(0)), want, "{sizes:?}");
    }
    let tight = plan_with(&policy(&[(0, 5)]), Lane::Routine, &DEMO).0;
    assert_eq!(
        tight.first_wave(at(0)).iter().sum::<u32>(),
        5,
        "the budget is smaller than the wave"
    );
}

#[test]
fn a_plan_without_hosts_says_that_nobody_watches() {
    let (_, report) = plan_with(&policy(&[(0, 100)]), Lane::Routine, &[]);
    let told = report.cannot_see(0);
    assert!(told[0].starts_with("anything: no host is here yet"), "{told:?}");
}

#[test]
fn plan_says_what_the_gate_cannot_see() {
    let (_, report) = plan_with(&policy(&[(0, 100)]), Lane::Routine, &DEMO);
    assert_eq!((report.hosts, report.first_wave, report.holdback), (1001, 16, 15));
    assert_eq!(report.crashes_to_halt, Some(3));
    let (_, small) = plan_with(&policy(&[(0, 100)]), Lane::Routine, &[4]);
    assert!(small.findings.contains(&Finding::FirstWaveCannotHalt), "{small:?}");
    assert!(small.findings.contains(&Finding::BudgetCoversAll { after_ms: 0, hosts: 4 }));
    assert!(small.findings.iter().any(|f| matches!(f, Finding::StratumBlind { size: 4, .. })));
}

#[test]
fn a_rollout_over_no_hosts_completes_at_once_with_newcomers() {
    let (mut rollout, actions) = Rollout::start(plan(&[]), at(0));
    let exposure = exposures(&actions).remove(0);
    assert_eq!((exposure.newcomers, exposure.steps.len()), (Newcomers::Included, 1));
    let actions = issue(&mut rollout, 1, 0);
    assert!(actions.contains(&Action::Complete), "{actions:?}");
    assert_eq!(state(&rollout), StateName::Completed);
}

#[test]
fn small_fleets_complete() {
    for sizes in [&[1][..], &[2], &[1, 1, 1], &[3, 700], &[17]] {
        let mut world = World::new(plan(sizes), Trouble::NONE, 4);
        world.run(200);
        let explained = world.rollout.explain(world.now());
        assert_eq!(
            explained.state,
            StateName::Completed,
            "{sizes:?}: {:?} {:?}",
            explained.reason,
            explained.evidence
        );
        assert_eq!(explained.handed, explained.hosts);
    }
}

#[test]
fn emergency_needs_two_people() {
    let plan = plan_with(&policy(&[(0, 100)]), Lane::Emergency, &DEMO).0;
    let (mut rollout, actions) = Rollout::start(plan, at(0));
    assert_eq!(actions, [Action::AskApproval { missing: 2 }]);
    let approve = |name| Event::ApprovalGranted { person: person(name) };
    for _ in 0..3 {
        let actions = rollout.apply(at(1), approve("ada"));
        assert_eq!(actions, [Action::AskApproval { missing: 1 }], "one person counts once");
    }
    let held = Event::Held { by: person("ada"), reason: Text::default() };
    rollout.apply(at(2), held);
    let actions = rollout.apply(at(3), Event::Resumed { by: person("ada") });
    assert!(exposures(&actions).is_empty(), "resuming is no approval");
    assert_eq!(exposures(&rollout.apply(at(4), approve("bob"))).len(), 1);
}

#[test]
fn widening_waits_for_ticket_soak_and_a_fresh_observation() {
    let (mut rollout, _) = Rollout::start(plan(&DEMO), at(0));
    let reason = |rollout: &Rollout, ms| rollout.explain(at(ms)).reason;
    assert_eq!(reason(&rollout, 0), Reason::TicketPending { generation: 1 });
    assert!(see_well(&mut rollout, 20_000).is_empty(), "the ticket is still being issued");
    issue(&mut rollout, 1, 20_000);
    assert!(matches!(reason(&rollout, 20_000), Reason::ObservationMissing { .. }));
    assert!(see_well(&mut rollout, 27_999).is_empty());
    assert_eq!(reason(&rollout, 27_999), Reason::Soaking { until: at(28_000) });
    assert_eq!(rollout.deadline(), Some(at(28_000)));
    let widened = exposures(&see_well(&mut rollout, 28_000)).remove(0);
    assert_eq!((widened.generation, widened.steps.len()), (2, 2));
    assert!(widened.steps[1].handed * 1000 <= 16 * 15_500);
    assert!(see_well(&mut rollout, 60_000).is_empty(), "one ticket at a time");
}

/// Hosts whose window has not quite passed are late, not absent: a second handful of canaries would cost
/// a generation and tell nothing that the first does not tell a moment later.
#[test]
fn late_canaries_are_awaited_before_others_are_sent() {
    let mut rollout = started();
    let unsettled = |rollout: &Rollout, second: u64| {
        let mut seen = well(rollout, at(second * 1000));
        windows::by_wave(rollout, at(second * 1000), &mut seen);
        seen.strata.iter_mut().flat_map(|s| &mut s.windows).for_each(|window| {
            (window.clean, window.at_risk) = (window.clean / 4, window.at_risk + window.clean);
        });
        seen
    };
    for second in 1..16 {
        let actions =
            rollout.apply(at(second * 1000), Event::Observed(unsettled(&rollout, second)));
        assert!(exposures(&actions).is_empty(), "after {second} s");
    }
    let widened = exposures(&see_well(&mut rollout, 16_000)).remove(0);
    assert!(widened.steps[1].handed > 100, "{}", widened.steps[1].handed);
}

/// Confirmed hosts that died after their last beat look well until silence has had time to show.
#[test]
fn nobody_is_clean_before_silence_would_have_shown() {
    let rollout = started();
    let clean = |ms: u64| {
        let mut seen = well(&rollout, at(ms));
        seen.strata.iter_mut().flat_map(|s| &mut s.waves).for_each(|w| w.confirmed = w.hosts);
        windows::by_wave(&rollout, at(ms), &mut seen);
        seen.strata.iter().flat_map(|s| &s.windows).map(|window| window.clean).sum::<u32>()
    };
    // Delivery, load and soak take 4 s; a host is silent after 4 s more.
    assert_eq!([4000, 7999, 8000].map(clean), [0, 0, 16]);
}

#[test]
fn nobody_confirmed_means_no_growth_beyond_the_budget() {
    let mut rollout = started();
    for second in 1..400_u64 {
        let mut seen = well(&rollout, at(second * 1000));
        seen.strata.iter_mut().flat_map(|s| &mut s.waves).for_each(|wave| wave.confirmed = 0);
        windows::by_wave(&rollout, at(second * 1000), &mut seen);
        let actions = rollout.apply(at(second * 1000), Event::Observed(seen));
        if let Some(exposure) = exposures(&actions).pop() {
            issue(&mut rollout, exposure.generation, second * 1000);
        }
    }
    let explained = rollout.explain(at(400_000));
    assert!(explained.handed <= 100, "{} handed", explained.handed);
    assert_eq!(explained.state, StateName::Exposing);
    assert_eq!(explained.reason, Reason::NobodyVouched);
}

type Spoil = fn(&mut Observation);

#[test]
fn doubt_holds_and_resuming_goes_on() {
    let counts = |rule| move |reason: &HoldReason| matches!(reason, HoldReason::CountsDoNotAddUp { rule: got, .. } if *got == rule);
    type Wanted = Box<dyn Fn(&HoldReason) -> bool>;
    let cases: Vec<(Spoil, Wanted)> = vec![
        (|o| o.strata.clear(), Box::new(|r| matches!(r, HoldReason::StrataMissing { .. }))),
        (
            |o| drop(o.strata.pop()),
            Box::new(|r| matches!(r, HoldReason::StrataMissing { got: 2, want: 3 })),
        ),
        (
            |o| o.strata[1].waves.clear(),
            Box::new(|r| matches!(r, HoldReason::WavesMissing { got: 0, want: 1, .. })),
        ),
        (
            |o| o.strata[0].waves[0].silence = Count::of(3, 2),
            Box::new(counts(CountRule::NewWithinAtRisk)),
        ),
        (
            |o| o.strata[0].controls.probe = Count::of(0, u32::MAX),
            Box::new(counts(CountRule::AtRiskWithinHosts)),
        ),
        (|o| o.strata[2].waves[0].hosts = 7, Box::new(counts(CountRule::HostsWithinHanded))),
        (|o| o.strata[2].waves[0].hosts = 1, Box::new(counts(CountRule::HostsWithinHanded))),
        (|o| o.strata[0].controls.hosts += 1, Box::new(counts(CountRule::HostsWithinHanded))),
        (|o| o.strata[0].waves[0].confirmed = 99, Box::new(counts(CountRule::OutcomesWithinHosts))),
        (|o| o.strata[0].waves[0].bad_new = 1, Box::new(counts(CountRule::BadWithinChannels))),
    ];
    for (number, (spoil, wanted)) in cases.into_iter().enumerate() {
        let mut rollout = started();
        let mut seen = well(&rollout, at(8000));
        spoil(&mut seen);
        let actions = rollout.apply(at(8000), Event::Observed(seen));
        assert_eq!(actions[0], Action::Withdraw, "case {number}");
        let Reason::Held(reason) = rollout.explain(at(8000)).reason else {
            panic!("case {number} does not hold")
        };
        assert!(wanted(&reason), "case {number}: {reason:?}");
        assert!(see_well(&mut rollout, 9000).is_empty(), "case {number}: held means held");
        rollout.apply(at(9000), Event::Resumed { by: person("ada") });
        assert_eq!(exposures(&see_well(&mut rollout, 9001)).len(), 1, "case {number}");
    }
}

#[test]
fn clock_backwards_holds_and_never_shortens_a_soak() {
    let mut rollout = started();
    see_well(&mut rollout, 5000);
    assert!(see_well(&mut rollout, 4500).is_empty(), "half a beat is ordinary");
    assert_eq!(state(&rollout), StateName::Exposing);
    let actions = see_well(&mut rollout, 1000);
    assert_eq!(actions[0], Action::Withdraw);
    let reason = rollout.explain(at(5000)).reason;
    assert_eq!(reason, Reason::Held(HoldReason::ClockBackwards { back: Millis(4000) }));
}

#[test]
fn unknown_tickets_and_failed_actions_hold() {
    let mut rollout = started();
    assert!(issue(&mut rollout, 1, 10).is_empty(), "told twice is harmless");
    assert_eq!(state(&rollout), StateName::Exposing);
    issue(&mut rollout, 9, 10);
    assert_eq!(
        rollout.explain(at(10)).reason,
        Reason::Held(HoldReason::UnknownTicket { generation: 9 })
    );

    let (mut rollout, actions) = Rollout::start(plan(&DEMO), at(0));
    let what = Text::clipped("sign ticket");
    rollout.apply(at(1), Event::ActionFailed { generation: 1, what });
    assert_eq!(state(&rollout), StateName::Held);
    let again = rollout.apply(at(2), Event::Resumed { by: person("ada") });
    assert_eq!(exposures(&again), exposures(&actions), "the same ticket is asked for again");
    assert_eq!(exposures(&rollout.pending()), exposures(&actions));
}

#[test]
fn no_new_exposure_after_halt() {
    let ends: [Event; 2] = [
        Event::HaltedByPerson { by: person("ada"), reason: Text::default() },
        Event::Frozen { by: "vendor acme".to_owned(), digest: Digest::of(b"freeze") },
    ];
    for end in ends {
        let mut rollout = started();
        let actions = rollout.apply(at(8000), end.clone());
        assert!(matches!(actions[0], Action::Freeze { .. }), "{actions:?}");
        rollout.apply(at(8000), Event::Resumed { by: person("ada") });
        rollout.apply(at(8000), Event::Started);
        rollout.apply(at(8000), Event::ApprovalGranted { person: person("bob") });
        for second in 9..60 {
            assert!(see_well(&mut rollout, second * 1000).is_empty(), "{end:?}");
        }
        assert_eq!(state(&rollout), StateName::Halted);
    }
}

#[test]
fn a_ticket_that_crossed_with_the_halt_is_withdrawn_too() {
    let (mut rollout, _) = Rollout::start(plan(&DEMO), at(0));
    rollout.apply(at(1), Event::HaltedByPerson { by: person("ada"), reason: Text::default() });
    let actions = issue(&mut rollout, 1, 2);
    assert!(
        matches!(&actions[..], [Action::Freeze { reason: HaltReason::Person { .. } }]),
        "{actions:?}"
    );
}

#[test]
fn doubt_asks_again_with_doubling_probes_in_the_suspicious_stratum() {
    let mut rollout = started();
    let mut seen = well(&rollout, at(5000));
    let wave = &mut seen.strata[1].waves[0];
    (wave.silence.new, wave.bad_new, wave.confirmed) = (2, 2, wave.hosts - 2);
    windows::by_wave(&rollout, at(5000), &mut seen);
    let bad = rollout.apply(at(5000), Event::Observed(seen));
    assert!(bad.is_empty(), "two silent canaries are suspicious, no proof: {bad:?}");
    let e = rollout.explain(at(5000)).evidence.e;
    assert!(e > 30.0 && e < 1000.0, "E = {e}");
    let mut second = 8;
    for want in [8, 16, 32] {
        let before = rollout.waves().last().unwrap().to_vec();
        let exposure = exposures(&see_well(&mut rollout, second * 1000)).remove(0);
        let more: Vec<u32> = exposure.handed.iter().zip(before).map(|(a, b)| a - b).collect();
        assert_eq!(more, [0, want, 0]);
        issue(&mut rollout, exposure.generation, second * 1000);
        second += 8;
    }
}

#[test]
fn unsound_plans_hold_for_good() {
    let mut broken = plan(&DEMO);
    broken.strata[0].holdback = broken.strata[0].size;
    let (mut rollout, actions) = Rollout::start(broken, at(0));
    assert_eq!(actions[0], Action::Withdraw);
    let actions = rollout.apply(at(1), Event::Resumed { by: person("ada") });
    assert!(exposures(&actions).is_empty());
    assert_eq!(rollout.explain(at(1)).reason, Reason::Held(HoldReason::PlanUnsound));
}

#[test]
fn replay_gives_same_actions() {
    for (trouble, seed) in [
        (Trouble::NONE, 1),
        (Trouble { q: 1.0, mute: 0.5, ..Trouble::NONE }, 2),
        (Trouble { q: 0.02, mute: 0.5, outage: Some((9, 0.05)), ..Trouble::NONE }, 3),
    ] {
        let mut world = World::new(plan(&DEMO), trouble, seed);
        world.run(80);
        let text = serde_json::to_string(&world.journal).unwrap();
        let journal: Vec<(Time, Event)> = serde_json::from_str(&text).unwrap();
        let plan = serde_json::to_vec(world.rollout.plan()).unwrap();
        let plan = serde_json::from_slice(&plan).unwrap();
        let again = Rollout::replay(plan, &journal);
        let (was, is) = (world.rollout.explain(world.now()), again.explain(world.now()));
        assert_eq!(serde_json::to_string(&was).unwrap(), serde_json::to_string(&is).unwrap());
        let (mut again, first) = Rollout::start(world.rollout.plan().clone(), at(0));
        let mut actions = vec![first];
        actions.extend(journal[1..].iter().map(|(now, event)| again.apply(*now, event.clone())));
        assert_eq!(actions, world.actions);
    }
}

#[test]
fn explanations_and_evidence_survive_json() {
    let mut world = World::new(plan(&DEMO), Trouble { q: 1.0, ..Trouble::NONE }, 2);
    world.run(20);
    let explained = world.rollout.explain(world.now());
    let text = serde_json::to_string(&explained).unwrap();
    assert_eq!(serde_json::from_str::<andon_rollout::Explanation>(&text).unwrap(), explained);
    assert!(text.contains(r#""why":"halted","halt":"gate""#), "{text}");
    assert_eq!(explained.next[0], "andon why rollout r1");
    assert!(explained.halted_after_s.unwrap() <= 8.0);
    assert_eq!(explained.evidence.strata.iter().map(|s| s.x).sum::<u64>(), 16);
}

#[test]
fn failing_probes_alone_halt() {
    let mut rollout = started();
    let mut seen = well(&rollout, at(3000));
    for stratum in &mut seen.strata {
        let wave = &mut stratum.waves[0];
        (wave.probe.new, wave.bad_new) = (wave.hosts, wave.hosts);
    }
    let actions = rollout.apply(at(3000), Event::Observed(seen));
    let Action::Freeze { reason: HaltReason::Gate { channel, .. } } = &actions[0] else {
        panic!("{actions:?}")
    };
    assert_eq!(*channel, Channel::Probe);
}

/// Hosts refuse a ticket that grows faster, or sooner, than the policy allows: so never ask for one.
#[test]
fn tickets_keep_the_pace_that_hosts_check() {
    let mut slow = policy(&[(0, 100)]);
    slow.routine.growth_max_permille = 1700;
    slow.routine.soak_min = Millis(20_000);
    let mut world = World::new(plan_with(&slow, Lane::Routine, &DEMO).0, Trouble::NONE, 1);
    world.run(400);
    let steps = world.rollout.steps();
    assert_eq!(steps.last().map(|step| step.handed), Some(1001), "{steps:?}");
    for pair in steps.windows(2) {
        assert!(pair[1].handed * 1000 <= pair[0].handed * 1700, "{pair:?}");
        assert!(pair[1].at.since(pair[0].at) >= Millis(20_000), "{pair:?}");
    }
}

/// Evidence goes on being read while on hold: a hold must not hide a disaster.
#[test]
fn a_held_rollout_still_halts() {
    let mut rollout = started();
    rollout.apply(at(1000), Event::Held { by: person("ada"), reason: Text::default() });
    let mut seen = well(&rollout, at(3000));
    for stratum in &mut seen.strata {
        let wave = &mut stratum.waves[0];
        (wave.report.new, wave.bad_new) = (wave.hosts, wave.hosts);
    }
    let actions = rollout.apply(at(3000), Event::Observed(seen));
    assert!(matches!(actions[0], Action::Freeze { .. }), "{actions:?}");
}
