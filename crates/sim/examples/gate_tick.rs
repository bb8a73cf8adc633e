//! How long the gate takes for one look at 4,096 strata: whole rollouts of 8.5 million hosts, counted,
//! under each policy given. Not a test: it prints milliseconds.
//!
//! `cargo run --release -p andon-sim --example gate_tick [POLICY …]`
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::unwrap_used, reason = "a run stops where it is wrong")]
use andon_sim::andon::Andon;
use andon_sim::controller::{Controller, Pace, Shape, Sight, Standing};
use andon_sim::policy::Kind;
use andon_sim::{catalogue, counts};
use std::time::Instant;

const STRATA: u16 = 4096;

/// Andon, and how long each of its looks took.
struct Timed {
    andon: Andon,
    ms: Vec<f64>,
}

impl Controller for Timed {
    fn shape(&self) -> Option<Shape> {
        self.andon.shape()
    }
    fn waves(&self) -> Vec<&[u32]> {
        self.andon.waves()
    }
    fn pace(&self) -> Option<Pace> {
        self.andon.pace()
    }
    fn reads_tallies(&self) -> bool {
        true
    }
    fn tick(&mut self, sight: &Sight<'_>) -> &[u32] {
        let begun = Instant::now();
        let handed = self.andon.tick(sight);
        self.ms.push(begun.elapsed().as_secs_f64() * 1000.0);
        handed
    }
    fn standing(&self) -> Standing {
        self.andon.standing()
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let policies =
        if words.is_empty() { vec!["andon".into(), "andon-10min-8500".into()] } else { words };
    let mut scenario = catalogue::scenario("good").unwrap();
    scenario.strata.count = STRATA;
    for name in policies {
        let Kind::Andon(numbers) = catalogue::policy(&name).unwrap().kind else {
            println!("{name}: has no gate");
            continue;
        };
        let andon = Andon::new(&numbers, &scenario.sizes(), 1);
        let mut timed = Timed { andon, ms: Vec::new() };
        let out = counts::run(&scenario, &mut timed, 1, 0, false);
        timed.ms.sort_by(f64::total_cmp);
        let at = |permille: usize| timed.ms[(timed.ms.len() - 1) * permille / 1000];
        println!(
            "{name:<18} {} strata, {} looks: median {:.2} ms, 99 % {:.2} ms, longest {:.2} ms (t99 {:?} s)",
            scenario.sizes().len(),
            timed.ms.len(),
            at(500),
            at(990),
            at(1000),
            out.t99_s,
        );
    }
}
