//! Wave tickets: what a host checks before it believes that it is its turn.
//!
//! A stolen online key can sign tickets. It cannot make a host believe in a wave larger or faster
//! than the policy's offline signers allowed, nor use the emergency lane without people's approvals.
//! Only who knows all hosts can tell whether a ceiling covers as many as the ticket says: that is what
//! the gate verifiers of the policy cosign (docs/adr/0011), from the first wave on.
use crate::command::verify_approval;
use crate::envelope::{VerifyError, signature_is_valid, verify_one};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::facts::HostNow;
use andon_model::limits::MESSAGE_SKEW_MAX;
use andon_model::order::Commitment;
use andon_model::policy::{Lane, LanePolicy, Policy};
use andon_model::position::Position;
use andon_model::ticket::{Newcomers, Step, Ticket, TicketError, soaked};
use andon_model::{Digest, HostId, StratumId, Time, VerifierId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a host remembers of the newest ticket of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenTicket {
    /// its release
    pub release: Digest,
    /// when it was issued
    pub not_before: Time,
    /// every widening so far
    pub steps: Vec<Step>,
    /// the order that it names, if any
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Commitment>,
}

impl SeenTicket {
    /// What to remember of a ticket that was verified.
    #[must_use]
    pub fn of(ticket: &Ticket) -> SeenTicket {
        SeenTicket {
            release: ticket.release,
            not_before: ticket.not_before,
            steps: ticket.steps.clone(),
            order: ticket.order,
        }
    }
}

/// Why a ticket is not obeyed.
#[derive(Debug, thiserror::Error)]
pub enum TicketRefusal {
    /// not signed by the line's online key
    #[error("verify ticket")]
    Signature(#[from] VerifyError),
    /// its own text is wrong
    #[error("read ticket")]
    Text(#[from] TicketError),
    /// for another line
    #[error("ticket is for another line")]
    Line,
    /// issued under rules that we do not hold
    #[error("ticket was issued under policy version {0}, newer than ours")]
    PolicyVersion(u64),
    /// over
    #[error("ticket has expired")]
    Expired,
    /// not yet
    #[error("ticket is dated in the future")]
    Future,
    /// older than, or not a continuation of, one that was seen
    #[error("ticket goes back behind one seen before, or tells its past differently")]
    Rollback,
    /// wider at once than the policy allows
    #[error("ticket's generation {0} widens more than the policy allows")]
    Growth(u32),
    /// sooner than the policy allows
    #[error("ticket's generation {0} comes sooner than the policy's soak allows")]
    Soak(u32),
    /// more late hosts than the policy's soak allows
    #[error(
        "ticket covers up to {got} hosts that enrolled after its plan, {most} of the plan have soaked"
    )]
    Late {
        /// how many it may cover
        got: u64,
        /// hosts of the plan handed at least the policy's soak ago
        most: u64,
    },
    /// everybody who enrolled later, and nothing has soaked
    #[error("ticket includes newcomers before any host of its plan has soaked")]
    Newcomers,
    /// the line's online key alone, or with too few of the gate verifiers
    #[error("ticket is cosigned by {got} distinct gate verifiers, {want} are needed")]
    Cosignatures {
        /// how many did
        got: usize,
        /// how many must
        want: u32,
    },
    /// emergency lane without enough people
    #[error("ticket carries approvals of {got} distinct people, {want} are needed")]
    Approvals {
        /// how many it carries
        got: usize,
        /// how many it needs
        want: u32,
    },
}

/// The ticket, if it is signed by the policy's online key and cosigned by as many gate verifiers as the
/// policy asks for, in force, inside the policy's growth and soak limits, continues what was `seen`, and
/// carries the approvals its lane needs.
/// # Errors
/// [`TicketRefusal`].
pub fn verify(
    envelope: &Envelope,
    policy: &Policy,
    now: Time,
    seen: Option<&SeenTicket>,
) -> Result<Ticket, TicketRefusal> {
    check_cosigners(envelope, policy)?;
    verify_before_cosigning(envelope, policy, now, seen)
}

/// As [`verify`], also when the ticket's own time is over: what another line has covered once, it has
/// covered. Never for a host's own line, whose tickets end so that nobody is left a stale one.
/// # Errors
/// [`TicketRefusal`], but for [`TicketRefusal::Expired`].
pub fn verify_past(
    envelope: &Envelope,
    policy: &Policy,
    now: Time,
    seen: Option<&SeenTicket>,
) -> Result<Ticket, TicketRefusal> {
    check_cosigners(envelope, policy)?;
    verify_but_its_end(envelope, policy, now, seen)
}

fn check_cosigners(envelope: &Envelope, policy: &Policy) -> Result<(), TicketRefusal> {
    let (got, want) = (cosigners(envelope, policy).len(), policy.verifiers.needed);
    if (got as u64) < u64::from(want) {
        return Err(TicketRefusal::Cosignatures { got, want });
    }
    Ok(())
}

/// The gate verifiers of the policy that cosigned this envelope. Keys of a policy are distinct, and none
/// is the online key's.
#[must_use]
pub fn cosigners(envelope: &Envelope, policy: &Policy) -> BTreeSet<VerifierId> {
    let message = envelope.signed_bytes();
    let mut names = BTreeSet::new();
    for signature in &envelope.signatures {
        let mut keys = policy.verifiers.keys.iter();
        if let Some(verifier) = keys.find(|verifier| verifier.key.id() == signature.keyid)
            && !names.contains(&verifier.name)
            && signature_is_valid(&verifier.key, &message, &signature.sig)
        {
            names.insert(verifier.name.clone());
        }
    }
    names
}

/// As [`verify`] for whoever is about to cosign: nobody's cosignature is asked for.
/// # Errors
/// [`TicketRefusal`].
pub fn verify_before_cosigning(
    envelope: &Envelope,
    policy: &Policy,
    now: Time,
    seen: Option<&SeenTicket>,
) -> Result<Ticket, TicketRefusal> {
    let ticket = verify_but_its_end(envelope, policy, now, seen)?;
    if ticket.not_after <= now {
        return Err(TicketRefusal::Expired);
    }
    Ok(ticket)
}

fn verify_but_its_end(
    envelope: &Envelope,
    policy: &Policy,
    now: Time,
    seen: Option<&SeenTicket>,
) -> Result<Ticket, TicketRefusal> {
    let payload = verify_one(envelope, PayloadType::Ticket, &policy.online)?;
    let ticket = Ticket::parse(payload)?;
    if ticket.line != policy.line {
        return Err(TicketRefusal::Line);
    }
    if ticket.policy_version > policy.version {
        return Err(TicketRefusal::PolicyVersion(ticket.policy_version));
    }
    let issued = ticket.steps.iter().map(|step| step.at).chain([ticket.not_before]).max();
    if issued > Some(now.plus(MESSAGE_SKEW_MAX)) {
        return Err(TicketRefusal::Future);
    }
    if seen.is_some_and(|seen| !continues(&ticket, seen)) {
        return Err(TicketRefusal::Rollback);
    }
    let lane = policy.lane(ticket.lane);
    check_pace(&ticket, lane)?;
    check_late(&ticket, lane)?;
    check_approvals(&ticket, policy, lane)?;
    Ok(ticket)
}

/// Whether this host's place is covered. Without this check a ticket for 16 hosts moves everybody.
#[must_use]
pub fn covers<'h>(ticket: &Ticket, host: HostId, now: impl Into<HostNow<'h>>) -> bool {
    ticket.covers(host, now)
}

/// The same where the ticket's order, and not a hash, says where this host stands.
#[must_use]
pub fn covers_held<'h>(
    ticket: &Ticket,
    host: impl Into<HostNow<'h>>,
    place: Option<&(StratumId, Position)>,
) -> bool {
    ticket.covers_place(host, place.map(|(stratum, rank)| (stratum, *rank)))
}

fn continues(ticket: &Ticket, seen: &SeenTicket) -> bool {
    ticket.release == seen.release
        && ticket.order == seen.order
        && ticket.not_before >= seen.not_before
        && ticket.steps.starts_with(&seen.steps)
}

fn check_pace(ticket: &Ticket, lane: &LanePolicy) -> Result<(), TicketRefusal> {
    let first = &ticket.steps[0];
    if first.handed > u64::from(lane.first_wave_max) {
        return Err(TicketRefusal::Growth(first.generation));
    }
    for pair in ticket.steps.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        // A line without hosts begins with 0 handed: its first real wave is a first wave still.
        let most = match before.handed {
            0 => u128::from(lane.first_wave_max),
            handed => u128::from(handed) * u128::from(lane.growth_max_permille) / 1000,
        };
        if u128::from(after.handed) > most {
            return Err(TicketRefusal::Growth(after.generation));
        }
        if after.at.since(before.at) < lane.soak_min {
            return Err(TicketRefusal::Soak(after.generation));
        }
    }
    Ok(())
}

/// Late hosts are in no step. So no more of them than the steps have let soak, and newcomers at large
/// only after something has soaked at all; but for a plan that knew no hosts, which makes the line's
/// first release (docs/adr/0004).
fn check_late(ticket: &Ticket, lane: &LanePolicy) -> Result<(), TicketRefusal> {
    let steps = ticket.steps.iter().map(|step| (step.at, step.handed));
    let most = soaked(steps, lane.soak_min, ticket.not_before);
    let got = ticket.late_hosts();
    if got > most {
        return Err(TicketRefusal::Late { got, most });
    }
    let first = ticket.enrolled_max.is_none() && ticket.steps.iter().all(|step| step.handed == 0);
    if ticket.newcomers == Newcomers::Included && most == 0 && !first {
        return Err(TicketRefusal::Newcomers);
    }
    Ok(())
}

fn check_approvals(
    ticket: &Ticket,
    policy: &Policy,
    lane: &LanePolicy,
) -> Result<(), TicketRefusal> {
    // An approval must have been in force when the rollout's first ticket was issued; it need not
    // outlive the rollout.
    let when = ticket.steps[0].at;
    let mut people = BTreeSet::new();
    for envelope in &ticket.approvals {
        if let Ok(approval) = verify_approval(envelope, policy, when)
            && approval.release == ticket.release
            && approval.lane == ticket.lane
        {
            people.insert(approval.person);
        }
    }
    let want = match ticket.lane {
        Lane::Emergency => lane.approvals_min.max(2),
        Lane::Routine => lane.approvals_min,
    };
    if (people.len() as u64) < u64::from(want) {
        return Err(TicketRefusal::Approvals { got: people.len(), want });
    }
    Ok(())
}
