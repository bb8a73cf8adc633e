//! One horizon D of the budget: what has been spent, how large q may still be, and how many more
//! hosts that leaves room for, pooled and per stratum. It does not decide whether to widen.
use super::excess::{Excess, Ground, Ladder, Share, open_max};
use super::prefix::{Change, KEPT, News, PREFIX_SHARE, Prefix, Prefixes, WHOLE_SHARE, Windows};
use super::stakes::{Level, Table};
use super::tail::Tails;
use super::tally::as_f64;
use crate::event::{StratumTally, Window};
use andon_model::{Millis, Time};
use std::borrow::Cow;

/// Claims per octave of the pooled bound: between two parts of a claim it loses 2 %.
const POOLED_RUNGS: i32 = 8;
/// The same for one stratum: there are up to 4,096 of them, and a few per cent do not matter there.
const STRATUM_RUNGS: i32 = 2;
/// A tick is loud when more of the gauge fall silent than so many …
const LOUD_MIN: f64 = 8.0;
/// … and more than so many times what the background explains.
const LOUD_TIMES: f64 = 4.0;
/// Standard deviations by which chance is expected to err in loud ticks …
const LOUD_DEVIATIONS: f64 = 3.0;
/// … and in the quiet ones of a horizon in which much of the fleet is within one window together.
const LONG_DEVIATIONS: f64 = 2.0;
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
    level: Level,
    clean: u64,
    bad: u64,
    /// failures in quiet ticks and in loud ones
    quiet: Difference,
    loud: Difference,
}

/// Failures, those that the controls of the same ticks lead one to expect without the update, and the
/// variance of the difference.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Difference {
    bad: f64,
    explained: f64,
    variance: f64,
}

impl Difference {
    fn take(&mut self, bad: f64, controls_bad: f64, ratio: f64) {
        let explained = controls_bad * ratio;
        self.bad += bad;
        self.explained += explained;
        self.variance += explained * (1.0 + ratio);
    }
    /// Failures beyond what the controls explain and so many standard deviations.
    fn beyond(&self, deviations: f64) -> f64 {
        (self.bad - self.explained - deviations * self.variance.sqrt()).max(0.0)
    }
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
    /// the same of what is left of it; none if nothing is
    left: Option<Tails>,
    /// stakes pooled and per stratum
    tables: [Table; 2],
    pooled: Part,
    strata: Vec<Part>,
    /// per stratum: hosts whose coming through will prove little, because at the one age at which
    /// the update may fail they were in a loud tick; and how loud that was
    drowned: Vec<(u64, f64)>,
}

/// A budget, and what is left of it.
type Budgets<'a> = [Cow<'a, Tails>; 2];

/// What a horizon says of all strata together, or of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Says {
    /// hosts through their window, or gone bad in it
    pub vouched: u64,
    /// those of them that came through with nothing bad
    pub clean: u64,
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
            level: Level::default(),
            clean: 0,
            bad: 0,
            quiet: Difference::default(),
            loud: Difference::default(),
        };
        Horizon {
            window_ms,
            pooled: part(&ladders[0]),
            strata: vec![part(&ladders[1]); strata],
            drowned: vec![(0, 0.0); strata],
            prefixes: (after > Millis::ZERO).then(Prefixes::default),
            whole: Tails::new(budget),
            left: Some(Tails::new(budget)),
            tables: ladders.map(|ladder| Table::new(ladder, background)),
        }
    }

    /// A ticket is issued; so many waves and hosts were handed before it.
    pub(crate) fn ticket(&mut self, waves: usize, hosts: u64) {
        let budget = self.budget();
        let change = self.prefixes.as_mut();
        let change = change.map_or(Change::None, |all| all.ticket(waves, hosts, budget));
        for part in self.strata.iter_mut().chain([&mut self.pooled]) {
            if change == Change::Replace {
                part.prefixes.remove(0);
            }
            if change != Change::None {
                part.prefixes.push(Prefix::new(
                    part.excess.clone(),
                    (part.clean, part.bad),
                    part.level,
                ));
            }
        }
    }

    /// Takes one tick. `at`: this horizon's place in every stratum's windows. `None`: a sum overflowed.
    pub(crate) fn observe(&mut self, at: usize, seen: &[StratumTally], tick: &Tick) -> Option<()> {
        for table in &mut self.tables {
            table.set(tick.rate * self.window_ms);
        }
        let prefixes: Vec<Windows> =
            seen.iter().map(|tally| self.prefix_windows(at, tally)).collect();
        self.raise(at, seen, &prefixes);
        let mut quiet = Window::default();
        for (stratum, (tally, prefixes)) in seen.iter().zip(&prefixes).enumerate() {
            let Some(window) = tally.windows.get(at) else { continue };
            let news = self.news(stratum, tally, *window, tick)?;
            self.observe_prefixes(stratum, tally, prefixes.each(), &news)?;
            let pool = self.observe_stratum(stratum, *window, news)?;
            quiet.bad = quiet.bad.checked_add(pool.bad)?;
            quiet.clean = quiet.clean.checked_add(pool.clean)?;
        }
        let stakes = self.tables[0].quiet(self.pooled.level);
        self.pooled.excess.bad(f64::from(quiet.bad), stakes);
        self.pooled.excess.clean(f64::from(quiet.clean), stakes);
        self.reckon_left();
        self.pooled.excess.is_sound().then_some(())
    }

    /// What is left of the budget.
    fn reckon_left(&mut self) {
        let spent = self.pooled.spent(self.prefixes.is_some());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
        let left = self.whole.budget().checked_sub(spent.ceil() as u64);
        if left != self.left.as_ref().map(Tails::budget) {
            self.left = left.map(Tails::new);
        }
    }

    fn prefix_windows(&self, at: usize, tally: &StratumTally) -> Windows {
        match (&self.prefixes, tally.by_wave(at)) {
            (Some(all), Some(by_wave)) => all.windows(by_wave),
            _ => Windows::default(),
        }
    }

    /// The noise of each comparison, before anything of this tick is compared.
    fn raise(&mut self, at: usize, seen: &[StratumTally], prefixes: &[Windows]) {
        let mut controls = 0.0;
        let mut at_risk = vec![0.0; 1 + self.pooled.prefixes.len()];
        for ((tally, own), part) in seen.iter().zip(prefixes).zip(&mut self.strata) {
            let Some(whole) = tally.windows.get(at) else { continue };
            let beside = beside(tally);
            controls += beside;
            let own = own.each();
            for (sum, window) in at_risk.iter_mut().zip([whole].into_iter().chain(own)) {
                *sum += f64::from(window.at_risk);
            }
            part.raise([whole].into_iter().chain(own).map(|w| f64::from(w.at_risk)), beside);
        }
        self.pooled.raise(at_risk.into_iter(), controls);
    }

    /// What one stratum's tick adds to the whole, and how much of it proves little.
    fn news(
        &mut self,
        stratum: usize,
        tally: &StratumTally,
        window: Window,
        tick: &Tick,
    ) -> Option<News> {
        let loud = tick.strata.get(stratum).copied().unwrap_or(0.0);
        let drowned = self.drowned.get_mut(stratum)?;
        if loud > 0.0 {
            *drowned = (drowned.0 + u64::from(window.alike), drowned.1.max(loud));
        }
        // Whoever was through and went bad later is not through again: the sum never falls.
        let clean = u64::from(window.clean).saturating_sub(self.strata.get(stratum)?.clean);
        let little = drowned.0.min(clean);
        let loudest = drowned.1;
        let left = drowned.0 - little;
        *drowned = (left, if left == 0 { 0.0 } else { loudest });
        let ratio = ratio(&window, tally);
        let controls_bad = f64::from(tally.controls.bad_new);
        Some(News { bad: window.bad, clean, little, controls_bad, ratio, loud, loudest })
    }

    /// What the older waves alone show in one stratum.
    fn observe_prefixes(
        &mut self,
        stratum: usize,
        tally: &StratumTally,
        windows: &[Window],
        news: &News,
    ) -> Option<()> {
        let own = self.strata.get_mut(stratum)?.prefixes.iter_mut();
        for ((window, own), pooled) in windows.iter().zip(own).zip(&mut self.pooled.prefixes) {
            let clean = own.through(window);
            if clean == 0 && window.bad == 0 && (news.controls_bad == 0.0 || window.at_risk == 0) {
                continue;
            }
            let (little, ratio) = (news.little.min(clean), ratio(window, tally));
            let news = News { bad: window.bad, clean, little, ratio, ..*news };
            own.take(&news, &self.tables[1]);
            pooled.take(&news, &self.tables[0]);
        }
        Some(())
    }

    /// Takes one stratum's tick. Answers what the caller is to pool at quiet stakes.
    fn observe_stratum(&mut self, stratum: usize, window: Window, news: News) -> Option<Window> {
        let News { bad, clean, little, controls_bad, ratio, loud, loudest } = news;
        let (own, pooled) = (self.strata.get_mut(stratum)?, &mut self.pooled);
        let mut pool = Window { clean: u32::try_from(clean - little).ok()?, ..window };
        own.excess.clean(f64::from(pool.clean), self.tables[1].quiet(own.level));
        for (part, table) in [(&mut *own, &self.tables[1]), (&mut *pooled, &self.tables[0])] {
            part.bad = part.bad.checked_add(u64::from(bad))?;
            part.clean = part.clean.checked_add(clean)?;
            part.take(f64::from(bad), controls_bad, ratio, loud > 0.0);
            if let Some(stakes) = table.loud(part.level, loud) {
                part.excess.bad(f64::from(bad), &stakes);
                part.excess.control(controls_bad, ratio, &stakes);
            } else {
                part.excess.control(controls_bad, ratio, table.quiet(part.level));
            }
            if little > 0 {
                let stakes = table.loud(part.level, loudest);
                let stakes = stakes.as_ref().unwrap_or_else(|| table.quiet(part.level));
                part.excess.clean(as_f64(little), stakes);
            }
        }
        if loud > 0.0 {
            pool.bad = 0;
        } else {
            own.excess.bad(f64::from(bad), self.tables[1].quiet(own.level));
        }
        let unchanged = bad == 0 && clean == 0 && controls_bad <= 0.0;
        (unchanged || own.excess.is_sound()).then_some(pool)
    }

    /// B(D).
    pub(crate) fn budget(&self) -> u64 {
        self.whole.budget()
    }

    /// Hosts vouched, pooled and per stratum.
    pub(crate) fn vouched(&self) -> (u64, Vec<u64>) {
        (self.pooled.vouched(), self.strata.iter().map(Part::vouched).collect())
    }

    /// Hosts through their window unharmed, per stratum.
    pub(crate) fn strata_clean(&self) -> impl Iterator<Item = u64> {
        self.strata.iter().map(|part| part.clean)
    }

    /// All strata together. `charge`: late hosts that count as lost ([`crate::late`]).
    pub(crate) fn pooled(&self, delta: f64, charge: u64) -> Says {
        let (part, ladder) = (&self.pooled, &self.tables[0].ladder);
        let budgets = self.beside(charge);
        Says {
            vouched: part.vouched(),
            clean: part.clean,
            spent: part.spent(self.prefixes.is_some()) + as_f64(charge),
            ucb: self.ucb(part, ladder, delta),
            open_max: self.open_max(
                part,
                ladder,
                self.shares(delta),
                (budgets.as_ref(), f64::INFINITY),
            ),
        }
    }

    /// The budget, and what is left of it, when so many late hosts count as lost.
    fn beside(&self, charge: u64) -> Option<Budgets<'_>> {
        let [whole, left] = [&self.whole, self.left.as_ref()?];
        if charge == 0 {
            return Some([whole, left].map(Cow::Borrowed));
        }
        let less = |tails: &Tails| tails.budget().checked_sub(charge).map(Tails::new);
        Some([less(whole)?, less(left)?].map(Cow::Owned))
    }

    /// The bound on q of each stratum.
    pub(crate) fn strata_ucb(&self, delta: f64) -> Vec<f64> {
        let ladder = &self.tables[1].ladder;
        self.strata.iter().map(|part| self.ucb(part, ladder, delta)).collect()
    }

    /// How many more hosts each stratum leaves room for, if so many are handed of so many. Within the
    /// same budget, so what is spent anywhere, or on late hosts, counts everywhere.
    pub(crate) fn strata_room(
        &self,
        delta: f64,
        charge: u64,
        strata: impl Iterator<Item = (u64, u64)>,
    ) -> Vec<u64> {
        let budgets = self.beside(charge);
        let budgets = budgets.as_ref();
        let shares = self.shares(delta);
        let of = |(part, (handed, hosts)): (&Part, (u64, u64))| {
            let enough = as_f64(hosts);
            let open = || self.open_max(part, &self.tables[1].ladder, shares, (budgets, enough));
            // Of whom nobody is known nothing bounds q, and no more may be out than may be lost.
            let open_max = if part.vouched() == 0 || handed >= hosts { 0.0 } else { open() };
            let (vouched, clean) = (part.vouched(), part.clean);
            let budget = self.budget().saturating_sub(charge);
            room(&Says { vouched, clean, spent: 0.0, ucb: 1.0, open_max }, budget, handed)
        };
        self.strata.iter().zip(strata).map(of).collect()
    }

    fn whole_share(&self) -> f64 {
        if self.prefixes.is_some() { WHOLE_SHARE } else { 1.0 }
    }

    fn ucb(&self, part: &Part, ladder: &Ladder, delta: f64) -> f64 {
        let bounds = part.prefixes.iter().map(|prefix| prefix.bound(ladder, delta));
        bounds.fold(part.excess.bound(ladder, delta * self.whole_share()), f64::min)
    }

    /// Parts of δ of the whole and of each prefix; none if nothing of the budget is left.
    fn shares(&self, delta: f64) -> Option<[Share; 2]> {
        let left = self.left.as_ref()?;
        let deltas = [delta * self.whole_share(), delta * PREFIX_SHARE];
        Some(deltas.map(|delta| Share::new(delta, (&self.whole, left))))
    }

    /// Most hosts handed and not vouched; beyond `enough` it does not matter how many.
    fn open_max(
        &self,
        part: &Part,
        ladder: &Ladder,
        shares: Option<[Share; 2]>,
        (budgets, enough): (Option<&Budgets<'_>>, f64),
    ) -> f64 {
        let (Some([whole, left]), Some([share, prefix_share])) = (budgets, shares) else {
            return 0.0;
        };
        let mut grounds = [Ground { excess: &part.excess, share, beside: 0.0 }; 1 + KEPT];
        for (ground, prefix) in grounds[1..].iter_mut().zip(&part.prefixes) {
            let beside = as_f64(part.vouched().saturating_sub(prefix.vouched()));
            *ground = Ground { excess: &prefix.excess, share: prefix_share, beside };
        }
        let grounds = &grounds[..=part.prefixes.len().min(KEPT)];
        open_max(grounds, ladder, (whole, left), enough)
    }
}

/// Controls that could go bad in this tick. Those that have missed their return are no longer at risk of
/// silence; which of them are the gauge's is not told, and too many controls only weaken a bound.
fn beside(tally: &StratumTally) -> f64 {
    f64::from(tally.controls.silence.at_risk) + f64::from(tally.restarts.controls.new)
}

fn ratio(window: &Window, tally: &StratumTally) -> f64 {
    let controls = beside(tally);
    if controls > 0.0 { f64::from(window.at_risk) / controls } else { 0.0 }
}

impl Part {
    /// Hosts through their window, or gone bad in it.
    fn vouched(&self) -> u64 {
        self.clean.saturating_add(self.bad)
    }
    /// `at_risk`: of the whole, then of each prefix.
    fn raise(&mut self, mut at_risk: impl Iterator<Item = f64>, controls: f64) {
        let whole = at_risk.next().unwrap_or(0.0);
        self.level = self.level.max(Level::of(whole, controls));
        for (prefix, at_risk) in self.prefixes.iter_mut().zip(at_risk) {
            prefix.raise(Level::of(at_risk, controls));
        }
    }
    fn take(&mut self, bad: f64, controls_bad: f64, ratio: f64, loud: bool) {
        let part = if loud { &mut self.loud } else { &mut self.quiet };
        part.take(bad, controls_bad, ratio);
    }
    /// Failures beyond what the controls explain: of the difference of two large numbers, which is
    /// mostly chance, only what is beyond a few standard deviations.
    fn spent(&self, overlap: bool) -> f64 {
        let deviations = if overlap { LONG_DEVIATIONS } else { 0.0 };
        self.quiet.beyond(deviations) + self.loud.beyond(LOUD_DEVIATIONS)
    }
}

/// How many more hosts may be handed, `handed` being out. As many as the budget may always be out
/// without having come through: no more can fail than have not.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
pub(crate) fn room(says: &Says, budget: u64, handed: u64) -> u64 {
    let unvouched = as_f64(handed.saturating_sub(says.vouched));
    let more = (says.open_max - unvouched).clamp(0.0, 1e15).floor() as u64;
    more.max(budget.saturating_sub(handed.saturating_sub(says.clean)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_leaves_less_room() {
        let room = |open_max, clean, bad, budget, handed| {
            let says = Says { vouched: clean + bad, clean, spent: 0.0, ucb: 1.0, open_max };
            room(&says, budget, handed)
        };
        assert_eq!((room(200.5, 0, 0, 0, 10), room(5.0, 0, 0, 0, 10)), (190, 0));
        // 16 may be lost: whoever is in hand, or was lost, takes from it, and who came through does not.
        assert_eq!(
            (room(0.0, 0, 0, 16, 12), room(0.0, 7, 0, 16, 12), room(0.0, 7, 3, 16, 12)),
            (4, 11, 11)
        );
        let difference = |bad, explained, variance| Difference { bad, explained, variance };
        assert_eq!(difference(3.0, 100.0, 0.0).beyond(0.0), 0.0);
        assert_eq!(difference(3.0, 1.0, 1.0).beyond(0.0), 2.0);
        assert_eq!(difference(5000.0, 4900.0, 4900.0).beyond(3.0), 0.0);
        assert!(difference(5500.0, 4900.0, 4900.0).beyond(3.0) > 300.0);
    }
}
