//! Targets: TUF metadata as a host takes it, as `andon tuf-client` does for anybody's repository, and
//! proof bundles. Each file is given as it comes, and signed anew with the keys of its role.
use crate::Fate;
use crate::objects::of_vendor;
use crate::world::{NOW, above, seal, signed_again, vendor, world};
use andon_model::envelope::PayloadType;
use andon_model::limits::{PROOF_BUNDLE_PLAIN_BYTES_MAX, TUF_DELEGATIONS_MAX, VENDORS_MAX};
use andon_model::proof_bundle::{Believed, ProofBundle};
use andon_model::{Digest, Time};
use andon_trust::client::{self, Fault, Shelf, Source, local_path};
use andon_trust::proof_bundle::{FileError, Terms, open, pack, verify};
use andon_trust::tuf::{MetadataSet, TufSet, VendorRole, check_vendor_role};
use andon_trust::{client::Refreshed, fast_lane};
use serde_json::Value;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

fn file(name: &str) -> &'static [u8] {
    &world().metadata[name]
}

fn started() -> TufSet {
    TufSet::from_root(file("1.root.json")).expect("the world's root")
}

/// What was signed, whatever stands around it.
fn signed(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Value>(bytes).ok()?.get("signed").cloned()
}

/// Fails when these bytes were believed and are not what the world signed under that name.
fn ours(believed: bool, bytes: &[u8], name: &str) {
    if believed {
        assert_eq!(signed(bytes), signed(file(name)), "believed, and nobody signed it");
    }
}

/// A root: as an anchor, and as the next one after the world's.
pub(crate) fn root(bytes: &[u8]) -> Fate {
    let _either = TufSet::from_root(bytes);
    let _either = client::check_root(bytes);
    let mut set = started();
    let taken = set.update_root(bytes).is_ok();
    ours(taken, bytes, "2.root.json");
    let mut again = Fate::Refused;
    if let Some(bytes) = signed_again(bytes, &[10, 11]) {
        let mut set = started();
        if set.update_root(&bytes).is_ok() {
            assert_eq!(set.root_version(), 2, "a root that skips a version");
            assert!(TufSet::from_root(&bytes).is_ok(), "believed, and cannot be begun with");
            again = Fate::Taken;
        }
        assert!(set.authorised(NOW).is_err(), "a root alone is enough");
    }
    Fate::of(taken.then_some(())).or(again)
}

/// A timestamp under the world's root.
pub(crate) fn timestamp(bytes: &[u8]) -> Fate {
    let taken = started().update_timestamp(bytes, NOW).is_ok();
    ours(taken, bytes, "timestamp.json");
    let bytes = signed_again(bytes, &[15]);
    let again = bytes.and_then(|bytes| started().update_timestamp(&bytes, NOW).ok());
    Fate::of(taken.then_some(())).or(Fate::of(again))
}

/// A snapshot that the world's timestamp names; and one that its own timestamp does.
pub(crate) fn snapshot(bytes: &[u8]) -> Fate {
    let mut set = started();
    set.update_timestamp(file("timestamp.json"), NOW).expect("the world's timestamp");
    let taken = set.update_snapshot(bytes, NOW).is_ok();
    assert!(!taken || bytes == file("1.snapshot.json"), "bytes that the timestamp does not name");
    let again = signed_again(bytes, &[14]).and_then(|bytes| {
        let mut timestamp =
            andon_trust::repository::timestamp(1, NOW.plus(DAY), version(&bytes), &bytes).ok()?;
        timestamp.sign(&crate::world::key(15)).ok()?;
        let mut set = started();
        set.update_timestamp(&timestamp.to_bytes(), NOW).ok()?;
        set.update_snapshot(&bytes, NOW).ok()
    });
    Fate::of(taken.then_some(())).or(Fate::of(again))
}

const DAY: andon_model::Millis = andon_model::Millis(86_400_000);

fn version(bytes: &[u8]) -> u64 {
    andon_trust::repository::version_of(bytes).unwrap_or(1)
}

/// A set with these targets and this role of the vendor in it, all above them made to fit.
fn with(targets: &[u8], role: &[u8]) -> Option<TufSet> {
    let roles = [("targets", version(targets), targets), ("acme", version(role), role)];
    let (snapshot, timestamp) = above(&roles);
    let mut set = started();
    set.update_timestamp(&timestamp, NOW).ok()?;
    set.update_snapshot(&snapshot, NOW).ok()?;
    Some(set)
}

/// Top-level targets: never more delegations than the limit, none that anybody could sign.
pub(crate) fn targets(bytes: &[u8]) -> Fate {
    let _either = fast_lane::of_platform(bytes);
    let mut set = with(file("1.targets.json"), file("1.acme.json")).expect("the world's metadata");
    let taken = set.update_targets(bytes, NOW).is_ok();
    assert!(!taken || bytes == file("1.targets.json"), "bytes that the snapshot does not name");
    let Some(bytes) = signed_again(bytes, &[13]) else { return Fate::of(taken.then_some(())) };
    let mut set = with(&bytes, file("1.acme.json"));
    let believed = set.as_mut().and_then(|set| set.update_targets(&bytes, NOW).ok());
    if let (Some(vendors), Some(set)) = (&believed, &mut set) {
        assert!(vendors.len() <= VENDORS_MAX, "delegations beyond the limit");
        for (name, delegated) in vendors {
            assert!(delegated.threshold > 0, "a role that anybody could write");
            let distinct: BTreeSet<_> = delegated.keys.iter().collect();
            assert_eq!(distinct.len(), delegated.keys.len(), "one key twice in a role");
            assert_eq!(set.vendor_keys(name), delegated.keys);
        }
        if let Ok(role) = set.update_vendor(&vendor(), file("1.acme.json"), NOW) {
            of_its_vendor(&role);
        }
        assert!(set.expires() > Time(0));
    }
    Fate::of(taken.then_some(())).or(Fate::of(believed))
}

/// A vendor's role: it speaks for its own paths only.
pub(crate) fn role(bytes: &[u8]) -> Fate {
    let targets = file("1.targets.json");
    let taken = check_vendor_role(targets, &vendor(), bytes, NOW);
    ours(taken.is_ok(), bytes, "1.acme.json");
    let one = signed_again(bytes, &[20]);
    let by_one = one.is_some_and(|one| {
        let kept = serde_json::from_slice::<Value>(bytes).ok();
        let signed = kept.and_then(|value| Some(value.get("signatures")?.as_array()?.len()));
        signed.unwrap_or(0) == 0 && check_vendor_role(targets, &vendor(), &one, NOW).is_ok()
    });
    assert!(!by_one, "one of two keys is enough");
    let again = signed_again(bytes, &[20, 21]).and_then(|bytes| {
        let checked = check_vendor_role(targets, &vendor(), &bytes, NOW);
        let mut set = with(targets, &bytes)?;
        set.update_targets(targets, NOW).ok()?;
        let loaded = set.update_vendor(&vendor(), &bytes, NOW);
        if let (Ok(checked), Ok(loaded)) = (&checked, &loaded) {
            assert_eq!(checked, loaded, "a publisher and a host read it differently");
        }
        loaded.ok().or(checked.ok())
    });
    taken.iter().chain(&again).for_each(of_its_vendor);
    Fate::of(taken.ok()).or(Fate::of(again))
}

fn of_its_vendor(role: &VendorRole) {
    assert!(role.targets.keys().all(|path| of_vendor(path)), "another vendor's path");
    assert!(role.threshold > 0, "a role that anybody could write");
}

/// A repository whose every targets role is the same file: delegations that lead anywhere, in circles too.
struct Circle {
    files: BTreeMap<String, Vec<u8>>,
    every_other: Vec<u8>,
    asked: Cell<usize>,
}

impl Source for Circle {
    fn fetch(&mut self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        self.asked.set(self.asked.get() + 1);
        local_path(name).map_err(|_| format!("asked for {name:?}"))?;
        let bytes = self.files.get(name).unwrap_or(&self.every_other);
        let root = name.ends_with(".root.json");
        Ok((bytes.len() <= limit && !root).then(|| bytes.clone()))
    }
}

/// Nothing was kept but the root.
struct Rooted;

impl Shelf for Rooted {
    fn read(&mut self, name: &str, _limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        Ok((name == "root.json").then(|| file("1.root.json").to_vec()))
    }
    fn keep(&mut self, _name: &str, _bytes: &[u8]) -> Result<(), Fault> {
        Ok(())
    }
}

/// Top-level targets of a stranger's repository: the search ends, and finds only what stays in its folder.
pub(crate) fn client(bytes: &[u8]) -> Fate {
    let Some(targets) = signed_again(bytes, &[13, 20, 21]) else { return Fate::Refused };
    let delegated = signed(&targets).unwrap_or_default();
    let delegated = delegated.pointer("/delegations/roles").and_then(Value::as_array).cloned();
    let names = delegated.unwrap_or_default();
    let names: BTreeSet<&str> =
        names.iter().filter_map(|role| role.get("name")?.as_str()).collect();
    let version = version(&targets);
    let mut roles: Vec<(&str, u64, &[u8])> = vec![("targets", version, &targets)];
    let others = names.into_iter().filter(|name| *name != "targets");
    roles.extend(others.map(|name| (name, version, targets.as_slice())));
    let (snapshot, timestamp) = above(&roles);
    let files = [("timestamp.json", timestamp), ("1.snapshot.json", snapshot)];
    let files = files.map(|(name, bytes)| (name.to_owned(), bytes)).into();
    let mut source = Circle { files, every_other: targets, asked: Cell::new(0) };
    let Ok(mut refreshed) = client::refresh(&mut source, &mut Rooted, NOW) else {
        return Fate::Refused;
    };
    assert_eq!(refreshed.versions()[..3], [1, 1, 1]);
    for path in ["releases/acme/rules/1.json", "a", "../x", "x/y/z"] {
        search(&mut refreshed, &mut source, path);
    }
    Fate::Taken
}

fn search(refreshed: &mut Refreshed, source: &mut Circle, path: &str) {
    let before = source.asked.get();
    let found = refreshed.find(source, &mut Rooted, path);
    let asked = source.asked.get() - before;
    assert!(asked <= TUF_DELEGATIONS_MAX + 1, "a search that does not end");
    if let Ok(found) = found {
        assert_eq!((found.path(), local_path(found.path())), (path, Ok(path)), "another file");
        assert!(local_path(&found.remote_path()).is_ok(), "a path that leaves its folder");
        assert!(found.check().finish().is_err() || found.length() == 0, "no bytes are enough");
    }
}

/// A proof bundle: as a file, as what is behind its digest, and as what is packed in it.
pub(crate) fn bundle(bytes: &[u8]) -> Fate {
    let body = [b"andon-proof-bundle/1\n", &Digest::of(bytes).0[..], bytes].concat();
    let files = [open(bytes), open(&body)].map(Result::ok);
    let plain = ProofBundle::parse(bytes).ok();
    let mut fate = Fate::Refused;
    for read in files.into_iter().chain([plain]).flatten() {
        fate = Fate::Taken;
        match pack(&read) {
            Ok(file) => assert_eq!(open(&file).expect("just packed"), read, "packed otherwise"),
            Err(why) => assert!(
                matches!(
                    why,
                    FileError::TooLarge(_) | FileError::Unpacked(PROOF_BUNDLE_PLAIN_BYTES_MAX..)
                ),
                "read, and cannot be packed: {why}"
            ),
        }
        proves(&read);
    }
    fate
}

/// Whatever a bundle proves is the world's release, with or without the operator's policy.
fn proves(read: &ProofBundle) {
    let world = world();
    let policy = seal(&[1, 2], PayloadType::Policy, &world.policy);
    for policy in [None, Some(&policy)] {
        let believed = Believed::default();
        let terms = Terms { anchor: &world.anchor, policy, now: NOW, believed: &believed };
        if let Ok(proven) = verify(read, &terms) {
            assert_eq!(proven.release, world.release, "a release that nobody signed");
            assert_eq!(proven.manifest, world.manifest, "another manifest");
            assert!(
                proven.judged_at >= NOW && proven.expires > proven.judged_at,
                "out of its time"
            );
        }
    }
}
