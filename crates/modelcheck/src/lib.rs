//! The rollout machine explored exhaustively: every order of events within limits, not a sample.
//!
//! What it is: two leaders with a lease and a fencing token over one journal, edges and hosts that
//! hear of tickets and freezes through a network that loses, repeats, delays and reorders. Whatever
//! a leader decides is decided by the production [`andon_rollout::Rollout`], rebuilt from the very
//! journal of the state; the gate's verdict is chosen freely (pass, wait or fail) and made true by
//! feeding the production gate counts that lead to it.
//! What it is not: no statistics (that is the rollout's own tests), no signatures, no clock: records
//! are a minute apart, so a soak is always over and only orders matter.
//! Nothing imports this crate: the checker behind it reaches no program of ours.
//! Read first: [`Line`], [`State`], [`properties`].
#![forbid(unsafe_code)]

mod act;
pub mod explore;
mod journal;
mod plan;
pub mod properties;
mod state;

pub use act::{Action, Message};
pub use journal::{Journal, Look, Record};
pub use state::{Heard, Host, Leader, Past, Signed, State};

use andon_rollout::Plan;
use std::sync::Arc;

/// How far the exploration goes. Every count is of one whole run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// hosts of the plan; four to eight of them are played one by one
    pub hosts: u32,
    /// hosts that are played
    pub played: usize,
    /// observations in the journal
    pub looks: u8,
    /// approvals in the journal, repeated ones included
    pub approvals: u8,
    /// holds, resumptions, halts by a person and failed actions in the journal
    pub acts: u8,
    /// times that somebody takes the lease
    pub leases: u8,
    /// crashes of leaders
    pub crashes: u8,
    /// edges between the line and its hosts; 0: every message may reach every host at any time,
    /// which is more than any tree of edges can do
    pub edges: usize,
    /// hosts act at any time; if not, only after the last record. Nothing is lost by that: hosts
    /// cannot change what leaders do (verdicts are free), and what was once published can always
    /// still arrive, so that every order has a twin in which the hosts act last. The tests explore
    /// both and compare.
    pub interleaved: bool,
}

/// What keeps the line safe. A test takes one away at a time and expects a counterexample.
#[derive(Clone, Copy, Debug)]
pub struct Safeguards {
    /// the store refuses whoever does not hold the newest token
    pub fencing: bool,
    /// a halt is in the journal before it is acted on
    pub journal_first: bool,
    /// two people must approve
    pub approvals: bool,
    /// the plan carries the signed budget
    pub budget: bool,
    /// a host looks for freezes at the moment of activation
    pub host_obeys_freeze: bool,
    /// a host compares its rank with the ticket's ceiling
    pub host_checks_ceiling: bool,
    /// a host refuses tickets older than one it has seen
    pub host_refuses_stale: bool,
}

impl Safeguards {
    /// All of them: production.
    pub const ALL: Safeguards = Safeguards {
        fencing: true,
        journal_first: true,
        approvals: true,
        budget: true,
        host_obeys_freeze: true,
        host_checks_ceiling: true,
        host_refuses_stale: true,
    };
}

/// One line with everything that can happen to it: the model.
#[derive(Debug)]
pub struct Line {
    pub(crate) limits: Limits,
    pub(crate) safeguards: Safeguards,
    pub(crate) root: Arc<Journal>,
    /// rank of each played host: the first of each wave of a good rollout, the holdback last
    pub(crate) ranks: Vec<u32>,
}

impl Line {
    /// A line in the emergency lane, within these limits.
    #[must_use]
    pub fn new(limits: Limits, safeguards: Safeguards) -> Line {
        let plan: Plan = plan::plan(limits.hosts, safeguards);
        let root = Journal::started(plan);
        let ranks = plan::ranks(limits.hosts, limits.played);
        Line { limits, safeguards, root, ranks }
    }

    /// Ranks of the hosts that are played.
    #[must_use]
    pub fn ranks(&self) -> &[u32] {
        &self.ranks
    }
}
