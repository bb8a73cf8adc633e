//! Record files: read at start, one copy overwritten at a time. No rename, no growth.
use crate::state::State;
use andon_host::record::{self, RecordError};
use andon_host::storage::{self, COPY_BYTES, FILE_BYTES, Storage, StorageError};
use andon_host::{Found, Slot};
use andon_model::Digest;
use andon_model::id::ComponentId;
use andon_model::limits::{COMPONENTS_MAX, MANIFEST_BYTES_MAX};
use andon_model::release::Manifest;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn path_of(state: &State, component: &ComponentId) -> PathBuf {
    state.folder.join("records").join(component.as_str())
}

/// Overwrites the older copy, durably.
/// # Errors
/// The first thing that failed; the newer copy is untouched.
pub(crate) fn write(
    state: &State,
    component: &ComponentId,
    bytes: &[u8; COPY_BYTES],
) -> Result<(), StorageError<io::Error>> {
    let mut file =
        Opened(opened(state, component).map_err(|failed| StorageError::Write(0, failed))?);
    storage::write(&mut file, bytes)
}

fn opened(state: &State, component: &ComponentId) -> io::Result<File> {
    let path = path_of(state, component);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)?;
    if file.metadata()?.len() < FILE_BYTES as u64 {
        file.write_all_at(&[0; FILE_BYTES], 0)?;
        file.sync_all()?;
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
    }
    Ok(file)
}

struct Opened(File);

impl Storage for Opened {
    type Error = io::Error;
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(into, offset)
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Every component that has a record, with the manifests in its slots.
pub(crate) fn found(state: &State) -> Vec<Found> {
    let Ok(entries) = std::fs::read_dir(state.folder.join("records")) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut ids: Vec<ComponentId> =
        names.filter_map(|name| ComponentId::new(&name).ok()).take(COMPONENTS_MAX).collect();
    ids.sort();
    ids.into_iter().map(|component| one(state, component)).collect()
}

fn one(state: &State, component: ComponentId) -> Found {
    let mut bytes = Vec::new();
    let read = File::open(path_of(state, &component))
        .and_then(|file| file.take(FILE_BYTES as u64).read_to_end(&mut bytes));
    let record = match read {
        Ok(_) => record::newest(&bytes, &component),
        Err(_) => Err(RecordError::File),
    };
    let manifests = [Slot::A, Slot::B].into_iter().filter_map(|slot| {
        let path = crate::slots::folder(state, &component, slot).join("manifest.json");
        let mut bytes = Vec::new();
        let file = File::open(path).ok()?;
        file.take(MANIFEST_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).ok()?;
        let manifest = Manifest::parse(&bytes).ok()?;
        Some((Digest::of(&bytes), Arc::new(manifest)))
    });
    let manifests = manifests.collect();
    Found { component, record, manifests }
}
