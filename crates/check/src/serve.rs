//! The conversation with the supervisor: one reader, three workers and the bell.
//!
//! Relay (beats, enrolment), sync and download each have their own thread and a short queue, so that
//! a long download never holds up a freeze or a beat.
mod bell;
mod work;

use crate::http::{Base, Http};
use crate::inbox::Inbox;
use crate::store::Folders;
use andon_model::enrol::Anchor;
use andon_model::handover::{FromCheck, Offer, ToCheck};
use andon_model::limits::HANDOVER_LINE_BYTES_MAX;
use andon_model::text::Text;
use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Most requests waiting per worker: the supervisor asks one at a time; more is its mistake.
const QUEUE_MAX: usize = 64;

/// What the conversation needs; made before the sandbox was entered.
#[derive(Debug)]
pub struct Setup {
    /// the server
    pub base: Base,
    /// what the host trusts from the start
    pub anchor: Anchor,
    /// where to write
    pub folders: Folders,
    /// what the sandbox lacks on this kernel
    pub lacking: Vec<String>,
}

/// Why the conversation broke off.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// standard input failed
    #[error("read from supervisor")]
    Read(#[source] io::Error),
    /// a line that no supervisor of ours writes
    #[error("line from supervisor is over {HANDOVER_LINE_BYTES_MAX} bytes")]
    TooLong,
}

/// The way to the supervisor, shared by all threads.
#[derive(Clone)]
pub(crate) struct Say(Arc<Mutex<Box<dyn Write + Send>>>);

impl Say {
    /// Writes one line. A supervisor that is gone makes all work pointless: the process ends.
    pub(crate) fn say(&self, said: &FromCheck) {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if out.write_all(&said.to_line()).and_then(|()| out.flush()).is_err() {
            std::process::exit(0);
        }
    }
    pub(crate) fn failed(&self, what: &str, why: &str) {
        self.say(&FromCheck::Failed { what: Text::clipped(what), why: Text::clipped(why) });
    }
}

/// What the last sync offered, for the download worker.
pub(crate) type Offered = Arc<Mutex<Vec<Offer>>>;

/// Answers the supervisor until standard input ends.
/// # Errors
/// [`ServeError`].
pub fn serve(setup: Setup) -> Result<(), ServeError> {
    let say = Say(Arc::new(Mutex::new(Box::new(io::stdout()))));
    for lacking in &setup.lacking {
        eprintln!("andon-check: {lacking}");
        say.failed("sandbox", lacking);
    }
    let http = Http::new(setup.base);
    let offered = Offered::default();
    let (relay, relay_asked) = sync_channel(QUEUE_MAX);
    let (sync, sync_asked) = sync_channel(QUEUE_MAX);
    let (fetch, fetch_asked) = sync_channel(QUEUE_MAX);
    start({
        let (say, http) = (say.clone(), http.clone());
        move || work::relay(http, &relay_asked, &say)
    });
    start({
        let (say, http, line) = (say.clone(), http.clone(), setup.anchor.line.clone());
        move || bell::listen(http, &line, &say)
    });
    start({
        let (say, offered) = (say.clone(), Arc::clone(&offered));
        let inbox = Inbox::new(setup.folders.inbox.clone());
        let http = http.clone();
        move || work::fetch(http, &inbox, &fetch_asked, &offered, &say)
    });
    start({
        let say = say.clone();
        let syncer = work::Syncer::new(setup.anchor, setup.folders, offered);
        move || work::sync(http, syncer, &sync_asked, &say)
    });
    dispatch(io::stdin().lock(), &Queues { relay, sync, fetch }, &say)
}

fn start(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}

struct Queues {
    relay: SyncSender<ToCheck>,
    sync: SyncSender<ToCheck>,
    fetch: SyncSender<ToCheck>,
}

fn dispatch(mut from: impl BufRead, queues: &Queues, say: &Say) -> Result<(), ServeError> {
    loop {
        let mut line = Vec::new();
        let limit = HANDOVER_LINE_BYTES_MAX as u64 + 1;
        from.by_ref().take(limit).read_until(b'\n', &mut line).map_err(ServeError::Read)?;
        if line.is_empty() {
            return Ok(());
        }
        if line.len() > HANDOVER_LINE_BYTES_MAX {
            return Err(ServeError::TooLong);
        }
        let asked = match ToCheck::parse(&line) {
            Ok(asked) => asked,
            Err(refused) => {
                say.failed("command", &crate::http::chain(&refused));
                continue;
            }
        };
        let queue = match asked {
            ToCheck::PostBeat { .. } | ToCheck::Enrol { .. } => &queues.relay,
            ToCheck::Sync { .. } => &queues.sync,
            ToCheck::Fetch { .. } => &queues.fetch,
        };
        if let Err(TrySendError::Full(asked) | TrySendError::Disconnected(asked)) =
            queue.try_send(asked)
        {
            refuse(&asked, say);
        }
    }
}

fn refuse(asked: &ToCheck, say: &Say) {
    let why = "busy: too many requests wait";
    match asked {
        ToCheck::Fetch { release } => {
            say.say(&FromCheck::FetchFailed { release: *release, why: Text::clipped(why) });
        }
        ToCheck::Sync { .. } => say.failed("sync", why),
        ToCheck::PostBeat { .. } => say.failed("post_beat", why),
        ToCheck::Enrol { .. } => say.failed("enrol", why),
    }
}

/// The next request; of several that wait, `newest_only` drops all but the last.
pub(crate) fn next(asked: &Receiver<ToCheck>, newest_only: bool) -> Option<ToCheck> {
    let mut one = asked.recv().ok()?;
    while newest_only && let Ok(newer) = asked.try_recv() {
        one = newer;
    }
    Some(one)
}
