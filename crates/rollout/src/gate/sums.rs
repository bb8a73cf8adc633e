//! The gate itself: folds observations into e-processes and sums. Judgement is in `verdict`.
use super::eprocess::{EProcess, Pair, ln_mean_exp};
use super::tally::{CHANNELS, Cell, Failures, as_f64, pair};
use crate::event::{Observation, StratumTally};
use andon_model::{Millis, Time};

/// What the gate must know of a wave's age at a tick.
#[derive(Clone, Debug)]
pub(crate) struct WaveAge {
    /// it belongs to the fresh band
    pub fresh: bool,
    /// per horizon: a failure now counts against it
    pub counts: Vec<bool>,
}

/// All evidence of a rollout.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(super) channels: [EProcess; 3],
    pub(super) cells: Vec<Vec<Cell>>,
    /// per stratum, per horizon
    pub(super) failures: Vec<Vec<Failures>>,
    pub(super) controls_bad: Vec<u64>,
    /// per stratum: treated and controls at risk of silence at the latest tick
    pub(super) at_risk: Vec<(u64, u64)>,
    pub(super) longest: Millis,
}

impl Gate {
    pub(crate) fn new(strata: usize, budget: &[(Millis, u64)]) -> Gate {
        Gate {
            channels: std::array::from_fn(|_| EProcess::new(strata)),
            cells: vec![Vec::new(); strata],
            failures: vec![vec![Failures::default(); budget.len()]; strata],
            controls_bad: vec![0; strata],
            at_risk: vec![(0, 0); strata],
            longest: budget.last().map_or(Millis::ZERO, |point| point.0),
        }
    }

    /// A ticket was issued: one more wave, so many hosts per stratum.
    pub(crate) fn add_wave(&mut self, hosts: &[u32]) {
        for (cells, hosts) in self.cells.iter_mut().zip(hosts) {
            cells.push(Cell::new(*hosts));
        }
    }

    /// Takes one tick that was found to add up. `None`: a sum overflowed.
    pub(crate) fn observe(
        &mut self,
        now: Time,
        seen: &Observation,
        ages: &[WaveAge],
    ) -> Option<()> {
        for (stratum, tally) in seen.strata.iter().enumerate() {
            self.observe_channels(stratum, tally, ages)?;
            self.observe_failures(stratum, tally, ages)?;
            for (cell, wave) in self.cells.get_mut(stratum)?.iter_mut().zip(&tally.waves) {
                cell.observe(now, wave, self.longest)?;
            }
            let bad = self.controls_bad.get_mut(stratum)?;
            *bad = bad.checked_add(u64::from(tally.controls.bad_new))?;
        }
        self.ln_e().is_finite().then_some(())
    }

    fn observe_channels(
        &mut self,
        at: usize,
        tally: &StratumTally,
        ages: &[WaveAge],
    ) -> Option<()> {
        let fresh = |wave: usize| ages.get(wave).is_some_and(|age| age.fresh);
        for (process, channel) in self.channels.iter_mut().zip(CHANNELS) {
            let all = pair(tally.waves.iter(), &tally.controls, channel)?;
            let young = tally.waves.iter().enumerate().filter(|(wave, _)| fresh(*wave));
            let young: Pair = pair(young.map(|(_, wave)| wave), &tally.controls, channel)?;
            process.observe(at, all, young);
            if channel == super::Channel::Silence {
                *self.at_risk.get_mut(at)? = (u64::from(all.u), u64::from(all.c));
            }
        }
        Some(())
    }

    fn observe_failures(
        &mut self,
        at: usize,
        tally: &StratumTally,
        ages: &[WaveAge],
    ) -> Option<()> {
        let controls = tally.controls;
        let rate = f64::from(controls.bad_new) / f64::from(controls.hosts.max(1));
        for ((wave, cell), age) in tally.waves.iter().zip(self.cells.get(at)?).zip(ages) {
            let at_risk = u64::from(cell.hosts).saturating_sub(cell.bad);
            for (failures, counts) in self.failures.get_mut(at)?.iter_mut().zip(&age.counts) {
                if *counts {
                    failures.observe(wave, at_risk, rate)?;
                }
            }
        }
        Some(())
    }

    /// ln E: the average over the channels.
    pub(crate) fn ln_e(&self) -> f64 {
        let channels = [&self.channels[0], &self.channels[1], &self.channels[2]];
        ln_mean_exp(channels.into_iter().map(|channel| channel.parts().ln_e()))
    }

    /// ln E of one stratum alone.
    pub(crate) fn ln_stratum(&self, stratum: usize) -> f64 {
        ln_mean_exp(self.channels.iter().map(|channel| channel.ln_stratum(stratum)))
    }

    /// Treated hosts gone bad so far in a wave.
    pub(crate) fn bad(&self, stratum: usize, wave: usize) -> u64 {
        self.cells.get(stratum).and_then(|cells| cells.get(wave)).map_or(0, |cell| cell.bad)
    }

    /// Sums over all waves and strata: confirmed, gone bad, fell back.
    pub(crate) fn outcomes(&self) -> (u64, u64, u64) {
        self.cells.iter().flatten().fold((0, 0, 0), |(confirmed, bad, fell_back), cell| {
            (
                confirmed + u64::from(cell.confirmed),
                bad + cell.bad,
                fell_back + u64::from(cell.fell_back),
            )
        })
    }

    /// Handed hosts of which nothing is known yet.
    pub(crate) fn missing(&self, now: Time) -> u64 {
        let open = |cell: &Cell| u64::from(cell.hosts - cell.settled(now, Millis::ZERO));
        self.cells.iter().flatten().map(open).sum()
    }

    /// Hosts of a stratum that are vouched for horizon `after` at `now`; `ripe[wave]`: its time is up.
    pub(super) fn vouched(&self, at: usize, now: Time, after: Millis, ripe: &[bool]) -> u64 {
        let cells = self.cells.get(at).map_or(&[][..], Vec::as_slice);
        let counted = cells.iter().zip(ripe).filter(|(_, ripe)| **ripe);
        counted.map(|(cell, _)| u64::from(cell.settled(now, after))).sum()
    }

    pub(super) fn failed(&self, at: usize, horizon: usize) -> (f64, f64) {
        let failures = self.failures.get(at).and_then(|list| list.get(horizon));
        failures.map_or((0.0, 0.0), |f| (as_f64(f.bad()), f.background))
    }
}
