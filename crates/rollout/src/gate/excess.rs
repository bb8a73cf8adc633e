//! How large the excess failure probability q may still be, at every moment together. It knows
//! counts only; what they allow is for `horizon`.
//!
//! Claim under test: "every activated host fails through the update, within its window, with
//! probability at least q, independently of its background". Per tick and stratum, hosts go bad for
//! their own reasons too; nothing is assumed about that but the random order. U treated hosts are
//! within their window, C controls are watched alike, ρ = U / C. Every host multiplies M by
//!
//! ```text
//! treated, gone bad             s                       0 < s < 1
//! control, gone bad             1 + ρ (1 − s)
//! treated, through its window   1 / (1 − q (1 − s))
//! ```
//!
//! M is a supermartingale if the claim is true, so by Ville P(ever M ≥ 1/δ) ≤ δ, and the smallest q
//! above which every claim is rejected is an anytime-valid upper bound: a two-sample bound, with no
//! estimate of the background plugged in. Proof: `docs/spec/gate.md` §4. s may be anything that is
//! known without looking at the hosts compared: it is the likelihood ratio's β / (β + q), where the
//! chance β of a background failure within a window comes from the plan and from the gauge, the half
//! of the controls that is not compared. In a loud tick (a power cut) β is large, s near 1, and the
//! tick says nothing, for or against.
//!
//! What may be handed out follows from M as well. Weighted with M, the claim's failure rate is q s:
//! so P(M ≥ c, more than B fail) ≤ P(Poisson(q n + q s v) > B) / c, where v hosts are vouched and n
//! are not (Markov's inequality under the changed measure). Every claim whose Poisson probability
//! divided by its M is at most δ allows the hand-out, and all of them must.

use super::tail::Tails;

/// Rungs of a ladder of claims q = 2^(−i / `per_octave`), from 1 down.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ladder {
    claims: Vec<f64>,
}

/// Octaves below 1: 2^-26 is 1.5 in 100 million, less than one host of a fleet.
const OCTAVES: i32 = 26;

impl Ladder {
    pub(crate) fn new(per_octave: i32) -> Ladder {
        let rung = |i: i32| (-f64::from(i) / f64::from(per_octave)).exp2();
        Ladder { claims: (0..=OCTAVES * per_octave).map(rung).collect() }
    }

    /// What each claim stakes when a background failure within a window has probability `background`.
    pub(crate) fn stakes(&self, background: f64) -> Stakes {
        let beta = background.clamp(1e-12, 1e6);
        let stake = |claim: &f64| {
            let s = beta / (beta + claim);
            let pass = 1.0 - claim * (1.0 - s);
            Stake {
                loss: s.ln(),
                room: 1.0 - s,
                gain: -pass.ln(),
                slope: (1.0 - s) / pass,
                kept: s / pass,
            }
        };
        Stakes { each: self.claims.iter().map(stake).collect() }
    }
}

/// One claim's multipliers, as logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stake {
    /// ln s
    loss: f64,
    /// 1 − s
    room: f64,
    /// −ln(1 − q (1 − s))
    gain: f64,
    /// d gain / dq
    slope: f64,
    /// a vouched host's failure rate under the changed measure, as a multiple of q
    kept: f64,
}

/// The multipliers of all claims at one level of background.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stakes {
    each: Vec<Stake>,
}

/// What is known of one claim.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Claim {
    ln_m: f64,
    /// d ln M / dq up to the next claim above, at least
    slope: f64,
    /// vouched hosts, each as much as its loss may have gone unnoticed
    kept: f64,
}

/// M of every claim.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Excess {
    claims: Vec<Claim>,
}

/// Parts of the way from one claim to the next at which [`open_max`] looks.
const PARTS: i32 = 4;

/// Evidence that a hand-out may rest on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground<'a> {
    pub excess: &'a Excess,
    pub share: Share,
    /// vouched hosts that it does not look at
    pub beside: f64,
}

/// A ground's part of δ, and what follows from it for every stratum alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    ln_delta: f64,
    /// expected failures that even the worst evidence passed over unread allows
    sure: f64,
}

impl Share {
    /// `tails`: whole and left, as for [`open_max`].
    pub(crate) fn new(delta: f64, (whole, left): (&Tails, &Tails)) -> Share {
        let ln = delta.ln() + LN_M_PASSED;
        Share { ln_delta: delta.ln(), sure: whole.mean_max(ln).min(left.mean_max(ln)) }
    }
}

/// No evidence is worse than M = e^-20 for a claim that is passed over unread.
const LN_M_PASSED: f64 = -20.0;

/// Most hosts that may be handed and not yet vouched, so that no claim fails more than the budget
/// with confidence 1 − δ, the sum of all grounds' parts: `whole` of all handed hosts, `left` (what
/// has not been spent) of the unvouched ones. One ground is enough for a claim. More than `enough`
/// hosts is as good as any number: claims too small to matter for so few are passed over.
pub(crate) fn open_max(
    grounds: &[Ground],
    ladder: &Ladder,
    (whole, left): (&Tails, &Tails),
    enough: f64,
) -> f64 {
    let mut most = f64::INFINITY;
    let mut above = 1.0;
    for (at, q) in ladder.claims.iter().enumerate() {
        let harmless = |ground: &Ground| {
            let claim = &ground.excess.claims[at];
            let failures = above * (enough + claim.kept + ground.beside);
            claim.ln_m >= LN_M_PASSED && failures <= ground.share.sure
        };
        if enough.is_finite() && grounds.iter().any(harmless) {
            above = *q;
            continue;
        }
        let of = |ground: &Ground, within: f64, high: f64| {
            let claim = &ground.excess.claims[at];
            let ln = within.mul_add(claim.slope, claim.ln_m) + ground.share.ln_delta;
            let of_all = whole.mean_max(ln) - high * (claim.kept + ground.beside);
            of_all.min(left.mean_max(ln)) / high
        };
        let open = |within: f64, high: f64| {
            let each = grounds.iter().map(|ground| of(ground, within, high));
            each.fold(f64::NEG_INFINITY, f64::max)
        };
        // The claim speaks for all up to the next one: in parts, each at its lower end's evidence
        // and its upper end's harm.
        // The youngest ground mostly allows most, and one that allows enough settles it.
        if !grounds.iter().rev().any(|ground| of(ground, 0.0, above) >= most) {
            for part in 0..PARTS {
                let at = |part: i32| (above - q) * f64::from(part) / f64::from(PARTS);
                most = most.min(open(at(part), q + at(part + 1)));
            }
        }
        above = *q;
    }
    most.max(0.0)
}

impl Excess {
    pub(crate) fn new(ladder: &Ladder) -> Excess {
        Excess { claims: vec![Claim::default(); ladder.claims.len()] }
    }

    /// Treated hosts went bad within their window.
    pub(crate) fn bad(&mut self, hosts: f64, stakes: &Stakes) {
        if hosts > 0.0 {
            for (claim, stake) in self.claims.iter_mut().zip(&stakes.each) {
                claim.ln_m += hosts * stake.loss;
                claim.kept += hosts * stake.kept;
            }
        }
    }

    /// Controls went bad, beside `ratio` treated hosts per control.
    pub(crate) fn control(&mut self, hosts: f64, ratio: f64, stakes: &Stakes) {
        if hosts > 0.0 && ratio > 0.0 {
            for (claim, stake) in self.claims.iter_mut().zip(&stakes.each) {
                claim.ln_m += hosts * (ratio * stake.room).ln_1p();
            }
        }
    }

    /// Treated hosts came through their window. `stakes`: of the loudest tick of that window.
    pub(crate) fn clean(&mut self, hosts: f64, stakes: &Stakes) {
        if hosts > 0.0 {
            for (claim, stake) in self.claims.iter_mut().zip(&stakes.each) {
                claim.ln_m += hosts * stake.gain;
                claim.slope += hosts * stake.slope;
                claim.kept += hosts * stake.kept;
            }
        }
    }

    /// The bound, within 0 to 1, at confidence 1 − `delta`. Between two claims the lower one's stakes
    /// stand; its gain is convex in q, so the tangent at the lower claim is below it.
    pub(crate) fn bound(&self, ladder: &Ladder, delta: f64) -> f64 {
        let enough = -delta.ln();
        let mut above = 1.0;
        for (Claim { ln_m, slope, .. }, claim) in self.claims.iter().zip(&ladder.claims) {
            if *ln_m < enough {
                let within = if *slope > 0.0 { claim + (enough - ln_m) / slope } else { 1.0 };
                return within.min(above);
            }
            above = *claim;
        }
        above
    }

    /// Whether all sums are still numbers.
    pub(crate) fn is_sound(&self) -> bool {
        self.claims.iter().all(|claim| (claim.ln_m + claim.slope + claim.kept).is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: f64 = 2e-5;

    fn bound_of(bad: f64, clean: f64, controls: f64, ratio: f64) -> f64 {
        let ladder = Ladder::new(4);
        let stakes = ladder.stakes(QUIET);
        let mut excess = Excess::new(&ladder);
        excess.bad(bad, &stakes);
        excess.control(controls, ratio, &stakes);
        excess.clean(clean, &stakes);
        excess.bound(&ladder, 1e-3)
    }

    #[test]
    fn nobody_vouched_is_no_bound() {
        assert!((bound_of(0.0, 0.0, 0.0, 0.0) - 1.0).abs() < 1e-12);
        assert!((bound_of(16.0, 0.0, 0.0, 0.0) - 1.0).abs() < 1e-12);
    }

    /// Clean hosts alone: (1 − q)^v = δ, exactly, but for the ladder's tangents.
    #[test]
    fn clean_hosts_bound_as_their_closed_form() {
        for v in [16.0_f64, 300.0, 5e3, 7e4, 1e6] {
            let exact = 1.0 - (1e-3_f64).powf(1.0 / v);
            let found = bound_of(0.0, v, 0.0, 0.0);
            assert!(found >= exact * 0.999, "{v}: {found} under {exact}");
            let noise = 1.0 + QUIET * v; // the stakes hedge against background
            assert!(found <= exact * 1.01 * (1.0 + noise.ln()), "{v}: {found} over {exact}");
        }
    }

    #[test]
    fn failures_raise_the_bound_and_failing_controls_lower_it() {
        let clean = bound_of(0.0, 1e5, 0.0, 1.0);
        let failed = bound_of(4.0, 1e5, 0.0, 1.0);
        let explained = bound_of(4.0, 1e5, 4.0, 1.0);
        assert!(clean < explained && explained < failed, "{clean} {explained} {failed}");
    }

    /// M of the claim q = 2^-`rung` after one tick, as the gate reckons it.
    fn m(rung: usize, beta: f64, ratio: f64, (bad, clean, controls): (u32, u32, u32)) -> f64 {
        let ladder = Ladder::new(1);
        let stakes = ladder.stakes(beta);
        let mut excess = Excess::new(&ladder);
        excess.bad(f64::from(bad), &stakes);
        excess.control(f64::from(controls), ratio, &stakes);
        excess.clean(f64::from(clean), &stakes);
        excess.claims[rung].ln_m.exp()
    }

    /// E[M] ≤ 1 under the claim, summed over every outcome of a small tick: background failures
    /// strike a fixed set, the order is random, susceptible hosts fail with probability q.
    #[test]
    fn supermartingale_over_every_outcome_of_a_small_tick() {
        for (u, c, k, rung, beta) in [
            (3_u32, 5_u32, 2_u32, 2, 0.05),
            (4, 4, 4, 4, 0.5),
            (2, 7, 3, 1, 1e-3),
            (5, 1, 2, 7, 0.02),
        ] {
            let q: f64 = (-f64::from(rung)).exp2();
            let ratio = f64::from(u) / f64::from(c);
            let mut mean = 0.0;
            for x in k.saturating_sub(c)..=k.min(u) {
                let split = choose(u, x) * choose(c, k - x) / choose(u + c, k);
                for excess in 0..=u - x {
                    let clean = u - x - excess;
                    let hit = choose(u - x, excess)
                        * q.powi(excess as i32)
                        * (1.0 - q).powi(clean as i32);
                    let seen = (x + excess, clean, k - x);
                    mean += split * hit * m(rung as usize, beta, ratio, seen);
                }
            }
            assert!(mean <= 1.0 + 1e-12, "U={u} C={c} k={k} q={q}: {mean}");
            assert!(mean > 0.2, "U={u} C={c} k={k} q={q}: {mean} proves nothing");
        }
    }

    fn choose(n: u32, k: u32) -> f64 {
        (0..k).map(|i| f64::from(n - i) / f64::from(k - i)).product()
    }

    /// A power cut of both arms alike leaves the bound nearly where it was if the tick is known to be
    /// loud, and destroys it if it is taken for a quiet one.
    #[test]
    fn loud_tick_says_nothing() {
        let ladder = Ladder::new(4);
        let quiet = ladder.stakes(QUIET);
        let loud = ladder.stakes(0.05);
        let after = |stakes: &Stakes| {
            let mut excess = Excess::new(&ladder);
            excess.clean(7e4, &quiet);
            excess.bad(3500.0, stakes);
            excess.control(10_500.0, 1.0 / 3.0, stakes);
            excess.bound(&ladder, 1e-3)
        };
        let before = bound_of(0.0, 7e4, 0.0, 0.0);
        assert!(after(&loud) < 1.5 * before, "{} after {before}", after(&loud));
        assert!(after(&quiet) > 100.0 * before);
    }
}
