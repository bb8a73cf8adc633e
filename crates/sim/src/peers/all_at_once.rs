//! Everybody at once, as content was released until July 2024.
use super::person::{Mood, Person, PersonSpec};
use super::{Look, Way, Wish};
use serde::{Deserialize, Serialize};

/// The policy's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllAtOnce {
    /// who takes it back
    pub person: PersonSpec,
}

impl AllAtOnce {
    pub(super) fn start(&self) -> Started {
        Started { person: Person::new(self.person) }
    }
}

#[derive(Debug)]
pub(super) struct Started {
    person: Person,
}

impl Way for Started {
    fn look(&mut self, look: &Look<'_>) -> Wish {
        match self.person.look(look) {
            Mood::Stops => Wish::Stop,
            Mood::Calm | Mood::Alarmed => Wish::Cover(look.all.hosts),
        }
    }
}
