//! Fedora CoreOS: the update graph shows the release to a share of hosts that grows evenly.
use super::person::{Mood, Person, PersonSpec};
use super::{Look, Way, Wish, share_of};
use serde::{Deserialize, Serialize};

/// The policy's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// from nobody to everybody, seconds
    pub duration_s: f64,
    /// who edits the graph
    pub person: PersonSpec,
}

impl Linear {
    pub(super) fn start(&self) -> Started {
        Started { duration_s: self.duration_s, person: Person::new(self.person) }
    }
}

#[derive(Debug)]
pub(super) struct Started {
    duration_s: f64,
    person: Person,
}

impl Way for Started {
    fn look(&mut self, look: &Look<'_>) -> Wish {
        match self.person.look(look) {
            Mood::Stops => Wish::Stop,
            Mood::Calm | Mood::Alarmed => {
                Wish::Cover(share_of(look.elapsed_s / self.duration_s, look.all.hosts))
            }
        }
    }
}
