//! The nouns of Andon: ids, digests, releases, policy, tickets, stops, beats, and their limits.
//!
//! What it is: every party's shared vocabulary. The signed objects here are wire types; they refuse
//! unknown fields and every text, list and number in them has a limit from [`limits`].
//! What it is not: it checks no signature (`andon-trust`), takes no decision (`andon-rollout`,
//! `andon-host`) and does no I/O.
//! Read first: [`release::Manifest`], [`ticket::Ticket`], [`beat::Beat`].
#![forbid(unsafe_code)]

pub mod attestation;
pub mod beat;
pub mod budget;
pub mod ceilings;
pub mod class;
pub mod command;
pub mod digest;
pub mod directive;
pub mod eligible;
pub mod enrol;
pub mod envelope;
pub mod facts;
pub mod fast_lane;
pub mod handover;
pub mod host_journal;
pub mod id;
pub mod index;
pub mod key;
pub mod limits;
pub mod line;
pub mod log_entry;
pub mod merkle;
pub mod order;
pub mod pins;
pub mod policy;
pub mod position;
pub mod proof_bundle;
pub mod release;
pub mod rigs;
pub mod stop;
pub mod text;
pub mod ticket;
pub mod time;
pub mod verifiers;
pub mod waiver;

pub use digest::Digest;
pub use id::{
    ComponentId, GroupId, HostId, LineId, OperatorId, PersonId, RigId, RolloutId, StratumId,
    VendorId, VerifierId,
};
pub use key::{KeyId, PublicKey, Signature};
pub use time::{Millis, Time};
