//! Ceilings kept apart from their ticket: where a plan has many strata, the ticket commits to all
//! ceilings by one Merkle root and a host fetches the one shard that has its own stratum's.
//!
//! A stratum's name alone says in which shard it is, and a shard is one leaf of the tree: so a host of a
//! stratum that the plan does not have is *shown* that there is no ceiling for it. What it is not: the
//! signature over the root, or what a ceiling covers ([`crate::ticket`]).
use crate::digest::Digest;
use crate::id::{HostId, RolloutId, StratumId};
use crate::limits::{CEILINGS_BYTES_MAX, CEILINGS_PER_SHARD, MERKLE_PROOF_MAX, STRATA_MAX};
use crate::merkle::{self, Tree};
use crate::ticket::Ceiling;
use serde::{Deserialize, Serialize};

/// What a ticket signs in place of its ceilings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitment {
    /// Merkle root over the shards
    pub root: Digest,
    /// how many shards
    pub shards: u32,
    /// how many ceilings in all of them
    pub strata: u32,
    /// hosts that all of them cover
    pub handed: u64,
    /// the last late host that one of them covers; `None`: none of them does
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_max: Option<HostId>,
}

/// The ceilings of the strata whose names lead here, and the way to the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// format of this object; 1
    pub schema: u32,
    /// counts up from 0
    pub number: u32,
    /// sorted by stratum; may be empty
    pub ceilings: Vec<Ceiling>,
    /// hashes beside the way from the shard to the root, lowest first
    pub proof: Vec<Digest>,
}

/// Why ceilings say nothing.
#[derive(Debug, thiserror::Error)]
pub enum CeilingsError {
    /// over [`CEILINGS_BYTES_MAX`]
    #[error("ceilings have {0} bytes; {CEILINGS_BYTES_MAX} are allowed")]
    Size(usize),
    /// not the JSON we expect
    #[error("parse ceilings")]
    Parse(#[source] serde_json::Error),
    /// a field that contradicts another
    #[error("ceilings field {0} {1}")]
    Field(&'static str, &'static str),
    /// not what was signed
    #[error("shard {0} of ceilings does not belong to the signed ticket")]
    Root(u32),
    /// about other strata
    #[error("stratum {stratum} is not in shard {number} of ceilings")]
    Elsewhere {
        /// whose ceiling was looked up
        stratum: StratumId,
        /// the shard
        number: u32,
    },
    /// one ceiling claims more than the ticket says of all together
    #[error("the ceiling of stratum {0} covers more than the ticket says of all")]
    Beyond(StratumId),
    /// a list that is not what the ticket commits to
    #[error("ceilings are not those that the ticket commits to")]
    List,
}

/// The number of the shard in which a stratum's ceiling stands, of so many (at least one).
#[must_use]
pub fn shard_of(stratum: &StratumId, shards: u32) -> u32 {
    let digest = Digest::of(stratum.as_str().as_bytes());
    let head = digest.0.iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    u32::try_from(head % u64::from(shards.max(1))).unwrap_or(0)
}

/// Where a shard lies below its line's folder on the static plane: by the root, so that a file never
/// changes and a host that holds an older ticket finds what belongs to that.
#[must_use]
pub fn path(rollout: &RolloutId, root: &Digest, number: u32) -> String {
    format!("ceilings/{rollout}/{root}-{number}.json")
}

/// Commits to `ceilings`, sorted by stratum, and deals them out to shards.
/// # Errors
/// [`CeilingsError::Field`] when there are none, too many, or they are not sorted.
pub fn commit(ceilings: &[Ceiling]) -> Result<(Commitment, Vec<Shard>), CeilingsError> {
    rule(!ceilings.is_empty(), "ceilings", "is empty")?;
    check(ceilings)?;
    let shards = u32::try_from(ceilings.len().div_ceil(CEILINGS_PER_SHARD)).unwrap_or(u32::MAX);
    let empty = |number| Shard { schema: 1, number, ceilings: vec![], proof: vec![] };
    let mut dealt: Vec<Shard> = (0..shards).map(empty).collect();
    for ceiling in ceilings {
        let number = shard_of(&ceiling.stratum, shards) as usize;
        dealt[number].ceilings.push(ceiling.clone());
    }
    let tree = Tree::new(dealt.iter().map(Shard::leaf).collect());
    for (at, shard) in dealt.iter_mut().enumerate() {
        shard.proof = tree.proof(at).unwrap_or_default();
    }
    let commitment = Commitment {
        root: tree.root(),
        shards,
        strata: u32::try_from(ceilings.len()).unwrap_or(u32::MAX),
        handed: ceilings.iter().map(|ceiling| u64::from(ceiling.handed)).sum(),
        late_max: ceilings.iter().filter_map(|ceiling| ceiling.late_max).max(),
    };
    Ok((commitment, dealt))
}

/// Reads all ceilings of a ticket, as a server gives them to whoever must see all.
/// # Errors
/// [`CeilingsError`].
pub fn parse_list(bytes: &[u8]) -> Result<Vec<Ceiling>, CeilingsError> {
    if bytes.len() > CEILINGS_BYTES_MAX {
        return Err(CeilingsError::Size(bytes.len()));
    }
    let ceilings: Vec<Ceiling> = serde_json::from_slice(bytes).map_err(CeilingsError::Parse)?;
    check(&ceilings)?;
    Ok(ceilings)
}

fn check(ceilings: &[Ceiling]) -> Result<(), CeilingsError> {
    rule(ceilings.len() <= STRATA_MAX, "ceilings", "is too long")?;
    let sorted = ceilings.windows(2).all(|pair| pair[0].stratum < pair[1].stratum);
    rule(sorted, "ceilings", "is not sorted by stratum")
}

fn rule(holds: bool, field: &'static str, problem: &'static str) -> Result<(), CeilingsError> {
    if holds { Ok(()) } else { Err(CeilingsError::Field(field, problem)) }
}

impl Commitment {
    /// Whether its numbers can be those of a plan; a root says nothing by itself.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        let strata = 1..=STRATA_MAX as u64;
        strata.contains(&u64::from(self.strata)) && strata.contains(&u64::from(self.shards))
    }

    /// Whether these are all the ceilings that were committed to, sums included.
    /// # Errors
    /// [`CeilingsError`].
    pub fn covers(&self, ceilings: &[Ceiling]) -> Result<(), CeilingsError> {
        let (made, _) = commit(ceilings)?;
        if made == *self { Ok(()) } else { Err(CeilingsError::List) }
    }
}

impl Shard {
    /// Reads a shard and checks that it is consistent in itself.
    /// # Errors
    /// [`CeilingsError`].
    pub fn parse(bytes: &[u8]) -> Result<Shard, CeilingsError> {
        if bytes.len() > CEILINGS_BYTES_MAX {
            return Err(CeilingsError::Size(bytes.len()));
        }
        let shard: Shard = serde_json::from_slice(bytes).map_err(CeilingsError::Parse)?;
        shard.check()?;
        Ok(shard)
    }

    fn check(&self) -> Result<(), CeilingsError> {
        rule(self.schema == 1, "schema", "is not 1")?;
        rule(self.proof.len() <= MERKLE_PROOF_MAX, "proof", "is too long")?;
        check(&self.ceilings)
    }

    /// The ceiling of a stratum as it was signed; `None`: the plan has no such stratum.
    /// # Errors
    /// [`CeilingsError`] when the shard is not part of what was signed, or not this stratum's, or the
    /// ceiling covers more than the signed sums allow.
    pub fn ceiling(
        &self,
        signed: &Commitment,
        stratum: &StratumId,
    ) -> Result<Option<&Ceiling>, CeilingsError> {
        self.check()?;
        let (size, number) = (u64::from(signed.shards), u64::from(self.number));
        if !merkle::verify(&signed.root, size, number, &self.leaf(), &self.proof) {
            return Err(CeilingsError::Root(self.number));
        }
        if shard_of(stratum, signed.shards) != self.number {
            let (stratum, number) = (stratum.clone(), self.number);
            return Err(CeilingsError::Elsewhere { stratum, number });
        }
        let own = self.ceilings.iter().find(|ceiling| ceiling.stratum == *stratum);
        // What a host checks of the whole rests on the sums: each host holds its own part against them.
        let beyond = |own: &&Ceiling| {
            u64::from(own.handed) > signed.handed || own.late_max > signed.late_max
        };
        match own.filter(beyond) {
            Some(own) => Err(CeilingsError::Beyond(own.stratum.clone())),
            None => Ok(own),
        }
    }

    /// Hash of its leaf: its ceilings one after the other, each name behind its length.
    fn leaf(&self) -> Digest {
        let mut bytes = Vec::with_capacity(self.ceilings.len() * 64);
        for ceiling in &self.ceilings {
            let name = ceiling.stratum.as_str().as_bytes();
            bytes.extend_from_slice(&(name.len() as u64).to_be_bytes());
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(&ceiling.handed.to_be_bytes());
            let position = ceiling.position_max.map(|position| position.0);
            for number in [position, ceiling.late_max.map(HostId::number)] {
                bytes.push(u8::from(number.is_some()));
                bytes.extend_from_slice(&number.unwrap_or(0).to_be_bytes());
            }
        }
        merkle::leaf(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Position;

    fn name(n: usize) -> StratumId {
        StratumId::new(&format!("x86_64.ubuntu-24.04.m{n:04}")).unwrap()
    }

    /// Every seventh stratum has nobody covered, every ninth a late host.
    fn ceilings(strata: usize) -> Vec<Ceiling> {
        let one = |n: usize| {
            let handed = if n.is_multiple_of(7) { 0 } else { u32::try_from(n).unwrap() };
            let late = n.is_multiple_of(9).then(|| HostId::new(1000 + n as u64).unwrap());
            let position_max = (handed > 0).then_some(Position(n as u64 * 1000));
            Ceiling { stratum: name(n), position_max, handed, late_max: late }
        };
        (0..strata).map(one).collect()
    }

    fn shard<'s>(shards: &'s [Shard], signed: &Commitment, stratum: &StratumId) -> &'s Shard {
        &shards[shard_of(stratum, signed.shards) as usize]
    }

    #[test]
    fn each_stratum_finds_its_own_ceiling_and_every_other_that_there_is_none() {
        for strata in [1, 2, 16, 17, 64, 65, 1000, 4096] {
            let all = ceilings(strata);
            let (signed, shards) = commit(&all).unwrap();
            assert_eq!(shards.iter().map(|s| s.ceilings.len()).sum::<usize>(), strata);
            assert!(signed.is_sane() && signed.covers(&all).is_ok(), "{strata} strata");
            for own in &all {
                let text = serde_json::to_vec(shard(&shards, &signed, &own.stratum)).unwrap();
                let read = Shard::parse(&text).unwrap();
                assert_eq!(read.ceiling(&signed, &own.stratum).unwrap(), Some(own));
            }
            for stranger in (5000..5050).map(name) {
                let read = shard(&shards, &signed, &stranger).ceiling(&signed, &stranger);
                assert!(matches!(read, Ok(None)), "{read:?}");
            }
        }
    }

    type Change = fn(&mut Shard);

    #[test]
    fn a_shard_that_was_tampered_with_covers_nobody() {
        let (signed, shards) = commit(&ceilings(200)).unwrap();
        let own = shards[3].ceilings[1].stratum.clone();
        let table: [(&str, Change); 8] = [
            ("a higher position", |s| s.ceilings[1].position_max = Some(Position::MAX)),
            ("more hosts", |s| s.ceilings[1].handed += 1),
            ("a late host", |s| s.ceilings[1].late_max = Some(HostId::new(1).unwrap())),
            ("two strata change ceilings", |s| {
                let (one, two) = (s.ceilings[0].stratum.clone(), s.ceilings[1].stratum.clone());
                (s.ceilings[0].stratum, s.ceilings[1].stratum) = (two, one);
                s.ceilings.swap(0, 1);
            }),
            ("one ceiling less", |s| drop(s.ceilings.remove(1))),
            ("another shard's number", |s| s.number = 4),
            ("a hash beside the way", |s| s.proof[0].0[0] ^= 1),
            ("no way", |s| s.proof.clear()),
        ];
        for (what, change) in table {
            let mut shard = shards[3].clone();
            change(&mut shard);
            let read = shard.ceiling(&signed, &own);
            assert!(matches!(read, Err(CeilingsError::Root(_))), "{what}: {read:?}");
        }
        let swapped = shards[4].ceiling(&signed, &own);
        assert!(matches!(swapped, Err(CeilingsError::Elsewhere { .. })), "{swapped:?}");
        let (other, _) = commit(&ceilings(201)).unwrap();
        assert!(matches!(shards[3].ceiling(&other, &own), Err(CeilingsError::Root(3))));
    }

    #[test]
    fn a_ceiling_beyond_the_signed_sums_covers_nobody() {
        let all = ceilings(100);
        let (signed, shards) = commit(&all).unwrap();
        for own in [&all[99], &all[90]] {
            let shard = shard(&shards, &signed, &own.stratum);
            shard.ceiling(&signed, &own.stratum).unwrap();
            let fewer = Commitment { handed: u64::from(own.handed) - 1, ..signed };
            let read = shard.ceiling(&fewer, &own.stratum);
            assert!(matches!(read, Err(CeilingsError::Beyond(_))), "{read:?}");
            let none = Commitment { late_max: None, ..signed };
            assert_eq!(shard.ceiling(&none, &own.stratum).is_err(), own.late_max.is_some());
        }
    }

    #[test]
    fn a_list_is_believed_whole_or_not_at_all() {
        let all = ceilings(100);
        let (signed, _) = commit(&all).unwrap();
        let text = serde_json::to_vec(&all).unwrap();
        signed.covers(&parse_list(&text).unwrap()).unwrap();
        let wider = Commitment { handed: signed.handed + 1, ..signed };
        assert!(matches!(wider.covers(&all), Err(CeilingsError::List)));
        assert!(matches!(signed.covers(&all[1..]), Err(CeilingsError::List)));
        assert!(matches!(signed.covers(&[]), Err(CeilingsError::Field("ceilings", "is empty"))));
        let mut twice = all;
        twice[1] = twice[0].clone();
        let read = parse_list(&serde_json::to_vec(&twice).unwrap());
        assert!(matches!(read, Err(CeilingsError::Field("ceilings", _))), "{read:?}");
        assert!(matches!(parse_list(b"{}"), Err(CeilingsError::Parse(_))));
    }

    #[test]
    fn a_shard_that_contradicts_itself_is_refused_by_name() {
        let (_, shards) = commit(&ceilings(100)).unwrap();
        let table: [(&str, Change); 3] = [
            ("schema", |s| s.schema = 2),
            ("ceilings", |s| s.ceilings.reverse()),
            ("proof", |s| s.proof = vec![Digest([0; 32]); MERKLE_PROOF_MAX + 1]),
        ];
        for (field, change) in table {
            let mut shard = shards[0].clone();
            change(&mut shard);
            let refused = Shard::parse(&serde_json::to_vec(&shard).unwrap());
            assert!(
                matches!(&refused, Err(CeilingsError::Field(name, _)) if *name == field),
                "{refused:?}"
            );
        }
    }
}
