//! A host with one kernel module of a vendor, played boot by boot: the guard decides, the module loads,
//! and something happens. Its disk is what the records say; files and processes are left out.
use andon_host::boot::{
    Crash, Decision, Ending, Fetching, OnDisk, Part, Policy, Seen, Starts, Unit, What, decide,
};
use andon_host::boot_record::{BootId, BootRecord, GuardMode};
use andon_host::machine::{Event, Outcome, Phase};
use andon_host::record::{CrashMark, InSlot, Mark, Record};
use andon_host::stops::Stops;
use andon_host::{Slot, SlotState};
use andon_model::Digest;
use andon_model::directive::{Demand, Directive};
use andon_model::handover::{DirectiveSeen, FreezeSeen};
use andon_model::id::{ComponentId, OperatorId, RolloutId, VendorId};
use andon_model::release::Version;
use andon_model::stop::{Freeze, Party, Scope};
use andon_model::text::Text;
use andon_model::time::{Millis, Time};
use std::collections::BTreeSet;

pub(crate) const SOAK: Millis = Millis::from_secs(60);
pub(crate) const MODULE: &str = "fbsensor";

/// What happens at a boot and after it, or before the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// the power goes while the module is being loaded
    PowerCutLoading,
    /// the power goes while it runs, in its watch period if it is new
    PowerCutRunning,
    /// loading it crashes the kernel, and the kernel's record names it
    CrashNamed,
    /// it runs, then it crashes the kernel, and the kernel's record names it
    CrashNamedRunning,
    /// loading it crashes the host, and nothing is left that tells
    CrashUnexplained,
    /// it hangs while loading, and the watchdog resets the host
    Hang,
    /// it runs well through its watch period and is shut down in order
    Good,
    /// the newest release here is frozen
    Freeze,
    /// the active release is frozen
    FreezeActive,
    /// a new release is staged
    NewRelease,
    /// people raise the minimum as far as it goes
    Minimum,
}

/// Every event that the contract names.
pub(crate) const NAMED: [Life; 7] = [
    Life::PowerCutLoading,
    Life::PowerCutRunning,
    Life::CrashNamed,
    Life::CrashUnexplained,
    Life::Good,
    Life::Freeze,
    Life::NewRelease,
];
/// Those and some more.
pub(crate) const ALL: [Life; 11] = [
    Life::PowerCutLoading,
    Life::PowerCutRunning,
    Life::CrashNamed,
    Life::CrashNamedRunning,
    Life::CrashUnexplained,
    Life::Hang,
    Life::Good,
    Life::Freeze,
    Life::FreezeActive,
    Life::NewRelease,
    Life::Minimum,
];

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) boot: BootRecord,
    pub(crate) record: Record,
    pub(crate) ending: Ending,
    pub(crate) frozen: BTreeSet<u32>,
    /// versions that were confirmed on this host
    pub(crate) confirmed: BTreeSet<u32>,
    pub(crate) minimum: bool,
    pub(crate) newest: u32,
    pub(crate) crashes: u8,
    /// fallbacks so far, and since the last new release those that unexplained ends have caused on a
    /// release that was confirmed
    pub(crate) fallbacks: u8,
    pub(crate) unexplained_fallbacks: u8,
}

/// One boot: what was there, what was decided, what was loaded.
#[derive(Debug)]
pub(crate) struct Boot {
    pub(crate) before: Record,
    pub(crate) decision: Decision,
    pub(crate) loaded: Option<Version>,
}

pub(crate) fn component() -> ComponentId {
    ComponentId::new("sensor").unwrap()
}
pub(crate) fn vendor() -> VendorId {
    VendorId::new("acme").unwrap()
}
pub(crate) fn release(version: u32) -> Digest {
    let mut digest = Digest([7; 32]);
    digest.0[..4].copy_from_slice(&version.to_le_bytes());
    digest
}
pub(crate) fn in_slot(version: u32) -> InSlot {
    let release = release(version);
    let mark = Mark::of(&RolloutId::new("r").unwrap(), &release);
    InSlot { release, version: Version(version), mark }
}
pub(crate) fn freeze(version: u32) -> FreezeSeen {
    let freeze = Freeze {
        schema: 1,
        by: Party::Platform,
        scope: Scope::Release(release(version)),
        reason: Text::default(),
        issued: Time(0),
        expires: Time(u64::MAX),
    };
    FreezeSeen { digest: release(1000 + version), freeze }
}
pub(crate) fn directive(demand: Demand) -> DirectiveSeen {
    let directive = Directive {
        schema: 1,
        by: Party::Operator(OperatorId::new("hospital").unwrap()),
        demand,
        reason: Text::default(),
        issued: Time(0),
        expires: Time(u64::MAX),
    };
    DirectiveSeen { digest: release(2000), directive }
}
pub(crate) fn part(record: Record) -> Part {
    Part { component: record.component.clone(), vendor: vendor(), record: Ok(record), soak: SOAK }
}
pub(crate) fn unit(name: &str, module: &str, parts: Vec<Part>) -> Unit {
    let starts = Starts::AtBoot { module: module.to_owned() };
    Unit { id: ComponentId::new(name).unwrap(), order: 0, starts, parts }
}
pub(crate) const ENFORCE: Policy =
    Policy { mode: GuardMode::Enforce, fetch: Fetching::AfterCharge, host: None };

/// A record whose active slot holds this version, confirmed.
pub(crate) fn confirmed(name: &str, version: u32, at: Time) -> Record {
    let mut record = Record::new(ComponentId::new(name).unwrap());
    stage(&mut record, version, at);
    for event in [Event::Activated { soak: SOAK }, Event::Started, Event::Ready] {
        record.machine.apply(at, event);
    }
    assert_eq!(record.machine.apply(at.plus(SOAK), Event::Tick), Outcome::Confirmed);
    record
}
pub(crate) fn stage(record: &mut Record, version: u32, at: Time) -> bool {
    let slot = record.machine.inactive();
    let cleared = record.machine.apply(at, Event::Cleared) == Outcome::Noted;
    if cleared {
        record.machine.apply(at, Event::Staged);
        record.slots[slot as usize] = Some(in_slot(version));
    }
    cleared
}

impl World {
    pub(crate) fn new() -> World {
        World {
            now: Time::default().plus(Millis::from_secs(86_400 * 365)),
            boot: BootRecord::NEW,
            record: Record::new(component()),
            ending: Ending::Clean,
            frozen: BTreeSet::new(),
            confirmed: BTreeSet::new(),
            minimum: false,
            newest: 0,
            crashes: 0,
            fallbacks: 0,
            unexplained_fallbacks: 0,
        }
    }

    pub(crate) fn version(&self, slot: Slot) -> Option<u32> {
        self.record.slot(slot).map(|held| held.version.0)
    }
    pub(crate) fn active(&self) -> Option<u32> {
        self.record.machine.active().and_then(|slot| self.version(slot))
    }

    pub(crate) fn decide(&self, policy: &Policy) -> Decision {
        let freezes: Vec<_> = self.frozen.iter().map(|version| freeze(*version)).collect();
        let demand = Demand::Minimum { component: component(), version: Version(u32::MAX) };
        let directives: Vec<_> = self.minimum.then(|| directive(demand)).into_iter().collect();
        let stops = Stops { freezes: &freezes, directives: &directives };
        let units = vec![unit("sensor", MODULE, vec![part(self.record.clone())])];
        let disk = OnDisk { boot: Some(self.boot), units };
        let boot = BootId(self.now.0.to_le_bytes().repeat(2).try_into().unwrap());
        let seen = Seen { ending: self.ending.clone(), now: self.now, boot, stops };
        decide(&disk, &seen, policy)
    }

    /// One event; the boot in it, if it had one. Everything that the guard writes is durable here: what is
    /// not is for the crash states.
    pub(crate) fn apply(&mut self, life: Life) -> Option<Boot> {
        self.now = self.now.plus(Millis::from_secs(60));
        match life {
            Life::Freeze => {
                self.frozen.extend(Some(self.newest));
                return None;
            }
            Life::FreezeActive => {
                self.frozen.extend(self.active());
                return None;
            }
            Life::NewRelease => {
                if stage(&mut self.record, self.newest + 1, self.now) {
                    self.newest += 1;
                }
                return None;
            }
            Life::Minimum => {
                self.minimum = true;
                return None;
            }
            _ => {}
        }
        let before = self.record.clone();
        let decision = self.decide(&ENFORCE);
        self.count_fallbacks(&before, &decision);
        self.boot = decision.boot;
        self.minimum = false;
        self.record = decision.writes.first().unwrap_or(&self.record).clone();
        let Some(step) = decision.steps.first() else {
            self.ending = Ending::Clean;
            return Some(Boot { before, decision, loaded: None });
        };
        self.record.clone_from(&step.intent[0]);
        let loaded = Some(step.members[0].version);
        let runs = matches!(life, Life::PowerCutRunning | Life::CrashNamedRunning | Life::Good);
        if runs {
            self.record.clone_from(&step.loaded(self.now)[0]);
        }
        self.ends(life);
        Some(Boot { before, decision, loaded })
    }

    fn ends(&mut self, life: Life) {
        self.ending = match life {
            Life::CrashNamed | Life::CrashNamedRunning => {
                self.crashes += 1;
                let mark = CrashMark([self.crashes; 16]);
                Ending::Crash(Crash { modules: vec![MODULE.to_owned()], mark })
            }
            Life::Hang => Ending::Watchdog,
            Life::Good => {
                self.record.machine.apply(self.now.plus(SOAK), Event::Tick);
                self.confirmed.extend(self.active());
                self.record.machine.apply(self.now.plus(SOAK), Event::Stopped);
                Ending::Clean
            }
            _ => Ending::Unexplained,
        };
    }

    fn count_fallbacks(&mut self, before: &Record, decision: &Decision) {
        let is = |wanted: fn(&What) -> bool| decision.reports.iter().any(|one| wanted(&one.what));
        if is(|what| *what == What::Activated) {
            self.unexplained_fallbacks = 0;
        }
        if is(|what| matches!(what, What::FellBack { .. } | What::TooManyFallbacks)) {
            self.fallbacks = self.fallbacks.saturating_add(1).min(3);
            let doubt = self.ending == Ending::Unexplained && !before.machine.probation();
            self.unexplained_fallbacks += u8::from(doubt);
        }
    }

    /// Everything about it that the future depends on. The two slots are called by what they are for: which
    /// of them is the first one matters to nobody, nor what lies in one that is given up.
    pub(crate) fn key(&self) -> impl Ord + use<> {
        let (machine, min) = (&self.record.machine, self.record.version_min.0);
        let active = machine.inactive().other();
        let slots = [active, active.other()].map(|slot| {
            let state = machine.slot(slot);
            let used = !matches!(state, SlotState::Empty | SlotState::Bad);
            let version = self.version(slot).filter(|_| used);
            let frozen = version.is_some_and(|it| self.frozen.contains(&it));
            (state as u8, frozen, version.map(|it| it.cmp(&min)))
        });
        let ending = match &self.ending {
            Ending::Clean => 0,
            Ending::Crash(_) => 1,
            Ending::Watchdog => 2,
            Ending::Unexplained => 3,
        };
        (
            (slots, machine.active().is_some()),
            (machine.phase() as u8, machine.score(), ending),
            (self.fallbacks, self.unexplained_fallbacks, self.minimum),
        )
    }

    pub(crate) fn runs_confirmed(&self) -> bool {
        let machine = &self.record.machine;
        let confirmed = |slot| machine.slot(slot) == SlotState::Confirmed;
        machine.phase() == Phase::Running && machine.active().is_some_and(confirmed)
    }
}
