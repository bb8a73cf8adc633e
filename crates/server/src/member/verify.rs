//! Whether what a vendor line says is to be believed. Pure: envelope, policies and what was seen
//! before in; the object or a doubt out. A doubt permits nothing.
use super::state::{Followed, LineState};
use crate::state::{HostState, host_at};
use andon_model::ceilings::CeilingsError;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::{MESSAGE_SKEW_MAX, SEAT_BLOCKS_MAX};
use andon_model::line::{
    LineError, Places, Round, Rounds, SeatBlock, Seating, VendorLine, blocks_are_sane, seat,
};
use andon_model::policy::Policy;
use andon_model::position::Position;
use andon_model::ticket::{Ceiling, Newcomers, Ticket};
use andon_model::{HostId, OperatorId, PublicKey, Time};
use andon_rollout::Plan;
use andon_rollout::plan::PlanError;
use andon_trust::envelope::{VerifyError, verify_one};
use andon_trust::policy::PolicyRefusal;
use andon_trust::ticket::TicketRefusal;

/// Why a vendor line is not believed.
#[derive(Debug, thiserror::Error)]
pub enum LineDoubt {
    /// the policy
    #[error("verify the vendor line's policy")]
    Policy(#[from] PolicyRefusal),
    /// none was verified yet, or it is over
    #[error("the vendor line's policy is missing or has expired")]
    NoPolicy,
    /// its policy does not name us, or names another key
    #[error(
        "the vendor line's policy does not name this operator with this online key as a member"
    )]
    NoMember,
    /// not signed by the line's online key
    #[error("verify the vendor line's {0}")]
    Signature(&'static str, #[source] VerifyError),
    /// unreadable
    #[error("read the vendor line's {0}")]
    Text(&'static str, #[source] LineError),
    /// unreadable plan
    #[error("read the vendor line's plan")]
    PlanText(#[source] serde_json::Error),
    /// a plan that contradicts itself
    #[error("read the vendor line's plan")]
    Plan(#[from] PlanError),
    /// a ticket that no host would obey either
    #[error("verify the vendor line's ticket")]
    Ticket(#[from] TicketRefusal),
    /// ceilings that are not the ticket's
    #[error("read the vendor line's ceilings")]
    Ceilings(#[from] CeilingsError),
    /// readable, signed, and at odds with something else
    #[error("the vendor line's {0} {1}")]
    Odd(&'static str, &'static str),
}

fn rule(holds: bool, what: &'static str, problem: &'static str) -> Result<(), LineDoubt> {
    if holds { Ok(()) } else { Err(LineDoubt::Odd(what, problem)) }
}

/// The line's policy, by the people whom our own policy names, never back behind the one in `line`.
/// # Errors
/// [`LineDoubt`].
pub fn policy(
    envelope: &Envelope,
    consent: &VendorLine,
    line: Option<&LineState>,
    now: Time,
) -> Result<Policy, LineDoubt> {
    let seen = line.and_then(|line| line.policy.as_ref()).map_or(0, |known| known.policy.version);
    Ok(andon_trust::policy::verify(envelope, &consent.anchor(), now, seen)?)
}

/// The policy to judge by now, if it names us.
/// # Errors
/// [`LineDoubt::NoPolicy`], [`LineDoubt::NoMember`].
pub fn in_force<'l>(
    line: Option<&'l LineState>,
    operator: &OperatorId,
    online: &PublicKey,
    now: Time,
) -> Result<&'l Policy, LineDoubt> {
    let known = line.and_then(|line| line.policy.as_ref()).map(|known| &known.policy);
    let policy = known.filter(|policy| policy.expires > now).ok_or(LineDoubt::NoPolicy)?;
    let mut members = policy.members.iter();
    let named = members.any(|member| member.operator == *operator && member.key == *online);
    if named { Ok(policy) } else { Err(LineDoubt::NoMember) }
}

fn signed<'e>(
    envelope: &'e Envelope,
    kind: PayloadType,
    policy: &Policy,
    what: &'static str,
) -> Result<&'e [u8], LineDoubt> {
    verify_one(envelope, kind, &policy.online).map_err(|why| LineDoubt::Signature(what, why))
}

/// What the line says of its rollouts; never older than what it said `before`.
/// # Errors
/// [`LineDoubt`].
pub fn rounds(
    envelope: &Envelope,
    policy: &Policy,
    now: Time,
    before: Option<Time>,
) -> Result<Rounds, LineDoubt> {
    let what = "rounds";
    let payload = signed(envelope, PayloadType::Rounds, policy, what)?;
    let rounds = Rounds::parse(payload).map_err(|why| LineDoubt::Text(what, why))?;
    rule(rounds.line == policy.line, what, "are of another line")?;
    rule(rounds.issued <= now.plus(MESSAGE_SKEW_MAX), what, "are dated in the future")?;
    rule(before.is_none_or(|before| before <= rounds.issued), what, "go back in time")?;
    Ok(rounds)
}

/// The plan of this round's rollout.
/// # Errors
/// [`LineDoubt`].
pub fn plan(envelope: &Envelope, policy: &Policy, round: &Round) -> Result<Plan, LineDoubt> {
    let what = "plan";
    let payload = signed(envelope, PayloadType::Plan, policy, what)?;
    let digest = andon_model::Digest::of(payload);
    rule(digest == round.plan, what, "is not the one that the rounds name")?;
    let plan: Plan = serde_json::from_slice(payload).map_err(LineDoubt::PlanText)?;
    plan.check()?;
    rule(plan.line == policy.line, what, "is of another line")?;
    rule(plan.rollout == round.rollout, what, "is of another rollout")?;
    rule(plan.release == round.release, what, "is of another release")?;
    rule(plan.inside.is_none() && plan.order.is_none(), what, "orders hosts by more than seats")?;
    rule(plan.generation_base == 0, what, "does not begin with generation 1")?;
    Ok(plan)
}

/// Our hosts' places in a plan: each in the stratum that we said, and in the order of their seats.
/// # Errors
/// [`LineDoubt`].
pub fn places(
    envelope: &Envelope,
    policy: &Policy,
    operator: &OperatorId,
    plan: &Plan,
    blocks: &[SeatBlock],
    hosts: &[HostState],
) -> Result<Places, LineDoubt> {
    let what = "places";
    let payload = signed(envelope, PayloadType::Places, policy, what)?;
    let places = Places::parse(payload).map_err(|why| LineDoubt::Text(what, why))?;
    rule(places.line == policy.line, what, "are of another line")?;
    rule(places.operator == *operator, what, "are another operator's")?;
    rule(places.rollout == plan.rollout, what, "are of another rollout")?;
    rule(places.strata.len() <= hosts.len(), what, "are of more hosts than there are")?;
    let mut order: Vec<Vec<(Position, HostId, u32)>> = vec![Vec::new(); plan.strata.len()];
    for (at, (stratum, rank)) in places.strata.iter().zip(&places.ranks).enumerate() {
        let id = host_at(at).ok_or(LineDoubt::Odd(what, "are of more hosts than there are"))?;
        let seat = seat(blocks, id).ok_or(LineDoubt::Odd(what, "name a host without a seat"))?;
        let at_stratum = usize::from(*stratum);
        let known = plan.strata.get(at_stratum).filter(|known| *rank < known.size);
        let known = known.ok_or(LineDoubt::Odd(what, "are beyond the plan's strata"))?;
        rule(known.stratum == hosts[at].stratum, what, "put a host into another stratum")?;
        let position = Position::of(&plan.seed, &plan.release, seat);
        order[at_stratum].push((position, seat, *rank));
    }
    for hosts in &mut order {
        hosts.sort_unstable();
        let rising = hosts.windows(2).all(|pair| pair[0].2 < pair[1].2);
        rule(rising, what, "are not in the order of the seats")?;
    }
    Ok(places)
}

/// The next ticket of a rollout: one that the vendor line's hosts would obey, that continues the last,
/// and that covers exactly the hosts that its numbers say. A ticket whose own time is over tells what
/// was covered once all the same; whether that still permits anything is for fresh rounds to say.
/// `ceilings`: all of them, where the ticket only commits to them.
/// # Errors
/// [`LineDoubt`].
pub fn ticket(
    (envelope, ceilings): (&Envelope, &[Ceiling]),
    policy: &Policy,
    followed: &Followed,
    blocks: &[SeatBlock],
    now: Time,
) -> Result<Ticket, LineDoubt> {
    let what = "ticket";
    let ticket = andon_trust::ticket::verify_past(envelope, policy, now, followed.seen.as_ref())?;
    let ticket = ticket.opened(ceilings)?;
    let plan = &followed.plan;
    rule(ticket.rollout == plan.rollout, what, "is of another rollout")?;
    let release = ticket.release == plan.release && ticket.component == plan.component;
    rule(release && ticket.version == plan.version, what, "is of another release")?;
    rule(ticket.lane == plan.lane, what, "is of another lane")?;
    rule(ticket.seed == plan.seed, what, "has another seed than the plan")?;
    rule(ticket.generation == followed.generation() + 1, what, "is not the next one")?;
    let strata = plan.strata.iter().map(|stratum| &stratum.stratum);
    let named = ticket.ceilings.iter().map(|ceiling| &ceiling.stratum);
    rule(strata.eq(named), what, "has other strata than the plan")?;
    let before = followed.waves.last().map(|wave| &wave.handed);
    for (at, (ceiling, stratum)) in ticket.ceilings.iter().zip(&plan.strata).enumerate() {
        rule(ceiling.handed <= stratum.size, what, "covers more hosts than there are")?;
        let grown = before.is_none_or(|before| before[at] <= ceiling.handed);
        rule(grown, what, "takes hosts back")?;
    }
    let agrees = |(at, place): (usize, &Option<crate::rollout_state::Place>)| {
        let Some(place) = place else { return true };
        let seat = host_at(at).and_then(|id| seat(blocks, id));
        let ceiling = ticket.ceilings.get(usize::from(place.stratum));
        let (Some(seat), Some(ceiling)) = (seat, ceiling) else { return false };
        let position = Position::of(&plan.seed, &plan.release, seat);
        let reached = ceiling.position_max.is_some_and(|max| position <= max);
        reached == (place.rank < ceiling.handed)
    };
    rule(followed.places.iter().enumerate().all(agrees), what, "covers others than it counts")?;
    Ok(ticket)
}

/// The newest ticket of a rollout, issued again because it covers newcomers now.
/// # Errors
/// [`LineDoubt`].
pub fn newcomers(
    envelope: &Envelope,
    policy: &Policy,
    followed: &Followed,
    now: Time,
) -> Result<(), LineDoubt> {
    let what = "ticket";
    let ticket = andon_trust::ticket::verify_past(envelope, policy, now, followed.seen.as_ref())?;
    rule(ticket.rollout == followed.plan.rollout, what, "is of another rollout")?;
    rule(ticket.generation == followed.generation(), what, "is not the newest one")?;
    rule(ticket.newcomers == Newcomers::Included, what, "does not cover newcomers")?;
    // Our hosts are shown the ceilings that we have: they are still the ones that are meant.
    ticket.opened(&followed.ceilings)?;
    Ok(())
}

/// The newest ticket of a rollout that our hosts are not counted in, if it covers newcomers.
/// # Errors
/// [`LineDoubt`].
pub fn vouched(
    envelope: &Envelope,
    policy: &Policy,
    round: &Round,
    now: Time,
) -> Result<(), LineDoubt> {
    let what = "ticket";
    let ticket = andon_trust::ticket::verify_past(envelope, policy, now, None)?;
    rule(ticket.rollout == round.rollout, what, "is of another rollout")?;
    rule(ticket.release == round.release, what, "is of another release")?;
    rule(ticket.newcomers == Newcomers::Included, what, "does not cover newcomers")
}

/// Our seats as signed for our hosts: exactly those that we were given.
/// # Errors
/// [`LineDoubt`].
pub fn seating(
    envelope: &Envelope,
    policy: &Policy,
    operator: &OperatorId,
    blocks: &[SeatBlock],
) -> Result<(), LineDoubt> {
    let what = "seats";
    let payload = signed(envelope, PayloadType::Seating, policy, what)?;
    let seating = Seating::parse(payload).map_err(|why| LineDoubt::Text(what, why))?;
    rule(seating.line == policy.line, what, "are of another line")?;
    rule(seating.operator == *operator, what, "are another operator's")?;
    rule(seating.seats == blocks, what, "are not those that it gave")
}

/// All our seats, if they continue the ones that are known: appended, never changed, none left out.
/// # Errors
/// [`LineDoubt`].
pub fn seats(known: &[SeatBlock], given: &[SeatBlock], hosts: u64) -> Result<(), LineDoubt> {
    let what = "seats";
    let sane = given.len() <= SEAT_BLOCKS_MAX && blocks_are_sane(given);
    rule(sane, what, "are too many, not sorted, or given twice")?;
    let mut next = 1;
    for block in given {
        rule(block.host_first == next, what, "leave a host out")?;
        next += u64::from(block.count);
    }
    rule(next <= hosts + 1, what, "are of more hosts than there are")?;
    for block in known {
        let last = u64::from(block.count) - 1;
        for (host, want) in [
            (block.host_first, block.seat_first),
            (block.host_first + last, block.seat_first + last),
        ] {
            let now = HostId::new(host).ok().and_then(|host| seat(given, host));
            rule(now.is_some_and(|now| now.number() == want), what, "have changed")?;
        }
    }
    Ok(())
}
