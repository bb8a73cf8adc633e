//! `POST /v1/commands`: what people ask. Each command is signed by its person, taken once, and
//! stored together with what follows from it.
use super::{Refusal, read_body};
use crate::app::{App, Core};
use crate::group_order;
use crate::pooled::start::pools;
use crate::pooled::{self, round};
use crate::record::{Counted, Record, ReleaseFacts};
use crate::rollout_state::RolloutState;
use crate::state::Stopped;
use crate::tally;
use crate::{attested, directives};
use andon_model::command::{Approval, Command, Verb};
use andon_model::eligible;
use andon_model::envelope::Envelope;
use andon_model::fast_lane::FastLane;
use andon_model::limits::{APPROVALS_MAX, ENVELOPE_BYTES_MAX};
use andon_model::line::VendorLine;
use andon_model::policy::{Lane, Policy};
use andon_model::release::ComponentKind;
use andon_model::text::Text;
use andon_model::{ComponentId, Digest, HostId, OperatorId, PersonId, RolloutId, StratumId, Time};
use andon_rollout::lines::Standing;
use andon_rollout::plan::{GroupOrder, Inside};
use andon_rollout::{Event, Finding, Plan, PlanRequest, Terms};
use andon_trust::command::verify_approval;
use andon_trust::fast_lane::{self, FastLaneError};
use axum::Json;
use axum::body::Body;
use axum::extract::State as Extract;
use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;

/// Most rollouts in one journal: their state is kept in memory.
const ROLLOUTS_MAX: usize = 10_000;

pub(super) async fn command(
    Extract(app): Extract<Arc<App>>,
    body: Body,
) -> Result<Json<serde_json::Value>, Refusal> {
    let bytes = read_body(body, ENVELOPE_BYTES_MAX).await?;
    let envelope = Envelope::parse(&bytes)?;
    let listed = app.repository.lock().await.fast_lane();
    let (rollout, receipt) = {
        let mut core = app.core();
        let now = app.now();
        let policy = core.policy(now).map(|policy| policy.policy.clone());
        let policy = policy.ok_or_else(|| Refusal::expired("no policy is in force"))?;
        let command = andon_trust::command::verify(&envelope, &policy, now)?;
        let once = (command.person.clone(), command.nonce);
        if core.state.nonces.contains_key(&once) {
            return Err(Refusal::replayed("this command was carried out before"));
        }
        let rollout = subject(&command.verb).clone();
        if let Verb::Start { release, lane: Lane::Emergency, .. } = &command.verb {
            fast(&core, &listed, &policy, release, now)?;
        }
        let mut records = vec![accepted(&command, &rollout)];
        records.extend(follow(&core, &policy, &command, now)?);
        (rollout, app.stage(&mut core, &records)?)
    };
    receipt.durable().await?;
    app.drive().await;
    Ok(Json(serde_json::json!({ "accepted": true, "rollout": rollout })))
}

fn subject(verb: &Verb) -> &RolloutId {
    match verb {
        Verb::Start { rollout, .. }
        | Verb::Approve { rollout, .. }
        | Verb::Hold { rollout, .. }
        | Verb::Resume { rollout }
        | Verb::Halt { rollout, .. }
        | Verb::Withdraw { rollout, .. } => rollout,
    }
}

fn accepted(command: &Command, rollout: &RolloutId) -> Record {
    let verb = match command.verb {
        Verb::Start { .. } => "start",
        Verb::Approve { .. } => "approve",
        Verb::Hold { .. } => "hold",
        Verb::Resume { .. } => "resume",
        Verb::Halt { .. } => "halt",
        Verb::Withdraw { .. } => "withdraw",
    };
    Record::CommandAccepted {
        person: command.person.clone(),
        nonce: command.nonce,
        issued: command.issued,
        verb: verb.to_owned(),
        rollout: rollout.clone(),
    }
}

fn follow(
    core: &Core,
    policy: &Policy,
    command: &Command,
    now: Time,
) -> Result<Vec<Record>, Refusal> {
    let by = command.person.clone();
    match &command.verb {
        Verb::Start { .. } => start(core, policy, command, now),
        Verb::Approve { rollout, approval } => {
            let state = running(core, rollout)?;
            let (release, lane) = (state.plan.release, state.plan.lane);
            let given = check_approval(approval, policy, release, lane, now)?;
            if given.person != by {
                return Err(Refusal::not_allowed("the approval is signed by somebody else"));
            }
            if state.approvals.len() >= APPROVALS_MAX {
                return Err(Refusal::conflict("it has all approvals it can hold", "nothing"));
            }
            let known = state.approvals.iter().any(|known| known.payload == approval.payload);
            if known {
                return Err(Refusal::replayed("this approval was given before"));
            }
            Ok(vec![granted(rollout, given, approval)])
        }
        Verb::Hold { rollout, reason } => {
            running(core, rollout)?;
            Ok(vec![Record::event(rollout, Event::Held { by, reason: reason.clone() })])
        }
        Verb::Resume { rollout } => {
            running(core, rollout)?;
            Ok(vec![Record::event(rollout, Event::Resumed { by })])
        }
        Verb::Halt { rollout, reason } => {
            running(core, rollout)?;
            Ok(vec![Record::event(rollout, Event::HaltedByPerson { by, reason: reason.clone() })])
        }
        Verb::Withdraw { rollout, operator, reason } => {
            withdraw(running(core, rollout)?, operator, by, reason.clone(), now)
        }
    }
}

fn running<'c>(core: &'c Core, rollout: &RolloutId) -> Result<&'c RolloutState, Refusal> {
    let state = core.state.rollouts.get(rollout);
    let state = state.ok_or_else(|| Refusal::not_found(&format!("no rollout {rollout}")))?;
    if state.live() {
        return Ok(state);
    }
    let message = format!("rollout {rollout} is over");
    Err(Refusal::conflict(&message, "start a new rollout, or freeze the release with `andon pull`"))
}

/// Withdraws a member, and lets the line go on if it holds for that member's sake.
fn withdraw(
    state: &RolloutState,
    operator: &OperatorId,
    by: PersonId,
    reason: Text,
    now: Time,
) -> Result<Vec<Record>, Refusal> {
    let members = state.members.as_deref();
    let standing = members.and_then(|members| members.standing(operator));
    let (Some(members), Some(standing)) = (members, standing) else {
        let message = format!("operator {operator} has no hosts in this rollout");
        return Err(Refusal::not_found(&message));
    };
    if standing == Standing::Withdrawn {
        let message = format!("operator {operator} was withdrawn before");
        return Err(Refusal::conflict(&message, "nothing"));
    }
    if !members.awaited().any(|other| other != operator) {
        let message = format!("operator {operator} is the last member of this rollout");
        return Err(Refusal::conflict(&message, "halt the rollout: nobody is left to be seen"));
    }
    let (rollout, operator) = (state.plan.rollout.clone(), operator.clone());
    let goes_on = round::holds_for(state, &operator, now)
        .then(|| Record::event(&rollout, Event::Resumed { by: by.clone() }));
    let mut records = vec![Record::MemberWithdrawn { rollout, operator, by, reason }];
    records.extend(goes_on);
    Ok(records)
}

fn granted(rollout: &RolloutId, approval: Approval, envelope: &Envelope) -> Record {
    Record::Rollout {
        rollout: rollout.clone(),
        event: Event::ApprovalGranted { person: approval.person },
        counted: Counted::default(),
        approval: Some(envelope.clone()),
    }
}

fn check_approval(
    envelope: &Envelope,
    policy: &Policy,
    release: Digest,
    lane: Lane,
    now: Time,
) -> Result<Approval, Refusal> {
    let approval = verify_approval(envelope, policy, now)?;
    if approval.release != release || approval.lane != lane {
        return Err(Refusal::not_allowed("the approval is for another release or lane"));
    }
    Ok(approval)
}

fn start(
    core: &Core,
    policy: &Policy,
    command: &Command,
    now: Time,
) -> Result<Vec<Record>, Refusal> {
    let Verb::Start { rollout, release, component, lane, approvals, seed } = &command.verb else {
        return Err(Refusal::malformed("the command is no start"));
    };
    startable(core, rollout, *release, component, now)?;
    if approvals.len() > APPROVALS_MAX {
        return Err(Refusal::malformed("the command carries too many approvals"));
    }
    let mut given = Vec::new();
    for envelope in approvals {
        let approval = check_approval(envelope, policy, *release, *lane, now)?;
        given.push(granted(rollout, approval, envelope));
    }
    let seed = match seed {
        Some(seed) => *seed,
        None => draw_seed()?,
    };
    let start = Start {
        by: Some(command.person.clone()),
        rollout: rollout.clone(),
        release: *release,
        component: component.clone(),
        lane: *lane,
        seed,
        hosts: core.state.hosts.len(),
        inside: None,
    };
    let mut records = begin(core, policy, start, now)?;
    records.extend(given);
    Ok(records)
}

/// Whether the emergency lane is open to a release: hosts would refuse it there otherwise.
fn fast(
    core: &Core,
    listed: &Result<Option<FastLane>, FastLaneError>,
    policy: &Policy,
    release: &Digest,
    now: Time,
) -> Result<(), Refusal> {
    let Some(facts) = core.state.releases.get(release) else { return Ok(()) };
    let of = (&facts.vendor, &facts.component);
    match fast_lane::against(listed, policy, of, now) {
        None => Ok(()),
        Some(why) => Err(Refusal::conflict(&why, "start it in the routine lane")),
    }
}

/// A rollout to begin.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// who asked; nobody inside a vendor line
    pub(crate) by: Option<PersonId>,
    /// its name
    pub(crate) rollout: RolloutId,
    /// digest of the release's manifest
    pub(crate) release: Digest,
    /// its component
    pub(crate) component: ComponentId,
    /// speed class
    pub(crate) lane: Lane,
    /// seed of the random order
    pub(crate) seed: Digest,
    /// the first so many hosts are in the plan, later ones are newcomers
    pub(crate) hosts: usize,
    /// the vendor line's rollout that it goes inside
    pub(crate) inside: Option<Inside>,
}

/// What begins a rollout: plan, committed seed, and who was silent before.
pub(crate) fn begin(
    core: &Core,
    policy: &Policy,
    start: Start,
    now: Time,
) -> Result<Vec<Record>, Refusal> {
    let Start { by, rollout, release, component, lane, seed, hosts, inside } = start;
    let facts = startable(core, &rollout, release, &component, now)?;
    if inside.is_none() {
        vouched(core, policy, facts)?;
    }
    let ((strata, terms), unattested) = terms(core, policy, facts, lane, hosts, now)?;
    let (mut plan, mut report) = Plan::new(
        policy,
        PlanRequest {
            rollout: rollout.clone(),
            release,
            version: facts.version,
            lane,
            seed,
            enrolled_max: match pools(policy) {
                true => core.state.seats.last(),
                false => HostId::new(hosts as u64).ok(),
            },
            strata,
            terms,
            generation_base: 0,
            parent: parent(core, &component),
            component,
            created: now,
        },
    );
    report.findings.extend(unattested.into_iter().map(|what| Finding::Unattested { what }));
    plan.order = ordered(core, policy, &plan)?;
    if inside.is_some() && plan.order.is_some() {
        let message =
            "budgets of groups and a vendor line exclude each other: both order the hosts";
        let next = "take the groups' budgets or the vendor line out of policy.toml";
        return Err(Refusal::conflict(message, next));
    }
    plan.inside = inside;
    let counted = Counted {
        silent: tally::silent_before(&plan.watch, core.fleet.rows(), now),
        ..Counted::default()
    };
    let (vendor, event) = (facts.vendor.clone(), Event::Started);
    Ok(vec![
        Record::SeedCommitted { rollout: rollout.clone(), commitment: Digest::of(&seed.0) },
        Record::RolloutStarted { by, vendor, plan: Box::new(plan), report },
        Record::Rollout { rollout, event, counted, approval: None },
    ])
}

fn startable<'c>(
    core: &'c Core,
    rollout: &RolloutId,
    release: Digest,
    component: &ComponentId,
    now: Time,
) -> Result<&'c ReleaseFacts, Refusal> {
    let state = &core.state;
    if state.rollouts.contains_key(rollout) {
        let message = format!("there is a rollout {rollout} already");
        return Err(Refusal::conflict(&message, "choose another name"));
    }
    if state.rollouts.len() >= ROLLOUTS_MAX {
        return Err(Refusal::conflict("there are too many rollouts", "archive the journal"));
    }
    let facts = state.releases.get(&release);
    let facts =
        facts.ok_or_else(|| Refusal::not_found(&format!("no published release {release}")))?;
    if facts.component != *component {
        let message = format!("release {release} is of component {}", facts.component);
        return Err(Refusal::malformed(&message));
    }
    if let Some(other) = state.live_rollout(component) {
        let message = format!("rollout {} of {component} still runs", other.plan.rollout);
        return Err(Refusal::conflict(&message, "wait for it, or halt it first"));
    }
    if let Some(Stopped { by, reason, digest }) = state.frozen(&facts.vendor, &release, now) {
        let message = format!("the release is frozen by {by}: {reason} (freeze {digest})");
        let next = "publish a fixed release, or override the freeze in policy.toml";
        return Err(Refusal::conflict(&message, next));
    }
    if let Some(issued) = directives::recall_ahead(state, &release, now) {
        let message =
            format!("the recall to this release is dated {issued}, which is still to come");
        return Err(Refusal::conflict(
            &message,
            "wait until then: hosts follow what begins after it",
        ));
    }
    Ok(facts)
}

/// A release of a vendor on whose line this one takes part begins by itself when that line reaches it.
/// Started by people, it waits until the vendor's line is through: hosts would take it no earlier.
fn vouched(core: &Core, policy: &Policy, facts: &ReleaseFacts) -> Result<(), Refusal> {
    let named = policy.vendor_lines.iter().find(|line| line.vendor == facts.vendor);
    let Some(line) = named.map(VendorLine::line) else { return Ok(()) };
    if core.state.lines.get(&line).is_some_and(|state| state.vouches(&facts.release)) {
        return Ok(());
    }
    let message =
        format!("the policy has this line take part in {line}, which has not vouched for it");
    let next = "wait: it begins here by itself; or take the vendor line out of policy.toml";
    Err(Refusal::conflict(&message, next))
}

/// Hosts per stratum, and the terms of the plan.
type StrataAndTerms = (BTreeMap<StratumId, u32>, Terms);

/// What the policy's rules, and its demands for attestations, make of this release here; and what people
/// are to be told of hosts that will refuse it.
fn terms(
    core: &Core,
    policy: &Policy,
    facts: &ReleaseFacts,
    lane: Lane,
    hosts: usize,
    now: Time,
) -> Result<(StrataAndTerms, Vec<String>), Refusal> {
    let rules = policy.eligibility.of(facts.kind.unwrap_or(ComponentKind::Content));
    let versions = core.state.releases.values().filter(|r| r.component == facts.component);
    let newest = versions.map(|other| other.version).max().unwrap_or(facts.version);
    let (component, version) = (&facts.component, facts.version);
    let release = eligible::ReleaseFacts { component, version, newest, lane, started: now };
    let excluded = rules.excluded(&release, now).ok_or_else(|| {
        let message = format!("the policy keeps version {version} of {component} from every host");
        Refusal::conflict(&message, "change the hold, pin or \"one behind\" rule in policy.toml")
    })?;
    if pools(policy) {
        let made = pooled::start::strata(policy, &rules, &core.state.seats, &excluded, lane);
        let next = "take the rule out of the vendor line's policy.toml; operators keep their own";
        let made = made.map_err(|why| Refusal::conflict(&why.to_string(), next))?;
        return Ok((made, Vec::new()));
    }
    let mut terms = Terms { scheduled: rules.scheduled(lane), excluded, ..Terms::default() };
    let narrowed = attested::narrow(core, policy, facts, hosts, now, &mut terms)?;
    let mut sizes: BTreeMap<StratumId, u32> = BTreeMap::new();
    for host in core.state.hosts.iter().take(hosts) {
        let stratum = host.stratum_in(&terms).filter(|stratum| narrowed.has(stratum));
        let Some(stratum) = stratum else { continue };
        if let Some(size) = sizes.get_mut(&stratum) {
            *size += 1;
            continue;
        }
        let schedule = rules.schedule(&host.class, lane);
        if !schedule.is_always() {
            terms.schedules.insert(stratum.clone(), schedule);
        }
        sizes.insert(stratum, 1);
    }
    Ok(((sizes, terms), narrowed.said))
}

/// The order that keeps the policy's budgets of groups; `None`: no host is in such a group.
fn ordered(core: &Core, policy: &Policy, plan: &Plan) -> Result<Option<GroupOrder>, Refusal> {
    if pools(policy) {
        return Ok(None);
    }
    match group_order::of(plan, &policy.budgets, &core.state.hosts) {
        Ok(made) => Ok(made.map(|made| made.order)),
        Err(why) => {
            let cause = why.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            Err(Refusal::conflict(&format!("{why}{cause}"), "change the budgets in policy.toml"))
        }
    }
}

/// The rollout of this component that was started last.
fn parent(core: &Core, component: &ComponentId) -> Option<RolloutId> {
    let mut newest_first = core.state.started.iter().rev();
    let of_component = |name: &&RolloutId| {
        core.state.rollouts.get(*name).is_some_and(|r| r.plan.component == *component)
    };
    newest_first.find(of_component).cloned()
}

fn draw_seed() -> Result<Digest, Refusal> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| Refusal::disk("the system gives no random bytes"))?;
    Ok(Digest(seed))
}
