//! What a thief of keys reaches, measured: a line is laid out again with keys of which we have the
//! private halves, its hosts see what honest parties signed, and then a thief who holds some of the keys,
//! and the network, tries every forgery of a catalogue on the code that verifies on hosts.
//!
//! What it is not: a proof that no other forgery exists, or a model of verification; there is none here
//! ([`crate::view::View`] and [`crate::ticket::covers`] decide). Programs that somebody broke into, hosts
//! whose root is lost and parties that lie without stealing are other questions.
//!
//! Read first: [`Line`] (who holds which key), [`Lab::measure`], `attack` (the catalogue). Rules of the
//! method stand in docs/spec/what-if.md.
mod attack;
mod deny;
mod fleet;
mod honest;
mod lab;
mod line;
mod metadata;
mod parts;
mod play;
mod report;
mod rigs;
mod search;
mod tickets;

pub use fleet::HOSTS;
pub use lab::{Lab, LabError};
pub use line::{Holder, Key, Line, LineError};
pub use report::{Reach, Tried};
pub use search::{Breach, breaches, needs_also};
