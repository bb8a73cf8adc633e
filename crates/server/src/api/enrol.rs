//! `POST /v1/enrol`: a join token admits, the host proves that it holds its key, the server assigns
//! the id. Asking again with the same key gives the same id.
use super::{Refusal, read_body};
use crate::app::{App, Core};
use crate::record::Record;
use crate::store::Receipt;
use andon_model::enrol::{EnrolAnswer, EnrolRequest};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::{MESSAGE_AGE_MAX, MESSAGE_SKEW_MAX};
use andon_model::{Digest, HostId};
use andon_trust::envelope::verify_one;
use axum::Json;
use axum::body::Body;
use axum::extract::State as Extract;
use std::sync::Arc;

/// Largest enrolment, bytes: a token and a key fit many times.
const ENROL_BYTES_MAX: usize = 8 * 1024;

pub(super) async fn enrol(
    Extract(app): Extract<Arc<App>>,
    body: Body,
) -> Result<Json<EnrolAnswer>, Refusal> {
    let bytes = read_body(body, ENROL_BYTES_MAX).await?;
    let envelope = Envelope::parse_limited(&bytes, ENROL_BYTES_MAX)?;
    let request = EnrolRequest::parse(&envelope.payload)
        .map_err(|why| Refusal::malformed(&super::error::in_words(&why)))?;
    verify_one(&envelope, PayloadType::Enrol, &request.key)?;
    let token = Digest::of(request.token.as_bytes());
    // Digests are compared, so the time that it takes says nothing about the token.
    if !app.inputs.join_tokens.contains(&token) {
        return Err(Refusal::not_allowed("the join token admits nobody here"));
    }
    let now = app.now();
    let fresh =
        now.since(request.at) <= MESSAGE_AGE_MAX && request.at <= now.plus(MESSAGE_SKEW_MAX);
    if !fresh {
        return Err(Refusal::expired("the enrolment is dated outside the allowed time"));
    }
    let (host, receipt) = assign(&app, &mut app.core(), &request, token)?;
    receipt.durable().await?;
    Ok(Json(EnrolAnswer { host, line: app.line().clone() }))
}

fn assign(
    app: &App,
    core: &mut Core,
    request: &EnrolRequest,
    token: Digest,
) -> Result<(HostId, Receipt), Refusal> {
    if let Some(known) = core.state.by_key.get(&request.key.id()) {
        // Its record may still be on the way to the disk: the receipt waits for it.
        return Ok((*known, app.stage(core, &[])?));
    }
    if !core.state.members().is_empty() {
        let message = "this vendor line has members; hosts enrol with their own operator";
        return Err(Refusal::not_allowed(message));
    }
    let host = HostId::new(core.state.hosts.len() as u64 + 1)
        .map_err(|_| Refusal::not_allowed("the line has as many hosts as it can have"))?;
    let (key, class) = (request.key, request.class.clone());
    let receipt = app.stage(core, &[Record::HostEnrolled { host, key, class, token }])?;
    Ok((host, receipt))
}
