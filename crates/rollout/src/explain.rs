//! Why a rollout is where it is, as data: the same for terminal, dashboard and golden files.
//! It decides nothing.
use crate::action::{Dated, HaltReason, HoldReason};
use crate::gate::Evidence;
use andon_model::policy::Lane;
use andon_model::release::Version;
use andon_model::{ComponentId, Digest, LineId, Millis, RolloutId, Time, VerifierId};
use serde::{Deserialize, Serialize};

/// Everything a person needs to judge a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// which
    pub rollout: RolloutId,
    /// whose line
    pub line: LineId,
    /// digest of the release's manifest
    pub release: Digest,
    /// its component
    pub component: ComponentId,
    /// its version
    pub version: Version,
    /// speed class
    pub lane: Lane,
    /// where it stands
    pub state: StateName,
    /// why it stands there
    pub reason: Reason,
    /// latest generation
    pub generation: u32,
    /// hosts covered by the latest ticket
    pub handed: u64,
    /// hosts of the plan
    pub hosts: u64,
    /// hosts that confirmed
    pub confirmed: u64,
    /// covered hosts gone bad in any channel
    pub crashed: u64,
    /// covered hosts that went back by themselves
    pub fell_back: u64,
    /// the blast-radius curve and what is left of it
    pub budget: Vec<BudgetLine>,
    /// if the release is bad right now
    pub worst_case: WorstCase,
    /// what the gate read last
    pub evidence: Evidence,
    /// what was decided, oldest first
    pub decisions: Vec<Dated>,
    /// commands to type next, most likely first
    pub next: Vec<String>,
    /// when it was started
    pub started: Option<Time>,
    /// from first ticket to halt, seconds
    pub halted_after_s: Option<f64>,
    /// from first ticket to completion, seconds
    pub completed_after_s: Option<f64>,
    /// when this was said
    pub at: Time,
    /// what the gate cannot see on this fleet, and how long a good update must take. Said by whoever
    /// keeps the plan's report ([`crate::PlanReport::cannot_see`]); the machine leaves it empty
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cannot_see: Vec<String>,
    /// who has cosigned the ticket that is being issued, where the policy names gate verifiers. Said by
    /// whoever asks them; the machine leaves it empty
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosignatures: Option<Cosignatures>,
}

/// A ticket that waits for gate verifiers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cosignatures {
    /// how many the policy asks for
    pub needed: u32,
    /// who has cosigned
    pub have: Vec<VerifierId>,
    /// since when it waits
    pub since: Time,
}

/// Where a rollout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// not started
    Planned,
    /// people are asked
    AwaitingApproval,
    /// widening, or waiting for the verdict to widen
    Exposing,
    /// on hold
    Held,
    /// over for good
    Halted,
    /// reached everybody
    Completed,
}

/// Why it stands there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Reason {
    /// the start has not been recorded
    NotStarted,
    /// approvals are missing
    ApprovalsMissing {
        /// distinct people still missing
        missing: u32,
    },
    /// a ticket is being issued
    TicketPending {
        /// its generation
        generation: u32,
    },
    /// no tallies have come since the latest ticket, or not for longer than a host may be silent
    ObservationMissing {
        /// for so long
        since: Millis,
    },
    /// the latest wave has not had time to show a fault
    Soaking {
        /// until then
        until: Time,
    },
    /// whoever is left may not change now: a ring or a maintenance window
    OutsideWindow {
        /// the next of them may from then on
        until: Time,
    },
    /// the vendor line covers none of the hosts that are left here yet
    AwaitingVendorLine {
        /// its newest ticket that was seen; 0: none
        generation: u32,
    },
    /// E is suspicious: the question is asked again in small doubling probes
    AskingAgain {
        /// probes handed out so far
        probes: u32,
    },
    /// no host of the handed ones is known to have activated well
    NobodyVouched,
    /// handed hosts restart, more than controls do: widening waits until they are back, or should be
    Restarting {
        /// so many more
        hosts: u64,
    },
    /// the budget of a horizon leaves no room to widen
    BudgetLeavesNoRoom {
        /// D, milliseconds
        after_ms: u64,
    },
    /// everybody is covered; confirmations are awaited
    AwaitingConfirmations {
        /// still missing
        missing: u64,
    },
    /// widens at the next observation
    Ready,
    /// on hold
    Held(HoldReason),
    /// over
    Halted(HaltReason),
    /// reached everybody
    Completed,
}

/// One horizon of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetLine {
    /// D, milliseconds
    pub after_ms: u64,
    /// B(D)
    pub hosts: u64,
    /// excess failures so far
    pub spent: f64,
    /// upper bound on the excess failure probability
    pub ucb: f64,
}

/// The figure to watch: how many hosts are lost if the release is bad right now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorstCase {
    /// at most so many hosts, with probability 1 − δ, for faults within the first horizon
    pub hosts: u64,
    /// the same in words
    pub text: String,
}
