//! The sandboxed child `andon-check`: started, spoken to in lines, restarted when it dies.
use crate::process::{Process, open_log};
use andon_model::handover::{FromCheck, ToCheck};
use andon_model::limits::HANDOVER_LINE_BYTES_MAX;
use rustix::fd::{AsFd as _, BorrowedFd};
use rustix::fs::{OFlags, fcntl_setfl};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

/// Most bytes that may wait for a child that does not read; then it is stuck and replaced.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most bytes taken in one round, so that a child that floods does not stop the rest.
const ROUND_BYTES_MAX: usize = 1024 * 1024;

/// What the child is started with.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) program: PathBuf,
    pub(crate) server: String,
    pub(crate) anchor: PathBuf,
    pub(crate) state: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Check {
    process: Process,
    input: ChildStdin,
    output: ChildStdout,
    to_write: Vec<u8>,
    read: Vec<u8>,
}

/// What became of a look at the child.
#[derive(Debug)]
pub(crate) enum Heard {
    /// it lives, and said this
    Said(Vec<FromCheck>),
    /// it is gone, or spoke nonsense and must go
    Lost(String),
}

impl Check {
    pub(crate) fn start(setup: &Setup) -> io::Result<Check> {
        let log = open_log(&setup.state.join("log").join("andon-check.log"))?;
        let mut command = Command::new(&setup.program);
        command
            .arg("--server")
            .arg(&setup.server)
            .arg("--anchor")
            .arg(&setup.anchor)
            .arg("--state")
            .arg(&setup.state)
            .env_clear()
            .current_dir(Path::new("/"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut process = Process::start(&mut command)?;
        let missing = || io::Error::other("child has no pipe");
        let input = process.child.stdin.take().ok_or_else(missing)?;
        let output = process.child.stdout.take().ok_or_else(missing)?;
        fcntl_setfl(&input, OFlags::NONBLOCK)?;
        fcntl_setfl(&output, OFlags::NONBLOCK)?;
        Ok(Check { process, input, output, to_write: Vec::new(), read: Vec::new() })
    }

    pub(crate) fn output_fd(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }
    /// Its standard input, while something waits to be written.
    pub(crate) fn input_fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.to_write.is_empty()).then(|| self.input.as_fd())
    }

    pub(crate) fn say(&mut self, asked: &ToCheck) {
        self.to_write.extend(asked.to_line());
    }

    /// Writes what waits and reads what is there; never blocks.
    pub(crate) fn look(&mut self) -> Heard {
        if let Some(exit) = self.process.ended() {
            return Heard::Lost(format!("andon-check ended: {exit:?}"));
        }
        if let Err(why) = self.flush() {
            return Heard::Lost(why);
        }
        let mut piece = vec![0; 64 * 1024];
        let mut taken = 0;
        while taken < ROUND_BYTES_MAX {
            match self.output.read(&mut piece) {
                Ok(0) => return Heard::Lost("andon-check closed its output".to_owned()),
                Ok(length) => {
                    self.read.extend(&piece[..length]);
                    taken += length;
                }
                Err(wait) if wait.kind() == io::ErrorKind::WouldBlock => break,
                Err(again) if again.kind() == io::ErrorKind::Interrupted => {}
                Err(failed) => return Heard::Lost(format!("read from andon-check: {failed}")),
            }
        }
        self.lines()
    }

    fn flush(&mut self) -> Result<(), String> {
        while !self.to_write.is_empty() {
            match self.input.write(&self.to_write) {
                Ok(0) => return Err("andon-check takes no more input".to_owned()),
                Ok(length) => drop(self.to_write.drain(..length)),
                Err(wait) if wait.kind() == io::ErrorKind::WouldBlock => break,
                Err(again) if again.kind() == io::ErrorKind::Interrupted => {}
                Err(failed) => return Err(format!("write to andon-check: {failed}")),
            }
        }
        match self.to_write.len() > WAITING_BYTES_MAX {
            true => Err("andon-check does not read its input".to_owned()),
            false => Ok(()),
        }
    }

    fn lines(&mut self) -> Heard {
        let whole = self.read.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = self.read.split_off(whole);
        let lines = std::mem::replace(&mut self.read, rest);
        if self.read.len() > HANDOVER_LINE_BYTES_MAX {
            return Heard::Lost("andon-check wrote a line beyond the limit".to_owned());
        }
        let mut said = Vec::new();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match FromCheck::parse(line) {
                Ok(one) => said.push(one),
                Err(wrong) => return Heard::Lost(crate::told(&wrong)),
            }
        }
        Heard::Said(said)
    }
}
