//! What the fleet shows of itself each second: one letter per host and the sums. It is a picture for
//! people, never a figure of a report: reports are counted from the journals.
use andon_model::HostId;
use andon_model::host_journal::Fact;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// One letter per host.
pub(super) const ABSENT: u8 = b'.';
/// Runs what it ran before.
pub(crate) const CALM: u8 = b'o';
/// Runs the new version, not yet confirmed.
pub(super) const TRYING: u8 = b'p';
/// Confirmed the new version.
pub(super) const DONE: u8 = b'c';
/// Crashed, hung, or dead as a whole.
pub(super) const DOWN: u8 = b'x';
/// Went back by itself.
pub(super) const BACK: u8 = b'r';

/// The letter after a fact; `None`: as before.
pub(crate) fn letter(fact: &Fact) -> Option<u8> {
    match fact {
        Fact::Enrolled => Some(CALM),
        Fact::Activated { .. } => Some(TRYING),
        Fact::Confirmed { .. } => Some(DONE),
        Fact::Exited { .. }
        | Fact::Hung { .. }
        | Fact::Died { .. }
        | Fact::SafeMode { .. }
        | Fact::Probe { well: false, .. } => Some(DOWN),
        Fact::FellBack { .. } => Some(BACK),
        _ => None,
    }
}

/// Letters and counters, shared by all hosts of the process.
#[derive(Debug)]
pub(super) struct Board {
    letters: Vec<AtomicU8>,
    ids: Mutex<BTreeMap<u32, HostId>>,
    /// beats that the server took
    pub(super) beats: AtomicU64,
    /// beats that failed
    pub(super) beats_lost: AtomicU64,
}

/// One line of the fleet's standard output.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    /// hosts with an id
    pub(super) enrolled: usize,
    /// letters, in the order of `ids`
    pub(super) letters: String,
    /// beats taken so far
    pub(super) beats: u64,
    /// beats lost so far
    pub(super) beats_lost: u64,
    /// resident memory of this process, kilobytes
    pub(super) rss_kb: u64,
    /// host ids, told whenever their number has changed
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ids: Option<Vec<HostId>>,
}

impl Board {
    /// For `hosts` hosts, none there yet.
    pub(super) fn new(hosts: u32) -> Board {
        Board {
            letters: (0..hosts).map(|_| AtomicU8::new(ABSENT)).collect(),
            ids: Mutex::new(BTreeMap::new()),
            beats: AtomicU64::new(0),
            beats_lost: AtomicU64::new(0),
        }
    }

    /// A host has its id.
    pub(super) fn enrolled(&self, number: u32, host: HostId) {
        let mut ids = self.ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        ids.insert(number, host);
    }

    /// Repaints a host after a fact of its journal.
    pub(super) fn paint(&self, number: u32, fact: &Fact) {
        if let Some(letter) = letter(fact) {
            self.set(number, letter);
        }
    }

    fn set(&self, number: u32, letter: u8) {
        if let Some(cell) = self.letters.get(number as usize) {
            cell.store(letter, Ordering::Relaxed);
        }
    }

    /// Everybody calm again: a new act begins.
    pub(super) fn calm(&self) {
        for cell in self.letters.iter().filter(|cell| cell.load(Ordering::Relaxed) != ABSENT) {
            cell.store(CALM, Ordering::Relaxed);
        }
    }

    /// As of now. `ids_told` is how many ids the reader knows already.
    pub(super) fn status(&self, ids_told: usize) -> Status {
        let ids = self.ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let letter = |number: &u32| {
            let cell = self.letters.get(*number as usize);
            char::from(cell.map_or(ABSENT, |cell| cell.load(Ordering::Relaxed)))
        };
        Status {
            enrolled: ids.len(),
            letters: ids.keys().map(letter).collect(),
            beats: self.beats.load(Ordering::Relaxed),
            beats_lost: self.beats_lost.load(Ordering::Relaxed),
            rss_kb: rss_kb(),
            ids: (ids.len() != ids_told).then(|| ids.values().copied().collect()),
        }
    }
}

/// Resident memory of this process in kilobytes; 0 where `/proc` does not say.
fn rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
