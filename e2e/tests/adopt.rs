//! Day one: an operator adopts a third party's data, here a real Debian package's, and it goes through
//! the line: first observed on every host, then put into effect.
use andon_e2e::fleet::Fleet;
use andon_e2e::line::Line;
use andon_e2e::server::Server;
use andon_e2e::{skip, tool, wait};
use andon_model::Millis;
use andon_model::policy::Horizon;
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::time::Duration;

/// Long enough for a loaded machine of two cores; every wait ends as soon as its condition holds.
const PATIENCE: Duration = Duration::from_secs(120);
const HOSTS: usize = 24;
/// From Debian's package clamav-testfiles: files that every scanner must find.
const DATA: &str = "/usr/share/clamav-testfiles";

fn adopt_and_roll_out(line: &Line, address: &str, folder: &Path, more: &[&str]) -> Result<String> {
    let folder = folder.to_str().context("folder has a plain name")?;
    let key = |name: &str| line.folder.join(format!("keys/people/{name}.json"));
    let (alice, bob) = (key("alice"), key("bob"));
    let keys = [alice.to_str().context("key")?, bob.to_str().context("key")?];
    let mut words = vec!["adopt", "clamav-test", "--from", DATA, "-o", folder];
    words.extend(["--validate", "/usr/bin/test -s {slot}/clam.exe", "--soak", "1s"]);
    words.extend(["--key", keys[0], "--key", keys[1]]);
    words.extend(more);
    tool::json(line, address, &words)?;
    tool::json(line, address, &["release", "publish", folder])?;
    let start = ["rollout", "start", "--release", folder, "--key", keys[0]];
    let started = tool::json(line, address, &start)?;
    let id = started["rollout"].as_str().context("read the rollout's name")?.to_owned();
    let ended = wait::until(&format!("{id} to complete"), PATIENCE, || {
        let now = tool::json(line, address, &["rollout", "get", &id]).ok()?;
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
    let fleet = Fleet::start(&line, &server.address, HOSTS, &[])?;

    let validated = |version: u64| {
        let hosts = fleet.hosts_with(|entry| {
            entry["fact"] == "hook"
                && entry["hook"] == "validate"
                && entry["well"] == true
                && entry["which"]["version"] == version
        });
        hosts.len()
    };
    let active = |version: u64| {
        let hosts = fleet.hosts_with(|entry| {
            entry["fact"] == "confirmed" && entry["which"]["version"] == version
        });
        hosts.len()
    };
    adopt_and_roll_out(&line, &server.address, &line.aside().join("observed"), &[])?;
    ensure!(validated(1) == HOSTS, "{} of {HOSTS} hosts validated it", validated(1));
    ensure!(active(1) == 0, "a release that is only observed took effect");

    let health = ["--enforce", "--health", "/usr/bin/test -s {slot}/clam.exe"];
    adopt_and_roll_out(&line, &server.address, &line.aside().join("enforced"), &health)?;
    ensure!(validated(2) == HOSTS, "{} of {HOSTS} hosts validated it", validated(2));
    ensure!(active(2) == HOSTS, "{} of {HOSTS} hosts confirmed it", active(2));

    // Why a host is where it is: a reason, the gate's evidence per stratum, what to type next.
    let why = tool::json(&line, &server.address, &["why", "host", "h0000000001"])?;
    let place = &why["rollouts"][0];
    ensure!(place["reason"]["why"].is_string(), "no reason: {why:#}");
    ensure!(place["next"][0].is_string(), "no next command: {why:#}");
    let stratum = &place["evidence"]["strata"][0];
    for figure in ["e", "ucb", "x", "k", "u", "c"] {
        ensure!(stratum[figure].is_number(), "no {figure} in the evidence: {why:#}");
    }
    Ok(())
}
