//! Every way in which power can go during every write of a host's life: after each prefix of its writes
//! and flushes, with the last write torn at every byte from either end, and with a flush that was dropped.
//!
//! What is held against it is what was acknowledged, not what the flushes say: so a flush that is missing
//! shows (the `record-without-flush` mutant).
use crate::disk::{Disk, HOST, Op, life};
use andon_host::boot::What;
use andon_host::boot_record::BootRecord;
use andon_host::machine::Phase;
use andon_host::record::Record;
use andon_host::storage::{self, COPY_BYTES, FILE_BYTES, Stored};

#[derive(Debug, Default)]
struct Count {
    states: usize,
    lost: usize,
    undecidable: usize,
}

/// Where a disk stands between two of its operations.
struct Standing {
    /// what has surely arrived
    durable: Vec<u8>,
    /// written since the last flush: perhaps arrived
    pending: Vec<(usize, Vec<u8>)>,
    /// newest that somebody relies on
    acknowledged: u64,
    /// before the last flush
    before_flush: Vec<u8>,
}

fn put(bytes: &mut [u8], at: usize, what: &[u8]) {
    bytes[at..at + what.len()].copy_from_slice(what);
}

impl Count {
    /// A host comes up with this. What was acknowledged is there, or something newer.
    fn judge<T: Stored>(&mut self, mut bytes: Vec<u8>, acknowledged: u64) {
        self.states += 1;
        match storage::read::<T, _>(&mut bytes) {
            Ok(record) => self.lost += usize::from(record.sequence() < acknowledged),
            Err(_) => self.undecidable += 1,
        }
    }

    /// The last write arrived in part: so many bytes from its front, or from its end.
    fn torn<T: Stored>(&mut self, base: &[u8], write: &(usize, Vec<u8>), acknowledged: u64) {
        let (at, bytes) = write;
        for cut in 0..=bytes.len() {
            for part in [0..cut, cut..bytes.len()] {
                let mut state = base.to_vec();
                put(&mut state, at + part.start, &bytes[part]);
                self.judge::<T>(state, acknowledged);
            }
        }
    }

    /// Every set of the writes that no flush has followed, and of the last of them every part.
    fn cut<T: Stored>(&mut self, now: &Standing) {
        let Some((last, earlier)) = now.pending.split_last() else {
            return self.judge::<T>(now.durable.clone(), now.acknowledged);
        };
        for set in 0..1_usize << earlier.len().min(4) {
            let mut base = now.durable.clone();
            let arrived = earlier.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
            arrived.for_each(|(_, (at, bytes))| put(&mut base, *at, bytes));
            self.torn::<T>(&base, last, now.acknowledged);
        }
        // A disk that has dropped the flush before: what was acknowledged then may be gone, and no host
        // can help it; but there is something to go by, once three were written. Every eighth byte
        // will do.
        let (at, bytes) = last;
        let third = now.acknowledged >= 3;
        for cut in (0..=bytes.len()).step_by(8).filter(|_| third) {
            let mut state = now.before_flush.clone();
            put(&mut state, *at, &bytes[..cut]);
            self.judge::<T>(state, 0);
        }
    }

    fn disk<T: Stored>(&mut self, disk: &Disk) {
        let empty = vec![0; FILE_BYTES];
        let mut now = Standing {
            durable: empty.clone(),
            pending: vec![],
            acknowledged: 0,
            before_flush: empty,
        };
        for op in &disk.log {
            match op {
                Op::Write(at, bytes) => now.pending.push((*at, bytes.clone())),
                Op::Flush => {
                    now.before_flush.clone_from(&now.durable);
                    for (at, bytes) in now.pending.drain(..) {
                        put(&mut now.durable, at, &bytes);
                    }
                }
                Op::Acknowledged(copy) => {
                    now.acknowledged = T::decode(&copy[..]).unwrap().sequence();
                }
            }
            // Before the first record there is none to go by, nor anything that could be loaded.
            if now.acknowledged >= 1 {
                self.cut::<T>(&now);
            }
        }
        assert_eq!(now.durable, disk.bytes, "the model and the disk differ");
    }
}

/// Mutants: record-without-flush, record-in-a-single-copy.
#[test]
fn no_power_cut_loses_an_acknowledged_record_or_leaves_a_host_undecided() {
    let (rig, told) = life();
    for (what, seen) in [
        ("fallback", told.iter().any(|one| matches!(one.what, What::FellBack { .. }))),
        ("safe mode", told.iter().any(|one| one.what == What::SafeMode)),
        ("too many fallbacks", told.iter().any(|one| one.what == What::TooManyFallbacks)),
        ("minimum", told.iter().any(|one| matches!(one.what, What::MinimumRaised(_)))),
        ("activation", told.iter().any(|one| one.what == What::Activated)),
        ("off", told.iter().any(|one| matches!(one.what, What::Off(_)))),
    ] {
        assert!(seen, "this life lacks a {what}: {told:#?}");
    }
    let mut count = Count::default();
    for (name, disk) in &rig.disks {
        match name.as_str() {
            HOST => count.disk::<BootRecord>(disk),
            _ => count.disk::<Record>(disk),
        }
    }
    println!("crash states: {count:?}");
    assert_eq!((count.lost, count.undecidable), (0, 0), "{count:?}");
    assert!(count.states >= 100_000, "{count:?}");
}

/// Both copies of every record stay in their places: nothing else is ever written.
#[test]
fn writes_go_to_the_two_places_and_never_to_the_newer_one() {
    let (rig, _) = life();
    for disk in rig.disks.values() {
        let places: Vec<usize> = disk
            .log
            .iter()
            .filter_map(|op| match op {
                Op::Write(at, bytes) => {
                    assert_eq!(bytes.len(), COPY_BYTES);
                    Some(*at)
                }
                _ => None,
            })
            .collect();
        let turns: Vec<usize> = (0..places.len()).map(|turn| turn % 2 * 4096).collect();
        assert_eq!(places, turns);
    }
}

/// What the guard loads is written down before: mutant count-after-load.
#[test]
fn a_host_that_is_gone_while_loading_knows_it_at_the_next_boot() {
    use crate::disk::{Load, Rig};
    let mut rig = Rig::new();
    let boot = rig.boot(Load::Fatal);
    assert_eq!(boot.risked.len(), 1);
    for name in ["sensor", "rules"] {
        let record: Record = storage::read(&mut rig.disks[name].bytes.clone()).unwrap();
        assert_eq!(record.machine.phase(), Phase::Loading, "{name}");
    }
}
