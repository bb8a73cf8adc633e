//! Whether a ticket covers this host. Most say it themselves; of others this host must first read its
//! own place in an explicit order, or its own stratum's ceiling where the ticket only commits to them.
//! What does not come, or is not what was signed, covers nobody.
use super::need::Need;
use super::outcome::chain;
use super::take::{ceilings_code, shard_code};
use super::{Round, View};
use crate::ticket;
use andon_model::ceilings::{self, CeilingsError};
use andon_model::facts::HostNow;
use andon_model::order::{self, Shard};
use andon_model::position::Position;
use andon_model::ticket::{Ceiling, Ticket};
use andon_model::{HostId, RolloutId, StratumId};

/// What of a ticket decides, once what it lacks was looked up: all but its past and its approvals.
#[derive(Clone, Debug)]
pub(super) struct Undecided {
    rest: Box<Ticket>,
    pub(super) lacks: Lacks,
}

/// What to look up.
#[derive(Clone, Debug)]
pub(super) enum Lacks {
    /// this host's place in the order
    Place(order::Commitment),
    /// the ceiling of the stratum that this host is in
    Ceiling(ceilings::Commitment, StratumId),
}

/// This host's place in the order of a rollout, as its own shard shows it; `None`: it has none.
#[derive(Clone, Debug)]
pub(super) struct HeldPlace {
    signed: order::Commitment,
    place: Option<(StratumId, Position)>,
}

/// The ceiling of this host's stratum, as its own shard shows it; `None`: the plan has no such stratum.
#[derive(Clone, Debug)]
pub(super) struct HeldCeiling {
    pub(super) signed: ceilings::Commitment,
    stratum: StratumId,
    ceiling: Option<Ceiling>,
}

impl HeldCeiling {
    /// What a shard says of this stratum, if the signed root says so too.
    pub(super) fn read(
        bytes: &[u8],
        signed: ceilings::Commitment,
        stratum: StratumId,
    ) -> Result<HeldCeiling, CeilingsError> {
        let shard = ceilings::Shard::parse(bytes)?;
        let ceiling = shard.ceiling(&signed, &stratum)?.cloned();
        Ok(HeldCeiling { signed, stratum, ceiling })
    }
}

/// Whether a ticket covers this host, or what it lacks. `says` asks the ticket with its
/// ceilings put in.
pub(super) fn by_ceiling(
    ticket: &Ticket,
    host: HostNow<'_>,
    held: Option<&HeldCeiling>,
    says: impl Fn(&Ticket) -> bool,
) -> Result<bool, Lacks> {
    let Some(signed) = ticket.committed else { return Ok(says(ticket)) };
    let stratum = ticket.stratum_of(host);
    let mut whole = rest(ticket);
    let mut with = |ceiling: Option<Ceiling>| {
        whole.ceilings = ceiling.into_iter().collect();
        says(&whole)
    };
    // Where no ceiling could make a difference none is asked for: newcomers, hosts left out.
    let covered = with(None);
    let all = Ceiling {
        stratum: stratum.clone(),
        position_max: Some(Position::MAX),
        handed: u32::MAX,
        late_max: HostId::new(andon_model::limits::HOSTS_MAX).ok(),
    };
    if covered == with(Some(all)) {
        return Ok(covered);
    }
    match held.filter(|held| held.signed == signed && held.stratum == stratum) {
        Some(held) => Ok(with(held.ceiling.clone())),
        None => Err(Lacks::Ceiling(signed, stratum)),
    }
}

/// A ticket without what does not decide whom it covers; a thousand views share one process.
pub(super) fn rest(ticket: &Ticket) -> Ticket {
    Ticket { steps: vec![], approvals: vec![], ..ticket.clone() }
}

impl View {
    /// Whether a ticket covers this host, or what to look up before that can be said.
    pub(super) fn covered(&self, ticket: &Ticket) -> (bool, Option<Undecided>) {
        match self.decide(ticket) {
            Ok(covered) => (covered, None),
            Err(lacks) => {
                let mut rest = Box::new(rest(ticket));
                let own = ticket.stratum_of(self.host_now());
                rest.ceilings.retain(|ceiling| ceiling.stratum == own);
                (false, Some(Undecided { rest, lacks }))
            }
        }
    }

    fn decide(&self, ticket: &Ticket) -> Result<bool, Lacks> {
        let ceiling = self.ceilings.get(&ticket.rollout);
        let Some(signed) = ticket.order_of(self.host) else {
            let says = |ticket: &Ticket| ticket::covers(ticket, self.host, self.host_now());
            return by_ceiling(ticket, self.host_now(), ceiling, says);
        };
        let place = self.places.get(&ticket.rollout).filter(|held| held.signed == signed);
        let place = place.ok_or(Lacks::Place(signed))?.place.as_ref();
        let says = |ticket: &Ticket| ticket::covers_held(ticket, self.host_now(), place);
        by_ceiling(ticket, self.host_now(), ceiling, says)
    }

    /// Something was looked up: the ticket is asked again.
    fn decide_again(&mut self, rollout: &RolloutId) {
        let undecided = self.tickets.get(rollout).and_then(|held| held.undecided.as_ref());
        let Some(rest) = undecided.map(|undecided| undecided.rest.clone()) else { return };
        let (covered, undecided) = self.covered(&rest);
        if let Some(held) = self.tickets.get_mut(rollout) {
            (held.covered, held.undecided) = (covered, undecided);
        }
    }

    fn lacks(&self, rollout: &RolloutId) -> Option<Lacks> {
        Some(self.tickets.get(rollout)?.undecided.as_ref()?.lacks.clone())
    }

    /// This host's own shard. What it says counts only if the signed root says so too.
    pub(super) fn take_order(&mut self, round: &mut Round, rollout: &RolloutId, bytes: &[u8]) {
        let Some(Lacks::Place(signed)) = self.lacks(rollout) else { return };
        let found = Shard::parse(bytes).and_then(|shard| {
            let place = shard.place(&signed, self.host)?;
            Ok(place.map(|(stratum, rank)| (stratum.clone(), rank)))
        });
        match found {
            Ok(place) => {
                self.places.insert(rollout.clone(), HeldPlace { signed, place });
                self.decide_again(rollout);
            }
            Err(why) => {
                let what = Need::Order(rollout.clone()).name();
                round.refusals.refuse(&what, shard_code(&why), &chain(&why));
            }
        }
    }

    /// The ceiling of this host's own stratum, the same way.
    pub(super) fn take_ceiling(&mut self, round: &mut Round, rollout: &RolloutId, bytes: &[u8]) {
        let Some(Lacks::Ceiling(signed, stratum)) = self.lacks(rollout) else { return };
        match HeldCeiling::read(bytes, signed, stratum) {
            Ok(held) => {
                self.ceilings.insert(rollout.clone(), held);
                self.decide_again(rollout);
            }
            Err(why) => {
                let what = Need::Ceiling(rollout.clone()).name();
                round.refusals.refuse(&what, ceilings_code(&why), &chain(&why));
            }
        }
    }

    /// Where the shard lies that a ticket lacks, below the folder of the line that signed the ticket.
    pub(super) fn ceiling_path(rollout: &RolloutId, lacks: Option<&Lacks>) -> String {
        match lacks {
            Some(Lacks::Ceiling(signed, stratum)) => {
                let number = ceilings::shard_of(stratum, signed.shards);
                ceilings::path(rollout, &signed.root, number)
            }
            // Asked for only where one is lacking.
            Some(Lacks::Place(_)) | None => format!("ceilings/{rollout}"),
        }
    }
}
