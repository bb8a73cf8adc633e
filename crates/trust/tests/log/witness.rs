//! What a witness decides: the order of the specification, and that no two roots of one size pass.
use crate::world::*;
use andon_model::Digest;
use andon_model::limits::{MERKLE_PROOF_MAX, WITNESS_REQUEST_BYTES_MAX};
use andon_model::merkle::{Head, leaf};
use andon_trust::log::witness::{
    AddCheckpoint, RequestError, WitnessRefusal, advance, authenticate,
};
use andon_trust::log::{Policy, SignedCheckpoint};
use proptest::prelude::*;

fn request(old: u64, size: u64) -> AddCheckpoint {
    let proof = tree(size).consistency(usize::try_from(old).unwrap()).unwrap_or_default();
    AddCheckpoint { old, proof, checkpoint: signed(size) }
}

fn head(size: u64) -> Head {
    Head { size, root: tree(size).root() }
}

/// A checkpoint of our log that its key signed, whatever it says.
fn lie(size: u64, root: Digest) -> SignedCheckpoint {
    let mut checkpoint = checkpoint(0);
    checkpoint.head = Head { size, root };
    log_key().seal(&checkpoint, 0).unwrap()
}

fn watched() -> Policy {
    Policy::unwitnessed(vec![log_key().verifier().clone()])
}

#[test]
fn every_honest_step_is_cosigned() {
    for size in 0..=20 {
        for old in 0..=size {
            let request = request(old, size);
            assert_eq!(authenticate(&request, &watched()), Ok(()));
            assert_eq!(advance(&request, &head(old)), Ok(head(size)), "{old} to {size}");
            let text = request.to_text();
            assert_eq!(AddCheckpoint::parse(text.as_bytes()).unwrap().to_text(), text);
        }
    }
}

#[test]
fn an_inconsistent_checkpoint_is_refused() {
    use WitnessRefusal::Inconsistent;
    let other = leaf(b"another tree");
    for size in 1..=12 {
        for old in 1..=size {
            let forked = AddCheckpoint { checkpoint: lie(size, other), ..request(old, size) };
            assert_eq!(authenticate(&forked, &watched()), Ok(()));
            assert_eq!(advance(&forked, &head(old)), Err(Inconsistent), "{old} to {size}");
            // the same size or a larger one, with our memory of another past
            let past = Head { size: old, root: other };
            assert_eq!(advance(&request(old, size), &past), Err(Inconsistent));
            let without = AddCheckpoint { proof: vec![], ..request(old, size) };
            assert_eq!(advance(&without, &head(old)).is_ok(), old == size);
            let mut more = request(old, size);
            more.proof.push(other);
            assert_eq!(advance(&more, &head(old)), Err(Inconsistent));
        }
    }
    // an empty log has one root only, and from nothing no proof is taken
    let empty = AddCheckpoint { old: 0, proof: vec![], checkpoint: lie(0, other) };
    assert_eq!(advance(&empty, &Head::empty()), Err(Inconsistent));
    let first = AddCheckpoint { old: 0, proof: vec![other], checkpoint: signed(5) };
    assert_eq!(advance(&first, &Head::empty()), Err(Inconsistent));
}

#[test]
fn refusals_come_in_the_order_of_the_specification() {
    let stranger = Policy::unwitnessed(vec![]);
    let unknown = authenticate(&request(0, 3), &stranger).unwrap_err();
    assert_eq!((&unknown, unknown.status()), (&WitnessRefusal::UnknownLog(ORIGIN.into()), 404));
    let text = request(0, 3).to_text();
    let unsigned = text.replace(&log_key().sign(signed(3).note().text(), 0).to_line(), "");
    let unsigned = unsigned + &cosignature(&signed(3), 1).to_line();
    let changed = text.replace("\n3\n", "\n4\n");
    for text in [unsigned, changed] {
        let request = AddCheckpoint::parse(text.as_bytes()).unwrap();
        assert_eq!(authenticate(&request, &watched()).unwrap_err().status(), 403);
    }
    let beyond = advance(&AddCheckpoint { old: 4, ..request(0, 3) }, &head(4)).unwrap_err();
    assert_eq!(beyond.status(), 400);
    for (old, size, known) in [(0, 3, 2), (3, 3, 2), (2, 3, 5), (0, 0, 5)] {
        let refused = advance(&request(old, size), &head(known)).unwrap_err();
        assert_eq!((&refused, refused.status()), (&WitnessRefusal::Conflict { known }, 409));
    }
    // a conflict comes before the proof is looked at
    let both = AddCheckpoint { old: 1, proof: vec![], checkpoint: signed(3) };
    assert_eq!(advance(&both, &head(2)).unwrap_err().status(), 409);
    assert_eq!(advance(&both, &head(1)).unwrap_err().status(), 422);
}

#[test]
fn what_is_no_request_is_refused_each_for_its_reason() {
    use RequestError::{Characters, Hash, Hashes, Old, TooLarge};
    let text = request(2, 5).to_text();
    let cases = [
        (String::new(), Old),
        (text.replace("old 2", "old 02"), Old),
        (text.replace("old 2", "old -1"), Old),
        (text.replace("old 2", "old"), Old),
        (text.replace("old 2\n", "old 2\nx\n"), Hash(1)),
        (text.replace(&format!("\n\n{ORIGIN}"), &format!("\n{ORIGIN}")), Hash(3)),
        ("old 2".to_owned(), Old),
        ("old 2\n".to_owned(), Hash(1)),
    ];
    for (text, why) in cases {
        assert_eq!(AddCheckpoint::parse(text.as_bytes()), Err(why), "{text}");
    }
    assert_eq!(AddCheckpoint::parse(b"old 2\n\xff\n\n"), Err(Characters));
    let hashes = |count: usize| {
        let request = AddCheckpoint { proof: vec![leaf(b""); count], ..request(2, 5) };
        AddCheckpoint::parse(request.to_text().as_bytes()).map(|read| read.proof.len())
    };
    assert_eq!(hashes(MERKLE_PROOF_MAX), Ok(MERKLE_PROOF_MAX));
    assert_eq!(hashes(MERKLE_PROOF_MAX + 1), Err(Hashes));
    let large = vec![b'x'; WITNESS_REQUEST_BYTES_MAX + 1];
    assert_eq!(AddCheckpoint::parse(&large), Err(TooLarge(large.len())));
    assert_eq!(AddCheckpoint::parse(&large[1..]), Err(Old));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A log that signs two histories asks in any order; the sizes cosigned are of one history.
    #[test]
    fn a_log_with_two_histories_gets_one_of_them_cosigned(
        asks in prop::collection::vec((any::<bool>(), 0..12_u64, 0..12_u64), 1..40)
    ) {
        let history = |second: bool, size: u64| {
            let leaves = (0..size).map(|at| leaf(&[u8::from(second && at >= 3), at.to_be_bytes()[7]]));
            andon_model::merkle::Tree::new(leaves.collect())
        };
        let (mut known, mut cosigned) = (Head::empty(), vec![]);
        for (second, old, size) in asks {
            let tree = history(second, size);
            let proof = tree.consistency(usize::try_from(old).unwrap()).unwrap_or_default();
            let ask = AddCheckpoint { old, proof, checkpoint: lie(size, tree.root()) };
            if let Ok(head) = advance(&ask, &known) {
                cosigned.push(head);
                known = head;
            }
        }
        let of = |second: bool| {
            cosigned.iter().all(|head| head.root == history(second, head.size).root())
        };
        prop_assert!(of(false) || of(true));
        prop_assert!(cosigned.is_sorted_by_key(|head| head.size));
    }
}
