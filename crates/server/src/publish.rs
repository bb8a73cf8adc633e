//! From a vendor's signed role to files that hosts accept. Publication refuses what a host would
//! refuse: `andon_trust` checks the role and then plays a stranger over the whole repository; here,
//! every release that the role lists must be complete before the role is served.
//! It interprets manifests, never content.
use crate::deliver::{Cache, Shelf};
use crate::durable;
use crate::record::ReleaseFacts;
use crate::state::State;
use andon_model::fast_lane::FastLane;
use andon_model::limits::{MANIFEST_BYTES_MAX, TUF_BYTES_MAX};
use andon_model::release::{Manifest, ReleaseError};
use andon_model::{Digest, Millis, PublicKey, Time, VendorId};
use andon_trust::fast_lane::{self, FastLaneError};
use andon_trust::repository::{Repository as Metadata, RepositoryError, Validity, version_of};
use andon_trust::sign::SigningKey;
use andon_trust::tuf::{
    Delegated, MetadataSet as _, TargetFile, TufError, TufSet, check_vendor_role,
};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// How long the server's own signatures hold: a withheld update is noticed within a day, and a
/// server that is down for a night stops nobody.
const VALID: Validity =
    Validity { snapshot: Millis::from_secs(7 * 86_400), timestamp: Millis::from_secs(86_400) };

/// The timestamp is renewed when it has less than this left: half its life.
const RENEW_BEFORE: Millis = Millis(VALID.timestamp.0 / 2);

/// The TUF files, and where releases lie.
#[derive(Debug)]
pub struct Repository {
    metadata: Metadata,
    /// the top-level targets as served
    targets: Vec<u8>,
    vendor_roles: BTreeMap<VendorId, (Vec<PublicKey>, usize)>,
    folder: PathBuf,
    keys: OnlineKeys,
}

/// What the platform's new metadata would make of the repository.
#[derive(Debug)]
pub struct TopCandidate {
    metadata: Metadata,
    /// vendors that must sign their role anew before hosts believe their releases again
    pub orphaned: Vec<VendorId>,
}

impl TopCandidate {
    /// Versions of root and top-level targets; those in force when it brings nothing new.
    #[must_use]
    pub fn top_versions(&self) -> (u64, u64) {
        self.metadata.top_versions()
    }
}

/// The keys that sign without a person.
#[derive(Clone, Debug)]
pub struct OnlineKeys {
    /// signs snapshots
    pub snapshot: SigningKey,
    /// signs timestamps
    pub timestamp: SigningKey,
}

/// A role that may be served, once its record is durable.
#[derive(Debug)]
pub struct Candidate {
    metadata: Metadata,
    /// its version
    pub version: u64,
    /// digest of its bytes
    pub digest: Digest,
    /// releases that were not published before
    pub releases: Vec<ReleaseFacts>,
}

/// Why something is not published. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// a host would refuse the metadata
    #[error("check metadata of the vendor")]
    Metadata(#[from] RepositoryError),
    /// a host would refuse the role
    #[error("check role of the vendor")]
    Role(#[from] TufError),
    /// a manifest that the role lists was not uploaded, or has another length
    #[error("manifest {digest} of target {path} is missing or has another length")]
    Manifest {
        /// the target
        path: String,
        /// its digest
        digest: Digest,
    },
    /// a manifest that hosts would refuse
    #[error("check manifest of target {0}")]
    Text(String, #[source] ReleaseError),
    /// a manifest under a name that is not its own
    #[error("manifest of target {path} describes {own}")]
    Name {
        /// the target
        path: String,
        /// where it belongs
        own: String,
    },
    /// the bundle was not uploaded, or has another length
    #[error("bundle {digest} of target {path} is missing or has another length")]
    Bundle {
        /// the target
        path: String,
        /// digest of the bundle
        digest: Digest,
    },
    /// the disk
    #[error("write {0}")]
    Write(PathBuf, #[source] io::Error),
}

impl Repository {
    /// Reads the TUF files below `data/tuf`.
    /// # Errors
    /// [`PublishError::Metadata`] when they are missing or contradict each other.
    pub fn open(data: &Path, keys: OnlineKeys) -> Result<Repository, PublishError> {
        let folder = data.to_owned();
        let tuf = folder.join("tuf");
        let metadata = Metadata::load(&mut |name| read_limited(&tuf.join(name), TUF_BYTES_MAX))?;
        Ok(Repository {
            metadata,
            targets: Vec::new(),
            vendor_roles: BTreeMap::new(),
            folder,
            keys,
        })
    }

    /// Catches up with the journal after a crash between the record of metadata and their files.
    /// # Errors
    /// [`PublishError`].
    pub fn catch_up(&mut self, state: &State, now: Time) -> Result<(), PublishError> {
        if let Some(top) = &state.top {
            let (root, targets) = self.metadata.top_versions();
            let news = |text: &Option<String>, known: u64| {
                let bytes = text.as_ref().map(|text| text.clone().into_bytes())?;
                (version_of(&bytes).ok()? > known).then_some(bytes)
            };
            let (root, targets) = (news(&top.root, root), news(&top.targets, targets));
            self.metadata.set_top(root.as_deref(), targets.as_deref())?;
        }
        for (vendor, (version, _)) in &state.roles {
            let served = self.metadata.role(vendor).map(version_of).transpose()?.unwrap_or(0);
            let file = self.folder.join(format!("tuf/{version}.{vendor}.json"));
            if served < *version
                && let Some(bytes) = read_limited(&file, TUF_BYTES_MAX)
            {
                self.metadata.set_role(vendor, &bytes, now)?;
            }
        }
        Ok(())
    }

    /// Signs snapshot and timestamp anew, writes what changed, the timestamp last, and shows all of
    /// it. Returns the timestamp's digest.
    /// # Errors
    /// [`PublishError`]; the files served before stay in force.
    pub fn publish(&mut self, shelf: &Shelf, now: Time) -> Result<Digest, PublishError> {
        let files = self.metadata.publish(now, VALID, &self.keys.snapshot, &self.keys.timestamp)?;
        for (name, bytes) in &files {
            let path = self.folder.join("tuf").join(name);
            if read_limited(&path, TUF_BYTES_MAX).as_ref() != Some(bytes) {
                durable::write(&path, bytes).map_err(|why| PublishError::Write(path, why))?;
            }
        }
        self.show(shelf, files)
    }

    /// Shows the files as they are, unsigned anew: what remains when signing fails at the start.
    /// # Errors
    /// [`PublishError`] when a file cannot be read.
    pub fn show_served(&mut self, shelf: &Shelf) -> Result<Digest, PublishError> {
        let mut files = Vec::new();
        let tuf = self.folder.join("tuf");
        let listed = std::fs::read_dir(&tuf).map_err(|why| PublishError::Write(tuf, why))?;
        for entry in listed.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let (false, Some(bytes)) =
                (name.starts_with('.'), read_limited(&entry.path(), TUF_BYTES_MAX))
            {
                files.push((name, bytes));
            }
        }
        self.show(shelf, files)
    }

    fn show(
        &mut self,
        shelf: &Shelf,
        files: Vec<(String, Vec<u8>)>,
    ) -> Result<Digest, PublishError> {
        self.vendor_roles = delegated_keys(&files)?;
        let mut stamp = Digest::of(b"");
        let mut newest = 0;
        for (name, bytes) in files {
            if name.ends_with(".targets.json") && version_of(&bytes)? >= newest {
                newest = version_of(&bytes)?;
                self.targets.clone_from(&bytes);
            }
            let timestamp = name == "timestamp.json";
            let cache = if timestamp { Cache::Revalidate } else { Cache::Immutable };
            let digest = shelf.show(&format!("tuf/{name}"), bytes, cache);
            if timestamp {
                stamp = digest;
            }
        }
        Ok(stamp)
    }

    /// Whether the timestamp should be signed anew.
    #[must_use]
    pub fn renewal_due(&self, now: Time) -> bool {
        let expires = self.metadata.timestamp_expires();
        expires.is_ok_and(|expires| expires <= now.plus(RENEW_BEFORE))
    }

    /// What may use the emergency lane, by the platform's list in the targets that are served.
    /// # Errors
    /// [`FastLaneError`].
    pub fn fast_lane(&self) -> Result<Option<FastLane>, FastLaneError> {
        fast_lane::of_platform(&self.targets)
    }

    /// Keys of every vendor as delegated, and how many of them sign.
    #[must_use]
    pub fn vendor_roles(&self) -> BTreeMap<VendorId, (Vec<PublicKey>, usize)> {
        self.vendor_roles.clone()
    }

    /// A vendor's role as it is served.
    #[must_use]
    pub fn role(&self, vendor: &VendorId) -> Option<&[u8]> {
        self.metadata.role(vendor)
    }

    /// Checks a vendor's new role and every release it adds. Nothing is changed.
    /// # Errors
    /// [`PublishError`].
    pub fn consider(
        &self,
        vendor: &VendorId,
        bytes: &[u8],
        known: &BTreeMap<Digest, ReleaseFacts>,
        now: Time,
    ) -> Result<Candidate, PublishError> {
        let mut metadata = self.metadata.clone();
        let version = metadata.set_role(vendor, bytes, now)?;
        let role = check_vendor_role(&self.targets, vendor, bytes, now)?;
        let mut releases = Vec::new();
        for (path, file) in &role.targets {
            if !known.contains_key(&file.digest) {
                releases.push(self.check_release(path, *file)?);
            }
        }
        // Rehearsed on a copy: a refusal must not leave half of it behind.
        metadata.clone().publish(now, VALID, &self.keys.snapshot, &self.keys.timestamp)?;
        Ok(Candidate { metadata, version, digest: Digest::of(bytes), releases })
    }

    /// Checks the platform's next root, next top-level targets, or both. Nothing is changed.
    /// # Errors
    /// [`PublishError::Metadata`].
    pub fn consider_top(
        &self,
        root: Option<&[u8]>,
        targets: Option<&[u8]>,
        now: Time,
    ) -> Result<TopCandidate, PublishError> {
        let mut metadata = self.metadata.clone();
        metadata.set_top(root, targets)?;
        let keys = (&self.keys.snapshot, &self.keys.timestamp);
        metadata.clone().publish_after(Some(&self.metadata), now, VALID, keys)?;
        let orphaned = metadata.orphaned(now);
        Ok(TopCandidate { metadata, orphaned })
    }

    /// Makes it what [`Repository::publish`] serves.
    pub fn adopt_top(&mut self, candidate: TopCandidate) {
        self.metadata = candidate.metadata;
    }

    /// Versions of root and top-level targets.
    #[must_use]
    pub fn top_versions(&self) -> (u64, u64) {
        self.metadata.top_versions()
    }

    /// Puts the role's own file on disk: before its record, so that the record can be carried out.
    /// # Errors
    /// [`PublishError::Write`].
    pub fn keep(&self, vendor: &VendorId, version: u64, bytes: &[u8]) -> Result<(), PublishError> {
        let path = self.folder.join(format!("tuf/{version}.{vendor}.json"));
        durable::write(&path, bytes).map_err(|why| PublishError::Write(path, why))
    }

    /// Makes a candidate the role that [`Repository::publish`] serves.
    pub fn adopt(&mut self, candidate: Candidate) {
        self.metadata = candidate.metadata;
    }

    fn check_release(&self, path: &str, file: TargetFile) -> Result<ReleaseFacts, PublishError> {
        let digest = file.digest;
        let missing = || PublishError::Manifest { path: path.to_owned(), digest };
        let place = manifest_path(&self.folder, digest);
        let bytes = read_limited(&place, MANIFEST_BYTES_MAX).ok_or_else(missing)?;
        if bytes.len() as u64 != file.length || Digest::of(&bytes) != digest {
            return Err(missing());
        }
        let manifest =
            Manifest::parse(&bytes).map_err(|why| PublishError::Text(path.to_owned(), why))?;
        if manifest.target_path() != path {
            let own = manifest.target_path();
            return Err(PublishError::Name { path: path.to_owned(), own });
        }
        let bundle = object_path(&self.folder, manifest.bundle);
        let length = std::fs::metadata(bundle).map(|meta| meta.len()).ok();
        if length != Some(manifest.bundle_length()) {
            let digest = manifest.bundle;
            return Err(PublishError::Bundle { path: path.to_owned(), digest });
        }
        Ok(ReleaseFacts::of(digest, &manifest))
    }
}

/// Where an object lies.
#[must_use]
pub fn object_path(data: &Path, digest: Digest) -> PathBuf {
    data.join("objects").join(digest.to_string())
}

/// Where a manifest lies.
#[must_use]
pub fn manifest_path(data: &Path, digest: Digest) -> PathBuf {
    data.join("manifests").join(digest.to_string())
}

/// Keys of all vendors. Read without regard to expiry: whoever was delegated may still pull the cord.
fn delegated_keys(
    files: &[(String, Vec<u8>)],
) -> Result<BTreeMap<VendorId, (Vec<PublicKey>, usize)>, PublishError> {
    let epoch = Time(0);
    let find = |name: &str| files.iter().find(|(n, _)| n == name).map(|(_, b)| b.as_slice());
    let missing = || PublishError::Metadata(RepositoryError::Missing("metadata"));
    let roots = files.iter().filter(|(name, _)| name.ends_with(".root.json"));
    let mut newest: Option<(u64, &[u8])> = None;
    for (_, bytes) in roots {
        let version = version_of(bytes)?;
        if newest.is_none_or(|(known, _)| known < version) {
            newest = Some((version, bytes));
        }
    }
    let mut set = TufSet::from_root(newest.ok_or_else(missing)?.1)?;
    let snapshot = set.update_timestamp(find("timestamp.json").ok_or_else(missing)?, epoch)?;
    let bytes = find(&format!("{snapshot}.snapshot.json")).ok_or_else(missing)?;
    let targets = set.update_snapshot(bytes, epoch)?;
    let bytes = find(&format!("{targets}.targets.json")).ok_or_else(missing)?;
    let vendors = set.update_targets(bytes, epoch)?;
    let role = |(name, delegated): (VendorId, Delegated)| {
        let keys = set.vendor_keys(&name);
        (name, (keys, delegated.threshold))
    };
    Ok(vendors.into_iter().map(role).collect())
}

fn read_limited(path: &Path, limit: usize) -> Option<Vec<u8>> {
    let length = std::fs::metadata(path).ok()?.len();
    (length <= limit as u64).then(|| std::fs::read(path).ok()).flatten()
}
