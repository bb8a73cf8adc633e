//! The folder of trusted metadata: one file per role, the very bytes that were signed.
use crate::files::{self, Access};
use andon_trust::client::{Fault, Shelf};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldError {
    /// not there, or not ours
    #[error("open folder {0}")]
    Open(PathBuf, #[source] io::Error),
    /// somebody else is at it
    #[error("another process uses {0}; wait for it to end")]
    Busy(PathBuf),
}

/// Keeps a folder for this process until the answer is dropped, so that two runs never mix.
/// # Errors
/// [`HoldError`].
pub(crate) fn hold(folder: &Path) -> Result<File, HoldError> {
    let failed = |source| HoldError::Open(folder.to_owned(), source);
    let opened = File::open(folder).map_err(failed)?;
    match opened.try_lock() {
        Ok(()) => Ok(opened),
        Err(TryLockError::WouldBlock) => Err(HoldError::Busy(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// A shelf on disk. Names come percent-encoded from the client: none has a slash.
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Shelf for Folder {
    fn read(&mut self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        let path = self.0.join(name);
        match files::read(&path, limit as u64) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(files::FileError::Read { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn keep(&mut self, name: &str, bytes: &[u8]) -> Result<(), Fault> {
        Ok(files::replace(&self.0.join(name), bytes, Access::Public)?)
    }

    fn cache(&mut self, name: &str, bytes: &[u8]) -> Result<(), Fault> {
        let fresh = self.0.join(".andon-new");
        std::fs::write(&fresh, bytes)?;
        Ok(std::fs::rename(&fresh, self.0.join(name))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = hold(folder.path()).unwrap();
        assert!(matches!(hold(folder.path()), Err(HoldError::Busy(_))));
        drop(held);
        hold(folder.path()).unwrap();
        assert!(matches!(hold(&folder.path().join("none")), Err(HoldError::Open(..))));
    }

    #[test]
    fn what_is_kept_or_cached_is_read_back_and_has_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Folder(folder.path().to_owned());
        assert_eq!(shelf.read("a.json", 4).unwrap(), None);
        shelf.keep("a.json", b"old").unwrap();
        shelf.keep("a.json", b"new").unwrap();
        shelf.cache("b.json", b"more").unwrap();
        assert_eq!(shelf.read("a.json", 4).unwrap().unwrap(), b"new");
        assert_eq!(shelf.read("b.json", 4).unwrap().unwrap(), b"more");
        assert!(shelf.read("b.json", 3).is_err());
    }
}
