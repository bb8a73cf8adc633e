//! `POST /v1/beats`: the hot path. A beat that says nothing new touches memory only; one that does
//! is answered after its news is durable.
use super::{Refusal, read_body};
use crate::app::{App, Core};
use crate::fleet::believed;
use crate::record::{HostChange, Record};
use crate::state::HostState;
use andon_model::beat::{Beat, BeatAnswer};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::{BEAT_BYTES_MAX, MESSAGE_AGE_MAX, MESSAGE_SKEW_MAX};
use andon_model::policy::Policy;
use andon_model::{HostId, Time};
use andon_trust::envelope::verify_one;
use axum::Json;
use axum::body::Body;
use axum::extract::State as Extract;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A beat's envelope: base64 of the largest beat, and the signature.
const ENVELOPE_MAX: usize = BEAT_BYTES_MAX * 4 / 3 + 1024;

pub(super) async fn beat(
    Extract(app): Extract<Arc<App>>,
    body: Body,
) -> Result<Json<BeatAnswer>, Refusal> {
    let taken = take(&app, body).await;
    if taken.is_err() {
        app.counters.beats_refused.fetch_add(1, Ordering::Relaxed);
    }
    taken.map(Json)
}

async fn take(app: &App, body: Body) -> Result<BeatAnswer, Refusal> {
    let bytes = read_body(body, ENVELOPE_MAX).await?;
    let envelope = Envelope::parse_limited(&bytes, ENVELOPE_MAX)?;
    let beat = authentic(app, &envelope)?;
    let (answer, receipt) = {
        let mut core = app.core();
        let now = app.now();
        fresh(&beat, now)?;
        core.fleet.heard(&beat, now).map_err(|last| {
            let told = format!("beat {} is not after beat {last} of this host", beat.sequence);
            Refusal::replayed(&told)
        })?;
        let records = news(&core, &beat);
        // Charges named again may be on the way to the disk: their receipt waits for them too.
        let waits = !records.is_empty() || !beat.charges.is_empty();
        let receipt = if waits { Some(app.stage(&mut core, &records)?) } else { None };
        let charges_stored = core.state.host(beat.host).map_or(0, |host| host.charges_stored);
        (BeatAnswer { charges_stored, index_version: *app.bell.borrow() }, receipt)
    };
    if let Some(receipt) = receipt {
        receipt.durable().await?;
    }
    Ok(answer)
}

/// The beat, if the host that it names signed it. The check takes some 50 µs and stays on this
/// thread: that is below what handing it to another one would cost in wake-ups and memory traffic.
fn authentic(app: &App, envelope: &Envelope) -> Result<Beat, Refusal> {
    let signer = envelope.signatures.first().map(|signature| signature.keyid);
    let (host, key) = {
        let core = app.core();
        let host = signer.and_then(|signer| core.state.by_key.get(&signer).copied());
        let known = host.and_then(|id| Some((id, core.state.host(id)?.key)));
        known.ok_or_else(|| Refusal::unknown_key("no host has enrolled with this key"))?
    };
    let payload = verify_one(envelope, PayloadType::Beat, &key)?;
    let beat =
        Beat::parse(payload).map_err(|why| Refusal::malformed(&super::error::in_words(&why)))?;
    if beat.host != host {
        return Err(Refusal::not_allowed("the beat names another host than its signer"));
    }
    Ok(beat)
}

fn fresh(beat: &Beat, now: Time) -> Result<(), Refusal> {
    let old = now.since(beat.at) > MESSAGE_AGE_MAX;
    if old || beat.at > now.plus(MESSAGE_SKEW_MAX) {
        return Err(Refusal::expired("the beat is dated outside the allowed time"));
    }
    Ok(())
}

/// What a beat says that the journal does not know yet.
fn news(core: &Core, beat: &Beat) -> Vec<Record> {
    let mut records = Vec::new();
    let policy = core.state.policy.as_ref().map(|policy| &policy.policy);
    if let Some(known) = core.state.host(beat.host) {
        let change = change(known, beat, policy);
        if differs(known, &change) {
            records.push(Record::HostChanged(Box::new(change)));
        }
    }
    if !beat.alerts.is_empty() {
        let (host, alerts) = (beat.host, beat.alerts.clone());
        records.push(Record::AlertsTaken { host, alerts, left_out: beat.alerts_left_out });
    }
    records
}

fn change(known: &HostState, beat: &Beat, policy: Option<&Policy>) -> HostChange {
    // Only the operator's probes are asked on treated hosts and controls alike.
    let ours = |probe: &&andon_model::beat::ProbeResult| {
        policy.is_some_and(|policy| policy.probes.iter().any(|p| p.name == probe.name))
    };
    let mut unwell: Vec<_> = beat.probes.iter().filter(ours).filter(|p| !p.well).collect();
    unwell.sort_by(|a, b| a.name.cmp(&b.name));
    unwell.dedup_by(|a, b| a.name == b.name);
    let mut charges = beat.charges.clone();
    charges.retain(|charge| charge.number > known.charges_stored);
    charges.sort_by_key(|charge| charge.number);
    charges.dedup_by_key(|charge| charge.number);
    HostChange {
        host: beat.host,
        sequence: beat.sequence,
        presence: believed(beat.presence),
        components: beat.components.clone(),
        charges,
        answered: known.answered || beat.probes.iter().any(|probe| ours(&probe)),
        unwell: unwell.into_iter().map(|probe| probe.name.clone()).collect(),
        freezes: beat.freezes.clone(),
        facts: beat.facts.clone().filter(|facts| *facts != known.facts),
    }
}

fn differs(known: &HostState, change: &HostChange) -> bool {
    !change.charges.is_empty()
        || known.presence != change.presence
        || known.components != change.components
        || known.answered != change.answered
        || known.unwell != change.unwell
        || known.freezes != change.freezes
        || change.facts.is_some()
}

/// Parses a host's name in a path.
pub(super) fn host_id(text: &str) -> Result<HostId, Refusal> {
    text.parse().map_err(|why| Refusal::malformed(&format!("host: {why}")))
}
