//! One horizon D of the budget: what has been spent, how large q may still be, and how many more
//! hosts that leaves room for, pooled and per stratum. It does not decide whether to widen.
use super::excess::{Excess, Ladder, Stakes};
use super::tally::as_f64;
use crate::event::{StratumTally, Window};
use andon_model::{Millis, Time};

/// Claims per octave of the pooled bound: between two claims it loses under 1 %.
const POOLED_RUNGS: i32 = 4;
/// The same for one stratum: there are up to 4,096 of them, and a few per cent do not matter there.
const STRATUM_RUNGS: i32 = 1;
/// A tick is loud when more of the gauge fall silent than so many …
const LOUD_MIN: f64 = 8.0;
/// … and more than so many times what the background explains.
const LOUD_TIMES: f64 = 4.0;
/// So many of the gauge must have gone bad before its own rate replaces the plan's.
const RATE_EVENTS_MIN: f64 = 30.0;

/// How loud one tick is, from the gauge alone.
#[derive(Clone, Debug)]
pub(crate) struct Loudness {
    /// background failures per host and millisecond, as the plan says
    planned: f64,
    /// gauge hosts gone bad in quiet ticks, and their time at risk
    quiet_bad: f64,
    quiet_host_ms: f64,
    last: Option<Time>,
}

/// What one tick's gauge says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    /// background failures per host and millisecond when nothing special happens
    pub rate: f64,
    /// probability that a host went bad in this very tick: 0 unless it is loud
    pub loud: f64,
    /// the same per stratum
    pub strata: Vec<f64>,
}

impl Loudness {
    /// `background_ppm_per_h`: hosts expected to go bad by themselves, millionths per hour.
    pub(crate) fn new(background_ppm_per_h: u32) -> Loudness {
        let planned = f64::from(background_ppm_per_h.max(1)) / 1e6 / 3_600_000.0;
        Loudness { planned, quiet_bad: 0.0, quiet_host_ms: 0.0, last: None }
    }

    /// Reads one tick's gauge.
    pub(crate) fn read(&mut self, now: Time, strata: &[StratumTally]) -> Tick {
        let elapsed = self.last.map_or(0.0, |last| as_f64(now.since(last).0));
        self.last = Some(now);
        let rate = self.rate();
        let loudness = |bad: f64, hosts: f64| {
            let explained = rate * elapsed * hosts;
            if hosts > 0.0 && bad > LOUD_MIN + LOUD_TIMES * explained { bad / hosts } else { 0.0 }
        };
        let own = |tally: &StratumTally| {
            loudness(f64::from(tally.gauge.bad_new), f64::from(tally.gauge.silence.at_risk))
        };
        let bad: f64 = strata.iter().map(|tally| f64::from(tally.gauge.bad_new)).sum();
        let hosts: f64 = strata.iter().map(|tally| f64::from(tally.gauge.silence.at_risk)).sum();
        let loud = loudness(bad, hosts);
        let each: Vec<f64> = strata.iter().map(|tally| own(tally).max(loud)).collect();
        if each.iter().all(|loud| *loud <= 0.0) {
            self.quiet_bad += bad;
            self.quiet_host_ms += hosts * elapsed;
        }
        Tick { rate, loud, strata: each }
    }

    fn rate(&self) -> f64 {
        let seen = if self.quiet_bad >= RATE_EVENTS_MIN && self.quiet_host_ms > 0.0 {
            self.quiet_bad / self.quiet_host_ms
        } else {
            0.0
        };
        self.planned.max(seen)
    }
}

/// Evidence of one stratum, or of all together.
#[derive(Clone, Debug)]
struct Part {
    excess: Excess,
    clean: u64,
    bad: u64,
    /// failures that the controls of the same ticks lead one to expect without the update
    expected: f64,
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct Horizon {
    /// how long a host is within its window, milliseconds
    window_ms: f64,
    /// the same and the time silence needs to show: what happened longer ago touches no open window
    memory: Millis,
    ladders: [Ladder; 2],
    /// stakes of the quiet background
    quiet: [Stakes; 2],
    pooled: Part,
    strata: Vec<Part>,
    /// per stratum: loudest tick that an open window may reach back to, and until when it counts
    loudest: Vec<(f64, Time)>,
}

/// What a horizon says of one stratum, or of all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Says {
    /// hosts through their window, or gone bad in it
    pub vouched: u64,
    /// excess failures so far, as the controls estimate them
    pub spent: f64,
    /// upper bound on q
    pub ucb: f64,
}

impl Horizon {
    /// `window`: load and soak; `after`: D.
    pub(crate) fn new(
        strata: usize,
        window: Millis,
        after: Millis,
        silent_after: Millis,
        background_ppm_per_h: u32,
    ) -> Horizon {
        let ladders = [Ladder::new(POOLED_RUNGS), Ladder::new(STRATUM_RUNGS)];
        let window_ms = as_f64(window.plus(after).0.max(1));
        let background = Loudness::new(background_ppm_per_h).rate() * window_ms;
        let part =
            |ladder: &Ladder| Part { excess: Excess::new(ladder), clean: 0, bad: 0, expected: 0.0 };
        Horizon {
            window_ms,
            memory: window.plus(after).plus(silent_after).plus(silent_after),
            quiet: [ladders[0].stakes(background), ladders[1].stakes(background)],
            pooled: part(&ladders[0]),
            strata: vec![part(&ladders[1]); strata],
            loudest: vec![(0.0, Time(0)); strata],
            ladders,
        }
    }

    /// Takes one tick. `at`: this horizon's place in every stratum's windows. `None`: a sum overflowed.
    pub(crate) fn observe(
        &mut self,
        now: Time,
        at: usize,
        seen: &[StratumTally],
        tick: &Tick,
    ) -> Option<()> {
        self.set_quiet(tick.rate * self.window_ms);
        let mut quiet = Window::default();
        for (stratum, tally) in seen.iter().enumerate() {
            let Some(window) = tally.windows.get(at) else { continue };
            let calm = self.observe_stratum(now, stratum, tally, *window, tick)?;
            if calm {
                quiet.bad = quiet.bad.checked_add(window.bad)?;
                quiet.clean = quiet.clean.checked_add(window.clean)?;
            }
        }
        self.pooled.excess.bad(f64::from(quiet.bad), &self.quiet[0]);
        self.pooled.excess.clean(f64::from(quiet.clean), &self.quiet[0]);
        self.pooled.excess.is_sound().then_some(())
    }

    fn set_quiet(&mut self, background: f64) {
        if (background - self.quiet[0].background()).abs() > 0.1 * self.quiet[0].background() {
            self.quiet = [self.ladders[0].stakes(background), self.ladders[1].stakes(background)];
        }
    }

    /// Whether the stratum's clean and bad hosts are left for the caller to pool at quiet stakes.
    fn observe_stratum(
        &mut self,
        now: Time,
        stratum: usize,
        tally: &StratumTally,
        window: Window,
        tick: &Tick,
    ) -> Option<bool> {
        let loud = tick.strata.get(stratum).copied().unwrap_or(0.0);
        let loudest = self.loudest.get_mut(stratum)?;
        if loudest.1 < now {
            *loudest = (0.0, now);
        }
        if loud > 0.0 {
            *loudest = (loudest.0.max(loud), now.plus(self.memory));
        }
        let loudest = loudest.0;
        let (own, pooled) = (self.strata.get_mut(stratum)?, &mut self.pooled);
        let (x, y) = (f64::from(window.bad), f64::from(tally.controls.bad_new));
        let controls = f64::from(tally.controls.silence.at_risk);
        let ratio = if controls > 0.0 { f64::from(window.at_risk) / controls } else { 0.0 };
        for part in [&mut *own, &mut *pooled] {
            part.bad = part.bad.checked_add(u64::from(window.bad))?;
            part.clean = part.clean.checked_add(u64::from(window.clean))?;
            part.expected += y * ratio;
        }
        let calm = loudest <= 0.0;
        if calm {
            own.excess.bad(x, &self.quiet[1]);
            own.excess.control(y, ratio, &self.quiet[1]);
            own.excess.clean(f64::from(window.clean), &self.quiet[1]);
            pooled.excess.control(y, ratio, &self.quiet[0]);
            return own.excess.is_sound().then_some(true);
        }
        let quiet = self.quiet[0].background();
        for (part, ladder) in [(own, &self.ladders[1]), (pooled, &self.ladders[0])] {
            let now = ladder.stakes(quiet + loud);
            part.excess.bad(x, &now);
            part.excess.control(y, ratio, &now);
            part.excess.clean(f64::from(window.clean), &ladder.stakes(quiet + loudest));
        }
        Some(false)
    }

    pub(crate) fn pooled(&self, delta: f64) -> Says {
        self.pooled.says(&self.ladders[0], delta)
    }
    pub(crate) fn stratum(&self, stratum: usize, delta: f64) -> Says {
        let part = self.strata.get(stratum);
        part.map_or(Says { vouched: 0, spent: 0.0, ucb: 1.0 }, |p| p.says(&self.ladders[1], delta))
    }
}

impl Part {
    fn says(&self, ladder: &Ladder, delta: f64) -> Says {
        Says {
            vouched: self.clean.saturating_add(self.bad),
            spent: spent(as_f64(self.bad), self.expected),
            ucb: self.excess.bound(ladder, delta),
        }
    }
}

/// Failures beyond what the controls explain.
fn spent(bad: f64, expected: f64) -> f64 {
    (bad - expected).max(0.0)
}

/// How many more hosts horizon D leaves room for: those not yet vouched and those handed now must
/// together not fail beyond what is left of B(D). Without `spent` each generation alone would keep
/// within B(D), but not their sum.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
pub(crate) fn room(budget: f64, spent: f64, ucb: f64, unvouched: f64) -> u64 {
    let left = (budget - spent).max(0.0);
    (left / ucb - unvouched).clamp(0.0, 1e15).floor() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_leaves_less_room() {
        assert_eq!(room(100.0, 0.0, 0.5, 10.0), 190);
        assert_eq!(room(100.0, 60.0, 0.5, 10.0), 70);
        assert_eq!(room(100.0, 200.0, 0.5, 10.0), 0);
        assert_eq!((spent(3.0, 100.0), spent(3.0, 1.0)), (0.0, 2.0));
    }
}
