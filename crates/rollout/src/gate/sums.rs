//! The gate itself: folds observations into e-processes and sums. Judgement is in `verdict`.
use super::eprocess::{EProcess, Parts, ln_mean_exp};
use super::horizon::{Horizon, Loudness};
use super::restarts::Restarts;
use super::tally::{Cell, Sums};
use crate::event::{ArmTally, Observation, StratumTally};
use crate::plan::Plan;
use andon_model::{Millis, Time};

/// All evidence of a rollout.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(super) channels: [EProcess; 3],
    /// of each channel after the latest tick: they are asked for several times a look
    pub(super) parts: [Parts; 3],
    cells: Vec<Vec<Cell>>,
    /// per stratum: treated hosts gone bad so far
    pub(super) bad: Vec<u64>,
    /// hosts of all waves, and how they stand after the latest tick
    handed: u64,
    confirmed: u64,
    fell_back: u64,
    open: u64,
    loudness: Loudness,
    /// one per point of the budget
    pub(super) horizons: Vec<Horizon>,
    pub(super) controls_bad: Vec<u64>,
    /// per stratum: treated and controls at risk of silence at the latest tick
    pub(super) at_risk: Vec<(u64, u64)>,
    pub(super) restarts: Restarts,
}

impl Gate {
    pub(crate) fn new(plan: &Plan) -> Gate {
        let strata = plan.strata.len();
        let background = plan.background_ppm_per_h;
        let horizon =
            |point: &(Millis, u64)| Horizon::new(strata, plan.timing.window, *point, background);
        let channels = std::array::from_fn(|_| EProcess::new(strata));
        Gate {
            parts: channels.each_ref().map(EProcess::parts),
            channels,
            cells: vec![Vec::new(); strata],
            bad: vec![0; strata],
            handed: 0,
            confirmed: 0,
            fell_back: 0,
            open: 0,
            loudness: Loudness::new(background),
            horizons: plan.budget.iter().map(horizon).collect(),
            controls_bad: vec![0; strata],
            at_risk: vec![(0, 0); strata],
            restarts: Restarts::new(strata, plan.watch.restart_missed_ppm),
        }
    }

    /// A ticket was issued: one more wave, so many hosts per stratum.
    pub(crate) fn add_wave(&mut self, hosts: &[u32]) {
        let waves = self.cells.first().map_or(0, Vec::len);
        for horizon in &mut self.horizons {
            horizon.ticket(waves, self.handed);
        }
        for (cells, hosts) in self.cells.iter_mut().zip(hosts) {
            cells.push(Cell { hosts: *hosts, bad: 0 });
            self.handed += u64::from(*hosts);
            self.open += u64::from(*hosts);
        }
    }

    /// One stratum's waves of one tick, summed; `fresh[wave]`: handed so lately that it belongs to the
    /// fresh band. A wave's hosts and those gone bad before are shown to `check` on the way.
    pub(crate) fn sums<E>(
        &self,
        stratum: usize,
        waves: &[ArmTally],
        fresh: &[bool],
        mut check: impl FnMut(&ArmTally, Cell) -> Result<(), E>,
    ) -> Result<Sums, E> {
        let mut sums = Sums::default();
        let cells = self.cells.get(stratum).map_or(&[][..], Vec::as_slice);
        // Waves are in the order of their tickets, so the fresh ones are the last.
        let young = fresh.iter().position(|fresh| *fresh).unwrap_or(waves.len());
        for (at, (wave, cell)) in waves.iter().zip(cells).enumerate() {
            check(wave, *cell)?;
            sums.add(wave, cell.bad, at >= young);
        }
        Ok(sums)
    }

    /// Takes one tick that was found to add up; `sums`: of each stratum's waves. `None`: a sum
    /// overflowed.
    pub(crate) fn observe(&mut self, now: Time, seen: &Observation, sums: &[Sums]) -> Option<()> {
        let (mut confirmed, mut fell_back, mut open) = (0, 0, 0);
        for (stratum, (tally, sums)) in seen.strata.iter().zip(sums).enumerate() {
            self.observe_channels(stratum, tally, sums)?;
            self.observe_bad(stratum, tally, sums)?;
            self.restarts.observe(stratum, tally, *self.controls_bad.get(stratum)?)?;
            confirmed += sums.confirmed;
            fell_back += sums.fell_back;
            open += sums.open;
        }
        (self.confirmed, self.fell_back, self.open) = (confirmed, fell_back, open);
        self.parts = self.channels.each_ref().map(EProcess::parts);
        self.restarts.close(self.handed);
        let tick = self.loudness.read(now, &seen.strata);
        for (at, horizon) in self.horizons.iter_mut().enumerate() {
            horizon.observe(at, &seen.strata, &tick)?;
        }
        (self.ln_e().is_finite() && self.restarts.ln_e().is_finite()).then_some(())
    }

    fn observe_channels(&mut self, at: usize, tally: &StratumTally, sums: &Sums) -> Option<()> {
        let [all, young] = sums.pairs([&tally.controls, &tally.gauge])?;
        for ((process, all), young) in self.channels.iter_mut().zip(all).zip(young) {
            process.observe(at, all, young);
        }
        let [silence, ..] = all;
        *self.at_risk.get_mut(at)? = (u64::from(silence.u), u64::from(silence.c));
        Some(())
    }

    fn observe_bad(&mut self, at: usize, tally: &StratumTally, sums: &Sums) -> Option<()> {
        if sums.bad_new > 0 {
            for (cell, wave) in self.cells.get_mut(at)?.iter_mut().zip(&tally.waves) {
                cell.bad = cell.bad.checked_add(wave.bad_new)?;
            }
            let bad = self.bad.get_mut(at)?;
            *bad = bad.checked_add(sums.bad_new)?;
        }
        let bad = self.controls_bad.get_mut(at)?;
        let new = u64::from(tally.controls.bad_new) + u64::from(tally.gauge.bad_new);
        *bad = bad.checked_add(new)?;
        Some(())
    }

    /// ln E: the average over the channels.
    pub(crate) fn ln_e(&self) -> f64 {
        ln_mean_exp(self.parts.iter().map(Parts::ln_e))
    }

    /// ln E of one stratum alone.
    pub(crate) fn ln_stratum(&self, stratum: usize) -> f64 {
        ln_mean_exp(self.channels.iter().map(|channel| channel.ln_stratum(stratum)))
    }

    /// Sums over all waves and strata: confirmed, gone bad, fell back.
    pub(crate) fn outcomes(&self) -> (u64, u64, u64) {
        (self.confirmed, self.bad.iter().sum(), self.fell_back)
    }

    /// Handed hosts of which nothing is known yet.
    pub(crate) fn missing(&self) -> u64 {
        self.open
    }
}
