//! The trade-off planner: how fast should this update go out, if an attack is running and the update
//! itself may be faulty? It weighs hosts lost to waiting against hosts lost to a bad update.
//!
//! What it is: a model ([`World`]), the expected loss of any wave plan in it ([`Outcome`]), a search
//! for the plan of least loss, and an [`Advice`] that also prices the usual fixed policies and says
//! how much the answer hangs on the guesses. Equations, units and sources: `docs/spec/tradeoff.md`.
//! What it is not: the gate. It proposes a pace and the budget B(D) that would let it pass; what the
//! gate measures while the rollout runs decides. No clock, no randomness, no I/O: the same inputs
//! always give the same advice.
//! Read first: [`Inputs`], [`World::new`], [`advise`].
mod advice;
mod attack;
mod budget;
mod descent;
mod loss;
mod policies;
mod prior;
mod schedule;
mod search;
mod world;

pub use advice::{Advice, Alternative, Input, Sensitivity, advise};
pub use loss::{Outcome, outcome};
pub use policies::FixedPolicy;
pub use prior::{Prior, PriorError};
pub use schedule::{Schedule, ScheduleError, WAVES_MAX, Wave};
pub use search::best;
pub use world::{Attack, InputError, Inputs, MIXTURE_MAX, Weighted, World};
