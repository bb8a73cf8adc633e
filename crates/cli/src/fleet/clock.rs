//! A small deterministic source of jitter. Nothing secret comes from here.
pub(super) use crate::clock::now;
use andon_model::Digest;
use std::time::Duration;

/// Pseudo-random numbers from a seed (SplitMix64, Steele et al. 2014): the same seed spreads the
/// same hosts in the same way.
#[derive(Clone, Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    /// One stream per seed and host.
    pub(super) fn new(seed: u64, host: u32) -> Jitter {
        Jitter(draw(b"jitter", seed, u64::from(host)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0 … `longest`.
    pub(super) fn up_to(&mut self, longest: Duration) -> Duration {
        let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX).saturating_add(1);
        Duration::from_micros(self.next() % micros)
    }
}

/// A number that depends on nothing but its name, the seed and the host.
pub(super) fn draw(name: &[u8], seed: u64, host: u64) -> u64 {
    let digest = Digest::of_parts(&[
        b"andon.fleet.v1\0",
        name,
        b"\0",
        &seed.to_be_bytes(),
        &host.to_be_bytes(),
    ]);
    let mut first = [0; 8];
    first.copy_from_slice(&digest.0[..8]);
    u64::from_be_bytes(first)
}

/// Whether a host is among the share (0 … 1) that this seed chooses.
pub(super) fn chosen(name: &[u8], seed: u64, host: u64, share: f64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
    let place = (draw(name, seed, host) >> 11) as f64 / (1_u64 << 53) as f64;
    place < share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_chosen_by_seed_and_about_as_large_as_asked() {
        let count = |seed, share| (0..1000).filter(|h| chosen(b"die", seed, *h, share)).count();
        assert_eq!(count(1, 0.0), 0);
        assert_eq!(count(1, 1.0), 1000);
        assert!((450..=550).contains(&count(7, 0.5)), "{}", count(7, 0.5));
        assert!((0..64).any(|h| chosen(b"die", 1, h, 0.5) != chosen(b"die", 2, h, 0.5)));
    }
}
