//! A slow optimiser over free wave sizes and gaps, to hold the planner against. It shares no search
//! code with the planner and knows nothing of its structure (verdict thresholds, halts, geometric
//! plans): only that a schedule has a price. Simulated annealing in the logarithms of sizes and gaps
//! (Kirkpatrick, Gelatt, Vecchi 1983), from several random starts, then a pattern search that halves
//! its step (Hooke, Jeeves 1961).
use super::worlds::Random;
use andon_rollout::tradeoff::{Schedule, Wave, World, outcome};

/// Waves of one try: sizes as shares of the logarithm of the fleet, gaps as logarithms of minutes.
#[derive(Clone)]
struct Free {
    /// 0 is one host, 1 is all
    sizes: Vec<f64>,
    /// natural logarithm of the minutes before each wave but the first
    gaps: Vec<f64>,
}

/// How hard to try.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) tries: usize,
    pub(crate) steps: usize,
}

const WAVES_MOST: usize = 12;
const GAP_LOG: std::ops::RangeInclusive<f64> = -3.0..=10.0;

/// The least loss found, host-hours, and its schedule. `also` are schedules that are polished too, whoever made them.
pub(crate) fn least(
    world: &World,
    hosts: u64,
    also: &[Schedule],
    random: &mut Random,
    effort: Effort,
) -> (f64, Schedule) {
    let hosts = hosts as f64;
    let price = |free: &Free| {
        let schedule = free.schedule(hosts);
        outcome(world, &schedule).unwrap().loss_host_hours
    };
    let mut ends = vec![Free { sizes: vec![1.0], gaps: vec![] }];
    for _ in 0..effort.tries {
        let mut at = Free::random(random);
        annealed(&mut at, &price, random, effort.steps);
        ends.push(polished(at, &price));
    }
    ends.extend(also.iter().map(|schedule| polished(Free::of(schedule, hosts), &price)));
    let priced = ends.iter().map(|free| (price(free), free.schedule(hosts)));
    priced.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

impl Free {
    fn random(random: &mut Random) -> Free {
        let waves = 1 + random.below(WAVES_MOST);
        let mut sizes: Vec<f64> = (1..waves).map(|_| random.share()).collect();
        sizes.push(1.0);
        sizes.sort_by(f64::total_cmp);
        let gaps = (1..waves).map(|_| -2.0 + 9.0 * random.share()).collect();
        Free { sizes, gaps }
    }

    fn of(schedule: &Schedule, hosts: f64) -> Free {
        let waves = schedule.waves();
        let log = hosts.ln().max(1e-9);
        let sizes = waves.iter().map(|w| w.hosts_total.ln() / log).collect();
        let gaps = waves.windows(2).map(|w| (w[1].at_min - w[0].at_min).max(1e-9).ln()).collect();
        Free { sizes, gaps }
    }

    fn schedule(&self, hosts: f64) -> Schedule {
        let mut waves: Vec<Wave> = Vec::with_capacity(self.sizes.len());
        let mut at_min = 0.0;
        for (at, size) in self.sizes.iter().enumerate() {
            at_min += if at == 0 { 0.0 } else { self.gaps[at - 1].exp() };
            let last = at + 1 == self.sizes.len();
            let total = if last { hosts } else { (hosts.ln() * size).exp().round() };
            let before = waves.last().map_or(0.0, |w| w.hosts_total);
            if total > before && (last || total < hosts) {
                waves.push(Wave { hosts_total: total, at_min });
            }
        }
        Schedule::new(&waves).unwrap()
    }

    /// A neighbour: one size or gap moved, or a wave more or less.
    fn neighbour(&self, random: &mut Random, width: f64) -> Free {
        let mut out = self.clone();
        let inner = out.gaps.len();
        let nudge = |random: &mut Random| (2.0 * random.share() - 1.0) * width;
        match random.below(10) {
            0 if inner + 1 < WAVES_MOST => {
                let at = random.below(inner + 1);
                let below = if at == 0 { 0.0 } else { out.sizes[at - 1] };
                let size = below + (out.sizes[at] - below) * random.share();
                out.sizes.insert(at, size);
                out.gaps.insert(at, -2.0 + 9.0 * random.share());
            }
            1 if inner > 0 => {
                let at = random.below(inner);
                out.sizes.remove(at);
                out.gaps.remove(at);
            }
            2..=5 if inner > 0 => {
                let at = random.below(inner);
                let below = if at == 0 { 0.0 } else { out.sizes[at - 1] };
                out.sizes[at] = (out.sizes[at] + nudge(random)).clamp(below, out.sizes[at + 1]);
            }
            _ if inner > 0 => {
                let at = random.below(inner);
                let gap = out.gaps[at] + 13.0 * nudge(random);
                out.gaps[at] = gap.clamp(*GAP_LOG.start(), *GAP_LOG.end());
            }
            _ => {}
        }
        out
    }
}

fn annealed(at: &mut Free, price: &impl Fn(&Free) -> f64, random: &mut Random, steps: usize) {
    let mut cost = price(at);
    let (mut best, mut least) = (at.clone(), cost);
    for step in 0..steps {
        let cool = 1.0 - step as f64 / steps as f64;
        let candidate = at.neighbour(random, 0.5 * cool * cool + 1e-4);
        let there = price(&candidate);
        // In the logarithm, because losses span orders of magnitude.
        let worse = (there.max(1e-300) / cost.max(1e-300)).ln();
        if worse <= 0.0 || random.share() < (-worse / (0.5 * cool * cool + 1e-6)).exp() {
            (*at, cost) = (candidate, there);
            if cost < least {
                (best, least) = (at.clone(), cost);
            }
        }
    }
    *at = best;
}

/// One coordinate after the other, the step halved when none helps.
fn polished(mut at: Free, price: &impl Fn(&Free) -> f64) -> Free {
    let mut cost = price(&at);
    let mut step = 0.1;
    while step > 1e-7 {
        let mut helped = false;
        for coordinate in 0..2 * at.gaps.len() {
            for sign in [step, -step] {
                let mut candidate = at.clone();
                let wave = coordinate / 2;
                if coordinate % 2 == 0 {
                    let below = if wave == 0 { 0.0 } else { at.sizes[wave - 1] };
                    candidate.sizes[wave] =
                        (at.sizes[wave] + sign).clamp(below, at.sizes[wave + 1]);
                } else {
                    candidate.gaps[wave] += 10.0 * sign;
                }
                let there = price(&candidate);
                if there < cost {
                    (at, cost, helped) = (candidate, there, true);
                }
            }
        }
        if !helped {
            step /= 2.0;
        }
    }
    at
}
