//! The Merkle tree of RFC 9162 (Certificate Transparency 2.0, section 2.1): root, inclusion proof,
//! check. Leaves and inner hashes begin with different bytes, so that neither passes for the other.
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
    fn an_inner_hash_is_no_leaf() {
        let [a, b] = [leaf(b"a"), leaf(b"b")];
        let joined = [a.0, b.0].concat();
        assert_ne!(leaf(&joined), Tree::new(vec![a, b]).root());
    }
}
