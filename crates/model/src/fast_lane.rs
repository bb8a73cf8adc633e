//! Which components may use the emergency lane ("security-critical"), and until when: the platform says
//! it for everybody, an operator narrows it. A lane that every update may take is the usual one.
use crate::id::{ComponentId, VendorId};
use crate::limits::FAST_LANE_MAX;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The list. Whoever is not on it takes the routine lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FastLane {
    /// nobody is on it from then on
    pub expires: Time,
    /// sorted, none twice
    pub components: Vec<FastLaneEntry>,
}

/// One component of one vendor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FastLaneEntry {
    /// whose
    pub vendor: VendorId,
    /// which
    pub component: ComponentId,
}

/// Why a component may not use the emergency lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoFastLane {
    /// it is not listed
    #[error("it is not on the fast-lane list")]
    Unlisted,
    /// nobody is, by now
    #[error("the fast-lane list has expired")]
    Expired,
}

impl FastLane {
    /// Whether the list is sorted, names nothing twice, and is not too long.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        let sorted = self.components.windows(2).all(|pair| pair[0] < pair[1]);
        sorted && self.components.len() <= FAST_LANE_MAX
    }

    /// Whether a component may use the emergency lane now.
    /// # Errors
    /// [`NoFastLane`].
    pub fn allows(
        &self,
        vendor: &VendorId,
        component: &ComponentId,
        now: Time,
    ) -> Result<(), NoFastLane> {
        if self.expires <= now {
            return Err(NoFastLane::Expired);
        }
        let is = |entry: &FastLaneEntry| entry.vendor == *vendor && entry.component == *component;
        if self.components.iter().any(is) { Ok(()) } else { Err(NoFastLane::Unlisted) }
    }
}
