//! The host core: slots, boot attempts, charges, fallback; and the record that outlives a crash.
//!
//! What it is: one pure state machine ([`Machine`]) for everything a host decides alone, with two shells'
//! cores around it. [`boot::decide`] says what the guard does before anything risky is loaded. [`Host`]
//! (feature `runtime`) runs after that: a shell (the supervisor, or the fleet runner's light hosts) tells
//! it what happened ([`Input`]) and does what it says ([`Command`]), in order. Time is an argument.
//! What it is not: it starts no process, reads no file, verifies no signature, and never waits for a
//! server: falling back needs nothing but this crate and the disk.
//!
//! What the caller of [`Host`] must do: apply `Booted` first; execute every command of a batch in order
//! and drop the rest of the batch when a record cannot be written; apply `Tick` whenever `deadline`
//! passes.
#![forbid(unsafe_code)]

pub mod boot;
pub mod boot_record;
pub mod machine;
pub mod record;
pub mod stops;
pub mod storage;

#[cfg(feature = "runtime")]
mod blame;
#[cfg(feature = "runtime")]
mod command;
#[cfg(feature = "runtime")]
mod component;
#[cfg(feature = "runtime")]
mod directive;
#[cfg(feature = "runtime")]
mod health;
#[cfg(feature = "runtime")]
mod host;
#[cfg(feature = "runtime")]
mod input;
#[cfg(feature = "runtime")]
mod offer;
#[cfg(feature = "runtime")]
mod report;
#[cfg(feature = "runtime")]
mod service;

#[cfg(feature = "runtime")]
pub use command::{Command, ContentInUse, Launch, StopHow};
#[cfg(feature = "runtime")]
pub use host::{Builtin, Host, HostConfig};
#[cfg(feature = "runtime")]
pub use input::{Exit, Found, HookKind, Input, Previous};
pub use machine::{Evidence, Machine, Slot, SlotState};
