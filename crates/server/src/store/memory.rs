//! A model of a disk that loses power: what was staged and not committed is gone after a crash, and
//! any write can be made to fail, kept or not kept. Not for production.
use super::{Entry, Journal, Query, ROWS_MAX, StoreError};
use std::sync::{Arc, Mutex, PoisonError};

/// How a write fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// an error, and nothing was written
    NotWritten,
    /// an error, but the disk kept it
    Written,
}

/// Which call of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// [`Journal::stage`]
    Stage,
    /// [`Journal::commit`]
    Commit,
}

/// Says, given the call and its number from 0, whether and how it fails.
pub type Faults = Box<dyn FnMut(Call, usize) -> Option<Fault> + Send>;

#[derive(Default)]
struct Disk {
    durable: Vec<Entry>,
    staged: Vec<Entry>,
    calls: [usize; 2],
    commits: Vec<u64>,
    faults: Option<Faults>,
}

/// The journal; a clone looks at the same disk, so it outlives a crash of its server.
#[derive(Clone, Default)]
pub struct MemoryJournal(Arc<Mutex<Disk>>);

impl std::fmt::Debug for MemoryJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let disk = self.disk();
        write!(f, "MemoryJournal({} durable, {} staged)", disk.durable.len(), disk.staged.len())
    }
}

impl MemoryJournal {
    fn disk(&self) -> std::sync::MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// From now on, writes fail as `faults` says.
    pub fn fail(&self, faults: Faults) {
        self.disk().faults = Some(faults);
    }
    /// Power is lost: whatever was not committed is gone. Faults and counters end.
    pub fn crash(&self) {
        let mut disk = self.disk();
        disk.staged.clear();
        disk.calls = [0; 2];
        disk.faults = None;
    }
    /// Highest durable number; 0 when empty.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.disk().durable.last().map_or(0, |entry| entry.seq)
    }
    /// How often each call was made: stage, commit.
    #[must_use]
    pub fn calls(&self) -> [usize; 2] {
        self.disk().calls
    }
    /// All durable rows.
    #[must_use]
    pub fn rows(&self) -> Vec<Entry> {
        self.disk().durable.clone()
    }
}

impl Disk {
    fn fault(&mut self, call: Call) -> Option<Fault> {
        let number = self.calls[call as usize];
        self.calls[call as usize] += 1;
        self.faults.as_mut().and_then(|faults| faults(call, number))
    }
    fn flush(&mut self) {
        let staged = std::mem::take(&mut self.staged);
        self.durable.extend(staged);
        let last = self.durable.last().map_or(0, |entry| entry.seq);
        self.commits.push(last);
    }
}

impl Journal for MemoryJournal {
    async fn stage(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let mut disk = self.disk();
        let fault = disk.fault(Call::Stage);
        let last = disk.staged.last().or(disk.durable.last()).map_or(0, |entry| entry.seq);
        if entries.first().is_some_and(|entry| entry.seq != last + 1) {
            return Err(StoreError::Append("number is taken or leaves a gap".to_owned()));
        }
        match fault {
            Some(Fault::NotWritten) => return Err(StoreError::Append("no space".to_owned())),
            Some(Fault::Written) => {
                disk.staged.extend_from_slice(entries);
                disk.flush();
                return Err(StoreError::Append("late error".to_owned()));
            }
            None => disk.staged.extend_from_slice(entries),
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        let mut disk = self.disk();
        match disk.fault(Call::Commit) {
            Some(Fault::NotWritten) => Err(StoreError::Commit("input/output error".to_owned())),
            Some(Fault::Written) => {
                disk.flush();
                Err(StoreError::Commit("late error".to_owned()))
            }
            None => {
                disk.flush();
                Ok(())
            }
        }
    }

    async fn read(&mut self, query: &Query) -> Result<Vec<Entry>, StoreError> {
        let disk = self.disk();
        let wanted = |entry: &&Entry| {
            entry.seq > query.after && query.subject.as_ref().is_none_or(|s| *s == entry.subject)
        };
        let limit = query.limit.min(ROWS_MAX) as usize;
        Ok(disk.durable.iter().filter(wanted).take(limit).cloned().collect())
    }
}
