//! The member's side of a vendor line (`docs/spec/vendor-line.md`): an operator's server that counts
//! its hosts for a vendor's line and goes inside that line's rollouts by itself.
//!
//! What it is: what the journal knows of each line ([`LineState`]), checks of what a vendor line says
//! ([`verify`]), what follows from it as values ([`seats`], [`permit`], [`tally`], [`begin`]), and one
//! task per line ([`attend`]) that asks, stages and sends ([`client`]). What a line has signed is passed on
//! to this line's hosts, who check it themselves ([`passed`]).
//! What it is not: it believes nothing for its address, nor because it came first. What does not
//! verify permits nothing, and is said.
//! Read first: [`LineState`], [`verify`], [`client`].
pub mod attend;
pub mod begin;
pub mod client;
pub mod http;
pub mod passed;
pub mod permit;
pub mod record;
pub mod seats;
pub mod state;
pub mod tally;
pub mod verify;

pub use attend::run;
pub use client::Member;
pub use http::address;
pub use passed::Passed;
pub use state::{Followed, LineState};
