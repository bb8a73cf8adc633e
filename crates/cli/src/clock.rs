//! The one place where `andon` reads the clock; everything below takes time as an argument.
use andon_model::Time;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now. A clock before 1970 reads as 1970: signatures made then are refused as stale, not obeyed.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A moment as people write it: RFC 3339, `2026-11-27T12:00:00Z`; `None` if it is none since 1970.
pub(crate) fn parse(text: &str) -> Option<Time> {
    let at = text.parse::<jiff::Timestamp>().ok()?;
    u64::try_from(at.as_millisecond()).ok().map(Time)
}
