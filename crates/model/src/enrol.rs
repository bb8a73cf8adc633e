//! Enrolment: a join token admits, the host makes its own key, the server assigns the id.
use crate::class::{ClassError, HostClass};
use crate::id::{HostId, LineId};
use crate::key::PublicKey;
use crate::limits::TEXT_LENGTH_MAX;
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

/// Why an enrolment's own text was refused.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// not the JSON we expect
    #[error("parse enrolment")]
    Parse(#[source] serde_json::Error),
    /// format of another time
    #[error("enrolment has schema {0}, this version reads 1")]
    Schema(u32),
    /// longer than any that an operator gives
    #[error("join token has {0} bytes, at most {TEXT_LENGTH_MAX} are allowed")]
    Token(usize),
    /// too many groups, or not in order
    #[error("check class of the enrolment")]
    Class(#[from] ClassError),
}

impl EnrolRequest {
    /// Reads a payload; checks form and limits only.
    /// # Errors
    /// [`EnrolError`].
    pub fn parse(bytes: &[u8]) -> Result<EnrolRequest, EnrolError> {
        let request: EnrolRequest = serde_json::from_slice(bytes).map_err(EnrolError::Parse)?;
        if request.schema != 1 {
            return Err(EnrolError::Schema(request.schema));
        }
        if request.token.len() > TEXT_LENGTH_MAX {
            return Err(EnrolError::Token(request.token.len()));
        }
        request.class.check()?;
        Ok(request)
    }
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
