//! What chance gave a host, computed when asked and never stored: a hash of seed, run, host and
//! purpose. A draw for one purpose moves no draw for another, and no host's moves another host's.
use crate::random::mix;

/// What a draw is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// phase of its beats
    Phase,
    /// time from its turn to its activation
    Delivery,
    /// whether the update crashes it
    Susceptible,
    /// whether it can still say so
    Reports,
    /// whether it heals itself
    Heals,
    /// whether it comes and goes
    Flaps,
    /// whether it sleeps at the start
    Asleep,
    /// difference of its clock
    Clock,
    /// where it stands
    Site,
    /// whose it is
    Operator,
    /// whether it lies
    Sybil,
    /// whether a common outage takes it
    Outage,
}

const PURPOSES: usize = 12;

/// The draws of one run.
#[derive(Clone, Debug)]
pub(super) struct Draws {
    keys: [u64; PURPOSES],
}

impl Draws {
    pub(super) fn new(seed: u64, run: u64) -> Draws {
        let mut keys = [0; PURPOSES];
        for (purpose, key) in (1_u64..).zip(&mut keys) {
            *key = mix(mix(seed ^ mix(run ^ mix(purpose << 32))));
        }
        Draws { keys }
    }
    /// 64 bits of a host (its stratum and rank in one number).
    #[inline]
    pub(super) fn bits(&self, host: u32, purpose: Purpose) -> u64 {
        mix(self.keys[purpose as usize].wrapping_add(u64::from(host)))
    }
    /// Uniform in [0, `n`); 0 for `n` = 0.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the product's upper half is below n")]
    pub(super) fn below(&self, host: u32, purpose: Purpose, n: u32) -> u32 {
        ((u128::from(self.bits(host, purpose)) * u128::from(n)) >> 64) as u32
    }
    /// Whether a host has a property.
    #[inline]
    pub(super) fn hit(&self, host: u32, purpose: Purpose, chance: Chance) -> bool {
        chance.0 != 0 && self.bits(host, purpose) <= chance.0
    }
}

/// A probability, as the largest hash that counts as a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const NEVER: Chance = Chance(0);

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates: meant")]
    pub(super) fn of(p: f64) -> Chance {
        // 2^64; the cast saturates, so that 1 is certain.
        Chance((p.max(0.0) * 18_446_744_073_709_551_616.0) as u64)
    }
}
