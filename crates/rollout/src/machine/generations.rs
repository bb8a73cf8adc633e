//! Budgets of groups: which of the hosts that are left the plan's generation under way has, and
//! whether the next one may begin. Half of one generation and half of the next, handed at once, may be
//! more of one group than its budget ([`crate::groups::Assignment::clamp`]).
use super::Rollout;
use super::widen::CONFIRMATION_GENERATIONS;
use crate::explain::Reason;
use andon_model::{Millis, Time};

impl Rollout {
    /// What of `left`, per stratum, the generation under way has. All of it in a plan without groups.
    pub(super) fn under_way(&self, mut left: Vec<u64>) -> Result<Vec<u64>, Reason> {
        let Some(order) = &self.plan.order else { return Ok(left) };
        let handed = self.handed();
        let open = |ends: &Vec<u32>| ends.iter().zip(&handed).any(|(end, now)| now < end);
        let Some(at) = order.generations.iter().position(open) else { return Ok(left) };
        if let Some(reason) = self.waits_for_earlier(at, &handed) {
            return Err(reason);
        }
        for (left, (end, now)) in left.iter_mut().zip(order.generations[at].iter().zip(&handed)) {
            *left = (*left).min(u64::from(end.saturating_sub(*now)));
        }
        Ok(left)
    }

    /// Why generation `at` (from 0) may not begin; `None`: it may, or has begun.
    fn waits_for_earlier(&self, at: usize, handed: &[u32]) -> Option<Reason> {
        let order = self.plan.order.as_ref()?;
        let before = at.checked_sub(1)?;
        if order.generations[before] != handed {
            return None;
        }
        let generation = self.plan.generation();
        let longest = self.plan.budget.last().map_or(Millis::ZERO, |point| point.0);
        let last = self.finished(before)?;
        // Who is in none of the last generations that count must be past window and horizon, however
        // fast the gate was.
        let counted = usize::try_from(order.unvouched_generations).unwrap_or(usize::MAX);
        let past = at.checked_sub(counted).and_then(|past| self.finished(past));
        let past = past.map(|then| then.plus(generation).plus(longest));
        let until = past.unwrap_or(last).max(last.plus(generation));
        if self.clock < until {
            return Some(Reason::Soaking { until });
        }
        let missing = self.gate.missing();
        let patience = Millis(generation.0.saturating_mul(CONFIRMATION_GENERATIONS));
        let awaited = missing > 0 && self.clock < last.plus(patience);
        awaited.then_some(Reason::AwaitingConfirmations { missing })
    }

    /// When the ticket was issued that covered the last host of this generation.
    fn finished(&self, generation: usize) -> Option<Time> {
        let ends = self.plan.order.as_ref()?.generations.get(generation)?;
        let covers = |handed: &[u32]| handed.iter().zip(ends).all(|(now, end)| now >= end);
        self.waves.iter().find(|(_, handed)| covers(handed)).map(|(at, _)| *at)
    }
}
