//! Late hosts in the machine: how many more of them may go with the next ticket, and when a ticket is
//! worth issuing for their sake alone.
use super::Rollout;
use super::widen::Next;
use crate::gate::{Room, View};
use crate::late::Pace;
use andon_model::Time;

impl Rollout {
    /// How many late hosts the next ticket covers, and what room is left for the plan's hosts beside
    /// them. The plan's hosts come first: where none of them has room, no late one has. An explicit
    /// order keeps the budgets of groups, in which late hosts have no place: they wait for its end. Inside
    /// a vendor line they have no seat that its tickets could cover: they wait for its end too.
    pub(super) fn late_next(&self, room: Room) -> (Vec<u32>, Room) {
        let now = self.late.covered();
        if self.plan.order.is_some() || self.plan.inside.is_some() || room.pooled == 0 {
            return (now.to_vec(), room);
        }
        let pace = |(at, clean): (usize, &u64)| {
            let stratum = &self.plan.strata[at];
            let open = self.plan.opening(at, self.clock) <= self.clock;
            let size = if open { u64::from(stratum.size - stratum.holdback) } else { 0 };
            Pace { vouched: *clean, size }
        };
        let paces: Vec<Pace> = room.strata_clean.iter().enumerate().map(pace).collect();
        let budgets: Vec<u64> = self.plan.budget.iter().map(|point| point.1).collect();
        let next = self.late.next(&paces, &budgets);
        if next == now {
            return (next, room);
        }
        let charges = self.late.charges(&next);
        let beside = self.gate.room(&View { charges: &charges, ..self.view() });
        if beside.pooled == 0 { (now.to_vec(), room) } else { (next, beside) }
    }

    /// Lets late hosts go with a ticket that is issued anyway; with one of their own if none was for a
    /// generation.
    pub(super) fn with_late(&self, next: Next, late: Vec<u32>, last: Time) -> Next {
        let moved = self.late.moved().map_or(last, |moved| moved.max(last));
        let due = self.clock >= moved.plus(self.plan.generation());
        match next {
            Next::Expose { handed, newcomers, asked_again, late: _ } => {
                Next::Expose { handed, late, newcomers, asked_again }
            }
            Next::Wait(_) if due && late != self.late.covered() => Next::Expose {
                handed: self.handed(),
                late,
                newcomers: self.newcomers,
                asked_again: false,
            },
            other => other,
        }
    }
}
