//! What kind of host this is: decides which releases fit and which stratum it is compared in.
use crate::digest::Digest;
use crate::id::{GroupId, StratumId};
use crate::limits::{GROUPS_PER_HOST_MAX, NAME_LENGTH_MAX};
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
    /// groups that it is in, sorted: a ring, a site, a service. Rules of the operator can hold a group
    /// back; being in one never gives a host anything
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupId>,
}

/// Why a class is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "class has over {GROUPS_PER_HOST_MAX} groups, or they are not sorted, or one is there twice"
)]
pub struct ClassError;

impl HostClass {
    /// Whether its groups are within their limits.
    /// # Errors
    /// [`ClassError`].
    pub fn check(&self) -> Result<(), ClassError> {
        let sorted = self.groups.windows(2).all(|pair| pair[0] < pair[1]);
        if sorted && self.groups.len() <= GROUPS_PER_HOST_MAX { Ok(()) } else { Err(ClassError) }
    }

    /// Whether a rule for this group is for it; a rule for no group is for every host.
    #[must_use]
    pub fn is_in(&self, group: Option<&GroupId>) -> bool {
        group.is_none_or(|group| self.groups.contains(group))
    }

    /// The stratum it is compared in where hosts of the `scheduled` groups have a time of their own:
    /// they are handed nothing while others are, so they are no controls for these.
    #[must_use]
    pub fn stratum_on(&self, scheduled: &[GroupId]) -> StratumId {
        let own = self.groups.iter().filter(|group| scheduled.contains(group));
        let own: Vec<&str> = own.map(GroupId::as_str).collect();
        let stratum = self.stratum();
        if own.is_empty() {
            return stratum;
        }
        let own = own.join(".");
        StratumId::new(&format!("{stratum}..{own}")).unwrap_or_else(|_| {
            let cut: String = stratum.as_str().chars().take(NAME_LENGTH_MAX - 14).collect();
            let short = Digest::of(format!("{stratum}..{own}").as_bytes()).to_string();
            let short: String = short.chars().take(12).collect();
            StratumId::new(&format!("{cut}..{short}")).unwrap_or(stratum)
        })
    }

    /// The stratum this class is compared in.
    #[must_use]
    pub fn stratum(&self) -> StratumId {
        let text = format!("{}.{}.{}", self.arch, self.os, self.model);
        let cut: String = text.chars().take(NAME_LENGTH_MAX).collect();
        StratumId::new(&cut).unwrap_or_else(|_| self.model.clone())
    }
}
