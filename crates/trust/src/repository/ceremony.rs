//! The platform's own ceremonies: the next root, the next top-level targets, made from those in force and
//! unsigned, for the holders of keys to sign one after another.
use super::{
    Delegation, RepositoryError, Role, SignedMetadata, insert_delegation, renewed, role_value,
};
use andon_model::fast_lane::FastLane;
use andon_model::{Time, VendorId};
use serde_json::{Map, Value, json};

/// What changes in the top-level targets; what is not named stays.
#[derive(Clone, Debug, Default)]
pub struct TargetsChange {
    /// vendors delegated to, anew or with other keys
    pub delegate: Vec<Delegation>,
    /// vendors delegated to no longer
    pub withdraw: Vec<VendorId>,
    /// the platform's fast-lane list
    pub fast_lane: Option<FastLane>,
}

/// The next top-level targets.
/// # Errors
/// [`RepositoryError`]: `current` is none, or a vendor to withdraw is not delegated to.
pub fn next_targets(
    current: &[u8],
    expires: Time,
    change: &TargetsChange,
) -> Result<SignedMetadata, RepositoryError> {
    let mut signed = next(current, "targets", expires)?;
    for added in &change.delegate {
        insert_delegation(&mut signed, added)?;
    }
    for vendor in &change.withdraw {
        withdraw(&mut signed, vendor)?;
    }
    if let Some(list) = &change.fast_lane {
        let list =
            serde_json::to_value(list).map_err(|e| RepositoryError::Parse("fast lane", e))?;
        signed[crate::fast_lane::ATTRIBUTE] = list;
    }
    Ok(SignedMetadata::new(signed))
}

/// The next root, with these roles' keys instead of those it has. As many of the old root's keys as of the
/// new one's must sign it (TUF specification 1.0.x, section 6.1).
/// # Errors
/// [`RepositoryError`]: `current` is none, or it has no role of that name.
pub fn next_root(
    current: &[u8],
    expires: Time,
    roles: &[(&str, Role)],
) -> Result<SignedMetadata, RepositoryError> {
    let mut signed = next(current, "root", expires)?;
    let shape = || RepositoryError::Shape("root");
    let mut added = Map::new();
    for (name, role) in roles {
        let place = signed.pointer_mut("/roles").and_then(|table| table.get_mut(name));
        *place.ok_or_else(shape)? = role_value(role, &mut added)?;
    }
    let roles = signed.pointer("/roles").and_then(Value::as_object).ok_or_else(shape)?;
    let ids = roles.values().filter_map(|role| role.get("keyids")?.as_array()).flatten();
    let used: Vec<Value> = ids.cloned().collect();
    let keys = signed.pointer_mut("/keys").and_then(Value::as_object_mut).ok_or_else(shape)?;
    keys.extend(added);
    keys.retain(|id, _| used.contains(&json!(id)));
    Ok(SignedMetadata::new(signed))
}

fn next(current: &[u8], kind: &'static str, expires: Time) -> Result<Value, RepositoryError> {
    let before = SignedMetadata::parse(current)?;
    if before.signed.get("_type") != Some(&json!(kind)) {
        return Err(RepositoryError::Shape(kind));
    }
    Ok(renewed(&before, expires)?.signed)
}

fn withdraw(signed: &mut Value, vendor: &VendorId) -> Result<(), RepositoryError> {
    let shape = || RepositoryError::Shape("targets");
    let roles = signed.pointer_mut("/delegations/roles").and_then(Value::as_array_mut);
    let roles = roles.ok_or_else(shape)?;
    let before = roles.len();
    roles.retain(|role| role.get("name") != Some(&json!(vendor.as_str())));
    if roles.len() == before {
        return Err(RepositoryError::Missing("the vendor's delegation"));
    }
    super::retain_used_keys(signed)
}
