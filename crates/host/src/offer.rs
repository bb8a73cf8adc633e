//! From a ticket that covers this host to a complete release in the inactive slot. Every step may be
//! refused; the host then stays as it is.
use crate::command::Command;
use crate::component::{Component, RecordHealth, Wanted, Work};
use crate::host::{Host, Life};
use crate::input::HookKind;
use crate::machine::{Event, Slot};
use crate::service::Service;
use andon_model::digest::Digest;
use andon_model::host_journal::Fact;
use andon_model::id::ComponentId;
use andon_model::limits::{COMPONENTS_MAX, FETCH_PAUSE};
use andon_model::release::{ComponentKind, Mode};

impl Host {
    pub(crate) fn offered(&mut self, wanted: Wanted, generation: u32) {
        let id = wanted.manifest.component.clone();
        if self.life != Life::Up || self.frozen(&wanted.manifest.vendor, &wanted.release) {
            return;
        }
        if !self.components.contains_key(&id) && self.components.len() >= COMPONENTS_MAX {
            return self.refused(&format!("component {id}"), "this host has too many components");
        }
        let recalled = self.recalled_to(&wanted);
        let component =
            self.components.entry(id.clone()).or_insert_with(|| Component::new(id.clone()));
        if !welcome(component, &wanted, recalled) {
            return;
        }
        let (which, rollout) = (wanted.which(), wanted.rollout.clone());
        component.wanted = Some(wanted);
        self.journal(Fact::TicketAccepted { rollout, generation, which });
    }

    /// Takes up what is wanted, where the inactive slot may be overwritten.
    pub(crate) fn work(&mut self, id: &ComponentId) {
        let now = self.now;
        let Some(component) = self.components.get_mut(id) else { return };
        let free = match component.work {
            Work::Idle => true,
            Work::Paused { until } => until <= now,
            _ => false,
        };
        if !free || !component.machine.may_stage() {
            return;
        }
        // What waits in the slot takes effect first, unless it never will: a fix must not wait for it.
        let Some(component) = self.components.get(id) else { return };
        if component.staged().is_some() && !self.dead(component, component.machine.inactive()) {
            return;
        }
        let Some(component) = self.components.get_mut(id) else { return };
        let Some(wanted) = component.wanted.take() else {
            component.work = Work::Idle;
            return;
        };
        let manifest = wanted.manifest.clone();
        let release = wanted.release;
        let frozen = self.frozen(&manifest.vendor, &release);
        let Some(component) = self.components.get_mut(id) else { return };
        component.work = if frozen { Work::Idle } else { Work::Fetching(wanted) };
        if !frozen {
            self.out.push(Command::Fetch { release, manifest });
        }
    }

    pub(crate) fn fetched(&mut self, release: &Digest) {
        let fetching = |one: &&Component| matches!(&one.work, Work::Fetching(next) if next.release == *release);
        let Some(id) = self.components.values().find(fetching).map(|one| one.id.clone()) else {
            return;
        };
        let Some(component) = self.components.get_mut(&id) else { return };
        let Work::Fetching(next) = std::mem::replace(&mut component.work, Work::Idle) else {
            return;
        };
        if !component.machine.may_stage() {
            // The active slot changed meanwhile: what it falls back to is not overwritten.
            component.wanted = Some(next);
            return;
        }
        let slot = component.machine.inactive();
        component.machine.apply(self.now, Event::Cleared);
        component.slots[slot.index()] = None;
        component.record_health = RecordHealth::Sound;
        let (release, manifest) = (next.release, next.manifest.clone());
        component.work = Work::Staging(next);
        // Written down first: a half-filled slot is never taken for the release it held before.
        self.write_record(&id);
        self.out.push(Command::Stage { component: id, slot, release, manifest });
    }

    pub(crate) fn fetch_failed(&mut self, release: &Digest, why: &str) {
        let until = self.now.plus(FETCH_PAUSE);
        let fetching = |one: &&mut Component| matches!(&one.work, Work::Fetching(next) if next.release == *release);
        let Some(component) = self.components.values_mut().find(fetching) else { return };
        if let Work::Fetching(next) = std::mem::replace(&mut component.work, Work::Paused { until })
        {
            component.wanted.get_or_insert(next);
        }
        self.refused(&format!("fetch release {}", release.short()), why);
    }

    pub(crate) fn stage_failed(&mut self, id: &ComponentId, release: &Digest, why: &str) {
        let until = self.now.plus(FETCH_PAUSE);
        let Some(component) = self.components.get_mut(id) else { return };
        if !matches!(&component.work, Work::Staging(next) if next.release == *release) {
            return;
        }
        if let Work::Staging(next) = std::mem::replace(&mut component.work, Work::Paused { until })
        {
            component.wanted.get_or_insert(next);
        }
        self.refused(&format!("stage release {}", release.short()), why);
    }

    pub(crate) fn staged(&mut self, id: &ComponentId, release: &Digest) {
        let Some(component) = self.components.get_mut(id) else { return };
        if !matches!(&component.work, Work::Staging(next) if next.release == *release) {
            return;
        }
        let Work::Staging(next) = std::mem::replace(&mut component.work, Work::Idle) else {
            return;
        };
        let slot = component.machine.inactive();
        match next.manifest.hooks.validate.clone() {
            None => self.stage_done(id, next),
            Some(command) => {
                component.work = Work::Validating(next);
                let (component, hook) = (id.clone(), HookKind::Validate);
                self.out.push(Command::RunHook { component, slot, hook, command });
            }
        }
    }

    pub(crate) fn validated(&mut self, id: &ComponentId, slot: Slot, well: bool) {
        let Some(component) = self.components.get_mut(id) else { return };
        if slot != component.machine.inactive() {
            return;
        }
        match std::mem::replace(&mut component.work, Work::Idle) {
            Work::Validating(next) => {
                let which = next.which();
                let hook = andon_model::text::Text::clipped(HookKind::Validate.name());
                self.journal(Fact::Hook { which, hook, well });
                if well { self.stage_done(id, next) } else { self.invalid(id, &next) }
            }
            other => component.work = other,
        }
    }

    fn stage_done(&mut self, id: &ComponentId, next: Wanted) {
        let Some(component) = self.components.get_mut(id) else { return };
        let event = match next.manifest.mode {
            Mode::Enforce => Event::Staged,
            Mode::Observe => Event::Observed,
        };
        let slot = component.machine.inactive();
        component.machine.apply(self.now, event);
        let held =
            crate::component::Held { in_slot: next.in_slot(), manifest: next.manifest.clone() };
        component.slots[slot.index()] = Some(held);
        if next.manifest.kind == ComponentKind::Service && next.manifest.mode == Mode::Enforce {
            self.services.entry(id.clone()).or_insert_with(Service::of_component);
        }
        self.write_record(id);
        self.journal(Fact::Staged { which: next.which() });
    }

    /// Its own validation refuses it on this host: reported like a failure, though nothing changed.
    fn invalid(&mut self, id: &ComponentId, next: &Wanted) {
        let Some(component) = self.components.get_mut(id) else { return };
        component.remember_bad(next.in_slot().mark);
        let cause = "validate hook refused the staged release";
        self.note_charge(id, next.which(), andon_model::beat::Strength::Strong, cause);
        self.write_record(id);
    }
}

/// A newer release than everything here, or the one to which the running one is recalled; not given up
/// under this ticket.
fn welcome(component: &Component, wanted: &Wanted, recalled: bool) -> bool {
    let version = wanted.manifest.version;
    let newer = component.newest_version().is_none_or(|newest| version > newest);
    let next = match recalled {
        // It may lie in the other slot: it is put there again, and so verified again.
        true => !component.at_work_on(&wanted.release),
        false => newer && !component.has(&wanted.release),
    };
    next && !component.bad.contains(&wanted.in_slot().mark) && version >= component.version_min
}
