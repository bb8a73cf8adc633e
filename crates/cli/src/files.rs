//! Small files on disk: read with a limit, written so that a power cut leaves the old or the new
//! one, secrets readable by their owner only. Nothing is ever overwritten unless asked for.
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a file was not read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// could not be read
    #[error("read {path}")]
    Read {
        /// which
        path: PathBuf,
        /// why
        source: io::Error,
    },
    /// could not be written
    #[error("write {path}")]
    Write {
        /// which
        path: PathBuf,
        /// why
        source: io::Error,
    },
    /// too large
    #[error("{path} is over {limit} bytes")]
    TooLarge {
        /// which
        path: PathBuf,
        /// most bytes taken
        limit: u64,
    },
    /// something is there already
    #[error("{0} is already there and is not overwritten")]
    Exists(PathBuf),
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// everybody
    Public,
    /// its owner only
    Secret,
}

impl Access {
    fn mode(self) -> u32 {
        match self {
            Access::Public => 0o644,
            Access::Secret => 0o600,
        }
    }
}

/// The whole file, if it is not over `limit` bytes.
/// # Errors
/// [`FileError`].
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(FileError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// Makes a new file, all of it or nothing; an existing one is left alone and is an error.
/// # Errors
/// [`FileError`].
pub(crate) fn create(path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
    let fresh = stage(path, bytes, access)?;
    place_new(&fresh, path).inspect_err(|_| {
        let _best_effort = fs::remove_file(&fresh);
    })
}

/// Writes a file beside its place, on disk when this returns. The caller renames it, or removes it.
/// # Errors
/// [`FileError`]; nothing is left then.
pub(crate) fn stage(path: &Path, bytes: &[u8], access: Access) -> Result<PathBuf, FileError> {
    make_parent(path)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = path.with_file_name(name);
    let write = || {
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(access.mode()).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    match write() {
        Ok(()) => Ok(fresh),
        Err(source) => {
            let _best_effort = fs::remove_file(&fresh);
            Err(FileError::Write { path: path.to_owned(), source })
        }
    }
}

/// Renames a file to a name that nothing has: looking first would leave a moment in between.
/// # Errors
/// [`FileError`]; the file is where it was.
pub(crate) fn place_new(from: &Path, to: &Path) -> Result<(), FileError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists(to.to_owned()),
        _ => FileError::Write { path: to.to_owned(), source },
    };
    let here = rustix::fs::CWD;
    match rustix::fs::renameat_with(here, from, here, to, rustix::fs::RenameFlags::NOREPLACE) {
        // A file system that cannot: a second name, then without the first, comes to the same.
        Err(rustix::io::Errno::INVAL) => {
            fs::hard_link(from, to).and_then(|()| fs::remove_file(from)).map_err(failed)?;
        }
        done => done.map_err(|why| failed(why.into()))?,
    }
    sync_folder(to).map_err(failed)
}

/// A rename is on disk when its folder is.
/// # Errors
/// The folder's.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Puts a file in place of an old one, or where none is: all of it or nothing.
/// # Errors
/// [`FileError`].
pub(crate) fn replace(path: &Path, bytes: &[u8], access: Access) -> Result<(), FileError> {
    let fresh = stage(path, bytes, access)?;
    fs::rename(&fresh, path).and_then(|()| sync_folder(path)).map_err(|source| {
        let _best_effort = fs::remove_file(&fresh);
        FileError::Write { path: path.to_owned(), source }
    })
}

/// Whether others than the owner may read it (a key that leaked to the group is no secret).
pub(crate) fn is_exposed(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|facts| facts.permissions().mode() & 0o077 != 0)
}

/// Makes a folder that only its owner may enter.
/// # Errors
/// [`FileError::Write`].
pub(crate) fn make_private_folder(path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| FileError::Write { path: path.to_owned(), source })
}

fn make_parent(path: &Path) -> Result<(), FileError> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent)
            .map_err(|source| FileError::Write { path: parent.to_owned(), source }),
        None => Ok(()),
    }
}
