//! What a witness is asked and what it decides (C2SP tlog-witness, `add-checkpoint`). Its memory and
//! its signature are the shell's; here is whether a checkpoint may be cosigned after another.
//!
//! The caller must: ask [`authenticate`], then with the log's state locked [`advance`], make the new
//! state durable, and only then send the cosignature.
use super::checkpoint::{CheckpointError, SignedCheckpoint};
use super::policy::Policy;
use super::text;
use super::verified::{self, LogRefusal};
use andon_model::Digest;
use andon_model::limits::{MERKLE_PROOF_MAX, NOTE_BYTES_MAX, WITNESS_REQUEST_BYTES_MAX};
use andon_model::merkle::{self, Head};
use std::fmt::Write as _;

/// The body of `POST <prefix>/add-checkpoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// size of the checkpoint that the client believes to be the witness's newest
    pub old: u64,
    /// that it is a prefix of the new one
    pub proof: Vec<Digest>,
    /// the new one
    pub checkpoint: SignedCheckpoint,
}

/// Why a body is no request: "400 Bad Request".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// larger than allowed
    #[error("request has {0} bytes, at most {WITNESS_REQUEST_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// not UTF-8
    #[error("request is not UTF-8 text")]
    Characters,
    /// the first line
    #[error("request does not begin with: old SIZE")]
    Old,
    /// a line of the proof; counted from 1
    #[error("proof line {0} of the request is not 32 bytes in base 64")]
    Hash(usize),
    /// more than the protocol allows
    #[error("request has over {MERKLE_PROOF_MAX} proof lines")]
    Hashes,
    /// the rest
    #[error("read checkpoint of the request")]
    Checkpoint(#[from] CheckpointError),
}

/// Why a witness does not cosign, and the status by which it says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WitnessRefusal {
    /// 404
    #[error("log {0:?} is not watched here")]
    UnknownLog(String),
    /// 403
    #[error("checkpoint is not validly signed by its log")]
    Forbidden(#[source] LogRefusal),
    /// 400
    #[error("old size {old} is larger than the checkpoint's {size}")]
    OldBeyond {
        /// as the client says
        old: u64,
        /// of the checkpoint
        size: u64,
    },
    /// 409, with the size as the body
    #[error("newest cosigned checkpoint has size {known}")]
    Conflict {
        /// what the client should name as old size
        known: u64,
    },
    /// 422
    #[error("checkpoint is not shown to be consistent with the newest cosigned one")]
    Inconsistent,
}

impl WitnessRefusal {
    /// The HTTP status of the specification.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            WitnessRefusal::OldBeyond { .. } => 400,
            WitnessRefusal::Forbidden(_) => 403,
            WitnessRefusal::UnknownLog(_) => 404,
            WitnessRefusal::Conflict { .. } => 409,
            WitnessRefusal::Inconsistent => 422,
        }
    }
}

impl AddCheckpoint {
    /// Reads a request; checks form and limits only.
    /// # Errors
    /// [`RequestError`].
    pub fn parse(bytes: &[u8]) -> Result<AddCheckpoint, RequestError> {
        const { assert!(WITNESS_REQUEST_BYTES_MAX >= NOTE_BYTES_MAX + 64 * 45 + 64) };
        if bytes.len() > WITNESS_REQUEST_BYTES_MAX {
            return Err(RequestError::TooLarge(bytes.len()));
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| RequestError::Characters)?;
        let (line, mut rest) = whole.split_once('\n').ok_or(RequestError::Old)?;
        let old = line.strip_prefix("old ").and_then(text::decimal).ok_or(RequestError::Old)?;
        let mut proof = Vec::new();
        loop {
            let at = proof.len() + 1;
            let (line, after) = rest.split_once('\n').ok_or(RequestError::Hash(at))?;
            rest = after;
            if line.is_empty() {
                break;
            }
            if proof.len() == MERKLE_PROOF_MAX {
                return Err(RequestError::Hashes);
            }
            proof.push(text::hash(line).ok_or(RequestError::Hash(at))?);
        }
        let checkpoint = SignedCheckpoint::parse(rest.as_bytes())?;
        Ok(AddCheckpoint { old, proof, checkpoint })
    }
    /// As sent.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = format!("old {}\n", self.old);
        for hash in &self.proof {
            let _infallible = writeln!(out, "{}", text::encode(&hash.0));
        }
        out.push('\n');
        out.push_str(&self.checkpoint.to_text());
        out
    }
}

/// Whether one of these logs signed the checkpoint; lines of strangers are ignored.
/// # Errors
/// [`WitnessRefusal::UnknownLog`], [`WitnessRefusal::Forbidden`].
pub fn authenticate(request: &AddCheckpoint, logs: &Policy) -> Result<(), WitnessRefusal> {
    match verified::checkpoint(&request.checkpoint, logs) {
        Ok(_) => Ok(()),
        Err(LogRefusal::Origin(origin)) => Err(WitnessRefusal::UnknownLog(origin)),
        Err(why) => Err(WitnessRefusal::Forbidden(why)),
    }
}

/// The head that may be cosigned when `known` is the newest one cosigned of this log
/// ([`Head::empty`] if there is none).
/// # Errors
/// [`WitnessRefusal`], in the order of the specification.
pub fn advance(request: &AddCheckpoint, known: &Head) -> Result<Head, WitnessRefusal> {
    let head = request.checkpoint.checkpoint().head;
    if request.old > head.size {
        return Err(WitnessRefusal::OldBeyond { old: request.old, size: head.size });
    }
    if request.old != known.size {
        return Err(WitnessRefusal::Conflict { known: known.size });
    }
    if head.size == 0 && head != Head::empty() {
        return Err(WitnessRefusal::Inconsistent);
    }
    if !merkle::verify_consistency(known, &head, &request.proof) {
        return Err(WitnessRefusal::Inconsistent);
    }
    Ok(head)
}
