//! `andon fleet`: many light hosts in one process.
//!
//! What it is: each host makes its own key, enrols, speaks the real protocol over HTTP, verifies every
//! signature itself, runs the real host core, lays real files into slots and executes the delivered
//! service as a real process; a crash is a real exit by signal. What it is not: a light host has no
//! eBPF, keeps its records in memory instead of on a disk, shares the bell and the connection pool with
//! the others of its process, and judges identical content once per process.
pub(crate) mod board;
mod clock;
mod control;
mod disk;
mod hooks;
mod journal;
mod light;
mod net;
mod obey;
mod reports;
mod rules;
mod service;
mod shared;
mod slots;
mod sync;

pub(crate) use shared::{kernel, os};

use crate::context::Context;
use crate::exit::{Exit, Outcome};
use andon_model::enrol::EnrolRequest;
use andon_model::envelope::PayloadType;
use andon_model::host_journal::Fact;
use andon_model::{GroupId, HostId, LineId};
use andon_trust::sign::SigningKey;
use control::{Settings, Switch};
use disk::Disk;
use light::End;
use shared::Shared;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinSet;

/// Most light hosts in one process: each needs about four file descriptors.
const HOSTS_MAX: u32 = 20_000;
/// Longest wait between two tries to enrol.
const ENROL_AGAIN_MAX: Duration = Duration::from_secs(2);

/// Options of `andon fleet`. Server and anchor come with the options that every command knows.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The token that admits new hosts, or a file that holds it
    #[arg(long, value_name = "TOKEN")]
    pub(crate) join_token: String,
    /// How many hosts
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(HOSTS_MAX)))]
    pub(crate) hosts: u32,
    /// Where each host's journal goes
    #[arg(long, value_name = "DIR")]
    pub(crate) journal: PathBuf,
    /// Where slots and state go; default: below the journals' folder, in `.hosts`
    #[arg(long, value_name = "DIR")]
    pub(crate) slots: Option<PathBuf>,
    /// Seed of jitter and of who dies whole
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Hardware models among the hosts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) models: u32,
    /// Puts every Nth host into a group, by number; repeat it for more groups
    #[arg(long = "group", value_name = "GROUP=N")]
    pub(crate) groups: Vec<GroupOf>,
    /// Share of crashing hosts that die as a whole, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    pub(crate) die_whole: f64,
    /// How long such a host is away
    #[arg(long, default_value = "15s")]
    pub(crate) die_for: crate::span::Span,
    /// A service of the host's own packages that is simulated inside, by name
    #[arg(long = "builtin", value_name = "COMPONENT", default_value = "andon-sensor")]
    pub(crate) builtins: Vec<andon_model::ComponentId>,
    /// Where control lines come from
    #[arg(long, value_name = "stdin|none", default_value = "none")]
    pub(crate) control: Control,
}

/// One group of hosts.
#[derive(Clone, Debug)]
pub(crate) struct GroupOf {
    /// its name
    group: GroupId,
    /// every so-manyth host is in it
    every: u32,
}

impl std::str::FromStr for GroupOf {
    type Err = String;
    fn from_str(text: &str) -> Result<GroupOf, String> {
        let wrong = || format!("{text:?} is not GROUP=N, for example till=10");
        let (group, every) = text.split_once('=').ok_or_else(wrong)?;
        let group = GroupId::new(group).map_err(|why| why.to_string())?;
        let every = every.parse().ok().filter(|every| *every > 0).ok_or_else(wrong)?;
        Ok(GroupOf { group, every })
    }
}

/// Where control lines come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Control {
    /// JSON lines on standard input; its end ends the fleet
    Stdin,
    /// nowhere
    None,
}

/// Runs the fleet until it is told to stop.
/// # Errors
/// What went wrong, for people.
pub(crate) async fn run(context: &Context, args: Args) -> Outcome {
    let control = args.control;
    let hosts = args.hosts;
    shared::allow_open_files(u64::from(hosts) * 8 + 1024);
    let shared = Arc::new(Shared::open(context, &args)?);
    let mut tasks = JoinSet::new();
    for number in 0..hosts {
        let shared = shared.clone();
        tasks.spawn(async move { life(shared, number).await });
    }
    let ringing = tokio::spawn(ring(shared.clone()));
    let telling = tokio::spawn(tell_status(shared.clone()));
    tokio::select! {
        () = listen(&shared, control) => {}
        _ = tokio::signal::ctrl_c() => {}
        () = terminated() => {}
    }
    shared.ending.send_replace(true);
    while tasks.join_next().await.is_some() {}
    ringing.abort();
    telling.abort();
    crate::output::line(serde_json::to_string(&shared.board.status(usize::MAX))?);
    Ok(Exit::Ok)
}

async fn listen(shared: &Shared, control: Control) {
    match control {
        Control::Stdin => control::listen(&shared.settings, || shared.board.calm()).await,
        Control::None => std::future::pending().await,
    }
}

async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// A host from its first day: it enrols, then boots again and again.
async fn life(shared: Arc<Shared>, number: u32) {
    let mut ending = shared.ending.subscribe();
    let Some((mut disk, id, line)) = enrol(&shared, number).await else { return };
    let _told_already = shared.line.set(line);
    shared.board.enrolled(number, id);
    shared.board.paint(number, &Fact::Enrolled);
    shared.write_down(id, &Fact::Enrolled);
    while light::boot(&shared, number, &mut disk, id).await == End::Died {
        tokio::select! {
            _ = ending.changed() => return,
            () = tokio::time::sleep(shared.die_for.std()) => {}
        }
    }
}

async fn enrol(shared: &Shared, number: u32) -> Option<(Disk, HostId, LineId)> {
    let mut ending = shared.ending.subscribe();
    let mut jitter = clock::Jitter::new(shared.seed, number);
    let folder = shared.folder.join(format!("{number:05}"));
    let mut seed = [0; 32];
    let made =
        getrandom::fill(&mut seed).is_ok() && std::fs::create_dir_all(folder.join("state")).is_ok();
    if !made {
        crate::output::note(format_args!("fleet: host {number} has no key or no folder"));
        return None;
    }
    // What an operator's probe looks at: every host does some business.
    let _probe_will_tell = std::fs::write(folder.join("state/business.db"), b"business\n");
    let mut disk = Disk::blank(folder, SigningKey::from_seed(seed));
    loop {
        let request = EnrolRequest {
            schema: 1,
            token: shared.token.clone(),
            key: disk.key.public(),
            class: shared.class(number),
            at: clock::now(),
        };
        let envelope = disk.key.seal(PayloadType::Enrol, &serde_json::to_vec(&request).ok()?);
        let turn = shared.fetches.acquire().await;
        let answer = shared.net.enrol(&envelope).await;
        drop(turn);
        match answer {
            Ok(answer) => {
                disk.host = Some(answer.host);
                disk.number = number;
                return Some((disk, answer.host, answer.line));
            }
            Err(error) => shared.complain("enrol", &chain(&error)),
        }
        tokio::select! {
            _ = ending.changed() => return None,
            () = tokio::time::sleep(jitter.up_to(ENROL_AGAIN_MAX)) => {}
        }
    }
}

/// One long poll for all hosts of this process: a hint, never a fact.
async fn ring(shared: Arc<Shared>) {
    let line = shared.line.wait().await.clone();
    loop {
        let since = *shared.bell.borrow();
        match shared.net.bell(&line, since).await {
            Ok(bell) if bell.version > since => {
                shared.bell.send_replace(bell.version);
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

async fn tell_status(shared: Arc<Shared>) {
    let mut told = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let status = shared.board.status(told);
        told = status.enrolled;
        if let Ok(line) = serde_json::to_string(&status) {
            crate::output::line(line);
        }
    }
}

/// An error and what caused it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        out = format!("{out}: {cause}");
        source = cause.source();
    }
    out
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { reports: Switch::On }
    }
}

impl board::Board {
    /// Counts a beat: taken, or lost for that reason.
    fn count(&self, lost: Option<String>) {
        match lost {
            None => self.beats.fetch_add(1, Ordering::Relaxed),
            Some(_) => self.beats_lost.fetch_add(1, Ordering::Relaxed),
        };
    }
}
