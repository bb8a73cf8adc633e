//! When a host counts as silent: one rule for treated hosts and controls alike. It does not know
//! which of both a host is, and that is its whole point: the gate's false-alarm bound holds only
//! while both arms are observed in the same way.
use andon_model::beat::Presence;
use andon_model::policy::Watch;
use andon_model::{Millis, Time};

/// Whether a host last heard of at `last_seen`, with these words, is silent at `now`. A host that
/// said goodbye is silent once the time it asked for and the usual patience have both passed.
#[must_use]
pub fn silent(watch: &Watch, last_seen: Time, presence: Presence, now: Time) -> bool {
    now.since(last_seen) >= patience(watch, presence)
}

fn patience(watch: &Watch, presence: Presence) -> Millis {
    presence.away_for().unwrap_or(Millis::ZERO).plus(watch.silent_after)
}

/// Whether a host is away by its own word: neither silent nor at risk of it.
#[must_use]
pub fn away(watch: &Watch, last_seen: Time, presence: Presence, now: Time) -> bool {
    presence.away_for().is_some() && !silent(watch, last_seen, presence, now)
}

/// Whether a silence that shows now could be this host's: whether it was here `silent_after` ago. A host
/// that leaves was alive then, and is at risk until that has shown; one that came back at `back` is at
/// risk as soon as a silence after that can show. Were it otherwise then after a power cut, with an
/// update that makes its hosts restart, those at risk would be those that the power cut kept from
/// restarting.
#[must_use]
pub fn at_risk(watch: &Watch, last_seen: Time, presence: Presence, back: Time, now: Time) -> bool {
    if away(watch, last_seen, presence, now) {
        now.since(last_seen) < watch.silent_after
    } else {
        now >= back.plus(watch.silent_after)
    }
}

/// When it is known how an announced restart ended, back or not: the moment at which [`silent`] holds
/// for a host that has not been heard of since. One that came back earlier is counted then too, or those
/// that never do would be counted alone.
#[must_use]
pub fn restart_due(watch: &Watch, promised: Time) -> Time {
    promised.plus(watch.silent_after)
}

/// Whether a host has promised to be back from a restart, and is silent instead.
#[must_use]
pub fn missed(watch: &Watch, last_seen: Time, presence: Presence, now: Time) -> bool {
    matches!(presence, Presence::Restart { .. }) && silent(watch, last_seen, presence, now)
}

/// How a host of a wave, or a control (`None`), is watched: both alike. Were controls given longer, a
/// power cut would show in treated hosts first and halt a good update. Whoever tallies asks here.
#[must_use]
pub fn of_arm(watch: &Watch, wave: Option<usize>) -> Watch {
    match wave {
        Some(_) => *watch,
        None => *watch, // controls: the same watch
    }
}
