//! The platform's ceremonies on a line that runs: the next root or top-level targets, made from what the
//! server has (verified from the anchor's root down), signed by one after another, sent.
use crate::client::{Client, ClientError};
use andon_model::limits::{PLATFORM_BYTES_MAX, TUF_BYTES_MAX, TUF_ROOT_ROTATIONS_MAX};
use andon_model::{Time, VendorId};
use andon_trust::repository::{
    RepositoryError, Role, SignedMetadata, TargetsChange, next_root, next_targets,
};
use andon_trust::sign::SigningKey;
use andon_trust::tuf::{MetadataSet as _, TufError, TufSet};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why nothing was signed or sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlatformError {
    /// the server
    #[error("read or send platform metadata")]
    Client(#[from] ClientError),
    /// what the server has is not believable
    #[error("verify the server's TUF metadata")]
    Tuf(#[from] TufError),
    /// metadata could not be made
    #[error("make platform metadata")]
    Repository(#[from] RepositoryError),
    /// the file is not one of these
    #[error("read the file as platform metadata")]
    Parse(#[source] serde_json::Error),
    /// nothing in it
    #[error("the file holds neither a root nor targets")]
    Empty,
    /// larger than the server takes
    #[error("platform metadata have {0} bytes, at most {PLATFORM_BYTES_MAX} are taken")]
    TooLarge(usize),
}

/// What is sent, and what lies in a file meanwhile: metadata as text, exactly as signed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Top {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) root: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) targets: Option<String>,
}

/// What the platform has in force, as served.
#[derive(Clone, Debug)]
pub(crate) struct Current {
    root: Vec<u8>,
    targets: Vec<u8>,
}

/// Fetches it and verifies it as a host does: a signer must never trust the server.
/// # Errors
/// [`PlatformError`].
pub(crate) async fn current(
    client: &Client,
    root: &Value,
    now: Time,
) -> Result<Current, PlatformError> {
    let mut newest = serde_json::to_vec(root).unwrap_or_default();
    let mut set = TufSet::from_root(&newest)?;
    for _ in 0..TUF_ROOT_ROTATIONS_MAX {
        let path = format!("/v1/tuf/{}.root.json", set.root_version() + 1);
        let Some(bytes) = client.bytes_if_there(&path, TUF_BYTES_MAX).await? else { break };
        set.update_root(&bytes)?;
        newest = bytes;
    }
    let get =
        |name: String| async move { client.bytes(&format!("/v1/tuf/{name}"), TUF_BYTES_MAX).await };
    let snapshot = set.update_timestamp(&get("timestamp.json".to_owned()).await?, now)?;
    set.update_snapshot(&get(format!("{snapshot}.snapshot.json")).await?, now)?;
    let targets = get(format!("{}.targets.json", set.targets_version()?)).await?;
    set.update_targets(&targets, now)?;
    Ok(Current { root: newest, targets })
}

/// The next top-level targets, signed with these keys.
/// # Errors
/// [`PlatformError`].
pub(crate) fn targets(
    current: &Current,
    expires: Time,
    change: &TargetsChange,
    keys: &[SigningKey],
) -> Result<Top, PlatformError> {
    let made = next_targets(&current.targets, expires, change)?;
    Ok(Top { root: None, targets: Some(signed(made, keys)?) })
}

/// The next root, signed with these keys. Where it changes who signs the targets, the targets in force are
/// signed anew beside it: hosts would refuse the old ones.
/// # Errors
/// [`PlatformError`].
pub(crate) fn root(
    current: &Current,
    expires: Time,
    roles: &[(&str, Role)],
    keys: &[SigningKey],
) -> Result<Top, PlatformError> {
    let root = Some(signed(next_root(&current.root, expires, roles)?, keys)?);
    let renewed = roles.iter().any(|(name, _)| *name == "targets");
    let again = || -> Result<String, PlatformError> {
        let unchanged = TargetsChange::default();
        signed(next_targets(&current.targets, expires, &unchanged)?, keys)
    };
    Ok(Top { root, targets: renewed.then(again).transpose()? })
}

/// Adds signatures to what lies in a file.
/// # Errors
/// [`PlatformError`].
pub(crate) fn sign(top: &Top, keys: &[SigningKey]) -> Result<Top, PlatformError> {
    let again = |text: &Option<String>| -> Result<Option<String>, PlatformError> {
        let Some(text) = text else { return Ok(None) };
        Ok(Some(signed(SignedMetadata::parse(text.as_bytes())?, keys)?))
    };
    Ok(Top { root: again(&top.root)?, targets: again(&top.targets)? })
}

fn signed(mut metadata: SignedMetadata, keys: &[SigningKey]) -> Result<String, PlatformError> {
    for key in keys {
        metadata.sign(key)?;
    }
    Ok(String::from_utf8_lossy(&metadata.to_bytes()).into_owned())
}

/// Reads a file of [`write()`].
/// # Errors
/// [`PlatformError`].
pub(crate) fn read(bytes: &[u8]) -> Result<Top, PlatformError> {
    let top: Top = serde_json::from_slice(bytes).map_err(PlatformError::Parse)?;
    match top == Top::default() {
        true => Err(PlatformError::Empty),
        false => Ok(top),
    }
}

/// As a file, and as sent.
/// # Errors
/// [`PlatformError::TooLarge`].
pub(crate) fn write(top: &Top) -> Result<Vec<u8>, PlatformError> {
    let bytes = serde_json::to_vec(top).unwrap_or_default();
    match bytes.len() {
        size if size > PLATFORM_BYTES_MAX => Err(PlatformError::TooLarge(size)),
        _ => Ok(bytes),
    }
}

/// What the server serves from now on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Published {
    /// version of the root
    pub(crate) root: u64,
    /// version of the top-level targets
    pub(crate) targets: u64,
    /// vendors that must sign their role anew
    pub(crate) orphaned: Vec<VendorId>,
}

/// Sends it; the server plays two hosts over it first, one new and one that knows what was before.
/// # Errors
/// [`PlatformError`].
pub(crate) async fn send(client: &Client, top: &Top) -> Result<Published, PlatformError> {
    let bytes = write(top)?;
    Ok(client.post_bytes("/v1/platform/metadata", bytes).await?)
}
