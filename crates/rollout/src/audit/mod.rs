//! The independent auditor: is a plan, or what was handed out, what the policy allows?
//!
//! It shares no code with the planner ([`crate::groups`]): it reads rows and pairs instead of columns,
//! does its own arithmetic, and counts by sorting. A mistake in the planner is not repeated here.
//! What it is not: a second planner. That the random order is the one of the seed is seen by running
//! the planner again, which is deterministic; here only the seed's commitment is compared.
mod check;
mod waves;

pub use check::{plan, tickets};

use andon_model::Digest;

/// What is known of the fleet, whoever made the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// (enrolment number, index of its stratum), in any order
    pub hosts: Vec<(u32, u16)>,
    /// (host's number, index of a group), in any order
    pub members: Vec<(u32, u32)>,
    /// the groups
    pub groups: Vec<GroupRule>,
}

/// What the policy says of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupRule {
    /// members in all, those outside the fleet included
    pub size: u32,
    /// how many may be un-vouched at once
    pub allowed: Allowed,
    /// whether the owner of an only member lets it go before the others
    pub consent: bool,
    /// whether its share of the first wave is bounded
    pub canaries_capped: bool,
}

/// How many members of a group may be un-vouched at once; never less than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// a share of them, rounded down, in thousandths
    Permille(u16),
    /// so many
    Hosts(u32),
    /// so many that more than half of the members stay
    KeepMajority,
    /// any number
    Any,
}

/// What the policy says of the rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutRules {
    /// most hosts of the first wave
    pub first_wave_max: u64,
    /// a wave's total over the one before it, at most, in thousandths
    pub growth_max_permille: u64,
    /// most of the first wave in one group whose canaries are capped, in thousandths, at least one
    pub canary_share_permille: u16,
    /// waves for which a member counts as un-vouched
    pub unvouched_generations: u32,
    /// hosts of each stratum handed the release after everybody else
    pub holdback: Vec<u32>,
    /// digest of the seed, made public before the hosts' order was known
    pub seed_committed: Digest,
}

/// One host's line of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// enrolment number
    pub host: u32,
    /// index of its stratum
    pub stratum: u16,
    /// place in its stratum's order, from 0
    pub rank: u32,
    /// generation, from 1
    pub generation: u32,
}

/// Something that the policy does not allow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// the seed is not the one that was committed to
    SeedMismatch,
    /// a host has two rows
    HostTwice {
        /// its number
        host: u32,
    },
    /// a host has no row
    HostMissing {
        /// its number
        host: u32,
    },
    /// a row is of no host
    HostUnknown {
        /// its number
        host: u32,
    },
    /// a host stands in another stratum than its own
    StratumWrong {
        /// its number
        host: u32,
    },
    /// hosts are in a group of which nothing is known, so nothing can be judged
    GroupUnknown {
        /// its index
        group: u32,
    },
    /// the order of a stratum has a gap or two hosts in one place
    OrderBroken {
        /// index of the stratum
        stratum: u16,
        /// first place that is not taken by one host
        rank: u32,
    },
    /// a host stands before one of an earlier wave, so no wave is a prefix of the order
    WaveNotPrefix {
        /// index of the stratum
        stratum: u16,
        /// the earlier wave
        generation: u32,
    },
    /// the first wave is too large
    FirstWaveTooLarge {
        /// its hosts
        hosts: u64,
        /// as many were allowed
        allowed: u64,
    },
    /// a wave grows too fast
    GrowthExceeded {
        /// which
        generation: u32,
        /// hosts handed by its end
        hosts: u64,
        /// as many were allowed
        allowed: u64,
    },
    /// one tenant or site has too many canaries
    CanaryShareExceeded {
        /// index of the group
        group: u32,
        /// its canaries
        hosts: u64,
        /// as many were allowed
        allowed: u64,
    },
    /// too many members of a group are un-vouched at once; the first such wave of the group
    BudgetExceeded {
        /// index of the group
        group: u32,
        /// the wave at whose end they are
        generation: u32,
        /// un-vouched members
        hosts: u64,
        /// as many were allowed
        allowed: u64,
    },
    /// a group's only member goes before somebody who is not
    OnlyMemberEarly {
        /// its number
        host: u32,
        /// its wave
        generation: u32,
    },
    /// a stratum's holdback is handed before everybody else is
    HoldbackEarly {
        /// index of the stratum
        stratum: u16,
        /// the wave
        generation: u32,
    },
    /// a ticket covers fewer hosts of a stratum than the one before it
    HandedLess {
        /// the ticket, from 1
        generation: u32,
        /// index of the stratum
        stratum: u16,
    },
    /// a ticket covers more hosts of a stratum than there are
    HandedBeyond {
        /// the ticket, from 1
        generation: u32,
        /// index of the stratum
        stratum: u16,
    },
}
