//! What the planner reads: hosts and groups as dense columns. Not the store they come from.
use super::GroupsError;
use andon_model::limits::{GROUPS_MAX, GROUPS_PER_HOST_MAX, HOSTS_MAX};

/// How many members of a group may be un-vouched at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// this share of the members, rounded down, in thousandths
    Share {
        /// thousandths
        permille: u16,
    },
    /// so many members
    Count(u32),
    /// a majority must stay: ⌊(m − 1) / 2⌋ of m members
    Quorum,
    /// no budget: the group is there for its share of the canaries
    Unlimited,
}

/// What becomes of a group's only member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// it goes after everybody who is not alone
    Last,
    /// its owner consented: it goes like any other
    Consents,
}

/// Whether a group's share of the canaries is bounded (one tenant, one site).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanaryShare {
    /// any number of canaries within the budget
    Free,
    /// at most the rules' share of the first wave
    Capped,
}

/// A set of hosts that must not fail together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// members, those outside this fleet included
    pub size: u32,
    /// how many may be un-vouched
    pub limit: Limit,
    /// for a group of one
    pub alone: Alone,
    /// share of the canaries
    pub canaries: CanaryShare,
}

impl Group {
    /// Whether its only member must wait for everybody else.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.size <= 1 && self.limit != Limit::Unlimited && self.alone == Alone::Last
    }

    /// Most members un-vouched at once: at least one, or the group would never be updated.
    #[must_use]
    pub fn budget(&self) -> u32 {
        let hosts = match self.limit {
            Limit::Share { permille } => {
                let share = u64::from(self.size) * u64::from(permille) / 1000;
                u32::try_from(share).unwrap_or(u32::MAX)
            }
            Limit::Count(hosts) => hosts,
            Limit::Quorum => self.size.saturating_sub(1) / 2,
            Limit::Unlimited => self.size,
        };
        hosts.clamp(1, self.size.max(1))
    }
}

/// The hosts of a plan, column by column; the i-th entry of each belongs to the i-th host.
#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    /// enrolment numbers, rising
    pub numbers: &'a [u32],
    /// index of each host's stratum
    pub strata: &'a [u16],
    /// where each host's groups begin in `memberships`; one entry more than hosts
    pub offsets: &'a [u32],
    /// indices into `groups`, host after host
    pub memberships: &'a [u32],
    /// the groups
    pub groups: &'a [Group],
}

impl Fleet<'_> {
    /// Hosts.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.numbers.len()
    }

    /// Groups of one host, by its index.
    pub(super) fn row(&self, host: usize) -> &[u32] {
        &self.memberships[self.offsets[host] as usize..self.offsets[host + 1] as usize]
    }

    /// Whether the columns fit each other; how many hosts each group has here.
    /// # Errors
    /// [`GroupsError`] naming the first thing that does not fit.
    pub(super) fn check(&self, strata: usize) -> Result<Vec<u32>, GroupsError> {
        let rule = |holds: bool, error| if holds { Ok(()) } else { Err(error) };
        let hosts = self.hosts();
        rule(hosts as u64 <= HOSTS_MAX, GroupsError::Column("numbers"))?;
        rule(self.strata.len() == hosts, GroupsError::Column("strata"))?;
        rule(self.offsets.len() == hosts + 1, GroupsError::Column("offsets"))?;
        let ends = (self.offsets[0], self.offsets[hosts] as usize);
        rule(ends == (0, self.memberships.len()), GroupsError::Column("offsets"))?;
        rule(self.offsets.is_sorted(), GroupsError::Column("offsets"))?;
        rule(self.groups.len() <= GROUPS_MAX, GroupsError::Groups)?;
        let mut last = None;
        for (host, stratum) in self.numbers.iter().zip(self.strata) {
            rule(last < Some(*host), GroupsError::HostOrder { host: *host })?;
            last = Some(*host);
            let known = usize::from(*stratum) < strata;
            rule(known, GroupsError::Stratum { host: *host, stratum: *stratum })?;
        }
        self.check_groups()
    }

    fn check_groups(&self) -> Result<Vec<u32>, GroupsError> {
        let mut members = vec![0_u32; self.groups.len()];
        for (at, host) in self.numbers.iter().enumerate() {
            let row = self.row(at);
            if row.len() > GROUPS_PER_HOST_MAX {
                return Err(GroupsError::GroupsPerHost { host: *host });
            }
            for (nth, group) in row.iter().enumerate() {
                if row[..nth].contains(group) {
                    return Err(GroupsError::GroupTwice { host: *host, group: *group });
                }
                match members.get_mut(*group as usize) {
                    Some(count) => *count += 1,
                    None => return Err(GroupsError::Group { host: *host, group: *group }),
                }
            }
        }
        for ((group, members), at) in self.groups.iter().zip(&members).zip(0_u32..) {
            if *members > group.size {
                let (size, members) = (group.size, *members);
                return Err(GroupsError::GroupSize { group: at, size, members });
            }
        }
        Ok(members)
    }
}
