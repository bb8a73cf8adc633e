//! Random worlds from a seed, over every input the planner takes. Tests and the example
//! `tradeoff_worlds` share this file; it knows nothing of the planner's search.
use andon_rollout::tradeoff::{Attack, Inputs, Weighted};

/// SplitMix64 (Steele, Lea, Flood 2014): the same seed gives the same worlds everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Even in 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
    /// Even in the logarithm.
    pub(crate) fn log(&mut self, least: f64, most: f64) -> f64 {
        least * (most / least).powf(self.share())
    }
    /// A whole number from 0 to `most`, excluded.
    #[expect(clippy::cast_possible_truncation, reason = "below `most`, which is a usize")]
    pub(crate) fn below(&mut self, most: usize) -> usize {
        ((self.share() * most as f64).floor() as usize).min(most - 1)
    }
}

/// A world: fleets of 20 to 50 million hosts, attacks from none to a worm that doubles in seconds,
/// updates from nearly always good to mostly faulty, faults that show at once or after days.
#[expect(clippy::cast_possible_truncation, reason = "whole, at most 50 million")]
pub(crate) fn inputs(random: &mut Random) -> Inputs {
    let hosts = random.log(20.0, 5e7).round();
    let attack = match random.below(20) {
        0 => Attack::Hazard { rate_per_min: 0.0 },
        1..=9 => Attack::Hazard { rate_per_min: random.log(1e-9, 1e-3) },
        _ => Attack::Spread {
            rate_per_min: random.log(1e-3, 1.0),
            infected_share: random.log(1e-7, 1e-2),
        },
    };
    let heal = match random.below(3) {
        0 => vec![Weighted::new(0.0, 1.0)],
        1 => vec![Weighted::new(0.99, 0.9), Weighted::new(0.0, 0.1)],
        _ => mixture(random, 3, |r| r.share()),
    };
    Inputs {
        attack,
        infected_cost_host_hours: random.log(0.1, 1e3),
        faulty_probability: random.log(1e-4, 0.5),
        fault_delays: delays(random),
        kill_fractions: mixture(random, 5, |r| r.log(1e-5, 1.0)),
        heal,
        repairs_per_min: hosts * random.log(1e-6, 1e-2),
        repair_host_hours: random.log(0.05, 10.0),
        fallback_min: random.log(0.1, 60.0),
        detection_min: random.log(0.2, 30.0),
        fix_min: random.log(5.0, 5000.0),
        ..Inputs::of_fleet(hosts as u64)
    }
}

/// One in five faults shows at once only; the others have a tail of up to seven delays.
fn delays(random: &mut Random) -> Vec<Weighted> {
    let mut out = vec![Weighted::new(0.0, random.log(0.1, 10.0))];
    if random.below(5) > 0 {
        out.extend(mixture(random, 7, |r| r.log(0.1, 5000.0)));
    }
    out
}

fn mixture(
    random: &mut Random,
    most: usize,
    mut value: impl FnMut(&mut Random) -> f64,
) -> Vec<Weighted> {
    let count = 1 + random.below(most);
    (0..count).map(|_| Weighted::new(value(random), random.log(0.01, 1.0))).collect()
}
