//! The fast lane: who may use the emergency lane. The platform's list stands in the top-level targets,
//! under their threshold and with their protection against going back; TUF clients leave an attribute
//! aside that they do not know (TUF specification 1.0.x, section 4.1). The operator's stands in the policy.
use andon_model::fast_lane::FastLane;
use andon_model::policy::Policy;
use andon_model::{ComponentId, Time, VendorId};

/// The attribute of the top-level targets' signed part.
pub const ATTRIBUTE: &str = "x-andon-fast-lane";

/// Why the platform's list is not read. Nothing is on it then.
#[derive(Debug, thiserror::Error)]
pub enum FastLaneError {
    /// not the JSON we expect
    #[error("read the platform's fast-lane list")]
    Parse(#[from] serde_json::Error),
    /// unsorted, or too long
    #[error("the platform's fast-lane list is not sorted, names one twice, or is too long")]
    Odd,
}

/// The list in these top-level targets; `None`: the platform publishes none. It verifies nothing.
/// # Errors
/// [`FastLaneError`].
pub fn of_platform(targets: &[u8]) -> Result<Option<FastLane>, FastLaneError> {
    let mut read: serde_json::Value = serde_json::from_slice(targets)?;
    let list = read.get_mut("signed").and_then(|signed| signed.get_mut(ATTRIBUTE));
    let list = list.map(|list| serde_json::from_value::<FastLane>(list.take())).transpose()?;
    match list {
        Some(list) if !list.is_sane() => Err(FastLaneError::Odd),
        list => Ok(list),
    }
}

/// What keeps a component from the emergency lane; `None`: nothing does. `platform`: the list in the
/// trusted targets, or that it cannot be read.
#[must_use]
pub fn against(
    platform: &Result<Option<FastLane>, FastLaneError>,
    policy: &Policy,
    (vendor, component): (&VendorId, &ComponentId),
    now: Time,
) -> Option<String> {
    let platform = match platform {
        Ok(list) => list.as_ref(),
        Err(why) => return Some(format!("{why}; nothing may use the emergency lane")),
    };
    let lists = [("the platform", platform), ("the operator", policy.fast_lane.as_ref())];
    lists.into_iter().find_map(|(whose, list)| {
        let why = list?.allows(vendor, component, now).err()?;
        Some(format!("emergency lane for {vendor}/{component}, by {whose}: {why}"))
    })
}
