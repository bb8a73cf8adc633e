//! The play while it runs: everybody on stage, the screen, and what the acts share.
use super::line::{Line, Started};
use super::picture::{Scene, Screen, is_over};
use super::recount::Journals;
use super::setting::{Fault, Places, WALL_MAX};
use super::stage::{Fleet, Player};
use andon_model::position::Position;
use andon_model::{HostId, RolloutId};
use andon_rollout::Explanation;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between two looks.
const FRAME: Duration = Duration::from_millis(300);

/// Between two readings of all journals: a thousand files.
const RECOUNT: Duration = Duration::from_millis(600);

/// Everything the acts need.
#[derive(Debug)]
pub(super) struct Play {
    pub(super) places: Places,
    pub(super) screen: Screen,
    pub(super) line: Line,
    pub(super) server: Player,
    pub(super) verifier: Player,
    pub(super) witnesses: Vec<Player>,
    pub(super) fleet: Fleet,
    pub(super) supervisor: Player,
    pub(super) hosts: usize,
    pub(super) fault: Fault,
    pub(super) begun: Instant,
    pub(super) rollouts: Vec<RolloutId>,
}

impl Play {
    /// Every process is still there.
    /// # Errors
    /// Which one is not.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        self.server.check()?;
        self.verifier.check()?;
        self.witnesses.iter_mut().try_for_each(Player::check)?;
        self.fleet.player.check()?;
        Ok(self.supervisor.check()?)
    }

    /// Time left of the whole story.
    pub(super) fn left(&self) -> Duration {
        WALL_MAX.saturating_sub(self.begun.elapsed())
    }

    /// All journals, as they are now.
    /// # Errors
    /// When one cannot be read.
    pub(super) fn journals(&self) -> anyhow::Result<Journals> {
        Ok(Journals::read(&self.places.journals())?)
    }

    /// Shows a rollout until it is over, or `limit` has passed.
    /// # Errors
    /// When a process or the server is gone.
    pub(super) async fn follow(
        &mut self,
        started: &Started,
        now: &str,
        limit: Duration,
    ) -> anyhow::Result<Explanation> {
        let until = Instant::now() + limit.min(self.left());
        loop {
            self.check()?;
            let explanation = self.line.get(&started.rollout).await?;
            self.draw(started, Some(explanation.clone()), now);
            if is_over(&explanation) || Instant::now() > until {
                return Ok(explanation);
            }
            tokio::time::sleep(FRAME).await;
        }
    }

    /// Shows the fleet until `done` says so; `false`: the time was over first.
    /// # Errors
    /// When a process is gone or a journal cannot be read.
    pub(super) async fn until(
        &mut self,
        started: Option<&Started>,
        now: &str,
        limit: Duration,
        done: impl Fn(&Journals) -> bool,
    ) -> anyhow::Result<bool> {
        let until = Instant::now() + limit.min(self.left());
        loop {
            self.check()?;
            if let Some(started) = started {
                let explanation = self.line.get(&started.rollout).await?;
                self.draw(started, Some(explanation), now);
            }
            if done(&self.journals()?) {
                return Ok(true);
            }
            if Instant::now() > until {
                return Ok(false);
            }
            tokio::time::sleep(RECOUNT).await;
        }
    }

    fn draw(&mut self, started: &Started, explanation: Option<Explanation>, now: &str) {
        let status = self.fleet.status.borrow().clone();
        let ids = status.ids.unwrap_or_default();
        let full = Journals::full_host(&self.places.journals(), started.at);
        let by_place: BTreeMap<(Position, HostId), u8> = ids
            .into_iter()
            .zip(status.letters.bytes())
            .chain(full)
            .map(|(id, letter)| ((Position::of(&started.seed, &started.release, id), id), letter))
            .collect();
        let scene =
            Scene { letters: by_place.into_values().collect(), explanation, now: now.to_owned() };
        self.screen.show(&scene);
    }

    /// Tells the fleet something.
    /// # Errors
    /// When it is gone.
    pub(super) async fn control(&mut self, line: serde_json::Value) -> anyhow::Result<()> {
        Ok(self.fleet.tell(&line).await?)
    }

    /// Leaves the server's journals of all rollouts in the demo's folder.
    /// # Errors
    /// When they cannot be fetched.
    pub(super) async fn export(&self) -> anyhow::Result<()> {
        let folder = self.places.exports();
        std::fs::create_dir_all(&folder)?;
        for rollout in &self.rollouts {
            self.line.export(rollout, &folder).await?;
        }
        let alerts = serde_json::to_vec_pretty(&self.line.alerts().await?)?;
        Ok(std::fs::write(folder.join("alerts.json"), alerts)?)
    }
}
