//! Attestations with real programs: a rig runs releases and signs, hosts of the line demand it; a waiver
//! leads as far as the canary wave, and a failed run nowhere.
use andon_e2e::fleet::Fleet;
use andon_e2e::full_host::Host;
use andon_e2e::line::{Line, OPERATOR};
use andon_e2e::release::{self, Release};
use andon_e2e::server::Server;
use andon_e2e::{tool, wait};
use andon_model::Millis;
use andon_model::attestation::AttestedClass;
use andon_model::release::Hook;
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;
use std::time::Duration;

/// Long enough for a loaded machine of two cores; every wait ends as soon as its condition holds.
const PATIENCE: Duration = Duration::from_secs(90);
const HOSTS: usize = 12;
const CANARIES: usize = 4;
/// So few hosts are all within it, but for the first wave's size. Hosts and rig are one machine here: they
/// run the very same kernel.
const POLICY: &str = r#"
[routine]
budget = [{ after = "0s", hosts_max = 16 }]
first_wave_max = 4
[[attestations.demands]]
predicates = ["test_result", "svr"]
same = ["kernel"]
"#;

struct Scene {
    line: Line,
    server: Server,
}

impl Scene {
    fn new() -> Result<Scene> {
        let line = Line::laid_out(&["--operator", OPERATOR, "--rig", "lab"])?;
        line.quick_policy_form(POLICY)?;
        tool::sign_policy(&line, None)?;
        line.edit_config("tick_ms = 200")?;
        let server = Server::start(&line)?;
        Ok(Scene { line, server })
    }

    /// A release whose validate hook runs its own script.
    fn release(&self, version: u32, script: &str) -> Result<(Release, String)> {
        let mut release = release::files(&self.line, "rules", version, script.as_bytes());
        release.manifest.soak = Millis(300);
        let argv = ["/bin/sh", "{slot}/file"].map(str::to_owned).to_vec();
        release.manifest.hooks.validate = Some(Hook { argv, timeout: Millis(5000) });
        let folder = self.line.aside().join(format!("release-{version}"));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("manifest.json"), release.bytes())?;
        std::fs::write(folder.join("bundle"), &release.bundle)?;
        Ok((release, folder.display().to_string()))
    }

    /// The class of the line's hosts, as the server knows it.
    fn class(&self) -> Result<String> {
        let host = wait::until("a host to be there", PATIENCE, || {
            let hosts = self.server.http().get("/v1/hosts").ok()?.json();
            let first = hosts.as_array()?.first()?.clone();
            Some(
                self.server
                    .http()
                    .get(&format!("/v1/hosts/{}", first["host"].as_str()?))
                    .ok()?
                    .json(),
            )
        })?;
        let class: andon_model::class::HostClass =
            serde_json::from_value(host["class"].clone()).context("the host's class")?;
        Ok(AttestedClass::of(&class).to_string())
    }

    /// Plans go by what hosts have said.
    fn everybody_says_what_it_runs(&self) -> Result<()> {
        let http = self.server.http();
        wait::until("all hosts to say what they run", PATIENCE, || {
            let hosts = http.get("/v1/hosts").ok()?.json();
            let hosts = hosts.as_array()?;
            let told = |host: &serde_json::Value| {
                let path = format!("/v1/hosts/{}", host["host"].as_str()?);
                http.get(&path).ok()?.json()["facts"]["kernel"].as_str().map(str::to_owned)
            };
            (hosts.len() == HOSTS && hosts.iter().all(|it| told(it).is_some())).then_some(())
        })
    }

    /// Runs a release on the rig: what `andon rig run` ended with, and the file.
    fn run(&self, folder: &str, class: &str) -> Result<(tool::Ran, String)> {
        let file = format!("{folder}/attestations.jsonl");
        let words = ["rig", "run", folder, "--key", "rigs/lab", "--class", class, "-o", &file];
        Ok((tool::run(&self.line, &self.server.address, &words)?, file))
    }

    fn a_proof_bundle_was_fetched(&self) -> Result<()> {
        let metrics = String::from_utf8(self.server.http().get("/metrics")?.body)?;
        ensure!(metrics.contains("andon_proof_bundles_served_total "), "{metrics}");
        ensure!(!metrics.contains("andon_proof_bundles_served_total 0\n"), "{metrics}");
        Ok(())
    }

    /// The same judged offline, out of one file, for a host of that class.
    fn proves(&self, release: &Release, class: &str, code: Option<i32>) -> Result<()> {
        let file = self.line.folder.join("release.proof").display().to_string();
        let policy = self.line.folder.join("server/policy.json").display().to_string();
        let digest = release.digest().to_string();
        let fetched = self.andon(&["release", "prove", &digest, "-o", &file])?;
        ensure!(fetched.code == Some(0), "{}", fetched.said);
        let verify = ["release", "verify", &file, "--policy", &policy, "--class", class];
        let ran = self.andon(&verify)?;
        ensure!(ran.code == code, "{:?}: {} {}", ran.code, ran.shown, ran.said);
        Ok(())
    }

    fn andon(&self, words: &[&str]) -> Result<tool::Ran> {
        tool::run(&self.line, &self.server.address, words)
    }
}

#[test]
fn attested_releases_reach_everybody_waived_ones_the_canary_wave_and_failed_ones_nobody()
-> Result<()> {
    let scene = Scene::new()?;
    let fleet = Fleet::start(&scene.line, &scene.server.address, HOSTS, &[])?;
    let http = scene.server.http();
    scene.everybody_says_what_it_runs()?;
    let class = scene.class()?;
    let with = |release: &Release| {
        let digest = release.digest().to_string();
        fleet.hosts_with(|it| it["fact"] == "confirmed" && it["which"]["release"] == digest)
    };
    // Without a rig's word nothing begins.
    let (first, folder) = scene.release(1, "exit 0\n")?;
    let role = release::publish(&http, &scene.line, None, &first)?;
    let refused =
        format!("{:#}", release::start_routine(&http, &scene.line, "r0", &first).unwrap_err());
    ensure!(refused.contains("no host may install"), "{refused}");
    let (ran, file) = scene.run(&folder, &class)?;
    ensure!(ran.code == Some(0) && ran.shown.starts_with("PASSED"), "{} {}", ran.shown, ran.said);
    let told =
        tool::json(&scene.line, &scene.server.address, &["release", "attest", &folder, &file])?;
    ensure!(told["taken"] == 2, "{told:#}");
    release::start_routine(&http, &scene.line, "r1", &first)?;
    let ended = release::ended(&http, "r1", PATIENCE)?;
    ensure!(ended["state"] == "completed", "it did not complete: {ended:#}");
    ensure!(with(&first).len() == HOSTS, "not everybody has it: {:?}", with(&first));
    // A host with supervisor and sandbox judges for itself too.
    let host = Host::start(&scene.line, &scene.server.address)?;
    host.fact("confirmed", "rules", 1, PATIENCE)?;
    // It had nothing to begin with, so one request brought it all that proves the release.
    scene.a_proof_bundle_was_fetched()?;
    scene.proves(&first, &format!("{class}/kernel=other"), Some(0))?;
    // Two people waive what no rig has run: as far as the canary wave.
    let (second, folder) = scene.release(2, "exit 0 # again\n")?;
    let role = release::publish(&http, &scene.line, Some(&role), &second)?;
    let waive = ["release", "waive", &folder, "--class", &class, "--reason", "the rig is away"];
    let alone = scene.andon(&[&waive[..], &["--key", "alice"]].concat())?;
    ensure!(alone.code == Some(3) && alone.said.contains("1 distinct people"), "{}", alone.said);
    let begun = format!("{folder}/waiver.jsonl");
    let first_half = scene.andon(&[&waive[..], &["--key", "alice", "-o", &begun]].concat())?;
    ensure!(first_half.code == Some(0), "{}", first_half.said);
    let second_half =
        scene.andon(&["release", "waive", &folder, "--add", &begun, "--key", "bob"])?;
    ensure!(second_half.code == Some(0), "{}", second_half.said);
    release::start_routine(&http, &scene.line, "r2", &second)?;
    let ended = release::ended(&http, "r2", PATIENCE)?;
    ensure!(ended["state"] == "completed", "it did not end: {ended:#}");
    let canaries: BTreeSet<_> = with(&second);
    ensure!((1..=CANARIES).contains(&canaries.len()), "canaries: {canaries:?}");
    ensure!(ended["cannot_see"].to_string().contains("after the canary wave"), "{ended:#}");
    // What a rig saw fail is not begun, and no waiver lifts that.
    let (third, folder) = scene.release(3, "echo no such table >&2; exit 3\n")?;
    release::publish(&http, &scene.line, Some(&role), &third)?;
    let (ran, file) = scene.run(&folder, &class)?;
    ensure!(
        ran.code == Some(1) && ran.shown.contains("no such table"),
        "{} {}",
        ran.shown,
        ran.said
    );
    for words in [
        vec!["release", "attest", &folder, &file],
        vec![
            "release", "waive", &folder, "--class", &class, "--reason", "hurry", "--key", "alice",
            "--key", "bob",
        ],
    ] {
        let ran = scene.andon(&words)?;
        ensure!(ran.code == Some(0), "{words:?}: {}", ran.said);
    }
    let refused =
        format!("{:#}", release::start_routine(&http, &scene.line, "r3", &third).unwrap_err());
    ensure!(refused.contains("saw it fail"), "{refused}");
    ensure!(with(&third).is_empty(), "somebody has it");
    scene.proves(&third, &class, Some(3))?;
    Ok(())
}
