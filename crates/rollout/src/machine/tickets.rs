//! What became of the tickets that were asked for.
use super::{Phase, Rollout};
use crate::action::{Action, HoldReason};
use andon_model::Time;

impl Rollout {
    pub(super) fn on_ticket_issued(&mut self, generation: u32, at: Time) -> Vec<Action> {
        let exposure = match self.pending.take() {
            Some(exposure) if exposure.generation == generation => exposure,
            other => {
                self.pending = other;
                // Told twice: harmless. Never asked for: somebody else issues tickets.
                let known = generation <= self.generation() && generation > 0;
                return if known {
                    Vec::new()
                } else {
                    self.hold(HoldReason::UnknownTicket { generation })
                };
            }
        };
        let previous = self.handed();
        let at = self.waves.last().map_or(at, |(last, _)| at.max(*last));
        self.newcomers = exposure.newcomers;
        self.late.cover(&exposure.late, at);
        self.late_charges = self.late.charges(self.late.covered());
        if generation > self.generation() {
            let wave = exposure.handed.iter().zip(&previous).map(|(now, old)| now - old);
            self.gate.add_wave(&wave.collect::<Vec<u32>>());
            self.waves.push((at, exposure.handed));
        }
        self.observed = None;
        match &self.phase {
            Phase::Exposing => self.advance(),
            // It crossed with the halt: it must be withdrawn as well.
            Phase::Halted(reason, _) => vec![Action::Freeze { reason: reason.clone() }],
            _ => Vec::new(),
        }
    }

    /// Generation of the latest ticket issued; the plan's base before the first.
    pub(super) fn generation(&self) -> u32 {
        let issued = u32::try_from(self.waves.len()).unwrap_or(u32::MAX);
        self.plan.generation_base.saturating_add(issued)
    }
}
