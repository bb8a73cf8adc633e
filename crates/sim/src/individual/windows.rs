//! Windows of one stratum: how many activated hosts are within the window of each horizon, as
//! [`andon_rollout::Window`] counts them.
//!
//! Hosts that activated in the same tick enter and leave together, so a count per tick is all that is
//! kept. Ages are whole ticks, rounded up: a host enters once surely everybody of its tick is old
//! enough.
use super::grid::{Grid, Ms};
use andon_rollout::Window;

/// Ticks after activation at which hosts enter (`silent_after`) and, per horizon, leave.
#[derive(Clone, Debug, Default)]
pub(super) struct Ages {
    pub(super) enter: u32,
    pub(super) leave: Vec<u32>,
}

/// One stratum's hosts by the tick of their activation.
#[derive(Clone, Debug, Default)]
pub(super) struct Windows {
    /// activated in each tick, not bad before
    activated: Vec<u32>,
    /// of them, gone bad before the end of each horizon's age
    bad: Vec<Vec<u32>>,
    /// to be taken from those at risk when the tick has been shown
    lost: Vec<u32>,
    /// what is shown
    pub(super) shown: Vec<Window>,
}

impl Windows {
    pub(super) fn new(horizons: usize) -> Windows {
        Windows {
            activated: Vec::new(),
            bad: vec![Vec::new(); horizons],
            lost: vec![0; horizons],
            shown: vec![Window::default(); horizons],
        }
    }

    /// A host that nothing bad was seen of has activated in this tick.
    #[inline]
    pub(super) fn activate(&mut self, tick: u32) {
        *place(&mut self.activated, tick) += 1;
    }

    fn still(&self, horizon: usize, tick: u32) -> u32 {
        let at = tick as usize;
        let bad = self.bad[horizon].get(at).copied().unwrap_or(0);
        self.activated.get(at).copied().unwrap_or(0) - bad
    }

    /// A tick begins: who has the age enters and leaves.
    pub(super) fn open(&mut self, tick: u32, ages: &Ages) {
        for horizon in 0..self.shown.len() {
            self.shown[horizon].at_risk -= std::mem::take(&mut self.lost[horizon]);
            self.shown[horizon].bad = 0;
            if let Some(born) = tick.checked_sub(ages.enter) {
                self.shown[horizon].at_risk += self.still(horizon, born);
            }
            if let Some(born) = tick.checked_sub(ages.leave[horizon]) {
                self.shown[horizon].at_risk -= self.still(horizon, born);
            }
            let inside = (tick + 1).saturating_sub(ages.leave[horizon])
                ..(tick + 1).saturating_sub(ages.enter);
            let alike = inside.map(|born| self.still(horizon, born)).max();
            self.shown[horizon].alike = alike.unwrap_or(0);
        }
    }

    /// The first bad thing was seen of an activated host.
    pub(super) fn bad(&mut self, tick: u32, activated: Ms, seen: Ms, grid: Grid, ages: &Ages) {
        let born = grid.slot(activated);
        for horizon in 0..self.shown.len() {
            let end = grid.at(ages.leave[horizon]);
            if seen.saturating_sub(activated) >= end {
                continue;
            }
            self.shown[horizon].bad += 1;
            *place(&mut self.bad[horizon], born) += 1;
            let inside = born + ages.enter..born + ages.leave[horizon];
            self.lost[horizon] += u32::from(inside.contains(&tick));
        }
    }

    /// A tick ends: those that reach their age with nothing bad are clean.
    pub(super) fn close(&mut self, tick: u32, ages: &Ages) {
        for horizon in 0..self.shown.len() {
            if let Some(born) = tick.checked_sub(ages.leave[horizon]) {
                self.shown[horizon].clean += self.still(horizon, born);
            }
        }
    }
}

fn place(counts: &mut Vec<u32>, tick: u32) -> &mut u32 {
    let at = tick as usize;
    if counts.len() <= at {
        counts.resize(at + 1, 0);
    }
    &mut counts[at]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Against the definition, host by host: an age in whole ticks, bad before its end or clean at it.
    #[test]
    fn counts_per_tick_are_what_the_definition_says_of_every_host() {
        let grid = Grid::new(5.0);
        let ages = Ages { enter: 3, leave: vec![5, 17] };
        let mut random = Random::new(1, 1, 1);
        let mut draw = |n| u32::try_from(random.below(n)).unwrap();
        // (activated, first bad thing seen), in milliseconds
        let hosts: Vec<(Ms, Ms)> =
            (0..400).map(|_| (1 + draw(100_000), draw(150_000))).map(|(a, b)| (a, a + b)).collect();
        let mut windows = Windows::new(2);
        for tick in 1..80 {
            windows.open(tick, &ages);
            for (activated, bad) in &hosts {
                if grid.slot(*activated) == tick {
                    windows.activate(tick);
                }
                if grid.slot(*bad) == tick {
                    windows.bad(tick, *activated, *bad, grid, &ages);
                }
            }
            windows.close(tick, &ages);
            for (horizon, leave) in ages.leave.iter().enumerate() {
                let end = grid.at(*leave);
                let mut expected = Window::default();
                let mut alike = std::collections::BTreeMap::new();
                for (activated, bad) in &hosts {
                    let age = grid.at(tick).saturating_sub(*activated);
                    let in_time = bad - activated < end;
                    let now = grid.slot(*bad) == tick;
                    let before = grid.slot(*bad) < tick;
                    let inside = age >= grid.at(ages.enter) && age < end;
                    let at_risk = inside && grid.at(tick) > *activated && !before;
                    expected.at_risk += u32::from(at_risk);
                    *alike.entry(grid.slot(*activated)).or_insert(0) += u32::from(at_risk);
                    expected.bad += u32::from(in_time && now);
                    expected.clean += u32::from(age >= end && !in_time);
                }
                expected.alike = alike.into_values().max().unwrap_or(0);
                assert_eq!(windows.shown[horizon], expected, "tick {tick} horizon {horizon}");
            }
        }
    }
}
