//! What the evidence amounts to: pass, wait or fail, and the room that the budget leaves.
//! It reads the gate's sums and changes nothing.
use super::horizon::room;
use super::sums::Gate;
use super::tally::CHANNELS;
use super::{Channel, ChannelEvidence, Evidence, HorizonEvidence, StratumEvidence};
use crate::plan::Plan;
use andon_model::{Millis, Time};
use serde::{Deserialize, Serialize};

/// E above which growth stops and the question is asked again. Under a good update it is passed in
/// at most 1 of 100 rollouts, which costs them some time; a bad one is then a few hosts from 1/α.
const SUSPICIOUS: f64 = 100.0;
/// Largest E shown: JSON has no infinity.
const LN_SHOWN_MAX: f64 = 690.0;

/// What the gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// nothing against widening
    Pass,
    /// suspicious: do not widen, ask again
    Wait,
    /// E has reached 1/α: halt
    Fail,
}

/// How many more hosts may be handed now.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    pub pooled: u64,
    /// horizon that leaves least
    pub tightest: Millis,
    pub strata: Vec<u64>,
    /// what is left of the first horizon's budget
    pub unspent: u64,
    /// hosts vouched for the first horizon, pooled and per stratum
    pub vouched: u64,
    pub strata_vouched: Vec<u64>,
    /// hosts past every horizon unharmed, per stratum
    pub strata_clean: Vec<u64>,
}

/// When each wave was handed, seen from the plan and the present.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub plan: &'a Plan,
    pub now: Time,
    /// (when, cumulative hosts per stratum) of each ticket issued
    pub waves: &'a [(Time, Vec<u32>)],
    /// per horizon, late hosts that count as lost
    pub charges: &'a [u64],
}

impl View<'_> {
    fn handed(&self, stratum: usize) -> u64 {
        let last = self.waves.last().and_then(|(_, handed)| handed.get(stratum));
        last.map_or(0, |handed| u64::from(*handed))
    }
    fn handed_all(&self) -> u64 {
        self.waves.last().map_or(0, |(_, handed)| handed.iter().map(|n| u64::from(*n)).sum())
    }
    fn charge(&self, horizon: usize) -> u64 {
        self.charges.get(horizon).copied().unwrap_or(0)
    }
    fn delta(&self) -> f64 {
        f64::from(self.plan.delta_ppm) / 1e6
    }
}

/// 10/α: announced restarts halt a good update at most a tenth as often as everything else together.
fn restart_threshold(plan: &Plan) -> f64 {
    10.0 * threshold(plan)
}

/// 1/α.
fn threshold(plan: &Plan) -> f64 {
    1e6 / f64::from(plan.alpha_ppm.max(1))
}

impl Gate {
    /// What the evidence amounts to.
    pub(crate) fn verdict(&self, plan: &Plan) -> Verdict {
        let ln_e = self.ln_e();
        if ln_e >= threshold(plan).ln() || self.restarts_fail(plan) {
            Verdict::Fail
        } else if ln_e > SUSPICIOUS.ln() {
            Verdict::Wait
        } else {
            Verdict::Pass
        }
    }

    /// Whether announced restarts alone speak against the update, and how loudly.
    fn restarts_fail(&self, plan: &Plan) -> bool {
        self.restarts.ln_e() >= restart_threshold(plan).ln()
    }

    /// Hosts that restart for the release's sake and of which it is not known yet whether they come back.
    pub(crate) fn restarting(&self) -> u64 {
        self.restarts.away()
    }

    /// What the halt is laid to: evidence, the threshold that it reached, channel and stratum.
    pub(crate) fn charge(&self, plan: &Plan) -> (f64, f64, Channel, Option<usize>) {
        if self.ln_e() < threshold(plan).ln() && self.restarts_fail(plan) {
            return (shown(self.restarts.ln_e()), restart_threshold(plan), Channel::Restart, None);
        }
        let (channel, stratum) = self.suspects();
        (shown(self.ln_e()), threshold(plan), channel, stratum)
    }

    /// Channel and stratum with most evidence; no stratum if none is suspicious by itself.
    pub(crate) fn suspects(&self) -> (Channel, Option<usize>) {
        let mut channel = (Channel::Silence, f64::NEG_INFINITY);
        for (parts, name) in self.parts.iter().zip(CHANNELS) {
            let ln_e = parts.ln_e();
            if ln_e > channel.1 {
                channel = (name, ln_e);
            }
        }
        let mut stratum = (None, SUSPICIOUS.ln());
        for at in 0..self.bad.len() {
            let ln_e = self.ln_stratum(at);
            if ln_e > stratum.1 {
                stratum = (Some(at), ln_e);
            }
        }
        (channel.0, stratum.0)
    }

    /// The budget rule, for every horizon D, pooled and per stratum: see [`super::excess`].
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and at most the fleet"
    )]
    pub(crate) fn room(&self, view: &View<'_>) -> Room {
        let strata = self.bad.len();
        let mut out = Room {
            pooled: u64::MAX,
            tightest: Millis::ZERO,
            strata: vec![u64::MAX; strata],
            unspent: 0,
            vouched: 0,
            strata_vouched: vec![0; strata],
            strata_clean: vec![u64::MAX; strata],
        };
        for (at, horizon) in self.horizons.iter().enumerate() {
            let pooled = self.horizon(view, at);
            if pooled.room < out.pooled {
                (out.pooled, out.tightest) = (pooled.room, Millis(pooled.after_ms));
            }
            if at == 0 {
                (out.vouched, out.strata_vouched) = horizon.vouched();
                out.unspent = pooled.hosts.saturating_sub(pooled.spent.ceil() as u64);
            }
            for (least, clean) in out.strata_clean.iter_mut().zip(horizon.strata_clean()) {
                *least = clean.min(*least);
            }
        }
        if out.pooled == 0 {
            out.strata.fill(0);
            return out;
        }
        for (at, horizon) in self.horizons.iter().enumerate() {
            let sizes = view.plan.strata.iter().enumerate();
            let hosts = sizes.map(|(at, stratum)| (view.handed(at), u64::from(stratum.size)));
            let room = horizon.strata_room(view.delta(), view.charge(at), hosts);
            for (least, room) in out.strata.iter_mut().zip(room) {
                *least = room.min(*least);
            }
        }
        out
    }

    fn horizon(&self, view: &View<'_>, at: usize) -> HorizonEvidence {
        let (after, budget) = view.plan.budget[at];
        let charge = view.charge(at);
        let pooled = self.horizons[at].pooled(view.delta(), charge);
        let unvouched = view.handed_all().saturating_sub(pooled.vouched);
        HorizonEvidence {
            after_ms: after.0,
            hosts: budget,
            spent: pooled.spent,
            ucb: pooled.ucb,
            vouched: pooled.vouched,
            unvouched,
            room: room(&pooled, budget.saturating_sub(charge), view.handed_all()),
        }
    }

    /// Everything read, for tickets, journals and people.
    pub(crate) fn evidence(&self, view: &View<'_>) -> Evidence {
        let channels = self.parts.iter().zip(CHANNELS).map(|(parts, channel)| ChannelEvidence {
            channel,
            e: shown(parts.ln_e()),
            pooled: shown(parts.pooled),
            strata: shown(parts.strata),
            fresh: shown(parts.fresh),
        });
        let first = self.horizons.first().map(|horizon| horizon.strata_ucb(view.delta()));
        let stratum = |(at, plan): (usize, &crate::plan::StratumPlan)| {
            let bad = self.bad[at];
            StratumEvidence {
                stratum: plan.stratum.clone(),
                e: shown(self.ln_stratum(at)),
                ucb: first.as_ref().and_then(|each| each.get(at)).copied().unwrap_or(1.0),
                x: bad,
                k: bad + self.controls_bad[at],
                u: self.at_risk[at].0,
                c: self.at_risk[at].1,
            }
        };
        Evidence {
            at: view.now,
            e: shown(self.ln_e()),
            threshold: threshold(view.plan),
            channels: channels.collect(),
            strata: view.plan.strata.iter().enumerate().map(stratum).collect(),
            horizons: (0..self.horizons.len()).map(|at| self.horizon(view, at)).collect(),
            restarts: self.restarts.evidence(
                restart_threshold(view.plan),
                view.plan.watch.restart_missed_ppm,
                shown,
            ),
        }
    }
}

fn shown(ln: f64) -> f64 {
    ln.min(LN_SHOWN_MAX).exp()
}
