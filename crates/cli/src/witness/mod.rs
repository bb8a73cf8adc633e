//! A witness of public logs: remembers the newest checkpoint that it cosigned of each, and cosigns
//! what continues it. Decisions are `andon_trust::log::witness`; here are memory, clock and key.
//!
//! Its contract:
//! - one request at a time for each log, from the look at what is known to the durable record;
//! - the record is on disk (written, renamed, folder synced) before the cosignature leaves;
//! - after a write that failed nothing is cosigned for that log until a restart reads the disk;
//! - times on cosignatures of one log never go back, whatever the clock does.
pub(crate) mod http;
mod store;

pub(crate) use store::{Store, StoreError};

use crate::files::FileError;
use andon_model::Digest;
use andon_model::merkle::Head;
use andon_trust::log::note::Seen;
use andon_trust::log::witness::{
    AddCheckpoint, RequestError, WitnessRefusal, advance, authenticate,
};
use andon_trust::log::{NoteKey, Policy, SignedCheckpoint, VerifierKey};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What is known of one log.
#[derive(Debug)]
enum Stand {
    /// nothing was ever cosigned
    Never,
    /// the newest cosigned checkpoint, with the log's signatures and ours, and its time in POSIX
    /// seconds
    Cosigned { checkpoint: Box<SignedCheckpoint>, time: u64 },
    /// a write failed: only the disk knows, and a restart reads it
    Unsure,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Witness {
    key: NoteKey,
    logs: Policy,
    store: Store,
    /// by origin
    stands: BTreeMap<String, Mutex<Stand>>,
}

/// Why nothing is cosigned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// no request
    #[error("read request")]
    Request(#[from] RequestError),
    /// a request that must be refused
    #[error("cosign checkpoint")]
    Witness(#[from] WitnessRefusal),
    /// the disk
    #[error("record checkpoint")]
    Record(#[source] FileError),
    /// an earlier write failed
    #[error("an earlier record of this log failed; restart the witness")]
    Unsure,
}

impl Witness {
    /// Reads what was cosigned of each log.
    /// # Errors
    /// [`StoreError`]: a record that is there and cannot be believed. Beginning anew would let the
    /// log show another history.
    pub(crate) fn open(key: NoteKey, logs: Policy, store: Store) -> Result<Witness, StoreError> {
        let mut stands = BTreeMap::new();
        for log in logs.logs() {
            let stand = match store.load(log.name(), key.verifier())? {
                Some((checkpoint, time)) => {
                    Stand::Cosigned { checkpoint: Box::new(checkpoint), time }
                }
                None => Stand::Never,
            };
            stands.insert(log.name().to_owned(), Mutex::new(stand));
        }
        Ok(Witness { key, logs, store, stands })
    }

    /// Answers `add-checkpoint`: our signature line, once the record is durable. `now` in POSIX
    /// seconds.
    /// # Errors
    /// [`Refused`].
    pub(crate) fn add(&self, bytes: &[u8], now: u64) -> Result<String, Refused> {
        let request = AddCheckpoint::parse(bytes)?;
        authenticate(&request, &self.logs)?;
        let origin = &request.checkpoint.checkpoint().origin;
        let unknown = || WitnessRefusal::UnknownLog(origin.clone());
        let stand = self.stands.get(origin).ok_or_else(unknown)?;
        // A request that panicked left it at Unsure.
        let mut stand = stand.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, last) = match &*stand {
            Stand::Never => (Head::empty(), 1),
            Stand::Cosigned { checkpoint, time } => (checkpoint.checkpoint().head, *time),
            Stand::Unsure => return Err(Refused::Unsure),
        };
        advance(&request, &known)?;
        // a time of 0 would say that no statement about time is made
        let time = now.max(last);
        let line = self.key.sign(request.checkpoint.note().text(), time);
        let answer = line.to_line();
        let mut record = request.checkpoint.clone();
        let keys: Vec<&VerifierKey> = self.logs.logs().filter(|log| log.name() == origin).collect();
        record.retain(&keys);
        record.add(line);
        *stand = Stand::Unsure;
        self.store.save(origin, &record).map_err(Refused::Record)?;
        *stand = Stand::Cosigned { checkpoint: Box::new(record), time };
        Ok(answer)
    }

    /// The newest cosigned checkpoint of the log whose origin has this hash.
    pub(crate) fn newest(&self, origin_hash: &str) -> Option<String> {
        let named = |origin: &&String| Digest::of(origin.as_bytes()).to_string() == origin_hash;
        let stand = self.stands.get(self.stands.keys().find(named)?)?;
        match &*stand.lock().unwrap_or_else(PoisonError::into_inner) {
            Stand::Cosigned { checkpoint, .. } => Some(checkpoint.to_text()),
            Stand::Never | Stand::Unsure => None,
        }
    }
}

/// The time of our own cosignature, if `key` made one.
fn cosigned(checkpoint: &SignedCheckpoint, key: &VerifierKey) -> Option<u64> {
    match checkpoint.note().seen_by(key) {
        Ok(Seen::Cosigned(time)) => Some(time),
        Ok(Seen::No | Seen::Signed) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests;
