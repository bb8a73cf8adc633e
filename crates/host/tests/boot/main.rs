//! What the guard decides, over every short sequence of events, every way a write can be cut short and
//! every error a disk can give.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
mod crash_states;
mod disk;
mod errors;
mod exhaustive;
mod table;
mod world;
