//! `andon` as a program: its command line, exit codes, JSON and refusals. One binary for all tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails right there")]

mod adopt;
mod common;
mod init;
mod keys;
mod log;
mod online;
mod plan;
mod policy;
mod release;
mod rig;
mod rotate;
mod simulate;
mod trust;
mod usage;
mod witness;
