//! `POST /v1/lines/LINE/policy`: a new policy, signed by a threshold of the operator's root.
use super::{Refusal, our_line, read_body};
use crate::app::App;
use crate::record::Record;
use andon_model::envelope::Envelope;
use andon_model::limits::ENVELOPE_BYTES_MAX;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State as Extract};
use std::sync::Arc;

pub(super) async fn accept(
    Extract(app): Extract<Arc<App>>,
    Path(line): Path<String>,
    body: Body,
) -> Result<Json<serde_json::Value>, Refusal> {
    our_line(&app, &line)?;
    let bytes = read_body(body, ENVELOPE_BYTES_MAX).await?;
    let envelope = Envelope::parse(&bytes)?;
    let (version, receipt) = {
        let mut core = app.core();
        let known = core.state.policy.as_ref();
        let seen = known.map_or(0, |policy| policy.policy.version);
        let policy = andon_trust::policy::verify(&envelope, &app.inputs.anchor, app.now(), seen)?;
        crate::log::can_serve(app.inputs.log.as_ref(), &policy)?;
        if policy.version == seen && known.is_some_and(|known| known.policy != policy) {
            let message = format!("another policy of version {seen} is in force");
            return Err(Refusal::conflict(&message, "raise the version and sign again"));
        }
        let records: &[Record] =
            if policy.version == seen { &[] } else { &[Record::PolicyAccepted { envelope }] };
        (policy.version, app.stage(&mut core, records)?)
    };
    receipt.durable().await?;
    app.drive().await;
    Ok(Json(serde_json::json!({ "version": version })))
}
