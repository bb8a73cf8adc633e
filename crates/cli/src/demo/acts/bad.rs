//! A faulty update, validly signed: it meets the gate, the hosts help themselves, the vendor pulls
//! the cord.
use super::super::bundles;
use super::super::line::{Pulled, Started};
use super::super::picture::is_over;
use super::super::play::Play;
use super::super::recount::Journals;
use super::super::report::Bad;
use super::super::setting::{BUDGET, DIE_FOR, Fault, WINDOW};
use super::good::waves;
use crate::ops::release::Release;
use andon_model::{Digest, HostId, Time};
use andon_rollout::{Decision, Explanation, HaltReason, StateName};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Longest until a fault within the horizon is stopped, or a harmless one has passed.
const VERDICT_MAX: Duration = Duration::from_secs(60);
/// Longest until the last living host has seen the cord.
const CORD_MAX: Duration = Duration::from_secs(10);

/// Longest from a host's return to its first beat at the server.
const HEARD_MAX: Duration = Duration::from_secs(5);

/// Between two looks for the first crash of a late fault.
const LOOK: Duration = Duration::from_secs(1);

/// Whether hosts tell of their crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Told {
    /// as usual
    Reports,
    /// nothing: silence alone
    Nothing,
}

/// A faulty update and what became of it.
#[derive(Clone, Debug)]
pub(in super::super) struct Met {
    pub(in super::super) started: Started,
    pub(in super::super) explanation: Explanation,
    pub(in super::super) pulled: Option<Pulled>,
    pub(in super::super) until: Time,
}

/// One faulty update, to the moment when every crashed host is back.
/// # Errors
/// When a process or the server is gone.
pub(in super::super) async fn meet(
    play: &mut Play,
    name: &str,
    version: u32,
    told: Told,
) -> anyhow::Result<Met> {
    let (content, seconds) = bundles::fault_content(play.fault);
    let (draft, files) = bundles::legacy_content(version, content, seconds)?;
    let release = play.line.publish(draft, files).await?;
    if play.line.waive(&release).await? {
        play.screen
            .say("no rig has run it; two people are in a hurry and waive that: canary wave only");
    }
    let switch = if told == Told::Reports { "on" } else { "off" };
    play.control(serde_json::json!({"calm": true, "reports": switch})).await?;
    let started = play.line.start(name, &release).await?;
    play.rollouts.push(started.rollout.clone());
    play.screen.say("validly signed, approved by two people: a signature says who, not whether");
    let explanation = match play.fault.within_horizon() {
        true => play.follow(&started, "", VERDICT_MAX).await?,
        false => until_a_crash(play, &started).await?,
    };
    let shown = !play.journals()?.crashed(&started.release).is_empty();
    let pulled = match explanation.state {
        StateName::Halted => Some(cord(play, &release).await?),
        // Nobody promised to see it; but a vendor whose fault shows does not wait for a gate.
        _ if shown => Some(cord(play, &release).await?),
        _ => None,
    };
    recover(play, &started, pulled).await?;
    if told == Told::Nothing {
        play.control(serde_json::json!({"reports": "on"})).await?;
    }
    let explanation = play.line.get(&started.rollout).await?;
    Ok(Met { started, explanation, pulled, until: crate::clock::now() })
}

/// A fault that sleeps longer than the horizon: the gate may vouch for it before it shows. Followed
/// until the rollout is over or the first host has crashed.
async fn until_a_crash(play: &mut Play, started: &Started) -> anyhow::Result<Explanation> {
    let until = Instant::now() + VERDICT_MAX.min(play.left());
    loop {
        let explanation = play.follow(started, "", LOOK).await?;
        let shown = !play.journals()?.crashed(&started.release).is_empty();
        if shown || is_over(&explanation) || Instant::now() > until {
            return Ok(explanation);
        }
    }
}

async fn cord(play: &mut Play, release: &Release) -> anyhow::Result<Pulled> {
    let pulled = play.line.cord(release).await?;
    play.screen.say("the vendor pulls the cord: one key, one small signed freeze");
    Ok(pulled)
}

/// Waits until every crashed host has gone back and the living have seen the cord.
async fn recover(play: &mut Play, started: &Started, pulled: Option<Pulled>) -> anyhow::Result<()> {
    let release = started.release;
    if let Some(pulled) = pulled {
        play.until(Some(started), "hosts see the cord", CORD_MAX, |journals| {
            let seen = journals.freeze_seen(&pulled.freeze);
            journals.up_at(pulled.at).iter().all(|host| seen.contains_key(host))
        })
        .await?;
    }
    if !play.fault.within_horizon() {
        // Everybody who runs it may still crash; only the fix ends that.
        return Ok(());
    }
    let limit = DIE_FOR + Duration::from_secs(12);
    play.until(Some(started), "crashed hosts come back by themselves", limit, |journals| {
        let hurt = journals.hurt(&release);
        let back = journals.fell_back(&release);
        hurt.keys().all(|host| back.contains_key(host)) && journals.hands(&hurt).is_empty()
    })
    .await?;
    heard_again(play, &release).await
}

/// Waits until the server hears everybody who had died: the next act shall begin with a whole fleet.
async fn heard_again(play: &mut Play, release: &Digest) -> anyhow::Result<()> {
    let until = Instant::now() + HEARD_MAX.min(play.left());
    for host in play.journals()?.died(release) {
        while !play.line.hears(host).await? && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

impl Met {
    /// From the cord to the last living host that saw it; `None`: not pulled, or not seen by all.
    pub(in super::super) fn freeze_seen_s(&self, journals: &Journals) -> Option<f64> {
        let pulled = self.pulled?;
        let seen = journals.freeze_seen(&pulled.freeze);
        let living = journals.up_at(pulled.at);
        let moments: Option<Vec<Time>> =
            living.iter().map(|host| seen.get(host).copied()).collect();
        let last = moments?.into_iter().max()?;
        Some(last.since(pulled.at).as_secs_f64())
    }

    /// Counted from the journals.
    pub(in super::super) fn count(&self, journals: &Journals, fault: Fault) -> Bad {
        let release = &self.started.release;
        let activated = journals.activated(release);
        let crashed = journals.crashed(release);
        let hung = journals.hung(release);
        let back = journals.fell_back(release);
        let ran: BTreeSet<HostId> = activated.keys().copied().collect();
        let probe_failed: BTreeSet<HostId> = journals
            .probes_failed(self.started.at, self.until)
            .intersection(&ran)
            .copied()
            .collect();
        let hurt = journals.hurt(release);
        let with_cause = |host: &&HostId| hurt.contains_key(host) || probe_failed.contains(host);
        let (halted, channel, e) = self.halt();
        let first = activated.values().min();
        let outside = (!fault.within_horizon()).then(|| {
            format!(
                "the fault shows later than load and soak ({WINDOW}): B(0) does not speak of it; a \
                 curve with a later horizon would"
            )
        });
        Bad {
            rollout: self.started.rollout.to_string(),
            release: release.to_string(),
            budget: BUDGET,
            activated: activated.len(),
            crashed: crashed.len(),
            died_whole: journals.died(release).len(),
            hung: hung.len(),
            probe_failed: probe_failed.len(),
            detected: channel.is_some(),
            halted_after_s: halted.zip(first).map(|(at, first)| at.since(*first).as_secs_f64()),
            channel,
            e,
            fell_back: hurt.keys().filter(|host| back.contains_key(host)).count(),
            hands: journals.hands(&hurt).len(),
            healthy_touched: back.keys().filter(|host| !with_cause(host)).count(),
            waves: waves(&self.explanation),
            outside_the_promise: outside,
        }
    }

    /// When the gate halted it, by which channel, at which E.
    fn halt(&self) -> (Option<Time>, Option<String>, Option<f64>) {
        for dated in &self.explanation.decisions {
            if let Decision::Halted { reason: HaltReason::Gate { e, channel, .. } } =
                &dated.decision
            {
                let channel = format!("{channel:?}").to_lowercase();
                return (Some(dated.at), Some(channel), Some(e.min(1e300)));
            }
        }
        (None, None, None)
    }
}
