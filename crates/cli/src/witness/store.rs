//! What a witness keeps on disk: for each log one file, the newest checkpoint that it cosigned, named
//! by the SHA-256 of the log's origin. A file is believed only with our own cosignature on it.
use super::cosigned;
use crate::files::{self, Access, FileError};
use andon_model::Digest;
use andon_model::limits::NOTE_BYTES_MAX;
use andon_trust::log::checkpoint::CheckpointError;
use andon_trust::log::{SignedCheckpoint, VerifierKey};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A folder that nobody else uses.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    /// held for as long as the witness lives
    _lock: File,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// the folder itself
    #[error("prepare {0}")]
    Folder(PathBuf, #[source] io::Error),
    /// two witnesses with one memory would contradict each other
    #[error("another witness uses {0}")]
    Locked(PathBuf),
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
        let failed = |why| StoreError::Folder(dir.to_owned(), why);
        files::make_private_folder(dir)?;
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        let synced = File::open(parent.unwrap_or(Path::new("."))).and_then(|file| file.sync_all());
        synced.map_err(failed)?;
        let lock = File::create(dir.join("witness.lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(dir.to_owned())),
            Err(TryLockError::Error(why)) => return Err(failed(why)),
        }
        sweep(dir).map_err(failed)?;
        Ok(Store { dir: dir.to_owned(), _lock: lock })
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
        self.dir.join(format!("{}.checkpoint", Digest::of(origin.as_bytes())))
    }
}

/// Removes files that a witness left when it was killed while writing: a process with the same number
/// (the rule in a container) could not write again.
fn sweep(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "new") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
