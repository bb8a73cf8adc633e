//! Targets: what lies on a host's disk, where a torn write, a failing device or somebody with a screwdriver
//! has been before it is read; and the kernel's word on its crash.
//!
//! A copy with a wrong sum is refused at once, which would keep every fuzzer out of the rest: so a copy is
//! tried as it is, and again with its sum put right.
use crate::Fate;
use andon_host::boot::Crash;
use andon_host::boot_record::{BootId, BootPhase, BootRecord, GuardMode};
use andon_host::machine::{Event, Evidence};
use andon_host::record::{CrashMark, InSlot, Mark, Record};
use andon_host::storage::{COPY_BYTES, Stored};
use andon_model::beat::{Charge, Strength};
use andon_model::release::Version;
use andon_model::text::Text;
use andon_model::{ComponentId, Digest, Millis, RolloutId, Time};

const SUM_BYTES: usize = 32;

pub(crate) fn copy(bytes: &[u8]) -> Fate {
    let mut summed = bytes.to_vec();
    summed.resize(COPY_BYTES, 0);
    let sum = Digest::of(&summed[..COPY_BYTES - SUM_BYTES]);
    summed[COPY_BYTES - SUM_BYTES..].copy_from_slice(&sum.0);
    let whole = bytes == summed;
    assert!(whole || read(bytes) == Fate::Refused, "read although its sum is wrong");
    read(&summed)
}

fn read(bytes: &[u8]) -> Fate {
    let record = Record::decode(bytes);
    let boot = BootRecord::decode(bytes);
    assert!(record.is_none() || boot.is_none(), "two formats at once");
    if let Some(record) = &record {
        assert!(record.machine.consistent(), "a state that no machine is ever in: {record:?}");
        let again = Record::decode(&record.encode()[..]);
        assert_eq!(again.as_ref(), Some(record), "what was read is not what is written");
        // Whatever it says, it can be gone on from.
        let mut machine = record.machine;
        for event in [Event::Cleared, Event::Staged, Event::Activated { soak: Millis(1) }] {
            machine.apply(Time(u64::MAX), event);
        }
        machine.apply(Time(0), Event::Charged { evidence: Evidence::HostCrashed, frozen: true });
        assert!(machine.consistent(), "{record:?} leads to {machine:?}");
    }
    if let Some(boot) = &boot {
        assert_eq!(BootRecord::decode(&boot.encode()[..]).as_ref(), Some(boot));
        assert!(boot.at(BootPhase::Ended).phase == BootPhase::Ended);
    }
    if record.is_some() || boot.is_some() { Fate::Taken } else { Fate::Refused }
}

/// Names at most so many modules, each with letters that a terminal can take.
pub(crate) fn crash(bytes: &[u8]) -> Fate {
    let crash = Crash::read(bytes);
    assert!(crash.modules.len() <= 16, "more modules than a backtrace has");
    let plain = |name: &String| {
        (1..=55).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
    };
    assert!(crash.modules.iter().all(plain), "{:?}", crash.modules);
    assert_eq!(crash, Crash::read(bytes));
    if crash.modules.is_empty() { Fate::Refused } else { Fate::Taken }
}

pub(crate) fn copies() -> Vec<Vec<u8>> {
    let component = ComponentId::new("rules").expect("an id");
    let release = Digest::of(b"manifest");
    let mark = Mark::of(&RolloutId::new("r").expect("an id"), &release);
    let mut record = Record { sequence: 7, ..Record::new(component.clone()) };
    let bare = record.clone();
    let events = [Event::Staged, Event::Activated { soak: Millis(1000) }, Event::Started];
    for event in events {
        record.machine.apply(Time(60_000), event);
    }
    record.slots[0] = Some(InSlot { release, version: Version(3), mark });
    record.bad = vec![mark];
    record.version_min = Version(2);
    record.crash = CrashMark([1; 16]);
    record.charge = Some(Charge {
        number: 0,
        component,
        version: Version(3),
        release,
        strength: Strength::Strong,
        cause: Text::clipped("kernel crash in module fbsensor"),
        at: Time(60_000),
    });
    let boot = BootRecord {
        sequence: 3,
        boots: 2,
        crashes: 1,
        unexplained: 1,
        phase: BootPhase::Loading,
        mode: GuardMode::Enforce,
        boot: BootId([5; 16]),
    };
    let copies = [bare.encode(), record.encode(), BootRecord::NEW.encode(), boot.encode()];
    copies.map(|copy| copy.to_vec()).into()
}

pub(crate) fn crashes() -> Vec<Vec<u8>> {
    let text = "Panic#1 Part1\n<4>[    0.812345] Modules linked in: fbsensor(OE+) virtio_net(E)\n\
        <4>[    0.812346] RIP: 0010:fbsensor_init+0xe4/0x1000 [fbsensor]\n\
        <4>[    0.812347] Call Trace:\n<4>[    0.812348]  ? nvidia_open+0x1/0x2 [nvidia]\n\
        <4>[    0.812349]  do_one_initcall+0x56/0x230\n\
        <4>[    0.812350]  other+0x5/0x20 [other-one 0123456789abcdef]\n";
    vec![text.as_bytes().to_vec()]
}
