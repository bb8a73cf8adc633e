//! Before the story: keys, a server, release 0 in every host's slot A.
use super::super::attested;
use super::super::bundles::{self, Rules};
use super::super::line::{Line, Started};
use super::super::picture::Screen;
use super::super::play::Play;
use super::super::public::{self, Appointed};
use super::super::recount::FULL_HOST;
use super::super::setting::{self, Fault, Places};
use super::super::stage::{self, Fleet};
use crate::clock;
use crate::ops::init::{self, InitOptions, Made};
use crate::ops::init_log::LogOptions;
use crate::ops::release::Release;
use crate::policy_form::PolicyForm;
use andon_model::host_journal::Which;
use andon_model::release::ComponentKind;
use andon_model::{LineId, OperatorId, RigId, VerifierId};
use anyhow::Context;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest until every host runs release 0.
const BASELINE_MAX: Duration = Duration::from_secs(60);
/// A rollout on a line without hosts completes at its first ticks.
const EMPTY_LINE_MAX: Duration = Duration::from_secs(15);

/// What the demo was asked for.
#[derive(Clone, Debug)]
pub(in super::super) struct Asked {
    pub(in super::super) seed: u64,
    pub(in super::super) fault: Fault,
    pub(in super::super) light_hosts: u32,
}

/// Whether this machine can keep a component behind walls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rig {
    Works,
    LeftOut,
}

/// The line of this demo.
fn options(rig: Rig, witnesses: &[Appointed]) -> anyhow::Result<InitOptions> {
    let mut options = InitOptions::new(LineId::Operator(OperatorId::new("demo")?));
    options.vendors = vec![bundles::rules_vendor()?, bundles::legacy_vendor()?];
    options.verifiers = vec![VerifierId::new(setting::VERIFIER)?];
    let witnesses = witnesses.iter().map(|one| one.option.clone()).collect();
    options.log = Some(LogOptions { name: public::name(&options.line), witnesses });
    if rig == Rig::Works {
        options.rigs = vec![RigId::new(setting::RIG)?];
        options.rigs_run = Some(ComponentKind::Content);
    }
    options.listen = "127.0.0.1:0".to_owned();
    options.tick = setting::TICK;
    setting::policy(&mut options.policy);
    Ok(options)
}

/// Everybody on stage.
/// # Errors
/// What did not stand.
pub(in super::super) async fn raise(
    places: Places,
    screen: Screen,
    asked: &Asked,
) -> anyhow::Result<Play> {
    let begun = Instant::now();
    for folder in [places.journals(), places.exports(), places.logs(), places.full_host()] {
        std::fs::create_dir_all(&folder)?;
    }
    let program = bundles::build_legacy(&places.legacy()).await?;
    let appointed = public::appoint(places.root())?;
    let without = tokio::task::block_in_place(attested::trial)?;
    let rig = if without.is_none() { Rig::Works } else { Rig::LeftOut };
    let made = init::create(&places.operator(), &options(rig, &appointed)?, clock::now())?;
    let log = made.log.as_ref().context("find the key of the line's log")?;
    let witnesses = public::start(&appointed, log, &places.logs()).await?;
    let (server, address) = stage::server(&made.layout.server_config(), places.root()).await?;
    let operator = made.layout.dir();
    let verifier = stage::verifier(operator, &address, setting::VERIFIER, places.root())?;
    let mut line = Line::new(&made, &address, asked.seed, without)?;
    let baseline = baseline(&mut line, &program).await?;
    let fleet = Fleet::start(&fleet_arguments(&places, &made, &address, asked), places.root())?;
    let config = full_host(&places, &made, &address)?;
    let supervisor = stage::supervisor(&config, places.root())?;
    let mut play = Play {
        places,
        screen,
        line,
        server,
        verifier,
        witnesses,
        fleet,
        supervisor,
        hosts: asked.light_hosts as usize + 1,
        fault: asked.fault,
        begun,
        rollouts: baseline.iter().map(|(started, _)| started.rollout.clone()).collect(),
    };
    settle(&mut play, &baseline).await?;
    Ok(play)
}

/// Publishes release 0 and vouches for it on the still empty line: newcomers get it.
async fn baseline(line: &mut Line, program: &Path) -> anyhow::Result<Vec<(Started, Release)>> {
    let mut out = Vec::new();
    let releases = [
        ("baseline-service", bundles::legacy_service(program)?),
        ("baseline-content", bundles::legacy_content(1, "good.txt", 0)?),
    ];
    for (name, (draft, files)) in releases {
        let release = line.publish(draft, files).await?;
        if release.manifest.kind == ComponentKind::Content {
            line.attest(&release).await?;
        }
        let started = line.start(name, &release).await?;
        out.push((started, release));
    }
    let until = Instant::now() + EMPTY_LINE_MAX;
    for (started, _) in &out {
        loop {
            let state = line.get(&started.rollout).await?.state;
            if state == andon_rollout::StateName::Completed {
                break;
            }
            anyhow::ensure!(Instant::now() < until, "{} is {state:?}", started.rollout);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(out)
}

async fn settle(play: &mut Play, baseline: &[(Started, Release)]) -> anyhow::Result<()> {
    let whichs: Vec<Which> = baseline.iter().map(|(_, release)| which(release)).collect();
    let hosts = play.hosts;
    let first = baseline.first().map(|(started, _)| started.clone());
    let everywhere = play
        .until(first.as_ref(), "release 0 reaches the new hosts", BASELINE_MAX, |journals| {
            whichs.iter().all(|which| journals.settled(which).len() == hosts)
        })
        .await?;
    let journals = play.journals()?;
    let counts: Vec<String> = whichs
        .iter()
        .map(|which| format!("{} of {hosts} on {}", journals.settled(which).len(), which.component))
        .collect();
    anyhow::ensure!(everywhere, "wait for release 0 on every host: {}", counts.join(", "));
    Ok(())
}

/// A release as journals name it.
pub(in super::super) fn which(release: &Release) -> Which {
    Which {
        component: release.manifest.component.clone(),
        version: release.manifest.version,
        release: release.digest(),
    }
}

fn fleet_arguments(places: &Places, made: &Made, address: &str, asked: &Asked) -> Vec<String> {
    let path = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let pairs = [
        ("--server", address.to_owned()),
        ("--anchor", path(made.layout.anchor())),
        ("--join-token", path(made.layout.join_token())),
        ("--hosts", asked.light_hosts.to_string()),
        ("--journal", path(places.journals())),
        ("--slots", path(places.light_hosts())),
        ("--seed", asked.seed.to_string()),
        ("--models", setting::MODELS.to_string()),
        ("--die-whole", setting::DIE_SHARE.to_string()),
        ("--die-for", format!("{}s", setting::DIE_FOR.as_secs())),
        ("--control", "stdin".to_owned()),
    ];
    let words = pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
    std::iter::once("fleet".to_owned()).chain(words).collect()
}

/// The full host's configuration: the sensor comes with the host's own packages, everything else
/// through the line. Its journal is seen beside the others'.
fn full_host(places: &Places, made: &Made, address: &str) -> anyhow::Result<std::path::PathBuf> {
    let folder = places.full_host();
    let state = folder.join("state");
    std::fs::create_dir_all(&state)?;
    std::fs::write(state.join("business.db"), b"business\n")?;
    let token = std::fs::read_to_string(made.layout.join_token()).context("read join token")?;
    let sensor = stage::beside("andon-sensor")?;
    let words = [
        sensor.to_string_lossy().into_owned(),
        "--rules".to_owned(),
        "{content:sigma-rules}".to_owned(),
        "--alerts".to_owned(),
        "{state}/alerts.jsonl".to_owned(),
        "--status".to_owned(),
        "{state}/status.json".to_owned(),
    ];
    let text = format!(
        "server = {address:?}\nanchor = {anchor:?}\nstate = {state:?}\njoin_token = {token:?}\n\
         model = \"model-1\"\n\n[[service]]\ncomponent = \"andon-sensor\"\nexec = {words:?}\n",
        anchor = made.layout.anchor(),
        token = token.trim(),
    );
    let config = folder.join("host.toml");
    std::fs::write(&config, text)?;
    std::os::unix::fs::symlink(state.join("journal.jsonl"), places.journals().join(FULL_HOST))?;
    Ok(config)
}

/// Rules of the story's first release.
pub(in super::super) fn rules(folder: Option<&Path>) -> anyhow::Result<Rules> {
    bundles::rules(folder)
}

/// The policy form, for the report.
pub(in super::super) fn form() -> anyhow::Result<PolicyForm> {
    Ok(options(Rig::LeftOut, &[])?.policy)
}
