//! One boot: read, decide, ask the network if that is due, decide again, carry it out, tell.
use crate::config::Config;
use crate::disk::State;
use crate::shell::Booting;
use crate::{evidence, net, report, revoked, say, stops};
use andon_host::boot::{Decision, Policy, Seen, carry_out, decide};
use andon_host::boot_record::{BootId, GuardMode};
use andon_model::Time;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Longest it may take beside fetching; then it goes, and what it has not loaded stays off.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Runs the guard for this boot. Whatever the exit code, the host boots.
pub(crate) fn boot(config: &Config) -> ExitCode {
    let began = Instant::now();
    let limit = Limit::start();
    let state = State(config.state.clone());
    let (disk, manifests) = state.read();
    let found = evidence::read(&config.pstore, &config.watchdogs);
    let mut known = stops::Known::read(&config.state, clock(), crate::disk::releases(&manifests));
    let policy = Policy {
        mode: config.mode,
        fetch: config.fetch,
        host: known.pins().and_then(|pins| pins.host),
    };
    let boot = boot_id();
    let judge = |known: &stops::Known| {
        let (now, stops) = (known.now(), known.in_force());
        let seen = Seen { ending: found.ending.clone(), now, boot, stops };
        decide(&disk, &seen, &policy)
    };
    let mut decision = judge(&known);
    let mut fetch = Duration::ZERO;
    if let Some(longest) = decision.fetch {
        let longest = Duration::from_millis(longest.0);
        limit.extend(longest);
        let since = Instant::now();
        match fetched(config, &mut known, longest) {
            Ok(0) => {}
            Ok(_) => decision = judge(&known),
            Err(why) => say(&format!("no stops from the network: {why}")),
        }
        fetch = since.elapsed();
    }
    for why in &known.refused {
        say(why);
    }
    let revoked = revoked::Revoked::read(&config.efivars);
    let (run, said) = (config.run.as_path(), Vec::new());
    let mut shell = Booting { state: &state, run, manifests: &manifests, revoked: &revoked, said };
    let carried = carry_out(&decision, &mut shell);
    for (of, why) in &carried.unwritten {
        shell.say(&format!(
            "{} not written: {why}",
            of.as_ref().map_or("boot record", |of| of.as_str())
        ));
    }
    // Who only observes leaves the store to whoever reads it in this host today.
    if carried.settled
        && decision.mode == GuardMode::Enforce
        && let Err(why) = evidence::put_by(&found, &config.state)
    {
        shell.say(&format!("the crash's record stays where it is: {why}"));
    }
    let said = std::mem::take(&mut shell.said);
    let mut told = report::Told::new(&decision, &carried, &found.ending, &said);
    told.took_ms = millis(began.elapsed());
    told.fetch_ms = millis(fetch);
    told.peak_kib = peak_kib();
    let text = serde_json::to_vec(&told).unwrap_or_default();
    let kept =
        std::fs::create_dir_all(run).and_then(|()| std::fs::write(run.join("guard.json"), text));
    if let Err(why) = kept {
        say(&format!("{}: {why}", run.display()));
    }
    closing(&decision, &told);
    ExitCode::SUCCESS
}

fn closing(decision: &Decision, told: &report::Told<'_>) {
    say(&format!(
        "boot {} after {}: {} loaded, {} off, mode {}; done in {} ms, of which {} for the network, {} KiB at most",
        decision.boot.boots,
        told.ending,
        told.loaded.len(),
        told.off.len(),
        told.mode,
        told.took_ms,
        told.fetch_ms,
        told.peak_kib
    ));
}

pub(crate) fn mode(mode: GuardMode) -> &'static str {
    match mode {
        GuardMode::Observe => "observe",
        GuardMode::Enforce => "enforce",
    }
}

/// Stops from the line's server, within this time.
fn fetched(config: &Config, known: &mut stops::Known, longest: Duration) -> Result<usize, String> {
    let server = config.server.ok_or("no server is configured")?;
    if let Some(link) = &config.link {
        net::bring_up(link)?;
    }
    let client = net::Client::new(server, longest);
    known.fetch(|path, limit| client.get(path, limit))
}

/// Ends this process when it takes too long: a disk that hangs, a bug of ours.
struct Limit(mpsc::SyncSender<Duration>);

impl Limit {
    fn start() -> Limit {
        let (more, asked) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut left = WAIT_MAX;
            loop {
                let since = Instant::now();
                match asked.recv_timeout(left) {
                    Ok(more) => left = left.saturating_sub(since.elapsed()) + more,
                    Err(mpsc::RecvTimeoutError::Disconnected) => return,
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        say("takes too long and goes; what is not loaded stays off");
                        std::process::exit(3);
                    }
                }
            }
        });
        Limit(more)
    }

    fn extend(&self, by: Duration) {
        let _gone = self.0.send(by);
    }
}

/// The most memory that this process held.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn clock() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(millis(since))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The kernel's name for this boot; zeros if it has none.
fn boot_id() -> BootId {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let number = u128::from_str_radix(&hex, 16).unwrap_or(0);
    BootId(number.to_be_bytes())
}
