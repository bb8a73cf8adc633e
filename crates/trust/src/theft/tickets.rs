//! Tickets: the wave that honest parties have signed, and what a thief would sign.
use super::fleet::{self, HOSTS, PLANNED, class};
use super::lab::{LabError, NOW, YEAR};
use andon_model::envelope::Envelope;
use andon_model::policy::{Lane, LanePolicy, Policy};
use andon_model::position::Position;
use andon_model::release::Manifest;
use andon_model::ticket::{Ceiling, Newcomers, Step, Ticket};
use andon_model::{Digest, HostId, LineId, Millis, OperatorId, RolloutId, Time};

/// A release that somebody has made.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) manifest: Manifest,
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
}

/// A ticket that was forged, and what the forgery is called.
#[derive(Clone, Debug)]
pub(super) struct Forged {
    pub(super) name: String,
    pub(super) ticket: Ticket,
}

/// Hosts of a first wave under this policy, as large as it may be.
pub(super) fn wave(policy: &Policy) -> u64 {
    u64::from(policy.routine.first_wave_max).min(PLANNED)
}

fn seed() -> Digest {
    Digest::of(b"andon.what-if.seed.v1")
}

/// Highest position of the first `hosts` of the plan.
fn ceiling(release: &Digest, hosts: u64) -> Option<Position> {
    let planned = fleet::hosts().filter(|host| host.number() <= PLANNED);
    let mut order: Vec<Position> =
        planned.map(|host| Position::of(&seed(), release, host)).collect();
    order.sort_unstable();
    let last = usize::try_from(hosts).ok()?.checked_sub(1)?;
    order.get(last).copied()
}

/// What honest parties would have issued for a rollout of the first `hosts` of its plan.
pub(super) fn honest(
    policy: &Policy,
    rollout: &str,
    made: &Made,
    steps: &[(u64, Time)],
    approvals: Vec<Envelope>,
) -> Result<Ticket, LabError> {
    let handed = steps.last().map_or(0, |(handed, _)| *handed);
    let position_max = ceiling(&made.digest, handed);
    let mut ticket = blank(policy, rollout, made, steps, position_max)?;
    ticket.approvals = approvals;
    Ok(ticket)
}

fn blank(
    policy: &Policy,
    rollout: &str,
    made: &Made,
    steps: &[(u64, Time)],
    position_max: Option<Position>,
) -> Result<Ticket, LabError> {
    let step = |(at, (handed, when)): (u32, &(u64, Time))| Step {
        generation: at,
        handed: *handed,
        at: *when,
    };
    let steps: Vec<Step> = (1..).zip(steps).map(step).collect();
    let last = steps.last().ok_or(LabError::Steps)?;
    let (generation, issued) = (last.generation, last.at);
    let handed = u32::try_from(last.handed).map_err(|_| LabError::Steps)?;
    Ok(Ticket {
        schema: 1,
        line: policy.line.clone(),
        rollout: RolloutId::new(rollout)?,
        release: made.digest,
        component: made.manifest.component.clone(),
        version: made.manifest.version,
        lane: Lane::Routine,
        generation,
        seed: seed(),
        enrolled_max: Some(HostId::new(PLANNED)?),
        newcomers: Newcomers::Excluded,
        planned: None,
        scheduled: vec![],
        told_apart: vec![],
        excluded: vec![],
        seats: vec![],
        order: None,
        committed: None,
        ceilings: vec![Ceiling {
            stratum: class()?.stratum(),
            position_max,
            handed,
            late_max: None,
        }],
        steps,
        watch: policy.watch,
        not_before: issued,
        not_after: NOW.plus(YEAR),
        evidence: Digest::of(b"evidence"),
        policy_version: policy.version,
        approvals: vec![],
    })
}

/// From one hand-out to the next as wide as the lane allows, beginning with the first wave, until the plan
/// is covered.
fn widenings(lane: &LanePolicy) -> Vec<u64> {
    let mut handed = u64::from(lane.first_wave_max).min(PLANNED);
    let mut out = vec![handed];
    while handed < PLANNED && out.len() < 64 {
        let most = u128::from(handed) * u128::from(lane.growth_max_permille) / 1000;
        handed = u64::try_from(most).unwrap_or(u64::MAX).min(PLANNED).max(handed + 1);
        out.push(handed);
    }
    out
}

/// Every widening in its time, the last of them now.
pub(super) fn in_time(lane: &LanePolicy) -> Vec<(u64, Time)> {
    let steps = widenings(lane);
    let ago = |later: usize| Millis(lane.soak_min.0.saturating_mul(later as u64));
    let last = steps.len() - 1;
    steps.iter().enumerate().map(|(at, handed)| (*handed, NOW.minus(ago(last - at)))).collect()
}

/// A soak and a second ago: when the honest wave was handed out.
pub(super) fn wave_at(policy: &Policy) -> Time {
    NOW.minus(policy.routine.soak_min.plus(Millis::from_secs(1)))
}

/// Names of honest rollouts of the first vendor, one for each forgery that pretends to go on with one.
pub(super) const GOING_ON: [&str; 3] = ["wave-wider", "wave-sooner", "wave-past"];

/// What a thief would sign to have a release on everybody's host.
pub(super) fn forged(policy: &Policy, tag: &str, made: &Made) -> Result<Vec<Forged>, LabError> {
    let lane = &policy.routine;
    let (wave, begun) = (wave(policy), wave_at(policy));
    let whole = Some(Position::MAX);
    let make = |name: &str, rollout: &str, steps: &[(u64, Time)]| {
        let rollout = format!("{rollout}-{tag}");
        let ticket = blank(policy, &rollout, made, steps, whole)?;
        Ok::<_, LabError>(Forged { name: name.to_owned(), ticket })
    };
    let few = [(wave, NOW)];
    let mut out = vec![
        make("a first wave of everybody", "all-at-once", &[(PLANNED, NOW)])?,
        make("a first wave that covers more than it says", "understated", &few)?,
        make("steps that never were, dated back", "dated-back", &in_time(lane))?,
    ];
    let mut first = make("a line's first release", "first-release", &[(0, NOW)])?;
    (first.ticket.newcomers, first.ticket.enrolled_max) = (Newcomers::Included, None);
    first.ticket.ceilings.clear();
    let mut late = make("late hosts before anything has soaked", "late", &few)?;
    late.ticket.ceilings.iter_mut().for_each(|it| it.position_max = None);
    let mut newcomers = late.clone();
    for ceiling in &mut late.ticket.ceilings {
        ceiling.late_max = Some(HostId::new(HOSTS)?);
    }
    newcomers.name = "newcomers before anything has soaked".to_owned();
    newcomers.ticket.rollout = RolloutId::new(&format!("newcomers-{tag}"))?;
    newcomers.ticket.newcomers = Newcomers::Included;
    let mut emergency = make("the emergency lane without its people", "emergency", &few)?;
    emergency.ticket.lane = Lane::Emergency;
    let mut elsewhere = make("a ticket of another line", "elsewhere", &few)?;
    elsewhere.ticket.line = LineId::Operator(OperatorId::new("somewhere-else")?);
    let mut over = make("a ticket that has expired", "expired", &[(wave, NOW.minus(DAY))])?;
    over.ticket.not_after = NOW.minus(Millis(1));
    out.extend([first, late, newcomers, emergency, elsewhere, over]);
    if tag == "wave" {
        let going_on = |name: &str, rollout: &str, steps: &[(u64, Time)]| {
            let ticket = blank(policy, rollout, made, steps, whole)?;
            Ok::<_, LabError>(Forged { name: name.to_owned(), ticket })
        };
        let [wider, sooner, past] = GOING_ON;
        let mut at_once = vec![(wave, begun)];
        at_once.extend(widenings(lane).into_iter().skip(1).map(|handed| (handed, NOW)));
        let beyond = [(wave, begun), (PLANNED, NOW)];
        out.push(going_on("a second generation beyond the growth", wider, &beyond)?);
        out.push(going_on("all generations without a soak", sooner, &at_once)?);
        out.push(going_on("the past told anew", past, &in_time(lane))?);
    }
    Ok(out)
}

const DAY: Millis = Millis::from_secs(86_400);

/// A release's last ticket: everybody, whoever comes later too.
pub(super) fn last(policy: &Policy, rollout: &str, made: &Made) -> Result<Ticket, LabError> {
    let mut ticket = blank(policy, rollout, made, &in_time(&policy.routine), Some(Position::MAX))?;
    ticket.newcomers = Newcomers::Included;
    Ok(ticket)
}
