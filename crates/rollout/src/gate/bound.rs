//! How large the excess failure probability may still be, and how many more hosts that allows.
//! It does not decide whether to widen.
//!
//! UCB: for each q, the hypothesis "a vouched host fails through the update with probability at
//! least q" is tested by a likelihood-ratio e-process. x failures were counted among v hosts, b of
//! them expected from the background (concurrent controls). With l0 = b + q v and the alternative
//! l1 = b + f q v (f < 1),
//!
//! ```text
//! ln e = x ln(l1 / l0) + (l0 − l1)
//! ```
//!
//! has E[e] ≤ 1 whenever x has mean at least l0, Poisson or binomial: E[s^x] ≤ exp(−l0 (1 − s)) for
//! s = l1 / l0 < 1. Averaged over f, UCB is the largest q that is not rejected at 1/δ; by Ville it
//! holds at every moment together. The background is plugged in, not known: exact without
//! background, approximate with it (Waudby-Smith, Ramdas: confidence sequences by betting).

/// Alternatives f and their weights. Nearly all updates are good, so nearly all weight is on f = 0:
/// with no failure UCB = ln(1/(0.9 δ)) / v, within 2 % of the best possible ln(1/δ) / v.
const ALTERNATIVES: [(f64, f64); 3] = [(0.0, 0.9), (0.125, 0.05), (0.5, 0.05)];

/// Steps of the bisection: 2^-60 is below every q that 50 million hosts can tell from nothing.
const STEPS: u32 = 60;

/// Anytime-valid upper bound, within 0 to 1, on the excess failure probability: `x` failures
/// among `v` vouched hosts, of them `b` expected without the update. 1 when nobody is vouched.
pub(crate) fn ucb(x: f64, v: f64, b: f64, delta: f64) -> f64 {
    let rejected = |q: f64| ln_e(x, v, b, q) >= -delta.ln();
    if v <= 0.0 || !rejected(1.0) {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        if rejected(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

fn ln_e(x: f64, v: f64, b: f64, q: f64) -> f64 {
    let l0 = b + q * v;
    let one = |(f, weight): (f64, f64)| {
        let l1 = b + f * q * v;
        let ratio = if x > 0.0 { x * (l1 / l0).ln() } else { 0.0 };
        weight.ln() + ratio + (l0 - l1)
    };
    let terms = ALTERNATIVES.map(one);
    let most = terms.into_iter().fold(f64::NEG_INFINITY, f64::max);
    if most.is_finite() {
        most + terms.iter().map(|ln| (ln - most).exp()).sum::<f64>().ln()
    } else {
        most
    }
}

/// Failures beyond what the background explains, two standard deviations allowed for chance.
pub(crate) fn spent(x: f64, b: f64) -> f64 {
    (x - b - 2.0 * b.sqrt()).max(0.0)
}

/// How many more hosts horizon D leaves room for: those not yet vouched and those handed now must
/// together not fail beyond what is left of B(D). Without `spent` each generation alone would keep
/// within B(D), but not their sum.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
pub(crate) fn room(budget: f64, spent: f64, ucb: f64, unvouched: f64) -> u64 {
    let left = (budget - spent).max(0.0);
    (left / ucb - unvouched).clamp(0.0, 1e15).floor() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_matches_its_closed_form_without_failures_and_grows_with_them() {
        let clean = ucb(0.0, 1000.0, 0.0, 1e-3);
        assert!((clean - (1.0 / 0.9e-3_f64).ln() / 1000.0).abs() < 1e-4, "{clean}");
        let mut last = clean;
        for x in 1..20 {
            let more = ucb(f64::from(x), 1000.0, 0.0, 1e-3);
            assert!(more > last && more > f64::from(x) / 1000.0, "x={x}: {more} after {last}");
            last = more;
        }
        assert!(ucb(20.0, 1000.0, 15.0, 1e-3) < last, "background explains failures");
        assert_eq!((ucb(0.0, 0.0, 0.0, 1e-3), ucb(9.0, 9.0, 0.0, 1e-3)), (1.0, 1.0));
    }

    #[test]
    fn what_is_spent_leaves_less_room() {
        assert_eq!(room(100.0, 0.0, 0.5, 10.0), 190);
        assert_eq!(room(100.0, 60.0, 0.5, 10.0), 70);
        assert_eq!(room(100.0, 200.0, 0.5, 10.0), 0);
        assert_eq!(spent(3.0, 100.0), 0.0);
        assert_eq!(spent(3.0, 0.0), 3.0);
    }

    /// A fault of probability q is bounded below q at any moment with probability at most δ.
    #[test]
    fn bound_covers_the_truth_at_every_look() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            f64::from(u32::try_from(random >> 32).unwrap()) / f64::from(u32::MAX)
        };
        let (delta, runs) = (0.1, 400);
        for q in [0.02, 0.2] {
            let mut missed = 0;
            for _ in 0..runs {
                let (mut x, mut v) = (0.0, 0.0);
                let mut below = false;
                for _ in 0..60 {
                    for _ in 0..5 {
                        v += 1.0;
                        x += f64::from(u32::from(draw() < q));
                    }
                    below |= ucb(x, v, 0.0, delta) < q;
                }
                missed += u32::from(below);
            }
            assert!(f64::from(missed) <= delta * f64::from(runs), "q={q}: {missed} of {runs}");
        }
    }
}
