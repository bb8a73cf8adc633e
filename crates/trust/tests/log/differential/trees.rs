//! Trees, inclusion and consistency proofs against `ct-merkle`.
use andon_model::Digest;
use andon_model::merkle::{Head, Tree, leaf, verify, verify_consistency};
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use proptest::prelude::*;

type Sha256 = sha2::Sha256;
type Theirs = ct_merkle::mem_backed_tree::MemoryBackedTree<Sha256, Vec<u8>>;

fn both(entries: &[Vec<u8>]) -> (Tree, Theirs) {
    let mut theirs = Theirs::new();
    entries.iter().for_each(|entry| theirs.push(entry.clone()));
    (Tree::new(entries.iter().map(|entry| leaf(entry)).collect()), theirs)
}

fn flat(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

fn head(entries: &[Vec<u8>]) -> (Head, RootHash<Sha256>) {
    let (ours, theirs) = both(entries);
    (Head { size: entries.len() as u64, root: ours.root() }, theirs.root())
}

/// What may have happened to a proof on its way.
#[derive(Clone, Debug)]
enum Damage {
    Nothing,
    Bit(usize),
    Cut,
    Longer,
    Swapped,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        Just(Damage::Nothing),
        any::<usize>().prop_map(Damage::Bit),
        Just(Damage::Cut),
        Just(Damage::Longer),
        Just(Damage::Swapped),
    ]
}

fn damaged(mut proof: Vec<Digest>, damage: &Damage) -> Vec<Digest> {
    match damage {
        Damage::Nothing => {}
        Damage::Bit(at) => {
            let bits = proof.len() * 256;
            if bits > 0 {
                let at = at % bits;
                proof[at / 256].0[at % 256 / 8] ^= 1 << (at % 8);
            }
        }
        Damage::Cut => drop(proof.pop()),
        Damage::Longer => proof.push(Digest::of(b"more")),
        Damage::Swapped => proof.reverse(),
    }
    proof
}

fn entries() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn inclusion_proofs_are_the_same_and_are_judged_alike(
        entries in entries(), pick in any::<prop::sample::Index>(),
        off in 0..3_u64, damage in damage()
    ) {
        let at = pick.index(entries.len());
        let (ours, theirs) = both(&entries);
        prop_assert!(theirs.root().as_bytes().as_slice() == ours.root().0);
        let proof = ours.proof(at).unwrap();
        let same = theirs.prove_inclusion(at);
        prop_assert_eq!(flat(&proof), same.as_bytes());
        let proof = damaged(proof, &damage);
        let index = at as u64 + off;
        let (size, root) = (entries.len() as u64, ours.root());
        let judged = verify(&root, size, index, &leaf(&entries[at]), &proof);
        let other = InclusionProof::try_from_bytes(flat(&proof)).unwrap();
        let theirs = theirs.root().verify_inclusion(&entries[at], index, &other);
        prop_assert_eq!(judged, theirs.is_ok());
    }

    #[test]
    fn consistency_proofs_are_the_same_and_are_judged_alike(
        entries in entries(), pick in any::<prop::sample::Index>(),
        claimed in any::<prop::sample::Index>(), honest in any::<bool>(), damage in damage()
    ) {
        let old = pick.index(entries.len()) + 1;
        let (ours, theirs) = both(&entries);
        let proof = ours.consistency(old).unwrap();
        if old < entries.len() {
            let same = theirs.prove_consistency(entries.len() - old);
            prop_assert_eq!(flat(&proof), same.as_bytes());
        }
        let proof = damaged(proof, &damage);
        let claimed = if honest { old } else { claimed.index(entries.len()) + 1 };
        let (old_head, old_root) = head(&entries[..claimed]);
        let (new_head, new_root) = head(&entries);
        let judged = verify_consistency(&old_head, &new_head, &proof);
        let other = ConsistencyProof::try_from_bytes(flat(&proof)).unwrap();
        let theirs = new_root.verify_consistency(&old_root, &other);
        prop_assert_eq!(judged, theirs.is_ok());
    }
}
