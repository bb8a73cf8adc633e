//! How many failures may be expected when more than a budget of them must stay improbable: the upper
//! tail of a Poisson count, and its inverse. Binomial counts of the same mean have the thinner tail
//! beyond it (Hoeffding 1956), so this errs on the careful side.

/// Table of ln P(Poisson(μ) > budget) over μ, made once per budget.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tails {
    /// the budget it was made for
    budget: u64,
    /// (μ, ln tail), rising
    points: Vec<(f64, f64)>,
}

/// Where the table begins, in standard deviations from the budget, and its steps for each.
/// A count is normal to the eye on the scale of its square root: sqrt(μ) = sqrt(budget + 1) + z / 2.
const FROM: f64 = -9.0;
const STEPS_PER_DEVIATION: f64 = 20.0;
/// 16 standard deviations in all.
const STEPS: u32 = 320;

impl Tails {
    pub(crate) fn new(budget: u64) -> Tails {
        let root = (super::tally::as_f64(budget) + 1.0).sqrt();
        let point = |step: u32| {
            let z = FROM + f64::from(step) / STEPS_PER_DEVIATION;
            let mean = (root + z / 2.0).max(0.0).powi(2);
            (mean, ln_tail(budget, mean))
        };
        Tails { budget, points: (0..=STEPS).map(point).collect() }
    }

    pub(crate) fn budget(&self) -> u64 {
        self.budget
    }

    /// The largest mean in the table at which more than the budget is at most this likely; 0 when no
    /// mean is, infinite when every one is.
    pub(crate) fn mean_max(&self, ln_probability: f64) -> f64 {
        if ln_probability >= 0.0 {
            return f64::INFINITY;
        }
        match self.points.partition_point(|(_, ln)| *ln <= ln_probability) {
            0 => 0.0,
            above => self.points[above - 1].0,
        }
    }
}

/// ln P(Poisson(`mean`) > `budget`): the terms from budget + 1 on, the first by Stirling's series.
fn ln_tail(budget: u64, mean: f64) -> f64 {
    if mean <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let first = super::tally::as_f64(budget) + 1.0;
    let ln_first = first * mean.ln() - mean - ln_factorial(first);
    let (mut sum, mut term, mut k) = (1.0, 1.0, first);
    while term > 1e-12 * sum {
        k += 1.0;
        term *= mean / k;
        sum += term;
    }
    (ln_first + f64::ln(sum)).min(0.0)
}

/// ln n!, to 1e-9 from n = 1 on (Stirling's series on n + 7, stepped down).
fn ln_factorial(n: f64) -> f64 {
    let steps = 7;
    let x = n + 1.0 + f64::from(steps);
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    let ln_gamma = (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series;
    (0..steps).fold(ln_gamma, |ln, step| ln - (n + 1.0 + f64::from(step)).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factorials_and_tails_match_their_sums() {
        let mut ln = 0.0;
        for n in 1..200_u32 {
            ln += f64::from(n).ln();
            assert!((ln_factorial(f64::from(n)) - ln).abs() < 1e-9, "{n}");
        }
        for (budget, mean) in [(0_u64, 0.5_f64), (3, 2.0), (16, 30.0), (100, 70.0), (100, 140.0)] {
            let mut term = (-mean).exp();
            let mut below = term;
            for k in 1..=budget {
                term *= mean / k as f64;
                below += term;
            }
            let exact = 1.0 - below;
            assert!((ln_tail(budget, mean).exp() - exact).abs() < 1e-9, "{budget} {mean}");
        }
    }

    #[test]
    fn inverse_stays_on_the_careful_side() {
        for budget in [0, 1, 16, 100, 850, 85_000] {
            let tails = Tails::new(budget);
            for p in [1e-12_f64, 1e-3, 0.1, 0.5, 0.9] {
                let mean = tails.mean_max(p.ln());
                assert!(mean <= 0.0 || ln_tail(budget, mean) <= p.ln(), "{budget} {p}");
                let wider = mean + 0.2 * (budget as f64).sqrt() + 0.2;
                assert!(ln_tail(budget, wider) > p.ln() || p < 1e-10, "{budget} {p}: {mean}");
            }
            assert!(tails.mean_max(0.0).is_infinite());
            assert!(tails.mean_max(f64::NEG_INFINITY) <= 0.0);
        }
    }
}
