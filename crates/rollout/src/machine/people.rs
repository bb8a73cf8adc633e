//! Start, approvals, holds and resumption: what people say. Halting is in the machine itself.
use super::{Phase, Rollout};
use crate::action::{Action, Decision, HoldReason};
use andon_model::PersonId;

impl Rollout {
    pub(super) fn on_started(&mut self) -> Vec<Action> {
        if self.phase != Phase::Planned {
            return Vec::new();
        }
        self.started = Some(self.clock);
        self.phase = Phase::AwaitingApproval;
        if self.plan.check().is_err() {
            return self.hold(HoldReason::PlanUnsound);
        }
        self.after_approvals()
    }

    pub(super) fn on_approval(&mut self, person: PersonId) -> Vec<Action> {
        self.approvals.insert(person);
        if self.phase == Phase::AwaitingApproval { self.after_approvals() } else { Vec::new() }
    }

    pub(super) fn approvals_missing(&self) -> u32 {
        let got = u32::try_from(self.approvals.len()).unwrap_or(u32::MAX);
        self.plan.approvals_min.saturating_sub(got)
    }

    fn after_approvals(&mut self) -> Vec<Action> {
        match self.approvals_missing() {
            0 => {
                self.phase = Phase::Exposing;
                self.advance()
            }
            missing => vec![Action::AskApproval { missing }],
        }
    }

    pub(super) fn on_resumed(&mut self, by: PersonId) -> Vec<Action> {
        if !matches!(self.phase, Phase::Held(_)) {
            return Vec::new();
        }
        let mut actions = vec![self.decide(Decision::Resumed { by })];
        self.phase = Phase::AwaitingApproval;
        if self.plan.check().is_err() {
            actions.extend(self.hold(HoldReason::PlanUnsound));
            return actions;
        }
        // Tallies from before the hold may be old: only the next observation may widen. A ticket
        // that was asked for before is asked for again.
        self.observed = None;
        match &self.pending {
            Some(exposure) if self.approvals_missing() == 0 => {
                actions.push(Action::Expose(exposure.clone()));
                self.phase = Phase::Exposing;
            }
            _ => actions.extend(self.after_approvals()),
        }
        actions
    }
}
