//! A real `andon witness` of a line's log. It ends when its owner does, by its process id alone.
use crate::{programs, wait};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longest it may take to serve.
const WITHIN: Duration = Duration::from_secs(60);

/// A witness that has a key and an address, and may run.
#[derive(Debug)]
pub struct Witness {
    folder: PathBuf,
    vkey: String,
    address: String,
    child: Option<Child>,
}

impl Witness {
    /// Makes the key of a witness and finds a free port for it, which is a moment's truth: the line's
    /// configuration names it before the witness can know the line's log.
    /// # Errors
    /// When the key cannot be made.
    pub fn new(folder: &Path, name: &str) -> Result<Witness> {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).context("make a folder")?;
        let mut command = Command::new(programs::path("andon")?);
        command.args(["--json", "keys", "note", "--for", "witness", "--name", name, "--out"]);
        let out = command.arg(folder.join("key")).output().context("start andon keys")?;
        ensure!(out.status.success(), "{command:?} ended with {}", out.status);
        let made: Value = serde_json::from_slice(&out.stdout).context("read the key")?;
        let vkey = made["verifier"].as_str().context("find the verifier key")?.to_owned();
        let free = TcpListener::bind("127.0.0.1:0").context("find a port")?;
        let address = free.local_addr().context("find a port")?.to_string();
        Ok(Witness { folder, vkey, address, child: None })
    }

    /// For `andon init --witness`.
    #[must_use]
    pub fn option(&self) -> String {
        format!("{}@http://{}", self.vkey, self.address)
    }

    /// Starts it on this log and waits until it serves.
    /// # Errors
    /// When it does not.
    pub fn start(&mut self, log: &str) -> Result<()> {
        let ready = self.folder.join("ready");
        let said = std::fs::File::create(self.folder.join("said")).context("open a log")?;
        let mut command = Command::new(programs::path("andon")?);
        command.arg("witness").arg("--key").arg(self.folder.join("key"));
        command.args(["--log", log, "--listen", &self.address, "--data"]);
        command.arg(self.folder.join("data")).arg("--ready-file").arg(&ready);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn();
        self.child = Some(child.context("start andon witness")?);
        wait::until("the witness to serve", WITHIN, || ready.exists().then_some(()))?;
        std::fs::remove_file(&ready).context("remove the ready-file")
    }

    /// SIGKILL, now.
    /// # Errors
    /// When the process cannot be waited for.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().context("kill the witness")?;
            child.wait().context("wait for the witness")?;
        }
        Ok(())
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ended_already = self.kill();
    }
}
