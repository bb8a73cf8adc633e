//! Waves that know what depends on what: which generation of a rollout each host belongs to, so
//! that no service, quorum, rack or site ever has more un-vouched members than its budget.
//!
//! A Kubernetes `PodDisruptionBudget` bounds *voluntary* disruption: members that are restarting.
//! A faulty update makes the disruption involuntary, hours later and all at once, so what is
//! budgeted here are members handed the release and not yet past its window: *un-vouched* ones.
//!
//! What it is: [`assign`], a pure function of the fleet's columns, the rules, the seed and the growth
//! law. What it is not: the gate (which may always hand out less), the host's own check (a leaf of
//! `andon_model::merkle`), or the judge of its own work ([`crate::audit`] shares no code with it).
//! Complexity and limits: `docs/spec/plan.md`.
mod assignment;
mod fleet;
mod line;
mod order;
mod stream;
mod waves;

pub use assignment::{Assignment, Place};
pub use fleet::{Alone, CanaryShare, Fleet, Group, Limit};
pub use line::{CANARY_SHARE_PERMILLE, LineOrder, OrderError, Seat, line_order, strata};
pub use order::OrderKey;
pub use waves::{Rules, assign};

use andon_model::limits::{GENERATIONS_MAX, GROUPS_MAX, GROUPS_PER_HOST_MAX};

/// How many hosts may have been handed in all by the end of each generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Growth {
    /// hosts of the first wave
    pub first: u64,
    /// each generation's total over the one before it, in thousandths
    pub factor_permille: u64,
}

impl Growth {
    /// Hosts that may have been handed by the end of a generation when `handed` were before it.
    #[must_use]
    pub fn total(self, handed: u64) -> u64 {
        if handed == 0 {
            return self.first;
        }
        let grown = u128::from(handed) * u128::from(self.factor_permille) / 1000;
        u64::try_from(grown).unwrap_or(u64::MAX)
    }
}

/// Why no plan was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupsError {
    /// columns of different lengths, or offsets that do not rise
    #[error("fleet column {0} does not fit the others")]
    Column(&'static str),
    /// host numbers must rise: a host counts once
    #[error("host {host} stands at or behind a higher number")]
    HostOrder {
        /// its number
        host: u32,
    },
    /// a stratum beyond the rules' list
    #[error("host {host} is of stratum {stratum}, which the rules do not list")]
    Stratum {
        /// the host's number
        host: u32,
        /// the index
        stratum: u16,
    },
    /// a group that is not in the table
    #[error("host {host} names group {group}, which is not in the table")]
    Group {
        /// the host's number
        host: u32,
        /// the index
        group: u32,
    },
    /// one membership counts once
    #[error("host {host} names group {group} twice")]
    GroupTwice {
        /// the host's number
        host: u32,
        /// the index
        group: u32,
    },
    /// a budget reckoned from too small a size would be too small or a singleton by mistake
    #[error("group {group} says it has {size} hosts and has {members}")]
    GroupSize {
        /// the index
        group: u32,
        /// as the table says
        size: u32,
        /// as the hosts say
        members: u32,
    },
    /// over [`GROUPS_PER_HOST_MAX`]
    #[error("host {host} is in more than {GROUPS_PER_HOST_MAX} groups")]
    GroupsPerHost {
        /// the host's number
        host: u32,
    },
    /// over [`GROUPS_MAX`]
    #[error("table has more than {GROUPS_MAX} groups")]
    Groups,
    /// a rule outside its range
    #[error("rule {0} {1}")]
    Rule(&'static str, &'static str),
    /// the growth law stands still
    #[error(
        "generation {generation} may not hand out a single host more: the growth law stands still"
    )]
    Growth {
        /// which
        generation: u32,
    },
    /// budgets so small that the rollout never ends
    #[error("plan needs more than {GENERATIONS_MAX} generations")]
    Generations,
}
