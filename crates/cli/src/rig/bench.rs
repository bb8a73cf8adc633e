//! The bench: a component's program in a child behind walls ([`super::sandbox`]), watched until it has
//! ended, or has been well for as long as hosts ask for, or its time is over. Whatever it starts is in its
//! process group, which it cannot leave, and ends with it.
use super::RigError;
use super::inside::CONFINED;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A service must say `WATCHDOG=1` at least so often once it is ready, as under the supervisor.
const WATCHDOG: Duration = Duration::from_secs(10);
/// What is kept of a program's last words, bytes.
const WORDS_MAX: i64 = 2048;

/// A folder of its own for one run, gone afterwards.
#[derive(Debug)]
pub(super) struct Bench {
    dir: PathBuf,
    memory: u64,
}

/// What to run there.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// a command that must end with 0
    Hook(Vec<String>),
    /// the sensor's engine over the slot's files
    Rules,
    /// a service that must become ready and stay well for so long
    Service(Vec<String>, Duration),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Well,
    Badly(String),
}

struct Running {
    child: Child,
    ended: OwnedFd,
    group: Pid,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = kill_process_group(self.group, Signal::KILL);
        let _reaped = self.child.wait();
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _left = std::fs::remove_dir_all(&self.dir);
    }
}

impl Bench {
    /// An empty bench; components may use so many bytes of memory.
    /// # Errors
    /// [`RigError`].
    pub(super) fn new(memory: u64) -> Result<Bench, RigError> {
        let name = u64::from_le_bytes(crate::keys::random()?[..8].try_into().unwrap_or_default());
        let dir = std::env::temp_dir().join(format!("andon-rig-{name:016x}"));
        crate::files::make_private_folder(&dir)?;
        let bench = Bench { dir, memory };
        for folder in [bench.slot(), bench.state()] {
            crate::files::make_private_folder(&folder)?;
        }
        Ok(bench)
    }

    pub(super) fn slot(&self) -> PathBuf {
        self.dir.join("slot")
    }
    pub(super) fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// Runs it for `time` at most.
    /// # Errors
    /// [`RigError`] when it could not be run as it must be: that says nothing about the component.
    pub(super) fn run(&self, what: &What, time: Duration) -> Result<Ended, RigError> {
        let log = self.dir.join("log");
        let confined = self.dir.join("confined");
        let failed = |source| RigError::Run(self.dir.clone(), source);
        File::create(&confined).map_err(failed)?;
        let socket = self.state().join("notify.sock");
        let _none = std::fs::remove_file(&socket);
        let notify = UnixDatagram::bind(&socket).map_err(failed)?;
        notify.set_nonblocking(true).map_err(failed)?;
        let mut running = self.start(what, time, &log, &socket).map_err(failed)?;
        let ended = match what {
            What::Hook(_) | What::Rules => until_ended(&mut running, time),
            What::Service(_, well) => until_well(&mut running, &notify, time, *well),
        };
        drop(running);
        let ended = ended.map_err(failed)?;
        let words = last_words(&log);
        if std::fs::read(&confined).map_err(failed)? != CONFINED {
            return Err(RigError::Sandbox(words));
        }
        Ok(match ended {
            Ended::Badly(why) if !words.is_empty() => Ended::Badly(format!("{why}; {words}")),
            ended => ended,
        })
    }

    fn start(
        &self,
        what: &What,
        time: Duration,
        log: &Path,
        socket: &Path,
    ) -> std::io::Result<Running> {
        let out = File::create(log)?;
        let mut command = Command::new("/proc/self/exe");
        command.args(["rig", "inside", "--slot"]).arg(self.slot());
        command.arg("--state").arg(self.state());
        command.arg("--confined").arg(self.dir.join("confined"));
        command.args(["--memory", &self.memory.to_string()]);
        command.args(["--processor", &time.as_secs().saturating_add(1).to_string()]);
        match what {
            What::Rules => command.arg("--load-rules"),
            What::Hook(argv) | What::Service(argv, _) => command.arg("--").args(argv),
        };
        command
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("NOTIFY_SOCKET", socket)
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .env("ANDON_STATE", self.state())
            .current_dir(self.state())
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0);
        let mut child = command.spawn()?;
        let group = Pid::from_child(&child);
        match pidfd_open(group, PidfdFlags::empty()) {
            Ok(ended) => Ok(Running { child, ended, group }),
            Err(why) => {
                let _gone = child.kill();
                let _reaped = child.wait();
                Err(why.into())
            }
        }
    }
}

/// Waits until it ends, something is said, or that moment has come.
fn wait(running: &Running, notify: Option<&UnixDatagram>, until: Instant) -> std::io::Result<()> {
    let left = until.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).map_err(std::io::Error::other)?;
    let mut fds = vec![PollFd::new(&running.ended, PollFlags::IN)];
    fds.extend(notify.map(|socket| PollFd::new(socket, PollFlags::IN)));
    match poll(&mut fds, Some(&left)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(why) => Err(why.into()),
    }
}

fn until_ended(running: &mut Running, time: Duration) -> std::io::Result<Ended> {
    let until = Instant::now() + time;
    loop {
        if let Some(status) = running.child.try_wait()? {
            return Ok(judged(status));
        }
        if Instant::now() >= until {
            return Ok(Ended::Badly(format!("it had not ended after {} s", time.as_secs_f32())));
        }
        wait(running, None, until)?;
    }
}

/// Ready within `time`, then well for `well` with its watchdog fed.
fn until_well(
    running: &mut Running,
    notify: &UnixDatagram,
    time: Duration,
    well: Duration,
) -> std::io::Result<Ended> {
    let start = Instant::now();
    let (mut ready, mut fed) = (None::<Instant>, start);
    loop {
        let mut bytes = [0; 4096];
        // Bounded: a service that floods its socket is looked at again in the next round.
        for _ in 0..64 {
            let Ok(length) = notify.recv(&mut bytes) else { break };
            for line in String::from_utf8_lossy(&bytes[..length]).lines() {
                if line == "READY=1" {
                    ready.get_or_insert_with(Instant::now);
                }
                fed = Instant::now();
            }
        }
        if let Some(status) = running.child.try_wait()? {
            let when = if ready.is_some() { "after it was ready" } else { "before it was ready" };
            let how = match judged(status) {
                Ended::Well => "it ended with exit status 0".to_owned(),
                Ended::Badly(how) => how,
            };
            return Ok(Ended::Badly(format!("{how} {when}")));
        }
        let until = match ready {
            None => start + time,
            Some(ready) => (ready + well).min(fed + WATCHDOG),
        };
        if Instant::now() < until {
            wait(running, Some(notify), until)?;
            continue;
        }
        return Ok(match ready {
            None => Ended::Badly(format!("it was not ready after {} s", time.as_secs_f32())),
            Some(ready) if Instant::now() >= ready + well => Ended::Well,
            Some(_) => {
                Ended::Badly(format!("its watchdog was silent for {} s", WATCHDOG.as_secs()))
            }
        });
    }
}

fn judged(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ended::Well,
        (Some(code), _) => Ended::Badly(format!("it ended with exit status {code}")),
        (None, Some(signal)) => Ended::Badly(format!("it was ended by signal {signal}")),
        (None, None) => Ended::Badly("it ended, and how is not known".to_owned()),
    }
}

/// The last line that it wrote, made plain.
fn last_words(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let length = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
        file.seek(SeekFrom::End(-length.min(WORDS_MAX)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    crate::output::clean(line).chars().take(200).collect()
}
