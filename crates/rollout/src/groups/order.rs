//! The random priority order: one keyed hash per host, sorted. Not the ticket's [`Position`]: that one
//! needs SHA-256 twice per host, which is too slow for millions and not needed here, because the
//! resulting places are committed to by a Merkle root and not recomputed by hosts.
//!
//! [`Position`]: andon_model::position::Position
use andon_model::Digest;

/// Key of the order: nobody without the seed can tell which host comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderKey([u64; 2]);

impl OrderKey {
    /// From the plan's seed and the release's digest: the first 16 bytes of their SHA-256.
    #[must_use]
    pub fn new(seed: &Digest, release: &Digest) -> OrderKey {
        let digest = Digest::of_parts(&[b"andon.group-order.v1\0", &seed.0, &release.0]).0;
        let word = |from: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&digest[from..from + 8]);
            u64::from_le_bytes(bytes)
        };
        OrderKey([word(0), word(8)])
    }

    /// A host's place in the order: the smaller, the sooner. Uniform in 64 bits.
    #[must_use]
    pub fn hash(&self, number: u32) -> u64 {
        self.siphash(u64::from(number))
    }

    /// SipHash-2-4 (Aumasson and Bernstein, INDOCRYPT 2012) of eight little-endian bytes: a
    /// pseudo-random function with a 128-bit key, some 10 ns per host.
    fn siphash(&self, message: u64) -> u64 {
        let [k0, k1] = self.0;
        let mut v = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        // the last block holds no bytes of the message, only its length of eight in the top byte
        for block in [message, 8 << 56] {
            v[3] ^= block;
            round(&mut v);
            round(&mut v);
            v[0] ^= block;
        }
        v[2] ^= 0xff;
        for _ in 0..4 {
            round(&mut v);
        }
        v[0] ^ v[1] ^ v[2] ^ v[3]
    }
}

#[inline]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siphash_matches_its_authors_vector_of_eight_bytes() {
        // Appendix A's key 00 01 … 0f, message 00 01 … 07 of the reference implementation's table
        let key = OrderKey([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
        assert_eq!(key.siphash(0x0706_0504_0302_0100), 0x93f5_f579_9a93_2462);
    }

    #[test]
    fn another_seed_or_release_gives_another_order() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let keys = [(a, a), (a, b), (b, a)].map(|(seed, release)| OrderKey::new(&seed, &release));
        let hashes = keys.map(|key| key.hash(1));
        assert!(hashes[0] != hashes[1] && hashes[0] != hashes[2] && hashes[1] != hashes[2]);
    }
}
