//! Slots of light hosts on the real file system. Each host checks the bytes that it fetched itself;
//! identical files lie on disk once per process and are hard-linked into every host's slot, so that
//! a thousand hosts fit where ten would.
use andon_host::Slot;
use andon_model::release::{FileEntry, Manifest, ReleaseError};
use andon_model::{ComponentId, Digest};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Why a release was not staged. The slot is not there then.
#[derive(Debug, thiserror::Error)]
pub(super) enum StageError {
    /// the bytes are not what the manifest says
    #[error("check bundle")]
    Bundle(#[from] ReleaseError),
    /// file trouble
    #[error("write {path}")]
    Write {
        /// which
        path: PathBuf,
        /// why
        source: io::Error,
    },
}

/// Files by digest, shared by all light hosts of this process.
#[derive(Debug)]
pub(super) struct Pool {
    folder: PathBuf,
    /// held while a file is made, so that no host links a half-written one
    making: Mutex<()>,
    manifests: Mutex<BTreeMap<Digest, Arc<Manifest>>>,
}

impl Pool {
    /// Below `folder`, which is made.
    /// # Errors
    /// File trouble.
    pub(super) fn new(folder: PathBuf) -> io::Result<Pool> {
        fs::create_dir_all(&folder)?;
        Ok(Pool { folder, making: Mutex::new(()), manifests: Mutex::default() })
    }

    /// One copy of a manifest for all hosts that verified the same one.
    pub(super) fn manifest(&self, release: &Digest, verified: &Manifest) -> Arc<Manifest> {
        let mut known = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = known.entry(*release).or_insert_with(|| Arc::new(verified.clone()));
        // Two manifests with one digest cannot be; if they were, each host keeps its own.
        if **shared == *verified { shared.clone() } else { Arc::new(verified.clone()) }
    }

    /// The service that interprets a release's files, if it is content.
    pub(super) fn consumer(&self, release: &Digest) -> Option<ComponentId> {
        let known = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(release).and_then(|manifest| manifest.consumer.clone())
    }

    /// Checks `bundle` against the manifest and lays its files out as
    /// `HOST/slots/COMPONENT/SLOT/…`.
    /// # Errors
    /// [`StageError`].
    pub(super) fn stage(
        &self,
        host_folder: &Path,
        slot: Slot,
        manifest: &Manifest,
        bundle: &[u8],
    ) -> Result<(), StageError> {
        let files = manifest.split(bundle)?;
        let slot = folder(host_folder, &manifest.component, slot);
        let fresh = slot.with_extension("new");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| StageError::Write { path, source }
        };
        if fresh.exists() {
            fs::remove_dir_all(&fresh).map_err(failed(&fresh))?;
        }
        for (entry, bytes) in files {
            let path = fresh.join(&entry.path);
            let folder = path.parent().unwrap_or(&fresh);
            fs::create_dir_all(folder).map_err(failed(folder))?;
            let shared = self.file(entry, bytes).map_err(failed(&path))?;
            fs::hard_link(&shared, &path).map_err(failed(&path))?;
        }
        if slot.exists() {
            fs::remove_dir_all(&slot).map_err(failed(&slot))?;
        }
        fs::rename(&fresh, &slot).map_err(failed(&slot))
    }

    fn file(&self, entry: &FileEntry, bytes: &[u8]) -> io::Result<PathBuf> {
        let kind = if entry.executable { "x" } else { "f" };
        let path = self.folder.join(format!("{}.{kind}", entry.digest));
        let _guard = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if !path.exists() {
            let fresh = path.with_extension("new");
            let mode = if entry.executable { 0o755 } else { 0o644 };
            let mut file = fs::OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(mode)
                .open(&fresh)?;
            file.write_all(bytes)?;
            drop(file);
            fs::rename(&fresh, &path)?;
        }
        Ok(path)
    }
}

/// Where a slot of a component lies on a host.
pub(super) fn folder(host_folder: &Path, component: &ComponentId, slot: Slot) -> PathBuf {
    host_folder.join("slots").join(component.as_str()).join(slot.name())
}

/// Lets the component's `current` name a slot, atomically.
/// # Errors
/// File trouble.
pub(super) fn switch(host_folder: &Path, component: &ComponentId, slot: Slot) -> io::Result<()> {
    let current = folder(host_folder, component, slot).with_file_name("current");
    let fresh = current.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::os::unix::fs::symlink(slot.name(), &fresh)?;
    fs::rename(&fresh, &current)
}
