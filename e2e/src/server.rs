//! A real `andond` on loopback. It ends when its owner does, by its process id and by nothing wider.
use crate::http::Http;
use crate::line::Line;
use crate::{programs, wait};
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Longest a server may take to serve: it replays its journal first.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// `127.0.0.1:PORT`
    pub address: String,
}

impl Server {
    /// Starts it on this line and waits until it serves.
    /// # Errors
    /// When it ends or is not ready in time.
    pub fn start(line: &Line) -> Result<Server> {
        Server::start_under(line, &[])
    }

    /// SIGKILL, and a start of the same line at the same address: its hosts know no other.
    /// # Errors
    /// When the process cannot be waited for, or the new one is not ready in time.
    pub fn kill_and_start_again(self, line: &Line) -> Result<Server> {
        let address = self.address.clone();
        self.kill()?;
        Server::start_at(line, &address, &[])
    }

    /// As [`Server::start`], under another program (`strace …`) that starts it.
    /// # Errors
    /// When it ends or is not ready in time.
    pub fn start_under(line: &Line, wrapper: &[String]) -> Result<Server> {
        Server::start_at(line, "127.0.0.1:0", wrapper)
    }

    fn start_at(line: &Line, listen: &str, wrapper: &[String]) -> Result<Server> {
        let ready = line.aside().join("ready");
        match std::fs::remove_file(&ready) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context("remove the old ready-file");
            }
            _ => {}
        }
        let mut words: Vec<PathBuf> = wrapper.iter().map(PathBuf::from).collect();
        words.push(programs::path("andond")?);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("--config").arg(line.config());
        command.args(["--listen", listen, "--ready-file"]).arg(&ready);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(line.aside().join("andond.log"))
            .context("open the server's log")?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let mut server = Server { child: child.context("start andond")?, address: String::new() };
        let mut ended = None;
        let address = wait::until("andond to serve", READY_WITHIN, || {
            ended = server.child.try_wait().ok().flatten();
            let text = std::fs::read_to_string(&ready).unwrap_or_default();
            let whole = text.ends_with('\n') || text.trim().parse::<std::net::SocketAddr>().is_ok();
            (ended.is_some() || whole).then(|| text.trim().to_owned())
        })?;
        if let Some(status) = ended {
            let log = std::fs::read_to_string(line.aside().join("andond.log")).unwrap_or_default();
            bail!("andond ended with {status}: {log}");
        }
        server.address = address.trim_start_matches("http://").to_owned();
        Ok(server)
    }

    /// A client of it.
    #[must_use]
    pub fn http(&self) -> Http {
        Http::new(&self.address)
    }

    /// The process id that was started (the wrapper's, if there is one).
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for an end that something else has caused.
    /// # Errors
    /// When it does not end.
    pub fn wait(mut self) -> Result<ExitStatus> {
        wait::until("andond to end", Duration::from_secs(30), || self.child.try_wait().ok()?)
    }

    /// SIGKILL for the traced server, the wrapper's only child: the trace is whole once the wrapper has
    /// ended with it.
    /// # Errors
    /// When there is no child, or it cannot be killed.
    pub fn end_traced(self) -> Result<()> {
        let path = format!("/proc/{0}/task/{0}/children", self.id());
        let children = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        for child in children.split_whitespace() {
            let killed = Command::new("kill").args(["-KILL", child]).status();
            if !killed.context("start kill")?.success() {
                bail!("kill {child}");
            }
        }
        self.wait().map(|_| ())
    }

    /// SIGKILL, now.
    /// # Errors
    /// When the process cannot be waited for.
    pub fn kill(mut self) -> Result<ExitStatus> {
        self.child.kill().context("kill andond")?;
        self.child.wait().context("wait for andond")
    }

    /// SIGTERM, and its end waited for.
    /// # Errors
    /// When the signal cannot be sent or the process does not end.
    pub fn stop(self) -> Result<ExitStatus> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().context("start kill")?;
        if !sent.success() {
            bail!("send SIGTERM to {id}");
        }
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}
