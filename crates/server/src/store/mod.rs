//! Where the journal lies. A [`Journal`] takes entries in order and makes them durable; it neither
//! understands nor changes them. Backends: [`sqlite`], and [`memory`] for tests of faults.
pub mod memory;
pub mod sqlite;
pub mod writer;

use andon_model::Time;
use std::future::Future;

pub use writer::{Receipt, Writer};

/// One row of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// counts up from 1 without gaps
    pub seq: u64,
    /// server time of the record
    pub at: Time,
    /// kind of the record
    pub kind: String,
    /// whom or what it is about
    pub subject: String,
    /// the record
    pub json: String,
}

/// Which rows to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// only of this subject
    pub subject: Option<String>,
    /// only above this number
    pub after: u64,
    /// at most so many
    pub limit: u32,
}

/// Most rows read at once: bounds memory and the time for which a reader keeps the writer waiting.
pub const ROWS_MAX: u32 = 1000;

/// Why the journal cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// the database could not be opened or is not as durable as it must be
    #[error("open journal: {0}")]
    Open(String),
    /// entries could not be written
    #[error("append to journal: {0}")]
    Append(String),
    /// entries may or may not be durable
    #[error("commit journal: {0}")]
    Commit(String),
    /// rows could not be read
    #[error("read journal: {0}")]
    Read(String),
    /// an earlier write failed: what is durable is known only after a restart
    #[error("journal has stopped after a failed write")]
    Stopped,
}

/// An append-only journal.
///
/// The contract:
/// - `stage` hands entries over in the order of their numbers; they may be lost until `commit`;
/// - when `commit` has returned `Ok`, everything staged survives the loss of power;
/// - when either returns an error, the staged entries may be durable or not: the caller stops and
///   reads again from the beginning;
/// - a number that is there already is refused, so two writers on one journal are noticed.
pub trait Journal: Send + 'static {
    /// Adds entries to the open group.
    fn stage(&mut self, entries: &[Entry]) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Makes the open group durable.
    fn commit(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Reads durable rows in the order of their numbers.
    fn read(
        &mut self,
        query: &Query,
    ) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;
}
