//! A thief of the online key, and what is seen of the hosts that obeyed. They make up a wave of their own
//! that no tally knows: whoever of them is a control is still counted as one, and whoever the policy
//! covers later joins that wave.
//!
//! Which of them stand in which arm is not kept host by host. Nothing that happens to a host depends on
//! its rank, so that whatever is seen of some of them is dealt out to the arms as a draw without
//! replacement from those of which it was not seen yet.
use super::stratum::{Stratum, Wave};
use super::{Play, ticks_of};
use crate::controller::Standing;
use crate::random::Random;
use crate::scenario::{THEFT_AFTER_S, Theft};
use andon_rollout::{ArmTally, Count};

/// What has been seen of a host.
const CLEAN: usize = 0;
const SILENT: usize = 1;
const REPORTED: usize = 2;
/// a silence, and later a report
const BOTH: usize = 3;

/// The first arms; behind them come those of waves.
const ARMS_UNCOVERED: usize = 3;

/// The thief's hosts of one stratum that stand in one arm.
#[derive(Clone, Copy, Debug, Default)]
struct Arm {
    /// the policy's wave that has covered them since; without meaning for the first arms
    wave: usize,
    /// hosts by what was seen of them
    by: [u32; 4],
    silent_new: u32,
    reported_new: u32,
    bad_new: u32,
    at_risk: u32,
}

impl Arm {
    fn hosts(&self) -> u32 {
        self.by.iter().sum()
    }
    /// Takes hosts out of it at random.
    fn take(&mut self, hosts: u32, random: &mut Random) -> [u32; 4] {
        let (mut total, mut left) = (self.hosts(), hosts.min(self.hosts()));
        self.by.each_mut().map(|from| {
            let taken = random.hypergeometric(total, *from, left);
            total -= *from;
            left -= taken;
            *from -= taken;
            taken
        })
    }
}

/// What a thief reached of one stratum.
#[derive(Clone, Debug)]
pub(crate) struct Stolen {
    /// its place among the stratum's waves
    pub(crate) wave: usize,
    /// idle, compared controls, gauge; then by wave
    arms: Vec<Arm>,
}

impl Stolen {
    /// Where the policy's wave stands among the stratum's.
    pub(crate) fn place(&self, wave: usize) -> usize {
        if wave < self.wave { wave } else { wave + 1 }
    }

    /// Of what was seen of the thief's wave in this tick: in which arms.
    pub(crate) fn settle(&mut self, wave: &Wave, random: &mut Random) {
        let hosts: u32 = self.arms.iter().map(Arm::hosts).sum();
        let away = wave.pending.away() + wave.missed.away();
        for arm in &mut self.arms {
            (arm.silent_new, arm.reported_new, arm.bad_new) = (0, 0, 0);
            arm.at_risk = arm.by[CLEAN] + arm.by[REPORTED];
            arm.at_risk -= share_of(away, arm.hosts(), hosts).min(arm.at_risk);
        }
        let (silent, reported, bad) = wave.seen_now();
        let reported_first = bad - silent;
        self.see(silent, CLEAN, SILENT, random);
        self.see(reported_first, CLEAN, REPORTED, random);
        self.see(reported - reported_first, SILENT, BOTH, random);
    }

    fn see(&mut self, hosts: u32, from: usize, to: usize, random: &mut Random) {
        let mut total: u32 = self.arms.iter().map(|arm| arm.by[from]).sum();
        let mut left = hosts.min(total);
        for arm in &mut self.arms {
            let seen = random.hypergeometric(total, arm.by[from], left);
            total -= arm.by[from];
            left -= seen;
            arm.by[from] -= seen;
            arm.by[to] += seen;
            *(if to == SILENT { &mut arm.silent_new } else { &mut arm.reported_new }) += seen;
            arm.bad_new += if from == CLEAN { seen } else { 0 };
        }
    }

    /// The policy covers so many of them: idle ones, compared controls and gauge.
    pub(crate) fn cover(&mut self, hosts: [u32; 3], wave: usize, random: &mut Random) {
        let mut new = Arm { wave: self.place(wave), ..Arm::default() };
        for (arm, hosts) in self.arms.iter_mut().zip(hosts) {
            let taken = arm.take(hosts, random);
            new.by.iter_mut().zip(taken).for_each(|(sum, more)| *sum += more);
        }
        self.arms.push(new);
    }

    /// Idle ones: neither covered nor sampled.
    pub(crate) fn idle(&self) -> u32 {
        self.arms[0].hosts()
    }

    /// (silent, reported) hosts that the policy covers.
    pub(crate) fn covered(&self) -> (u32, u32) {
        let sum = |kinds: [usize; 2]| {
            let covered = self.arms.iter().skip(ARMS_UNCOVERED);
            covered.map(|arm| arm.by[kinds[0]] + arm.by[kinds[1]]).sum()
        };
        (sum([SILENT, BOTH]), sum([REPORTED, BOTH]))
    }

    /// Adds the compared controls (0) or the gauge (1) to a tally.
    pub(crate) fn join_control(&self, which: usize, thief: &Wave, tally: &mut ArmTally) {
        self.join(&self.arms[1 + which], thief, tally);
    }

    /// Adds those whom the wave at this place has covered since.
    pub(crate) fn join_wave(&self, place: usize, thief: &Wave, tally: &mut ArmTally) {
        for arm in self.arms.iter().skip(ARMS_UNCOVERED).filter(|arm| arm.wave == place) {
            self.join(arm, thief, tally);
        }
    }

    fn join(&self, arm: &Arm, thief: &Wave, tally: &mut ArmTally) {
        let add = |count: Count, new: u32, at_risk: u32| {
            Count::of(count.new + new, count.at_risk + at_risk)
        };
        let (own, hosts) = (arm.hosts(), self.arms.iter().map(Arm::hosts).sum());
        let known = arm.by[REPORTED] + arm.by[BOTH];
        tally.silence = add(tally.silence, arm.silent_new, arm.at_risk);
        tally.report = add(tally.report, arm.reported_new, own - known + arm.reported_new);
        tally.probe = add(tally.probe, 0, own);
        tally.bad_new += arm.bad_new;
        tally.confirmed += share_of(thief.confirmed, own, hosts);
        tally.fell_back += share_of(thief.fell_back, own, hosts);
        tally.hosts += own;
    }
}

/// As large a share of `count` as `part` is of `whole`, rounded down.
fn share_of(count: u32, part: u32, whole: u32) -> u32 {
    let share = u64::from(count) * u64::from(part) / u64::from(whole.max(1));
    u32::try_from(share).unwrap_or(u32::MAX)
}

impl Stratum {
    /// A thief's ticket covers everybody. Answers whom it moves, and their wave.
    fn steal(&mut self) -> (usize, u32) {
        let mut wave = Wave::default();
        let mut arms = Vec::with_capacity(ARMS_UNCOVERED);
        let [controls, gauge] = &mut self.controls;
        for pool in [&mut self.idle, controls, gauge] {
            let pool = std::mem::take(pool);
            arms.push(Arm {
                by: [pool.hosts() - pool.silent, pool.silent, 0, 0],
                ..Arm::default()
            });
            wave.hosts += pool.hosts();
            wave.pending.add(&pool);
        }
        let (place, hosts) = (self.waves.len(), wave.hosts);
        self.waves.push(wave);
        self.stolen = Some(Box::new(Stolen { wave: place, arms }));
        (place, hosts)
    }
}

impl Play<'_> {
    /// With the stolen online key: one ticket for everybody, once. Every host holds it against the pace of
    /// the tickets before it, which all of them have seen; and nobody obeys after a stop.
    pub(super) fn steal(&mut self, tick: usize) {
        let Some(first) = self.first_activation else { return };
        let theft = matches!(self.scenario.theft, Some(Theft::OnlineKey));
        let due = first + ticks_of(THEFT_AFTER_S, self.beat_s);
        if !theft || self.thief_came || tick < due {
            return;
        }
        if self.controller.standing() == Standing::Halted {
            return;
        }
        self.thief_came = true;
        let handed: u64 = self.strata.iter().map(|stratum| u64::from(stratum.handed)).sum();
        let asked: u64 = self.strata.iter().map(|stratum| u64::from(stratum.size)).sum();
        let since_s = super::seconds(tick - self.ticketed, self.beat_s);
        let pace = self.controller.pace();
        if handed == asked || !pace.is_none_or(|pace| pace.admits(handed, asked, since_s)) {
            return;
        }
        self.out.violations += 1;
        for stratum in 0..self.strata.len() {
            let (wave, hosts) = self.strata[stratum].steal();
            self.release_later(tick + 1, stratum, wave, hosts);
            self.event(tick, 11, stratum, hosts);
        }
    }
}
