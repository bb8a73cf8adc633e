//! Targets: the texts of public logs (docs/spec/log.md). Each has one spelling, so what was read is
//! written again to the byte.
use crate::Fate;
use crate::world::{NOW, log_policy, note_key, world};
use andon_model::limits::{
    LOG_EXTRA_BYTES_MAX, LOG_POLICY_ENTRIES_MAX, MERKLE_PROOF_MAX, NOTE_SIGNATURES_MAX,
};
use andon_model::log_entry::LogEntry;
use andon_model::merkle::{self, Head};
use andon_model::{Digest, PublicKey, Time};
use andon_trust::log::note::Seen;
use andon_trust::log::witness::{AddCheckpoint, advance, authenticate};
use andon_trust::log::{
    LogProof, Note, Policy, SignedCheckpoint, Tile, TileTree, VerifierKey, tiles, verified,
};
use std::collections::BTreeSet;

fn accepted() -> Policy {
    Policy::parse(log_policy().as_bytes()).expect("the world's policy")
}

/// A note, a checkpoint in it, a verifier key: nothing is signed that the log and its witnesses did not.
pub(crate) fn note(bytes: &[u8]) -> Fate {
    if let Some(key) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()) {
        let key: VerifierKey = key;
        let written = key.to_string();
        assert_eq!(written.as_bytes(), bytes, "a key with two spellings");
        return Fate::Taken;
    }
    let Ok(read) = Note::parse(bytes) else {
        assert!(SignedCheckpoint::parse(bytes).is_err(), "a checkpoint that is no note");
        return Fate::Refused;
    };
    assert!((1..=NOTE_SIGNATURES_MAX).contains(&read.signatures().len()), "signatures of a note");
    assert_eq!(read.to_text().as_bytes(), bytes, "a note with two spellings");
    let ours = world().proof.checkpoint.note();
    for witness in 0..=3 {
        let seen = read.seen_by(note_key(witness).verifier());
        let signed = matches!(seen, Ok(Seen::Signed | Seen::Cosigned(_)));
        assert!(!signed || read.text() == ours.text(), "signed, and nobody did");
    }
    if let Ok(checkpoint) = SignedCheckpoint::parse(bytes) {
        assert_eq!(checkpoint.to_text().as_bytes(), bytes, "a checkpoint with two spellings");
        assert_eq!(checkpoint.checkpoint().to_text(), read.text(), "a text with two spellings");
        believed(&checkpoint);
    }
    Fate::Taken
}

/// A checkpoint that the policy accepts is the one that was signed, and no later than it was seen.
fn believed(checkpoint: &SignedCheckpoint) {
    if let Ok(verified) = verified::checkpoint(checkpoint, &accepted()) {
        let ours = world().proof.checkpoint.checkpoint();
        assert_eq!(checkpoint.checkpoint(), ours, "believed, and nobody signed it");
        assert!(
            verified.quorum_time() <= Some(Time(NOW.0 / 1000 * 1000)),
            "seen later than it was"
        );
    }
}

/// A proof of logging: of the entry that was logged, and of no other.
pub(crate) fn proof(bytes: &[u8]) -> Fate {
    let Ok(read) = LogProof::parse(bytes) else { return Fate::Refused };
    assert!(read.hashes.len() <= MERKLE_PROOF_MAX, "hashes of a proof");
    assert!(read.extra.as_ref().is_none_or(|extra| extra.len() <= LOG_EXTRA_BYTES_MAX), "extra");
    assert_eq!(read.to_text().as_bytes(), bytes, "a proof with two spellings");
    believed(&read.checkpoint);
    let world = world();
    let logged = LogEntry::release(world.release, &world.manifest).leaf();
    for leaf in [logged, merkle::leaf(b"other"), Digest::of(bytes)] {
        if let Ok(verified) = read.verify(leaf, &accepted()) {
            let known = if leaf == logged { &[1][..] } else { &[0, 2] };
            assert!(known.contains(&verified.index()), "an entry in another place");
            assert!(leaf != Digest::of(bytes), "an entry that was never logged");
        }
    }
    Fate::Taken
}

/// A log policy: more witnesses never make a quorum none.
pub(crate) fn policy(bytes: &[u8]) -> Fate {
    let Ok(read) = Policy::parse(bytes) else { return Fate::Refused };
    let count = read.witnesses().count();
    assert!(read.logs().count().max(count) <= LOG_POLICY_ENTRIES_MAX, "entries of a policy");
    let distinct = |keys: Vec<PublicKey>| keys.iter().collect::<BTreeSet<_>>().len() == keys.len();
    assert!(
        distinct(read.witnesses().map(VerifierKey::public).collect()),
        "a witness counts twice"
    );
    assert!(distinct(read.logs().map(VerifierKey::public).collect()), "a log stands twice");
    let mut before = read.is_quorum(|_| false);
    for some in 0..=count {
        let now = read.is_quorum(|at| at < some);
        assert!(now || !before, "a witness more, and the quorum is gone");
        before = now;
    }
    assert!(read.is_quorum(|_| true), "a quorum that nobody can reach");
    Fate::Taken
}

/// An entry of a line's log: one spelling.
pub(crate) fn entry(bytes: &[u8]) -> Fate {
    let Ok(read) = LogEntry::parse(bytes) else { return Fate::Refused };
    assert_eq!(read.to_bytes(), bytes, "an entry with two spellings");
    assert_eq!(read.leaf(), merkle::leaf(bytes), "an entry that is not what is hashed");
    Fate::Taken
}

/// A tile: its path, its rows, its entries; and a tree out of tiles that a stranger sends.
pub(crate) fn tile(bytes: &[u8]) -> Fate {
    let cut = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (path, rest) = bytes.split_at(cut);
    let tile = std::str::from_utf8(path).ok().and_then(Tile::parse);
    let Some(tile) = tile else { return Fate::Refused };
    assert_eq!(tile.to_string().as_bytes(), path, "a tile with two paths");
    let content = rest.get(1..).unwrap_or_default();
    if let Ok(hashes) = tile.hashes(content) {
        assert_eq!(hashes.len(), tile.width(), "a row of another width");
        assert_eq!(tiles::hash_bytes(&hashes), content, "a row with two spellings");
    }
    if let Ok(entries) = tile.entries(content) {
        assert_eq!(entries.len(), tile.width(), "a bundle of another width");
        let entries: Vec<Vec<u8>> = entries.into_iter().map(<[u8]>::to_vec).collect();
        assert_eq!(tiles::bundle_bytes(&entries).as_deref(), Some(content), "two spellings");
    }
    tree(tile.index().saturating_add(1), content);
    Fate::Taken
}

/// Whatever tiles come, a tree of them ends, and its proofs fit its own head.
fn tree(size: u64, content: &[u8]) {
    let mut asked = 0_u32;
    let mut tree = TileTree::new(size, |tile: &Tile| {
        asked += 1;
        assert!(asked <= 4096, "a tree that asks for tiles without end");
        if content.len() == 32 * tile.width() {
            return Some(content.to_vec());
        }
        let name = tile.to_string();
        let hash = |at: usize| Digest::of_parts(&[content, name.as_bytes(), &at.to_be_bytes()]);
        let hashes: Vec<Digest> = (0..tile.width()).map(hash).collect();
        Some(tiles::hash_bytes(&hashes))
    });
    let Ok(head) = tree.head() else { return };
    assert_eq!(head.size, size);
    for index in [0, size / 2, size - 1] {
        let _either = tree.inclusion(index);
        let _either = tree.consistency(index);
    }
}

/// What a witness is asked: it goes on only from what it knows.
pub(crate) fn witness_request(bytes: &[u8]) -> Fate {
    let Ok(read) = AddCheckpoint::parse(bytes) else { return Fate::Refused };
    assert!(read.proof.len() <= MERKLE_PROOF_MAX, "hashes of a request");
    assert_eq!(read.to_text().as_bytes(), bytes, "a request with two spellings");
    let logs = Policy::unwitnessed(vec![note_key(0).verifier().clone()]);
    let ours = world().proof.checkpoint.checkpoint();
    if authenticate(&read, &logs).is_ok() {
        assert_eq!(read.checkpoint.checkpoint(), ours, "asked for by the log, and it did not");
    }
    let other = Head { size: ours.head.size, root: Digest::of(b"another history") };
    for known in [Head::empty(), ours.head, other] {
        let Ok(next) = advance(&read, &known) else { continue };
        assert!(next.size >= known.size, "a witness goes back");
        assert!(next.size != known.size || next == known, "two roots of one size");
        assert_eq!(read.old, known.size, "from another size than it knows");
    }
    Fate::Taken
}

/// The world's request: from nothing to its checkpoint.
pub(crate) fn request() -> AddCheckpoint {
    AddCheckpoint { old: 0, proof: vec![], checkpoint: world().proof.checkpoint.clone() }
}
