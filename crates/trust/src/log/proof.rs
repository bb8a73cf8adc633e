//! Proofs of logging, `.tlog-proof` files (C2SP tlog-proof): an entry's index, the hashes beside its
//! way to the root, the checkpoint with its cosignatures. Everything needed offline but the policy
//! and the entry itself.
use super::checkpoint::{CheckpointError, SignedCheckpoint};
use super::policy::Policy;
use super::text;
use super::verified::{self, LogRefusal, Verified};
use andon_model::Digest;
use andon_model::limits::{LOG_EXTRA_BYTES_MAX, LOG_PROOF_BYTES_MAX, MERKLE_PROOF_MAX};
use andon_model::merkle;
use std::fmt::Write as _;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A proof as read; [`LogProof::verify`] says whether it proves anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    /// unauthenticated data for the application; never trust it
    pub extra: Option<Vec<u8>>,
    /// place of the entry in the log, from 0
    pub index: u64,
    /// hashes beside the way from the entry to the root, lowest first
    pub hashes: Vec<Digest>,
    /// the log's word for size and root
    pub checkpoint: SignedCheckpoint,
}

/// Why bytes are no proof of logging.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogProofError {
    /// larger than allowed
    #[error("log proof has {0} bytes, at most {LOG_PROOF_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// not UTF-8
    #[error("log proof is not UTF-8 text")]
    Characters,
    /// another first line
    #[error("log proof does not begin with {HEADER}")]
    Header,
    /// an `extra` line that is empty, too long or no base 64
    #[error("extra data of the log proof is not 1 to {LOG_EXTRA_BYTES_MAX} bytes in base 64")]
    Extra,
    /// no `index` line
    #[error("log proof has no index line with a decimal number")]
    Index,
    /// a hash that is none; counted from 1
    #[error("hash {0} of the log proof is not 32 bytes in base 64")]
    Hash(usize),
    /// more than a proof can have
    #[error("log proof has over {MERKLE_PROOF_MAX} hashes")]
    Hashes,
    /// the rest
    #[error("read checkpoint of the log proof")]
    Checkpoint(#[from] CheckpointError),
}

impl LogProof {
    /// Reads a proof; checks form and limits only.
    /// # Errors
    /// [`LogProofError`].
    pub fn parse(bytes: &[u8]) -> Result<LogProof, LogProofError> {
        if bytes.len() > LOG_PROOF_BYTES_MAX {
            return Err(LogProofError::TooLarge(bytes.len()));
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| LogProofError::Characters)?;
        let (header, mut rest) = whole.split_once('\n').ok_or(LogProofError::Header)?;
        if header != HEADER {
            return Err(LogProofError::Header);
        }
        let mut extra = None;
        if let Some(after) = rest.strip_prefix("extra ") {
            let (line, after) = after.split_once('\n').ok_or(LogProofError::Extra)?;
            let fits = |data: &Vec<u8>| (1..=LOG_EXTRA_BYTES_MAX).contains(&data.len());
            extra = Some(text::decode(line).filter(fits).ok_or(LogProofError::Extra)?);
            rest = after;
        }
        let after = rest.strip_prefix("index ").ok_or(LogProofError::Index)?;
        let (line, mut rest) = after.split_once('\n').ok_or(LogProofError::Index)?;
        let index = text::decimal(line).ok_or(LogProofError::Index)?;
        let mut hashes = Vec::new();
        loop {
            let at = hashes.len() + 1;
            let (line, after) = rest.split_once('\n').ok_or(LogProofError::Hash(at))?;
            rest = after;
            if line.is_empty() {
                break;
            }
            if hashes.len() == MERKLE_PROOF_MAX {
                return Err(LogProofError::Hashes);
            }
            hashes.push(text::hash(line).ok_or(LogProofError::Hash(at))?);
        }
        let checkpoint = SignedCheckpoint::parse(rest.as_bytes())?;
        Ok(LogProof { extra, index, hashes, checkpoint })
    }
    /// As written.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = format!("{HEADER}\n");
        if let Some(extra) = &self.extra {
            let _infallible = writeln!(out, "extra {}", text::encode(extra));
        }
        let _infallible = writeln!(out, "index {}", self.index);
        for hash in &self.hashes {
            let _infallible = writeln!(out, "{}", text::encode(&hash.0));
        }
        out.push('\n');
        out.push_str(&self.checkpoint.to_text());
        out
    }
    /// Whether a log of the policy holds the entry with hash `leaf` ([`merkle::leaf`]) and enough
    /// witnesses have seen it. In the order of the specification: origin and the log's signature,
    /// cosignatures and quorum, inclusion.
    /// # Errors
    /// [`LogRefusal`].
    pub fn verify(&self, leaf: Digest, policy: &Policy) -> Result<Verified, LogRefusal> {
        let checkpoint = verified::checkpoint(&self.checkpoint, policy)?;
        let head = checkpoint.head();
        if !merkle::verify(&head.root, head.size, self.index, &leaf, &self.hashes) {
            return Err(LogRefusal::Inclusion { index: self.index, size: head.size });
        }
        Ok(Verified::new(checkpoint, self.index, leaf))
    }
}
