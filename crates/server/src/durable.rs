//! Files written whole or not at all: temporary name, sync, rename, sync of the folder, and of those
//! above it that are new (Pillai et al., "All file systems are not created equal", OSDI 2014).
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Held while folders are made: who finds a folder there finds it durable. What it does not cover: a
/// process that was killed between making and syncing one, and power lost before the disk got to it.
static MAKING: Mutex<()> = Mutex::new(());

/// Writes a file so that a reader, or the next start, sees the old bytes or the new ones.
/// # Errors
/// The disk's; the old file is still there.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    make_folder(folder(path))?;
    let temporary = temporary_name(path);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let done = written.and_then(|()| adopt(&temporary, path));
    if done.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    done
}

/// Makes a folder, and those above it that are missing, durably: a file that is synced in a folder
/// whose own name is not is lost with it. Gives the folders that are new, the lowest first.
/// # Errors
/// The disk's.
pub fn make_folder(path: &Path) -> io::Result<Vec<PathBuf>> {
    let _others_wait = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut missing = Vec::new();
    for above in path.ancestors().take_while(|above| !above.as_os_str().is_empty()) {
        if above.try_exists()? {
            break;
        }
        missing.push(above.to_owned());
    }
    fs::create_dir_all(path)?;
    for made in &missing {
        File::open(folder(made))?.sync_all()?;
    }
    Ok(missing)
}

/// Gives a synced temporary file its name, durably.
/// # Errors
/// The disk's.
pub fn adopt(temporary: &Path, path: &Path) -> io::Result<()> {
    fs::rename(temporary, path)?;
    File::open(folder(path))?.sync_all()
}

/// The folder a file lies in. The parent of a bare name is the empty path, which no call can open.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A name beside `path` that no other writer uses.
#[must_use]
pub fn temporary_name(path: &Path) -> std::path::PathBuf {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.{number}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_file_name_lies_in_the_current_folder() {
        assert_eq!(folder(Path::new("ready")), Path::new("."));
        assert_eq!(folder(Path::new("a/ready")), Path::new("a"));
        assert_eq!(folder(Path::new("/ready")), Path::new("/"));
    }

    #[test]
    fn folders_that_are_new_are_made_and_told_the_lowest_first() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        assert_eq!(make_folder(&path("a/b/c")).unwrap(), [path("a/b/c"), path("a/b"), path("a")]);
        assert_eq!(make_folder(&path("a/b/d")).unwrap(), [path("a/b/d")]);
        assert!(make_folder(&path("a/b")).unwrap().is_empty());
        assert!(path("a/b/c").is_dir() && path("a/b/d").is_dir());
        fs::write(path("file"), b"").unwrap();
        make_folder(&path("file/below")).unwrap_err();
    }

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("new/file");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
