//! The host's journal: JSON lines, appended; one older file is kept.
use crate::now;
use andon_model::host_journal::{Entry, Fact};
use andon_model::id::HostId;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Largest journal, bytes; then it becomes `journal.jsonl.1`.
const JOURNAL_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    pub(crate) fn open(folder: &Path) -> io::Result<Journal> {
        let path = folder.join("journal.jsonl");
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        Ok(Journal { path, file })
    }

    /// Appends one fact. A journal that cannot be written must not stop the host: told on stderr.
    pub(crate) fn write(&mut self, host: Option<HostId>, fact: Fact) {
        let entry = Entry { at: now(), host, fact };
        let mut line = serde_json::to_vec(&entry).unwrap_or_default();
        line.push(b'\n');
        if let Err(failed) = self.append(&line) {
            eprintln!("andon-supervisor: write journal: {failed}");
        }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.file.metadata()?.len() > JOURNAL_BYTES_MAX {
            std::fs::rename(&self.path, self.path.with_extension("jsonl.1"))?;
            self.file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        }
        self.file.write_all(line)
    }
}
