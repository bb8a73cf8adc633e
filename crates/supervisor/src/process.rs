//! Processes of this host: services with their notify socket and watchdog, hooks and probes with
//! their timeout. Each runs in its own process group and ends with the supervisor.
use andon_host::Exit;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A service must say `WATCHDOG=1` at least so often once it is ready.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(10);
/// From SIGTERM to SIGKILL.
const STOP_WAIT: Duration = Duration::from_secs(5);
/// Largest log of one service, bytes; then it becomes `NAME.log.1` and begins anew.
const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A child process with a file descriptor that says when it has ended.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) child: Child,
    ended: OwnedFd,
    group: Pid,
}

impl Process {
    /// Starts it as leader of its own group; it is killed when the supervisor dies, so that a new
    /// supervisor never meets an old service.
    pub(crate) fn start(command: &mut Command) -> io::Result<Process> {
        command.process_group(0);
        // SAFETY: between fork and exec only prctl(2) is called, which is async-signal-safe and
        // touches no memory of ours.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            })
        };
        let mut child = command.spawn()?;
        let group = Pid::from_child(&child);
        match pidfd_open(group, PidfdFlags::empty()) {
            Ok(ended) => Ok(Process { child, ended, group }),
            Err(failed) => {
                let _gone = child.kill();
                let _reaped = child.wait();
                Err(failed.into())
            }
        }
    }
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }
    /// How it ended, once it has; whatever it left in its group is killed.
    pub(crate) fn ended(&mut self) -> Option<Exit> {
        let status = self.child.try_wait().ok()??;
        self.signal(Signal::KILL);
        let signal = status.signal().map(Exit::Signal);
        Some(signal.unwrap_or(Exit::Code(status.code().unwrap_or(-1))))
    }
    /// A group that is gone already needs no signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let _gone = kill_process_group(self.group, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _reaped = self.child.wait();
    }
}

/// What to start.
#[derive(Debug)]
pub(crate) struct Order<'o> {
    pub(crate) name: &'o str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) state: &'o Path,
}

/// What a service said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Ready,
    Alive,
}

/// A running service.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Process,
    notify: UnixDatagram,
    socket: PathBuf,
    log: PathBuf,
    /// counted from `READY=1`
    pub(crate) watchdog_until: Option<Instant>,
    pub(crate) kill_at: Option<Instant>,
}

impl Running {
    /// Starts a service.
    pub(crate) fn start(order: &Order<'_>) -> io::Result<Running> {
        let socket = order.state.join("run").join(format!("{}.sock", order.name));
        match std::fs::remove_file(&socket) {
            Err(failed) if failed.kind() != io::ErrorKind::NotFound => return Err(failed),
            _ => {}
        }
        let notify = UnixDatagram::bind(&socket)?;
        notify.set_nonblocking(true)?;
        let log = order.state.join("log").join(format!("{}.log", order.name));
        let out = open_log(&log)?;
        let mut command = Command::new(&order.program);
        command
            .args(&order.arguments)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .env("ANDON_STATE", order.state)
            .current_dir(order.state)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        let process = Process::start(&mut command)?;
        Ok(Running { process, notify, socket, log, watchdog_until: None, kill_at: None })
    }

    pub(crate) fn notify_fd(&self) -> BorrowedFd<'_> {
        self.notify.as_fd()
    }

    /// Words since the last look; datagrams that are none of ours are skipped.
    pub(crate) fn words(&self) -> Vec<Word> {
        let mut words = Vec::new();
        let mut bytes = [0; 4096];
        // Bounded: a service that floods its socket is heard again in the next round.
        for _ in 0..64 {
            let Ok(length) = self.notify.recv(&mut bytes) else { break };
            let text = String::from_utf8_lossy(&bytes[..length]);
            words.extend(text.lines().filter_map(|line| match line {
                "READY=1" => Some(Word::Ready),
                "WATCHDOG=1" => Some(Word::Alive),
                _ => None,
            }));
        }
        words
    }

    /// SIGTERM now, SIGKILL after a while.
    pub(crate) fn stop(&mut self) {
        self.process.signal(Signal::TERM);
        self.watchdog_until = None;
        self.kill_at = Some(Instant::now() + STOP_WAIT);
    }

    /// Keeps the log within its limit: what is full becomes the older one.
    pub(crate) fn bound_log(&self) {
        if std::fs::metadata(&self.log).is_ok_and(|file| file.len() > LOG_BYTES_MAX) {
            let older = self.log.with_extension("log.1");
            // The service keeps its descriptor, so the file is emptied rather than replaced.
            let kept = std::fs::copy(&self.log, older).and_then(|_| {
                OpenOptions::new().write(true).truncate(true).open(&self.log).map(|_| ())
            });
            if let Err(failed) = kept {
                eprintln!("andon-supervisor: bound log {}: {failed}", self.log.display());
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _left_over = std::fs::remove_file(&self.socket);
    }
}

/// Appending, so that a shortened file is written from its new end.
pub(crate) fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Starts a hook or a probe: no output kept, nothing on its standard input.
pub(crate) fn start_task(words: &[String], state: &Path) -> io::Result<Process> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let log = open_log(&state.join("log").join("hooks.log"))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("ANDON_STATE", state)
        .current_dir(state)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Process::start(&mut command)
}
