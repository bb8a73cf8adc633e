//! The late queue: hosts that slept, came back or enrolled after a rollout began.
//!
//! They were not there when the waves were drawn, so they are in none, and they hold no credit for the
//! exposure they missed: a thousand laptops that open at nine o'clock are not a wave of a thousand.
//! They go at most as fast as hosts of their stratum are being vouched for, and never faster than
//! the room that the budget has left. An enrolled host gets the last vouched release at once.
//! What it is not: a source of evidence (late hosts are not part of the random order).
use crate::plan::apportion;
use andon_model::Time;
use andon_model::limits::{HOSTS_MAX, STRATA_MAX};
use std::collections::BTreeMap;

/// How a host came to be late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// it was switched off or unreachable when its wave went out
    Slept,
    /// it was away for so long that the plan did not count it
    Returned,
    /// it is new
    Enrolled,
}

/// What a host runs while it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// what it runs already
    Keeps,
    /// it runs nothing yet: the last release that the whole line is vouched for
    LastVouched,
}

/// How far a stratum's hosts of the plan are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// hosts of the plan that are past the window unharmed
    pub vouched: u32,
    /// hosts of the plan
    pub size: u32,
}

/// Why nothing was queued or released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LateError {
    /// over [`HOSTS_MAX`]
    #[error("late queue is full at {HOSTS_MAX} hosts")]
    Full,
    /// a stratum that the queue was not made for
    #[error("late queue has no stratum {0}")]
    Stratum(u16),
    /// a pace per stratum is needed
    #[error("late queue has {strata} strata and was given {paces} paces")]
    Paces {
        /// of the queue
        strata: usize,
        /// given
        paces: usize,
    },
}

/// Hosts that wait, first come first served within a stratum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateQueue {
    waiting: Vec<BTreeMap<(Time, u32), Late>>,
    /// where each host waits
    places: BTreeMap<u32, (u16, Time)>,
    /// most hosts of each stratum vouched at any tick so far
    vouched: Vec<u32>,
}

impl LateQueue {
    /// An empty queue for a rollout with so many strata.
    #[must_use]
    pub fn new(strata: usize) -> LateQueue {
        let strata = strata.min(STRATA_MAX);
        LateQueue {
            waiting: vec![BTreeMap::new(); strata],
            places: BTreeMap::new(),
            vouched: vec![0; strata],
        }
    }

    /// Hosts that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Queues a host by its enrolment number. One that waits already keeps its place, unless its
    /// stratum has changed: then it goes to that one's end.
    /// # Errors
    /// [`LateError::Stratum`], [`LateError::Full`].
    pub fn join(
        &mut self,
        host: u32,
        stratum: u16,
        late: Late,
        now: Time,
    ) -> Result<Meanwhile, LateError> {
        if usize::from(stratum) >= self.waiting.len() {
            return Err(LateError::Stratum(stratum));
        }
        if self.places.get(&host).is_none_or(|place| place.0 != stratum) {
            self.leave(host);
            if self.places.len() as u64 >= HOSTS_MAX {
                return Err(LateError::Full);
            }
            self.places.insert(host, (stratum, now));
            self.waiting[usize::from(stratum)].insert((now, host), late);
        }
        Ok(match late {
            Late::Enrolled => Meanwhile::LastVouched,
            Late::Slept | Late::Returned => Meanwhile::Keeps,
        })
    }

    /// A host that went away again, was handed the release otherwise, or left the fleet.
    pub fn leave(&mut self, host: u32) {
        if let Some((stratum, since)) = self.places.remove(&host) {
            self.waiting[usize::from(stratum)].remove(&(since, host));
        }
    }

    /// Who may go at this tick: of each stratum at most as many as were newly vouched since the tick
    /// before (all of them once the whole stratum is), at most `room` in all, in proportion. `fits`
    /// says whether a host's groups have room for one more, and takes it; who does not fit waits on.
    /// A pace that nobody used is gone. While the rollout holds, the caller gives a room of 0.
    /// # Errors
    /// [`LateError::Paces`].
    pub fn release(
        &mut self,
        paces: &[Pace],
        room: u64,
        fits: &mut dyn FnMut(u32) -> bool,
    ) -> Result<Vec<u32>, LateError> {
        if paces.len() != self.waiting.len() {
            return Err(LateError::Paces { strata: self.waiting.len(), paces: paces.len() });
        }
        let mut caps = Vec::with_capacity(paces.len());
        for ((pace, waiting), vouched) in paces.iter().zip(&self.waiting).zip(&mut self.vouched) {
            let waiting = waiting.len() as u64;
            let grown = u64::from(pace.vouched.saturating_sub(*vouched));
            *vouched = pace.vouched.max(*vouched);
            let whole = pace.size > 0 && pace.vouched >= pace.size;
            caps.push(if whole { waiting } else { grown.min(waiting) });
        }
        let mut released = Vec::new();
        for (at, most) in apportion(room, &caps, &caps).into_iter().enumerate() {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let hosts = self.waiting[at].keys().map(|(_, host)| *host);
            released.extend(hosts.filter(|host| fits(*host)).take(most));
        }
        for host in &released {
            self.leave(*host);
        }
        Ok(released)
    }
}
