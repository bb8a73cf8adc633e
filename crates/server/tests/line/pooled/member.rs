//! One member operator as its server would behave: it sends a roster, learns its hosts' places, lets
//! them run what the tickets cover, and answers every round with an honest count.
use crate::rig::key;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::line::{Places, Roster, Round};
use andon_model::{LineId, OperatorId, StratumId, Time};
use andon_rollout::lines::{LineTally, MemberStanding, MemberStratum};
use andon_rollout::{ArmTally, Plan, StratumTally, Window};
use andon_trust::sign::SigningKey;

/// Strata of every member's hosts, in turn.
pub(crate) const STRATA: [&str; 2] = ["x86_64.debian12.m1", "x86_64.debian12.m2"];

#[derive(Clone, Debug, Default)]
pub(crate) struct Host {
    active: Option<Time>,
    pub(crate) confirmed: Option<Time>,
    failed: bool,
    /// counted as failed in a round that was pooled
    counted: bool,
    /// counted as failed in the answer that was sent last
    pending: bool,
}

pub(crate) struct Member {
    pub(crate) operator: OperatorId,
    pub(crate) key: SigningKey,
    pub(crate) hosts: Vec<Host>,
    /// strata that its hosts are in, in turn
    pub(crate) strata: Vec<StratumId>,
    /// whether the release crashes on its hosts
    pub(crate) faulty: bool,
    pub(crate) standing: MemberStanding,
    pub(crate) places: Option<Places>,
    sent: Option<(u64, u32, Envelope)>,
}

impl Member {
    pub(crate) fn new(name: &str, number: u8, hosts: usize) -> Member {
        Member {
            operator: OperatorId::new(name).unwrap(),
            key: key(number),
            hosts: vec![Host::default(); hosts],
            strata: STRATA.iter().map(|name| StratumId::new(name).unwrap()).collect(),
            faulty: false,
            standing: MemberStanding::Live,
            places: None,
            sent: None,
        }
    }

    /// A roster of `count` hosts from number `first` on.
    pub(crate) fn roster(&self, line: &LineId, first: usize, count: usize) -> Roster {
        Roster {
            schema: 1,
            line: line.clone(),
            operator: self.operator.clone(),
            host_first: first as u64,
            strata: self.strata.clone(),
            hosts: (first..first + count)
                .map(|host| u16::try_from(host % self.strata.len()).unwrap())
                .collect(),
        }
    }

    pub(crate) fn sealed(&self, roster: &Roster) -> Envelope {
        self.key.seal(PayloadType::Roster, &serde_json::to_vec(roster).unwrap())
    }

    /// Rank and stratum of each host.
    fn placed(&self) -> impl Iterator<Item = (usize, u32)> {
        let places = self.places.as_ref().unwrap();
        let strata = places.strata.iter().map(|at| usize::from(*at));
        strata.zip(places.ranks.iter().copied()).collect::<Vec<_>>().into_iter()
    }

    /// Hosts that are covered begin to run the release; a second later it is good or it has crashed.
    pub(crate) fn live(&mut self, handed: &[u32], now: Time) {
        let places: Vec<_> = self.placed().collect();
        for (host, (stratum, rank)) in self.hosts.iter_mut().zip(places) {
            match host.active {
                None if rank < handed[stratum] => host.active = Some(now),
                Some(since) if now.since(since).0 >= 1000 && self.faulty => host.failed = true,
                Some(since) if now.since(since).0 >= 1000 && host.confirmed.is_none() => {
                    host.confirmed = Some(now);
                }
                _ => (),
            }
        }
    }

    /// The answer to a round: the same bytes when asked again; what was counted in an answer counts for
    /// good once a later round shows that it was pooled.
    pub(crate) fn answer(
        &mut self,
        plan: &Plan,
        round: &Round,
        waves: &[Vec<u32>],
        now: Time,
    ) -> Envelope {
        if let Some((number, generation, envelope)) = &self.sent {
            if (*number, *generation) == (round.round, round.generation) {
                return envelope.clone();
            }
            let pooled = *number < round.round;
            for host in &mut self.hosts {
                host.counted |= host.pending && pooled;
                host.pending = false;
            }
        }
        let tally = self.count(plan, round, waves, now);
        let envelope = self.sign(&tally);
        self.sent = Some((round.round, round.generation, envelope.clone()));
        envelope
    }

    pub(crate) fn sign(&self, tally: &LineTally) -> Envelope {
        self.key.seal(PayloadType::Tally, &serde_json::to_vec(tally).unwrap())
    }

    pub(crate) fn count(
        &mut self,
        plan: &Plan,
        round: &Round,
        waves: &[Vec<u32>],
        now: Time,
    ) -> LineTally {
        let horizons = plan.budget.len();
        let empty = StratumTally {
            waves: vec![ArmTally::default(); waves.len()],
            windows: vec![Window::default(); horizons],
            wave_windows: vec![Window::default(); horizons * waves.len()],
            ..StratumTally::default()
        };
        let mut strata = vec![empty; plan.strata.len()];
        let places: Vec<_> = self.placed().collect();
        for (host, (stratum, rank)) in self.hosts.iter_mut().zip(places) {
            let tally = &mut strata[stratum];
            let new = host.failed && !host.counted;
            host.pending = new;
            let wave = waves.iter().position(|handed| rank < handed[stratum]);
            let arm = match wave {
                Some(wave) => &mut tally.waves[wave],
                None if plan.strata[stratum].gauges(rank) => &mut tally.gauge,
                None => &mut tally.controls,
            };
            arm.hosts += 1;
            arm.silence.at_risk += 1;
            arm.report.at_risk += u32::from(!host.counted);
            arm.report.new += u32::from(new);
            arm.bad_new += u32::from(new);
            arm.confirmed += u32::from(host.confirmed.is_some());
            arm.fell_back += u32::from(host.failed);
            let Some(wave) = wave.filter(|_| !host.counted) else { continue };
            for (at, (after, _)) in plan.budget.iter().enumerate() {
                let shown = |at: Time| now >= at.plus(plan.watch.silent_after).plus(*after);
                let clean = host.confirmed.is_some_and(shown);
                let rows =
                    [&mut tally.windows[at], &mut tally.wave_windows[at * waves.len() + wave]];
                for row in rows {
                    row.clean += u32::from(clean);
                    row.at_risk += u32::from(!clean);
                    row.alike += u32::from(!clean);
                    row.bad += u32::from(new && !clean);
                }
            }
        }
        let mine = |(_, tally): &(u16, StratumTally)| {
            tally.waves.iter().chain([&tally.controls, &tally.gauge]).any(|arm| arm.hosts > 0)
        };
        LineTally {
            schema: 1,
            line: plan.line.clone(),
            operator: self.operator.clone(),
            rollout: plan.rollout.clone(),
            round: round.round,
            generation: round.generation,
            at: now,
            standing: self.standing.clone(),
            strata: (0..)
                .zip(strata)
                .filter(mine)
                .map(|(stratum, tally)| MemberStratum { stratum, tally })
                .collect(),
        }
    }

    /// The answer that was sent last.
    pub(crate) fn sent(&self) -> Option<Envelope> {
        self.sent.as_ref().map(|(_, _, envelope)| envelope.clone())
    }
}
