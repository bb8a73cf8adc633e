//! The writer refuses what a host would refuse, before anybody sees it.
use crate::world::*;
use andon_model::{Digest, Millis, VendorId};
use andon_trust::repository::{
    Delegation, Repository, RepositoryError, TopRoles, Validity, vendor_role,
};
use std::collections::BTreeMap;

pub(crate) const VALID: Validity =
    Validity { snapshot: Millis::from_secs(7 * 86_400), timestamp: Millis::from_secs(86_400) };

fn vendor(name: &str, keys: &[u8], threshold: u32) -> Delegation {
    Delegation { vendor: VendorId::new(name).unwrap(), role: role(keys, threshold) }
}

pub(crate) fn create() -> Repository {
    let roles = TopRoles {
        root: role(&[10, 11, 12], 2),
        targets: role(&[13], 1),
        snapshot: role(&[14], 1),
        timestamp: role(&[15], 1),
    };
    let vendors = [vendor("acme", &[20, 21], 2)];
    let year = NOW.plus(YEAR);
    let mut made = Repository::create(&roles, &vendors, year, year).unwrap();
    [10, 11].iter().for_each(|n| made.sign_root(&key(*n)).unwrap());
    made.sign_targets(&key(13)).unwrap();
    made
}

pub(crate) fn signed_role(before: Option<&[u8]>, version: u32, keys: &[u8]) -> Vec<u8> {
    let path = manifest("acme", version).target_path();
    let added = [(path, Digest::of(&version.to_be_bytes()), 4)];
    let mut role = vendor_role(before, NOW.plus(YEAR), &added).unwrap();
    keys.iter().for_each(|n| role.sign(&key(*n)).unwrap());
    role.to_bytes()
}

/// A stranger to the new root, who has the first one: what it may not believe is not published.
/// Mutant: rotated-root-unrehearsed.
#[test]
fn a_new_root_is_published_only_if_the_old_one_vouches_for_it() {
    let mut repository = create();
    repository.publish(NOW, VALID, &key(14), &key(15)).unwrap();
    let first = repository.root_bytes();
    let (year, new) = (NOW.plus(YEAR), key(50).public());
    let stranger = repository.rotate_root(&key(49).public(), &new, year);
    assert!(matches!(stranger, Err(RepositoryError::Stranger)));
    assert_eq!(repository.root_bytes(), first);
    assert_eq!(repository.rotate_root(&key(10).public(), &new, year).unwrap(), 2);
    let cases: [(&[u8], bool); 5] =
        [(&[], false), (&[11], false), (&[11, 50], false), (&[10, 11], false), (&[11, 12], true)];
    for (signers, believed) in cases {
        let mut made = repository.clone();
        signers.iter().for_each(|n| made.sign_root(&key(*n)).unwrap());
        let served = made.publish(NOW, VALID, &key(14), &key(15));
        assert_eq!(served.is_ok(), believed, "signed by {signers:?}");
    }
    // The thief's key is in no role, and not in the table of keys either.
    assert!(
        !String::from_utf8(repository.root_bytes())
            .unwrap()
            .contains(&key(10).public().to_string())
    );
}

/// Keys of every role at once, and then no more roots than a host would walk.
#[test]
fn roots_follow_one_another_up_to_what_hosts_walk() {
    let mut repository = create();
    repository.publish(NOW, VALID, &key(14), &key(15)).unwrap();
    let year = NOW.plus(YEAR);
    let public = |n: u8| key(n).public();
    for (old, new) in [(13, 53), (14, 54), (15, 55)] {
        repository.rotate_root(&public(old), &public(new), year).unwrap();
        [10, 11].iter().for_each(|n| repository.sign_root(&key(*n)).unwrap());
        if old == 13 {
            assert_eq!(repository.renew_targets(year).unwrap(), 2);
            repository.sign_targets(&key(53)).unwrap();
        }
        let snapshot = if old == 13 { 14 } else { 54 };
        let timestamp = if old == 15 { 55 } else { 15 };
        let old_keys = repository.clone().publish(NOW, VALID, &key(14), &key(15));
        assert_eq!(old_keys.is_ok(), old == 13, "the old online keys sign no more");
        repository.publish(NOW, VALID, &key(snapshot), &key(timestamp)).unwrap();
    }
    let most = andon_model::limits::TUF_ROOT_ROTATIONS_MAX;
    let (mut old, mut new) = (54, 60);
    for version in 5..=most {
        let made = repository.rotate_root(&public(old), &public(new), year).unwrap();
        assert_eq!(made, u64::from(version));
        (old, new) = (new, new + 1);
    }
    let beyond = repository.rotate_root(&public(old), &public(new), year);
    assert!(matches!(beyond, Err(RepositoryError::Rotations)), "{beyond:?}");
}

#[test]
fn a_repository_grows_by_roles_and_reads_back_as_written() {
    let acme = VendorId::new("acme").unwrap();
    let mut repository = create();
    let mut served: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    served.extend(repository.publish(NOW, VALID, &key(14), &key(15)).unwrap());
    assert_eq!(repository.set_role(&acme, &signed_role(None, 1, &[20, 21]), NOW).unwrap(), 1);
    served.extend(repository.publish(NOW, VALID, &key(14), &key(15)).unwrap());
    let next = signed_role(repository.role(&acme), 2, &[20, 21]);
    assert_eq!(repository.set_role(&acme, &next, NOW).unwrap(), 2);
    repository.add_vendor(&vendor("zeta", &[30], 1)).unwrap();
    let unsigned = repository.publish(NOW, VALID, &key(14), &key(15)).unwrap_err();
    assert!(matches!(unsigned, RepositoryError::Tuf(_)), "unsigned targets went out: {unsigned}");
    repository.sign_targets(&key(13)).unwrap();
    let files = repository.publish(NOW, VALID, &key(14), &key(15)).unwrap();
    assert_eq!(files.last().unwrap().0, "timestamp.json", "it makes the rest visible");
    served.extend(files);
    let names: Vec<&str> = served.keys().map(String::as_str).collect();
    let want = [
        "1.acme.json",
        "1.root.json",
        "1.snapshot.json",
        "1.targets.json",
        "2.acme.json",
        "2.snapshot.json",
        "2.targets.json",
        "3.snapshot.json",
        "timestamp.json",
    ];
    assert_eq!(names, want);
    let mut loaded = Repository::load(&mut |name| served.get(name).cloned()).unwrap();
    assert_eq!(loaded.role(&acme), Some(next.as_slice()));
    // Nothing new but a timestamp: the snapshot is kept.
    let files = loaded.publish(NOW.plus(Millis(1)), VALID, &key(14), &key(15)).unwrap();
    assert!(files.iter().any(|(name, _)| name == "3.snapshot.json"));
    // After half its life the snapshot is signed anew.
    let later = NOW.plus(Millis(VALID.snapshot.0 / 2 + 1));
    let files = loaded.publish(later, VALID, &key(14), &key(15)).unwrap();
    assert!(files.iter().any(|(name, _)| name == "4.snapshot.json"));
}

#[test]
fn roles_that_hosts_would_refuse_are_refused_at_the_door() {
    let acme = VendorId::new("acme").unwrap();
    let zeta = VendorId::new("zeta").unwrap();
    let mut repository = create();
    let first = signed_role(None, 1, &[20, 21]);
    repository.set_role(&acme, &first, NOW).unwrap();
    let foreign = {
        let path = manifest("zeta", 1).target_path();
        let added = [(path, Digest::of(b"x"), 1)];
        let mut role = vendor_role(Some(&first), NOW.plus(YEAR), &added).unwrap();
        [20, 21].iter().for_each(|n| role.sign(&key(*n)).unwrap());
        role.to_bytes()
    };
    let removed = resigned(signed_role(Some(&first), 2, &[20, 21]), &[20, 21], |signed| {
        signed["targets"].as_object_mut().unwrap().remove("releases/acme/rules/1.json");
    });
    let sha512 = resigned(signed_role(Some(&first), 2, &[20, 21]), &[20, 21], |signed| {
        let hashes = &mut signed["targets"]["releases/acme/rules/2.json"]["hashes"];
        *hashes = serde_json::json!({"sha512": "00"});
    });
    let next = |keys: &[u8]| signed_role(Some(&first), 2, keys);
    let cases = [
        ("one signature of two", &acme, next(&[20])),
        ("foreign signatures", &acme, next(&[30, 31])),
        ("the same version again", &acme, first.clone()),
        ("another vendor's path", &acme, foreign),
        ("a release taken back", &acme, removed),
        ("sha512 only", &acme, sha512),
        ("no such vendor", &zeta, signed_role(None, 1, &[20, 21])),
        ("truncated", &acme, first[..40].to_vec()),
    ];
    for (fault, vendor, bytes) in cases {
        assert!(repository.set_role(vendor, &bytes, NOW).is_err(), "{fault} was taken");
        assert_eq!(
            repository.role(&acme),
            Some(first.as_slice()),
            "{fault} changed the repository"
        );
    }
    let expired = repository.set_role(&acme, &next(&[20, 21]), NOW.plus(YEAR).plus(Millis(1001)));
    assert!(expired.is_err());
    assert_eq!(repository.set_role(&acme, &next(&[20, 21]), NOW).unwrap(), 2);
}

#[test]
fn key_files_read_back_and_mixed_halves_are_noticed() {
    use andon_trust::sign::{KeyFile, KeyFileError};
    let bytes = key(7).to_file("alice", "operator").to_bytes();
    let (file, read) = KeyFile::parse(&bytes).unwrap();
    assert_eq!((file.name.as_str(), read.public()), ("alice", key(7).public()));
    let text = String::from_utf8(bytes).unwrap();
    let mixed = text.replace(&key(7).public().to_string(), &key(8).public().to_string());
    assert!(matches!(KeyFile::parse(mixed.as_bytes()), Err(KeyFileError::Mismatch)));
    assert!(matches!(KeyFile::parse(&[b' '; 5000]), Err(KeyFileError::TooLarge(5000))));
    for sealed in [&b"age-encryption.org/v1\n"[..], b"-----BEGIN AGE ENCRYPTED FILE-----\n"] {
        assert!(matches!(KeyFile::parse(sealed), Err(KeyFileError::Encrypted)));
    }
    assert!(!format!("{file:?} {read:?}").contains(&"07".repeat(8)), "a private key was printed");
}
