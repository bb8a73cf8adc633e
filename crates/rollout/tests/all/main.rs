//! All tests of the rollout from outside, in one binary (one link instead of four).
#![expect(clippy::unwrap_used, reason = "a test stops where it is wrong")]
mod budget;
mod gate;
mod machine;
mod properties;
mod tradeoff;
mod world;
