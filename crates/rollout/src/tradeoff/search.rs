//! The search for the schedule of least expected loss.
//! It judges schedules by `loss` alone and promises nothing but this: its answer is never worse
//! than one of its starts, and the six fixed policies are among them.
//!
//! Between two waves the loss only rises when a wave is put off, except where a later wave comes to
//! stand behind the halt of a fault seen earlier. So the times worth trying are sums of the delays
//! D + d, and sizes worth trying begin at those which make a verdict possible (m / q). Starts are
//! geometric plans over these times and sizes; the best few are refined one coordinate at a time,
//! with waves added and taken out.
use super::loss::loss;
use super::policies::FixedPolicy;
use super::schedule::{Schedule, WAVES_MAX, Wave};
use super::world::World;

/// Starts that are refined.
const REFINED: usize = 4;
/// Most schedules priced while one start is refined: bounds the time of a search.
const PRICED_MAX: u32 = 20_000;
/// How far a wave stays off a moment that matters, if it is to stand on its other side, minutes.
const NUDGE_MIN: f64 = 0.002;
/// A gain below this share of the loss is none.
const GAIN_MIN: f64 = 1e-6;
/// First waves tried beside those which make a verdict possible.
const FIRST: [f64; 5] = [16.0, 128.0, 1000.0, 8500.0, 85_000.0];
/// Growth tried from wave to wave; the last one means everybody.
const GROWTH: [f64; 8] = [2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1000.0, 1e9];
/// Times a wave's size is multiplied by while it is refined, from coarse to fine, and divided by.
const RESIZE: [f64; 6] = [10.0, 3.0, 1.5, 1.2, 1.05, 1.01];

/// The schedule of least expected loss that the search finds.
#[must_use]
pub fn best(world: &World) -> Schedule {
    best_from(world, &[]).0
}

/// The same, with more schedules to start from, and its loss.
pub(crate) fn best_from(world: &World, more: &[Schedule]) -> (Schedule, f64) {
    let thresholds: Vec<f64> = world.thresholds().collect();
    let mut starts: Vec<(f64, Schedule)> =
        starts(world, more).into_iter().map(|start| (loss(world, &start), start)).collect();
    starts.sort_by(|a, b| a.0.total_cmp(&b.0));
    starts.dedup_by(|a, b| a.0 == b.0);
    let descend = |(cost, at): (f64, Schedule)| {
        let mut descent = Descent { world, thresholds: &thresholds, at, cost, left: PRICED_MAX };
        descent.run();
        (descent.cost, descent.at)
    };
    let refined = starts.into_iter().take(REFINED).map(descend);
    let Some(mut out) = refined.min_by(|a, b| a.0.total_cmp(&b.0)) else {
        return (Schedule::at_once(world.hosts), f64::INFINITY); // there are always six starts
    };
    for start in staggered(&out.1, &thresholds) {
        let kicked = descend((loss(world, &start), start));
        if kicked.0 < out.0 {
            out = kicked;
        }
    }
    (out.1, out.0)
}

/// The schedule with one wave more, just too small to see one more kind of fault, and everything
/// after it a moment later. Rare faults then have a later halt than frequent ones, and a wave
/// fits between the two; no change of a single coordinate gets there.
fn staggered(schedule: &Schedule, thresholds: &[f64]) -> Vec<Schedule> {
    let mut out = Vec::new();
    let mut before = 0.0;
    for (at, wave) in schedule.waves().iter().enumerate() {
        for threshold in thresholds {
            let hosts_total = threshold - 1.0;
            let mut start = *schedule;
            if hosts_total > before
                && hosts_total < wave.hosts_total
                && start.insert(at, Wave { hosts_total, at_min: wave.at_min })
            {
                start.shift_from(at + 1, NUDGE_MIN);
                out.push(start);
            }
        }
        before = wave.hosts_total;
    }
    out
}

fn starts(world: &World, more: &[Schedule]) -> Vec<Schedule> {
    let hosts = world.hosts;
    let mut out: Vec<Schedule> = FixedPolicy::ALL.map(|policy| policy.schedule(hosts)).into();
    out.extend_from_slice(more);
    let firsts = world.thresholds().chain(FIRST).filter(|first| *first < hosts);
    for first in firsts {
        for growth in GROWTH {
            for (lag, _) in &world.lags {
                out.extend(Schedule::geometric(hosts, first, growth, *lag));
            }
        }
    }
    out
}

/// One start on its way down.
struct Descent<'a> {
    world: &'a World,
    thresholds: &'a [f64],
    at: Schedule,
    cost: f64,
    left: u32,
}

impl Descent<'_> {
    fn run(&mut self) {
        loop {
            let before = self.cost;
            // first, while a staggered start still is one
            self.add();
            self.drop();
            for wave in 0..WAVES_MAX {
                self.resize(wave);
                self.retime(wave);
            }
            if self.left == 0 || self.cost >= before * (1.0 - GAIN_MIN) {
                return;
            }
        }
    }

    /// Keeps a schedule that costs less.
    fn offer(&mut self, schedule: &Schedule) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let cost = loss(self.world, schedule);
        let better = cost < self.cost;
        if better {
            (self.at, self.cost) = (*schedule, cost);
        }
        better
    }

    fn total(&self, wave: usize) -> f64 {
        self.at.waves()[wave].hosts_total
    }

    /// Hosts that a wave may have so that all waves grow; `None` for the last, which has them all.
    fn room(&self, wave: usize) -> Option<(f64, f64)> {
        let next = self.at.waves().get(wave + 1)?;
        let least = if wave == 0 { 1.0 } else { self.total(wave - 1) + 1.0 };
        Some((least, next.hosts_total - 1.0))
    }

    fn resize(&mut self, wave: usize) {
        let Some((least, most)) = self.room(wave) else { return };
        for threshold in self.thresholds {
            for total in [*threshold, threshold - 1.0] {
                if (least..=most).contains(&total) {
                    self.try_size(wave, total);
                }
            }
        }
        let hosts = self.world.hosts;
        for factor in RESIZE {
            for factor in [factor, 1.0 / factor] {
                while self.try_size(wave, (self.total(wave) * factor).round().clamp(least, most)) {}
                let open = |at: &Self| (hosts - at.total(wave)) * factor;
                while self.try_size(wave, (hosts - open(self)).round().clamp(least, most)) {}
            }
        }
    }

    fn try_size(&mut self, wave: usize, total: f64) -> bool {
        let mut candidate = self.at;
        candidate.resize(wave, total);
        total != self.total(wave) && self.offer(&candidate)
    }

    /// Puts a wave right behind the halt for a fault of each delay seen by each earlier wave, or
    /// just before it, alone or with all later waves.
    fn retime(&mut self, wave: usize) {
        if wave == 0 || wave >= self.at.waves().len() {
            return;
        }
        for at_min in self.times(&self.at, wave) {
            let waves = self.at.waves();
            if at_min < waves[wave - 1].at_min {
                continue;
            }
            let mut candidate = self.at;
            candidate.shift_from(wave, at_min - waves[wave].at_min);
            self.offer(&candidate);
            let waves = self.at.waves();
            if waves.get(wave + 1).is_some_and(|next| at_min <= next.at_min) {
                let mut candidate = self.at;
                candidate.retime(wave, at_min);
                self.offer(&candidate);
            }
        }
    }

    /// Minutes worth trying for a wave that follows the first `wave` ones of `schedule`.
    fn times(&self, schedule: &Schedule, wave: usize) -> Vec<f64> {
        let mut out = Vec::new();
        for earlier in &schedule.waves()[..wave] {
            for lag in std::iter::once(0.0).chain(self.world.lags.iter().map(|(lag, _)| *lag)) {
                out.push(earlier.at_min + lag);
                out.push(earlier.at_min + lag - NUDGE_MIN);
                out.push(earlier.at_min + lag + NUDGE_MIN);
            }
        }
        out.sort_by(f64::total_cmp);
        out.dedup_by(|a, b| *a - *b < NUDGE_MIN / 2.0);
        out
    }

    /// Puts one more wave between two, where it helps most.
    fn add(&mut self) {
        let from = self.at;
        for next in 0..from.waves().len() {
            let after = from.waves()[next];
            let before = if next == 0 { Wave::default() } else { from.waves()[next - 1] };
            let times = if next == 0 { vec![0.0] } else { self.times(&from, next) };
            for hosts_total in self.between(before.hosts_total, after.hosts_total) {
                for at_min in &times {
                    let mut candidate = from;
                    if (before.at_min..=after.at_min).contains(at_min)
                        && candidate.insert(next, Wave { hosts_total, at_min: *at_min })
                    {
                        self.offer(&candidate);
                    }
                }
                // in the place of the next wave, all later ones a lag behind
                for (lag, _) in &self.world.lags {
                    let mut candidate = from;
                    if candidate.insert(next, Wave { hosts_total, ..after }) {
                        candidate.shift_from(next + 1, *lag);
                        self.offer(&candidate);
                    }
                }
            }
        }
    }

    /// Sizes worth trying between two waves.
    fn between(&self, before: f64, after: f64) -> Vec<f64> {
        let seen = self.thresholds.iter().flat_map(|at| [*at, at - 1.0]);
        let middle = (before.max(1.0) * after).sqrt();
        let shares = [0.3, 0.7, 0.9, 0.98].map(|share| before + (after - before) * share);
        let all = seen.chain([middle]).chain(shares).map(f64::round);
        all.filter(|total| *total > before && *total < after).collect()
    }

    /// Takes waves out that are not worth their time.
    fn drop(&mut self) {
        let mut wave = 0;
        while wave + 1 < self.at.waves().len() {
            let gap = self.at.waves()[wave + 1].at_min - self.at.waves()[wave].at_min;
            let mut alone = self.at;
            alone.remove(wave);
            let mut closed = alone;
            closed.shift_from(wave, -gap);
            let kept = self.offer(&closed) | self.offer(&alone);
            if !kept {
                wave += 1;
            }
        }
    }
}
