//! The HTTP API: one file per family of endpoints. Handlers parse, verify, stage, wait, answer; they
//! decide nothing. A request that is refused has changed nothing.
mod attestations;
mod beats;
pub(crate) mod commands;
mod enrol;
mod error;
mod line;
mod log;
mod people;
mod policy;
mod proof_bundle;
mod releases;
mod static_plane;
mod stops;
mod verifiers;

pub use error::{Refusal, in_words};

use crate::app::App;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Extract};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longest a small body may take to arrive: a slow sender must not hold a permit.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// All endpoints.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/enrol", post(enrol::enrol))
        .route("/v1/beats", post(beats::beat))
        .route("/v1/commands", post(commands::command))
        .route("/v1/stops", post(stops::pull))
        .route("/v1/directives", post(stops::direct))
        .route("/v1/releases/{vendor}/metadata", post(releases::publish))
        .route("/v1/platform/metadata", post(releases::platform))
        .route("/v1/attestations/{release}", post(attestations::attest))
        .route("/v1/objects/{digest}", put(releases::put_object).get(static_plane::object))
        .route("/v1/manifests/{digest}", put(releases::put_manifest))
        .route("/v1/lines/{line}/policy", post(policy::accept))
        .route("/v1/lines/{line}/bell", get(static_plane::bell))
        .route("/v1/lines/{line}/waiting", get(verifiers::waiting))
        .route("/v1/lines/{line}/cosignatures", post(verifiers::cosign))
        .route("/v1/lines/{line}/{*file}", get(static_plane::line_file))
        .route("/v1/tuf/{file}", get(static_plane::tuf))
        .route("/v1/log/checkpoint", get(log::checkpoint))
        .route("/v1/log/tile/{*tile}", get(log::tile))
        .route("/v1/log/proofs/{release}", get(log::proof))
        .route("/v1/proof-bundles/{release}", get(proof_bundle::bundle))
        .route("/v1/targets/releases/{vendor}/{component}/{file}", get(static_plane::manifest))
        .route("/v1/line", get(line::status))
        .route("/v1/line/roster", post(line::roster))
        .route("/v1/line/rounds", get(line::rounds))
        .route("/v1/line/plans/{rollout}", get(line::plan))
        .route("/v1/line/places/{rollout}/{operator}", get(line::places))
        .route("/v1/line/seats/{operator}", get(line::seats))
        .route("/v1/line/tickets/{rollout}/{generation}", get(line::ticket))
        .route("/v1/line/ceilings/{rollout}/{generation}", get(line::ceilings))
        .route("/v1/line/tallies", post(line::tally))
        .route("/v1/line/tallies/{rollout}/{due}/{operator}", get(line::kept_tally))
        .route("/v1/journal", get(verifiers::journal))
        .route("/v1/rollouts", get(people::rollouts))
        .route("/v1/rollouts/{id}", get(people::rollout))
        .route("/v1/rollouts/{id}/journal", get(people::journal))
        .route("/v1/hosts", get(people::hosts))
        .route("/v1/hosts/{id}", get(people::host))
        .route("/v1/alerts", get(people::alerts))
        .route("/v1/releases", get(people::releases))
        .route("/healthz", get(people::healthz))
        .route("/metrics", get(people::metrics))
        .fallback(async || Refusal::not_found("nothing is served under this path"))
        .method_not_allowed_fallback(async || Refusal::method())
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), admit))
        .with_state(app)
}

/// Sheds what cannot be served now; the cord is never shed, and waiting at the bell has its own
/// limit, because waiting costs no work.
async fn admit(Extract(app): Extract<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let permit = if path == "/v1/stops" || path == "/v1/directives" {
        None
    } else {
        let bell = path == "/v1/line/rounds" || path.starts_with("/v1/lines/") && waits(path);
        let permits = if bell { &app.bells } else { &app.requests };
        match Arc::clone(permits).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                app.counters.shed.fetch_add(1, Ordering::Relaxed);
                return Refusal::overloaded().into_response();
            }
        }
    };
    let response = next.run(request).await;
    drop(permit);
    response
}

/// Whether who asks for this waits until there is news.
fn waits(path: &str) -> bool {
    path.ends_with("/bell") || path.ends_with("/waiting")
}

/// A whole body of at most `limit` bytes.
async fn read_body(body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let read = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect()).await;
    match read {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(why)) if why.is::<LengthLimitError>() => Err(Refusal::too_large(limit as u64)),
        Ok(Err(_)) => Err(Refusal::malformed("the body broke off")),
        Err(_) => Err(Refusal::malformed("the body did not arrive in time")),
    }
}

/// Refuses a path that names another line than this server's.
fn our_line(app: &App, line: &str) -> Result<(), Refusal> {
    if line == app.line().to_string() {
        return Ok(());
    }
    Err(Refusal::not_found(&format!("this server drives {}, not that line", app.line())))
}
