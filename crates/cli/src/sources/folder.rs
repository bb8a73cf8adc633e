//! Files of a folder on disk. Links are followed only to regular files inside of the same folder.
use super::{SourceError, Taken, plain};
use std::fs;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How deep folders may lie in each other.
const DEPTH_MAX: usize = 64;
/// `O_NOFOLLOW | O_NONBLOCK` (asm-generic, as on x86-64 and arm64): a name that became a link or a
/// pipe after we looked must neither be followed nor block.
const NO_FOLLOW: i32 = 0o400_000 | 0o4000;

/// Takes a folder's files, or one file under its own name.
pub(super) fn take(path: &Path, taken: &mut Taken) -> Result<(), SourceError> {
    let failed = |source| SourceError::Read { path: path.to_owned(), source };
    let root = fs::canonicalize(path).map_err(failed)?;
    if root.is_dir() {
        return walk(&root, &root, 0, taken);
    }
    let parent = root.parent().unwrap_or(Path::new("/")).to_owned();
    one(&parent, &root, taken)
}

fn walk(root: &Path, dir: &Path, depth: usize, taken: &mut Taken) -> Result<(), SourceError> {
    if depth > DEPTH_MAX {
        let limit = DEPTH_MAX as u64;
        return Err(SourceError::TooMuch { from: dir.to_owned(), limit, what: "folders in depth" });
    }
    let failed = |source| SourceError::Read { path: dir.to_owned(), source };
    let mut entries: Vec<PathBuf> = fs::read_dir(dir)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    entries.sort();
    for entry in entries {
        let facts = fs::symlink_metadata(&entry).map_err(failed)?;
        if facts.is_dir() {
            walk(root, &entry, depth + 1, taken)?;
        } else {
            one(root, &entry, taken)?;
        }
    }
    Ok(())
}

fn one(root: &Path, path: &Path, taken: &mut Taken) -> Result<(), SourceError> {
    let failed = |source| SourceError::Read { path: path.to_owned(), source };
    let name = plain(root, path.strip_prefix(root).unwrap_or(path))?;
    let mut place = path.to_owned();
    if fs::symlink_metadata(path).map_err(failed)?.is_symlink() {
        place = fs::canonicalize(path).map_err(failed)?;
        if !place.starts_with(root) || place.is_dir() {
            let to = fs::read_link(path).unwrap_or_default().to_string_lossy().into_owned();
            return Err(SourceError::Link { from: root.to_owned(), name, to });
        }
    }
    let kind = fs::symlink_metadata(&place).map_err(failed)?.file_type();
    if !kind.is_file() {
        let what = if kind.is_block_device() || kind.is_char_device() {
            "a device"
        } else if kind.is_fifo() {
            "a pipe"
        } else {
            "something else"
        };
        return Err(SourceError::Special { from: root.to_owned(), name, what });
    }
    let file = fs::OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(&place);
    let file = file.map_err(failed)?;
    let facts = file.metadata().map_err(failed)?;
    let executable = facts.permissions().mode() & 0o111 != 0;
    taken.add(name, facts.len(), executable, file)
}
