//! The search for a file: pre-order, depth first, lazy (specification 5.6.7). Only roles whose
//! delegation covers the path are looked at, so that a vendor's broken role is its own outage.
use super::edge::{covers, sound_role};
use super::error::refused;
use super::refresh::{fetch, kept, limit};
use super::{ClientError, File, Shelf, Source, metadata_name};
use andon_model::limits::{TUF_DELEGATIONS_MAX, TUF_TARGETS_BYTES_MAX};
use sigstore_tuf::{Targets, TrustedMetadataSet};
use std::collections::BTreeSet;

/// Top-level metadata that is up to date and in force, and the delegated roles found through it.
#[derive(Debug)]
pub struct Refreshed {
    core: TrustedMetadataSet,
    now: jiff::Timestamp,
    /// (delegator, role): edges whose threshold was verified. A role is believed per edge, never by
    /// its name alone: another delegator may demand other keys.
    edges: BTreeSet<(String, String)>,
}

/// A role that is still to be visited, and who delegates to it.
struct Visit {
    role: String,
    delegator: String,
}

impl Refreshed {
    pub(super) fn new(core: TrustedMetadataSet, now: jiff::Timestamp) -> Refreshed {
        Refreshed { core, now, edges: BTreeSet::new() }
    }

    /// Versions of root, timestamp, snapshot and targets.
    #[must_use]
    pub fn versions(&self) -> [u64; 4] {
        [
            self.core.root().version,
            self.core.timestamp().map_or(0, |role| role.version),
            self.core.snapshot().map_or(0, |role| role.version),
            self.core.targets_role("targets").map_or(0, |role| role.version),
        ]
    }

    /// Finds the role that speaks for this path, and what it says.
    /// # Errors
    /// [`ClientError`]: also when a role on the way cannot be believed, because what it would have
    /// said about the path comes first.
    pub fn find(
        &mut self,
        source: &mut impl Source,
        shelf: &mut impl Shelf,
        path: &str,
    ) -> Result<File, ClientError> {
        let mut ahead = vec![Visit { role: "targets".to_owned(), delegator: "root".to_owned() }];
        let mut seen = BTreeSet::new();
        let prefixed = self.core.root().consistent_snapshot;
        while let Some(visit) = ahead.pop() {
            if seen.contains(&visit.role) {
                continue;
            }
            if seen.len() >= TUF_DELEGATIONS_MAX {
                return Err(ClientError::Delegations(path.to_owned()));
            }
            let Some(role) = self.load(source, shelf, &visit)? else { continue };
            if let Some(entry) = role.target(path) {
                let file = File::new(path, entry.length, &entry.hashes, prefixed);
                return file.map_err(|why| ClientError::File(path.to_owned(), why));
            }
            follow(&mut ahead, &visit.role, role, path)?;
            seen.insert(visit.role);
        }
        Err(ClientError::NotFound(path.to_owned()))
    }

    /// The role as this delegator vouches for it; `None` when the snapshot does not name it.
    fn load(
        &mut self,
        source: &mut impl Source,
        shelf: &mut impl Shelf,
        visit: &Visit,
    ) -> Result<Option<&Targets>, ClientError> {
        let Visit { role, delegator } = visit;
        let edge = (delegator.clone(), role.clone());
        let pins = self.core.snapshot().map(|snapshot| &snapshot.meta);
        let Some(pin) = pins.and_then(|pins| pins.get(&format!("{role}.json"))) else {
            return Ok(None);
        };
        if role != "targets" && !self.edges.contains(&edge) {
            let consistent = self.core.root().consistent_snapshot.then_some(pin.version);
            let limit = limit(pin.length, TUF_TARGETS_BYTES_MAX);
            self.sound_edge(delegator, role)?;
            if self.core.targets_role(role).is_some() {
                let loaded = self.core.verify_delegated_targets(role, delegator, self.now);
                loaded.map_err(|e| refused(role, e))?;
            } else {
                self.obtain(source, shelf, visit, &metadata_name(role, consistent), limit)?;
            }
            self.edges.insert(edge);
        }
        Ok(self.core.targets_role(role))
    }

    /// From the shelf if the snapshot and this delegator accept what is there, else from the server.
    fn obtain(
        &mut self,
        source: &mut impl Source,
        shelf: &mut impl Shelf,
        visit: &Visit,
        remote: &str,
        limit: usize,
    ) -> Result<(), ClientError> {
        let Visit { role, delegator } = visit;
        let local = metadata_name(role, None);
        if let Some(bytes) = kept(shelf, &local, TUF_TARGETS_BYTES_MAX)?
            && self.core.update_delegated_targets(&bytes, role, delegator, self.now).is_ok()
        {
            return Ok(());
        }
        let bytes = fetch(source, remote, limit)?;
        let bytes = bytes.ok_or_else(|| ClientError::Missing(remote.to_owned()))?;
        let loaded = self.core.update_delegated_targets(&bytes, role, delegator, self.now);
        loaded.map_err(|e| refused(remote, e))?;
        shelf.cache(&local, &bytes).map_err(|fault| ClientError::Keep(local, fault))
    }

    fn sound_edge(&self, delegator: &str, role: &str) -> Result<(), ClientError> {
        let delegations = self.core.targets_role(delegator).and_then(|t| t.delegations.as_ref());
        let found = delegations.and_then(|all| {
            all.roles.iter().find(|r| r.name == role).map(|role| (role, &all.keys))
        });
        let (found, keys) = found.ok_or_else(|| ClientError::NotFound(role.to_owned()))?;
        sound_role(role, &found.keyids, found.threshold, keys)
    }
}

/// Puts the delegations that cover the path in front of all others, first one first. A terminating
/// one is the last that is looked at: nothing behind it, nothing that waited before (5.6.7.2).
fn follow(
    ahead: &mut Vec<Visit>,
    name: &str,
    role: &Targets,
    path: &str,
) -> Result<(), ClientError> {
    let Some(delegations) = &role.delegations else { return Ok(()) };
    let mut next = Vec::new();
    for child in &delegations.roles {
        if covers(name, delegations, child, path)? {
            next.push(Visit { role: child.name.clone(), delegator: name.to_owned() });
            if child.terminating {
                ahead.clear();
            }
            // More would not be visited.
            if child.terminating || next.len() >= TUF_DELEGATIONS_MAX {
                break;
            }
        }
    }
    ahead.extend(next.into_iter().rev());
    Ok(())
}
