//! The gate's memory: sums of everything observed, per wave, stratum and horizon. Not its judgement.
use super::Channel;
use super::eprocess::Pair;
use crate::event::{ArmTally, Count};

/// Channels in the order of their arrays.
pub(crate) const CHANNELS: [Channel; 3] = [Channel::Silence, Channel::Report, Channel::Probe];

/// One wave in one stratum.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    pub hosts: u32,
    pub bad: u64,
    pub confirmed: u32,
    pub fell_back: u32,
}

impl Cell {
    pub(crate) fn new(hosts: u32) -> Cell {
        Cell { hosts, ..Cell::default() }
    }

    /// Takes one tick's counts. `None`: a sum overflowed.
    pub(crate) fn observe(&mut self, tally: &ArmTally) -> Option<()> {
        self.bad = self.bad.checked_add(u64::from(tally.bad_new))?;
        self.fell_back = tally.fell_back;
        self.confirmed = tally.confirmed;
        Some(())
    }

    /// Hosts of this wave of which nothing is known yet: neither confirmed nor gone bad. A host may
    /// be counted in both, so the larger of both is known, not their sum.
    pub(crate) fn open(&self) -> u32 {
        let known = self.confirmed.max(u32::try_from(self.bad).unwrap_or(u32::MAX));
        self.hosts.saturating_sub(known)
    }
}

/// One channel's count of an arm.
pub(crate) fn count(tally: &ArmTally, channel: Channel) -> Count {
    match channel {
        Channel::Silence => tally.silence,
        Channel::Report => tally.report,
        Channel::Probe => tally.probe,
    }
}

/// Each channel's counts of several waves together, against all sampled controls. `None`: overflow.
pub(crate) fn pairs(waves: &[ArmTally], controls: [&ArmTally; 2]) -> Option<[Pair; 3]> {
    let mut treated = [(0_u64, 0_u64); 3];
    for wave in waves {
        for (sum, channel) in treated.iter_mut().zip(CHANNELS) {
            let own = count(wave, channel);
            // At most 4,096 waves of 32 bits: far below 2^64.
            sum.0 += u64::from(own.new);
            sum.1 += u64::from(own.at_risk);
        }
    }
    let mut pairs = [Pair::default(); 3];
    for ((pair, (x, u)), channel) in pairs.iter_mut().zip(treated).zip(CHANNELS) {
        let [one, other] = controls.map(|arm| count(arm, channel));
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
