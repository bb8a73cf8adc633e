//! Ed25519 cosignatures of checkpoints, `cosignature/v1` (C2SP tlog-cosignature): a witness's word
//! that at a time the log's largest consistent tree had this root. Their form, not their weight.
use crate::envelope::signature_is_valid;
use andon_model::limits::LOG_NUMBER_MAX;
use andon_model::{PublicKey, Signature};

/// Exactly what is signed: a header, the time in POSIX seconds, the whole text of the checkpoint.
#[must_use]
pub fn message(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// The time, POSIX seconds, if `bytes` are a time and this key's signature over it and the text.
#[must_use]
pub fn verify(key: &PublicKey, text: &str, bytes: &[u8]) -> Option<u64> {
    let (time, signature) = bytes.split_first_chunk::<8>()?;
    let time = u64::from_be_bytes(*time);
    let signature = Signature(signature.try_into().ok()?);
    let good = time <= LOG_NUMBER_MAX && signature_is_valid(key, &message(time, text), &signature);
    good.then_some(time)
}
