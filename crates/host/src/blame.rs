//! What failed, who is charged with it, and what follows at once and without any server.
use crate::command::{Command, StopHow};
use crate::host::Host;
use crate::input::Exit;
use crate::machine::{Event, Evidence, Outcome};
use crate::service::{After, Run};
use andon_model::beat::{Charge, Strength};
use andon_model::host_journal::{Fact, Which};
use andon_model::id::ComponentId;
use andon_model::release::ComponentKind;
use andon_model::text::Text;

impl Host {
    /// A process ended that nobody had asked to end.
    pub(crate) fn service_failed(&mut self, name: &ComponentId, exit: Exit) {
        let newest = self.newest_change(name);
        if let Some(which) = newest.as_ref().and_then(|id| self.components.get(id)?.which_active())
        {
            let (signal, code) = match exit {
                Exit::Signal(signal) => (Some(signal), None),
                Exit::Code(code) => (None, Some(code)),
            };
            self.journal(Fact::Exited { which, signal, code });
        }
        let was_up = self.services.get(name).is_some_and(|one| matches!(one.run, Run::Up { .. }));
        let cause = match exit {
            // Ended well after it was ready: no failure, but it is meant to run.
            Exit::Code(0) if was_up => return self.pause(name),
            Exit::Code(0) => "ended before it was ready".to_owned(),
            Exit::Code(code) => format!("exit status {code}"),
            Exit::Signal(signal) => format!("signal {signal}"),
        };
        self.charge_service(name, newest, &cause);
    }

    pub(crate) fn start_failed(&mut self, name: &ComponentId, why: &str) {
        let starting = |run: Run| matches!(run, Run::Starting { .. });
        if !self.services.get(name).is_some_and(|one| starting(one.run)) {
            return;
        }
        self.refused(&format!("start {name}"), why);
        let newest = self.newest_change(name);
        self.charge_service(name, newest, &format!("could not be started: {why}"));
    }

    /// The process is gone. With the culprit left behind it starts again at once, else after a pause.
    fn charge_service(&mut self, name: &ComponentId, newest: Option<ComponentId>, cause: &str) {
        self.pause(name);
        let outcome = newest.map(|id| self.charge(&id, Evidence::Crash, cause));
        if matches!(outcome, Some(Outcome::FellBack | Outcome::SafeMode | Outcome::Parked)) {
            self.set_run(name, Run::Off);
        }
    }

    fn pause(&mut self, name: &ComponentId) {
        let now = self.now;
        if let Some(service) = self.services.get_mut(name) {
            service.pause(now);
        }
    }

    /// It lives but is of no use: charged, killed, started again when it has ended.
    pub(crate) fn service_hung(&mut self, name: &ComponentId, cause: &str) {
        let Some(service) = self.services.get(name) else { return };
        if matches!(service.run, Run::Off | Run::Paused { .. } | Run::Stopping(_)) {
            return;
        }
        self.stop(name, StopHow::AtOnce, After::Pause);
        let Some(id) = self.newest_change(name) else { return };
        if let Some(which) = self.components.get(&id).and_then(|one| one.which_active()) {
            self.journal(Fact::Hung { which });
        }
        let outcome = self.charge(&id, Evidence::Crash, cause);
        if matches!(outcome, Outcome::FellBack | Outcome::SafeMode | Outcome::Parked) {
            self.set_run(name, Run::Stopping(After::Settle));
        }
    }

    /// Whom a failure of this service is charged to: the newest change still in its watch period,
    /// else the newest change at all. Content before the service that interprets it.
    pub(crate) fn newest_change(&self, name: &ComponentId) -> Option<ComponentId> {
        let members = self.members(name);
        let members = members.iter().filter_map(|id| self.components.get(id));
        let newest = members.max_by_key(|one| {
            let content = one.active_is(ComponentKind::Content);
            (one.machine.probation(), one.machine.since(), content)
        });
        newest.map(|one| one.id.clone())
    }

    /// Charges a component's active release and does what follows.
    pub(crate) fn charge(&mut self, id: &ComponentId, evidence: Evidence, cause: &str) -> Outcome {
        let Some(component) = self.components.get(id) else { return Outcome::Ignored };
        let Some(slot) = component.machine.active() else { return Outcome::Ignored };
        let frozen = self.slot_frozen(component, slot);
        if let Some(which) = component.which(slot) {
            self.note_charge(id, which, evidence.strength(), cause);
        }
        let Some(component) = self.components.get_mut(id) else { return Outcome::Ignored };
        let outcome = component.machine.apply(self.now, Event::Charged { evidence, frozen });
        self.after_loss(id, outcome);
        outcome
    }

    /// Writes a charge down and keeps it until the server has stored it.
    pub(crate) fn note_charge(
        &mut self,
        id: &ComponentId,
        which: Which,
        strength: Strength,
        cause: &str,
    ) {
        let cause = Text::clipped(cause);
        let charge = Charge {
            number: self.outbox.next_charge_number(self.boot),
            component: id.clone(),
            version: which.version,
            release: which.release,
            strength,
            cause: cause.clone(),
            at: self.now,
        };
        self.outbox.unreported(Some(charge.clone()));
        if let Some(component) = self.components.get_mut(id) {
            component.charge = Some(charge);
        }
        self.journal(Fact::Charged { which, cause });
    }

    /// After a slot may have been given up: remember it, write it down, bring the other one into
    /// effect. Everything here is local.
    pub(crate) fn after_loss(&mut self, id: &ComponentId, outcome: Outcome) {
        if !matches!(outcome, Outcome::FellBack | Outcome::SafeMode | Outcome::Parked) {
            return self.write_record(id);
        }
        let Some(component) = self.components.get_mut(id) else { return };
        let lost = match outcome {
            Outcome::FellBack | Outcome::Parked => component.machine.inactive(),
            _ => component.machine.inactive().other(),
        };
        if let Some(mark) = component.held(lost).map(|held| held.in_slot.mark) {
            component.remember_bad(mark);
        }
        let (from, to) = (component.which(lost), component.which_active());
        self.write_record(id);
        match (from, to) {
            (Some(from), Some(to)) => self.journal(Fact::FellBack { from, to }),
            (Some(which), None) => self.journal(Fact::SafeMode { which }),
            (None, _) => {}
        }
        self.bring_back(id);
    }

    /// Services still running the lost slot are stopped, to start again with the other one; files get
    /// their link and reload.
    fn bring_back(&mut self, id: &ComponentId) {
        let files = self.components.get(id).is_some_and(|one| one.active_is(ComponentKind::Files));
        if files {
            return self.load_files(id);
        }
        let mut names = self.services_of(id);
        if let Some(held) = self.components.get(id).and_then(|one| one.held(one.machine.inactive()))
            && let Some(consumer) = held.manifest.consumer.clone()
            && !names.contains(&consumer)
        {
            names.push(consumer);
        }
        for name in names {
            let runs = self.services.get(&name).map(|service| service.run);
            if matches!(runs, Some(Run::Starting { .. } | Run::Reloading { .. } | Run::Up { .. })) {
                self.stop(&name, StopHow::Gently, After::Settle);
            }
        }
    }

    /// A freeze sends a host back only where the host itself has something against the release.
    pub(crate) fn obey_freezes(&mut self) {
        let held_against: Vec<ComponentId> = self
            .components
            .values()
            .filter(|one| {
                let frozen = one.machine.active().is_some_and(|slot| self.slot_frozen(one, slot));
                let worse = one.machine.probation() && self.worsened(one);
                frozen && (one.machine.score() > 0 || worse) && one.machine.can_fall_back()
            })
            .map(|one| one.id.clone())
            .collect();
        for id in held_against {
            let Some(component) = self.components.get_mut(&id) else { continue };
            let outcome = component.machine.apply(self.now, Event::FrozenUnwell);
            self.after_loss(&id, outcome);
        }
    }

    /// Confirms what has soaked well.
    pub(crate) fn soaks_tick(&mut self) {
        let ids: Vec<ComponentId> = self
            .components
            .values()
            .filter(|one| !self.kept_from_confirming(one))
            .map(|one| one.id.clone())
            .collect();
        for id in ids {
            let Some(component) = self.components.get_mut(&id) else { continue };
            if component.machine.apply(self.now, Event::Tick) == Outcome::Confirmed {
                let which = component.which_active();
                self.write_record(&id);
                if let Some(which) = which {
                    self.out.push(Command::Journal(Fact::Confirmed { which }));
                }
            }
        }
    }
}
