//! Signatures on envelopes: one key, any of several keys, or a threshold of distinct people.
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::policy::Person;
use andon_model::{PersonId, PublicKey, Signature};
use ed25519_dalek::VerifyingKey;
use std::collections::BTreeSet;

/// Why an envelope is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// signed, perhaps, but as something else
    #[error("envelope holds {got}, expected {want}")]
    PayloadType {
        /// what it says it is
        got: &'static str,
        /// what was asked for
        want: &'static str,
    },
    /// nobody we know has signed it
    #[error("no valid signature by a key that is trusted for this")]
    NoSignature,
    /// some have, but too few distinct people with distinct keys
    #[error("signed by {got} distinct people with distinct keys, {want} are needed")]
    Threshold {
        /// how many did
        got: usize,
        /// how many must
        want: u32,
    },
    /// a threshold of 0 would trust everybody
    #[error("a threshold of 0 is no threshold")]
    ThresholdZero,
}

/// Whether `signature` over `message` was made with `key` (Ed25519, RFC 8032; strict: small-order
/// keys and malleable signatures are refused).
#[must_use]
pub fn signature_is_valid(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
    VerifyingKey::from_bytes(&key.0).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
}

/// The payload, if `key` signed it as `kind`.
/// # Errors
/// [`VerifyError`].
pub fn verify_one<'e>(
    envelope: &'e Envelope,
    kind: PayloadType,
    key: &PublicKey,
) -> Result<&'e [u8], VerifyError> {
    verify_any(envelope, kind, std::slice::from_ref(key)).map(|(_, payload)| payload)
}

/// The payload, and the first of `keys` that signed it as `kind`.
/// # Errors
/// [`VerifyError`].
pub fn verify_any<'e>(
    envelope: &'e Envelope,
    kind: PayloadType,
    keys: &[PublicKey],
) -> Result<(PublicKey, &'e [u8]), VerifyError> {
    check_type(envelope, kind)?;
    let message = envelope.signed_bytes();
    for signature in &envelope.signatures {
        let claimed = keys.iter().find(|key| key.id() == signature.keyid);
        if let Some(key) = claimed
            && signature_is_valid(key, &message, &signature.sig)
        {
            return Ok((*key, &envelope.payload));
        }
    }
    Err(VerifyError::NoSignature)
}

/// The payload, if at least `threshold` distinct people, each with a key of their own, signed it.
/// One key listed under two people counts once; two keys of one person count once.
/// # Errors
/// [`VerifyError`].
pub fn verify_threshold<'e>(
    envelope: &'e Envelope,
    kind: PayloadType,
    people: &[Person],
    threshold: u32,
) -> Result<&'e [u8], VerifyError> {
    check_type(envelope, kind)?;
    if threshold == 0 {
        return Err(VerifyError::ThresholdZero);
    }
    let got = signers(envelope, people).len();
    if (got as u64) < u64::from(threshold) {
        return Err(VerifyError::Threshold { got, want: threshold });
    }
    Ok(&envelope.payload)
}

/// Distinct people of `people` with distinct keys who signed this envelope.
#[must_use]
pub fn signers(envelope: &Envelope, people: &[Person]) -> BTreeSet<PersonId> {
    let message = envelope.signed_bytes();
    let mut names = BTreeSet::new();
    for signature in &envelope.signatures {
        // A key speaks for the first person who lists it, so a key shared by two counts for one.
        let claimed = people.iter().find(|p| p.key.id() == signature.keyid);
        if let Some(person) = claimed
            && !names.contains(&person.person)
            && signature_is_valid(&person.key, &message, &signature.sig)
        {
            names.insert(person.person.clone());
        }
    }
    names
}

/// The distinct keys of `keys` with which this envelope is signed.
#[must_use]
pub fn signed_with(envelope: &Envelope, keys: &[PublicKey]) -> BTreeSet<PublicKey> {
    let message = envelope.signed_bytes();
    let mut with = BTreeSet::new();
    for signature in &envelope.signatures {
        let claimed = keys.iter().find(|key| key.id() == signature.keyid);
        if let Some(key) = claimed
            && !with.contains(key)
            && signature_is_valid(key, &message, &signature.sig)
        {
            with.insert(*key);
        }
    }
    with
}

fn check_type(envelope: &Envelope, want: PayloadType) -> Result<(), VerifyError> {
    if envelope.payload_type == want {
        return Ok(());
    }
    Err(VerifyError::PayloadType { got: envelope.payload_type.as_str(), want: want.as_str() })
}
