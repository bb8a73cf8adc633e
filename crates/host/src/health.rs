//! Hooks of other tools and probes of operator and vendor. A bad probe is evidence for the gate and
//! keeps a release from being confirmed; alone it never sends a host back, because what makes probes
//! fail is often the world outside.
use crate::command::Command;
use crate::component::{Asked, Component, HealthSeen};
use crate::host::Host;
use crate::input::HookKind;
use crate::machine::{Evidence, Slot};
use andon_model::host_journal::Fact;
use andon_model::id::ComponentId;
use andon_model::limits::PROBES_MAX;
use andon_model::release::Probe;
use andon_model::text::Text;
use andon_model::time::Time;

/// What a probe last said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProbeSeen {
    pub(crate) asked: Asked,
    pub(crate) answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    None,
    Well,
    Bad { since: Time },
}

impl Host {
    /// Whether there is anything to ask.
    pub(crate) fn has_questions(&self) -> bool {
        !self.questions().is_empty()
            || self.components.values().any(|one| one.health_hook().is_some())
    }

    /// Operator's probes and those of the active releases; of two with one name the operator's.
    fn questions(&self) -> Vec<Probe> {
        let vendors = self.components.values().filter_map(Component::active);
        let vendors = vendors.flat_map(|held| held.manifest.probes.iter());
        let mut all: Vec<Probe> = Vec::new();
        for probe in self.policy_probes.iter().chain(vendors) {
            if all.len() < PROBES_MAX * 2 && !all.iter().any(|known| known.name == probe.name) {
                all.push(probe.clone());
            }
        }
        all
    }

    pub(crate) fn questions_tick(&mut self) {
        if self.now < self.probe_next {
            return;
        }
        self.probe_next = self.now.plus(self.watch.beat);
        let questions = self.questions();
        self.probes.retain(|name, _| questions.iter().any(|probe| probe.name == *name));
        for probe in questions {
            let new = ProbeSeen { asked: Asked::No, answer: Answer::None };
            let seen = self.probes.entry(probe.name.clone()).or_insert(new);
            if seen.asked == Asked::No {
                seen.asked = Asked::Waiting;
                self.out.push(Command::RunProbe { probe });
            }
        }
        let ids: Vec<ComponentId> = self.components.keys().cloned().collect();
        for id in ids {
            self.ask_health(&id);
        }
    }

    fn ask_health(&mut self, id: &ComponentId) {
        let Some(component) = self.components.get_mut(id) else { return };
        let (Some(slot), Asked::No) = (component.machine.active(), component.health_asked) else {
            return;
        };
        let Some(command) = component.health_hook().cloned() else { return };
        component.health_asked = Asked::Waiting;
        let (component, hook) = (id.clone(), HookKind::Health);
        self.out.push(Command::RunHook { component, slot, hook, command });
    }

    pub(crate) fn probe_answered(&mut self, name: &ComponentId, well: bool) {
        let now = self.now;
        let Some(seen) = self.probes.get_mut(name) else { return };
        seen.asked = Asked::No;
        let before = seen.answer;
        seen.answer = match (before, well) {
            (Answer::Bad { since }, false) => Answer::Bad { since },
            (_, false) => Answer::Bad { since: now },
            (_, true) => Answer::Well,
        };
        if before != seen.answer {
            self.journal(Fact::Probe { name: name.clone(), well });
        }
        self.soaks_tick();
        self.obey_freezes();
    }

    pub(crate) fn hook_ended(&mut self, id: &ComponentId, slot: Slot, hook: HookKind, well: bool) {
        if hook == HookKind::Validate {
            return self.validated(id, slot, well);
        }
        let Some(component) = self.components.get_mut(id) else { return };
        if hook == HookKind::Health {
            component.health_asked = Asked::No;
        }
        if component.machine.active() != Some(slot) {
            return;
        }
        let news = match (hook, component.health) {
            (HookKind::Health, HealthSeen::Well) => !well,
            (HookKind::Health, HealthSeen::Bad) => well,
            _ => true,
        };
        if let (true, Some(which)) = (news, component.which(slot)) {
            let hook = Text::clipped(hook.name());
            self.journal(Fact::Hook { which, hook, well });
        }
        match hook {
            HookKind::Reload if well => self.files_ready(id),
            HookKind::Reload => {
                self.charge(id, Evidence::Crash, "reload hook failed");
            }
            _ => self.health_answered(id, well),
        }
    }

    /// Failing health sends back what is in probation; of a confirmed release it is only reported.
    fn health_answered(&mut self, id: &ComponentId, well: bool) {
        let Some(component) = self.components.get_mut(id) else { return };
        component.health = if well { HealthSeen::Well } else { HealthSeen::Bad };
        if !well && component.machine.probation() {
            self.charge(id, Evidence::Crash, "health hook failed");
        }
        self.soaks_tick();
    }

    /// Whether a probe turned bad since this component changed.
    pub(crate) fn worsened(&self, component: &Component) -> bool {
        let changed = component.machine.since();
        self.probes
            .values()
            .any(|seen| matches!(seen.answer, Answer::Bad { since } if since >= changed))
    }

    pub(crate) fn kept_from_confirming(&self, component: &Component) -> bool {
        let unanswered = component.health_hook().is_some() && component.health != HealthSeen::Well;
        unanswered || self.worsened(component)
    }
}
