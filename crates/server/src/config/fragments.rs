//! The configuration file as written: a plain mirror of the TOML, nothing checked beyond its form.
use andon_model::{Digest, Millis, VendorId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `andond.toml`. Relative paths are relative to the file's own folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// address and port to serve on; port 0 picks a free one
    pub listen: String,
    /// folder of the journal, objects, manifests and TUF files
    pub data: PathBuf,
    /// what hosts trust from the start; the server trusts nothing else either
    pub anchor: PathBuf,
    /// the signed policy; a newer one accepted over the API wins over this file
    pub policy: PathBuf,
    /// the line's online key: signs tickets and the line's freezes
    pub online_key: PathBuf,
    /// signs the TUF timestamp
    pub timestamp_key: PathBuf,
    /// signs the TUF snapshot
    pub snapshot_key: PathBuf,
    /// SHA-256 of every join token that admits hosts
    #[serde(default)]
    pub join_tokens: Vec<Digest>,
    /// time between two observations of the fleet
    #[serde(default = "tick_default")]
    pub tick_ms: Millis,
    /// where the vendor lines are served that the policy takes part in
    #[serde(default)]
    pub vendor_line: Vec<VendorLineAt>,
    /// the line's own public log, if it keeps one
    #[serde(default)]
    pub log: Option<LogAt>,
}

/// The line's own public log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogAt {
    /// file with the log's private note key; `andon keys note --for log` makes one
    pub key: PathBuf,
    /// who is asked to cosign its checkpoints
    #[serde(default)]
    pub witness: Vec<WitnessAt>,
}

/// A witness of the line's log. No matter of trust: the policy says whose cosignatures count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessAt {
    /// `http://HOST[:PORT][/PATH]`, below which `add-checkpoint` lies
    pub url: String,
    /// its verifier key
    pub vkey: String,
}

/// Where a vendor line is served. No matter of trust: the policy says whose signatures it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorLineAt {
    /// whose line
    pub vendor: VendorId,
    /// `http://HOST[:PORT]`
    pub url: String,
}

/// A tick a second: a tenth of the shortest silence that a policy may set.
const fn tick_default() -> Millis {
    Millis(1000)
}
