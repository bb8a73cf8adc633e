//! Updates that are to reach everybody: the rules at the beginning, the fix at the end.
use super::super::bundles::{self, Rules};
use super::super::line::Started;
use super::super::play::Play;
use super::super::recount::{Journals, quantile_s};
use super::super::report::{Alert, Update};
use super::opening::which;
use crate::clock;
use crate::ops::release::Release;
use andon_rollout::{Decision, Explanation, StateName};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Longest that a good update may take.
const UPDATE_MAX: Duration = Duration::from_secs(60);
/// Longest from completion to the last host's confirmation in its journal.
const SETTLE_MAX: Duration = Duration::from_secs(10);
/// Longest from a command to its alert at the server: the sensor, a beat, the way.
const ALERT_MAX: Duration = Duration::from_secs(10);

/// A good update under way to its end.
#[derive(Clone, Debug)]
pub(in super::super) struct Sent {
    pub(in super::super) started: Started,
    pub(in super::super) release: Release,
    pub(in super::super) explanation: Explanation,
}

/// Release 1: real Sigma rules for everybody.
/// # Errors
/// When a process or the server is gone.
pub(in super::super) async fn rules(play: &mut Play, rules: &Rules) -> anyhow::Result<Sent> {
    let files = rules.files.len();
    play.screen.act(&format!("Release 1: {files} detection rules from {}", rules.origin));
    let draft = bundles::rules_draft(1, &rules.origin)?;
    let release = play.line.publish(draft, rules.files.clone()).await?;
    attest(play, &release).await?;
    send(play, "rules-1", release).await
}

/// The last release: content that asks for an input that exists.
/// # Errors
/// When a process or the server is gone.
pub(in super::super) async fn fix(play: &mut Play, version: u32) -> anyhow::Result<Sent> {
    play.screen.act("The fix: the same rule with an input that exists");
    let (draft, files) = bundles::legacy_content(version, "fix.txt", 0)?;
    let release = play.line.publish(draft, files).await?;
    attest(play, &release).await?;
    send(play, "fix", release).await
}

async fn attest(play: &mut Play, release: &Release) -> anyhow::Result<()> {
    play.line.attest(release).await?;
    if play.line.rig_figures().left_out.is_none() {
        play.screen.say(
            "a rig ran it in a sandbox and signed that it passed: it may go beyond the canaries",
        );
    }
    Ok(())
}

async fn send(play: &mut Play, name: &str, release: Release) -> anyhow::Result<Sent> {
    play.control(serde_json::json!({"calm": true})).await?;
    let started = play.line.start(name, &release).await?;
    play.rollouts.push(started.rollout.clone());
    play.screen.say("signed by the vendor, approved by two people, emergency lane");
    let explanation = play.follow(&started, "", UPDATE_MAX).await?;
    let which = which(&release);
    let hosts = play.hosts;
    if explanation.state == StateName::Completed {
        let done = |journals: &Journals| journals.settled(&which).len() == hosts;
        play.until(Some(&started), "the last hosts confirm", SETTLE_MAX, done).await?;
    }
    Ok(Sent { started, release, explanation })
}

impl Sent {
    /// Counted from the journals.
    pub(in super::super) fn count(&self, journals: &Journals, hosts: usize) -> Update {
        let waves = waves(&self.explanation);
        let held_back = match waves.as_slice() {
            [.., before, last] => Some(last - before),
            _ => None,
        };
        let activated = journals.activated(&self.started.release);
        Update {
            rollout: self.started.rollout.to_string(),
            release: self.started.release.to_string(),
            updated: journals.settled(&which(&self.release)).len(),
            t99_s: quantile_s(&activated, self.started.at, hosts, 990),
            waves,
            held_back,
            completed: self.explanation.state == StateName::Completed,
        }
    }
}

/// Hosts covered after each wave.
pub(in super::super) fn waves(explanation: &Explanation) -> Vec<u64> {
    let handed = |decision: &Decision| match decision {
        Decision::Widened { handed, .. } => Some(*handed),
        _ => None,
    };
    explanation.decisions.iter().filter_map(|dated| handed(&dated.decision)).collect()
}

/// Runs a harmless command that one of the rules matches, with a word that nobody could guess, and
/// waits for the alert that carries it.
/// # Errors
/// When a process or the server is gone.
pub(in super::super) async fn alert(play: &mut Play, rules: &Rules) -> anyhow::Result<Alert> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("draw a marker: {error}"))?;
    let marker = andon_model::digest::to_hex(&random);
    let Some((program, beginning)) = &rules.command else {
        let command = "none: no rule of this set matches a harmless command we know".to_owned();
        return Ok(Alert { command, marker, seen: false, rule: None, seen_s: None });
    };
    let argument = format!("{beginning}{marker}");
    let command = format!("{} {argument}", program.display());
    play.screen.say(&format!("this machine runs: {command}"));
    let at = clock::now();
    tokio::process::Command::new(program)
        .arg(&argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await?;
    let until = Instant::now() + ALERT_MAX;
    while Instant::now() < until {
        play.check()?;
        let alerts = play.line.alerts().await?;
        if let Some(rule) = carrying(&alerts, &marker) {
            let seen_s = Some(clock::now().since(at).as_secs_f64());
            play.screen.say(&format!("alert at the server: {rule:?}, with the marker"));
            return Ok(Alert { command, marker, seen: true, rule: Some(rule), seen_s });
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(Alert { command, marker, seen: false, rule: None, seen_s: None })
}

/// The rule of the first alert, anywhere in the answer, whose command line carries the marker.
fn carrying(value: &serde_json::Value, marker: &str) -> Option<String> {
    match value {
        serde_json::Value::Object(fields) => {
            let here = fields.get("command_line").and_then(|line| line.as_str());
            match here {
                Some(line) if line.contains(marker) => {
                    let rule = fields.get("rule").and_then(|rule| rule.as_str());
                    Some(rule.unwrap_or("unnamed").to_owned())
                }
                _ => fields.values().find_map(|inner| carrying(inner, marker)),
            }
        }
        serde_json::Value::Array(list) => list.iter().find_map(|inner| carrying(inner, marker)),
        _ => None,
    }
}
