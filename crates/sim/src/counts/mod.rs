//! Play by counts: per stratum and cohort, not per host, so that twenty thousand rollouts of millions
//! of hosts take minutes. It plays hosts and network only; what is decided is the controller's.
//!
//! One tick is one beat. A host that falls silent in a tick is seen to be silent `silent_after` later,
//! treated hosts and controls alike. An order of hosts that is random within strata makes every
//! prefix a draw without replacement, so pools and hypergeometric draws lose nothing.
//! Read first: `Play` (a tick), `stratum.rs` (what is seen), `trouble.rs` (what happens to hosts).
mod attack;
mod pool;
mod presence;
mod stratum;
mod theft;
mod trouble;

use crate::andon::START;
use crate::controller::{Controller, Shape, Sight, Standing};
use crate::outcome::{RunOutcome, TracePoint};
use crate::random::{Random, mix};
use crate::scenario::{Scenario, Shows, Theft};
use andon_model::{Millis, Time};
use andon_rollout::{Observation, Window};
use attack::Infection;
use pool::LAG_MAX;
use presence::Delay;
use stratum::{Ages, Nature, Stratum, What};
use trouble::{common, rates};

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
    /// per stratum: probability that the update crashes an honest host
    rates: Vec<f64>,
    /// share of hosts that lie, and whether they report crashes that were none
    liars: (f64, bool),
    infection: Option<Infection>,
    ages: Vec<Ages>,
    beat_s: f64,
    lag: usize,
    soak: usize,
    delay: Delay,
    /// hosts covered in a tick, released over the next ones: (tick, stratum, wave, hosts)
    releases: Vec<Vec<(usize, usize, u32)>>,
    due: Vec<Vec<Due>>,
    common: Vec<(usize, f64)>,
    reads_tallies: bool,
    first_activation: Option<usize>,
    /// when hosts saw the last ticket
    ticketed: usize,
    tickets: usize,
    thief_came: bool,
    /// the controller has nothing more to decide, and what it decided has been played
    settled: bool,
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
        play.settled = after_end > play.lag + play.soak;
        if play.settled && !play.goes_on() {
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
        let liars = match scenario.theft {
            Some(Theft::Sybils { share, fake_crashes }) => (share, fake_crashes),
            _ => (0.0, false),
        };
        let rates = rates(scenario, &shape.strata, &mut random);
        let common = common(scenario, shape.beat_s, &mut random);
        let reads_tallies = controller.reads_tallies();
        let mut play = Play {
            scenario,
            random,
            strata,
            rates,
            liars,
            infection: Infection::new(scenario, &shape.strata, seed, run),
            delay: Delay::new(scenario, shape.beat_s),
            ages: shape.horizons_s.iter().map(end).collect(),
            beat_s: shape.beat_s,
            lag,
            soak: in_ticks(shape.window_s),
            releases: vec![Vec::new(); ticks],
            due: vec![Vec::new(); ticks],
            common,
            reads_tallies,
            first_activation: None,
            ticketed: 0,
            tickets: 0,
            thief_came: false,
            settled: false,
            out: RunOutcome::default(),
            controller,
        };
        let asleep_share = scenario.presence.asleep_share;
        for stratum in play.strata.iter_mut().filter(|_| asleep_share > 0.0) {
            stratum.put_to_sleep(asleep_share, &mut play.random);
        }
        play.cover(0, None);
        play
    }

    /// Whether something goes on that no controller decides about: an attack, or hosts that will wake.
    fn goes_on(&self) -> bool {
        self.infection.is_some() || self.anybody_wakes()
    }

    fn tick(&mut self, tick: usize) {
        self.wake(tick);
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
        self.infect(tick);
        self.measure(tick);
        if self.settled {
            return;
        }
        self.strata.iter_mut().for_each(|stratum| stratum.settle(&mut self.random));
        let tallies = self.reads_tallies.then(|| Observation {
            strata: self.strata.iter().zip(windows).map(|(s, w)| s.tally(w)).collect(),
        });
        self.cover(tick, Some(tallies));
        self.steal(tick);
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
        let tickets = self.controller.waves().len();
        let waves = tickets.max(1);
        let before = self.out.handed;
        for (at, handed) in handed.iter().enumerate() {
            let own_before = self.strata[at].handed;
            let turn = self.strata[at].cover(*handed, waves, &mut self.random);
            self.out.handed += u64::from(self.strata[at].handed - own_before);
            self.release_later(tick + 1, at, waves - 1, turn);
        }
        if self.out.handed > before || tickets > self.tickets {
            (self.ticketed, self.tickets) = (tick, tickets);
        }
    }

    /// Covered hosts are released from a tick on, each after its delay.
    fn release_later(&mut self, from: usize, stratum: usize, wave: usize, hosts: u32) {
        for (step, hosts) in self.delay.deal(hosts, &mut self.random) {
            let when = (from + step).min(self.releases.len() - 1);
            self.releases[when].push((stratum, wave, hosts));
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
        let (liars, fake_crashes) = self.liars;
        let nature = Nature { crashes: self.rates[stratum], liars, fake_crashes };
        let own = &mut self.strata[stratum];
        let alive = own.deliver(wave, hosts, tick, nature, &mut self.random);
        if alive > 0 {
            let (cohort, fakes) =
                (own.cohorts.len() - 1, own.cohorts.last().map_or(0, |c| c.fakes));
            self.see_later(tick, stratum, cohort, fakes, What::FakeReport);
            self.first_activation.get_or_insert(tick);
            self.out.exposed += u64::from(alive);
            self.event(tick, 1, stratum, alive);
        }
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
        self.out.infected = self.infection.as_ref().map_or(0, |it| u64::from(it.infected()));
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
            let overdrawn = within.filter(|(_, budget)| self.out.crashed > **budget).count();
            self.out.violations += overdrawn as u64;
        }
        self.out
    }
}

fn at(tick: usize, beat_s: f64) -> Time {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
    let elapsed = (seconds(tick, beat_s) * 1000.0) as u64;
    START.plus(Millis(elapsed))
}
