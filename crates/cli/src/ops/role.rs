//! A vendor's TUF role: what it says now (verified from the anchor's root down, because a signer must
//! never trust the server), with one release added, signed by one person after another, published.
use crate::client::{Client, ClientError};
use crate::ops::release::Release;
use andon_model::limits::{TUF_BYTES_MAX, TUF_ROOT_ROTATIONS_MAX};
use andon_model::{Digest, Millis, PublicKey, Time, VendorId};
use andon_trust::repository::{self, RepositoryError, SignedMetadata};
use andon_trust::sign::SigningKey;
use andon_trust::tuf::{MetadataSet, TargetFile, TufError, TufSet};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// How long a vendor's role is valid; every release renews it.
pub(crate) const ROLE_VALID: Millis = Millis::from_secs(180 * 86_400);

/// Why nothing was signed or published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoleError {
    /// the server
    #[error("read or send TUF metadata")]
    Client(#[from] ClientError),
    /// what the server has is not believable
    #[error("verify the server's TUF metadata")]
    Tuf(#[from] TufError),
    /// metadata could not be extended
    #[error("extend the vendor's role")]
    Repository(#[from] RepositoryError),
    /// the platform has not delegated to this vendor
    #[error("vendor {0} has no role on this server")]
    Stranger(VendorId),
    /// a key that the platform has not delegated to
    #[error("key {0} is not one of vendor {1}'s")]
    ForeignKey(String, VendorId),
    /// the same version was published with other content
    #[error("{0} is published already, with other content; count the version up")]
    Published(String),
    /// what is to be signed says something else
    #[error("the role to be signed {0}")]
    Surprise(String),
}

/// A vendor's role as it stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// whose
    pub(crate) vendor: VendorId,
    /// its bytes; `None` before the first release
    pub(crate) bytes: Option<Vec<u8>>,
    /// its keys
    pub(crate) keys: Vec<PublicKey>,
    /// how many must sign
    pub(crate) threshold: u32,
    /// what it lists
    pub(crate) targets: BTreeMap<String, TargetFile>,
}

/// What the server has for `vendor`, verified against `root` (the anchor's).
/// # Errors
/// [`RoleError`].
pub(crate) async fn standing(
    client: &Client,
    root: &Value,
    vendor: &VendorId,
    now: Time,
) -> Result<Standing, RoleError> {
    let mut set = TufSet::from_root(&serde_json::to_vec(root).unwrap_or_default())?;
    for _ in 0..TUF_ROOT_ROTATIONS_MAX {
        let path = format!("/v1/tuf/{}.root.json", set.root_version() + 1);
        match client.bytes_if_there(&path, TUF_BYTES_MAX).await? {
            Some(bytes) => set.update_root(&bytes)?,
            None => break,
        }
    }
    let get =
        |name: String| async move { client.bytes(&format!("/v1/tuf/{name}"), TUF_BYTES_MAX).await };
    let snapshot = set.update_timestamp(&get("timestamp.json".to_owned()).await?, now)?;
    set.update_snapshot(&get(format!("{snapshot}.snapshot.json")).await?, now)?;
    let targets = get(format!("{}.targets.json", set.targets_version()?)).await?;
    let mut vendors = set.update_targets(&targets, now)?;
    let delegated = vendors.remove(vendor).ok_or_else(|| RoleError::Stranger(vendor.clone()))?;
    let mut standing = Standing {
        vendor: vendor.clone(),
        bytes: None,
        keys: delegated.keys,
        threshold: u32::try_from(delegated.threshold).unwrap_or(u32::MAX),
        targets: BTreeMap::new(),
    };
    if let Some(pin) = delegated.pin {
        let bytes = get(format!("{}.{vendor}.json", pin.version)).await?;
        standing.targets = set.update_vendor(vendor, &bytes, now)?.targets;
        standing.bytes = Some(bytes);
    }
    Ok(standing)
}

impl Standing {
    /// For a signer without a network: the role's bytes as brought along, or none before the first
    /// release. Nothing is verified and no key is known to belong.
    /// # Errors
    /// [`RoleError`].
    pub(crate) fn offline(
        vendor: &VendorId,
        bytes: Option<Vec<u8>>,
    ) -> Result<Standing, RoleError> {
        let targets = bytes.as_deref().map(listed).transpose()?.unwrap_or_default();
        Ok(Standing { vendor: vendor.clone(), bytes, keys: Vec::new(), threshold: 0, targets })
    }

    /// Whether `release` is published under exactly this digest.
    pub(crate) fn has(&self, release: &Release) -> bool {
        let path = release.manifest.target_path();
        self.targets.get(&path).is_some_and(|file| file.digest == release.digest())
    }

    /// The role with `release` added, not signed yet.
    /// # Errors
    /// [`RoleError::Published`] when the version is taken.
    pub(crate) fn extend(&self, release: &Release, now: Time) -> Result<SignedMetadata, RoleError> {
        let path = release.manifest.target_path();
        if self.targets.get(&path).is_some_and(|file| file.digest != release.digest()) {
            return Err(RoleError::Published(path));
        }
        let length = release.manifest_bytes.len() as u64;
        let added = [(path, release.digest(), length)];
        Ok(repository::vendor_role(self.bytes.as_deref(), now.plus(ROLE_VALID), &added)?)
    }

    /// Signs with `key`, if it is one of the vendor's (offline nobody can tell; the server will).
    /// # Errors
    /// [`RoleError::ForeignKey`].
    pub(crate) fn sign(
        &self,
        role: &mut SignedMetadata,
        key: &SigningKey,
    ) -> Result<(), RoleError> {
        let known = self.keys.is_empty() || self.keys.contains(&key.public());
        if !known {
            let id = key.public().id().0.short();
            return Err(RoleError::ForeignKey(id, self.vendor.clone()));
        }
        Ok(role.sign(key)?)
    }

    /// Whether somebody else's draft is this standing plus `release` and nothing more.
    /// # Errors
    /// [`RoleError::Surprise`] naming the first difference.
    pub(crate) fn review(&self, draft: &[u8], release: &Release) -> Result<(), RoleError> {
        let mut wanted = self.targets.clone();
        let length = release.manifest_bytes.len() as u64;
        let ours = TargetFile { digest: release.digest(), length };
        wanted.insert(release.manifest.target_path(), ours);
        let listed = listed(draft)?;
        let other = listed.iter().find(|(path, file)| wanted.get(*path) != Some(file));
        if let Some((path, _)) = other {
            return Err(RoleError::Surprise(format!("lists {path}, which is not this release")));
        }
        if let Some(path) = wanted.keys().find(|path| !listed.contains_key(*path)) {
            return Err(RoleError::Surprise(format!("does not list {path}")));
        }
        let before = self.bytes.as_deref().map(repository::version_of).transpose()?.unwrap_or(0);
        let version = repository::version_of(draft)?;
        if version != before + 1 {
            let text = format!("has version {version}, the server has {before}; sign anew");
            return Err(RoleError::Surprise(text));
        }
        Ok(())
    }
}

/// The targets that role metadata lists, read without belief.
fn listed(role: &[u8]) -> Result<BTreeMap<String, TargetFile>, RoleError> {
    let shape = || RoleError::Surprise("is not TUF targets metadata".to_owned());
    let value: Value = serde_json::from_slice(role).map_err(|_| shape())?;
    let targets = value.pointer("/signed/targets").and_then(Value::as_object).ok_or_else(shape)?;
    let mut out = BTreeMap::new();
    for (path, file) in targets {
        let digest = file.pointer("/hashes/sha256").and_then(Value::as_str);
        let digest: Digest = digest.and_then(|hex| hex.parse().ok()).ok_or_else(shape)?;
        let length = file["length"].as_u64().ok_or_else(shape)?;
        out.insert(path.clone(), TargetFile { digest, length });
    }
    Ok(out)
}

/// How many signatures role metadata carries.
pub(crate) fn signatures(role: &[u8]) -> usize {
    let value: Value = serde_json::from_slice(role).unwrap_or_default();
    value["signatures"].as_array().map_or(0, Vec::len)
}

#[derive(Deserialize)]
struct Stored {
    version: u64,
}

/// Uploads bundle and manifest, then the role that names them. Returns the role's version.
/// # Errors
/// [`RoleError::Client`]; without the last step nothing is offered to anybody.
pub(crate) async fn publish(
    client: &Client,
    release: &Release,
    role: &[u8],
) -> Result<u64, RoleError> {
    client.put(&format!("/v1/objects/{}", release.manifest.bundle), release.bundle.clone()).await?;
    let path = format!("/v1/manifests/{}", release.digest());
    client.put(&path, release.manifest_bytes.clone()).await?;
    let path = format!("/v1/releases/{}/metadata", release.manifest.vendor);
    let stored: Stored = client.post_bytes(&path, role.to_vec()).await?;
    Ok(stored.version)
}

/// The whole way in one step, for whoever holds enough keys: sign and publish. Publishing what is
/// published already is harmless.
/// # Errors
/// [`RoleError`].
pub(crate) async fn sign_and_publish(
    client: &Client,
    root: &Value,
    release: &Release,
    keys: &[&SigningKey],
    now: Time,
) -> Result<Digest, RoleError> {
    let standing = standing(client, root, &release.manifest.vendor, now).await?;
    if !standing.has(release) {
        let mut role = standing.extend(release, now)?;
        for key in keys {
            standing.sign(&mut role, key)?;
        }
        publish(client, release, &role.to_bytes()).await?;
    }
    Ok(release.digest())
}
