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

/// A channel's counts of several waves together, against all sampled controls. `None`: overflow.
pub(crate) fn pair<'a>(
    waves: impl Iterator<Item = &'a ArmTally>,
    controls: [&ArmTally; 2],
    channel: Channel,
) -> Option<Pair> {
    let [one, other] = controls.map(|arm| count(arm, channel));
    let mut pair = Pair {
        x: 0,
        u: 0,
        y: one.new.checked_add(other.new)?,
        c: one.at_risk.checked_add(other.at_risk)?,
    };
    for wave in waves {
        let own = count(wave, channel);
        pair.x = pair.x.checked_add(own.new)?;
        pair.u = pair.u.checked_add(own.at_risk)?;
    }
    Some(pair)
}

/// Counts stay below 2^53 ([`andon_model::limits::HOSTS_MAX`] per tick), so this is exact.
#[expect(clippy::cast_precision_loss, reason = "counts of hosts are far below 2^53")]
pub(crate) const fn as_f64(count: u64) -> f64 {
    count as f64
}
