//! One component on one host: two slots, one decision. Copyable and at most 32 bytes, so that a
//! simulator holds millions of them.
//!
//! What it is not: it knows no files, processes or names; [`crate::Host`] puts those around it.
//! Every event is legal at any time; what makes no sense in a state changes nothing.
use andon_model::beat::Strength;
use andon_model::limits::{
    CRASH_SCORE_FALLBACK, CRASH_SCORE_PARK, CRASH_WINDOW, FALLBACK_WINDOW, HOST_CRASH_WINDOW,
};
use andon_model::time::{Millis, Time};

/// Where a release lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// the first
    A,
    /// the second
    B,
}

impl Slot {
    /// The one that this is not.
    #[must_use]
    pub const fn other(self) -> Slot {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }
    /// Name of its folder.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Slot::A => "a",
            Slot::B => "b",
        }
    }
    pub(crate) const fn index(self) -> usize {
        match self {
            Slot::A => 0,
            Slot::B => 1,
        }
    }
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// nothing, or files being written
    Empty,
    /// verified, complete, never run
    Staged,
    /// verified and validated; mode observe, never to be run
    Observed,
    /// active and not yet soaked
    Tried,
    /// soaked well once
    Confirmed,
    /// crashed, and left for the other slot or for safe mode
    Bad,
}

/// What the active slot is doing. Durable, because a host that dies must be able to tell its next
/// boot what was being risked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// nothing runs
    Idle,
    /// about to be started or reloaded; written down before it happens
    Loading,
    /// runs, in its watch period
    Soaking,
    /// runs, confirmed
    Running,
    /// no slot can be trusted: off, host up
    Safe,
}

/// What happened to a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// the inactive slot is about to be overwritten
    Cleared,
    /// a release lies complete in the inactive slot
    Staged,
    /// as `Staged`, but it is only to be looked at
    Observed,
    /// the staged slot becomes the active one; it must run well for so long
    Activated {
        /// watch period
        soak: Millis,
    },
    /// the active slot is about to be (re)started
    Started,
    /// it says it is ready
    Ready,
    /// time passes and nothing speaks against it
    Tick,
    /// it is charged with a failure
    Charged {
        /// how the failure was seen
        evidence: Evidence,
        /// whether a freeze concerns the active release
        frozen: bool,
    },
    /// frozen, and this host holds something against it: points, or a probe that has turned bad
    FrozenUnwell,
    /// the active slot's files are gone or damaged
    Unusable,
    /// what the other slot holds is too old to be gone back to
    Outdated,
    /// stopped in order
    Stopped,
}

/// How a failure was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// exit by signal or status, hang, failed hook
    Crash,
    /// the kernel crashed, and its own record or the watchdog says so
    HostCrashed,
    /// the host went down while this was loading or soaking; without a guard nobody looked for more
    HostDied,
    /// the end of a boot while this was loading or soaking, for which the guard found no cause; or the
    /// supervisor's end while this was loading
    Unexplained,
}

impl Evidence {
    /// How sure that makes the host.
    #[must_use]
    pub const fn strength(self) -> Strength {
        match self {
            Evidence::Crash | Evidence::HostCrashed => Strength::Strong,
            Evidence::HostDied | Evidence::Unexplained => Strength::Weak,
        }
    }
    const fn points(self) -> u8 {
        match self {
            Evidence::Crash | Evidence::HostCrashed => 2,
            Evidence::HostDied | Evidence::Unexplained => 1,
        }
    }
    /// A confirmed release that ran for longer starts with no points: a host takes longer to fall again
    /// than a process.
    const fn window(self) -> Millis {
        match self {
            Evidence::HostCrashed => HOST_CRASH_WINDOW,
            _ => CRASH_WINDOW,
        }
    }
}

/// What an event led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// the event makes no sense here; nothing changed
    Ignored,
    /// noted
    Noted,
    /// the active slot has soaked well
    Confirmed,
    /// the other slot is active now
    FellBack,
    /// the component is off: no slot is left
    SafeMode,
    /// as `FellBack`, but for the third time within a day: the component is off until a new release comes
    Parked,
}

impl Outcome {
    /// Whether the component is off now.
    #[must_use]
    pub const fn is_off(self) -> bool {
        matches!(self, Outcome::SafeMode | Outcome::Parked)
    }
}

/// One component's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// when the active slot became active
    since: Time,
    /// since when it runs
    ready_at: Time,
    soak_ms: u32,
    /// minute of the newest fallback since 1970, plus one; 0: none
    fell_back: u32,
    /// minutes between the two newest fallbacks
    fell_back_gap: u16,
    slots: [SlotState; 2],
    active: Option<Slot>,
    phase: Phase,
    score: u8,
}

const _: () = assert!(size_of::<Machine>() <= 32);

impl Default for Machine {
    fn default() -> Machine {
        Machine::new()
    }
}

impl Machine {
    /// Nothing installed.
    #[must_use]
    pub const fn new() -> Machine {
        Machine {
            since: Time(0),
            ready_at: Time(0),
            soak_ms: 0,
            fell_back: 0,
            fell_back_gap: u16::MAX,
            slots: [SlotState::Empty; 2],
            active: None,
            phase: Phase::Idle,
            score: 0,
        }
    }

    /// Applies one event. Total: never fails.
    pub fn apply(&mut self, now: Time, event: Event) -> Outcome {
        match event {
            Event::Cleared => self.fill(SlotState::Empty),
            Event::Staged => self.fill(SlotState::Staged),
            Event::Observed => self.fill(SlotState::Observed),
            Event::Activated { soak } => self.activate(now, soak),
            Event::Started => self.load(),
            Event::Ready => self.ready(now),
            Event::Tick => self.tick(now),
            Event::Charged { evidence, frozen } => self.charge(now, evidence, frozen),
            Event::FrozenUnwell => match self.can_fall_back() {
                true => self.leave_active(now),
                false => Outcome::Ignored,
            },
            Event::Unusable => match self.active() {
                Some(_) => self.leave_active(now),
                None => Outcome::Ignored,
            },
            Event::Outdated => self.outdate(),
            Event::Stopped => self.stop(now),
        }
    }

    fn fill(&mut self, with: SlotState) -> Outcome {
        if !self.may_stage() {
            return Outcome::Ignored;
        }
        self.slots[self.inactive().index()] = with;
        Outcome::Noted
    }

    fn activate(&mut self, now: Time, soak: Millis) -> Outcome {
        let next = self.inactive();
        if self.slots[next.index()] != SlotState::Staged {
            return Outcome::Ignored;
        }
        self.slots[next.index()] = SlotState::Tried;
        self.active = Some(next);
        self.phase = Phase::Loading;
        self.since = now;
        self.ready_at = now;
        self.soak_ms = u32::try_from(soak.0).unwrap_or(u32::MAX);
        self.score = 0;
        Outcome::Noted
    }

    fn load(&mut self) -> Outcome {
        if self.active().is_none() {
            return Outcome::Ignored;
        }
        self.phase = Phase::Loading;
        Outcome::Noted
    }

    fn ready(&mut self, now: Time) -> Outcome {
        if self.phase != Phase::Loading {
            return Outcome::Ignored;
        }
        self.phase = if self.probation() { Phase::Soaking } else { Phase::Running };
        self.ready_at = now;
        Outcome::Noted
    }

    fn tick(&mut self, now: Time) -> Outcome {
        let Some(slot) = self.active() else { return Outcome::Ignored };
        if self.soak_ends().is_none_or(|end| now < end) {
            return Outcome::Ignored;
        }
        self.slots[slot.index()] = SlotState::Confirmed;
        self.phase = Phase::Running;
        self.score = 0;
        Outcome::Confirmed
    }

    fn charge(&mut self, now: Time, evidence: Evidence, frozen: bool) -> Outcome {
        if self.active().is_none() {
            return Outcome::Ignored;
        }
        self.forgive(now, evidence.window());
        self.score = self.score.saturating_add(evidence.points());
        self.ready_at = now;
        let decisive = match self.probation() {
            true => evidence != Evidence::Unexplained || self.score >= CRASH_SCORE_FALLBACK,
            false if self.can_fall_back() => self.score >= CRASH_SCORE_FALLBACK,
            // A host that falls again and again helps nobody, whatever else there is.
            false if evidence == Evidence::HostCrashed => self.score >= CRASH_SCORE_FALLBACK,
            false => self.score >= CRASH_SCORE_PARK,
        };
        if decisive || (frozen && self.can_fall_back()) {
            return self.leave_active(now);
        }
        self.phase = Phase::Idle;
        Outcome::Noted
    }

    /// The active slot is given up: to the other one if that was confirmed, else to safe mode.
    fn leave_active(&mut self, now: Time) -> Outcome {
        let Some(slot) = self.active() else { return Outcome::Ignored };
        let can = self.can_fall_back();
        self.slots[slot.index()] = SlotState::Bad;
        self.score = 0;
        self.since = now;
        self.ready_at = now;
        if !can {
            self.phase = Phase::Safe;
            return Outcome::SafeMode;
        }
        self.active = Some(slot.other());
        let third = self.third_fallback(now);
        self.phase = if third { Phase::Safe } else { Phase::Idle };
        if third { Outcome::Parked } else { Outcome::FellBack }
    }

    /// Notes a fallback; whether it is the third within a day.
    fn third_fallback(&mut self, now: Time) -> bool {
        let minute = u32::try_from(now.0 / MINUTE_MS).unwrap_or(u32::MAX).saturating_add(1);
        let gap = match self.fell_back {
            0 => u16::MAX,
            before => u16::try_from(minute.saturating_sub(before)).unwrap_or(u16::MAX),
        };
        let in_all = u64::from(gap) + u64::from(self.fell_back_gap);
        (self.fell_back, self.fell_back_gap) = (minute, gap);
        in_all * MINUTE_MS <= FALLBACK_WINDOW.0
    }

    /// What ran confirmed for so long starts with no points.
    fn forgive(&mut self, now: Time, after: Millis) {
        if self.phase == Phase::Running && now.since(self.ready_at) > after {
            self.score = 0;
        }
    }

    /// Nobody goes back below the minimum: what lies there is forgotten, even if it was confirmed.
    fn outdate(&mut self) -> Outcome {
        let other = self.inactive();
        if self.active.is_none() || self.slots[other.index()] == SlotState::Empty {
            return Outcome::Ignored;
        }
        self.slots[other.index()] = SlotState::Empty;
        Outcome::Noted
    }

    fn stop(&mut self, now: Time) -> Outcome {
        if self.active().is_none() {
            return Outcome::Ignored;
        }
        self.forgive(now, HOST_CRASH_WINDOW);
        self.phase = Phase::Idle;
        Outcome::Noted
    }

    /// The slot that runs or would run; `None` with nothing installed and in safe mode.
    #[must_use]
    pub fn active(&self) -> Option<Slot> {
        self.active.filter(|_| self.phase != Phase::Safe)
    }
    /// The slot that the next release goes to.
    #[must_use]
    pub fn inactive(&self) -> Slot {
        self.active.map_or(Slot::A, Slot::other)
    }
    /// What a slot holds.
    #[must_use]
    pub fn slot(&self, slot: Slot) -> SlotState {
        self.slots[slot.index()]
    }
    /// What the active slot is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }
    /// When the active slot became active: the newest change is charged first.
    #[must_use]
    pub fn since(&self) -> Time {
        self.since
    }
    /// Points of failures held against the active slot.
    #[must_use]
    pub fn score(&self) -> u8 {
        self.score
    }
    /// Whether the active slot has not soaked yet.
    #[must_use]
    pub fn probation(&self) -> bool {
        self.active().is_some_and(|slot| self.slot(slot) == SlotState::Tried)
    }
    /// Whether a confirmed release waits in the other slot.
    #[must_use]
    pub fn can_fall_back(&self) -> bool {
        self.active().is_some_and(|slot| self.slot(slot.other()) == SlotState::Confirmed)
    }
    /// Whether the inactive slot may be overwritten: not while it is what probation falls back to.
    #[must_use]
    pub fn may_stage(&self) -> bool {
        !(self.probation() && self.can_fall_back())
    }
    /// When the watch period ends, while it runs.
    #[must_use]
    pub fn soak_ends(&self) -> Option<Time> {
        let soaking = self.phase == Phase::Soaking;
        soaking.then(|| self.ready_at.plus(Millis(u64::from(self.soak_ms))))
    }

    /// Fixed form inside a record.
    pub(crate) fn to_bytes(self) -> [u8; MACHINE_BYTES] {
        let mut out = [0; MACHINE_BYTES];
        out[..8].copy_from_slice(&self.since.0.to_le_bytes());
        out[8..16].copy_from_slice(&self.ready_at.0.to_le_bytes());
        out[16..20].copy_from_slice(&self.soak_ms.to_le_bytes());
        out[20] = slot_state_number(self.slots[0]);
        out[21] = slot_state_number(self.slots[1]);
        out[22] = self.active.map_or(0, |slot| if slot == Slot::A { 1 } else { 2 });
        out[23] = match self.phase {
            Phase::Idle => 0,
            Phase::Loading => 1,
            Phase::Soaking => 2,
            Phase::Running => 3,
            Phase::Safe => 4,
        };
        out[24] = self.score;
        out[26..30].copy_from_slice(&self.fell_back.to_le_bytes());
        out[30..].copy_from_slice(&self.fell_back_gap.to_le_bytes());
        out
    }

    /// Reads [`Machine::to_bytes`]; `None` for a state that no machine is ever in.
    pub(crate) fn from_bytes(bytes: &[u8; MACHINE_BYTES]) -> Option<Machine> {
        let number = |at: usize| -> u64 {
            bytes[at..at + 8].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let machine = Machine {
            since: Time(number(0)),
            ready_at: Time(number(8)),
            soak_ms: u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]),
            fell_back: u32::from_le_bytes([bytes[26], bytes[27], bytes[28], bytes[29]]),
            fell_back_gap: u16::from_le_bytes([bytes[30], bytes[31]]),
            slots: [slot_state(bytes[20])?, slot_state(bytes[21])?],
            active: match bytes[22] {
                0 => None,
                1 => Some(Slot::A),
                2 => Some(Slot::B),
                _ => return None,
            },
            phase: match bytes[23] {
                0 => Phase::Idle,
                1 => Phase::Loading,
                2 => Phase::Soaking,
                3 => Phase::Running,
                4 => Phase::Safe,
                _ => return None,
            },
            score: bytes[24],
        };
        (bytes[25] == 0 && machine.consistent()).then_some(machine)
    }

    /// Reads the form in which fallbacks were not counted.
    pub(crate) fn from_older_bytes(bytes: &[u8; 26]) -> Option<Machine> {
        let mut all = [0; MACHINE_BYTES];
        all[..26].copy_from_slice(bytes);
        all[30..].copy_from_slice(&u16::MAX.to_le_bytes());
        Machine::from_bytes(&all)
    }

    /// Whether some slot boots, or nothing is installed, or the component is in safe mode.
    #[must_use]
    pub fn consistent(&self) -> bool {
        match (self.active, self.phase) {
            (None, phase) => phase == Phase::Idle,
            (Some(slot), Phase::Safe) => {
                matches!(self.slot(slot), SlotState::Bad | SlotState::Confirmed)
            }
            (Some(slot), Phase::Soaking) => self.slot(slot) == SlotState::Tried,
            (Some(slot), Phase::Running) => self.slot(slot) == SlotState::Confirmed,
            (Some(slot), Phase::Idle | Phase::Loading) => {
                matches!(self.slot(slot), SlotState::Tried | SlotState::Confirmed)
            }
        }
    }
}

pub(crate) const MACHINE_BYTES: usize = 32;
const MINUTE_MS: u64 = 60_000;

const fn slot_state_number(state: SlotState) -> u8 {
    match state {
        SlotState::Empty => 0,
        SlotState::Staged => 1,
        SlotState::Observed => 2,
        SlotState::Tried => 3,
        SlotState::Confirmed => 4,
        SlotState::Bad => 5,
    }
}

const fn slot_state(number: u8) -> Option<SlotState> {
    Some(match number {
        0 => SlotState::Empty,
        1 => SlotState::Staged,
        2 => SlotState::Observed,
        3 => SlotState::Tried,
        4 => SlotState::Confirmed,
        5 => SlotState::Bad,
        _ => return None,
    })
}
