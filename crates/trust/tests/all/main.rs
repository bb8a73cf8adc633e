//! All tests of trust from outside, in one binary: a repository in memory serves a view, and breaks
//! in every way that a thief, a mirror or a careless vendor could break it.
#![expect(clippy::unwrap_used, reason = "a test stops where it is wrong")]
mod attested;
mod attested_facts;
mod bundle;
mod ceilings;
mod client;
mod clock;
mod cold;
mod cord;
mod directive;
mod fast_lane;
mod limits;
mod logged;
mod order;
mod python;
mod recovery;
mod refusals;
mod repository;
mod rules;
mod seats;
mod theft;
mod tuf;
mod typical;
mod vendor;
mod verifiers;
mod view;
mod words;
mod world;
