//! A host's place in the random order of a rollout: a pure function that server and host both compute.
use crate::digest::{Digest, HexError, from_hex, to_hex};
use crate::id::HostId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Uniform in 0 … 2^64−1, sixteen hexadecimal digits on the wire (JSON numbers lose bits above 2^53).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Position(pub u64);

impl Position {
    /// Nobody is beyond it.
    pub const MAX: Position = Position(u64::MAX);

    /// The place of `host` in the rollout of `release` under `seed`.
    #[must_use]
    pub fn of(seed: &Digest, release: &Digest, host: HostId) -> Position {
        let parts: [&[u8]; 4] =
            [b"andon.position.v1\0", &seed.0, &release.0, &host.number().to_be_bytes()];
        let mut first = [0; 8];
        first.copy_from_slice(&Digest::of_parts(&parts).0[..8]);
        Position(u64::from_be_bytes(first))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0.to_be_bytes()))
    }
}
impl From<Position> for String {
    fn from(position: Position) -> String {
        position.to_string()
    }
}
impl TryFrom<String> for Position {
    type Error = HexError;
    fn try_from(text: String) -> Result<Position, HexError> {
        from_hex(&text, "position").map(|bytes| Position(u64::from_be_bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A site enrols its hosts together. An outage of one site must not look like an update's fault,
    /// so no site may stand together in the order.
    #[test]
    fn hosts_of_a_site_are_spread_over_the_whole_order() {
        const SITES: u64 = 100;
        const EACH: u64 = 100;
        let (seed, release) = (Digest::of(b"seed"), Digest::of(b"release"));
        let mut order: Vec<(Position, u64)> = (0..SITES * EACH)
            .filter_map(|at| HostId::new(at + 1).ok().map(|host| (host, at / EACH)))
            .map(|(host, site)| (Position::of(&seed, &release, host), site))
            .collect();
        order.sort_unstable();
        for part in order.chunks(order.len() / 5) {
            for site in 0..SITES {
                // 20 expected, 4 standard deviations (hypergeometric) are 16.
                let hosts = part.iter().filter(|(_, of)| *of == site).count();
                assert!((4..=36).contains(&hosts), "site {site}: {hosts} of 100 in one fifth");
            }
        }
    }
}
