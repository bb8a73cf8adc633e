//! The acts: each does something to the fleet, waits for facts (never for time alone), and leaves
//! what is needed to count it afterwards.
pub(super) mod bad;
pub(super) mod good;
pub(super) mod opening;
