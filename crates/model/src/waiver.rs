//! A waiver: two people let a release into the canary waves of a class although no rig has run it there.
//! What it is not: a way around a test that failed, or beyond canary waves (docs/spec/attestations.md).
use crate::class::HostClass;
use crate::digest::Digest;
use crate::id::{LineId, StratumId};
use crate::limits::WAIVER_MAX;
use crate::text::Text;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// Signed by two distinct people of the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// format of this object; 1
    pub schema: u32,
    /// whose line
    pub line: LineId,
    /// digest of the release's manifest
    pub release: Digest,
    /// for hosts of this architecture
    pub arch: StratumId,
    /// and this operating system
    pub os: StratumId,
    /// and this model; absent: of every one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<StratumId>,
    /// why
    pub reason: Text,
    /// when it was signed
    pub issued: Time,
    /// void from then on; at most [`WAIVER_MAX`] later
    pub expires: Time,
}

/// Why a waiver's own text makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum WaiverError {
    /// not the JSON we expect
    #[error("parse waiver")]
    Parse(#[source] serde_json::Error),
    /// a value outside its range
    #[error("waiver field {0} {1}")]
    Field(&'static str, &'static str),
}

impl Waiver {
    /// Reads a waiver payload; its signatures are for `andon-trust`.
    /// # Errors
    /// [`WaiverError`].
    pub fn parse(bytes: &[u8]) -> Result<Waiver, WaiverError> {
        let waiver: Waiver = serde_json::from_slice(bytes).map_err(WaiverError::Parse)?;
        waiver.check()?;
        Ok(waiver)
    }

    /// The rules that JSON cannot express.
    /// # Errors
    /// [`WaiverError::Field`].
    pub fn check(&self) -> Result<(), WaiverError> {
        let rule = |holds: bool, field, problem| {
            if holds { Ok(()) } else { Err(WaiverError::Field(field, problem)) }
        };
        rule(self.schema == 1, "schema", "is not 1")?;
        rule(!self.reason.as_str().is_empty(), "reason", "is empty")?;
        rule(self.issued < self.expires, "expires", "is not after issued")?;
        let short = self.expires <= self.issued.plus(WAIVER_MAX);
        rule(short, "expires", "is more than 7 days after issued")
    }

    /// Whether it is for hosts of this class.
    #[must_use]
    pub fn fits(&self, class: &HostClass) -> bool {
        let model = self.model.as_ref().is_none_or(|model| *model == class.model);
        self.arch == class.arch && self.os == class.os && model
    }
}
