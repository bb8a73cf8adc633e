//! What the rollout is told, past tense: the journal's records. Not what it decides.
use andon_model::ticket::Newcomers;
use andon_model::{Digest, PersonId, RigId, Time, text::Text};
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
    /// a verified ticket of the vendor line that the plan goes inside ([`crate::plan::Inside`])
    Permitted {
        /// which ticket of that line
        generation: u32,
        /// hosts of each stratum of *this* plan that it covers, cumulative; what it has covered once
        /// it covers for good
        handed: Vec<u32>,
        /// whether newcomers are covered too: that line is done
        newcomers: Newcomers,
    },
    /// a rig that the policy accredits has seen the release fail on a class that has hosts in the plan
    TestFailed {
        /// which rig
        rig: RigId,
        /// on which class, and what ran there
        class: Text,
        /// which of its tests, if it says so
        test: Text,
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
    /// hosts not handed the release that stand for it in the comparison: the plan's sample but for
    /// the gauge
    pub controls: ArmTally,
    /// the rest of the sample ([`crate::StratumPlan::gauges`]). It only says how loud the tick is, so that the bound may
    /// be tuned to the tick without looking at what it compares
    #[serde(default)]
    pub gauge: ArmTally,
    /// one per horizon of the plan's budget, over all waves
    #[serde(default)]
    pub windows: Vec<Window>,
    /// the same per wave, horizon by horizon: without it the bounds of a long horizon are those of
    /// all waves together. May be left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wave_windows: Vec<Window>,
    /// hosts of the stratum outside the plan; left out while there are none
    #[serde(default, skip_serializing_if = "LateTally::is_empty")]
    pub late: LateTally,
    /// announced restarts that should be over by now; left out while there are none
    #[serde(default, skip_serializing_if = "RestartTally::is_empty")]
    pub restarts: RestartTally,
}

/// Announced restarts of one stratum whose end was due in this tick: [`Count::at_risk`] restarts (a host
/// may have had several), of which [`Count::new`] hosts did not come back. A host that did not is bad, and not at risk of a first
/// silence any more, nor counted as one: a restart is dangerous with any update, so it is compared
/// with restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestartTally {
    /// of hosts that were handed the release, all waves together
    pub treated: Count,
    /// of sampled controls, the gauge included
    pub controls: Count,
    /// hosts that were handed the release and are away for an announced restart now
    pub treated_away: u32,
    /// sampled controls that are
    pub controls_away: u32,
}

impl RestartTally {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == RestartTally::default()
    }
}

/// Hosts of one stratum that enrolled after the plan. They are no evidence: they are not part of the
/// random order. They are counted so that what they may cost is charged to the budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LateTally {
    /// those that a ticket of this tick may cover, covered ones included: what hosts accept of late
    /// ceilings bounds it ([`andon_model::ticket::soaked`])
    pub hosts: u32,
    /// cumulative, one per horizon of the plan's budget: covered ones that confirmed and are through
    /// with nothing bad, and for which silence would have shown
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clean: Vec<u32>,
}

impl LateTally {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == LateTally::default()
    }
}

impl StratumTally {
    /// Each wave's window of the horizon at this place, if told.
    #[must_use]
    pub fn by_wave(&self, horizon: usize) -> Option<&[Window]> {
        let waves = self.waves.len();
        let rows = self.wave_windows.get(horizon.checked_mul(waves)?..)?;
        rows.get(..waves).filter(|row| !row.is_empty())
    }
}

/// Treated hosts of one stratum that are within the window of one horizon D at one tick. A host's
/// window begins when it is handed the release (at its activation, for whoever knows that) and lasts
/// for load and soak plus D after its activation. What happens in it shows at most
/// [`andon_model::policy::Watch::silent_after`] later; controls are seen with the same delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// hosts, not bad before, whose first bad event could be seen in this tick and would count
    pub at_risk: u32,
    /// hosts that had it
    pub bad: u32,
    /// cumulative: hosts that are through with nothing bad, and for which silence would have shown
    pub clean: u32,
    /// of the hosts at risk, the most that have the same age to within one beat: so many at most can
    /// have failed for the update's sake in this very tick if it fails at one age
    pub alike: u32,
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
