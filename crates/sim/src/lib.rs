//! The simulator: millions of hosts, faults and attacks around the production rollout core.
//!
//! What it is: scenarios and policies as data, two engines that play them (by counts, and host by
//! host with [`andon_host::Machine`]), the policies of peers on the same traces, and a report.
//! What it is not: a model of the core. [`andon_rollout::Rollout`] runs here unchanged; only hosts,
//! networks and clocks are played. No async runtime, no wall clock, no randomness but the seed.
//! Read first: [`scenario::Scenario`], [`controller::Controller`], [`outcome::RunOutcome`].
#![forbid(unsafe_code)]

pub mod andon;
pub mod controller;
pub mod counts;
pub mod individual;
pub mod outcome;
pub mod random;
pub mod scenario;
