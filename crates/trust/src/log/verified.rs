//! What verification says: a checkpoint, or an entry, that a policy accepts. Nothing else makes these
//! values, so whoever holds one has checked it.
use super::checkpoint::{Checkpoint, SignedCheckpoint};
use super::note::{Seen, SignatureError};
use super::policy::Policy;
use andon_model::merkle::Head;
use andon_model::{Digest, Time};

/// A checkpoint that a log of the policy signed and enough of its witnesses cosigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    checkpoint: Checkpoint,
    /// every witness of the policy that cosigned, and when
    cosigned: Vec<(String, Time)>,
    quorum_time: Option<Time>,
}

/// An entry that such a checkpoint holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    checkpoint: VerifiedCheckpoint,
    index: u64,
    leaf: Digest,
}

/// Why a checkpoint or a proof is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogRefusal {
    /// no log of the policy has this name
    #[error("log {0:?} is not in the policy")]
    Origin(String),
    /// the policy's log did not sign it
    #[error("checkpoint is not signed by log {0:?}")]
    Unsigned(String),
    /// a known key's signature that is wrong: the whole note is refused
    #[error("verify signatures of the checkpoint")]
    Signature(#[from] SignatureError),
    /// too few of the policy's witnesses
    #[error("{got} of {known} witnesses have cosigned, the policy's quorum is not reached")]
    Quorum {
        /// how many of the policy's did
        got: usize,
        /// how many the policy names
        known: usize,
    },
    /// the hashes do not lead from the entry to the root
    #[error("log proof does not show the entry at index {index} of {size}")]
    Inclusion {
        /// where it should be
        index: u64,
        /// entries in the log
        size: u64,
    },
}

/// Whether a policy accepts a checkpoint: signed by one of its logs under that log's own name, and
/// cosigned by a quorum of its witnesses. A wrong signature by any key of the policy refuses all.
/// # Errors
/// [`LogRefusal`], but for [`LogRefusal::Inclusion`].
pub fn checkpoint(
    signed: &SignedCheckpoint,
    policy: &Policy,
) -> Result<VerifiedCheckpoint, LogRefusal> {
    let (checkpoint, note) = (signed.checkpoint(), signed.note());
    let mut logs = policy.logs().filter(|log| log.name() == checkpoint.origin).peekable();
    if logs.peek().is_none() {
        return Err(LogRefusal::Origin(checkpoint.origin.clone()));
    }
    let mut by_the_log = false;
    for log in logs {
        by_the_log |= note.seen_by(log)? == Seen::Signed;
    }
    if !by_the_log {
        return Err(LogRefusal::Unsigned(checkpoint.origin.clone()));
    }
    let mut times = Vec::new();
    for witness in policy.witnesses() {
        times.push(match note.seen_by(witness)? {
            Seen::Cosigned(seconds) => Some(Time(seconds.saturating_mul(1000))),
            Seen::Signed | Seen::No => None,
        });
    }
    let cosigned = |at: usize| times.get(at).copied().flatten();
    if !policy.is_quorum(|at| cosigned(at).is_some()) {
        let (got, known) = (times.iter().flatten().count(), times.len());
        return Err(LogRefusal::Quorum { got, known });
    }
    let mut newest_first: Vec<Time> = times.iter().flatten().copied().collect();
    newest_first.sort_unstable_by(|a, b| b.cmp(a));
    let quorum_time = newest_first
        .into_iter()
        .find(|since| policy.is_quorum(|at| cosigned(at).is_some_and(|time| time >= *since)));
    let names = policy.witnesses().map(|witness| witness.name().to_owned());
    let cosigned = names.zip(&times).filter_map(|(name, time)| Some((name, (*time)?))).collect();
    Ok(VerifiedCheckpoint { checkpoint: checkpoint.clone(), cosigned, quorum_time })
}

impl VerifiedCheckpoint {
    /// Which log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.checkpoint.origin
    }
    /// Its size and root.
    #[must_use]
    pub fn head(&self) -> Head {
        self.checkpoint.head
    }
    /// The policy's witnesses that cosigned, by key name, and when.
    #[must_use]
    pub fn cosigned(&self) -> &[(String, Time)] {
        &self.cosigned
    }
    /// The newest time at which any witness of the policy cosigned: one faulty witness can set it
    /// too late. `None` when none did (a policy without a quorum).
    #[must_use]
    pub fn newest_cosigned(&self) -> Option<Time> {
        self.cosigned.iter().map(|(_, time)| *time).max()
    }
    /// The newest time for which a whole quorum stands: a lower bound on now for a host without a
    /// clock, as trustworthy as the quorum. `None` for a policy without one and no cosignature.
    #[must_use]
    pub fn quorum_time(&self) -> Option<Time> {
        self.quorum_time
    }
}

impl Verified {
    pub(super) fn new(checkpoint: VerifiedCheckpoint, index: u64, leaf: Digest) -> Verified {
        Verified { checkpoint, index, leaf }
    }
    /// The checkpoint that holds it.
    #[must_use]
    pub fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.checkpoint
    }
    /// Its place in the log, from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }
    /// Hash of the entry.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        self.leaf
    }
    /// As [`VerifiedCheckpoint::newest_cosigned`].
    #[must_use]
    pub fn newest_cosigned(&self) -> Option<Time> {
        self.checkpoint.newest_cosigned()
    }
}
