//! One horizon D of the budget: what has been spent, how large q may still be, and how many more
//! hosts that leaves room for, pooled and per stratum. It does not decide whether to widen.
use super::excess::{Excess, Ground, Ladder, Stakes, open_max};
use super::prefix::{Change, News, PREFIX_SHARE, Prefix, Prefixes, WHOLE_SHARE};
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
    /// the same of older waves alone
    prefixes: Vec<Prefix>,
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
    /// none if waves do not overlap: what is asked of a host is over before the next one is handed it
    prefixes: Option<Prefixes>,
    /// how likely more failures than the budget are
    whole: Tails,
    ladders: [Ladder; 2],
    /// stakes of the quiet background
    quiet: [Stakes; 2],
    pooled: Part,
    strata: Vec<Part>,
    /// per stratum: hosts whose coming through will prove little, because at the one age at which
    /// the update may fail they were in a loud tick; and how loud that was
    drowned: Vec<(u64, f64)>,
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
        background_ppm_per_h: u32,
    ) -> Horizon {
        let ladders = [Ladder::new(POOLED_RUNGS), Ladder::new(STRATUM_RUNGS)];
        let window_ms = as_f64(window.plus(after).0.max(1));
        let background = Loudness::new(background_ppm_per_h).rate() * window_ms;
        let part = |ladder: &Ladder| Part {
            excess: Excess::new(ladder),
            prefixes: Vec::new(),
            clean: 0,
            bad: 0,
            quiet: (0.0, 0.0),
            loud: (0.0, 0.0, 0.0),
        };
        Horizon {
            window_ms,
            quiet: [ladders[0].stakes(background), ladders[1].stakes(background)],
            pooled: part(&ladders[0]),
            strata: vec![part(&ladders[1]); strata],
            drowned: vec![(0, 0.0); strata],
            prefixes: (after > Millis::ZERO).then(Prefixes::default),
            whole: Tails::new(budget),
            ladders,
        }
    }

    /// A ticket is issued; so many waves and hosts were handed before it.
    pub(crate) fn ticket(&mut self, waves: usize, hosts: u64) {
        let change = self.prefixes.as_mut().map_or(Change::None, |all| all.ticket(waves, hosts));
        for part in self.strata.iter_mut().chain([&mut self.pooled]) {
            if change == Change::Replace {
                part.prefixes.remove(0);
            }
            if change != Change::None {
                part.prefixes.push(Prefix::new(part.excess.clone(), part.clean, part.bad));
            }
        }
    }

    /// Takes one tick. `at`: this horizon's place in every stratum's windows. `None`: a sum overflowed.
    pub(crate) fn observe(&mut self, at: usize, seen: &[StratumTally], tick: &Tick) -> Option<()> {
        self.set_quiet(tick.rate * self.window_ms);
        let mut quiet = Window::default();
        for (stratum, tally) in seen.iter().enumerate() {
            let Some(window) = tally.windows.get(at) else { continue };
            self.observe_prefixes(stratum, tally, at, tick)?;
            let pool = self.observe_stratum(stratum, tally, *window, tick)?;
            quiet.bad = quiet.bad.checked_add(pool.bad)?;
            quiet.clean = quiet.clean.checked_add(pool.clean)?;
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

    /// What the older waves alone show. To be asked before [`Horizon::observe_stratum`].
    fn observe_prefixes(
        &mut self,
        stratum: usize,
        tally: &StratumTally,
        at: usize,
        tick: &Tick,
    ) -> Option<()> {
        let (Some(all), Some(by_wave)) = (&self.prefixes, tally.by_wave(at)) else {
            return Some(());
        };
        let loud = tick.strata.get(stratum).copied().unwrap_or(0.0);
        let (mut drowned, mut loudest) = *self.drowned.get(stratum)?;
        if loud > 0.0 {
            drowned += u64::from(tally.windows.get(at)?.alike);
            loudest = loudest.max(loud);
        }
        let (y, c) = (f64::from(tally.controls.bad_new), f64::from(tally.controls.silence.at_risk));
        let windows = all.windows(by_wave);
        let quiet = self.quiet[0].background();
        for (at, window) in windows.iter().enumerate() {
            let own = self.strata.get_mut(stratum)?.prefixes.get_mut(at)?;
            let clean = own.through(window);
            let ratio = if c > 0.0 { f64::from(window.at_risk) / c } else { 0.0 };
            let little = drowned.min(clean);
            let news = News { bad: window.bad, clean, little, controls_bad: y, ratio };
            if clean == 0 && window.bad == 0 && (y == 0.0 || window.at_risk == 0) {
                continue;
            }
            let pooled = self.pooled.prefixes.get_mut(at)?;
            for (prefix, which) in [(own, 1), (pooled, 0)] {
                let at_level =
                    |level: f64| (level > 0.0).then(|| self.ladders[which].stakes(quiet + level));
                let (now, then) = (at_level(loud), at_level(loudest));
                let quiet = &self.quiet[which];
                let stakes = [now.as_ref().unwrap_or(quiet), quiet, then.as_ref().unwrap_or(quiet)];
                prefix.take(&news, stakes);
            }
        }
        Some(())
    }

    /// Takes one stratum's tick. Answers what the caller is to pool at quiet stakes.
    fn observe_stratum(
        &mut self,
        stratum: usize,
        tally: &StratumTally,
        window: Window,
        tick: &Tick,
    ) -> Option<Window> {
        let loud = tick.strata.get(stratum).copied().unwrap_or(0.0);
        let drowned = self.drowned.get_mut(stratum)?;
        if loud > 0.0 {
            *drowned = (drowned.0 + u64::from(window.alike), drowned.1.max(loud));
        }
        // Whoever was through and went bad later is not through again: the sum never falls.
        let clean = u64::from(window.clean).saturating_sub(self.strata.get(stratum)?.clean);
        let little = drowned.0.min(clean);
        let (left, loudest) = (drowned.0 - little, drowned.1);
        *drowned = (left, if left == 0 { 0.0 } else { loudest });
        let (own, pooled) = (self.strata.get_mut(stratum)?, &mut self.pooled);
        let (x, y) = (f64::from(window.bad), f64::from(tally.controls.bad_new));
        let controls = f64::from(tally.controls.silence.at_risk);
        let ratio = if controls > 0.0 { f64::from(window.at_risk) / controls } else { 0.0 };
        for part in [&mut *own, &mut *pooled] {
            part.bad = part.bad.checked_add(u64::from(window.bad))?;
            part.clean = part.clean.checked_add(clean)?;
            part.take(x, y, ratio, loud > 0.0);
        }
        let quiet = self.quiet[0].background();
        let mut pool = Window { clean: u32::try_from(clean - little).ok()?, ..window };
        own.excess.clean(f64::from(pool.clean), &self.quiet[1]);
        if loud > 0.0 {
            for (part, ladder) in [(&mut *own, &self.ladders[1]), (&mut *pooled, &self.ladders[0])]
            {
                let stakes = ladder.stakes(quiet + loud);
                part.excess.bad(x, &stakes);
                part.excess.control(y, ratio, &stakes);
            }
            pool.bad = 0;
        } else {
            own.excess.bad(x, &self.quiet[1]);
            own.excess.control(y, ratio, &self.quiet[1]);
            pooled.excess.control(y, ratio, &self.quiet[0]);
        }
        if little > 0 {
            let stakes = self.ladders.each_ref().map(|ladder| ladder.stakes(quiet + loudest));
            own.excess.clean(as_f64(little), &stakes[1]);
            pooled.excess.clean(as_f64(little), &stakes[0]);
        }
        own.excess.is_sound().then_some(pool)
    }

    /// B(D).
    pub(crate) fn budget(&self) -> u64 {
        self.whole.budget()
    }

    /// Hosts vouched, pooled and per stratum.
    pub(crate) fn vouched(&self) -> (u64, Vec<u64>) {
        let of = |part: &Part| part.clean.saturating_add(part.bad);
        (of(&self.pooled), self.strata.iter().map(of).collect())
    }

    /// All strata together.
    pub(crate) fn pooled(&self, delta: f64) -> Says {
        self.says(&self.pooled, &self.ladders[0], delta, self.left().as_ref())
    }

    /// Each stratum: within the same budget, so what is spent anywhere counts everywhere.
    pub(crate) fn strata(&self, delta: f64) -> Vec<Says> {
        let left = self.left();
        let says = |part| self.says(part, &self.ladders[1], delta, left.as_ref());
        self.strata.iter().map(says).collect()
    }

    fn says(&self, part: &Part, ladder: &Ladder, delta: f64, left: Option<&Tails>) -> Says {
        let vouched = part.clean.saturating_add(part.bad);
        let share = if self.prefixes.is_some() { WHOLE_SHARE } else { 1.0 };
        let whole = Ground { excess: &part.excess, delta: delta * share, beside: 0.0 };
        let of = |prefix| {
            let beside = as_f64(vouched.saturating_sub(Prefix::vouched(prefix)));
            Ground { excess: &prefix.excess, delta: delta * PREFIX_SHARE, beside }
        };
        let grounds: Vec<Ground> =
            [whole].into_iter().chain(part.prefixes.iter().map(of)).collect();
        let bounds = part.prefixes.iter().map(|prefix| prefix.bound(ladder, delta));
        Says {
            vouched,
            spent: spent_of(part.quiet, part.loud),
            ucb: bounds.fold(part.excess.bound(ladder, delta * share), f64::min),
            open_max: left.map_or(0.0, |left| open_max(&grounds, ladder, &self.whole, left)),
        }
    }

    /// What is left of the budget; `None`: nothing.
    fn left(&self) -> Option<Tails> {
        let spent = spent_of(self.pooled.quiet, self.pooled.loud);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
        let left = self.whole.budget().checked_sub(spent.ceil() as u64)?;
        Some(if spent > 0.0 { Tails::new(left) } else { self.whole.clone() })
    }
}

impl Part {
    fn take(&mut self, bad: f64, controls_bad: f64, ratio: f64, loud: bool) {
        let explained = controls_bad * ratio;
        if loud {
            self.loud.0 += bad;
            self.loud.1 += explained;
            self.loud.2 += explained * (1.0 + ratio);
        } else {
            self.quiet.0 += bad;
            self.quiet.1 += explained;
        }
    }
}

/// Failures beyond what the controls explain: in quiet ticks all of them, in loud ones those beyond
/// three standard deviations, for the difference of two large numbers is mostly chance.
fn spent_of(quiet: (f64, f64), loud: (f64, f64, f64)) -> f64 {
    let (bad, explained, variance) = loud;
    (quiet.0 - quiet.1).max(0.0) + (bad - explained - 3.0 * variance.sqrt()).max(0.0)
}

/// How many more hosts may be handed beside those that are not vouched yet. As many as the budget
/// may always be in hand together: no more can fail than have it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
pub(crate) fn room(open_max: f64, unvouched: u64, budget: u64, handed: u64) -> u64 {
    let more = (open_max - as_f64(unvouched)).clamp(0.0, 1e15).floor() as u64;
    more.max(budget.saturating_sub(handed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_leaves_less_room() {
        assert_eq!((room(200.5, 10, 0, 10), room(5.0, 10, 0, 10)), (190, 0));
        assert_eq!(room(0.0, 10, 16, 12), 4);
        let nothing = (0.0, 0.0, 0.0);
        assert_eq!((spent_of((3.0, 100.0), nothing), spent_of((3.0, 1.0), nothing)), (0.0, 2.0));
        let outage = (5000.0, 4900.0, 4900.0);
        assert_eq!(spent_of((3.0, 1.0), outage), 2.0);
        assert!(spent_of((3.0, 1.0), (5500.0, 4900.0, 4900.0)) > 300.0);
    }
}
