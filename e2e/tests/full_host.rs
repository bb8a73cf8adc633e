//! A full host, supervisor and all, that has to help itself: its server is gone.
use andon_e2e::full_host::Host;
use andon_e2e::line::Line;
use andon_e2e::release::{self, Release};
use andon_e2e::server::Server;
use andon_e2e::{programs, skip, wait};
use andon_model::release::ComponentKind;
use andon_model::{ComponentId, Millis};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Long enough for a loaded machine of two cores; every wait ends as soon as its condition holds.
const PATIENCE: Duration = Duration::from_secs(90);

/// The vendor's service, compiled as its maker would.
fn legacy(line: &Line) -> Result<Option<Vec<u8>>> {
    if !programs::installed("cc") {
        skip("no C compiler for the legacy vendor's service (apt-get install gcc libc6-dev)");
        return Ok(None);
    }
    let built = line.aside().join("legacy-sensor");
    let source = programs::root().join("examples/legacy-vendor/legacy.c");
    let status = Command::new("cc").args(["-O0", "-o"]).arg(&built).arg(source).status();
    ensure!(status.context("start cc")?.success(), "compile the legacy vendor's service");
    Ok(Some(std::fs::read(&built).context("read the legacy service")?))
}

fn service(line: &Line, program: &[u8]) -> Release {
    let files = [("legacy-sensor", program, true)];
    let mut service = release::make(line, "legacy", 1, ComponentKind::Service, &files);
    service.manifest.exec = vec!["legacy-sensor".to_owned(), "{content:channel}".to_owned()];
    service
}

fn content(line: &Line, version: u32, text: &[u8]) -> Result<Release> {
    let files = [("channel.txt", text, false)];
    let mut content = release::make(line, "channel", version, ComponentKind::Content, &files);
    content.manifest.consumer = Some(ComponentId::new("legacy")?);
    // the fault shows while the release is on probation
    content.manifest.soak = Millis::from_secs(if version == 1 { 1 } else { 600 });
    Ok(content)
}

fn example(name: &str) -> Result<String> {
    let path = Path::new("examples/legacy-vendor/content").join(name);
    std::fs::read_to_string(programs::root().join(path)).context("read example content")
}

#[test]
fn a_host_without_its_server_falls_back_from_a_crashing_release() -> Result<()> {
    let line = Line::new()?;
    let Some(program) = legacy(&line)? else { return Ok(()) };
    line.change_policy(|policy| {
        (policy.holdback_permille, policy.holdback_min) = (0, 0);
        policy.watch.beat = Millis::from_secs(1);
        policy.watch.silent_after = Millis::from_secs(4);
    })?;
    let server = Server::start(&line)?;
    let http = server.http();
    let (service, good) =
        (service(&line, &program), content(&line, 1, example("good.txt")?.as_bytes())?);
    let role = release::publish(&http, &line, None, &service)?;
    let role = release::publish(&http, &line, Some(&role), &good)?;
    // a line without hosts: both complete at once and are there for newcomers
    release::start(&http, &line, "baseline-service", &service)?;
    release::start(&http, &line, "baseline-content", &good)?;

    let host = Host::start(&line, &server.address)?;
    host.fact("confirmed", "legacy", 1, PATIENCE)?;
    host.fact("confirmed", "channel", 1, PATIENCE)?;

    // it crashes some seconds after its activation: time for the server to be gone before
    let late = example("late.txt")?.replace("SECONDS", "5");
    let bad = content(&line, 2, late.as_bytes())?;
    release::publish(&http, &line, Some(&role), &bad)?;
    release::start(&http, &line, "bad", &bad)?;
    host.fact("activated", "channel", 2, PATIENCE)?;
    server.kill()?;
    let gone = andon_e2e::now();

    let exited = host.fact("exited", "channel", 2, PATIENCE)?;
    ensure!(exited["signal"] == 11, "not a crash: {exited}");
    let fell_back = host.fact("fell_back", "channel", 2, PATIENCE)?;
    ensure!(fell_back["to"]["version"] == 1, "fell back to something else: {fell_back}");
    let at = fell_back["at"].as_u64().context("read when it fell back")?;
    ensure!(at > gone.0, "it fell back while the server still lived: this proves nothing");
    wait::until("the service on the good content", PATIENCE, || {
        let facts = host.facts();
        let after = facts.iter().skip_while(|entry| entry["fact"] != "fell_back");
        let ready = |entry: &Value| entry["fact"] == "ready" || entry["fact"] == "activated";
        after.skip(1).any(ready).then_some(())
    })
    .with_context(|| format!("{:#?}", host.facts()))?;
    let hands = host.facts().iter().filter(|entry| entry["fact"] == "hands").count();
    ensure!(hands == 0, "somebody had to help");
    Ok(())
}

/// SIGUSR1 says that the machine restarts: the server has the announcement in its journal before the
/// supervisor ends, and takes it back when the host is there again.
#[test]
fn a_host_that_restarts_says_so_first() -> Result<()> {
    let line = Line::new()?;
    line.change_policy(|policy| {
        policy.watch.beat = Millis::from_secs(1);
        policy.watch.silent_after = Millis::from_secs(4);
    })?;
    let server = Server::start(&line)?;
    let http = server.http();
    let heard = |want: &str| {
        let what = format!("presence {want} in the server's journal");
        let journal = wait::until(&what, PATIENCE, || {
            let text = http.get("/v1/journal?after=0").ok()?.text();
            let records = text.lines().filter_map(|line| serde_json::from_str(line).ok());
            let said = |entry: Value| match entry["record"]["presence"].clone() {
                Value::Null => None,
                presence => Some(presence),
            };
            records.filter_map(said).next_back().filter(|last| last.to_string().contains(want))
        });
        journal.with_context(|| format!("no {what}"))
    };
    let mut host = Host::start(&line, &server.address)?;
    // The server shows it as alive from its enrolment on; it can speak once it knows its own id.
    wait::until("the host to know its id", PATIENCE, || {
        host.facts().iter().any(|entry| entry["fact"] == "enrolled").then_some(())
    })?;
    let ended = host.end_with("-USR1")?;
    ensure!(ended.success(), "the supervisor ended with {ended}");
    let announced = heard("restart")?;
    ensure!(announced["restart"]["back_within"] == 300_000, "{announced}");
    drop(host);
    let _back = Host::start(&line, &server.address)?;
    heard("alive")?;
    server.stop()?;
    Ok(())
}
