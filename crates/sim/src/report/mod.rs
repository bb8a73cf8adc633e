//! A page for people: what each policy costs and saves, on the same scenarios, with where we lose. One
//! file, no script, nothing fetched from anywhere; readable on paper.
//!
//! What it is not: another judgement. Every figure is a [`Summary`] or a trace that anybody can make
//! again with the command printed at its end.
mod charts;
mod labels;
mod page;
mod svg;

pub use page::html;

use crate::catalogue::{self, FindError, POLICIES};
use crate::engine::{self, Mode};
use crate::file::FileError;
use crate::outcome::TracePoint;
use crate::policy::{Kind, PolicySpec};
use crate::runs::{Runs, in_order};
use crate::scenario::Scenario;
use crate::scenario_file;
use crate::summary::{self, Asked, Summary};

/// Scenarios of the table. The first four have faults that show while loading: they are what a policy's
/// blast radius is taken from.
const COLUMNS: [&str; 9] = [
    "july-2024",
    "one-model",
    "random-0.1pct",
    "rare-stratum",
    "sleeper-10min",
    "next-boot",
    "good",
    "good-outage-5pct",
    "good-flapping",
];
/// How many of them show while loading.
const AT_LOAD: usize = 4;
/// The scenario that a policy's speed is taken from.
const SPEED: usize = 6;
/// Most runs per cell of the table: enough to see an order of magnitude, which is what it compares.
pub const CELL_RUNS_MAX: u64 = 5;

/// Everything on the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// what was asked for: all its runs
    pub asked: Summary,
    /// one line about the scenario
    pub about: String,
    /// the table, a row per policy
    pub rows: Vec<Row>,
    /// runs per cell
    pub cell_runs: u64,
    /// one run of the scenario per policy
    pub traces: Vec<Trace>,
    /// 1/α of the policy asked for, if it is Andon's
    pub threshold: Option<f64>,
}

/// A policy in every scenario of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// its name
    pub policy: String,
    /// what it does
    pub about: String,
    /// the production core
    pub ours: bool,
    /// in the order of the columns
    pub cells: Vec<Summary>,
}

/// One run of one policy over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// whose
    pub policy: String,
    /// the production core
    pub ours: bool,
    /// in order
    pub points: Vec<TracePoint>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// a scenario or policy of the program is not there
    #[error(transparent)]
    Find(#[from] FindError),
    /// the fleet's size does not fit
    #[error(transparent)]
    Size(#[from] FileError),
}

/// What to report on.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// the scenario, as played
    pub scenario: &'a Scenario,
    /// the policy asked for
    pub policy: &'a PolicySpec,
    /// the engine of everything on the page
    pub mode: Mode,
    /// the seed of everything on the page
    pub seed: u64,
    /// threads
    pub threads: usize,
    /// the figures that were asked for
    pub asked: &'a Summary,
}

/// Plays the table and the traces; `done` is told how many parts of how many are finished.
/// # Errors
/// [`ReportError`].
pub fn gather(wanted: Wanted<'_>, done: &(dyn Fn(u64, u64) + Sync)) -> Result<Report, ReportError> {
    let Wanted { scenario, policy, mode, seed, threads, asked } = wanted;
    let policies = policies(policy)?;
    let columns: Vec<Scenario> = COLUMNS
        .iter()
        .map(|name| {
            let column = catalogue::scenario(name)?;
            Ok(scenario_file::resized(&column, Some(scenario.hosts), None)?)
        })
        .collect::<Result<_, ReportError>>()?;
    let runs = asked.runs.min(CELL_RUNS_MAX);
    let (wide, high) = (columns.len() as u64, policies.len() as u64);
    let parts = wide * high + high;
    // One part is one cell or one trace; the slow ones are spread over the threads by themselves.
    let part = |number: u64| -> Part {
        let at = |count: u64| usize::try_from(number / count).unwrap_or(0);
        if number >= wide * high {
            let policy = &policies[at(1) - columns.len() * policies.len()];
            let played = engine::play(scenario, policy, mode, seed, 0, true);
            let (policy, ours) = (policy.name.clone(), is_ours(policy));
            return Part::Trace(Trace { policy, ours, points: played.trace });
        }
        let (policy, column) = (&policies[at(wide)], &columns[at(1) % columns.len()]);
        let played = Runs { scenario: column, policy, mode, seed, runs, threads: 1 }.play(&|_| {});
        let asked = Asked { scenario: column, policy, mode, seed };
        Part::Cell(Box::new(summary::of(asked, &played, 0.0)))
    };
    let mut cells = Vec::new();
    let mut traces = Vec::new();
    for part in in_order(parts, threads, &part, &|finished| done(finished, parts)) {
        match part {
            Part::Cell(cell) => cells.push(*cell),
            Part::Trace(trace) => traces.push(trace),
        }
    }
    let mut cells = cells.into_iter();
    let row = |policy: &PolicySpec| Row {
        policy: policy.name.clone(),
        about: policy.about.clone(),
        ours: is_ours(policy),
        cells: cells.by_ref().take(columns.len()).collect(),
    };
    let threshold = match &policy.kind {
        Kind::Andon(numbers) => Some(1e6 / f64::from(numbers.alpha_ppm)),
        _ => None,
    };
    Ok(Report {
        asked: asked.clone(),
        about: scenario.about.clone(),
        rows: policies.iter().map(row).collect(),
        cell_runs: runs,
        traces,
        threshold,
    })
}

enum Part {
    Cell(Box<Summary>),
    Trace(Trace),
}

const fn is_ours(policy: &PolicySpec) -> bool {
    matches!(policy.kind, Kind::Andon(_))
}

/// The one asked for and every one of the program, each once.
fn policies(asked: &PolicySpec) -> Result<Vec<PolicySpec>, FindError> {
    let mut policies = Vec::new();
    for (name, _) in POLICIES {
        policies.push(catalogue::policy(name)?);
    }
    match policies.iter_mut().find(|policy| policy.name == asked.name) {
        Some(same) => same.clone_from(asked),
        None => policies.insert(0, asked.clone()),
    }
    Ok(policies)
}

impl Row {
    /// Most hosts crashed by a fault that shows while loading, in any run.
    #[must_use]
    pub fn blast(&self) -> u64 {
        self.cells.iter().take(AT_LOAD).map(|cell| cell.crashed.max).max().unwrap_or(0)
    }
    /// How long a good update takes; none if it does not get there.
    #[must_use]
    pub fn t99_s(&self) -> Option<f64> {
        self.cells.get(SPEED).and_then(|cell| cell.t99_s.median)
    }
}

#[cfg(test)]
pub(crate) mod tests;
