//! The rollout's state machine: one event in, actions out. It never fails and never panics: what it
//! cannot judge it holds on. Each family of events has its own file.
mod generations;
mod inside;
mod late;
mod observed;
mod people;
mod report;
mod tickets;
mod widen;

use crate::action::{Action, Dated, Decision, Exposure, HaltReason, HoldReason};
use crate::event::Event;
use crate::gate::{Gate, View};
use crate::late::LateQueue;
use crate::plan::Plan;
use andon_model::ticket::{Newcomers, Step};
use andon_model::{PersonId, Time};
use std::collections::BTreeSet;

/// Where it stands. Nothing is handed out but in `Exposing`.
#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Planned,
    AwaitingApproval,
    Exposing,
    Held(HoldReason),
    Halted(HaltReason, Time),
    Completed(Time),
}

/// One rollout: its plan and the fold over its journal so far.
#[derive(Clone, Debug)]
pub struct Rollout {
    plan: Plan,
    phase: Phase,
    /// latest time seen; time never goes back in here
    clock: Time,
    started: Option<Time>,
    approvals: BTreeSet<PersonId>,
    /// every ticket issued: its time and the hosts covered per stratum, cumulative
    waves: Vec<(Time, Vec<u32>)>,
    newcomers: Newcomers,
    late: LateQueue,
    /// what late hosts take of each horizon's budget
    late_charges: Vec<u64>,
    /// asked for, not yet reported as issued
    pending: Option<Exposure>,
    /// what the vendor line covers, on a line inside one
    permitted: Option<inside::Permitted>,
    gate: Gate,
    observed: Option<Time>,
    /// probes handed out since E became suspicious
    probes: u32,
    decisions: Vec<Dated>,
}

impl Rollout {
    /// Starts a plan. The caller journals `(now, Event::Started)`.
    #[must_use]
    pub fn start(plan: Plan, now: Time) -> (Rollout, Vec<Action>) {
        let mut rollout = Rollout::planned(plan);
        let actions = rollout.apply(now, Event::Started);
        (rollout, actions)
    }

    /// The fold over a journal, [`Event::Started`] included.
    #[must_use]
    pub fn replay(plan: Plan, journal: &[(Time, Event)]) -> Rollout {
        let mut rollout = Rollout::planned(plan);
        for (now, event) in journal {
            rollout.apply(*now, event.clone());
        }
        rollout
    }

    fn planned(plan: Plan) -> Rollout {
        Rollout {
            gate: Gate::new(&plan),
            phase: Phase::Planned,
            clock: plan.created,
            started: None,
            approvals: BTreeSet::new(),
            waves: Vec::new(),
            newcomers: Newcomers::Excluded,
            late: LateQueue::new(plan.strata.len(), plan.budget.len()),
            late_charges: vec![0; plan.budget.len()],
            pending: None,
            permitted: None,
            observed: None,
            probes: 0,
            decisions: Vec::new(),
            plan,
        }
    }

    /// Takes one event. Applying the same journal again gives the same actions.
    pub fn apply(&mut self, now: Time, event: Event) -> Vec<Action> {
        let back = self.clock.since(now);
        self.clock = self.clock.max(now);
        // Small steps back are ordinary (several writers, one journal); the clock then stands still.
        let mut actions = if back > self.plan.watch.beat {
            self.hold(HoldReason::ClockBackwards { back })
        } else {
            Vec::new()
        };
        actions.extend(match event {
            Event::Started => self.on_started(),
            Event::ApprovalGranted { person } => self.on_approval(person),
            Event::Held { by, reason } => self.hold(HoldReason::Person { by, reason }),
            Event::Resumed { by } => self.on_resumed(by),
            Event::HaltedByPerson { by, reason } => self.halt(HaltReason::Person { by, reason }),
            Event::Frozen { by, digest } => self.halt(HaltReason::Frozen { by, digest }),
            Event::Observed(seen) => self.on_observed(&seen),
            Event::TicketIssued { generation, at } => self.on_ticket_issued(generation, at),
            Event::Permitted { generation, handed, newcomers } => {
                self.on_permitted(generation, handed, newcomers)
            }
            Event::TestFailed { rig, class, test } => {
                self.hold_for_failure(HoldReason::TestFailed { rig, class, test })
            }
            Event::ActionFailed { generation, what } => {
                self.hold(HoldReason::ActionFailed { generation, what })
            }
        });
        actions
    }

    /// Actions whose outcome has not been reported: carry them out (again) after a restart.
    #[must_use]
    pub fn pending(&self) -> Vec<Action> {
        match (&self.phase, &self.pending) {
            (Phase::Exposing, Some(exposure)) => vec![Action::Expose(exposure.clone())],
            (Phase::AwaitingApproval, _) => {
                vec![Action::AskApproval { missing: self.approvals_missing() }]
            }
            (Phase::Held(_), _) => vec![Action::Withdraw],
            (Phase::Halted(reason, _), _) => vec![Action::Freeze { reason: reason.clone() }],
            (Phase::Completed(_), _) => vec![Action::Complete],
            _ => Vec::new(),
        }
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Every widening so far, as tickets carry it.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let step = |(at, (time, handed)): (u32, &(Time, Vec<u32>))| Step {
            generation: self.plan.generation_base.saturating_add(at),
            handed: total(handed),
            at: *time,
        };
        (1..).zip(&self.waves).map(step).collect()
    }

    /// Hosts covered per stratum after each ticket issued, cumulative: the host of rank r (from 0)
    /// belongs to the first wave whose number exceeds r; to the controls if none does.
    #[must_use]
    pub fn waves(&self) -> Vec<&[u32]> {
        self.waves.iter().map(|(_, handed)| handed.as_slice()).collect()
    }

    /// Whether it is over: halted or completed.
    #[must_use]
    pub fn ended(&self) -> bool {
        matches!(self.phase, Phase::Halted(..) | Phase::Completed(_))
    }

    fn view(&self) -> View<'_> {
        View { plan: &self.plan, now: self.clock, waves: &self.waves, charges: &self.late_charges }
    }

    fn handed(&self) -> Vec<u32> {
        let none = || vec![0; self.plan.strata.len()];
        self.waves.last().map_or_else(none, |(_, handed)| handed.clone())
    }

    fn decide(&mut self, decision: Decision) -> Action {
        self.decisions.push(decision.clone().at(self.clock));
        Action::Notify(decision)
    }

    /// Stops widening. The first reason stands until somebody resumes; what is over stays over.
    fn hold(&mut self, reason: HoldReason) -> Vec<Action> {
        if !matches!(self.phase, Phase::AwaitingApproval | Phase::Exposing) {
            return Vec::new();
        }
        self.phase = Phase::Held(reason.clone());
        vec![Action::Withdraw, self.decide(Decision::Held { reason })]
    }

    /// A failure that a rig has seen is said even where something else holds the rollout: whoever resumes
    /// it is to know.
    fn hold_for_failure(&mut self, reason: HoldReason) -> Vec<Action> {
        if !matches!(self.phase, Phase::Held(_)) {
            return self.hold(reason);
        }
        self.phase = Phase::Held(reason.clone());
        vec![self.decide(Decision::Held { reason })]
    }

    /// Ends it for good.
    fn halt(&mut self, reason: HaltReason) -> Vec<Action> {
        if matches!(self.phase, Phase::Halted(..)) {
            return Vec::new();
        }
        self.phase = Phase::Halted(reason.clone(), self.clock);
        let told = self.decide(Decision::Halted { reason: reason.clone() });
        vec![Action::Freeze { reason }, told]
    }
}

/// Hosts over all strata.
fn total(handed: &[u32]) -> u64 {
    handed.iter().map(|hosts| u64::from(*hosts)).sum()
}
