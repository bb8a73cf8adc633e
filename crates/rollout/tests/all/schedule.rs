//! Strata that may not change at any time: rings and maintenance windows.
use crate::world::*;
use andon_model::Millis;
use andon_model::eligible::{Schedule, Weekly};
use andon_model::policy::Lane;
use andon_rollout::{Plan, Reason, StateName};

/// The demo's plan in which these strata have a schedule.
fn plan_on(schedules: &[(usize, Schedule)]) -> Plan {
    let (mut plan, _) = plan_with(&policy(&[(0, 100)]), Lane::Routine, &DEMO);
    for (stratum, schedule) in schedules {
        let name = plan.strata[*stratum].stratum.clone();
        plan.terms.schedules.insert(name, schedule.clone());
    }
    plan
}

fn ring(seconds: u64) -> Schedule {
    Schedule { after: Millis::from_secs(seconds), windows: vec![] }
}

fn handed(world: &World) -> Vec<u32> {
    world.rollout.waves().last().map_or(vec![0; DEMO.len()], |wave| wave.to_vec())
}

#[test]
fn a_ring_is_handed_nothing_before_its_time_and_its_first_hosts_are_few() {
    let mut world = World::new(plan_on(&[(1, ring(600))]), Trouble::NONE, 7);
    world.run(599);
    let before = handed(&world);
    assert_eq!((before[0] > 590, before[1], before[2] > 90), (true, 0, true), "{before:?}");
    let told = world.rollout.explain(world.now());
    assert_eq!(told.reason, Reason::OutsideWindow { until: at(600_000) });
    assert_eq!(world.rollout.deadline(), Some(at(600_000)));
    world.run(601);
    // A stratum of which nobody is vouched gets eight, however sure the others are.
    assert_eq!(handed(&world)[1], 8);
    world.run(1200);
    assert_eq!(world.rollout.state(), StateName::Completed);
    assert_eq!(handed(&world), DEMO);
}

#[test]
fn a_fault_of_a_later_ring_alone_stops_at_its_first_hosts() {
    let mut world = World::new(plan_on(&[(1, ring(120))]), Trouble::NONE, 7);
    world.run(119);
    world.fail_stratum(1);
    world.run(400);
    assert_eq!(world.rollout.state(), StateName::Halted);
    assert!(world.crashed() <= 16, "{} crashed", world.crashed());
}

#[test]
fn a_first_wave_waits_until_one_of_its_strata_is_open() {
    let all = [(0, ring(60)), (1, ring(90)), (2, ring(90))];
    let mut world = World::new(plan_on(&all), Trouble::NONE, 7);
    world.run(59);
    assert_eq!(world.rollout.waves().len(), 0);
    let told = world.rollout.explain(world.now());
    assert_eq!(told.reason, Reason::OutsideWindow { until: at(60_000) });
    world.run(61);
    assert_eq!(handed(&world), [16, 0, 0]);
    world.run(900);
    assert_eq!(world.rollout.state(), StateName::Completed);
}

#[test]
fn a_window_that_closes_keeps_back_whoever_was_not_handed_until_it_opens_again() {
    let minute =
        |at: andon_model::Time| u32::try_from((at.0 / 60_000 + 3 * 1440) % 10_080).unwrap();
    // The tests' time begins in minute 16 of 1970: open until minute 17 begins, and a week later.
    let weekly = Weekly { opens_minute: minute(at(0)), open_minutes: 1 };
    let shut = Schedule { after: Millis::ZERO, windows: vec![weekly] };
    let mut world = World::new(plan_on(&[(1, shut)]), Trouble::NONE, 7);
    world.run(19);
    let open = handed(&world)[1];
    assert!(open > 0, "the window was open at the start");
    world.run(300);
    let closed = handed(&world);
    assert!(closed[1] < 300 && closed[0] > 590, "{closed:?}");
    let Reason::OutsideWindow { until } = world.rollout.explain(world.now()).reason else {
        panic!("{:?}", world.rollout.explain(world.now()).reason)
    };
    let week = 7 * 86_400_000;
    assert_eq!(until.0, at(0).0 / 60_000 * 60_000 + week);
}
