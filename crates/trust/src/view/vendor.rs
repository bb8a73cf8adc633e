//! Vendor lines that this host's line takes part in: a release of such a vendor is offered only where a
//! ticket of the vendor's line covers this host's seat there, beside the ticket of its own line. The
//! host's own server passes on what the vendor's line has signed, and can only withhold it.
use super::cover::{HeldCeiling, Lacks, by_ceiling, rest};
use super::need::{LineFile, Need};
use super::outcome::chain;
use super::take::{ceilings_code, envelope_code, policy_code, ticket_code};
use super::{HeldTicket, RefusalCode, Round, View};
use crate::envelope::{VerifyError, verify_one};
use crate::policy;
use crate::policy::PolicyRefusal;
use crate::ticket::{self, SeenTicket, TicketRefusal};
use andon_model::class::HostClass;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::index::{Index, IndexVendorLine};
use andon_model::limits::INDEX_ITEMS_MAX;
use andon_model::line::{LineError, Seating, VendorLine, seat};
use andon_model::policy::Policy;
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::{Digest, HostId, LineId, RolloutId, Time, VendorId};
use std::collections::BTreeMap;
use std::error::Error;

/// What was verified of one vendor line.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldLine {
    /// the newest version of its policy that was seen
    pub(super) version_seen: u64,
    /// its tickets that were seen
    pub(super) seen: BTreeMap<RolloutId, SeenTicket>,
    /// its policy, without its members: a thousand views share one process in the fleet runner
    policy: Option<(Digest, Policy)>,
    /// this host's seat there; none, and it is a newcomer there
    seat: Option<(Digest, Option<HostId>)>,
    tickets: BTreeMap<RolloutId, LineTicket>,
    /// ceilings that were verified, of tickets that are listed
    ceilings: BTreeMap<RolloutId, HeldCeiling>,
}

/// What is kept of one of its tickets.
#[derive(Clone, Debug)]
struct LineTicket {
    digest: Digest,
    release: Digest,
    covered: bool,
    /// what decides once the ceiling of this host's stratum there was read
    undecided: Option<(Box<Ticket>, Lacks)>,
}

impl HeldLine {
    /// What is remembered over a restart; the rest is fetched again.
    pub(super) fn remembering(
        version_seen: u64,
        seen: BTreeMap<RolloutId, SeenTicket>,
    ) -> HeldLine {
        HeldLine { version_seen, seen, ..HeldLine::default() }
    }

    /// Who may sign has changed: all is judged again.
    fn judge_again(&mut self) {
        self.seat = None;
        self.tickets.clear();
    }
}

/// Why the seats of this line's hosts are not believed.
#[derive(Debug, thiserror::Error)]
enum SeatsRefusal {
    #[error("verify seats")]
    Signature(#[from] VerifyError),
    #[error("read seats")]
    Text(#[from] LineError),
    #[error("they are of another line, or another operator's")]
    Elsewhere,
}

/// Whether a vendor line's ticket covers this host by its seat there, or what it lacks.
fn covered(
    held: &HeldLine,
    seat: Option<HostId>,
    class: &HostClass,
    ticket: &Ticket,
) -> Result<bool, Lacks> {
    let Some(seat) = seat else {
        return Ok(ticket.newcomers == Newcomers::Included);
    };
    let says = |ticket: &Ticket| ticket::covers(ticket, seat, class);
    by_ceiling(ticket, class.into(), held.ceilings.get(&ticket.rollout), says)
}

impl View {
    /// The vendor line that this release is on too, by the policy in force: its vendor's.
    fn line_of(&self, vendor: &VendorId) -> Option<&VendorLine> {
        self.policy()?.vendor_lines.iter().find(|line| line.vendor == *vendor)
    }

    /// Vendors and releases that this host's own line covers, and a vendor line must cover too.
    fn inside(&self) -> impl Iterator<Item = (VendorId, Digest)> {
        let covered = self.tickets.values().filter(|held| held.covered);
        covered.filter_map(|held| {
            let listed = self.catalogue.find(&held.release, &held.component, held.version)?;
            self.line_of(&listed.vendor).map(|line| (line.vendor.clone(), held.release))
        })
    }

    fn listed_line(&self, vendor: &VendorId) -> Option<&IndexVendorLine> {
        let (_, index) = self.index.as_ref()?;
        index.vendor_lines.iter().find(|line| line.vendor == *vendor)
    }

    /// The first thing that is missing of the vendor lines that matter now.
    pub(super) fn line_need(&self, round: &Round) -> Option<Need> {
        self.inside().find_map(|(vendor, release)| {
            let listed = self.listed_line(&vendor)?;
            let held = self.lines.get(&vendor);
            let wanted = |have: Option<Digest>, want: Digest, file: LineFile| {
                let known = have == Some(want) || self.refused.contains_key(&want);
                let need = Need::Line(vendor.clone(), file);
                (!known && !round.tried.contains(&need)).then_some(need)
            };
            let have = held.and_then(|held| held.policy.as_ref()).map(|(digest, _)| *digest);
            if let Some(need) = wanted(have, listed.policy, LineFile::Policy) {
                return Some(need);
            }
            // Nothing to judge the rest by: the refusal of the policy says enough.
            let held = held.filter(|held| held.policy.is_some())?;
            let have = held.seat.map(|(digest, _)| digest);
            if let Some(need) = listed.seats.and_then(|seats| wanted(have, seats, LineFile::Seats))
            {
                return Some(need);
            }
            let of = listed.tickets.iter().filter(|ticket| ticket.release == release);
            of.into_iter().find_map(|ticket| {
                let known = held.tickets.get(&ticket.rollout);
                let have = known.map(|held| held.digest);
                let next = wanted(have, ticket.digest, LineFile::Ticket(ticket.rollout.clone()));
                next.or_else(|| {
                    known?.undecided.as_ref()?;
                    let need =
                        Need::Line(vendor.clone(), LineFile::Ceiling(ticket.rollout.clone()));
                    (!round.tried.contains(&need)).then_some(need)
                })
            })
        })
    }

    pub(super) fn take_line(
        &mut self,
        round: &mut Round,
        (vendor, file): (&VendorId, &LineFile),
        what: &str,
        bytes: &[u8],
    ) {
        if let LineFile::Ceiling(rollout) = file {
            return self.take_line_ceiling(round, (vendor, rollout), what, bytes);
        }
        let digest = Digest::of(bytes);
        let envelope = match Envelope::parse(bytes) {
            Ok(envelope) => envelope,
            Err(why) => return self.refuse(digest, what, envelope_code(&why), &why),
        };
        let taken = match file {
            LineFile::Policy => self.take_line_policy(vendor, digest, &envelope, round.now),
            LineFile::Seats => self.take_seats(vendor, digest, &envelope),
            LineFile::Ticket(rollout) => {
                self.take_line_ticket(vendor, rollout, digest, &envelope, round.now)
            }
            // No envelope: taken above.
            LineFile::Ceiling(_) => Ok(()),
        };
        match taken {
            Ok(()) => {}
            // Dated in the future; time passes, and it may be believed in the next round.
            Err((RefusalCode::Expired, why)) if matches!(file, LineFile::Ticket(_)) => {
                round.refusals.refuse(what, RefusalCode::Expired, &chain(&*why));
            }
            Err((code, why)) => self.refuse(digest, what, code, &*why),
        }
    }

    fn take_line_policy(
        &mut self,
        vendor: &VendorId,
        digest: Digest,
        envelope: &Envelope,
        now: Time,
    ) -> Result<(), (RefusalCode, Box<dyn Error>)> {
        let Some(anchor) = self.line_of(vendor).map(VendorLine::anchor) else { return Ok(()) };
        let held = self.lines.entry(vendor.clone()).or_default();
        let seen = held.version_seen;
        let refused = |why: PolicyRefusal| (policy_code(&why), Box::from(why));
        let mut policy = policy::verify(envelope, &anchor, now, seen).map_err(refused)?;
        policy.members = Vec::new();
        let contradicts =
            |(_, held): &(Digest, Policy)| held.version == policy.version && *held != policy;
        if held.policy.as_ref().is_some_and(contradicts) {
            return Err(refused(PolicyRefusal::Rollback { got: policy.version, seen }));
        }
        held.version_seen = policy.version;
        held.policy = Some((digest, policy));
        held.judge_again();
        Ok(())
    }

    fn take_seats(
        &mut self,
        vendor: &VendorId,
        digest: Digest,
        envelope: &Envelope,
    ) -> Result<(), (RefusalCode, Box<dyn Error>)> {
        let LineId::Operator(operator) = self.anchor.line.clone() else { return Ok(()) };
        let Some(held) = self.lines.get_mut(vendor) else { return Ok(()) };
        let Some((_, policy)) = &held.policy else { return Ok(()) };
        let read = || {
            let payload = verify_one(envelope, PayloadType::Seating, &policy.online)?;
            let seating = Seating::parse(payload)?;
            if seating.line != policy.line || seating.operator != operator {
                return Err(SeatsRefusal::Elsewhere);
            }
            Ok(seating)
        };
        let seating = read().map_err(|why| {
            let code = match why {
                SeatsRefusal::Signature(_) => RefusalCode::Signature,
                SeatsRefusal::Text(_) => RefusalCode::Malformed,
                SeatsRefusal::Elsewhere => RefusalCode::Policy,
            };
            (code, Box::from(why))
        })?;
        let seat = seat(&seating.seats, self.host);
        if held.seat.is_none_or(|(_, known)| known != seat) {
            held.judge_again();
        }
        held.seat = Some((digest, seat));
        Ok(())
    }

    fn take_line_ticket(
        &mut self,
        vendor: &VendorId,
        rollout: &RolloutId,
        digest: Digest,
        envelope: &Envelope,
        now: Time,
    ) -> Result<(), (RefusalCode, Box<dyn Error>)> {
        let class = &self.class;
        let Some(held) = self.lines.get_mut(vendor) else { return Ok(()) };
        let Some((_, policy)) = &held.policy else { return Ok(()) };
        let seen = held.seen.get(rollout);
        let refused = |why: TicketRefusal| (ticket_code(&why), Box::from(why));
        let ticket = ticket::verify_past(envelope, policy, now, seen).map_err(refused)?;
        if ticket.rollout != *rollout {
            let why = "it names another rollout than its path";
            return Err((RefusalCode::Policy, Box::from(why)));
        }
        let seat = held.seat.and_then(|(_, seat)| seat);
        let covered = covered(held, seat, class, &ticket);
        held.seen.insert(rollout.clone(), SeenTicket::of(&ticket));
        let release = ticket.release;
        let (covered, undecided) = match covered {
            Ok(covered) => (covered, None),
            Err(lacks) => (false, Some((Box::new(rest(&ticket)), lacks))),
        };
        held.tickets.insert(rollout.clone(), LineTicket { digest, release, covered, undecided });
        Ok(())
    }

    /// The ceiling of this host's stratum there: no signature, but the signed ticket's root.
    fn take_line_ceiling(
        &mut self,
        round: &mut Round,
        (vendor, rollout): (&VendorId, &RolloutId),
        what: &str,
        bytes: &[u8],
    ) {
        let Some(held) = self.lines.get_mut(vendor) else { return };
        let undecided = held.tickets.get(rollout).and_then(|ticket| ticket.undecided.clone());
        let Some((ticket, Lacks::Ceiling(signed, stratum))) = undecided else { return };
        match HeldCeiling::read(bytes, signed, stratum) {
            Ok(ceiling) => {
                held.ceilings.insert(rollout.clone(), ceiling);
                let known = held.seat.and_then(|(_, seat)| seat);
                let covered = covered(held, known, &self.class, &ticket);
                if let Some(known) = held.tickets.get_mut(rollout) {
                    known.covered = covered.is_ok_and(|covered| covered);
                    known.undecided = None;
                }
            }
            Err(why) => round.refusals.refuse(what, ceilings_code(&why), &chain(&why)),
        }
    }

    /// What the named file of a vendor line waits for.
    pub(super) fn line_lacks(&self, vendor: &VendorId, file: &LineFile) -> Option<&Lacks> {
        let LineFile::Ceiling(rollout) = file else { return None };
        let ticket = self.lines.get(vendor)?.tickets.get(rollout)?;
        ticket.undecided.as_ref().map(|(_, lacks)| lacks)
    }

    /// What the vendor's line has against this host's taking the release now; `None`: it covers it, or
    /// there is none for this line.
    pub(super) fn outside(&self, now: Time, vendor: &VendorId, release: &Digest) -> Option<String> {
        let line = self.line_of(vendor)?.line();
        let held = self.lines.get(vendor);
        let policy = held.and_then(|held| held.policy.as_ref());
        if policy.is_none_or(|(_, policy)| policy.expires <= now) {
            return Some(format!("policy of {line} is missing or has expired"));
        }
        let mut of = held.into_iter().flat_map(|held| held.tickets.values());
        let mut of = of.by_ref().filter(|ticket| ticket.release == *release).peekable();
        if of.peek().is_none() {
            return Some(format!("no ticket of {line} for it is here"));
        }
        let reached = of.any(|ticket| ticket.covered);
        (!reached).then(|| format!("{line} has not reached this host"))
    }

    /// As [`View::outside`], for one ticket of this host's own line; what nobody lists is told elsewhere.
    pub(super) fn waits_outside(&self, now: Time, held: &HeldTicket) -> bool {
        let listed = self.catalogue.find(&held.release, &held.component, held.version);
        listed.is_some_and(|listed| self.outside(now, &listed.vendor, &held.release).is_some())
    }

    /// Tickets of vendor lines that are no longer listed are withdrawn.
    pub(super) fn withdraw_line_tickets(&mut self, index: &Index) {
        for (vendor, held) in &mut self.lines {
            let line = index.vendor_lines.iter().find(|line| line.vendor == *vendor);
            let listed = |rollout: &RolloutId| {
                line.is_some_and(|line| line.tickets.iter().any(|it| it.rollout == *rollout))
            };
            held.tickets.retain(|rollout, _| listed(rollout));
            held.ceilings.retain(|rollout, _| listed(rollout));
        }
    }

    /// After a new policy of this host's own line: whom it names, and by whose word, may have changed.
    pub(super) fn judge_lines_again(&mut self) {
        let named = self.policy.iter().flat_map(|(_, policy)| &policy.vendor_lines);
        let named: Vec<VendorId> = named.map(|line| line.vendor.clone()).collect();
        self.lines.retain(|vendor, _| named.contains(vendor));
        for held in self.lines.values_mut() {
            held.policy = None;
            held.judge_again();
        }
    }

    /// Digests that the index lists of vendor lines.
    pub(super) fn line_digests(index: &Index) -> impl Iterator<Item = Digest> {
        index.vendor_lines.iter().flat_map(|line| {
            let tickets = line.tickets.iter().map(|ticket| ticket.digest);
            tickets.chain(line.seats).chain([line.policy])
        })
    }

    /// What was seen of a rollout outlives its listing; beyond the limit the oldest go first.
    pub(super) fn prune_lines(&mut self) {
        for held in self.lines.values_mut() {
            while held.seen.len() > INDEX_ITEMS_MAX {
                let oldest = held.seen.iter().min_by_key(|(_, seen)| seen.not_before);
                let Some(oldest) = oldest.map(|(rollout, _)| rollout.clone()) else { break };
                held.seen.remove(&oldest);
            }
        }
    }
}
