//! How many hand-outs a good update needs at least: the bound's own growth when nothing goes wrong.
//! It promises nothing; chance only makes it longer.
use super::excess::{Excess, Ground, Ladder, Share, open_max};
use super::tail::Tails;
use super::tally::as_f64;
use crate::plan::Plan;
use andon_model::Millis;

/// Claims per octave: as the pooled bound.
const RUNGS: i32 = 8;
/// A forecast ends here; such a rollout does not.
const HAND_OUTS_MAX: u64 = 10_000;

/// Hand-outs until everybody but the holdback is covered under one point (D, B(D)) of the budget:
/// each as large as the bound allows once all hosts before it are through with nothing bad.
pub(crate) fn hand_outs_min(plan: &Plan, (after, budget): (Millis, u64)) -> u64 {
    let held: u64 = plan.strata.iter().map(|stratum| u64::from(stratum.holdback)).sum();
    let all = plan.hosts().saturating_sub(held);
    let delta = f64::from(plan.delta_ppm) / 1e6;
    let ladder = Ladder::new(RUNGS);
    let per_ms = f64::from(plan.background_ppm_per_h) / 1e6 / 3_600_000.0;
    let stakes = ladder.stakes(per_ms * as_f64(plan.timing.window.plus(after).0));
    let (mut excess, tails) = (Excess::new(&ladder), Tails::new(budget));
    // As many as may be lost are out at once, in however many waves.
    let mut handed = budget.min(all);
    excess.clean(as_f64(handed), &stakes);
    let share = Share::new(delta, (&tails, &tails));
    let mut hand_outs = 1;
    while handed < all && hand_outs < HAND_OUTS_MAX {
        let ground = Ground { excess: &excess, share, beside: 0.0 };
        let open = open_max(&[ground], &ladder, (&tails, &tails), as_f64(all));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let open = open.clamp(0.0, 1e15).floor() as u64;
        let more = open.max(budget).clamp(1, all - handed);
        excess.clean(as_f64(more), &stakes);
        handed += more;
        hand_outs += 1;
    }
    hand_outs
}
