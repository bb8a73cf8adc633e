//! When a host counts as silent: one rule for treated hosts and controls alike. It does not know
//! which of both a host is, and that is its whole point: the gate's false-alarm bound holds only
//! while both arms are observed in the same way.
use andon_model::Time;
use andon_model::beat::Presence;
use andon_model::policy::Watch;

/// Whether a host last heard of at `last_seen`, with these words, is silent at `now`. A host that
/// said goodbye is silent once the time it asked for and the usual patience have both passed.
#[must_use]
pub fn silent(watch: &Watch, last_seen: Time, presence: Presence, now: Time) -> bool {
    let patience = match presence {
        Presence::Alive => watch.silent_after,
        Presence::Goodbye { back_within } => back_within.plus(watch.silent_after),
    };
    now.since(last_seen) >= patience
}

/// Whether a host is away by its own word: neither silent nor at risk of it.
#[must_use]
pub fn away(watch: &Watch, last_seen: Time, presence: Presence, now: Time) -> bool {
    matches!(presence, Presence::Goodbye { .. }) && !silent(watch, last_seen, presence, now)
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
