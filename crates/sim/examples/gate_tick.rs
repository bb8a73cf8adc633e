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

/// Andon, and how long each of its looks took: those that only judge, and those that hand out too
/// (the evidence of all strata is written into the ticket).
struct Timed {
    andon: Andon,
    ms: [Vec<f64>; 2],
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
        // The simulator copies the tallies for the core; a server hands over its own.
        let begun = Instant::now();
        drop(std::hint::black_box(sight.tallies.cloned()));
        let copied = begun.elapsed();
        let waves = self.andon.waves().len();
        let begun = Instant::now();
        self.andon.tick(sight);
        let took = begun.elapsed().saturating_sub(copied).as_secs_f64() * 1000.0;
        self.ms[usize::from(self.andon.waves().len() > waves)].push(took);
        self.andon.handed()
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
        let mut timed = Timed { andon, ms: [Vec::new(), Vec::new()] };
        let out = counts::run(&scenario, &mut timed, 1, 0, false);
        println!("{name}: {} strata, t99 {:?} s", scenario.sizes().len(), out.t99_s);
        for (what, ms) in ["judging", "and handing out"].into_iter().zip(&mut timed.ms) {
            ms.sort_by(f64::total_cmp);
            let at = |permille: usize| ms.get(ms.len().saturating_sub(1) * permille / 1000);
            println!(
                "  {what:<16} {:>5} looks: {:.2?} {:.2?} {:.2?} ms (median, 99 %, longest)",
                ms.len(),
                at(500),
                at(990),
                at(1000)
            );
        }
    }
}
