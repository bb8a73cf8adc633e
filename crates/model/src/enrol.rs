//! Enrolment: a join token admits, the host makes its own key, the server assigns the id.
use crate::class::HostClass;
use crate::id::{HostId, LineId};
use crate::key::PublicKey;
use crate::policy::Person;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// Asked by a new host, signed with the key it brings (proof of possession). Asking again with the
/// same key gives the same id: a lost answer costs nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// format of this object; 1
    pub schema: u32,
    /// the join token as the operator gave it
    pub token: String,
    /// the host's own key
    pub key: PublicKey,
    /// what it is
    pub class: HostClass,
    /// the host's clock
    pub at: Time,
}

/// The server's answer, stored before it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolAnswer {
    /// the new id
    pub host: HostId,
    /// the line it belongs to
    pub line: LineId,
}

/// What a host is given out of band and trusts from the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// format of this object; 1
    pub schema: u32,
    /// the operator's line
    pub line: LineId,
    /// the operator's root: people whose threshold signs the policy …
    pub operators: Vec<Person>,
    /// … and how many of them it takes
    pub operators_threshold: u32,
    /// the platform's TUF root metadata, as signed
    pub tuf_root: serde_json::Value,
    /// keys of the platform that may pull the cord
    pub platform: Vec<PublicKey>,
}
