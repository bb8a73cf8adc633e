//! What kind of host this is: decides which releases fit and which stratum it is compared in.
use crate::id::StratumId;
use crate::limits::NAME_LENGTH_MAX;
use serde::{Deserialize, Serialize};

/// A host's class as it reports it at enrolment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostClass {
    /// machine architecture, as `uname -m`
    pub arch: StratumId,
    /// operating system and major version, for example `debian12`
    pub os: StratumId,
    /// hardware or image model: hosts of one model fail alike
    pub model: StratumId,
}

impl HostClass {
    /// The stratum this class is compared in.
    #[must_use]
    pub fn stratum(&self) -> StratumId {
        let text = format!("{}.{}.{}", self.arch, self.os, self.model);
        let cut: String = text.chars().take(NAME_LENGTH_MAX).collect();
        StratumId::new(&cut).unwrap_or_else(|_| self.model.clone())
    }
}
