//! The gate's memory: sums of everything observed, per wave, stratum and horizon. Not its judgement.
use super::Channel;
use super::eprocess::Pair;
use crate::event::{ArmTally, Count};
use andon_model::{Millis, Time};

/// Channels in the order of their arrays.
pub(crate) const CHANNELS: [Channel; 3] = [Channel::Silence, Channel::Report, Channel::Probe];

/// Most remembered changes of a wave's confirmations; older ones are merged towards caution.
const HISTORY_MAX: usize = 32;

/// One wave in one stratum.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    pub hosts: u32,
    pub bad: u64,
    pub confirmed: u32,
    pub fell_back: u32,
    /// (when, confirmed then), rising; only what the longest horizon still needs
    history: Vec<(Time, u32)>,
}

impl Cell {
    pub(crate) fn new(hosts: u32) -> Cell {
        Cell { hosts, ..Cell::default() }
    }

    /// Takes one tick's counts. `None`: a sum overflowed.
    pub(crate) fn observe(&mut self, now: Time, tally: &ArmTally, longest: Millis) -> Option<()> {
        self.bad = self.bad.checked_add(u64::from(tally.bad_new))?;
        self.fell_back = tally.fell_back;
        if tally.confirmed != self.confirmed {
            self.confirmed = tally.confirmed;
            if self.history.len() >= HISTORY_MAX {
                self.history.pop();
            }
            self.history.push((now, tally.confirmed));
        }
        let needed = now.minus(longest);
        while self.history.len() > 1 && self.history[1].0 <= needed {
            self.history.remove(0);
        }
        Some(())
    }

    /// Hosts of this wave whose outcome for horizon `after` is known: confirmed that long ago, or
    /// gone bad. The larger of both, never their sum: a host may be counted in both.
    pub(crate) fn settled(&self, now: Time, after: Millis) -> u32 {
        let then = now.minus(after);
        let known = self.history.iter().rev().find(|(at, _)| *at <= then);
        let confirmed = known.map_or(0, |(_, confirmed)| *confirmed).min(self.confirmed);
        confirmed.max(u32::try_from(self.bad).unwrap_or(u32::MAX)).min(self.hosts)
    }
}

/// Failures of one stratum that count against one horizon.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Failures {
    bad: u64,
    channels: [u64; 3],
    /// expected without the update, from the controls of the same ticks
    pub background: f64,
}

impl Failures {
    /// Takes one wave's tick; `rate`: the controls' share gone bad in it. `None`: overflow.
    pub(crate) fn observe(&mut self, tally: &ArmTally, at_risk: u64, rate: f64) -> Option<()> {
        self.bad = self.bad.checked_add(u64::from(tally.bad_new))?;
        for (sum, channel) in self.channels.iter_mut().zip(CHANNELS) {
            *sum = sum.checked_add(u64::from(count(tally, channel).new))?;
        }
        self.background += as_f64(at_risk) * rate;
        self.background.is_finite().then_some(())
    }
    /// Hosts gone bad: no fewer than any single channel says.
    pub(crate) fn bad(&self) -> u64 {
        self.channels.iter().copied().fold(self.bad, u64::max)
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

/// A channel's counts of several waves together, against the controls. `None`: overflow.
pub(crate) fn pair<'a>(
    waves: impl Iterator<Item = &'a ArmTally>,
    controls: &ArmTally,
    channel: Channel,
) -> Option<Pair> {
    let beside = count(controls, channel);
    let mut pair = Pair { x: 0, u: 0, y: beside.new, c: beside.at_risk };
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
