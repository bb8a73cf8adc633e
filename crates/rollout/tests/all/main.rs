//! All tests of the rollout from outside, in one binary (one link instead of four).
#![expect(clippy::unwrap_used, reason = "a test stops where it is wrong")]
mod audit;
mod budget;
mod defaults;
mod fleet;
mod gate;
mod golden;
mod group_order;
mod groups;
mod groups_world;
mod inside;
mod invariants;
mod late;
mod line_shares;
mod line_sight;
mod lines;
mod machine;
mod properties;
mod restarts;
mod schedule;
mod script;
mod stateful;
mod tradeoff;
mod world;
