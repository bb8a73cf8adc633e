//! What the journal holds: facts, past tense, one JSON object each. Not what was decided from them:
//! the fold in [`crate::state`] and the rollout core recompute every decision.
use crate::member::record::LineFact;
use andon_model::beat::{Alert, Charge, ComponentStatus, Presence};
use andon_model::class::HostClass;
use andon_model::envelope::Envelope;
use andon_model::facts::Facts;
use andon_model::line::Roster;
use andon_model::log_entry::LogEntry;
use andon_model::release::{ComponentKind, Manifest, Version};
use andon_model::text::Text;
use andon_model::{
    ComponentId, Digest, HostId, LineId, OperatorId, PersonId, PublicKey, RolloutId, Time, VendorId,
};
use andon_rollout::{Event, Plan, PlanReport};
use serde::{Deserialize, Serialize};

/// One journal record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    /// a host got its id
    HostEnrolled {
        /// the id, in order of enrolment
        host: HostId,
        /// the key it brought
        key: PublicKey,
        /// what it is
        class: HostClass,
        /// digest of the token that admitted it
        token: Digest,
    },
    /// a host's beat said something new; stored before the beat is acknowledged
    HostChanged(Box<HostChange>),
    /// detections that a beat carried
    AlertsTaken {
        /// from which host
        host: HostId,
        /// the detections
        alerts: Vec<Alert>,
        /// detections that did not fit into the beat
        left_out: u64,
    },
    /// a policy was verified and is in force
    PolicyAccepted {
        /// as signed
        envelope: Envelope,
    },
    /// a vendor's metadata was verified and is served
    RolePublished {
        /// whose
        vendor: VendorId,
        /// version of its TUF role
        version: u64,
        /// digest of the role's bytes
        digest: Digest,
        /// every release it lists that was not listed before
        releases: Vec<ReleaseFacts>,
    },
    /// the platform's next root or top-level targets were verified and are served
    PlatformPublished(TopMetadata),
    /// the digest of a rollout's seed, before anything else about the rollout is known
    SeedCommitted {
        /// which rollout
        rollout: RolloutId,
        /// SHA-256 of the seed's 32 bytes; the ticket reveals the seed
        commitment: Digest,
    },
    /// a plan was made and is bound to its rollout
    RolloutStarted {
        /// who asked; nobody, if the server began it inside a vendor line's ([`Plan::inside`])
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<PersonId>,
        /// who made the release
        vendor: VendorId,
        /// the plan
        plan: Box<Plan>,
        /// what the gate can not see on this fleet
        report: PlanReport,
    },
    /// something that the rollout core was told
    Rollout {
        /// which rollout
        rollout: RolloutId,
        /// what
        event: Event,
        /// hosts behind the counts of this event, so that a stranger can recount
        #[serde(default, skip_serializing_if = "Counted::is_empty")]
        counted: Counted,
        /// the signed approval behind the event, kept for the tickets
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<Envelope>,
    },
    /// a freeze was verified and is served
    FreezeAccepted {
        /// digest of the envelope's bytes: its name on the static plane
        stop: Digest,
        /// as signed
        envelope: Envelope,
        /// when it ends, if that is earlier than it says: one key alone has signed it
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// a directive was verified and is served
    DirectiveAccepted {
        /// as signed
        envelope: Envelope,
    },
    /// what a rig signed about a release was verified and is served
    AttestationAccepted {
        /// digest of the release's manifest
        release: Digest,
        /// as signed
        envelope: Envelope,
    },
    /// a waiver was verified and is served
    WaiverAccepted {
        /// digest of the release's manifest
        release: Digest,
        /// as signed
        envelope: Envelope,
    },
    /// something about a vendor line that this line's hosts take part in
    VendorLine {
        /// which line
        line: LineId,
        /// what
        fact: Box<LineFact>,
    },
    /// a person's command was carried out; kept so that a replay is noticed
    CommandAccepted {
        /// who
        person: PersonId,
        /// their nonce
        nonce: Digest,
        /// when it was signed
        issued: Time,
        /// which verb
        verb: String,
        /// about which rollout
        rollout: RolloutId,
    },
    /// on a vendor line: a member's hosts got seats; stored before they are named to it
    SeatsTaken {
        /// whose
        operator: OperatorId,
        /// the first one's number, the others follow
        seat_first: u64,
        /// the hosts, as the member signed them
        roster: Box<Roster>,
    },
    /// on a vendor line: a round's tallies made the observation that stands before this record
    TalliesPooled {
        /// which rollout
        rollout: RolloutId,
        /// the round, never due again
        round: u64,
        /// newest ticket in it
        generation: u32,
        /// whose tallies, and the digest of each one's envelope as it is kept
        tallies: Vec<(OperatorId, Digest)>,
        /// members that said for the first time that their own line has halted, and why
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        halted: Vec<(OperatorId, Text)>,
    },
    /// on a vendor line: members did not answer a round in time, and the policy lets the rollout go on
    /// without them
    MembersAbsent {
        /// which rollout
        rollout: RolloutId,
        /// the round that they did not answer
        round: u64,
        /// newest ticket in it
        generation: u32,
        /// who
        operators: Vec<OperatorId>,
    },
    /// on a vendor line: a member said for the first time that its own line has halted; stored before
    /// its tally is answered
    MemberHalted {
        /// which rollout
        rollout: RolloutId,
        /// who
        operator: OperatorId,
        /// why, in its words
        why: Text,
        /// digest of the envelope of the tally that says so, as it is kept
        tally: Digest,
    },
    /// on a vendor line: a person lets a rollout go on without a member
    MemberWithdrawn {
        /// which rollout
        rollout: RolloutId,
        /// which member
        operator: OperatorId,
        /// who
        by: PersonId,
        /// why
        reason: Text,
    },
}

/// What the platform has signed, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopMetadata {
    /// the next TUF root
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// the next top-level TUF targets
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<String>,
}

/// The new state of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostChange {
    /// which host
    pub host: HostId,
    /// number of the beat that said so
    pub sequence: u64,
    /// alive or leaving
    pub presence: Presence,
    /// all components as they run now
    pub components: Vec<ComponentStatus>,
    /// charges that were not stored before
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<Charge>,
    /// whether the operator's probes have been answered at all
    #[serde(default)]
    pub answered: bool,
    /// the operator's probes that fail
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unwell: Vec<ComponentId>,
    /// freezes in force on the host
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Digest>,
    /// what the host runs, if that changed
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
}

/// What the server needs to know of a release; its content stays a closed book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseFacts {
    /// digest of its manifest
    pub release: Digest,
    /// who made it
    pub vendor: VendorId,
    /// its component
    pub component: ComponentId,
    /// its version
    pub version: Version,
    /// the service that interprets it, if another than itself
    pub consumer: Option<ComponentId>,
    /// digest of its bundle
    pub bundle: Digest,
    /// what it is made of; `None`: published before this was noted
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ComponentKind>,
}

impl ReleaseFacts {
    /// The facts of a verified manifest.
    #[must_use]
    pub fn of(release: Digest, manifest: &Manifest) -> ReleaseFacts {
        ReleaseFacts {
            release,
            vendor: manifest.vendor.clone(),
            component: manifest.component.clone(),
            version: manifest.version,
            consumer: manifest.consumer.clone(),
            bundle: manifest.bundle,
            kind: Some(manifest.kind),
        }
    }
    /// Its entry in the line's own log.
    #[must_use]
    pub fn log_entry(&self) -> LogEntry {
        LogEntry::Release {
            vendor: self.vendor.clone(),
            component: self.component.clone(),
            version: self.version,
            manifest: self.release,
            bundle: self.bundle,
        }
    }
    /// Components that crash together: a service and all content it interprets.
    #[must_use]
    pub fn group(&self) -> &ComponentId {
        self.consumer.as_ref().unwrap_or(&self.component)
    }
}

/// The hosts behind one observation, each in a channel once per rollout, but for restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// silent for the first time (with `started`: silent already, so never counted)
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silent: Vec<HostId>,
    /// first charge or fallback
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reported: Vec<HostId>,
    /// first failing probe
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unwell: Vec<HostId>,
    /// whose announced restart should be over since the last count; once for each restart
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarted: Vec<HostId>,
    /// of these, who did not come back: a first silence too, but not counted as one
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missed: Vec<HostId>,
}

impl Counted {
    /// Whether nobody is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let lists = [&self.silent, &self.reported, &self.unwell, &self.restarted, &self.missed];
        lists.iter().all(|hosts| hosts.is_empty())
    }
}

impl Record {
    /// An event of the rollout core, without hosts or signatures behind it.
    #[must_use]
    pub fn event(rollout: &RolloutId, event: Event) -> Record {
        let rollout = rollout.clone();
        Record::Rollout { rollout, event, counted: Counted::default(), approval: None }
    }

    /// Its column `kind` in the journal.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Record::HostEnrolled { .. } => "host_enrolled",
            Record::HostChanged(_) => "host_changed",
            Record::AlertsTaken { .. } => "alerts_taken",
            Record::PolicyAccepted { .. } => "policy_accepted",
            Record::RolePublished { .. } => "role_published",
            Record::PlatformPublished(_) => "platform_published",
            Record::SeedCommitted { .. } => "seed_committed",
            Record::RolloutStarted { .. } => "rollout_started",
            Record::Rollout { .. } => "rollout",
            Record::FreezeAccepted { .. } => "freeze_accepted",
            Record::DirectiveAccepted { .. } => "directive_accepted",
            Record::AttestationAccepted { .. } => "attestation_accepted",
            Record::WaiverAccepted { .. } => "waiver_accepted",
            Record::VendorLine { .. } => "vendor_line",
            Record::CommandAccepted { .. } => "command_accepted",
            Record::SeatsTaken { .. } => "seats_taken",
            Record::TalliesPooled { .. } => "tallies_pooled",
            Record::MembersAbsent { .. } => "members_absent",
            Record::MemberHalted { .. } => "member_halted",
            Record::MemberWithdrawn { .. } => "member_withdrawn",
        }
    }

    /// Its column `subject`: whom or what it is about.
    #[must_use]
    pub fn subject(&self) -> String {
        match self {
            Record::HostEnrolled { host, .. } | Record::AlertsTaken { host, .. } => {
                host.to_string()
            }
            Record::HostChanged(change) => change.host.to_string(),
            Record::PolicyAccepted { .. } => "policy".to_owned(),
            Record::PlatformPublished(_) => "platform".to_owned(),
            Record::RolePublished { vendor, .. } => vendor.to_string(),
            Record::SeedCommitted { rollout, .. }
            | Record::Rollout { rollout, .. }
            | Record::CommandAccepted { rollout, .. }
            | Record::TalliesPooled { rollout, .. }
            | Record::MembersAbsent { rollout, .. }
            | Record::MemberHalted { rollout, .. }
            | Record::MemberWithdrawn { rollout, .. } => rollout.to_string(),
            Record::SeatsTaken { operator, .. } => operator.to_string(),
            Record::RolloutStarted { plan, .. } => plan.rollout.to_string(),
            Record::VendorLine { line, fact } => fact.subject(line),
            Record::FreezeAccepted { stop, .. } => stop.to_string(),
            Record::DirectiveAccepted { envelope } => Digest::of(&envelope.to_bytes()).to_string(),
            Record::AttestationAccepted { release, .. }
            | Record::WaiverAccepted { release, .. } => release.to_string(),
        }
    }
}
