//! A small deterministic source of jitter. Nothing secret comes from here.
pub(super) use crate::clock::now;
use andon_model::{Digest, HostId};
use std::collections::BTreeMap;
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

/// Who of those that fail fails wholly: an exact share of them, whoever they turn out to be. The seed
/// decides with whom of them it begins; a host keeps its fate per release.
#[derive(Clone, Debug)]
pub(super) struct Fates {
    share: f64,
    /// what is owed: at 1 the next one is chosen
    owed: f64,
    known: BTreeMap<(HostId, Digest), bool>,
}

impl Fates {
    /// `share` within 0 and 1.
    pub(super) fn new(seed: u64, share: f64) -> Fates {
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
        let begin = (draw(b"die-whole", seed, 0) >> 11) as f64 / (1_u64 << 53) as f64;
        Fates { share, owed: begin, known: BTreeMap::new() }
    }

    /// Whether this host, failing with this release, is one of them.
    pub(super) fn chosen(&mut self, host: HostId, release: Digest) -> bool {
        if let Some(known) = self.known.get(&(host, release)) {
            return *known;
        }
        self.owed += self.share;
        let chosen = self.owed >= 1.0;
        if chosen {
            self.owed -= 1.0;
        }
        self.known.insert((host, release), chosen);
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_share_is_chosen_and_keeps_its_fate() {
        let of = |seed, share| -> Vec<bool> {
            let mut fates = Fates::new(seed, share);
            let mut fate = |n| fates.chosen(HostId::new(n).unwrap(), Digest([0; 32]));
            let first: Vec<bool> = (1..=16).map(&mut fate).collect();
            assert_eq!(first, (1..=16).map(&mut fate).collect::<Vec<_>>(), "a fate changed");
            first
        };
        let count = |fates: Vec<bool>| fates.into_iter().filter(|f| *f).count();
        assert_eq!(count(of(1, 0.0)), 0);
        assert_eq!(count(of(1, 1.0)), 16);
        assert!((1..64).all(|seed| count(of(seed, 0.5)) == 8));
        assert!((1..64).any(|seed| of(seed, 0.5) != of(1, 0.5)));
    }
}
