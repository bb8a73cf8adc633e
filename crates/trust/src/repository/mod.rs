//! The signing side of the TUF repository: builds and signs metadata, returns bytes, writes nothing.
mod ceremony;
mod served;
pub use ceremony::{TargetsChange, next_root, next_targets};
pub use served::{NamedFile, Repository, TopRoles};

use crate::sign::SigningKey;
use andon_model::fast_lane::FastLane;
use andon_model::limits::TUF_ROOT_ROTATIONS_MAX;
use andon_model::{Digest, Millis, PublicKey, Time, VendorId};
use serde_json::{Map, Value, json};
use sigstore_tuf::canonical_json::to_canonical_bytes;
use std::collections::BTreeMap;

const SPEC_VERSION: &str = "1.0.31";

/// Why metadata could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// a number that canonical JSON cannot hold
    #[error("encode {0} as canonical JSON")]
    Canonical(&'static str, #[source] Box<sigstore_tuf::Error>),
    /// a clock outside the calendar
    #[error("the time is outside what can be written as a date")]
    Clock,
    /// not metadata of ours
    #[error("{0} is not TUF metadata that can be extended")]
    Shape(&'static str),
    /// not the JSON we expect
    #[error("parse {0}")]
    Parse(&'static str, #[source] serde_json::Error),
    /// a file that should be there
    #[error("{0} is missing")]
    Missing(&'static str),
    /// a host would refuse it
    #[error("check metadata as a host does")]
    Tuf(#[from] crate::tuf::TufError),
    /// not the next one
    #[error("role has version {got}, expected {want}; fetch the current one and sign again")]
    Version {
        /// its version
        got: u64,
        /// the next one
        want: u64,
    },
    /// a key that is to be replaced where it is not
    #[error("no role of the root has the key that is to be replaced")]
    Stranger,
    /// more roots than a client that has only the first one will walk
    #[error(
        "the root has version {TUF_ROOT_ROTATIONS_MAX}, and hosts follow no more of them; give them a new anchor"
    )]
    Rotations,
    /// targets that hosts would overlook
    #[error("role lists a target outside its vendor's paths or without a SHA-256 digest")]
    Paths,
    /// published releases are immutable
    #[error("role changes or removes a target that was published before")]
    Removed,
}

/// How long the online roles' signatures hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// of a snapshot
    pub snapshot: Millis,
    /// of a timestamp: the longest a withheld update can stay unnoticed
    pub timestamp: Millis,
}

/// Keys of one role and how many of them must sign.
#[derive(Clone, Debug)]
pub struct Role {
    /// the keys
    pub keys: Vec<PublicKey>,
    /// distinct keys that must sign
    pub threshold: u32,
}

/// A delegation to a vendor: paths `releases/NAME/*/*`.
#[derive(Clone, Debug)]
pub struct Delegation {
    /// name of vendor and role
    pub vendor: VendorId,
    /// its keys
    pub role: Role,
}

/// Metadata with signatures, growing as people sign one after another.
#[derive(Clone, Debug)]
pub struct SignedMetadata {
    signed: Value,
    signatures: BTreeMap<String, String>,
}

impl SignedMetadata {
    fn new(signed: Value) -> SignedMetadata {
        SignedMetadata { signed, signatures: BTreeMap::new() }
    }

    /// Reads metadata that others have signed, to add a signature.
    /// # Errors
    /// [`RepositoryError`].
    pub fn parse(bytes: &[u8]) -> Result<SignedMetadata, RepositoryError> {
        let what = "metadata";
        let value: Value =
            serde_json::from_slice(bytes).map_err(|e| RepositoryError::Parse(what, e))?;
        let signed = value.get("signed").filter(|s| s.is_object());
        let signed = signed.ok_or(RepositoryError::Shape(what))?.clone();
        let mut signatures = BTreeMap::new();
        for entry in value.get("signatures").and_then(Value::as_array).into_iter().flatten() {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
            if let (Some(id), Some(sig)) = (text("keyid"), text("sig")) {
                signatures.insert(id, sig);
            }
        }
        Ok(SignedMetadata { signed, signatures })
    }

    /// Adds one key's signature.
    /// # Errors
    /// [`RepositoryError::Canonical`].
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), RepositoryError> {
        let bytes = canonical("metadata", &self.signed)?;
        let id = key_id(&key.public())?;
        self.signatures.insert(id, key.sign(&bytes).to_string());
        Ok(())
    }

    /// The version inside.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.signed.get("version").and_then(Value::as_u64).unwrap_or(0)
    }

    /// When it expires.
    /// # Errors
    /// [`RepositoryError::Shape`].
    pub fn expires(&self) -> Result<Time, RepositoryError> {
        let text = self.signed.get("expires").and_then(Value::as_str);
        let date: Option<jiff::Timestamp> = text.and_then(|text| text.parse().ok());
        let millis = date.and_then(|date| u64::try_from(date.as_millisecond()).ok());
        millis.map(Time).ok_or(RepositoryError::Shape("expires"))
    }

    fn target_entries(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.signed.get("targets").and_then(Value::as_object).into_iter().flatten()
    }

    fn target_names(&self) -> impl Iterator<Item = &String> {
        self.target_entries().map(|(path, _)| path)
    }

    fn target(&self, path: &str) -> Option<&Value> {
        self.signed.get("targets")?.get(path)
    }

    /// As served.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let signatures = self.signatures.iter().map(|(id, sig)| json!({"keyid": id, "sig": sig}));
        let signatures: Vec<Value> = signatures.collect();
        serde_json::to_vec(&json!({"signatures": signatures, "signed": self.signed}))
            .unwrap_or_default()
    }
}

/// A TUF root: which keys speak for root, timestamp, snapshot and targets.
/// # Errors
/// [`RepositoryError`].
pub fn root(
    version: u64,
    expires: Time,
    roles: &[(&str, Role)],
) -> Result<SignedMetadata, RepositoryError> {
    let mut keys = Map::new();
    let mut table = Map::new();
    for (name, role) in roles {
        table.insert((*name).to_owned(), role_value(role, &mut keys)?);
    }
    Ok(SignedMetadata::new(json!({
        "_type": "root", "spec_version": SPEC_VERSION, "version": version,
        "expires": date(expires)?, "consistent_snapshot": true, "keys": keys, "roles": table,
    })))
}

/// Top-level targets: no files of their own, one delegation per vendor.
/// # Errors
/// [`RepositoryError`].
pub fn targets(
    version: u64,
    expires: Time,
    vendors: &[Delegation],
) -> Result<SignedMetadata, RepositoryError> {
    let mut made = SignedMetadata::new(json!({
        "_type": "targets", "spec_version": SPEC_VERSION, "version": version,
        "expires": date(expires)?, "targets": {}, "delegations": {"keys": {}, "roles": []},
    }));
    for delegation in vendors {
        insert_delegation(&mut made.signed, delegation)?;
    }
    Ok(made)
}

/// Puts the platform's fast-lane list into the targets, one version up, unsigned again.
fn allow_fast(targets: &mut SignedMetadata, list: &FastLane) -> Result<(), RepositoryError> {
    let mut signed = targets.signed.clone();
    let list = serde_json::to_value(list).map_err(|e| RepositoryError::Parse("fast lane", e))?;
    signed[crate::fast_lane::ATTRIBUTE] = list;
    signed["version"] = json!(targets.version() + 1);
    *targets = SignedMetadata::new(signed);
    Ok(())
}

/// The next root: `new` in every place of `old`, so that a key that was stolen is left nowhere.
fn rotated(
    root: &SignedMetadata,
    old: &PublicKey,
    new: &PublicKey,
    expires: Time,
) -> Result<SignedMetadata, RepositoryError> {
    let shape = || RepositoryError::Shape("root");
    if root.version() >= u64::from(TUF_ROOT_ROTATIONS_MAX) {
        return Err(RepositoryError::Rotations);
    }
    let (old, id) = (key_id(old)?, key_id(new)?);
    let mut signed = renewed(root, expires)?.signed;
    let roles = signed.get_mut("roles").and_then(Value::as_object_mut).ok_or_else(shape)?;
    let mut found = false;
    for role in roles.values_mut() {
        let ids = role.get_mut("keyids").and_then(Value::as_array_mut).ok_or_else(shape)?;
        for place in ids.iter_mut().filter(|place| place.as_str() == Some(&old)) {
            *place = json!(id);
            found = true;
        }
    }
    if !found {
        return Err(RepositoryError::Stranger);
    }
    let keys = signed.get_mut("keys").and_then(Value::as_object_mut).ok_or_else(shape)?;
    keys.remove(&old);
    keys.insert(id, key_value(new));
    Ok(SignedMetadata::new(signed))
}

/// The same content one version up, with another expiry, unsigned again.
fn renewed(metadata: &SignedMetadata, expires: Time) -> Result<SignedMetadata, RepositoryError> {
    let mut signed = metadata.signed.clone();
    signed["version"] = json!(metadata.version() + 1);
    signed["expires"] = json!(date(expires)?);
    Ok(SignedMetadata::new(signed))
}

/// Adds or replaces one delegation, one version up, unsigned again.
fn delegate(targets: &mut SignedMetadata, added: &Delegation) -> Result<(), RepositoryError> {
    let mut signed = targets.signed.clone();
    insert_delegation(&mut signed, added)?;
    signed["version"] = json!(targets.version() + 1);
    *targets = SignedMetadata::new(signed);
    Ok(())
}

fn insert_delegation(signed: &mut Value, added: &Delegation) -> Result<(), RepositoryError> {
    let shape = || RepositoryError::Shape("targets");
    let mut keys = Map::new();
    let mut role = role_value(&added.role, &mut keys)?;
    role["name"] = json!(added.vendor.as_str());
    role["terminating"] = json!(true);
    role["paths"] = json!([format!("releases/{}/*/*", added.vendor)]);
    let roles = signed.pointer_mut("/delegations/roles").and_then(Value::as_array_mut);
    let roles = roles.ok_or_else(shape)?;
    roles.retain(|old| old.get("name") != Some(&json!(added.vendor.as_str())));
    roles.push(role);
    let table = signed.pointer_mut("/delegations/keys").and_then(Value::as_object_mut);
    table.ok_or_else(shape)?.extend(keys);
    retain_used_keys(signed)
}

/// Keys that no delegation names any more go: python-tuf and we both read only what is used.
fn retain_used_keys(signed: &mut Value) -> Result<(), RepositoryError> {
    let shape = || RepositoryError::Shape("targets");
    let roles = signed.pointer("/delegations/roles").and_then(Value::as_array).ok_or_else(shape)?;
    let used: Vec<Value> =
        roles.iter().filter_map(|r| r.get("keyids")?.as_array()).flatten().cloned().collect();
    let table = signed.pointer_mut("/delegations/keys").and_then(Value::as_object_mut);
    table.ok_or_else(shape)?.retain(|id, _| used.contains(&json!(id)));
    Ok(())
}

/// A vendor's role: `previous` (its bytes, if any) with one more target, one version up, unsigned.
/// # Errors
/// [`RepositoryError`].
pub fn vendor_role(
    previous: Option<&[u8]>,
    expires: Time,
    added: &[(String, Digest, u64)],
) -> Result<SignedMetadata, RepositoryError> {
    let (version, mut files) = match previous {
        None => (1, Map::new()),
        Some(bytes) => {
            let before = SignedMetadata::parse(bytes)?;
            let files = before.signed.get("targets").and_then(Value::as_object).cloned();
            (before.version() + 1, files.ok_or(RepositoryError::Shape("vendor role"))?)
        }
    };
    for (path, digest, length) in added {
        let file = json!({"length": length, "hashes": {"sha256": digest.to_string()}});
        files.insert(path.clone(), file);
    }
    Ok(SignedMetadata::new(json!({
        "_type": "targets", "spec_version": SPEC_VERSION, "version": version,
        "expires": date(expires)?, "targets": files,
    })))
}

/// A snapshot over `(file name without version, version, bytes)` of targets and vendor roles.
/// # Errors
/// [`RepositoryError`].
pub fn snapshot(
    version: u64,
    expires: Time,
    files: &[(String, u64, &[u8])],
) -> Result<SignedMetadata, RepositoryError> {
    let meta: Map<String, Value> =
        files.iter().map(|(name, version, bytes)| (name.clone(), pin(*version, bytes))).collect();
    Ok(SignedMetadata::new(json!({
        "_type": "snapshot", "spec_version": SPEC_VERSION, "version": version,
        "expires": date(expires)?, "meta": meta,
    })))
}

/// A timestamp over a snapshot.
/// # Errors
/// [`RepositoryError`].
pub fn timestamp(
    version: u64,
    expires: Time,
    snapshot_version: u64,
    snapshot: &[u8],
) -> Result<SignedMetadata, RepositoryError> {
    Ok(SignedMetadata::new(json!({
        "_type": "timestamp", "spec_version": SPEC_VERSION, "version": version,
        "expires": date(expires)?, "meta": {"snapshot.json": pin(snapshot_version, snapshot)},
    })))
}

/// The version inside served metadata of any role.
/// # Errors
/// [`RepositoryError`].
pub fn version_of(bytes: &[u8]) -> Result<u64, RepositoryError> {
    SignedMetadata::parse(bytes).map(|metadata| metadata.version())
}

/// The version under which a timestamp or snapshot names that file, if it does.
/// # Errors
/// [`RepositoryError`].
pub fn pinned_version(bytes: &[u8], name: &str) -> Result<Option<u64>, RepositoryError> {
    Ok(served::pinned(&SignedMetadata::parse(bytes)?, name))
}

fn pin(version: u64, bytes: &[u8]) -> Value {
    let digest = Digest::of(bytes).to_string();
    json!({"version": version, "length": bytes.len(), "hashes": {"sha256": digest}})
}

fn role_value(role: &Role, keys: &mut Map<String, Value>) -> Result<Value, RepositoryError> {
    let mut ids = Vec::new();
    for key in &role.keys {
        let id = key_id(key)?;
        keys.insert(id.clone(), key_value(key));
        ids.push(id);
    }
    Ok(json!({"keyids": ids, "threshold": role.threshold}))
}

fn key_value(key: &PublicKey) -> Value {
    json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": key.to_string()}})
}

/// The id that securesystemslib computes: SHA-256 of the key object's canonical JSON.
fn key_id(key: &PublicKey) -> Result<String, RepositoryError> {
    Ok(Digest::of(&canonical("key", &key_value(key))?).to_string())
}

fn canonical(what: &'static str, value: &Value) -> Result<Vec<u8>, RepositoryError> {
    to_canonical_bytes(value).map_err(|e| RepositoryError::Canonical(what, Box::new(e)))
}

/// TUF dates have whole seconds.
fn date(time: Time) -> Result<String, RepositoryError> {
    let seconds = i64::try_from(time.0 / 1000).map_err(|_| RepositoryError::Clock)?;
    let date = jiff::Timestamp::from_second(seconds).map_err(|_| RepositoryError::Clock)?;
    Ok(date.to_string())
}
