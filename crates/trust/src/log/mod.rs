//! Was this publicly logged? Texts and checks of the C2SP specifications: signed notes, checkpoints,
//! cosignatures, proofs of logging, policies of logs and witnesses; and a log's tiles.
//!
//! What it is: parsers with limits, offline verification, and a tiled log as a value that says which
//! files to write. What it is not: transport, disk or clock; and it says nothing about what an entry
//! means. Signature types: Ed25519 for logs (0x01) and for witnesses (0x04); no other.
//! Read first: [`proof::LogProof::verify`], [`policy::Policy`], `docs/spec/log.md`.
pub mod checkpoint;
pub mod cosignature;
pub mod key;
pub mod note;
pub mod policy;
pub mod proof;
#[cfg(feature = "sign")]
pub mod sign;
mod text;
pub mod tile_tree;
pub mod tiled;
pub mod tiles;
pub mod verified;
pub mod witness;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use key::{KeyKind, VerifierKey};
pub use note::{Note, NoteSignature};
pub use policy::Policy;
pub use proof::LogProof;
#[cfg(feature = "sign")]
pub use sign::NoteKey;
pub use tile_tree::TileTree;
pub use tiled::TiledLog;
pub use tiles::{Tile, TileKind};
pub use verified::{LogRefusal, Verified, VerifiedCheckpoint};
