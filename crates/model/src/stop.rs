//! FREEZE: the cord. Any one of vendor (own releases), platform or operator pulls it; it stops new
//! activations and never touches a healthy host.
use crate::digest::Digest;
use crate::id::{OperatorId, VendorId};
use crate::text::Text;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// Who pulls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Party {
    /// the root of trust
    Platform,
    /// a vendor, for its own releases
    Vendor(VendorId),
    /// the fleet's owner
    Operator(OperatorId),
}

impl std::fmt::Display for Party {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Party::Platform => f.write_str("platform"),
            Party::Vendor(name) => write!(f, "vendor {name}"),
            Party::Operator(name) => write!(f, "operator {name}"),
        }
    }
}

/// What stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scope {
    /// one release, by its manifest's digest
    Release(Digest),
    /// everything of a vendor
    Vendor(VendorId),
    /// everything
    All,
}

/// Signed by one key of one party. Under 1 KB with its envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// format of this object; 1
    pub schema: u32,
    /// who
    pub by: Party,
    /// what
    pub scope: Scope,
    /// why, at most 200 bytes so that the envelope stays small
    pub reason: Text,
    /// when
    pub issued: Time,
    /// ends by itself then, or [`crate::limits::FREEZE_ALONE_MAX`] after `issued` if only one key has signed
    pub expires: Time,
}

/// In an operator's policy, and so by the threshold of its people: a freeze, of whichever party, that does
/// not hold on this line. A cord that nobody can let go again would be a weapon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeOverride {
    /// digest of the freeze's payload, as beats name it
    pub freeze: Digest,
    /// why, for whoever reads the policy
    pub reason: Text,
    /// the freeze holds again from then on, if it has not ended
    pub until: Time,
}

/// Why a freeze's own text makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// not the JSON we expect
    #[error("parse freeze")]
    Parse(#[source] serde_json::Error),
    /// a field outside its range
    #[error("freeze field {0} {1}")]
    Field(&'static str, &'static str),
}

impl Freeze {
    /// Reads a freeze payload.
    /// # Errors
    /// [`FreezeError`].
    pub fn parse(bytes: &[u8]) -> Result<Freeze, FreezeError> {
        let freeze: Freeze = serde_json::from_slice(bytes).map_err(FreezeError::Parse)?;
        if freeze.schema != 1 {
            return Err(FreezeError::Field("schema", "is not 1"));
        }
        if freeze.expires <= freeze.issued {
            return Err(FreezeError::Field("expires", "is not after issued"));
        }
        if freeze.reason.as_str().len() > 200 {
            return Err(FreezeError::Field("reason", "is over 200 bytes"));
        }
        Ok(freeze)
    }
    /// Whether it concerns this release.
    #[must_use]
    pub fn concerns(&self, vendor: &VendorId, release: &Digest) -> bool {
        match &self.scope {
            Scope::Release(digest) => digest == release,
            Scope::Vendor(name) => name == vendor,
            Scope::All => true,
        }
    }
}
