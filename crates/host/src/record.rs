//! The durable record of one component: what is decided about it, and what it is charged with. Guard and
//! supervisor read and write the same one.
//!
//! What it is not: it writes nothing ([`crate::storage`] says how it is written).
use crate::machine::{MACHINE_BYTES, Machine, Slot, SlotState};
use crate::storage::{self, Reader, Stored, Writer};
use andon_model::beat::{Charge, Strength};
use andon_model::digest::Digest;
use andon_model::id::{ComponentId, RolloutId};
use andon_model::limits::BAD_MARKS_MAX;
use andon_model::release::Version;
use andon_model::text::Text;
use andon_model::time::Time;

pub use crate::storage::{COPY_BYTES, FILE_BYTES, OFFSETS};

const MAGIC: [u8; 8] = *b"ANDONRC2";
/// As hosts wrote it before fallbacks were counted.
const MAGIC_1: [u8; 8] = *b"ANDONRC1";
const MACHINE_BYTES_1: usize = 26;
/// Longest cause kept across a restart; the journal has the whole one.
const CAUSE_BYTES_MAX: usize = 96;

/// Release and rollout together, shortened: what this host fell back from and does not try again
/// under the same ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub [u8; 16]);

impl Mark {
    /// The mark of a release handed out by a rollout.
    #[must_use]
    pub fn of(rollout: &RolloutId, release: &Digest) -> Mark {
        let whole =
            Digest::of_parts(&[b"andon.mark.v1\0", &release.0, rollout.as_str().as_bytes()]);
        let mut short = [0; 16];
        short.copy_from_slice(&whole.0[..16]);
        Mark(short)
    }
}

/// Digest of a crash's own record, shortened; zeros for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrashMark(pub [u8; 16]);

impl CrashMark {
    /// No crash.
    pub const NONE: CrashMark = CrashMark([0; 16]);
}

/// Which release a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InSlot {
    /// digest of its manifest
    pub release: Digest,
    /// its version
    pub version: Version,
    /// how it came
    pub mark: Mark,
}

/// Everything about a component that outlives a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// counts up with every write
    pub sequence: u64,
    /// whose record this is
    pub component: ComponentId,
    /// the decisions
    pub machine: Machine,
    /// what lies in slot A and slot B
    pub slots: [Option<InSlot>; 2],
    /// never again under these tickets, oldest first, at most [`BAD_MARKS_MAX`]
    pub bad: Vec<Mark>,
    /// no release below this one
    pub version_min: Version,
    /// the last charge, so that it is reported even after a crash
    pub charge: Option<Charge>,
    /// the kernel's crash that was last charged here: a record of it that is found again counts once
    pub crash: CrashMark,
}

/// Why there is no record to go by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// neither copy is whole
    #[error("neither copy of the record is whole")]
    Unreadable,
    /// the file belongs to another component
    #[error("record is that of component {0}")]
    Component(String),
    /// the file could not be read at all
    #[error("record file could not be read")]
    File,
}

/// The newest whole copy in a record file's bytes.
/// # Errors
/// [`RecordError::Unreadable`] when neither is whole, [`RecordError::Component`] for a mix-up.
pub fn newest(file: &[u8], component: &ComponentId) -> Result<Record, RecordError> {
    let copy = |at: u64| {
        let from = usize::try_from(at).unwrap_or(usize::MAX);
        from.checked_add(COPY_BYTES).and_then(|to| file.get(from..to)).unwrap_or_default()
    };
    let record: Option<Record> = storage::newest(copy(OFFSETS[0]), copy(OFFSETS[1]));
    record.ok_or(RecordError::Unreadable)?.of(component)
}

impl Stored for Record {
    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn encode(&self) -> Box<[u8; COPY_BYTES]> {
        let mut out = Writer::new(MAGIC, self.sequence);
        out.text(self.component.as_str());
        out.put(&self.machine.to_bytes());
        for slot in &self.slots {
            put_in_slot(&mut out, slot.as_ref());
        }
        out.put(&self.version_min.0.to_le_bytes());
        let bad = &self.bad[self.bad.len().saturating_sub(BAD_MARKS_MAX)..];
        out.put(&[u8::try_from(bad.len()).unwrap_or(0)]);
        for mark in bad {
            out.put(&mark.0);
        }
        put_charge(&mut out, self.charge.as_ref());
        out.put(&self.crash.0);
        out.sealed()
    }

    fn decode(copy: &[u8]) -> Option<Record> {
        let mut from = Reader::new(storage::body(copy)?);
        let magic = from.take::<8>()?;
        let sequence = u64::from_le_bytes(from.take()?);
        let component = ComponentId::new(&from.text()?).ok()?;
        let machine = match magic {
            MAGIC => Machine::from_bytes(&from.take::<MACHINE_BYTES>()?)?,
            MAGIC_1 => Machine::from_older_bytes(&from.take::<MACHINE_BYTES_1>()?)?,
            _ => return None,
        };
        let slots = [in_slot(&mut from)?, in_slot(&mut from)?];
        let version_min = Version(u32::from_le_bytes(from.take()?));
        let count = usize::from(from.take::<1>()?[0]);
        if count > BAD_MARKS_MAX {
            return None;
        }
        let bad = (0..count).map(|_| from.take().map(Mark)).collect::<Option<Vec<_>>>()?;
        let charge = charge(&mut from, &component)?;
        // An older record has zeros here: no crash.
        let crash = CrashMark(from.take()?);
        let record =
            Record { sequence, component, machine, slots, bad, version_min, charge, crash };
        record.consistent().then_some(record)
    }
}

impl Record {
    /// Nothing installed.
    #[must_use]
    pub fn new(component: ComponentId) -> Record {
        Record {
            sequence: 0,
            component,
            machine: Machine::new(),
            slots: [None, None],
            bad: Vec::new(),
            version_min: Version(0),
            charge: None,
            crash: CrashMark::NONE,
        }
    }

    /// This record, if it is this component's.
    /// # Errors
    /// [`RecordError::Component`] for a mix-up.
    pub fn of(self, component: &ComponentId) -> Result<Record, RecordError> {
        match self.component == *component {
            true => Ok(self),
            false => Err(RecordError::Component(self.component.as_str().to_owned())),
        }
    }

    /// What lies in this slot.
    #[must_use]
    pub fn slot(&self, slot: Slot) -> Option<&InSlot> {
        self.slots[slot.index()].as_ref()
    }

    /// A slot that the machine would run must name its release.
    fn consistent(&self) -> bool {
        [Slot::A, Slot::B].into_iter().all(|slot| {
            let named = self.slots[slot.index()].is_some();
            named || matches!(self.machine.slot(slot), SlotState::Empty)
        })
    }
}

/// Never again under this ticket.
pub(crate) fn remember(bad: &mut Vec<Mark>, mark: Mark) {
    bad.retain(|known| *known != mark);
    bad.push(mark);
    let over = bad.len().saturating_sub(BAD_MARKS_MAX);
    bad.drain(..over);
}

fn put_in_slot(out: &mut Writer, slot: Option<&InSlot>) {
    let Some(slot) = slot else { return out.put(&[0]) };
    out.put(&[1]);
    out.put(&slot.release.0);
    out.put(&slot.version.0.to_le_bytes());
    out.put(&slot.mark.0);
}

fn put_charge(out: &mut Writer, charge: Option<&Charge>) {
    let Some(charge) = charge else { return out.put(&[0]) };
    out.put(&[if charge.strength == Strength::Strong { 2 } else { 1 }]);
    out.put(&charge.number.to_le_bytes());
    out.put(&charge.version.0.to_le_bytes());
    out.put(&charge.release.0);
    out.put(&charge.at.0.to_le_bytes());
    let mut cause = charge.cause.as_str();
    while cause.len() > CAUSE_BYTES_MAX {
        cause = cause.char_indices().next_back().map_or("", |(at, _)| &cause[..at]);
    }
    out.text(cause);
}

/// `None`: malformed; `Some(None)`: nothing in the slot.
#[expect(clippy::option_option, reason = "malformed and absent are different answers")]
fn in_slot(from: &mut Reader<'_>) -> Option<Option<InSlot>> {
    match from.take::<1>()?[0] {
        0 => Some(None),
        1 => Some(Some(InSlot {
            release: Digest(from.take()?),
            version: Version(u32::from_le_bytes(from.take()?)),
            mark: Mark(from.take()?),
        })),
        _ => None,
    }
}

#[expect(clippy::option_option, reason = "malformed and absent are different answers")]
fn charge(from: &mut Reader<'_>, component: &ComponentId) -> Option<Option<Charge>> {
    let strength = match from.take::<1>()?[0] {
        0 => return Some(None),
        1 => Strength::Weak,
        2 => Strength::Strong,
        _ => return None,
    };
    Some(Some(Charge {
        number: u64::from_le_bytes(from.take()?),
        component: component.clone(),
        version: Version(u32::from_le_bytes(from.take()?)),
        release: Digest(from.take()?),
        strength,
        at: Time(u64::from_le_bytes(from.take()?)),
        cause: Text::try_from(from.text()?).ok()?,
    }))
}
