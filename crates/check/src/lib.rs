//! andon-check: the part of the endpoint that meets the network.
//!
//! What it is: a child of the supervisor that shuts itself in (Landlock, seccomp) before its first
//! network byte, drives [`andon_trust::view::View`], puts verified files into the inbox, and relays
//! beats and enrolment.
//! What it is not: it holds no key, starts no program, activates nothing and decides nothing. Taken
//! over, it can write its own two folders and withhold or repeat what others signed; the supervisor
//! checks every digest again.
//! Read first: [`sync::round`], [`inbox::Inbox`], [`serve::serve`].
#![forbid(unsafe_code)]

pub mod http;
pub mod inbox;
pub mod sandbox;
pub mod serve;
pub mod store;
pub mod sync;

pub use http::Fetch;
