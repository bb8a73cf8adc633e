//! What the rollout is told, past tense: the journal's records. Not what it decides.
use andon_model::{Digest, PersonId, Time, text::Text};
use serde::{Deserialize, Serialize};

/// One journal record, together with the time at which it was taken down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// the plan is in force; approvals are asked for, or the first wave is handed out
    Started,
    /// a person's signed approval was verified
    ApprovalGranted {
        /// who; a second approval by the same person changes nothing
        person: PersonId,
    },
    /// one tick's complete tallies
    Observed(Observation),
    /// a person asks not to widen for now
    Held {
        /// who
        by: PersonId,
        /// why
        reason: Text,
    },
    /// a person lets it go on after any hold
    Resumed {
        /// who
        by: PersonId,
    },
    /// a person ends it for good
    HaltedByPerson {
        /// who
        by: PersonId,
        /// why
        reason: Text,
    },
    /// a verified freeze concerns this release
    Frozen {
        /// which party pulled, in words
        by: String,
        /// digest of the freeze's payload
        digest: Digest,
    },
    /// the ticket of an [`crate::Action::Expose`] is signed, stored and served
    TicketIssued {
        /// which exposure
        generation: u32,
        /// the ticket's `not_before`, as in its last step
        at: Time,
    },
    /// an action could not be carried out
    ActionFailed {
        /// which exposure it belonged to; 0 if none
        generation: u32,
        /// what went wrong
        what: Text,
    },
}

/// The whole fleet's tallies at one tick. Complete, or the rollout holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// one per stratum of the plan, in the plan's order
    pub strata: Vec<StratumTally>,
}

/// One stratum's tallies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StratumTally {
    /// one per generation whose ticket was issued, oldest first (a generation that gave this
    /// stratum no hosts has an empty tally)
    pub waves: Vec<ArmTally>,
    /// everybody the plan knows who was not handed the release
    pub controls: ArmTally,
}

/// Counts of one arm (a wave, or the controls) of one stratum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmTally {
    /// first silences since the arm was formed; the same [`crate::watch::silent`] for every arm
    pub silence: Count,
    /// first explicit reports (a charge, a fallback) of this rollout's component
    pub report: Count,
    /// first failing probe answers
    pub probe: Count,
    /// hosts whose first bad event of any channel came in this tick; each host once per rollout
    pub bad_new: u32,
    /// cumulative: hosts that run the release and have confirmed it
    pub confirmed: u32,
    /// cumulative: hosts that went back by themselves
    pub fell_back: u32,
    /// hosts in this arm, heard of or not
    pub hosts: u32,
}

/// A channel's count at one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// hosts that could have had their first event in this tick (not bad before, not away)
    pub at_risk: u32,
    /// hosts that had it
    pub new: u32,
}

impl Count {
    /// `new` of `at_risk` hosts.
    #[must_use]
    pub const fn of(new: u32, at_risk: u32) -> Count {
        Count { at_risk, new }
    }
}
