//! The real sensor on the real kernel: a command with a random marker is run, the alert must carry
//! it. Needs root; says so and skips otherwise.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use andon_model::beat::{Alert, SensorSource, SensorStatus};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

struct Running {
    child: Child,
    alerts: Receiver<String>,
    words: UnixDatagram,
    folder: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_root() -> bool {
    // SAFETY: no arguments, no memory.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        eprintln!("skipped: process events need root");
    }
    root
}

/// Different in every run and every call, so that no earlier event can be taken for ours.
fn marker() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    format!("andon-{:016x}", RandomState::new().build_hasher().finish())
}

fn rule(title: &str, marker: &str, more: &str) -> String {
    format!(
        "title: {title}\nid: 5f3c\nlogsource: {{ category: process_creation, product: linux }}\n\
         detection:\n  selection:\n    CommandLine|contains: '{marker}'\n{more}  \
         condition: selection\nlevel: high\n"
    )
}

fn slot(folder: &Path, name: &str, text: &str) -> PathBuf {
    let slot = folder.join(name);
    std::fs::create_dir(&slot).unwrap();
    std::fs::write(slot.join("rule.yml"), text).unwrap();
    slot
}

/// Points the link `rules` at another slot, as the supervisor does: a rename, never a gap.
fn switch(folder: &Path, slot: &Path) {
    let beside = folder.join("rules.new");
    symlink(slot, &beside).unwrap();
    std::fs::rename(beside, folder.join("rules")).unwrap();
}

fn start(source: &str, first: &str) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let slot_a = slot(folder.path(), "a", first);
    switch(folder.path(), &slot_a);
    let socket = folder.path().join("notify");
    let words = UnixDatagram::bind(&socket).unwrap();
    words.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_andon-sensor"))
        .arg("--rules")
        .arg(folder.path().join("rules"))
        .arg("--status")
        .arg(folder.path().join("status.json"))
        .args(["--source", source])
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "300000")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (send, alerts) = channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|l| send.send(l)));
    Running { child, alerts, words, folder }
}

impl Running {
    /// Reads words until one holds `want`; gives all of them.
    fn hear(&self, want: &str) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        let mut heard: Vec<String> = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            assert!(Instant::now() < end, "no {want}: {heard:?}");
            let length = self.words.recv(&mut buffer).unwrap_or_else(|e| panic!("{e}: {heard:?}"));
            heard.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
            if heard.last().unwrap().contains(want) {
                return heard;
            }
        }
    }
    fn alert(&self, marker: &str) -> Alert {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.alerts.recv_timeout(left).expect("no alert with the marker");
            let alert: Alert = serde_json::from_str(&line).unwrap();
            if alert.command_line.as_str().contains(marker) {
                return alert;
            }
        }
    }
    fn status_when(&self, holds: impl Fn(&SensorStatus) -> bool) -> SensorStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            let bytes = std::fs::read(self.folder.path().join("status.json")).unwrap();
            let status: SensorStatus = serde_json::from_slice(&bytes).unwrap();
            if holds(&status) {
                return status;
            }
            assert!(Instant::now() < end, "{status:?}");
            std::thread::yield_now();
        }
    }
    fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: sends a signal to a child that is ours and not yet waited for.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }
}

/// A program that stays until its input ends, so that both sources can read its arguments.
fn run(marker: &str) -> Child {
    let mut command = Command::new("cat");
    command.args(["-", "--", marker]).stdin(Stdio::piped()).stderr(Stdio::null());
    command.stdout(Stdio::null()).spawn().unwrap()
}

fn story(source: &str, kind: SensorSource) {
    if !is_root() {
        return;
    }
    let (first, second) = (marker(), marker());
    // the parent is this test's own program
    let parent = "    Image|endswith: '/cat'\n    ParentImage|contains: 'real-'\n    User: root\n";
    let mut sensor = start(source, &rule("First", &first, parent));
    sensor.hear("READY=1");
    let mut cat = run(&first);
    let alert = sensor.alert(&first);
    assert_eq!((alert.rule.as_str(), alert.level.as_str(), alert.pid), ("First", "high", cat.id()));
    assert_eq!(alert.command_line.as_str(), format!("cat - -- {first}"));
    cat.kill().unwrap();
    cat.wait().unwrap();
    let status = sensor.status_when(|status| status.canary_seen.is_some() && status.events > 1);
    assert_eq!((status.source, status.rules, status.drops), (kind, 1, 0));
    sensor.hear("WATCHDOG=1");

    let bad = slot(sensor.folder.path(), "bad", "title: [");
    switch(sensor.folder.path(), &bad);
    sensor.signal(libc::SIGHUP);
    let heard = sensor.hear("the old ones stay");
    assert!(heard.iter().any(|word| word == "RELOADING=1"), "{heard:?}");
    assert!(!heard.iter().any(|word| word.contains("READY=1")), "{heard:?}");
    let mut cat = run(&first);
    sensor.alert(&first);
    cat.kill().unwrap();
    cat.wait().unwrap();

    let good = slot(sensor.folder.path(), "b", &rule("Second", &second, ""));
    switch(sensor.folder.path(), &good);
    sensor.signal(libc::SIGHUP);
    sensor.hear("READY=1");
    let mut cat = run(&second);
    assert_eq!(sensor.alert(&second).rule.as_str(), "Second");
    cat.kill().unwrap();
    cat.wait().unwrap();
    sensor.signal(libc::SIGTERM);
    assert!(sensor.child.wait().unwrap().success());
}

#[test]
fn ebpf_sees_a_marked_command_and_survives_bad_rules() {
    story("ebpf", SensorSource::Ebpf);
}

#[test]
fn the_connector_sees_a_marked_command_and_survives_bad_rules() {
    story("proc", SensorSource::ProcConnector);
}

#[test]
fn ebpf_sees_the_arguments_of_a_program_that_ends_at_once() {
    if !is_root() {
        return;
    }
    let marker = marker();
    let sensor = start("auto", &rule("Short", &marker, ""));
    sensor.hear("READY=1");
    for _ in 0..50 {
        assert!(Command::new("true").arg(&marker).status().unwrap().success());
    }
    for _ in 0..50 {
        sensor.alert(&marker);
    }
    assert_eq!(sensor.status_when(|_| true).drops, 0);
}

fn refused(arguments: &[&str], folder: &Path) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_andon-sensor"))
        .args(arguments)
        .current_dir(folder)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    let mut stderr: ChildStderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut text).unwrap();
    (child.wait().unwrap().code(), text)
}

#[test]
fn bad_rules_at_the_start_end_the_sensor_and_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    slot(folder.path(), "rules", "title: [");
    let (code, text) = refused(&["--rules", "rules"], folder.path());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("rule.yml"), "{text}");
    let (code, text) = refused(&["--rulez", "rules"], folder.path());
    assert_eq!(code, Some(2), "{text}");
    std::fs::remove_file(folder.path().join("rules/rule.yml")).unwrap();
    let (code, text) = refused(&["--rules", "rules"], folder.path());
    assert_eq!(code, Some(1), "an empty folder detects nothing: {text}");
}
