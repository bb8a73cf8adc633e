//! The one place where a scenario, a policy and an engine meet. What happens in a run is the engine's,
//! what is decided the controller's.
use crate::andon::Andon;
use crate::controller::Controller;
use crate::outcome::RunOutcome;
use crate::peers::Peer;
use crate::policy::{Kind, PolicySpec};
use crate::random::mix;
use crate::scenario::{Attack, Scenario};
use crate::{counts, individual, operators};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::Range;

/// How a run is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// by counts per stratum: fast
    #[default]
    Counts,
    /// host by host, each with the production machine
    Individual,
}

type Engine = fn(&Scenario, &mut dyn Controller, u64, u64, bool) -> RunOutcome;

impl Mode {
    fn engine(self) -> Engine {
        match self {
            Mode::Counts => counts::run,
            Mode::Individual => individual::run,
        }
    }

    /// Its word on the command line and in results.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Mode::Counts => "counts",
            Mode::Individual => "individual",
        }
    }

    /// Parts of the scenario that this engine leaves out, in words: none. Every part is named here, so
    /// that a new one does not compile before somebody has said who plays it.
    #[must_use]
    pub fn not_played(self, scenario: &Scenario) -> Vec<&'static str> {
        let Scenario {
            name: _,
            about: _,
            hosts: _,
            operators: _,
            vendor_line: _,
            strata: _,
            background_per_h: _,
            delivery: _,
            fault: _,
            outages: _,
            presence: _,
            healing: _,
            attack: _,
            theft: _,
            ends_s: _,
        } = scenario;
        Vec::new()
    }
}

/// A run and, if a trace was asked for and the policy is Andon's, its journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Played {
    /// what came of it
    pub outcome: RunOutcome,
    /// JSON lines for `andon replay`: the plan, then every event with its time
    pub journal: Vec<String>,
}

/// Plays one run.
#[must_use]
pub fn play(
    scenario: &Scenario,
    policy: &PolicySpec,
    mode: Mode,
    seed: u64,
    run: u64,
    trace: bool,
) -> RunOutcome {
    played(scenario, policy, mode, seed, run, trace).outcome
}

/// Plays one run and keeps the journal. Hosts without a vendor line play one line per operator.
#[must_use]
pub fn played(
    scenario: &Scenario,
    policy: &PolicySpec,
    mode: Mode,
    seed: u64,
    run: u64,
    trace: bool,
) -> Played {
    let scenario = under(scenario, policy);
    if scenario.vendor_line || scenario.operators < 2 {
        return line(&scenario, policy, mode, seed, run, trace);
    }
    let sizes = operators::sizes(scenario.hosts, scenario.operators);
    let mut before = 0;
    let one = |(at, hosts): (u64, &u64)| {
        // The place in the order takes part in the seed: no two operators live the same day.
        let theirs = before..before + hosts;
        before = theirs.end;
        let attack = scenario.attack.map(|it| part_of(it, theirs, scenario.hosts));
        let own = Scenario {
            hosts: *hosts,
            operators: 1,
            vendor_line: true,
            attack,
            ..(*scenario).clone()
        };
        line(&own, policy, mode, mix(seed ^ mix(at)), run, false).outcome
    };
    let outcomes: Vec<RunOutcome> = (0..).zip(&sizes).map(one).collect();
    Played { outcome: together(&outcomes, &sizes), journal: Vec::new() }
}

/// The attack as it begins among these of all hosts: a worm's first hosts are theirs by their share.
fn part_of(attack: Attack, own: Range<u64>, all: u64) -> Attack {
    let Attack::Spreads { per_min, infected } = attack else { return attack };
    // Differences of rounded sums: over all parts they add up exactly. Far below 2^128.
    let upto = |hosts: u64| u128::from(infected) * u128::from(hosts) / u128::from(all.max(1));
    let infected = u64::try_from(upto(own.end) - upto(own.start)).unwrap_or(infected);
    Attack::Spreads { per_min, infected }
}

/// The scenario as it goes under this policy. One that takes days plays for days: whoever comes late is
/// not spared by the end of the film. Hosts without a fallback of their own stay where they crashed.
fn under<'a>(scenario: &'a Scenario, policy: &PolicySpec) -> Cow<'a, Scenario> {
    let mut own = Cow::Borrowed(scenario);
    let needs_s = match policy.kind.lasts_s() {
        lasts_s if lasts_s > 0.0 => lasts_s + 7_200.0,
        _ => 0.0,
    };
    if needs_s > scenario.ends_s {
        own.to_mut().ends_s = needs_s;
    }
    if !policy.hosts_fall_back {
        own.to_mut().healing.share = 0.0;
    }
    own
}

fn line(
    scenario: &Scenario,
    policy: &PolicySpec,
    mode: Mode,
    seed: u64,
    run: u64,
    trace: bool,
) -> Played {
    let sizes = scenario.sizes();
    let engine = mode.engine();
    if let Some(mut peer) = Peer::new(&policy.kind, &sizes) {
        let outcome = engine(scenario, &mut peer, seed, run, trace);
        return Played { outcome, journal: Vec::new() };
    }
    let Kind::Andon(numbers) = &policy.kind else {
        unreachable!("every other kind has a peer");
    };
    let mut andon = Andon::new(numbers, &sizes, mix(seed ^ mix(run)));
    if trace {
        andon = andon.recorded();
    }
    let outcome = engine(scenario, &mut andon, seed, run, trace);
    let journal = if trace { journal(&andon) } else { Vec::new() };
    Played { outcome, journal }
}

/// The plan, then every event with its time, one JSON document per line.
fn journal(andon: &Andon) -> Vec<String> {
    let plan = serde_json::to_string(andon.rollout().plan());
    let events = andon.journal().iter().map(serde_json::to_string);
    // Strings, numbers and lists: nothing in them can fail to be written.
    std::iter::once(plan).chain(events).filter_map(Result::ok).collect()
}

/// Lines that played apart, as one outcome: counts add up; 99 % of the hosts had it when lines with 99 %
/// of them had it; the last halt is the halt.
fn together(outcomes: &[RunOutcome], sizes: &[u64]) -> RunOutcome {
    let mut all = RunOutcome::default();
    for one in outcomes {
        all.crashed += one.crashed;
        all.exposed += one.exposed;
        all.handed += one.handed;
        all.hands += one.hands;
        all.violations += one.violations;
        all.infected += one.infected;
        all.events += one.events;
        all.false_halt |= one.false_halt;
        all.halted_s = [all.halted_s, one.halted_s].into_iter().flatten().reduce(f64::max);
        all.trace_hash = mix(all.trace_hash ^ one.trace_hash);
    }
    all.t99_s = most(outcomes.iter().map(|one| one.t99_s), sizes);
    all.confirmed99_s = most(outcomes.iter().map(|one| one.confirmed99_s), sizes);
    all
}

/// When lines with 99 % of the hosts had got there.
fn most(moments: impl Iterator<Item = Option<f64>>, sizes: &[u64]) -> Option<f64> {
    let mut reached: Vec<(f64, u64)> =
        moments.zip(sizes).filter_map(|(at, hosts)| Some((at?, *hosts))).collect();
    reached.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all: u64 = sizes.iter().sum();
    let mut so_far = 0;
    reached.into_iter().find_map(|(at, hosts)| {
        so_far += hosts;
        (so_far * 100 >= all * 99).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    fn july(vendor_line: bool) -> Scenario {
        let it = catalogue::scenario("july-2024").unwrap();
        Scenario { hosts: 20_000, operators: 20, vendor_line, ..it }
    }

    #[test]
    fn every_operator_alone_pays_for_what_one_line_pays_once() {
        let policy = catalogue::policy("andon").unwrap();
        let run = |vendor_line| play(&july(vendor_line), &policy, Mode::Counts, 1, 0, false);
        let (one, alone) = (run(true), run(false));
        assert_eq!((one.crashed, one.halted_s.is_some()), (16, true));
        assert!((160..=320).contains(&alone.crashed), "{}", alone.crashed);
        assert_eq!(run(false), alone);
    }

    /// The worm's first hosts are shared out among the operators, not given to each of them anew.
    #[test]
    fn a_worm_begins_with_as_many_hosts_however_many_lines_there_are() {
        let attack = Some(Attack::Spreads { per_min: 0.0, infected: 1001 });
        let policy = catalogue::policy("andon").unwrap();
        for (vendor_line, mode) in
            [(true, Mode::Counts), (false, Mode::Counts), (false, Mode::Individual)]
        {
            let worm = Scenario { fault: None, attack, ends_s: 60.0, ..july(vendor_line) };
            assert_eq!(play(&worm, &policy, mode, 1, 0, false).infected, 1001);
        }
    }

    #[test]
    fn slow_policies_play_to_their_end_and_hosts_without_a_fallback_wait_for_a_person() {
        let good = Scenario { fault: None, ..july(true) };
        let rings = catalogue::policy("rings-24h").unwrap();
        let out = play(&good, &rings, Mode::Counts, 1, 0, false);
        assert!(out.t99_s.is_some_and(|at| at >= 172_800.0), "{:?}", out.t99_s);
        let hands = |policy: &str| {
            let policy = catalogue::policy(policy).unwrap();
            let out = play(&july(true), &policy, Mode::Counts, 1, 0, false);
            (out.crashed, out.hands)
        };
        let (crashed, hands_then) = hands("all-at-once");
        assert!(crashed > 19_900 && hands_then == crashed, "{crashed} {hands_then}");
        assert_eq!(hands("hawkbit").1, 0);
    }

    /// That they do play them is for tests/engines.rs.
    #[test]
    fn both_engines_play_every_part_of_every_scenario() {
        for (name, _) in catalogue::SCENARIOS {
            let scenario = catalogue::scenario(name).unwrap();
            for mode in [Mode::Counts, Mode::Individual] {
                assert!(mode.not_played(&scenario).is_empty(), "{name} {}", mode.word());
            }
        }
    }

    #[test]
    fn moments_of_lines_apart_are_when_99_percent_of_the_hosts_got_there() {
        let at = |moments: &[Option<f64>], sizes: &[u64]| most(moments.iter().copied(), sizes);
        assert_eq!(at(&[Some(9.0), Some(5.0), None], &[98, 1, 1]), Some(9.0));
        assert_eq!(at(&[Some(9.0), None], &[98, 2]), None);
        assert_eq!(at(&[Some(1.0), Some(7.0), Some(3.0)], &[50, 1, 49]), Some(3.0));
    }
}
