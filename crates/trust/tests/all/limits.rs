//! Limits of TUF metadata, of a client for anybody's repository, of messages' ages: what is at a limit
//! is taken, what is one beyond it is refused in words that say so. The others' table: `andon-model`.
use crate::world::*;
use andon_model::command::{Command, Verb};
use andon_model::envelope::PayloadType;
use andon_model::limits::*;
use andon_model::{Digest, Millis, PersonId, RolloutId, Time, VendorId};
use andon_trust::client::{ClientError, Fault, Shelf, Source, refresh};
use andon_trust::command::{self, CommandRefusal};
use andon_trust::repository::{self as tuf, SignedMetadata};
use andon_trust::tuf::{MetadataSet, TufError, TufSet};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn padded(mut bytes: Vec<u8>, length: usize) -> Vec<u8> {
    bytes.resize(length, b' ');
    bytes
}

fn first_root() -> Vec<u8> {
    root(&root_roles(), &[10, 11])
}

fn signed(mut metadata: SignedMetadata, by: u8) -> Vec<u8> {
    metadata.sign(&key(by)).unwrap();
    metadata.to_bytes()
}

/// Snapshot and timestamp above these files.
fn above(files: &[(String, u64, &[u8])]) -> (Vec<u8>, Vec<u8>) {
    let until = NOW.plus(YEAR);
    let snapshot = signed(tuf::snapshot(1, until, files).unwrap(), 14);
    let timestamp = signed(tuf::timestamp(1, until, 1, &snapshot).unwrap(), 15);
    (snapshot, timestamp)
}

/// Mutant: limit-of-tuf-bytes-off.
#[test]
fn metadata_has_a_limit_of_bytes() {
    TufSet::from_root(&padded(first_root(), TUF_BYTES_MAX)).unwrap();
    let over = |read: Result<_, TufError>| {
        let why = read.map(|_| ()).unwrap_err();
        assert!(matches!(&why, TufError::TooLarge(_, length) if *length == TUF_BYTES_MAX + 1));
        assert!(why.to_string().contains("at most 4194304"), "{why}");
    };
    over(TufSet::from_root(&padded(first_root(), TUF_BYTES_MAX + 1)).map(|_| ()));
    let until = NOW.plus(YEAR);
    let targets = signed(tuf::targets(1, until, &[]).unwrap(), 13);
    let (targets, longer) =
        (padded(targets.clone(), TUF_BYTES_MAX), padded(targets, TUF_BYTES_MAX + 1));
    let (snapshot, timestamp) = above(&[("targets.json".to_owned(), 1, &targets)]);
    let mut set = TufSet::from_root(&first_root()).unwrap();
    over(set.update_root(&longer));
    over(set.update_timestamp(&longer, NOW).map(|_| ()));
    set.update_timestamp(&timestamp, NOW).unwrap();
    over(set.update_snapshot(&longer, NOW).map(|_| ()));
    set.update_snapshot(&snapshot, NOW).unwrap();
    over(set.update_targets(&longer, NOW).map(|_| ()));
    set.update_targets(&targets, NOW).unwrap();
    let acme = VendorId::new("acme").unwrap();
    over(set.update_vendor(&acme, &longer, NOW).map(|_| ()));
}

#[test]
fn targets_delegate_to_so_many_vendors_and_no_more() {
    let delegated = |count: usize| {
        let vendor = |n| VendorId::new(&format!("v{n:03}")).unwrap();
        let delegation = |n| tuf::Delegation { vendor: vendor(n), role: role(&[20], 1) };
        let delegations: Vec<_> = (0..count).map(delegation).collect();
        let targets = signed(tuf::targets(1, NOW.plus(YEAR), &delegations).unwrap(), 13);
        let (snapshot, timestamp) = above(&[("targets.json".to_owned(), 1, &targets)]);
        let mut set = TufSet::from_root(&first_root()).unwrap();
        set.update_timestamp(&timestamp, NOW).unwrap();
        set.update_snapshot(&snapshot, NOW).unwrap();
        set.update_targets(&targets, NOW).map(|vendors| vendors.len())
    };
    assert_eq!(delegated(VENDORS_MAX).unwrap(), VENDORS_MAX);
    let why = delegated(VENDORS_MAX + 1).unwrap_err();
    assert!(matches!(why, TufError::Vendors(257)), "{why}");
    assert!(why.to_string().contains("at most 256"), "{why}");
}

/// A server in memory, and a shelf that has the first root.
#[derive(Default)]
struct Served(BTreeMap<String, Vec<u8>>);

impl Source for Served {
    fn fetch(&mut self, name: &str, _limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.0.get(name).cloned())
    }
}

struct Rooted;

impl Shelf for Rooted {
    fn read(&mut self, name: &str, _limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        Ok((name == "root.json").then(first_root))
    }
    fn keep(&mut self, _name: &str, _bytes: &[u8]) -> Result<(), Fault> {
        Ok(())
    }
}

/// A stranger's repository: these files beside the top-level targets, and roots up to a version.
fn stranger(targets: Vec<u8>, others: &[(String, Vec<u8>)], roots: u64) -> Served {
    let mut pins = vec![("targets.json".to_owned(), 1, targets.as_slice())];
    pins.extend(others.iter().map(|(name, bytes)| (format!("{name}.json"), 1, bytes.as_slice())));
    let (snapshot, timestamp) = above(&pins);
    let mut served = Served::default();
    for (name, bytes) in others {
        served.0.insert(format!("1.{name}.json"), bytes.clone());
    }
    let top = [("1.targets", targets), ("1.snapshot", snapshot), ("timestamp", timestamp)];
    served.0.extend(top.map(|(name, bytes)| (format!("{name}.json"), bytes)));
    for version in 2..=roots {
        let mut next = tuf::root(version, NOW.plus(YEAR), &root_roles()).unwrap();
        [10, 11].iter().for_each(|n| next.sign(&key(*n)).unwrap());
        served.0.insert(format!("{version}.root.json"), next.to_bytes());
    }
    served
}

fn no_targets() -> Vec<u8> {
    signed(tuf::targets(1, NOW.plus(YEAR), &[]).unwrap(), 13)
}

#[test]
fn a_strangers_repository_has_limits_of_bytes() {
    let too_large = |served: &mut Served, file: &str, most: usize| {
        let why = refresh(served, &mut Rooted, NOW).unwrap_err();
        let fits = |name: &str, limit: usize| name == file && limit == most;
        assert!(
            matches!(&why, ClientError::TooLarge { name, limit } if fits(name, *limit)),
            "{why}"
        );
        assert!(why.to_string().contains(&format!("over {most} bytes")), "{why}");
    };
    let most = TUF_TARGETS_BYTES_MAX;
    refresh(&mut stranger(padded(no_targets(), most), &[], 1), &mut Rooted, NOW).unwrap();
    let mut larger = stranger(padded(no_targets(), most + 1), &[], 1);
    too_large(&mut larger, "1.targets.json", most);
    let (name, most) = ("timestamp.json", TUF_TIMESTAMP_BYTES_MAX);
    let mut served = stranger(no_targets(), &[], 1);
    let timestamp = served.0[name].clone();
    served.0.insert(name.to_owned(), padded(timestamp.clone(), most));
    refresh(&mut served, &mut Rooted, NOW).unwrap();
    served.0.insert(name.to_owned(), padded(timestamp, most + 1));
    too_large(&mut served, name, most);
}

#[test]
fn a_refresh_walks_so_many_roots_and_no_more() {
    let walk = |roots: u64| {
        let refreshed = refresh(&mut stranger(no_targets(), &[], roots), &mut Rooted, NOW);
        refreshed.map(|refreshed| refreshed.versions()[0])
    };
    // The last fetch finds that there is no further root: it counts as a step.
    let most = u64::from(TUF_ROOT_ROTATIONS_MAX);
    assert_eq!(walk(most).unwrap(), most);
    let why = walk(most + 1).unwrap_err();
    assert!(matches!(why, ClientError::Rotations), "{why}");
    assert!(why.to_string().contains("over 64 new roots"), "{why}");
}

/// Targets whose first role delegates to the next one, and so on; the last of them lists the file.
fn chain(roles: usize) -> Served {
    let file = json!({"length": 1, "hashes": {"sha256": Digest::of(b"x").to_string()}});
    let made = |targets: &Value, next: Option<usize>, by: u8| {
        let delegation = |n| tuf::Delegation {
            vendor: VendorId::new(&format!("r{n}")).unwrap(),
            role: role(&[20], 1),
        };
        let next: Vec<_> = next.into_iter().map(delegation).collect();
        let plain = tuf::targets(1, NOW.plus(YEAR), &next).unwrap().to_bytes();
        resigned(plain, &[by], |signed| {
            signed["targets"] = targets.clone();
            if let Some(role) = signed.pointer_mut("/delegations/roles/0") {
                role["paths"] = json!(["*"]);
            }
        })
    };
    let last = json!({"x": file});
    let others: Vec<(String, Vec<u8>)> = (1..roles)
        .map(|n| match n + 1 == roles {
            true => (format!("r{n}"), made(&last, None, 20)),
            false => (format!("r{n}"), made(&json!({}), Some(n + 1), 20)),
        })
        .collect();
    stranger(made(&json!({}), Some(1), 13), &others, 1)
}

#[test]
fn a_search_visits_so_many_roles_and_no_more() {
    let find = |roles: usize| {
        let mut served = chain(roles);
        let mut refreshed = refresh(&mut served, &mut Rooted, NOW).unwrap();
        refreshed.find(&mut served, &mut Rooted, "x").map(|file| file.length())
    };
    assert_eq!(find(TUF_DELEGATIONS_MAX).unwrap(), 1);
    let why = find(TUF_DELEGATIONS_MAX + 1).unwrap_err();
    assert!(matches!(why, ClientError::Delegations(_)), "{why}");
    assert!(why.to_string().contains("first 32 roles"), "{why}");
}

#[test]
fn a_command_is_fresh_for_so_long_and_no_longer() {
    let command = Command {
        schema: 1,
        line: "operator:hospital".parse().unwrap(),
        person: PersonId::new("alice").unwrap(),
        nonce: Digest::of(b"nonce"),
        issued: NOW,
        verb: Verb::Resume { rollout: RolloutId::new("r1").unwrap() },
    };
    let sealed = seal(&[1], PayloadType::Command, &command);
    let taken = |at: Time| command::verify(&sealed, &policy(), at);
    for at in [NOW.plus(MESSAGE_AGE_MAX), NOW.minus(MESSAGE_SKEW_MAX)] {
        assert_eq!(taken(at).unwrap(), command);
    }
    let one = Millis(1);
    for at in [NOW.plus(MESSAGE_AGE_MAX).plus(one), NOW.minus(MESSAGE_SKEW_MAX).minus(one)] {
        let why = taken(at).unwrap_err();
        assert!(matches!(why, CommandRefusal::Stale), "{why}");
        assert!(why.to_string().contains("check the clock"), "{why}");
    }
}
