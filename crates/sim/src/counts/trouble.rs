//! What happens to hosts in a tick: the update's fault, and what it has no part in. Drawn per stratum, pool
//! and cohort; what of it is seen, and when, is handed to the stratum's tallies.
use super::pool::Pool;
use super::stratum::{Cohort, Stratum, What};
use super::{Due, Play, seconds, ticks_of};
use crate::random::Random;
use crate::scenario::{Outage, Place, Rate, Scenario, Shows};

impl Play<'_> {
    /// What happens to hosts in this tick: the update's fault, and everything else.
    pub(super) fn trouble(&mut self, tick: usize) {
        for stratum in 0..self.strata.len() {
            self.fault(tick, stratum);
            self.background(tick, stratum);
        }
        let common: Vec<f64> =
            self.common.iter().filter(|(when, _)| *when == tick).map(|(_, share)| *share).collect();
        for share in common {
            (0..self.strata.len()).for_each(|stratum| self.strike(tick, stratum, share));
        }
        for outage in self.scenario.outages.clone() {
            if let Outage::Sites { sites, per_h } = outage {
                let mean = f64::from(sites) * per_h * self.beat_s / 3600.0;
                for _ in 0..self.random.poisson(mean) {
                    let share = 1.0 / f64::from(sites.max(1));
                    (0..self.strata.len()).for_each(|stratum| self.strike(tick, stratum, share));
                }
            }
        }
    }

    fn fault(&mut self, tick: usize, stratum: usize) {
        let Some(fault) = &self.scenario.fault else { return };
        let shows = fault.shows;
        for cohort in 0..self.strata[stratum].cohorts.len() {
            let Cohort { doomed, tick: born, .. } = self.strata[stratum].cohorts[cohort];
            if doomed == 0 {
                continue;
            }
            let crashes = match shows {
                Shows::AtLoad if tick == born => doomed,
                Shows::AtLoad => 0,
                Shows::After(after_s) if tick - born == ticks_of(after_s, self.beat_s) => doomed,
                Shows::After(_) => 0,
                Shows::NextBoot { boots_per_h } => {
                    let p = -(-boots_per_h * self.beat_s / 3600.0).exp_m1();
                    self.random.binomial(doomed, p)
                }
            };
            self.crash(tick, stratum, cohort, crashes);
        }
    }

    fn crash(&mut self, tick: usize, stratum: usize, cohort: usize, hosts: u32) {
        if hosts == 0 {
            return;
        }
        let Some(fault) = &self.scenario.fault else { return };
        let speak = self.random.binomial(hosts, fault.reports_share);
        let healing = self.scenario.healing;
        let healed = self.healed(hosts);
        self.strata[stratum].lose(cohort, hosts, hosts, 0);
        self.out.crashed += u64::from(hosts);
        self.out.hands += u64::from(hosts - healed);
        self.event(tick, 2, stratum, hosts);
        let back = ticks_of(healing.after_s, self.beat_s);
        self.see_later(tick + 1, stratum, cohort, speak, What::Report);
        self.see_later(tick + self.lag, stratum, cohort, hosts - speak, What::Silence);
        let late = healed.saturating_sub(speak);
        self.see_later(tick + back.max(self.lag + 1), stratum, cohort, late, What::LateReport);
    }

    /// Crashed hosts that come back by themselves; all others need hands.
    pub(super) fn healed(&mut self, hosts: u32) -> u32 {
        let healing = self.scenario.healing;
        if healing.broken { 0 } else { self.random.binomial(hosts, healing.share) }
    }

    pub(super) fn see_later(
        &mut self,
        when: usize,
        stratum: usize,
        cohort: usize,
        hosts: u32,
        what: What,
    ) {
        if hosts > 0
            && let Some(due) = self.due.get_mut(when)
        {
            due.push(Due { stratum, cohort, hosts, what });
        }
    }

    /// Hosts fall silent for reasons of their own, at the same rate wherever they stand.
    fn background(&mut self, tick: usize, stratum: usize) {
        let p = self.background_p(tick);
        let seen = tick + self.lag;
        let (own, random) = (&mut self.strata[stratum], &mut self.random);
        let mut pools: Vec<&mut Pool> = vec![&mut own.idle];
        pools.extend(&mut own.controls);
        pools.extend(own.waves.iter_mut().map(|wave| &mut wave.pending));
        for pool in pools.into_iter().filter(|pool| pool.alive > 0) {
            let lost = random.binomial(pool.alive, p);
            pool.lose(lost, seen);
        }
        let lost = random.binomial(own.active, p);
        for _ in 0..lost {
            if let Some(cohort) = self.strata[stratum].any_cohort(&mut self.random) {
                self.lose_one(seen, stratum, cohort);
            }
        }
        self.event(tick, 4, stratum, lost);
    }

    fn lose_one(&mut self, seen: usize, stratum: usize, cohort: usize) {
        let Cohort { alive, doomed, fakes, .. } = self.strata[stratum].cohorts[cohort];
        let which = self.random.below(u64::from(alive));
        let was_doomed = which < u64::from(doomed);
        let was_fake = !was_doomed && which < u64::from(doomed) + u64::from(fakes);
        self.strata[stratum].lose(cohort, 1, u32::from(was_doomed), u32::from(was_fake));
        let what = if was_fake { What::LateSilence } else { What::Silence };
        self.see_later(seen, stratum, cohort, 1, what);
    }

    /// Probability of a first silence in this tick: the quiet background, and flapping hosts that have
    /// not been silent before.
    fn background_p(&self, tick: usize) -> f64 {
        let quiet = self.scenario.background_per_h * self.beat_s / 3600.0;
        let presence = self.scenario.presence;
        if presence.flapping_share <= 0.0 || presence.flapping_every_s <= 0.0 {
            return quiet;
        }
        let each = self.beat_s / presence.flapping_every_s;
        let fresh = presence.flapping_share
            * (-seconds(tick, self.beat_s) / presence.flapping_every_s).exp();
        quiet + fresh * each.min(1.0)
    }

    /// An outage takes this share of everybody in a stratum.
    fn strike(&mut self, tick: usize, stratum: usize, share: f64) {
        let seen = tick + self.lag;
        let (own, random) = (&mut self.strata[stratum], &mut self.random);
        let mut pools: Vec<&mut Pool> = vec![&mut own.idle];
        pools.extend(&mut own.controls);
        pools.extend(own.waves.iter_mut().map(|wave| &mut wave.pending));
        for pool in pools {
            let lost = random.binomial(pool.alive, share);
            pool.lose(lost, seen);
            pool.lose_asleep(random.binomial(pool.asleep, share));
        }
        for wave in &mut own.waves {
            wave.missed.lose_asleep(random.binomial(wave.missed.asleep, share));
        }
        for cohort in 0..self.strata[stratum].cohorts.len() {
            let Cohort { alive, doomed, fakes, .. } = self.strata[stratum].cohorts[cohort];
            let lost = self.random.binomial(alive, share);
            let doomed_lost = self.random.hypergeometric(alive, doomed, lost);
            let fakes_lost = self.random.hypergeometric(alive - doomed, fakes, lost - doomed_lost);
            self.strata[stratum].lose(cohort, lost, doomed_lost, fakes_lost);
            self.see_later(seen, stratum, cohort, lost - fakes_lost, What::Silence);
            self.see_later(seen, stratum, cohort, fakes_lost, What::LateSilence);
        }
        self.event(tick, 5, stratum, 1);
    }
}

impl Stratum {
    /// Hosts of a cohort are gone, so many of them doomed, so many that lie.
    fn lose(&mut self, cohort: usize, hosts: u32, doomed: u32, fakes: u32) {
        let cohort = &mut self.cohorts[cohort];
        cohort.alive -= hosts;
        cohort.doomed -= doomed;
        cohort.fakes -= fakes;
        self.active -= hosts;
    }
}

/// Per stratum: the share of hosts that the update crashes, drawn for this run.
pub(super) fn rates(scenario: &Scenario, sizes: &[u32], random: &mut Random) -> Vec<f64> {
    let Some(fault) = &scenario.fault else { return vec![0.0; sizes.len()] };
    let rate = match fault.rate {
        Rate::Fixed(rate) => rate,
        Rate::LogUniform { low, high } => (low.ln() + random.unit() * (high / low).ln()).exp(),
    };
    let only = match fault.place {
        Place::Everywhere => None,
        Place::StratumRank(rank) => Some(usize::from(rank).saturating_sub(1)),
        Place::AnyStratumOrAll { hosts_min } => {
            let large: Vec<usize> =
                (0..sizes.len()).filter(|at| u64::from(sizes[*at]) >= hosts_min).collect();
            let drawn = random.below(large.len() as u64 + 1);
            usize::try_from(drawn).ok().and_then(|drawn| large.get(drawn).copied())
        }
    };
    let own = |at: usize| if only.is_none_or(|only| only == at) { rate } else { 0.0 };
    (0..sizes.len()).map(own).collect()
}

/// When common outages strike in this run.
pub(super) fn common(scenario: &Scenario, beat_s: f64, random: &mut Random) -> Vec<(usize, f64)> {
    let strikes = scenario.outages.iter().filter_map(|outage| match outage {
        Outage::Common { at_s, share } => Some((*at_s, *share)),
        Outage::Sites { .. } => None,
    });
    let mut out = Vec::new();
    for (at_s, share) in strikes {
        let when = if at_s < 0.0 { random.unit() * -at_s } else { at_s };
        out.push((ticks_of(when, beat_s).max(1), share));
    }
    out
}
