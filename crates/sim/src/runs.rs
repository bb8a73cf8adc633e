//! Plays many runs on several threads. What comes out does not depend on how many: a run's number is all
//! that its chance depends on, and outcomes are kept in the order of their numbers.
use crate::engine::{self, Mode};
use crate::outcome::RunOutcome;
use crate::policy::PolicySpec;
use crate::scenario::Scenario;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most runs at once: their outcomes are kept in memory, about a hundred bytes each.
pub const RUNS_MAX: u64 = 10_000_000;
/// Most threads: more than any machine of today has cores worth using for this.
pub const THREADS_MAX: usize = 256;

/// What to play, how often, and on how many threads.
#[derive(Clone, Copy, Debug)]
pub struct Runs<'a> {
    /// the scenario
    pub scenario: &'a Scenario,
    /// the policy
    pub policy: &'a PolicySpec,
    /// the engine
    pub mode: Mode,
    /// the seed
    pub seed: u64,
    /// how often
    pub runs: u64,
    /// threads, at least one
    pub threads: usize,
}

impl Runs<'_> {
    /// Plays them all; `done` is told how many are finished, from any thread.
    #[must_use]
    pub fn play(&self, done: &(dyn Fn(u64) + Sync)) -> Vec<RunOutcome> {
        let one = |run| engine::play(self.scenario, self.policy, self.mode, self.seed, run, false);
        in_order(self.runs.min(RUNS_MAX), self.threads, &one, done)
    }
}

/// `one(0)` to `one(count - 1)` in this order, worked on by several threads.
pub(crate) fn in_order<T: Send>(
    count: u64,
    threads: usize,
    one: &(dyn Fn(u64) -> T + Sync),
    done: &(dyn Fn(u64) + Sync),
) -> Vec<T> {
    let (next, finished) = (AtomicU64::new(0), AtomicU64::new(0));
    let found = Mutex::new(Vec::new());
    let work = || {
        let mut own = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            own.push((number, one(number)));
            done(finished.fetch_add(1, Ordering::Relaxed) + 1);
        }
        // A thread that panicked poisons nothing that is half-written: pushes are whole.
        found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).append(&mut own);
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.clamp(1, THREADS_MAX) {
            scope.spawn(work);
        }
        work();
    });
    let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, outcome)| outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let scenario = catalogue::scenario("small-1000").unwrap();
        for policy in ["andon", "rings-24h"] {
            let policy = catalogue::policy(policy).unwrap();
            let play = |threads, seed| {
                let mode = Mode::Counts;
                let runs =
                    Runs { scenario: &scenario, policy: &policy, mode, seed, runs: 9, threads };
                runs.play(&|_| {})
            };
            let alone = play(1, 1);
            assert_eq!(alone.len(), 9);
            assert_eq!(play(4, 1), alone, "{}", policy.name);
            assert_ne!(play(4, 2), alone, "{}: the seed changes nothing", policy.name);
        }
    }

    #[test]
    fn every_number_is_worked_on_once_and_told_of() {
        let told = Mutex::new(Vec::new());
        let out = in_order(100, 7, &|n| n * n, &|done| told.lock().unwrap().push(done));
        assert_eq!(out, (0..100).map(|n| n * n).collect::<Vec<u64>>());
        let mut told = told.into_inner().unwrap();
        told.sort_unstable();
        assert_eq!(told, (1..=100).collect::<Vec<u64>>());
        assert!(in_order(0, 3, &|n| n, &|_| {}).is_empty());
    }
}
