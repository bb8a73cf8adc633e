//! Slot folders: `slots/COMPONENT/{a,b}/manifest.json` and `…/files/PATH`, and the link `current`
//! that names the active slot's files.
use crate::state::State;
use andon_host::Slot;
use andon_model::Digest;
use andon_model::id::ComponentId;
use andon_model::limits::MANIFEST_BYTES_MAX;
use andon_model::release::{FileEntry, Manifest};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Why a slot could not be filled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlotError {
    /// a file or folder cannot be read or written
    #[error("copy {}", .0.display())]
    Copy(PathBuf, #[source] io::Error),
    /// not the bytes that were promised
    #[error("digest of {0} is not what the manifest says")]
    Digest(String),
    /// the manifest in the inbox is not the one that was offered
    #[error("manifest in the inbox is not the one offered")]
    Manifest,
}

pub(crate) fn folder(state: &State, component: &ComponentId, slot: Slot) -> PathBuf {
    state.folder.join("slots").join(component.as_str()).join(slot.name())
}
pub(crate) fn files(state: &State, component: &ComponentId, slot: Slot) -> PathBuf {
    folder(state, component, slot).join("files")
}
pub(crate) fn current(state: &State, component: &ComponentId) -> PathBuf {
    state.folder.join("slots").join(component.as_str()).join("current")
}

/// Copies a release from the inbox into a slot, checking every digest as it is read, and makes it
/// durable. The inbox belongs to the child that meets the network: nothing in it is believed.
pub(crate) fn stage(
    state: &State,
    slot: Slot,
    release: Digest,
    manifest: &Manifest,
) -> Result<(), SlotError> {
    let inbox = state.folder.join("inbox").join(release.to_string());
    let into = folder(state, &manifest.component, slot);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |failed| SlotError::Copy(path, failed)
    };
    match std::fs::remove_dir_all(&into) {
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => {}
        removed => removed.map_err(failed(&into))?,
    }
    make(&into.join("files"))?;
    let path = inbox.join("manifest.json");
    let bytes = read_bounded(&path, MANIFEST_BYTES_MAX as u64).map_err(failed(&path))?;
    if Digest::of(&bytes) != release || Manifest::parse(&bytes).ok().as_ref() != Some(manifest) {
        return Err(SlotError::Manifest);
    }
    write(&into.join("manifest.json"), &bytes, false)?;
    for entry in &manifest.files {
        copy(&inbox.join("files"), &into.join("files"), entry)?;
    }
    // One flush for all files: per-file syncs of a large rule set would take longer than a wave.
    let place = File::open(&into).map_err(failed(&into))?;
    rustix::fs::syncfs(&place).map_err(io::Error::from).map_err(failed(&into))
}

fn copy(from: &Path, into: &Path, entry: &FileEntry) -> Result<(), SlotError> {
    let (source, target) = (from.join(&entry.path), into.join(&entry.path));
    let bytes = read_bounded(&source, entry.length)
        .map_err(|failed| SlotError::Copy(source.clone(), failed))?;
    if bytes.len() as u64 != entry.length || Digest::of(&bytes) != entry.digest {
        return Err(SlotError::Digest(entry.path.clone()));
    }
    if let Some(parent) = target.parent() {
        make(parent)?;
    }
    write(&target, &bytes, entry.executable)
}

fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn make(folder: &Path) -> Result<(), SlotError> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(folder);
    made.map_err(|failed| SlotError::Copy(folder.to_owned(), failed))
}

fn write(path: &Path, bytes: &[u8], executable: bool) -> Result<(), SlotError> {
    let mode = if executable { 0o755 } else { 0o644 };
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| file.write_all(bytes));
    written.map_err(|failed| SlotError::Copy(path.to_owned(), failed))
}

/// Lets `current` name this slot: a new link renamed over the old one, so that a reader sees either.
pub(crate) fn switch(state: &State, component: &ComponentId, slot: Slot) -> io::Result<()> {
    let link = current(state, component);
    let beside = link.with_extension("new");
    let target = Path::new(slot.name()).join("files");
    if std::fs::read_link(&link).is_ok_and(|now| now == target) {
        return Ok(());
    }
    match std::fs::remove_file(&beside) {
        Err(failed) if failed.kind() != io::ErrorKind::NotFound => return Err(failed),
        _ => {}
    }
    symlink(&target, &beside)?;
    std::fs::rename(&beside, &link)
}
