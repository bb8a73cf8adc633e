//! `andond`: the line's server. Takes enrolments, beats, commands and stops; publishes releases;
//! drives rollouts; serves signed files.
//!
//! What it is: the shell around `andon_rollout::Rollout`. Its truth is one append-only journal
//! ([`store`]); everything it knows is a fold over that journal ([`state`]) plus memory columns that
//! any restart may lose ([`fleet`]). Nothing is acknowledged before it is durable.
//! What it is not: it takes no decision of its own ([`driver`] carries out what the core decided),
//! it never interprets a vendor's content, and hosts do not trust it: all it serves is signed.
#![forbid(unsafe_code)]

pub mod config;
