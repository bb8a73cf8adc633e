//! The demo's processes: started beside this program's own binary, told apart by pid, ended on every
//! way out (a panic and Ctrl-C included: each child is killed when its handle is dropped).
use andon_model::HostId;
use serde::Deserialize;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for the server to serve.
const SERVER_READY_MAX: Duration = Duration::from_secs(20);
/// Longest a process may take to end when asked.
const END_MAX: Duration = Duration::from_secs(5);

/// Why the stage did not stand.
#[derive(Debug, thiserror::Error)]
pub(super) enum StageError {
    /// a program is not there
    #[error("find program {0} beside this one; build the whole workspace first")]
    Missing(PathBuf),
    /// a process did not start
    #[error("start {name}")]
    Start {
        /// which
        name: &'static str,
        /// why
        source: std::io::Error,
    },
    /// a process ended by itself
    #[error("{name} ended early ({status}); its words are in {log}")]
    Ended {
        /// which
        name: &'static str,
        /// how
        status: String,
        /// where it wrote
        log: PathBuf,
    },
    /// it took too long
    #[error("wait for {0}")]
    Slow(&'static str),
}

/// A process of ours.
#[derive(Debug)]
pub(super) struct Player {
    name: &'static str,
    log: PathBuf,
    child: Child,
}

impl Player {
    /// Starts `program` with its standard error (and output, unless `piped`) in `log`.
    fn start<A: AsRef<OsStr>>(
        name: &'static str,
        program: &Path,
        arguments: &[A],
        log: &Path,
        piped: bool,
    ) -> Result<Player, StageError> {
        let failed = |source| StageError::Start { name, source };
        let words = std::fs::File::create(log).map_err(failed)?;
        let out = words.try_clone().map_err(failed)?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(if piped { Stdio::piped() } else { Stdio::null() })
            .stdout(if piped { Stdio::piped() } else { Stdio::from(out) })
            .stderr(Stdio::from(words))
            // Ctrl-C on the terminal must reach the demo alone, which then ends its processes.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        Ok(Player { name, log: log.to_owned(), child })
    }

    /// An error if it is no longer there.
    /// # Errors
    /// [`StageError::Ended`].
    pub(super) fn check(&mut self) -> Result<(), StageError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(StageError::Ended {
                name: self.name,
                status: status.to_string(),
                log: self.log.clone(),
            }),
            Err(source) => Err(StageError::Start { name: self.name, source }),
        }
    }

    /// Asks it to end (SIGTERM), waits, then insists.
    pub(super) async fn end(mut self) {
        if let Some(pid) =
            self.child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()))
        {
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if timeout(END_MAX, self.child.wait()).await.is_err() {
            let _gone = self.child.kill().await;
        }
    }
}

/// The program of that name beside this one.
/// # Errors
/// [`StageError::Missing`].
pub(super) fn beside(name: &str) -> Result<PathBuf, StageError> {
    let own = std::env::current_exe().unwrap_or_default();
    let path = own.with_file_name(name);
    if path.is_file() { Ok(path) } else { Err(StageError::Missing(path)) }
}

/// Starts the server and waits until it serves; gives its address.
/// # Errors
/// [`StageError`].
pub(super) async fn server(config: &Path, folder: &Path) -> Result<(Player, String), StageError> {
    let ready = folder.join("server.address");
    let words = ["--config".into(), config.to_owned(), "--listen".into(), "127.0.0.1:0".into()];
    let log = folder.join("logs/andond.log");
    let player = serving("andond", "andond", &words, &ready, &log).await?;
    let address = std::fs::read_to_string(&ready).unwrap_or_default();
    let address = address.trim().trim_start_matches("http://").to_owned();
    Ok((player, format!("http://{address}")))
}

/// Starts a program that serves, and waits until it has written its address to the file `ready`.
/// # Errors
/// [`StageError`].
pub(super) async fn serving(
    name: &'static str,
    program: &str,
    words: &[PathBuf],
    ready: &Path,
    log: &Path,
) -> Result<Player, StageError> {
    let mut arguments = words.to_vec();
    arguments.extend(["--ready-file".into(), ready.to_owned()]);
    let mut player = Player::start(name, &beside(program)?, &arguments, log, false)?;
    let until = Instant::now() + SERVER_READY_MAX;
    while std::fs::read_to_string(ready).unwrap_or_default().trim().is_empty() {
        player.check()?;
        if Instant::now() > until {
            return Err(StageError::Slow(name));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(player)
}

/// Starts the supervisor of the full host.
/// # Errors
/// [`StageError`].
pub(super) fn supervisor(config: &Path, folder: &Path) -> Result<Player, StageError> {
    let arguments = [OsStr::new("--config"), config.as_os_str()];
    let log = folder.join("logs/supervisor.log");
    Player::start("andon-supervisor", &beside("andon-supervisor")?, &arguments, &log, false)
}

/// Starts the gate verifier `name`, whose key lies in the operator's folder.
/// # Errors
/// [`StageError`].
pub(super) fn verifier(
    operator: &Path,
    address: &str,
    name: &str,
    folder: &Path,
) -> Result<Player, StageError> {
    let (key, memory) = (format!("verifiers/{name}"), folder.join("verifier"));
    let arguments = [
        OsStr::new("--dir"),
        operator.as_os_str(),
        OsStr::new("--json"),
        OsStr::new("--server"),
        OsStr::new(address),
        OsStr::new("verifier"),
        OsStr::new("--key"),
        OsStr::new(&key),
        OsStr::new("--data"),
        memory.as_os_str(),
    ];
    let log = folder.join("logs/verifier.log");
    Player::start("andon verifier", &beside("andon")?, &arguments, &log, false)
}

/// What the fleet said last.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct FleetStatus {
    /// hosts with an id
    pub(super) enrolled: usize,
    /// one letter per host
    pub(super) letters: String,
    /// beats taken
    pub(super) beats: u64,
    /// beats lost
    pub(super) beats_lost: u64,
    /// resident memory of the fleet's process, kilobytes
    pub(super) rss_kb: u64,
    /// host ids, in the order of the letters
    #[serde(default)]
    pub(super) ids: Option<Vec<HostId>>,
}

/// The light hosts.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) player: Player,
    input: ChildStdin,
    /// the latest status line, ids always filled in
    pub(super) status: watch::Receiver<FleetStatus>,
}

impl Fleet {
    /// Starts `andon fleet` with these arguments.
    /// # Errors
    /// [`StageError`].
    pub(super) fn start(arguments: &[String], folder: &Path) -> Result<Fleet, StageError> {
        let own = beside("andon")?;
        let log = folder.join("logs/fleet.log");
        let mut player = Player::start("andon fleet", &own, arguments, &log, true)?;
        let no_pipe = || StageError::Slow("a pipe to andon fleet");
        let input = player.child.stdin.take().ok_or_else(no_pipe)?;
        let output = player.child.stdout.take().ok_or_else(no_pipe)?;
        let (tell, status) = watch::channel(FleetStatus::default());
        tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            let mut ids = Vec::new();
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(mut status) = serde_json::from_str::<FleetStatus>(&line) else { continue };
                if let Some(new) = status.ids.take() {
                    ids = new;
                }
                status.ids = Some(ids.clone());
                tell.send_replace(status);
            }
        });
        Ok(Fleet { player, input, status })
    }

    /// Sends one control line.
    /// # Errors
    /// When the fleet is gone.
    pub(super) async fn tell(&mut self, line: &serde_json::Value) -> std::io::Result<()> {
        self.input.write_all(format!("{line}\n").as_bytes()).await?;
        self.input.flush().await
    }

    /// Ends it.
    pub(super) async fn end(mut self) {
        let _gone = self.tell(&serde_json::json!({"stop": true})).await;
        self.player.end().await;
    }
}
