//! Holds the planner against 10,000 random worlds and prints what `docs/benchmarks.md` quotes: losses
//! against the six fixed policies and against a slow free-form optimiser, and the time of a plan.
//! It is not a test: `tests/all/tradeoff` runs the same comparisons on fewer worlds.
//!
//! `cargo run --release -p andon-rollout --example tradeoff_worlds [WORLDS [FREE_FORM_WORLDS [SEED]]]`
#![expect(clippy::print_stdout, reason = "its figures are its result")]
#![expect(clippy::unwrap_used, reason = "a run stops where it is wrong")]
#![expect(clippy::cast_possible_truncation, reason = "whole numbers below 2^53")]
#![expect(clippy::disallowed_methods, reason = "measures the time of pure calls from outside")]

#[path = "../tests/all/tradeoff/free_form.rs"]
mod free_form;
#[path = "../tests/all/tradeoff/worlds.rs"]
mod worlds;

use andon_rollout::tradeoff::{FixedPolicy, Schedule, World, advise, best, outcome};
use std::time::Instant;

fn main() {
    let words: Vec<usize> = std::env::args().skip(1).map(|word| word.parse().unwrap()).collect();
    let count = words.first().copied().unwrap_or(10_000);
    let free = words.get(1).copied().unwrap_or(200);
    let seed = words.get(2).copied().unwrap_or(1) as u64;
    against_policies(count, seed);
    against_free_form(free, seed);
}

fn against_policies(count: usize, seed: u64) {
    let mut random = worlds::Random::new(seed);
    let (mut worse, mut plan_ms, mut advice_ms) = (0, Vec::new(), Vec::new());
    let mut gains = Vec::new();
    let mut tenfold = [0; FixedPolicy::ALL.len()];
    for _ in 0..count {
        let world = World::new(&worlds::inputs(&mut random)).unwrap();
        let (schedule, ms) = timed(|| best(&world));
        plan_ms.push(ms);
        let (advice, ms) = timed(|| advise(&world));
        advice_ms.push(ms);
        let loss = outcome(&world, &schedule).unwrap().loss_host_hours;
        let others = advice.alternatives.iter().map(|other| other.loss_host_hours);
        let least = others.fold(f64::INFINITY, f64::min);
        worse += usize::from(loss > least);
        gains.push(least / loss);
        for (slot, other) in tenfold.iter_mut().zip(&advice.alternatives) {
            *slot += usize::from(other.loss_host_hours >= 10.0 * loss);
        }
    }
    println!("worlds: {count}, seed {seed}");
    println!("worlds in which the plan loses more than the best of six fixed policies: {worse}");
    print_spread("loss of the best fixed policy over the plan's", &mut gains);
    for (policy, worlds) in FixedPolicy::ALL.iter().zip(tenfold) {
        println!("  {:<16} loses at least ten times as much in {worlds}", policy.name());
    }
    print_spread("one plan, ms", &mut plan_ms);
    print_spread("whole advice (seven plans), ms", &mut advice_ms);
}

fn against_free_form(count: usize, seed: u64) {
    let mut random = worlds::Random::new(seed ^ 0xf4ee);
    let effort = free_form::Effort { tries: 8, steps: 20_000 };
    let mut ratios = Vec::new();
    for at in 0..count {
        let inputs = worlds::inputs(&mut random);
        let world = World::new(&inputs).unwrap();
        let schedule: Schedule = best(&world);
        let loss = outcome(&world, &schedule).unwrap().loss_host_hours;
        let mut dice = worlds::Random::new(at as u64);
        let (least, other) = free_form::least(&world, inputs.hosts, &[schedule], &mut dice, effort);
        let ratio = loss / least;
        if ratio > 1.03 {
            println!("  world {at}: {ratio:.4} of the free-form optimum; {inputs:?}");
            println!("    plan {loss}: {schedule:?}\n    free {least}: {other:?}");
        }
        ratios.push(ratio);
    }
    println!("free-form worlds: {count}, 8 tries of 20,000 steps and the plan itself polished");
    print_spread("loss of the plan over the free-form optimum's", &mut ratios);
}

/// The fastest of three runs: the slower ones say what else the machine did.
fn timed<T>(work: impl Fn() -> T) -> (T, f64) {
    let once = || {
        let begin = Instant::now();
        let out = work();
        (out, begin.elapsed().as_secs_f64() * 1e3)
    };
    let ((_, first), (_, second), (out, third)) = (once(), once(), once());
    (out, first.min(second).min(third))
}

fn print_spread(what: &str, values: &mut [f64]) {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    println!(
        "{what}: median {:.4}, 99 % {:.4}, 99.9 % {:.4}, most {:.4}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}
