//! The one task that writes the journal. Requests hand their entries over and wait for a receipt;
//! whatever has come in meanwhile becomes durable in one commit (group commit), and only then are
//! receipts honoured. After a failed write it takes nothing more: what is durable is unknown.
use super::{Entry, Journal, Query, StoreError};
use tokio::sync::{mpsc, oneshot, watch};

/// Most jobs in one commit: bounds the wait of the first of them.
const GROUP_MAX: usize = 4096;

enum Job {
    Append { entries: Vec<Entry>, done: oneshot::Sender<Result<(), StoreError>> },
    Read { query: Query, done: oneshot::Sender<Result<Vec<Entry>, StoreError>> },
}

/// Hands entries to the writing task.
#[derive(Clone, Debug)]
pub struct Writer {
    jobs: mpsc::UnboundedSender<Job>,
    failure: watch::Receiver<Option<StoreError>>,
}

/// A promise that entries are durable, once waited for.
#[derive(Debug)]
#[must_use = "nothing may be acknowledged before it is durable"]
pub struct Receipt(oneshot::Receiver<Result<(), StoreError>>);

impl Receipt {
    /// Waits until the entries are durable.
    /// # Errors
    /// [`StoreError`]: they may be durable or not.
    pub async fn durable(self) -> Result<(), StoreError> {
        self.0.await.unwrap_or(Err(StoreError::Stopped))
    }
}

impl Writer {
    /// Starts the task on this journal.
    pub fn start<J: Journal>(journal: J) -> Writer {
        let (jobs, queue) = mpsc::unbounded_channel();
        let (fail, failure) = watch::channel(None);
        tokio::spawn(run(journal, queue, fail));
        Writer { jobs, failure }
    }

    /// Queues entries, in the order of the calls. The queue is bounded by the number of requests
    /// that the server serves at once. No entries: the receipt covers all that were queued before.
    pub fn append(&self, entries: Vec<Entry>) -> Receipt {
        let (done, receipt) = oneshot::channel();
        // A closed queue drops `done`, and the receipt says so.
        let _ = self.jobs.send(Job::Append { entries, done });
        Receipt(receipt)
    }

    /// Reads rows, after everything queued before is durable.
    /// # Errors
    /// [`StoreError`].
    pub async fn read(&self, query: Query) -> Result<Vec<Entry>, StoreError> {
        let (done, rows) = oneshot::channel();
        let _ = self.jobs.send(Job::Read { query, done });
        rows.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Why the journal has stopped, if it has.
    #[must_use]
    pub fn failure(&self) -> Option<StoreError> {
        self.failure.borrow().clone()
    }

    /// Waits until the journal has stopped.
    pub async fn stopped(&self) -> StoreError {
        let mut failure = self.failure.clone();
        match failure.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or(StoreError::Stopped),
            Err(_) => StoreError::Stopped,
        }
    }
}

async fn run<J: Journal>(
    mut journal: J,
    mut queue: mpsc::UnboundedReceiver<Job>,
    fail: watch::Sender<Option<StoreError>>,
) {
    let mut group = Vec::new();
    while queue.recv_many(&mut group, GROUP_MAX).await > 0 {
        let (mut receipts, mut reads) = (Vec::new(), Vec::new());
        let mut outcome = fail.borrow().clone().map_or(Ok(()), |_| Err(StoreError::Stopped));
        for job in group.drain(..) {
            match job {
                Job::Append { entries, done } => {
                    if outcome.is_ok() && !entries.is_empty() {
                        outcome = journal.stage(&entries).await;
                    }
                    receipts.push(done);
                }
                Job::Read { query, done } => reads.push((query, done)),
            }
        }
        if outcome.is_ok() && !receipts.is_empty() {
            outcome = journal.commit().await;
        }
        if let Err(why) = &outcome {
            fail.send_if_modified(|known| {
                let first = known.is_none();
                known.get_or_insert_with(|| why.clone());
                first
            });
        }
        for done in receipts {
            let _ = done.send(outcome.clone());
        }
        for (query, done) in reads {
            // A failed connection may still show what was never committed.
            let stopped = fail.borrow().is_some();
            let rows = if stopped { Err(StoreError::Stopped) } else { journal.read(&query).await };
            let _ = done.send(rows);
        }
    }
}
