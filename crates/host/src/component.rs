//! One component with its names and manifests around the [`Machine`], and the work on its next release.
use crate::machine::{Machine, Slot, SlotState};
use crate::record::{CrashMark, InSlot, Mark, Record};
use andon_model::beat::{Charge, ComponentState, ComponentStatus};
use andon_model::digest::Digest;
use andon_model::host_journal::Which;
use andon_model::id::{ComponentId, RolloutId};
use andon_model::release::{ComponentKind, Hook, Manifest, Version};
use andon_model::time::Time;
use std::sync::Arc;

/// A release that a ticket lets this host have.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) release: Digest,
    pub(crate) rollout: RolloutId,
    pub(crate) begun: Time,
    pub(crate) manifest: Arc<Manifest>,
}

impl Wanted {
    pub(crate) fn which(&self) -> Which {
        Which {
            component: self.manifest.component.clone(),
            version: self.manifest.version,
            release: self.release,
        }
    }
    pub(crate) fn in_slot(&self) -> InSlot {
        InSlot {
            release: self.release,
            version: self.manifest.version,
            mark: Mark::of(&self.rollout, &self.release),
        }
    }
}

/// How far the next release has come.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Idle,
    Paused { until: Time },
    Fetching(Wanted),
    Staging(Wanted),
    Validating(Wanted),
}

/// Whether the record can be trusted and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordHealth {
    Sound,
    Broken,
}

/// What the health hook last said about the active slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HealthSeen {
    Unknown,
    Well,
    Bad,
}

/// Whether a question is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    No,
    Waiting,
}

/// A slot's release and its manifest.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) in_slot: InSlot,
    pub(crate) manifest: Arc<Manifest>,
}

#[derive(Debug)]
pub(crate) struct Component {
    pub(crate) id: ComponentId,
    pub(crate) machine: Machine,
    pub(crate) slots: [Option<Held>; 2],
    pub(crate) bad: Vec<Mark>,
    pub(crate) version_min: Version,
    /// switched off by a directive; found out anew after a restart
    pub(crate) parked: bool,
    pub(crate) sequence: u64,
    pub(crate) charge: Option<Charge>,
    pub(crate) crash: CrashMark,
    pub(crate) record_health: RecordHealth,
    pub(crate) wanted: Option<Wanted>,
    pub(crate) work: Work,
    pub(crate) health: HealthSeen,
    pub(crate) health_asked: Asked,
}

impl Component {
    pub(crate) fn new(id: ComponentId) -> Component {
        Component {
            id,
            machine: Machine::new(),
            slots: [None, None],
            bad: Vec::new(),
            version_min: Version(0),
            parked: false,
            sequence: 0,
            charge: None,
            crash: CrashMark::NONE,
            record_health: RecordHealth::Sound,
            wanted: None,
            work: Work::Idle,
            health: HealthSeen::Unknown,
            health_asked: Asked::No,
        }
    }

    /// From what the disk says. A slot whose manifest is missing or another one is not held.
    pub(crate) fn restored(record: Record, manifests: &[(Digest, Arc<Manifest>)]) -> Component {
        let held = |slot: Option<InSlot>| {
            let in_slot = slot?;
            let found = manifests.iter().find(|(digest, _)| *digest == in_slot.release)?;
            Some(Held { in_slot, manifest: found.1.clone() })
        };
        Component {
            machine: record.machine,
            slots: record.slots.map(held),
            bad: record.bad,
            version_min: record.version_min,
            sequence: record.sequence,
            charge: record.charge,
            crash: record.crash,
            ..Component::new(record.component)
        }
    }

    pub(crate) fn record(&self) -> Record {
        Record {
            sequence: self.sequence,
            component: self.id.clone(),
            machine: self.machine,
            slots: [Slot::A, Slot::B].map(|slot| self.held(slot).map(|held| held.in_slot)),
            bad: self.bad.clone(),
            version_min: self.version_min,
            charge: self.charge.clone(),
            crash: self.crash,
        }
    }

    pub(crate) fn held(&self, slot: Slot) -> Option<&Held> {
        self.slots[slot.index()].as_ref()
    }
    pub(crate) fn active(&self) -> Option<&Held> {
        self.machine.active().and_then(|slot| self.held(slot))
    }
    /// What waits in the inactive slot to take effect.
    pub(crate) fn staged(&self) -> Option<&Held> {
        let slot = self.machine.inactive();
        let staged = self.machine.slot(slot) == SlotState::Staged;
        self.held(slot).filter(|_| staged)
    }
    pub(crate) fn sound(&self) -> bool {
        self.record_health == RecordHealth::Sound
    }
    pub(crate) fn active_is(&self, kind: ComponentKind) -> bool {
        self.active().is_some_and(|held| held.manifest.kind == kind)
    }
    /// Whether it is the sensor as its vendor ships it: a service, and called so.
    pub(crate) fn is_sensor(&self) -> bool {
        let sensor = |held: &Held| held.manifest.component.as_str().contains("sensor");
        self.active_is(ComponentKind::Service) && self.active().is_some_and(sensor)
    }
    pub(crate) fn health_hook(&self) -> Option<&Hook> {
        let held = self.active().filter(|held| held.manifest.kind == ComponentKind::Files)?;
        held.manifest.hooks.health.as_ref()
    }

    pub(crate) fn which(&self, slot: Slot) -> Option<Which> {
        let held = self.held(slot)?;
        Some(Which {
            component: self.id.clone(),
            version: held.in_slot.version,
            release: held.in_slot.release,
        })
    }
    pub(crate) fn which_active(&self) -> Option<Which> {
        self.machine.active().and_then(|slot| self.which(slot))
    }

    /// Never again under this ticket.
    pub(crate) fn remember_bad(&mut self, mark: Mark) {
        crate::record::remember(&mut self.bad, mark);
        let is_bad = |wanted: &Wanted| wanted.in_slot().mark == mark;
        if self.wanted.as_ref().is_some_and(is_bad) {
            self.wanted = None;
        }
    }

    /// Whether this release is there already, in whatever state but given up.
    pub(crate) fn has(&self, release: &Digest) -> bool {
        let in_slots = [Slot::A, Slot::B].into_iter().any(|slot| {
            let usable = !matches!(self.machine.slot(slot), SlotState::Empty | SlotState::Bad);
            usable && self.held(slot).is_some_and(|held| held.in_slot.release == *release)
        });
        in_slots || self.at_work_on(release)
    }

    /// Whether this release is on its way, or waits in its slot.
    pub(crate) fn at_work_on(&self, release: &Digest) -> bool {
        let at_work = match &self.work {
            Work::Fetching(next) | Work::Staging(next) | Work::Validating(next) => {
                next.release == *release
            }
            Work::Idle | Work::Paused { .. } => false,
        };
        let waits = self.staged().is_some_and(|held| held.in_slot.release == *release);
        at_work || waits || self.wanted.as_ref().is_some_and(|next| next.release == *release)
    }

    /// The highest version that is in force, staged or on its way.
    pub(crate) fn newest_version(&self) -> Option<Version> {
        let slots = [Slot::A, Slot::B].into_iter().filter_map(|slot| {
            let usable = !matches!(self.machine.slot(slot), SlotState::Empty | SlotState::Bad);
            self.held(slot).filter(|_| usable).map(|held| held.in_slot.version)
        });
        let wanted = self.wanted.iter().map(|next| next.manifest.version);
        slots.chain(wanted).max()
    }

    /// Whether the other slot holds a newer release that failed here. An older one there is a memory
    /// of safe mode, healed by the release that runs now.
    fn gave_up_newer(&self, active: Slot) -> bool {
        let other = active.other();
        let version = |slot| self.held(slot).map(|held| held.in_slot.version);
        self.machine.slot(other) == SlotState::Bad && version(other) > version(active)
    }

    pub(crate) fn status(&self) -> ComponentStatus {
        let other = self.machine.inactive();
        let observed = self.machine.slot(other) == SlotState::Observed;
        let shown = if observed { self.held(other) } else { self.active() };
        let state = match self.machine.active() {
            _ if !self.sound() => ComponentState::SafeMode,
            _ if observed => ComponentState::Observed,
            None if self.machine.phase() == crate::machine::Phase::Safe => ComponentState::SafeMode,
            None => ComponentState::Empty,
            Some(_) if self.parked => ComponentState::Parked,
            Some(_) if self.machine.probation() => ComponentState::Probation,
            Some(slot) if self.gave_up_newer(slot) => ComponentState::FellBack,
            Some(_) => ComponentState::Confirmed,
        };
        let running = shown.filter(|_| state != ComponentState::SafeMode);
        ComponentStatus {
            component: self.id.clone(),
            version: running.map(|held| held.in_slot.version),
            release: running.map(|held| held.in_slot.release),
            state,
        }
    }
}
