//! The line's table of contents: unsigned, because everything it lists is signed or named by digest.
//! Withholding an item can only keep a host where it is: tickets expire.
use crate::digest::Digest;
use crate::id::{RolloutId, VendorId};
use crate::limits::{INDEX_BYTES_MAX, INDEX_ITEMS_MAX, VENDOR_LINES_MAX};
use serde::{Deserialize, Serialize};

/// What is current. Served at `/v1/lines/LINE/index.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// counts up with every change; the bell rings with it
    pub version: u64,
    /// digest of the signed policy, served at `/v1/lines/LINE/policy.json`
    pub policy: Option<Digest>,
    /// digest of the TUF timestamp, served at `/v1/tuf/timestamp.json`
    pub timestamp: Option<Digest>,
    /// current tickets, served at `/v1/lines/LINE/tickets/ROLLOUT.json`
    pub tickets: Vec<IndexTicket>,
    /// freezes in force, served at `/v1/lines/LINE/stops/DIGEST.json` (digest of the envelope's bytes)
    pub stops: Vec<Digest>,
    /// on an operator's line: what the vendor lines that it takes part in have signed, served below
    /// `/v1/lines/LINE/vendor/VENDOR/`; sorted by vendor
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vendor_lines: Vec<IndexVendorLine>,
    /// attestations of releases that tickets name, served at `/v1/lines/LINE/attestations/RELEASE.jsonl`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attestations: Vec<IndexAttestations>,
}

/// What a host checks of one vendor line, beside its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexVendorLine {
    /// whose
    pub vendor: VendorId,
    /// digest of the line's policy, served as `policy.json`
    pub policy: Digest,
    /// digest of the seats of this line's hosts, served as `seats.json`; none: nobody has one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<Digest>,
    /// the newest ticket of each of its rollouts, served as `tickets/ROLLOUT.json`
    pub tickets: Vec<IndexVendorTicket>,
}

/// The newest ticket of a vendor line's rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexVendorTicket {
    /// which rollout, by its name on the vendor line
    pub rollout: RolloutId,
    /// of which release: hosts fetch no ticket that they have no use for
    pub release: Digest,
    /// digest of the envelope's bytes
    pub digest: Digest,
}

/// What rigs and people have signed about one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexAttestations {
    /// digest of its manifest
    pub release: Digest,
    /// digest of the file's bytes
    pub digest: Digest,
}

/// One current ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexTicket {
    /// which rollout
    pub rollout: RolloutId,
    /// digest of the envelope's bytes
    pub digest: Digest,
}

/// What the bell says: a hint without content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bell {
    /// the index's version
    pub version: u64,
}

/// Why an index was refused.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// larger or longer than allowed
    #[error("index is over {INDEX_BYTES_MAX} bytes or {INDEX_ITEMS_MAX} items")]
    TooLarge,
    /// not the JSON we expect
    #[error("parse index")]
    Parse(#[source] serde_json::Error),
}

impl Index {
    /// Reads an index.
    /// # Errors
    /// [`IndexError`].
    pub fn parse(bytes: &[u8]) -> Result<Index, IndexError> {
        if bytes.len() > INDEX_BYTES_MAX {
            return Err(IndexError::TooLarge);
        }
        let index: Index = serde_json::from_slice(bytes).map_err(IndexError::Parse)?;
        let of_vendors: usize = index.vendor_lines.iter().map(|line| line.tickets.len()).sum();
        let of_line = index.tickets.len() + index.stops.len() + index.attestations.len();
        if of_line + of_vendors > INDEX_ITEMS_MAX || index.vendor_lines.len() > VENDOR_LINES_MAX {
            return Err(IndexError::TooLarge);
        }
        Ok(index)
    }
}
