//! What a view asks for, what it is given, and what it comes to.
use andon_model::policy::{Lane, Policy};
use andon_model::release::Manifest;
use andon_model::stop::Freeze;
use andon_model::{Digest, RolloutId};
use serde::{Deserialize, Serialize};

/// What the caller does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// get this from the server and hand the answer to [`crate::view::View::supply`]
    Fetch(Fetch),
    /// the round is over; [`crate::view::View::outcome`] is current
    Done,
}

/// One thing to get with GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// path below the server's address, beginning with `/v1/`
    pub path: String,
    /// stop reading after so many bytes and answer [`Answer::Failed`]
    pub limit: usize,
    /// sent as ETag in If-None-Match; a 304 is [`Answer::NotModified`]
    pub known: Option<Digest>,
}

/// What came of a [`Fetch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// the body
    Bytes(Vec<u8>),
    /// 304: what is `known` is current
    NotModified,
    /// 404: it is not there
    Missing,
    /// anything else, in words for people
    Failed(String),
}

/// A release that this host may activate now: signature, delegation, policy, the ticket's window and
/// pace, this host's position and every freeze allow it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// under which rollout
    pub rollout: RolloutId,
    /// the ticket's generation
    pub generation: u32,
    /// digest of the manifest's bytes
    pub release: Digest,
    /// speed class
    pub lane: Lane,
    /// what to install
    pub manifest: Manifest,
}

/// A freeze that binds this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeInForce {
    /// digest of the envelope's bytes: its name in index and on the server
    pub digest: Digest,
    /// what it says
    pub freeze: Freeze,
}

/// Something that was not believed, or not there. It never stops anything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// which object
    pub what: String,
    /// why, with the causes behind it
    pub why: String,
    /// for programs
    pub code: RefusalCode,
}

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// listed but not served
    Withheld,
    /// the server did not answer properly; asked again next round
    Unreachable,
    /// not the form we read, too large, or a field unknown or outside its range
    Malformed,
    /// too few valid signatures of those who may sign
    Signature,
    /// over
    Expired,
    /// dated in the future
    Future,
    /// older than, or contradicting, what was seen before
    Rollback,
    /// wider or sooner than the policy allows
    Pace,
    /// too few people's approvals
    Approvals,
    /// no policy, or one newer than ours, would be needed to judge it
    Policy,
    /// bytes are not what signed metadata says
    Digest,
    /// no vendor's metadata lists it
    Unlisted,
    /// made for another class of host
    Class,
    /// a freeze forbids it
    Frozen,
    /// somebody who may not say this
    Scope,
    /// more than the limit allows
    Limit,
}

/// Where a host stands after a round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// the last good policy, in force or not
    pub policy: Option<Policy>,
    /// what may be activated now, sorted by component, then version
    pub offers: Vec<Offer>,
    /// freezes in force, sorted by digest
    pub freezes: Vec<FreezeInForce>,
    /// what was not believed in this round
    pub refusals: Vec<Refusal>,
    /// version of the index that was read last
    pub index_version: u64,
}
