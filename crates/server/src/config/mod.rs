//! The server's configuration: what the file says ([`fragments`]) and, after every named file has
//! been read and checked, what the server works with ([`inputs`]).
pub mod fragments;
pub mod inputs;
mod log;

pub use fragments::{ConfigFile, LogAt, VendorLineAt, WitnessAt};
pub use inputs::{ConfigError, Inputs};
pub use log::{LogInputs, WitnessInputs};
