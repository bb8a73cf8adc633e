//! The server's clock: wall time that never goes back while the process lives. Tests set it by hand.
use andon_model::Time;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where time comes from.
#[derive(Debug)]
pub struct Clock {
    latest: AtomicU64,
    by_hand: bool,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub const fn system() -> Clock {
        Clock { latest: AtomicU64::new(0), by_hand: false }
    }
    /// A clock that stands still until [`Clock::set`].
    #[must_use]
    pub const fn by_hand(now: Time) -> Clock {
        Clock { latest: AtomicU64::new(now.0), by_hand: true }
    }
    /// Moves a clock forward; never back.
    pub fn set(&self, now: Time) {
        self.latest.fetch_max(now.0, Ordering::Relaxed);
    }
    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        if self.by_hand {
            return Time(self.latest.load(Ordering::Relaxed));
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        Time(self.latest.fetch_max(wall, Ordering::Relaxed).max(wall))
    }
}
