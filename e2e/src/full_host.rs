//! A full host: supervisor, its sandboxed child, and the journal that they leave.
use crate::line::Line;
use crate::{programs, wait};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A running supervisor and its journal.
#[derive(Debug)]
pub struct Host {
    child: Child,
    journal: PathBuf,
}

impl Host {
    /// Starts one at this server, without services of its own.
    /// # Errors
    /// When it cannot be laid out or started.
    pub fn start(line: &Line, address: &str) -> Result<Host> {
        let folder = line.aside().join("host");
        std::fs::create_dir_all(&folder).context("make the host's folder")?;
        let config = format!(
            "server = \"http://{address}\"\nanchor = {:?}\nstate = \"state\"\n\
             join_token = {:?}\nmodel = \"test\"\n",
            line.folder.join("anchor.json"),
            line.token
        );
        std::fs::write(folder.join("host.toml"), config).context("write host.toml")?;
        programs::path("andon-check")?;
        let log = std::fs::File::create(line.aside().join("host.log")).context("open a log")?;
        let mut command = Command::new(programs::path("andon-supervisor")?);
        command.arg("--config").arg(folder.join("host.toml"));
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let journal = folder.join("state/journal.jsonl");
        Ok(Host { child: child.context("start andon-supervisor")?, journal })
    }

    /// All facts of its journal.
    #[must_use]
    pub fn facts(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.journal).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for a fact about this version of a component.
    /// # Errors
    /// When it does not come in time.
    pub fn fact(
        &self,
        fact: &str,
        component: &str,
        version: u32,
        patience: Duration,
    ) -> Result<Value> {
        let what = format!("{fact} of {component} {version}");
        let found = wait::until(&what, patience, || {
            self.facts().into_iter().find(|entry| {
                let which = if entry["which"].is_null() { &entry["from"] } else { &entry["which"] };
                entry["fact"] == fact
                    && which["component"] == component
                    && which["version"] == version
            })
        });
        found.with_context(|| format!("the host's journal: {:#?}", self.facts()))
    }

    /// Sends the supervisor a signal (`-TERM`) and waits for its end.
    /// # Errors
    /// When the signal cannot be sent.
    pub fn end_with(&mut self, signal: &str) -> Result<ExitStatus> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().context("start kill")?;
        ensure!(sent.success(), "send {signal} to {id}");
        self.child.wait().context("wait for the supervisor")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}
