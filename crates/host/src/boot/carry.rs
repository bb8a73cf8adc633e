//! The order in which a decision is carried out. Nothing risky happens that the next boot would not
//! know of: what is about to be loaded is durable before it is loaded.
use super::{Decision, Off, Report, Step, plan};
use crate::boot_record::{BootPhase, GuardMode};
use crate::record::Record;
use crate::storage::{COPY_BYTES, Stored as _};
use andon_model::id::ComponentId;

/// Which record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOf<'r> {
    /// the host's own
    Host,
    /// this component's
    Component(&'r ComponentId),
}

/// Who does it.
pub trait Shell {
    /// Makes one copy of a record durable, as [`crate::storage::write`] does.
    /// # Errors
    /// Why it may not be durable.
    fn save(&mut self, of: RecordOf<'_>, copy: &[u8; COPY_BYTES]) -> Result<(), String>;
    /// Loads a unit.
    /// # Errors
    /// Why it is not loaded.
    fn load(&mut self, step: &Step) -> Result<(), String>;
    /// Lets the supervisor start a unit.
    fn allow(&mut self, unit: &ComponentId);
    /// Tells people.
    fn report(&mut self, report: &Report);
}

/// How it went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// units loaded
    pub loaded: Vec<ComponentId>,
    /// units that stay off although the decision was to load them or to let them start
    pub off: Vec<(ComponentId, Off)>,
    /// records that could not be written, and why
    pub unwritten: Vec<(Option<ComponentId>, String)>,
    /// whether the kernel's record of its crash has served and may be removed: what it led to is durable
    pub settled: bool,
}

/// Writes, loads and tells, in this order: the host's own record; what charges and stops changed; then
/// unit by unit its intent, the load, and that it was loaded; last that the host is handed over. A unit
/// whose records cannot be written stays off; without the host's own record all do, but where the guard only
/// observes.
pub fn carry_out(decision: &Decision, shell: &mut impl Shell) -> Carried {
    let mut carry = Carry { decision, shell, out: Carried::default() };
    for report in &decision.reports {
        carry.shell.report(report);
    }
    // Who only observes keeps nothing from loading, whatever the disk says.
    if !carry.save_boot(BootPhase::Loading) && decision.mode == GuardMode::Enforce {
        carry.all_off();
        return carry.out;
    }
    for record in &decision.writes {
        carry.save(record);
    }
    carry.out.settled = decision.settled && carry.out.unwritten.is_empty();
    for step in &decision.steps {
        carry.step(step);
    }
    for allow in &decision.allowed {
        match carry.unwritten(&allow.components) {
            Some(of) => carry.off(&allow.unit, Off::Unwritten(of)),
            None => carry.shell.allow(&allow.unit),
        }
    }
    carry.save_boot(BootPhase::Running);
    carry.out
}

struct Carry<'d, S> {
    decision: &'d Decision,
    shell: &'d mut S,
    out: Carried,
}

impl<S: Shell> Carry<'_, S> {
    fn save_boot(&mut self, phase: BootPhase) -> bool {
        let boot = self.decision.boot;
        let boot = if phase == boot.phase { boot } else { boot.at(phase) };
        let saved = self.shell.save(RecordOf::Host, &boot.encode());
        let well = saved.is_ok();
        self.out.unwritten.extend(saved.err().map(|why| (None, why)));
        well
    }

    fn save(&mut self, record: &Record) -> bool {
        let saved = self.shell.save(RecordOf::Component(&record.component), &record.encode());
        let well = saved.is_ok();
        let failed = saved.err().map(|why| (Some(record.component.clone()), why));
        self.out.unwritten.extend(failed);
        well
    }

    /// Loads a unit. What could not be written once is not written again in this boot: the copy that the
    /// device last vouched for stays the newest.
    fn step(&mut self, step: &Step) {
        let now = self.decision.now;
        let components: Vec<_> = step.members.iter().map(|one| one.component.clone()).collect();
        if let Some(of) = self.unwritten(&components) {
            return self.off(&step.unit, Off::Unwritten(of));
        }
        for (written, record) in step.intent.iter().enumerate() {
            if self.save(record) {
                continue;
            }
            for record in step.abandoned(now).iter().take(written) {
                self.save(record);
            }
            return self.off(&step.unit, Off::Unwritten(record.component.clone()));
        }
        let after = match self.shell.load(step) {
            Ok(()) => {
                self.out.loaded.push(step.unit.clone());
                step.loaded(now)
            }
            Err(why) => {
                let (records, reports) = step.failed(now, &why);
                for report in &reports {
                    self.shell.report(report);
                }
                self.off(&step.unit, Off::Unloadable);
                records
            }
        };
        for record in &after {
            self.save(record);
        }
    }

    /// One of these components whose record could not be written.
    fn unwritten(&self, components: &[ComponentId]) -> Option<ComponentId> {
        let mut failed = self.out.unwritten.iter().filter_map(|(of, _)| of.as_ref());
        failed.find(|of| components.contains(of)).cloned()
    }

    fn off(&mut self, unit: &ComponentId, why: Off) {
        self.shell.report(&plan::still_off(unit, &why));
        self.out.off.push((unit.clone(), why));
    }

    fn all_off(&mut self) {
        let steps = self.decision.steps.iter().map(|step| &step.unit);
        let allowed = self.decision.allowed.iter().map(|allow| &allow.unit);
        let units: Vec<ComponentId> = steps.chain(allowed).cloned().collect();
        for unit in units {
            self.off(&unit, Off::BootUnwritten);
        }
    }
}
