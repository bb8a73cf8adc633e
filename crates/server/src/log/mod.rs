//! The line's own public log: every release that hosts may be offered, every policy and every stop, in a
//! tiled log that witnesses cosign and anybody can download (`docs/spec/log.md`, section 7).
//!
//! Its contract:
//! - a release is in the log, and where the policy demands it under a checkpoint that a quorum has
//!   cosigned, before the journal says that it was published;
//! - what the journal says and the log lacks is appended, at the start and while the server runs;
//!   stops and policies never wait for it;
//! - the same fact is one entry, however often it is told;
//! - a log that cannot be read or written publishes nothing more until a restart, and stops nothing else.
//!
//! What it is not: a judge of what is logged, or of who is a witness: that is the policy's.
pub mod book;
pub mod facts;
mod served;
pub mod witnesses;

pub use served::Served;

use crate::app::App;
use crate::config::LogInputs;
use crate::driver::say;
use crate::member::http::HttpError;
use andon_model::Digest;
use andon_model::log_entry::LogEntry;
use andon_model::policy::Policy as LinePolicy;
use andon_trust::log::verified::{self, LogRefusal};
use andon_trust::log::{Policy, SignedCheckpoint};
use andon_trust::policy::demanded_log;
use book::{Book, BookError};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use witnesses::Witness;

/// Between two looks at what is missing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks that are let go by after one that failed: witnesses that are away are not pestered.
const LOOKS_SKIPPED: u32 = 10;

/// See the module's documentation.
#[derive(Debug)]
pub struct LineLog {
    folder: PathBuf,
    witnesses: Vec<Witness>,
    /// held while witnesses are asked: one checkpoint after the other
    kept: tokio::sync::Mutex<Kept>,
    /// place of every entry in the newest checkpoint
    places: RwLock<BTreeMap<Digest, u64>>,
    served: RwLock<Option<Arc<Served>>>,
}

#[derive(Debug)]
enum Kept {
    /// with how many of the journal's entries are known to be in it
    Open(Box<Book>, usize),
    /// and why
    Broken(String),
}

/// Why something is not logged as the policy demands. What was logged stays logged.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// this server keeps no log, and the policy wants one
    #[error("the policy demands public logging, and this server keeps no log that it names")]
    None,
    /// disk or tiles; whatever it was, the log is read again at the next start
    #[error("the line's log cannot be kept: {0}")]
    Broken(String),
    /// too few witnesses
    #[error("the log's checkpoint is not cosigned as the policy demands ({refusal}){failures}")]
    Quorum {
        /// what the policy lacks
        refusal: LogRefusal,
        /// each witness that did not cosign, and why
        failures: String,
    },
}

impl LineLog {
    /// Opens the log below `data`. A log that cannot be read is said and kept shut: hosts must still
    /// hear of stops.
    /// # Errors
    /// [`HttpError::Client`].
    pub fn open(data: &Path, inputs: &LogInputs) -> Result<LineLog, HttpError> {
        let folder = data.join("log");
        let witnesses = inputs.witnesses.iter().map(Witness::new).collect::<Result<_, _>>()?;
        let opened = Book::open(&folder, &inputs.key).and_then(|book| {
            let cosigned = book.cosigned()?;
            Ok((book, cosigned))
        });
        let (kept, served) = match opened {
            Ok((book, cosigned)) => (Kept::Open(Box::new(book), 0), cosigned),
            Err(why) => (Kept::broken(&why), None),
        };
        let served = served.map(|cosigned| Arc::new(Served::new(cosigned)));
        Ok(LineLog {
            folder,
            witnesses,
            kept: tokio::sync::Mutex::new(kept),
            places: RwLock::default(),
            served: RwLock::new(served),
        })
    }

    /// What is served now.
    #[must_use]
    pub fn served(&self) -> Option<Arc<Served>> {
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where its tiles lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Place of an entry.
    #[must_use]
    pub fn place(&self, leaf: &Digest) -> Option<u64> {
        self.places.read().unwrap_or_else(PoisonError::into_inner).get(leaf).copied()
    }

    /// Appends what the journal has told and these entries, and has what is missing cosigned.
    async fn bring_up(&self, app: &App, more: &[LogEntry], ask: bool) -> Result<(), LogError> {
        let mut kept = self.kept.lock().await;
        let Kept::Open(book, told) = &mut *kept else { return Err(kept.why()) };
        let (mut entries, demanded) = {
            let core = app.core();
            let policy = core.state.policy.as_ref().map(|known| &known.policy);
            let demanded = policy.and_then(|policy| demanded_log(policy).ok().flatten());
            (core.state.public.get(*told..).unwrap_or_default().to_vec(), demanded)
        };
        *told += entries.len();
        entries.extend_from_slice(more);
        if let Err(why) = book.take(&entries) {
            *kept = Kept::broken(&why);
            return Err(kept.why());
        }
        {
            let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
            let known = places.len() as u64;
            places.extend(book.places_from(known));
        }
        if !ask || self.stands(book.sealed(), demanded.as_ref()) {
            return Ok(());
        }
        let failures = self.ask(book).await;
        if let Some(demanded) = &demanded
            && let Err(refusal) = verified::checkpoint(book.sealed(), demanded)
        {
            return Err(LogError::Quorum { refusal, failures });
        }
        let cosigned = book.sealed().clone();
        if let Err(why) = book.keep_cosigned() {
            *kept = Kept::broken(&why);
            return Err(kept.why());
        }
        self.show(cosigned);
        Ok(())
    }

    /// Whether the newest checkpoint is served, with the cosignatures that are demanded.
    fn stands(&self, sealed: &SignedCheckpoint, demanded: Option<&Policy>) -> bool {
        let Some(served) = self.served() else { return false };
        let newest = served.checkpoint().checkpoint().head == sealed.checkpoint().head;
        let good = |policy| verified::checkpoint(served.checkpoint(), policy).is_ok();
        newest && demanded.is_none_or(good)
    }

    fn show(&self, cosigned: SignedCheckpoint) {
        let served = Some(Arc::new(Served::new(cosigned)));
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = served;
    }

    /// Asks every witness that has not cosigned the newest checkpoint, all at once; who did not, and why.
    async fn ask(&self, book: &mut Book) -> String {
        let missing = self.witnesses.iter().filter(|witness| !witness.has_cosigned(book));
        let asked = {
            let book = &*book;
            join_all(missing.map(async |witness| (witness.name(), witness.ask(book).await))).await
        };
        let mut failures = String::new();
        for (name, answer) in asked {
            match answer {
                Ok(lines) => lines.into_iter().for_each(|line| book.add(line)),
                Err(why) => failures += &format!("; {name}: {}", crate::api::in_words(&why)),
            }
        }
        failures
    }
}

impl Kept {
    fn broken(why: &BookError) -> Kept {
        let why = crate::api::in_words(why);
        say(&format!("log: {why}"));
        Kept::Broken(why)
    }

    fn why(&self) -> LogError {
        match self {
            Kept::Broken(why) => LogError::Broken(why.clone()),
            Kept::Open(..) => LogError::Broken(String::new()),
        }
    }
}

/// Whether a line under this policy can prove here what the policy demands.
/// # Errors
/// [`LogError::None`].
pub fn can_serve(log: Option<&LogInputs>, policy: &LinePolicy) -> Result<(), LogError> {
    let Ok(Some(demanded)) = demanded_log(policy) else { return Ok(()) };
    let named = |log: &LogInputs| demanded.logs().any(|named| named == log.key.verifier());
    if log.is_some_and(named) { Ok(()) } else { Err(LogError::None) }
}

/// Logs releases that are about to be published, as the policy in force demands it.
/// # Errors
/// [`LogError`]: they must not be published.
pub async fn before_publishing(app: &App, entries: &[LogEntry]) -> Result<(), LogError> {
    {
        let core = app.core();
        if let Some(known) = &core.state.policy {
            can_serve(app.inputs.log.as_ref(), &known.policy)?;
        }
    }
    match &app.log {
        Some(log) => log.bring_up(app, entries, true).await,
        None => Ok(()),
    }
}

/// Appends what the journal says and the log lacks; asks nobody.
pub async fn catch_up(app: &App) {
    if let Some(log) = &app.log
        && let Err(why) = log.bring_up(app, &[], false).await
    {
        say(&format!("log: {why}"));
    }
}

/// The same, and has it cosigned.
/// # Errors
/// [`LogError`].
pub async fn keep(app: &App) -> Result<(), LogError> {
    match &app.log {
        Some(log) => log.bring_up(app, &[], true).await,
        None => Ok(()),
    }
}

/// Keeps the log until the server closes.
pub async fn run(app: Arc<App>) {
    if app.log.is_none() {
        return;
    }
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut closing = app.closing.subscribe();
    let (mut skip, mut said) = (0, String::new());
    loop {
        tokio::select! {
            _ = closing.changed() => return,
            _ = look.tick() => {}
        }
        if skip > 0 {
            skip -= 1;
            continue;
        }
        match keep(&app).await {
            Ok(()) => said.clear(),
            Err(why) => {
                skip = LOOKS_SKIPPED;
                let why = why.to_string();
                if why != said {
                    say(&format!("log: {why}"));
                    said = why;
                }
            }
        }
    }
}
