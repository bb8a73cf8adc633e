//! What thresholds demand of healthy hosts too: going back by a recall, being parked, a minimum version.
use crate::component::{Component, Wanted};
use crate::host::Host;
use crate::machine::{Event, Slot, SlotState};
use crate::stops::parks_at;
use andon_model::digest::Digest;
use andon_model::handover::DirectiveSeen;
use andon_model::host_journal::Fact;
use andon_model::id::ComponentId;
use andon_model::release::{ComponentKind, Version};
use andon_model::time::Time;

impl Host {
    pub(crate) fn directives_seen(&mut self, directives: Vec<DirectiveSeen>) {
        let known = |seen: &&DirectiveSeen| {
            !self.directives.iter().any(|known| known.digest == seen.digest)
        };
        let new: Vec<Digest> = directives.iter().filter(known).map(|seen| seen.digest).collect();
        for directive in new {
            self.journal(Fact::DirectiveSeen { directive });
        }
        self.directives = directives;
        self.obey_freezes();
    }

    /// Whether a recall lets this host go from what it runs back to what is wanted. A rollout that has
    /// begun before it, long at everybody perhaps, is not the gated way back.
    pub(crate) fn recalled_to(&self, wanted: &Wanted) -> bool {
        let component = self.components.get(&wanted.manifest.component);
        let Some(active) = component.and_then(Component::active) else { return false };
        let mut demanded = self.stops().demanded(self.now, &active.manifest.vendor);
        demanded.any(|DirectiveSeen { directive, .. }| {
            directive.issued <= wanted.begun
                && directive.lets_back(&active.in_slot.release, &wanted.release)
        })
    }

    /// Whether the component is switched off now. Files have nothing that runs.
    pub(crate) fn parked(&self, component: &Component) -> bool {
        let Some(active) = component.active() else { return false };
        let (vendor, release) = (&active.manifest.vendor, &active.in_slot.release);
        active.manifest.kind != ComponentKind::Files
            && self.stops().parked(self.now, self.id, vendor, release)
    }

    /// The next moment at which a PARK begins or ends here.
    pub(crate) fn next_park(&self) -> Option<Time> {
        let times = self.directives.iter().filter_map(|seen| {
            let (_, at) = parks_at(seen, self.id)?;
            Some(if at > self.now { at } else { seen.directive.expires })
        });
        times.filter(|at| *at > self.now).min()
    }

    /// Brings every component in line; what runs is started and stopped afterwards, when all settles.
    pub(crate) fn obey_directives(&mut self) {
        let ids: Vec<ComponentId> = self.components.keys().cloned().collect();
        for id in ids {
            self.obey_park(&id);
            self.obey_minimum(&id);
        }
    }

    fn obey_park(&mut self, id: &ComponentId) {
        let Some(component) = self.components.get(id) else { return };
        let parked = self.parked(component);
        if parked == component.parked {
            return;
        }
        let Some(component) = self.components.get_mut(id) else { return };
        component.parked = parked;
        let which = component.which_active();
        if parked {
            // What is off is not charged with what happens meanwhile.
            component.machine.apply(self.now, Event::Stopped);
            self.write_record(id);
        }
        let Some(which) = which else { return };
        self.journal(if parked { Fact::Parked { which } } else { Fact::Unparked { which } });
    }

    /// A minimum rises to what this host itself has seen run well, and no higher.
    fn obey_minimum(&mut self, id: &ComponentId) {
        let Some(component) = self.components.get(id) else { return };
        let Some(slot) = component.machine.active() else { return };
        let Some(active) = component.held(slot) else { return };
        if component.machine.slot(slot) != SlotState::Confirmed {
            return;
        }
        let here = active.in_slot.version;
        let asked = self.stops().minimum(self.now, &active.manifest.vendor, id);
        let Some(version) = asked.map(|version| version.min(here)) else { return };
        if version <= component.version_min {
            return;
        }
        let Some(component) = self.components.get_mut(id) else { return };
        component.version_min = version;
        if component.below_minimum(slot.other()) {
            component.forget_other(self.now, slot);
        }
        self.write_record(id);
        self.journal(Fact::MinimumRaised { component: id.clone(), version });
    }

    /// Whether what lies in this slot will never take effect here.
    pub(crate) fn dead(&self, component: &Component, slot: Slot) -> bool {
        self.slot_frozen(component, slot) || component.below_minimum(slot)
    }
}

impl Component {
    /// Whether this slot holds a version that is too old by now.
    pub(crate) fn below_minimum(&self, slot: Slot) -> bool {
        let version: Option<Version> = self.held(slot).map(|held| held.in_slot.version);
        version.is_some_and(|version| version < self.version_min)
    }

    /// The other slot is no longer something to fall back to.
    fn forget_other(&mut self, now: Time, active: Slot) {
        self.machine.apply(now, Event::Outdated);
        self.slots[active.other().index()] = None;
    }
}
