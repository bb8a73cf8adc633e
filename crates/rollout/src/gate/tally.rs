//! The gate's memory: sums of everything observed, per wave, stratum and horizon. Not its judgement.
use super::Channel;
use super::eprocess::Pair;
use crate::event::{ArmTally, Count};

/// Channels that are told per arm, in the order of their arrays.
pub(super) const CHANNELS: [Channel; 3] = [Channel::Silence, Channel::Report, Channel::Probe];

/// What is kept of one wave in one stratum: all else is told anew, cumulative, at every tick.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cell {
    pub hosts: u32,
    /// gone bad so far
    pub bad: u32,
}

/// One stratum's waves of one tick, summed in one go: with dozens of waves in thousands of strata a
/// look takes as long as reading its counts does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    /// (new, at risk) of each channel
    all: [(u64, u64); 3],
    /// the same of the fresh waves alone
    young: [(u64, u64); 3],
    pub bad_new: u64,
    /// cumulative
    pub confirmed: u64,
    pub fell_back: u64,
    /// hosts of which nothing is known yet: neither confirmed nor gone bad. A host may be counted in
    /// both, so the larger of both is known, not their sum.
    pub open: u64,
}

impl Sums {
    /// One more wave, younger than those before. `bad`: gone bad in it before this tick.
    pub(crate) fn add(&mut self, tally: &ArmTally, bad: u32, fresh: bool) {
        for (at, own) in counts(tally).into_iter().enumerate() {
            // At most 4,096 waves of 32 bits: far below 2^64.
            self.all[at].0 += u64::from(own.new);
            self.all[at].1 += u64::from(own.at_risk);
            if fresh {
                self.young[at].0 += u64::from(own.new);
                self.young[at].1 += u64::from(own.at_risk);
            }
        }
        self.bad_new += u64::from(tally.bad_new);
        self.confirmed += u64::from(tally.confirmed);
        self.fell_back += u64::from(tally.fell_back);
        let known = tally.confirmed.max(bad.saturating_add(tally.bad_new));
        self.open += u64::from(tally.hosts.saturating_sub(known));
    }

    /// Each channel's counts, of all waves and of the fresh ones, against all sampled controls.
    /// `None`: overflow.
    pub(crate) fn pairs(&self, controls: [&ArmTally; 2]) -> Option<[[Pair; 3]; 2]> {
        Some([pairs(self.all, controls)?, pairs(self.young, controls)?])
    }
}

/// An arm's counts, in the order of [`CHANNELS`].
pub(crate) const fn counts(tally: &ArmTally) -> [Count; 3] {
    [tally.silence, tally.report, tally.probe]
}

fn pairs(treated: [(u64, u64); 3], controls: [&ArmTally; 2]) -> Option<[Pair; 3]> {
    let mut pairs = [Pair::default(); 3];
    let [ones, others] = controls.map(counts);
    let told = treated.into_iter().zip(ones).zip(others);
    for (pair, (((x, u), one), other)) in pairs.iter_mut().zip(told) {
        *pair = Pair {
            x: u32::try_from(x).ok()?,
            u: u32::try_from(u).ok()?,
            y: one.new.checked_add(other.new)?,
            c: one.at_risk.checked_add(other.at_risk)?,
        };
    }
    Some(pairs)
}

/// Counts stay below 2^53 ([`andon_model::limits::HOSTS_MAX`] per tick), so this is exact.
#[expect(clippy::cast_precision_loss, reason = "counts of hosts are far below 2^53")]
pub(crate) const fn as_f64(count: u64) -> f64 {
    count as f64
}
