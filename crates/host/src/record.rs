//! The durable record of one component: two checksummed copies at fixed offsets of one preallocated
//! file. The older copy is overwritten, so that a write cut short leaves the other one whole.
//!
//! What it is not: it writes nothing; a shell writes the bytes at the offset and calls fdatasync.
use crate::machine::{MACHINE_BYTES, Machine, Slot, SlotState};
use andon_model::beat::{Charge, Strength};
use andon_model::digest::Digest;
use andon_model::id::{ComponentId, RolloutId};
use andon_model::limits::BAD_MARKS_MAX;
use andon_model::release::Version;
use andon_model::text::Text;
use andon_model::time::Time;

/// Bytes of one copy.
pub const COPY_BYTES: usize = 1024;
/// Where the copies lie: on different pages and, on usual disks, in different blocks.
pub const OFFSETS: [u64; 2] = [0, 4096];
/// Length of the preallocated file.
pub const FILE_BYTES: usize = 8192;

const MAGIC: &[u8; 8] = b"ANDONRC1";
const BODY_BYTES: usize = COPY_BYTES - 32;
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

/// Where the copy with this sequence number goes: even to the first place, odd to the second.
#[must_use]
pub const fn offset_of(sequence: u64) -> u64 {
    OFFSETS[(sequence % 2) as usize]
}

/// The newest whole copy in a record file's bytes.
/// # Errors
/// [`RecordError::Unreadable`] when neither is whole, [`RecordError::Component`] for a mix-up.
pub fn newest(file: &[u8], component: &ComponentId) -> Result<Record, RecordError> {
    let copy = |at: u64| {
        let from = usize::try_from(at).ok()?;
        Record::decode(file.get(from..from + COPY_BYTES)?)
    };
    let record = match (copy(OFFSETS[0]), copy(OFFSETS[1])) {
        (Some(a), Some(b)) if a.sequence >= b.sequence => a,
        (_, Some(record)) | (Some(record), None) => record,
        (None, None) => return Err(RecordError::Unreadable),
    };
    match record.component == *component {
        true => Ok(record),
        false => Err(RecordError::Component(record.component.as_str().to_owned())),
    }
}

impl Record {
    /// One copy: fixed layout, little-endian, zero-filled, SHA-256 of the body at its end.
    #[must_use]
    pub fn encode(&self) -> Box<[u8; COPY_BYTES]> {
        let mut out = Writer { bytes: Box::new([0; COPY_BYTES]), at: 0 };
        out.put(MAGIC);
        out.put(&self.sequence.to_le_bytes());
        out.text(self.component.as_str());
        out.put(&self.machine.to_bytes());
        for slot in &self.slots {
            out.in_slot(slot.as_ref());
        }
        out.put(&self.version_min.0.to_le_bytes());
        let bad = &self.bad[self.bad.len().saturating_sub(BAD_MARKS_MAX)..];
        out.put(&[u8::try_from(bad.len()).unwrap_or(0)]);
        for mark in bad {
            out.put(&mark.0);
        }
        out.charge(self.charge.as_ref());
        let sum = Digest::of(&out.bytes[..BODY_BYTES]);
        out.bytes[BODY_BYTES..].copy_from_slice(&sum.0);
        out.bytes
    }

    /// Reads one copy; `None` unless every byte of it is as it was written.
    #[must_use]
    pub fn decode(copy: &[u8]) -> Option<Record> {
        if copy.len() != COPY_BYTES || Digest::of(&copy[..BODY_BYTES]).0 != copy[BODY_BYTES..] {
            return None;
        }
        let mut from = Reader { rest: &copy[..BODY_BYTES] };
        if from.take::<8>()? != *MAGIC {
            return None;
        }
        let sequence = u64::from_le_bytes(from.take()?);
        let component = ComponentId::new(&from.text()?).ok()?;
        let machine = Machine::from_bytes(&from.take::<MACHINE_BYTES>()?)?;
        let slots = [from.in_slot()?, from.in_slot()?];
        let version_min = Version(u32::from_le_bytes(from.take()?));
        let count = usize::from(from.take::<1>()?[0]);
        if count > BAD_MARKS_MAX {
            return None;
        }
        let bad = (0..count).map(|_| from.take().map(Mark)).collect::<Option<Vec<_>>>()?;
        let charge = from.charge(&component)?;
        let record = Record { sequence, component, machine, slots, bad, version_min, charge };
        record.consistent().then_some(record)
    }

    /// A slot that the machine would run must name its release.
    fn consistent(&self) -> bool {
        [Slot::A, Slot::B].into_iter().all(|slot| {
            let named = self.slots[slot.index()].is_some();
            named || matches!(self.machine.slot(slot), SlotState::Empty)
        })
    }
}

struct Writer {
    bytes: Box<[u8; COPY_BYTES]>,
    at: usize,
}

impl Writer {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
    /// At most 255 bytes, length first.
    fn text(&mut self, text: &str) {
        self.put(&[u8::try_from(text.len()).unwrap_or(0)]);
        self.put(text.as_bytes());
    }
    fn in_slot(&mut self, slot: Option<&InSlot>) {
        match slot {
            None => self.put(&[0]),
            Some(slot) => {
                self.put(&[1]);
                self.put(&slot.release.0);
                self.put(&slot.version.0.to_le_bytes());
                self.put(&slot.mark.0);
            }
        }
    }
    fn charge(&mut self, charge: Option<&Charge>) {
        let Some(charge) = charge else { return self.put(&[0]) };
        self.put(&[if charge.strength == Strength::Strong { 2 } else { 1 }]);
        self.put(&charge.number.to_le_bytes());
        self.put(&charge.version.0.to_le_bytes());
        self.put(&charge.release.0);
        self.put(&charge.at.0.to_le_bytes());
        let mut cause = charge.cause.as_str();
        while cause.len() > CAUSE_BYTES_MAX {
            cause = cause.char_indices().next_back().map_or("", |(at, _)| &cause[..at]);
        }
        self.text(cause);
    }
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }
    fn text(&mut self) -> Option<String> {
        let length = usize::from(self.take::<1>()?[0]);
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        String::from_utf8(head.to_vec()).ok()
    }
    /// `None`: malformed; `Some(None)`: nothing in the slot.
    #[expect(clippy::option_option, reason = "malformed and absent are different answers")]
    fn in_slot(&mut self) -> Option<Option<InSlot>> {
        match self.take::<1>()?[0] {
            0 => Some(None),
            1 => Some(Some(InSlot {
                release: Digest(self.take()?),
                version: Version(u32::from_le_bytes(self.take()?)),
                mark: Mark(self.take()?),
            })),
            _ => None,
        }
    }
    #[expect(clippy::option_option, reason = "malformed and absent are different answers")]
    fn charge(&mut self, component: &ComponentId) -> Option<Option<Charge>> {
        let strength = match self.take::<1>()?[0] {
            0 => return Some(None),
            1 => Strength::Weak,
            2 => Strength::Strong,
            _ => return None,
        };
        Some(Some(Charge {
            number: u64::from_le_bytes(self.take()?),
            component: component.clone(),
            version: Version(u32::from_le_bytes(self.take()?)),
            release: Digest(self.take()?),
            strength,
            at: Time(u64::from_le_bytes(self.take()?)),
            cause: Text::try_from(self.text()?).ok()?,
        }))
    }
}
