//! Start and end of the server: open the journal, replay it, catch up, listen, and close in order.
//! After a failed write it ends with an error: whoever restarts it gets the truth from the disk.
use crate::app::{App, ReplayError, replay};
use crate::clock::Clock;
use crate::config::Inputs;
use crate::driver::{Driver, say};
use crate::durable;
use crate::log::{self, LineLog};
use crate::member::http::HttpError;
use crate::publish::{OnlineKeys, PublishError, Repository};
use crate::record::Record;
use crate::store::sqlite::SqliteJournal;
use crate::store::{Journal, StoreError, Writer};
use andon_trust::policy::PolicyRefusal;
use std::fs::{File, TryLockError};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Longest that open requests are waited for at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the server did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// a folder or file of the data
    #[error("prepare {0}")]
    Data(PathBuf, #[source] io::Error),
    /// two servers on one journal would contradict each other
    #[error("another andond uses {0}")]
    Locked(PathBuf),
    /// the journal
    #[error("open journal")]
    Store(#[from] StoreError),
    /// the journal's content
    #[error("replay journal")]
    Replay(#[from] ReplayError),
    /// the TUF files
    #[error("open TUF repository")]
    Repository(#[from] PublishError),
    /// the policy in the configuration, with none in the journal
    #[error("take the configured policy")]
    Policy(#[from] PolicyRefusal),
    /// a client for the log's witnesses
    #[error("open the line's log")]
    Log(#[from] HttpError),
    /// the address
    #[error("listen on {0}")]
    Listen(String, #[source] io::Error),
    /// serving
    #[error("serve")]
    Serve(#[source] io::Error),
    /// a write failed: what is durable is known after a restart
    #[error("journal stopped; restart the server")]
    Stopped(#[source] StoreError),
}

/// A server that has replayed its journal and is ready to listen.
#[derive(Debug)]
pub struct Server {
    /// the shared parts
    pub app: Arc<App>,
    /// turns decisions into effects; run by [`Server::serve`]
    pub driver: Driver,
    /// held for as long as the server lives
    _lock: Option<File>,
}

impl Server {
    /// Opens the data folder on SQLite.
    /// # Errors
    /// [`ServeError`].
    pub async fn open(inputs: Inputs) -> Result<Server, ServeError> {
        let lock = lock(&inputs)?;
        let journal = SqliteJournal::open(&inputs.data.join("journal.db")).await?;
        let mut server = Server::open_on(inputs, journal, Clock::system()).await?;
        server._lock = Some(lock);
        Ok(server)
    }

    /// Opens the data folder with this journal and clock.
    /// # Errors
    /// [`ServeError`].
    pub async fn open_on<J: Journal>(
        inputs: Inputs,
        journal: J,
        clock: Clock,
    ) -> Result<Server, ServeError> {
        for folder in ["objects", "manifests", "tuf", "static/v1"] {
            let folder = inputs.data.join(folder);
            durable::make_folder(&folder).map_err(|why| ServeError::Data(folder, why))?;
        }
        let writer = Writer::start(journal);
        let state = replay(&writer).await?;
        let keys =
            OnlineKeys { snapshot: inputs.snapshot.clone(), timestamp: inputs.timestamp.clone() };
        let mut repository = Repository::open(&inputs.data, keys)?;
        clock.set(state.at);
        let now = clock.now();
        if let Err(why) = repository.catch_up(&state, now) {
            say(&format!("catch up with the journal's roles: {}", crate::api::in_words(&why)));
        }
        let log = inputs.log.as_ref().map(|log| LineLog::open(&inputs.data, log)).transpose()?;
        let (app, kicks) = App::new(inputs, clock, writer, state, repository, log);
        {
            let mut repository = app.repository.lock().await;
            if let Err(why) = repository.publish(&app.shelf, now) {
                // Expired or unsignable metadata must not keep the cord from being pulled.
                say(&format!("sign TUF metadata: {}", crate::api::in_words(&why)));
                repository.show_served(&app.shelf)?;
            }
        }
        take_policy(&app).await?;
        log::catch_up(&app).await;
        if let Some(known) = &app.core().state.policy
            && let Err(why) = log::can_serve(app.inputs.log.as_ref(), &known.policy)
        {
            say(&format!("log: {why}; hosts will install nothing"));
        }
        crate::pooled::kept::restore(&app);
        let mut driver = Driver::new(Arc::clone(&app), kicks);
        driver.reconcile().await?;
        Ok(Server { app, driver, _lock: None })
    }

    /// Serves until `end`, then closes in order: no new connections, the bell lets go, open requests
    /// finish, the driver stops.
    /// # Errors
    /// [`ServeError::Stopped`] when the journal failed meanwhile.
    pub async fn serve(
        self,
        listener: TcpListener,
        end: impl Future<Output = ()> + Send,
    ) -> Result<(), ServeError> {
        let Server { app, driver, _lock } = self;
        let driver = tokio::spawn(driver.run());
        let member = tokio::spawn(crate::member::run(Arc::clone(&app)));
        let log = tokio::spawn(log::run(Arc::clone(&app)));
        let router = crate::api::router(Arc::clone(&app));
        let mut closing = app.closing.subscribe();
        let served = axum::serve(listener, router).with_graceful_shutdown(async move {
            // An error means that the server is gone already.
            let _ = closing.wait_for(|closing| *closing).await;
        });
        let mut served = tokio::spawn(served.into_future());
        let failure = tokio::select! {
            () = end => None,
            why = app.writer().stopped() => Some(why),
            ended = &mut served => {
                let ended = ended.unwrap_or_else(|why| Err(io::Error::other(why)));
                return ended.map_err(ServeError::Serve);
            }
        };
        app.closing.send_replace(true);
        if tokio::time::timeout(CLOSE_TIMEOUT, &mut served).await.is_err() {
            served.abort();
        }
        // They end by the same signal; nothing of their outcome matters now.
        let _ = (driver.await, member.await, log.await);
        failure.map_or(Ok(()), |why| Err(ServeError::Stopped(why)))
    }
}

/// Binds the address to serve on.
/// # Errors
/// [`ServeError::Listen`].
pub async fn bind(address: &str) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |why| ServeError::Listen(address.to_owned(), why);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn lock(inputs: &Inputs) -> Result<File, ServeError> {
    let path = inputs.data.join("andond.lock");
    let failed = |why| ServeError::Data(path.clone(), why);
    durable::make_folder(&inputs.data).map_err(failed)?;
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ServeError::Locked(path)),
        Err(TryLockError::Error(why)) => Err(ServeError::Data(path, why)),
    }
}

/// Takes the configured policy, if it is newer than the journal's.
async fn take_policy(app: &App) -> Result<(), ServeError> {
    let known = app.core().state.policy.as_ref().map_or(0, |known| known.policy.version);
    let now = app.now();
    let offered =
        andon_trust::policy::verify(&app.inputs.policy, &app.inputs.anchor, now, known + 1);
    match offered {
        Ok(_) => {
            let envelope = app.inputs.policy.clone();
            Ok(app.record(&[Record::PolicyAccepted { envelope }]).await?)
        }
        Err(_) if known > 0 => Ok(()),
        Err(why) => Err(ServeError::Policy(why)),
    }
}
