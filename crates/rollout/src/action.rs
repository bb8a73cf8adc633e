//! What the rollout wants done, imperative, and the reasons it gives. Not how it is done.
use crate::gate::{Channel, Evidence};
use andon_model::ticket::{Newcomers, Step};
use andon_model::{Digest, Millis, PersonId, RigId, StratumId, Time, text::Text};
use serde::{Deserialize, Serialize};

/// One thing to do. Doing it twice is harmless.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// ask people for approvals
    AskApproval {
        /// how many distinct people are still missing
        missing: u32,
    },
    /// sign and serve a ticket, then tell [`crate::Event::TicketIssued`]
    Expose(Exposure),
    /// withdraw the ticket and issue the line's freeze (a freeze that is the reason itself,
    /// [`HaltReason::Frozen`], is there already: withdraw only)
    Freeze {
        /// why
        reason: HaltReason,
    },
    /// on hold: nobody beyond the current ticket; keep that one
    Withdraw,
    /// done: the last ticket stands, newcomers included
    Complete,
    /// tell people
    Notify(Decision),
}

/// A ticket to issue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exposure {
    /// counts up from the plan's `generation_base` + 1
    pub generation: u32,
    /// cumulative number of hosts covered per stratum, in the plan's order
    pub handed: Vec<u32>,
    /// cumulative number of late hosts covered per stratum, first enrolled first; left out while none
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<u32>,
    /// whether hosts enrolled after the plan are covered
    pub newcomers: Newcomers,
    /// every widening so far, this one last; its `at` is replaced by the ticket's `not_before`
    pub steps: Vec<Step>,
    /// what the gate read; the ticket carries its digest
    pub evidence: Evidence,
}

/// A decision worth telling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// widened
    Widened {
        /// generation of the ticket
        generation: u32,
        /// hosts covered in all
        handed: u64,
        /// whether the question is asked again because of doubt, rather than trust growing
        asked_again: bool,
    },
    /// hands nothing more to the plan's hosts, but to late ones
    LateWidened {
        /// generation of the ticket, which is not a new one
        generation: u32,
        /// late hosts covered in all
        late: u64,
    },
    /// does not widen for now
    Held {
        /// why
        reason: HoldReason,
    },
    /// goes on
    Resumed {
        /// who let it
        by: PersonId,
    },
    /// over for good
    Halted {
        /// why
        reason: HaltReason,
    },
    /// reached everybody
    Completed {
        /// hosts that confirmed
        confirmed: u64,
        /// hosts of the plan
        hosts: u64,
    },
}

/// Why it is on hold. Every doubt holds; a person resumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hold", rename_all = "snake_case")]
pub enum HoldReason {
    /// a person asked
    Person {
        /// who
        by: PersonId,
        /// why
        reason: Text,
    },
    /// the observation has not as many strata as the plan
    StrataMissing {
        /// strata there
        got: u32,
        /// strata of the plan
        want: u32,
    },
    /// a stratum has not as many waves as tickets were issued
    WavesMissing {
        /// where
        stratum: StratumId,
        /// waves there
        got: u32,
        /// tickets issued
        want: u32,
    },
    /// counts of a stratum contradict each other or the plan
    CountsDoNotAddUp {
        /// where
        stratum: StratumId,
        /// which rule is broken
        rule: CountRule,
    },
    /// time went back by more than a beat
    ClockBackwards {
        /// by so much
        back: Millis,
    },
    /// a number left its range
    Overflow,
    /// an action could not be carried out
    ActionFailed {
        /// of which generation
        generation: u32,
        /// what went wrong
        what: Text,
    },
    /// a ticket was reported that nobody asked for
    UnknownTicket {
        /// its generation
        generation: u32,
    },
    /// the plan contradicts itself
    PlanUnsound,
    /// an accredited rig has seen the release fail; hosts of the class refuse it by themselves
    TestFailed {
        /// which rig
        rig: RigId,
        /// on which class
        class: Text,
        /// which test
        test: Text,
    },
}

/// A rule that honest counts keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountRule {
    /// new ≤ at risk
    NewWithinAtRisk,
    /// at risk ≤ hosts of the arm
    AtRiskWithinHosts,
    /// confirmed + fell back … ≤ hosts of the arm
    OutcomesWithinHosts,
    /// hosts of the arm = hosts handed in that generation
    HostsWithinHanded,
    /// first bad events so far ≤ hosts of the arm
    BadWithinHosts,
    /// as many windows as the budget has horizons
    OneWindowPerHorizon,
    /// window at risk, clean, and bad beside clean ≤ hosts handed
    WindowsWithinHanded,
    /// if windows per wave are told, there is one per horizon and wave, and they make the sum
    WavesMakeTheWindow,
    /// late hosts: one count of clean ones per horizon if any is covered, none above the covered ones
    LateWithinCovered,
    /// announced restarts: missed ≤ due, missed ≤ hosts of the arms, away ≤ hosts of the arms
    RestartsWithinHosts,
    /// bad in any channel ≤ sum of the channels, ≥ the largest of them that is new to all
    BadWithinChannels,
}

/// Why it is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "halt", rename_all = "snake_case")]
pub enum HaltReason {
    /// the evidence against the update has reached 1/α
    Gate {
        /// E
        e: f64,
        /// 1/α
        threshold: f64,
        /// channel with most evidence
        channel: Channel,
        /// stratum with most evidence
        stratum: Option<StratumId>,
    },
    /// a person ended it
    Person {
        /// who
        by: PersonId,
        /// why
        reason: Text,
    },
    /// a freeze concerns this release
    Frozen {
        /// which party, in words
        by: String,
        /// digest of its payload
        digest: Digest,
    },
}

impl Decision {
    /// The halting moment's companion: a decision with its time.
    #[must_use]
    pub const fn at(self, at: Time) -> Dated {
        Dated { at, decision: self }
    }
}

/// A decision and when it was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dated {
    /// when
    pub at: Time,
    /// what
    #[serde(flatten)]
    pub decision: Decision,
}
