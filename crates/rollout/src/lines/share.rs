//! What a wave of the vendor line means for each operator. It hands out nothing itself.
//!
//! The hosts of a stratum stand in *one* random order over all operators. The true answer is
//! therefore [`by_order`]: count whose hosts stand at the front. Where only numbers are known (a
//! simulator, a forecast for a dashboard) [`share`] gives the expected counts by largest remainder:
//! exact in sum, within one host of proportional, ties to the first name. It shares out the
//! *widening*, not the cumulative number: largest remainder over cumulative numbers can take a host
//! away from an operator when the total grows (the Alabama paradox), and a host handed stays handed.
use crate::plan::apportion;
use andon_model::OperatorId;
use std::collections::BTreeMap;

/// How many of the first `handed` hosts of a stratum's pooled order belong to each operator.
#[must_use]
pub fn by_order(order: &[OperatorId], handed: u32) -> BTreeMap<OperatorId, u32> {
    let mut out = BTreeMap::new();
    for name in order {
        out.entry(name.clone()).or_insert(0);
    }
    let handed = usize::try_from(handed).unwrap_or(usize::MAX);
    for name in order.iter().take(handed) {
        *out.entry(name.clone()).or_insert(0) += 1;
    }
    out
}

/// Shares `more` hosts of one stratum over operators in proportion to the hosts each has `left`
/// (not yet handed), never more than that. The sum is `more`, or all that are left if fewer.
#[must_use]
pub fn share(more: u32, left: &BTreeMap<OperatorId, u32>) -> BTreeMap<OperatorId, u32> {
    let caps: Vec<u64> = left.values().map(|hosts| u64::from(*hosts)).collect();
    named(left, &proportional(u64::from(more), &caps))
}

/// Most hosts of a canary wave of `wave` hosts that may belong to one operator: its share in
/// thousandths, rounded down, but at least one.
#[must_use]
pub fn canary_cap(wave: u32, share_max_permille: u32) -> u32 {
    let share = u64::from(wave) * u64::from(share_max_permille.min(1000)) / 1000;
    u32::try_from(share).unwrap_or(wave).max(1)
}

/// As [`share`] for the canary wave of one stratum, with no operator above [`canary_cap`]. Whoever
/// owns many hosts cannot fake the whole canary wave's health, nor halt a vendor by it alone. What
/// the cap cuts off goes to the others; if all are at their caps, the wave is smaller.
///
/// Price: while a cap binds, that operator is rarer among the treated than among the controls, so
/// an outage at one of the *others* counts for somewhat more than it should. It ends with the wave.
#[must_use]
pub fn share_canary(
    wave: u32,
    left: &BTreeMap<OperatorId, u32>,
    share_max_permille: u32,
) -> BTreeMap<OperatorId, u32> {
    let cap = u64::from(canary_cap(wave, share_max_permille));
    let weights: Vec<u64> = left.values().map(|hosts| u64::from(*hosts)).collect();
    let mut out = vec![0_u64; weights.len()];
    let mut more = u64::from(wave);
    // Whoever is at the cap leaves the round; each round settles one operator or is the last.
    for _ in 0..=weights.len() {
        let open = |at: usize| out[at] < weights[at].min(cap);
        let caps: Vec<u64> =
            (0..out.len()).map(|at| if open(at) { weights[at] - out[at] } else { 0 }).collect();
        let round = proportional(more, &caps);
        let mut given = 0;
        for (sum, (part, weight)) in out.iter_mut().zip(round.iter().zip(&weights)) {
            let before = *sum;
            *sum = (*sum + part).min(cap).min(*weight);
            given += *sum - before;
        }
        more -= given;
        if more == 0 || given == 0 {
            break;
        }
    }
    named(left, &out)
}

/// Exactly `total`, or all if there are fewer, in proportion to `caps` and never above them.
fn proportional(total: u64, caps: &[u64]) -> Vec<u64> {
    apportion(total, caps, caps)
}

fn named(left: &BTreeMap<OperatorId, u32>, counts: &[u64]) -> BTreeMap<OperatorId, u32> {
    let count = |(name, count): (&OperatorId, &u64)| {
        (name.clone(), u32::try_from(*count).unwrap_or(u32::MAX))
    };
    left.keys().zip(counts).map(count).collect()
}
