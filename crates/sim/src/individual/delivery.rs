//! From ticket to activation: covered hosts wait in the order of coverage, so many per second begin to
//! fetch, and each activates a random while later. Ranges of hosts wait here; single hosts appear
//! only when their turn comes.
use super::draws::{Draws, Purpose};
use super::grid::{Grid, Ms, ms};
use super::wheel::{Kind, Wheel};
use crate::scenario;
use std::collections::VecDeque;
use std::ops::Range;

/// Hosts covered at the same moment, a range per stratum.
#[derive(Debug)]
struct Batch {
    covered: Ms,
    ranges: Vec<Range<u32>>,
}

/// Everybody who was covered and has not had their turn.
#[derive(Debug)]
pub(super) struct Delivery {
    per_s: u32,
    within_ms: Ms,
    skew_ms: Ms,
    /// part of a host that the last tick's capacity left over
    rest_ms: u64,
    queue: VecDeque<Batch>,
}

impl Delivery {
    pub(super) fn new(delivery: scenario::Delivery, clock_skew_s: f64) -> Delivery {
        Delivery {
            per_s: delivery.hosts_per_s.max(1),
            within_ms: ms(delivery.within_s),
            skew_ms: ms(clock_skew_s.abs()),
            rest_ms: 0,
            queue: VecDeque::new(),
        }
    }

    pub(super) fn cover(&mut self, covered: Ms, ranges: Vec<Range<u32>>) {
        if ranges.iter().any(|range| !range.is_empty()) {
            self.queue.push_back(Batch { covered, ranges });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Difference of a host's clock, milliseconds.
    pub(super) fn skew(&self, draws: &Draws, host: u32) -> i64 {
        if self.skew_ms == 0 {
            return 0;
        }
        let width = self.skew_ms.saturating_mul(2).saturating_add(1);
        i64::from(draws.below(host, Purpose::Clock, width)) - i64::from(self.skew_ms)
    }

    /// When a host activates whose turn is at `start`. One whose clock is behind believes in the
    /// ticket only once it has begun by its own clock.
    #[inline]
    pub(super) fn activation(&self, draws: &Draws, host: u32, covered: Ms, start: Ms) -> Ms {
        let wait = draws.below(host, Purpose::Delivery, self.within_ms.saturating_add(1));
        let at = start.saturating_add(wait);
        if self.skew_ms == 0 {
            return at;
        }
        let behind = Ms::try_from(-self.skew(draws, host)).unwrap_or(0);
        at.max(covered.saturating_add(behind))
    }

    /// Lets hosts begin that have their turn within the tick that begins at `now`.
    pub(super) fn turn(&mut self, now: Ms, grid: Grid, draws: &Draws, wheel: &mut Wheel) {
        let capacity = u64::from(self.per_s) * u64::from(grid.tick_ms) + self.rest_ms;
        let mut left = capacity / 1000;
        self.rest_ms = if self.queue.is_empty() { 0 } else { capacity % 1000 };
        let mut begun = 0_u64;
        while left > 0
            && let Some(mut batch) = self.queue.pop_front()
        {
            let hosts: u64 = batch.ranges.iter().map(|range| range.len() as u64).sum();
            let turn = hosts.min(left);
            let mut carried = 0;
            for range in &mut batch.ranges {
                // Shares in proportion; what does not divide is carried to the next stratum.
                let share = range.len() as u64 * turn + carried;
                carried = share % hosts.max(1);
                let share = u32::try_from(share / hosts.max(1)).unwrap_or(u32::MAX);
                let to = range.start.saturating_add(share).min(range.end);
                self.begin(batch.covered, now, range.start..to, begun, draws, wheel);
                begun += u64::from(to - range.start);
                range.start = to;
            }
            left -= turn;
            if batch.ranges.iter().any(|range| !range.is_empty()) {
                self.queue.push_front(batch);
            }
        }
    }

    fn begin(
        &self,
        covered: Ms,
        now: Ms,
        hosts: Range<u32>,
        begun: u64,
        draws: &Draws,
        wheel: &mut Wheel,
    ) {
        for (host, turn) in hosts.zip(begun..) {
            let offset = turn * 1000 / u64::from(self.per_s);
            let start = now.saturating_add(Ms::try_from(offset).unwrap_or(Ms::MAX));
            let at = self.activation(draws, host, covered, start);
            wheel.push(at.max(now + 1), host, Kind::Activate);
        }
    }
}
