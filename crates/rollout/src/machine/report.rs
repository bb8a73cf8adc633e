//! Turns the machine's state into an [`Explanation`]. It decides nothing.
use super::{Phase, Rollout, total, widen::Next};
use crate::explain::{BudgetLine, Explanation, Reason, StateName, WorstCase};
use crate::gate::Evidence;
use andon_model::Time;

impl Rollout {
    /// Why it is where it is.
    #[must_use]
    pub fn explain(&self, now: Time) -> Explanation {
        let now = now.max(self.clock);
        let view = crate::gate::View { now, ..self.view() };
        let evidence = self.gate.evidence(&view);
        let handed = total(&self.handed());
        let (confirmed, crashed, fell_back) = self.gate.outcomes();
        let first = self.waves.first().map(|(at, _)| *at);
        let after = |end: Time| first.map(|start| end.since(start).as_secs_f64());
        let (halted, completed) = match &self.phase {
            Phase::Halted(_, at) => (after(*at), None),
            Phase::Completed(at) => (None, after(*at)),
            _ => (None, None),
        };
        let line = |h: &crate::gate::HorizonEvidence| BudgetLine {
            after_ms: h.after_ms,
            hosts: h.hosts,
            spent: h.spent,
            ucb: h.ucb,
        };
        Explanation {
            rollout: self.plan.rollout.clone(),
            line: self.plan.line.clone(),
            release: self.plan.release,
            component: self.plan.component.clone(),
            version: self.plan.version,
            lane: self.plan.lane,
            state: self.state(),
            reason: self.reason(now),
            generation: self.generation(),
            handed,
            hosts: self.plan.hosts(),
            confirmed,
            crashed,
            fell_back,
            budget: evidence.horizons.iter().map(line).collect(),
            worst_case: self.worst_case(&evidence, handed, crashed),
            decisions: self.decisions.clone(),
            next: self.commands(),
            started: self.started,
            halted_after_s: halted,
            completed_after_s: completed,
            at: now,
            evidence,
            cannot_see: Vec::new(),
            cosignatures: None,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> StateName {
        match self.phase {
            Phase::Planned => StateName::Planned,
            Phase::AwaitingApproval => StateName::AwaitingApproval,
            Phase::Exposing => StateName::Exposing,
            Phase::Held(_) => StateName::Held,
            Phase::Halted(..) => StateName::Halted,
            Phase::Completed(_) => StateName::Completed,
        }
    }

    /// E as it stands, capped so that it stays a number.
    #[must_use]
    pub fn e(&self) -> f64 {
        self.gate.ln_e().min(690.0).exp()
    }

    fn reason(&self, now: Time) -> Reason {
        match &self.phase {
            Phase::Planned => Reason::NotStarted,
            Phase::AwaitingApproval => {
                Reason::ApprovalsMissing { missing: self.approvals_missing() }
            }
            Phase::Held(reason) => Reason::Held(reason.clone()),
            Phase::Halted(reason, _) => Reason::Halted(reason.clone()),
            Phase::Completed(_) => Reason::Completed,
            Phase::Exposing => match (self.observed, self.next()) {
                (Some(seen), _) if now.since(seen) > self.plan.watch.silent_after => {
                    Reason::ObservationMissing { since: now.since(seen) }
                }
                (_, Next::Wait(reason)) => reason,
                _ => Reason::Ready,
            },
        }
    }

    /// What may still be lost among hosts not vouched yet, on top of what is lost.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    #[expect(clippy::cast_precision_loss, reason = "counts of hosts are far below 2^53")]
    fn worst_case(&self, evidence: &Evidence, handed: u64, crashed: u64) -> WorstCase {
        let Some(first) = evidence.horizons.first() else {
            return WorstCase { hosts: handed, text: "no budget: everybody handed".to_owned() };
        };
        let open = (first.ucb * first.unvouched as f64).ceil().clamp(0.0, 1e15) as u64;
        // Of late hosts nothing is known: all of them.
        let late = self.late_charges.first().copied().unwrap_or(0);
        let handed = handed + total(self.late.covered());
        let hosts = (crashed + open + late).min(handed);
        let sure = 1.0 - f64::from(self.plan.delta_ppm) / 1e6;
        let text = format!(
            "if it is bad right now: at most {hosts} of {handed} handed hosts (probability {sure}, \
             faults that show within {} ms of activation)",
            first.after_ms
        );
        WorstCase { hosts, text }
    }

    /// Commands to type next; KEY stands for a key file of the person who types.
    fn commands(&self) -> Vec<String> {
        let id = &self.plan.rollout;
        let steer = |verb: &str| format!("andon rollout {verb} {id} --key KEY");
        let why = |verb: &str| format!("andon rollout {verb} {id} --key KEY --reason TEXT");
        let pull = format!("andon pull release {} --key KEY --reason TEXT", self.plan.release);
        match &self.phase {
            Phase::Planned => vec![format!("andon rollout get {id}")],
            Phase::AwaitingApproval => vec![steer("approve"), why("halt")],
            Phase::Exposing => {
                vec![format!("andon rollout get {id} -w"), why("hold"), pull]
            }
            Phase::Held(_) => {
                vec![format!("andon why rollout {id}"), steer("resume"), why("halt")]
            }
            Phase::Halted(..) => vec![format!("andon why rollout {id}"), pull],
            Phase::Completed(_) => vec![format!("andon rollout get {id}")],
        }
    }
}
