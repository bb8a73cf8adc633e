//! The refresh: roots, timestamp, snapshot, top-level targets (specification 5.3 to 5.6.4), and what
//! was kept before as the floor below which nothing may fall.
use super::edge::sound_role;
use super::error::refused;
use super::{ClientError, Refreshed, Shelf, Source, metadata_name};
use crate::tuf::{date, provide_crypto};
use andon_model::Time;
use andon_model::limits::{
    TUF_BYTES_MAX, TUF_ROOT_ROTATIONS_MAX, TUF_TARGETS_BYTES_MAX, TUF_TIMESTAMP_BYTES_MAX,
};
use sigstore_tuf::{Metadata, Root, Snapshot, TrustedMetadataSet};

/// Whether these bytes can be a trusted root: signed by a threshold of themselves, no role that
/// anybody could sign, no role that counts one key twice. Expiry is not looked at.
/// # Errors
/// [`ClientError`].
pub fn check_root(bytes: &[u8]) -> Result<(), ClientError> {
    provide_crypto();
    limited("root.json", bytes, TUF_BYTES_MAX)?;
    TrustedMetadataSet::from_root(bytes).map_err(|e| refused("root.json", e))?;
    sound_root("root.json", bytes)
}

/// Brings top-level metadata up to date. Whatever was verified on the way is kept even when a later
/// step fails; nothing else is.
/// # Errors
/// [`ClientError`].
pub fn refresh(
    source: &mut impl Source,
    shelf: &mut impl Shelf,
    now: Time,
) -> Result<Refreshed, ClientError> {
    let pinned = kept(shelf, "root.json", TUF_BYTES_MAX)?.ok_or(ClientError::NoRoot)?;
    check_root(&pinned)?;
    let core = TrustedMetadataSet::from_root(&pinned).map_err(|e| refused("root.json", e))?;
    let now = date(now).map_err(|_| ClientError::Clock)?;
    let mut refresh = Refresh { source, shelf, core, now };
    refresh.roots()?;
    refresh.timestamp()?;
    refresh.snapshot()?;
    refresh.targets()?;
    Ok(Refreshed::new(refresh.core, now))
}

struct Refresh<'a, S, K> {
    source: &'a mut S,
    shelf: &'a mut K,
    core: TrustedMetadataSet,
    now: jiff::Timestamp,
}

impl<S: Source, K: Shelf> Refresh<'_, S, K> {
    /// 5.3: one root after the other, each signed by the one before, until there is no next one.
    /// Expiry counts for the last one only.
    fn roots(&mut self) -> Result<(), ClientError> {
        for _ in 0..TUF_ROOT_ROTATIONS_MAX {
            let next = self.core.root().version.saturating_add(1);
            let name = metadata_name("root", Some(next));
            let Some(bytes) = fetch(self.source, &name, TUF_BYTES_MAX)? else {
                return self.core.check_root_expired(self.now).map_err(|e| refused("root.json", e));
            };
            sound_root(&name, &bytes)?;
            self.core.update_root(&bytes).map_err(|e| refused(&name, e))?;
            keep(self.shelf, "root.json", &bytes)?;
        }
        Err(ClientError::Rotations)
    }

    /// 5.4: the kept timestamp is the floor, expired or not; a new one of the same version is left
    /// aside (5.4.3).
    fn timestamp(&mut self) -> Result<(), ClientError> {
        let name = "timestamp.json";
        if let Some(bytes) = kept(self.shelf, name, TUF_TIMESTAMP_BYTES_MAX)? {
            // Judged as of the earliest day: an expired one is believed about versions and nothing
            // else. One that the root in force does not vouch for is no floor (fast-forward recovery).
            let _no_floor = self.core.update_timestamp(&bytes, jiff::Timestamp::MIN);
        }
        let bytes = fetch(self.source, name, TUF_TIMESTAMP_BYTES_MAX)?;
        let bytes = bytes.ok_or_else(|| ClientError::Missing(name.to_owned()))?;
        match self.core.update_timestamp(&bytes, self.now) {
            Ok(()) => keep(self.shelf, name, &bytes)?,
            Err(sigstore_tuf::Error::EqualVersion { .. }) => {}
            Err(error) => return Err(refused(name, error)),
        }
        // Also the one kept before: a server that shows it for ever would freeze us.
        self.core.check_timestamp_expired(self.now).map_err(|e| refused(name, e))
    }

    /// 5.5: the snapshot that the timestamp names, from the shelf where it is the one.
    fn snapshot(&mut self) -> Result<(), ClientError> {
        let name = "snapshot.json";
        let pin = self.core.timestamp().and_then(|t| t.snapshot_meta());
        let pin = pin.ok_or_else(|| ClientError::Missing(format!("the pin of {name}")))?;
        let (version, limit) = (pin.version, limit(pin.length, TUF_BYTES_MAX));
        let before = kept(self.shelf, name, TUF_BYTES_MAX)?;
        if let Some(bytes) = &before
            && self.core.update_snapshot(bytes, self.now).is_ok()
        {
            return Ok(());
        }
        let remote = metadata_name("snapshot", self.consistent(version));
        let bytes = fetch(self.source, &remote, limit)?;
        let bytes = bytes.ok_or_else(|| ClientError::Missing(remote.clone()))?;
        let floor = before.and_then(|bytes| self.floor(&bytes));
        if let Some(floor) = floor {
            let new = Metadata::<Snapshot>::from_slice(&bytes).map_err(|e| refused(&remote, e))?;
            never_back(&floor, new.signed())?;
        }
        self.core.update_snapshot(&bytes, self.now).map_err(|e| refused(&remote, e))?;
        keep(self.shelf, name, &bytes)
    }

    /// 5.6: the top-level targets that the snapshot names.
    fn targets(&mut self) -> Result<(), ClientError> {
        let name = "targets.json";
        let pin = self.core.snapshot().and_then(|snapshot| snapshot.meta.get(name));
        let pin = pin.ok_or_else(|| ClientError::Missing(format!("the pin of {name}")))?;
        let (version, limit) = (pin.version, limit(pin.length, TUF_TARGETS_BYTES_MAX));
        if let Some(bytes) = kept(self.shelf, name, TUF_TARGETS_BYTES_MAX)?
            && self.core.update_targets(&bytes, self.now).is_ok()
        {
            return Ok(());
        }
        let remote = metadata_name("targets", self.consistent(version));
        let bytes = fetch(self.source, &remote, limit)?;
        let bytes = bytes.ok_or_else(|| ClientError::Missing(remote.clone()))?;
        self.core.update_targets(&bytes, self.now).map_err(|e| refused(&remote, e))?;
        keep(self.shelf, name, &bytes)
    }

    fn consistent(&self, version: u64) -> Option<u64> {
        self.core.root().consistent_snapshot.then_some(version)
    }

    /// A snapshot kept before, if the root in force still vouches for it. It need not be the one that
    /// the kept timestamp names: a run may have ended between the two.
    fn floor(&self, bytes: &[u8]) -> Option<Snapshot> {
        let before = Metadata::<Snapshot>::from_slice(bytes).ok()?;
        let root = self.core.root();
        before.verify_threshold(&root.keys, root.role("snapshot")?, "snapshot").ok()?;
        Some(before.into_signed())
    }
}

/// 5.5.5: what a trusted snapshot named stays named, at that version or a later one.
fn never_back(before: &Snapshot, new: &Snapshot) -> Result<(), ClientError> {
    for (name, trusted) in &before.meta {
        let got = new.meta.get(name).map_or(0, |pin| pin.version);
        if got < trusted.version {
            return Err(ClientError::Rollback {
                name: name.clone(),
                trusted: trusted.version,
                got,
            });
        }
    }
    Ok(())
}

/// The core counts key ids and takes a root's roles as they are.
fn sound_root(name: &str, bytes: &[u8]) -> Result<(), ClientError> {
    let root = Metadata::<Root>::from_slice(bytes).map_err(|e| refused(name, e))?;
    let root = root.signed();
    root.roles
        .iter()
        .try_for_each(|(role, keys)| sound_role(role, &keys.keyids, keys.threshold, &root.keys))
}

pub(super) fn limit(length: Option<u64>, limit: usize) -> usize {
    length.and_then(|length| usize::try_from(length).ok()).map_or(limit, |own| own.min(limit))
}

pub(super) fn fetch(
    source: &mut impl Source,
    name: &str,
    limit: usize,
) -> Result<Option<Vec<u8>>, ClientError> {
    let bytes = source.fetch(name, limit);
    let bytes = bytes.map_err(|fault| ClientError::Fetch(name.to_owned(), fault))?;
    bytes.as_deref().map_or(Ok(()), |bytes| limited(name, bytes, limit))?;
    Ok(bytes)
}

pub(super) fn kept(
    shelf: &mut impl Shelf,
    name: &str,
    limit: usize,
) -> Result<Option<Vec<u8>>, ClientError> {
    shelf.read(name, limit).map_err(|fault| ClientError::Read(name.to_owned(), fault))
}

fn keep(shelf: &mut impl Shelf, name: &str, bytes: &[u8]) -> Result<(), ClientError> {
    shelf.keep(name, bytes).map_err(|fault| ClientError::Keep(name.to_owned(), fault))
}

fn limited(name: &str, bytes: &[u8], limit: usize) -> Result<(), ClientError> {
    if bytes.len() > limit {
        return Err(ClientError::TooLarge { name: name.to_owned(), limit });
    }
    Ok(())
}
