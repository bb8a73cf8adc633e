//! The record of the host itself: how many boots there were and how far this one has come. Of the
//! components each has a record of its own ([`crate::record`]).
use crate::storage::{self, COPY_BYTES, FILE_BYTES, OFFSETS, Reader, Stored, Writer};

const MAGIC: [u8; 8] = *b"ANDONBT1";

/// The kernel's own name for a boot (`/proc/sys/kernel/random/boot_id`, 16 bytes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BootId(pub [u8; 16]);

/// How far a boot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootPhase {
    /// the guard is about to load, or loads
    Loading,
    /// handed over
    Running,
    /// shut down in order
    Ended,
}

/// Whether the guard decides or only counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardMode {
    /// counts and reports; nothing is charged, nothing is kept from loading
    Observe,
    /// charges, falls back, loads
    Enforce,
}

/// What of a boot outlives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootRecord {
    /// counts up with every write
    pub sequence: u64,
    /// boots so far
    pub boots: u32,
    /// of those, such as followed a crash that the kernel or the watchdog told of
    pub crashes: u32,
    /// of those, such as followed an end without a cause
    pub unexplained: u32,
    /// how far the newest has come
    pub phase: BootPhase,
    /// how the guard ran in it
    pub mode: GuardMode,
    /// which it is
    pub boot: BootId,
}

impl BootRecord {
    /// Of a host that never booted with a guard.
    pub const NEW: BootRecord = BootRecord {
        sequence: 0,
        boots: 0,
        crashes: 0,
        unexplained: 0,
        phase: BootPhase::Ended,
        mode: GuardMode::Observe,
        boot: BootId([0; 16]),
    };

    /// The next record of the same boot.
    #[must_use]
    pub fn at(self, phase: BootPhase) -> BootRecord {
        BootRecord { sequence: self.sequence + 1, phase, ..self }
    }

    /// Whether the guard has charged what ended before this boot: then nobody else does.
    #[must_use]
    pub fn judged(&self, boot: BootId) -> bool {
        self.boot == boot && self.mode == GuardMode::Enforce
    }

    /// The newest whole copy in a record file's bytes; `None` when neither is whole.
    #[must_use]
    pub fn newest(file: &[u8; FILE_BYTES]) -> Option<BootRecord> {
        let copy = |at: u64| usize::try_from(at).ok().and_then(|at| file.get(at..at + COPY_BYTES));
        storage::newest(copy(OFFSETS[0])?, copy(OFFSETS[1])?)
    }
}

impl Stored for BootRecord {
    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn encode(&self) -> Box<[u8; COPY_BYTES]> {
        let mut out = Writer::new(MAGIC, self.sequence);
        out.put(&self.boots.to_le_bytes());
        out.put(&self.crashes.to_le_bytes());
        out.put(&self.unexplained.to_le_bytes());
        out.put(&[match self.phase {
            BootPhase::Loading => 0,
            BootPhase::Running => 1,
            BootPhase::Ended => 2,
        }]);
        out.put(&[match self.mode {
            GuardMode::Observe => 0,
            GuardMode::Enforce => 1,
        }]);
        out.put(&self.boot.0);
        out.sealed()
    }

    fn decode(copy: &[u8]) -> Option<BootRecord> {
        let mut from = Reader::new(storage::body(copy)?);
        if from.take::<8>()? != MAGIC {
            return None;
        }
        let sequence = u64::from_le_bytes(from.take()?);
        let mut count = || from.take().map(u32::from_le_bytes);
        let (boots, crashes, unexplained) = (count()?, count()?, count()?);
        let phase = match from.take::<1>()?[0] {
            0 => BootPhase::Loading,
            1 => BootPhase::Running,
            2 => BootPhase::Ended,
            _ => return None,
        };
        let mode = match from.take::<1>()?[0] {
            0 => GuardMode::Observe,
            1 => GuardMode::Enforce,
            _ => return None,
        };
        let boot = BootId(from.take()?);
        Some(BootRecord { sequence, boots, crashes, unexplained, phase, mode, boot })
    }
}
