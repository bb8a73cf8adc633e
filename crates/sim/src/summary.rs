//! From the outcomes of many runs to the figures that are quoted. Field names are what scripts read.
//!
//! A quantile is the nearest rank: of n sorted figures the one at place ⌈q·n⌉. The 99.9 % quantile
//! (`p999`) of fewer than 1,000 runs is therefore the largest.
use crate::engine::Mode;
use crate::outcome::RunOutcome;
use crate::policy::PolicySpec;
use crate::random::mix;
use crate::scenario::Scenario;
use crate::undetectable;
use serde::Serialize;

/// What `andon simulate --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// the scenario's name
    pub scenario: String,
    /// the policy's name
    pub policy: String,
    /// hosts of the fleet
    pub hosts: u64,
    /// operators that own them
    pub operators: u32,
    /// how often it was played
    pub runs: u64,
    /// the seed
    pub seed: u64,
    /// by counts or host by host
    pub mode: Mode,
    /// hosts that the update crashed
    pub crashed: Hosts,
    /// hosts that got the update
    pub exposed: Hosts,
    /// runs that were halted, and when
    pub halted: Halted,
    /// runs that were halted although nothing was wrong with the update
    pub false_halts: u64,
    /// first activation to 99 % of the online hosts handed out
    pub t99_s: Moment,
    /// first activation to 99 % of the online hosts confirmed
    pub confirmed99_s: Moment,
    /// crashed hosts that need a person
    pub hands: Most,
    /// rules of the policy that were broken, over all runs
    pub violations: u64,
    /// what the policy cannot see on this fleet, in words
    pub undetectable: String,
    /// hosts lost to the attack
    pub infected: Hosts,
    /// parts of the scenario that this engine does not play
    pub not_played: Vec<&'static str>,
    /// hash over every event of every run, in the order of the runs; hexadecimal
    pub trace_hash: String,
    /// time it took, seconds: measured by whoever asked
    pub wall_s: f64,
    /// events played
    pub events: u64,
}

/// Hosts over many runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hosts {
    /// in the middle run
    pub median: u64,
    /// in all but one of a thousand runs at most
    pub p999: u64,
    /// in the worst run
    pub max: u64,
}

/// The halted runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Halted {
    /// how many
    pub count: u64,
    /// first activation to halt, middle one; none if none was halted
    pub median_s: Option<f64>,
    /// the latest
    pub max_s: Option<f64>,
}

/// A moment over those runs that reached it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Moment {
    /// the middle one, seconds; none if no run reached it
    pub median: Option<f64>,
    /// the latest, seconds
    pub max: Option<f64>,
    /// runs that reached it
    pub reached: u64,
}

/// A largest value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Most {
    /// in the worst run
    pub max: u64,
}

/// What was played.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// the scenario as played, with its number of hosts
    pub scenario: &'a Scenario,
    /// the policy
    pub policy: &'a PolicySpec,
    /// the engine
    pub mode: Mode,
    /// the seed
    pub seed: u64,
}

/// Sums up runs, in their order.
#[must_use]
pub fn of(asked: Asked<'_>, outcomes: &[RunOutcome], wall_s: f64) -> Summary {
    let Asked { scenario, policy, mode, seed } = asked;
    let hosts = |figure: fn(&RunOutcome) -> u64| hosts(outcomes.iter().map(figure).collect());
    let sum = |figure: fn(&RunOutcome) -> u64| {
        outcomes.iter().map(figure).fold(0_u64, u64::saturating_add)
    };
    let halts = moment(outcomes.iter().map(|one| one.halted_s));
    Summary {
        scenario: scenario.name.clone(),
        policy: policy.name.clone(),
        hosts: scenario.hosts,
        operators: scenario.operators,
        runs: outcomes.len() as u64,
        seed,
        mode,
        crashed: hosts(|one| one.crashed),
        exposed: hosts(|one| one.exposed),
        halted: Halted { count: halts.reached, median_s: halts.median, max_s: halts.max },
        false_halts: sum(|one| u64::from(one.false_halt)),
        t99_s: moment(outcomes.iter().map(|one| one.t99_s)),
        confirmed99_s: moment(outcomes.iter().map(|one| one.confirmed99_s)),
        hands: Most { max: outcomes.iter().map(|one| one.hands).max().unwrap_or(0) },
        violations: sum(|one| one.violations),
        undetectable: undetectable::text(scenario, policy),
        infected: hosts(|one| one.infected),
        not_played: mode.not_played(scenario),
        trace_hash: format!("{:016x}", trace_hash(outcomes)),
        wall_s,
        events: sum(|one| one.events),
    }
}

/// Every run's hash, in order: swapping two runs changes it.
fn trace_hash(outcomes: &[RunOutcome]) -> u64 {
    outcomes.iter().fold(0, |hash, one| mix(hash ^ mix(one.trace_hash ^ one.events)))
}

/// The place of a quantile among `count` sorted figures: nearest rank, ⌈q·n⌉, in thousandths.
fn rank(permille: usize, count: usize) -> usize {
    (count * permille).div_ceil(1000).clamp(1, count.max(1)) - 1
}

fn hosts(mut figures: Vec<u64>) -> Hosts {
    figures.sort_unstable();
    let at = |permille| figures.get(rank(permille, figures.len())).copied().unwrap_or(0);
    Hosts { median: at(500), p999: at(999), max: at(1000) }
}

fn moment(moments: impl Iterator<Item = Option<f64>>) -> Moment {
    let mut reached: Vec<f64> = moments.flatten().collect();
    reached.sort_by(f64::total_cmp);
    let at = |permille| reached.get(rank(permille, reached.len())).copied();
    Moment { median: at(500), max: at(1000), reached: reached.len() as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    fn run(crashed: u64, halted_s: Option<f64>, hash: u64) -> RunOutcome {
        RunOutcome { crashed, halted_s, trace_hash: hash, events: 1, ..RunOutcome::default() }
    }

    fn summed(outcomes: &[RunOutcome]) -> Summary {
        let scenario = catalogue::scenario("small-50").unwrap();
        let policy = catalogue::policy("all-at-once").unwrap();
        let asked = Asked { scenario: &scenario, policy: &policy, mode: Mode::Counts, seed: 7 };
        of(asked, outcomes, 0.0)
    }

    #[test]
    fn quantiles_are_nearest_ranks() {
        let upto = |n: u64| hosts((1..=n).rev().collect());
        assert_eq!(upto(1), Hosts { median: 1, p999: 1, max: 1 });
        assert_eq!(upto(4), Hosts { median: 2, p999: 4, max: 4 });
        assert_eq!(upto(999), Hosts { median: 500, p999: 999, max: 999 });
        assert_eq!(upto(1000), Hosts { median: 500, p999: 999, max: 1000 });
        assert_eq!(upto(20_000), Hosts { median: 10_000, p999: 19_980, max: 20_000 });
        assert_eq!(upto(0), Hosts::default());
    }

    #[test]
    fn moments_are_of_the_runs_that_got_there() {
        let summary = summed(&[run(3, None, 1), run(1, Some(20.0), 2), run(2, Some(10.0), 3)]);
        let halted = Halted { count: 2, median_s: Some(10.0), max_s: Some(20.0) };
        assert_eq!(summary.halted, halted);
        assert_eq!(summary.t99_s, Moment { median: None, max: None, reached: 0 });
        assert_eq!(summary.crashed, Hosts { median: 2, p999: 3, max: 3 });
    }

    #[test]
    fn the_hash_knows_every_run_and_their_order() {
        let hash = |hashes: &[u64]| {
            let runs: Vec<RunOutcome> = hashes.iter().map(|hash| run(0, None, *hash)).collect();
            summed(&runs).trace_hash
        };
        let all = [hash(&[1, 2]), hash(&[2, 1]), hash(&[1, 3]), hash(&[1]), hash(&[1, 2, 0])];
        assert_eq!(hash(&[1, 2]), all[0]);
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{at}");
        }
    }

    #[test]
    fn field_names_are_those_that_scripts_know() {
        let value = serde_json::to_value(summed(&[run(1, None, 1)])).unwrap();
        let fields = |value: &serde_json::Value| -> Vec<String> {
            value.as_object().unwrap().keys().cloned().collect()
        };
        let promised = [
            "scenario",
            "policy",
            "hosts",
            "operators",
            "runs",
            "seed",
            "mode",
            "crashed",
            "exposed",
            "halted",
            "false_halts",
            "t99_s",
            "confirmed99_s",
            "hands",
            "violations",
            "undetectable",
            "trace_hash",
            "wall_s",
            "events",
        ];
        let there = fields(&value);
        for field in promised {
            assert!(there.contains(&field.to_owned()), "{field} is missing in {there:?}");
        }
        let has = |field: &str, parts: &[&str]| {
            let there = fields(&value[field]);
            assert!(
                parts.iter().all(|part| there.contains(&(*part).to_owned())),
                "{field} {there:?}"
            );
        };
        has("crashed", &["median", "p999", "max"]);
        has("exposed", &["median", "p999", "max"]);
        has("halted", &["count", "median_s", "max_s"]);
        has("t99_s", &["median", "max"]);
        has("confirmed99_s", &["median", "max"]);
        has("hands", &["max"]);
        assert_eq!(value["mode"], "counts");
        assert!(value["halted"]["median_s"].is_null());
    }
}
