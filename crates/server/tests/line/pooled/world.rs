//! The vendor line `vendor:acme`, its members, and one rollout `r1` on it.
use super::member::Member;
use crate::rig::*;
use crate::rollouts::get;
use andon_model::ceilings;
use andon_model::command::Verb;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::line::{self, LineStanding, Places, Round, Rounds};
use andon_model::ticket::Ticket;
use andon_model::{Digest, Time};
use andon_rollout::{Event, Plan};
use andon_server::record::Record;
use andon_server::serve::Server;
use andon_trust::envelope::verify_one;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

pub(crate) struct World {
    pub(crate) line: Line,
    pub(crate) members: Vec<Member>,
    pub(crate) server: Server,
    pub(crate) release: Digest,
    pub(crate) now: Time,
}

/// A vendor line that these members may take part in, with up to 100 seats each.
pub(crate) fn line_of(members: &[Member]) -> Line {
    line_sharing(members, 0)
}

/// The same, where members with so many millionths of the seats may be away.
pub(crate) fn line_sharing(members: &[Member], absent_max_ppm: u32) -> Line {
    Line::made("vendor:acme", |policy| {
        policy.absent_max_ppm = absent_max_ppm;
        let member = |member: &Member| line::Member {
            operator: member.operator.clone(),
            key: member.key.public(),
            hosts_max: 100,
        };
        policy.members = members.iter().map(member).collect();
    })
}

impl World {
    /// Two small members.
    pub(crate) async fn two() -> World {
        World::with(40, 30).await
    }

    /// Members a and b with so many hosts, and a release that is being rolled out.
    pub(crate) async fn with(a: usize, b: usize) -> World {
        let mut world = World::seated(vec![Member::new("a", 21, a), Member::new("b", 22, b)]).await;
        world.start("r1").await;
        world
    }

    /// Members that have seats, in blocks of ten.
    pub(crate) async fn seated(members: Vec<Member>) -> World {
        World::seated_on(line_of(&members), members).await
    }

    /// The same on a line of their own making.
    pub(crate) async fn seated_on(line: Line, members: Vec<Member>) -> World {
        let mut server = line.open(START).await.unwrap();
        let release = line.publish(&mut server, 1).await;
        let mut world = World { line, members, server, release, now: START };
        let most = world.members.iter().map(|member| member.hosts.len()).max().unwrap();
        for first in (1..=most).step_by(10) {
            for at in 0..world.members.len() {
                let member = &world.members[at];
                let count = (member.hosts.len() + 1).saturating_sub(first).min(10);
                if count == 0 {
                    continue;
                }
                let roster = member.sealed(&member.roster(&world.line.policy.line, first, count));
                let (status, answer) = post(&mut world.server, "/v1/line/roster", &roster).await;
                assert_eq!(status, 200, "{answer}");
            }
        }
        world
    }

    pub(crate) async fn start(&mut self, name: &str) {
        let mut verb = start(name, self.release);
        if let Verb::Start { seed, .. } = &mut verb {
            *seed = Some(Digest::of(b"the same order in every run"));
        }
        let command = self.line.command(name, self.now, verb);
        let (status, answer) = post(&mut self.server, "/v1/commands", &command).await;
        assert_eq!(status, 200, "{answer}");
        for at in 0..self.members.len() {
            let path = format!("/v1/line/places/{name}/{}", self.members[at].operator);
            let places: Places = self.signed(&path, PayloadType::Places).await;
            assert_eq!(places.ranks.len(), self.members[at].hosts.len());
            self.members[at].places = Some(places);
        }
    }

    /// What the line signed under this path.
    pub(crate) async fn signed<T: DeserializeOwned>(&mut self, path: &str, kind: PayloadType) -> T {
        let envelope =
            Envelope::parse_limited(&get(&mut self.server, path).await, 1 << 26).unwrap();
        let payload = verify_one(&envelope, kind, &self.line.inputs.online.public()).unwrap();
        serde_json::from_slice(payload).unwrap()
    }

    pub(crate) async fn plan(&mut self) -> Plan {
        self.signed("/v1/line/plans/r1", PayloadType::Plan).await
    }

    pub(crate) async fn round(&mut self) -> Round {
        let rounds: Rounds = self.signed("/v1/line/rounds", PayloadType::Rounds).await;
        let mut rounds = rounds.rounds.into_iter();
        rounds.find(|round| round.rollout.as_str() == "r1").unwrap()
    }

    /// Hosts covered per stratum after each ticket, from the tickets themselves.
    pub(crate) async fn waves(&mut self, generation: u32) -> Vec<Vec<u32>> {
        let mut waves = Vec::new();
        for generation in 1..=generation {
            let path = format!("/v1/line/tickets/r1/{generation}");
            let mut ticket: Ticket = self.signed(&path, PayloadType::Ticket).await;
            if ticket.committed.is_some() {
                let path = format!("/v1/line/ceilings/r1/{generation}");
                let all = get(&mut self.server, &path).await;
                ticket = ticket.opened(&ceilings::parse_list(&all).unwrap()).unwrap();
            }
            assert_eq!(ticket.generation, generation);
            waves.push(ticket.ceilings.iter().map(|ceiling| ceiling.handed).collect());
        }
        waves
    }

    /// A member's hosts live on, and it answers what is due.
    pub(crate) async fn answer(&mut self, at: usize) -> (StatusCode, serde_json::Value) {
        let (round, plan) = (self.round().await, self.plan().await);
        let waves = self.waves(round.generation).await;
        let now = self.now;
        let member = &mut self.members[at];
        if let Some(handed) = waves.last() {
            member.live(handed, now);
        }
        let envelope = member.answer(&plan, &round, &waves, now);
        post(&mut self.server, "/v1/line/tallies", &envelope).await
    }

    pub(crate) fn wait(&mut self, ms: u64) {
        self.now = Time(self.now.0 + ms);
        self.server.app.clock.set(self.now);
    }

    pub(crate) async fn tick(&mut self) {
        self.server.driver.tick().await.unwrap();
    }

    /// One second in which these members answer whatever is due.
    pub(crate) async fn second(&mut self, who: &[usize]) {
        self.wait(1000);
        for at in who {
            let live = self.round().await.standing;
            if matches!(live, LineStanding::Live | LineStanding::Held { .. }) {
                let (status, answer) = self.answer(*at).await;
                assert_eq!(status, 200, "{answer}");
            }
        }
        self.tick().await;
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        let rows = self.line.journal.rows();
        rows.iter().map(|row| serde_json::from_str(&row.json).unwrap()).collect()
    }

    pub(crate) fn observations(&self) -> usize {
        let seen =
            |record: &&Record| matches!(record, Record::Rollout { event: Event::Observed(_), .. });
        self.records().iter().filter(seen).count()
    }

    pub(crate) async fn restart(mut self) -> World {
        self.server = self.line.restart(self.server).await;
        self
    }
}
