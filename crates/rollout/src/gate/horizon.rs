//! One horizon D of the budget: what has been spent, how large q may still be, and how many more
//! hosts that leaves room for, pooled and per stratum. It does not decide whether to widen.
use super::excess::{Excess, Ladder, Stakes};
use super::tail::Tails;
use super::tally::as_f64;
use crate::event::{StratumTally, Window};
use andon_model::{Millis, Time};

/// Claims per octave of the pooled bound: between two parts of a claim it loses 2 %.
const POOLED_RUNGS: i32 = 8;
/// The same for one stratum: there are up to 4,096 of them, and a few per cent do not matter there.
const STRATUM_RUNGS: i32 = 2;
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
    /// failures in quiet ticks, and those that the controls of the same ticks lead one to expect
    /// without the update
    quiet: (f64, f64),
    /// the same in loud ticks, and the variance of their difference
    loud: (f64, f64, f64),
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct Horizon {
    /// how long a host is within its window, milliseconds
    window_ms: f64,
    /// the same and the time silence needs to show: what happened longer ago touches no open window
    memory: Millis,
    /// how likely more failures than the budget are
    whole: Tails,
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
    /// most hosts handed and not vouched
    pub open_max: f64,
}

impl Horizon {
    /// `window`: load and soak; then D and B(D).
    pub(crate) fn new(
        strata: usize,
        window: Millis,
        (after, budget): (Millis, u64),
        silent_after: Millis,
        background_ppm_per_h: u32,
    ) -> Horizon {
        let ladders = [Ladder::new(POOLED_RUNGS), Ladder::new(STRATUM_RUNGS)];
        let window_ms = as_f64(window.plus(after).0.max(1));
        let background = Loudness::new(background_ppm_per_h).rate() * window_ms;
        let part = |ladder: &Ladder| Part {
            excess: Excess::new(ladder),
            clean: 0,
            bad: 0,
            quiet: (0.0, 0.0),
            loud: (0.0, 0.0, 0.0),
        };
        Horizon {
            window_ms,
            memory: window.plus(after).plus(silent_after).plus(silent_after),
            quiet: [ladders[0].stakes(background), ladders[1].stakes(background)],
            pooled: part(&ladders[0]),
            strata: vec![part(&ladders[1]); strata],
            loudest: vec![(0.0, Time(0)); strata],
            whole: Tails::new(budget),
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
            if loud > 0.0 {
                part.loud.0 += x;
                part.loud.1 += y * ratio;
                part.loud.2 += y * ratio * (1.0 + ratio);
            } else {
                part.quiet.0 += x;
                part.quiet.1 += y * ratio;
            }
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

    /// All strata together, and each: within one budget, so what is spent anywhere counts everywhere.
    pub(crate) fn say(&self, delta: f64) -> (Says, Vec<Says>) {
        let spent = spent(self.pooled.quiet, self.pooled.loud);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
        let left = match self.whole.budget().checked_sub(spent.ceil() as u64) {
            Some(left) if left == self.whole.budget() => Some(self.whole.clone()),
            left => left.map(Tails::new),
        };
        let says = |part: &Part, ladder: &Ladder| Says {
            vouched: part.clean.saturating_add(part.bad),
            spent: crate::gate::horizon::spent(part.quiet, part.loud),
            ucb: part.excess.bound(ladder, delta),
            open_max: left
                .as_ref()
                .map_or(0.0, |left| part.excess.open_max(ladder, delta, &self.whole, left)),
        };
        let strata = self.strata.iter().map(|part| says(part, &self.ladders[1])).collect();
        (says(&self.pooled, &self.ladders[0]), strata)
    }
}

/// Failures beyond what the controls explain: in quiet ticks all of them, in loud ones those beyond
/// three standard deviations, for the difference of two large numbers is mostly chance.
fn spent(quiet: (f64, f64), loud: (f64, f64, f64)) -> f64 {
    let (bad, explained, variance) = loud;
    (quiet.0 - quiet.1).max(0.0) + (bad - explained - 3.0 * variance.sqrt()).max(0.0)
}

/// How many more hosts may be handed beside those that are not vouched yet.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
pub(crate) fn room(open_max: f64, unvouched: f64) -> u64 {
    (open_max - unvouched).clamp(0.0, 1e15).floor() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_leaves_less_room() {
        assert_eq!((room(200.5, 10.0), room(5.0, 10.0)), (190, 0));
        let nothing = (0.0, 0.0, 0.0);
        assert_eq!((spent((3.0, 100.0), nothing), spent((3.0, 1.0), nothing)), (0.0, 2.0));
        let outage = (5000.0, 4900.0, 4900.0);
        assert_eq!(spent((3.0, 1.0), outage), 2.0);
        assert!(spent((3.0, 1.0), (5500.0, 4900.0, 4900.0)) > 300.0);
    }
}
