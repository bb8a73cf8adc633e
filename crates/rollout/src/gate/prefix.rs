//! What is known of the older waves alone. With a long horizon most hosts are at times within one
//! window together, and what befalls them by chance drowns what the few that are through have shown.
//! A prefix looks at the hosts handed before one ticket, and at nobody else. It decides nothing.
//!
//! Every prefix has its own M, a supermartingale like the whole's: which hosts it looks at was fixed
//! when the ticket was issued. A hand-out may rest on any of them, so each has its own part of δ and
//! their sum is δ (Bonferroni). Hosts of later waves count as not vouched: nothing was asked of them.
use super::excess::{Excess, Ladder};
use super::stakes::{Level, Table};
use crate::event::Window;

/// Prefixes that share most of δ in one rollout; later ones are not formed.
const PREFIXES: u16 = 8;
/// Prefixes kept at once: the youngest. An older one says little that its successor does not.
pub(crate) const KEPT: usize = 6;
/// A prefix is worth its part of δ once the hosts handed are so many times those of the one before.
const GROWTH: u64 = 3;
/// Part of δ for all waves together, if there are prefixes.
pub(crate) const WHOLE_SHARE: f64 = 0.1;
/// Part of δ for each prefix.
pub(crate) const PREFIX_SHARE: f64 = (1.0 - WHOLE_SHARE) / 8.0;

/// Which prefixes are looked at; the same for all strata.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefixes {
    /// waves of each, oldest prefix first
    waves: Vec<usize>,
    formed: u16,
    /// hosts handed when the latest was formed
    hosts: u64,
}

/// What becomes of the evidence kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    /// a copy of what the whole knows becomes the youngest prefix
    Form,
    /// the same, and the oldest goes
    Replace,
}

impl Prefixes {
    /// A ticket is issued; so many waves and hosts were handed before it. No bound is asked for as
    /// many hosts as may be lost.
    pub(crate) fn ticket(&mut self, waves: usize, hosts: u64, budget: u64) -> Change {
        if hosts < budget.max(1)
            || hosts < self.hosts.saturating_mul(GROWTH)
            || self.formed >= PREFIXES
        {
            return Change::None;
        }
        self.formed += 1;
        self.hosts = hosts;
        self.waves.push(waves);
        if self.waves.len() > KEPT {
            self.waves.remove(0);
            return Change::Replace;
        }
        Change::Form
    }

    /// What every prefix's hosts together show in one tick, from each wave's window.
    pub(crate) fn windows(&self, by_wave: &[Window]) -> Windows {
        let mut out = Windows { each: [Window::default(); KEPT], prefixes: self.waves.len() };
        let (mut sum, mut from) = (Window::default(), 0);
        // A prefix holds all waves of the one before it.
        for (place, waves) in out.each.iter_mut().zip(&self.waves) {
            let to = by_wave.len().min(*waves);
            for wave in &by_wave[from..to] {
                sum = Window {
                    at_risk: sum.at_risk.saturating_add(wave.at_risk),
                    bad: sum.bad.saturating_add(wave.bad),
                    clean: sum.clean.saturating_add(wave.clean),
                    alike: sum.alike.max(wave.alike),
                };
            }
            (*place, from) = (sum, to);
        }
        out
    }
}

/// Windows of the prefixes kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Windows {
    each: [Window; KEPT],
    prefixes: usize,
}

impl Windows {
    pub(crate) fn each(&self) -> &[Window] {
        self.each.get(..self.prefixes).unwrap_or(&self.each)
    }
}

/// Evidence of one prefix in one stratum, or of all strata together.
#[derive(Clone, Debug)]
pub(crate) struct Prefix {
    pub(crate) excess: Excess,
    /// hosts through, cumulative; those gone bad
    clean: u64,
    bad: u64,
    level: Level,
}

/// What one tick adds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    pub bad: u32,
    /// hosts through since the last tick, and those of them of whom it proves little
    pub clean: u64,
    pub little: u64,
    pub controls_bad: f64,
    /// hosts within the window per control
    pub ratio: f64,
    /// how loud this tick is, and the loudest that those of whom it proves little were in
    pub loud: f64,
    pub loudest: f64,
}

impl Prefix {
    pub(crate) fn new(excess: Excess, (clean, bad): (u64, u64), level: Level) -> Prefix {
        Prefix { excess, clean, bad, level }
    }
    pub(crate) fn vouched(&self) -> u64 {
        self.clean.saturating_add(self.bad)
    }
    /// Hosts through since the last tick; whoever was through and went bad later is not through again.
    pub(crate) fn through(&self, window: &Window) -> u64 {
        u64::from(window.clean).saturating_sub(self.clean)
    }
    pub(crate) fn raise(&mut self, level: Level) {
        self.level = self.level.max(level);
    }
    pub(crate) fn take(&mut self, news: &News, table: &Table) {
        let quiet = table.quiet(self.level);
        let loud = table.loud(self.level, news.loud);
        let now = loud.as_ref().unwrap_or(quiet);
        self.excess.bad(f64::from(news.bad), now);
        self.excess.control(news.controls_bad, news.ratio, now);
        self.excess.clean(super::tally::as_f64(news.clean - news.little), quiet);
        if news.little > 0 {
            let loudest = table.loud(self.level, news.loudest);
            let loudest = loudest.as_ref().unwrap_or(quiet);
            self.excess.clean(super::tally::as_f64(news.little), loudest);
        }
        self.clean = self.clean.saturating_add(news.clean);
        self.bad = self.bad.saturating_add(u64::from(news.bad));
    }
    /// The bound on q that it gives.
    pub(crate) fn bound(&self, ladder: &Ladder, delta: f64) -> f64 {
        self.excess.bound(ladder, delta * PREFIX_SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_formed_as_the_fleet_grows_and_the_oldest_go() {
        let mut prefixes = Prefixes::default();
        let tickets = [(0, 0), (1, 16), (2, 32), (3, 64), (4, 96), (5, 100)];
        let formed: Vec<Change> =
            tickets.iter().map(|(waves, hosts)| prefixes.ticket(*waves, *hosts, 32)).collect();
        let formed: Vec<bool> = formed.into_iter().map(|change| change == Change::Form).collect();
        assert_eq!(formed, [false, false, true, false, true, false]);
        let mut changes = Vec::new();
        for doubling in 7..40 {
            changes.push(prefixes.ticket(doubling, 1 << doubling, 32));
        }
        let replaced = changes.iter().filter(|change| **change == Change::Replace).count();
        assert_eq!((replaced, prefixes.waves.len()), (2, KEPT));
        assert_eq!(prefixes.formed, PREFIXES, "no part of δ is given twice");
        let window = Window { at_risk: 3, bad: 1, clean: 2, alike: 3 };
        let sums = prefixes.windows(&[window; 64]);
        let sums = sums.each().iter().map(|sum| sum.at_risk as usize);
        assert!(sums.eq(prefixes.waves.iter().map(|waves| 3 * waves.min(&64))));
    }

    #[test]
    fn the_parts_of_delta_are_delta() {
        assert!((f64::from(PREFIXES).mul_add(PREFIX_SHARE, WHOLE_SHARE) - 1.0).abs() < 1e-12);
    }
}
