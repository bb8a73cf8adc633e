//! The sequential gate: reads tallies, says pass, wait or fail, and how many more hosts the budget
//! allows. Not the machine: it holds no state of the rollout but its own sums.
mod eprocess;
mod excess;
mod forecast;
mod horizon;
mod prefix;
mod restarts;
mod stakes;
mod sums;
mod tail;
mod tally;
mod verdict;

pub(crate) use forecast::hand_outs_min;
pub use restarts::RestartEvidence;
pub(crate) use sums::Gate;
pub(crate) use tally::{Cell, Sums, counts};
pub use verdict::Verdict;
pub(crate) use verdict::{Room, View};

use andon_model::{StratumId, Time};
use serde::{Deserialize, Serialize};

/// One kind of bad event; each has its own e-process and its own controls. Restarts are judged apart
/// from the others, at a tenth of their error: [`RestartEvidence`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// a host fell silent
    Silence,
    /// a host charged the component or fell back
    Report,
    /// a probe answered badly
    Probe,
    /// a host did not come back from a restart that it had announced
    Restart,
}

/// Everything the gate read for one decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// when
    pub at: Time,
    /// E: the average over the channels (capped at 1e300 so that JSON can carry it)
    pub e: f64,
    /// 1/α: halt when E reaches it
    pub threshold: f64,
    /// per channel
    pub channels: Vec<ChannelEvidence>,
    /// per stratum, in the plan's order
    pub strata: Vec<StratumEvidence>,
    /// per horizon of the budget
    pub horizons: Vec<HorizonEvidence>,
    /// announced restarts, once one of a treated host was due; beside E, which it is no part of
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<RestartEvidence>,
}

/// One channel's part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelEvidence {
    /// which
    pub channel: Channel,
    /// average of the three below
    pub e: f64,
    /// product over strata
    pub pooled: f64,
    /// mean over strata
    pub strata: f64,
    /// newly handed hosts against controls
    pub fresh: f64,
}

/// One stratum's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StratumEvidence {
    /// which
    pub stratum: StratumId,
    /// average over channels
    pub e: f64,
    /// upper bound on the excess failure probability at the first horizon
    pub ucb: f64,
    /// treated hosts gone bad so far
    pub x: u64,
    /// treated hosts and controls gone bad so far
    pub k: u64,
    /// treated hosts at risk of silence at the latest tick
    pub u: u64,
    /// controls at risk of silence at the latest tick
    pub c: u64,
}

/// One horizon's part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HorizonEvidence {
    /// D, milliseconds after activation
    pub after_ms: u64,
    /// B(D)
    pub hosts: u64,
    /// excess failures counted so far, and late hosts that are not through
    pub spent: f64,
    /// upper bound on the excess failure probability, at confidence 1 − δ, at every moment
    pub ucb: f64,
    /// hosts that have passed D unharmed or not, known to have activated
    pub vouched: u64,
    /// hosts handed but not yet past D
    pub unvouched: u64,
    /// how many more hosts may be handed now
    pub room: u64,
}
