//! A disk that loses power: from the traced calls of a process it rebuilds what would be there
//! afterwards if every write that no sync had covered was lost.
//!
//! The model is the harsh end of what a file system may do: an unsynced write is never kept. It
//! keeps names (a file once made exists, possibly empty), which is what syncing the folder buys.
use crate::strace::Step;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

#[derive(Clone, Debug, Default)]
struct File {
    durable: Vec<u8>,
    /// made, and covered by no sync that returned; in order
    pending: Vec<Change>,
    /// per running sync: how many of `pending` had been made when it began
    syncs: BTreeMap<usize, usize>,
}

/// The disk so far.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    files: BTreeMap<String, File>,
}

impl Disk {
    /// One more thing happened.
    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::Wrote { path, offset, bytes } => {
                self.file(path).pending.push(Change::Write(*offset, bytes.clone()));
            }
            Step::Cut { path, length } => self.file(path).pending.push(Change::Cut(*length)),
            Step::SyncBegan { path, call } => {
                let file = self.file(path);
                file.syncs.insert(*call, file.pending.len());
            }
            Step::Synced { path, call } => self.file(path).keep(*call),
            Step::Sent { .. } => {}
        }
    }

    /// What a file holds after the power is back; `None` when it was never made.
    #[must_use]
    pub fn after_power_loss(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(|file| file.durable.as_slice())
    }

    /// Paths of all files seen.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    fn file(&mut self, path: &str) -> &mut File {
        self.files.entry(path.to_owned()).or_default()
    }
}

impl File {
    fn keep(&mut self, call: usize) {
        let Some(covered) = self.syncs.remove(&call) else { return };
        let covered = covered.min(self.pending.len());
        for change in self.pending.drain(..covered) {
            match change {
                Change::Write(offset, bytes) => {
                    let begin = usize::try_from(offset).unwrap_or(usize::MAX);
                    let end = begin.saturating_add(bytes.len());
                    if self.durable.len() < end {
                        self.durable.resize(end, 0);
                    }
                    self.durable[begin..end].copy_from_slice(&bytes);
                }
                Change::Cut(length) => {
                    self.durable.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
                }
            }
        }
        for count in self.syncs.values_mut() {
            *count = count.saturating_sub(covered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrote(offset: u64, text: &str) -> Step {
        Step::Wrote { path: "/a".to_owned(), offset, bytes: text.as_bytes().to_vec() }
    }
    fn began(call: usize) -> Step {
        Step::SyncBegan { path: "/a".to_owned(), call }
    }
    fn synced(call: usize) -> Step {
        Step::Synced { path: "/a".to_owned(), call }
    }

    #[track_caller]
    fn leaves(steps: &[Step], text: &str) {
        let mut disk = Disk::default();
        steps.iter().for_each(|step| disk.apply(step));
        assert_eq!(disk.after_power_loss("/a"), Some(text.as_bytes()));
    }

    #[test]
    fn only_what_a_sync_covered_survives() {
        leaves(&[wrote(0, "one")], "");
        leaves(&[wrote(0, "one"), began(1), synced(1)], "one");
        leaves(&[wrote(0, "one"), began(1)], "");
        leaves(&[wrote(0, "one"), began(1), synced(1), wrote(1, "x")], "one");
        leaves(&[wrote(0, "one"), began(1), wrote(3, "two"), synced(1)], "one");
        leaves(&[wrote(0, "a"), began(1), wrote(1, "b"), began(2), synced(1), synced(2)], "ab");
        let cut = Step::Cut { path: "/a".to_owned(), length: 1 };
        leaves(&[wrote(0, "one"), cut, began(1), synced(1)], "o");
    }
}
