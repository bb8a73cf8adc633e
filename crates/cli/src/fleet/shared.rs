//! What all light hosts of one process share: the way to the server, the bell, the pool of files,
//! settings. Nothing that one host believes is taken from another: no keys, views or records here.
use super::board::Board;
use super::control::{Settings, Switch};
use super::disk::Disk;
use super::journal::Journal;
use super::net::Net;
use super::slots::Pool;
use super::{Args, clock, hooks, rules};
use crate::context::Context;
use crate::exit::Failure;
use andon_host::Builtin;
use andon_model::class::HostClass;
use andon_model::enrol::Anchor;
use andon_model::facts::FactName;
use andon_model::host_journal::Fact;
use andon_model::{Digest, GroupId, HostId, LineId, Millis, StratumId};
use anyhow::Context as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, Semaphore, watch};

/// Bundles fetched at the same time: enough to keep both ends busy, and a bound on memory.
const FETCHES_AT_ONCE: usize = 32;
/// Largest anchor or token file, bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) net: Net,
    pub(super) anchor: Anchor,
    pub(super) token: String,
    pub(super) folder: PathBuf,
    pub(super) seed: u64,
    pub(super) die_for: Millis,
    pub(super) builtin: Vec<Builtin>,
    pub(super) board: Board,
    pub(super) pool: Pool,
    pub(super) rules: rules::Verdicts,
    pub(super) verdicts: hooks::Verdicts,
    pub(super) fetches: Arc<Semaphore>,
    pub(super) bell: watch::Sender<u64>,
    pub(super) ending: watch::Sender<bool>,
    pub(super) settings: watch::Sender<Settings>,
    pub(super) line: Once<LineId>,
    arch: StratumId,
    os: StratumId,
    models: u32,
    pub(super) kernel: Option<FactName>,
    /// groups, and every how many hosts are in them
    groups: Vec<super::GroupOf>,
    fates: Mutex<clock::Fates>,
    journals: PathBuf,
    complaints: Mutex<BTreeMap<String, u32>>,
}

/// A value that is set once and can be waited for.
#[derive(Debug)]
pub(super) struct Once<T> {
    cell: OnceCell<T>,
    set: tokio::sync::Notify,
}

impl<T> Default for Once<T> {
    fn default() -> Once<T> {
        Once { cell: OnceCell::new(), set: tokio::sync::Notify::new() }
    }
}

impl<T> Once<T> {
    /// `false`: it was set before.
    pub(super) fn set(&self, value: T) -> bool {
        let fresh = self.cell.set(value).is_ok();
        self.set.notify_waiters();
        fresh
    }
    /// Waits for the value.
    pub(super) async fn wait(&self) -> &T {
        loop {
            let set = self.set.notified();
            if let Some(value) = self.cell.get() {
                return value;
            }
            set.await;
        }
    }
}

impl Shared {
    /// Opens files and folders.
    /// # Errors
    /// What cannot be read or made.
    pub(super) fn open(context: &Context, args: &Args) -> Result<Shared, Failure> {
        if !(0.0..=1.0).contains(&args.die_whole) {
            let text = format!("--die-whole {} is not within 0 to 1", args.die_whole);
            return Err(Failure::usage(text));
        }
        std::fs::create_dir_all(&args.journal)
            .with_context(|| format!("make {}", args.journal.display()))?;
        let folder = args.slots.clone().unwrap_or_else(|| args.journal.join(".hosts"));
        let folder = std::path::absolute(folder).context("find the working folder")?;
        let pool = Pool::new(folder.join(".pool"))
            .with_context(|| format!("make {}", folder.display()))?;
        let builtin = |component: &andon_model::ComponentId| Builtin {
            component: component.clone(),
            exec: vec![component.to_string()],
        };
        Ok(Shared {
            net: Net::new(context.client()?.base())?,
            anchor: context.anchor()?,
            token: token(&args.join_token)?,
            folder,
            seed: args.seed,
            die_for: args.die_for.0,
            builtin: args.builtins.iter().map(builtin).collect(),
            board: Board::new(args.hosts),
            pool,
            rules: rules::Verdicts::default(),
            verdicts: hooks::Verdicts::default(),
            fetches: Arc::new(Semaphore::new(FETCHES_AT_ONCE)),
            bell: watch::channel(0).0,
            ending: watch::channel(false).0,
            settings: watch::channel(Settings::default()).0,
            line: Once::default(),
            arch: name(std::env::consts::ARCH),
            os: os(),
            models: args.models,
            kernel: kernel(),
            groups: args.groups.clone(),
            fates: Mutex::new(clock::Fates::new(args.seed, args.die_whole)),
            journals: args.journal.clone(),
            complaints: Mutex::default(),
        })
    }

    /// What kind of host number `number` is.
    pub(super) fn class(&self, number: u32) -> HostClass {
        let model = name(&format!("model-{}", number % self.models + 1));
        let of = self.groups.iter().filter(|of| number.is_multiple_of(of.every));
        let groups: BTreeSet<GroupId> = of.map(|of| of.group.clone()).collect();
        let (arch, os) = (self.arch.clone(), self.os.clone());
        HostClass { arch, os, model, groups: groups.into_iter().collect() }
    }

    /// The same, of a host that has a disk.
    pub(super) fn class_of(&self, disk: &Disk) -> HostClass {
        self.class(disk.number)
    }

    /// Whether a crash with this release takes the host along as a whole.
    pub(super) fn dies_whole(&self, host: HostId, release: Digest) -> bool {
        let mut fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner);
        fates.chosen(host, release)
    }

    /// Whether crashes are told.
    pub(super) fn reports(&self) -> Switch {
        self.settings.borrow().reports
    }

    /// Appends to a host's journal.
    pub(super) fn write_down(&self, host: HostId, fact: &Fact) {
        if let Err(error) = Journal::new(&self.journals, host).write(host, fact) {
            self.complain("journal", &error.to_string());
        }
    }

    /// Tells each kind of trouble once, not a thousand times.
    pub(super) fn complain(&self, what: &str, why: &str) {
        let mut told = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        let count = told.entry(what.to_owned()).or_default();
        *count += 1;
        if *count == 1 {
            crate::output::note(format_args!("fleet: {what}: {why}"));
        }
    }
}

/// The token itself, or what the file of that name holds.
fn token(word: &str) -> anyhow::Result<String> {
    let path = Path::new(word);
    if !path.is_file() {
        return Ok(word.to_owned());
    }
    let bytes = crate::files::read(path, FILE_BYTES_MAX)?;
    Ok(String::from_utf8(bytes).context("read join token")?.trim().to_owned())
}

/// A name made plain: what our ids do not allow becomes a dash.
fn name(text: &str) -> StratumId {
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' };
    let text: String = text.to_lowercase().chars().map(plain).take(20).collect();
    StratumId::new(&text)
        .or_else(|_| StratumId::new("unknown"))
        .unwrap_or_else(|_| unreachable!("'unknown' is a plain name"))
}

/// Operating system and major version, as the supervisor of a full host says it.
pub(crate) fn os() -> StratumId {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |key: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_matches('"').to_owned())
    };
    let major = value("VERSION_ID=").unwrap_or_default();
    let major = major.split('.').next().unwrap_or_default().to_owned();
    name(&format!("{}{major}", value("ID=").unwrap_or_else(|| "linux".to_owned())))
}

/// Release of the running kernel, as the supervisor of a full host says it.
pub(crate) fn kernel() -> Option<FactName> {
    FactName::new(&rustix::system::uname().release().to_string_lossy()).ok()
}

/// Raises the soft limit of open files to what the hosts need, as far as the hard limit allows.
pub(super) fn allow_open_files(needed: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return;
    }
    let current = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = Rlimit { current: Some(current), maximum: limit.maximum };
    if current < needed || setrlimit(Resource::Nofile, raised).is_err() {
        crate::output::note(format_args!(
            "fleet: {needed} open files are needed, {current} are allowed; raise ulimit -n"
        ));
    }
}
