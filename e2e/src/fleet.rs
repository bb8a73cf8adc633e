//! Light hosts: the real `andon fleet`, and what its hosts' own journals say.
use crate::line::Line;
use crate::{programs, wait};
use andon_model::HostId;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Long enough for a loaded machine of two cores; the wait ends as soon as all are there.
const ENROLLED_WITHIN: Duration = Duration::from_secs(60);

/// A running fleet. It ends when its owner does, by its process id and by nothing wider.
#[derive(Debug)]
pub struct Fleet {
    child: Child,
    journals: PathBuf,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Fleet {
    /// Starts so many hosts of one model, with these words more, and waits until all have enrolled.
    /// # Errors
    /// When it does not start, or hosts do not enrol in time.
    pub fn start(line: &Line, address: &str, hosts: usize, words: &[&str]) -> Result<Fleet> {
        let journals = line.aside().join("journals");
        let log = std::fs::File::create(line.aside().join("fleet.log")).context("open a log")?;
        let mut command = Command::new(programs::path("andon")?);
        command.arg("--dir").arg(&line.folder).args(["fleet", "--server"]);
        command.arg(format!("http://{address}")).args(["--join-token", &line.token]);
        command.args(["--hosts", &hosts.to_string(), "--models", "1", "--journal"]).arg(&journals);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().context("start andon fleet")?;
        let fleet = Fleet { child, journals };
        wait::until("every host to enrol", ENROLLED_WITHIN, || {
            (fleet.hosts_with(|entry| entry["fact"] == "enrolled").len() == hosts).then_some(())
        })?;
        Ok(fleet)
    }

    /// Hosts whose own journal has an entry like this.
    pub fn hosts_with(&self, like: impl Fn(&Value) -> bool) -> BTreeSet<HostId> {
        let files = std::fs::read_dir(&self.journals).into_iter().flatten().flatten();
        let text = files.map(|file| std::fs::read_to_string(file.path()).unwrap_or_default());
        text.filter_map(|text| {
            let mut entries = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            let entry: Value = entries.find(|entry| like(entry))?;
            serde_json::from_value(entry["host"].clone()).ok()
        })
        .collect()
    }

    /// How many entries like this all journals have.
    pub fn count(&self, like: impl Fn(&Value) -> bool) -> usize {
        let files = std::fs::read_dir(&self.journals).into_iter().flatten().flatten();
        let text = files.map(|file| std::fs::read_to_string(file.path()).unwrap_or_default());
        let of = |text: String| {
            let entries = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            entries.filter(|entry: &Value| like(entry)).count()
        };
        text.map(of).sum()
    }
}
