//! Flatcar Nebraska in safe mode (`enforceRolloutPolicy`): one host until a first attempt has ended, then
//! limits on grants per period and on grants under way; too many time-outs end it. A host that says
//! "updated" and dies later is a success for it.
use super::{Look, Way, Wish, share_of};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The policy's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nebraska {
    /// most grants per period, most under way and fewest time-outs that end it, percent of the fleet
    pub percent_per_period: f64,
    /// the period, seconds
    pub period_s: f64,
    /// a grant without an answer for so long has timed out, seconds
    pub timeout_s: f64,
}

/// A grant is a host's own question answered; until one has asked, each minute another host is let in.
const FIRST_ASKS_WITHIN_S: f64 = 60.0;
/// A host that is well answers within so long of its grant: it installs, restarts and asks again.
const ANSWERS_WITHIN_S: f64 = 300.0;

impl Nebraska {
    pub(super) fn start(&self) -> Started {
        Started { spec: *self, past: VecDeque::new() }
    }
}

#[derive(Debug)]
pub(super) struct Started {
    spec: Nebraska,
    /// oldest first, as long as the longer of period and time-out
    past: VecDeque<Moment>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Moment {
    at_s: f64,
    handed: u64,
    delivered: u64,
    answered: u64,
}

impl Started {
    /// Counts as they were then.
    fn by(&self, until_s: f64) -> Moment {
        let older = self.past.partition_point(|moment| moment.at_s <= until_s);
        older.checked_sub(1).map_or(Moment::default(), |last| self.past[last])
    }

    /// Grants older than the time-out that were not answered soon. Which grants an answer belongs to is
    /// not seen: later answers are taken for those of later grants.
    fn timed_out(&self, now_s: f64) -> u64 {
        let granted_by = now_s - self.spec.timeout_s;
        let answered = self.by(granted_by + ANSWERS_WITHIN_S.min(self.spec.timeout_s)).answered;
        self.by(granted_by).delivered.saturating_sub(answered)
    }
}

impl Way for Started {
    fn look(&mut self, look: &Look<'_>) -> Wish {
        let (now_s, all, spec) = (look.elapsed_s, look.all, self.spec);
        let keep_s = now_s - spec.period_s.max(spec.timeout_s);
        while self.past.len() > 1 && self.past[1].at_s <= keep_s {
            self.past.pop_front();
        }
        let answered = all.confirmed + all.reported;
        let (handed, delivered) = (all.handed, all.delivered);
        self.past.push_back(Moment { at_s: now_s, handed, delivered, answered });
        let most = if answered == 0 {
            1
        } else {
            share_of(spec.percent_per_period / 100.0, all.hosts).max(1)
        };
        let timed_out = self.timed_out(now_s);
        if timed_out >= most {
            return Wish::Stop;
        }
        if delivered == 0 {
            let waited = (now_s / FIRST_ASKS_WITHIN_S).floor().min(f64::from(u32::MAX));
            return Wish::Cover(1 + share_of(waited / f64::from(u32::MAX), u64::from(u32::MAX)));
        }
        let under_way = delivered.saturating_sub(answered + timed_out);
        let granted = handed - self.by(now_s - spec.period_s).handed.min(handed);
        let room = most.saturating_sub(granted).min(most.saturating_sub(under_way));
        Wish::Cover(handed + room)
    }
}
