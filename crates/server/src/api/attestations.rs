//! `POST /v1/attestations/RELEASE`: what rigs and people have signed about a published release, as JSON
//! lines. All of it is taken, or none; what is signed by nobody whom the policy accredits is refused.
use super::releases::digest;
use super::{Refusal, in_words, read_body};
use crate::app::{App, Core};
use crate::attested::failures;
use crate::record::Record;
use andon_model::Digest;
use andon_model::envelope::Envelope;
use andon_model::limits::{ATTESTATIONS_BYTES_MAX, ATTESTATIONS_MAX};
use andon_trust::attestation::{self, AttestationRefusal, Word, envelopes, to_file};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State as Extract};
use std::sync::Arc;

pub(super) async fn attest(
    Extract(app): Extract<Arc<App>>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<serde_json::Value>, Refusal> {
    let release = digest(&name)?;
    let bytes = read_body(body, ATTESTATIONS_BYTES_MAX).await?;
    let sent = envelopes(&bytes)?;
    if sent.is_empty() {
        return Err(Refusal::malformed("the body holds no attestation"));
    }
    let (taken, receipt) = {
        let mut core = app.core();
        let records = consider(&core, &app, &release, &sent)?;
        let receipt = app.stage(&mut core, &records)?;
        // What fails on hosts of a rollout that runs holds it: at once, and durably with the word itself.
        let held = failures(&core.state);
        let receipt = if held.is_empty() { receipt } else { app.stage(&mut core, &held)? };
        (records.len(), receipt)
    };
    receipt.durable().await?;
    app.drive().await;
    let known = sent.len() - taken;
    Ok(Json(serde_json::json!({ "release": release, "taken": taken, "known": known })))
}

/// What is new of this, each as a record.
fn consider(
    core: &Core,
    app: &App,
    release: &Digest,
    sent: &[Envelope],
) -> Result<Vec<Record>, Refusal> {
    let now = app.now();
    let policy = core.policy(now).map(|known| &known.policy);
    let policy = policy.ok_or_else(|| Refusal::expired("no policy is in force"))?;
    if !core.state.releases.contains_key(release) {
        return Err(Refusal::not_found(&format!("no published release {release}")));
    }
    if policy.attestations.is_none() {
        let next = "name rigs under [attestations] in policy.toml and sign it";
        return Err(Refusal::conflict("the policy in force accredits no rig", next));
    }
    let mut all = core.state.attestations.get(release).cloned().unwrap_or_default();
    let mut records = Vec::new();
    for envelope in sent {
        let word = attestation::verify(envelope, release, policy, now)?;
        if all.contains(envelope) {
            continue;
        }
        all.push(envelope.clone());
        let (release, envelope) = (*release, envelope.clone());
        records.push(match word {
            Word::Rigs { .. } => Record::AttestationAccepted { release, envelope },
            Word::Waiver(_) => Record::WaiverAccepted { release, envelope },
        });
    }
    if all.len() > ATTESTATIONS_MAX || to_file(&all).len() > ATTESTATIONS_BYTES_MAX {
        let message = format!(
            "the release would have more than {ATTESTATIONS_MAX} attestations, or \
             {ATTESTATIONS_BYTES_MAX} bytes of them"
        );
        return Err(Refusal::conflict(&message, "sign for several classes in one result"));
    }
    Ok(records)
}

impl From<AttestationRefusal> for Refusal {
    fn from(error: AttestationRefusal) -> Refusal {
        let words = in_words(&error);
        match error {
            AttestationRefusal::TooLarge(_) => Refusal::too_large(ATTESTATIONS_BYTES_MAX as u64),
            AttestationRefusal::Envelope(error) => Refusal::from(error),
            AttestationRefusal::Stranger | AttestationRefusal::People(_) => {
                Refusal::signature(&words)
            }
            AttestationRefusal::Release | AttestationRefusal::Line => Refusal::not_allowed(&words),
            AttestationRefusal::Expired => Refusal::expired(&words),
            AttestationRefusal::TooMany
            | AttestationRefusal::Kind(_)
            | AttestationRefusal::Statement(_)
            | AttestationRefusal::Waiver(_) => Refusal::malformed(&words),
        }
    }
}
