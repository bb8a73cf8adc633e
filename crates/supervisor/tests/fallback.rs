//! The real supervisor, real processes, no server at all: what crashes is left behind all the same.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
use andon_host::machine::{Event, Machine};
use andon_host::record::{CrashMark, InSlot, Mark, Record};
use andon_host::storage::{self, FILE_BYTES, Stored as _};
use andon_model::Digest;
use andon_model::host_journal::{Entry, Fact};
use andon_model::id::{ComponentId, RolloutId, VendorId};
use andon_model::release::{Activation, ComponentKind, FileEntry, Hooks, Manifest, Mode, Version};
use andon_model::text::Text;
use andon_model::time::{Millis, Time};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Not a test of its own: what a well-behaved service does, run by the scripts below.
#[test]
fn service_stand_in() {
    let Ok(word) = std::env::var("STAND_IN") else { return };
    let socket = UnixDatagram::unbound().unwrap();
    let path = std::env::var("NOTIFY_SOCKET").unwrap();
    if word == "good" {
        socket.send_to(b"READY=1", &path).unwrap();
    }
    while word != "good" || socket.send_to(b"WATCHDOG=1", &path).is_ok() {
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn manifest(version: u32, script: &str) -> Manifest {
    Manifest {
        schema: 1,
        vendor: VendorId::new("acme").unwrap(),
        component: component(),
        version: Version(version),
        kind: ComponentKind::Service,
        mode: Mode::Enforce,
        consumer: None,
        activation: Activation::Restart,
        exec: vec!["run".to_owned()],
        hooks: Hooks::default(),
        probes: vec![],
        soak: Millis::from_secs(600),
        architectures: vec![],
        origin: Text::default(),
        files: vec![FileEntry {
            path: "run".to_owned(),
            digest: Digest::of(script.as_bytes()),
            length: script.len() as u64,
            executable: true,
        }],
        bundle: Digest::of(script.as_bytes()),
    }
}

fn component() -> ComponentId {
    ComponentId::new("tool").unwrap()
}

fn good() -> String {
    let own = std::env::current_exe().unwrap();
    format!(
        "#!/bin/sh\nSTAND_IN=good exec {} --exact service_stand_in --nocapture\n",
        own.display()
    )
}
fn silent() -> String {
    good().replace("=good", "=silent")
}

/// A host whose slot A holds a confirmed release and whose slot B holds a staged one.
fn host(folder: &Path, a: &str, b: &str) -> PathBuf {
    let state = folder.join("state");
    let mut machine = Machine::new();
    let mut slots = [None, None];
    for (at, (slot, script)) in [("a", a), ("b", b)].into_iter().enumerate() {
        let version = u32::try_from(at).unwrap() + 1;
        let manifest = manifest(version, script);
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let files = state.join("slots/tool").join(slot).join("files");
        std::fs::create_dir_all(&files).unwrap();
        std::fs::write(files.join("run"), script).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(files.join("run"), mode).unwrap();
        std::fs::write(files.with_file_name("manifest.json"), &bytes).unwrap();
        let release = Digest::of(&bytes);
        let mark = Mark::of(&RolloutId::new("r").unwrap(), &release);
        slots[at] = Some(InSlot { release, version: Version(version), mark });
    }
    machine.apply(Time(1), Event::Staged);
    machine.apply(Time(1), Event::Activated { soak: Millis(1) });
    machine.apply(Time(1), Event::Ready);
    machine.apply(Time(9), Event::Tick);
    machine.apply(Time(9), Event::Staged);
    let record = Record {
        sequence: 1,
        component: component(),
        machine,
        slots,
        bad: vec![],
        version_min: Version(0),
        charge: None,
        crash: CrashMark::NONE,
    };
    let mut file = vec![0; FILE_BYTES];
    storage::write(&mut file, &record.encode()).unwrap();
    std::fs::create_dir_all(state.join("records")).unwrap();
    std::fs::write(state.join("records/tool"), file).unwrap();
    // A child that dies at once, again and again: an ordinary event.
    let config = "server = \"http://127.0.0.1:1\"\nanchor = \"none.json\"\nstate = \"state\"\n\
                  check = \"/bin/false\"\n";
    std::fs::write(folder.join("host.toml"), config).unwrap();
    folder.join("host.toml")
}

struct Player(Child);

impl Player {
    fn start(config: &Path) -> Player {
        let program = env!("CARGO_BIN_EXE_andon-supervisor");
        Player(Command::new(program).arg("--config").arg(config).spawn().unwrap())
    }
    fn end_with(&mut self, signal: rustix::process::Signal) -> std::process::ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).unwrap();
        self.0.wait().unwrap()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn facts(folder: &Path) -> Vec<Fact> {
    let text = std::fs::read_to_string(folder.join("state/journal.jsonl")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    whole.lines().map(|line| serde_json::from_str::<Entry>(line).unwrap().fact).collect()
}

/// Waits for the condition, not for a time; fails with what was seen instead.
fn until(folder: &Path, what: &str, seen: impl Fn(&[Fact]) -> bool) -> Vec<Fact> {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let facts = facts(folder);
        if seen(&facts) {
            return facts;
        }
        assert!(Instant::now() < patience, "no {what} in {facts:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ready(facts: &[Fact], version: u32) -> usize {
    let is = |fact: &&Fact| matches!(fact, Fact::Ready { which } if which.version.0 == version);
    facts.iter().filter(is).count()
}

#[test]
fn fallback_needs_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let config = host(folder.path(), &good(), "#!/bin/sh\nkill -SEGV $$\n");
    let mut player = Player::start(&config);
    let facts = until(folder.path(), "old release back", |facts| ready(facts, 1) == 1);
    let at = |is: fn(&Fact) -> bool| facts.iter().position(is).expect("fact");
    let activated = at(|fact| matches!(fact, Fact::Activated { which } if which.version.0 == 2));
    let exited = at(
        |fact| matches!(fact, Fact::Exited { which, signal: Some(11), code: None } if which.version.0 == 2),
    );
    let charged = at(|fact| matches!(fact, Fact::Charged { which, .. } if which.version.0 == 2));
    let back = at(
        |fact| matches!(fact, Fact::FellBack { from, to } if from.version.0 == 2 && to.version.0 == 1),
    );
    assert!(activated < exited && exited < charged && charged < back);
    assert!(player.end_with(rustix::process::Signal::TERM).success());
}

#[test]
fn a_service_that_never_says_ready_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let config = host(folder.path(), &good(), &silent());
    let _player = Player::start(&config);
    let facts = until(folder.path(), "old release back", |facts| ready(facts, 1) == 1);
    let hung = |fact: &Fact| matches!(fact, Fact::Hung { which } if which.version.0 == 2);
    assert!(facts.iter().any(hung));
}

#[test]
fn a_killed_supervisor_leaves_no_service_behind_and_remembers_what_was_bad() {
    let folder = tempfile::tempdir().unwrap();
    let config = host(folder.path(), &good(), "#!/bin/sh\nexit 3\n");
    let mut player = Player::start(&config);
    until(folder.path(), "old release back", |facts| ready(facts, 1) == 1);
    player.end_with(rustix::process::Signal::KILL);
    let _again = Player::start(&config);
    let facts = until(folder.path(), "second start", |facts| ready(facts, 1) == 2);
    let activations = facts.iter().filter(|fact| matches!(fact, Fact::Activated { .. })).count();
    assert_eq!(activations, 1, "the release given up is not activated again");
}

#[test]
fn a_record_that_cannot_be_read_leaves_the_component_off_and_the_host_up() {
    let folder = tempfile::tempdir().unwrap();
    let config = host(folder.path(), &good(), &good());
    std::fs::write(folder.path().join("state/records/tool"), [7; FILE_BYTES]).unwrap();
    let mut player = Player::start(&config);
    let facts = until(folder.path(), "refusal", |facts| {
        facts.iter().any(|fact| matches!(fact, Fact::Refused { .. }))
    });
    assert!(!facts.iter().any(|fact| matches!(fact, Fact::Activated { .. } | Fact::Ready { .. })));
    assert!(player.end_with(rustix::process::Signal::TERM).success());
}
