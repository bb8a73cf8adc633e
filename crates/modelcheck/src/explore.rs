//! Runs the checker over a line and says what it found. It judges nothing itself.
use crate::{Limits, Line, Safeguards};
use stateright::{Checker, HasDiscoveries, Model};
use std::fmt;

/// What an exploration found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// distinct states
    pub states: usize,
    /// longest path from the start, in actions
    pub depth: usize,
    /// properties that a state broke, each with the actions that lead there
    pub broken: Vec<(&'static str, Vec<String>)>,
    /// what should be reachable and was not
    pub missing: Vec<&'static str>,
}

/// Explores everything within the limits, on all cores.
#[must_use]
pub fn explore(limits: Limits, safeguards: Safeguards) -> Found {
    let line = Line::new(limits, safeguards);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    found(&line.checker().threads(threads).spawn_dfs().join())
}

/// Looks, shorter ways first, for a way to break each of the properties named, and stops there.
#[must_use]
pub fn break_it(limits: Limits, safeguards: Safeguards, names: &[&'static str]) -> Found {
    let line = Line::new(limits, safeguards);
    let all = HasDiscoveries::AllOf(names.iter().copied().collect());
    found(&line.checker().finish_when(all).spawn_bfs().join())
}

fn found(checker: &impl Checker<Line>) -> Found {
    let mut discoveries = checker.discoveries();
    let (mut broken, mut missing) = (Vec::new(), Vec::new());
    for name in crate::properties::ALWAYS {
        if let Some(path) = discoveries.remove(name) {
            let actions = path.into_actions().into_iter().map(|action| format!("{action:?}"));
            broken.push((name, actions.collect()));
        }
    }
    for name in crate::properties::SOMETIMES {
        if !discoveries.contains_key(name) {
            missing.push(name);
        }
    }
    Found { states: checker.unique_state_count(), depth: checker.max_depth(), broken, missing }
}

impl Found {
    /// Nothing broken, and nothing held for want of anything happening.
    #[must_use]
    pub fn well(&self) -> bool {
        self.broken.is_empty() && self.missing.is_empty()
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states, {} actions deep", self.states, self.depth)?;
        for (name, path) in &self.broken {
            write!(f, "\nbroken: {name}")?;
            for (number, action) in (1..).zip(path) {
                write!(f, "\n  {number:>2}. {action}")?;
            }
        }
        for name in &self.missing {
            write!(f, "\nnever seen: {name}")?;
        }
        Ok(())
    }
}
