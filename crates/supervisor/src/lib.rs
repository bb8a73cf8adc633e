//! The supervisor: stages, starts, watches, falls back, beats.
//!
//! What it is: the shell around `andon_host::Host`: processes, files, a clock, one `poll` loop. All
//! decisions are the core's; everything that a fallback needs is on this host's disk.
//! What it is not: it reads no byte from the network. Its child `andon-check` does, and speaks to it
//! in bounded JSON lines; the child's death is an ordinary event.
#![deny(unsafe_op_in_unsafe_fn)]

mod child;
pub mod config;
mod journal;
mod looped;
mod obey;
mod process;
mod records;
mod rounds;
mod signals;
mod slots;
mod spool;
mod state;
mod talk;

pub use looped::{RunError, run};

/// An error and everything below it, on one line.
#[must_use]
pub fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        text = format!("{text}: {cause}");
        below = cause.source();
    }
    text
}

/// The host's clock.
#[expect(clippy::cast_possible_truncation, reason = "milliseconds fit 64 bits for ages")]
pub(crate) fn now() -> andon_model::Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    andon_model::Time(since.map_or(0, |past| past.as_millis() as u64))
}
