//! A folder that one process has for itself: a memory that two share would contradict itself.
use crate::files::{self, FileError};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// See the module's documentation. The lock is held for as long as this lives.
#[derive(Debug)]
pub(crate) struct OwnFolder {
    dir: PathBuf,
    _lock: File,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnFolderError {
    /// the folder itself
    #[error("prepare {0}")]
    Folder(PathBuf, #[source] io::Error),
    /// it could not be made
    #[error("make folder")]
    File(#[from] FileError),
    /// somebody else has it
    #[error("another {who} uses {folder}")]
    Locked {
        /// what uses it
        who: &'static str,
        /// which
        folder: PathBuf,
    },
}

impl OwnFolder {
    /// Makes the folder if need be, durably, and locks it for a `who` by the file `WHO.lock` in it.
    /// # Errors
    /// [`OwnFolderError`].
    pub(crate) fn open(dir: &Path, who: &'static str) -> Result<OwnFolder, OwnFolderError> {
        let failed = |why| OwnFolderError::Folder(dir.to_owned(), why);
        files::make_private_folder(dir)?;
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        let synced = File::open(parent.unwrap_or(Path::new("."))).and_then(|file| file.sync_all());
        synced.map_err(failed)?;
        let lock = File::create(dir.join(format!("{who}.lock"))).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OwnFolderError::Locked { who, folder: dir.to_owned() });
            }
            Err(TryLockError::Error(why)) => return Err(failed(why)),
        }
        sweep(dir).map_err(failed)?;
        Ok(OwnFolder { dir: dir.to_owned(), _lock: lock })
    }

    /// A file in it.
    pub(crate) fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.join(name)
    }
}

/// Removes files that a process left when it was killed while writing: one with the same number (the
/// rule in a container) could not write again.
fn sweep(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "new") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
