//! Two lines composed: a vendor's line over the pooled hosts of all consenting operators, and each
//! operator's own line inside it.
//!
//! What it is: pure values and functions around two kinds of ordinary [`crate::Rollout`]. The
//! vendor line's rollout reads what [`Pool`] merges; [`share`] says what one of its waves means for
//! each operator; [`covered`] says whether a host may activate; [`on_halt`] says what one line's
//! halt orders the others to do; [`cannot_see`] says what a line of that size is blind to.
//! What it is not: no signatures (a tally or ticket that comes in here was verified), no transport,
//! no second state machine: an operator alone (adopted software, an air gap) uses none of it.
//! Read first: [`Pool`], [`covered`], [`on_halt`].
mod coupling;
mod coverage;
mod pool;
mod share;
mod sight;
mod wire;

pub use coupling::{LineOrder, Lines, Order, on_halt, on_member_halt};
pub use coverage::{Covered, Permit, Seat, Waits, covered};
pub use pool::{OperatorTally, Pool, PoolDoubt, PoolError, Standing};
pub use share::{by_order, canary_cap, share, share_canary};
pub use sight::{Blind, Place, cannot_see, hosts_to_halt, unseen_rate};
pub use wire::{LineTally, MemberStanding, MemberStratum, TallyError};
