//! `/v1/line/…`: what members of a vendor line ask and send (`docs/spec/vendor-line.md` §4). A roster
//! or tally is answered once it is durable; what is told is signed by the line's online key.
use super::people::rollout_id;
use super::{Refusal, read_body};
use crate::app::{App, Core};
use crate::deliver::{self, Cache, Item};
use crate::pooled::absent;
use crate::pooled::intake::{self, Due, IntakeError, Reserved};
use crate::pooled::kept::{self, TALLY_ENVELOPE_MAX, TallyRefusal};
use crate::pooled::seats::SeatError;
use crate::record::Record;
use crate::rollout_state::RolloutState;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::{BELL_WAIT_MAX, ENVELOPE_BYTES_MAX};
use andon_model::line::{Roster, Seating};
use andon_model::policy::Policy;
use andon_model::{Digest, LineId, Millis, OperatorId, RolloutId, Time};
use andon_rollout::lines::{LineTally, Standing};
use andon_trust::envelope::{VerifyError, verify_one};
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State as Extract};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// The policy in force, if this line has members.
fn policy_of_members(core: &Core, now: Time) -> Result<&Policy, Refusal> {
    let policy = core.policy(now).ok_or_else(|| Refusal::expired("no policy is in force"))?;
    if policy.policy.members.is_empty() {
        return Err(Refusal::not_found("this line has no members"));
    }
    Ok(&policy.policy)
}

/// `POST /v1/line/roster`: the next hosts of a member get seats. The same roster again gives nobody a
/// second one: it is told where the first ones are.
pub(super) async fn roster(
    Extract(app): Extract<Arc<App>>,
    body: Body,
) -> Result<Response, Refusal> {
    let bytes = read_body(body, ENVELOPE_BYTES_MAX).await?;
    let envelope = Envelope::parse(&bytes)?;
    let roster = Roster::parse(&envelope.payload)
        .map_err(|why| Refusal::malformed(&super::in_words(&why)))?;
    let (blocks, receipt) = {
        let mut core = app.core();
        let policy = policy_of_members(&core, app.now())?;
        let member = policy.members.iter().find(|member| member.operator == roster.operator);
        let member = member.ok_or_else(|| stranger(&roster.operator))?.clone();
        verify_one(&envelope, PayloadType::Roster, &member.key)?;
        if roster.line != *app.line() {
            return Err(Refusal::not_allowed("the roster is for another line"));
        }
        let seat_first = match core.state.seats.offer(&member, &roster) {
            Ok(seat_first) => seat_first,
            Err(why @ SeatError::Gap { .. }) => {
                let next = "send a roster that begins after the last of these seats";
                let refusal = Refusal::conflict(&why.to_string(), next);
                let seats = core.state.seats.blocks(&member.operator);
                return Ok(with(refusal, "seats", json!(seats)));
            }
            Err(why) => {
                let next = "raise hosts_max in the vendor line's policy, or send fewer hosts";
                return Err(Refusal::conflict(&why.to_string(), next));
            }
        };
        let operator = member.operator;
        let record =
            Record::SeatsTaken { operator: operator.clone(), seat_first, roster: Box::new(roster) };
        let receipt = app.stage(&mut core, &[record])?;
        (json!(core.state.seats.blocks(&operator)), receipt)
    };
    receipt.durable().await?;
    Ok(Json(json!({ "seats": blocks })).into_response())
}

fn stranger(operator: &OperatorId) -> Refusal {
    Refusal::unknown_key(&format!("the policy knows no member named {operator}"))
}

/// A refusal that says one thing more than its words.
fn with(refusal: Refusal, field: &str, value: serde_json::Value) -> Response {
    let error = json!({
        "code": refusal.code, "message": refusal.message, "next": refusal.next,
    });
    (refusal.status, Json(json!({ "error": error, field: value }))).into_response()
}

/// How long a member waits, and what it has seen; which version it has stands in `If-None-Match`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    /// the newest round that the member knows of: for people who read logs, it changes nothing
    #[serde(default, rename = "round")]
    _round: u64,
    #[serde(default)]
    wait_ms: Millis,
}

/// `GET /v1/line/rounds`: where every rollout is. With a version in `If-None-Match` it waits for
/// another one, and answers 304 if none came.
pub(super) async fn rounds(
    Extract(app): Extract<Arc<App>>,
    wait: Result<Query<Wait>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(Wait { wait_ms, .. }) =
        wait.map_err(|_| Refusal::malformed("query: round and wait_ms must be whole numbers"))?;
    let item = |posted: &Option<crate::pooled::bulletin::Posted>| {
        posted.as_ref().map(|posted| Item {
            bytes: posted.bytes.clone(),
            digest: posted.digest,
            cache: Cache::Revalidate,
        })
    };
    let mut posted = app.rounds.subscribe();
    let news = |known: Option<Item>| {
        known.is_none_or(|it| deliver::not_modified(it.digest, it.cache, &headers).is_none())
    };
    if headers.contains_key(header::IF_NONE_MATCH) && wait_ms > Millis::ZERO {
        let mut closing = app.closing.subscribe();
        tokio::select! {
            _ = posted.wait_for(|posted| news(item(posted))) => {}
            _ = closing.wait_for(|closing| *closing) => {}
            () = tokio::time::sleep(wait_ms.min(BELL_WAIT_MAX).std()) => {}
        }
    }
    let now = item(&posted.borrow());
    let now = now.ok_or_else(|| Refusal::not_found("this line has no members"))?;
    Ok(deliver::answer(now, &headers))
}

fn of_members<'c>(core: &'c Core, name: &RolloutId) -> Result<&'c RolloutState, Refusal> {
    let rollout = core.state.rollouts.get(name).filter(|rollout| rollout.members.is_some());
    rollout.ok_or_else(|| Refusal::not_found(&format!("no rollout {name} of a vendor line")))
}

/// A payload under the line's key. Signing reads it twice: not on a thread that serves others.
async fn signed(
    app: &Arc<App>,
    kind: PayloadType,
    headers: &HeaderMap,
    payload: impl FnOnce() -> Vec<u8> + Send + 'static,
) -> Result<Response, Refusal> {
    let key = app.inputs.online.clone();
    let sealed = tokio::task::spawn_blocking(move || key.seal(kind, &payload()).to_bytes()).await;
    let bytes = sealed.map_err(|_| Refusal::disk("the answer could not be signed"))?;
    let item = Item { digest: Digest::of(&bytes), bytes: bytes.into(), cache: Cache::Revalidate };
    Ok(deliver::answer(item, headers))
}

/// `GET /v1/line/plans/ROLLOUT`.
pub(super) async fn plan(
    Extract(app): Extract<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let name = rollout_id(&name)?;
    let plan = of_members(&app.core(), &name)?.plan.clone();
    let payload = move || serde_json::to_vec(&plan).unwrap_or_default();
    signed(&app, PayloadType::Plan, &headers, payload).await
}

/// `GET /v1/line/places/ROLLOUT/OPERATOR`.
pub(super) async fn places(
    Extract(app): Extract<Arc<App>>,
    Path((name, operator)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let name = rollout_id(&name)?;
    let operator = operator_id(&operator)?;
    let places = {
        let core = app.core();
        let rollout = of_members(&core, &name)?;
        let members = rollout.members.as_deref();
        members.and_then(|members| members.places(&rollout.plan, &core.state.seats, &operator))
    };
    let message = format!("operator {operator} has no hosts in rollout {name}");
    let places = places.ok_or_else(|| Refusal::not_found(&message))?;
    let payload = move || serde_json::to_vec(&places).unwrap_or_default();
    signed(&app, PayloadType::Places, &headers, payload).await
}

/// `GET /v1/line/seats/OPERATOR`: all its seats, for its hosts to read.
pub(super) async fn seats(
    Extract(app): Extract<Arc<App>>,
    Path(operator): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let operator = operator_id(&operator)?;
    let seats = app.core().state.seats.blocks(&operator).to_vec();
    if seats.is_empty() {
        return Err(Refusal::not_found(&format!("operator {operator} has no seats on this line")));
    }
    let seating = Seating { schema: 1, line: app.line().clone(), operator, seats };
    let payload = move || serde_json::to_vec(&seating).unwrap_or_default();
    signed(&app, PayloadType::Seating, &headers, payload).await
}

fn operator_id(name: &str) -> Result<OperatorId, Refusal> {
    OperatorId::new(name).map_err(|why| Refusal::malformed(&format!("operator: {why}")))
}

/// `GET /v1/line/tickets/ROLLOUT/GENERATION`: as first issued.
pub(super) async fn ticket(
    Extract(app): Extract<Arc<App>>,
    Path((name, generation)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let missing = "no ticket of that generation was issued";
    let (name, generation) = (rollout_id(&name)?, number("generation", &generation)?);
    let whose = name.clone();
    let read = move |app: &App| kept::ticket(app, &name, generation);
    as_kept(&app, &headers, missing, &whose, read).await
}

/// `GET /v1/line/ceilings/ROLLOUT/GENERATION`: all ceilings of that ticket, if it commits to them.
pub(super) async fn ceilings(
    Extract(app): Extract<Arc<App>>,
    Path((name, generation)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let missing = "no ticket of that generation was issued that commits to its ceilings";
    let (name, generation) = (rollout_id(&name)?, number("generation", &generation)?);
    let whose = name.clone();
    let read = move |app: &App| kept::ceilings(app, &name, generation);
    as_kept(&app, &headers, missing, &whose, read).await
}

fn number(field: &str, text: &str) -> Result<u32, Refusal> {
    text.parse().map_err(|_| Refusal::malformed(&format!("{field}: must be a whole number")))
}

/// A file that never changes, of a rollout of this line's members.
async fn as_kept(
    app: &Arc<App>,
    headers: &HeaderMap,
    missing: &str,
    name: &RolloutId,
    read: impl FnOnce(&App) -> Option<Vec<u8>> + Send + 'static,
) -> Result<Response, Refusal> {
    of_members(&app.core(), name)?;
    let task = Arc::clone(app);
    let read = tokio::task::spawn_blocking(move || read(&task)).await;
    let bytes = read.ok().flatten().ok_or_else(|| Refusal::not_found(missing))?;
    let item = Item { digest: Digest::of(&bytes), bytes: bytes.into(), cache: Cache::Immutable };
    Ok(deliver::answer(item, headers))
}

/// `GET /v1/line/tallies/ROLLOUT/ROUND-GENERATION/OPERATOR`: a tally as it came, once its round is
/// pooled, for whoever adds the round up again.
pub(super) async fn kept_tally(
    Extract(app): Extract<Arc<App>>,
    Path((name, due, operator)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (name, operator) = (rollout_id(&name)?, operator_id(&operator)?);
    let due = due.split_once('-').and_then(|(round, generation)| {
        Some(Due { round: round.parse().ok()?, generation: generation.parse().ok()? })
    });
    let words = "round and generation: must be two whole numbers with a hyphen between";
    let due = due.ok_or_else(|| Refusal::malformed(words))?;
    let missing = "no tally of that operator was pooled in that round";
    let members = |rollout: &RolloutState| rollout.members.as_ref().map(|it| it.pool.round());
    // What others have counted is nobody's to read before it is counted.
    if members(of_members(&app.core(), &name)?).is_none_or(|next| next <= due.round) {
        return Err(Refusal::not_found(missing));
    }
    let whose = name.clone();
    let read = move |app: &App| kept::tally(app, &name, due, &operator);
    as_kept(&app, &headers, missing, &whose, read).await
}

/// `POST /v1/line/tallies`: one member's answer to the round that is due. Sent twice, it is counted
/// once.
pub(super) async fn tally(
    Extract(app): Extract<Arc<App>>,
    body: Body,
) -> Result<Response, Refusal> {
    let bytes = read_body(body, TALLY_ENVELOPE_MAX).await?;
    let digest = Digest::of(&bytes);
    let (task, whole) = (Arc::clone(&app), bytes.clone());
    let read = tokio::task::spawn_blocking(move || authentic(&task, &whole)).await;
    let tally = read.map_err(|_| Refusal::disk("the tally could not be read"))??;
    let taken = {
        let mut core = app.core();
        let now = app.now();
        intake::take(&mut core, &tally, digest, now)
    };
    let (due, reserved) = match taken {
        Ok(taken) => taken,
        Err(why @ IntakeError::Absent(_)) => {
            // Nothing of it is counted. That its line has halted is heard all the same.
            hear(&app, &tally, digest, Some(&bytes)).await?;
            return refused(why);
        }
        Err(why) => return refused(why),
    };
    match reserved {
        Reserved::Known => {
            hear(&app, &tally, digest, None).await?;
            return Ok(accepted());
        }
        Reserved::Underway => return Err(Refusal::overloaded()),
        Reserved::Write => (),
    }
    if let Err(why) = kept::keep_tally(&app, due, &tally, bytes.to_vec()).await {
        app.core().collected.forget(due, digest, &tally);
        return Err(Refusal::disk(&format!("keep tally: {why}")));
    }
    let kept = app.core().collected.keep(due, digest, tally.clone());
    hear(&app, &tally, digest, None).await?;
    let core = app.core();
    let rollout = core.state.rollouts.get(&tally.rollout);
    let standing =
        rollout.and_then(|rollout| rollout.members.as_deref()?.standing(&tally.operator));
    match standing {
        // It came too late by as long as it took to write.
        Some(Standing::Absent) => refused(IntakeError::Absent(tally.operator)),
        _ if kept => Ok(accepted()),
        // A ticket was issued meanwhile: the round is asked again.
        _ => {
            let got = Due { round: tally.round, generation: tally.generation };
            refused(IntakeError::NotDue { got, due: rollout.and_then(intake::due) })
        }
    }
}

/// Journals that a member's line has halted, if its tally says so for the first time, and lets the line
/// hold before the tally is answered. `bytes`: the tally, if it is on disk nowhere else.
async fn hear(
    app: &Arc<App>,
    tally: &LineTally,
    digest: Digest,
    bytes: Option<&[u8]>,
) -> Result<(), Refusal> {
    if absent::heard(&app.core().state, tally, digest).is_empty() {
        return Ok(());
    }
    if let Some(bytes) = bytes {
        let kept = kept::keep_halt(app, &tally.rollout, bytes.to_vec()).await;
        kept.map_err(|why| Refusal::disk(&format!("keep tally: {why}")))?;
    }
    let receipt = {
        let mut core = app.core();
        let records = absent::heard(&core.state, tally, digest);
        app.stage(&mut core, &records)?
    };
    receipt.durable().await?;
    app.drive().await;
    Ok(())
}

/// The tally, if the member that it names signed it. Megabytes are parsed and hashed here: on a thread
/// of its own, and not under the lock that beats wait for.
fn authentic(app: &App, bytes: &[u8]) -> Result<LineTally, Refusal> {
    let envelope = Envelope::parse_limited(bytes, TALLY_ENVELOPE_MAX)?;
    let tally = kept::unverified(&envelope)?;
    let key = kept::key_of(policy_of_members(&app.core(), app.now())?, &tally)?;
    kept::verify(&envelope, &tally, &key)?;
    Ok(tally)
}

fn accepted() -> Response {
    Json(json!({ "accepted": true })).into_response()
}

fn refused(error: IntakeError) -> Result<Response, Refusal> {
    let words = super::in_words(&error);
    match error {
        IntakeError::NotDue { due, .. } => {
            let next = "answer the round that is due; GET /v1/line/rounds says which";
            let due = due.map(|due| json!({ "round": due.round, "generation": due.generation }));
            Ok(with(Refusal::conflict(&words, next), "due", json!(due)))
        }
        IntakeError::Rollout(_) => Err(Refusal::not_found(&words)),
        IntakeError::Stranger(_) => Err(Refusal::not_allowed(&words)),
        IntakeError::Absent(_) => {
            let next = "nothing: it is counted again from the next rollout on";
            Ok(with(Refusal::conflict(&words, next), "absent", json!(true)))
        }
        IntakeError::Withdrawn(_) => Err(Refusal::conflict(&words, "nothing")),
        IntakeError::Taken(_) => Err(Refusal::replayed(&words)),
        IntakeError::Text(_)
        | IntakeError::Doubt(_)
        | IntakeError::Hosts { .. }
        | IntakeError::Windows(..) => Err(Refusal::malformed(&words)),
    }
}

impl From<TallyRefusal> for Refusal {
    fn from(error: TallyRefusal) -> Refusal {
        let words = super::in_words(&error);
        match error {
            TallyRefusal::Parse(_)
            | TallyRefusal::Signature(_, VerifyError::PayloadType { .. }) => {
                Refusal::malformed(&words)
            }
            TallyRefusal::Stranger(_) => Refusal::unknown_key(&words),
            TallyRefusal::Signature(..) => Refusal::signature(&words),
            TallyRefusal::Line => Refusal::not_allowed(&words),
        }
    }
}

/// What people see of a vendor line.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    line: LineId,
    members: Vec<MemberLine>,
    rollouts: Vec<RolloutLine>,
}

#[derive(Debug, Serialize)]
struct MemberLine {
    operator: OperatorId,
    hosts: u64,
    hosts_max: u32,
}

#[derive(Debug, Serialize)]
struct RolloutLine {
    rollout: RolloutId,
    round: u64,
    generation: u32,
    /// members that have not answered the round yet
    due: Vec<OperatorId>,
    /// members that did not answer in time, and without which it goes on by the policy
    absent: Vec<OperatorId>,
    withdrawn: Vec<OperatorId>,
}

/// `GET /v1/line`: members, and whose tallies are due.
pub(super) async fn status(Extract(app): Extract<Arc<App>>) -> Result<Json<Status>, Refusal> {
    let core = app.core();
    let policy = policy_of_members(&core, app.now())?;
    let member = |member: &andon_model::line::Member| MemberLine {
        operator: member.operator.clone(),
        hosts: core.state.seats.hosts(&member.operator),
        hosts_max: member.hosts_max,
    };
    let members = policy.members.iter().map(member).collect();
    let newest_first = core.state.started.iter().rev().take(super::people::PAGE_MAX);
    let known = newest_first.filter_map(|name| core.state.rollouts.get(name));
    let rollouts = known.filter_map(|rollout| line_of(&core, rollout)).collect();
    Ok(Json(Status { line: app.line().clone(), members, rollouts }))
}

fn line_of(core: &Core, rollout: &RolloutState) -> Option<RolloutLine> {
    let members = rollout.members.as_deref()?;
    let due = intake::due(rollout);
    let open = due.and_then(|due| core.collected.at(&rollout.plan.rollout, due));
    let answered = |operator: &&OperatorId| open.is_some_and(|open| open.tally(operator).is_some());
    let awaited = members.awaited().filter(|operator| due.is_some() && !answered(operator));
    let who = |standing: Standing| {
        let standings = members.pool.standings().filter(move |(_, how)| *how == standing);
        standings.map(|(operator, _)| operator.clone()).collect()
    };
    Some(RolloutLine {
        rollout: rollout.plan.rollout.clone(),
        round: members.pool.round(),
        generation: rollout.waves.last().map_or(0, |wave| wave.generation),
        due: awaited.cloned().collect(),
        absent: who(Standing::Absent),
        withdrawn: who(Standing::Withdrawn),
    })
}
