//! Targets: what hosts and servers read before, or without, any signature on it: envelopes, manifests,
//! the index, shards of an order and of ceilings, lines from the sandboxed child.
use crate::world::{NOW, class, host, key, vendor, world};
use crate::{Fate, reads_back};
use andon_model::ceilings;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::handover::{FromCheck, ToCheck};
use andon_model::index::{Index, IndexError};
use andon_model::limits::{
    FILES_MAX, INDEX_ITEMS_MAX, PATH_LENGTH_MAX, RELEASE_BYTES_MAX, SHARD_HOSTS, SIGNATURES_MAX,
    STOP_BYTES_MAX, STRATA_MAX, VENDOR_LINES_MAX,
};
use andon_model::order::Shard;
use andon_model::release::Manifest;
use andon_model::{Digest, HostId};
use andon_trust::{attestation, command, envelope as signatures, policy, stop, ticket};
use std::path::{Component, Path};

/// An envelope: whatever verifies has a payload that was signed, as the kind that was signed.
pub(crate) fn envelope(bytes: &[u8]) -> Fate {
    let Ok(read) = Envelope::parse(bytes) else {
        assert!(
            Envelope::parse_limited(bytes, STOP_BYTES_MAX).is_err(),
            "a smaller limit takes more"
        );
        return Fate::Refused;
    };
    assert!((1..=SIGNATURES_MAX).contains(&read.signatures.len()), "signatures beyond the limit");
    reads_back(&read, Envelope::parse);
    let by_limit = Envelope::parse_limited(bytes, STOP_BYTES_MAX);
    assert_eq!(by_limit.is_ok(), bytes.len() <= STOP_BYTES_MAX, "the limit in bytes");
    if verifies(&read) {
        assert!(is_ours(&read), "verified, and nobody signed it: {read:?}");
    }
    Fate::Taken
}

/// Whether anything at all believes it: every verification that hosts and servers have for envelopes.
fn verifies(read: &Envelope) -> bool {
    let world = world();
    let keys: Vec<_> = [1, 2, 3, 7, 10, 20, 21, 40, 41].map(|number| key(number).public()).into();
    let (policy, now) = (&world.policy, NOW);
    let authorities = crate::payloads::authorities();
    let kinds = [PayloadType::Beat, PayloadType::Enrol, PayloadType::Seating, read.payload_type];
    kinds.iter().any(|kind| signatures::verify_any(read, *kind, &keys).is_ok())
        || policy::verify(read, &world.anchor, now, 0).is_ok()
        || ticket::verify_past(read, policy, now, None).is_ok()
        || stop::verify(read, &authorities, now).is_ok()
        || command::verify(read, policy, now).is_ok()
        || command::verify_approval(read, policy, now).is_ok()
        || attestation::verify(read, &world.release, policy, now).is_ok()
}

/// Whether somebody of the world signed this payload as this.
fn is_ours(read: &Envelope) -> bool {
    let signed = crate::seeds::envelopes();
    let signed = signed.iter().filter_map(|bytes| Envelope::parse(bytes).ok());
    signed
        .into_iter()
        .any(|made| (made.payload_type, &made.payload) == (read.payload_type, &read.payload))
}

/// A manifest: no path leaves its folder, and no sum is over the limit.
pub(crate) fn manifest(bytes: &[u8]) -> Fate {
    let Ok(read) = Manifest::parse(bytes) else { return Fate::Refused };
    sound(&read);
    reads_back(&read, Manifest::parse);
    assert!(read.split(bytes).is_err(), "a manifest is the bundle that it describes");
    Fate::Taken
}

fn sound(read: &Manifest) {
    assert!((1..=FILES_MAX).contains(&read.files.len()), "number of files");
    assert!(read.bundle_length() <= RELEASE_BYTES_MAX, "bytes of a release");
    for file in &read.files {
        stays(&file.path);
        assert!(file.path.len() <= PATH_LENGTH_MAX, "length of a path");
    }
    stays(&read.target_path());
    assert!(read.files.is_sorted_by(|a, b| a.path < b.path), "two files in one place");
}

/// Joined to a folder it names something below that folder, by one spelling.
fn stays(path: &str) {
    let plain = |part| matches!(part, Component::Normal(_));
    assert!(Path::new(path).components().all(plain), "{path:?} leaves its folder");
    let whole: Vec<_> = Path::new(path).components().map(|part| part.as_os_str()).collect();
    assert_eq!(whole.join("/".as_ref()), *path, "{path:?} has another spelling");
    assert!(!path.contains('\0'), "{path:?} is cut by the system");
}

/// An index: within its limits, whoever wrote it.
pub(crate) fn index(bytes: &[u8]) -> Fate {
    let read = match Index::parse(bytes) {
        Ok(read) => read,
        Err(IndexError::TooLarge | IndexError::Parse(_)) => return Fate::Refused,
    };
    let of_vendors: usize = read.vendor_lines.iter().map(|line| line.tickets.len()).sum();
    let all = read.tickets.len() + read.stops.len() + read.attestations.len() + of_vendors;
    assert!(all <= INDEX_ITEMS_MAX && read.vendor_lines.len() <= VENDOR_LINES_MAX, "items");
    reads_back(&read, Index::parse);
    Fate::Taken
}

/// A shard: what it says of a host under a signed root is what was committed to.
pub(crate) fn shard(bytes: &[u8]) -> Fate {
    let Ok(read) = Shard::parse(bytes) else { return Fate::Refused };
    assert!((1..=SHARD_HOSTS).contains(&read.places.len()), "hosts of a shard");
    reads_back(&read, Shard::parse);
    let (signed, ours) = &world().order;
    for number in [1, 3, 5, 6, 4097] {
        let Ok(host) = HostId::new(number) else { continue };
        if let Ok(place) = read.place(signed, host) {
            let want = ours.place(signed, host).expect("of a host in it");
            assert_eq!(place, want, "another place under the same root");
        }
    }
    // A root that fits: nothing in the shard itself may make the search for a place fail.
    let own = andon_model::order::Commitment { root: Digest::of(bytes), hosts: u64::MAX };
    assert!(read.place(&own, host()).is_err(), "a root found by chance");
    Fate::Taken
}

/// Ceilings of a ticket, one shard or the whole list: what they say under the signed commitment is what
/// was committed to.
pub(crate) fn ceilings(bytes: &[u8]) -> Fate {
    let (signed, ours) = &world().ceilings;
    let list = ceilings::parse_list(bytes).ok();
    if let Some(list) = &list {
        assert!(list.len() <= STRATA_MAX, "strata of a list");
        if signed.covers(list).is_ok() {
            let sum: u64 = list.iter().map(|ceiling| u64::from(ceiling.handed)).sum();
            assert_eq!((list.len(), sum), (signed.strata as usize, signed.handed), "other sums");
        }
    }
    let shard = ceilings::Shard::parse(bytes).ok();
    if let Some(read) = &shard {
        reads_back(read, ceilings::Shard::parse);
        for ceiling in read.ceilings.iter().chain(&ours.ceilings) {
            if read.number == ours.number
                && let Ok(own) = read.ceiling(signed, &ceiling.stratum)
            {
                let want = ours.ceiling(signed, &ceiling.stratum).expect("of a stratum in it");
                assert_eq!(own, want, "another ceiling under the same root");
            }
        }
        let most = ceilings::Commitment { shards: u32::MAX, root: Digest::of(bytes), ..*signed };
        assert!(read.ceiling(&most, &class().stratum()).is_err(), "a root found by chance");
    }
    Fate::of(list).or(Fate::of(shard))
}

/// A line between supervisor and child, either way.
pub(crate) fn handover(bytes: &[u8]) -> Fate {
    let said = FromCheck::parse(bytes).ok();
    if let Some(said) = &said {
        reads_back(said, FromCheck::parse);
        if let FromCheck::Offers { offers } = said {
            offers.offers.iter().for_each(|offer| sound(&offer.manifest));
        }
        let line = said.to_line();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1, "several lines");
    }
    let asked = ToCheck::parse(bytes).ok();
    if let Some(asked) = &asked {
        reads_back(asked, ToCheck::parse);
    }
    Fate::of(said).or(Fate::of(asked))
}

/// Whether a path belongs to the vendor: for whoever lists its targets.
pub(crate) fn of_vendor(path: &str) -> bool {
    path.starts_with(&format!("releases/{}/", vendor()))
}
