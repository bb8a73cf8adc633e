//! What makes a manifest a vendor's release, and a proof one of its logging: checked here for hosts and
//! for whoever verifies a proof bundle alike.
use super::catalogue::Listed;
use crate::log::checkpoint::CheckpointError;
use crate::log::proof::LogProofError;
use crate::log::verified::{self, LogRefusal, Verified, VerifiedCheckpoint};
use crate::log::{LogProof, Policy, SignedCheckpoint};
use andon_model::log_entry::LogEntry;
use andon_model::release::{Manifest, ReleaseError};
use andon_model::{Digest, Time};

/// Why bytes are not the manifest of a release that a vendor's role lists.
#[derive(Debug, thiserror::Error)]
pub enum ManifestRefusal {
    /// other bytes
    #[error("manifest is not what the vendor's metadata lists")]
    Bytes,
    /// its own text is wrong
    #[error(transparent)]
    Text(#[from] ReleaseError),
    /// one release under another's name
    #[error("manifest names another vendor, component or version than its path")]
    Name,
}

/// Why nothing shows that a log holds a release.
#[derive(Debug, thiserror::Error)]
pub enum Unlogged {
    /// no proof of logging
    #[error(transparent)]
    Text(#[from] LogProofError),
    /// one that proves nothing here
    #[error(transparent)]
    Proof(#[from] LogRefusal),
}

/// The manifest, if its bytes are what the vendor signed for that path.
pub(super) fn manifest(
    listed: &Listed,
    release: Digest,
    bytes: &[u8],
) -> Result<Manifest, ManifestRefusal> {
    if bytes.len() as u64 != listed.length || Digest::of(bytes) != release {
        return Err(ManifestRefusal::Bytes);
    }
    let manifest = Manifest::parse(bytes)?;
    if manifest.vendor != listed.vendor || manifest.target_path() != listed.path {
        return Err(ManifestRefusal::Name);
    }
    Ok(manifest)
}

/// That a log which the policy names holds the release's entry. The entry is made here, out of the
/// manifest: nothing that a server says decides what was logged.
pub(super) fn logged(
    proof: &[u8],
    release: Digest,
    manifest: &Manifest,
    demanded: &Policy,
) -> Result<Verified, Unlogged> {
    let leaf = LogEntry::release(release, manifest).leaf();
    Ok(LogProof::parse(proof)?.verify(leaf, demanded)?)
}

/// Why a checkpoint says nothing about the time.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unseen {
    /// no checkpoint
    #[error(transparent)]
    Text(#[from] CheckpointError),
    /// one that the policy does not accept
    #[error(transparent)]
    Checkpoint(#[from] LogRefusal),
}

/// The time that a quorum has vouched for with a checkpoint alone.
pub(super) fn seen(checkpoint: &[u8], demanded: &Policy) -> Result<Time, Unseen> {
    let checkpoint = SignedCheckpoint::parse(checkpoint)?;
    Ok(vouched(&verified::checkpoint(&checkpoint, demanded)?, demanded))
}

/// The time that a quorum has vouched for with this checkpoint; 0 where no witness need be asked: then one
/// alone could set every clock.
pub(super) fn vouched(verified: &VerifiedCheckpoint, demanded: &Policy) -> Time {
    let several = !demanded.is_quorum(|_| false);
    let time = verified.quorum_time().filter(|_| several);
    time.unwrap_or_default()
}
