//! The loop: one `poll` over the child's pipes, notify sockets, process ends and the stop signal,
//! with the earliest deadline as its timeout. After each wait everything is looked at once.
use crate::child::{Check, Setup};
use crate::config::Config;
use crate::journal::Journal;
use crate::obey::Task;
use crate::process::Running;
use crate::signals::{Asked, Stop};
use crate::spool::Spool;
use crate::state::{Identity, State, StateError};
use crate::{now, told};
use andon_host::{Builtin, Host, HostConfig, Input, Previous};
use andon_model::Digest;
use andon_model::beat::Presence;
use andon_model::class::HostClass;
use andon_model::facts::FactName;
use andon_model::handover::{DirectiveSeen, FreezeSeen};
use andon_model::id::ComponentId;
use andon_model::text::Text;
use andon_model::time::Millis;
use andon_trust::sign::SigningKey;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::pipe::{PipeFlags, pipe_with};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Longest sleep: logs and spool are looked at so often.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// Until a policy is known, a beat this often.
const BEAT_DEFAULT: Duration = Duration::from_secs(1);
/// Longest that stopping may take before what is left is killed.
const LEAVE_MAX: Duration = Duration::from_secs(8);
/// What a goodbye promises.
const BACK_WITHIN: Millis = Millis::from_secs(900);
/// What the announcement of a restart promises: so long may a machine take to shut down and come up.
const RESTART_WITHIN: Millis = Millis::from_secs(300);

/// Why the supervisor ends.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// the state folder
    #[error("use state folder")]
    State(#[source] StateError),
    /// the journal
    #[error("open journal")]
    Journal(#[source] io::Error),
    /// the kernel refuses a basic service
    #[error("set up {0}")]
    Kernel(&'static str, #[source] io::Error),
}

#[derive(Debug)]
pub(crate) struct StageDone {
    pub(crate) component: ComponentId,
    pub(crate) release: Digest,
    pub(crate) why: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) token: String,
    pub(crate) class: HostClass,
    pub(crate) key: SigningKey,
    pub(crate) state: State,
    pub(crate) identity: Option<Identity>,
    pub(crate) host: Host,
    pub(crate) journal: Journal,
    pub(crate) spool: Spool,
    pub(crate) inputs: VecDeque<Input>,
    pub(crate) running: BTreeMap<ComponentId, Running>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) setup: Setup,
    pub(crate) check: Option<Check>,
    pub(crate) check_again: Instant,
    pub(crate) check_losses: u32,
    pub(crate) fetching: BTreeSet<Digest>,
    pub(crate) staged_tell: Sender<StageDone>,
    pub(crate) staged: Receiver<StageDone>,
    pub(crate) wake: Arc<OwnedFd>,
    pub(crate) woken: OwnedFd,
    pub(crate) freezes: Vec<FreezeSeen>,
    pub(crate) directives: Vec<DirectiveSeen>,
    pub(crate) refusals: BTreeSet<(Text, Text)>,
    pub(crate) beat_every: Duration,
    pub(crate) beat_next: Instant,
    pub(crate) enrol_next: Instant,
    pub(crate) sync_next: Instant,
    pub(crate) index_version: u64,
    /// beats handed over of which nothing was heard yet
    pub(crate) beats_out: u32,
    pub(crate) leaving: Option<Leaving>,
    pub(crate) previous: Previous,
}

/// On the way out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving {
    pub(crate) until: Instant,
}

/// Runs until it is asked to stop.
/// # Errors
/// [`RunError`] when it cannot begin; once it runs, nothing ends it but a signal.
pub fn run(config: Config) -> Result<(), RunError> {
    let stop = Stop::listen().map_err(|failed| RunError::Kernel("signals", failed))?;
    let mut supervisor = Supervisor::new(config)?;
    supervisor.boot();
    while !supervisor.done() {
        supervisor.wait(&stop);
        if let Some(asked) = stop.asked() {
            supervisor.leave(asked);
        }
        supervisor.look();
    }
    Ok(())
}

impl Supervisor {
    fn new(config: Config) -> Result<Supervisor, RunError> {
        let state = State::open(&config.state).map_err(RunError::State)?;
        let key = state.key().map_err(RunError::State)?;
        let identity = state.identity().map_err(RunError::State)?;
        let (boot, previous) = state.count_boot().map_err(RunError::State)?;
        let journal = Journal::open(&state.folder).map_err(RunError::Journal)?;
        let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
        let (woken, wake) =
            pipe_with(flags).map_err(|failed| RunError::Kernel("wake pipe", failed.into()))?;
        let (staged_tell, staged) = channel();
        let class = config.class();
        let builtin = config
            .service
            .iter()
            .map(|one| Builtin { component: one.component.clone(), exec: one.exec.clone() });
        let host = Host::new(HostConfig {
            host: identity.as_ref().map(|one| one.host),
            boot,
            builtin: builtin.collect(),
            kernel: kernel(),
        });
        let program = config.check.clone().unwrap_or_else(beside);
        let start = Instant::now();
        Ok(Supervisor {
            spool: Spool::open(&state.folder),
            setup: Setup {
                program,
                server: config.server,
                anchor: config.anchor,
                state: state.folder.clone(),
            },
            token: config.join_token,
            class,
            key,
            state,
            identity,
            host,
            journal,
            inputs: VecDeque::new(),
            running: BTreeMap::new(),
            tasks: Vec::new(),
            check: None,
            check_again: start,
            check_losses: 0,
            fetching: BTreeSet::new(),
            staged_tell,
            staged,
            wake: Arc::new(wake),
            woken,
            freezes: Vec::new(),
            directives: Vec::new(),
            refusals: BTreeSet::new(),
            beat_every: BEAT_DEFAULT,
            beat_next: start,
            enrol_next: start,
            sync_next: start,
            index_version: 0,
            beats_out: 0,
            leaving: None,
            previous,
        })
    }

    /// Freezes and directives first, so that nothing stopped starts; then the records, and whatever they ask for.
    fn boot(&mut self) {
        match self.state.freezes() {
            Ok(freezes) => {
                self.freezes.clone_from(&freezes);
                self.feed(Input::FreezesSeen { freezes });
            }
            Err(failed) => eprintln!("andon-supervisor: {}", told(&failed)),
        }
        match self.state.directives() {
            Ok(directives) => {
                self.directives.clone_from(&directives);
                self.feed(Input::DirectivesSeen { directives });
            }
            Err(failed) => eprintln!("andon-supervisor: {}", told(&failed)),
        }
        let found = crate::records::found(&self.state);
        self.feed(Input::Booted { found, previous: self.previous });
    }

    fn done(&self) -> bool {
        let Some(leaving) = self.leaving else { return false };
        // The last of them is the goodbye: an answer to an earlier beat says nothing of it.
        let said = self.beats_out == 0 || self.check.is_none();
        (said && self.running.is_empty()) || Instant::now() >= leaving.until
    }

    /// Asked to stop: goodbye to the server, then everything is stopped in order.
    fn leave(&mut self, asked: Asked) {
        if self.leaving.is_some() {
            return;
        }
        let presence = match asked {
            Asked::End => Presence::Goodbye { back_within: BACK_WITHIN },
            Asked::Restart => Presence::Restart { back_within: RESTART_WITHIN },
        };
        self.beat(presence);
        self.leaving = Some(Leaving { until: Instant::now() + LEAVE_MAX });
        self.feed(Input::Leaving);
    }

    fn wait(&self, stop: &Stop) {
        let until = self.deadline();
        let sleep = until.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(sleep.as_secs()).unwrap_or(1),
            tv_nsec: i64::from(sleep.subsec_nanos()),
        };
        let mut fds = vec![stop.fd(), self.woken.as_fd()];
        for running in self.running.values() {
            fds.extend([running.process.fd(), running.notify_fd()]);
        }
        fds.extend(self.tasks.iter().map(|task| task.process.fd()));
        fds.extend(self.check.iter().map(Check::output_fd));
        let mut polled: Vec<PollFd<'_>> =
            fds.into_iter().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        let full = self.check.as_ref().and_then(Check::input_fd);
        polled.extend(full.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::OUT)));
        // A signal or a kernel error only means looking earlier.
        let _woken = poll(&mut polled, Some(&timeout));
    }

    fn deadline(&self) -> Instant {
        let here = Instant::now();
        let mut all = vec![here + SLEEP_MAX];
        if let Some(at) = self.host.deadline() {
            all.push(here + at.since(now()).std());
        }
        for running in self.running.values() {
            all.extend(running.watchdog_until.into_iter().chain(running.kill_at));
        }
        all.extend(self.tasks.iter().map(|task| task.until));
        match (&self.check, &self.identity) {
            (None, _) => all.push(self.check_again),
            (Some(_), None) => all.push(self.enrol_next),
            (Some(_), Some(_)) => all.extend([self.beat_next, self.sync_next]),
        }
        all.into_iter().min().unwrap_or(here)
    }
}

/// Of the running kernel; `None`: its release has other characters than any that we know.
fn kernel() -> Option<FactName> {
    FactName::new(&rustix::system::uname().release().to_string_lossy()).ok()
}

fn beside() -> PathBuf {
    std::env::current_exe().unwrap_or_default().with_file_name("andon-check")
}
