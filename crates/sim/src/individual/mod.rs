//! Play host by host: every host that does something runs the production [`andon_host::Machine`].
//!
//! Beats that change nothing are no events: a host's last contact follows from its phase, so a quiet
//! fleet of millions costs nothing, and only what is done is played: activations, crashes, boots,
//! silences, returns. Everything that chance gave a host is a hash of (seed, run, host, purpose).
//! Of a stratum's hosts, number i stands at rank i of the random order; since all else is drawn
//! independently of the number, that order is random.
//!
//! What it leaves out. Hosts fall silent for reasons of their own at the boundaries of ticks. The
//! attack is played by numbers, not by host. A line is played as one: with `vendor_line = false` this
//! is one operator's line. A host that dies in a *confirmed* release is not charged (as
//! [`andon_host::Host`] does not): it comes back with that release and is not crashed a second time.
//! Hosts that said goodbye stay in the windows that they are in.
//! Read first: [`run`], then `engine.rs` (a tick) and `life.rs` (a host).
mod delivery;
mod draws;
mod engine;
mod fleet;
mod grid;
mod life;
mod operators;
mod tallies;
mod trouble;
mod wheel;
mod windows;

use crate::controller::Controller;
use crate::outcome::RunOutcome;
use crate::scenario::Scenario;
use engine::Engine;

pub use grid::START;

/// Plays one run. `trace` asks for a point per tick.
pub fn run(
    scenario: &Scenario,
    controller: &mut dyn Controller,
    seed: u64,
    run: u64,
    trace: bool,
) -> RunOutcome {
    let mut engine = Engine::new(scenario, controller, seed, run, trace);
    engine.play();
    engine.outcome()
}

/// Plays one run and looks at every host at its end.
pub fn played(
    scenario: &Scenario,
    controller: &mut dyn Controller,
    seed: u64,
    run: u64,
    trace: bool,
) -> Played {
    let mut engine = Engine::new(scenario, controller, seed, run, trace);
    engine.play();
    Played { outcome: engine.outcome(), census: engine.census() }
}

/// A run and what its hosts were like at its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Played {
    /// the run
    pub outcome: RunOutcome,
    /// its hosts, counted one by one
    pub census: Census,
}

/// Hosts counted one by one at the end of a run, independently of the sums kept during it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// hosts of the plan
    pub hosts: u64,
    /// got the update
    pub exposed: u64,
    /// crashed by it so far
    pub crashed: u64,
    /// would crash if the run went on
    pub doomed: u64,
    /// confirmed it (and may have gone back later)
    pub confirmed: u64,
    /// run it now as their machines say: active slot confirmed, holding the update
    pub running: u64,
    /// went back by themselves
    pub fell_back: u64,
    /// need a person
    pub hands: u64,
    /// silent in the gate's sense at least once
    pub silent: u64,
    /// of the exposed, those already bad when they activated
    pub bad_before: u64,
    /// operators with hosts in the plan
    pub operators: u32,
    /// operators with a crashed host
    pub operators_crashed: u32,
    /// hosts that obeyed a thief's ticket
    pub reached_by_thief: u64,
}
