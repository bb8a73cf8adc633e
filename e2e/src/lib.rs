//! Real processes, driven from outside: what the end-to-end tests and the benchmark share.
//!
//! What it is: a line laid out by `andon init` ([`line::Line`]), a real `andond` on loopback
//! ([`server::Server`]), hosts that speak the protocol ([`host::Caller`]) or are real light hosts
//! ([`fleet::Fleet`]), people's commands ([`tool`]), a gate verifier ([`verifier`]), witnesses ([`witness`]), and ways to look at
//! what was kept ([`journal`], [`recount`], [`strace`], [`disk`]). What it is not: it simulates nothing
//! that is proven; the programs under test are the ones that are shipped.
#![forbid(unsafe_code)]

pub mod bad;
pub mod disk;
pub mod fleet;
pub mod full_host;
pub mod host;
pub mod http;
pub mod journal;
pub mod line;
pub mod programs;
pub mod recount;
pub mod release;
pub mod server;
pub mod strace;
pub mod tool;
pub mod verifier;
pub mod wait;
pub mod witness;
pub mod zoo;

use andon_model::Time;

/// The clock of this machine.
#[must_use]
pub fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Time(since.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}

/// A test that cannot run here says so; where nothing may be left out it fails instead.
/// # Panics
/// With `ANDON_E2E_STRICT` set.
pub fn skip(why: &str) {
    assert!(std::env::var_os("ANDON_E2E_STRICT").is_none(), "cannot run here: {why}");
    eprintln!("skipped: {why}");
}
