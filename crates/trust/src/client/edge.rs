//! One delegating edge: may this role speak for this path, and who signs for it?
use super::ClientError;
use super::error::refused;
use crate::tuf::distinct_material;
use sigstore_tuf::{DelegatedRole, Delegations, Key};
use std::collections::{BTreeMap, BTreeSet};

/// Longest name of a delegated role, bytes: percent-encoded it still is a file name on usual disks.
const ROLE_NAME_LENGTH_MAX: usize = 80;

/// No role may be signed by nobody, and none may count one physical key twice: the core counts ids.
/// A threshold that its keys cannot reach is no fault here; nothing will ever satisfy it.
pub(super) fn sound_role(
    name: &str,
    ids: &[String],
    threshold: usize,
    keys: &BTreeMap<String, Key>,
) -> Result<(), ClientError> {
    if threshold == 0 {
        return Err(ClientError::Threshold(name.to_owned()));
    }
    let known = ids.iter().filter(|id| keys.contains_key(*id)).collect::<BTreeSet<_>>();
    if distinct_material(ids, keys) < known.len() {
        return Err(ClientError::AliasedKey(name.to_owned()));
    }
    Ok(())
}

/// Whether this delegation covers the path. What cannot be read in one way only is refused, but only
/// where it matters: for a path that it covers.
pub(super) fn covers(
    delegator: &str,
    delegations: &Delegations,
    role: &DelegatedRole,
    path: &str,
) -> Result<bool, ClientError> {
    if !role.matches_path(path).map_err(|e| refused(delegator, e))? {
        return Ok(false);
    }
    let ambiguous = |why| ClientError::Ambiguous {
        delegator: delegator.to_owned(),
        role: role.name.clone(),
        why,
    };
    if role.paths.is_some() && role.path_hash_prefixes.is_some() {
        return Err(ambiguous("both paths and hash prefixes"));
    }
    if delegations.roles.iter().filter(|other| other.name == role.name).count() > 1 {
        return Err(ambiguous("named twice"));
    }
    let reserved = matches!(role.name.as_str(), "root" | "timestamp" | "snapshot" | "targets");
    if reserved || role.name.is_empty() || role.name.len() > ROLE_NAME_LENGTH_MAX {
        return Err(ClientError::RoleName(role.name.chars().take(ROLE_NAME_LENGTH_MAX).collect()));
    }
    Ok(true)
}
