//! The signing side: keys, and envelopes signed with them. Randomness is an argument.
use andon_model::envelope::{Envelope, EnvelopeSignature, PayloadType};
use andon_model::{PublicKey, Signature};
use ed25519_dalek::Signer as _;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An Ed25519 private key. Never printed.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// From 32 random bytes, drawn by the caller.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> SigningKey {
        SigningKey(ed25519_dalek::SigningKey::from_bytes(&seed))
    }
    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }
    /// The private half, for a form of key file other than ours.
    pub(crate) fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }
    /// A bare signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
    /// A payload in an envelope with this key's signature.
    #[must_use]
    pub fn seal(&self, payload_type: PayloadType, payload: &[u8]) -> Envelope {
        let mut envelope =
            Envelope { payload_type, payload: payload.to_vec(), signatures: Vec::new() };
        self.add(&mut envelope);
        envelope
    }
    /// Adds this key's signature, once.
    pub fn add(&self, envelope: &mut Envelope) {
        let keyid = self.public().id();
        if envelope.signatures.iter().any(|s| s.keyid == keyid) {
            return;
        }
        let sig = self.sign(&envelope.signed_bytes());
        envelope.signatures.push(EnvelopeSignature { keyid, sig });
    }
    /// As a file's content.
    #[must_use]
    pub fn to_file(&self, name: &str, role: &str) -> KeyFile {
        KeyFile {
            schema: 1,
            name: name.to_owned(),
            role: role.to_owned(),
            public: self.public(),
            private: PublicKey(self.0.to_bytes()).to_string(),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}…)", &self.public().to_string()[..8])
    }
}

/// A key as it lies in a file (mode 0600 is the writer's duty).
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// format of this object; 1
    pub schema: u32,
    /// whose it is: a person or a role
    pub name: String,
    /// what it is for, for people
    pub role: String,
    /// public half, so that a mix-up is noticed
    pub public: PublicKey,
    /// private half: 32 bytes in hexadecimal
    private: String,
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFile({}, {})", self.name, self.role)
    }
}

/// Why a key file was refused.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// larger than any key file
    #[error("key file has {0} bytes, at most 4096 are allowed")]
    TooLarge(usize),
    /// for a person, and a program reads it
    #[error(
        "key file is encrypted by a passphrase; where nobody types one, it has to be plain, at mode 0600"
    )]
    Encrypted,
    /// not the JSON we expect
    #[error("parse key file")]
    Parse(#[source] serde_json::Error),
    /// not 32 bytes in hexadecimal
    #[error("private key in the file is not 32 bytes in hexadecimal")]
    Private,
    /// halves that do not belong together
    #[error("public key in the file does not belong to its private key")]
    Mismatch,
}

/// How files in the age format begin (<https://c2sp.org/age>), binary and armoured.
const AGE: [&[u8]; 2] = [b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----"];

impl KeyFile {
    /// Reads a key file.
    /// # Errors
    /// [`KeyFileError`].
    pub fn parse(bytes: &[u8]) -> Result<(KeyFile, SigningKey), KeyFileError> {
        if bytes.len() > 4096 {
            return Err(KeyFileError::TooLarge(bytes.len()));
        }
        // Recognised only: opening it is `andon`'s.
        if AGE.iter().any(|beginning| bytes.starts_with(beginning)) {
            return Err(KeyFileError::Encrypted);
        }
        let file: KeyFile = serde_json::from_slice(bytes).map_err(KeyFileError::Parse)?;
        let seed: PublicKey = file.private.parse().map_err(|_| KeyFileError::Private)?;
        let key = SigningKey::from_seed(seed.0);
        if key.public() != file.public {
            return Err(KeyFileError::Mismatch);
        }
        Ok((file, key))
    }
    /// As written.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = serde_json::to_vec_pretty(self).unwrap_or_default();
        out.push(b'\n');
        out
    }
}
