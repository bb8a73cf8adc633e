//! What is next: wait (and why), widen (and by how much), or complete. It only looks; the machine
//! acts.
use super::{Phase, Rollout, total};
use crate::explain::Reason;
use crate::gate::{Room, Verdict};
use crate::plan::apportion;
use andon_model::limits::GENERATIONS_MAX;
use andon_model::ticket::Newcomers;
use andon_model::{Millis, Time};

/// First probe when the question is asked again; the next are twice as large each.
const PROBES_FIRST: u64 = 8;
/// Most hosts handed at once in a stratum of which nobody is vouched yet.
const UNKNOWN_STRATUM_MAX: u64 = 8;
/// A widening by less than this share of the hosts handed is not worth a ticket while waiting helps.
const CHURN_DIVISOR: u64 = 10;
/// Before a generation is over, only a widening to more than so many times the hosts handed is worth
/// the time that the next one then has to wait.
const EARLY_GROWTH: u64 = 10;
/// A generation is settled once no more than one of so many hosts handed is still without a verdict.
const UNSETTLED_DIVISOR: u64 = 8;
/// Generations after a ticket for which it is awaited that hosts settle: they are late, not absent.
const SETTLING_GENERATIONS: u64 = 2;
/// Generations after the last ticket for which confirmations are awaited before completing.
pub(super) const CONFIRMATION_GENERATIONS: u64 = 10;

/// What is next.
#[derive(Clone, Debug)]
pub(super) enum Next {
    Wait(Reason),
    Expose { handed: Vec<u32>, late: Vec<u32>, newcomers: Newcomers, asked_again: bool },
    Complete,
    Overflow,
}

impl Rollout {
    pub(super) fn next(&self) -> Next {
        if let Some(exposure) = &self.pending {
            return Next::Wait(Reason::TicketPending { generation: exposure.generation });
        }
        let Some((last, _)) = self.waves.last() else {
            return self.first_wave();
        };
        if self.newcomers == Newcomers::Included {
            return self.completion(*last);
        }
        // No widening without tallies from after the latest ticket.
        if self.observed.is_none() {
            return Next::Wait(Reason::ObservationMissing { since: self.clock.since(*last) });
        }
        let until = last.plus(self.plan.soak_min);
        if self.clock < until {
            return Next::Wait(Reason::Soaking { until });
        }
        if self.waves.len() >= GENERATIONS_MAX {
            return Next::Overflow;
        }
        self.widen(*last)
    }

    fn first_wave(&self) -> Next {
        let newcomers =
            if self.plan.hosts() == 0 { Newcomers::Included } else { Newcomers::Excluded };
        let left = self.under_way(self.left()).unwrap_or_else(|_| self.left());
        let handed = if self.plan.inside.is_some() {
            let Some(handed) = self.first_inside(&left) else { return Next::Overflow };
            handed
        } else if self.plan.order.is_some() {
            let open = self.open_only(left.clone()).into_iter();
            open.map(|hosts| u32::try_from(hosts).unwrap_or(u32::MAX)).collect()
        } else {
            self.plan.first_wave(self.clock)
        };
        // Without hosts in the plan the first ticket is for newcomers: they wait for the vendor line too.
        let somebody = self.plan.hosts() > 0 || !self.newcomers_permitted();
        if somebody && handed.iter().all(|hosts| *hosts == 0) {
            if let Some(until) = self.closed(&left) {
                return Next::Wait(Reason::OutsideWindow { until });
            }
            if let Some(reason) = self.awaits_vendor_line(&left) {
                return Next::Wait(reason);
            }
        }
        let late = self.late.covered().to_vec();
        Next::Expose { handed, late, newcomers, asked_again: false }
    }

    /// The first wave inside a vendor line: of the hosts that it covers; within the budget too, unless
    /// that line's pace is ours. `None`: out of range.
    fn first_inside(&self, left: &[u64]) -> Option<Vec<u32>> {
        let budget = self.plan.budget.iter().map(|point| point.1).min().unwrap_or(0);
        let first = u64::from(self.plan.first_wave_max);
        let most = if self.follows() { first } else { first.min(budget) };
        let caps = self.open_only(left.to_vec());
        let hosts = apportion(most, left, &caps).into_iter();
        hosts.map(|hosts| u32::try_from(hosts).ok()).collect()
    }

    /// When the next of the strata with hosts `left` to hand opens, if all of these are closed.
    fn closed(&self, left: &[u64]) -> Option<Time> {
        let waiting = left.iter().enumerate().filter(|(_, hosts)| **hosts > 0);
        let openings = waiting.map(|(at, _)| self.plan.opening(at, self.clock));
        openings.min().filter(|until| *until > self.clock)
    }

    /// Nothing for the strata that may not change now, and nothing that a vendor line does not cover.
    fn open_only(&self, mut caps: Vec<u64>) -> Vec<u64> {
        for (at, cap) in caps.iter_mut().enumerate() {
            if self.plan.opening(at, self.clock) > self.clock {
                *cap = 0;
            }
        }
        self.permitted_only(&mut caps);
        caps
    }

    fn completion(&self, last: Time) -> Next {
        let generation = self.plan.generation();
        let patience = Millis(generation.0.saturating_mul(CONFIRMATION_GENERATIONS));
        let missing = self.gate.missing();
        if self.plan.hosts() == 0 {
            Next::Complete
        } else if self.observed.is_none() {
            Next::Wait(Reason::ObservationMissing { since: self.clock.since(last) })
        } else if self.clock < last.plus(generation) {
            Next::Wait(Reason::Soaking { until: last.plus(generation) })
        } else if missing > 0 && self.clock < last.plus(patience) {
            Next::Wait(Reason::AwaitingConfirmations { missing })
        } else if self.gate.restarting() > 0 {
            Next::Wait(Reason::Restarting { hosts: self.gate.restarting() })
        } else {
            Next::Complete
        }
    }

    fn widen(&self, last: Time) -> Next {
        let room = self.gate.room(&self.view());
        match self.gate.verdict(&self.plan) {
            Verdict::Fail => Next::Wait(Reason::AskingAgain { probes: self.probes }),
            // The answer to the last question takes a generation.
            Verdict::Wait if self.clock < last.plus(self.plan.generation()) => {
                Next::Wait(Reason::AskingAgain { probes: self.probes })
            }
            Verdict::Wait => self.ask_again(&room),
            Verdict::Pass if self.gate.restarting() > 0 => {
                Next::Wait(Reason::Restarting { hosts: self.gate.restarting() })
            }
            Verdict::Pass => {
                let (late, room) = self.late_next(room);
                let left = self.left();
                let next = if left.iter().all(|hosts| *hosts == 0) {
                    self.last_wave(last, &room)
                } else {
                    self.grow(last, left, &room)
                };
                self.with_late(next, late, last)
            }
        }
    }

    /// Hosts per stratum that may still be handed before the holdback.
    fn left(&self) -> Vec<u64> {
        let handed = self.handed();
        let left = self.plan.strata.iter().zip(&handed);
        let left = left.map(|(s, handed)| (s.size - s.holdback).saturating_sub(*handed));
        self.not_refused(left.map(u64::from).collect())
    }

    /// Nothing more for the strata whose hosts obey canary waves only, once the first wave is handed:
    /// whoever refuses is not waited for.
    fn not_refused(&self, mut left: Vec<u64>) -> Vec<u64> {
        for (at, hosts) in left.iter_mut().enumerate() {
            if !self.waves.is_empty() && self.plan.canary_only(at) {
                *hosts = 0;
            }
        }
        left
    }

    fn grow(&self, last: Time, left: Vec<u64>, room: &Room) -> Next {
        let left = match self.under_way(left) {
            Ok(left) => left,
            Err(reason) => return Next::Wait(reason),
        };
        let left = &left[..];
        let handed = total(&self.handed());
        if self.follows() {
            let caps = self.open_only(left.to_vec());
            return self.follow(last, left, &caps);
        }
        let caps = self.open_only(self.caps(left, room));
        let mut most = room.pooled.min(self.growth_left());
        if room.vouched == 0 {
            let ends = [self.plan.generation(), self.settling()].map(|after| last.plus(after));
            if let Some(until) = ends.into_iter().find(|end| self.clock < *end) {
                return Next::Wait(Reason::Soaking { until });
            }
            // Nobody is known to have taken it (all away?): canaries again, within the budget.
            most = most.min(u64::from(self.plan.first_wave_max));
        }
        let more = apportion(most, left, &caps);
        let sum: u64 = more.iter().sum();
        let mut whole = left.to_vec();
        self.permitted_only(&mut whole); // waiting makes no more of it
        let all = sum == whole.iter().sum::<u64>();
        if sum == 0 || (!all && sum < self.worth_a_ticket(last, handed, room)) {
            let until = last.plus(self.plan.generation());
            return Next::Wait(if let Some(until) = self.closed(left) {
                Reason::OutsideWindow { until }
            } else if let Some(reason) = self.awaits_vendor_line(left) {
                reason
            } else if self.clock < until {
                Reason::Soaking { until }
            } else if room.vouched == 0 {
                Reason::NobodyVouched
            } else {
                Reason::BudgetLeavesNoRoom { after_ms: room.tightest.0 }
            });
        }
        self.expose(&more, Newcomers::Excluded, false)
    }

    /// Widens to all that the vendor line covers: its evidence is over more hosts than ours.
    fn follow(&self, last: Time, left: &[u64], caps: &[u64]) -> Next {
        let more = apportion(self.growth_left(), left, caps);
        if more.iter().any(|hosts| *hosts > 0) {
            return self.expose(&more, Newcomers::Excluded, false);
        }
        Next::Wait(if let Some(until) = self.closed(left) {
            Reason::OutsideWindow { until }
        } else {
            let until = last.plus(self.plan.generation());
            self.awaits_vendor_line(left).unwrap_or(Reason::Soaking { until })
        })
    }

    /// A widening by fewer hosts waits, for waiting makes it larger: a generation may still settle, then
    /// the longest horizon. After that every host that the budget allows is welcome.
    fn worth_a_ticket(&self, last: Time, handed: u64, room: &Room) -> u64 {
        let generation = last.plus(self.plan.generation());
        let longest = self.plan.budget.last().map_or(Millis::ZERO, |point| point.0);
        let settled = handed.saturating_sub(room.vouched) <= handed / UNSETTLED_DIVISOR;
        if self.clock < generation || (!settled && self.clock < last.plus(self.settling())) {
            handed.saturating_mul(EARLY_GROWTH)
        } else if self.clock < generation.plus(longest) {
            handed / CHURN_DIVISOR
        } else {
            1
        }
    }

    fn settling(&self) -> Millis {
        Millis(self.plan.generation().0.saturating_mul(SETTLING_GENERATIONS))
    }

    /// The holdback, once everybody else has soaked for the longest horizon.
    fn last_wave(&self, last: Time, room: &Room) -> Next {
        let longest = self.plan.budget.last().map_or(Millis::ZERO, |point| point.0);
        let until = last.plus(self.plan.generation().plus(longest));
        if self.clock < until && !self.follows() {
            return Next::Wait(Reason::Soaking { until });
        }
        if room.vouched == 0 && !self.follows() {
            return Next::Wait(Reason::NobodyVouched);
        }
        let handed = self.handed();
        let held = self.plan.strata.iter().zip(&handed);
        let all = held.map(|(s, handed)| u64::from(s.size - handed)).collect();
        let all: Vec<u64> = self.not_refused(all);
        let held = match self.under_way(all.clone()) {
            Ok(held) => held,
            Err(reason) => return Next::Wait(reason),
        };
        let (bounds, pooled) = match self.follows() {
            true => (held.clone(), u64::MAX),
            false => (held.iter().zip(&room.strata).map(|(h, r)| *h.min(r)).collect(), room.pooled),
        };
        let caps = self.open_only(bounds);
        let more = apportion(pooled.min(self.growth_left()), &held, &caps);
        let (sum, all) = (more.iter().sum::<u64>(), all.iter().sum::<u64>());
        if let Some(until) = self.closed(&held).filter(|_| sum == 0) {
            return Next::Wait(Reason::OutsideWindow { until });
        }
        let awaited = self.awaits_vendor_line(&held);
        if let Some(reason) =
            awaited.filter(|_| sum == 0 && !(all == 0 && self.newcomers_permitted()))
        {
            return Next::Wait(reason);
        }
        if sum == 0 && all > 0 {
            return Next::Wait(Reason::BudgetLeavesNoRoom { after_ms: room.tightest.0 });
        }
        let vouched = sum == all && self.newcomers_permitted();
        let newcomers = if vouched { Newcomers::Included } else { Newcomers::Excluded };
        self.expose(&more, newcomers, false)
    }

    /// Suspicious but not proven: probes in the suspicious stratum, 8, 16, 32 … within the budget.
    fn ask_again(&self, room: &Room) -> Next {
        let doubled = PROBES_FIRST.saturating_mul(1_u64.checked_shl(self.probes).unwrap_or(0));
        let Ok(left) = self.under_way(self.left()) else {
            return Next::Wait(Reason::AskingAgain { probes: self.probes });
        };
        let caps = left.iter().zip(&room.strata).map(|(left, room)| *left.min(room)).collect();
        let mut caps = self.open_only(caps);
        let mut most = doubled.saturating_mul(2);
        if let (_, Some(suspect)) = self.gate.suspects() {
            for (at, cap) in caps.iter_mut().enumerate() {
                if at != suspect {
                    *cap = 0;
                }
            }
            most = doubled;
        }
        let most = most.min(room.pooled).min(self.growth_left());
        let more = apportion(most, &left, &caps);
        if more.iter().all(|hosts| *hosts == 0) {
            return Next::Wait(Reason::AskingAgain { probes: self.probes });
        }
        self.expose(&more, Newcomers::Excluded, true)
    }

    /// Most hosts per stratum: what its own bound allows. Strata of which nobody is vouched get a few
    /// hosts each, and all of them together no more than may be lost: no bound speaks for them.
    fn caps(&self, left: &[u64], room: &Room) -> Vec<u64> {
        let handed = self.handed();
        let known = |at: usize| room.strata_vouched[at] > 0;
        let mut caps: Vec<u64> = (0..left.len())
            .map(|at| {
                left[at].min(room.strata[at]).min(if known(at) {
                    u64::MAX
                } else {
                    UNKNOWN_STRATUM_MAX
                })
            })
            .collect();
        let unknown: Vec<u64> =
            (0..left.len()).map(|at| if known(at) { 0 } else { caps[at] }).collect();
        let open = (0..left.len()).filter(|at| !known(*at)).map(|at| u64::from(handed[at]));
        let most = room.unspent.saturating_sub(open.sum());
        let allowed = apportion(most, left, &unknown);
        for at in (0..left.len()).filter(|at| !known(*at)) {
            caps[at] = allowed[at];
        }
        caps
    }

    /// Hosts that the next ticket may add so that hosts accept it: they check growth themselves.
    fn growth_left(&self) -> u64 {
        let handed = total(&self.handed());
        let most = u128::from(handed.max(1)) * u128::from(self.plan.growth_max_permille) / 1000;
        u64::try_from(most).unwrap_or(u64::MAX).saturating_sub(handed)
    }

    fn expose(&self, more: &[u64], newcomers: Newcomers, asked_again: bool) -> Next {
        let add = |(handed, more): (u32, &u64)| handed.checked_add(u32::try_from(*more).ok()?);
        let handed: Option<Vec<u32>> = self.handed().into_iter().zip(more).map(add).collect();
        match handed {
            Some(handed) => {
                let late = self.late.covered().to_vec();
                Next::Expose { handed, late, newcomers, asked_again }
            }
            None => Next::Overflow,
        }
    }

    /// When the next observation may change something; none while people are asked, or at the end.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        match (&self.phase, self.next()) {
            (
                Phase::Exposing,
                Next::Wait(Reason::Soaking { until } | Reason::OutsideWindow { until }),
            ) => Some(until),
            // Before its first hand-out nothing but that line's ticket changes anything.
            (Phase::Exposing, Next::Wait(Reason::AwaitingVendorLine { .. }))
                if self.waves.is_empty() =>
            {
                None
            }
            (Phase::Exposing, _) => Some(self.clock),
            _ => None,
        }
    }
}
