//! When a monitor first saw a log of each size: a file of lines `SIZE MILLISECONDS`, kept by the monitor, from
//! which a stranger can count again. An entry was there at the latest when the log was first seen larger than
//! its place. What it is not: a log's own word; entries carry no time.
use crate::exit::Failure;
use crate::files::{self, Access};
use andon_model::Time;
use std::fmt::Write as _;
use std::path::Path;

/// Largest file, bytes: a look a minute with news each time, for a year.
const TIMES_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why a file of times is none.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of {path} is no size and time, both larger than on the line before")]
pub(super) struct TimesError {
    path: String,
    line: usize,
}

/// Sizes of the log, growing, each with the time of the first look that saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Times(Vec<(u64, Time)>);

impl Times {
    /// Reads the file; nothing where there is none yet.
    pub(super) fn read(path: &Path) -> Result<Times, Failure> {
        if !path.exists() {
            return Ok(Times::default());
        }
        let bytes = files::read(path, TIMES_BYTES_MAX)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut times = Times::default();
        for (at, line) in text.lines().enumerate() {
            let wrong = || TimesError { path: path.display().to_string(), line: at + 1 };
            let (size, time) = line.split_once(' ').ok_or_else(wrong)?;
            let size: u64 = size.parse().map_err(|_| wrong())?;
            let time = Time(time.parse().map_err(|_| wrong())?);
            let grows = times.0.last().is_none_or(|(s, t)| *s < size && *t <= time);
            if !grows {
                return Err(wrong().into());
            }
            times.0.push((size, time));
        }
        Ok(times)
    }

    /// Notes a size that was seen; whether that was news. A clock that steps back is taken to stand still.
    pub(super) fn note(&mut self, size: u64, now: Time) -> bool {
        let last = self.0.last().copied();
        let news = last.is_none_or(|(known, _)| known < size);
        if news {
            self.0.push((size, last.map_or(now, |(_, time)| now.max(time))));
        }
        news
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let mut text = String::new();
        for (size, time) in &self.0 {
            let _infallible = writeln!(text, "{size} {}", time.0);
        }
        Ok(files::replace(path, text.as_bytes(), Access::Public)?)
    }

    /// A time by which the entry at this place was there; the end of time if it was not seen yet.
    pub(super) fn latest(&self, place: u64) -> Time {
        let at = self.0.partition_point(|(size, _)| *size <= place);
        self.0.get(at).map_or(Time(u64::MAX), |(_, time)| *time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_was_there_when_the_log_was_first_seen_larger_than_its_place() {
        let mut times = Times::default();
        for (size, at, news) in [(2, 10, true), (2, 20, false), (5, 30, true), (6, 25, true)] {
            assert_eq!(times.note(size, Time(at)), news, "{size}");
        }
        let latest: Vec<u64> = (0..7).map(|place| times.latest(place).0).collect();
        assert_eq!(latest, [10, 10, 30, 30, 30, 30, u64::MAX]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("times");
        assert_eq!(Times::read(&path).unwrap(), Times::default());
        times.write(&path).unwrap();
        assert_eq!(Times::read(&path).unwrap(), times);
        for bad in ["1", "1 x", "x 1", "1 5\n1 6", "2 5\n3 4", "1 5\n\n"] {
            std::fs::write(&path, bad).unwrap();
            assert!(Times::read(&path).is_err(), "{bad:?}");
        }
    }
}
