//! What is loaded, in which order, and what stays off.
use super::{Decision, Judge, Off, OnDisk, Part, Report, Starts, Unit, What, charge};
use crate::machine::{Event, Evidence, Phase, Slot};
use crate::record::Record;
use andon_model::digest::Digest;
use andon_model::id::ComponentId;
use andon_model::release::Version;
use andon_model::time::Time;

/// Which release of a component a step loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// which component
    pub component: ComponentId,
    /// where it lies
    pub slot: Slot,
    /// digest of its manifest
    pub release: Digest,
    /// its version
    pub version: Version,
}

/// One unit that the supervisor may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    /// which
    pub unit: ComponentId,
    /// its components
    pub components: Vec<ComponentId>,
}

/// One unit that is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// which
    pub unit: ComponentId,
    /// the kernel module
    pub module: String,
    /// what it is loaded with
    pub members: Vec<Member>,
    /// records that say it is being loaded: durable before it is; none in mode observe
    pub intent: Vec<Record>,
}

impl Step {
    /// Records that say it was loaded.
    #[must_use]
    pub fn loaded(&self, now: Time) -> Vec<Record> {
        self.after(now, Event::Ready)
    }

    /// Records that say it was not loaded after all, by nobody's fault.
    pub(super) fn abandoned(&self, now: Time) -> Vec<Record> {
        self.after(now, Event::Stopped)
    }

    /// It was not loaded although it should have been (no such file, refused by the kernel): its newest
    /// change is charged. Records, and what is told.
    #[must_use]
    pub fn failed(&self, now: Time, why: &str) -> (Vec<Record>, Vec<Report>) {
        let mut records = self.after(now, Event::Stopped);
        let newest = records
            .iter_mut()
            .enumerate()
            .max_by_key(|(at, record)| (record.machine.probation(), record.machine.since(), *at));
        let cause = format!("could not be loaded: {why}");
        let (module, evidence) = (Some(&self.module), Evidence::Crash);
        let reports =
            newest.map(|(_, record)| charge::charge(record, module, now, evidence, false, &cause));
        (records, reports.unwrap_or_default())
    }

    fn after(&self, now: Time, event: Event) -> Vec<Record> {
        let after = |record: &Record| {
            let mut next = record.clone();
            next.sequence += 1;
            next.machine.apply(now, event);
            next
        };
        self.intent.iter().map(after).collect()
    }
}

impl Judge<'_> {
    pub(super) fn decision(mut self, disk: &OnDisk) -> Decision {
        let mut units = std::mem::take(&mut self.units);
        let before = disk.units.iter().flat_map(|unit| &unit.parts);
        let after = units.iter_mut().flat_map(|unit| &mut unit.parts);
        let mut writes = Vec::new();
        for (was, is) in before.zip(after) {
            let (Ok(was), Ok(is)) = (&was.record, &mut is.record) else { continue };
            if was != is {
                is.sequence += 1;
                writes.push(is.clone());
            }
        }
        units.sort_by_key(|unit| (unit.order, unit.risk()));
        let (mut steps, mut allowed, mut off) = (Vec::new(), Vec::new(), Vec::new());
        for unit in &units {
            match (self.off(unit), &unit.starts) {
                (Some(why), _) => off.push((unit.id.clone(), why)),
                (None, Starts::Later) => allowed.push(unit.allow()),
                (None, Starts::AtBoot { module }) => {
                    steps.push(unit.step(module, Some(self.seen.now)));
                }
            }
        }
        let told = off.iter().filter(|(_, why)| *why != Off::NotInstalled);
        let told: Vec<Report> = told.map(|(unit, why)| still_off(unit, why)).collect();
        self.reports.extend(told);
        Decision {
            mode: self.policy.mode,
            now: self.seen.now,
            boot: self.counted(),
            writes,
            steps,
            allowed,
            off,
            fetch: self.fetch(),
            settled: self.settled,
            reports: self.reports,
        }
    }

    /// Why a unit stays off; `None`: it does not.
    fn off(&self, unit: &Unit) -> Option<Off> {
        if self.before.is_none() {
            return Some(Off::BootRecord);
        }
        unit.parts.iter().find_map(|part| self.part_off(part))
    }

    fn part_off(&self, part: &Part) -> Option<Off> {
        let (now, stops, of) = (self.seen.now, self.seen.stops, &part.component);
        let Ok(record) = &part.record else { return Some(Off::Record(of.clone())) };
        if record.machine.phase() == Phase::Safe {
            return Some(Off::SafeMode(of.clone()));
        }
        let Some(held) = part.active() else { return Some(Off::NotInstalled) };
        if held.version < record.version_min {
            return Some(Off::BelowMinimum(of.clone()));
        }
        if stops.parked(now, self.policy.host, &part.vendor, &held.release) {
            return Some(Off::Parked(of.clone()));
        }
        let new = record.machine.probation();
        let frozen = new && stops.frozen(now, &part.vendor, &held.release);
        frozen.then(|| Off::Frozen(of.clone()))
    }
}

pub(super) fn still_off(unit: &ComponentId, why: &Off) -> Report {
    let (component, what) = (unit.clone(), What::Off(why.clone()));
    Report { component, module: None, release: None, version: None, what }
}

impl Unit {
    /// What is charged or new is loaded late: everything else is up by then, and what the intent names
    /// last is what did it.
    fn risk(&self) -> (u8, Time) {
        let risk = |part: &Part| {
            let Ok(record) = &part.record else { return (0, Time(0)) };
            let machine = &record.machine;
            let new = if machine.probation() { 2 } else { u8::from(machine.score() > 0) };
            (new, machine.since())
        };
        self.parts.iter().map(risk).max().unwrap_or((0, Time(0)))
    }

    fn allow(&self) -> Allow {
        let components = self.parts.iter().map(|part| part.component.clone()).collect();
        Allow { unit: self.id.clone(), components }
    }

    fn step(&self, module: &str, intent: Option<Time>) -> Step {
        let records = || self.parts.iter().filter_map(|part| part.record.as_ref().ok());
        let member = |record: &Record| {
            let slot = record.machine.active()?;
            let held = record.slot(slot)?;
            let (release, version) = (held.release, held.version);
            Some(Member { component: record.component.clone(), slot, release, version })
        };
        let intended = |record: &Record| {
            let mut next = record.clone();
            next.sequence += 1;
            let now = intent?;
            next.machine.apply(now, Event::Stopped);
            next.machine.apply(now, Event::Started);
            Some(next)
        };
        Step {
            unit: self.id.clone(),
            module: module.to_owned(),
            members: records().filter_map(member).collect(),
            intent: records().filter_map(intended).collect(),
        }
    }
}

/// Mode observe: everything starts as it would without a guard, and nothing is written.
pub(super) fn as_it_is(units: &[Unit]) -> (Vec<Step>, Vec<Allow>) {
    let (mut steps, mut allowed) = (Vec::new(), Vec::new());
    for unit in units {
        match &unit.starts {
            Starts::AtBoot { module } => steps.push(unit.step(module, None)),
            Starts::Later => allowed.push(unit.allow()),
        }
    }
    (steps, allowed)
}
