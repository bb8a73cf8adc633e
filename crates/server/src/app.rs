//! The running server's shared parts, and the one way in which a record comes into being: under the
//! lock it is applied and queued, outside it is waited for, and only then does anybody hear of it.
//! After a failed write memory may be ahead of the disk: the process stops and reads again.
use crate::clock::Clock;
use crate::config::Inputs;
use crate::cosign::Desk;
use crate::deliver::Shelf;
use crate::fleet::Fleet;
use crate::log::LineLog;
use crate::pooled::bulletin::Posted;
use crate::pooled::intake::Collected;
use crate::proof_bundles::Kept;
use crate::publish::Repository;
use crate::record::Record;
use crate::state::{PolicyInForce, State};
use crate::store::{Entry, Query, ROWS_MAX, Receipt, StoreError, Writer};
use andon_model::policy::Policy;
use andon_model::{LineId, PublicKey, Time, VendorId};
use andon_trust::stop::Authorities;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

/// Most requests served at once; further ones are shed with 429. A thousand hosts that beat in the
/// same instant fit four times.
pub const REQUESTS_MAX: usize = 4096;
/// Most callers waiting at the bell.
pub const BELLS_MAX: usize = 100_000;
/// Most driver calls queued; a caller waits beyond.
const KICKS_MAX: usize = 64;

/// What is known now: the fold, and the memory of beats.
#[derive(Debug, Default)]
pub struct Core {
    /// the fold over the journal
    pub state: State,
    /// the memory of beats
    pub fleet: Fleet,
    /// on a vendor line: tallies of the rounds that are open
    pub collected: Collected,
    /// tickets that wait for gate verifiers
    pub desk: Desk,
}

/// Figures for `/metrics`.
#[derive(Debug, Default)]
pub struct Counters {
    /// beats refused
    pub beats_refused: AtomicU64,
    /// requests shed
    pub shed: AtomicU64,
    /// tickets signed, renewals included
    pub tickets_signed: AtomicU64,
    /// proof bundles handed out
    pub proof_bundles_served: AtomicU64,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct App {
    /// configuration
    pub inputs: Inputs,
    /// time
    pub clock: Clock,
    /// files served
    pub shelf: Shelf,
    /// the index's version
    pub bell: watch::Sender<u64>,
    /// TUF files; held while a role is published
    pub repository: tokio::sync::Mutex<Repository>,
    /// permits of requests
    pub requests: Arc<Semaphore>,
    /// permits of callers at the bell
    pub bells: Arc<Semaphore>,
    /// figures
    pub counters: Counters,
    /// the line's own public log, if it keeps one
    pub log: Option<LineLog>,
    /// on a vendor line: what members are told
    pub rounds: watch::Sender<Option<Posted>>,
    /// changes whenever another ticket waits for gate verifiers, or none any more
    pub asked: watch::Sender<u64>,
    /// proof bundles that were asked for
    pub proof_bundles: Kept,
    /// true once the server is to end
    pub closing: watch::Sender<bool>,
    core: Mutex<Core>,
    writer: Writer,
    kicks: mpsc::Sender<oneshot::Sender<()>>,
}

/// Calls of the driver, to be taken by [`crate::driver::Driver`].
pub type Kicks = mpsc::Receiver<oneshot::Sender<()>>;

/// Why the journal cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// the store failed
    #[error("replay journal")]
    Store(#[from] StoreError),
    /// a number is missing
    #[error("journal record {0} is missing")]
    Gap(u64),
    /// a record that this version does not read
    #[error("read journal record {0}")]
    Record(u64, #[source] serde_json::Error),
}

/// Reads the whole journal into a state.
/// # Errors
/// [`ReplayError`].
pub async fn replay(writer: &Writer) -> Result<State, ReplayError> {
    let mut state = State::default();
    loop {
        let query = Query { subject: None, after: state.seq, limit: ROWS_MAX };
        let rows = writer.read(query).await?;
        let last = rows.len() < ROWS_MAX as usize;
        for row in rows {
            if row.seq != state.seq + 1 {
                return Err(ReplayError::Gap(state.seq + 1));
            }
            let record =
                serde_json::from_str(&row.json).map_err(|why| ReplayError::Record(row.seq, why))?;
            state.apply(row.seq, row.at, &record);
        }
        if last {
            return Ok(state);
        }
    }
}

impl App {
    /// Puts the parts together. The state is what [`replay`] gave.
    #[must_use]
    pub fn new(
        inputs: Inputs,
        clock: Clock,
        writer: Writer,
        state: State,
        repository: Repository,
        log: Option<LineLog>,
    ) -> (Arc<App>, Kicks) {
        clock.set(state.at);
        let now = clock.now();
        let fleet = Fleet::restarted(&state, now);
        let (kicks, kicked) = mpsc::channel(KICKS_MAX);
        let shelf = Shelf::new(inputs.data.join("static/v1"));
        let app = App {
            inputs,
            clock,
            shelf,
            bell: watch::Sender::new(0),
            repository: tokio::sync::Mutex::new(repository),
            requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
            bells: Arc::new(Semaphore::new(BELLS_MAX)),
            counters: Counters::default(),
            log,
            rounds: watch::Sender::new(None),
            // Another number than before a restart, so that who waits for a change hears of it.
            asked: watch::Sender::new(now.0),
            proof_bundles: Kept::default(),
            closing: watch::Sender::new(false),
            core: Mutex::new(Core { state, fleet, ..Core::default() }),
            writer,
            kicks,
        };
        (Arc::new(app), kicked)
    }

    /// What is known now. Never held across an await.
    pub fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The journal's writer.
    pub const fn writer(&self) -> &Writer {
        &self.writer
    }

    /// This server's line.
    pub const fn line(&self) -> &LineId {
        &self.inputs.anchor.line
    }

    /// Server time, never before the journal's last record.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Applies and queues records as one unit: durable together or not at all. No records: the
    /// receipt covers everything that stands in memory now.
    /// # Errors
    /// [`StoreError::Append`] when a record cannot be written as JSON; nothing was applied then.
    pub fn stage(&self, core: &mut Core, records: &[Record]) -> Result<Receipt, StoreError> {
        let at = self.clock.now().max(core.state.at);
        let mut entries = Vec::with_capacity(records.len());
        for (seq, record) in (core.state.seq + 1..).zip(records) {
            let json =
                serde_json::to_string(record).map_err(|why| StoreError::Append(why.to_string()))?;
            let (kind, subject) = (record.kind().to_owned(), record.subject());
            entries.push(Entry { seq, at, kind, subject, json });
        }
        for (entry, record) in entries.iter().zip(records) {
            core.state.apply(entry.seq, at, record);
            if let Record::HostEnrolled { host, .. } = record {
                core.fleet.enrolled(*host, at);
            }
        }
        Ok(self.writer.append(entries))
    }

    /// Stages records and waits until they are durable.
    /// # Errors
    /// [`StoreError`].
    pub async fn record(&self, records: &[Record]) -> Result<(), StoreError> {
        let receipt = self.stage(&mut self.core(), records)?;
        receipt.durable().await
    }

    /// Lets the driver act on what is known now, and waits until it has.
    pub async fn drive(&self) {
        let (done, finished) = oneshot::channel();
        if self.kicks.send(done).await.is_ok() {
            // An error means that the driver ended with the server.
            let _ = finished.await;
        }
    }
}

impl Core {
    /// The policy, if it is still valid.
    #[must_use]
    pub fn policy(&self, now: Time) -> Option<&PolicyInForce> {
        self.state.policy.as_ref().filter(|policy| policy.policy.expires > now)
    }
}

/// Who may stop what: anchor, policy and delegations together, as hosts compute it.
#[must_use]
pub fn authorities(
    inputs: &Inputs,
    policy: Option<&Policy>,
    state: &State,
    repository: &Repository,
) -> Authorities {
    let mut people: Vec<_> = inputs.anchor.operators.iter().map(|p| p.key).collect();
    people.extend(policy.into_iter().flat_map(|policy| &policy.people).map(|person| person.key));
    let mut operators = people.clone();
    operators.extend(policy.map(|policy| policy.online));
    let vendor_roles = repository.vendor_roles();
    let keys_of =
        |(name, (keys, _)): (&VendorId, &(Vec<PublicKey>, usize))| (name.clone(), keys.clone());
    let mut vendors: BTreeMap<_, _> = vendor_roles.iter().map(keys_of).collect();
    let operator = match &inputs.anchor.line {
        LineId::Operator(name) => Some(name.clone()),
        // Its people and its online key may stop what is the vendor's, as the vendor's own keys may.
        LineId::Vendor(name) => {
            vendors.entry(name.clone()).or_default().extend(&operators);
            None
        }
    };
    Authorities {
        platform: inputs.anchor.platform.clone(),
        vendors,
        releases: state.releases.values().map(|r| (r.release, r.vendor.clone())).collect(),
        operator,
        operators,
        people,
        roots: inputs.anchor.operators.clone(),
        roots_threshold: inputs.anchor.operators_threshold,
        vendor_roles,
    }
}
