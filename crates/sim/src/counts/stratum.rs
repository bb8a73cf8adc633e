//! One stratum by counts: who waits, who was covered when, who activated when, and what of it is seen.
use super::pool::Pool;
use super::theft::Stolen;
use crate::controller::Seen;
use crate::random::Random;
use andon_rollout::{ArmTally, Count, StratumTally, Window};

/// Hosts that activated in the same tick under the same ticket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cohort {
    pub wave: usize,
    pub tick: usize,
    pub hosts: u32,
    /// in contact
    pub alive: u32,
    /// of these, those that the update will crash
    pub doomed: u32,
    /// of these, those that lie, and have reported a crash that was none
    pub fakes: u32,
    /// seen to be bad
    pub bad: u32,
}

/// What hosts that activate are like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nature {
    /// share of the honest ones that the update crashes
    pub crashes: f64,
    /// share that belongs to an attacker: real only in that they beat
    pub liars: f64,
    /// whether these report a crash at once
    pub fake_crashes: bool,
}

/// One ticket's hosts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wave {
    pub hosts: u32,
    /// covered, not reached yet
    pub pending: Pool,
    /// covered, and gone when it was their turn
    pub missed: Pool,
    /// of the pending, those that may fetch from now on
    pub released: u32,
    /// activated and seen to be silent, or moved here silent
    pub silent: u32,
    pub reported: u32,
    pub confirmed: u32,
    pub fell_back: u32,
    silent_new: u32,
    reported_new: u32,
    bad_new: u32,
    silent_at_risk: u32,
}

/// What is seen of a host of a cohort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// its silence
    Silence,
    /// its report of a crash, by itself the first thing seen
    Report,
    /// its report of a crash after its silence was seen
    LateReport,
    /// its report of a crash that was none
    FakeReport,
    /// its silence, after a report of a crash that was none
    LateSilence,
}

/// The cohorts within one horizon's window: those from `left` up to `entered`.
#[derive(Clone, Copy, Debug, Default)]
struct Inside {
    at_risk: u32,
    entered: usize,
    left: usize,
    /// through, cumulative
    clean: u32,
}

/// Ticks of one horizon: `(lag, end)`, ages at which a cohort enters and leaves the comparison.
pub(crate) type Ages = (usize, usize);

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct Stratum {
    pub size: u32,
    pub handed: u32,
    /// neither covered nor sampled
    pub idle: Pool,
    /// sampled controls: those compared, and the gauge
    pub controls: [Pool; 2],
    gauge_every: u32,
    pub waves: Vec<Wave>,
    pub cohorts: Vec<Cohort>,
    /// alive over all cohorts
    pub active: u32,
    /// delivered to living hosts
    pub delivered: u32,
    /// per horizon
    windows: Vec<Inside>,
    /// per horizon and wave, if asked for; what happened in this tick is in it
    by_wave: Vec<Vec<Window>>,
    /// first cohort that has not reached the end of load and soak
    soaking: usize,
    seen_new: [u32; 2],
    at_risk: [u32; 2],
    /// whom a thief's ticket moved
    pub stolen: Option<Box<Stolen>>,
}

impl Wave {
    /// Seen in this tick: silent, reported; first of either.
    pub(crate) fn seen_now(&self) -> (u32, u32, u32) {
        (self.silent_new, self.reported_new, self.bad_new)
    }
}

impl Stratum {
    pub(crate) fn new(size: u32, sampled: (&u32, &u32), horizons: usize, by_wave: bool) -> Stratum {
        let from = size - *sampled.0.min(&size);
        let gauge_every = *sampled.1.max(&2);
        let gauge = size / gauge_every - from / gauge_every;
        Stratum {
            size,
            handed: 0,
            idle: Pool::of(from),
            controls: [Pool::of(size - from - gauge), Pool::of(gauge)],
            gauge_every,
            waves: Vec::new(),
            cohorts: Vec::new(),
            active: 0,
            delivered: 0,
            windows: vec![Inside::default(); horizons],
            by_wave: vec![Vec::new(); if by_wave { horizons } else { 0 }],
            soaking: 0,
            seen_new: [0; 2],
            at_risk: [0; 2],
            stolen: None,
        }
    }

    /// Hosts in contact that do not have it yet.
    pub(crate) fn waiting(&self) -> u32 {
        let covered: u32 = self.waves.iter().map(|wave| wave.pending.alive).sum();
        self.idle.alive + self.controls[0].alive + self.controls[1].alive + covered
    }

    /// Hosts that may yet wake.
    pub(crate) fn asleep(&self) -> u32 {
        let covered: u32 =
            self.waves.iter().map(|wave| wave.pending.asleep + wave.missed.asleep).sum();
        self.idle.asleep + self.controls[0].asleep + self.controls[1].asleep + covered
    }

    /// Covers hosts up to `handed`, under the newest of `waves` tickets. Answers how many have their turn
    /// now.
    pub(crate) fn cover(&mut self, handed: u32, waves: usize, random: &mut Random) -> u32 {
        if self.stolen.is_some() {
            self.cover_stolen(handed, waves, random);
            return 0;
        }
        self.waves.resize_with(waves, Wave::default);
        let more = handed.saturating_sub(self.handed);
        if more == 0 {
            return 0;
        }
        let idle = more.min(self.idle.hosts());
        let mut pool = self.idle.take(idle, random);
        // Beyond the idle ones the prefix takes sampled ranks, the gauge's among them.
        let from = self.handed + idle;
        let sampled = more - idle;
        let gauge = self.gauges(from, sampled);
        pool.add(&self.controls[0].take(sampled - gauge, random));
        pool.add(&self.controls[1].take(gauge, random));
        self.handed = handed;
        if let Some(wave) = self.waves.last_mut() {
            wave.hosts += more;
            wave.pending.add(&pool);
        }
        more
    }

    /// How many of `hosts` ranks from `from` on are the gauge's.
    fn gauges(&self, from: u32, hosts: u32) -> u32 {
        (from + hosts) / self.gauge_every - from / self.gauge_every
    }

    /// The same once a thief has covered everybody: nobody is moved who is not on the way already.
    fn cover_stolen(&mut self, handed: u32, waves: usize, random: &mut Random) {
        self.waves.resize_with(waves + 1, Wave::default);
        let more = handed.saturating_sub(self.handed);
        let idle = self.stolen.as_ref().map_or(0, |stolen| more.min(stolen.idle()));
        let gauge = self.gauges(self.handed + idle, more - idle);
        if let Some(stolen) = self.stolen.as_mut().filter(|_| more > 0) {
            stolen.cover([idle, more - idle - gauge, gauge], waves - 1, random);
            self.handed = handed;
        }
    }

    /// Lets up to `hosts` of a wave's released hosts fetch and activate. Answers the cohort's size.
    pub(crate) fn deliver(
        &mut self,
        wave: usize,
        hosts: u32,
        tick: usize,
        nature: Nature,
        random: &mut Random,
    ) -> u32 {
        let Some(from) = self.waves.get_mut(wave) else { return 0 };
        from.released -= hosts.min(from.released);
        let mut taken = from.pending.take(hosts, random);
        let alive = std::mem::take(&mut taken.alive);
        from.missed.add(&taken);
        if alive == 0 {
            return 0;
        }
        let liars = random.binomial(alive, nature.liars);
        let doomed = random.binomial(alive - liars, nature.crashes);
        let fakes = if nature.fake_crashes { liars } else { 0 };
        self.cohorts.push(Cohort { wave, tick, hosts: alive, alive, doomed, fakes, bad: 0 });
        self.active += alive;
        self.delivered += alive;
        alive
    }

    /// Cohorts enter and leave the comparison; sums at risk are those before anything is seen.
    pub(crate) fn begin(&mut self, tick: usize, ages: &[Ages], soak: usize) -> Vec<Window> {
        let cohorts = &self.cohorts;
        let mut out = Vec::with_capacity(ages.len());
        let mut by_wave = self.by_wave.iter_mut();
        for (inside, (lag, end)) in self.windows.iter_mut().zip(ages) {
            let mut none = Vec::new();
            let waves = by_wave.next().map_or(&mut none, |waves| {
                waves.resize_with(self.waves.len(), Window::default);
                close(waves);
                waves
            });
            while let Some(cohort) = cohorts.get(inside.left).filter(|c| tick - c.tick >= *end) {
                let hosts = cohort.hosts - cohort.bad;
                inside.clean += hosts;
                inside.at_risk -= hosts;
                inside.left += 1;
                if let Some(window) = waves.get_mut(cohort.wave) {
                    (window.clean, window.at_risk) = (window.clean + hosts, window.at_risk - hosts);
                }
            }
            while let Some(cohort) = cohorts.get(inside.entered).filter(|c| tick - c.tick >= *lag) {
                inside.at_risk += cohort.hosts - cohort.bad;
                inside.entered += 1;
                if let Some(window) = waves.get_mut(cohort.wave) {
                    window.at_risk += cohort.hosts - cohort.bad;
                }
            }
            let ages =
                cohorts[inside.left..inside.entered].iter().map(|c| (c.tick, c.hosts - c.bad));
            let Inside { at_risk, clean, .. } = *inside;
            out.push(Window { at_risk, bad: 0, clean, alike: most_alike(ages) });
        }
        while let Some(cohort) = cohorts.get(self.soaking).filter(|c| tick - c.tick >= soak) {
            self.waves[cohort.wave].confirmed += cohort.alive;
            self.soaking += 1;
        }
        for wave in &mut self.waves {
            (wave.silent_new, wave.reported_new, wave.bad_new) = (0, 0, 0);
            let away = wave.pending.away() + wave.missed.away();
            wave.silent_at_risk =
                wave.hosts - wave.silent - wave.pending.silent - wave.missed.silent - away;
        }
        self.at_risk = [self.controls[0].at_risk(), self.controls[1].at_risk()];
        out
    }

    /// Pools show who has been silent for too long.
    pub(crate) fn see_pools(&mut self, tick: usize) -> u32 {
        self.seen_new = [self.controls[0].see(tick), self.controls[1].see(tick)];
        let mut seen = self.idle.see(tick) + self.seen_new[0] + self.seen_new[1];
        for wave in &mut self.waves {
            let new = wave.pending.see(tick) + wave.missed.see(tick);
            wave.silent_new += new;
            wave.bad_new += new;
            seen += new;
        }
        seen
    }

    /// Something of a cohort is seen.
    pub(crate) fn see(
        &mut self,
        cohort: usize,
        hosts: u32,
        what: What,
        tick: usize,
        ages: &[Ages],
        windows: &mut [Window],
    ) {
        let Some(cohort) = self.cohorts.get_mut(cohort) else { return };
        let wave = &mut self.waves[cohort.wave];
        match what {
            What::Silence | What::LateSilence => {
                wave.silent += hosts;
                wave.silent_new += hosts;
            }
            What::Report | What::LateReport => {
                wave.reported += hosts;
                wave.reported_new += hosts;
                wave.fell_back += hosts;
            }
            What::FakeReport => {
                wave.reported += hosts;
                wave.reported_new += hosts;
            }
        }
        if matches!(what, What::LateReport | What::LateSilence) {
            return;
        }
        cohort.bad += hosts;
        wave.bad_new += hosts;
        let age = tick - cohort.tick;
        let mut by_wave = self.by_wave.iter_mut();
        for (((lag, end), window), inside) in ages.iter().zip(windows).zip(&mut self.windows) {
            let own = by_wave.next().and_then(|waves| waves.get_mut(cohort.wave));
            if age < *end {
                window.bad += hosts;
                if age >= *lag {
                    inside.at_risk -= hosts;
                }
                if let Some(own) = own {
                    own.bad += hosts;
                    // Taken from those at risk when the tick is over; see `close`.
                    own.alike += if age >= *lag { hosts } else { 0 };
                }
            }
        }
    }

    /// One of the cohorts, each host with the same probability.
    pub(crate) fn any_cohort(&self, random: &mut Random) -> Option<usize> {
        let mut at = random.below(u64::from(self.active));
        for (index, cohort) in self.cohorts.iter().enumerate() {
            if at < u64::from(cohort.alive) {
                return Some(index);
            }
            at -= u64::from(cohort.alive);
        }
        None
    }

    /// The gate's tallies of this tick.
    pub(crate) fn tally(&self, windows: Vec<Window>) -> StratumTally {
        let wave = |wave: &Wave| ArmTally {
            silence: Count::of(wave.silent_new, wave.silent_at_risk),
            report: Count::of(wave.reported_new, wave.hosts - wave.reported + wave.reported_new),
            probe: Count::of(0, wave.hosts),
            bad_new: wave.bad_new,
            confirmed: wave.confirmed.min(wave.hosts),
            fell_back: wave.fell_back,
            hosts: wave.hosts,
        };
        let control = |at: usize| {
            let hosts = self.controls[at].hosts();
            ArmTally {
                silence: Count::of(self.seen_new[at], self.at_risk[at]),
                report: Count::of(0, hosts),
                probe: Count::of(0, hosts),
                bad_new: self.seen_new[at],
                hosts,
                ..ArmTally::default()
            }
        };
        let mut tally = StratumTally {
            waves: self.waves.iter().map(wave).collect(),
            controls: control(0),
            gauge: control(1),
            windows,
            wave_windows: self.by_wave.iter().flatten().map(shown).collect(),
            ..StratumTally::default()
        };
        if let Some(stolen) = &self.stolen {
            self.tell_of_stolen(stolen, &mut tally);
        }
        tally
    }

    /// The thief's wave is no wave of the policy's: its hosts are told of where they stand.
    fn tell_of_stolen(&self, stolen: &Stolen, tally: &mut StratumTally) {
        let thief = &self.waves[stolen.wave];
        for (place, arm) in tally.waves.iter_mut().enumerate() {
            stolen.join_wave(place, thief, arm);
        }
        tally.waves.remove(stolen.wave);
        stolen.join_control(0, thief, &mut tally.controls);
        stolen.join_control(1, thief, &mut tally.gauge);
        let own = |waves: &Vec<Window>| {
            let policy = waves.iter().enumerate().filter(|(place, _)| *place != stolen.wave);
            policy.map(|(_, window)| shown(window)).collect::<Vec<Window>>()
        };
        tally.wave_windows = self.by_wave.iter().flat_map(own).collect();
    }

    /// What was seen in this tick of hosts that a thief moved is dealt out to their arms.
    pub(crate) fn settle(&mut self, random: &mut Random) {
        if let Some(stolen) = &mut self.stolen {
            let thief = &self.waves[stolen.wave];
            stolen.settle(thief, random);
        }
    }

    /// What a server without a gate sees.
    pub(crate) fn seen(&self) -> Seen {
        let sum = |of: fn(&Wave) -> u32| -> u32 { self.waves.iter().map(of).sum() };
        let silent = |wave: &Wave| wave.silent + wave.pending.silent + wave.missed.silent;
        let mut seen = Seen {
            hosts: self.size,
            handed: self.handed,
            delivered: self.delivered,
            confirmed: sum(|wave| wave.confirmed),
            reported: sum(|wave| wave.reported),
            silent: sum(silent),
        };
        if let Some(stolen) = &self.stolen {
            // Nobody looks at hosts that were not handed anything.
            let (thief, covered) = (&self.waves[stolen.wave], stolen.covered());
            seen.silent = seen.silent - silent(thief) + covered.0;
            seen.reported = seen.reported - thief.reported + covered.1;
        }
        seen
    }
}

/// Ends a tick: those gone bad in it, kept in `alike` till now, are no longer at risk.
fn close(waves: &mut [Window]) {
    for window in waves {
        window.at_risk -= std::mem::take(&mut window.alike);
        window.bad = 0;
    }
}

fn shown(window: &Window) -> Window {
    Window { alike: window.at_risk, ..*window }
}

/// The most hosts of one activation tick; cohorts come in the order of their ticks.
fn most_alike(cohorts: impl Iterator<Item = (usize, u32)>) -> u32 {
    let (mut most, mut tick, mut sum) = (0, usize::MAX, 0);
    for (at, hosts) in cohorts {
        sum = if at == tick { sum + hosts } else { hosts };
        tick = at;
        most = most.max(sum);
    }
    most
}
