//! Shares of the fleet at fixed times. A person looks before each further ring, and meanwhile is as slow
//! as people are.
use super::person::{Mood, Person, PersonSpec};
use super::{Look, Way, Wish, share_of};
use serde::{Deserialize, Serialize};

/// The policy's numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rings {
    /// sorted by time
    pub rings: Vec<Ring>,
    /// who looks
    pub person: PersonSpec,
}

/// One ring.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// opens so long after the release, seconds
    pub after_s: f64,
    /// percent of the fleet that has it then
    pub percent: f64,
}

impl Rings {
    pub(super) fn start(&self) -> Started {
        Started { rings: self.rings.clone(), person: Person::new(self.person), opened: 0 }
    }
}

#[derive(Debug)]
pub(super) struct Started {
    rings: Vec<Ring>,
    person: Person,
    /// rings opened so far
    opened: usize,
}

impl Way for Started {
    fn look(&mut self, look: &Look<'_>) -> Wish {
        let mood = self.person.look(look);
        let due = self.rings.iter().filter(|ring| ring.after_s <= look.elapsed_s).count();
        let at_a_boundary = due > self.opened;
        match mood {
            Mood::Stops => return Wish::Stop,
            Mood::Alarmed if at_a_boundary => return Wish::Stop,
            Mood::Alarmed | Mood::Calm => self.opened = due,
        }
        let percent = due.checked_sub(1).map_or(0.0, |last| self.rings[last].percent);
        Wish::Cover(share_of(percent / 100.0, look.all.hosts))
    }
}
