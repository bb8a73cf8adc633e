//! The wave ticket: one small signed object that moves millions of hosts, and no more than it says.
use crate::ceilings::{self, CeilingsError, Shard};
use crate::digest::Digest;
use crate::envelope::Envelope;
use crate::facts::{self, FactKind, HostNow};
use crate::id::{ComponentId, GroupId, HostId, LineId, RolloutId, StratumId};
use crate::limits::{
    APPROVALS_MAX, CEILINGS_LISTED_MAX, ELIGIBILITY_RULES_MAX, GENERATIONS_MAX, RINGS_MAX,
    STRATA_MAX, WINDOWS_MAX,
};
use crate::line::{SeatBlock, blocks_are_sane, seat};
use crate::order::Commitment;
use crate::policy::{Lane, Watch};
use crate::position::Position;
use crate::release::Version;
use crate::time::{Millis, Time};
use serde::{Deserialize, Serialize};

/// Up to which position the hosts of one stratum are covered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceiling {
    /// the stratum
    pub stratum: StratumId,
    /// highest position covered; `None`: nobody yet
    pub position_max: Option<Position>,
    /// how many hosts that is
    pub handed: u32,
    /// the last late host of the stratum that is covered, in the order of enrolment: hosts beyond
    /// `enrolled_max` up to this one; `None`: none of them yet
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_max: Option<HostId>,
}

/// One widening so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// counts up from 1
    pub generation: u32,
    /// hosts covered over all strata
    pub handed: u64,
    /// when the ticket was issued
    pub at: Time,
}

/// Hosts handed by the last of these steps that is at least `soak` old: what a rollout has let soak
/// before it hands anything to hosts outside its plan. Server and host reckon it alike.
#[must_use]
pub fn soaked(steps: impl IntoIterator<Item = (Time, u64)>, soak: Millis, now: Time) -> u64 {
    let old = steps.into_iter().filter(|(at, _)| at.plus(soak) <= now);
    old.map(|(_, handed)| handed).max().unwrap_or(0)
}

/// Who enrolled after the plan was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Newcomers {
    /// not covered: they hold no exposure credit
    Excluded,
    /// covered: the release is vouched on the whole line
    Included,
}

/// Signed by the line's online key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// format of this object; 1
    pub schema: u32,
    /// whose line
    pub line: LineId,
    /// which rollout
    pub rollout: RolloutId,
    /// digest of the release's manifest
    pub release: Digest,
    /// its component
    pub component: ComponentId,
    /// its version
    pub version: Version,
    /// speed class
    pub lane: Lane,
    /// counts up with every widening; equals the last step's
    pub generation: u32,
    /// seed of the random order; its digest stood in the journal before the start
    pub seed: Digest,
    /// the last host that the plan knew
    pub enrolled_max: Option<HostId>,
    /// whether later ones are covered too
    pub newcomers: Newcomers,
    /// when the plan was made: rings count from then on; no rings, no such time
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Time>,
    /// groups whose hosts were strata of their own in the plan, sorted
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scheduled: Vec<GroupId>,
    /// groups that the plan left out, sorted: their hosts are newcomers, whatever the rules say later
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<GroupId>,
    /// by what of that which they run the plan told hosts of one stratum apart, sorted
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told_apart: Vec<FactKind>,
    /// the hosts' seats on the vendor line that this line goes inside: a host's position is then its
    /// seat's, the same on both lines; who has no seat is a newcomer
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seats: Vec<SeatBlock>,
    /// to an explicit order, if budgets of groups made one: a position is then the rank that the host's
    /// own leaf names, and whoever is shown to have none is a newcomer
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Commitment>,
    /// sorted by stratum; none where they are committed to
    pub ceilings: Vec<Ceiling>,
    /// to the ceilings, where they are more than [`CEILINGS_LISTED_MAX`]: whom the ticket covers then
    /// stands in the shard of the host's own stratum
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<ceilings::Commitment>,
    /// every widening, oldest first, this one last
    pub steps: Vec<Step>,
    /// how covered hosts and controls are observed
    pub watch: Watch,
    /// when it was issued; it covers nobody before
    pub not_before: Time,
    /// it covers nobody from then on
    pub not_after: Time,
    /// digest of the gate's evidence for this widening
    pub evidence: Digest,
    /// version of the policy it was issued under
    pub policy_version: u64,
    /// signed [`crate::command::Approval`]s
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Envelope>,
}

/// Why a ticket's own text makes no sense (whether it may be obeyed is for `andon-trust`).
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// not the JSON we expect
    #[error("parse ticket")]
    Parse(#[source] serde_json::Error),
    /// a field that contradicts another
    #[error("ticket field {0} {1}")]
    Field(&'static str, &'static str),
}

impl Ticket {
    /// Reads a ticket payload and checks that it is consistent in itself.
    /// # Errors
    /// [`TicketError`].
    pub fn parse(bytes: &[u8]) -> Result<Ticket, TicketError> {
        let ticket: Ticket = serde_json::from_slice(bytes).map_err(TicketError::Parse)?;
        ticket.check()?;
        Ok(ticket)
    }

    fn check(&self) -> Result<(), TicketError> {
        let rule = |holds: bool, field, problem| {
            if holds { Ok(()) } else { Err(TicketError::Field(field, problem)) }
        };
        rule(self.schema == 1, "schema", "is not 1")?;
        rule(self.ceilings.len() <= STRATA_MAX, "ceilings", "is too long")?;
        let sorted = self.ceilings.windows(2).all(|pair| pair[0].stratum < pair[1].stratum);
        rule(sorted, "ceilings", "is not sorted by stratum")?;
        let scheduled = self.scheduled.len() <= RINGS_MAX + WINDOWS_MAX;
        rule(scheduled, "scheduled", "is too long")?;
        let excluded = self.excluded.len() <= 3 * ELIGIBILITY_RULES_MAX;
        rule(excluded, "excluded", "is too long")?;
        let told = self.told_apart.windows(2).all(|pair| pair[0] < pair[1]);
        rule(told, "told_apart", "is not sorted, or names something twice")?;
        let seats = blocks_are_sane(&self.seats);
        rule(seats, "seats", "is too long, not sorted, or gives a seat twice")?;
        let one = self.seats.is_empty() || self.order.is_none();
        rule(one, "seats", "stands beside an order")?;
        let known = self.enrolled_max.map_or(0, HostId::number);
        let whole = self.order.is_none_or(|order| order.hosts == known);
        rule(whole, "order", "has other hosts than enrolled_max")?;
        let late = |ceiling: &Ceiling| ceiling.late_max.is_none_or(|last| last.number() > known);
        rule(self.ceilings.iter().all(late), "ceilings", "name a late host of the plan")?;
        self.check_committed(known)?;
        let unordered = self.order.is_none() || self.late_hosts() == 0;
        rule(unordered, "ceilings", "cover late hosts beside an order")?;
        rule(self.steps.len() <= GENERATIONS_MAX, "steps", "is too long")?;
        rule(self.approvals.len() <= APPROVALS_MAX, "approvals", "is too long")?;
        let last = self.steps.last().ok_or(TicketError::Field("steps", "is empty"))?;
        rule(last.generation == self.generation, "generation", "is not the last step's")?;
        rule(last.handed == self.handed(), "steps", "does not add up to the ceilings")?;
        let rising = |pair: &[Step]| {
            pair[1].generation == pair[0].generation.saturating_add(1)
                && pair[0].handed < pair[1].handed
                && pair[0].at <= pair[1].at
        };
        rule(self.steps.windows(2).all(rising), "steps", "does not count up")?;
        rule(self.steps[0].generation == 1, "steps", "does not begin with generation 1")?;
        rule(self.not_before < self.not_after, "not_after", "is not after not_before")
    }

    fn check_committed(&self, known: u64) -> Result<(), TicketError> {
        let Some(committed) = self.committed else { return Ok(()) };
        let rule = |holds: bool, problem| {
            if holds { Ok(()) } else { Err(TicketError::Field("committed", problem)) }
        };
        rule(self.ceilings.is_empty(), "stands beside ceilings")?;
        rule(committed.is_sane(), "has too few or too many shards or strata")?;
        let late = committed.late_max.is_none_or(|last| last.number() > known);
        rule(late, "names a late host of the plan")
    }

    /// Hosts covered over all strata.
    fn handed(&self) -> u64 {
        let listed: u64 = self.ceilings.iter().map(|ceiling| u64::from(ceiling.handed)).sum();
        self.committed.map_or(listed, |committed| committed.handed)
    }

    /// The ticket as it is signed: many ceilings are taken out and committed to. With them the shards in
    /// which hosts find theirs; none, and the ticket is as it was.
    /// # Errors
    /// [`CeilingsError::Field`]: there are too many ceilings, or they are not sorted.
    pub fn sealed(mut self) -> Result<(Ticket, Vec<Shard>), CeilingsError> {
        if self.ceilings.len() <= CEILINGS_LISTED_MAX {
            return Ok((self, vec![]));
        }
        let (committed, shards) = ceilings::commit(&self.ceilings)?;
        self.ceilings.clear();
        self.committed = Some(committed);
        Ok((self, shards))
    }

    /// The ticket with all its ceilings again, if these are the ones that it commits to. One that lists
    /// them stays as it is.
    /// # Errors
    /// [`CeilingsError`].
    pub fn opened(mut self, ceilings: &[Ceiling]) -> Result<Ticket, CeilingsError> {
        if let Some(committed) = self.committed.take() {
            committed.covers(ceilings)?;
            self.ceilings = ceilings.to_vec();
        }
        Ok(self)
    }

    /// The order in which this host must find its place before it can tell whether it is covered;
    /// `None`: there is none, or the host enrolled after it was made.
    #[must_use]
    pub fn order_of(&self, host: HostId) -> Option<Commitment> {
        self.order.filter(|order| host.number() <= order.hosts)
    }

    /// Most late hosts that the ceilings can cover: hosts are numbered one by one as they enrol, so
    /// this bounds them whatever the rest of the ticket claims.
    #[must_use]
    pub fn late_hosts(&self) -> u64 {
        let listed = self.ceilings.iter().filter_map(|ceiling| ceiling.late_max).max();
        let last = self.committed.map_or(listed, |committed| committed.late_max);
        let known = self.enrolled_max.map_or(0, HostId::number);
        last.map_or(0, |last| last.number().saturating_sub(known))
    }

    /// Highest position covered in a stratum; `None`: nobody yet.
    #[must_use]
    pub fn ceiling(&self, stratum: &StratumId) -> Option<Position> {
        let ceiling = self.ceilings.iter().find(|ceiling| ceiling.stratum == *stratum)?;
        ceiling.position_max
    }

    /// Whether a host is covered that has this place in the ticket's order, or none. A host that is of
    /// another stratum than its place is in no wave of either: it is late, as newcomers are.
    #[must_use]
    pub fn covers_place<'h>(
        &self,
        host: impl Into<HostNow<'h>>,
        place: Option<(&StratumId, Position)>,
    ) -> bool {
        let host = host.into();
        let left_out = host.class.groups.iter().any(|group| self.excluded.contains(group));
        let own = self.stratum_of(host);
        match place.filter(|(stratum, _)| !left_out && **stratum == own) {
            Some((stratum, rank)) => self.ceiling(stratum).is_some_and(|max| rank <= max),
            None => self.newcomers == Newcomers::Included,
        }
    }

    /// Whether a host is covered, time and signatures aside. Where an order names its place, only
    /// that place can say so: [`Ticket::covers_place`].
    #[must_use]
    pub fn covers<'h>(&self, host: HostId, now: impl Into<HostNow<'h>>) -> bool {
        let now = now.into();
        if now.class.groups.iter().any(|group| self.excluded.contains(group)) {
            return self.newcomers == Newcomers::Included;
        }
        self.reaches(host, &self.stratum_of(now))
    }

    /// The stratum of a host in this ticket's plan. One that runs something else than when the plan was made
    /// may be of none: nobody has counted it among those.
    #[must_use]
    pub fn stratum_of<'h>(&self, host: impl Into<HostNow<'h>>) -> StratumId {
        let HostNow { class, facts } = host.into();
        facts::stratum_by(class.stratum_on(&self.scheduled), facts, &self.told_apart)
    }

    /// Whether a place in a stratum is covered, for hosts that no rule left out.
    #[must_use]
    pub fn reaches(&self, host: HostId, stratum: &StratumId) -> bool {
        if self.enrolled_max.is_none_or(|last| host > last) {
            let own = self.ceilings.iter().find(|ceiling| ceiling.stratum == *stratum);
            let late = own.and_then(|ceiling| ceiling.late_max).is_some_and(|last| host <= last);
            return late || self.newcomers == Newcomers::Included;
        }
        if self.order.is_some() {
            return false;
        }
        let seat = if self.seats.is_empty() { Some(host) } else { seat(&self.seats, host) };
        let Some(seat) = seat else {
            return self.newcomers == Newcomers::Included;
        };
        let position = Position::of(&self.seed, &self.release, seat);
        self.ceiling(stratum).is_some_and(|max| position <= max)
    }
}
