//! The one place where a scenario, a policy and an engine meet. What happens in a run is the engine's,
//! what is decided the controller's.
use crate::andon::Andon;
use crate::controller::Controller;
use crate::outcome::RunOutcome;
use crate::peers::Peer;
use crate::policy::{Kind, PolicySpec};
use crate::random::mix;
use crate::scenario::Scenario;
use crate::{counts, individual, operators};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

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

    /// Parts of the scenario that this engine leaves out, in words.
    #[must_use]
    pub fn not_played(self, scenario: &Scenario) -> Vec<&'static str> {
        if self == Mode::Individual {
            return Vec::new();
        }
        let presence = &scenario.presence;
        let parts = [
            (scenario.attack.is_some(), "attack"),
            (scenario.theft.is_some(), "theft"),
            (presence.wakes_per_h > 0.0, "sleeping hosts that wake"),
            (presence.clock_skew_s > 0.0, "clock skew"),
        ];
        parts.iter().filter(|(there, _)| *there).map(|(_, word)| *word).collect()
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
    let long_enough = patient(scenario, policy);
    if scenario.vendor_line || scenario.operators < 2 {
        return line(&long_enough, policy, mode, seed, run, trace);
    }
    let sizes = operators::sizes(scenario.hosts, scenario.operators);
    let one = |(at, hosts): (u64, &u64)| {
        // The place in the order takes part in the seed: no two operators live the same day.
        let own =
            Scenario { hosts: *hosts, operators: 1, vendor_line: true, ..(*long_enough).clone() };
        line(&own, policy, mode, mix(seed ^ mix(at)), run, false).outcome
    };
    let outcomes: Vec<RunOutcome> = (0..).zip(&sizes).map(one).collect();
    Played { outcome: together(&outcomes, &sizes), journal: Vec::new() }
}

/// A policy that takes days plays for days: whoever comes late is not spared by the end of the film.
fn patient<'a>(scenario: &'a Scenario, policy: &PolicySpec) -> Cow<'a, Scenario> {
    let needs_s = match policy.kind.lasts_s() {
        lasts_s if lasts_s > 0.0 => lasts_s + 7_200.0,
        _ => 0.0,
    };
    if needs_s <= scenario.ends_s {
        return Cow::Borrowed(scenario);
    }
    Cow::Owned(Scenario { ends_s: needs_s, ..scenario.clone() })
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
