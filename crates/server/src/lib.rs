//! `andond`: the line's server. Takes enrolments, beats, commands and stops; publishes releases;
//! drives rollouts; serves signed files.
//!
//! What it is: the shell around `andon_rollout::Rollout`. Its truth is one append-only journal
//! ([`store`]); everything it knows is a fold over that journal ([`state`]) plus memory columns that
//! any restart may lose ([`fleet`]). Nothing is acknowledged before it is durable.
//! What it is not: it takes no decision of its own ([`driver`] carries out what the core decided),
//! it never interprets a vendor's content, and hosts do not trust it: all it serves is signed.
//! Read first: [`app`], [`record`], [`driver`].
#![forbid(unsafe_code)]

pub mod api;
pub mod app;
mod attested;
pub mod ceilings;
pub mod clock;
pub mod config;
pub mod cosign;
pub mod deliver;
pub mod directives;
pub mod driver;
pub mod durable;
pub mod fleet;
pub mod group_order;
pub mod issue;
pub mod late;
pub mod log;
pub mod member;
pub mod noted;
pub mod pooled;
pub mod proof_bundles;
pub mod publish;
pub mod record;
pub mod rollout_state;
pub mod serve;
pub mod state;
pub mod stops;
pub mod store;
pub mod tally;
pub mod ticketing;
pub mod verifier;
pub mod why;
