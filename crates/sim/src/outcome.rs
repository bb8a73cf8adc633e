//! What one run came to. Summaries over many runs are made from these.
use serde::{Deserialize, Serialize};

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunOutcome {
    /// hosts that the update crashed
    pub crashed: u64,
    /// hosts that got the update
    pub exposed: u64,
    /// hosts that the policy handed it to (exposed or about to be)
    pub handed: u64,
    /// when it was halted, seconds after the first activation
    pub halted_s: Option<f64>,
    /// halted although nothing was wrong with the update
    pub false_halt: bool,
    /// 99 % of the online hosts had it in hand, seconds after the first activation
    pub t99_s: Option<f64>,
    /// 99 % of the online hosts had confirmed it
    pub confirmed99_s: Option<f64>,
    /// crashed hosts that need a person
    pub hands: u64,
    /// rules of the policy that were broken (budget overdrawn counts)
    pub violations: u64,
    /// hosts lost to the attack
    pub infected: u64,
    /// hash over every event of the run
    pub trace_hash: u64,
    /// events played
    pub events: u64,
    /// (seconds, hosts with the update, hosts crashed, E, budget left), for traces; empty unless asked
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<TracePoint>,
}

/// One point of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TracePoint {
    /// seconds after the first activation
    pub at_s: f64,
    /// hosts that have the update
    pub exposed: u64,
    /// hosts crashed by it
    pub crashed: u64,
    /// evidence E of the gate; 0 for policies without one
    pub e: f64,
}
