//! The conditional e-process of one channel: safe (anytime-valid) logrank test in log domain.
//! It knows counts only, no thresholds and no decisions.
//!
//! Theorem. In each stratum hosts stand in a uniformly random order and the treated are a prefix of
//! it. Suppose the update changes nothing. Given *which* k of the hosts at risk (U treated, C
//! controls) went bad in a tick, the number x of treated among them is hypergeometric(U + C, U, k).
//! With p = U / (U + C), for every θ > 1,
//!
//! ```text
//! e(θ) = θ^x / (1 + p (θ − 1))^k        has expectation at most 1,
//! ```
//!
//! because a convex function of a hypergeometric count has at most the expectation it has under
//! binomial(k, p) (Hoeffding 1963, theorem 4), and that is the denominator. Nothing is assumed about
//! how hosts depend on each other: power cuts and lost regions may strike any set of hosts. Products
//! over ticks and strata are e-processes, so are averages over θ, strata, bands and channels, and by
//! Ville's inequality P(ever E ≥ 1/α) ≤ α however often one looks. Source: ter Schure, Pérez-Ortiz,
//! Ly, Grünwald, "The safe logrank test", arXiv 2011.06931.

/// Hazard ratios looked for, each with the same weight: from "half as often again" to "always".
pub(super) const THETA: [f64; 10] = [1.5, 2.0, 4.0, 10.0, 30.0, 1e2, 1e3, 1e4, 1e5, 1e6];

/// Counts of one stratum, tick and channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    /// treated gone bad
    pub x: u32,
    /// treated at risk
    pub u: u32,
    /// controls gone bad
    pub y: u32,
    /// controls at risk
    pub c: u32,
}

/// ln e(θ) of every θ, summed over ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Mixture {
    ln: [f64; THETA.len()],
    /// ln of their average: asked for at every look, changed by few
    ln_e: f64,
}

impl Mixture {
    /// Multiplies with one tick's e.
    pub(crate) fn observe(&mut self, pair: Pair) {
        let at_risk = f64::from(pair.u) + f64::from(pair.c);
        if at_risk == 0.0 || (pair.x == 0 && pair.y == 0) {
            return;
        }
        let p = f64::from(pair.u) / at_risk;
        let (x, k) = (f64::from(pair.x), f64::from(pair.x) + f64::from(pair.y));
        for (ln, theta) in self.ln.iter_mut().zip(THETA) {
            *ln += x * theta.ln() - k * (p * (theta - 1.0)).ln_1p();
        }
        self.ln_e = ln_mean_exp(self.ln.iter().copied());
    }
    /// ln of the average over θ.
    pub(crate) fn ln_e(&self) -> f64 {
        self.ln_e
    }
}

/// One channel: a third each on the product over strata, the mean over strata, and the fresh band.
/// The product is strong when a fault is everywhere, the mean when it is in one stratum, the fresh
/// band when most of the treated have long been well.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct EProcess {
    pooled: Mixture,
    strata: Vec<Mixture>,
    fresh: Mixture,
}

/// Logarithms of a channel's three parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Parts {
    pub pooled: f64,
    pub strata: f64,
    pub fresh: f64,
}

impl EProcess {
    pub(crate) fn new(strata: usize) -> EProcess {
        EProcess { strata: vec![Mixture::default(); strata], ..EProcess::default() }
    }
    /// Takes one stratum's tick: all treated, and the freshly handed ones alone.
    pub(crate) fn observe(&mut self, stratum: usize, all: Pair, fresh: Pair) {
        self.pooled.observe(all);
        self.fresh.observe(fresh);
        if let Some(own) = self.strata.get_mut(stratum) {
            own.observe(all);
        }
    }
    /// The three parts.
    pub(crate) fn parts(&self) -> Parts {
        Parts {
            pooled: self.pooled.ln_e(),
            strata: ln_mean_exp(self.strata.iter().map(Mixture::ln_e)),
            fresh: self.fresh.ln_e(),
        }
    }
    /// One stratum's own part.
    pub(crate) fn ln_stratum(&self, stratum: usize) -> f64 {
        self.strata.get(stratum).map_or(0.0, Mixture::ln_e)
    }
}

impl Parts {
    /// ln of their average.
    pub(crate) fn ln_e(&self) -> f64 {
        ln_mean_exp([self.pooled, self.strata, self.fresh].into_iter())
    }
}

/// ln of the mean of exponentials, without leaving the range of f64. No terms: ln 1.
pub(crate) fn ln_mean_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return 0.0;
    }
    let (sum, count) = terms.fold((0.0, 0.0), |(sum, n), ln| (sum + (ln - most).exp(), n + 1.0));
    most + f64::ln(sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(n: u32, k: u32) -> f64 {
        (0..k).map(|i| f64::from(n - i) / f64::from(k - i)).product()
    }

    /// The theorem, by summing over the whole hypergeometric distribution.
    #[test]
    fn expectation_under_the_null_is_at_most_one() {
        for (u, c, k) in [(1, 9, 1), (3, 5, 4), (16, 985, 3), (50, 2, 7), (20, 20, 20), (5, 0, 2)] {
            let mut mean = 0.0;
            for x in k.max(c) - c..=k.min(u) {
                let weight = choose(u, x) * choose(c, k - x) / choose(u + c, k);
                let mut mixture = Mixture::default();
                mixture.observe(Pair { x, u, y: k - x, c });
                mean += weight * mixture.ln_e().exp();
            }
            assert!(mean <= 1.0 + 1e-9, "U={u} C={c} k={k}: {mean}");
            assert!(mean > 0.01, "U={u} C={c} k={k}: {mean}");
        }
    }

    #[test]
    fn without_controls_or_events_nothing_is_learnt() {
        for pair in [Pair { x: 5, u: 9, y: 0, c: 0 }, Pair { x: 0, u: 9, y: 0, c: 9 }] {
            let mut mixture = Mixture::default();
            mixture.observe(pair);
            assert!(mixture.ln_e().abs() < 1e-9, "{pair:?}");
        }
    }

    #[test]
    fn three_of_sixteen_among_a_thousand_are_enough() {
        let ln_e = |x| {
            let mut channel = EProcess::new(1);
            let pair = Pair { x, u: 16, y: 0, c: 985 };
            channel.observe(0, pair, pair);
            channel.parts().ln_e()
        };
        assert!(ln_e(1) < 1000_f64.ln() && ln_e(3) > 3000_f64.ln(), "{} {}", ln_e(1), ln_e(3));
    }
}
