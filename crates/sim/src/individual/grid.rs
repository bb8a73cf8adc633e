//! Simulated time as the engine counts it: milliseconds since the start of a run, and ticks.
use andon_model::{Millis, Time};

/// Simulated time begins here: late enough that no subtraction reaches 0.
pub const START: Time = Time(1_000_000_000);

/// Milliseconds since [`START`]. 32 bits hold 49 days.
pub(super) type Ms = u32;

/// A run is cut off after 40 days, so that no sum of two moments leaves [`Ms`].
const RUN_MS_MAX: f64 = 40.0 * 86_400_000.0;
/// An event keeps its place within a tick in 24 bits: ticks are shorter than four hours.
const TICK_MS_MAX: f64 = 14_400_000.0;

/// Seconds in milliseconds, within a run.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
pub(super) fn ms(seconds: f64) -> Ms {
    (seconds * 1000.0).round().clamp(0.0, RUN_MS_MAX) as Ms
}

/// Milliseconds in seconds.
pub(super) fn seconds(ms: Ms) -> f64 {
    f64::from(ms) / 1000.0
}

/// Equal ticks. Slot k holds what happens after tick k - 1 and up to tick k.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub tick_ms: Ms,
}

impl Grid {
    pub(super) fn new(tick_s: f64) -> Grid {
        Grid { tick_ms: ms(tick_s.min(TICK_MS_MAX / 1000.0)).max(1) }
    }
    /// When a tick is.
    pub(super) fn at(self, tick: u32) -> Ms {
        self.tick_ms.saturating_mul(tick)
    }
    /// The tick at which what happens at `at` is seen.
    pub(super) fn slot(self, at: Ms) -> u32 {
        at.div_ceil(self.tick_ms)
    }
    /// A duration in whole ticks, rounded up.
    pub(super) fn ticks(self, seconds: f64) -> u32 {
        ms(seconds).div_ceil(self.tick_ms)
    }
    /// Probability of an event of this rate (per second) within one tick.
    pub(super) fn chance(self, per_s: f64) -> f64 {
        -(-per_s.max(0.0) * seconds(self.tick_ms)).exp_m1()
    }
}

/// The moment as controllers and hosts know it.
pub(super) fn time(at: Ms) -> Time {
    START.plus(Millis(u64::from(at)))
}
