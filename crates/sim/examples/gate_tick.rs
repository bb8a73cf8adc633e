//! How long the gate takes for one look at 4,096 strata: whole rollouts of 8.5 million hosts, counted,
//! under each policy given. Every rollout is played several times, look by look the same: printed is
//! what the looks took in any of them, and the least each took, which is free of what else the machine
//! did. Not a test: it prints milliseconds.
//!
//! `cargo run --release -p andon-sim --example gate_tick [TIMES] [POLICY …]`
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::unwrap_used, reason = "a run stops where it is wrong")]
use andon_rollout::{Action, Event, Rollout};
use andon_sim::andon::Andon;
use andon_sim::controller::{Controller, Pace, Shape, Sight, Standing};
use andon_sim::policy::Kind;
use andon_sim::{catalogue, counts};
use std::time::Instant;

const STRATA: u16 = 4096;
const TIMES: usize = 5;

/// Andon, and how long each of its looks took.
struct Timed {
    andon: Andon,
    rollout: Rollout,
    handed: Vec<u32>,
    looks: Vec<Look>,
}

/// From the tallies to the ticket reported as issued, with the evidence of all strata in it; the
/// tallies are the caller's, as in a server, and are freed within.
#[derive(Clone, Copy)]
struct Look {
    ms: f64,
    hands_out: bool,
}

impl Controller for Timed {
    fn shape(&self) -> Option<Shape> {
        self.andon.shape()
    }
    fn waves(&self) -> Vec<&[u32]> {
        self.rollout.waves()
    }
    fn pace(&self) -> Option<Pace> {
        self.andon.pace()
    }
    fn reads_tallies(&self) -> bool {
        true
    }
    fn tick(&mut self, sight: &Sight<'_>) -> &[u32] {
        let Some(tallies) = sight.tallies.cloned() else { return &self.handed };
        let begun = Instant::now();
        let actions = self.rollout.apply(sight.now, Event::Observed(tallies));
        let mut hands_out = false;
        for action in actions {
            if let Action::Expose(exposure) = action {
                self.handed.clone_from(&exposure.handed);
                hands_out = true;
                let generation = exposure.generation;
                self.rollout.apply(sight.now, Event::TicketIssued { generation, at: sight.now });
            }
        }
        self.looks.push(Look { ms: begun.elapsed().as_secs_f64() * 1000.0, hands_out });
        &self.handed
    }
    fn standing(&self) -> Standing {
        if self.rollout.ended() { Standing::Done } else { Standing::Running }
    }
}

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let times = words.first().and_then(|word| word.parse().ok());
    if times.is_some() {
        words.remove(0);
    }
    if words.is_empty() {
        words = vec!["andon".into(), "andon-10min-8500".into()];
    }
    let mut scenario = catalogue::scenario("good").unwrap();
    scenario.strata.count = STRATA;
    for name in words {
        let Kind::Andon(numbers) = catalogue::policy(&name).unwrap().kind else {
            println!("{name}: has no gate");
            continue;
        };
        let runs: Vec<Vec<Look>> = (0..times.unwrap_or(TIMES))
            .map(|_| {
                let andon = Andon::new(&numbers, &scenario.sizes(), 1);
                let (rollout, handed) = (andon.rollout().clone(), andon.handed().to_vec());
                let mut timed = Timed { andon, rollout, handed, looks: Vec::new() };
                counts::run(&scenario, &mut timed, 1, 0, false);
                timed.looks
            })
            .collect();
        println!("{name}: {} strata, {} rollouts", scenario.sizes().len(), runs.len());
        print(&runs);
    }
}

/// Median, 99 % and longest, of all looks and of the least that each took.
fn print(runs: &[Vec<Look>]) {
    let looks = runs.iter().map(Vec::len).min().unwrap_or(0);
    let least = |at: usize| {
        let ms = runs.iter().map(|run| run[at].ms).fold(f64::INFINITY, f64::min);
        Look { ms, ..runs[0][at] }
    };
    let least: Vec<Look> = (0..looks).map(least).collect();
    for (hands_out, what) in [(false, "judging"), (true, "and handing out")] {
        for (which, looks) in [("all", runs.concat()), ("least of each", least.clone())] {
            let of = looks.iter().filter(|look| look.hands_out == hands_out);
            let mut ms: Vec<f64> = of.map(|look| look.ms).collect();
            ms.sort_by(f64::total_cmp);
            let at = |permille: usize| ms.get(ms.len().saturating_sub(1) * permille / 1000);
            let [median, most, longest] =
                [500, 990, 1000].map(|permille| at(permille).copied().unwrap_or(f64::NAN));
            println!(
                "  {what:<16} {which:<14} {:>6} looks: {median:6.2} {most:6.2} {longest:6.2} ms \
                 (median, 99 %, longest)",
                ms.len(),
            );
        }
    }
}
