//! Stakes ready for use: what a failure costs each claim, at every level of noise that comparing
//! treated hosts with controls may have. It holds no evidence.
//!
//! With ρ treated hosts per control, the difference of both counts has 1 + ρ times the variance that
//! the treated alone have, so the stakes hedge against β (1 + ρ). Levels are half powers of two of
//! 1 + ρ. Each piece of evidence only ever goes up in level: a host that comes through must not earn
//! more than it risked at any age (`docs/spec/gate.md` §4).
use super::excess::{Ladder, Stakes};

/// Levels per octave of 1 + ρ.
const LEVELS_PER_OCTAVE: f64 = 2.0;
/// The last level stands for 1 + ρ = 1,024 and all beyond.
const LEVELS: u8 = 21;

/// A level of noise: see the module's documentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(u8);

impl Level {
    /// The level of `at_risk` treated hosts beside so many controls.
    pub(crate) fn of(at_risk: f64, controls: f64) -> Level {
        if at_risk <= 0.0 || controls <= 0.0 {
            return Level(0);
        }
        let level = (LEVELS_PER_OCTAVE * (at_risk / controls).ln_1p() / std::f64::consts::LN_2)
            .round()
            .clamp(0.0, f64::from(LEVELS - 1));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        Level(level as u8)
    }

    fn noise(self) -> f64 {
        (f64::from(self.0) / LEVELS_PER_OCTAVE).exp2()
    }
}

/// Stakes of one ladder.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) ladder: Ladder,
    background: f64,
    levels: Vec<Stakes>,
}

impl Table {
    /// `background`: probability of a background failure within a window.
    pub(crate) fn new(ladder: Ladder, background: f64) -> Table {
        let stakes = |level| ladder.stakes(background * Level(level).noise());
        let levels = (0..LEVELS).map(stakes).collect();
        Table { ladder, background, levels }
    }

    /// The background is another one. A tenth more or less is none.
    pub(crate) fn set(&mut self, background: f64) {
        if (background - self.background).abs() > 0.1 * self.background {
            *self = Table::new(self.ladder.clone(), background);
        }
    }

    /// Stakes of quiet ticks.
    pub(crate) fn quiet(&self, level: Level) -> &Stakes {
        &self.levels[usize::from(level.0)]
    }

    /// Stakes of a tick in which a host goes bad with this probability; `None`: a quiet one.
    pub(crate) fn loud(&self, level: Level, loud: f64) -> Option<Stakes> {
        let background = (self.background + loud) * level.noise();
        (loud > 0.0).then(|| self.ladder.stakes(background))
    }
}

#[cfg(test)]
mod tests {
    use super::super::excess::Excess;
    use super::*;

    #[test]
    fn levels_grow_with_the_treated_per_control() {
        let noise = |at_risk, controls| Level::of(at_risk, controls).noise();
        assert_eq!((noise(0.0, 10.0), noise(10.0, 0.0), noise(1.0, 100.0)), (1.0, 1.0, 1.0));
        assert_eq!((noise(10.0, 10.0), noise(30.0, 10.0), noise(1e12, 1.0)), (2.0, 4.0, 1024.0));
    }

    /// Four treated hosts per control, and both fail as often as the background says.
    #[test]
    fn a_bound_tightens_although_controls_are_few() {
        let (treated, ratio, background) = (1e6, 4.0, 1e-3);
        let table = Table::new(Ladder::new(8), background);
        let stakes = table.quiet(Level::of(ratio, 1.0));
        let mut excess = Excess::new(&table.ladder);
        excess.bad(treated * background, stakes);
        excess.control(treated / ratio * background, ratio, stakes);
        excess.clean(treated * (1.0 - background), stakes);
        let bound = excess.bound(&table.ladder, 1e-3);
        // 3.7 standard deviations of the difference; hedging against the treated alone: no bound at all.
        let deviation = (treated * background * (1.0 + ratio)).sqrt() / treated;
        assert!(bound <= 4.2 * deviation, "{bound} of {deviation}");
    }
}
