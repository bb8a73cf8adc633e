//! An operator's line inside a vendor line: what that line's tickets permit bounds every hand-out
//! here. Both lines have one order of hosts, so who is first here is first there.
use super::{Phase, Rollout};
use crate::action::{Action, HoldReason};
use crate::explain::Reason;
use andon_model::line::Pace;
use andon_model::text::Text;
use andon_model::ticket::Newcomers;

/// The newest ticket of the vendor line, as far as it concerns this plan.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Permitted {
    generation: u32,
    /// hosts of each of our strata that it covers
    handed: Vec<u32>,
    newcomers: Newcomers,
}

impl Rollout {
    pub(super) fn on_permitted(
        &mut self,
        generation: u32,
        handed: Vec<u32>,
        newcomers: Newcomers,
    ) -> Vec<Action> {
        let fits = self.plan.inside.is_some()
            && handed.len() == self.plan.strata.len()
            && handed.iter().zip(&self.plan.strata).all(|(hosts, plan)| *hosts <= plan.size);
        if !fits {
            let what = Text::clipped("the vendor line's ticket does not fit this plan's strata");
            return self.hold(HoldReason::ActionFailed { generation, what });
        }
        // Told twice, or out of order: what was covered stays covered.
        let newer = self.permitted.as_ref().is_none_or(|known| {
            known.generation <= generation
                && known.handed.iter().zip(&handed).all(|(known, now)| known <= now)
                && (known.newcomers == Newcomers::Excluded || newcomers == Newcomers::Included)
        });
        if !newer {
            return Vec::new();
        }
        self.permitted = Some(Permitted { generation, handed, newcomers });
        match self.phase {
            Phase::Exposing => self.advance(),
            _ => Vec::new(),
        }
    }

    /// Cuts `caps` (hosts still to hand) to what the vendor line covers; nothing before its first
    /// ticket. A line that is alone is not cut.
    pub(super) fn permitted_only(&self, caps: &mut [u64]) {
        if self.plan.inside.is_none() {
            return;
        }
        let handed = self.handed();
        for (at, cap) in caps.iter_mut().enumerate() {
            let covered = self.permitted.as_ref().map_or(0, |permitted| permitted.handed[at]);
            *cap = (*cap).min(u64::from(covered.saturating_sub(handed[at])));
        }
    }

    /// Whether hosts that enrolled after the plan may be covered, as far as the vendor line goes.
    pub(super) fn newcomers_permitted(&self) -> bool {
        let included = |permitted: &Permitted| permitted.newcomers == Newcomers::Included;
        self.plan.inside.is_none() || self.permitted.as_ref().is_some_and(included)
    }

    /// Whether the vendor line's pace is this line's: its own gate halts it, and does not slow it.
    pub(super) fn follows(&self) -> bool {
        self.plan.inside.as_ref().is_some_and(|inside| inside.pace == Pace::Vendor)
    }

    /// What is waited for when the vendor line covers none of the hosts that are `left`.
    pub(super) fn awaits_vendor_line(&self, left: &[u64]) -> Option<Reason> {
        let mut covered = left.to_vec();
        self.permitted_only(&mut covered);
        let waits = self.plan.inside.is_some() && covered.iter().all(|hosts| *hosts == 0);
        let generation = self.permitted.as_ref().map_or(0, |permitted| permitted.generation);
        waits.then_some(Reason::AwaitingVendorLine { generation })
    }
}
