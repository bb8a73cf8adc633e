//! What gate verifiers read and bring: the whole journal, the tickets that wait for them, and their
//! cosignatures. Nothing here is believed: what they bring is checked against the policy's keys.
use super::people::{AfterSeq, journal_lines};
use super::static_plane::{Since, another};
use super::{Refusal, our_line, read_body};
use crate::app::App;
use crate::cosign::CosignError;
use andon_model::envelope::Envelope;
use andon_model::limits::ENVELOPE_BYTES_MAX;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State as Extract};
use axum::response::Response;
use std::sync::Arc;

/// `GET /v1/journal?after=SEQ`: every record, a line each, at most 1,000; ask again after the last one.
pub(super) async fn journal(
    Extract(app): Extract<Arc<App>>,
    query: Result<Query<AfterSeq>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(AfterSeq { after }) =
        query.map_err(|_| Refusal::malformed("query: after must be a whole number"))?;
    journal_lines(&app, None, after).await
}

/// `GET …/waiting?since=N`: the tickets that wait, as soon as their list has another version than N,
/// else after half a minute.
pub(super) async fn waiting(
    Extract(app): Extract<Arc<App>>,
    Path(line): Path<String>,
    since: Result<Query<Since>, QueryRejection>,
) -> Result<Json<serde_json::Value>, Refusal> {
    our_line(&app, &line)?;
    let version = another(&app, &app.asked, since).await?;
    let core = app.core();
    let tickets = core.desk.all().map(|(rollout, waiting)| {
        serde_json::json!({
            "rollout": rollout, "seq": waiting.seq, "envelope": waiting.envelope,
        })
    });
    let tickets: Vec<_> = tickets.collect();
    Ok(Json(serde_json::json!({ "version": version, "tickets": tickets })))
}

/// `POST …/cosignatures`: the ticket's envelope with a verifier's signature on it.
pub(super) async fn cosign(
    Extract(app): Extract<Arc<App>>,
    Path(line): Path<String>,
    body: Body,
) -> Result<Json<serde_json::Value>, Refusal> {
    our_line(&app, &line)?;
    let bytes = read_body(body, ENVELOPE_BYTES_MAX).await?;
    let brought = Envelope::parse(&bytes)?;
    let (rollout, have, needed) = {
        let mut core = app.core();
        let policy = core.policy(app.now()).map(|policy| policy.policy.clone());
        let policy = policy.ok_or_else(|| Refusal::expired("no policy is in force"))?;
        let taken = core.desk.cosign(&brought, &policy);
        let (rollout, have) = taken.map_err(|why| match why {
            CosignError::NotWaiting => {
                Refusal::conflict(&why.to_string(), "ask for the tickets that wait now")
            }
            CosignError::NoVerifier => Refusal::signature(&why.to_string()),
        })?;
        (rollout, have, policy.verifiers.needed)
    };
    if have.len() as u64 >= u64::from(needed) {
        app.drive().await;
    }
    Ok(Json(serde_json::json!({
        "accepted": true, "rollout": rollout, "needed": needed, "have": have,
    })))
}
