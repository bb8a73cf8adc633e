//! TUF metadata (specification 1.0.x): our own trait over `sigstore-tuf`'s verification core, plus
//! what that core does not do: distinct key *material* in every role, thresholds above 0, size limits.
//!
//! What it is not: the client workflow's order of fetches, which is [`crate::view`]'s.
mod crypto;
mod keys;

pub use crypto::hash;
pub(crate) use crypto::provide_crypto;
pub(crate) use keys::{distinct_material, material};

use andon_model::limits::{TUF_BYTES_MAX, VENDORS_MAX};
use andon_model::{Digest, PublicKey, Time, VendorId};
use serde::{Deserialize, Serialize};
use sigstore_tuf::{
    DelegatedRole, Delegations, Key, Metadata, RoleKeys, Root, Targets, TrustedMetadataSet,
};
use std::collections::{BTreeMap, BTreeSet};

/// Why metadata is not believed.
#[derive(Debug, thiserror::Error)]
pub enum TufError {
    /// larger than allowed
    #[error("{0} has {1} bytes, at most {TUF_BYTES_MAX} are allowed")]
    TooLarge(String, usize),
    /// the core refused it
    #[error("verify {0}")]
    Core(String, #[source] Box<sigstore_tuf::Error>),
    /// one physical key under two ids
    #[error("{0} lists one key's material under two ids")]
    AliasedKey(String),
    /// a role that anybody, or nobody, could sign
    #[error("{0} has threshold {1} over {2} keys")]
    Threshold(String, usize, usize),
    /// a clock outside the calendar
    #[error("the time is outside what can be written as a date")]
    Clock,
    /// more roles than allowed
    #[error("targets delegate to {0} roles, at most {VENDORS_MAX} are allowed")]
    Vendors(usize),
    /// over
    #[error("{0} has expired")]
    Expired(String),
    /// asked for out of order
    #[error("{0} was not loaded yet")]
    Order(&'static str),
}

/// A file that metadata vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetFile {
    /// SHA-256 of its bytes
    pub digest: Digest,
    /// its length in bytes
    pub length: u64,
}

/// A vendor's role as the top-level targets delegate it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorRole {
    /// its keys
    pub keys: Vec<PublicKey>,
    /// how many of them must sign
    pub threshold: usize,
    /// void from then on
    pub expires: Time,
    /// its targets under its own paths, by path
    pub targets: BTreeMap<String, TargetFile>,
}

/// A version, and the digest of the bytes if the snapshot gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// the version
    pub version: u64,
    /// SHA-256 of the bytes
    pub digest: Option<Digest>,
}

/// A vendor as the top-level targets delegate to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegated {
    /// its keys
    pub keys: Vec<PublicKey>,
    /// how many of them must sign
    pub threshold: usize,
    /// its current role; none: it has published nothing
    pub pin: Option<Pin>,
}

/// A verified view of TUF metadata, fed file by file in the specification's order (section 5).
pub trait MetadataSet {
    /// Version of the trusted root.
    fn root_version(&self) -> u64;
    /// 5.3: the next root.
    /// # Errors
    /// [`TufError`]; the set is unchanged.
    fn update_root(&mut self, bytes: &[u8]) -> Result<(), TufError>;
    /// 5.4: the timestamp. One of the version that is trusted already is left aside (5.4.3). Returns
    /// the version of the snapshot that the trusted one names.
    /// # Errors
    /// [`TufError`]; the set is unchanged.
    fn update_timestamp(&mut self, bytes: &[u8], now: Time) -> Result<u64, TufError>;
    /// Version of the trusted timestamp; 0 before there is one.
    fn timestamp_version(&self) -> u64;
    /// 5.5: the snapshot. Returns the version of the top-level targets that it names.
    /// # Errors
    /// [`TufError`]; the set is unchanged.
    fn update_snapshot(&mut self, bytes: &[u8], now: Time) -> Result<u64, TufError>;
    /// Version of the trusted snapshot; 0 before there is one.
    fn snapshot_version(&self) -> u64;
    /// Version of the top-level targets that the loaded snapshot names.
    /// # Errors
    /// [`TufError::Order`] when there is none.
    fn targets_version(&self) -> Result<u64, TufError>;
    /// 5.6: the top-level targets. Returns the vendors they delegate to.
    /// # Errors
    /// [`TufError`]; the set is unchanged.
    fn update_targets(
        &mut self,
        bytes: &[u8],
        now: Time,
    ) -> Result<BTreeMap<VendorId, Delegated>, TufError>;
    /// 5.6.7: one vendor's delegated role.
    /// # Errors
    /// [`TufError`]; the set is unchanged.
    fn update_vendor(
        &mut self,
        vendor: &VendorId,
        bytes: &[u8],
        now: Time,
    ) -> Result<VendorRole, TufError>;
    /// A vendor's keys as delegated, whether or not its role could be loaded.
    fn vendor_keys(&self, vendor: &VendorId) -> Vec<PublicKey>;
    /// When the first of root, timestamp, snapshot and targets expires; time 0 if one was not loaded.
    fn expires(&self) -> Time;
    /// Whether everything above the vendors' roles is complete and in force.
    /// # Errors
    /// [`TufError`] naming what is missing, does not fit, or has expired.
    fn authorised(&self, now: Time) -> Result<(), TufError>;
}

/// [`MetadataSet`] over `sigstore-tuf` 0.15.1.
#[derive(Debug)]
pub struct TufSet {
    core: TrustedMetadataSet,
}

impl TufSet {
    /// Starts from a pinned root.
    /// # Errors
    /// [`TufError`].
    pub fn from_root(bytes: &[u8]) -> Result<TufSet, TufError> {
        provide_crypto();
        size("root", bytes)?;
        check_root(bytes)?;
        let core = TrustedMetadataSet::from_root(bytes).map_err(|e| refused("root", e))?;
        Ok(TufSet { core })
    }
}

impl MetadataSet for TufSet {
    fn root_version(&self) -> u64 {
        self.core.root().version
    }

    fn update_root(&mut self, bytes: &[u8]) -> Result<(), TufError> {
        size("root", bytes)?;
        check_root(bytes)?;
        self.core.update_root(bytes).map_err(|e| refused("root", e))
    }

    fn update_timestamp(&mut self, bytes: &[u8], now: Time) -> Result<u64, TufError> {
        size("timestamp", bytes)?;
        let when = date(now)?;
        match self.core.update_timestamp(bytes, when) {
            Ok(()) | Err(sigstore_tuf::Error::EqualVersion { .. }) => {}
            Err(why) => return Err(refused("timestamp", why)),
        }
        let pin = self.core.timestamp().and_then(|t| t.snapshot_meta());
        pin.map(|pin| pin.version).ok_or(TufError::Order("snapshot pin"))
    }

    fn timestamp_version(&self) -> u64 {
        self.core.timestamp().map_or(0, |t| t.version)
    }

    fn update_snapshot(&mut self, bytes: &[u8], now: Time) -> Result<u64, TufError> {
        size("snapshot", bytes)?;
        let when = date(now)?;
        self.core.update_snapshot(bytes, when).map_err(|e| refused("snapshot", e))?;
        self.targets_version()
    }

    fn snapshot_version(&self) -> u64 {
        self.core.snapshot().map_or(0, |s| s.version)
    }

    fn targets_version(&self) -> Result<u64, TufError> {
        let pin = self.core.snapshot().and_then(|s| s.meta.get("targets.json"));
        pin.map(|pin| pin.version).ok_or(TufError::Order("targets pin"))
    }

    fn update_targets(
        &mut self,
        bytes: &[u8],
        now: Time,
    ) -> Result<BTreeMap<VendorId, Delegated>, TufError> {
        size("targets", bytes)?;
        let when = date(now)?;
        // Read once, and on a copy: what the core believes is checked further before it stands.
        let mut next = self.core.clone();
        let targets = next.update_targets(bytes, when).map_err(|e| refused("targets", e))?;
        let delegations = targets.delegations.clone();
        if let Some(delegations) = &delegations {
            check_delegations(delegations)?;
        }
        self.core = next;
        let pins = self.core.snapshot().map(|s| &s.meta).ok_or(TufError::Order("snapshot"))?;
        let mut out = BTreeMap::new();
        if let Some(delegations) = &delegations {
            for role in &delegations.roles {
                // A name that is no vendor's cannot hold a release path of ours.
                let Ok(name) = VendorId::new(&role.name) else { continue };
                let pin = pins.get(&format!("{name}.json")).map(|meta| Pin {
                    version: meta.version,
                    digest: sha256_of(meta.hashes.as_ref()),
                });
                let keys = role_keys(role, delegations);
                out.insert(name, Delegated { keys, threshold: role.threshold, pin });
            }
        }
        Ok(out)
    }

    fn update_vendor(
        &mut self,
        vendor: &VendorId,
        bytes: &[u8],
        now: Time,
    ) -> Result<VendorRole, TufError> {
        let name = vendor.as_str();
        size(name, bytes)?;
        let when = date(now)?;
        let keys = self.vendor_keys(vendor);
        let role = delegated_role(&self.core, name).ok_or(TufError::Order("delegation"))?;
        let role = role.clone();
        let loaded = self.core.update_delegated_targets(bytes, name, "targets", when);
        let loaded = loaded.map_err(|e| refused(name, e))?;
        Ok(vendor_role(&role, keys, loaded))
    }

    fn vendor_keys(&self, vendor: &VendorId) -> Vec<PublicKey> {
        let Some(role) = delegated_role(&self.core, vendor.as_str()) else { return Vec::new() };
        let delegations = self.core.targets_role("targets").and_then(|t| t.delegations.as_ref());
        delegations.map(|d| role_keys(role, d)).unwrap_or_default()
    }

    fn expires(&self) -> Time {
        let dates = [
            Some(self.core.root().expires),
            self.core.timestamp().map(|m| m.expires),
            self.core.snapshot().map(|m| m.expires),
            self.core.targets_role("targets").map(|m| m.expires),
        ];
        let first = dates.iter().map(|date| date.map_or(0, |d| d.as_millisecond())).min();
        Time(u64::try_from(first.unwrap_or(0)).unwrap_or(0))
    }

    fn authorised(&self, now: Time) -> Result<(), TufError> {
        let when = date(now)?;
        self.core.check_root_expired(when).map_err(|e| refused("root", e))?;
        self.core.check_timestamp_expired(when).map_err(|e| refused("timestamp", e))?;
        self.core.check_snapshot_expired(when).map_err(|e| refused("snapshot", e))?;
        let timestamp = self.core.timestamp().ok_or(TufError::Order("timestamp"))?;
        let snapshot = self.core.snapshot().ok_or(TufError::Order("snapshot"))?;
        let targets = self.core.targets_role("targets").ok_or(TufError::Order("targets"))?;
        if targets.expires < when {
            return Err(TufError::Expired("targets".to_owned()));
        }
        if timestamp.snapshot_meta().map(|pin| pin.version) != Some(snapshot.version) {
            return Err(TufError::Order("the snapshot that the timestamp names"));
        }
        if snapshot.meta.get("targets.json").map(|pin| pin.version) != Some(targets.version) {
            return Err(TufError::Order("the targets that the snapshot names"));
        }
        Ok(())
    }
}

/// A vendor's role against the delegation in top-level targets, without a snapshot's pin: what a
/// publisher checks before a host has to.
/// # Errors
/// [`TufError`].
pub fn check_vendor_role(
    targets: &[u8],
    vendor: &VendorId,
    bytes: &[u8],
    now: Time,
) -> Result<VendorRole, TufError> {
    provide_crypto();
    let name = vendor.as_str();
    size(name, bytes)?;
    let parent = Metadata::<Targets>::from_slice(targets).map_err(|e| refused("targets", e))?;
    let delegations = parent.signed().delegations.as_ref().ok_or(TufError::Order("delegation"))?;
    check_delegations(delegations)?;
    let role = delegations.roles.iter().find(|role| role.name == name);
    let role = role.ok_or(TufError::Order("delegation"))?;
    let loaded = Metadata::<Targets>::from_slice(bytes).map_err(|e| refused(name, e))?;
    let threshold = loaded.verify_threshold(&delegations.keys, &role.role_keys(), name);
    threshold.map_err(|e| refused(name, e))?;
    if loaded.signed().expires < date(now)? {
        return Err(TufError::Expired(name.to_owned()));
    }
    Ok(vendor_role(role, role_keys(role, delegations), loaded.signed()))
}

fn vendor_role(role: &DelegatedRole, keys: Vec<PublicKey>, loaded: &Targets) -> VendorRole {
    let own = format!("releases/{}/", role.name);
    let mut targets = BTreeMap::new();
    for (path, file) in &loaded.targets {
        // A path that was not delegated to this vendor is not this vendor's to speak for.
        let delegated = role.matches_path(path).unwrap_or(false) && path.starts_with(&own);
        let digest = sha256_of(Some(&file.hashes));
        if let (true, Some(digest)) = (delegated, digest) {
            targets.insert(path.clone(), TargetFile { digest, length: file.length });
        }
    }
    let expires = Time(u64::try_from(loaded.expires.as_millisecond()).unwrap_or(0));
    VendorRole { keys, threshold: role.threshold, expires, targets }
}

fn sha256_of(hashes: Option<&BTreeMap<String, String>>) -> Option<Digest> {
    hashes?.get("sha256")?.parse().ok()
}

fn role_keys(role: &DelegatedRole, delegations: &Delegations) -> Vec<PublicKey> {
    let keys = role.keyids.iter().filter_map(|id| delegations.keys.get(id));
    keys.filter(|key| key.scheme == "ed25519")
        .filter_map(|key| material(key).parse().ok())
        .collect()
}

fn delegated_role<'t>(core: &'t TrustedMetadataSet, name: &str) -> Option<&'t DelegatedRole> {
    let delegations = core.targets_role("targets")?.delegations.as_ref()?;
    delegations.roles.iter().find(|role| role.name == name)
}

fn refused(what: &str, error: sigstore_tuf::Error) -> TufError {
    TufError::Core(what.to_owned(), Box::new(error))
}

fn size(what: &str, bytes: &[u8]) -> Result<(), TufError> {
    if bytes.len() > TUF_BYTES_MAX {
        return Err(TufError::TooLarge(what.to_owned(), bytes.len()));
    }
    Ok(())
}

pub(crate) fn date(now: Time) -> Result<jiff::Timestamp, TufError> {
    let millis = i64::try_from(now.0).map_err(|_| TufError::Clock)?;
    jiff::Timestamp::from_millisecond(millis).map_err(|_| TufError::Clock)
}

fn check_root(bytes: &[u8]) -> Result<(), TufError> {
    let root = Metadata::<Root>::from_slice(bytes).map_err(|e| refused("root", e))?;
    let root = root.signed();
    check_keys("root", &root.keys)?;
    for (name, role) in &root.roles {
        check_role(name, role, &root.keys)?;
    }
    Ok(())
}

fn check_delegations(delegations: &Delegations) -> Result<(), TufError> {
    if delegations.roles.len() > VENDORS_MAX {
        return Err(TufError::Vendors(delegations.roles.len()));
    }
    check_keys("targets", &delegations.keys)?;
    for role in &delegations.roles {
        check_role(&role.name, &role.role_keys(), &delegations.keys)?;
    }
    Ok(())
}

/// The core counts key ids. One physical key under two ids would satisfy a threshold of two alone.
fn check_keys(what: &str, keys: &BTreeMap<String, Key>) -> Result<(), TufError> {
    let mut seen = BTreeSet::new();
    for key in keys.values() {
        if !seen.insert(material(key)) {
            return Err(TufError::AliasedKey(what.to_owned()));
        }
    }
    Ok(())
}

fn check_role(name: &str, role: &RoleKeys, keys: &BTreeMap<String, Key>) -> Result<(), TufError> {
    let known = role.keyids.iter().filter(|id| keys.contains_key(*id)).collect::<BTreeSet<_>>();
    if role.threshold == 0 || role.threshold > known.len() {
        return Err(TufError::Threshold(name.to_owned(), role.threshold, known.len()));
    }
    Ok(())
}
