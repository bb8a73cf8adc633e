//! What a witness keeps on disk: for each log one file, the newest checkpoint that it cosigned, named
//! by the SHA-256 of the log's origin. A file is believed only with our own cosignature on it.
use super::cosigned;
use crate::files::{self, Access, FileError};
use crate::own_folder::{OwnFolder, OwnFolderError};
use andon_model::Digest;
use andon_model::limits::NOTE_BYTES_MAX;
use andon_trust::log::checkpoint::CheckpointError;
use andon_trust::log::{SignedCheckpoint, VerifierKey};
use std::io;
use std::path::{Path, PathBuf};

/// A folder that nobody else uses: two witnesses with one memory would contradict each other.
#[derive(Debug)]
pub(crate) struct Store {
    folder: OwnFolder,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// the folder itself
    #[error("open the witness's folder")]
    Folder(#[from] OwnFolderError),
    /// a record that is there and cannot be read
    #[error("read record of a log")]
    File(#[from] FileError),
    /// a record that is no checkpoint
    #[error("read record {0}")]
    Form(PathBuf, #[source] CheckpointError),
    /// a record of another log, or without a valid cosignature by this key
    #[error("record {0} was not cosigned with this key for this log; a new key needs a new folder")]
    Foreign(PathBuf),
}

impl Store {
    /// Makes the folder if need be, durably, and locks it.
    /// # Errors
    /// [`StoreError`].
    pub(crate) fn open(dir: &Path) -> Result<Store, StoreError> {
        Ok(Store { folder: OwnFolder::open(dir, "witness")? })
    }

    /// The record of a log, and its time in POSIX seconds; `None` if nothing was ever cosigned.
    /// # Errors
    /// [`StoreError`].
    pub(super) fn load(
        &self,
        origin: &str,
        key: &VerifierKey,
    ) -> Result<Option<(SignedCheckpoint, u64)>, StoreError> {
        let path = self.path(origin);
        let bytes = match files::read(&path, NOTE_BYTES_MAX as u64) {
            Ok(bytes) => bytes,
            Err(FileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(why) => return Err(why.into()),
        };
        let form = |why| StoreError::Form(path.clone(), why);
        let checkpoint = SignedCheckpoint::parse(&bytes).map_err(form)?;
        match cosigned(&checkpoint, key) {
            Some(time) if checkpoint.checkpoint().origin == origin => Ok(Some((checkpoint, time))),
            _ => Err(StoreError::Foreign(path)),
        }
    }

    /// Puts a record in the place of the old one; it is on disk when this returns.
    /// # Errors
    /// [`FileError`]; which of the two is there is then known to the disk only.
    pub(super) fn save(&self, origin: &str, record: &SignedCheckpoint) -> Result<(), FileError> {
        files::replace(&self.path(origin), record.to_text().as_bytes(), Access::Public)
    }

    fn path(&self, origin: &str) -> PathBuf {
        self.folder.file(format!("{}.checkpoint", Digest::of(origin.as_bytes())))
    }
}
