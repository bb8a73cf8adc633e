//! How fast runs of 8.5 million hosts are, host by host: seconds, events per second, peak memory.
//! The hand-outs follow a script; no gate takes time here. Runs that grow are played first, since the
//! peak is the process's.
//!
//! `cargo run --release -p andon-sim --example individual_speed`
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "hosts and seconds")]
use andon_sim::controller::{Controller, Shape, Sight, Standing};
use andon_sim::individual::run;
use andon_sim::scenario::Scenario;
use std::time::Instant;

const HOSTS: u64 = 8_500_000;
const STRATA: u16 = 64;
const GENERATION_S: f64 = 40.0;

/// Covers by a script, and halts once more than a few hosts are silent, if told to.
struct Script {
    sizes: Vec<u32>,
    steps: Vec<u64>,
    halts_at: Option<u32>,
    reads: bool,
    handed: Vec<u32>,
    begun_ms: Option<u64>,
    standing: Standing,
}

impl Script {
    fn new(steps: &[u64], halts_at: Option<u32>, reads: bool) -> Script {
        let sizes = sizes();
        let handed = vec![0; sizes.len()];
        let standing = Standing::Running;
        Script { sizes, steps: steps.to_vec(), halts_at, reads, handed, begun_ms: None, standing }
    }
}

impl Controller for Script {
    fn shape(&self) -> Option<Shape> {
        Some(Shape {
            strata: self.sizes.clone(),
            beat_s: 5.0,
            silent_after_s: 15.0,
            window_s: 10.0,
            horizons_s: vec![0.0, 600.0],
            budget: vec![100, 8500],
            controls: self.sizes.iter().map(|size| size / 8).collect(),
            gauge_every: vec![8; self.sizes.len()],
        })
    }
    fn reads_tallies(&self) -> bool {
        self.reads
    }
    fn tick(&mut self, sight: &Sight<'_>) -> &[u32] {
        let silent: u32 = sight.seen.iter().map(|seen| seen.silent).sum();
        if self.halts_at.is_some_and(|most| silent >= most) {
            self.standing = Standing::Halted;
            return &self.handed;
        }
        let begun = *self.begun_ms.get_or_insert(sight.now.0);
        let elapsed = (sight.now.0 - begun) as f64 / 1000.0;
        let step = ((elapsed / GENERATION_S) as usize).min(self.steps.len() - 1);
        if elapsed >= GENERATION_S * self.steps.len() as f64 {
            self.standing = Standing::Done;
        }
        self.handed = spread(self.steps[step], &self.sizes);
        &self.handed
    }
    fn standing(&self) -> Standing {
        self.standing
    }
}

fn sizes() -> Vec<u32> {
    let weight = |rank: u16| f64::from(rank).powf(-1.095);
    let all: f64 = (1..=STRATA).map(weight).sum();
    (1..=STRATA).map(|rank| (HOSTS as f64 * weight(rank) / all).round() as u32).collect()
}

fn spread(hosts: u64, sizes: &[u32]) -> Vec<u32> {
    let all: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
    let mut left = hosts.min(all);
    let mut out = Vec::new();
    for size in sizes {
        let share = (hosts * u64::from(*size)).div_ceil(all).min(left).min(u64::from(*size));
        left -= share;
        out.push(share as u32);
    }
    out
}

fn scenario(fault: &str) -> Scenario {
    let text = format!("name = 'speed'\nabout = ''\nhosts = {HOSTS}\noperators = 1700\n{fault}");
    toml::from_str(&text).expect("the scenario is a constant")
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn play(name: &str, fault: &str, mut script: Script) {
    let scenario = scenario(fault);
    let begun = Instant::now();
    let out = run(&scenario, &mut script, 1, 1, false);
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{name:<28} {seconds:6.2} s  {:>9} events  {:5.1} M/s  peak {:>4} MiB  exposed {}  crashed {}  \
         halted {:?}  t99 {:?}  hash {:016x}",
        out.events,
        out.events as f64 / seconds / 1e6,
        peak_mib(),
        out.exposed,
        out.crashed,
        out.halted_s,
        out.t99_s,
        out.trace_hash,
    );
}

fn main() {
    let growing = [16, 300, 4700, 73_000, 1_100_000, HOSTS];
    let crash = "[fault]\nrate = 1.0\n";
    play("july 2024, halted", crash, Script::new(&growing, Some(3), true));
    play("good, tallies read", "", Script::new(&growing, None, true));
    play("good, tallies not read", "", Script::new(&growing, None, false));
    play("july 2024 as it was", crash, Script::new(&[HOSTS], None, true));
    let busy = "[presence]\nflapping_share = 0.01\nflapping_every_s = 600.0\nasleep_share = 0.2\n\
                wakes_per_h = 0.5\nclock_skew_s = 30.0\n[[outages]]\ncommon = { at_s = 60.0, share = 0.05 }\n\
                [[outages]]\nsites = { sites = 20000, per_h = 0.001 }\n";
    play("good, a busy fleet", busy, Script::new(&growing, None, true));
    let late = "[fault]\nrate = 1.0\nshows = { after = 600.0 }\n";
    play("all at once, 10 min late", late, Script::new(&[HOSTS], None, true));
}
