//! Bottlerocket: every host has a seed, waves open seeds over time, nothing is measured.
//!
//! As in `update_metadata` (`set_waves`, `update_wave`, `update_ready`): a wave's percentage is reached
//! when the *next* wave starts; inside a wave a seed's moment is the wave's start plus its time per seed
//! times the *absolute* seed, so that most of a later wave becomes ready only at its end; the last wave
//! opens whole; seed 0 belongs to no wave and is ready at once.
use super::person::{Mood, Person, PersonSpec};
use super::{Look, Way, Wish, ratio, share_of};
use serde::{Deserialize, Serialize};

/// Seeds are 0 to 2047 (`MAX_SEED`).
const SEEDS: u32 = 2048;

/// The policy's numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bottlerocket {
    /// sorted by time
    pub waves: Vec<Wave>,
    /// who stops it: the system itself never does
    pub person: PersonSpec,
}

/// One `[[waves]]` entry.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// starts so long after the release, seconds
    pub start_after_s: f64,
    /// percent of the fleet that is ready at its end
    pub fleet_percentage: u32,
}

impl Bottlerocket {
    pub(super) fn start(&self) -> Started {
        Started { ready_s: self.ready_s(), person: Person::new(self.person), opened: 0 }
    }

    /// When each seed is ready, seconds after the release, sorted.
    fn ready_s(&self) -> Vec<f64> {
        let mut first = 0;
        let mut waves = Vec::new();
        for (at, wave) in self.waves.iter().enumerate() {
            let end_s = self.waves.get(at + 1).map(|next| next.start_after_s);
            let last = SEEDS * wave.fleet_percentage / 100;
            waves.push((first, last, wave.start_after_s, end_s));
            first = last;
        }
        let ready = |seed: u32| {
            // Seeds above the wave's first one, up to its last; what is above all belongs to the last.
            let own = waves.iter().rfind(|(first, ..)| *first < seed);
            match own {
                None => 0.0,
                Some((_, _, start_s, None)) => *start_s,
                Some((first, last, start_s, Some(end_s))) => {
                    let each_s = (end_s - start_s) / f64::from((last - first).max(1));
                    (start_s + each_s * f64::from(seed)).min(*end_s)
                }
            }
        };
        let mut moments: Vec<f64> = (0..SEEDS).map(ready).collect();
        moments.sort_by(f64::total_cmp);
        moments
    }
}

#[derive(Debug)]
pub(super) struct Started {
    ready_s: Vec<f64>,
    person: Person,
    /// seeds that are ready
    opened: usize,
}

impl Way for Started {
    fn look(&mut self, look: &Look<'_>) -> Wish {
        if self.person.look(look) == Mood::Stops {
            return Wish::Stop;
        }
        while self.ready_s.get(self.opened).is_some_and(|at| *at <= look.elapsed_s) {
            self.opened += 1;
        }
        let share = ratio(self.opened as u64, u64::from(SEEDS));
        Wish::Cover(share_of(share, look.all.hosts))
    }
}
