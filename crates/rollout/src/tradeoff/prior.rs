//! Vendors earn speed: how likely the next update is faulty, from how the earlier ones went.
//! It counts; who the vendor is and what counts as a fault is the caller's to know.
use andon_model::release::ComponentKind;

/// Most updates counted: beyond it the probability no longer moves.
const COUNT_MAX: u64 = 1_000_000_000;
/// Halvings of the search for a quantile: 2^-60 is finer than any count can tell.
const STEPS: u32 = 60;
/// Terms of the continued fraction; it converges within O(√(a + b)) of them.
const TERMS_MAX: u32 = 200_000;

/// Record of one vendor in one kind of update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prior {
    /// kind of update
    pub kind: ComponentKind,
    /// updates of this kind that had to be halted or taken back
    pub faults: u64,
    /// updates of this kind that went to the whole fleet and stayed
    pub clean: u64,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PriorError {
    /// more updates than any vendor ships
    #[error("prior field {0} is over {COUNT_MAX}")]
    Count(&'static str),
    /// no probability strictly between 0 and 1
    #[error("prior quantile {0} is not between 0 and 1")]
    Quantile(f64),
}

impl Prior {
    /// A vendor of which nothing is known yet.
    #[must_use]
    pub fn unknown(kind: ComponentKind) -> Prior {
        Prior { kind, faults: 0, clean: 0 }
    }

    /// k: so many clean updates are assumed of a vendor of which nothing is known. Guesses: one
    /// content or file update in a hundred is faulty after preflight, and one program in fifty,
    /// because preflight runs content on the very engine that hosts run and a program on fewer
    /// machines than there are kinds of.
    #[must_use]
    pub fn clean_assumed(kind: ComponentKind) -> u64 {
        match kind {
            ComponentKind::Content | ComponentKind::Files => 99,
            ComponentKind::Service | ComponentKind::Kmod => 49,
        }
    }

    /// Expected probability that the next update is faulty: the mean of Beta(1 + faults, k + clean).
    /// # Errors
    /// [`PriorError::Count`].
    pub fn mean(&self) -> Result<f64, PriorError> {
        let (a, b) = self.shape()?;
        Ok(a / (a + b))
    }

    /// The probability of a faulty update is below this with certainty `level` (0 to 1, both
    /// excluded): a quantile of the same Beta distribution.
    /// # Errors
    /// [`PriorError`].
    pub fn quantile(&self, level: f64) -> Result<f64, PriorError> {
        let (a, b) = self.shape()?;
        if !(level > 0.0 && level < 1.0) {
            return Err(PriorError::Quantile(level));
        }
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..STEPS {
            let middle = f64::midpoint(low, high);
            if beta_below(middle, a, b) < level {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(high)
    }

    fn shape(&self) -> Result<(f64, f64), PriorError> {
        for (field, count) in [("faults", self.faults), ("clean", self.clean)] {
            if count > COUNT_MAX {
                return Err(PriorError::Count(field));
            }
        }
        let b = Prior::clean_assumed(self.kind) + self.clean;
        Ok((1.0 + self.faults as f64, b as f64))
    }
}

/// P(X ≤ x) for X ~ Beta(a, b): the regularised incomplete beta function by its continued fraction
/// (Abramowitz and Stegun 26.5.8), evaluated by Lentz's method on the side where it converges.
fn beta_below(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * continued_fraction(x, a, b) / a
    } else {
        1.0 - front * continued_fraction(1.0 - x, b, a) / b
    }
}

fn continued_fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let nonzero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0));
    let mut out = d;
    for m in 1..=TERMS_MAX {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut step = 1.0;
        for term in [even, odd] {
            d = 1.0 / nonzero(1.0 + term * d);
            c = nonzero(1.0 + term / c);
            step = c * d;
            out *= step;
        }
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    out
}

/// ln Γ(x) for x ≥ 1: Stirling's series, after raising small arguments to where it is exact to
/// fifteen digits.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut below) = (x, 0.0);
    while x < 15.0 {
        below += x.ln();
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = (1.0 / 12.0 - y * (1.0 / 360.0 - y * (1.0 / 1260.0 - y / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prior(faults: u64, clean: u64) -> Prior {
        Prior { kind: ComponentKind::Content, faults, clean }
    }

    #[test]
    fn clean_updates_earn_speed_and_faults_cost_it() {
        assert_eq!(prior(0, 0).mean(), Ok(0.01));
        assert_eq!(prior(0, 900).mean(), Ok(0.001));
        assert_eq!(prior(1, 0).mean(), Ok(2.0 / 101.0));
        assert_eq!(Prior::unknown(ComponentKind::Service).mean(), Ok(0.02));
        let upper = |faults, clean| prior(faults, clean).quantile(0.95).unwrap();
        assert!(upper(0, 900) < upper(0, 0) && upper(0, 0) < upper(1, 0));
    }

    #[test]
    fn quantiles_agree_with_closed_forms() {
        // Beta(1, b): P(X ≤ x) = 1 − (1 − x)^b.
        for (clean, level) in [(0, 0.5_f64), (0, 0.95), (901, 0.95), (1_000_000, 0.999)] {
            let b = (99 + clean) as f64;
            let want = -((-level).ln_1p() / b).exp_m1();
            let got = prior(0, clean).quantile(level).unwrap();
            assert!((got / want - 1.0).abs() < 1e-9, "{clean} {level}: {got} {want}");
        }
        // Whole a: P(Beta(a, b) ≤ x) = P(Binomial(a + b − 1, x) ≥ a).
        for faults in [1_u64, 4, 20] {
            let p = prior(faults, 200);
            let x = p.quantile(0.9).unwrap();
            let trials = (1 + faults + 299 - 1) as f64;
            let mut term = (trials * (-x).ln_1p()).exp();
            let mut below = 0.0;
            for j in 0..=faults {
                below += term;
                term *= (trials - j as f64) / (j as f64 + 1.0) * x / (1.0 - x);
            }
            assert!((1.0 - below - 0.9).abs() < 1e-9, "{faults}: {}", 1.0 - below);
        }
    }

    #[test]
    fn counts_and_levels_out_of_range_are_refused() {
        assert_eq!(prior(u64::MAX, 0).mean(), Err(PriorError::Count("faults")));
        assert_eq!(prior(0, COUNT_MAX + 1).mean(), Err(PriorError::Count("clean")));
        for level in [0.0, 1.0, -1.0, f64::INFINITY] {
            assert_eq!(prior(0, 0).quantile(level), Err(PriorError::Quantile(level)));
        }
        assert!(prior(0, 0).quantile(f64::NAN).is_err());
        let upper = prior(COUNT_MAX, COUNT_MAX).quantile(0.95).unwrap();
        assert!((0.5..0.5001).contains(&upper), "{upper}");
    }
}
