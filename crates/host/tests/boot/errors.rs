//! A disk that gives an error, at every call of a boot in turn, once or from then on, with nothing, half
//! or all of a failing write on the disk.
use crate::disk::{Fault, HOST, Load, Op, Rig};
use andon_host::boot::Off;
use andon_host::boot_record::BootRecord;
use andon_host::machine::Phase;
use andon_host::record::Record;
use andon_host::storage::{self, COPY_BYTES, Stored};

/// A boot that charges, falls back, and loads.
fn before() -> Rig {
    let mut rig = Rig::new();
    rig.stage("rules", 2);
    rig.boot(Load::Fatal);
    rig.named();
    rig
}

fn faults() -> impl Iterator<Item = Fault> {
    let mut whole = before();
    let from = whole.calls;
    whole.boot(Load::Well);
    let calls = from + 1..=whole.calls;
    assert!(calls.clone().count() > 30, "{calls:?}");
    calls.flat_map(|at| {
        ["EIO", "ENOSPC", "EROFS"].into_iter().flat_map(move |errno| {
            [0, COPY_BYTES / 2, COPY_BYTES].into_iter().flat_map(move |arrive| {
                [false, true].map(|lasting| Fault { at, lasting, errno, arrive })
            })
        })
    })
}

/// The newest that was acknowledged; else what the disk holds is newer.
fn readable<T: Stored>(rig: &Rig, name: &str, fault: &Fault) {
    let disk = &rig.disks[name];
    let acknowledged = disk.log.iter().rev().find_map(|op| match op {
        Op::Acknowledged(copy) => T::decode(&copy[..]),
        _ => None,
    });
    let read: T = storage::read(&mut disk.bytes.clone())
        .unwrap_or_else(|why| panic!("{name} after {fault:?}: {why}"));
    assert!(read.sequence() >= acknowledged.unwrap().sequence(), "{name} after {fault:?}");
}

#[test]
fn an_error_at_any_call_leaves_the_old_record_or_keeps_risky_parts_off() {
    let mut tried = 0;
    for fault in faults() {
        let mut rig = before();
        rig.fault = Some(fault.clone());
        let boot = rig.boot(Load::Well);
        tried += 1;
        readable::<BootRecord>(&rig, HOST, &fault);
        for name in ["sensor", "rules"] {
            readable::<Record>(&rig, name, &fault);
            let loaded = !boot.risked.is_empty();
            let intended = rig.disks[name].log.iter().any(|op| match op {
                Op::Acknowledged(copy) => {
                    let record = Record::decode(&copy[..]).unwrap();
                    record.machine.phase() == Phase::Loading
                        && boot.decision.steps.iter().any(|step| step.intent.contains(&record))
                }
                _ => false,
            });
            assert!(!loaded || intended, "loaded without an intent of {name}: {fault:?}");
        }
        let kept_off = !boot.carried.off.is_empty() || !boot.decision.off.is_empty();
        assert!(kept_off || !boot.risked.is_empty(), "neither loaded nor said why not: {fault:?}");
        // The disk is well again: the next boot decides, and loads what was confirmed.
        rig.fault = None;
        let next = rig.boot(Load::Well);
        let versions: Vec<u32> =
            next.risked.iter().flat_map(|step| &step.members).map(|one| one.version.0).collect();
        assert_eq!(versions, [1, 1], "{fault:?}: {next:#?}");
    }
    println!("{tried} faults");
}

#[test]
fn a_record_that_cannot_be_read_keeps_its_unit_off_and_says_so() {
    for name in [HOST, "sensor", "rules"] {
        let mut rig = Rig::new();
        rig.disks.get_mut(name).unwrap().bytes.fill(0xa5);
        let boot = rig.boot(Load::Well);
        assert!(boot.risked.is_empty(), "{name}");
        let why = &boot.decision.off[0].1;
        let expected = match name {
            HOST => Off::BootRecord,
            of => Off::Record(andon_model::ComponentId::new(of).unwrap()),
        };
        assert_eq!(*why, expected);
        let told = boot.reports.iter().any(|report| report.to_string().contains("cannot be read"));
        assert!(told, "{name}: {:#?}", boot.reports);
        // The host's own record begins anew; a component's waits for the supervisor.
        let next = rig.boot(Load::Well);
        assert_eq!(next.risked.is_empty(), name != HOST, "{name}");
    }
}

/// A write that failed takes its number again, and so its place: what the disk has vouched for last is
/// not overwritten by the write after.
#[test]
fn after_a_failed_write_the_next_one_goes_to_the_same_place() {
    let mut rig = Rig::new();
    let record: Record = storage::read(&mut rig.disks["rules"].bytes.clone()).unwrap();
    let next = |sequence| Record { sequence, ..record.clone() }.encode();
    rig.write("rules", &next(2)).unwrap();
    let calls = rig.calls;
    for (call, arrive) in [(3, 0), (3, COPY_BYTES / 2), (3, COPY_BYTES), (4, COPY_BYTES)] {
        let mut rig = rig.clone();
        rig.fault = Some(Fault { at: calls + call, lasting: false, errno: "EIO", arrive });
        assert!(rig.write("rules", &next(3)).is_err());
        rig.fault = None;
        rig.write("rules", &next(3)).unwrap();
        let places: Vec<usize> = rig.disks["rules"]
            .log
            .iter()
            .filter_map(|op| match op {
                Op::Write(at, _) => Some(*at),
                _ => None,
            })
            .collect();
        assert_eq!(places, [0, 4096, 0, 0], "{call} {arrive}");
    }
}
