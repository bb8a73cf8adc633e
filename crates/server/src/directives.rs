//! Directives (RECALL, PARK, raise minimum): taken from a party's threshold, durable before they are
//! acknowledged, served beside the freezes. Nothing happens to a host here: a recall opens the way for a
//! rollout of the older release, and hosts do the rest themselves.
use crate::app::{App, Core, authorities};
use crate::record::{Record, ReleaseFacts};
use crate::state::State;
use crate::store::StoreError;
use andon_model::directive::{Demand, Directive};
use andon_model::envelope::Envelope;
use andon_model::limits::DIRECTIVES_MAX;
use andon_model::release::ComponentKind;
use andon_model::stop::Party;
use andon_model::{Digest, LineId, Time};
use andon_rollout::Event;
use andon_trust::directive::DirectiveRefusal;

/// Why a directive was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// it must not be obeyed
    #[error("directive is refused")]
    Refused(#[from] DirectiveRefusal),
    /// it makes no sense on this line now: what, and what to do
    #[error("{0}")]
    Senseless(String, &'static str),
    /// the journal failed
    #[error("store directive")]
    Store(#[from] StoreError),
}

/// Verifies a directive, stores it, and tells every rollout of what it takes back. Returns its name.
/// # Errors
/// [`AcceptError`].
pub async fn accept(app: &App, envelope: &Envelope, now: Time) -> Result<Digest, AcceptError> {
    let payload = Digest::of(&envelope.payload);
    let (name, receipt) = {
        let repository = app.repository.lock().await;
        let mut core = app.core();
        let policy = core.state.policy.as_ref().map(|policy| &policy.policy);
        let who = authorities(&app.inputs, policy, &core.state, &repository);
        let directive = andon_trust::directive::verify(envelope, &who, now)
            .map_err(|why| in_words_of(app.line(), envelope, why))?;
        // Anybody can put other signatures beside those that count: what it says is known by its payload.
        let mut known = core.state.directives.iter();
        let known = known.find(|(_, known)| Digest::of(&known.envelope.payload) == payload);
        if let Some(name) = known.map(|(name, _)| *name) {
            (name, app.stage(&mut core, &[])?)
        } else {
            sensible(&core.state, app.line(), &directive, now)?;
            let records = records(&core, envelope, &directive, now);
            (Digest::of(&envelope.to_bytes()), app.stage(&mut core, &records)?)
        }
    };
    receipt.durable().await?;
    Ok(name)
}

fn senseless<T>(what: String, next: &'static str) -> Result<T, AcceptError> {
    Err(AcceptError::Senseless(what, next))
}

/// A vendor line parks nothing, whoever has signed it, and says so.
fn in_words_of(line: &LineId, envelope: &Envelope, why: DirectiveRefusal) -> AcceptError {
    let parks = |said: Directive| matches!(said.demand, Demand::Park { .. });
    let scope = matches!(why, DirectiveRefusal::Scope(_)) && matches!(line, LineId::Vendor(_));
    if scope && Directive::parse(&envelope.payload).is_ok_and(parks) {
        let what = "a vendor line parks nothing: only an operator takes protection off its hosts";
        let next = "recall it, or let the operators' people park it on their own lines";
        return AcceptError::Senseless(what.to_owned(), next);
    }
    why.into()
}

/// What a signature does not show.
fn sensible(
    state: &State,
    line: &LineId,
    directive: &Directive,
    now: Time,
) -> Result<(), AcceptError> {
    if let LineId::Vendor(vendor) = line
        && directive.by != Party::Vendor(vendor.clone())
    {
        let what = format!("{} has no say on the line of another vendor", directive.by);
        return senseless(what, "send it to the line of that vendor, or to the operators' servers");
    }
    let in_force = state.directives.values().filter(|known| known.directive.expires > now);
    if in_force.count() >= DIRECTIVES_MAX {
        let what = format!("{DIRECTIVES_MAX} directives are in force already");
        return senseless(what, "let some end, or override them by the policy");
    }
    match &directive.demand {
        Demand::Recall { release, to } => {
            let (newer, older) = (known(state, release)?, known(state, to)?);
            if newer.component != older.component || newer.version <= older.version {
                let what =
                    format!("release {} is no older version of {}", to.short(), newer.component);
                return senseless(what, "name an older release of the same component with --to");
            }
        }
        Demand::Park { release, .. } => {
            if known(state, release)?.kind == Some(ComponentKind::Files) {
                let what = format!("release {} is files: nothing of it runs", release.short());
                return senseless(what, "recall it to an older release instead");
            }
        }
        Demand::Minimum { component, version } => {
            let stood = |r: &crate::rollout_state::RolloutState| {
                r.completed() && r.plan.component == *component && r.plan.version >= *version
            };
            if !state.rollouts.values().any(stood) {
                let what =
                    format!("no rollout of {component} {version} or newer has completed here");
                return senseless(
                    what,
                    "wait until the fleet has soaked it: a minimum takes away what hosts fall back to",
                );
            }
            let vendors = state.releases.values().filter(|r| r.component == *component);
            if !vendors.map(|r| &r.vendor).any(|vendor| directive.speaks_for(vendor)) {
                let what = format!("{component} is not of {}", directive.by);
                return senseless(what, "let its own vendor or the operator sign it");
            }
        }
    }
    Ok(())
}

fn known<'s>(state: &'s State, release: &Digest) -> Result<&'s ReleaseFacts, AcceptError> {
    let Some(facts) = state.releases.get(release) else {
        let what = format!("no published release {release}");
        return senseless(what, "`andon release list` names them");
    };
    Ok(facts)
}

fn records(core: &Core, envelope: &Envelope, directive: &Directive, now: Time) -> Vec<Record> {
    let mut records = vec![Record::DirectiveAccepted { envelope: envelope.clone() }];
    let digest = Digest::of(&envelope.payload);
    if core.state.overrides(&digest, now) {
        return records;
    }
    for rollout in core.state.rollouts.values() {
        let taken_back = directive.bars() == Some(&rollout.plan.release);
        if taken_back && !rollout.halted() {
            let event = Event::Frozen { by: directive.by.to_string(), digest };
            records.push(Record::event(&rollout.plan.rollout, event));
        }
    }
    records
}

/// Names of the directives that hold on this line now.
pub fn in_force(state: &State, now: Time) -> impl Iterator<Item = Digest> {
    let held = state.directives.iter().filter(move |(_, accepted)| {
        let digest = Digest::of(&accepted.envelope.payload);
        accepted.directive.expires > now && !state.overrides(&digest, now)
    });
    held.map(|(name, _)| *name)
}

/// Whether a directive that this line has taken, by its payload's digest, stands behind a halt.
#[must_use]
pub fn is_known(state: &State, digest: &Digest) -> bool {
    state.directives.values().any(|known| Digest::of(&known.envelope.payload) == *digest)
}

/// The recall to this release that the policy in force overrides, where no other one lets hosts go back.
#[must_use]
pub fn recall_lifted(state: &State, to: &Digest, now: Time) -> Option<Digest> {
    let recalls = state.directives.values().filter(|accepted| {
        let back =
            matches!(&accepted.directive.demand, Demand::Recall { to: older, .. } if older == to);
        back && accepted.directive.expires > now
    });
    let recalls: Vec<_> = recalls.map(|accepted| Digest::of(&accepted.envelope.payload)).collect();
    let lifted = |digest: &Digest| state.overrides(digest, now);
    recalls.first().copied().filter(|_| recalls.iter().all(lifted))
}

/// When the recall to this release was signed, by a clock that is ahead of this one: hosts go back under a
/// rollout that begins after it.
#[must_use]
pub fn recall_ahead(state: &State, to: &Digest, now: Time) -> Option<Time> {
    let ahead = state.directives.values().map(|accepted| &accepted.directive).filter(|directive| {
        let back = matches!(&directive.demand, Demand::Recall { to: older, .. } if older == to);
        back && directive.issued > now
    });
    ahead.map(|directive| directive.issued).max()
}
