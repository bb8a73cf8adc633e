//! The server as a whole, over its HTTP API, on a model of a disk: faults, restarts, refusals.
mod faults;
mod refusals;
mod rig;
mod rollouts;
