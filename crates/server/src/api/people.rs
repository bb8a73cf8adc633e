//! What people and their tools read: rollouts, hosts, alerts, releases, health, metrics.
use super::Refusal;
use super::beats::host_id;
use crate::app::{App, Core};
use crate::rollout_state::RolloutState;
use crate::store::{Entry, Query as Rows, ROWS_MAX};
use crate::why;
use andon_model::{HostId, RolloutId, Time};
use andon_rollout::Explanation;
use andon_rollout::explain::Cosignatures;
use andon_trust::ticket::cosigners;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State as Extract};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Most bytes of journal rows in one answer: a roster or a plan alone may have hundreds of kilobytes.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most hosts or alerts in one answer.
pub(super) const PAGE_MAX: usize = 1000;

pub(super) async fn rollouts(Extract(app): Extract<Arc<App>>) -> Json<Vec<Explanation>> {
    let core = app.core();
    let now = app.now();
    let newest_first = core.state.started.iter().rev().take(PAGE_MAX);
    let known = newest_first.filter_map(|name| core.state.rollouts.get(name));
    Json(known.map(|rollout| explain(&core, rollout, now)).collect())
}

pub(super) fn rollout_id(text: &str) -> Result<RolloutId, Refusal> {
    RolloutId::new(text).map_err(|why| Refusal::malformed(&format!("rollout: {why}")))
}

pub(super) async fn rollout(
    Extract(app): Extract<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<Explanation>, Refusal> {
    let id = rollout_id(&id)?;
    let core = app.core();
    let rollout = core.state.rollouts.get(&id);
    let rollout = rollout.ok_or_else(|| Refusal::not_found(&format!("no rollout {id}")))?;
    Ok(Json(explain(&core, rollout, app.now())))
}

/// Why a rollout is where it is; who has cosigned a ticket that waits is the desk's to say.
fn explain(core: &Core, rollout: &RolloutState, now: Time) -> Explanation {
    let policy = core.state.policy.as_ref();
    let waiting = core.desk.get(&rollout.plan.rollout).zip(policy);
    let cosignatures = waiting.map(|(waiting, policy)| Cosignatures {
        needed: policy.policy.verifiers.needed,
        have: cosigners(&waiting.envelope, &policy.policy).into_iter().collect(),
        since: waiting.since,
    });
    Explanation { cosignatures, ..rollout.explain(now) }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AfterSeq {
    #[serde(default)]
    pub(super) after: u64,
}

/// `GET /v1/rollouts/ID/journal?after=SEQ`: `{"seq","at","kind","record"}` per line, from the
/// database, at most 1,000 lines; ask again after the last one.
pub(super) async fn journal(
    Extract(app): Extract<Arc<App>>,
    Path(id): Path<String>,
    query: Result<Query<AfterSeq>, QueryRejection>,
) -> Result<Response, Refusal> {
    let id = rollout_id(&id)?;
    let Query(AfterSeq { after }) =
        query.map_err(|_| Refusal::malformed("query: after must be a whole number"))?;
    if !app.core().state.rollouts.contains_key(&id) {
        return Err(Refusal::not_found(&format!("no rollout {id}")));
    }
    journal_lines(&app, Some(id.to_string()), after).await
}

/// Journal rows as lines: what they hold is JSON that this server wrote; it is passed on as it stands.
pub(super) async fn journal_lines(
    app: &App,
    subject: Option<String>,
    after: u64,
) -> Result<Response, Refusal> {
    let rows = app.writer().read(Rows { subject, after, limit: ROWS_MAX }).await?;
    let text = page(&rows, PAGE_BYTES_MAX);
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], text).into_response())
}

/// Rows up to `most` bytes, but one at least: who asks again after the last one gets on.
fn page(rows: &[Entry], most: usize) -> String {
    let mut text = String::new();
    for row in rows {
        if !text.is_empty() && text.len() + row.json.len() > most {
            break;
        }
        let (seq, at, kind, json) = (row.seq, row.at.0, &row.kind, &row.json);
        let _ = writeln!(text, r#"{{"seq":{seq},"at":{at},"kind":"{kind}","record":{json}}}"#);
    }
    text
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AfterHost {
    #[serde(default)]
    after: Option<HostId>,
}

pub(super) async fn hosts(
    Extract(app): Extract<Arc<App>>,
    query: Result<Query<AfterHost>, QueryRejection>,
) -> Result<Json<Vec<why::HostLine>>, Refusal> {
    let Query(AfterHost { after }) =
        query.map_err(|_| Refusal::malformed("query: after must be a host's id"))?;
    let core = app.core();
    Ok(Json(why::hosts(&core, after, PAGE_MAX, app.now())))
}

pub(super) async fn host(
    Extract(app): Extract<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<why::HostWhy>, Refusal> {
    let id = host_id(&id)?;
    let core = app.core();
    let why = why::host(&core, id, app.now());
    why.map(Json).ok_or_else(|| Refusal::not_found(&format!("no host {id}")))
}

pub(super) async fn alerts(Extract(app): Extract<Arc<App>>) -> Json<serde_json::Value> {
    let core = app.core();
    let newest_first = core.state.alerts.iter().rev().take(PAGE_MAX);
    let lines = newest_first.map(|(host, alert)| {
        let mut line = serde_json::to_value(alert).unwrap_or_default();
        line["host"] = serde_json::json!(host);
        line
    });
    Json(lines.collect())
}

pub(super) async fn releases(Extract(app): Extract<Arc<App>>) -> Json<serde_json::Value> {
    let core = app.core();
    let now = app.now();
    let lines = core.state.releases.values().map(|facts| {
        let mut line = serde_json::to_value(facts).unwrap_or_default();
        let freeze = core.state.frozen(&facts.vendor, &facts.release, now);
        line["frozen"] = serde_json::json!(freeze.map(|stopped| stopped.by.to_string()));
        line
    });
    Json(lines.collect())
}

/// Well while the journal takes writes.
pub(super) async fn healthz(Extract(app): Extract<Arc<App>>) -> Result<&'static str, Refusal> {
    match app.writer().failure() {
        None => Ok("ok\n"),
        Some(why) => Err(why.into()),
    }
}

/// OpenMetrics text (openmetrics.io, 1.0).
pub(super) async fn metrics(Extract(app): Extract<Arc<App>>) -> Response {
    let mut text = String::new();
    {
        let core = app.core();
        let counters = &app.counters;
        let silent = why::silent_hosts(&core, app.now());
        let live = core.state.rollouts.values().filter(|rollout| rollout.live()).count();
        let relaxed = Ordering::Relaxed;
        let rows: [(&str, &str, u64); 10] = [
            ("andon_hosts", "gauge", core.state.hosts.len() as u64),
            ("andon_hosts_silent", "gauge", silent as u64),
            ("andon_rollouts_live", "gauge", live as u64),
            ("andon_journal_seq", "gauge", core.state.seq),
            ("andon_index_version", "gauge", *app.bell.borrow()),
            ("andon_beats", "counter", core.fleet.beats),
            ("andon_beats_refused", "counter", counters.beats_refused.load(relaxed)),
            ("andon_requests_shed", "counter", counters.shed.load(relaxed)),
            ("andon_tickets_signed", "counter", counters.tickets_signed.load(relaxed)),
            ("andon_proof_bundles_served", "counter", counters.proof_bundles_served.load(relaxed)),
        ];
        for (name, kind, value) in rows {
            let suffix = if kind == "counter" { "_total" } else { "" };
            let _ = writeln!(text, "# TYPE {name} {kind}\n{name}{suffix} {value}");
        }
    }
    text.push_str("# EOF\n");
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_the_journal_is_bounded_and_never_empty_while_there_are_rows() {
        let row = |seq, bytes: usize| Entry {
            seq,
            at: Time(7),
            kind: "k".to_owned(),
            subject: "s".to_owned(),
            json: format!("\"{}\"", "x".repeat(bytes)),
        };
        let rows = [row(1, 90), row(2, 10), row(3, 10)];
        let lines = |most| page(&rows, most).lines().count();
        assert_eq!([lines(0), lines(100), lines(160), lines(1000)], [1, 1, 2, 3]);
        assert_eq!(
            page(&rows[1..2], 0),
            "{\"seq\":2,\"at\":7,\"kind\":\"k\",\"record\":\"xxxxxxxxxx\"}\n"
        );
        assert_eq!(page(&[], 10), "");
    }
}
