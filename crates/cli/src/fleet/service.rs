//! A delivered service as a real process: started, listened to (sd_notify datagrams), watched, and
//! its end seen for real. It decides nothing: what follows from a crash is for `andon-host`.
use andon_host::StopHow;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Longest from start to `READY=1` (docs/spec/protocol.md §3).
const READY_WITHIN: Duration = Duration::from_secs(5);
/// Longest between two `WATCHDOG=1`: three missed of one a second, so that a busy machine is not
/// mistaken for a hung service.
const WATCHDOG: Duration = Duration::from_secs(3);
/// Longest from SIGTERM to SIGKILL.
const TERM_WITHIN: Duration = Duration::from_secs(2);
/// Starts are tried again so often when another thread's fork still holds the program's file open.
const TEXT_BUSY_TRIES: u32 = 20;
/// Largest datagram read.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// What a service did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// said `READY=1`
    Ready,
    /// lives and says nothing
    Hung,
    /// is no more
    Exited {
        /// by this signal
        signal: Option<i32>,
        /// with this status
        code: Option<i32>,
    },
}

/// What to run.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// absolute path of the program
    pub(super) program: PathBuf,
    /// its arguments
    pub(super) arguments: Vec<String>,
    /// its state folder
    pub(super) state: PathBuf,
}

/// A running service; dropping it kills the process and nothing is told of its end.
#[derive(Debug)]
pub(super) struct Running {
    /// distinguishes this start from earlier ones: late news of a stopped process is ignored
    pub(super) start: u64,
    stop: Option<mpsc::Sender<StopHow>>,
    pid: Option<u32>,
    asked: bool,
}

impl Running {
    /// Not a process: a service that is part of this program.
    pub(super) fn inside(start: u64) -> Running {
        Running { start, stop: None, pid: None, asked: false }
    }

    /// Asks it to end; its end is told as any other. `false`: it is part of this program.
    pub(super) fn stop(&mut self, how: StopHow) -> bool {
        self.asked = true;
        match &self.stop {
            // A full queue means that it was asked already.
            Some(stop) => stop.try_send(how).is_ok() || !stop.is_closed() || self.pid.is_some(),
            None => false,
        }
    }

    /// Whether its end was asked for.
    pub(super) fn asked(&self) -> bool {
        self.asked
    }

    /// SIGHUP: read your content again.
    pub(super) fn reload(&self) {
        signal(self.pid, rustix::process::Signal::HUP);
    }
}

/// Starts a process and a task that tells `tell` what it does, each time with `start`.
/// # Errors
/// When the socket or the process cannot be made.
pub(super) async fn start<N, F>(
    order: &Order,
    start: u64,
    tell: mpsc::Sender<N>,
    news: F,
) -> io::Result<Running>
where
    N: Send + 'static,
    F: Fn(u64, Doing) -> N + Send + 'static,
{
    let (socket, name) = notify_socket()?;
    let child = spawn(order, &name).await?;
    let pid = child.id();
    let (stop, stopped) = mpsc::channel(2);
    tokio::spawn(watch(child, socket, stopped, move |doing| {
        let (tell, news) = (tell.clone(), news(start, doing));
        async move {
            // The host may have died as a whole: then nobody listens, and that is right.
            let _nobody = tell.send(news).await;
        }
    }));
    Ok(Running { start, stop: Some(stop), pid, asked: false })
}

/// An abstract socket: no file to clean up, no path that could be too long.
fn notify_socket() -> io::Result<(UnixDatagram, String)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("andon-fleet-{}-{count}", std::process::id());
    let socket = StdDatagram::bind_addr(&SocketAddr::from_abstract_name(name.as_bytes())?)?;
    socket.set_nonblocking(true)?;
    Ok((UnixDatagram::from_std(socket)?, format!("@{name}")))
}

async fn spawn(order: &Order, notify: &str) -> io::Result<Child> {
    let mut command = Command::new(&order.program);
    command
        .args(&order.arguments)
        .env_clear()
        .env("NOTIFY_SOCKET", notify)
        .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
        .env("ANDON_STATE", &order.state)
        .current_dir(working_folder(&order.program))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut tries = 0;
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < TEXT_BUSY_TRIES =>
            {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            other => return other,
        }
    }
}

fn working_folder(program: &Path) -> &Path {
    program.parent().unwrap_or(Path::new("/"))
}

async fn watch<F, W>(
    mut child: Child,
    socket: UnixDatagram,
    mut stopped: mpsc::Receiver<StopHow>,
    tell: F,
) where
    F: Fn(Doing) -> W,
    W: Future<Output = ()>,
{
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut limit = Instant::now() + READY_WITHIN;
    let mut hung = false;
    loop {
        tokio::select! {
            status = child.wait() => {
                let (signal, code) = match status {
                    Ok(status) => (status.signal(), status.code()),
                    Err(_) => (None, Some(127)),
                };
                return tell(Doing::Exited { signal, code }).await;
            }
            how = stopped.recv() => match how {
                // Nobody holds the service any more: the host died. The child dies with this task.
                None => return,
                Some(StopHow::Gently) => terminate(&mut child).await,
                Some(StopHow::AtOnce) => insist(&mut child),
            },
            received = socket.recv(&mut buffer) => {
                let text = received.map(|n| String::from_utf8_lossy(&buffer[..n]).into_owned());
                for word in text.unwrap_or_default().lines() {
                    match word {
                        "READY=1" => {
                            limit = Instant::now() + WATCHDOG;
                            tell(Doing::Ready).await;
                        }
                        "WATCHDOG=1" => limit = Instant::now() + WATCHDOG,
                        "RELOADING=1" => limit = Instant::now() + READY_WITHIN,
                        _ => {}
                    }
                }
            }
            () = tokio::time::sleep_until(limit), if !hung => {
                hung = true;
                tell(Doing::Hung).await;
            }
        }
    }
}

/// SIGTERM, and SIGKILL when that is not heeded in time.
async fn terminate(child: &mut Child) {
    signal(child.id(), rustix::process::Signal::TERM);
    if tokio::time::timeout(TERM_WITHIN, child.wait()).await.is_err() {
        insist(child);
    }
}

fn signal(pid: Option<u32>, signal: rustix::process::Signal) {
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _gone_already = rustix::process::kill_process(pid, signal);
    }
}

fn insist(child: &mut Child) {
    let _gone_already = child.start_kill();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(script: &str) -> Order {
        Order {
            program: PathBuf::from("/bin/sh"),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            state: std::env::temp_dir(),
        }
    }

    async fn first(script: &str) -> Doing {
        let (tell, mut told) = mpsc::channel(8);
        let running = start(&order(script), 7, tell, |n, doing| (n, doing)).await.unwrap();
        assert_eq!(running.start, 7);
        told.recv().await.unwrap().1
    }

    #[tokio::test]
    async fn ends_are_seen_as_they_were() {
        assert_eq!(first("kill -SEGV $$").await, Doing::Exited { signal: Some(11), code: None });
        assert_eq!(first("exit 3").await, Doing::Exited { signal: None, code: Some(3) });
    }
}
