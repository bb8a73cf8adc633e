//! The late queue: hosts that enrolled after a rollout began, as far as it concerns the rollout.
//!
//! They were not there when the waves were drawn, so they are in none, and they hold no credit for the
//! exposure they missed: a thousand laptops that open at nine o'clock are not a wave of a thousand.
//! Of each stratum as large a share of them may be covered as of the plan's hosts is vouched for, first
//! enrolled first. From the ticket that covers it until it is through the longest window, each counts
//! in the budget as if it had failed: nothing is known of it, and no evidence speaks for it. So the
//! budget's theorem holds whatever late hosts are like, and one that fails stays spent.
//! What it is not: a list of hosts (a ticket moves everybody; which of them are covered follows from
//! the counts and the order of enrolment), nor a source of evidence.
use crate::event::StratumTally;
use crate::plan::apportion;
use andon_model::Time;

/// Late hosts that are not through take at most one part in so many of what any horizon's budget
/// allows: hosts that never answer must not stop the plan's.
const BUDGET_DIVISOR: u64 = 4;

/// How far a stratum's hosts of the plan are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// hosts of the plan that are past every window unharmed
    pub vouched: u64,
    /// hosts of the plan beside the holdback; 0 while the stratum may not change
    pub size: u64,
}

/// What is known of late hosts, per stratum of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateQueue {
    /// that may be covered, by the last tally
    hosts: Vec<u32>,
    /// covered by the tickets issued; it never falls
    covered: Vec<u32>,
    /// most that were through at any tick, horizon by horizon
    clean: Vec<Vec<u32>>,
    /// when a ticket last covered more
    moved: Option<Time>,
}

impl LateQueue {
    /// Nobody is late yet.
    #[must_use]
    pub fn new(strata: usize, horizons: usize) -> LateQueue {
        LateQueue {
            hosts: vec![0; strata],
            covered: vec![0; strata],
            clean: vec![vec![0; strata]; horizons],
            moved: None,
        }
    }

    /// Whether a stratum's tally contradicts what was covered.
    #[must_use]
    pub fn adds_up(&self, stratum: usize, tally: &StratumTally) -> bool {
        let covered = self.covered.get(stratum).copied().unwrap_or(0);
        let told = tally.late.clean.len();
        (told == self.clean.len() || (told == 0 && covered == 0))
            && tally.late.clean.iter().all(|clean| *clean <= covered)
    }

    /// Takes one tick's tallies.
    pub fn observe(&mut self, strata: &[StratumTally]) {
        for (at, tally) in strata.iter().enumerate().take(self.hosts.len()) {
            self.hosts[at] = tally.late.hosts;
            for (most, clean) in self.clean.iter_mut().zip(&tally.late.clean) {
                // Who was through and went bad is not through again: others do not take its place.
                most[at] = most[at].max(*clean);
            }
        }
    }

    /// A ticket that covers so many was issued.
    pub fn cover(&mut self, covered: &[u32], at: Time) {
        for (before, now) in self.covered.iter_mut().zip(covered) {
            if *now > *before {
                (*before, self.moved) = (*now, Some(at));
            }
        }
    }

    /// Late hosts covered by the tickets issued.
    #[must_use]
    pub fn covered(&self) -> &[u32] {
        &self.covered
    }

    /// When a ticket last covered more.
    #[must_use]
    pub fn moved(&self) -> Option<Time> {
        self.moved
    }

    /// Per horizon, what late hosts take of the budget if so many are covered: all but those through.
    #[must_use]
    pub fn charges(&self, covered: &[u32]) -> Vec<u64> {
        let open = |clean: &Vec<u32>| {
            let each = covered.iter().zip(clean).map(|(all, clean)| all.saturating_sub(*clean));
            each.map(u64::from).sum()
        };
        self.clean.iter().map(open).collect()
    }

    /// How many late hosts of each stratum may be covered now: of each at most its share, and in all no
    /// more than `budgets`, the hosts that each horizon may lose in all, leave to late hosts.
    #[must_use]
    pub fn next(&self, paces: &[Pace], budgets: &[u64]) -> Vec<u32> {
        let share = |(hosts, pace): (&u32, &Pace)| {
            let vouched = pace.vouched.min(pace.size);
            let share = u128::from(*hosts) * u128::from(vouched) / u128::from(pace.size.max(1));
            u64::try_from(share).unwrap_or(u64::MAX).min(vouched)
        };
        let shares: Vec<u64> = self.hosts.iter().zip(paces).map(share).collect();
        let caps = shares.iter().zip(&self.covered);
        let caps: Vec<u64> = caps.map(|(most, now)| most.saturating_sub(u64::from(*now))).collect();
        let charges = self.charges(&self.covered).into_iter().zip(budgets);
        let left = charges.map(|(taken, budget)| (budget / BUDGET_DIVISOR).saturating_sub(taken));
        let more = apportion(left.min().unwrap_or(0), &caps, &caps);
        let add = |(now, more): (&u32, &u64)| {
            now.saturating_add(u32::try_from(*more).unwrap_or(u32::MAX))
        };
        self.covered.iter().zip(&more).map(add).collect()
    }
}
