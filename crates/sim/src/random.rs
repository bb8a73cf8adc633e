//! The one source of chance: a seeded generator, split by purpose so that a change in one place
//! moves no draw in another. Samplers come from `rand_distr`.
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_distr::{Binomial, Distribution as _, Poisson};
use rand_xoshiro::Xoshiro256PlusPlus;

/// A stream of draws.
#[derive(Clone, Debug)]
pub struct Random {
    bits: Xoshiro256PlusPlus,
    /// p and ln(1-p), as last asked for: a tick asks for the same p many times
    last_ln_q: (f64, f64),
}

impl Random {
    /// The stream of one purpose in one run.
    #[must_use]
    pub fn new(seed: u64, run: u64, purpose: u64) -> Random {
        let mixed = mix(seed ^ mix(run ^ mix(purpose)));
        Random { bits: Xoshiro256PlusPlus::seed_from_u64(mixed), last_ln_q: (0.0, 0.0) }
    }
    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.bits.next_u64()
    }
    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        self.bits.random::<f64>()
    }
    /// Uniform in [0, `n`); 0 for `n` = 0.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.bits.random_range(0..n) }
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
        let drawn = Binomial::new(u64::from(n), p).map_or(0, |law| law.sample(&mut self.bits));
        u32::try_from(drawn).unwrap_or(n)
    }
    /// Binomial for small n p: jumps from success to success.
    fn few(&mut self, n: u32, p: f64) -> u32 {
        let ln_q = self.ln_q(p);
        let (mut at, mut hits) = (0.0, 0);
        loop {
            let past = 1.0 - self.unit();
            // The jump leaves the rest when `past` is under (1-p)^rest, which is over 1 + rest ln(1-p):
            // most draws end here, without a logarithm.
            if past <= 1.0 + (f64::from(n) - at) * ln_q {
                return hits;
            }
            at += (past.ln() / ln_q).floor() + 1.0;
            if at > f64::from(n) {
                return hits;
            }
            hits += 1;
        }
    }
    #[expect(clippy::float_cmp, reason = "the very same number, or it is computed anew")]
    fn ln_q(&mut self, p: f64) -> f64 {
        if self.last_ln_q.0 != p {
            self.last_ln_q = (p, (-p).ln_1p());
        }
        self.last_ln_q.1
    }
    /// Marked ones among `drawn` taken without replacement from `total`, of which `marked` are. One
    /// draw per member of the smallest of the four parts: exact, and quick because one is small.
    /// (The sampler of `rand_distr` 0.6.0 does not end, or answers 215,506 for a mean of 1, when one
    /// of two million is marked.)
    pub fn hypergeometric(&mut self, total: u32, marked: u32, drawn: u32) -> u32 {
        let (marked, drawn) = (marked.min(total), drawn.min(total));
        if drawn < marked {
            return self.hypergeometric_of_few(total, drawn, marked);
        }
        self.hypergeometric_of_few(total, marked, drawn)
    }
    /// `few` are placed at random among `total` places, of which `counted` are counted.
    fn hypergeometric_of_few(&mut self, total: u32, few: u32, counted: u32) -> u32 {
        if few > total - few {
            return counted - self.hypergeometric_of_few(total, total - few, counted);
        }
        let (mut places, mut open) = (total, counted);
        for _ in 0..few {
            if self.below(u64::from(places)) < u64::from(open) {
                open -= 1;
            }
            places -= 1;
        }
        counted - open
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
        let events = Poisson::new(mean).map_or(0, |law| law.sample(&mut self.bits) as u64);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Means within five standard errors, and never outside the possible, also where the library's own
    /// sampler fails.
    #[test]
    fn samplers_have_the_means_of_their_laws() {
        let mut random = Random::new(1, 1, 1);
        for (total, marked, drawn) in [
            (2_100_000, 1, 1_890_000),
            (2_100_000, 20, 2_090_000),
            (10, 7, 8),
            (50, 50, 3),
            (9, 0, 4),
        ] {
            let (runs, mut sum) = (4000, 0_u64);
            for _ in 0..runs {
                let hits = random.hypergeometric(total, marked, drawn);
                assert!(hits <= marked.min(drawn) && hits + total >= marked + drawn);
                sum += u64::from(hits);
            }
            let share = f64::from(drawn) / f64::from(total);
            let mean = f64::from(marked) * share;
            let error = 5.0 * (mean * (1.0 - share) / f64::from(runs)).sqrt() + 1e-9;
            let found = sum as f64 / f64::from(runs);
            assert!((found - mean).abs() <= error, "{total} {marked} {drawn}: {found} for {mean}");
        }
        for (n, p) in [(2_000_000, 1e-5), (40, 0.5), (1000, 1e-6), (1000, 0.99)] {
            let (runs, mut sum) = (20_000, 0_u64);
            (0..runs).for_each(|_| sum += u64::from(random.binomial(n, p)));
            let mean = f64::from(n) * p;
            let error = 5.0 * (mean * (1.0 - p) / f64::from(runs)).sqrt();
            let found = sum as f64 / f64::from(runs);
            assert!((found - mean).abs() <= error, "{n} {p}: {found} for {mean}");
        }
    }
}
