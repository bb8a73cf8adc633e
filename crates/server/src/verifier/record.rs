//! What a gate verifier reads and keeps.
use crate::record::Record;
use andon_model::envelope::Envelope;
use andon_model::{Digest, LineId, RolloutId, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of `GET /v1/journal`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// counts up from 1
    pub seq: u64,
    /// server time of the record
    pub at: Time,
    /// kind of the record
    pub kind: String,
    /// the record
    pub record: Record,
}

/// Answer of `GET /v1/lines/LINE/waiting`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// to be told when it changes
    pub version: u64,
    /// tickets that wait for cosignatures
    pub tickets: Vec<AskedTicket>,
}

/// A ticket that waits.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedTicket {
    /// its rollout
    pub rollout: RolloutId,
    /// number of the last record that it was made from
    pub seq: u64,
    /// as signed by the line's online key
    pub envelope: Envelope,
}

/// What survives a verifier's restart: whoever loses it has to begin with a new key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// format of this object; 1
    pub schema: u32,
    /// whose journal
    pub line: LineId,
    /// number of the last record seen
    pub seq: u64,
    /// digest over all records up to it, each hashed with the digest before it
    pub chain: Digest,
    /// when each generation's ticket was seen to be issued, by the verifier's clock
    pub issued: BTreeMap<RolloutId, BTreeMap<u32, Time>>,
}

impl Memory {
    /// Of a journal that was never seen.
    #[must_use]
    pub fn new(line: LineId) -> Memory {
        Memory { schema: 1, line, seq: 0, chain: Digest::of(b""), issued: BTreeMap::new() }
    }
}
