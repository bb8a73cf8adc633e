//! When a host counts as silent: one rule for treated hosts and controls alike. It does not know
//! which of both a host is, and that is its whole point: the gate's false-alarm bound holds only
//! while both arms are observed in the same way.
use crate::event::Count;
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

/// One host as the silence tally sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// when it was last heard of
    pub last_seen: Time,
    /// what it said then
    pub presence: Presence,
    /// which wave it belongs to, from 0; `None`: a control
    pub wave: Option<usize>,
    /// whether its first silence was counted in an earlier tick
    pub counted: bool,
}

/// First silences at one tick, in the order waves, then controls. `on_silent` is told the number
/// (in iteration order) of every host counted now, so that the caller marks it as counted.
pub fn first_silences(
    watch: &Watch,
    waves: usize,
    hosts: impl Iterator<Item = Sight>,
    now: Time,
    mut on_silent: impl FnMut(usize),
) -> (Vec<Count>, Count) {
    let (mut treated, mut controls) = (vec![Count::default(); waves], Count::default());
    for (number, host) in hosts.enumerate() {
        if host.counted || away(watch, host.last_seen, host.presence, now) {
            continue;
        }
        let own = patience(watch, host.wave);
        let arm = match host.wave {
            Some(wave) if wave < waves => &mut treated[wave],
            Some(_) => continue,
            None => &mut controls,
        };
        arm.at_risk = arm.at_risk.saturating_add(1);
        if silent(&own, host.last_seen, host.presence, now) {
            arm.new = arm.new.saturating_add(1);
            on_silent(number);
        }
    }
    (treated, controls)
}

/// How long a host of a wave, or a control, may be quiet: the same for both. Were controls given
/// longer, a power cut would show in treated hosts first, and halt a good update.
fn patience(watch: &Watch, wave: Option<usize>) -> Watch {
    match wave {
        Some(_) => *watch,
        None => *watch, // controls: the same watch
    }
}
