//! The rollout brain: what is known goes in as an event, what to do comes out as actions.
//!
//! What it is: the immutable [`Plan`], the sequential gate ([`gate`]), the state machine
//! ([`Rollout`]) and its explanation. State is a fold over the journal of (time, event) pairs:
//! the same journal always gives the same actions.
//! What it is not: no clock, no randomness, no I/O, no signatures. The caller journals an event
//! durably *before* it applies it, carries out the actions, and reports back with
//! [`Event::TicketIssued`] or [`Event::ActionFailed`]. Carrying out an action twice is harmless:
//! exposures carry their generation.
//! Read first: [`Rollout`], [`Event`], [`Action`].
#![forbid(unsafe_code)]

pub mod action;
pub mod audit;
pub mod defaults;
pub mod event;
pub mod explain;
pub mod gate;
pub mod groups;
pub mod late;
pub mod lines;
mod machine;
pub mod plan;
pub mod report;
pub mod tradeoff;
pub mod watch;
pub mod windows;

pub use action::{Action, Decision, Exposure, HaltReason, HoldReason};
pub use event::{
    ArmTally, Count, Event, LateTally, Observation, RestartTally, StratumTally, Window,
};
pub use explain::{Explanation, Reason, StateName};
pub use machine::Rollout;
pub use plan::{Plan, PlanRequest, StratumPlan, Terms};
pub use report::{Finding, PlanReport};
