//! A light host's journal file: one JSON line per fact, appended as it happens. It outlives the
//! host's whole deaths, because it stands for what the host's disk remembers.
use andon_model::HostId;
use andon_model::host_journal::{Entry, Fact};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Appends facts; opens the file for each, because a thousand open files would cost more than the
/// handful of facts that a host has.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    path: PathBuf,
}

impl Journal {
    /// `FOLDER/hNNNNNNNNNN.jsonl`.
    pub(super) fn new(folder: &Path, host: HostId) -> Journal {
        Journal { path: folder.join(format!("{host}.jsonl")) }
    }

    /// Writes one fact.
    /// # Errors
    /// File trouble.
    pub(super) fn write(&self, host: HostId, fact: &Fact) -> io::Result<()> {
        let entry = Entry { at: super::clock::now(), host: Some(host), fact: fact.clone() };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        OpenOptions::new().create(true).append(true).open(&self.path)?.write_all(&line)
    }
}
