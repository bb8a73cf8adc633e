//! One start of the search on its way down: one wave changed, added or taken out at a time, kept when
//! it costs less. It finds the bottom of one valley; which valleys, is for `search` to say.
//!
//! Two things make this short. Between two waves the loss only rises when a wave is put off, except
//! where it passes the halt of a fault seen earlier, or makes a later wave pass one: times worth
//! trying are halts, and a moment before and after them. And a wave too small to see a kind of fault
//! by a few hosts is better one host below that threshold, or on it.
use super::loss::loss;
use super::schedule::{Schedule, WAVES_MAX, Wave};
use super::search::{GAIN_MIN, NUDGE_MIN, Priced};
use super::world::World;

/// Times a wave's size, or what it leaves open, is multiplied by, from coarse to fine, and divided.
const RESIZE: [f64; 6] = [10.0, 3.0, 1.5, 1.2, 1.05, 1.01];
/// Waves that are moved together to bring the last of them to a moment worth trying.
const FOLLOWERS: usize = 3;
/// Shares of the room between two waves at which a new one is tried.
const BETWEEN: [f64; 4] = [0.3, 0.7, 0.9, 0.98];

/// What is changed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// waves are added
    Waves,
    /// waves are made larger and smaller
    Sizes,
}

/// A start and how far it has come.
pub(crate) struct Descent<'a> {
    world: &'a World,
    thresholds: &'a [f64],
    /// the best so far
    pub(crate) best: Priced,
    /// steps of the model that may still be spent
    pub(crate) work_left: usize,
}

impl<'a> Descent<'a> {
    /// Begins.
    pub(crate) fn new(
        world: &'a World,
        thresholds: &'a [f64],
        best: Priced,
        work_left: usize,
    ) -> Descent<'a> {
        Descent { world, thresholds, best, work_left }
    }

    /// Goes down until nothing helps or the work is spent. Times come last: they would take back
    /// at once what makes a start that came from the best schedule different from it, before
    /// sizes or new waves, whichever are to come `first`, have made use of it.
    pub(crate) fn run(&mut self, first: First) {
        if first == First::Sizes {
            for wave in 0..WAVES_MAX {
                self.resize(wave);
            }
        }
        loop {
            let before = self.best.cost;
            self.add();
            self.drop();
            for wave in 0..WAVES_MAX {
                self.resize(wave);
                self.retime(wave);
            }
            if self.spent() || self.best.cost >= before * (1.0 - GAIN_MIN) {
                return;
            }
        }
    }

    /// Whether no work is left: whatever is offered from now on is refused unread, so nothing that only
    /// prepares offers need go on.
    fn spent(&self) -> bool {
        self.work_left == 0
    }

    /// Keeps a schedule that costs less.
    fn offer(&mut self, schedule: &Schedule) -> bool {
        let waves = schedule.waves().len();
        let step = waves + self.world.lags.len() * self.world.kills.len().min(waves);
        let Some(left) = self.work_left.checked_sub(step) else {
            self.work_left = 0;
            return false;
        };
        self.work_left = left;
        let cost = loss(self.world, schedule);
        let better = cost < self.best.cost;
        if better {
            self.best = Priced { at: *schedule, cost };
        }
        better
    }

    fn total(&self, wave: usize) -> f64 {
        self.best.at.waves()[wave].hosts_total
    }

    /// Hosts that a wave may have so that all waves grow; `None` for the last, which has them all.
    fn room(&self, wave: usize) -> Option<(f64, f64)> {
        let next = self.best.at.waves().get(wave + 1)?;
        let least = if wave == 0 { 1.0 } else { self.total(wave - 1) + 1.0 };
        Some((least, next.hosts_total - 1.0))
    }

    fn resize(&mut self, wave: usize) {
        if self.spent() {
            return;
        }
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
        let mut candidate = self.best.at;
        candidate.resize(wave, total);
        total != self.total(wave) && self.offer(&candidate)
    }

    /// Puts a wave right behind the halt for a fault of each delay seen by each earlier wave, or
    /// just before it: the wave alone, or it with all later ones, so that it or one of the next
    /// comes to stand there.
    fn retime(&mut self, wave: usize) {
        if self.spent() || wave == 0 || wave >= self.best.at.waves().len() {
            return;
        }
        for at_min in self.times(&self.best.at, wave) {
            if self.spent() {
                return;
            }
            for follower in wave..wave + FOLLOWERS {
                let waves = self.best.at.waves();
                let Some(moved) = waves.get(follower) else { break };
                let minutes = at_min - moved.at_min;
                if waves[wave].at_min + minutes >= waves[wave - 1].at_min {
                    let mut candidate = self.best.at;
                    candidate.shift_from(wave, minutes);
                    self.offer(&candidate);
                }
            }
            self.retime_alone(wave, at_min);
        }
        let lags = self.world.lags.iter().map(|(lag, _)| *lag);
        for lag in lags.collect::<Vec<_>>() {
            // so late that the next wave is out before a fault seen by this one is halted
            if let Some(next) = self.best.at.waves().get(wave + 1) {
                self.retime_alone(wave, next.at_min - lag + NUDGE_MIN);
            }
        }
    }

    fn retime_alone(&mut self, wave: usize, at_min: f64) {
        let waves = self.best.at.waves();
        let after = waves[wave - 1].at_min;
        if waves.get(wave + 1).is_some_and(|next| (after..=next.at_min).contains(&at_min)) {
            let mut candidate = self.best.at;
            candidate.retime(wave, at_min);
            self.offer(&candidate);
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
        let from = self.best.at;
        for next in 0..from.waves().len() {
            if self.spent() {
                return;
            }
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
        let shares = BETWEEN.map(|share| before + (after - before) * share);
        let all = seen.chain([middle]).chain(shares).map(f64::round);
        all.filter(|total| *total > before && *total < after).collect()
    }

    /// Takes waves out that are not worth their time.
    fn drop(&mut self) {
        let mut wave = 0;
        while wave + 1 < self.best.at.waves().len() {
            let [alone, closed] = self.best.at.without(wave);
            if !(self.offer(&closed) | self.offer(&alone)) {
                wave += 1;
            }
        }
    }
}
