//! The rollout's state machine: one event in, actions out. It never fails and never panics: what it
//! cannot judge it holds on.
use crate::action::Action;
use crate::event::Event;
use crate::explain::Explanation;
use crate::plan::Plan;
use andon_model::Time;

/// One rollout: its plan and the fold over its journal so far.
#[derive(Clone, Debug)]
pub struct Rollout {
    plan: Plan,
}

impl Rollout {
    /// Starts a plan. The caller journals `(now, Event::Started)`.
    #[must_use]
    pub fn start(plan: Plan, now: Time) -> (Rollout, Vec<Action>) {
        let mut rollout = Rollout { plan };
        let actions = rollout.apply(now, Event::Started);
        (rollout, actions)
    }
    /// Takes one event.
    pub fn apply(&mut self, now: Time, event: Event) -> Vec<Action> {
        let _ = (now, event);
        Vec::new()
    }
    /// The fold over a journal, [`Event::Started`] included.
    #[must_use]
    pub fn replay(plan: Plan, journal: &[(Time, Event)]) -> Rollout {
        let mut rollout = Rollout { plan };
        for (now, event) in journal {
            rollout.apply(*now, event.clone());
        }
        rollout
    }
    /// Actions whose outcome has not been reported: carry them out (again) after a restart.
    #[must_use]
    pub fn pending(&self) -> Vec<Action> {
        Vec::new()
    }
    /// When the next observation may change something.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        None
    }
    /// Why it is where it is.
    #[must_use]
    #[expect(clippy::todo, reason = "body follows within the hour; signature is the contract")]
    pub fn explain(&self, now: Time) -> Explanation {
        let _ = now;
        todo!()
    }
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}
