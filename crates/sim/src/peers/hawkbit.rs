//! Eclipse hawkBit: equal groups; a group opens when enough of the one before reported success, and too
//! many reported errors pause the rollout. Silence is neither: a group of dead hosts waits for ever.
//!
//! Counts here are of all groups together: what was reported since a group opened is taken for its own.
//! Latecomers of earlier groups therefore help it along a little.
use super::{Look, Way, Wish, ratio};
use serde::{Deserialize, Serialize};

/// The policy's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hawkbit {
    /// how many groups
    pub groups: u32,
    /// the next group opens when so many percent of the last one reported success
    pub success_percent: f64,
    /// more than so many percent with reported errors pause it
    pub error_percent: f64,
}

impl Hawkbit {
    pub(super) fn start(&self) -> Started {
        Started { spec: *self, group: 0, confirmed: 0, reported: 0, paused: false }
    }
}

#[derive(Debug)]
pub(super) struct Started {
    spec: Hawkbit,
    /// number of the running group, from 1; 0 before the first look
    group: u64,
    /// reported before the running group opened
    confirmed: u64,
    reported: u64,
    paused: bool,
}

impl Started {
    /// Hosts of the first `groups` groups.
    fn upto(&self, groups: u64, hosts: u64) -> u64 {
        hosts * groups / u64::from(self.spec.groups)
    }
}

impl Way for Started {
    fn look(&mut self, look: &Look<'_>) -> Wish {
        let all = look.all;
        if self.group > 0 {
            let own = self.upto(self.group, all.hosts) - self.upto(self.group - 1, all.hosts);
            let errors = ratio(all.reported - self.reported.min(all.reported), own);
            self.paused |= errors > self.spec.error_percent / 100.0;
            if self.paused {
                return Wish::Pause;
            }
            let successes = ratio(all.confirmed - self.confirmed.min(all.confirmed), own);
            if successes < self.spec.success_percent / 100.0 {
                return Wish::Cover(self.upto(self.group, all.hosts));
            }
        }
        self.group = (self.group + 1).min(u64::from(self.spec.groups));
        (self.confirmed, self.reported) = (all.confirmed, all.reported);
        Wish::Cover(self.upto(self.group, all.hosts))
    }
}
