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

/// What a controller's plan asks of the tallies.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// hosts per stratum
    pub strata: Vec<u32>,
    /// time between two beats, and between two ticks
    pub beat_s: f64,
    /// no beat for so long: silent
    pub silent_after_s: f64,
    /// load and soak
    pub window_s: f64,
    /// every D of the budget
    pub horizons_s: Vec<f64>,
    /// B(D) of each
    pub budget: Vec<u64>,
    /// sampled controls per stratum: the last ranks of the order
    pub controls: Vec<u32>,
    /// of these, every so-manyth rank (counted from 1) is the gauge, per stratum
    pub gauge_every: Vec<u32>,
}

/// What every host checks of a ticket's pace, whoever signed it (the operator's offline policy).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// most hosts of the first ticket
    pub first_wave_max: u64,
    /// a ticket covers at most this multiple of the one before it
    pub growth_max: f64,
    /// least time between two tickets, seconds
    pub soak_min_s: f64,
}

impl Pace {
    /// Whether hosts that saw `handed` covered `since_s` seconds ago believe in a ticket for `asked`.
    #[must_use]
    pub fn admits(self, handed: u64, asked: u64, since_s: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "hosts are far below 2^53")]
        match handed {
            0 => asked <= self.first_wave_max,
            _ => since_s >= self.soak_min_s && asked as f64 <= handed as f64 * self.growth_max,
        }
    }
}

/// Decides about hand-outs.
pub trait Controller {
    /// What its tallies look like; `None` for a controller that reads none.
    fn shape(&self) -> Option<Shape> {
        None
    }
    /// Hosts covered per stratum after each generation, cumulative, oldest first.
    fn waves(&self) -> Vec<&[u32]> {
        Vec::new()
    }
    /// The pace its hosts hold every ticket against; `None` where hosts check nothing.
    fn pace(&self) -> Option<Pace> {
        None
    }
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
