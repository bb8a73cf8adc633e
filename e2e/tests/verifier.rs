//! A gate verifier with real programs: nobody is handed anything before it has cosigned, a rollout waits
//! for it while it is away, and it believes no journal that was rewritten under it.
use andon_e2e::fleet::Fleet;
use andon_e2e::line::{Line, OPERATOR};
use andon_e2e::recount::Recount;
use andon_e2e::release::{self, Release};
use andon_e2e::server::Server;
use andon_e2e::verifier::Verifier;
use andon_e2e::{journal, now, tool, wait};
use andon_model::Millis;
use anyhow::{Context as _, Result, ensure};
use std::time::Duration;

/// Long enough for a loaded machine of two cores; every wait ends as soon as its condition holds.
const PATIENCE: Duration = Duration::from_secs(90);
const HOSTS: usize = 30;
/// Several waves of so few hosts.
const POLICY: &str = r#"
[routine]
budget = [{ after = "0s", hosts_max = 16 }]
first_wave_max = 4
"#;

struct Scene {
    line: Line,
    server: Server,
    fleet: Fleet,
    release: Release,
}

impl Scene {
    /// A line with a verifier, hosts, and a rollout that has been started.
    fn new() -> Result<Scene> {
        let line = Line::laid_out(&["--operator", OPERATOR, "--verifier", "v1"])?;
        line.quick_policy_form(POLICY)?;
        tool::sign_policy(&line, None)?;
        line.edit_config("tick_ms = 200")?;
        let server = Server::start(&line)?;
        let fleet = Fleet::start(&line, &server.address, HOSTS, &[])?;
        let mut release = release::files(&line, "rules", 1, b"rules");
        release.manifest.soak = Millis(300);
        release::publish(&server.http(), &line, None, &release)?;
        release::start_routine(&server.http(), &line, "r1", &release)?;
        Ok(Scene { line, server, fleet, release })
    }

    /// What is said of the rollout, once `like` likes it.
    fn told(
        &self,
        what: &str,
        like: impl Fn(&serde_json::Value) -> bool,
    ) -> Result<serde_json::Value> {
        wait::until(what, PATIENCE, || {
            let answer = self.server.http().get("/v1/rollouts/r1").ok()?;
            let told: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
            like(&told).then_some(told)
        })
    }
}

#[test]
fn nobody_is_handed_a_release_before_the_verifier_has_cosigned_and_everybody_with_it() -> Result<()>
{
    let scene = Scene::new()?;
    let waits = |told: &serde_json::Value| told["cosignatures"]["needed"] == 1;
    let told = scene.told("the ticket to wait for its verifier", waits)?;
    ensure!(told["handed"] == 0, "handed without a verifier: {told:#}");
    let shown = tool::run(&scene.line, &scene.server.address, &["rollout", "get", "r1"])?.shown;
    ensure!(
        shown.contains("waits for 1 gate verifier since") && shown.contains("by nobody"),
        "it says: {shown}"
    );
    let began = now();
    let verifier = Verifier::start(&scene.line, &scene.server.address, "v1")?;
    scene.told("the first wave", |told| told["handed"].as_u64() > Some(0))?;
    verifier.kill()?;
    // What waits now waits for as long as nobody is there to look at it.
    scene
        .told("the next wave to wait", |told| told["handed"].as_u64() < Some(30) && waits(told))?;
    let verifier = Verifier::start(&scene.line, &scene.server.address, "v1")?;
    let ended = release::ended(&scene.server.http(), "r1", PATIENCE)?;
    ensure!(ended["state"] == "completed", "it did not complete: {ended:#}");
    let (said, release) = (verifier.said(), scene.release.digest());
    drop((verifier, scene.fleet));
    scene.server.stop()?;
    let recount = Recount::read(&scene.line.journal())?;
    let tickets = recount.tickets("r1")?;
    ensure!(tickets.len() > 2, "so few waves: {tickets:?}");
    ensure!(recount.ran(release)?.values().all(|at| *at >= began), "run before it was issued");
    ensure!(recount.confirmed(release)?.len() == HOSTS, "not everybody has it: {said}");
    Ok(())
}

#[test]
fn a_verifier_ends_when_the_journal_that_it_has_seen_was_rewritten() -> Result<()> {
    let scene = Scene::new()?;
    let verifier = Verifier::start(&scene.line, &scene.server.address, "v1")?;
    scene.told("the first wave", |told| told["handed"].as_u64() > Some(0))?;
    verifier.kill()?;
    let Scene { line, server, fleet, .. } = scene;
    drop(fleet);
    server.kill()?;
    journal::rewrite(&line.journal(), "\"verb\":\"start\"", "\"verb\":\"begin\"")?;
    let server = Server::start(&line)?;
    let verifier = Verifier::begin(&line, &server.address, "v1", &[])?;
    let (how, said) = verifier.ended()?;
    ensure!(how.code() == Some(1) && said.contains("rewritten"), "ended with {how}: {said}");
    let again = Verifier::begin(&line, &server.address, "v1", &[])?.ended()?;
    ensure!(again.0.code() == Some(1), "it believed the journal the second time: {}", again.1);
    server.stop().context("stop andond")?;
    Ok(())
}
