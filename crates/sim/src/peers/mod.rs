//! How others hand out, on the same traces: one small file each, numbers and source in the policy file.
//! Not their programs: what is modelled is who may have the update when, and what stops it. They see
//! counts as their servers do ([`Seen`]), never the gate's tallies and never the truth.
//!
//! All of them pick hosts evenly over strata, which is what a random choice does on average. A stop
//! keeps hosts from getting it; it takes it away from nobody.
mod all_at_once;
mod app_config;
mod bottlerocket;
mod hawkbit;
mod linear;
mod nebraska;
mod person;
mod rings;

pub use all_at_once::AllAtOnce;
pub use app_config::AppConfig;
pub use bottlerocket::{Bottlerocket, Wave};
pub use hawkbit::Hawkbit;
pub use linear::Linear;
pub use nebraska::Nebraska;
pub use person::{PersonSpec, Sign};
pub use rings::{Ring, Rings};

use crate::controller::{Controller, Seen, Shape, Sight, Standing};
use crate::policy::Kind;
use andon_model::Time;
use std::fmt::Debug;

/// What a way of handing out looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look<'a> {
    /// since the release
    pub(crate) elapsed_s: f64,
    /// per stratum
    pub(crate) seen: &'a [Seen],
    /// over all strata
    pub(crate) all: Totals,
}

/// [`Seen`] over all strata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) hosts: u64,
    pub(crate) handed: u64,
    pub(crate) delivered: u64,
    pub(crate) confirmed: u64,
    pub(crate) reported: u64,
    pub(crate) silent: u64,
}

/// What it wants now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wish {
    /// so many hosts covered in all; never falls
    Cover(u64),
    /// nobody further until somebody lets it go on, which nobody does here
    Pause,
    /// over
    Stop,
}

/// A way of handing out.
pub(crate) trait Way: Debug {
    /// Looks once.
    fn look(&mut self, look: &Look<'_>) -> Wish;
}

/// A peer's policy in a run.
#[derive(Debug)]
pub struct Peer {
    way: Box<dyn Way>,
    shape: Shape,
    released: Option<Time>,
    handed: Vec<u32>,
    standing: Standing,
}

/// Ticks of a long rollout: enough to see every wave, few enough to play.
const TICKS_WANTED: f64 = 2_000.0;
/// Longest tick, seconds: hosts of these systems ask every five minutes.
const BEAT_S_MAX: f64 = 300.0;

impl Kind {
    /// How long a rollout takes that nobody stops, seconds: its last hand-out. 0 where that depends on
    /// what is seen.
    #[must_use]
    pub fn lasts_s(&self) -> f64 {
        match self {
            Kind::Andon(_) | Kind::AllAtOnce(_) | Kind::Hawkbit(_) => 0.0,
            Kind::Rings(it) => it.rings.last().map_or(0.0, |ring| ring.after_s),
            Kind::Bottlerocket(it) => it.waves.last().map_or(0.0, |wave| wave.start_after_s),
            Kind::AppConfig(it) => it.duration_s + it.bake_s,
            Kind::Linear(it) => it.duration_s,
            Kind::Nebraska(it) => {
                it.timeout_s + it.period_s * (100.0 / it.percent_per_period + 2.0)
            }
        }
    }

    /// A peer's way; `None` for the production core.
    fn way(&self) -> Option<Box<dyn Way>> {
        Some(match self {
            Kind::Andon(_) => return None,
            Kind::AllAtOnce(it) => Box::new(it.start()),
            Kind::Rings(it) => Box::new(it.start()),
            Kind::Hawkbit(it) => Box::new(it.start()),
            Kind::Bottlerocket(it) => Box::new(it.start()),
            Kind::AppConfig(it) => Box::new(it.start()),
            Kind::Linear(it) => Box::new(it.start()),
            Kind::Nebraska(it) => Box::new(it.start()),
        })
    }
}

impl Peer {
    /// A peer's policy over strata of these sizes; `None` for the production core.
    #[must_use]
    pub fn new(kind: &Kind, sizes: &[u32]) -> Option<Peer> {
        let beat_s = (kind.lasts_s() / TICKS_WANTED / 5.0).ceil() * 5.0;
        let beat_s = beat_s.clamp(5.0, BEAT_S_MAX);
        let shape = Shape {
            strata: sizes.to_vec(),
            beat_s,
            silent_after_s: beat_s.max(15.0),
            window_s: 10.0,
            horizons_s: Vec::new(),
            budget: Vec::new(),
            controls: vec![0; sizes.len()],
            gauge_every: vec![2; sizes.len()],
        };
        let (handed, standing) = (vec![0; sizes.len()], Standing::Running);
        kind.way().map(|way| Peer { way, shape, released: None, handed, standing })
    }

    /// Covers hosts up to `hosts` in all, evenly over those not covered yet.
    fn cover(&mut self, hosts: u64) {
        let handed: u64 = self.handed.iter().map(|hosts| u64::from(*hosts)).sum();
        let sizes = &self.shape.strata;
        let left = sizes.iter().map(|size| u64::from(*size)).sum::<u64>() - handed;
        let more = u128::from(hosts.saturating_sub(handed).min(left));
        // Cumulative shares, rounded: their differences add up exactly.
        let upto = |open: u64| (u128::from(open) * more + u128::from(left / 2)) / u128::from(left);
        let mut before = 0;
        for (size, own) in sizes.iter().zip(&mut self.handed) {
            if more == 0 {
                return;
            }
            let after = before + u64::from(size - *own);
            let given = upto(after) - upto(before);
            before = after;
            *own += u32::try_from(given).unwrap_or(0);
        }
    }
}

impl Controller for Peer {
    fn shape(&self) -> Option<Shape> {
        Some(self.shape.clone())
    }
    fn tick(&mut self, sight: &Sight<'_>) -> &[u32] {
        let released = *self.released.get_or_insert(sight.now);
        if self.standing == Standing::Halted {
            return &self.handed;
        }
        let all = totals(sight.seen);
        let elapsed_s = sight.now.since(released).as_secs_f64();
        match self.way.look(&Look { elapsed_s, seen: sight.seen, all }) {
            Wish::Stop => self.standing = Standing::Halted,
            Wish::Pause => self.standing = Standing::Held,
            Wish::Cover(hosts) => {
                self.cover(hosts);
                // Done when everybody who was reached has answered, or has fallen silent.
                let answered = all.confirmed + all.reported + all.silent;
                let done = all.handed == all.hosts && answered * 1000 >= all.hosts * 995;
                self.standing = if done { Standing::Done } else { Standing::Running };
            }
        }
        &self.handed
    }
    fn standing(&self) -> Standing {
        self.standing
    }
}

fn totals(seen: &[Seen]) -> Totals {
    seen.iter().fold(Totals::default(), |all, one| Totals {
        hosts: all.hosts + u64::from(one.hosts),
        handed: all.handed + u64::from(one.handed),
        delivered: all.delivered + u64::from(one.delivered),
        confirmed: all.confirmed + u64::from(one.confirmed),
        reported: all.reported + u64::from(one.reported),
        silent: all.silent + u64::from(one.silent),
    })
}

/// A share of hosts, rounded down; everybody at 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to hosts")]
#[expect(clippy::cast_precision_loss, reason = "counts of hosts are far below 2^53")]
pub(crate) fn share_of(share: f64, hosts: u64) -> u64 {
    // Half a millionth of a host forgives what 0.07 × 100 loses in binary.
    (hosts as f64 * share.clamp(0.0, 1.0) + 5e-7).floor() as u64
}

/// `part` of `whole`; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "counts of hosts are far below 2^53")]
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
pub(crate) mod tests;
