//! What the guard decides at every boot, before anything risky loads: whom the end of the last boot is
//! charged to, what each component falls back to, and in which order what is loaded.
//!
//! What it is: [`decide`], a pure function from what the disk and the last boot left to a [`Decision`],
//! and [`carry_out`], the order in which its writes and loads happen. It works without any network.
//! What it is not: it reads no file and loads no module. `docs/spec/boot.md` says the protocol.
//!
//! What the caller must do: call [`decide`]; if [`Decision::fetch`] is set, fetch stops for at most that
//! long and call [`decide`] again with them (nothing was written yet); then [`carry_out`]. When it
//! cannot do one of these, it loads nothing risky and lets the host boot.
mod carry;
mod charge;
mod ending;
mod plan;
mod report;

pub use carry::{Carried, RecordOf, Shell, carry_out};
pub use ending::{Crash, Ending};
pub use plan::{Allow, Member, Step};
pub use report::{Off, Report, What};

use crate::boot_record::{BootId, BootPhase, BootRecord, GuardMode};
use crate::record::{Record, RecordError};
use crate::stops::Stops;
use andon_model::id::{ComponentId, HostId, VendorId};
use andon_model::limits::{FETCH_AFTER_CRASH_MAX, FETCH_AT_BOOT_MAX};
use andon_model::time::{Millis, Time};

/// What has to be loaded together: a kernel module and the contents that it reads, or a service and
/// those that it reads.
#[derive(Clone, Debug)]
pub struct Unit {
    /// the module's or the service's name among the components, whether or not it is one
    pub id: ComponentId,
    /// lower ones load first; of two with one number the riskier one last
    pub order: u8,
    /// who starts it
    pub starts: Starts,
    /// its components; of two that changed at one time the later one here is charged first
    pub parts: Vec<Part>,
}

/// Who starts a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Starts {
    /// the guard, by loading this kernel module
    AtBoot {
        /// its name, as the kernel's crash record would have it
        module: String,
    },
    /// the supervisor, with an intent of its own; the guard allows it or does not
    Later,
}

/// A component of a unit.
#[derive(Clone, Debug)]
pub struct Part {
    /// which
    pub component: ComponentId,
    /// whose it is: some stops are a vendor's
    pub vendor: VendorId,
    /// its record, or why there is none to go by
    pub record: Result<Record, RecordError>,
    /// watch period of what lies staged
    pub soak: Millis,
}

/// What the disk says.
#[derive(Clone, Debug)]
pub struct OnDisk {
    /// the host's own record; `None`: it cannot be read
    pub boot: Option<BootRecord>,
    /// at most [`andon_model::limits::COMPONENTS_MAX`]
    pub units: Vec<Unit>,
}

/// What else is known at this boot.
#[derive(Clone, Debug)]
pub struct Seen<'s> {
    /// how the last boot ended
    pub ending: Ending,
    /// the later one of the clock and the newest time that witnesses have vouched for
    pub now: Time,
    /// which boot this is
    pub boot: BootId,
    /// verified stops, from disk and whatever was fetched
    pub stops: Stops<'s>,
}

/// When stops are fetched before anything loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetching {
    /// not at all
    Never,
    /// when this boot charges something
    AfterCharge,
    /// at every boot
    Always,
}

/// What the operator lets the guard do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// decide, or only count and report
    pub mode: GuardMode,
    /// when to ask the network
    pub fetch: Fetching,
    /// this host, if it has enrolled: a PARK reaches hosts one after another
    pub host: Option<HostId>,
}

/// What happens at this boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// how the guard runs
    pub mode: GuardMode,
    /// when it was taken
    pub now: Time,
    /// the host's own record: written first
    pub boot: BootRecord,
    /// records of components that a charge, a stop or a minimum changed: written before anything loads
    pub writes: Vec<Record>,
    /// what is loaded, one after another
    pub steps: Vec<Step>,
    /// what the supervisor may start
    pub allowed: Vec<Allow>,
    /// what stays off, and why
    pub off: Vec<(ComponentId, Off)>,
    /// what people and the server are told; in mode observe: what would have been done
    pub reports: Vec<Report>,
    /// how long to look for stops before this decision is taken again; `None`: not at all
    pub fetch: Option<Millis>,
    /// whether the end of the last boot is charged to whom it has to be, once `writes` are durable
    pub settled: bool,
}

/// Decides. Total, and a pure function of its arguments.
#[must_use]
pub fn decide(disk: &OnDisk, seen: &Seen<'_>, policy: &Policy) -> Decision {
    let mut judge = Judge::new(disk, seen, policy);
    judge.charge_what_was_risked();
    judge.obey_stops();
    let mut decision = judge.decision(disk);
    if policy.mode == GuardMode::Observe {
        decision.writes.clear();
        decision.off.clear();
        decision.fetch = None;
        (decision.steps, decision.allowed) = plan::as_it_is(&disk.units);
    }
    decision
}

/// A decision in the making.
struct Judge<'d> {
    seen: &'d Seen<'d>,
    policy: &'d Policy,
    before: Option<BootRecord>,
    units: Vec<Unit>,
    reports: Vec<Report>,
    charged: Option<andon_model::beat::Strength>,
    settled: bool,
}

impl<'d> Judge<'d> {
    fn new(disk: &OnDisk, seen: &'d Seen<'d>, policy: &'d Policy) -> Judge<'d> {
        let (units, before) = (disk.units.clone(), disk.boot);
        Judge { seen, policy, before, units, reports: Vec::new(), charged: None, settled: true }
    }

    fn ended_in_order(&self) -> bool {
        let marked = self.before.is_some_and(|boot| boot.phase == BootPhase::Ended);
        self.seen.ending == Ending::Clean || (self.seen.ending == Ending::Unexplained && marked)
    }

    /// The host's own record of this boot. One that cannot be read begins anew: the next boot goes by it.
    fn counted(&self) -> BootRecord {
        let before = self.before.unwrap_or(BootRecord::NEW);
        let crash = matches!(self.seen.ending, Ending::Crash(_) | Ending::Watchdog);
        let unexplained = !crash && !self.ended_in_order();
        BootRecord {
            sequence: before.sequence + 1,
            boots: before.boots.saturating_add(1),
            crashes: before.crashes.saturating_add(u32::from(crash)),
            unexplained: before.unexplained.saturating_add(u32::from(unexplained)),
            phase: BootPhase::Loading,
            mode: self.policy.mode,
            boot: self.seen.boot,
        }
    }

    /// How long to look for stops, before anything is loaded.
    fn fetch(&self) -> Option<Millis> {
        use andon_model::beat::Strength;
        match (self.policy.fetch, self.charged) {
            (Fetching::Never, _) | (Fetching::AfterCharge, None) => None,
            (_, Some(Strength::Strong)) => Some(FETCH_AFTER_CRASH_MAX),
            (_, Some(Strength::Weak)) | (Fetching::Always, None) => Some(FETCH_AT_BOOT_MAX),
        }
    }
}
