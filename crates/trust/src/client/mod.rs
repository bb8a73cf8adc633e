//! A TUF client for any repository (specification 1.0.x, section 5): the whole workflow, without I/O.
//!
//! [`refresh`] walks roots, timestamp, snapshot and top-level targets; the [`Refreshed`] that it gives
//! finds files by a lazy search through delegations. Both are functions over two small traits: where
//! metadata comes from ([`Source`]) and where what was verified is kept ([`Shelf`]). Signatures,
//! versions, expiry and pins are judged by `sigstore-tuf`'s `TrustedMetadataSet`; what that core does
//! not judge is judged here: one physical key under two ids, rollback against a cached snapshot, every
//! delegating edge for itself, limits (docs/adr/0009, docs/spec/tuf-client.md).
//!
//! What it is not: the way a host gets its releases, which is [`crate::view`]; transport, disk, clock.
mod edge;
mod error;
mod file;
mod name;
mod refresh;
mod search;

pub use error::{ClientError, Fault};
pub use file::{Check, File, FileError};
pub use name::{local_path, metadata_name, quoted_path};
pub use refresh::{check_root, refresh};
pub use search::Refreshed;

/// Where metadata comes from.
pub trait Source {
    /// The file `name` below the metadata's address; `None` when the server has no such file. It
    /// should stop reading after `limit` bytes; more than that is refused here as well.
    /// # Errors
    /// Whatever went wrong on the way.
    fn fetch(&mut self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, Fault>;
}

/// Where verified metadata is kept, byte for byte, under its role's name (`root.json`). What is read
/// back is verified again: a shelf need not be trusted, only durable.
pub trait Shelf {
    /// What was kept under this name, at most `limit` bytes; `None` when there is nothing.
    /// # Errors
    /// When there may be something that cannot be read.
    fn read(&mut self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, Fault>;
    /// Keeps all of it or nothing, over a power cut too.
    /// # Errors
    /// When it was not kept.
    fn keep(&mut self, name: &str, bytes: &[u8]) -> Result<(), Fault>;
    /// Keeps it to save a request. It may be lost, or be half of it after a power cut: nothing below
    /// the snapshot is a floor.
    /// # Errors
    /// When it was not kept.
    fn cache(&mut self, name: &str, bytes: &[u8]) -> Result<(), Fault> {
        self.keep(name, bytes)
    }
}
