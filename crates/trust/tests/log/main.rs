//! Tests of logs from outside: notes, checkpoints, proofs, policies, as the C2SP specifications have
//! them; tampering; limits; the same answers as other implementations.
#![expect(clippy::unwrap_used, reason = "a test stops where it is wrong")]
mod differential;
mod keys;
mod limits;
mod notes;
mod policies;
mod proofs;
mod tiles;
mod witness;
mod world;
