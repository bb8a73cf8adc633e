//! What runs: starting, reloading, stopping, and putting staged releases into effect, one change at a
//! time so that a failure names its culprit.
use crate::command::{Command, ContentInUse, Launch, StopHow};
use crate::component::{Component, HealthSeen};
use crate::host::{Host, Life};
use crate::input::{Exit, HookKind};
use crate::machine::{Event, Phase};
use andon_model::host_journal::Fact;
use andon_model::id::ComponentId;
use andon_model::limits::{READY_WAIT_MAX, RESTART_PAUSE};
use andon_model::release::{Activation, ComponentKind};
use andon_model::time::{Millis, Time};
use std::collections::BTreeSet;

/// What comes after a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// go on at once
    Settle,
    /// it hung: wait a little
    Pause,
}

/// Where a service's process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    Off,
    Starting { until: Time },
    Reloading { until: Time },
    Up { since: Time },
    Stopping(After),
    Paused { until: Time },
}

#[derive(Debug)]
pub(crate) struct Service {
    /// command line of a service that is not a component
    builtin: Option<Vec<String>>,
    pub(crate) run: Run,
    /// starts in a row that did not last
    pauses: u32,
}

impl Service {
    pub(crate) fn builtin(exec: Vec<String>) -> Service {
        Service { builtin: Some(exec), run: Run::Off, pauses: 0 }
    }
    pub(crate) fn of_component() -> Service {
        Service { builtin: None, run: Run::Off, pauses: 0 }
    }
    /// The pause before the next start; doubles while starts do not last.
    pub(crate) fn pause(&mut self, now: Time) {
        if let Run::Up { since } = self.run
            && now.since(since) >= RESTART_PAUSE[1]
        {
            self.pauses = 0;
        }
        let wait = Millis(RESTART_PAUSE[0].0 << self.pauses.min(16)).min(RESTART_PAUSE[1]);
        self.pauses += 1;
        self.run = Run::Paused { until: now.plus(wait) };
    }
}

impl Host {
    /// Does everything that can be done now. Called after every input.
    pub(crate) fn settle(&mut self) {
        let ids: Vec<ComponentId> = self.components.keys().cloned().collect();
        for id in &ids {
            self.settle_files(id);
        }
        let names: Vec<ComponentId> = self.services.keys().cloned().collect();
        for name in names {
            self.settle_service(&name);
        }
        for id in &ids {
            self.work(id);
        }
    }

    fn settle_service(&mut self, name: &ComponentId) {
        let Some(service) = self.services.get(name) else { return };
        let run = service.run;
        let staged = self.staged_for(name);
        match run {
            Run::Starting { .. } | Run::Reloading { .. } | Run::Stopping(_) => {}
            Run::Up { .. } => match staged.first() {
                Some(first) => self.change_running(name, &first.clone()),
                None => self.stop_if_unfit(name),
            },
            Run::Paused { until } if staged.is_empty() && self.now < until => {}
            Run::Off | Run::Paused { .. } => self.start_with(name, &staged),
        }
    }

    /// One more change for a service that runs: reload, or stop and come back here when it has ended.
    fn change_running(&mut self, name: &ComponentId, id: &ComponentId) {
        let reload = self.components.get(id).and_then(Component::staged).is_some_and(|held| {
            held.manifest.kind == ComponentKind::Content
                && held.manifest.activation == Activation::Reload
        });
        if !reload || self.launch(name).is_none() {
            return self.stop(name, StopHow::Gently, After::Settle);
        }
        self.activate(id);
        self.write_record(id);
        let Some(launch) = self.launch(name) else { return };
        self.switch(id);
        self.out.push(Command::ReloadService(launch));
        self.set_run(name, Run::Reloading { until: self.now.plus(READY_WAIT_MAX) });
    }

    /// A service whose content was taken off does not run on without it.
    fn stop_if_unfit(&mut self, name: &ComponentId) {
        if self.launch(name).is_none() {
            self.stop(name, StopHow::Gently, After::Settle);
        }
    }

    fn start_with(&mut self, name: &ComponentId, staged: &[ComponentId]) {
        if self.launch(name).is_some() {
            if let Some(first) = staged.first() {
                self.activate(first);
            }
        } else if self.would_launch(name, staged) {
            for id in staged {
                self.activate(id);
            }
        } else {
            return self.set_run(name, Run::Off);
        }
        self.start(name);
    }

    fn start(&mut self, name: &ComponentId) {
        let Some(launch) = self.launch(name) else { return self.set_run(name, Run::Off) };
        let members = self.members(name);
        for id in &members {
            if let Some(component) = self.components.get_mut(id) {
                component.machine.apply(self.now, Event::Started);
            }
            self.write_record(id);
        }
        for id in &members {
            self.switch(id);
        }
        self.out.push(Command::StartService(launch));
        self.set_run(name, Run::Starting { until: self.now.plus(READY_WAIT_MAX) });
    }

    fn activate(&mut self, id: &ComponentId) {
        let Some(component) = self.components.get_mut(id) else { return };
        let Some(soak) = component.staged().map(|held| held.manifest.soak) else { return };
        component.machine.apply(self.now, Event::Activated { soak });
        component.health = HealthSeen::Unknown;
        if let Some(which) = component.which_active() {
            self.journal(Fact::Activated { which });
        }
    }

    pub(crate) fn switch(&mut self, id: &ComponentId) {
        if let Some(slot) = self.components.get(id).and_then(|one| one.machine.active()) {
            self.out.push(Command::SwitchCurrent { component: id.clone(), slot });
        }
    }

    pub(crate) fn stop(&mut self, name: &ComponentId, how: StopHow, after: After) {
        self.set_run(name, Run::Stopping(after));
        self.out.push(Command::StopService { component: name.clone(), how });
    }

    pub(crate) fn stop_everything(&mut self) {
        let running: Vec<ComponentId> = self
            .services
            .iter()
            .filter_map(|(name, one)| {
                let runs = !matches!(one.run, Run::Off | Run::Paused { .. } | Run::Stopping(_));
                runs.then(|| name.clone())
            })
            .collect();
        for name in running {
            self.stop(&name, StopHow::Gently, After::Settle);
        }
    }

    fn settle_files(&mut self, id: &ComponentId) {
        let Some(component) = self.components.get(id) else { return };
        let Some(held) = component.staged() else { return };
        if held.manifest.kind != ComponentKind::Files || !self.activatable(component) {
            return;
        }
        self.activate(id);
        self.write_record(id);
        self.load_files(id);
    }

    /// Lets the tool see the active slot: link, then its reload hook.
    pub(crate) fn load_files(&mut self, id: &ComponentId) {
        self.switch(id);
        let now = self.now;
        let Some(component) = self.components.get_mut(id) else { return };
        component.machine.apply(now, Event::Started);
        let (Some(slot), Some(held)) = (component.machine.active(), component.active()) else {
            return;
        };
        match held.manifest.hooks.reload.clone() {
            Some(command) => {
                let (component, hook) = (id.clone(), HookKind::Reload);
                self.out.push(Command::RunHook { component, slot, hook, command });
            }
            None => self.files_ready(id),
        }
    }

    pub(crate) fn files_ready(&mut self, id: &ComponentId) {
        let Some(component) = self.components.get_mut(id) else { return };
        component.machine.apply(self.now, Event::Ready);
        component.health = HealthSeen::Unknown;
        let which = component.which_active();
        self.write_record(id);
        self.journal_ready(which);
        // Asked at once, not only at the next beat: probation must not end before the first answer.
        self.probe_next = self.now;
        self.questions_tick();
    }

    fn journal_ready(&mut self, which: Option<andon_model::host_journal::Which>) {
        if let Some(which) = which {
            self.journal(Fact::Ready { which });
        }
    }

    pub(crate) fn service_ready(&mut self, name: &ComponentId) {
        let loading = |run: Run| matches!(run, Run::Starting { .. } | Run::Reloading { .. });
        if !self.services.get(name).is_some_and(|service| loading(service.run)) {
            return;
        }
        self.set_run(name, Run::Up { since: self.now });
        let newest = self.newest_change(name);
        for id in self.members(name) {
            let Some(component) = self.components.get_mut(&id) else { continue };
            if component.machine.phase() == Phase::Loading {
                component.machine.apply(self.now, Event::Ready);
                self.write_record(&id);
            }
        }
        let which = newest.and_then(|id| self.components.get(&id)?.which_active());
        self.journal_ready(which);
    }

    pub(crate) fn service_exited(&mut self, name: &ComponentId, exit: Exit) {
        let now = self.now;
        let Some(service) = self.services.get_mut(name) else { return };
        match service.run {
            Run::Off | Run::Paused { .. } => {}
            Run::Stopping(After::Pause) => service.pause(now),
            Run::Stopping(After::Settle) => service.run = Run::Off,
            Run::Starting { .. } | Run::Reloading { .. } | Run::Up { .. } => {
                self.service_failed(name, exit);
            }
        }
    }

    pub(crate) fn services_tick(&mut self) {
        let late: Vec<ComponentId> = self
            .services
            .iter()
            .filter_map(|(name, service)| match service.run {
                Run::Starting { until } | Run::Reloading { until } if until <= self.now => {
                    Some(name.clone())
                }
                _ => None,
            })
            .collect();
        for name in late {
            self.service_hung(&name, "not ready in time");
        }
    }

    pub(crate) fn set_run(&mut self, name: &ComponentId, run: Run) {
        if let Some(service) = self.services.get_mut(name) {
            service.run = run;
        }
    }

    /// Staged changes that concern this service and may take effect.
    fn staged_for(&self, name: &ComponentId) -> Vec<ComponentId> {
        let concerns = |one: &&Component| {
            one.staged().is_some_and(|held| match held.manifest.kind {
                ComponentKind::Service => one.id == *name,
                ComponentKind::Content => held.manifest.consumer.as_ref() == Some(name),
                ComponentKind::Files | ComponentKind::Kmod => false,
            }) && self.activatable(one)
        };
        self.components.values().filter(concerns).map(|one| one.id.clone()).collect()
    }

    fn activatable(&self, component: &Component) -> bool {
        component.sound()
            && self.life == Life::Up
            && !self.dead(component, component.machine.inactive())
    }

    /// The service, if it is a component, and the active content it consumes.
    pub(crate) fn members(&self, name: &ComponentId) -> Vec<ComponentId> {
        let member = |one: &&Component| {
            one.active().is_some_and(|held| match held.manifest.kind {
                ComponentKind::Service => one.id == *name,
                ComponentKind::Content => held.manifest.consumer.as_ref() == Some(name),
                ComponentKind::Files | ComponentKind::Kmod => false,
            })
        };
        self.components.values().filter(member).map(|one| one.id.clone()).collect()
    }

    /// The services that a component is part of.
    pub(crate) fn services_of(&self, id: &ComponentId) -> Vec<ComponentId> {
        let Some(component) = self.components.get(id) else { return Vec::new() };
        let consumer = [component.active(), component.staged()]
            .into_iter()
            .flatten()
            .filter_map(|held| held.manifest.consumer.clone());
        let own = std::iter::once(id.clone());
        let all: BTreeSet<ComponentId> = own.chain(consumer).collect();
        all.into_iter().filter(|name| self.services.contains_key(name)).collect()
    }

    /// Whether what is active may run.
    fn runnable(&self, component: &Component) -> bool {
        component.sound() && !self.parked(component)
    }

    /// How to run it with what is active; `None` while something it needs is not.
    pub(crate) fn launch(&self, name: &ComponentId) -> Option<Launch> {
        let service = self.services.get(name)?;
        let (program, exec) = match &service.builtin {
            Some(exec) => (None, exec.clone()),
            None => {
                let component = self.components.get(name).filter(|one| self.runnable(one))?;
                let held = component.active()?;
                let slot = component.machine.active()?;
                (Some((slot, held.in_slot.release)), held.manifest.exec.clone())
            }
        };
        let contents: Vec<ContentInUse> = self
            .members(name)
            .iter()
            .filter(|id| *id != name)
            .filter_map(|id| self.components.get(id).filter(|one| self.runnable(one)))
            .filter_map(|one| {
                let (slot, held) = (one.machine.active()?, one.active()?);
                Some(ContentInUse {
                    component: one.id.clone(),
                    slot,
                    release: held.in_slot.release,
                })
            })
            .collect();
        let there = |id: &ComponentId| contents.iter().any(|one| one.component == *id);
        let fits = contents_named(&exec).iter().all(there);
        fits.then(|| Launch { component: name.clone(), program, exec, contents })
    }

    /// Whether it could run once these staged changes were active too.
    fn would_launch(&self, name: &ComponentId, staged: &[ComponentId]) -> bool {
        let Some(service) = self.services.get(name) else { return false };
        let exec = match &service.builtin {
            Some(exec) => Some(exec),
            None => self.components.get(name).filter(|one| one.sound()).and_then(|one| {
                let next = one.staged().filter(|_| staged.contains(name));
                let now = one.active().filter(|_| self.runnable(one));
                next.or(now).map(|held| &held.manifest.exec)
            }),
        };
        let mut active = self.members(name);
        active.retain(|id| self.components.get(id).is_some_and(|one| self.runnable(one)));
        exec.is_some_and(|exec| {
            contents_named(exec).iter().all(|id| staged.contains(id) || active.contains(id))
        })
    }
}

/// The contents that a command line cannot do without: every `{content:NAME}` in it.
fn contents_named(exec: &[String]) -> Vec<ComponentId> {
    let named = |word: &String| -> Vec<ComponentId> {
        let parts = word.split("{content:").skip(1);
        parts.filter_map(|rest| ComponentId::new(rest.split_once('}')?.0).ok()).collect()
    };
    exec.iter().flat_map(named).collect()
}
