//! A real `andon verifier` beside a server. It ends when its owner does, by its process id alone.
use crate::line::Line;
use crate::{programs, wait};
use anyhow::{Context as _, Result};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Longest it may take to have read the journal, or to end.
const WITHIN: Duration = Duration::from_secs(60);

/// A running verifier.
#[derive(Debug)]
pub struct Verifier {
    child: Child,
    log: PathBuf,
}

impl Verifier {
    /// Starts the verifier of this name, whose key `andon init` made; its memory is kept beside the line.
    /// # Errors
    /// When it does not read the journal to its end in time.
    pub fn start(line: &Line, address: &str, name: &str) -> Result<Verifier> {
        let ready = line.aside().join(format!("{name}.ready"));
        let verifier = Verifier::begin(line, address, name, &["--ready-file", path(&ready)?])?;
        wait::until("the verifier to read the journal", WITHIN, || ready.exists().then_some(()))?;
        std::fs::remove_file(&ready).context("remove the ready-file")?;
        Ok(verifier)
    }

    /// The same without waiting: it may not get that far.
    /// # Errors
    /// When it does not start.
    pub fn begin(line: &Line, address: &str, name: &str, words: &[&str]) -> Result<Verifier> {
        let log = line.aside().join(format!("{name}.log"));
        let file = std::fs::File::create(&log).context("open a log")?;
        let mut command = Command::new(programs::path("andon")?);
        command.arg("--dir").arg(&line.folder).arg("--json");
        command.args(["--server", &format!("http://{address}"), "verifier"]);
        command.args(["--key", &format!("verifiers/{name}"), "--data"]);
        command.arg(line.aside().join(name)).args(words);
        let out = file.try_clone().context("open a log")?;
        let child = command.stdin(Stdio::null()).stdout(out).stderr(file).spawn();
        Ok(Verifier { child: child.context("start andon verifier")?, log })
    }

    /// Everything that it has said.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL, now.
    /// # Errors
    /// When the process cannot be waited for.
    pub fn kill(mut self) -> Result<ExitStatus> {
        self.child.kill().context("kill the verifier")?;
        self.child.wait().context("wait for the verifier")
    }

    /// Waits until it ends by itself; how, and what it said.
    /// # Errors
    /// When it does not end.
    pub fn ended(mut self) -> Result<(ExitStatus, String)> {
        let how = wait::until("the verifier to end", WITHIN, || self.child.try_wait().ok()?)?;
        Ok((how, self.said()))
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn path(path: &std::path::Path) -> Result<&str> {
    path.to_str().context("read a path")
}
