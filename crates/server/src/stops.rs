//! Freezes: taken from any one party, issued by the line itself when a rollout halts. A freeze is
//! durable before it is acknowledged and served before the answer is sent. It touches no host.
use crate::app::{App, Core, authorities};
use crate::record::Record;
use crate::rollout_state::RolloutState;
use crate::store::StoreError;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::stop::{Freeze, Party, Scope};
use andon_model::text::Text;
use andon_model::{Digest, LineId, RolloutId, Time};
use andon_rollout::{Event, HaltReason};
use andon_trust::stop::StopRefusal;

/// Most freezes of one party in force at once, so that a thief of one party's key leaves the cord to all others.
pub const FREEZES_PER_PARTY_MAX: usize = 256;
/// Most freezes in force at once: with the directives they fit a line's index.
pub const FREEZES_MAX: usize = 3000;
/// A freeze's reason is at most so long, so that the envelope stays under 1 KB.
const REASON_MAX: usize = 200;

/// Why a freeze was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// it must not be obeyed
    #[error("freeze is refused")]
    Refused(#[from] StopRefusal),
    /// there is no room for it
    #[error("{0} freezes of {1} are in force already; no more are taken")]
    Full(usize, String),
    /// the journal failed
    #[error("store freeze")]
    Store(#[from] StoreError),
}

/// Verifies a freeze, stores it, and tells every rollout that it concerns. Returns its name.
/// # Errors
/// [`AcceptError`].
pub async fn accept(app: &App, envelope: &Envelope, now: Time) -> Result<Digest, AcceptError> {
    let payload = Digest::of(&envelope.payload);
    let (stop, receipt) = {
        let repository = app.repository.lock().await;
        let mut core = app.core();
        let policy = core.state.policy.as_ref().map(|policy| &policy.policy);
        let who = authorities(&app.inputs, policy, &core.state, &repository);
        let freeze = andon_trust::stop::verify(envelope, &who, now)?;
        // Anybody can put other signatures beside those that count: only one that makes it last longer is news.
        let mut known = core.state.freezes.iter();
        let known = known.find(|(_, known)| {
            Digest::of(&known.envelope.payload) == payload && known.freeze.expires >= freeze.expires
        });
        let stop = known.map_or(Digest::of(&envelope.to_bytes()), |(stop, _)| *stop);
        if core.state.freezes.contains_key(&stop) {
            (stop, app.stage(&mut core, &[])?)
        } else {
            room_for(&freeze.by, &core, now)?;
            let records = records(&core, stop, envelope, &freeze, now);
            (stop, app.stage(&mut core, &records)?)
        }
    };
    receipt.durable().await?;
    Ok(stop)
}

/// What has ended, and what the policy overrides, takes no room.
fn room_for(by: &Party, core: &Core, now: Time) -> Result<(), AcceptError> {
    let in_force = core.state.freezes.values().filter(|known| {
        let payload = Digest::of(&known.envelope.payload);
        known.freeze.expires > now && !core.state.overrides(&payload, now)
    });
    let (mut all, mut own) = (0, 0);
    for known in in_force {
        all += 1;
        own += usize::from(known.freeze.by == *by);
    }
    if own >= FREEZES_PER_PARTY_MAX {
        return Err(AcceptError::Full(own, by.to_string()));
    }
    if all >= FREEZES_MAX {
        return Err(AcceptError::Full(all, "all parties".to_owned()));
    }
    Ok(())
}

fn records(
    core: &Core,
    stop: Digest,
    envelope: &Envelope,
    freeze: &Freeze,
    now: Time,
) -> Vec<Record> {
    let said = Freeze::parse(&envelope.payload).ok().map(|said| said.expires);
    let until = (said != Some(freeze.expires)).then_some(freeze.expires);
    let mut records = vec![Record::FreezeAccepted { stop, envelope: envelope.clone(), until }];
    let digest = Digest::of(&envelope.payload);
    let overridden = core.state.overrides(&digest, now);
    for rollout in core.state.rollouts.values() {
        let concerned = freeze.concerns(&rollout.vendor, &rollout.plan.release);
        if concerned && !overridden && !rollout.halted() {
            let event = Event::Frozen { by: freeze.by.to_string(), digest };
            records.push(Record::event(&rollout.plan.rollout, event));
        }
    }
    records
}

/// Whether the halt came from a freeze that hosts hear of already. One that a vendor line brought is
/// known there: here the line's own must say it.
#[must_use]
pub fn was_pulled_here(core: &Core, rollout: &RolloutState, reason: &HaltReason) -> bool {
    let HaltReason::Frozen { digest, .. } = reason else { return false };
    let mut freezes = core.state.freezes.values();
    rollout.plan.inside.is_none()
        || crate::directives::is_known(&core.state, digest)
        || freezes.any(|known| Digest::of(&known.envelope.payload) == *digest)
}

/// Whether the line has frozen this release already.
#[must_use]
pub fn line_freeze_exists(core: &Core, rollout: &RolloutState) -> bool {
    let wanted = Scope::Release(rollout.plan.release);
    let line = &rollout.plan.line;
    let ours = |by: &Party| match (by, line) {
        (Party::Operator(_), LineId::Operator(_)) => true,
        (Party::Vendor(by), LineId::Vendor(line)) => by == line,
        _ => false,
    };
    let mut freezes = core.state.freezes.values();
    freezes.any(|f| f.freeze.scope == wanted && ours(&f.freeze.by))
}

/// The line's own freeze of a halted release, by the online key.
#[must_use]
pub fn line_freeze(
    app: &App,
    rollout: &RolloutId,
    release: Digest,
    reason: &HaltReason,
    now: Time,
) -> Envelope {
    let by = match app.line() {
        LineId::Operator(name) => Party::Operator(name.clone()),
        LineId::Vendor(name) => Party::Vendor(name.clone()),
    };
    let freeze = Freeze {
        schema: 1,
        by,
        scope: Scope::Release(release),
        reason: words(rollout, reason),
        issued: now,
        expires: now.plus(crate::driver::LINE_FREEZE_VALID),
    };
    let payload = serde_json::to_vec(&freeze).unwrap_or_default();
    app.inputs.online.seal(PayloadType::Freeze, &payload)
}

fn words(rollout: &RolloutId, reason: &HaltReason) -> Text {
    let why = match reason {
        HaltReason::Gate { e, threshold, .. } => {
            format!("the gate halted it: evidence {e:.0} of {threshold:.0}")
        }
        HaltReason::Person { by, reason } => format!("{by} halted it: {reason}"),
        HaltReason::Frozen { by, .. } => format!("frozen by {by}"),
    };
    let text = format!("rollout {rollout}: {why}");
    let mut end = text.len().min(REASON_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Text::clipped(&text[..end])
}
