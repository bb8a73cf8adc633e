//! Every short sequence of events, and every way a record's write can be cut short.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
use andon_host::machine::{Event, Evidence, Outcome, Phase};
use andon_host::record::{self, COPY_BYTES, CrashMark, FILE_BYTES, InSlot, Mark, OFFSETS, Record};
use andon_host::storage::{self, Stored as _};
use andon_host::{Machine, Slot, SlotState};
use andon_model::Digest;
use andon_model::id::{ComponentId, RolloutId};
use andon_model::release::Version;
use andon_model::time::{Millis, Time};

const SOAK: Millis = Millis(10);
const LENGTH: usize = 6;

fn alphabet() -> Vec<Event> {
    let charged = |evidence, frozen| Event::Charged { evidence, frozen };
    vec![
        Event::Cleared,
        Event::Staged,
        Event::Observed,
        Event::Activated { soak: SOAK },
        Event::Started,
        Event::Ready,
        Event::Tick,
        charged(Evidence::Crash, false),
        charged(Evidence::HostCrashed, false),
        charged(Evidence::HostDied, false),
        charged(Evidence::Unexplained, false),
        charged(Evidence::Unexplained, true),
        Event::FrozenUnwell,
        Event::Unusable,
        Event::Outdated,
        Event::Stopped,
    ]
}

/// Walks every sequence; `judge` sees the machine before and after each event.
fn walk(judge: &mut dyn FnMut(&Machine, Event, Outcome, &Machine)) {
    fn go(
        machine: Machine,
        depth: usize,
        judge: &mut dyn FnMut(&Machine, Event, Outcome, &Machine),
        alphabet: &[Event],
    ) {
        if depth == LENGTH {
            return;
        }
        for event in alphabet {
            let mut after = machine;
            let outcome = after.apply(Time(1 + depth as u64 * 20), *event);
            judge(&machine, *event, outcome, &after);
            // A state seen before at this depth leads nowhere new only if nothing changed.
            if after != machine {
                go(after, depth + 1, judge, alphabet);
            }
        }
    }
    let alphabet = alphabet();
    go(Machine::new(), 0, judge, &alphabet);
    // Again from where a confirmed release runs and another one is staged.
    let mut machine = Machine::new();
    for event in [Event::Staged, Event::Activated { soak: SOAK }, Event::Ready] {
        machine.apply(Time(0), event);
    }
    assert_eq!(machine.apply(Time(10), Event::Tick), Outcome::Confirmed);
    machine.apply(Time(10), Event::Staged);
    go(machine, 0, judge, &alphabet);
}

#[test]
fn some_slot_always_boots_or_safe_mode() {
    walk(&mut |before, event, _, after| {
        assert!(after.consistent(), "{before:?} {event:?} {after:?}");
    });
}

#[test]
fn confirmed_slot_is_not_overwritten() {
    walk(&mut |before, event, outcome, after| {
        let fill = matches!(event, Event::Cleared | Event::Staged | Event::Observed);
        if fill && before.probation() && before.can_fall_back() {
            assert_eq!((outcome, before), (Outcome::Ignored, after));
        }
        if let (true, Some(active)) = (fill, before.active()) {
            assert_eq!(before.slot(active), after.slot(active));
        }
    });
}

#[test]
fn a_crash_in_probation_falls_back_at_once_where_there_is_a_confirmed_slot() {
    walk(&mut |before, event, outcome, after| {
        let crash = matches!(event, Event::Charged { evidence: Evidence::Crash, .. });
        if crash && before.probation() {
            let expected =
                if before.can_fall_back() { Outcome::FellBack } else { Outcome::SafeMode };
            assert_eq!(outcome, expected);
            assert_ne!(after.phase(), Phase::Soaking);
        }
        if outcome == Outcome::FellBack {
            let now = after.active().expect("an active slot after a fallback");
            assert_eq!(after.slot(now), SlotState::Confirmed);
            assert_eq!(after.slot(now.other()), SlotState::Bad);
        }
    });
}

#[test]
fn frozen_but_uncharged_healthy_hosts_are_untouched() {
    walk(&mut |before, event, outcome, after| {
        if event == Event::FrozenUnwell && !before.can_fall_back() {
            assert_eq!((outcome, before), (Outcome::Ignored, after));
        }
    });
}

fn sample(sequence: u64) -> Record {
    let mut machine = Machine::new();
    machine.apply(Time(5), Event::Staged);
    machine.apply(Time(6), Event::Activated { soak: SOAK });
    let release = Digest::of(b"manifest");
    let mark = Mark::of(&RolloutId::new("r1").unwrap(), &release);
    Record {
        sequence,
        component: ComponentId::new("tool").unwrap(),
        machine,
        slots: [Some(InSlot { release, version: Version(3), mark }), None],
        bad: vec![mark; 3],
        version_min: Version(2),
        charge: None,
        crash: CrashMark::NONE,
    }
}

fn file(copies: &[Record]) -> Vec<u8> {
    let mut bytes = vec![0; FILE_BYTES];
    for one in copies {
        storage::write(&mut bytes, &one.encode()).unwrap();
    }
    bytes
}

#[test]
fn torn_writes_leave_the_other_copy_or_none() {
    let (old, new) = (sample(6), sample(7));
    let before = file(&[sample(5), old.clone()]);
    let after = new.encode();
    let at = usize::try_from(OFFSETS[0]).unwrap();
    for cut in 0..=COPY_BYTES {
        for front in [true, false] {
            let mut bytes = before.clone();
            let range = if front { 0..cut } else { COPY_BYTES - cut..COPY_BYTES };
            bytes[at..][range.clone()].copy_from_slice(&after[range]);
            let read = record::newest(&bytes, &old.component).unwrap();
            assert!(read == old || read == new, "cut at {cut}");
            assert!(cut != COPY_BYTES || read == new);
        }
    }
}

#[test]
fn every_flipped_bit_is_seen() {
    let (old, new) = (sample(6), sample(7));
    let whole = file(&[old.clone(), new.clone()]);
    assert_eq!(record::newest(&whole, &old.component).unwrap(), new);
    for (offset, other) in [(OFFSETS[0], &new), (OFFSETS[1], &old)] {
        let from = usize::try_from(offset).unwrap();
        for at in from..from + COPY_BYTES {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                assert_eq!(record::newest(&bytes, &old.component).unwrap(), *other);
            }
        }
    }
    let nothing = vec![0; FILE_BYTES];
    assert!(record::newest(&nothing, &old.component).is_err());
    for length in 0..FILE_BYTES {
        let read = record::newest(&whole[..length], &old.component);
        assert!(read.is_err() || read.as_ref() == Ok(&old) || read == Ok(new.clone()));
    }
    let other = ComponentId::new("other").unwrap();
    assert!(record::newest(&whole, &other).is_err());
}

/// A record as hosts wrote it before fallbacks were counted, taken apart and put together by hand.
#[test]
fn a_record_of_the_first_format_is_still_read() {
    let new = sample(6);
    let bytes = new.encode();
    let machine = 16 + 1 + new.component.as_str().len();
    let mut older = vec![0; COPY_BYTES];
    older[..8].copy_from_slice(b"ANDONRC1");
    older[8..machine + 26].copy_from_slice(&bytes[8..machine + 26]);
    let rest = bytes[machine + 32..COPY_BYTES - 32].to_vec();
    older[machine + 26..][..rest.len()].copy_from_slice(&rest);
    let sum = Digest::of(&older[..COPY_BYTES - 32]);
    older[COPY_BYTES - 32..].copy_from_slice(&sum.0);
    assert_eq!(Record::decode(&older), Some(new));
    older[7] = b'9';
    let sum = Digest::of(&older[..COPY_BYTES - 32]);
    older[COPY_BYTES - 32..].copy_from_slice(&sum.0);
    assert_eq!(Record::decode(&older), None, "a format that nobody knows");
}

#[test]
fn slots_are_each_others_other() {
    assert_eq!((Slot::A.other(), Slot::B.other()), (Slot::B, Slot::A));
}
