//! The witness's memory: over restarts, with a disk that fails, with files that were changed.
use super::*;
use crate::own_folder::OwnFolderError;
use andon_model::merkle::{Tree, leaf};
use andon_trust::log::{Checkpoint, KeyKind};
use andon_trust::sign::SigningKey;
use std::fs;
use std::path::Path;

const ORIGIN: &str = "log.example/one";
const NOW: u64 = 1_790_000_000;

fn log() -> NoteKey {
    NoteKey::new(ORIGIN, KeyKind::Log, SigningKey::from_seed([1; 32])).unwrap()
}

fn key(seed: u8) -> NoteKey {
    NoteKey::new("witness.example/w", KeyKind::Witness, SigningKey::from_seed([seed; 32])).unwrap()
}

fn tree(history: u8, size: usize) -> Tree {
    Tree::new((0..size).map(|at| leaf(&[history, u8::try_from(at).unwrap()])).collect())
}

fn ask(history: u8, old: usize, size: usize) -> Vec<u8> {
    let tree = tree(history, size);
    let head = Head { size: size as u64, root: tree.root() };
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), head, extensions: vec![] };
    let mut checkpoint = log().seal(&checkpoint, 0).unwrap();
    let strangers = key(99).sign(checkpoint.note().text(), 5);
    checkpoint.add(strangers);
    let proof = tree.consistency(old).unwrap_or_default();
    AddCheckpoint { old: old as u64, proof, checkpoint }.to_text().into_bytes()
}

fn open(dir: &Path, key: NoteKey) -> Result<Witness, StoreError> {
    let logs = Policy::unwitnessed(vec![log().verifier().clone()]);
    Witness::open(key, logs, Store::open(dir)?)
}

fn conflict(refused: Result<String, Refused>) -> u64 {
    match refused {
        Err(Refused::Witness(WitnessRefusal::Conflict { known })) => known,
        other => panic!("{other:?}"),
    }
}

fn record(dir: &Path) -> std::path::PathBuf {
    dir.join(format!("{}.checkpoint", Digest::of(ORIGIN.as_bytes())))
}

#[test]
fn what_was_cosigned_is_known_after_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("w");
    let witness = open(&dir, key(2)).unwrap();
    let hash = Digest::of(ORIGIN.as_bytes()).to_string();
    assert_eq!(witness.newest(&hash), None);
    let line = witness.add(&ask(0, 0, 5), NOW).unwrap();
    assert!(line.starts_with("\u{2014} witness.example/w ") && line.ends_with('\n'));
    assert!(matches!(Store::open(&dir), Err(StoreError::Folder(OwnFolderError::Locked { .. }))));
    let newest = witness.newest(&hash);
    // the log's line and ours, nobody else's
    assert_eq!(newest.as_ref().unwrap().matches('\u{2014}').count(), 2);
    assert!(newest.as_ref().unwrap().contains(&line));
    drop(witness);
    let witness = open(&dir, key(2)).unwrap();
    assert_eq!(witness.newest(&hash), newest);
    assert_eq!(conflict(witness.add(&ask(1, 0, 5), NOW)), 5);
    let forked = witness.add(&ask(1, 5, 7), NOW);
    assert!(matches!(forked, Err(Refused::Witness(WitnessRefusal::Inconsistent))));
    assert!(witness.add(&ask(0, 5, 7), NOW).is_ok());
    assert_eq!(witness.newest(&"0".repeat(64)), None);
}

#[test]
fn times_never_go_back() {
    let place = tempfile::tempdir().unwrap();
    let time = |witness: &Witness, now| {
        witness.add(&ask(0, 3, 3), now).unwrap();
        let stand = witness.stands[ORIGIN].lock().unwrap();
        match &*stand {
            Stand::Cosigned { checkpoint, time } => {
                assert_eq!(cosigned(checkpoint, witness.key.verifier()), Some(*time));
                *time
            }
            other => panic!("{other:?}"),
        }
    };
    let witness = open(place.path(), key(2)).unwrap();
    witness.add(&ask(0, 0, 3), NOW).unwrap();
    assert_eq!(time(&witness, NOW - 50), NOW);
    assert_eq!(time(&witness, NOW + 50), NOW + 50);
    drop(witness);
    let witness = open(place.path(), key(2)).unwrap();
    assert_eq!(time(&witness, 0), NOW + 50);
}

#[test]
fn a_record_that_cannot_be_believed_is_no_fresh_start() {
    let place = tempfile::tempdir().unwrap();
    open(place.path(), key(2)).unwrap().add(&ask(0, 0, 5), NOW).unwrap();
    let good = fs::read(record(place.path())).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(record(place.path()), &bad).unwrap();
        let opened = open(place.path(), key(2));
        // another line of the log's signature changes nothing that we rely on
        let logs_line = String::from_utf8_lossy(&good[..at]).matches('\u{2014}').count() == 1;
        assert!(opened.is_err() || logs_line, "byte {at}");
    }
    for cut in [0, 1, good.len() / 2, good.len() - 1] {
        fs::write(record(place.path()), &good[..cut]).unwrap();
        assert!(open(place.path(), key(2)).is_err(), "cut at {cut}");
    }
    fs::write(record(place.path()), &good).unwrap();
    assert!(matches!(open(place.path(), key(3)), Err(StoreError::Foreign(_))));
    assert!(open(place.path(), key(2)).is_ok());
}

#[test]
fn after_a_failed_write_nothing_is_cosigned_until_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("w");
    let witness = open(&dir, key(2)).unwrap();
    witness.add(&ask(0, 0, 5), NOW).unwrap();
    // a folder in the place of the file: the rename fails, whoever runs the test
    fs::remove_file(record(&dir)).unwrap();
    fs::create_dir_all(record(&dir).join("x")).unwrap();
    assert!(matches!(witness.add(&ask(0, 5, 6), NOW), Err(Refused::Record(_))));
    fs::remove_dir_all(record(&dir)).unwrap();
    for (old, size) in [(5, 6), (5, 7), (6, 7)] {
        assert!(matches!(witness.add(&ask(0, old, size), NOW), Err(Refused::Unsure)));
    }
    assert_eq!(witness.newest(&Digest::of(ORIGIN.as_bytes()).to_string()), None);
}

#[test]
fn what_a_killed_witness_left_half_written_is_swept_away() {
    let place = tempfile::tempdir().unwrap();
    open(place.path(), key(2)).unwrap().add(&ask(0, 0, 5), NOW).unwrap();
    let half =
        record(place.path()).with_extension(format!("checkpoint.{}.new", std::process::id()));
    fs::write(&half, b"half").unwrap();
    let witness = open(place.path(), key(2)).unwrap();
    assert!(!half.exists());
    assert!(witness.add(&ask(0, 5, 6), NOW).is_ok());
}
