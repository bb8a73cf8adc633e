//! The promised figures at 8.5 million hosts, a few runs of each: `docs/benchmarks.md` has them with many.
#![expect(clippy::unwrap_used, reason = "a test stops where it is wrong")]
use andon_rollout::Finding;
use andon_sim::engine::{self, Mode};
use andon_sim::outcome::RunOutcome;
use andon_sim::policy::Kind;
use andon_sim::runs::Runs;
use andon_sim::{andon, catalogue};

fn play(scenario: &str, policy: &str, runs: u64) -> Vec<RunOutcome> {
    let scenario = catalogue::scenario(scenario).unwrap();
    let policy = catalogue::policy(policy).unwrap();
    Runs { scenario: &scenario, policy: &policy, mode: Mode::Counts, seed: 1, runs, threads: 2 }
        .play(&|_| {})
}

fn longest(outcomes: &[RunOutcome]) -> f64 {
    outcomes.iter().map(|out| out.t99_s.unwrap_or(f64::INFINITY)).fold(0.0, f64::max)
}

fn most_crashed(outcomes: &[RunOutcome]) -> u64 {
    outcomes.iter().map(|out| out.crashed).max().unwrap()
}

#[test]
fn a_good_update_reaches_everybody_in_seven_minutes() {
    let quiet = longest(&play("good", "andon", 8));
    assert!(quiet <= 426.0, "{quiet} s");
    let outage = longest(&play("good-outage-5pct", "andon", 8));
    assert!(outage <= 1.25 * 426.0, "{outage} s");
}

#[test]
fn july_2024_crashes_sixteen_and_is_halted_in_half_a_minute() {
    for out in play("july-2024", "andon", 8) {
        assert_eq!(out.crashed, 16);
        assert!(out.halted_s.is_some_and(|after| after <= 30.0), "{:?}", out.halted_s);
    }
}

#[test]
fn no_failure_rate_crashes_more_than_the_budget() {
    assert!(most_crashed(&play("law", "andon", 100)) <= 100);
}

#[test]
fn a_ten_minute_horizon_reaches_everybody_in_25_minutes() {
    let after = longest(&play("good", "andon-10min-8500", 2));
    assert!(after <= 1500.0, "{after} s");
}

#[test]
fn what_sleeps_for_ten_minutes_stays_within_its_budget() {
    assert!(most_crashed(&play("sleeper-10min", "andon-10min-8500", 2)) <= 8500);
    assert!(most_crashed(&play("sleeper-10min", "andon-10min-850", 2)) <= 850);
}

/// A small fleet under a budget of one host, on a day without chance: the plan says how long it takes.
#[test]
fn a_slow_rollout_takes_what_its_plan_says() {
    let mut scenario = catalogue::scenario("good").unwrap();
    (scenario.hosts, scenario.operators, scenario.strata.count) = (200, 1, 1);
    (scenario.background_per_h, scenario.ends_s) = (0.0, 200_000.0);
    let policy = catalogue::policy("andon-routine").unwrap();
    let Kind::Andon(numbers) = &policy.kind else { panic!("not ours") };
    let report = andon::report(numbers, &scenario.sizes());
    let slow = report.findings.iter().find_map(|finding| match finding {
        Finding::Slow { takes_at_least_ms, .. } => Some(*takes_at_least_ms as f64 / 1000.0),
        _ => None,
    });
    let out = engine::play(&scenario, &policy, Mode::Counts, 1, 0, false);
    let (slow, took) = (slow.unwrap(), out.t99_s.unwrap());
    assert!(took >= slow && took <= 1.5 * slow, "{took} s, and {slow} s were said");
}
