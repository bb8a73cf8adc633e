//! One run, tick by tick: trouble at the boundary, then the hosts' events, then whose silence has
//! lasted, then the controller looks and covers. What a host does is in `life.rs`.
use super::Census;
use super::delivery::Delivery;
use super::draws::{Draws, Purpose};
use super::fleet::{Fleet, State};
use super::grid::{Grid, Ms, ms, seconds, time};
use super::life::{Faulty, runs_update};
use super::operators::Operators;
use super::tallies::Tallies;
use super::trouble::Trouble;
use super::wheel::{Kind, Wheel};
use crate::controller::{Controller, Pace, Shape, Sight, Standing};
use crate::outcome::{RunOutcome, TracePoint};
use crate::random::{Random, mix};
use crate::scenario::{Scenario, THEFT_AFTER_S, Theft};
use std::ops::Range;

/// What is written into the trace's hash besides the kinds of [`Kind`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    Activated = 1,
    Crashed,
    Confirmed,
    Booted,
    Back,
    Gone,
    Silent,
    Reported,
    Covered,
    Halted,
}

/// A run in progress.
pub(super) struct Engine<'a> {
    pub(super) scenario: &'a Scenario,
    controller: &'a mut dyn Controller,
    pub(super) grid: Grid,
    pub(super) tick: u32,
    /// last tick of the run
    ticks: u32,
    pub(super) beat_ms: Ms,
    pub(super) silent_after_ms: Ms,
    pub(super) soak_ms: Ms,
    pub(super) draws: Draws,
    pub(super) fleet: Fleet,
    pub(super) wheel: Wheel,
    pub(super) tallies: Tallies,
    pub(super) delivery: Delivery,
    pub(super) faulty: Faulty,
    pub(super) trouble: Trouble,
    operators: Operators,
    /// horizons and budgets that crashes are held against: (D, B(D), crashed at an age up to D)
    pub(super) budget: Vec<(Ms, u64, u64)>,
    /// hosts covered per stratum, by the policy or by a thief
    covered: Vec<u32>,
    generations: usize,
    /// when hosts saw the last ticket
    ticketed: Ms,
    thief: Thief,
    pub(super) first_activation: Option<Ms>,
    pub(super) halted: bool,
    /// in contact and without the update
    pub(super) waiting: u64,
    pub(super) confirmed: u64,
    /// exposed, and still to crash
    pub(super) doomed: u64,
    trace: bool,
    hash: u64,
    pub(super) out: RunOutcome,
}

/// A thief of the online key.
#[derive(Clone, Copy, Debug)]
enum Thief {
    Absent,
    Waits,
    Done { reached: u64 },
}

impl<'a> Engine<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        controller: &'a mut dyn Controller,
        seed: u64,
        run: u64,
        trace: bool,
    ) -> Engine<'a> {
        let shape = controller.shape().unwrap_or_else(|| shape_of(scenario));
        let grid = Grid::new(shape.beat_s);
        let mut random = Random::new(seed, run, 1);
        let draws = Draws::new(seed, run);
        let mut fleet = Fleet::new(&shape.strata);
        let trouble = Trouble::new(scenario, &mut fleet, &draws, Random::new(seed, run, 2));
        let ticks = grid.ticks(scenario.ends_s);
        let theft = matches!(scenario.theft, Some(Theft::OnlineKey));
        let budget = shape.horizons_s.iter().zip(&shape.budget);
        Engine {
            grid,
            tick: 0,
            ticks,
            beat_ms: ms(shape.beat_s).max(1),
            silent_after_ms: ms(shape.silent_after_s),
            soak_ms: ms(shape.window_s),
            faulty: Faulty::new(scenario, &shape.strata, &mut random),
            operators: Operators::new(scenario.operators, &mut random),
            tallies: Tallies::new(controller.reads_tallies(), grid, &shape, &fleet),
            delivery: Delivery::new(scenario.delivery, scenario.presence.clock_skew_s),
            wheel: Wheel::new(grid, ticks),
            budget: budget.map(|(after_s, hosts)| (ms(*after_s), *hosts, 0)).collect(),
            covered: vec![0; shape.strata.len()],
            generations: 0,
            ticketed: 0,
            thief: if theft { Thief::Waits } else { Thief::Absent },
            first_activation: None,
            halted: false,
            waiting: u64::from(fleet.hosts()) - trouble.asleep() as u64,
            confirmed: 0,
            doomed: 0,
            trace,
            hash: 0,
            out: RunOutcome::default(),
            draws,
            fleet,
            trouble,
            scenario,
            controller,
        }
    }

    pub(super) fn play(&mut self) {
        self.cover_generations();
        self.tallies.close(0);
        self.look();
        for tick in 1..=self.ticks {
            self.tick = tick;
            self.wheel.turn(tick);
            self.tallies.open(tick);
            self.strike();
            self.play_hosts();
            self.look_for_silence();
            self.tallies.close(tick);
            self.spread();
            self.measure();
            if !self.over() {
                self.look();
            }
            if self.over() && self.wheel.awaited == 0 && !self.goes_on() {
                break;
            }
        }
    }

    /// Whether something goes on that no controller decides about: an attack, or hosts that will wake.
    fn goes_on(&self) -> bool {
        let wakes = self.scenario.presence.wakes_per_h > 0.0 && self.trouble.asleep() > 0;
        wakes || self.scenario.attack.is_some()
    }

    /// Whether the controller has nothing more to decide, and everybody it covered has had their turn.
    fn over(&self) -> bool {
        match self.controller.standing() {
            Standing::Running | Standing::Held => false,
            Standing::Halted => self.halted,
            Standing::Done => self.delivery.is_empty(),
        }
    }

    fn play_hosts(&mut self) {
        loop {
            let bucket = self.wheel.take();
            if bucket.is_empty() {
                return self.wheel.reuse(bucket);
            }
            let since = self.grid.at(self.tick - 1);
            for due in &bucket {
                let (host, at) = (due.host(), since.saturating_add(due.offset()));
                match due.kind() {
                    Kind::Activate => self.activate(host, at),
                    Kind::Crash => self.crash(host, at),
                    Kind::Confirm => self.confirm(host, at),
                    Kind::Boot => self.boot(host, at),
                    Kind::Up => self.up(host, at),
                    Kind::Return => self.come_back(host, at),
                }
            }
            self.wheel.reuse(bucket);
        }
    }

    pub(super) fn now(&self) -> Ms {
        self.grid.at(self.tick)
    }

    /// Writes an event down.
    #[inline]
    pub(super) fn note(&mut self, mark: Mark, host: u32) {
        // As rustc's FxHash: order matters, and one multiplication an event is all it costs.
        const ODD: u64 = 0x517c_c1b7_2722_0a95;
        let event = u64::from(self.tick) << 40 ^ (mark as u64) << 34 ^ u64::from(host);
        self.hash = (self.hash.rotate_left(5) ^ event).wrapping_mul(ODD);
        self.out.events += 1;
    }

    /// The controller looks and hands out; then whoever has their turn begins.
    fn look(&mut self) {
        let sight = Sight {
            now: time(self.now()),
            seen: &self.tallies.seen,
            tallies: self.tallies.shown(),
        };
        let handed = self.controller.tick(&sight).to_vec();
        if self.controller.standing() == Standing::Halted {
            return self.halt();
        }
        self.cover_generations();
        self.cover(&handed);
        self.steal();
        let now = self.now();
        self.delivery.turn(now, self.grid, &self.draws, &mut self.wheel);
    }

    fn halt(&mut self) {
        if !self.halted {
            self.halted = true;
            let since = self.first_activation.unwrap_or(self.now());
            self.out.halted_s = Some(seconds(self.now().saturating_sub(since)));
            self.out.false_halt = self.scenario.fault.is_none();
            self.note(Mark::Halted, 0);
        }
    }

    /// Generations that the controller tells of, one arm each.
    fn cover_generations(&mut self) {
        let waves = self.controller.waves();
        let new: Vec<Vec<u32>> =
            waves.iter().skip(self.generations).map(|wave| wave.to_vec()).collect();
        for handed in new {
            self.cover_as_generation(&handed);
        }
    }

    /// Hosts that no generation told of cover: a generation of their own.
    fn cover(&mut self, handed: &[u32]) {
        let more = |(seen, handed): (&crate::controller::Seen, &u32)| *handed > seen.handed;
        if self.tallies.seen.iter().zip(handed).any(more) {
            self.cover_as_generation(handed);
        }
    }

    fn cover_as_generation(&mut self, handed: &[u32]) {
        self.generations += 1;
        self.ticketed = self.now();
        let mut ranges = Vec::with_capacity(self.covered.len());
        for stratum in 0..self.covered.len() {
            let before = self.tallies.seen[stratum].handed;
            let asked = handed.get(stratum).copied().unwrap_or(before);
            let handed = asked.clamp(before, self.fleet.size(stratum));
            self.out.violations += u64::from(asked != handed);
            self.tallies.cover(&self.fleet, stratum, handed);
            self.out.handed += u64::from(handed - before);
            ranges.push(self.cover_stratum(stratum, handed));
        }
        self.note(Mark::Covered, u32::try_from(self.generations).unwrap_or(u32::MAX));
        self.delivery.cover(self.now(), ranges);
    }

    /// Hosts of a stratum that are newly covered when `handed` are.
    fn cover_stratum(&mut self, stratum: usize, handed: u32) -> Range<u32> {
        let first = self.fleet.first(stratum);
        let before = self.covered[stratum];
        self.covered[stratum] = handed.max(before);
        first + before..first + self.covered[stratum]
    }

    /// Whether a ticket covers a host.
    pub(super) fn is_covered(&self, stratum: usize, rank: u32) -> bool {
        !self.halted && rank < self.covered[stratum]
    }

    /// With the stolen online key: one ticket for everybody. Every host holds it against the pace of
    /// the tickets before it, which all of them have seen.
    fn steal(&mut self) {
        let Some(first) = self.first_activation else { return };
        let due = first.saturating_add(ms(THEFT_AFTER_S));
        if !matches!(self.thief, Thief::Waits) || self.now() < due {
            return;
        }
        let handed: u64 = self.covered.iter().map(|hosts| u64::from(*hosts)).sum();
        let asked = u64::from(self.fleet.hosts());
        let since_s = seconds(self.now().saturating_sub(self.ticketed));
        let believed = |pace: Pace| pace.admits(handed, asked, since_s);
        let believed = self.controller.pace().is_none_or(believed);
        let reached = if believed { asked - handed } else { 0 };
        self.thief = Thief::Done { reached };
        if reached > 0 {
            self.out.violations += 1;
            let strata = 0..self.covered.len();
            let ranges = strata.map(|at| self.cover_stratum(at, self.fleet.size(at))).collect();
            self.delivery.cover(self.now(), ranges);
        }
    }

    fn measure(&mut self) {
        let exposed = self.out.exposed;
        let Some(first) = self.first_activation else { return };
        let at_s = seconds(self.now().saturating_sub(first));
        if self.out.t99_s.is_none() && self.waiting * 99 <= exposed {
            self.out.t99_s = Some(at_s);
        }
        let reached = self.out.t99_s.is_some() && self.confirmed * 100 >= exposed * 99;
        if self.out.confirmed99_s.is_none() && reached {
            self.out.confirmed99_s = Some(at_s);
        }
        if self.trace {
            let (crashed, e) = (self.out.crashed, self.controller.evidence());
            self.out.trace.push(TracePoint { at_s, exposed, crashed, e });
        }
    }

    /// What the run came to. Whoever is doomed crashes in the end: nobody takes the update away from a
    /// healthy host.
    pub(super) fn outcome(&self) -> RunOutcome {
        let mut out = self.out.clone();
        out.crashed += self.doomed;
        out.infected = self.trouble.infected();
        out.trace_hash = mix(self.hash);
        let overdrawn = self.budget.iter().filter(|(_, hosts, crashed)| crashed > hosts).count();
        out.violations += overdrawn as u64;
        out
    }

    /// Looks at every host.
    pub(super) fn census(&mut self) -> Census {
        let mut census = Census { hosts: u64::from(self.fleet.hosts()), ..Census::default() };
        let mut owners = vec![(false, false); self.operators.count()];
        for host in 0..self.fleet.hosts() {
            let state = self.fleet.states[host as usize];
            let owner = &mut owners[self.operators.of(&self.draws, host)];
            owner.0 = true;
            owner.1 |= state.has(State::CRASHED);
            let count = |bits| u64::from(state.has(bits));
            census.exposed += count(State::ACTIVATED);
            census.crashed += count(State::CRASHED);
            census.confirmed += count(State::CONFIRMED);
            census.fell_back += count(State::FELL_BACK);
            census.hands += count(State::HANDS);
            census.silent += count(State::SILENT);
            census.bad_before += count(State::BAD_BEFORE);
            let lost = state.has(State::CRASHED) || state.has(State::GONE);
            if state.has(State::ACTIVATED) {
                let stratum = self.fleet.place(host).stratum;
                census.doomed += u64::from(!lost && self.dooms(stratum, host));
                census.running += u64::from(runs_update(self.fleet.machines.of(host)));
            }
        }
        census.operators = count_of(owners.iter().filter(|owner| owner.0));
        census.operators_crashed = count_of(owners.iter().filter(|owner| owner.1));
        if let Thief::Done { reached } = self.thief {
            census.reached_by_thief = reached;
        }
        census
    }

    /// First beat of a host that nothing has happened to.
    pub(super) fn phase(&self, host: u32) -> Ms {
        self.draws.below(host, Purpose::Phase, self.beat_ms)
    }
}

fn count_of<T>(of: impl Iterator<Item = T>) -> u32 {
    u32::try_from(of.count()).unwrap_or(u32::MAX)
}

/// How a fleet is watched by a controller that says nothing of it.
fn shape_of(scenario: &Scenario) -> Shape {
    Shape {
        strata: scenario.sizes(),
        beat_s: 5.0,
        silent_after_s: 15.0,
        window_s: 10.0,
        horizons_s: Vec::new(),
        budget: Vec::new(),
        controls: Vec::new(),
        gauge_every: Vec::new(),
    }
}
