//! What a round ends with. Wire form too: `andon-check` hands it to the supervisor.
use andon_model::policy::{Lane, Policy};
use andon_model::release::Manifest;
use andon_model::stop::Freeze;
use andon_model::{Digest, RolloutId};
use serde::{Deserialize, Serialize};

/// A release that this host may activate now: every signature, delegation, window, limit and
/// ceiling was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// under which rollout
    pub rollout: RolloutId,
    /// its generation
    pub generation: u32,
    /// digest of the manifest
    pub release: Digest,
    /// speed class
    pub lane: Lane,
    /// what it is
    pub manifest: Manifest,
}

/// A freeze that is in force here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeInForce {
    /// digest of its payload
    pub digest: Digest,
    /// what it says
    pub freeze: Freeze,
}

/// Why something was not believed, for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// larger than its limit
    TooLarge,
    /// not what it should look like
    Malformed,
    /// signatures do not suffice
    Signature,
    /// older than what was seen, or telling its past differently
    Rollback,
    /// not in force at this time
    Expired,
    /// listed but not there, or not reachable
    Missing,
    /// bytes are not what was promised
    Digest,
    /// faster or wider than the policy allows, or for somebody else
    Policy,
    /// stopped by somebody's cord
    Frozen,
    /// not made for this kind of host
    Class,
}

/// One thing that was not believed; the host stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// what
    pub what: String,
    /// why, for machines
    pub code: RefusalCode,
    /// why, for people
    pub why: String,
}

/// What a round found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// the policy in force
    pub policy: Option<Policy>,
    /// what may be activated
    pub offers: Vec<Offer>,
    /// what is stopped
    pub freezes: Vec<FreezeInForce>,
    /// what was not believed
    pub refusals: Vec<Refusal>,
    /// version of the index
    pub index_version: u64,
}

impl Outcome {
    pub(super) fn refuse(&mut self, what: &str, code: RefusalCode, why: &str) {
        const REFUSALS_MAX: usize = 256;
        if self.refusals.len() < REFUSALS_MAX {
            let (what, why) = (what.to_owned(), why.to_owned());
            self.refusals.push(Refusal { what, code, why });
        }
    }
}

/// An error and what caused it, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        out.push_str(": ");
        out.push_str(&cause.to_string());
        source = cause.source();
    }
    out
}
