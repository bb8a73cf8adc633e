//! The one source of chance: a seeded generator, split by purpose so that a change in one place
//! moves no draw in another. Samplers come from `rand_distr`.
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_distr::{Binomial, Distribution as _, Hypergeometric, Poisson};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A stream of draws.
#[derive(Clone, Debug)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// The stream of one purpose in one run.
    #[must_use]
    pub fn new(seed: u64, run: u64, purpose: u64) -> Random {
        let mixed = mix(seed ^ mix(run ^ mix(purpose)));
        Random(Xoshiro256PlusPlus::seed_from_u64(mixed))
    }
    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }
    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        self.0.random::<f64>()
    }
    /// Uniform in [0, `n`); 0 for `n` = 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.0.random_range(0..n) }
    }
    /// Exponential with this rate per unit of time; infinite for rate 0.
    pub fn exponential(&mut self, rate: f64) -> f64 {
        if rate > 0.0 { -(1.0 - self.unit()).ln() / rate } else { f64::INFINITY }
    }
    /// Successes among `n` with probability `p` each.
    pub fn binomial(&mut self, n: u32, p: f64) -> u32 {
        if n == 0 || p <= 0.0 {
            return 0;
        }
        if p >= 1.0 {
            return n;
        }
        // Most cells of a quiet fleet: nothing happens, decided by one draw.
        if f64::from(n) * p < 0.1 {
            return self.few(n, p);
        }
        let drawn = Binomial::new(u64::from(n), p).map_or(0, |law| law.sample(&mut self.0));
        u32::try_from(drawn).unwrap_or(n)
    }
    /// Binomial for small n p: jumps from success to success.
    fn few(&mut self, n: u32, p: f64) -> u32 {
        let ln_q = (-p).ln_1p();
        let (mut at, mut hits) = (0.0, 0);
        loop {
            at += ((1.0 - self.unit()).ln() / ln_q).floor() + 1.0;
            if at > f64::from(n) {
                return hits;
            }
            hits += 1;
        }
    }
    /// Marked ones among `drawn` taken without replacement from `total`, of which `marked` are.
    pub fn hypergeometric(&mut self, total: u32, marked: u32, drawn: u32) -> u32 {
        if drawn == 0 || marked == 0 {
            return 0;
        }
        if marked >= total {
            return drawn;
        }
        if drawn >= total {
            return marked;
        }
        let law = Hypergeometric::new(u64::from(total), u64::from(marked), u64::from(drawn));
        let drawn_marked = law.map_or(0, |law| law.sample(&mut self.0));
        u32::try_from(drawn_marked).unwrap_or(marked)
    }
    /// Events of a Poisson process with this mean.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "never negative"
        )]
        let events = Poisson::new(mean).map_or(0, |law| law.sample(&mut self.0) as u64);
        events
    }
}

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014).
#[must_use]
pub const fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
