//! A recall with real programs: everybody runs version 2, two people recall it, and hosts go back to version 1
//! wave by wave, under a rollout of its own and no earlier; a key of one person is not enough.
use andon_e2e::fleet::Fleet;
use andon_e2e::line::{Line, OPERATOR};
use andon_e2e::release::{self, Release};
use andon_e2e::server::Server;
use andon_e2e::{tool, wait};
use andon_model::Millis;
use anyhow::{Result, ensure};
use std::time::Duration;

/// Long enough for a loaded machine of two cores; every wait ends as soon as its condition holds.
const PATIENCE: Duration = Duration::from_secs(90);
const HOSTS: usize = 12;
const POLICY: &str = r#"
[routine]
budget = [{ after = "0s", hosts_max = 16 }]
first_wave_max = 4
"#;

#[test]
fn a_recalled_release_is_left_wave_by_wave_and_only_by_a_threshold() -> Result<()> {
    let line = Line::laid_out(&["--operator", OPERATOR])?;
    line.quick_policy_form(POLICY)?;
    tool::sign_policy(&line, None)?;
    line.edit_config("tick_ms = 200")?;
    let server = Server::start(&line)?;
    let fleet = Fleet::start(&line, &server.address, HOSTS, &[])?;
    let http = server.http();
    wait::until("all hosts to be there", PATIENCE, || {
        let hosts = http.get("/v1/hosts").ok()?.json();
        (hosts.as_array()?.len() == HOSTS).then_some(())
    })?;
    let made = |version: u32| {
        let mut release = release::files(&line, "rules", version, format!("v{version}").as_bytes());
        release.manifest.soak = Millis(300);
        release
    };
    let roll = |name: &str, release: &Release| -> Result<()> {
        release::start_routine(&http, &line, name, release)?;
        let ended = release::ended(&http, name, PATIENCE)?;
        ensure!(ended["state"] == "completed", "{name} did not complete: {ended:#}");
        Ok(())
    };
    let confirmed = |release: &Release| {
        let digest = release.digest().to_string();
        fleet.hosts_with(|it| it["fact"] == "confirmed" && it["which"]["release"] == digest)
    };
    let (old, new) = (made(1), made(2));
    let role = release::publish(&http, &line, None, &old)?;
    roll("first", &old)?;
    release::publish(&http, &line, Some(&role), &new)?;
    roll("second", &new)?;
    ensure!(confirmed(&new).len() == HOSTS, "not everybody has it: {:?}", confirmed(&new));
    let (from, to) = (new.digest().to_string(), old.digest().to_string());
    let recall = ["recall", &from, "--to", &to, "--reason", "it eats memory", "--key"];
    let alone = [&recall[..], &["operator-root/alice"]].concat();
    let ran = tool::run(&line, &server.address, &alone)?;
    ensure!(ran.code == Some(3) && ran.said.contains("2 are needed"), "{}", ran.said);
    let both = [&alone[..], &["--key", "operator-root/bob"]].concat();
    let said = tool::json(&line, &server.address, &both)?;
    let directive = said["directive"].clone();
    wait::until("all hosts to hear of the recall", PATIENCE, || {
        let heard =
            fleet.hosts_with(|it| it["fact"] == "directive_seen" && it["directive"] == directive);
        (heard.len() == HOSTS).then_some(())
    })?;
    roll("back", &old)?;
    let accepted = |rollout: &str| {
        fleet.count(|it| it["fact"] == "ticket_accepted" && it["rollout"] == rollout)
    };
    let activated =
        || fleet.count(|it| it["fact"] == "activated" && it["which"]["release"] == to.as_str());
    wait::until("all hosts to run version 1 again", PATIENCE, || {
        (activated() == 2 * HOSTS).then_some(())
    })?;
    // The first rollout's ticket covered everybody and was served again meanwhile: it took nobody back.
    ensure!(accepted("back") == HOSTS, "{} hosts went back by its ticket", accepted("back"));
    ensure!(accepted("first") == HOSTS, "{} times the first one's", accepted("first"));
    let back = http.get("/v1/rollouts/back")?.json();
    let first = back["decisions"].to_string();
    ensure!(first.contains("widened"), "it was not handed out in waves: {back:#}");
    Ok(())
}
