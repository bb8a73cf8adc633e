//! Play by counts: per stratum and cohort, not per host, so that twenty thousand rollouts of millions
//! of hosts take minutes. It plays hosts and network only; what is decided is the controller's.
//!
//! One tick is one beat. A host that falls silent in a tick is seen to be silent `silent_after` later,
//! treated hosts and controls alike. An order of hosts that is random within strata makes every
//! prefix a draw without replacement, so pools and hypergeometric draws lose nothing.
mod pool;
mod stratum;

use crate::andon::START;
use crate::controller::{Controller, Shape, Sight, Standing};
use crate::outcome::{RunOutcome, TracePoint};
use crate::random::{Random, mix};
use crate::scenario::{Outage, Place, Rate, Scenario, Shows};
use andon_model::{Millis, Time};
use andon_rollout::{Observation, Window};
use pool::{LAG_MAX, Pool};
use stratum::{Ages, Stratum, What};

/// Something that will be seen of a cohort.
#[derive(Clone, Copy, Debug)]
struct Due {
    stratum: usize,
    cohort: usize,
    hosts: u32,
    what: What,
}

struct Play<'a> {
    scenario: &'a Scenario,
    controller: &'a mut dyn Controller,
    random: Random,
    strata: Vec<Stratum>,
    /// per stratum: probability that the update crashes a host
    rates: Vec<f64>,
    ages: Vec<Ages>,
    beat_s: f64,
    lag: usize,
    soak: usize,
    /// hosts covered in a tick, released over the next ones: (tick, stratum, wave, hosts)
    releases: Vec<Vec<(usize, usize, u32)>>,
    due: Vec<Vec<Due>>,
    common: Vec<(usize, f64)>,
    reads_tallies: bool,
    out: RunOutcome,
}

/// Plays one run.
pub fn run(
    scenario: &Scenario,
    controller: &mut dyn Controller,
    seed: u64,
    run: u64,
    trace: bool,
) -> RunOutcome {
    let mut play = Play::new(scenario, controller, seed, run);
    let ticks = ticks_of(scenario.ends_s, play.beat_s);
    let mut after_end = 0;
    for tick in 1..=ticks {
        play.tick(tick);
        if trace {
            play.note(tick);
        }
        match play.controller.standing() {
            Standing::Halted | Standing::Done => after_end += 1,
            Standing::Running | Standing::Held => {}
        }
        if after_end > play.lag + play.soak {
            break;
        }
    }
    play.finish()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked when read")]
fn ticks_of(seconds: f64, beat_s: f64) -> usize {
    (seconds / beat_s).ceil().clamp(0.0, 1e7) as usize
}

#[expect(clippy::cast_precision_loss, reason = "ticks and hosts are far below 2^53")]
fn seconds(tick: usize, beat_s: f64) -> f64 {
    tick as f64 * beat_s
}

impl<'a> Play<'a> {
    fn new(
        scenario: &'a Scenario,
        controller: &'a mut dyn Controller,
        seed: u64,
        run: u64,
    ) -> Play<'a> {
        let mut random = Random::new(seed, run, 1);
        let shape = controller.shape().unwrap_or_else(|| Shape {
            strata: scenario.sizes(),
            beat_s: 5.0,
            silent_after_s: 15.0,
            window_s: 10.0,
            horizons_s: Vec::new(),
            budget: Vec::new(),
            controls: vec![0; scenario.sizes().len()],
            gauge_every: vec![2; scenario.sizes().len()],
        });
        let in_ticks = |seconds: f64| ticks_of(seconds, shape.beat_s);
        let lag = in_ticks(shape.silent_after_s).min(LAG_MAX - 1);
        let end = |after: &f64| (lag, lag + in_ticks(shape.window_s + after));
        let by_wave = shape.horizons_s.iter().any(|after| *after > 0.0);
        let strata: Vec<Stratum> = shape
            .strata
            .iter()
            .zip(shape.controls.iter().zip(&shape.gauge_every))
            .map(|(size, sample)| Stratum::new(*size, sample, shape.horizons_s.len(), by_wave))
            .collect();
        let ticks = ticks_of(scenario.ends_s, shape.beat_s) + 2;
        let rates = rates(scenario, &shape.strata, &mut random);
        let common = common(scenario, shape.beat_s, &mut random);
        let reads_tallies = controller.reads_tallies();
        let mut play = Play {
            scenario,
            random,
            strata,
            rates,
            ages: shape.horizons_s.iter().map(end).collect(),
            beat_s: shape.beat_s,
            lag,
            soak: in_ticks(shape.window_s),
            releases: vec![Vec::new(); ticks],
            due: vec![Vec::new(); ticks],
            common,
            reads_tallies,
            out: RunOutcome::default(),
            controller,
        };
        play.cover(0, None);
        play
    }

    fn tick(&mut self, tick: usize) {
        self.release(tick);
        self.deliver(tick);
        self.trouble(tick);
        let mut windows: Vec<Vec<Window>> = Vec::with_capacity(self.strata.len());
        for stratum in &mut self.strata {
            windows.push(stratum.begin(tick, &self.ages, self.soak));
            self.out.events += u64::from(stratum.see_pools(tick));
        }
        for due in std::mem::take(&mut self.due[tick]) {
            self.event(tick, 3, due.stratum, due.hosts);
            let window = &mut windows[due.stratum];
            self.strata[due.stratum].see(due.cohort, due.hosts, due.what, tick, &self.ages, window);
        }
        let tallies = self.reads_tallies.then(|| Observation {
            strata: self.strata.iter().zip(windows).map(|(s, w)| s.tally(w)).collect(),
        });
        self.measure(tick);
        self.cover(tick, Some(tallies));
    }

    /// Shows the controller what is seen, and covers what it hands out.
    fn cover(&mut self, tick: usize, tallies: Option<Option<Observation>>) {
        let ended = matches!(self.controller.standing(), Standing::Halted);
        let seen: Vec<_> = self.strata.iter().map(Stratum::seen).collect();
        let tallies = tallies.flatten();
        let sight = Sight { now: at(tick, self.beat_s), seen: &seen, tallies: tallies.as_ref() };
        let handed = self.controller.tick(&sight).to_vec();
        if self.controller.standing() == Standing::Halted {
            if !ended {
                self.out.halted_s = Some(seconds(tick, self.beat_s));
                self.out.false_halt = self.scenario.fault.is_none();
                self.event(tick, 9, 0, 1);
            }
            return;
        }
        let waves = self.controller.waves().len().max(1);
        let spread = ticks_of(self.scenario.delivery.within_s, self.beat_s).max(1);
        for (at, handed) in handed.iter().enumerate() {
            let mut left = self.strata[at].cover(*handed, waves, &mut self.random);
            self.out.handed += u64::from(left);
            for step in 0..spread {
                let share = 1.0 / f64::from(u32::try_from(spread - step).unwrap_or(1));
                let now = self.random.binomial(left, share);
                left -= now;
                let when = (tick + 1 + step).min(self.releases.len() - 1);
                if now > 0 {
                    self.releases[when].push((at, waves - 1, now));
                }
            }
        }
    }

    fn release(&mut self, tick: usize) {
        for (stratum, wave, hosts) in std::mem::take(&mut self.releases[tick]) {
            self.strata[stratum].waves[wave].released += hosts;
        }
    }

    /// Hosts fetch, oldest tickets first, no more than the network carries.
    fn deliver(&mut self, tick: usize) {
        if self.controller.standing() == Standing::Halted {
            return;
        }
        let per_tick = f64::from(self.scenario.delivery.hosts_per_s) * self.beat_s;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded")]
        let mut left = per_tick.clamp(0.0, 1e12) as u64;
        let waves = self.strata.iter().map(|s| s.waves.len()).max().unwrap_or(0);
        for wave in 0..waves {
            let asked: u64 = self
                .strata
                .iter()
                .map(|s| s.waves.get(wave).map_or(0, |w| u64::from(w.released)))
                .sum();
            if asked == 0 {
                continue;
            }
            let (mut given, room) = (0, left.min(asked));
            let mut carried = 0_u64;
            for at in 0..self.strata.len() {
                let own = self.strata[at].waves.get(wave).map_or(0, |w| u64::from(w.released));
                // Shares in proportion; what does not divide is carried to the next stratum.
                let share = own * room + carried;
                let hosts = share / asked;
                carried = share % asked;
                let hosts = u32::try_from(hosts.min(own)).unwrap_or(u32::MAX);
                self.activate(tick, at, wave, hosts);
                given += u64::from(hosts);
            }
            left -= given.min(left);
            if left == 0 {
                break;
            }
        }
    }

    fn activate(&mut self, tick: usize, stratum: usize, wave: usize, hosts: u32) {
        if hosts == 0 {
            return;
        }
        let rate = self.rates[stratum];
        let alive = self.strata[stratum].deliver(wave, hosts, tick, rate, &mut self.random);
        if alive > 0 {
            self.out.exposed += u64::from(alive);
            self.event(tick, 1, stratum, alive);
        }
    }

    /// What happens to hosts in this tick: the update's fault, and everything else.
    fn trouble(&mut self, tick: usize) {
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
        self.strata[stratum].lose(cohort, hosts, hosts);
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
    fn healed(&mut self, hosts: u32) -> u32 {
        let healing = self.scenario.healing;
        if healing.broken { 0 } else { self.random.binomial(hosts, healing.share) }
    }

    fn see_later(&mut self, when: usize, stratum: usize, cohort: usize, hosts: u32, what: What) {
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
        let Cohort { alive, doomed, .. } = self.strata[stratum].cohorts[cohort];
        let was_doomed = self.random.below(u64::from(alive)) < u64::from(doomed);
        self.strata[stratum].lose(cohort, 1, u32::from(was_doomed));
        self.see_later(seen, stratum, cohort, 1, What::Silence);
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
        }
        for cohort in 0..self.strata[stratum].cohorts.len() {
            let Cohort { alive, doomed, .. } = self.strata[stratum].cohorts[cohort];
            let lost = self.random.binomial(alive, share);
            let lost_doomed = self.random.hypergeometric(alive, doomed, lost);
            self.strata[stratum].lose(cohort, lost, lost_doomed);
            self.see_later(seen, stratum, cohort, lost, What::Silence);
        }
        self.event(tick, 5, stratum, 1);
    }

    fn measure(&mut self, tick: usize) {
        let delivered: u64 = self.strata.iter().map(|s| u64::from(s.delivered)).sum();
        let waiting: u64 = self.strata.iter().map(|s| u64::from(s.waiting())).sum();
        let now = Some(seconds(tick, self.beat_s));
        if self.out.t99_s.is_none() && delivered > 0 && waiting * 99 <= delivered {
            self.out.t99_s = now;
        }
        if self.out.confirmed99_s.is_none() && self.out.t99_s.is_some() {
            let confirmed: u64 =
                self.strata.iter().flat_map(|s| &s.waves).map(|w| u64::from(w.confirmed)).sum();
            if confirmed * 100 >= delivered * 99 {
                self.out.confirmed99_s = now;
            }
        }
    }

    fn event(&mut self, tick: usize, kind: u64, stratum: usize, hosts: u32) {
        let place = (tick as u64) << 24 ^ (stratum as u64) << 4 ^ kind;
        self.out.trace_hash = mix(self.out.trace_hash ^ mix(place) ^ u64::from(hosts));
        self.out.events += u64::from(hosts);
    }

    fn note(&mut self, tick: usize) {
        self.out.trace.push(TracePoint {
            at_s: seconds(tick, self.beat_s),
            exposed: self.out.exposed,
            crashed: self.out.crashed,
            e: self.controller.evidence(),
        });
    }

    /// Whoever is doomed crashes in the end: nobody takes the update away from a healthy host.
    fn finish(mut self) -> RunOutcome {
        let cohorts = self.strata.iter().flat_map(|s| &s.cohorts);
        let doomed: Vec<u32> = cohorts.map(|cohort| cohort.doomed).collect();
        for hosts in doomed {
            self.out.crashed += u64::from(hosts);
            self.out.hands += u64::from(hosts - self.healed(hosts));
        }
        let shows_s = match self.scenario.fault.as_ref().map(|fault| fault.shows) {
            None => return self.out,
            Some(Shows::AtLoad) => 0.0,
            Some(Shows::After(after_s)) => after_s,
            Some(Shows::NextBoot { .. }) => f64::INFINITY,
        };
        if let Some(shape) = self.controller.shape() {
            let promised = shape.horizons_s.iter().zip(&shape.budget);
            let within = promised.filter(|(after_s, _)| **after_s >= shows_s);
            self.out.violations =
                within.filter(|(_, budget)| self.out.crashed > **budget).count() as u64;
        }
        self.out
    }
}

use stratum::Cohort;

impl Stratum {
    /// Hosts of a cohort are gone, so many of them doomed.
    fn lose(&mut self, cohort: usize, hosts: u32, doomed: u32) {
        let cohort = &mut self.cohorts[cohort];
        cohort.alive -= hosts;
        cohort.doomed -= doomed;
        self.active -= hosts;
    }
}

fn at(tick: usize, beat_s: f64) -> Time {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
    let elapsed = (seconds(tick, beat_s) * 1000.0) as u64;
    START.plus(Millis(elapsed))
}

/// Per stratum: the share of hosts that the update crashes, drawn for this run.
fn rates(scenario: &Scenario, sizes: &[u32], random: &mut Random) -> Vec<f64> {
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
fn common(scenario: &Scenario, beat_s: f64, random: &mut Random) -> Vec<(usize, f64)> {
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
