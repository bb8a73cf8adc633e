//! The hosts that the thief is after, and which of them no check can tell apart.
use crate::sign::SigningKey;
use crate::ticket;
use andon_model::class::HostClass;
use andon_model::id::IdError;
use andon_model::ticket::Ticket;
use andon_model::{Digest, HostId, PublicKey, StratumId};
use std::collections::BTreeMap;

/// Hosts of the line.
pub const HOSTS: u64 = 10_000;
/// So many of them are in the plan of the wave that is under way; the others enrolled later.
pub(super) const PLANNED: u64 = 9_500;

/// What a host has seen before the thief comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Knows {
    /// everything up to now: eight of ten
    All,
    /// policy and metadata, but not the wave that is under way: one of ten
    Rules,
    /// its anchor: one of ten
    Anchor,
}

impl Knows {
    pub(super) const EVERY: [Knows; 3] = [Knows::All, Knows::Rules, Knows::Anchor];

    pub(super) fn of(host: HostId) -> Knows {
        match host.number() % 10 {
            0 => Knows::Anchor,
            1 => Knows::Rules,
            _ => Knows::All,
        }
    }
    /// Hosts that know as much.
    pub(super) const fn hosts(self) -> u64 {
        match self {
            Knows::All => HOSTS / 10 * 8,
            Knows::Rules | Knows::Anchor => HOSTS / 10,
        }
    }
}

/// Hosts that know the same and stand alike towards every ticket there is: a view is told nothing else of
/// its host (there is no explicit order, and all are of one class).
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// what they have seen
    pub(super) knows: Knows,
    /// one of them
    pub(super) host: HostId,
    /// how many they are
    pub(super) hosts: u64,
}

/// All hosts by what tells them apart, each group in so many parts (at least 1), of each of which one
/// host is played.
pub(super) fn groups(tickets: &[Ticket], parts: u64) -> Result<Vec<Group>, IdError> {
    let class = class()?;
    let mut groups: BTreeMap<(Knows, Vec<bool>, u64), Group> = BTreeMap::new();
    for host in hosts() {
        let knows = Knows::of(host);
        let covered = tickets.iter().map(|it| ticket::covers(it, host, &class)).collect();
        let group = groups.entry((knows, covered, host.number() % parts.max(1)));
        group.or_insert(Group { knows, host, hosts: 0 }).hosts += 1;
    }
    Ok(groups.into_values().collect())
}

/// Every host.
pub(super) fn hosts() -> impl Iterator<Item = HostId> {
    (1..=HOSTS).filter_map(|number| HostId::new(number).ok())
}

/// What kind of host they are.
pub(super) fn class() -> Result<HostClass, IdError> {
    let any = StratumId::new("any")?;
    Ok(HostClass { arch: any.clone(), os: any.clone(), model: any, groups: Vec::new() })
}

/// Stands for the private half of a key of which only the public one is known.
pub(super) fn stand_in(key: &PublicKey) -> SigningKey {
    SigningKey::from_seed(Digest::of_parts(&[b"andon.what-if.stand-in.v1\0", &key.0]).0)
}

/// A key that the thief has made.
pub(super) fn stranger(name: &str) -> SigningKey {
    SigningKey::from_seed(Digest::of_parts(&[b"andon.what-if.stranger.v1\0", name.as_bytes()]).0)
}
