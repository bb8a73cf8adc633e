//! The signing side of notes: a private key with its name and use, as text
//! `PRIVATE+KEY+<name>+<key id>+<base64(type || seed)>` (golang.org/x/mod/sumdb/note). The time is an
//! argument; what may be signed is the caller's business.
use super::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use super::cosignature;
use super::key::{KeyKind, VerifierKey, VerifierKeyError};
use super::note::{Note, NoteSignature};
use super::text;
use crate::sign::SigningKey;
use andon_model::digest::{from_hex, to_hex};
use andon_model::limits::LOG_NUMBER_MAX;
use std::fmt;
use std::str::FromStr;

const PREFIX: &str = "PRIVATE+KEY+";

/// A key that signs notes (a log's) or cosigns checkpoints (a witness's). Never printed.
#[derive(Clone)]
pub struct NoteKey {
    key: SigningKey,
    verifier: VerifierKey,
}

impl NoteKey {
    /// A key by its parts.
    /// # Errors
    /// [`VerifierKeyError::Name`].
    pub fn new(name: &str, kind: KeyKind, key: SigningKey) -> Result<NoteKey, VerifierKeyError> {
        let verifier = VerifierKey::new(name, kind, key.public())?;
        Ok(NoteKey { key, verifier })
    }
    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }
    /// The text to keep secret.
    #[must_use]
    pub fn to_secret_text(&self) -> String {
        let bytes = [&[self.verifier.kind().byte()], self.key.seed().as_slice()].concat();
        let id = to_hex(&self.verifier.id());
        format!("{PREFIX}{}+{id}+{}", self.verifier.name(), text::encode(&bytes))
    }
    /// This key's line for a text. A log's key ignores the time; a witness's needs it, POSIX seconds
    /// at most 2^63 - 1, and signs the largest for a larger one.
    #[must_use]
    pub fn sign(&self, text: &str, time: u64) -> NoteSignature {
        let bytes = match self.verifier.kind() {
            KeyKind::Log => self.key.sign(text.as_bytes()).0.to_vec(),
            KeyKind::Witness => {
                let time = time.min(LOG_NUMBER_MAX);
                let signature = self.key.sign(&cosignature::message(time, text));
                [time.to_be_bytes().as_slice(), &signature.0].concat()
            }
        };
        NoteSignature { name: self.verifier.name().to_owned(), id: self.verifier.id(), bytes }
    }
    /// A checkpoint in a note with this key's signature.
    /// # Errors
    /// [`CheckpointError`] when the checkpoint could not be read back: an origin or an extension
    /// line that is empty, over a limit, or of more than one line.
    pub fn seal(
        &self,
        checkpoint: &Checkpoint,
        time: u64,
    ) -> Result<SignedCheckpoint, CheckpointError> {
        let mut note = Note::unsigned(&checkpoint.to_text())?;
        note.add(self.sign(note.text(), time));
        SignedCheckpoint::parse(note.to_text().as_bytes())
    }
}

impl FromStr for NoteKey {
    type Err = VerifierKeyError;
    fn from_str(given: &str) -> Result<NoteKey, VerifierKeyError> {
        let mut parts = given.strip_prefix(PREFIX).ok_or(VerifierKeyError::Form)?.splitn(3, '+');
        let (name, id, seed) = match (parts.next(), parts.next(), parts.next()) {
            (Some(name), Some(id), Some(seed)) => (name, id, seed),
            _ => return Err(VerifierKeyError::Form),
        };
        let id: [u8; 4] = from_hex(id, "key id").map_err(|_| VerifierKeyError::Form)?;
        let bytes = text::decode(seed).ok_or(VerifierKeyError::Form)?;
        let (kind, seed) = bytes.split_first().ok_or(VerifierKeyError::Form)?;
        let kind = KeyKind::of_byte(*kind).ok_or(VerifierKeyError::Kind(*kind))?;
        let seed = seed.try_into().map_err(|_| VerifierKeyError::Key)?;
        let parsed = NoteKey::new(name, kind, SigningKey::from_seed(seed))?;
        if parsed.verifier.id() != id {
            return Err(VerifierKeyError::Id);
        }
        Ok(parsed)
    }
}

impl fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteKey({})", self.verifier)
    }
}
