//! Private keys as files, of people and roles and of logs and witnesses: made from the kernel's randomness, kept at mode 0600, found by path or,
//! inside a folder of `andon init`, by short name.
use crate::files::{self, Access, FileError};
use crate::layout::Layout;
use andon_trust::log::key::VerifierKeyError;
use andon_trust::log::{KeyKind, NoteKey};
use andon_trust::sign::{KeyFile, SigningKey};
use std::path::{Path, PathBuf};

/// Largest key file, bytes.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// What the key file of a gate verifier says it is for.
pub(crate) const VERIFIER: &str = "gate verifier: cosigns tickets; keep off the server";

/// What the key file of a rig says it is for.
pub(crate) const RIG: &str = "rig: signs attestations; keep off the server";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// no randomness
    #[error("draw randomness for a key")]
    Random(getrandom::Error),
    /// file trouble
    #[error("use key file")]
    File(#[from] FileError),
    /// not a key file
    #[error("read key file {path}")]
    Form {
        /// which
        path: PathBuf,
        /// why
        source: andon_trust::sign::KeyFileError,
    },
    /// not a note key, or a name that none can have
    #[error("use {path} as the key of a log or witness")]
    Note {
        /// which
        path: PathBuf,
        /// why
        source: VerifierKeyError,
    },
    /// no such file or name
    #[error("find key {0:?}, neither a file nor a name in the keys folder")]
    Missing(String),
    /// readable by others
    #[error("key file {0} can be read by others; chmod 600 it")]
    Exposed(PathBuf),
}

/// A key in memory, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct HeldKey {
    /// what the key file says
    pub(crate) name: String,
    /// what it is for
    pub(crate) role: String,
    /// the key
    pub(crate) key: SigningKey,
}

/// Thirty-two bytes of the kernel's randomness.
/// # Errors
/// [`KeyError::Random`].
pub(crate) fn random() -> Result<[u8; 32], KeyError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
    Ok(bytes)
}

/// Makes a key and its file.
/// # Errors
/// [`KeyError`].
pub(crate) fn make(path: &Path, name: &str, role: &str) -> Result<HeldKey, KeyError> {
    let key = SigningKey::from_seed(random()?);
    files::create(path, &key.to_file(name, role).to_bytes(), Access::Secret)?;
    Ok(HeldKey { name: name.to_owned(), role: role.to_owned(), key })
}

/// Reads a key file; refuses one that others may read.
/// # Errors
/// [`KeyError`].
pub(crate) fn read(path: &Path) -> Result<HeldKey, KeyError> {
    let bytes = files::read(path, KEY_FILE_BYTES_MAX)?;
    if files::is_exposed(path) {
        return Err(KeyError::Exposed(path.to_owned()));
    }
    let form = |source| KeyError::Form { path: path.to_owned(), source };
    let (file, key) = KeyFile::parse(&bytes).map_err(form)?;
    Ok(HeldKey { name: file.name, role: file.role, key })
}

/// Makes the key of a log or a witness and its file, in the form of C2SP's notes.
/// # Errors
/// [`KeyError`].
pub(crate) fn make_note(path: &Path, name: &str, kind: KeyKind) -> Result<NoteKey, KeyError> {
    let wrong = |source| KeyError::Note { path: path.to_owned(), source };
    let key = NoteKey::new(name, kind, SigningKey::from_seed(random()?)).map_err(wrong)?;
    files::create(path, format!("{}\n", key.to_secret_text()).as_bytes(), Access::Secret)?;
    Ok(key)
}

/// Reads the key of a log or a witness; refuses a file that others may read.
/// # Errors
/// [`KeyError`].
pub(crate) fn read_note(path: &Path) -> Result<NoteKey, KeyError> {
    let bytes = files::read(path, KEY_FILE_BYTES_MAX)?;
    if files::is_exposed(path) {
        return Err(KeyError::Exposed(path.to_owned()));
    }
    let wrong = |source| KeyError::Note { path: path.to_owned(), source };
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong(VerifierKeyError::Form))?;
    text.trim_end().parse().map_err(wrong)
}

/// Finds a key by path, or by name below the keys folder: `alice` (a person), `vendors/acme/1`,
/// `platform/cord`.
/// # Errors
/// [`KeyError`].
pub(crate) fn find(word: &str, layout: Option<&Layout>) -> Result<HeldKey, KeyError> {
    let mut places = vec![PathBuf::from(word)];
    if let Some(layout) = layout {
        places.push(layout.keys().join("people").join(format!("{word}.json")));
        places.push(layout.keys().join(format!("{word}.json")));
    }
    match places.iter().find(|path| path.is_file()) {
        Some(path) => read(path),
        None => Err(KeyError::Missing(word.to_owned())),
    }
}
