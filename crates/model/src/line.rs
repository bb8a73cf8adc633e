//! What servers of two lines say to each other: a vendor's line over the pooled hosts of its member
//! operators, and each operator's own line inside it (`docs/spec/vendor-line.md`). A vendor line has
//! no hosts, it has *seats*: numbers that members' hosts have on it. It never learns a host's key.
use crate::digest::Digest;
use crate::enrol::Anchor;
use crate::id::{HostId, LineId, OperatorId, RolloutId, StratumId, VendorId};
use crate::key::PublicKey;
use crate::limits::{DIRECTIVES_MAX, KEYS_MAX, ROSTER_HOSTS_MAX, SEAT_BLOCKS_MAX, STRATA_MAX};
use crate::policy::Person;
use crate::text::Text;
use crate::ticket::Newcomers;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// In a vendor line's policy: an operator whose hosts it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// who
    pub operator: OperatorId,
    /// its line's online key: signs rosters and tallies
    pub key: PublicKey,
    /// most seats it may take
    pub hosts_max: u32,
}

/// In an operator's policy: a vendor line that its hosts take part in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorLine {
    /// whose
    pub vendor: VendorId,
    /// the people whose threshold signs that line's policy …
    pub people: Vec<Person>,
    /// … and how many of them it takes
    pub threshold: u32,
    /// how fast the operator's own line goes inside it
    pub pace: Pace,
}

impl VendorLine {
    /// Its line.
    #[must_use]
    pub fn line(&self) -> LineId {
        LineId::Vendor(self.vendor.clone())
    }

    /// What its policy is verified against.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        Anchor {
            schema: 1,
            line: self.line(),
            operators: self.people.clone(),
            operators_threshold: self.threshold,
            tuf_root: serde_json::Value::Null,
            platform: Vec::new(),
        }
    }

    /// Whether it makes sense.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        let people = self.people.len();
        people <= KEYS_MAX && (1..=people as u64).contains(&u64::from(self.threshold))
    }
}

/// How fast an operator's line goes inside a vendor line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// by its own budget and evidence, inside what the vendor line covers: two gates in a row
    Own,
    /// as fast as the vendor line covers its hosts, inside its own growth and soak limits: for fleets
    /// too small to see anything themselves. Its own gate still holds and halts.
    Vendor,
}

/// Consecutive hosts of an operator and their consecutive seats on a vendor line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatBlock {
    /// number of the first host on its operator's line
    pub host_first: u64,
    /// number of its seat
    pub seat_first: u64,
    /// how many
    pub count: u32,
}

/// A host's seat, by the blocks of its operator (sorted by host); `None`: it has none yet.
#[must_use]
pub fn seat(blocks: &[SeatBlock], host: HostId) -> Option<HostId> {
    let at = blocks.partition_point(|block| block.host_first <= host.number());
    let block = blocks.get(at.checked_sub(1)?)?;
    let inside = host.number() - block.host_first;
    let seat =
        (inside < u64::from(block.count)).then_some(block.seat_first.checked_add(inside)?)?;
    HostId::new(seat).ok()
}

/// Whether blocks are sorted, touch no host or seat twice, and are not too many.
#[must_use]
pub fn blocks_are_sane(blocks: &[SeatBlock]) -> bool {
    // Both ends are numbers that hosts can have, so no sum below runs over.
    let whole = |block: &SeatBlock| {
        let last = |first: u64| first.checked_add(u64::from(block.count).saturating_sub(1));
        let numbers = |first| last(first).is_some_and(|last| HostId::new(last).is_ok());
        block.count > 0
            && block.host_first > 0
            && block.seat_first > 0
            && numbers(block.host_first)
            && numbers(block.seat_first)
    };
    // Seats are given in order, so both columns rise.
    let rising = |pair: &[SeatBlock]| {
        pair[0].host_first + u64::from(pair[0].count) <= pair[1].host_first
            && pair[0].seat_first + u64::from(pair[0].count) <= pair[1].seat_first
    };
    blocks.len() <= SEAT_BLOCKS_MAX && blocks.iter().all(whole) && blocks.windows(2).all(rising)
}

/// A member's next hosts, signed by its online key: only what the vendor line compares, no keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    /// format of this object; 1
    pub schema: u32,
    /// the vendor line
    pub line: LineId,
    /// whose hosts
    pub operator: OperatorId,
    /// number of the first host in it: one more than the last one that has a seat
    pub host_first: u64,
    /// the strata named below
    pub strata: Vec<StratumId>,
    /// per host, which of them it is in
    pub hosts: Vec<u16>,
}

/// Why a text between lines makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// not the JSON we expect
    #[error("parse {0}")]
    Parse(&'static str, #[source] serde_json::Error),
    /// a field that contradicts another
    #[error("{0} field {1} {2}")]
    Field(&'static str, &'static str, &'static str),
}

fn rule(
    holds: bool,
    what: &'static str,
    field: &'static str,
    problem: &'static str,
) -> Result<(), LineError> {
    if holds { Ok(()) } else { Err(LineError::Field(what, field, problem)) }
}

impl Roster {
    /// Reads and checks a payload.
    /// # Errors
    /// [`LineError`].
    pub fn parse(bytes: &[u8]) -> Result<Roster, LineError> {
        let what = "roster";
        let roster: Roster =
            serde_json::from_slice(bytes).map_err(|why| LineError::Parse(what, why))?;
        rule(roster.schema == 1, what, "schema", "is not 1")?;
        rule(roster.host_first > 0, what, "host_first", "is 0")?;
        rule(roster.strata.len() <= STRATA_MAX, what, "strata", "is too long")?;
        let count = 1..=ROSTER_HOSTS_MAX;
        rule(count.contains(&roster.hosts.len()), what, "hosts", "is empty or too long")?;
        let named = |at: &u16| usize::from(*at) < roster.strata.len();
        rule(roster.hosts.iter().all(named), what, "hosts", "names a stratum that is not there")?;
        Ok(roster)
    }
}

/// All seats of one operator's hosts on a vendor line; signed by that line's online key. A host finds its
/// own in it: what its operator's line says of seats could put everybody into the first wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seating {
    /// format of this object; 1
    pub schema: u32,
    /// the vendor line
    pub line: LineId,
    /// whose hosts
    pub operator: OperatorId,
    /// sorted by host
    pub seats: Vec<SeatBlock>,
}

impl Seating {
    /// Reads and checks a payload.
    /// # Errors
    /// [`LineError`].
    pub fn parse(bytes: &[u8]) -> Result<Seating, LineError> {
        let what = "seating";
        let seating: Seating =
            serde_json::from_slice(bytes).map_err(|why| LineError::Parse(what, why))?;
        rule(seating.schema == 1, what, "schema", "is not 1")?;
        let sane = blocks_are_sane(&seating.seats);
        rule(sane, what, "seats", "is too long, not sorted, or gives a seat twice")?;
        Ok(seating)
    }
}

/// What a vendor line says about its rollouts at one moment; signed by its online key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounds {
    /// format of this object; 1
    pub schema: u32,
    /// the vendor line
    pub line: LineId,
    /// when it was said
    pub issued: Time,
    /// one per rollout that is running, or was over not long ago
    pub rounds: Vec<Round>,
    /// directives of its vendor that are in force there, by the names under which the line serves them
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directives: Vec<Digest>,
}

/// Where one rollout of a vendor line is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// which
    pub rollout: RolloutId,
    /// digest of the release's manifest
    pub release: Digest,
    /// the round whose tallies are due; counts up by one, and never for one that was pooled
    pub round: u64,
    /// generation of the newest ticket issued; 0: none yet
    pub generation: u32,
    /// whether that ticket covers newcomers
    pub newcomers: Newcomers,
    /// digest of the plan's payload, for `plans/ROLLOUT`
    pub plan: Digest,
    /// what it does
    pub standing: LineStanding,
}

/// What a vendor line's rollout does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case", deny_unknown_fields)]
pub enum LineStanding {
    /// it goes on as evidence allows
    Live,
    /// it does not widen until a person resumes it
    Held {
        /// why
        why: Text,
    },
    /// over for good; whether members halt too, or hold until their own people decide
    Halted {
        /// who or what ended it, in words
        by: Text,
        /// digest of the freeze or of the evidence
        digest: Digest,
        /// a person's halt may have other reasons than evidence: members hold
        by_person: bool,
    },
    /// everybody has it
    Completed,
}

impl Rounds {
    /// Reads and checks a payload.
    /// # Errors
    /// [`LineError`].
    pub fn parse(bytes: &[u8]) -> Result<Rounds, LineError> {
        let what = "rounds";
        let rounds: Rounds =
            serde_json::from_slice(bytes).map_err(|why| LineError::Parse(what, why))?;
        rule(rounds.schema == 1, what, "schema", "is not 1")?;
        rule(rounds.rounds.iter().all(|r| r.round > 0), what, "round", "is 0")?;
        rule(rounds.directives.len() <= DIRECTIVES_MAX, what, "directives", "is too long")?;
        Ok(rounds)
    }
}

/// Where one member's hosts stand in a vendor line's rollout; signed by the line's online key. With
/// it the member counts its hosts exactly as a server counts its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Places {
    /// format of this object; 1
    pub schema: u32,
    /// the vendor line
    pub line: LineId,
    /// whose hosts
    pub operator: OperatorId,
    /// in which rollout
    pub rollout: RolloutId,
    /// per host that had a seat when the plan was made, in order of their numbers from 1 on: index
    /// of its stratum in the plan …
    pub strata: Vec<u16>,
    /// … and its rank there, from 0
    pub ranks: Vec<u32>,
}

impl Places {
    /// Reads and checks a payload.
    /// # Errors
    /// [`LineError`].
    pub fn parse(bytes: &[u8]) -> Result<Places, LineError> {
        let what = "places";
        let places: Places =
            serde_json::from_slice(bytes).map_err(|why| LineError::Parse(what, why))?;
        rule(places.schema == 1, what, "schema", "is not 1")?;
        let alike = places.strata.len() == places.ranks.len();
        rule(alike, what, "ranks", "has another length than strata")?;
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HOSTS_MAX;

    fn host(number: u64) -> HostId {
        HostId::new(number).unwrap()
    }

    #[test]
    fn a_host_finds_its_seat_in_its_block_only() {
        let block = |host_first, seat_first, count| SeatBlock { host_first, seat_first, count };
        let blocks = [block(1, 101, 3), block(4, 501, 2)];
        assert!(blocks_are_sane(&blocks));
        let seats: Vec<_> = (1..=6).map(|number| seat(&blocks, host(number))).collect();
        let want = [101, 102, 103, 501, 502].map(|number| Some(host(number)));
        assert_eq!(seats[..5], want);
        assert_eq!(seats[5], None);
        assert_eq!(seat(&[], host(1)), None);
    }

    #[test]
    fn blocks_that_overlap_or_run_over_are_refused() {
        let block = |host_first, seat_first, count| SeatBlock { host_first, seat_first, count };
        assert!(!blocks_are_sane(&[block(1, 1, 3), block(3, 10, 1)]), "a host twice");
        assert!(!blocks_are_sane(&[block(1, 10, 3), block(4, 12, 1)]), "a seat twice");
        assert!(!blocks_are_sane(&[block(1, 1, 0)]), "empty");
        assert!(!blocks_are_sane(&[block(1, u64::MAX, 2)]), "over the end");
    }

    /// The sum of its last host and one ran over.
    #[test]
    fn a_block_that_ends_with_the_largest_number_is_refused_before_it_is_added_to() {
        let block = |host_first, seat_first, count| SeatBlock { host_first, seat_first, count };
        for last in [u64::MAX, HOSTS_MAX + 1] {
            assert!(!blocks_are_sane(&[block(last, 1, 1), block(1, 2, 1)]), "{last}");
            assert!(!blocks_are_sane(&[block(last, 1, 1)]), "{last}");
            assert!(!blocks_are_sane(&[block(1, last, 1)]), "{last}");
        }
        assert!(blocks_are_sane(&[block(HOSTS_MAX, HOSTS_MAX, 1)]));
    }
}
