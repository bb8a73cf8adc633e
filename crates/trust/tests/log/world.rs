//! A small world: a log of a few entries, three witnesses, a policy that wants all of them.
use andon_model::Digest;
use andon_model::merkle::{Head, Tree, leaf};
use andon_trust::log::{
    Checkpoint, KeyKind, LogProof, NoteKey, NoteSignature, Policy, SignedCheckpoint,
};
use andon_trust::sign::SigningKey;

pub(crate) const ORIGIN: &str = "log.example/andon";
/// POSIX seconds at which the first witness looks; the others look a minute later each.
pub(crate) const SEEN: u64 = 1_790_000_000;

pub(crate) fn log_key() -> NoteKey {
    NoteKey::new(ORIGIN, KeyKind::Log, SigningKey::from_seed([1; 32])).unwrap()
}

pub(crate) fn witness(number: u8) -> NoteKey {
    let key = SigningKey::from_seed([100 + number; 32]);
    NoteKey::new(&format!("witness.example/w{number}"), KeyKind::Witness, key).unwrap()
}

pub(crate) fn entry(at: u64) -> Vec<u8> {
    format!("entry {at}").into_bytes()
}

pub(crate) fn tree(size: u64) -> Tree {
    Tree::new((0..size).map(|at| leaf(&entry(at))).collect())
}

pub(crate) fn checkpoint(size: u64) -> Checkpoint {
    let head = Head { size, root: tree(size).root() };
    Checkpoint { origin: ORIGIN.to_owned(), head, extensions: Vec::new() }
}

pub(crate) fn signed(size: u64) -> SignedCheckpoint {
    log_key().seal(&checkpoint(size), 0).unwrap()
}

pub(crate) fn cosignature(of: &SignedCheckpoint, number: u8) -> NoteSignature {
    witness(number).sign(of.note().text(), SEEN + 60 * u64::from(number))
}

pub(crate) fn proof(index: u64, size: u64, witnesses: &[u8]) -> LogProof {
    let mut checkpoint = signed(size);
    for number in witnesses {
        let line = cosignature(&checkpoint, *number);
        checkpoint.add(line);
    }
    let hashes = tree(size).proof(usize::try_from(index).unwrap()).unwrap();
    LogProof { extra: None, index, hashes, checkpoint }
}

pub(crate) fn entry_hash(at: u64) -> Digest {
    leaf(&entry(at))
}

/// The log and witnesses 1 to 3, and these further lines.
pub(crate) fn policy(lines: &str) -> Policy {
    let mut text = format!("# ours\nlog {} https://log.example\n", log_key().verifier());
    for number in 1..=3 {
        text += &format!("witness w{number} {}\n", witness(number).verifier());
    }
    Policy::parse(format!("{text}{lines}\n").as_bytes()).unwrap()
}

pub(crate) fn everybody() -> Policy {
    policy("group all-of-them all w1 w2 w3\nquorum all-of-them")
}
