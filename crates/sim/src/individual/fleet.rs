//! All hosts, in columns. A host is a number: strata one after the other, ranks of their random order
//! within. What nothing has happened to yet takes no memory of its own: pages of zeros, no machine.
use super::grid::{Ms, START};
use andon_host::Machine;
use andon_host::machine::Event;
use andon_model::Millis;

/// What is known of a host, in bits: millions of enums with their payloads would not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State(u16);

impl State {
    /// does not beat
    pub(super) const OFF: State = State(1);
    /// said goodbye, and its time has not passed
    pub(super) const AWAY: State = State(1 << 1);
    /// sleeps until it wakes: away without end
    pub(super) const ASLEEP: State = State(1 << 2);
    /// its first silence was counted
    pub(super) const SILENT: State = State(1 << 3);
    /// its first report was counted
    pub(super) const REPORTED: State = State(1 << 4);
    /// has activated the update
    pub(super) const ACTIVATED: State = State(1 << 5);
    /// has confirmed it
    pub(super) const CONFIRMED: State = State(1 << 6);
    /// the update has crashed it
    pub(super) const CRASHED: State = State(1 << 7);
    /// down with the crash and not back
    pub(super) const DOWN: State = State(1 << 8);
    /// went back by itself
    pub(super) const FELL_BACK: State = State(1 << 9);
    /// needs a person
    pub(super) const HANDS: State = State(1 << 10);
    /// gone for reasons of its own, for good
    pub(super) const GONE: State = State(1 << 11);
    /// was bad already when it activated
    pub(super) const BAD_BEFORE: State = State(1 << 12);
    /// activated by a thief's ticket, before any wave covered it
    pub(super) const STOLEN: State = State(1 << 13);

    /// Bad in the tallies' sense.
    pub(super) const BAD: State = State(State::SILENT.0 | State::REPORTED.0);
    /// Not at risk of a first silence.
    pub(super) const NO_SILENCE: State = State(State::SILENT.0 | State::AWAY.0 | State::ASLEEP.0);

    #[inline]
    pub(super) const fn has(self, any: State) -> bool {
        self.0 & any.0 != 0
    }
    #[inline]
    pub(super) const fn set(&mut self, bits: State) {
        self.0 |= bits.0;
    }
    #[inline]
    pub(super) const fn clear(&mut self, bits: State) {
        self.0 &= !bits.0;
    }
}

/// Where a host stands, and which hosts stand there too.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) stratum: usize,
    from: u32,
    to: u32,
}

impl Place {
    #[inline]
    pub(super) fn rank(&self, host: u32) -> u32 {
        host - self.from
    }
}

/// The columns.
#[derive(Debug)]
pub(super) struct Fleet {
    /// first host of each stratum, and the number of hosts
    first: Vec<u32>,
    last_place: Place,
    pub(super) states: Vec<State>,
    /// in contact: the beat from which its cadence counts (0: its own phase); else its last contact
    pub(super) heard: Vec<Ms>,
    pub(super) activated: Vec<Ms>,
    pub(super) machines: Machines,
}

impl Fleet {
    pub(super) fn new(sizes: &[u32]) -> Fleet {
        let mut first = vec![0_u32];
        let mut sum = 0_u32;
        for size in sizes {
            sum = sum.saturating_add(*size);
            first.push(sum);
        }
        let hosts = sum as usize;
        Fleet {
            first,
            last_place: Place::default(),
            states: vec![State::default(); hosts],
            heard: vec![0; hosts],
            activated: vec![0; hosts],
            machines: Machines::new(hosts),
        }
    }
    pub(super) fn hosts(&self) -> u32 {
        self.first.last().copied().unwrap_or(0)
    }
    /// First host of a stratum; the number of all hosts behind the last one.
    pub(super) fn first(&self, stratum: usize) -> u32 {
        self.first[stratum]
    }
    pub(super) fn size(&self, stratum: usize) -> u32 {
        self.first[stratum + 1] - self.first[stratum]
    }
    /// Where a host stands. Events come in runs of one stratum: the last answer is tried first.
    #[inline]
    pub(super) fn place(&mut self, host: u32) -> Place {
        if host < self.last_place.from || host >= self.last_place.to {
            let stratum = self.first.partition_point(|first| *first <= host) - 1;
            let (from, to) = (self.first[stratum], self.first[stratum + 1]);
            self.last_place = Place { stratum, from, to };
        }
        self.last_place
    }
    /// Hosts of a stratum from rank `from` to before `to`.
    pub(super) fn ranks(&self, stratum: usize, from: u32, to: u32) -> &[State] {
        let first = self.first[stratum];
        &self.states[(first + from) as usize..(first + to.max(from)) as usize]
    }
}

/// One [`Machine`] per host, made in blocks when the first host of a block does something. Until then
/// every host's is the same: a confirmed release runs.
#[derive(Debug)]
pub(super) struct Machines {
    fresh: Machine,
    blocks: Vec<Option<Box<[Machine]>>>,
}

/// Hosts of a block: 64 KiB of machines.
const BLOCK: usize = 2048;

impl Machines {
    fn new(hosts: usize) -> Machines {
        let mut fresh = Machine::new();
        for event in [
            Event::Staged,
            Event::Activated { soak: Millis::ZERO },
            Event::Started,
            Event::Ready,
            Event::Tick,
        ] {
            fresh.apply(START, event);
        }
        Machines { fresh, blocks: vec![None; hosts.div_ceil(BLOCK)] }
    }
    #[inline]
    pub(super) fn of(&mut self, host: u32) -> &mut Machine {
        let (block, at) = (host as usize / BLOCK, host as usize % BLOCK);
        let fresh = self.fresh;
        &mut self.blocks[block].get_or_insert_with(|| vec![fresh; BLOCK].into_boxed_slice())[at]
    }
}
