//! `POST /v1/stops`: the cord. Never shed, answered once the freeze is durable and served.
//! `POST /v1/directives`: what only a threshold may ask.
use super::{Refusal, read_body};
use crate::app::App;
use crate::{directives, stops};
use andon_model::Digest;
use andon_model::envelope::Envelope;
use andon_model::limits::{DIRECTIVE_BYTES_MAX, STOP_BYTES_MAX};
use axum::Json;
use axum::body::Body;
use axum::extract::State as Extract;
use std::sync::Arc;

pub(super) async fn pull(
    Extract(app): Extract<Arc<App>>,
    body: Body,
) -> Result<Json<serde_json::Value>, Refusal> {
    let bytes = read_body(body, STOP_BYTES_MAX).await?;
    let envelope = Envelope::parse_limited(&bytes, STOP_BYTES_MAX)?;
    let stop = stops::accept(&app, &envelope, app.now()).await?;
    app.drive().await;
    Ok(Json(serde_json::json!({ "stop": stop })))
}

pub(super) async fn direct(
    Extract(app): Extract<Arc<App>>,
    body: Body,
) -> Result<Json<serde_json::Value>, Refusal> {
    let bytes = read_body(body, DIRECTIVE_BYTES_MAX).await?;
    let envelope = Envelope::parse_limited(&bytes, DIRECTIVE_BYTES_MAX)?;
    let stop = directives::accept(&app, &envelope, app.now()).await?;
    app.drive().await;
    let directive = Digest::of(&envelope.payload);
    Ok(Json(serde_json::json!({ "stop": stop, "directive": directive })))
}
