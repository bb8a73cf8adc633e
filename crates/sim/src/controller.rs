//! What decides about the next hand-out: Andon's rollout core or a peer's policy. It sees what a
//! server would see, never the truth.
use andon_model::Time;
use andon_rollout::Observation;

/// Counts of one stratum, as a server without a gate sees them. All cumulative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// hosts of the stratum
    pub hosts: u32,
    /// covered by hand-outs so far
    pub handed: u32,
    /// fetched it
    pub delivered: u32,
    /// reported success
    pub confirmed: u32,
    /// reported failure
    pub reported: u32,
    /// covered hosts silent for longer than the usual patience
    pub silent: u32,
}

/// What a controller is shown at a tick.
#[derive(Debug)]
pub struct Sight<'a> {
    /// when
    pub now: Time,
    /// per stratum
    pub seen: &'a [Seen],
    /// the gate's tallies; only for a controller that [`Controller::reads_tallies`]
    pub tallies: Option<&'a Observation>,
}

/// Where a controller stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// goes on
    Running,
    /// stopped widening for now
    Held,
    /// over for good: hosts that do not have it yet will not get it
    Halted,
    /// reached everybody it wanted to
    Done,
}

/// Decides about hand-outs.
pub trait Controller {
    /// Whether it wants the gate's tallies (they cost time).
    fn reads_tallies(&self) -> bool {
        false
    }
    /// Looks once. Answers the hosts covered per stratum from now on, cumulative, never falling.
    fn tick(&mut self, sight: &Sight<'_>) -> &[u32];
    /// Where it stands.
    fn standing(&self) -> Standing;
    /// Evidence against the update, for traces.
    fn evidence(&self) -> f64 {
        0.0
    }
}
