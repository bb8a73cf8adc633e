//! All tests of the rollout from outside, in one binary (one link instead of four).
#![expect(clippy::unwrap_used, reason = "a test stops where it is wrong")]
mod audit;
mod budget;
mod eligible;
mod gate;
mod groups;
mod late;
mod machine;
mod properties;
mod world;
