//! Plays the cases, two machines at a time, and gathers the report.
use crate::args::Args;
use crate::cases::{self, Outcome};
use crate::kit::Kit;
use crate::story;
use anyhow::{Context as _, Result};
use serde_json::{Map, Value};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Virtual machines at a time: one per core.
pub(crate) const AT_ONCE: usize = 2;
/// The longest case; begun first, it ends with the others.
const LONGEST: &str = "power_cuts";

/// The report.
pub(crate) fn told(outcomes: &[Outcome], seed: u64, guard_bytes: u64) -> Value {
    let mut told: Map<String, Value> = Map::new();
    for outcome in outcomes {
        told.insert(outcome.name.to_owned(), outcome.value.clone());
    }
    told.insert("seed".to_owned(), seed.into());
    told.insert("guard_bytes".to_owned(), guard_bytes.into());
    told.insert("pending".to_owned(), serde_json::json!(["fleet"]));
    Value::Object(told)
}

/// What was played, and why the rest could not be.
pub(crate) fn play_all(kit: &Kit, root: &Path, args: &Args) -> (Vec<Outcome>, Vec<anyhow::Error>) {
    let mut order: Vec<&'static str> = args.cases.iter().rev().copied().collect();
    order.sort_by_key(|name| *name == LONGEST);
    let waiting = Mutex::new(order);
    let done: Mutex<Vec<Result<Outcome>>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let Some(name) = next else { return };
                    let outcome = cases::play(kit, root, name, args.seed)
                        .with_context(|| format!("case {name}"));
                    if let Ok(outcome) = &outcome {
                        print!("{}", story::case(outcome));
                    }
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
                }
            });
        }
    });
    let (mut outcomes, mut broken) = (Vec::new(), Vec::new());
    for outcome in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
        match outcome {
            Ok(outcome) => outcomes.push(outcome),
            Err(why) => broken.push(why),
        }
    }
    (outcomes, broken)
}
