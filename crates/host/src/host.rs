//! A host: all components and services together. This file holds the state and hands each input to
//! the file of its family: `offer` (what comes in), `service` (what runs), `blame` (what failed),
//! `health` (hooks and probes), `directive` (what thresholds demand), `report` (what is told).
use crate::command::Command;
use crate::component::{Component, RecordHealth, Wanted, Work};
use crate::health::ProbeSeen;
use crate::input::{Found, Input, Previous};
use crate::machine::{Event, Evidence, Phase, Slot, SlotState};
use crate::report::Outbox;
use crate::service::{Run, Service};
use crate::stops::Stops;
use crate::storage::Stored as _;
use andon_model::digest::Digest;
use andon_model::facts::{FactName, Facts};
use andon_model::handover::{DirectiveSeen, FreezeSeen};
use andon_model::host_journal::Fact;
use andon_model::id::{ComponentId, HostId, VendorId};
use andon_model::limits::COMPONENTS_MAX;
use andon_model::policy::Watch;
use andon_model::release::{ComponentKind, Probe};
use andon_model::text::Text;
use andon_model::time::{Millis, Time};
use std::collections::BTreeMap;

/// A service that comes with the host's own packages: watched, not updated by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// its name: contents name it as their consumer
    pub component: ComponentId,
    /// program and arguments
    pub exec: Vec<String>,
}

/// What a host is told once.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// its id, once it has one
    pub host: Option<HostId>,
    /// counts up with every start, stored by the caller: keeps beat and charge numbers rising
    pub boot: u32,
    /// services that are not components
    pub builtin: Vec<Builtin>,
    /// release of the running kernel; `None`: not known
    pub kernel: Option<FactName>,
}

/// Whether anything may be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Fresh,
    Up,
    Leaving,
}

/// The core. One per host.
#[derive(Debug)]
pub struct Host {
    pub(crate) id: Option<HostId>,
    pub(crate) boot: u32,
    kernel: Option<FactName>,
    pub(crate) now: Time,
    pub(crate) life: Life,
    pub(crate) out: Vec<Command>,
    pub(crate) components: BTreeMap<ComponentId, Component>,
    pub(crate) services: BTreeMap<ComponentId, Service>,
    pub(crate) freezes: Vec<FreezeSeen>,
    pub(crate) directives: Vec<DirectiveSeen>,
    pub(crate) watch: Watch,
    pub(crate) policy_probes: Vec<Probe>,
    pub(crate) probes: BTreeMap<ComponentId, ProbeSeen>,
    pub(crate) probe_next: Time,
    pub(crate) outbox: Outbox,
}

impl Host {
    /// A host that has not booted yet.
    #[must_use]
    pub fn new(config: HostConfig) -> Host {
        let builtin = config.builtin.into_iter().take(COMPONENTS_MAX);
        Host {
            id: config.host,
            boot: config.boot,
            kernel: config.kernel,
            now: Time(0),
            life: Life::Fresh,
            out: Vec::new(),
            components: BTreeMap::new(),
            services: builtin.map(|one| (one.component, Service::builtin(one.exec))).collect(),
            freezes: Vec::new(),
            directives: Vec::new(),
            // Until a policy is known: often enough for probes, seldom enough for nobody to notice.
            watch: Watch {
                beat: Millis::from_secs(60),
                silent_after: Millis::from_secs(180),
                restart_missed_ppm: andon_model::policy::restart_missed_ppm(),
            },
            policy_probes: Vec::new(),
            probes: BTreeMap::new(),
            probe_next: Time(0),
            outbox: Outbox::default(),
        }
    }

    /// Takes one input and says what to do. Total: never fails, whatever the input.
    pub fn apply(&mut self, now: Time, input: Input) -> Vec<Command> {
        self.now = now;
        match input {
            Input::Booted { found, previous } => self.booted(found, previous),
            Input::Enrolled { host } => self.enrolled(host),
            Input::PolicySeen { watch, probes } => {
                self.watch = watch;
                self.policy_probes = probes;
            }
            Input::Offered { release, rollout, generation, begun, manifest } => {
                self.offered(Wanted { release, rollout, begun, manifest }, generation);
            }
            Input::Fetched { release } => self.fetched(&release),
            Input::FetchFailed { release, why } => self.fetch_failed(&release, &why),
            Input::Staged { component, release } => self.staged(&component, &release),
            Input::StageFailed { component, release, why } => {
                self.stage_failed(&component, &release, &why);
            }
            Input::RecordFailed { component, sequence, why } => {
                self.record_failed(&component, sequence, &why);
            }
            Input::ServiceReady { component } => self.service_ready(&component),
            Input::ServiceExited { component, exit } => self.service_exited(&component, exit),
            Input::ServiceHung { component } => {
                self.service_hung(&component, "missed its watchdog")
            }
            Input::StartFailed { component, why } => self.start_failed(&component, &why),
            Input::HookEnded { component, slot, hook, well } => {
                self.hook_ended(&component, slot, hook, well);
            }
            Input::ProbeAnswered { name, well } => self.probe_answered(&name, well),
            Input::FreezesSeen { freezes } => self.freezes_seen(freezes),
            Input::DirectivesSeen { directives } => self.directives_seen(directives),
            Input::ChargesStored { up_to } => self.outbox.stored(up_to),
            Input::AlertSeen { alert } => self.alert_seen(*alert),
            Input::SensorSeen { status } => self.outbox.sensor = Some(status),
            Input::Tick => self.tick(),
            Input::Leaving => self.leaving(),
        }
        if self.life == Life::Up {
            self.obey_directives();
            self.settle();
        }
        std::mem::take(&mut self.out)
    }

    /// What this host runs now: its kernel, the build of its sensor, and what that said it can do.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let said = self.outbox.sensor.as_ref();
        let digest = |it: Digest| FactName::new(&it.to_string()).ok();
        let component = self.components.values().find(|one| one.is_sensor());
        let sensor = match component.and_then(Component::active) {
            Some(held) => digest(held.in_slot.release),
            None => said.and_then(|status| status.build.clone()),
        };
        let rung = said.and_then(|status| FactName::new(status.source.name()).ok());
        Facts { kernel: self.kernel.clone(), sensor, rung }
    }

    /// When to apply `Tick` at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let runs = self.services.values().filter_map(|service| match service.run {
            Run::Starting { until } | Run::Reloading { until } => Some(until),
            Run::Paused { until } if self.life == Life::Up => Some(until),
            _ => None,
        });
        let soaks = self.components.values().filter(|one| !self.kept_from_confirming(one));
        let soaks = soaks.filter_map(|one| one.machine.soak_ends());
        let pauses = self.components.values().filter_map(|one| match one.work {
            Work::Paused { until } => Some(until),
            _ => None,
        });
        let probes = self.has_questions().then_some(self.probe_next);
        let parks = self.next_park();
        runs.chain(soaks).chain(pauses).chain(probes).chain(parks).min()
    }

    fn tick(&mut self) {
        self.freezes.retain(|seen| self.now < seen.freeze.expires);
        self.directives.retain(|seen| self.now < seen.directive.expires);
        self.services_tick();
        self.soaks_tick();
        self.questions_tick();
    }

    fn enrolled(&mut self, host: HostId) {
        if self.id != Some(host) {
            self.id = Some(host);
            self.journal(Fact::Enrolled);
        }
    }

    /// Reads the records, charges what was being risked when the lights went out, starts the rest.
    fn booted(&mut self, found: Vec<Found>, previous: Previous) {
        self.life = Life::Up;
        self.journal(Fact::Booted { boot: self.boot });
        for found in found.into_iter().take(COMPONENTS_MAX) {
            self.restore(found);
        }
        self.number_charges();
        self.charge_what_was_risked(previous);
        let ids: Vec<ComponentId> = self.components.keys().cloned().collect();
        for id in ids {
            self.check_manifests(&id);
            self.resume(&id);
        }
    }

    fn restore(&mut self, found: Found) {
        match found.record {
            Ok(record) => {
                let numbered = record.charge.clone().filter(|charge| charge.number > 0);
                self.outbox.unreported(numbered);
                let component = Component::restored(record, &found.manifests);
                self.components.insert(found.component, component);
            }
            Err(error) => {
                let mut component = Component::new(found.component.clone());
                component.record_health = RecordHealth::Broken;
                self.refused(&format!("record of {}", found.component), &error.to_string());
                self.components.insert(found.component, component);
            }
        }
    }

    /// What the guard has charged gets its number here, once, and goes into the next beat.
    fn number_charges(&mut self) {
        let (boot, mut numbered) = (self.boot, Vec::new());
        for component in self.components.values_mut() {
            let Some(charge) = component.charge.as_mut().filter(|charge| charge.number == 0) else {
                continue;
            };
            charge.number = self.outbox.next_charge_number(boot);
            numbered.push((component.id.clone(), charge.clone()));
        }
        for (id, charge) in numbered {
            self.write_record(&id);
            self.outbox.unreported(Some(charge));
        }
    }

    fn charge_what_was_risked(&mut self, previous: Previous) {
        let (evidence, cause) = match previous {
            Previous::HostEnded => (Evidence::HostDied, "host went down in its watch period"),
            Previous::SupervisorEnded => (Evidence::Unexplained, "supervisor ended while loading"),
            Previous::Judged => return,
        };
        let risked = |one: &&Component| {
            let phase = one.machine.phase();
            phase == Phase::Loading || (phase == Phase::Soaking && previous == Previous::HostEnded)
        };
        let newest = self.components.values().filter(risked).max_by_key(|one| one.machine.since());
        if let Some(id) = newest.map(|one| one.id.clone()) {
            self.charge(&id, evidence, cause);
        }
    }

    /// A slot that should run but whose manifest is gone is given up; so, if need be, is the other.
    fn check_manifests(&mut self, id: &ComponentId) {
        for _ in [Slot::A, Slot::B] {
            let Some(component) = self.components.get_mut(id) else { return };
            if component.machine.active().is_none() || component.active().is_some() {
                return;
            }
            let outcome = component.machine.apply(self.now, Event::Unusable);
            let why = "its manifest is missing or not the recorded one";
            self.refused(&format!("slot of {id}"), why);
            self.after_loss(id, outcome);
        }
    }

    /// Brings a restored component back: a service gets its entry, files their link.
    fn resume(&mut self, id: &ComponentId) {
        let Some(component) = self.components.get_mut(id) else { return };
        component.machine.apply(self.now, Event::Stopped);
        let Some(slot) = component.machine.active() else { return };
        if component.active_is(ComponentKind::Service) {
            self.services.entry(id.clone()).or_insert_with(Service::of_component);
        } else if component.active_is(ComponentKind::Files) {
            component.machine.apply(self.now, Event::Started);
            component.machine.apply(self.now, Event::Ready);
            self.write_record(id);
            self.out.push(Command::SwitchCurrent { component: id.clone(), slot });
        }
    }

    fn record_failed(&mut self, id: &ComponentId, sequence: Option<u64>, why: &str) {
        self.refused(&format!("write record of {id}"), why);
        let now = self.now;
        let Some(component) = self.components.get_mut(id) else { return };
        component.record_health = RecordHealth::Broken;
        component.work = Work::Idle;
        // The next write takes the number and so the place of the one that failed: the other copy is all
        // that the disk has vouched for.
        component.sequence = sequence.map_or(component.sequence, |failed| failed.saturating_sub(1));
        // What was just made active in memory is not so on disk, and was not started.
        if component.machine.probation() && component.machine.phase() == Phase::Loading {
            component.machine.apply(now, Event::Unusable);
        }
        for name in self.services_of(id) {
            let Some(service) = self.services.get_mut(&name) else { continue };
            service.run = match service.run {
                Run::Starting { .. } => Run::Off,
                Run::Reloading { .. } => Run::Up { since: now },
                run => run,
            };
        }
    }

    fn leaving(&mut self) {
        self.life = Life::Leaving;
        self.stop_everything();
        let ids: Vec<ComponentId> = self.components.keys().cloned().collect();
        for id in ids {
            let Some(component) = self.components.get_mut(&id) else { continue };
            let before = component.machine;
            component.machine.apply(self.now, Event::Stopped);
            if before != component.machine {
                self.write_record(&id);
            }
        }
        self.journal(Fact::Goodbye);
    }

    pub(crate) fn write_record(&mut self, id: &ComponentId) {
        let Some(component) = self.components.get_mut(id) else { return };
        component.sequence += 1;
        let record = component.record();
        self.out.push(Command::WriteRecord {
            component: id.clone(),
            sequence: record.sequence,
            bytes: record.encode(),
        });
    }

    pub(crate) fn journal(&mut self, fact: Fact) {
        self.out.push(Command::Journal(fact));
    }

    pub(crate) fn refused(&mut self, what: &str, why: &str) {
        self.journal(Fact::Refused { what: Text::clipped(what), why: Text::clipped(why) });
    }

    pub(crate) fn stops(&self) -> Stops<'_> {
        Stops { freezes: &self.freezes, directives: &self.directives }
    }

    /// Whether a freeze concerns this release, or a directive that it is to run nowhere.
    pub(crate) fn frozen(&self, vendor: &VendorId, release: &Digest) -> bool {
        self.stops().frozen(self.now, vendor, release)
    }

    /// Whether the release in this slot is frozen.
    pub(crate) fn slot_frozen(&self, component: &Component, slot: Slot) -> bool {
        component.machine.slot(slot) != SlotState::Empty
            && component
                .held(slot)
                .is_some_and(|held| self.frozen(&held.manifest.vendor, &held.in_slot.release))
    }
}
