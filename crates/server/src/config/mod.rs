//! The server's configuration: what the file says ([`fragments`]) and, after every named file has
//! been read and checked, what the server works with ([`inputs`]).
pub mod fragments;
pub mod inputs;

pub use fragments::{ConfigFile, VendorLineAt};
pub use inputs::{ConfigError, Inputs};
