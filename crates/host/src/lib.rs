//! The host core: slots, boot attempts, charges, fallback; and the record that outlives a crash.
//!
//! What it is: a pure state machine for everything a host decides alone. A shell (the supervisor, or
//! the fleet runner's light hosts) tells it what happened ([`Input`]) and does what it says
//! ([`Command`]), in order. Time is an argument.
//! What it is not: it starts no process, reads no file, verifies no signature, and never waits for a
//! server: falling back needs nothing but this crate and the disk.
//!
//! What the caller must do: apply `Booted` first; execute every command of a batch in order and drop
//! the rest of the batch when a record cannot be written; apply `Tick` whenever `deadline` passes.
#![forbid(unsafe_code)]

mod blame;
mod command;
mod component;
mod directive;
mod health;
mod host;
mod input;
pub mod machine;
mod offer;
pub mod record;
mod report;
mod service;

pub use command::{Command, ContentInUse, Launch, StopHow};
pub use host::{Builtin, Host, HostConfig};
pub use input::{Exit, Found, HookKind, Input, Previous};
pub use machine::{Evidence, Machine, Slot, SlotState};
