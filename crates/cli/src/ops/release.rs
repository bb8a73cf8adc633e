//! Making a release: files become a bundle, everything about them a manifest. No signature yet, no
//! network; the same files in any order give the same digests.
use crate::files::{self, Access, FileError};
use crate::sources::SourceFile;
use andon_model::limits::{MANIFEST_BYTES_MAX, RELEASE_BYTES_MAX};
use andon_model::release::{
    Activation, ComponentKind, FileEntry, Hooks, Manifest, Mode, Probe, ReleaseError, Version,
};
use andon_model::text::Text;
use andon_model::{ComponentId, Digest, Millis, VendorId};
use std::path::Path;

/// How long a release must run well before a host confirms it, unless said otherwise.
pub(crate) const SOAK: Millis = Millis::from_secs(3);

/// Why there is no release.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MakeError {
    /// against the rules
    #[error("make release")]
    Release(#[from] ReleaseError),
    /// could not be written as JSON
    #[error("encode manifest")]
    Encode(#[source] serde_json::Error),
    /// file trouble
    #[error("keep release")]
    File(#[from] FileError),
}

/// Everything about a release but its files.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// who makes it
    pub(crate) vendor: VendorId,
    /// what it updates
    pub(crate) component: ComponentId,
    /// counts up
    pub(crate) version: Version,
    /// what it is made of
    pub(crate) kind: ComponentKind,
    /// takes effect or not
    pub(crate) mode: Mode,
    /// interpreter (kind content)
    pub(crate) consumer: Option<ComponentId>,
    /// how the interpreter gets it
    pub(crate) activation: Activation,
    /// command line (kind service)
    pub(crate) exec: Vec<String>,
    /// commands (kind files)
    pub(crate) hooks: Hooks,
    /// vendor's probes
    pub(crate) probes: Vec<Probe>,
    /// soak
    pub(crate) soak: Millis,
    /// architectures; empty: all
    pub(crate) architectures: Vec<String>,
    /// where it comes from
    pub(crate) origin: Text,
}

impl Draft {
    /// With the usual values: enforced, restart, soak of [`SOAK`], every architecture.
    pub(crate) fn new(
        vendor: VendorId,
        component: ComponentId,
        version: Version,
        kind: ComponentKind,
    ) -> Draft {
        Draft {
            vendor,
            component,
            version,
            kind,
            mode: Mode::Enforce,
            consumer: None,
            activation: Activation::Restart,
            exec: Vec::new(),
            hooks: Hooks::default(),
            probes: Vec::new(),
            soak: SOAK,
            architectures: Vec::new(),
            origin: Text::default(),
        }
    }
}

/// A release as made: its manifest, the manifest's bytes, and the bundle.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    /// what it is
    pub(crate) manifest: Manifest,
    /// as signed and served
    pub(crate) manifest_bytes: Vec<u8>,
    /// all files' bytes
    pub(crate) bundle: Vec<u8>,
}

impl Release {
    /// The release's digest: its manifest's.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.manifest_bytes)
    }

    /// Writes `manifest.json` and `bundle` into a folder that has neither.
    /// # Errors
    /// [`MakeError::File`].
    pub(crate) fn write(&self, dir: &Path) -> Result<(), MakeError> {
        for name in ["manifest.json", "bundle"] {
            if dir.join(name).exists() {
                return Err(FileError::Exists(dir.join(name)).into());
            }
        }
        files::create(&dir.join("bundle"), &self.bundle, Access::Public)?;
        files::create(&dir.join("manifest.json"), &self.manifest_bytes, Access::Public)?;
        Ok(())
    }

    /// Reads a folder that [`Release::write`] wrote, every digest checked.
    /// # Errors
    /// [`MakeError`].
    pub(crate) fn read(dir: &Path) -> Result<Release, MakeError> {
        let limit = MANIFEST_BYTES_MAX as u64;
        let manifest_bytes = files::read(&dir.join("manifest.json"), limit)?;
        let manifest = Manifest::parse(&manifest_bytes)?;
        let bundle = files::read(&dir.join("bundle"), RELEASE_BYTES_MAX)?;
        manifest.split(&bundle)?;
        Ok(Release { manifest, manifest_bytes, bundle })
    }
}

/// Makes a release; the files are put in order, and every rule of the model holds afterwards.
/// # Errors
/// [`MakeError`].
pub(crate) fn make(draft: Draft, mut files: Vec<SourceFile>) -> Result<Release, MakeError> {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut bundle = Vec::new();
    let mut entries = Vec::with_capacity(files.len());
    for file in files {
        bundle.extend_from_slice(&file.bytes);
        entries.push(FileEntry {
            digest: Digest::of(&file.bytes),
            length: file.bytes.len() as u64,
            executable: file.executable,
            path: file.path,
        });
    }
    let manifest = Manifest {
        schema: 1,
        vendor: draft.vendor,
        component: draft.component,
        version: draft.version,
        kind: draft.kind,
        mode: draft.mode,
        consumer: draft.consumer,
        activation: draft.activation,
        exec: draft.exec,
        hooks: draft.hooks,
        probes: draft.probes,
        soak: draft.soak,
        architectures: draft.architectures,
        origin: draft.origin,
        files: entries,
        bundle: Digest::of(&bundle),
    };
    manifest.check()?;
    let manifest_bytes = serde_json::to_vec(&manifest).map_err(MakeError::Encode)?;
    // What we hand out must be what everybody else can read back.
    Manifest::parse(&manifest_bytes)?;
    Ok(Release { manifest, manifest_bytes, bundle })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, bytes: &[u8]) -> SourceFile {
        SourceFile { path: path.to_owned(), bytes: bytes.to_vec(), executable: false }
    }

    fn draft() -> Draft {
        Draft::new(
            VendorId::new("acme").unwrap(),
            ComponentId::new("data").unwrap(),
            Version(1),
            ComponentKind::Files,
        )
    }

    #[test]
    fn the_same_files_in_any_order_make_the_same_release() {
        let one = make(draft(), vec![file("b", b"2"), file("a/c", b"1")]).unwrap();
        let two = make(draft(), vec![file("a/c", b"1"), file("b", b"2")]).unwrap();
        assert_eq!(one.digest(), two.digest());
        assert_eq!(one.bundle, b"12");
    }

    #[test]
    fn a_folder_that_was_changed_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let release = make(draft(), vec![file("a", b"1")]).unwrap();
        release.write(dir.path()).unwrap();
        assert_eq!(Release::read(dir.path()).unwrap().digest(), release.digest());
        assert!(release.write(dir.path()).is_err(), "an existing release was overwritten");
        std::fs::write(dir.path().join("bundle"), b"2").unwrap();
        assert!(matches!(Release::read(dir.path()), Err(MakeError::Release(_))));
    }
}
