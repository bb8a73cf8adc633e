//! Seats on a vendor line: which hosts of which member stand under which numbers, and the stratum of
//! each. A fold over the journal, two bytes a host; it never learns a host's key or address.
use andon_model::limits::{HOSTS_MAX, SEAT_BLOCKS_MAX, STRATA_MAX};
use andon_model::line::{Member, Roster, SeatBlock};
use andon_model::{HostId, OperatorId, StratumId};
use std::collections::BTreeMap;

/// Why a roster gets no seats. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeatError {
    /// hosts are appended, never changed
    #[error("roster begins with host {got} of {operator}, host {want} is the next without a seat")]
    Gap {
        /// whose
        operator: OperatorId,
        /// first host there
        got: u64,
        /// first host without a seat
        want: u64,
    },
    /// more than the policy grants
    #[error("{operator} would have {hosts} seats, the policy grants it {hosts_max}")]
    Member {
        /// whose
        operator: OperatorId,
        /// with this roster
        hosts: u64,
        /// by the policy in force
        hosts_max: u32,
    },
    /// more than a line can have
    #[error("the line would have {0} seats, at most {HOSTS_MAX} are allowed")]
    Hosts(u64),
    /// more strata than a ticket can name
    #[error("the line would have {0} strata, at most {STRATA_MAX} are allowed")]
    Strata(usize),
    /// too many rosters, with other members' between them
    #[error("{0} would have over {SEAT_BLOCKS_MAX} blocks of seats")]
    Blocks(OperatorId),
}

/// All seats of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seats {
    /// every stratum ever named, in order of its first mention
    strata: Vec<StratumId>,
    index: BTreeMap<StratumId, u16>,
    /// per seat, which of them
    of: Vec<u16>,
    /// per operator, sorted, neighbours joined
    blocks: BTreeMap<OperatorId, Vec<SeatBlock>>,
}

impl Seats {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.of.len() as u64
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Option<HostId> {
        HostId::new(self.len()).ok()
    }

    /// All blocks of one operator.
    #[must_use]
    pub fn blocks(&self, operator: &OperatorId) -> &[SeatBlock] {
        self.blocks.get(operator).map_or(&[], Vec::as_slice)
    }

    /// Seats of one operator.
    #[must_use]
    pub fn hosts(&self, operator: &OperatorId) -> u64 {
        self.blocks(operator).iter().map(|block| u64::from(block.count)).sum()
    }

    /// The stratum of a seat, as an index that holds for this line's whole life.
    #[must_use]
    pub fn stratum(&self, seat: HostId) -> Option<u16> {
        self.of.get(crate::state::column(seat)).copied()
    }

    /// The names behind [`Seats::stratum`].
    #[must_use]
    pub fn strata(&self) -> &[StratumId] {
        &self.strata
    }

    /// Seats of one operator up to `last`, in the order of its hosts' numbers.
    pub fn of(&self, operator: &OperatorId, last: Option<HostId>) -> impl Iterator<Item = HostId> {
        let all = self.blocks(operator).iter();
        let seats = all.flat_map(|block| {
            (block.seat_first..)
                .take(block.count as usize)
                .filter_map(|seat| HostId::new(seat).ok())
        });
        seats.take_while(move |seat| Some(*seat) <= last)
    }

    /// The first seat that this roster of a member would get.
    /// # Errors
    /// [`SeatError`].
    pub fn offer(&self, member: &Member, roster: &Roster) -> Result<u64, SeatError> {
        let operator = || member.operator.clone();
        let blocks = self.blocks(&member.operator);
        let want = blocks.last().map_or(1, |last| last.host_first + u64::from(last.count));
        if roster.host_first != want {
            return Err(SeatError::Gap { operator: operator(), got: roster.host_first, want });
        }
        let more = roster.hosts.len() as u64;
        let hosts = self.hosts(&member.operator) + more;
        if hosts > u64::from(member.hosts_max) {
            let hosts_max = member.hosts_max;
            return Err(SeatError::Member { operator: operator(), hosts, hosts_max });
        }
        if self.len() + more > HOSTS_MAX {
            return Err(SeatError::Hosts(self.len() + more));
        }
        let news = roster.strata.iter().filter(|name| !self.index.contains_key(*name));
        let news: std::collections::BTreeSet<_> = news.collect();
        if self.strata.len() + news.len() > STRATA_MAX {
            return Err(SeatError::Strata(self.strata.len() + news.len()));
        }
        let seat_first = self.len() + 1;
        let joins = blocks.last().is_some_and(|last| follows(last, seat_first));
        if !joins && blocks.len() >= SEAT_BLOCKS_MAX {
            return Err(SeatError::Blocks(operator()));
        }
        Ok(seat_first)
    }

    /// Gives seats from `seat_first` on, as the journal says they were given.
    pub fn take(&mut self, operator: &OperatorId, seat_first: u64, roster: &Roster) {
        if seat_first != self.len() + 1 {
            return;
        }
        let index: Vec<u16> = roster.strata.iter().map(|name| self.intern(name)).collect();
        let strata = roster.hosts.iter().map(|at| index.get(usize::from(*at)).copied());
        self.of.extend(strata.map(Option::unwrap_or_default));
        let count = u32::try_from(roster.hosts.len()).unwrap_or(u32::MAX);
        let blocks = self.blocks.entry(operator.clone()).or_default();
        match blocks.last_mut() {
            Some(last) if follows(last, seat_first) => {
                last.count = last.count.saturating_add(count)
            }
            _ => blocks.push(SeatBlock { host_first: roster.host_first, seat_first, count }),
        }
    }

    fn intern(&mut self, name: &StratumId) -> u16 {
        if let Some(at) = self.index.get(name) {
            return *at;
        }
        let at = u16::try_from(self.strata.len()).unwrap_or(u16::MAX);
        self.strata.push(name.clone());
        self.index.insert(name.clone(), at);
        at
    }
}

/// Whether the seat is the one after this block: hosts follow each other anyway.
fn follows(last: &SeatBlock, seat_first: u64) -> bool {
    last.seat_first + u64::from(last.count) == seat_first
}

#[cfg(test)]
mod tests {
    use super::*;
    use andon_model::{LineId, PublicKey};

    fn member(name: &str, hosts_max: u32) -> Member {
        Member { operator: OperatorId::new(name).unwrap(), key: PublicKey([1; 32]), hosts_max }
    }

    fn roster(of: &Member, host_first: u64, names: &[&str], hosts: &[u16]) -> Roster {
        Roster {
            schema: 1,
            line: LineId::Vendor("acme".parse().unwrap()),
            operator: of.operator.clone(),
            host_first,
            strata: names.iter().map(|name| StratumId::new(name).unwrap()).collect(),
            hosts: hosts.to_vec(),
        }
    }

    fn take(seats: &mut Seats, of: &Member, roster: &Roster) {
        let first = seats.offer(of, roster).unwrap();
        seats.take(&of.operator, first, roster);
    }

    #[test]
    fn neighbours_are_joined_and_strata_keep_their_number() {
        let (a, b) = (member("a", 100), member("b", 100));
        let mut seats = Seats::default();
        take(&mut seats, &a, &roster(&a, 1, &["x", "y"], &[0, 1]));
        take(&mut seats, &a, &roster(&a, 3, &["y"], &[0]));
        take(&mut seats, &b, &roster(&b, 1, &["z", "x"], &[1, 0, 0]));
        take(&mut seats, &a, &roster(&a, 4, &["x"], &[0]));
        let block = |host_first, seat_first, count| SeatBlock { host_first, seat_first, count };
        assert_eq!(seats.blocks(&a.operator), [block(1, 1, 3), block(4, 7, 1)]);
        assert_eq!(seats.blocks(&b.operator), [block(1, 4, 3)]);
        let names: Vec<&str> = (1..=7)
            .map(|seat| seats.stratum(HostId::new(seat).unwrap()).unwrap())
            .map(|at| seats.strata()[usize::from(at)].as_str())
            .collect();
        assert_eq!(names, ["x", "y", "y", "x", "z", "z", "x"]);
        let of_a: Vec<u64> =
            seats.of(&a.operator, HostId::new(6).ok()).map(HostId::number).collect();
        assert_eq!(of_a, [1, 2, 3], "the seat after the plan is not in it");
    }

    #[test]
    fn a_roster_beyond_a_limit_gets_no_seats() {
        let a = member("a", 3);
        let mut seats = Seats::default();
        take(&mut seats, &a, &roster(&a, 1, &["x"], &[0, 0]));
        let gap = seats.offer(&a, &roster(&a, 4, &["x"], &[0])).unwrap_err();
        assert_eq!(gap, SeatError::Gap { operator: a.operator.clone(), got: 4, want: 3 });
        let again = seats.offer(&a, &roster(&a, 1, &["x"], &[0, 0]));
        assert!(matches!(again, Err(SeatError::Gap { got: 1, .. })), "told twice");
        let over = seats.offer(&a, &roster(&a, 3, &["x"], &[0, 0])).unwrap_err();
        let want = SeatError::Member { operator: a.operator.clone(), hosts: 4, hosts_max: 3 };
        assert_eq!(over, want);
        let b = member("b", 10_000);
        let names: Vec<String> = (0..STRATA_MAX).map(|at| format!("s{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let many = seats.offer(&b, &roster(&b, 1, &names, &[0])).unwrap_err();
        assert_eq!(many, SeatError::Strata(STRATA_MAX + 1));
        assert_eq!(seats.len(), 2);
    }
}
