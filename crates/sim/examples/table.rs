//! Plays every policy in one scenario and prints what came of it: `table SCENARIO [HOSTS] [RUNS]`.
use andon_sim::catalogue::{self, POLICIES};
use andon_sim::engine::Mode;
use andon_sim::runs::Runs;
use andon_sim::scenario_file;
use andon_sim::summary::{self, Asked};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |at: usize| args.get(at).and_then(|word| word.parse::<u64>().ok());
    let name = args.get(1).map_or("july-2024", String::as_str);
    let scenario = catalogue::scenario(name).unwrap();
    let scenario = scenario_file::resized(&scenario, number(2), None).unwrap();
    for (name, _) in POLICIES {
        let policy = catalogue::policy(name).unwrap();
        let (mode, seed) = (Mode::Counts, 1);
        let began = std::time::Instant::now();
        let runs = number(3).unwrap_or(1);
        let runs = Runs { scenario: &scenario, policy: &policy, mode, seed, runs, threads: 1 };
        let out = runs.play(&|_| {});
        let asked = Asked { scenario: &scenario, policy: &policy, mode, seed };
        let it = summary::of(asked, &out, began.elapsed().as_secs_f64());
        println!(
            "{name:22} crashed {:>9} exposed {:>9} halted {}/{} {:?} false {} t99 {:?} hands {} viol {} {:.2} s",
            it.crashed.max,
            it.exposed.max,
            it.halted.count,
            it.runs,
            it.halted.max_s,
            it.false_halts,
            it.t99_s.median,
            it.hands.max,
            it.violations,
            it.wall_s
        );
    }
}
