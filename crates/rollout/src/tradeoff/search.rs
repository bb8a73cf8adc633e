//! The search for the schedule of least expected loss.
//! It judges schedules by `loss` alone and promises nothing but this: its answer is never worse
//! than one of its starts, and the six fixed policies are among them. How one start is refined is
//! in `descent`.
//!
//! Starts are geometric plans (first waves of which a verdict is possible, gaps that wait for one
//! fault delay) and ladders (each wave just sees one more kind of fault). The best few are refined; then, from the best result, starts that no change of one
//! wave reaches; at last waves go that are worth next to nothing.
use super::descent::{Descent, First};
use super::loss::loss;
use super::policies::FixedPolicy;
use super::schedule::{Schedule, Wave};
use super::world::World;

/// How far a wave stays off a moment that matters, if it is to stand on its other side, minutes: a
/// second. Verdicts are no more exact than that.
pub(crate) const NUDGE_MIN: f64 = 1.0 / 60.0;
/// A gain below this share of the loss is none.
pub(crate) const GAIN_MIN: f64 = 1e-6;
/// Starts that are refined.
const REFINED: usize = 6;
/// Work of one search, in steps of the model (a step is about one exponential, 20 to 30 ns): bounds
/// the time of a plan whatever the world. Half of it goes to the first starts.
const WORK_PLAN: usize = 400_000;
/// The same for a plan that is only compared with.
const WORK_COMPARED: usize = 50_000;
/// With a wave less, a plan may lose this share more than the best one found.
const SIMPLER: f64 = 0.003;
/// Most kinds of fault that get a wave of their own in a start.
const RUNGS_MAX: u32 = 3;
/// First waves tried beside those which make a verdict possible.
const FIRST: [f64; 5] = [16.0, 128.0, 1000.0, 8500.0, 85_000.0];
/// Growth tried from wave to wave; the last one means everybody.
const GROWTH: [f64; 8] = [2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1000.0, 1e9];

/// The schedule of least expected loss that the search finds.
#[must_use]
pub fn best(world: &World) -> Schedule {
    let mut search = Search::new(world, WORK_PLAN);
    search.run(&[]);
    search.simplify();
    search.best.at
}

/// Loss of the best schedule that a shorter search finds from `start` and the usual ones.
pub(crate) fn least_loss(world: &World, start: &Schedule) -> f64 {
    let mut search = Search::new(world, WORK_COMPARED);
    search.run(&[*start]);
    search.best.cost
}

/// A schedule and its loss.
#[derive(Clone, Copy)]
pub(crate) struct Priced {
    /// the schedule
    pub(crate) at: Schedule,
    /// its loss
    pub(crate) cost: f64,
}

impl Priced {
    fn new(world: &World, at: Schedule) -> Priced {
        Priced { at, cost: loss(world, &at) }
    }
}

struct Search<'a> {
    world: &'a World,
    thresholds: Vec<f64>,
    best: Priced,
    /// loss of the best fixed policy
    fixed: f64,
    work: usize,
}

impl<'a> Search<'a> {
    fn new(world: &'a World, work: usize) -> Search<'a> {
        let fixed = FixedPolicy::ALL.map(|it| Priced::new(world, it.schedule(world.hosts)));
        let best = fixed.into_iter().fold(fixed[0], |a, b| if b.cost < a.cost { b } else { a });
        let thresholds = world.thresholds().collect();
        Search { world, thresholds, best, fixed: best.cost, work }
    }

    fn run(&mut self, more: &[Schedule]) {
        let mut starts = vec![self.best];
        starts.extend(more.iter().map(|start| Priced::new(self.world, *start)));
        starts.extend(self.geometric().map(|start| Priced::new(self.world, start)));
        starts.extend(self.ladders().map(|start| Priced::new(self.world, start)));
        starts.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        starts.dedup_by(|a, b| a.cost == b.cost);
        let each = self.work / 2 / REFINED;
        for start in starts.into_iter().take(REFINED) {
            self.descend(start, each, First::Waves);
        }
        loop {
            let before = self.best;
            for start in self.staggered(&before.at) {
                self.descend(Priced::new(self.world, start), self.work, First::Waves);
            }
            for start in self.late(&self.best.at) {
                self.descend(Priced::new(self.world, start), self.work, First::Sizes);
            }
            if self.best.cost >= before.cost * (1.0 - GAIN_MIN) {
                break;
            }
        }
    }

    fn descend(&mut self, start: Priced, work_max: usize, first: First) {
        let mut descent = Descent::new(self.world, &self.thresholds, start, work_max);
        descent.run(first);
        let Descent { best, work_left, .. } = descent;
        self.work -= (work_max - work_left).min(self.work);
        if best.cost < self.best.cost {
            self.best = best;
        }
    }

    fn geometric(&self) -> impl Iterator<Item = Schedule> + use<> {
        let hosts = self.world.hosts;
        let lags: Vec<f64> = self.world.lags.iter().map(|(lag, _)| *lag).collect();
        let firsts: Vec<f64> = self.thresholds.iter().copied().chain(FIRST).collect();
        let pairs = firsts.into_iter().flat_map(|first| GROWTH.map(|growth| (first, growth)));
        pairs.filter(move |(first, _)| *first < hosts).flat_map(move |(first, growth)| {
            let plan = |lag: &f64| Schedule::geometric(hosts, first, growth, *lag);
            lags.iter().filter_map(plan).collect::<Vec<_>>()
        })
    }

    /// Up to three waves that each just see one more kind of fault, then everybody, with the same
    /// gap between all.
    fn ladders(&self) -> impl Iterator<Item = Schedule> + use<'_, 'a> {
        let rungs = self.thresholds.iter().copied().filter(|rung| *rung < self.world.hosts);
        let rungs: Vec<f64> = rungs.collect();
        let chosen = (1_usize..1 << rungs.len()).filter(|bits| bits.count_ones() <= RUNGS_MAX);
        chosen.flat_map(move |bits| {
            let ladder = rungs.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0);
            let ladder: Vec<f64> = ladder.map(|(_, rung)| *rung).collect();
            let lags = self.world.lags.iter();
            let plan = |(gap, _): &(f64, f64)| Schedule::ladder(self.world.hosts, &ladder, *gap);
            lags.map(plan).collect::<Vec<_>>()
        })
    }

    /// The schedule with one wave more, just too small to see one more kind of fault, and everything
    /// after it a moment later. Rare faults then have a later halt than frequent ones, and a wave
    /// fits between the two; no change of a single wave gets there.
    fn staggered(&self, schedule: &Schedule) -> Vec<Schedule> {
        let mut out = Vec::new();
        let mut before = 0.0;
        for (at, wave) in schedule.waves().iter().enumerate() {
            let sizes = self.thresholds.iter().map(|threshold| threshold - 1.0);
            for hosts_total in sizes.filter(|size| before < *size && *size < wave.hosts_total) {
                let mut start = *schedule;
                if start.insert(at, Wave { hosts_total, at_min: wave.at_min }) {
                    start.shift_from(at + 1, NUDGE_MIN);
                    out.push(start);
                }
            }
            before = wave.hosts_total;
        }
        out
    }

    /// The schedule with one wave so late that a later one is out before a fault seen by it is
    /// halted. That is worth something only with other sizes.
    fn late(&self, schedule: &Schedule) -> Vec<Schedule> {
        let waves = schedule.waves();
        let mut out = Vec::new();
        for (at, pair) in waves.windows(2).enumerate().skip(1) {
            let [wave, next] = [pair[0], pair[1]];
            for later in waves.iter().skip(at + 1) {
                for (lag, _) in &self.world.lags {
                    let at_min = later.at_min - lag + NUDGE_MIN;
                    if at_min > wave.at_min + NUDGE_MIN && at_min <= next.at_min {
                        let mut start = *schedule;
                        start.retime(at, at_min);
                        out.push(start);
                    }
                }
            }
        }
        out
    }

    /// Takes out waves that are worth next to nothing: a plan is for people too.
    fn simplify(&mut self) {
        let most = (self.best.cost * (1.0 + SIMPLER)).min(self.fixed);
        let mut wave = 0;
        while wave + 1 < self.best.at.waves().len() {
            let ways = self.best.at.without(wave).map(|at| Priced::new(self.world, at));
            let least = if ways[0].cost <= ways[1].cost { ways[0] } else { ways[1] };
            if least.cost <= most {
                self.best = least;
            } else {
                wave += 1;
            }
        }
        // 16 rather than 15.999999999999998
        let round = Priced::new(self.world, self.best.at.rounded(1e7));
        if round.cost <= most {
            self.best = round;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tradeoff::{Attack, Inputs, Weighted};

    /// A search that has no work to spend only compares its starts. What it says then rests on the
    /// fixed policies being among them.
    #[test]
    fn even_without_work_no_fixed_policy_is_better() {
        let mut by_fixed = 0;
        for at in 0..1_000_u32 {
            let hosts = [700, 30_000, 250_000, 3_000_000, 50_000_000][at as usize % 5];
            // the gaps of the six-day policy, which no start with even gaps has
            let lags = [0.0, 180.0, 1200.0, 2880.0, 4320.0].map(|gap: f64| (gap - 1.0).max(0.0));
            let thin = [0.5, 0.3, 0.1, 0.03][at as usize / 5 % 4];
            let weights = (0..5).map(|power| f64::powi(thin, power));
            let delays = lags.into_iter().zip(weights).map(|(d, p)| Weighted::new(d, p));
            let world = World::new(&Inputs {
                attack: Attack::Hazard {
                    rate_per_min: 10_f64.powf(f64::from(at / 20) / 10.0 - 10.0),
                },
                faulty_probability: 0.01,
                fault_delays: delays.collect(),
                kill_fractions: vec![Weighted::new(0.5, 1.0)],
                repair_host_hours: 0.0,
                ..Inputs::of_fleet(hosts)
            })
            .unwrap();
            let mut search = Search::new(&world, 0);
            let others = search.geometric().chain(search.ladders());
            let others = others.map(|start| loss(&world, &start)).fold(f64::INFINITY, f64::min);
            search.run(&[]);
            let before = search.best;
            search.simplify();
            for policy in FixedPolicy::ALL {
                let cost = loss(&world, &policy.schedule(world.hosts));
                assert!(search.best.cost <= cost, "{policy:?} in {world:?}");
            }
            by_fixed += u32::from(before.cost < others && before.at.waves().len() > 1);
        }
        assert!(by_fixed > 10, "the guarantee hardly ever mattered: {by_fixed}");
    }

    /// Also where one wave of the best fixed policy is worth less than what simplicity may cost.
    #[test]
    fn a_simpler_plan_is_not_worse_than_the_best_fixed_policy() {
        let mut tempted = 0;
        for rate in 0..40 {
            let rate_per_min = 10_f64.powf(f64::from(rate) / 8.0 - 9.0);
            let attack = Attack::Hazard { rate_per_min };
            let world = World::new(&Inputs { attack, ..Inputs::of_fleet(1_000_000) }).unwrap();
            let mut search = Search::new(&world, 20_000);
            search.run(&[]);
            // as if somebody's fixed policy were just this plan
            let start = search.best;
            search.fixed = start.cost;
            search.simplify();
            assert!(search.best.cost <= start.cost, "{world:?}");
            let waves = start.at.waves().len();
            let without = (0..waves - 1).flat_map(|wave| start.at.without(wave));
            let slightly = start.cost..=start.cost * (1.0 + SIMPLER);
            let worse = without.map(|at| loss(&world, &at)).filter(|cost| slightly.contains(cost));
            tempted += worse.filter(|cost| *cost > start.cost).count();
        }
        assert!(tempted > 0, "no wave was worth so little");
    }
}
