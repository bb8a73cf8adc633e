//! Whom the end of the last boot is charged to, and what stops demand before anything loads.
//!
//! Charged is what was being risked: what was loading, else what was in its watch period; of several the
//! newest change. A crash whose own record names one of our modules is charged to the newest change of
//! that module whatever was going on. What ran confirmed is charged with nothing else.
use super::{Crash, Ending, Judge, Part, Report, Starts, Unit, What};
use crate::machine::{Event, Evidence, Outcome, Phase, SlotState};
use crate::record::{CrashMark, InSlot, Record, remember};
use andon_model::beat::Charge;
use andon_model::text::Text;
use andon_model::time::Time;

/// A part, by where it stands.
#[derive(Clone, Copy)]
struct At {
    unit: usize,
    part: usize,
}

impl Judge<'_> {
    pub(super) fn charge_what_was_risked(&mut self) {
        self.outdate_all();
        let (evidence, cause, mark) = match &self.seen.ending {
            _ if self.ended_in_order() => return self.end_all(),
            Ending::Crash(crash) if self.charged_before(crash) => return self.end_all(),
            Ending::Crash(crash) => match self.named(crash) {
                // Off in this boot; the crash is charged when its record can be read again.
                Some((None, _)) => {
                    self.settled = false;
                    return self.end_all();
                }
                Some((Some(at), module)) => {
                    let cause = format!("kernel crash in module {module}");
                    self.charge(at, Evidence::HostCrashed, &cause, crash.mark);
                    return self.end_all();
                }
                None => match crash.modules.first() {
                    None => (Evidence::HostCrashed, "kernel crash".to_owned(), crash.mark),
                    // Perhaps it was ours that broke the other one; more than doubt that is not.
                    Some(other) => {
                        let cause = format!("kernel crash in another's module {other}");
                        (Evidence::Unexplained, cause, crash.mark)
                    }
                },
            },
            Ending::Watchdog => {
                (Evidence::HostCrashed, "reset by the watchdog".to_owned(), CrashMark::NONE)
            }
            Ending::Clean | Ending::Unexplained => (
                Evidence::Unexplained,
                "the host went down unexplained".to_owned(),
                CrashMark::NONE,
            ),
        };
        if let Some(at) = self.risked() {
            self.charge(at, evidence, &cause, mark);
        }
        self.end_all();
    }

    fn charged_before(&self, crash: &Crash) -> bool {
        self.records().any(|(_, record)| record.crash == crash.mark)
    }

    /// The newest change of the unit whose module the crash names first; of which there is none when one of
    /// its records cannot be read.
    fn named(&self, crash: &Crash) -> Option<(Option<At>, String)> {
        let place = |unit: &Unit| match &unit.starts {
            Starts::AtBoot { module } => crash.names(module).map(|at| (at, module.clone())),
            Starts::Later => None,
        };
        let units = self.units.iter().enumerate();
        let (_, at, module) = units
            .filter_map(|(at, unit)| place(unit).map(|(first, module)| (first, at, module)))
            .min()?;
        let whole = self.units[at].parts.iter().all(|part| part.record.is_ok());
        Some((self.newest(|of, _| whole && of.unit == at), module))
    }

    /// What was loading, else what was in its watch period: but where a record cannot be read, its
    /// component may have been loading.
    fn risked(&self) -> Option<At> {
        let phase = |phase| self.newest(move |_, record| record.machine.phase() == phase);
        let whole = self.units.iter().flat_map(|unit| &unit.parts).all(|part| part.record.is_ok());
        phase(Phase::Loading).or_else(|| phase(Phase::Soaking).filter(|_| whole))
    }

    fn newest(&self, which: impl Fn(At, &Record) -> bool) -> Option<At> {
        let candidates = self
            .records()
            .filter(|(at, record)| record.machine.active().is_some() && which(*at, record));
        let newest = candidates.max_by_key(|(at, record)| {
            (record.machine.probation(), record.machine.since(), at.part)
        });
        newest.map(|(at, _)| at)
    }

    fn records(&self) -> impl Iterator<Item = (At, &Record)> {
        self.units.iter().enumerate().flat_map(|(unit, one)| {
            let parts = one.parts.iter().enumerate();
            parts.filter_map(move |(part, it)| Some((At { unit, part }, it.record.as_ref().ok()?)))
        })
    }

    fn charge(&mut self, at: At, evidence: Evidence, cause: &str, mark: CrashMark) {
        let (now, stops) = (self.seen.now, self.seen.stops);
        let Some(unit) = self.units.get_mut(at.unit) else { return };
        let module = unit.module();
        let Some(part) = unit.parts.get_mut(at.part) else { return };
        let Some(held) = part.active().copied() else { return };
        let frozen = stops.frozen(now, &part.vendor, &held.release);
        let Ok(record) = &mut part.record else { return };
        record.crash = mark;
        let reports = charge(record, module.as_ref(), now, evidence, frozen, cause);
        self.charged = self.charged.max_with(evidence);
        self.reports.extend(reports);
    }

    /// What ended is over: it is not charged again at the next boot.
    fn end_all(&mut self) {
        let now = self.seen.now;
        for record in self.records_mut() {
            if matches!(record.machine.phase(), Phase::Loading | Phase::Soaking) {
                record.machine.apply(now, Event::Stopped);
            }
        }
    }

    fn records_mut(&mut self) -> impl Iterator<Item = &mut Record> {
        let parts = self.units.iter_mut().flat_map(|unit| unit.parts.iter_mut());
        parts.filter_map(|part| part.record.as_mut().ok())
    }

    fn outdate_all(&mut self) {
        let now = self.seen.now;
        self.records_mut().for_each(|record| outdate(record, now));
    }

    /// Minimums rise, frozen releases that were never confirmed or are charged are left, and what lies
    /// staged takes effect where the guard is who starts it.
    pub(super) fn obey_stops(&mut self) {
        let mut units = std::mem::take(&mut self.units);
        for unit in &mut units {
            let (module, at_boot) = (unit.module(), unit.starts != Starts::Later);
            for part in &mut unit.parts {
                self.raise_minimum(part, module.as_ref());
                self.leave_frozen(part, module.as_ref());
                if at_boot {
                    self.activate(part, module.as_ref());
                }
            }
        }
        self.units = units;
    }

    /// A minimum rises to what this host has confirmed, and no higher.
    fn raise_minimum(&mut self, part: &mut Part, module: Option<&String>) {
        let (now, stops) = (self.seen.now, self.seen.stops);
        let Some(held) = part.active().copied() else { return };
        let asked = stops.minimum(now, &part.vendor, &part.component);
        let Ok(record) = &mut part.record else { return };
        let confirmed = !record.machine.probation();
        let version = asked.map(|asked| asked.min(held.version)).filter(|_| confirmed);
        let Some(version) = version.filter(|version| *version > record.version_min) else { return };
        record.version_min = version;
        outdate(record, now);
        self.reports.push(report(record, module, &held, What::MinimumRaised(version)));
    }

    fn leave_frozen(&mut self, part: &mut Part, module: Option<&String>) {
        let (now, stops) = (self.seen.now, self.seen.stops);
        let Some(held) = part.active().copied() else { return };
        let frozen = stops.frozen(now, &part.vendor, &held.release);
        let Ok(record) = &mut part.record else { return };
        let unwell = record.machine.probation() || record.machine.score() > 0;
        if !frozen || !unwell {
            return;
        }
        let outcome = record.machine.apply(now, Event::FrozenUnwell);
        self.reports.extend(lost(record, module, &held, outcome));
    }

    fn activate(&mut self, part: &mut Part, module: Option<&String>) {
        let (now, stops, soak) = (self.seen.now, self.seen.stops, part.soak);
        let Ok(record) = &mut part.record else { return };
        let next = record.machine.inactive();
        if record.machine.slot(next) != SlotState::Staged {
            return;
        }
        let Some(held) = record.slot(next).copied() else { return };
        if stops.frozen(now, &part.vendor, &held.release) || held.version < record.version_min {
            return;
        }
        record.machine.apply(now, Event::Activated { soak });
        // Its intent is written with the step; until then nothing is being risked.
        record.machine.apply(now, Event::Stopped);
        self.reports.push(report(record, module, &held, What::Activated));
    }
}

impl Unit {
    pub(super) fn module(&self) -> Option<String> {
        match &self.starts {
            Starts::AtBoot { module } => Some(module.clone()),
            Starts::Later => None,
        }
    }
}

impl Part {
    /// What is active in it.
    pub(super) fn active(&self) -> Option<&InSlot> {
        let record = self.record.as_ref().ok()?;
        record.machine.active().and_then(|slot| record.slot(slot))
    }
}

trait Stronger {
    fn max_with(self, evidence: Evidence) -> Self;
}

impl Stronger for Option<andon_model::beat::Strength> {
    fn max_with(self, evidence: Evidence) -> Self {
        use andon_model::beat::Strength;
        match (self, evidence.strength()) {
            (Some(Strength::Strong), _) | (_, Strength::Strong) => Some(Strength::Strong),
            (_, weak) => Some(weak),
        }
    }
}

/// Charges the active release of a record and does what follows; what is to be told of it.
pub(super) fn charge(
    record: &mut Record,
    module: Option<&String>,
    now: Time,
    evidence: Evidence,
    frozen: bool,
    cause: &str,
) -> Vec<Report> {
    let active = record.machine.active().and_then(|slot| record.slot(slot));
    let Some(held) = active.copied() else { return Vec::new() };
    record.charge = Some(Charge {
        // The supervisor numbers it: only it knows how many there were.
        number: 0,
        component: record.component.clone(),
        version: held.version,
        release: held.release,
        strength: evidence.strength(),
        cause: Text::clipped(cause),
        at: now,
    });
    let what = What::Charged { strength: evidence.strength(), cause: cause.to_owned() };
    let mut reports = vec![report(record, module, &held, what)];
    let outcome = record.machine.apply(now, Event::Charged { evidence, frozen });
    reports.extend(lost(record, module, &held, outcome));
    reports
}

/// Nothing below its minimum is gone back to, whatever else a record says.
fn outdate(record: &mut Record, now: Time) {
    let other = record.machine.inactive();
    let old = record.slot(other).is_some_and(|held| held.version < record.version_min);
    if old && record.machine.apply(now, Event::Outdated) == Outcome::Noted {
        record.slots[other.index()] = None;
    }
}

/// After a slot may have been given up: remember it.
fn lost(
    record: &mut Record,
    module: Option<&String>,
    held: &InSlot,
    outcome: Outcome,
) -> Option<Report> {
    let what = match outcome {
        Outcome::FellBack => {
            let to = record.machine.active().and_then(|slot| record.slot(slot));
            What::FellBack { to: to.map(|to| to.release), version: to.map(|to| to.version) }
        }
        Outcome::SafeMode => What::SafeMode,
        Outcome::Parked => What::TooManyFallbacks,
        Outcome::Ignored | Outcome::Noted | Outcome::Confirmed => return None,
    };
    remember(&mut record.bad, held.mark);
    Some(report(record, module, held, what))
}

fn report(record: &Record, module: Option<&String>, held: &InSlot, what: What) -> Report {
    Report {
        component: record.component.clone(),
        module: module.cloned(),
        release: Some(held.release),
        version: Some(held.version),
        what,
    }
}
