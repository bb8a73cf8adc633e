//! Verifier keys of notes: `<name>+<key id>+<base64(type || key)>` (C2SP signed-note, "Verifier
//! keys"). Private halves are `NoteKey`, behind the feature `sign`.
use super::text;
use andon_model::digest::{from_hex, to_hex};
use andon_model::{Digest, PublicKey};
use ed25519_dalek::VerifyingKey;
use std::fmt;
use std::str::FromStr;

/// The four bytes that with the name point at a key.
pub type NoteKeyId = [u8; 4];

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// notes as they are; a log's checkpoints (C2SP signed-note, type 0x01)
    Log,
    /// checkpoints and the time at which they were seen (C2SP tlog-cosignature, type 0x04)
    Witness,
}

impl KeyKind {
    pub(super) const fn byte(self) -> u8 {
        match self {
            KeyKind::Log => 0x01,
            KeyKind::Witness => 0x04,
        }
    }
    pub(super) fn of_byte(byte: u8) -> Option<KeyKind> {
        [KeyKind::Log, KeyKind::Witness].into_iter().find(|kind| kind.byte() == byte)
    }
}

/// An Ed25519 public key with its name and use.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    key: PublicKey,
    id: NoteKeyId,
}

/// Why a text is no verifier key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifierKeyError {
    /// not three parts, or a part that is no hexadecimal or base 64
    #[error("verifier key is not <name>+<8 hexadecimal digits>+<base 64>")]
    Form,
    /// a name that no signature line can carry
    #[error("name of a key is empty, too long, or has a space or a plus")]
    Name,
    /// not 0x01 or 0x04
    #[error("signature type {0:#04x} is not supported, 0x01 (log) and 0x04 (witness) are")]
    Kind(u8),
    /// not 32 bytes, no point of the curve, or one of small order
    #[error("verifier key holds no Ed25519 key that can be trusted")]
    Key,
    /// name, type and key give another id
    #[error("key id in the verifier key is not that of its name and key")]
    Id,
}

impl VerifierKey {
    /// A key by its parts.
    /// # Errors
    /// [`VerifierKeyError::Name`], [`VerifierKeyError::Key`].
    pub fn new(name: &str, kind: KeyKind, key: PublicKey) -> Result<VerifierKey, VerifierKeyError> {
        if !text::is_key_name(name) {
            return Err(VerifierKeyError::Name);
        }
        let strong = VerifyingKey::from_bytes(&key.0).is_ok_and(|key| !key.is_weak());
        if !strong {
            return Err(VerifierKeyError::Key);
        }
        let id = key_id(name, kind, &key);
        Ok(VerifierKey { name: name.to_owned(), kind, key, id })
    }
    /// Whose it is; of a log, its origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
    /// What it signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }
    /// The key itself.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.key
    }
    /// With the name, how signature lines refer to it.
    #[must_use]
    pub fn id(&self) -> NoteKeyId {
        self.id
    }
}

/// SHA-256(name, newline, type, key), first four bytes.
pub(super) fn key_id(name: &str, kind: KeyKind, key: &PublicKey) -> NoteKeyId {
    let digest = Digest::of_parts(&[name.as_bytes(), b"\n", &[kind.byte()], &key.0]);
    let [a, b, c, d, ..] = digest.0;
    [a, b, c, d]
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;
    fn from_str(given: &str) -> Result<VerifierKey, VerifierKeyError> {
        let mut parts = given.splitn(3, '+');
        let (name, id, key) = match (parts.next(), parts.next(), parts.next()) {
            (Some(name), Some(id), Some(key)) => (name, id, key),
            _ => return Err(VerifierKeyError::Form),
        };
        let id: NoteKeyId = from_hex(id, "key id").map_err(|_| VerifierKeyError::Form)?;
        let bytes = text::decode(key).ok_or(VerifierKeyError::Form)?;
        let (kind, key) = bytes.split_first().ok_or(VerifierKeyError::Form)?;
        let kind = KeyKind::of_byte(*kind).ok_or(VerifierKeyError::Kind(*kind))?;
        let key = key.try_into().map(PublicKey).map_err(|_| VerifierKeyError::Key)?;
        let parsed = VerifierKey::new(name, kind, key)?;
        if parsed.id != id {
            return Err(VerifierKeyError::Id);
        }
        Ok(parsed)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[self.kind.byte()], self.key.0.as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, to_hex(&self.id), text::encode(&bytes))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
