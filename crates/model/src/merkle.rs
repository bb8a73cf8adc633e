//! The Merkle tree of RFC 9162 (Certificate Transparency 2.0, section 2.1): root, proofs of inclusion
//! and consistency, their checks. Leaves and inner hashes begin with different bytes, so that neither passes for the other.
//! What it is not: a log (nothing is appended here), or the meaning of a leaf ([`crate::order`]).
use crate::digest::Digest;
use crate::limits::MERKLE_PROOF_MAX;

/// Hash of a leaf: SHA-256 of 0x00 and its bytes.
#[must_use]
pub fn leaf(bytes: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], bytes])
}

/// Hash of two subtrees: SHA-256 of 0x01 and both.
#[must_use]
pub fn inner(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], &left.0, &right.0])
}

/// A tree over leaf hashes, or over the roots of equal, whole subtrees (and one last smaller one).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// leaves first, root last; the odd one at a level's end goes up as it is
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// Builds the tree: as many hashes as leaves.
    #[must_use]
    pub fn new(leaves: Vec<Digest>) -> Tree {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let join = |pair: &[Digest]| match pair {
                [left, right] => inner(left, right),
                one => one[0],
            };
            let level = below.chunks(2).map(join).collect();
            levels.push(level);
        }
        Tree { levels }
    }

    /// The root; of no leaves, SHA-256 of nothing.
    #[must_use]
    pub fn root(&self) -> Digest {
        let top = self.levels.last().and_then(|level| level.first());
        top.copied().unwrap_or_else(|| Digest::of(b""))
    }

    /// The hashes beside the way from a leaf to the root, lowest first; `None` beyond the last leaf.
    #[must_use]
    pub fn proof(&self, leaf: usize) -> Option<Vec<Digest>> {
        let leaves = self.levels.first()?.len();
        let mut at = (leaf < leaves).then_some(leaf)?;
        let mut proof = Vec::new();
        for level in &self.levels {
            proof.extend(level.get(at ^ 1));
            at /= 2;
        }
        Some(proof)
    }

    /// The hashes that show that the first `old` leaves are those of the tree as it was with `old`
    /// leaves (RFC 9162, section 2.1.4.1); `None` when `old` is 0 or more than there are.
    #[must_use]
    pub fn consistency(&self, old: usize) -> Option<Vec<Digest>> {
        let leaves = self.levels.first()?.len();
        let mut at = (old <= leaves).then_some(old)?.checked_sub(1)?;
        let mut proof = Vec::new();
        if old == leaves {
            return Some(proof);
        }
        // the largest whole subtree that ends where the old tree ended
        let height = at.trailing_ones() as usize;
        at >>= height;
        if !old.is_power_of_two() {
            proof.extend(self.levels.get(height)?.get(at));
        }
        for level in self.levels.iter().skip(height) {
            proof.extend(level.get(at ^ 1));
            at /= 2;
        }
        Some(proof)
    }
}

/// Whether `proof` shows that `leaf` is the hash at `index` of the tree with `root` and `size` leaves
/// (RFC 9162, section 2.1.3.2). The hash may be a whole subtree's root when all are that large.
#[must_use]
pub fn verify(root: &Digest, size: u64, index: u64, leaf: &Digest, proof: &[Digest]) -> bool {
    if index >= size || proof.len() > MERKLE_PROOF_MAX {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for beside in proof {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            hash = inner(beside, &hash);
            // an odd one at its level's end went up alone until it became a right-hand one
            while at.is_multiple_of(2) && at != 0 {
                at /= 2;
                last /= 2;
            }
        } else {
            hash = inner(&hash, beside);
        }
        at /= 2;
        last /= 2;
    }
    last == 0 && hash == *root
}

/// A tree as it stood at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// how many leaves
    pub size: u64,
    /// the root over them
    pub root: Digest,
}

impl Head {
    /// The tree without leaves.
    #[must_use]
    pub fn empty() -> Head {
        Head { size: 0, root: Digest::of(b"") }
    }
}

/// Whether `proof` shows that `new` holds the leaves of `old`, in their places, and perhaps more
/// (RFC 9162, section 2.1.4.2). Of an empty or an equal tree the proof is empty.
#[must_use]
pub fn verify_consistency(old: &Head, new: &Head, proof: &[Digest]) -> bool {
    if old.size > new.size || proof.len() > MERKLE_PROOF_MAX {
        return false;
    }
    if old.size == 0 {
        return proof.is_empty() && *old == Head::empty();
    }
    if old.size == new.size {
        return proof.is_empty() && old.root == new.root;
    }
    let (mut at, mut last) = (old.size - 1, new.size - 1);
    let height = at.trailing_ones();
    (at, last) = (at >> height, last >> height);
    // a whole old tree is its own first hash; it is not repeated in the proof
    let (mut before, beside) = match (old.size.is_power_of_two(), proof) {
        (true, _) => (old.root, proof),
        (false, [first, rest @ ..]) => (*first, rest),
        (false, []) => return false,
    };
    let mut after = before;
    for hash in beside {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            before = inner(hash, &before);
            after = inner(hash, &after);
            while at.is_multiple_of(2) && at != 0 {
                at /= 2;
                last /= 2;
            }
        } else {
            after = inner(&after, hash);
        }
        at /= 2;
        last /= 2;
    }
    last == 0 && before == old.root && after == new.root
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Leaves and roots of the reference implementation's tests (google/certificate-transparency).
    const LEAVES: [&[u8]; 8] = [
        &[],
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[
            0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d,
            0x6e, 0x6f,
        ],
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        for (size, root) in ROOTS.iter().enumerate() {
            let leaves = LEAVES[..size].iter().map(|bytes| leaf(bytes)).collect();
            assert_eq!(Tree::new(leaves).root().to_string(), *root, "{size} leaves");
        }
    }

    /// Section 2.1.1 as it is written: split at the largest power of two below the size.
    fn defined(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [one] => *one,
            more => {
                let (left, right) = more.split_at(1 << (more.len() - 1).ilog2());
                inner(&defined(left), &defined(right))
            }
        }
    }

    fn leaves(size: u32) -> Vec<Digest> {
        (0..size).map(|at| leaf(&at.to_be_bytes())).collect()
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proven_at_its_own_place_only() {
        for size in 0..=70_u32 {
            let leaves = leaves(size);
            let tree = Tree::new(leaves.clone());
            assert_eq!(tree.root(), defined(&leaves), "{size} leaves");
            assert_eq!(tree.proof(leaves.len()), None);
            for (at, hash) in leaves.iter().enumerate() {
                let proof = tree.proof(at).unwrap();
                for index in 0..=u64::from(size) {
                    let here = verify(&tree.root(), u64::from(size), index, hash, &proof);
                    assert_eq!(here, index == at as u64, "leaf {at} of {size} at {index}");
                }
            }
        }
    }

    #[test]
    fn what_was_tampered_with_is_not_proven() {
        for size in 1..=20_u32 {
            let tree = Tree::new(leaves(size));
            let (root, size) = (tree.root(), u64::from(size));
            for (at, hash) in leaves(20)[..usize::try_from(size).unwrap()].iter().enumerate() {
                let proof = tree.proof(at).unwrap();
                let index = at as u64;
                let other = leaf(b"other");
                assert!(!verify(&other, size, index, hash, &proof));
                assert!(!verify(&root, size, index, &other, &proof));
                for changed in 0..proof.len() {
                    let mut bad = proof.clone();
                    bad[changed].0[31] ^= 1;
                    assert!(!verify(&root, size, index, hash, &bad));
                    bad.remove(changed);
                    assert!(!verify(&root, size, index, hash, &bad));
                }
                let longer = [proof.as_slice(), &[other]].concat();
                assert!(!verify(&root, size, index, hash, &longer));
                assert!(!verify(&root, 2 * size, index, hash, &proof));
                assert!(!verify(&root, size, index, hash, &vec![other; 1000]));
            }
        }
    }

    #[test]
    fn every_small_tree_is_consistent_with_its_own_past_only() {
        let head = |size: u32| Head { size: size.into(), root: Tree::new(leaves(size)).root() };
        for size in 0..=40_u32 {
            let tree = Tree::new(leaves(size));
            assert_eq!(tree.consistency(0), None);
            assert_eq!(tree.consistency(size as usize + 1), None);
            assert!(verify_consistency(&Head::empty(), &head(size), &[]));
            for old in 1..=size {
                let proof = tree.consistency(old as usize).unwrap();
                for other in 0..=size + 1 {
                    let holds = verify_consistency(&head(other), &head(size), &proof);
                    let trivial = proof.is_empty() && other == 0;
                    assert_eq!(holds, other == old || trivial, "{old} as {other} in {size}");
                }
                let wrong = |old: &Head, new: &Head, proof: &[Digest]| {
                    assert!(!verify_consistency(old, new, proof), "{old:?} {new:?}");
                };
                let other = leaf(b"other");
                wrong(&Head { root: other, ..head(old) }, &head(size), &proof);
                wrong(&head(old), &Head { root: other, ..head(size) }, &proof);
                wrong(&head(old), &head(size), &[proof.as_slice(), &[other]].concat());
                for changed in 0..proof.len() {
                    let mut bad = proof.clone();
                    bad[changed].0[0] ^= 1;
                    wrong(&head(old), &head(size), &bad);
                    bad.remove(changed);
                    wrong(&head(old), &head(size), &bad);
                }
            }
        }
    }

    #[test]
    fn a_proof_has_at_most_as_many_hashes_as_the_largest_tree_is_high() {
        let hash = leaf(b"x");
        let size = 1 << 63;
        let tall = |hashes: usize| {
            let root = (0..hashes).fold(hash, |below, _| inner(&below, &hash));
            verify(&root, size, 0, &hash, &vec![hash; hashes])
        };
        assert!(tall(MERKLE_PROOF_MAX));
        assert!(!tall(MERKLE_PROOF_MAX + 1));
    }

    #[test]
    fn an_inner_hash_is_no_leaf() {
        let [a, b] = [leaf(b"a"), leaf(b"b")];
        let joined = [a.0, b.0].concat();
        assert_ne!(leaf(&joined), Tree::new(vec![a, b]).root());
    }
}
