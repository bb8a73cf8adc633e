//! The person in front of a peer's dashboard: sees that covered hosts are gone, and needs time to act.
//! Not a test of significance: people act on what is gross. Here that is a tenth of the covered hosts, of
//! the fleet or of one kind of host, gone within ten minutes; less is lost in the noise of a fleet.
use super::{Look, ratio};
use crate::controller::Seen;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What counts as trouble: so many of the covered hosts newly silent or complaining within a window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    /// share of the covered hosts
    pub share: f64,
    /// and at least so many hosts
    pub hosts_min: u64,
    /// within so many seconds
    pub window_s: f64,
}

/// A person, as a policy file describes one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonSpec {
    /// from the first sign of trouble to the stop, seconds; 78 minutes in 2024
    pub reaction_s: f64,
    /// what they take for trouble
    #[serde(default = "gross")]
    pub notices: Sign,
}

/// Twice what a power cut takes, and less than any fault that a whole kind of host has.
const fn gross() -> Sign {
    Sign { share: 0.1, hosts_min: 10, window_s: 600.0 }
}

/// Looks for a [`Sign`] over time.
#[derive(Debug)]
pub(crate) struct Watch {
    sign: Sign,
    /// whether one stratum's trouble is enough
    per_stratum: bool,
    /// (when, covered hosts gone by then per stratum), oldest first, one window long
    past: VecDeque<(f64, Vec<u64>)>,
}

impl Watch {
    pub(crate) fn new(sign: Sign, per_stratum: bool) -> Watch {
        Watch { sign, per_stratum, past: VecDeque::new() }
    }

    /// Whether the sign is there now.
    pub(crate) fn sees(&mut self, look: &Look<'_>) -> bool {
        let gone = |one: &Seen| u64::from(one.silent) + u64::from(one.reported);
        let now: Vec<u64> = look.seen.iter().map(gone).collect();
        let since = look.elapsed_s - self.sign.window_s;
        // The newest that is a whole window old stays as what the present is compared with.
        while self.past.len() > 1 && self.past[1].0 <= since {
            self.past.pop_front();
        }
        let new = |at: usize| {
            let before = self.past.front().map_or(0, |(_, gone)| gone[at]);
            now[at].saturating_sub(before)
        };
        let trouble = |new: u64, handed: u64| {
            new >= self.sign.hosts_min && ratio(new, handed) >= self.sign.share
        };
        let pooled = trouble((0..now.len()).map(new).sum(), look.all.handed);
        let alone = |at: usize| trouble(new(at), u64::from(look.seen[at].handed));
        let found = pooled || (self.per_stratum && (0..now.len()).any(alone));
        self.past.push_back((look.elapsed_s, now));
        found
    }
}

/// How it looks to the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// nothing seen
    Calm,
    /// trouble was seen; nothing done yet
    Alarmed,
    /// stops it now
    Stops,
}

/// A person at work.
#[derive(Debug)]
pub(crate) struct Person {
    reaction_s: f64,
    watch: Watch,
    alarmed_s: Option<f64>,
}

impl Person {
    pub(crate) fn new(spec: PersonSpec) -> Person {
        let watch = Watch::new(spec.notices, true);
        Person { reaction_s: spec.reaction_s, watch, alarmed_s: None }
    }

    pub(crate) fn look(&mut self, look: &Look<'_>) -> Mood {
        if self.watch.sees(look) {
            self.alarmed_s.get_or_insert(look.elapsed_s);
        }
        match self.alarmed_s {
            None => Mood::Calm,
            Some(at) if look.elapsed_s >= at + self.reaction_s => Mood::Stops,
            Some(_) => Mood::Alarmed,
        }
    }
}
