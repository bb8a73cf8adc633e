//! What the journal knows of a vendor line: a fold, like [`crate::state`] that it is part of. Nothing
//! is verified here: what is in the journal was.
use super::record::LineFact;
use crate::noted;
use crate::record::{Counted, HostChange};
use crate::rollout_state::{Marks, Place, Wave};
use crate::state::{HostState, PolicyInForce, column};
use crate::tally::Arms;
use andon_model::beat::ComponentStatus;
use andon_model::envelope::Envelope;
use andon_model::line::{LineStanding, Places, SeatBlock};
use andon_model::policy::Policy;
use andon_model::ticket::{Ceiling, Newcomers, Ticket};
use andon_model::{Digest, RolloutId, Time};
use andon_rollout::Plan;
use andon_trust::ticket::SeenTicket;
use std::collections::BTreeMap;

/// See the module's documentation.
#[derive(Clone, Debug, Default)]
pub struct LineState {
    /// our hosts' seats, sorted by host; they begin with host 1 and leave none out
    pub blocks: Vec<SeatBlock>,
    /// counts up with whatever hosts may read of it
    pub revision: u64,
    /// what the line has signed of its seats, for hosts to read
    pub signed_seats: Option<Envelope>,
    /// when seats were given last
    pub seated_at: Time,
    /// the line's policy, newest seen
    pub policy: Option<PolicyInForce>,
    /// its rollouts that our hosts are counted in
    pub rollouts: BTreeMap<RolloutId, Followed>,
    /// its rollouts that our hosts are not counted in, and that cover newcomers by now
    pub vouched: BTreeMap<RolloutId, Vouched>,
}

/// A release that a vendor line has vouched for on all its hosts, without ours.
#[derive(Clone, Debug)]
pub struct Vouched {
    /// digest of its manifest
    pub release: Digest,
    /// the ticket that covers newcomers, as signed
    pub ticket: Envelope,
}

/// A rollout of the vendor line, as far as it concerns our hosts.
#[derive(Clone, Debug)]
pub struct Followed {
    /// its plan
    pub plan: Plan,
    /// digest of the plan's payload
    pub digest: Digest,
    /// each host's place there, by column; later hosts have none
    pub places: Vec<Option<Place>>,
    /// each host's marks, by column: other ones than in our own rollout, which began at another time
    pub marks: Vec<Marks>,
    /// when each host confirmed, by column
    pub confirmed_at: Vec<Time>,
    /// its tickets so far
    pub waves: Vec<Wave>,
    /// whether the newest covers newcomers
    pub newcomers: Newcomers,
    /// the newest, as signed, for hosts to read
    pub newest: Option<Envelope>,
    /// all ceilings of the newest, where it commits to them
    pub ceilings: Vec<Ceiling>,
    /// the newest, for the next one to continue
    pub seen: Option<SeenTicket>,
    /// the tally that was sent last
    pub pending: Option<Pending>,
    /// when our hosts were counted for the last round that is known to be pooled; before that, when the
    /// plan was made
    pub observed: Time,
    /// the last round that is known to be pooled
    pub pooled: u64,
    /// how it ended
    pub over: Option<LineStanding>,
}

/// A tally of which it is not known yet whether it was pooled.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// which round it answers
    pub round: u64,
    /// newest ticket in it
    pub generation: u32,
    /// hosts behind its counts
    pub counted: Counted,
    /// as signed
    pub tally: Envelope,
    /// when it was counted
    pub at: Time,
}

impl LineState {
    /// Takes one fact.
    pub fn apply(&mut self, at: Time, fact: &LineFact, hosts: &[HostState]) {
        self.revision += u64::from(fact.is_for_hosts());
        match fact {
            LineFact::SeatsGiven { blocks } => {
                self.blocks.clone_from(blocks);
                self.seated_at = at;
            }
            LineFact::SeatsSigned { envelope } => self.signed_seats = Some(envelope.clone()),
            LineFact::PolicyTaken { envelope } => {
                if let Ok(policy) = Policy::parse(&envelope.payload) {
                    self.policy = Some(PolicyInForce { policy, envelope: envelope.clone() });
                }
            }
            LineFact::Joined { rollout, plan, places, silent } => {
                let read = (serde_json::from_slice(&plan.payload), Places::parse(&places.payload));
                if let (Ok(read), Ok(places)) = read {
                    let digest = Digest::of(&plan.payload);
                    let mut followed = Followed::new(read, digest, &places, hosts);
                    let silent = Counted { silent: silent.clone(), ..Counted::default() };
                    noted::counted(&mut followed.marks, &silent, false);
                    self.rollouts.insert(rollout.clone(), followed);
                }
            }
            LineFact::NewcomersCovered { rollout, envelope: Some(envelope) }
                if !self.rollouts.contains_key(rollout) =>
            {
                if let Ok(Ticket { release, .. }) = Ticket::parse(&envelope.payload) {
                    let ticket = envelope.clone();
                    self.vouched.insert(rollout.clone(), Vouched { release, ticket });
                }
            }
            LineFact::TicketTaken { rollout, .. }
            | LineFact::NewcomersCovered { rollout, .. }
            | LineFact::TallySent { rollout, .. }
            | LineFact::TallyPooled { rollout, .. }
            | LineFact::Over { rollout, .. } => {
                if let Some(followed) = self.rollouts.get_mut(rollout) {
                    followed.apply(at, fact);
                }
            }
        }
    }

    /// Whether the line has vouched for a release on all its hosts: whoever is no host of it may follow.
    #[must_use]
    pub fn vouches(&self, release: &Digest) -> bool {
        let vouched = |of: &Followed| {
            let halted = matches!(of.over, Some(LineStanding::Halted { .. }));
            of.plan.release == *release && of.newcomers == Newcomers::Included && !halted
        };
        self.rollouts.values().any(vouched)
            || self.vouched.values().any(|of| of.release == *release)
    }

    /// Hosts that have seats: the first so many.
    #[must_use]
    pub fn seated(&self) -> u64 {
        self.blocks.last().map_or(0, |block| block.host_first - 1 + u64::from(block.count))
    }
}

impl Followed {
    fn new(plan: Plan, digest: Digest, places: &Places, hosts: &[HostState]) -> Followed {
        let ranks = places.strata.iter().zip(&places.ranks);
        let places: Vec<_> =
            ranks.map(|(stratum, rank)| Some(Place { stratum: *stratum, rank: *rank })).collect();
        let known = places.len();
        let mut marks = vec![Marks::default(); known];
        for (mark, host) in marks.iter_mut().zip(hosts) {
            if !host.unwell.is_empty() {
                mark.set(Marks::UNWELL);
            }
        }
        Followed {
            observed: plan.created,
            plan,
            digest,
            places,
            marks,
            confirmed_at: vec![Time(0); known],
            waves: Vec::new(),
            newcomers: Newcomers::Excluded,
            newest: None,
            ceilings: Vec::new(),
            seen: None,
            pending: None,
            pooled: 0,
            over: None,
        }
    }

    fn apply(&mut self, at: Time, fact: &LineFact) {
        match fact {
            LineFact::TicketTaken { envelope, ceilings, .. } => {
                let ticket = Ticket::parse(&envelope.payload).ok();
                if let Some(ticket) = ticket.and_then(|ticket| ticket.opened(ceilings).ok()) {
                    self.ceilings.clone_from(ceilings);
                    self.take_ticket(&ticket);
                    self.newest = Some(envelope.clone());
                }
            }
            LineFact::NewcomersCovered { envelope, .. } => {
                self.newcomers = Newcomers::Included;
                if envelope.is_some() {
                    self.newest.clone_from(envelope);
                }
            }
            LineFact::TallySent { round, generation, counted, tally, .. } => {
                let (counted, tally) = (counted.clone(), tally.clone());
                let (round, generation) = (*round, *generation);
                self.pending = Some(Pending { round, generation, counted, tally, at });
            }
            LineFact::TallyPooled { round, .. } => {
                if let Some(pending) = self.pending.take_if(|pending| pending.round == *round) {
                    noted::counted(&mut self.marks, &pending.counted, true);
                    self.observed = pending.at;
                }
                self.pooled = self.pooled.max(*round);
            }
            LineFact::Over { standing, .. } => self.over = Some(standing.clone()),
            LineFact::SeatsGiven { .. }
            | LineFact::SeatsSigned { .. }
            | LineFact::PolicyTaken { .. }
            | LineFact::Joined { .. } => {}
        }
    }

    fn take_ticket(&mut self, ticket: &Ticket) {
        self.seen = Some(SeenTicket::of(ticket));
        self.newcomers = ticket.newcomers;
        if self.generation() < ticket.generation {
            let handed = ticket.ceilings.iter().map(|ceiling| ceiling.handed).collect();
            let at = ticket.steps.last().map_or(ticket.not_before, |step| step.at);
            self.waves.push(Wave { generation: ticket.generation, handed, at });
        }
    }

    /// What a host's news means there.
    pub fn host_changed(
        &mut self,
        at: Time,
        before: &[ComponentStatus],
        change: &HostChange,
        bad: bool,
    ) {
        let at_column = column(change.host);
        let marks = self.marks.get_mut(at_column).zip(self.confirmed_at.get_mut(at_column));
        let of = (&self.plan.component, self.plan.release);
        if let Some(marks) = marks {
            noted::changed(marks, of, at, before, change, bad);
        }
    }

    /// Generation of its newest ticket; 0: none.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.waves.last().map_or(0, |wave| wave.generation)
    }

    /// Which of our hosts is in which of its arms.
    #[must_use]
    pub fn arms(&self) -> Arms<'_> {
        Arms {
            plan: &self.plan,
            places: &self.places,
            waves: &self.waves,
            marks: &self.marks,
            confirmed_at: &self.confirmed_at,
            since: self.observed,
        }
    }
}
