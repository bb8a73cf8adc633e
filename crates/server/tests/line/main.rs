//! The server as a whole, over its HTTP API, on a model of a disk: faults, restarts, refusals.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]
mod attested;
mod both;
mod budgets;
mod ceilings;
mod directives;
mod faults;
mod late;
mod line_directives;
mod log;
mod member;
mod member_rules;
mod platform;
mod pooled;
mod proof_bundle;
mod refusals;
mod restarts;
mod rig;
mod rollouts;
mod rules;
mod stops;
mod two_lines;
mod vendor;
mod verifier;
