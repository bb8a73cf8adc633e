//! All tests of the rollout from outside, in one binary (one link instead of four).
mod budget;
mod gate;
mod machine;
mod properties;
mod world;
