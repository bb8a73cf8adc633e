//! The gate's promises, host by host: it halts what is bad, on silence alone if need be, and does
//! not halt what is good.

use crate::world::{DEMO, Trouble, World, plan, plan_with, policy};
use andon_model::Millis;
use andon_model::policy::Lane;
use andon_rollout::action::HaltReason;
use andon_rollout::gate::Channel;
use andon_rollout::{Reason, StateName};

fn halts(trouble: Trouble, seed: u64) -> World {
    let mut world = World::new(plan(&DEMO), trouble, seed);
    world.run(120);
    world
}

#[test]
fn a_good_update_reaches_everybody_in_three_generations_and_the_holdback_last() {
    let mut world = World::new(plan(&DEMO), Trouble::NONE, 1);
    let mut story = Vec::new();
    while !world.rollout.ended() && world.tick < 120 {
        world.step();
        let handed = world.rollout.explain(world.now()).handed;
        if story.last().is_none_or(|(_, last)| *last != handed) {
            story.push((world.tick, handed));
        }
    }
    let explained = world.rollout.explain(world.now());
    assert_eq!(explained.state, StateName::Completed, "{:?}", explained.reason);
    assert_eq!(explained.confirmed, 1001);
    let handed: Vec<u64> = story.iter().map(|(_, handed)| *handed).collect();
    assert_eq!((handed.len(), handed[0], handed[2], handed[3]), (4, 16, 986, 1001), "{story:?}");
    assert!((230..=248).contains(&handed[1]), "{story:?}");
    assert!(story[3].0 <= 25, "{story:?}");
}

#[test]
fn silence_counts_as_evidence() {
    for mute in [1.0, 0.5] {
        for seed in 0..5 {
            let world = halts(Trouble { q: 1.0, mute, ..Trouble::NONE }, seed);
            let explained = world.rollout.explain(world.now());
            assert_eq!(explained.state, StateName::Halted, "mute {mute} seed {seed}");
            assert!(world.crashed() <= 16, "{} crashed", world.crashed());
            assert!(world.tick <= 8, "halted after {} s", world.tick);
            let Reason::Halted(HaltReason::Gate { e, threshold, channel, .. }) = explained.reason
            else {
                panic!("{:?}", explained.reason)
            };
            assert!(e >= threshold);
            assert_eq!(channel == Channel::Silence, mute > 0.9);
        }
    }
}

/// Half of the canaries fall silent and nobody reports: the silence channel alone must do.
#[test]
fn half_of_the_canaries_silent_and_no_reports_halts() {
    for seed in 0..10 {
        let world = halts(Trouble { q: 0.5, mute: 1.0, ..Trouble::NONE }, seed);
        let explained = world.rollout.explain(world.now());
        assert_eq!(explained.state, StateName::Halted, "seed {seed}: {:?}", explained.reason);
        assert!(world.crashed() <= 100, "seed {seed}: {} crashed", world.crashed());
    }
}

#[test]
fn reports_alone_halt_within_two_ticks() {
    let world = halts(Trouble { q: 1.0, ..Trouble::NONE }, 3);
    assert!(world.tick <= 2 && world.crashed() == 16, "{} s", world.tick);
}

#[test]
fn a_fault_that_shows_late_still_halts_while_controls_are_left() {
    let trouble = Trouble { q: 1.0, late: 14, ..Trouble::NONE };
    let policy = policy(&[(0, 100), (20_000, 200)]);
    let plan = plan_with(&policy, Lane::Routine, &DEMO).0;
    let mut world = World::new(plan, trouble, 5);
    world.run(300);
    assert_eq!(world.rollout.explain(world.now()).state, StateName::Halted);
    assert!(world.crashed() <= 200, "{} crashed", world.crashed());
}

fn false_halts(runs: u64, controls_slower: u64) -> u64 {
    let mut halted = 0;
    for seed in 0..runs {
        // The outage strikes at another moment of the rollout in every run.
        let outage = Some((1 + seed % 20, 0.05));
        let trouble = Trouble { outage, controls_slower, ..Trouble::NONE };
        let mut world = World::new(plan(&[300, 150, 50]), trouble, 1000 + seed);
        world.run(60);
        let state = world.rollout.explain(world.now()).state;
        halted += u64::from(state == StateName::Halted);
    }
    halted
}

/// Named for what makes it true: `watch::first_silences` gives both arms the same patience.
#[test]
fn a_common_outage_halts_no_good_update_while_both_arms_are_watched_alike() {
    assert_eq!(false_halts(300, 1), 0);
}

#[test]
fn controls_observed_more_slowly_halt_good_updates() {
    let halted = false_halts(60, 3);
    assert!(halted >= 10, "only {halted} of 60: this test no longer shows why symmetry matters");
}

#[test]
fn a_good_update_with_an_outage_still_completes() {
    let trouble = Trouble { outage: Some((5, 0.05)), ..Trouble::NONE };
    let mut world = World::new(plan(&DEMO), trouble, 9);
    world.run(300);
    let explained = world.rollout.explain(world.now());
    assert_eq!(explained.state, StateName::Completed, "{:?}", explained.reason);
    assert!(explained.completed_after_s.unwrap() <= Millis::from_secs(130).as_secs_f64());
}
