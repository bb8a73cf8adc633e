//! The gate itself: folds observations into e-processes and sums. Judgement is in `verdict`.
use super::eprocess::{EProcess, ln_mean_exp};
use super::horizon::{Horizon, Loudness};
use super::tally::{Cell, pairs};
use crate::event::{Observation, StratumTally};
use crate::plan::Plan;
use andon_model::{Millis, Time};

/// All evidence of a rollout.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(super) channels: [EProcess; 3],
    pub(super) cells: Vec<Vec<Cell>>,
    loudness: Loudness,
    /// one per point of the budget
    pub(super) horizons: Vec<Horizon>,
    pub(super) controls_bad: Vec<u64>,
    /// per stratum: treated and controls at risk of silence at the latest tick
    pub(super) at_risk: Vec<(u64, u64)>,
}

impl Gate {
    pub(crate) fn new(plan: &Plan) -> Gate {
        let strata = plan.strata.len();
        let background = plan.background_ppm_per_h;
        let horizon =
            |point: &(Millis, u64)| Horizon::new(strata, plan.timing.window, *point, background);
        Gate {
            channels: std::array::from_fn(|_| EProcess::new(strata)),
            cells: vec![Vec::new(); strata],
            loudness: Loudness::new(background),
            horizons: plan.budget.iter().map(horizon).collect(),
            controls_bad: vec![0; strata],
            at_risk: vec![(0, 0); strata],
        }
    }

    /// A ticket was issued: one more wave, so many hosts per stratum.
    pub(crate) fn add_wave(&mut self, hosts: &[u32]) {
        let waves = self.cells.first().map_or(0, Vec::len);
        let handed = self.cells.iter().flatten().map(|cell| u64::from(cell.hosts)).sum();
        for horizon in &mut self.horizons {
            horizon.ticket(waves, handed);
        }
        for (cells, hosts) in self.cells.iter_mut().zip(hosts) {
            cells.push(Cell::new(*hosts));
        }
    }

    /// Takes one tick that was found to add up; `fresh[wave]`: handed so lately that it belongs to
    /// the fresh band. `None`: a sum overflowed.
    pub(crate) fn observe(&mut self, now: Time, seen: &Observation, fresh: &[bool]) -> Option<()> {
        for (stratum, tally) in seen.strata.iter().enumerate() {
            self.observe_channels(stratum, tally, fresh)?;
            for (cell, wave) in self.cells.get_mut(stratum)?.iter_mut().zip(&tally.waves) {
                cell.observe(wave)?;
            }
            let bad = self.controls_bad.get_mut(stratum)?;
            let new = u64::from(tally.controls.bad_new) + u64::from(tally.gauge.bad_new);
            *bad = bad.checked_add(new)?;
        }
        let tick = self.loudness.read(now, &seen.strata);
        for (at, horizon) in self.horizons.iter_mut().enumerate() {
            horizon.observe(at, &seen.strata, &tick)?;
        }
        self.ln_e().is_finite().then_some(())
    }

    fn observe_channels(&mut self, at: usize, tally: &StratumTally, fresh: &[bool]) -> Option<()> {
        // Waves are in the order of their tickets, so the fresh ones are the last.
        let young = fresh.iter().position(|fresh| *fresh).unwrap_or(tally.waves.len());
        let controls = [&tally.controls, &tally.gauge];
        let all = pairs(&tally.waves, controls)?;
        let young = pairs(tally.waves.get(young..)?, controls)?;
        for ((process, all), young) in self.channels.iter_mut().zip(all).zip(young) {
            process.observe(at, all, young);
        }
        let [silence, ..] = all;
        *self.at_risk.get_mut(at)? = (u64::from(silence.u), u64::from(silence.c));
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

    /// What is known of a stratum's waves, oldest first.
    pub(crate) fn cells(&self, stratum: usize) -> &[Cell] {
        self.cells.get(stratum).map_or(&[], Vec::as_slice)
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
    pub(crate) fn missing(&self) -> u64 {
        self.cells.iter().flatten().map(|cell| u64::from(cell.open())).sum()
    }
}
