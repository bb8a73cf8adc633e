//! The files that check itself keeps: the view's record, written durably, because it is what stands
//! between this host and a rollback attack after a restart.
use andon_model::enrol::Anchor;
use andon_model::limits::TUF_BYTES_MAX;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Largest anchor: a TUF root and a few keys.
const ANCHOR_BYTES_MAX: usize = TUF_BYTES_MAX;
/// Largest record: metadata of every vendor we look at, with room; refused when larger.
const RECORD_BYTES_MAX: usize = 256 * 1024 * 1024;
const RECORD: &str = "view.json";

/// Why a file of ours could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// cannot be read
    #[error("read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// cannot be written
    #[error("write {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// larger than allowed
    #[error("read or write {}: over {limit} bytes", path.display())]
    TooLarge {
        /// which file
        path: PathBuf,
        /// bytes allowed
        limit: usize,
    },
    /// not an anchor
    #[error("parse anchor {}", .0.display())]
    Anchor(PathBuf, #[source] serde_json::Error),
}

/// The two folders below the state folder that check may write.
#[derive(Clone, Debug)]
pub struct Folders {
    /// files for the supervisor
    pub inbox: PathBuf,
    /// check's own memory
    pub own: PathBuf,
}

impl Folders {
    /// Makes them where they are missing, readable by their owner only.
    /// # Errors
    /// [`StoreError::Write`].
    pub fn create(state: &Path) -> Result<Folders, StoreError> {
        let folders = Folders { inbox: state.join("inbox"), own: state.join("check") };
        for folder in [&folders.inbox, &folders.own] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|failed| StoreError::Write(folder.clone(), failed))?;
        }
        Ok(folders)
    }
}

/// Reads the host's anchor.
/// # Errors
/// [`StoreError`].
pub fn read_anchor(path: &Path) -> Result<Anchor, StoreError> {
    let bytes = read(path, ANCHOR_BYTES_MAX)?;
    let bytes = bytes.ok_or_else(|| {
        StoreError::Read(path.to_owned(), io::Error::from(io::ErrorKind::NotFound))
    })?;
    serde_json::from_slice(&bytes).map_err(|failed| StoreError::Anchor(path.to_owned(), failed))
}

/// Reads the view's record, if there is one.
/// # Errors
/// [`StoreError`].
pub fn read_record(folders: &Folders) -> Result<Option<Vec<u8>>, StoreError> {
    read(&folders.own.join(RECORD), RECORD_BYTES_MAX)
}

/// Writes the view's record: it is on disk, or the old one is, when this returns.
/// # Errors
/// [`StoreError`].
pub fn write_record(folders: &Folders, bytes: &[u8]) -> Result<(), StoreError> {
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(StoreError::TooLarge {
            path: folders.own.join(RECORD),
            limit: RECORD_BYTES_MAX,
        });
    }
    let path = folders.own.join(RECORD);
    durable_write(&folders.own, &path, bytes).map_err(|failed| StoreError::Write(path, failed))
}

/// Puts a record that no longer reads aside for people, and out of the way.
/// # Errors
/// [`StoreError::Write`].
pub fn set_record_aside(folders: &Folders) -> Result<(), StoreError> {
    let path = folders.own.join(RECORD);
    let aside = folders.own.join("view.json.damaged");
    std::fs::rename(&path, aside).map_err(|failed| StoreError::Write(path, failed))
}

fn read(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, StoreError> {
    let failed = |failed| StoreError::Read(path.to_owned(), failed);
    let file = match File::open(path) {
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limit {
        return Err(StoreError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(Some(bytes))
}

/// Temporary file, fsync, rename, fsync of the folder: the sequence that survives power loss on
/// ext4, xfs and btrfs (Pillai et al., OSDI 2014).
fn durable_write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.to_owned().into_os_string();
    beside.push(".new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_a_missing_one_is_none() {
        let state = tempfile::tempdir().unwrap();
        let folders = Folders::create(state.path()).unwrap();
        assert_eq!(read_record(&folders).unwrap(), None);
        write_record(&folders, b"one").unwrap();
        write_record(&folders, b"two").unwrap();
        assert_eq!(read_record(&folders).unwrap(), Some(b"two".to_vec()));
        set_record_aside(&folders).unwrap();
        assert_eq!(read_record(&folders).unwrap(), None);
    }

    #[test]
    fn an_anchor_that_is_missing_or_strange_is_refused() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("anchor.json");
        assert!(matches!(read_anchor(&path), Err(StoreError::Read(..))));
        for bad in [&b""[..], b"{}", b"{\"schema\":1,\"surprise\":2}", &[0; 64]] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(read_anchor(&path), Err(StoreError::Anchor(..))));
        }
    }
}
