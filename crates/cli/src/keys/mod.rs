//! Private keys as files, of people and roles and of logs and witnesses: made from the kernel's randomness, kept at mode 0600, plain or under a
//! passphrase (told apart by content), found by path or, inside a folder of `andon init`, by short name. Whoever needs a private key comes through
//! [`read`] or [`read_note`].
mod passphrase;
mod public;
mod sealed;
mod terminal;

pub(crate) use passphrase::{Passphrase, PassphraseError, Passphrases};
pub(crate) use public::PublicHalf;
pub(crate) use sealed::SealError;

use crate::files::{self, Access, FileError};
use crate::layout::Layout;
use crate::output;
use andon_model::{PublicKey, Time};
use andon_trust::log::key::VerifierKeyError;
use andon_trust::log::{KeyKind, NoteKey};
use andon_trust::sign::{KeyFile, SigningKey};
use std::path::{Path, PathBuf};

/// Largest key file, bytes.
pub(crate) const KEY_FILE_BYTES_MAX: u64 = 4096;

/// Endings of key files, by form: what is inside decides, the ending is for people.
const PLAIN: &str = "json";
const SEALED: &str = "age";

/// What stands between the name of a key file that has been replaced and the day of that.
pub(crate) const RETIRED: &str = ".retired-";

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
    /// under a passphrase, and there is none
    #[error("open key file {path}")]
    Passphrase {
        /// which
        path: PathBuf,
        /// why
        source: Box<PassphraseError>,
    },
    /// no passphrase for a new one
    #[error("seal new key")]
    NewPassphrase(#[source] Box<PassphraseError>),
    /// under a passphrase, and it does not open
    #[error("decrypt key file {path}")]
    Sealed {
        /// which
        path: PathBuf,
        /// why
        source: Box<SealError>,
    },
    /// could not be encrypted
    #[error("encrypt key")]
    Seal(#[source] Box<SealError>),
    /// halves that do not belong together
    #[error(
        "{public} beside key file {path} is not its public half; whoever changed one of them knows why"
    )]
    Pair {
        /// the private half
        path: PathBuf,
        /// the other
        public: PathBuf,
    },
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

/// How the keys of people are kept. Those of programs are always plain: nobody is there to type.
#[derive(Clone, Debug)]
pub(crate) enum Keeping {
    /// as they are, at mode 0600
    Plain,
    /// under a passphrase, the public half in a file beside it
    Sealed {
        /// which
        passphrase: Passphrase,
        /// when they were made
        made: Time,
    },
}

impl HeldKey {
    /// A new key, in memory only.
    /// # Errors
    /// [`KeyError::Random`].
    pub(crate) fn draw(name: &str, role: &str) -> Result<HeldKey, KeyError> {
        let key = SigningKey::from_seed(random()?);
        Ok(HeldKey { name: name.to_owned(), role: role.to_owned(), key })
    }

    /// What its file holds, under a passphrase if there is one.
    /// # Errors
    /// [`KeyError::Seal`].
    pub(crate) fn content(&self, passphrase: Option<&Passphrase>) -> Result<Vec<u8>, KeyError> {
        let plain = self.key.to_file(&self.name, &self.role).to_bytes();
        match passphrase {
            Some(passphrase) => {
                sealed::seal(&plain, passphrase).map_err(|why| KeyError::Seal(Box::new(why)))
            }
            None => Ok(plain),
        }
    }
}

/// Where a key lies that would lie at `path` as a plain one.
pub(crate) fn place(path: &Path, sealed: bool) -> PathBuf {
    path.with_extension(if sealed { SEALED } else { PLAIN })
}

/// Makes a key and its file, plain: for programs, and for people who want it so.
/// # Errors
/// [`KeyError`].
pub(crate) fn make(path: &Path, name: &str, role: &str) -> Result<HeldKey, KeyError> {
    let held = HeldKey::draw(name, role)?;
    files::create(path, &held.content(None)?, Access::Secret)?;
    Ok(held)
}

/// Makes a person's key and its file: at `path` if plain, beside it if sealed.
/// # Errors
/// [`KeyError`].
pub(crate) fn make_kept(
    path: &Path,
    name: &str,
    role: &str,
    keeping: &Keeping,
) -> Result<HeldKey, KeyError> {
    let Keeping::Sealed { passphrase, made } = keeping else { return make(path, name, role) };
    let held = HeldKey::draw(name, role)?;
    let sealed = held.content(Some(passphrase))?;
    files::create(
        &PublicHalf::beside(path),
        &PublicHalf::of(&held, *made).to_bytes(),
        Access::Public,
    )?;
    files::create(&place(path, true), &sealed, Access::Secret)?;
    Ok(held)
}

/// Reads a key file; refuses a plain one that others may read, and one beside another key's public half.
/// # Errors
/// [`KeyError`].
pub(crate) fn read(path: &Path, passphrases: &Passphrases) -> Result<HeldKey, KeyError> {
    let bytes = open(path, passphrases)?;
    let form = |source| KeyError::Form { path: path.to_owned(), source };
    let (file, key) = KeyFile::parse(&bytes).map_err(form)?;
    let held = HeldKey { name: file.name, role: file.role, key };
    let beside = PublicHalf::beside(path);
    match PublicHalf::read(&beside) {
        Some(half) if !half.is_of(&held) => {
            Err(KeyError::Pair { path: path.to_owned(), public: beside })
        }
        _ => Ok(held),
    }
}

/// The content of a private key's file, as if it were plain. The one place where any is opened.
fn open(path: &Path, passphrases: &Passphrases) -> Result<Vec<u8>, KeyError> {
    let bytes = files::read(path, KEY_FILE_BYTES_MAX)?;
    let exposed = files::is_exposed(path);
    if !sealed::is_sealed(&bytes) {
        return if exposed { Err(KeyError::Exposed(path.to_owned())) } else { Ok(bytes) };
    }
    if exposed {
        output::note(format_args!(
            "warning: key file {} can be read by others, who may guess its passphrase; chmod 600 it",
            path.display()
        ));
    }
    passphrases
        .open(path, |passphrase| sealed::open(&bytes, passphrase))
        .map_err(|why| KeyError::Passphrase { path: path.to_owned(), source: Box::new(why) })?
        .map_err(|why| KeyError::Sealed { path: path.to_owned(), source: Box::new(why) })
}

/// The public half of a plain key file; `None`: it is encrypted, or no key of ours.
/// # Errors
/// [`KeyError::File`].
pub(crate) fn public_of(path: &Path) -> Result<Option<PublicKey>, KeyError> {
    let bytes = files::read(path, KEY_FILE_BYTES_MAX)?;
    Ok(KeyFile::parse(&bytes).ok().map(|(_, key)| key.public()))
}

/// Whether a file's content is encrypted.
pub(crate) fn is_sealed(bytes: &[u8]) -> bool {
    sealed::is_sealed(bytes)
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

/// Reads the key of a log or a witness, as [`read`] does.
/// # Errors
/// [`KeyError`].
pub(crate) fn read_note(path: &Path, passphrases: &Passphrases) -> Result<NoteKey, KeyError> {
    let bytes = open(path, passphrases)?;
    let wrong = |source| KeyError::Note { path: path.to_owned(), source };
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong(VerifierKeyError::Form))?;
    text.trim_end().parse().map_err(wrong)
}

/// Finds a key's file by path, or by name below the keys folder: `alice` (a person), `vendors/acme/1`,
/// `platform/cord`.
pub(crate) fn locate(word: &str, layout: Option<&Layout>) -> Option<PathBuf> {
    let mut places = vec![PathBuf::from(word)];
    if let Some(layout) = layout {
        for folder in [layout.keys().join("people"), layout.keys()] {
            places.extend([PLAIN, SEALED].map(|ending| folder.join(format!("{word}.{ending}"))));
        }
    }
    places.into_iter().find(|path| path.is_file())
}

/// Finds a key as [`locate`] does, and reads it.
/// # Errors
/// [`KeyError`].
pub(crate) fn find(
    word: &str,
    layout: Option<&Layout>,
    passphrases: &Passphrases,
) -> Result<HeldKey, KeyError> {
    match locate(word, layout) {
        Some(path) => read(&path, passphrases),
        None => Err(KeyError::Missing(word.to_owned())),
    }
}
