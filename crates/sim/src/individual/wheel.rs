//! The queue of what hosts will do: a bucket per tick, no order within it but that of arrival, which
//! is the order of cause and effect for any one host. No heap, no comparison, 8 bytes an event.
use super::grid::{Grid, Ms};

/// What a host does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// its turn has come
    Activate,
    /// the fault shows
    Crash,
    /// its watch period is over
    Confirm,
    /// it boots after a crash
    Boot,
    /// it is up again, after a crash or a restart
    Up,
    /// it is heard of again
    Return,
}

const KINDS: [Kind; 6] =
    [Kind::Activate, Kind::Crash, Kind::Confirm, Kind::Boot, Kind::Up, Kind::Return];

/// One event: host (32 bits), milliseconds since the tick before (24), kind (8).
#[derive(Clone, Copy, Debug)]
pub(super) struct Due(u64);

impl Due {
    fn new(host: u32, offset: Ms, kind: Kind) -> Due {
        Due(u64::from(host) << 32 | u64::from(offset & 0xff_ffff) << 8 | kind as u64)
    }
    #[inline]
    pub(super) fn host(self) -> u32 {
        (self.0 >> 32) as u32
    }
    #[inline]
    pub(super) fn offset(self) -> Ms {
        (self.0 >> 8 & 0xff_ffff) as Ms
    }
    #[inline]
    pub(super) fn kind(self) -> Kind {
        KINDS[usize::from(self.0.to_le_bytes()[0]) % KINDS.len()]
    }
}

/// The buckets.
#[derive(Debug)]
pub(super) struct Wheel {
    grid: Grid,
    slots: Vec<Vec<Due>>,
    /// hosts to look at once everything else of a tick has happened: has their silence lasted?
    looks: Vec<Vec<u32>>,
    spare: Vec<Vec<Due>>,
    now: u32,
    /// events to come that the end of a run should wait for
    pub(super) awaited: u64,
}

impl Wheel {
    pub(super) fn new(grid: Grid, ticks: u32) -> Wheel {
        let slots = ticks as usize + 1;
        Wheel {
            grid,
            slots: vec![Vec::new(); slots],
            looks: vec![Vec::new(); slots],
            spare: Vec::new(),
            now: 0,
            awaited: 0,
        }
    }

    /// From now on nothing is put before the tick `tick`.
    pub(super) fn turn(&mut self, tick: u32) {
        self.now = tick;
    }

    /// Puts an event at a moment. What lies behind the end of the run is forgotten.
    #[inline]
    pub(super) fn push(&mut self, at: Ms, host: u32, kind: Kind) {
        let tick = self.grid.slot(at).max(self.now).max(1);
        if let Some(slot) = self.slots.get_mut(tick as usize) {
            let offset = at.saturating_sub(self.grid.at(tick - 1));
            slot.push(Due::new(host, offset, kind));
            self.awaited += u64::from(kind != Kind::Return);
        }
    }

    /// Asks to look at a host at the first tick from `at` on.
    #[inline]
    pub(super) fn look(&mut self, at: Ms, host: u32) {
        let tick = self.grid.slot(at).max(self.now);
        if let Some(slot) = self.looks.get_mut(tick as usize) {
            slot.push(host);
        }
    }

    /// The events of the present tick; again and again, until it is empty.
    pub(super) fn take(&mut self) -> Vec<Due> {
        let fresh = self.spare.pop().unwrap_or_default();
        self.slots.get_mut(self.now as usize).map_or_else(Vec::new, |slot| {
            let taken = std::mem::replace(slot, fresh);
            let awaited = taken.iter().filter(|due| due.kind() != Kind::Return).count();
            self.awaited -= awaited as u64;
            taken
        })
    }

    /// Hosts to look at in the present tick.
    pub(super) fn take_looks(&mut self) -> Vec<u32> {
        self.looks.get_mut(self.now as usize).map(std::mem::take).unwrap_or_default()
    }

    /// Takes an emptied bucket back, so that its memory is used again.
    pub(super) fn reuse(&mut self, mut bucket: Vec<Due>) {
        const SPARE_MAX: usize = 8;
        bucket.clear();
        if bucket.capacity() > 0 && self.spare.len() < SPARE_MAX {
            self.spare.push(bucket);
        }
    }
}
