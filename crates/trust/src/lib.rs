//! May this be believed? Signatures, thresholds, TUF metadata, policy, tickets, stops, public logs.
//!
//! What it is: verification as pure functions and one sans-I/O machine, [`view::View`], which is the
//! whole client workflow of a host: it says what to fetch, is given bytes, and ends with offers that
//! are safe to act on. What it is not: it opens no socket or file, reads no clock, and without the
//! feature `sign` it cannot sign.
//! Read first: [`envelope::verify_threshold`], [`ticket::verify`], [`view::View`], [`log`]. Beside
//! them [`client`], a TUF client for anybody's repository.
#![forbid(unsafe_code)]

pub mod attestation;
#[cfg(feature = "tuf")]
pub mod client;
pub mod command;
pub mod directive;
pub mod envelope;
pub mod fast_lane;
pub mod log;
pub mod policy;
#[cfg(feature = "tuf")]
pub mod proof_bundle;
#[cfg(all(feature = "sign", feature = "tuf"))]
pub mod repository;
#[cfg(feature = "sign")]
pub mod sign;
pub mod stop;
#[cfg(all(feature = "sign", feature = "tuf"))]
pub mod theft;
pub mod ticket;
#[cfg(feature = "tuf")]
pub mod tuf;
#[cfg(feature = "tuf")]
pub mod view;
