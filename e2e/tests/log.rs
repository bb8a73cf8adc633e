//! The line's own public log with real programs: hosts take a release that is logged and cosigned, refuse
//! one whose proof is withheld, and nothing is published while too few witnesses are there.
use andon_e2e::fleet::Fleet;
use andon_e2e::full_host::Host;
use andon_e2e::line::{Line, OPERATOR};
use andon_e2e::release::{self, Release};
use andon_e2e::server::Server;
use andon_e2e::strace::{self, Step};
use andon_e2e::witness::Witness;
use andon_e2e::{programs, skip, tool, wait};
use andon_model::Millis;
use anyhow::{Context as _, Result, ensure};
use std::time::Duration;

/// Long enough for a loaded machine of two cores; every wait ends as soon as its condition holds.
const PATIENCE: Duration = Duration::from_secs(90);
const HOSTS: usize = 12;
/// So few hosts are all within it.
const POLICY: &str = r#"
[routine]
budget = [{ after = "0s", hosts_max = 16 }]
"#;

struct Scene {
    witnesses: [Witness; 2],
    line: Line,
    server: Server,
    /// verifier key of the line's log
    log: String,
    _keys: tempfile::TempDir,
}

impl Scene {
    /// A line whose hosts demand what both witnesses have seen.
    fn new() -> Result<Scene> {
        Scene::under(|_| Vec::new())
    }

    /// The same with its server started by another program.
    fn under(wrapper: impl FnOnce(&Line) -> Vec<String>) -> Result<Scene> {
        let keys = tempfile::tempdir()?;
        let mut witnesses = [Witness::new(keys.path(), "w1")?, Witness::new(keys.path(), "w2")?];
        let [first, second] = [witnesses[0].option(), witnesses[1].option()];
        let words = ["--operator", OPERATOR, "--log", "--witness", &first, "--witness", &second];
        let line = Line::laid_out(&words)?;
        let policy = line.policy()?.log.unwrap_or_default();
        let named = policy.lines().find_map(|line| line.strip_prefix("log "));
        let log = named.unwrap_or_default().to_owned();
        line.quick_policy_form(POLICY)?;
        tool::sign_policy(&line, None)?;
        line.edit_config("tick_ms = 200")?;
        for witness in &mut witnesses {
            witness.start(&log)?;
        }
        let server = Server::start_under(&line, &wrapper(&line))?;
        Ok(Scene { witnesses, line, server, log, _keys: keys })
    }

    fn release(&self, version: u32) -> Release {
        let content = format!("rules {version}");
        let mut release = release::files(&self.line, "rules", version, content.as_bytes());
        release.manifest.soak = Millis(300);
        release
    }
}

#[test]
fn hosts_take_what_is_logged_and_nothing_is_published_without_the_witnesses() -> Result<()> {
    let mut scene = Scene::new()?;
    let fleet = Fleet::start(&scene.line, &scene.server.address, HOSTS, &[])?;
    let (http, first) = (scene.server.http(), scene.release(1));
    scene.witnesses[1].kill()?;
    let refused = format!("{:#}", release::publish(&http, &scene.line, None, &first).unwrap_err());
    ensure!(refused.contains("refused with 503") && refused.contains("w2 at"), "{refused}");
    ensure!(http.get("/v1/releases")?.json() == serde_json::json!([]), "published all the same");
    scene.witnesses[1].start(&scene.log)?;
    let role = release::publish(&http, &scene.line, None, &first)?;
    release::start_routine(&http, &scene.line, "r1", &first)?;
    let ended = release::ended(&http, "r1", PATIENCE)?;
    ensure!(ended["state"] == "completed", "it did not complete: {ended:#}");
    let confirmed = fleet.hosts_with(|entry| {
        entry["fact"] == "confirmed" && entry["which"]["release"] == first.digest().to_string()
    });
    ensure!(confirmed.len() == HOSTS, "not everybody has it: {confirmed:?}");
    // A host with supervisor and sandbox that comes later asks for the proof too, and finds it.
    let host = Host::start(&scene.line, &scene.server.address)?;
    host.fact("confirmed", "rules", 1, PATIENCE)?;
    drop(host);
    // Whoever holds the entry can check it without the server.
    let proof = http.get(&format!("/v1/log/proofs/{}", first.digest()))?;
    let policy = scene.line.policy()?.log.unwrap_or_default();
    let manifest = andon_model::log_entry::LogEntry::release(first.digest(), &first.manifest);
    let aside = scene.line.aside();
    std::fs::write(aside.join("proof"), &proof.body)?;
    std::fs::write(aside.join("policy"), policy)?;
    std::fs::write(aside.join("entry"), manifest.to_bytes())?;
    let path = |name: &str| aside.join(name).display().to_string();
    let (proof, policy, entry) = (path("proof"), path("policy"), path("entry"));
    let words = ["log", "verify", &proof, "--policy", &policy, "--data", &entry];
    let told = tool::json(&scene.line, &scene.server.address, &words)?;
    ensure!(told["witnesses"] == serde_json::json!(["w1", "w2"]), "{told:#}");
    // So can whoever holds its proof bundle: one request, then no server.
    let (file, digest) = (path("bundle"), first.digest().to_string());
    let policy = scene.line.folder.join("server/policy.json").display().to_string();
    let prove = ["release", "prove", &digest, "-o", &file];
    tool::json(&scene.line, &scene.server.address, &prove)?;
    let verify = ["release", "verify", &file, "--policy", &policy];
    let told = tool::json(&scene.line, "127.0.0.1:1", &verify)?;
    ensure!(told["release"] == digest, "{told:#}");
    ensure!(told["log"]["witnesses"] == serde_json::json!(["w1", "w2"]), "{told:#}");
    // A stranger downloads it all, before and after the server was killed.
    let url = format!("http://{}/v1/log", scene.server.address);
    let known = path("known");
    let audit = ["log", "audit", "--url", &url, "--log", &scene.log, "--known", &known];
    tool::json(&scene.line, &scene.server.address, &audit)?;
    let second = scene.release(2);
    let server = scene.server.kill_and_start_again(&scene.line)?;
    release::publish(&server.http(), &scene.line, Some(&role), &second)?;
    let told = tool::json(&scene.line, &server.address, &audit)?;
    ensure!(told["size"].as_u64() > told["known_size"].as_u64(), "{told:#}");
    // The vendor knows of the first release only.
    std::fs::write(aside.join("announced"), format!("{}\n", first.digest()))?;
    let (seen, announced) = (path("seen"), path("announced"));
    let mut words = vec!["--json", "log", "monitor", "--url", &url, "--log", &scene.log];
    words.extend(["--known", &seen, "--vendor", OPERATOR, "--announced", &announced]);
    let alarmed = tool::run(&scene.line, &server.address, &words)?;
    let told: serde_json::Value = serde_json::from_str(&alarmed.shown)?;
    let strange = &told["alarms"][0]["manifest"];
    ensure!(alarmed.code == Some(7) && *strange == second.digest().to_string(), "{told:#}");
    Ok(())
}

#[test]
fn a_release_whose_proof_is_withheld_is_refused_by_every_host() -> Result<()> {
    let scene = Scene::new()?;
    let release = scene.release(1);
    release::publish(&scene.server.http(), &scene.line, None, &release)?;
    // The thief of a server that keeps the log to itself: the same line without it.
    let config = std::fs::read_to_string(scene.line.config())?;
    let without = config.split("[log]").next().unwrap_or_default().to_owned();
    ensure!(without.len() < config.len(), "the configuration has no log: {config}");
    std::fs::write(scene.line.config(), without)?;
    let server = scene.server.kill_and_start_again(&scene.line)?;
    let fleet = Fleet::start(&scene.line, &server.address, HOSTS, &[])?;
    let host = Host::start(&scene.line, &server.address)?;
    wait::until("the full host to be there", PATIENCE, || {
        let hosts = server.http().get("/v1/hosts").ok()?.json();
        (hosts.as_array()?.len() > HOSTS).then_some(())
    })?;
    release::start_routine(&server.http(), &scene.line, "r1", &release)?;
    let named = format!("release {}", release.digest().short());
    wait::until("covered hosts to refuse it", PATIENCE, || {
        let refused = fleet.hosts_with(|entry| {
            let why = entry["why"].as_str().unwrap_or_default();
            entry["fact"] == "refused" && (why.contains(&named) || why.contains("no proof that"))
        });
        (!refused.is_empty()).then_some(())
    })?;
    wait::until("the full host to refuse it", PATIENCE, || {
        let refused = |entry: &serde_json::Value| {
            entry["fact"] == "refused" && entry.to_string().contains("no proof that")
        };
        host.facts().iter().any(refused).then_some(())
    })
    .with_context(|| format!("{:#?}", host.facts()))?;
    let ran = |entry: &serde_json::Value| entry["fact"] == "staged" || entry["fact"] == "activated";
    ensure!(!host.facts().iter().any(ran), "installed without a proof: {:#?}", host.facts());
    let ran = fleet.hosts_with(|entry| entry["fact"] == "staged" || entry["fact"] == "activated");
    ensure!(ran.is_empty(), "installed without a proof: {ran:?}");
    Ok(())
}

/// Mutant: log-tiles-unsynced.
#[test]
fn tiles_are_synced_before_their_checkpoint_and_that_before_a_witness_or_the_journal_hears_of_it()
-> Result<()> {
    if !programs::installed("strace") {
        skip("strace is not installed (apt-get install strace)");
        return Ok(());
    }
    let traced = |line: &Line| strace::words(&line.aside().join("trace").to_string_lossy());
    let scene = Scene::under(traced)?;
    release::publish(&scene.server.http(), &scene.line, None, &scene.release(1))?;
    let trace = scene.line.aside().join("trace");
    scene.server.end_traced()?;
    let steps = strace::parse(&std::fs::read_to_string(trace).context("read the trace")?);
    let (mut sealed, mut asked, mut tiles) = (0, 0, 0);
    let (mut open, mut lies, mut published) = (0_i32, false, false);
    for step in &steps {
        match step {
            Step::SyncBegan { path, .. } if path.contains("/log/tile/") => open += 1,
            Step::Synced { path, .. } if path.contains("/log/tile/") => {
                (open, tiles) = (open - 1, tiles + 1);
            }
            Step::SyncBegan { path, .. } if path.contains("/log/.sealed.") => {
                ensure!(open == 0, "a checkpoint is written while its tiles are");
                // The first one is that of an empty log.
                ensure!(sealed == 0 || tiles >= 4, "two tiles and their folders are not durable");
                (sealed, asked, tiles, lies) = (sealed + 1, 0, 0, false);
            }
            Step::Synced { path, .. } if path.ends_with("/data/log") => lies = true,
            Step::Sent { bytes } if has(bytes, b"POST /add-checkpoint") => {
                ensure!(lies && tiles == 0, "a witness is asked before the checkpoint is durable");
                asked += 1;
            }
            Step::Wrote { bytes, .. } if has(bytes, b"\"role_published\"") => {
                ensure!(asked >= 2, "published before both witnesses were asked");
                published = true;
            }
            _ => {}
        }
    }
    ensure!(published && sealed >= 3, "the trace shows nothing: {sealed} checkpoints");
    Ok(())
}

fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|part| part == word)
}
