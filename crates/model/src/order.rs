//! An explicit order: places that no host can work out by itself, because groups had a say, committed
//! to by one Merkle root and served in static shards from which a host checks its own.
//!
//! Leaf number n is the host with enrolment number n + 1, so a host finds its shard without an index,
//! and a host without a place is *shown* to have none. What it is not: the signature over the root.
use crate::digest::Digest;
use crate::id::{HostId, StratumId};
use crate::limits::{HOSTS_MAX, SHARD_BYTES_MAX, SHARD_HOSTS, STRATA_MAX};
use crate::merkle::{self, Tree};
use crate::position::Position;
use serde::{Deserialize, Serialize};

/// What a plan signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitment {
    /// Merkle root over the places of hosts 1 … `hosts`
    pub root: Digest,
    /// the last host's enrolment number
    pub hosts: u64,
}

/// A host's place: index into the list of strata, rank in that stratum's order from 0.
pub type Place = (u16, u32);

/// The places of up to [`SHARD_HOSTS`] hosts with consecutive numbers, and the way to the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// format of this object; 1
    pub schema: u32,
    /// counts up from 0: its first host's number is `SHARD_HOSTS` × this + 1
    pub number: u64,
    /// sorted
    pub strata: Vec<StratumId>,
    /// one entry per host; `null`: not in the plan
    pub places: Vec<Option<Place>>,
    /// hashes beside the way from the shard's own root to the root, lowest first
    pub proof: Vec<Digest>,
}

/// Why a shard says nothing about a host.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// over [`SHARD_BYTES_MAX`]
    #[error("shard has {0} bytes; {SHARD_BYTES_MAX} are allowed")]
    Size(usize),
    /// not the JSON we expect
    #[error("parse shard")]
    Parse(#[source] serde_json::Error),
    /// a field that contradicts another
    #[error("shard field {0} {1}")]
    Field(&'static str, &'static str),
    /// not part of the order that was signed
    #[error("shard {0} does not belong to the signed order")]
    Root(u64),
    /// about other hosts
    #[error("{host} is not in shard {number}")]
    Elsewhere {
        /// who asked
        host: HostId,
        /// the shard
        number: u64,
    },
}

/// The number of the shard that has a host.
#[must_use]
pub const fn shard_of(host: HostId) -> u64 {
    (host.number() - 1) / SHARD_HOSTS as u64
}

/// Commits to `places` of hosts 1, 2, 3 … and cuts them into shards.
/// # Errors
/// [`ShardError::Field`] when there are too many hosts or strata, strata are not sorted, or a place
/// names none of them.
pub fn commit(
    strata: &[StratumId],
    places: &[Option<Place>],
) -> Result<(Commitment, Vec<Shard>), ShardError> {
    if places.len() as u64 > HOSTS_MAX {
        return Err(ShardError::Field("places", "is too long"));
    }
    let mut shards: Vec<Shard> = (0_u64..)
        .zip(places.chunks(SHARD_HOSTS))
        .map(|(number, places)| Shard {
            schema: 1,
            number,
            strata: strata.to_vec(),
            places: places.to_vec(),
            proof: vec![],
        })
        .collect();
    let mut roots = Vec::with_capacity(shards.len());
    for shard in &shards {
        shard.check()?;
        roots.push(shard.root());
    }
    let tree = Tree::new(roots);
    for (at, shard) in shards.iter_mut().enumerate() {
        shard.proof = tree.proof(at).unwrap_or_default();
    }
    Ok((Commitment { root: tree.root(), hosts: places.len() as u64 }, shards))
}

impl Shard {
    /// Reads a shard and checks that it is consistent in itself.
    /// # Errors
    /// [`ShardError`].
    pub fn parse(bytes: &[u8]) -> Result<Shard, ShardError> {
        if bytes.len() > SHARD_BYTES_MAX {
            return Err(ShardError::Size(bytes.len()));
        }
        let shard: Shard = serde_json::from_slice(bytes).map_err(ShardError::Parse)?;
        shard.check()?;
        Ok(shard)
    }

    fn check(&self) -> Result<(), ShardError> {
        let rule = |holds: bool, field, problem| {
            if holds { Ok(()) } else { Err(ShardError::Field(field, problem)) }
        };
        rule(self.schema == 1, "schema", "is not 1")?;
        rule(self.number <= HOSTS_MAX, "number", "is too large")?;
        rule(self.strata.len() <= STRATA_MAX, "strata", "is too long")?;
        let sorted = self.strata.windows(2).all(|pair| pair[0] < pair[1]);
        rule(sorted, "strata", "is not sorted")?;
        let full = (1..=SHARD_HOSTS).contains(&self.places.len());
        rule(full, "places", "is empty or too long")?;
        let known = |place: &Place| usize::from(place.0) < self.strata.len();
        rule(self.places.iter().flatten().all(known), "places", "names an unknown stratum")
    }

    /// Where `host` stands in the order that was signed; `None`: it has no place in it.
    /// # Errors
    /// [`ShardError`] when the shard is not part of that order, or not this host's.
    pub fn place(
        &self,
        signed: &Commitment,
        host: HostId,
    ) -> Result<Option<(&StratumId, Position)>, ShardError> {
        self.check()?;
        let first = self.number * SHARD_HOSTS as u64 + 1;
        let hosts = signed.hosts.saturating_add(1).saturating_sub(first).min(SHARD_HOSTS as u64);
        let shards = signed.hosts.div_ceil(SHARD_HOSTS as u64);
        let root = self.root();
        if self.places.len() as u64 != hosts
            || !merkle::verify(&signed.root, shards, self.number, &root, &self.proof)
        {
            return Err(ShardError::Root(self.number));
        }
        let at = host.number().checked_sub(first).and_then(|at| usize::try_from(at).ok());
        let place = at.and_then(|at| self.places.get(at));
        let place = place.ok_or(ShardError::Elsewhere { host, number: self.number })?;
        let named = |(stratum, rank): Place| {
            let name = self.strata.get(usize::from(stratum))?;
            Some((name, Position(u64::from(rank))))
        };
        Ok(place.and_then(named))
    }

    /// The root of this shard's subtree.
    fn root(&self) -> Digest {
        let first = self.number * SHARD_HOSTS as u64 + 1;
        let leaf = |(host, place): (u64, &Option<Place>)| {
            let place = place.map(|(stratum, rank)| {
                let name = self.strata.get(usize::from(stratum)).map_or("", StratumId::as_str);
                (name, Position(u64::from(rank)))
            });
            leaf(host, place)
        };
        Tree::new((first..).zip(&self.places).map(leaf).collect()).root()
    }
}

/// Hash of a host's leaf: its number, then its position and its stratum's name if it has a place.
fn leaf(host: u64, place: Option<(&str, Position)>) -> Digest {
    let mut bytes = Vec::with_capacity(80);
    bytes.extend_from_slice(&host.to_be_bytes());
    if let Some((stratum, position)) = place {
        bytes.extend_from_slice(&position.0.to_be_bytes());
        bytes.extend_from_slice(stratum.as_bytes());
    }
    merkle::leaf(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut Shard);

    fn strata() -> Vec<StratumId> {
        ["arm", "x86"].map(|name| StratumId::new(name).unwrap()).into()
    }

    /// Every fifth host has no place; the others alternate between two strata.
    fn places(hosts: u32) -> Vec<Option<Place>> {
        let place = |n: u32| (!n.is_multiple_of(5)).then_some((u16::from(n % 2 == 1), n / 2));
        (0..hosts).map(place).collect()
    }

    fn host(number: u64) -> HostId {
        HostId::new(number).unwrap()
    }

    /// Found by the fuzzer of shards.
    #[test]
    fn an_order_of_the_largest_number_of_hosts_is_refused_and_not_added_to() {
        let (_, shards) = commit(&strata(), &[Some((0, 0))]).unwrap();
        let signed = Commitment { root: Digest([0; 32]), hosts: u64::MAX };
        let place = shards[0].place(&signed, HostId::new(1).unwrap());
        assert!(matches!(place, Err(ShardError::Root(0))));
    }

    #[test]
    fn each_host_finds_its_own_place_in_its_own_shard() {
        for hosts in [1, 4095, 4096, 4097, 8192, 3 * 4096 + 1, 5 * 4096 + 7] {
            let places = places(hosts);
            let (signed, shards) = commit(&strata(), &places).unwrap();
            for number in (1..=u64::from(hosts)).step_by(97).chain([u64::from(hosts)]) {
                let shard = &shards[usize::try_from(shard_of(host(number))).unwrap()];
                let text = serde_json::to_vec(shard).unwrap();
                let shard = Shard::parse(&text).unwrap();
                let place = shard.place(&signed, host(number)).unwrap();
                let expected = places[usize::try_from(number).unwrap() - 1];
                let rank = place.map(|(name, position)| (name.as_str(), position.0));
                let name = |stratum| if stratum == 0 { "arm" } else { "x86" };
                let expected = expected.map(|(stratum, rank)| (name(stratum), u64::from(rank)));
                assert_eq!(rank, expected, "host {number} of {hosts}");
            }
            assert!(shards[0].place(&signed, host(4097)).is_err());
        }
    }

    #[test]
    fn the_root_over_shards_is_the_root_over_all_leaves() {
        for hosts in [1, 4096, 4097, 3 * 4096 + 1] {
            let places = places(hosts);
            let name = |stratum| if stratum == 0 { "arm" } else { "x86" };
            let leaf = |(number, place): (u64, &Option<Place>)| {
                let place = place.map(|(s, rank)| (name(s), Position(u64::from(rank))));
                leaf(number, place)
            };
            let all = Tree::new((1..).zip(&places).map(leaf).collect());
            assert_eq!(commit(&strata(), &places).unwrap().0.root, all.root(), "{hosts} hosts");
        }
    }

    #[test]
    fn a_shard_that_was_tampered_with_places_nobody() {
        let (signed, shards) = commit(&strata(), &places(3 * 4096 + 9)).unwrap();
        let table: [(&str, Change); 9] = [
            ("a better rank", |s| s.places[1] = Some((1, 7))),
            ("another stratum", |s| s.places[1] = Some((0, 0))),
            ("a place for who has none", |s| s.places[0] = Some((0, 0))),
            ("no place for who has one", |s| s.places[1] = None),
            ("two hosts change places", |s| s.places.swap(1, 2)),
            ("strata renamed", |s| s.strata[1] = StratumId::new("x87").unwrap()),
            ("another shard's number", |s| s.number = 2),
            ("one host less", |s| s.places.truncate(4095)),
            ("a hash beside the way", |s| s.proof[0].0[0] ^= 1),
        ];
        for (what, change) in table {
            let mut shard = shards[1].clone();
            change(&mut shard);
            let place = shard.place(&signed, host(4098));
            assert!(matches!(place, Err(ShardError::Root(_))), "{what}: {place:?}");
        }
        let other = Commitment { hosts: signed.hosts + 4096, ..signed };
        assert!(shards[1].place(&other, host(4098)).is_err());
        assert!(
            shards[3]
                .place(&Commitment { hosts: signed.hosts - 1, ..signed }, host(12_290))
                .is_err()
        );
    }

    #[test]
    fn a_shard_that_contradicts_itself_is_refused_by_name() {
        let (_, shards) = commit(&strata(), &places(10)).unwrap();
        let table: [(&str, Change); 6] = [
            ("schema", |s| s.schema = 2),
            ("number", |s| s.number = u64::MAX),
            ("strata", |s| s.strata.swap(0, 1)),
            ("strata", |s| s.strata = vec![s.strata[0].clone(); 5000]),
            ("places", |s| s.places.clear()),
            ("places", |s| s.places[0] = Some((2, 0))),
        ];
        for (field, change) in table {
            let mut shard = shards[0].clone();
            change(&mut shard);
            let refused = Shard::parse(&serde_json::to_vec(&shard).unwrap());
            assert!(
                matches!(&refused, Err(ShardError::Field(name, _)) if *name == field),
                "{refused:?}"
            );
        }
        assert!(matches!(Shard::parse(&vec![b' '; SHARD_BYTES_MAX + 1]), Err(ShardError::Size(_))));
        assert!(matches!(Shard::parse(b"{}"), Err(ShardError::Parse(_))));
        assert!(commit(&strata(), &[Some((2, 0))]).is_err());
    }
}
