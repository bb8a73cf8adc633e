//! Words to the supervisor: sd_notify datagrams (systemd's `sd_notify(3)`), best effort.
use std::collections::VecDeque;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// Most words kept for a supervisor that is not reading; beyond it the oldest go.
const WAITING_MAX: usize = 16;

/// Where the supervisor listens, and how often it wants to hear of us.
pub(crate) struct Notifier {
    socket: Option<UnixDatagram>,
    /// words that found the socket full: a lost READY=1 would look like a hang
    waiting: VecDeque<String>,
    watchdog_every: Option<Duration>,
    watchdog_last: Option<Instant>,
}

impl Notifier {
    /// From `NOTIFY_SOCKET` and `WATCHDOG_USEC`; silent where they are absent or wrong.
    pub(crate) fn from_environment() -> Notifier {
        let socket = std::env::var("NOTIFY_SOCKET").ok().and_then(|path| connect(&path));
        let every = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        // three words per period: one may be lost, one may be late
        let watchdog_every =
            every.filter(|us| *us > 0).map(|us: u64| Duration::from_micros(us / 3));
        Notifier { socket, waiting: VecDeque::new(), watchdog_every, watchdog_last: None }
    }

    /// Sends one word, for example `READY=1`, now or as soon as the socket has room.
    pub(crate) fn say(&mut self, words: &str) {
        if self.socket.is_none() {
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(words.to_owned());
        self.flush();
    }

    fn flush(&mut self) {
        let Some(socket) = &self.socket else { return };
        while let Some(words) = self.waiting.front() {
            match socket.send(words.as_bytes()) {
                Err(full) if full.kind() == io::ErrorKind::WouldBlock => return,
                Err(failed) => eprintln!("andon-sensor: notify supervisor: {failed}"),
                Ok(_) => {}
            }
            self.waiting.pop_front();
        }
    }

    /// Sends `WATCHDOG=1` when it is due.
    pub(crate) fn watchdog(&mut self, now: Instant) {
        self.flush();
        let Some(every) = self.watchdog_every else { return };
        if self.watchdog_last.is_none_or(|last| now.duration_since(last) >= every) {
            // one that waits says as much as two
            if self.waiting.is_empty() {
                self.say("WATCHDOG=1");
            }
            self.watchdog_last = Some(now);
        }
    }

    /// How long the caller may sleep.
    pub(crate) fn sleep_max(&self) -> Duration {
        self.watchdog_every.unwrap_or(Duration::from_secs(1))
    }
}

fn connect(path: &str) -> Option<UnixDatagram> {
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(path),
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect_addr(&address.ok()?).ok()?;
    // a supervisor that does not read must not stop us
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}
