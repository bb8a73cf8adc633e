//! Nothing acknowledged is lost: the server is killed at many instants, and the power of a modelled
//! disk is cut at every acknowledgement.
use andon_e2e::disk::Disk;
use andon_e2e::host::{Caller, key};
use andon_e2e::line::Line;
use andon_e2e::server::Server;
use andon_e2e::strace::{self, Step};
use andon_e2e::{journal, programs, release, skip, wait};
use andon_model::HostId;
use andon_model::command::Verb;
use andon_model::digest::Digest;
use andon_model::text::Text;
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Instants at which the server is killed: after so many acknowledgements of a round, mostly primes,
/// so that they fall into different places of the group commit.
const KILLS: [u64; 12] = [0, 1, 2, 3, 5, 7, 11, 17, 29, 53, 97, 151];
/// Callers at the same time.
const CALLERS: u64 = 4;

/// What the server has acknowledged, over all its lives.
#[derive(Debug, Default)]
struct Acknowledged {
    hosts: BTreeSet<HostId>,
    charges: Vec<(HostId, u64)>,
    commands: Vec<Digest>,
}

#[test]
fn no_acknowledged_event_is_lost_when_the_server_is_killed_at_any_instant() -> Result<()> {
    let line = Line::new()?;
    let release = release::files(&line, "rules", 1, b"rules");
    let acknowledged = Mutex::new(Acknowledged::default());
    let numbers = AtomicU64::new(1);
    let mut server = Server::start(&line)?;
    release::publish(&server.http(), &line, None, &release)?;
    // hosts that never activate: the rollout stays open, so that it can be held and resumed
    for number in 0..5 {
        Caller::enrol(&server.http(), &line.token, key(900_000 + number))?;
    }
    release::start(&server.http(), &line, "first", &release)?;
    for kill in KILLS {
        let count = AtomicU64::new(0);
        let http = server.http();
        std::thread::scope(|scope| -> Result<()> {
            for _ in 0..CALLERS {
                // a caller ends with the first request that the dead server leaves unanswered
                scope.spawn(|| call(&line, &http, &numbers, &count, &acknowledged));
            }
            wait::until("acknowledgements", Duration::from_secs(60), || {
                (count.load(Ordering::SeqCst) >= kill).then_some(())
            })?;
            server.kill()?;
            Ok(())
        })?;
        check(&line, &acknowledged)?;
        server = Server::start(&line)?;
        check_served(&server, &line, &acknowledged)?;
    }
    let known = acknowledged.lock().map_err(|_| anyhow::anyhow!("a caller panicked"))?;
    ensure!(known.hosts.len() as u64 > KILLS.len() as u64 * 2, "too few events to prove a thing");
    ensure!(!known.charges.is_empty() && !known.commands.is_empty(), "one kind was never sent");
    Ok(())
}

/// Enrols, beats with news and commands until the server is gone.
fn call(
    line: &Line,
    http: &andon_e2e::http::Http,
    numbers: &AtomicU64,
    count: &AtomicU64,
    acknowledged: &Mutex<Acknowledged>,
) -> Option<()> {
    loop {
        let number = numbers.fetch_add(1, Ordering::SeqCst);
        let mut caller = Caller::enrol(http, &line.token, key(number)).ok()?;
        acknowledged.lock().ok()?.hosts.insert(caller.id);
        count.fetch_add(1, Ordering::SeqCst);
        for _ in 0..2 {
            let beat = caller.beat_with_charge();
            if caller.send(http, &beat).ok()?.well() {
                acknowledged.lock().ok()?.charges.push((caller.id, beat.sequence));
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
        let rollout = andon_model::RolloutId::new("first").ok()?;
        let verb = if number.is_multiple_of(2) {
            Verb::Hold { rollout, reason: Text::clipped("a test holds") }
        } else {
            Verb::Resume { rollout }
        };
        let envelope = release::command(line, "bob", number, verb).ok()?;
        let nonce = serde_json::from_slice::<andon_model::command::Command>(&envelope.payload);
        if http.post("/v1/commands", &envelope.to_bytes()).ok()?.well() {
            acknowledged.lock().ok()?.commands.push(nonce.ok()?.nonce);
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// The journal's file, read while no server runs, holds every acknowledged event.
fn check(line: &Line, acknowledged: &Mutex<Acknowledged>) -> Result<()> {
    let rows = journal::rows(&line.journal())?;
    let known = acknowledged.lock().map_err(|_| anyhow::anyhow!("a caller panicked"))?;
    let of =
        |kind: &str| -> Vec<&journal::Row> { rows.iter().filter(|r| r.kind == kind).collect() };
    let enrolled: BTreeSet<&str> = of("host_enrolled").iter().map(|r| r.subject.as_str()).collect();
    for host in &known.hosts {
        ensure!(
            enrolled.contains(host.to_string().as_str()),
            "{host} was acknowledged and is lost"
        );
    }
    let changed = of("host_changed");
    for (host, number) in &known.charges {
        let (host, charge) = (host.to_string(), format!("\"number\":{number},"));
        let there = changed.iter().any(|r| r.subject == host && r.json.contains(&charge));
        ensure!(there, "charge {number} of {host} was acknowledged and is lost");
    }
    let commands = of("command_accepted");
    for nonce in &known.commands {
        let nonce = nonce.to_string();
        let there = commands.iter().any(|row| row.json.contains(&nonce));
        ensure!(there, "command {nonce} was acknowledged and is lost");
    }
    Ok(())
}

/// The restarted server says the same.
fn check_served(server: &Server, line: &Line, known: &Mutex<Acknowledged>) -> Result<()> {
    let http = server.http();
    let known = known.lock().map_err(|_| anyhow::anyhow!("a caller panicked"))?;
    for host in &known.hosts {
        let answer = http.get(&format!("/v1/hosts/{host}"))?;
        ensure!(answer.status == 200, "{host} is not served after a restart: {}", answer.text());
    }
    let answer = http.get(&format!("/v1/lines/{}/index.json", line.id()))?;
    ensure!(answer.status == 200, "no index after a restart: {}", answer.text());
    Ok(())
}

#[test]
fn journal_is_synced_before_each_acknowledgement() -> Result<()> {
    let Some(Traced { line, steps, hosts }) = traced()? else { return Ok(()) };
    let log = line.journal().with_extension("db-wal").to_string_lossy().into_owned();
    for host in &hosts {
        let sent =
            acknowledgement(&steps, host).context("find the acknowledgement in the trace")?;
        let before = &steps[..sent];
        // The first time: the same page is written again, with this row still in it, whenever another
        // enrolment follows, and that may be before this one's answer leaves.
        let wrote = before.iter().position(|step| {
            matches!(step, Step::Wrote { path, bytes, .. }
                if *path == log && holds(bytes, host.to_string().as_bytes()))
        });
        let wrote = wrote.with_context(|| format!("{host}: not in the log when acknowledged"))?;
        let began = |at: usize, call: usize| {
            before[at..].iter().any(|s| matches!(s, Step::SyncBegan { call: c, .. } if *c == call))
        };
        let synced = before.iter().any(|step| {
            matches!(step, Step::Synced { path, call } if *path == log && began(wrote, *call))
        });
        ensure!(synced, "{host} was acknowledged before the journal was synced");
    }
    Ok(())
}

#[test]
fn folders_that_are_new_are_synced_before_anything_is_acknowledged() -> Result<()> {
    let Some(Traced { line, steps, hosts }) = traced()? else { return Ok(()) };
    let first = hosts.iter().filter_map(|host| acknowledgement(&steps, host)).min();
    let before = &steps[..first.context("find an acknowledgement in the trace")?];
    let data = line.journal().parent().context("find the data folder")?.to_path_buf();
    // a name is durable once the folder that holds it is synced
    for holds_a_new_one in [data.clone(), data.join("static")] {
        let folder = holds_a_new_one.to_string_lossy();
        let synced = |step: &Step| matches!(step, Step::Synced { path, .. } if *path == folder);
        ensure!(before.iter().any(synced), "{folder} was not synced");
    }
    Ok(())
}

#[test]
fn a_disk_that_drops_unsynced_writes_keeps_every_acknowledged_event() -> Result<()> {
    let Some(Traced { line, steps, hosts }) = traced()? else { return Ok(()) };
    let folder = line.journal().parent().context("find the data folder")?.to_path_buf();
    let mut disk = Disk::default();
    let mut done = 0;
    for (number, step) in steps.iter().enumerate() {
        disk.apply(step);
        for host in hosts.iter().filter(|h| acknowledgement(&steps, h) == Some(number)) {
            let after = line.aside().join(format!("power-loss-{done}"));
            restore(&disk, &folder, &after)?;
            let rows = journal::rows(&after.join("journal.db"))?;
            let host = host.to_string();
            let there = rows.iter().any(|r| r.kind == "host_enrolled" && r.subject == host);
            ensure!(there, "{host} was acknowledged, and a power cut at that instant loses it");
            done += 1;
        }
    }
    ensure!(
        done == hosts.len(),
        "only {done} of {} acknowledgements are in the trace",
        hosts.len()
    );
    Ok(())
}

/// A server's whole life as the kernel saw it, and the hosts it acknowledged.
struct Traced {
    line: Line,
    steps: Vec<Step>,
    hosts: Vec<HostId>,
}

/// A server under strace takes a few enrolments, some at the same time. `None` without strace.
fn traced() -> Result<Option<Traced>> {
    if !programs::installed("strace") {
        skip("strace is not installed (apt-get install strace)");
        return Ok(None);
    }
    let line = Line::new()?;
    let output = line.aside().join("trace");
    let server = Server::start_under(&line, &strace::words(&output.to_string_lossy()))?;
    let http = server.http();
    let hosts = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for caller in 0..3 {
            let (hosts, http, line) = (&hosts, &http, &line);
            scope.spawn(move || {
                for number in 0..6 {
                    let key = key(1000 + caller * 100 + number);
                    let granted = Caller::enrol(http, &line.token, key);
                    if let (Ok(caller), Ok(mut hosts)) = (granted, hosts.lock()) {
                        hosts.push(caller.id);
                    }
                }
            });
        }
    });
    server.end_traced()?;
    let trace = std::fs::read_to_string(&output).context("read the trace")?;
    let hosts = hosts.into_inner().map_err(|_| anyhow::anyhow!("a caller panicked"))?;
    ensure!(hosts.len() == 18, "only {} of 18 enrolments were taken", hosts.len());
    Ok(Some(Traced { line, steps: strace::parse(&trace), hosts }))
}

fn acknowledgement(steps: &[Step], host: &HostId) -> Option<usize> {
    let words = format!("\"host\":\"{host}\"");
    steps
        .iter()
        .position(|step| matches!(step, Step::Sent { bytes } if holds(bytes, words.as_bytes())))
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Writes what the disk holds of the database's files (its shared memory is rebuilt from the log).
fn restore(disk: &Disk, from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).context("make a folder")?;
    for name in ["journal.db", "journal.db-wal"] {
        let path = from.join(name).to_string_lossy().into_owned();
        if let Some(bytes) = disk.after_power_loss(&path) {
            std::fs::write(to.join(name), bytes).context("write what the disk kept")?;
        }
    }
    Ok(())
}
