//! Verified files for the supervisor: `inbox/RELEASE/manifest.json` and `inbox/RELEASE/files/PATH`.
//! A folder with a release's name is complete and every digest in it was right; it appears by one
//! rename, or not at all.
use crate::http::{Fetch, HttpError};
use andon_model::Digest;
use andon_model::limits::MANIFEST_BYTES_MAX;
use andon_model::release::{FileEntry, Manifest};
use andon_trust::view::{Answer, Fetch as Ask};
use sha2::{Digest as _, Sha256};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Bytes hashed and written at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Why a release could not be put into the inbox. Nothing of it is there then.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// no ticket covers this host with it
    #[error("release {0} is not offered to this host")]
    NotOffered(Digest),
    /// the server did not give the manifest
    #[error("fetch manifest of release {0}: {1}")]
    Manifest(Digest, String),
    /// the server did not give the bundle
    #[error("fetch bundle {0}")]
    Bundle(Digest, #[source] HttpError),
    /// the bundle broke off
    #[error("read bundle, file {0}")]
    Read(String, #[source] io::Error),
    /// bytes are not what signed metadata says
    #[error("digest of {0} is not what the manifest says")]
    Digest(String),
    /// fewer or more bytes than the manifest says
    #[error("bundle is {0} than the manifest says")]
    Length(&'static str),
    /// the folder cannot be written
    #[error("write {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
}

/// The folder through which files reach the supervisor.
#[derive(Clone, Debug)]
pub struct Inbox {
    folder: PathBuf,
}

impl Inbox {
    /// Uses `folder`, which must exist.
    #[must_use]
    pub fn new(folder: PathBuf) -> Inbox {
        Inbox { folder }
    }

    /// Removes everything that is not one of `wanted`: releases no longer offered, and what an
    /// interrupted download left behind.
    /// # Errors
    /// [`InboxError::Write`].
    pub fn clean(&self, wanted: &[Digest]) -> Result<(), InboxError> {
        let failed = |failed| InboxError::Write(self.folder.clone(), failed);
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let known = name.to_str().and_then(|name| name.parse::<Digest>().ok());
            if !known.is_some_and(|digest| wanted.contains(&digest)) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Fetches the release's files; gives the name of its folder in the inbox.
    /// # Errors
    /// [`InboxError`]; nothing is left behind.
    pub fn fetch(
        &self,
        server: &mut dyn Fetch,
        release: Digest,
        manifest: &Manifest,
    ) -> Result<String, InboxError> {
        let name = release.to_string();
        let (done, beside) = (self.folder.join(&name), self.folder.join(format!("{name}.new")));
        remove(&beside)?;
        let result = self.fill(server, release, manifest, &beside).and_then(|()| {
            remove(&done)?;
            std::fs::rename(&beside, &done).map_err(|failed| InboxError::Write(done, failed))
        });
        if result.is_err() {
            // the first error is the one to tell
            let _ = remove(&beside);
        }
        result.map(|()| name)
    }

    fn fill(
        &self,
        server: &mut dyn Fetch,
        release: Digest,
        manifest: &Manifest,
        into: &Path,
    ) -> Result<(), InboxError> {
        let bytes = manifest_bytes(server, release, manifest)?;
        make_folder(into)?;
        let path = into.join("manifest.json");
        let written = create(&path, 0o600).and_then(|mut file| file.write_all(&bytes));
        written.map_err(|failed| InboxError::Write(path, failed))?;
        let path = format!("/v1/objects/{}", manifest.bundle);
        let mut from =
            server.open(&path).map_err(|failed| InboxError::Bundle(manifest.bundle, failed))?;
        split(&mut *from, manifest, &into.join("files"))
    }
}

/// The exact signed bytes: the view keeps the parsed manifest only, so they are asked for again.
fn manifest_bytes(
    server: &mut dyn Fetch,
    release: Digest,
    manifest: &Manifest,
) -> Result<Vec<u8>, InboxError> {
    let (vendor, component, version) = (&manifest.vendor, &manifest.component, manifest.version);
    let path = format!("/v1/targets/releases/{vendor}/{component}/{release}.{version}.json");
    match server.get(&Ask { path, limit: MANIFEST_BYTES_MAX, known: None }) {
        Answer::Bytes(bytes) if Digest::of(&bytes) == release => Ok(bytes),
        Answer::Bytes(_) => Err(InboxError::Digest("manifest".to_owned())),
        Answer::Missing | Answer::NotModified => {
            Err(InboxError::Manifest(release, "the server does not have it".to_owned()))
        }
        Answer::Failed(why) => Err(InboxError::Manifest(release, why)),
    }
}

/// Cuts a stream into the manifest's files, reading not one byte more than it promises.
fn split(from: &mut dyn Read, manifest: &Manifest, into: &Path) -> Result<(), InboxError> {
    make_folder(into)?;
    let mut bundle = Sha256::new();
    for entry in &manifest.files {
        let path = into.join(&entry.path);
        if let Some(parent) = path.parent() {
            make_folder(parent)?;
        }
        take_file(from, entry, &path, &mut bundle)?;
    }
    let mut more = [0];
    match from.read(&mut more) {
        Ok(0) if Digest(bundle.finalize().into()) == manifest.bundle => Ok(()),
        Ok(0) => Err(InboxError::Digest("the bundle".to_owned())),
        Ok(_) => Err(InboxError::Length("longer")),
        Err(failed) => Err(InboxError::Read("after the last".to_owned(), failed)),
    }
}

fn take_file(
    from: &mut dyn Read,
    entry: &FileEntry,
    path: &Path,
    bundle: &mut Sha256,
) -> Result<(), InboxError> {
    let failed = |failed| InboxError::Write(path.to_owned(), failed);
    let mode = if entry.executable { 0o700 } else { 0o600 };
    let mut file = create(path, mode).map_err(failed)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut left = entry.length;
    while left > 0 {
        let want = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
        let got = match from.read(&mut chunk[..want]) {
            Ok(0) => return Err(InboxError::Length("shorter")),
            Ok(got) => got,
            Err(again) if again.kind() == io::ErrorKind::Interrupted => continue,
            Err(failed) => return Err(InboxError::Read(entry.path.clone(), failed)),
        };
        hash.update(&chunk[..got]);
        bundle.update(&chunk[..got]);
        file.write_all(&chunk[..got]).map_err(failed)?;
        left -= got as u64;
    }
    if Digest(hash.finalize().into()) == entry.digest {
        Ok(())
    } else {
        Err(InboxError::Digest(entry.path.clone()))
    }
}

fn make_folder(path: &Path) -> Result<(), InboxError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|failed| InboxError::Write(path.to_owned(), failed))
}

/// A file that must not exist yet: two paths of a manifest can never be one file.
fn create(path: &Path, mode: u32) -> io::Result<std::fs::File> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

fn remove(path: &Path) -> Result<(), InboxError> {
    let removed = match std::fs::symlink_metadata(path) {
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(failed) => Err(failed),
        Ok(kind) if kind.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
    };
    removed.map_err(|failed| InboxError::Write(path.to_owned(), failed))
}
