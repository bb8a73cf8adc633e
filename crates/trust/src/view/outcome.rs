//! What a view asks for, what it is given, and what a round ends with. The outcome is a wire form
//! too: `andon-check` hands it to the supervisor.
use andon_model::directive::Directive;
use andon_model::policy::{Lane, Policy};
use andon_model::release::Manifest;
use andon_model::stop::Freeze;
use andon_model::{Digest, RolloutId, Time};
use serde::{Deserialize, Serialize};

/// What to do next in a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// get this and supply the answer
    Fetch(Fetch),
    /// the round is over; read the outcome
    Done,
}

/// One thing to get from the static plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// path below the server's base, beginning with `/v1/`
    pub path: String,
    /// read at most so many bytes; more is a failure
    pub limit: usize,
    /// digest of what we have: send as ETag, answer NotModified on 304
    pub known: Option<Digest>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// the bytes
    Bytes(Vec<u8>),
    /// we have it already
    NotModified,
    /// there is no such thing
    Missing,
    /// transport failed, or it was too large
    Failed(String),
}

/// A release that this host may activate now: every signature, delegation, window, limit and
/// ceiling was checked, and no freeze concerns it.
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
    /// when its rollout first handed out: what has begun before a recall is no part of it
    pub begun: Time,
    /// what it is
    pub manifest: Manifest,
}

/// A freeze that is in force here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeInForce {
    /// digest of its payload, as beats name it
    pub digest: Digest,
    /// what it says
    pub freeze: Freeze,
}

/// A directive that is in force here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectiveInForce {
    /// digest of its payload
    pub digest: Digest,
    /// what it says
    pub directive: Directive,
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
    /// the operator's rules keep it from this host, now or for good
    Ineligible,
    /// no proof that the public log which the policy demands holds it
    Unlogged,
    /// the vendor's line, in which the policy has this line take part, does not cover this host
    VendorLine,
    /// rigs have not signed what the policy demands for this host's class
    Unattested,
    /// a rig that the policy accredits saw it fail on this host's class
    FailedTest,
    /// this host's clock is behind what a quorum of witnesses has vouched for; that is taken for now
    Clock,
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
    /// what may be activated, by component, then version
    pub offers: Vec<Offer>,
    /// what is stopped
    pub freezes: Vec<FreezeInForce>,
    /// what thresholds demand
    #[serde(default)]
    pub directives: Vec<DirectiveInForce>,
    /// what was not believed
    pub refusals: Vec<Refusal>,
    /// version of the index
    pub index_version: u64,
}

/// Most refusals reported after one round: enough to see what is wrong, and a bound for pipes.
const REFUSALS_MAX: usize = 256;

impl Outcome {
    pub(super) fn push(&mut self, refusal: Refusal) {
        if self.refusals.len() < REFUSALS_MAX {
            self.refusals.push(refusal);
        }
    }
    pub(super) fn refuse(&mut self, what: &str, code: RefusalCode, why: &str) {
        self.push(Refusal { what: what.to_owned(), code, why: why.to_owned() });
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
