//! What people ask of the server: every change is an object signed by a person's key.
use crate::digest::Digest;
use crate::envelope::Envelope;
use crate::id::{ComponentId, LineId, OperatorId, PersonId, RolloutId};
use crate::policy::Lane;
use crate::text::Text;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// A signed request. Replays are refused: (person, nonce) is remembered while `issued` is fresh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// format of this object; 1
    pub schema: u32,
    /// which line
    pub line: LineId,
    /// who asks; the signature must be theirs
    pub person: PersonId,
    /// unique per command
    pub nonce: Digest,
    /// when it was signed
    pub issued: Time,
    /// what is asked
    pub verb: Verb,
}

/// The verbs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verb {
    /// start a rollout of a published release
    Start {
        /// a new name
        rollout: RolloutId,
        /// digest of the release's manifest
        release: Digest,
        /// its component, so that a wrong digest is noticed
        component: ComponentId,
        /// speed class
        lane: Lane,
        /// approvals already collected
        #[serde(default)]
        approvals: Vec<Envelope>,
        /// seed of the random order; the server draws one if absent
        #[serde(default)]
        seed: Option<Digest>,
    },
    /// approve a waiting rollout; the approval is signed by `person` too
    Approve {
        /// which
        rollout: RolloutId,
        /// the signed [`Approval`]
        approval: Envelope,
    },
    /// stop widening until resumed
    Hold {
        /// which
        rollout: RolloutId,
        /// why
        reason: Text,
    },
    /// go on after a hold
    Resume {
        /// which
        rollout: RolloutId,
    },
    /// stop for good
    Halt {
        /// which
        rollout: RolloutId,
        /// why
        reason: Text,
    },
    /// on a vendor line: let it go on without this member, whose hosts stand unvouched from then on
    Withdraw {
        /// which
        rollout: RolloutId,
        /// the member
        operator: OperatorId,
        /// why
        reason: Text,
    },
}

/// Signed consent of one person to one release in one lane; the host checks it too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// format of this object; 1
    pub schema: u32,
    /// which line
    pub line: LineId,
    /// who consents; the signature must be theirs
    pub person: PersonId,
    /// digest of the release's manifest
    pub release: Digest,
    /// speed class
    pub lane: Lane,
    /// when
    pub issued: Time,
    /// void from then on
    pub expires: Time,
}
