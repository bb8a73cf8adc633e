//! What a server would count: per stratum for every controller, and the gate's full tallies for those
//! that read them. Treated hosts and controls pass through the same few functions.
use super::fleet::{Fleet, State};
use super::grid::{Grid, Ms};
use super::windows::{Ages, Windows};
use crate::controller::{Seen, Shape};
use andon_rollout::{ArmTally, Count, Observation, StratumTally};

/// Everything that is counted.
#[derive(Debug)]
pub(super) struct Tallies {
    /// whether the gate's tallies are kept
    reads: bool,
    /// whether a horizon is long enough for waves to overlap within it
    overlap: bool,
    grid: Grid,
    ages: Ages,
    pub(super) seen: Vec<Seen>,
    strata: Vec<Stratum>,
    /// kept up to date in place; built anew for every tick it would be most of the work
    shown: Observation,
}

/// Where the arms of one stratum begin and end.
#[derive(Debug)]
struct Stratum {
    /// hosts covered after each generation
    handed: Vec<u32>,
    /// controls are sampled from this rank on
    sampled: u32,
    /// every so-manyth rank is the gauge
    every: u32,
    windows: Windows,
    /// the same of each wave's hosts; kept only where waves overlap within a horizon
    by_wave: Vec<Windows>,
}

/// Of a range of hosts of one arm: what its counts begin with.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    hosts: u32,
    silence: u32,
    report: u32,
    confirmed: u32,
    fell_back: u32,
}

impl Standing {
    fn of<'a>(states: impl Iterator<Item = &'a State>) -> Standing {
        let mut sum = Standing::default();
        for state in states {
            sum.hosts += 1;
            sum.silence += u32::from(!state.has(State::NO_SILENCE));
            sum.report += u32::from(!state.has(State::REPORTED));
            let back = state.has(State::FELL_BACK);
            sum.confirmed += u32::from(state.has(State::CONFIRMED) && !back);
            sum.fell_back += u32::from(back);
        }
        sum
    }
    fn join(self, arm: &mut ArmTally) {
        arm.hosts += self.hosts;
        arm.silence.at_risk += self.silence;
        arm.report.at_risk += self.report;
        arm.confirmed += self.confirmed;
        arm.fell_back += self.fell_back;
    }
    fn leave(self, arm: &mut ArmTally) {
        arm.hosts -= self.hosts;
        arm.silence.at_risk -= self.silence;
        arm.report.at_risk -= self.report;
        arm.confirmed -= self.confirmed;
        arm.fell_back -= self.fell_back;
    }
}

impl Stratum {
    /// Windows of the wave that has handed this rank.
    fn own(&mut self, rank: u32) -> Option<&mut Windows> {
        let wave = self.handed.partition_point(|handed| *handed <= rank);
        self.by_wave.get_mut(wave)
    }
}

impl Tallies {
    pub(super) fn new(reads: bool, grid: Grid, shape: &Shape, fleet: &Fleet) -> Tallies {
        let enter = grid.ticks(shape.silent_after_s);
        let leave = |after: &f64| enter + grid.ticks(shape.window_s + after);
        let horizons = if reads { shape.horizons_s.len() } else { 0 };
        let mut tallies = Tallies {
            reads,
            overlap: reads && shape.horizons_s.iter().any(|after| *after > 0.0),
            grid,
            ages: Ages { enter, leave: shape.horizons_s.iter().map(leave).collect() },
            seen: Vec::new(),
            strata: Vec::new(),
            shown: Observation::default(),
        };
        for (stratum, size) in shape.strata.iter().enumerate() {
            let sample = shape.controls.get(stratum).copied().unwrap_or(0);
            let sampled = size.saturating_sub(sample);
            let every = shape.gauge_every.get(stratum).copied().unwrap_or(2).max(2);
            let windows = Windows::new(horizons);
            tallies.seen.push(Seen { hosts: *size, ..Seen::default() });
            let (handed, by_wave) = (Vec::new(), Vec::new());
            tallies.strata.push(Stratum { handed, sampled, every, windows, by_wave });
            let mut tally = StratumTally::default();
            if reads {
                for (gauge, arm) in arms_of_controls(&mut tally) {
                    controls(fleet, stratum, (sampled, *size), every, gauge).join(arm);
                }
            }
            tallies.shown.strata.push(tally);
        }
        tallies
    }

    /// The gate's tallies at this tick.
    pub(super) fn shown(&self) -> Option<&Observation> {
        self.reads.then_some(&self.shown)
    }

    /// The arm of a host; `None` for one that is neither covered nor sampled.
    #[inline]
    fn arm(&mut self, stratum: usize, rank: u32) -> Option<&mut ArmTally> {
        let place = &self.strata[stratum];
        let tally = &mut self.shown.strata[stratum];
        let wave = place.handed.partition_point(|handed| *handed <= rank);
        if wave < place.handed.len() {
            return tally.waves.get_mut(wave);
        }
        if !self.reads || rank < place.sampled {
            return None;
        }
        Some(if gauges(rank, place.every) { &mut tally.gauge } else { &mut tally.controls })
    }

    pub(super) fn covered(&self, stratum: usize, rank: u32) -> bool {
        rank < self.seen[stratum].handed
    }

    /// A host has activated the update.
    #[inline]
    pub(super) fn activate(&mut self, tick: u32, stratum: usize, rank: u32, state: State) {
        self.seen[stratum].delivered += 1;
        if self.reads && !state.has(State::BAD) {
            let place = &mut self.strata[stratum];
            place.windows.activate(tick);
            if let Some(own) = place.own(rank) {
                own.activate(tick);
            }
        }
    }

    /// A host has confirmed it.
    #[inline]
    pub(super) fn confirm(&mut self, stratum: usize, rank: u32) {
        self.seen[stratum].confirmed += 1;
        if self.reads
            && let Some(arm) = self.arm(stratum, rank)
        {
            arm.confirmed += 1;
        }
    }

    /// A host has gone back by itself.
    pub(super) fn fall_back(&mut self, stratum: usize, rank: u32, state: State) {
        if let Some(arm) = self.arm(stratum, rank) {
            arm.fell_back += 1;
            arm.confirmed -= u32::from(state.has(State::CONFIRMED));
        }
    }

    /// A host that could fall silent says goodbye, or (`back`) is there again.
    pub(super) fn away(&mut self, stratum: usize, rank: u32, back: bool) {
        if let Some(arm) = self.arm(stratum, rank) {
            let at_risk = &mut arm.silence.at_risk;
            *at_risk = if back { *at_risk + 1 } else { *at_risk - 1 };
        }
    }

    /// A host's first silence.
    pub(super) fn silence(&mut self, stratum: usize, rank: u32, first_bad: bool) {
        if self.covered(stratum, rank) {
            self.seen[stratum].silent += 1;
        }
        if let Some(arm) = self.arm(stratum, rank) {
            arm.silence.new += 1;
            arm.bad_new += u32::from(first_bad);
        }
    }

    /// A host's first report.
    pub(super) fn report(&mut self, stratum: usize, rank: u32, first_bad: bool) {
        if self.covered(stratum, rank) {
            self.seen[stratum].reported += 1;
        }
        if let Some(arm) = self.arm(stratum, rank) {
            arm.report.new += 1;
            arm.bad_new += u32::from(first_bad);
        }
    }

    /// The first bad thing that is seen of a host which has activated. One that a thief moved never entered
    /// the windows of the wave that has covered it since.
    pub(super) fn bad(
        &mut self,
        tick: u32,
        at: (usize, u32),
        activated: Ms,
        seen: Ms,
        stolen: bool,
    ) {
        if self.reads {
            let (stratum, rank) = at;
            let place = &mut self.strata[stratum];
            place.windows.bad(tick, activated, seen, self.grid, &self.ages);
            if let Some(own) = place.own(rank).filter(|_| !stolen) {
                own.bad(tick, activated, seen, self.grid, &self.ages);
            }
        }
    }

    /// A tick begins: what was new in the last one is known now.
    pub(super) fn open(&mut self, tick: u32) {
        if !self.reads {
            return;
        }
        for (stratum, tally) in self.strata.iter_mut().zip(&mut self.shown.strata) {
            for windows in stratum.by_wave.iter_mut().chain([&mut stratum.windows]) {
                windows.open(tick, &self.ages);
            }
            let arms = tally.waves.iter_mut().chain([&mut tally.controls, &mut tally.gauge]);
            for arm in arms {
                for count in [&mut arm.silence, &mut arm.report] {
                    *count = Count::of(0, count.at_risk - count.new);
                }
                arm.bad_new = 0;
            }
        }
    }

    /// A tick ends: what is shown is complete.
    pub(super) fn close(&mut self, tick: u32) {
        if !self.reads {
            return;
        }
        for (stratum, tally) in self.strata.iter_mut().zip(&mut self.shown.strata) {
            for windows in stratum.by_wave.iter_mut().chain([&mut stratum.windows]) {
                windows.close(tick, &self.ages);
            }
            tally.windows.clone_from(&stratum.windows.shown);
            tally.wave_windows.clear();
            for horizon in 0..if self.overlap { tally.windows.len() } else { 0 } {
                let each = stratum.by_wave.iter().map(|own| own.shown[horizon]);
                tally.wave_windows.extend(each);
            }
        }
    }

    /// A generation covers hosts of a stratum up to `handed`. Call it between ticks.
    pub(super) fn cover(&mut self, fleet: &Fleet, stratum: usize, handed: u32) {
        let before = self.seen[stratum].handed;
        let gone = |state: &&State| state.has(State::SILENT) && state.has(State::OFF);
        let silent = fleet.ranks(stratum, before, handed).iter().filter(gone).count();
        self.seen[stratum].silent += u32::try_from(silent).unwrap_or(u32::MAX);
        self.seen[stratum].handed = handed;
        if !self.reads {
            return;
        }
        let place = &mut self.strata[stratum];
        let tally = &mut self.shown.strata[stratum];
        place.handed.push(handed);
        if self.overlap {
            place.by_wave.push(Windows::new(place.windows.shown.len()));
        }
        let mut wave = ArmTally::default();
        Standing::of(fleet.ranks(stratum, before, handed).iter()).join(&mut wave);
        tally.waves.push(wave);
        let from = place.sampled;
        if handed > from {
            place.sampled = handed;
            let every = place.every;
            for (gauge, arm) in arms_of_controls(tally) {
                controls(fleet, stratum, (from, handed), every, gauge).leave(arm);
            }
        }
    }
}

/// Both arms of controls: those compared, and the gauge.
fn arms_of_controls(tally: &mut StratumTally) -> [(bool, &mut ArmTally); 2] {
    [(false, &mut tally.controls), (true, &mut tally.gauge)]
}

fn gauges(rank: u32, every: u32) -> bool {
    rank % every == every - 1
}

fn controls(
    fleet: &Fleet,
    stratum: usize,
    (from, to): (u32, u32),
    every: u32,
    gauge: bool,
) -> Standing {
    let ranked = (from..to).zip(fleet.ranks(stratum, from, to).iter());
    Standing::of(ranked.filter(|(rank, _)| gauges(*rank, every) == gauge).map(|(_, state)| state))
}
