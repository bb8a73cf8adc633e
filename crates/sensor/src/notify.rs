//! Words to the supervisor: sd_notify datagrams (systemd's `sd_notify(3)`), best effort.
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// Where the supervisor listens, and how often it wants to hear of us.
pub(crate) struct Notifier {
    socket: Option<UnixDatagram>,
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
        Notifier { socket, watchdog_every, watchdog_last: None }
    }

    /// Sends one word, for example `READY=1`.
    pub(crate) fn say(&self, words: &str) {
        if let Some(socket) = &self.socket
            && let Err(failed) = socket.send(words.as_bytes())
        {
            eprintln!("andon-sensor: notify supervisor: {failed}");
        }
    }

    /// Sends `WATCHDOG=1` when it is due.
    pub(crate) fn watchdog(&mut self, now: Instant) {
        let Some(every) = self.watchdog_every else { return };
        if self.watchdog_last.is_none_or(|last| now.duration_since(last) >= every) {
            self.say("WATCHDOG=1");
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
