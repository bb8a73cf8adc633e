//! Detection content: reading it, compiling it, judging events by it.
//!
//! What it is: one engine, used by the sensor that runs the rules, by the supervisor's and the fleet
//! runner's validation before activation, and by the vendor's preflight. The validator *is* the
//! interpreter: there is no second model of the content that could be wrong in its own way.
//! What it is not: it reads no files, keeps no clock and starts no threads; callers bring bytes.
//! Read first: [`event::ProcessEvent`], [`sigma::RuleSet`], [`preflight::validate`].
#![forbid(unsafe_code)]

pub mod event;
#[cfg(feature = "sigma")]
pub mod preflight;
#[cfg(feature = "sigma")]
pub mod sigma;

pub use event::{Detect, Detection, ProcessEvent};
