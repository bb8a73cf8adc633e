//! Day one: an operator adopts a third party's data, here a real Debian package's, and it goes through
//! the line: first observed on every host, then put into effect.
use andon_e2e::line::Line;
use andon_e2e::server::Server;
use andon_e2e::{programs, skip, wait};
use andon_model::Millis;
use andon_model::policy::Horizon;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Long enough for a loaded machine of two cores; every wait ends as soon as its condition holds.
const PATIENCE: Duration = Duration::from_secs(120);
const HOSTS: usize = 24;
/// From Debian's package clamav-testfiles: files that every scanner must find.
const DATA: &str = "/usr/share/clamav-testfiles";

struct Fleet {
    child: Child,
    journals: PathBuf,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Fleet {
    fn start(line: &Line, address: &str) -> Result<Fleet> {
        let journals = line.aside().join("journals");
        let log = std::fs::File::create(line.aside().join("fleet.log")).context("open a log")?;
        let mut command = Command::new(programs::path("andon")?);
        command.arg("--dir").arg(&line.folder).args(["fleet", "--server"]);
        command.arg(format!("http://{address}")).args(["--join-token", &line.token]);
        command.args(["--hosts", &HOSTS.to_string(), "--models", "1", "--journal"]).arg(&journals);
        // its standard input stays open: it is where the fleet takes orders from
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn();
        Ok(Fleet { child: child.context("start andon fleet")?, journals })
    }

    /// Distinct hosts whose own journal has an entry like this.
    fn hosts_with(&self, like: impl Fn(&Value) -> bool) -> usize {
        let files = std::fs::read_dir(&self.journals).into_iter().flatten().flatten();
        let text = files.map(|file| std::fs::read_to_string(file.path()).unwrap_or_default());
        text.filter(|text| {
            let mut entries = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            entries.any(|entry| like(&entry))
        })
        .count()
    }
}

/// Runs `andon` and gives its JSON.
fn andon(line: &Line, address: &str, words: &[&str]) -> Result<Value> {
    let mut command = Command::new(programs::path("andon")?);
    command.arg("--dir").arg(&line.folder).args(words).arg("--json");
    command.env("ANDON_SERVER", format!("http://{address}"));
    let out = command.stdin(Stdio::null()).output().context("start andon")?;
    let said = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "andon {words:?} ended with {}: {said}", out.status);
    serde_json::from_slice(&out.stdout).with_context(|| format!("read what andon {words:?} said"))
}

fn adopt_and_roll_out(line: &Line, address: &str, folder: &Path, more: &[&str]) -> Result<String> {
    let folder = folder.to_str().context("folder has a plain name")?;
    let key = |name: &str| line.folder.join(format!("keys/people/{name}.json"));
    let (alice, bob) = (key("alice"), key("bob"));
    let keys = [alice.to_str().context("key")?, bob.to_str().context("key")?];
    let mut words = vec!["adopt", "clamav-test", "--from", DATA, "-o", folder];
    words.extend(["--validate", "/usr/bin/test -s {slot}/clam.exe", "--soak", "1s"]);
    words.extend(["--key", keys[0], "--key", keys[1]]);
    words.extend(more);
    andon(line, address, &words)?;
    andon(line, address, &["release", "publish", folder])?;
    let start = ["rollout", "start", "--release", folder, "--key", keys[0]];
    let started = andon(line, address, &start)?;
    let id = started["rollout"].as_str().context("read the rollout's name")?.to_owned();
    let ended = wait::until(&format!("{id} to complete"), PATIENCE, || {
        let now = andon(line, address, &["rollout", "get", &id]).ok()?;
        (now["state"] == "completed" || now["state"] == "halted").then_some(now)
    })?;
    ensure!(ended["state"] == "completed", "{id} did not complete: {ended:#}");
    Ok(id)
}

#[test]
fn a_debian_packages_data_goes_through_the_line_observed_first() -> Result<()> {
    if !Path::new(DATA).join("clam.exe").exists() {
        skip("no real data to adopt (apt-get install clamav-testfiles)");
        return Ok(());
    }
    let line = Line::new()?;
    line.change_policy(|policy| {
        policy.watch.beat = Millis::from_secs(1);
        policy.watch.silent_after = Millis::from_secs(4);
        policy.timing.delivery = Millis::from_secs(1);
        policy.timing.window = Millis::from_secs(1);
        policy.routine.soak_min = Millis::from_secs(1);
        policy.routine.first_wave_max = 20;
        // so small a fleet would wait for ever under 1 %
        let after = Millis::ZERO;
        policy.routine.budget = vec![Horizon { after, hosts_max: 20, share_max_ppm: 1_000_000 }];
    })?;
    let server = Server::start(&line)?;
    let fleet = Fleet::start(&line, &server.address)?;
    wait::until("every host to enrol", PATIENCE, || {
        (fleet.hosts_with(|entry| entry["fact"] == "enrolled") == HOSTS).then_some(())
    })?;

    let validated = |version: u64| {
        fleet.hosts_with(|entry| {
            entry["fact"] == "hook"
                && entry["hook"] == "validate"
                && entry["well"] == true
                && entry["which"]["version"] == version
        })
    };
    let active = |version: u64| {
        fleet.hosts_with(|entry| {
            entry["fact"] == "confirmed" && entry["which"]["version"] == version
        })
    };
    adopt_and_roll_out(&line, &server.address, &line.aside().join("observed"), &[])?;
    ensure!(validated(1) == HOSTS, "{} of {HOSTS} hosts validated it", validated(1));
    ensure!(active(1) == 0, "a release that is only observed took effect");

    let health = ["--enforce", "--health", "/usr/bin/test -s {slot}/clam.exe"];
    adopt_and_roll_out(&line, &server.address, &line.aside().join("enforced"), &health)?;
    ensure!(validated(2) == HOSTS, "{} of {HOSTS} hosts validated it", validated(2));
    ensure!(active(2) == HOSTS, "{} of {HOSTS} hosts confirmed it", active(2));

    // Why a host is where it is: a reason, the gate's evidence per stratum, what to type next.
    let why = andon(&line, &server.address, &["why", "host", "h0000000001"])?;
    let place = &why["rollouts"][0];
    ensure!(place["reason"]["why"].is_string(), "no reason: {why:#}");
    ensure!(place["next"][0].is_string(), "no next command: {why:#}");
    let stratum = &place["evidence"]["strata"][0];
    for figure in ["e", "ucb", "x", "k", "u", "c"] {
        ensure!(stratum[figure].is_number(), "no {figure} in the evidence: {why:#}");
    }
    Ok(())
}
