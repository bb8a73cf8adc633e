//! A file that metadata vouches for, and the check of its bytes while they stream.
use super::name::local_path;
use andon_model::digest::to_hex;
use andon_model::limits::RELEASE_BYTES_MAX;
use sha2::{Digest as _, Sha256, Sha512};
use std::collections::BTreeMap;

/// Why a file is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// a name that does not stay in its folder
    #[error("{0:?} is not a path below a folder")]
    Name(String),
    /// too large
    #[error("its {0} bytes are over {RELEASE_BYTES_MAX}")]
    TooLarge(u64),
    /// nothing to hold it against
    #[error("it has neither a SHA-256 nor a SHA-512 digest")]
    Hashes,
    /// not the bytes that were promised
    #[error("it has another length than the {0} bytes promised")]
    Length(u64),
    /// not the bytes that were promised
    #[error("its {0} digest is not the one promised")]
    Digest(&'static str),
}

/// A file as a role lists it: path, length, digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    path: String,
    length: u64,
    sha256: Option<String>,
    sha512: Option<String>,
    prefixed: bool,
}

impl File {
    pub(super) fn new(
        path: &str,
        length: u64,
        hashes: &BTreeMap<String, String>,
        prefixed: bool,
    ) -> Result<File, FileError> {
        local_path(path)?;
        if length > RELEASE_BYTES_MAX {
            return Err(FileError::TooLarge(length));
        }
        let hash = |name: &str, digits: usize| {
            let text = hashes.get(name)?;
            let hex = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
            hex.then(|| text.to_ascii_lowercase())
        };
        let (sha256, sha512) = (hash("sha256", 64), hash("sha512", 128));
        if sha256.is_none() && sha512.is_none() {
            return Err(FileError::Hashes);
        }
        Ok(File { path: path.to_owned(), length, sha256, sha512, prefixed })
    }

    /// Its name, a path below a folder ([`local_path`]).
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// One of its digests, in hexadecimal: SHA-256 where there is one.
    #[must_use]
    pub fn digest(&self) -> &str {
        self.sha256.as_deref().or(self.sha512.as_deref()).unwrap_or_default()
    }

    /// Its path on the server, not percent-encoded: `folder/DIGEST.name` where snapshots are
    /// consistent (specification 6.2).
    #[must_use]
    pub fn remote_path(&self) -> String {
        if !self.prefixed {
            return self.path.clone();
        }
        match self.path.rsplit_once('/') {
            Some((folder, name)) => format!("{folder}/{}.{name}", self.digest()),
            None => format!("{}.{}", self.digest(), self.path),
        }
    }

    /// Begins to check bytes.
    #[must_use]
    pub fn check(&self) -> Check<'_> {
        Check {
            file: self,
            length: 0,
            sha256: self.sha256.as_ref().map(|_| Sha256::new()),
            sha512: self.sha512.as_ref().map(|_| Sha512::new()),
        }
    }
}

/// The check of one file's bytes, fed as they come.
#[derive(Clone, Debug)]
pub struct Check<'f> {
    file: &'f File,
    length: u64,
    sha256: Option<Sha256>,
    sha512: Option<Sha512>,
}

impl Check<'_> {
    /// Takes the next bytes.
    /// # Errors
    /// [`FileError::Length`] as soon as there are too many: endless data ends here.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.length = self.length.saturating_add(bytes.len() as u64);
        if self.length > self.file.length {
            return Err(FileError::Length(self.file.length));
        }
        if let Some(hash) = &mut self.sha256 {
            hash.update(bytes);
        }
        if let Some(hash) = &mut self.sha512 {
            hash.update(bytes);
        }
        Ok(())
    }

    /// Bytes taken so far.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Whether all bytes came, and every digest that is known fits.
    /// # Errors
    /// [`FileError`].
    pub fn finish(self) -> Result<(), FileError> {
        if self.length != self.file.length {
            return Err(FileError::Length(self.file.length));
        }
        let got = self.sha256.map(|hash| to_hex(&hash.finalize()));
        if got != self.file.sha256 {
            return Err(FileError::Digest("SHA-256"));
        }
        let got = self.sha512.map(|hash| to_hex(&hash.finalize()));
        if got != self.file.sha512 {
            return Err(FileError::Digest("SHA-512"));
        }
        Ok(())
    }
}
