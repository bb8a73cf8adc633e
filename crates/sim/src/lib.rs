//! The simulator: millions of hosts, faults and attacks around the production rollout core.
//!
//! What it is: scenarios and policies as data, two engines that play them (by counts, and host by
//! host with [`andon_host::Machine`]), the policies of peers on the same traces, and a report.
//! What it is not: a model of the core. [`andon_rollout::Rollout`] runs here unchanged; only hosts,
//! networks and clocks are played. No async runtime, no wall clock, no randomness but the seed.
//! Read first: [`scenario::Scenario`], [`controller::Controller`], [`outcome::RunOutcome`].
#![forbid(unsafe_code)]

pub mod andon;
pub mod catalogue;
pub mod controller;
pub mod counts;
pub mod engine;
pub mod file;
pub mod individual;
pub mod operators;
pub mod outcome;
pub mod peers;
pub mod policy;
pub mod random;
pub mod replay;
pub mod report;
pub mod runs;
pub mod scenario;
pub mod scenario_file;
pub mod summary;
pub mod undetectable;
