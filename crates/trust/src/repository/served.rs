//! The whole repository as a value: what is served now, what becomes of it when a vendor publishes.
//!
//! What it is not: storage. [`Repository::publish`] returns the new files; the caller writes them in
//! that order, the timestamp last, and keeps older ones for hosts in the middle of a refresh.
use super::{Delegation, RepositoryError, Role, SignedMetadata, Validity};
use super::{key_id, root, snapshot, targets, timestamp};
use crate::sign::SigningKey;
use crate::tuf::{MetadataSet as _, TufError, TufSet};
use andon_model::fast_lane::FastLane;
use andon_model::{PublicKey, Time, VendorId};
use serde_json::Value;
use std::collections::BTreeMap;

/// A file's name below `/v1/tuf/` and its bytes.
pub type NamedFile = (String, Vec<u8>);

/// The four top-level roles of a new root.
#[derive(Clone, Debug)]
pub struct TopRoles {
    /// may replace the root
    pub root: Role,
    /// signs the timestamp (online)
    pub timestamp: Role,
    /// signs the snapshot (online)
    pub snapshot: Role,
    /// delegates to vendors
    pub targets: Role,
}

/// Everything that is served below `/v1/tuf/`.
#[derive(Clone, Debug)]
pub struct Repository {
    root: SignedMetadata,
    /// the root that is served, while its successor is not yet
    before: Option<SignedMetadata>,
    targets: SignedMetadata,
    vendors: BTreeMap<VendorId, Vec<u8>>,
    snapshot: Option<Vec<u8>>,
    timestamp: Option<Vec<u8>>,
}

impl Repository {
    /// A new repository, nothing signed yet: let the holders of keys call [`Repository::sign_root`]
    /// and [`Repository::sign_targets`], then [`Repository::publish`].
    /// # Errors
    /// [`RepositoryError`].
    pub fn create(
        roles: &TopRoles,
        vendors: &[Delegation],
        root_expires: Time,
        targets_expires: Time,
    ) -> Result<Repository, RepositoryError> {
        let table = [
            ("root", roles.root.clone()),
            ("timestamp", roles.timestamp.clone()),
            ("snapshot", roles.snapshot.clone()),
            ("targets", roles.targets.clone()),
        ];
        Ok(Repository {
            root: root(1, root_expires, &table)?,
            before: None,
            targets: targets(1, targets_expires, vendors)?,
            vendors: BTreeMap::new(),
            snapshot: None,
            timestamp: None,
        })
    }

    /// Reads a repository back. `read` gives a file of that name, or nothing if there is none; roots
    /// are asked for one after another.
    /// # Errors
    /// [`RepositoryError`] when files are missing or are not what the snapshot says.
    pub fn load(
        read: &mut dyn FnMut(&str) -> Option<Vec<u8>>,
    ) -> Result<Repository, RepositoryError> {
        let timestamp = read("timestamp.json").ok_or(RepositoryError::Missing("timestamp"))?;
        let version = pinned(&SignedMetadata::parse(&timestamp)?, "snapshot.json");
        let version = version.ok_or(RepositoryError::Shape("timestamp"))?;
        let bytes = read(&format!("{version}.snapshot.json"));
        let snapshot = bytes.ok_or(RepositoryError::Missing("snapshot"))?;
        let pins = SignedMetadata::parse(&snapshot)?;
        let version = pinned(&pins, "targets.json").ok_or(RepositoryError::Shape("snapshot"))?;
        let bytes = read(&format!("{version}.targets.json"));
        let targets = SignedMetadata::parse(&bytes.ok_or(RepositoryError::Missing("targets"))?)?;
        let mut vendors = BTreeMap::new();
        // Of vendors without a delegation too: what a snapshot has named once, the next ones name.
        for (name, version) in pinned_vendors(&pins) {
            let bytes = read(&format!("{version}.{name}.json"));
            vendors.insert(name, bytes.ok_or(RepositoryError::Missing("vendor role"))?);
        }
        let mut root = None;
        for version in 1..=u64::from(andon_model::limits::TUF_ROOT_ROTATIONS_MAX) {
            match read(&format!("{version}.root.json")) {
                Some(bytes) => root = Some(SignedMetadata::parse(&bytes)?),
                None => break,
            }
        }
        let root = root.ok_or(RepositoryError::Missing("root"))?;
        Ok(Repository {
            root,
            before: None,
            targets,
            vendors,
            snapshot: Some(snapshot),
            timestamp: Some(timestamp),
        })
    }

    /// Adds one key's signature to the root.
    /// # Errors
    /// [`RepositoryError`].
    pub fn sign_root(&mut self, key: &SigningKey) -> Result<(), RepositoryError> {
        self.root.sign(key)
    }
    /// Adds one key's signature to the top-level targets.
    /// # Errors
    /// [`RepositoryError`].
    pub fn sign_targets(&mut self, key: &SigningKey) -> Result<(), RepositoryError> {
        self.targets.sign(key)
    }

    /// Delegates to a new vendor, or changes a vendor's keys. The targets' signatures fall away:
    /// their holders sign the new version.
    /// # Errors
    /// [`RepositoryError`].
    pub fn add_vendor(&mut self, added: &Delegation) -> Result<(), RepositoryError> {
        super::delegate(&mut self.targets, added)
    }

    /// Says what may use the emergency lane. The targets' signatures fall away, as for a new vendor.
    /// # Errors
    /// [`RepositoryError`].
    pub fn set_fast_lane(&mut self, list: &FastLane) -> Result<(), RepositoryError> {
        super::allow_fast(&mut self.targets, list)
    }

    /// Puts one key in the place of another in every role of the root, one version up. Its signatures fall
    /// away: a threshold of the root before it *and* one of its own sign it.
    /// # Errors
    /// [`RepositoryError::Stranger`] when no role has the old key; the repository is unchanged.
    pub fn rotate_root(
        &mut self,
        old: &PublicKey,
        new: &PublicKey,
        expires: Time,
    ) -> Result<u64, RepositoryError> {
        let next = super::rotated(&self.root, old, new, expires)?;
        let before = std::mem::replace(&mut self.root, next);
        self.before.get_or_insert(before);
        Ok(self.root.version())
    }

    /// The same top-level targets one version up, unsigned: where the key that signed them has gone.
    /// # Errors
    /// [`RepositoryError::Clock`].
    pub fn renew_targets(&mut self, expires: Time) -> Result<u64, RepositoryError> {
        self.targets = super::renewed(&self.targets, expires)?;
        Ok(self.targets.version())
    }

    /// The signed top-level targets.
    #[must_use]
    pub fn targets_bytes(&self) -> Vec<u8> {
        self.targets.to_bytes()
    }

    /// The signed root, for anchors.
    #[must_use]
    pub fn root_bytes(&self) -> Vec<u8> {
        self.root.to_bytes()
    }

    /// A vendor's current role, to extend with [`super::vendor_role`].
    #[must_use]
    pub fn role(&self, vendor: &VendorId) -> Option<&[u8]> {
        self.vendors.get(vendor).map(Vec::as_slice)
    }

    /// Takes a vendor's new signed role if every host would: delegated, one version up, threshold
    /// met by distinct keys, in force, targets under its own paths with SHA-256, none taken back.
    /// Returns its version. Nothing is served before [`Repository::publish`].
    /// # Errors
    /// [`RepositoryError`]; the repository is unchanged.
    pub fn set_role(
        &mut self,
        vendor: &VendorId,
        bytes: &[u8],
        now: Time,
    ) -> Result<u64, RepositoryError> {
        let role = SignedMetadata::parse(bytes)?;
        let before = self.vendors.get(vendor).map(|b| SignedMetadata::parse(b)).transpose()?;
        let want = before.as_ref().map_or(1, |b| b.version() + 1);
        if role.version() != want {
            return Err(RepositoryError::Version { got: role.version(), want });
        }
        let checked = crate::tuf::check_vendor_role(&self.targets.to_bytes(), vendor, bytes, now)?;
        if checked.targets.len() != role.target_names().count() {
            return Err(RepositoryError::Paths);
        }
        let lost = |b: &SignedMetadata| b.target_entries().any(|(p, e)| role.target(p) != Some(e));
        if before.as_ref().is_some_and(lost) {
            return Err(RepositoryError::Removed);
        }
        self.vendors.insert(vendor.clone(), bytes.to_vec());
        Ok(want)
    }

    /// Takes the platform's next root, its next top-level targets, or both at once, if every host would.
    /// Whether the targets are signed as the root says, [`Repository::publish`] finds out.
    /// # Errors
    /// [`RepositoryError`]; the repository is unchanged.
    pub fn set_top(
        &mut self,
        root: Option<&[u8]>,
        targets: Option<&[u8]>,
    ) -> Result<(), RepositoryError> {
        let mut next = self.clone();
        if let Some(bytes) = root {
            next.root = following(&self.root, bytes)?;
            if next.root.version() != self.root.version() {
                TufSet::from_root(&self.root.to_bytes())?.update_root(&next.root.to_bytes())?;
            }
        }
        if let Some(bytes) = targets {
            next.targets = following(&self.targets, bytes)?;
        }
        *self = next;
        Ok(())
    }

    /// Versions of root and top-level targets.
    #[must_use]
    pub fn top_versions(&self) -> (u64, u64) {
        (self.root.version(), self.targets.version())
    }

    /// Vendors whose role as it is served no longer holds under the delegations: hosts refuse their
    /// releases until they have signed it anew.
    #[must_use]
    pub fn orphaned(&self, now: Time) -> Vec<VendorId> {
        let targets = self.targets.to_bytes();
        // Who is delegated to no longer has nothing to sign.
        let lost = |vendor: &VendorId, bytes: &[u8]| {
            let checked = crate::tuf::check_vendor_role(&targets, vendor, bytes, now);
            !matches!(checked, Ok(_) | Err(TufError::Order(_)))
        };
        let lost = self.vendors.iter().filter(|(vendor, bytes)| lost(vendor, bytes));
        lost.map(|(vendor, _)| vendor.clone()).collect()
    }

    /// Signs a new snapshot (if anything changed) and a new timestamp, then plays two hosts over the
    /// result, one that knows nothing but the root and one that knows what was served before: what either
    /// would refuse is refused here. Returns the
    /// new files in the order in which they must be written.
    /// # Errors
    /// [`RepositoryError`]; the repository is unchanged.
    pub fn publish(
        &mut self,
        now: Time,
        valid: Validity,
        snapshot_key: &SigningKey,
        timestamp_key: &SigningKey,
    ) -> Result<Vec<NamedFile>, RepositoryError> {
        self.publish_after(None, now, valid, (snapshot_key, timestamp_key))
    }

    /// The same, and hosts that know `before` must be able to follow.
    /// # Errors
    /// [`RepositoryError`]; the repository is unchanged.
    pub fn publish_after(
        &mut self,
        before: Option<&Repository>,
        now: Time,
        valid: Validity,
        (snapshot_key, timestamp_key): (&SigningKey, &SigningKey),
    ) -> Result<Vec<NamedFile>, RepositoryError> {
        let mut next = self.clone();
        let mut out = vec![(format!("{}.root.json", self.root.version()), self.root.to_bytes())];
        let table = self.table()?;
        for (name, version, bytes) in &table {
            out.push((format!("{version}.{name}"), bytes.clone()));
        }
        let expires = now.plus(valid.snapshot);
        let version = self.version_of(self.snapshot.as_deref())?;
        // A snapshot is signed anew when it is not the same list, or has lived half its life.
        let stale = self.expires_of(self.snapshot.as_deref())?.0
            <= now.plus(valid.snapshot).0 - valid.snapshot.0 / 2;
        // A new root may have another key for it.
        let rooted = self.before.is_some();
        if self.snapshot.is_none() || stale || rooted || !self.snapshot_holds(&table)? {
            let rows: Vec<_> =
                table.iter().map(|(n, v, b)| (n.clone(), *v, b.as_slice())).collect();
            let mut made = snapshot(version + 1, expires, &rows)?;
            made.sign(snapshot_key)?;
            next.snapshot = Some(made.to_bytes());
        }
        let bytes = next.snapshot.clone().ok_or(RepositoryError::Missing("snapshot"))?;
        let version = next.version_of(Some(&bytes))?;
        out.push((format!("{version}.snapshot.json"), bytes.clone()));
        let stamped = self.version_of(self.timestamp.as_deref())?;
        let mut made = timestamp(stamped + 1, now.plus(valid.timestamp), version, &bytes)?;
        made.sign(timestamp_key)?;
        next.timestamp = Some(made.to_bytes());
        out.push(("timestamp.json".to_owned(), made.to_bytes()));
        next.rehearse(None, now)?;
        if let Some(before) = before {
            next.rehearse(Some(before), now)?;
        }
        next.before = None;
        *self = next;
        Ok(out)
    }

    /// When the timestamp must have been renewed.
    /// # Errors
    /// [`RepositoryError`].
    pub fn timestamp_expires(&self) -> Result<Time, RepositoryError> {
        self.expires_of(self.timestamp.as_deref())
    }

    /// The walk of a host over what would be served: a stranger's, or of one that trusts `before`.
    fn rehearse(&self, before: Option<&Repository>, now: Time) -> Result<(), RepositoryError> {
        let missing = RepositoryError::Missing;
        let root = self.root.to_bytes();
        let first = match (before, &self.before) {
            (Some(before), _) => before.root_bytes(),
            (None, Some(old)) => old.to_bytes(),
            (None, None) => root.clone(),
        };
        let mut set = TufSet::from_root(&first)?;
        if set.root_version() < self.root.version() {
            set.update_root(&root)?;
        }
        if let Some(before) = before {
            let Repository { timestamp, snapshot, .. } = before;
            // As a host does: after a root that took their keys' trust away they no longer count (5.3.11).
            if let Some(bytes) = timestamp {
                let _rotated_away = set.update_timestamp(bytes, Time(0));
            }
            if let Some(bytes) = snapshot {
                let _rotated_away = set.update_snapshot(bytes, Time(0));
            }
        }
        set.update_timestamp(self.timestamp.as_deref().ok_or(missing("timestamp"))?, now)?;
        set.update_snapshot(self.snapshot.as_deref().ok_or(missing("snapshot"))?, now)?;
        set.update_targets(&self.targets.to_bytes(), now)?;
        set.authorised(now)?;
        for (vendor, bytes) in &self.vendors {
            // One vendor's expired role is that vendor's loss and must not hold up the others.
            let _own_loss = set.update_vendor(vendor, bytes, now);
        }
        Ok(())
    }

    fn table(&self) -> Result<Vec<(String, u64, Vec<u8>)>, RepositoryError> {
        let mut rows =
            vec![("targets.json".to_owned(), self.targets.version(), self.targets.to_bytes())];
        for (vendor, bytes) in &self.vendors {
            let version = SignedMetadata::parse(bytes)?.version();
            rows.push((format!("{vendor}.json"), version, bytes.clone()));
        }
        Ok(rows)
    }

    fn snapshot_holds(&self, rows: &[(String, u64, Vec<u8>)]) -> Result<bool, RepositoryError> {
        let Some(bytes) = &self.snapshot else { return Ok(false) };
        let current = SignedMetadata::parse(bytes)?;
        let wanted = rows.iter().map(|(n, v, b)| (n.clone(), super::pin(*v, b))).collect();
        Ok(current.signed.get("meta") == Some(&Value::Object(wanted)))
    }

    fn version_of(&self, bytes: Option<&[u8]>) -> Result<u64, RepositoryError> {
        bytes.map_or(Ok(0), |bytes| Ok(SignedMetadata::parse(bytes)?.version()))
    }

    fn expires_of(&self, bytes: Option<&[u8]>) -> Result<Time, RepositoryError> {
        bytes.map_or(Ok(Time(0)), |bytes| SignedMetadata::parse(bytes)?.expires())
    }

    /// Whether this key may sign the top-level targets: a mix-up is noticed before it is signed.
    /// # Errors
    /// [`RepositoryError`].
    pub fn is_targets_key(&self, key: &SigningKey) -> Result<bool, RepositoryError> {
        let id = key_id(&key.public())?;
        let ids = self.root.signed.pointer("/roles/targets/keyids").and_then(Value::as_array);
        Ok(ids.is_some_and(|ids| ids.iter().any(|known| known.as_str() == Some(&id))))
    }
}

/// The next version of this metadata, or itself once more: whoever got no answer sends it again.
fn following(current: &SignedMetadata, bytes: &[u8]) -> Result<SignedMetadata, RepositoryError> {
    let next = SignedMetadata::parse(bytes)?;
    if next.to_bytes() == current.to_bytes() {
        return Ok(next);
    }
    let (got, want) = (next.version(), current.version() + 1);
    if got != want {
        return Err(RepositoryError::Version { got, want });
    }
    if next.signed.get("_type") != current.signed.get("_type") {
        return Err(RepositoryError::Shape("another role's metadata"));
    }
    Ok(next)
}

fn pinned_vendors(snapshot: &SignedMetadata) -> Vec<(VendorId, u64)> {
    let files = snapshot.signed.get("meta").and_then(Value::as_object).into_iter().flatten();
    let vendor = |(name, pin): (&String, &Value)| {
        let name = name.strip_suffix(".json").filter(|name| *name != "targets")?;
        Some((VendorId::new(name).ok()?, pin.get("version")?.as_u64()?))
    };
    files.filter_map(vendor).collect()
}

pub(super) fn pinned(metadata: &SignedMetadata, name: &str) -> Option<u64> {
    metadata.signed.get("meta")?.get(name)?.get("version")?.as_u64()
}
