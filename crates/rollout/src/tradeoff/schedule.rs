//! A wave plan as the planner sees it: how many hosts have the update from which minute on.
//! It is a proposal; the rollout's own immutable plan is `crate::Plan`.
use super::budget::whole;

/// Most waves of a schedule: hourly doubling from 16 hosts reaches 50 million in 23.
pub const WAVES_MAX: usize = 32;

/// One step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wave {
    /// hosts that have the update from now on, all waves so far together; a whole number
    pub hosts_total: f64,
    /// minutes after the start
    pub at_min: f64,
}

impl Wave {
    /// `hosts_total` as a count.
    #[must_use]
    pub fn hosts(self) -> u64 {
        whole(self.hosts_total)
    }
}

/// Waves of rising size and time; the last one reaches every host.
#[derive(Clone, Copy, PartialEq)]
pub struct Schedule {
    waves: [Wave; WAVES_MAX],
    count: usize,
}

/// Why waves are no schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// none, or too many
    #[error("schedule has {0} waves, not 1 to {WAVES_MAX}")]
    Count(usize),
    /// a wave that is smaller or earlier than the one before it, or no whole number of hosts
    #[error("wave {0} of the schedule does not add whole hosts at a finite, not earlier time")]
    Order(usize),
    /// made for another fleet
    #[error("schedule does not end with exactly the hosts of the world")]
    Fleet,
}

impl Schedule {
    /// Checks and takes waves; the last one decides how many hosts there are.
    /// # Errors
    /// [`ScheduleError`].
    pub fn new(waves: &[Wave]) -> Result<Schedule, ScheduleError> {
        if !(1..=WAVES_MAX).contains(&waves.len()) {
            return Err(ScheduleError::Count(waves.len()));
        }
        let mut before = Wave::default();
        for (at, wave) in waves.iter().enumerate() {
            let whole = wave.hosts_total.is_finite() && wave.hosts_total.fract() == 0.0;
            let grows = wave.hosts_total > before.hosts_total;
            let later = wave.at_min.is_finite() && wave.at_min >= before.at_min;
            if !(whole && grows && later) {
                return Err(ScheduleError::Order(at));
            }
            before = *wave;
        }
        let mut out = Schedule { waves: [Wave::default(); WAVES_MAX], count: waves.len() };
        out.waves[..waves.len()].copy_from_slice(waves);
        Ok(out)
    }

    /// Everybody at once.
    #[must_use]
    pub fn at_once(hosts: f64) -> Schedule {
        let mut out = Schedule { waves: [Wave::default(); WAVES_MAX], count: 1 };
        out.waves[0].hosts_total = hosts;
        out
    }

    /// `first` hosts, then `growth` times as many in all every `gap_min`, until `hosts` are reached.
    /// `None` when that takes more than [`WAVES_MAX`] waves.
    pub(crate) fn geometric(hosts: f64, first: f64, growth: f64, gap_min: f64) -> Option<Schedule> {
        let mut out = Schedule::at_once(first.min(hosts));
        while out.last().hosts_total < hosts {
            let Wave { hosts_total, at_min } = out.last();
            let next = (hosts_total * growth).round().clamp(hosts_total + 1.0, hosts);
            if !out.push(Wave { hosts_total: next, at_min: at_min + gap_min }) {
                return None;
            }
        }
        Some(out)
    }

    /// A wave at every rung (rising, all below `hosts`), then all `hosts`, `gap_min` apart.
    pub(crate) fn ladder(hosts: f64, rungs: &[f64], gap_min: f64) -> Schedule {
        let mut out = Schedule::at_once(hosts);
        for rung in rungs.iter().rev() {
            if *rung < out.waves[0].hosts_total
                && out.insert(0, Wave { hosts_total: *rung, at_min: 0.0 })
            {
                out.shift_from(1, gap_min);
            }
        }
        out
    }

    /// The waves.
    #[must_use]
    pub fn waves(&self) -> &[Wave] {
        &self.waves[..self.count]
    }

    /// The wave that reaches every host.
    #[must_use]
    pub fn last(&self) -> Wave {
        self.waves[self.count - 1]
    }

    /// Minutes until at least 99 % of the hosts have the update.
    #[must_use]
    pub fn t99_min(&self) -> f64 {
        let enough = 0.99 * self.last().hosts_total;
        let reached = self.waves().iter().find(|wave| wave.hosts_total >= enough);
        reached.map_or(0.0, |wave| wave.at_min)
    }

    /// The same waves, every one `minutes` later.
    #[must_use]
    pub fn later(&self, minutes: f64) -> Schedule {
        let mut out = *self;
        out.shift_from(0, minutes);
        out
    }

    /// Adds a wave at the end; false when there is no room.
    pub(crate) fn push(&mut self, wave: Wave) -> bool {
        self.insert(self.count, wave)
    }

    /// Adds a wave before number `at`; false when there is no room.
    pub(crate) fn insert(&mut self, at: usize, wave: Wave) -> bool {
        if self.count == WAVES_MAX {
            return false;
        }
        self.waves.copy_within(at..self.count, at + 1);
        self.waves[at] = wave;
        self.count += 1;
        true
    }

    /// Without one wave, its hosts gone to the next: that one stays where it is, or it comes, with
    /// all later ones, in the place of the one taken out. The last wave cannot be taken out.
    pub(crate) fn without(&self, at: usize) -> [Schedule; 2] {
        let gap = self.waves[at + 1].at_min - self.waves[at].at_min;
        let mut alone = *self;
        alone.waves.copy_within(at + 1..self.count, at);
        alone.count -= 1;
        let mut closed = alone;
        closed.shift_from(at, -gap);
        [alone, closed]
    }

    /// Sets a wave's size.
    pub(crate) fn resize(&mut self, at: usize, hosts_total: f64) {
        self.waves[at].hosts_total = hosts_total;
    }

    /// Moves wave `at` and all after it by `minutes`.
    pub(crate) fn shift_from(&mut self, at: usize, minutes: f64) {
        for wave in &mut self.waves[at..self.count] {
            wave.at_min += minutes;
        }
    }

    /// The same with times in whole parts of a minute, `parts` to the minute.
    pub(crate) fn rounded(&self, parts: f64) -> Schedule {
        let mut out = *self;
        for wave in &mut out.waves[..out.count] {
            wave.at_min = (wave.at_min * parts).round() / parts;
        }
        out
    }

    /// Sets one wave's time.
    pub(crate) fn retime(&mut self, at: usize, at_min: f64) {
        self.waves[at].at_min = at_min;
    }
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.waves()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_that_shrink_go_back_or_split_hosts_are_refused() {
        let wave = |hosts_total, at_min| Wave { hosts_total, at_min };
        let cases = [
            (vec![], ScheduleError::Count(0)),
            (vec![wave(1.0, 0.0); 33], ScheduleError::Count(33)),
            (vec![wave(0.0, 0.0)], ScheduleError::Order(0)),
            (vec![wave(1.0, 0.0), wave(1.0, 1.0)], ScheduleError::Order(1)),
            (vec![wave(1.0, 5.0), wave(2.0, 1.0)], ScheduleError::Order(1)),
            (vec![wave(1.5, 0.0)], ScheduleError::Order(0)),
            (vec![wave(f64::INFINITY, 0.0)], ScheduleError::Order(0)),
            (vec![wave(1.0, f64::NAN)], ScheduleError::Order(0)),
            (vec![wave(1.0, -1.0)], ScheduleError::Order(0)),
        ];
        for (waves, want) in cases {
            assert_eq!(Schedule::new(&waves).unwrap_err(), want, "{waves:?}");
        }
    }

    #[test]
    fn geometric_growth_ends_at_the_last_host() {
        let totals = |s: &Schedule| s.waves().iter().map(|w| w.hosts_total).collect::<Vec<_>>();
        let doubled = Schedule::geometric(100.0, 16.0, 2.0, 60.0).unwrap();
        assert_eq!(totals(&doubled), [16.0, 32.0, 64.0, 100.0]);
        assert_eq!((doubled.last().at_min, doubled.t99_min()), (180.0, 180.0));
        assert_eq!(totals(&Schedule::geometric(5.0, 16.0, 2.0, 1.0).unwrap()), [5.0]);
        assert_eq!(Schedule::geometric(5e7, 1.0, 1.1, 1.0), None);
    }
}
