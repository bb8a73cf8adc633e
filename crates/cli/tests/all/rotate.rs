//! `andon keys rotate`: a key is lost or stolen, the others put a new one in its place, and a host that has seen the world before believes it. The
//! host is `andon_trust`'s own view, fed with what the folder serves.
use crate::common::{Place, tree};
use crate::keys::{WORDS, words_in};
use andon_model::class::HostClass;
use andon_model::enrol::Anchor;
use andon_model::index::Index;
use andon_model::{Digest, HostId, Millis, StratumId, Time, VendorId};
use andon_trust::repository::{Repository, Validity, vendor_role};
use andon_trust::sign::{KeyFile, SigningKey};
use andon_trust::view::{Answer, RefusalCode, Step, View};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Time(u64::try_from(since.as_millis()).unwrap())
}

fn anchor(place: &Place) -> Anchor {
    serde_json::from_slice(&fs::read(place.path("d/anchor.json")).unwrap()).unwrap()
}

fn key(place: &Place, name: &str) -> SigningKey {
    KeyFile::parse(&fs::read(place.path(&format!("d/{name}.json"))).unwrap()).unwrap().1
}

/// A host with this anchor, and what it remembers.
struct Host {
    anchor: Anchor,
    record: Option<Vec<u8>>,
    rounds: u64,
}

impl Host {
    fn new(anchor: Anchor) -> Host {
        Host { anchor, record: None, rounds: 0 }
    }

    /// What a server would say is there; nobody believes it for more than that.
    fn index(&self, place: &Place) -> Vec<u8> {
        let digest = |file: &str| Some(Digest::of(&fs::read(place.path(file)).unwrap()));
        let index = Index {
            version: self.rounds,
            policy: digest("d/server/policy.json"),
            timestamp: digest("d/server/data/tuf/timestamp.json"),
            tickets: Vec::new(),
            stops: Vec::new(),
            vendor_lines: Vec::new(),
            attestations: Vec::new(),
        };
        serde_json::to_vec(&index).unwrap()
    }

    /// Fetches what the folder serves. The version of the policy in force, and what was not believed.
    fn sync(&mut self, place: &Place) -> (u64, Vec<RefusalCode>) {
        let name = |text| StratumId::new(text).unwrap();
        let class = HostClass {
            arch: name("x86_64"),
            os: name("debian12"),
            model: name("edge"),
            groups: Vec::new(),
        };
        let (anchor, host) = (self.anchor.clone(), HostId::new(7).unwrap());
        let mut view = match &self.record {
            Some(record) => View::restore(anchor, host, class, record).unwrap(),
            None => View::new(anchor, host, class).unwrap(),
        };
        self.rounds += 1;
        let line = format!("/v1/lines/{}/", self.anchor.line);
        view.begin(now());
        while let Step::Fetch(fetch) = view.next() {
            let (tuf, own) = (fetch.path.strip_prefix("/v1/tuf/"), fetch.path.strip_prefix(&line));
            let bytes = match (tuf, own) {
                (Some(name), _) => fs::read(place.path("d/server/data/tuf").join(name)).ok(),
                (_, Some("index.json")) => Some(self.index(place)),
                (_, Some("policy.json")) => fs::read(place.path("d/server/policy.json")).ok(),
                _ => None,
            };
            view.supply(bytes.map_or(Answer::Missing, Answer::Bytes));
        }
        self.record = Some(view.record());
        let refused = view.outcome().refusals.iter().map(|told| told.code).collect();
        (view.policy().map_or(0, |policy| policy.version), refused)
    }
}

/// Every file and its content, for "nothing was changed".
fn contents(place: &Place) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = tree(&place.path("d")).into_iter().filter(|path| path.is_file());
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn rotate(place: &Place, words: &str) -> crate::common::Ran {
    let words = format!("--json keys rotate {words}");
    place.andon(&words.split(' ').collect::<Vec<_>>())
}

/// Mutant: rotation-below-threshold.
#[test]
fn a_lost_key_of_the_operators_root_is_replaced_by_the_others_and_by_no_fewer() {
    let place = Place::laid_out();
    let mut old = Host::new(anchor(&place));
    assert_eq!(old.sync(&place), (1, vec![]));
    fs::remove_file(place.path("d/keys/operator-root/alice.json")).unwrap();

    let before = contents(&place);
    for few in ["", " --key bob", " --key bob --key bob", " --key bob --key people/alice"] {
        let refused = rotate(&place, &format!("operator-root/alice{few} --plain")).expect(3);
        let missing =
            "policy version 2: 2 of operator-root/alice, operator-root/bob, operator-root/carol";
        assert!(refused.err.contains(missing), "{}", refused.err);
        assert_eq!(contents(&place), before, "{few:?} changed something");
    }
    let done = rotate(&place, "operator-root/alice --key bob --key carol --plain").expect(0).json();
    assert!(done["retired"].is_null(), "it was lost");
    assert!(done["destroy"].as_str().unwrap().contains("Destroy it when"));

    // Hosts get the new anchor in waves: until then the policy holds for them, too.
    let mut new = Host::new(anchor(&place));
    assert_ne!(new.anchor, old.anchor);
    assert_eq!((old.sync(&place), new.sync(&place)), ((2, vec![]), (2, vec![])));
    new.record = old.record.clone();
    assert_eq!(new.sync(&place), (2, vec![]), "a host that has seen the old world");
    // The new key counts, where the new anchor is.
    place.andon(&["policy", "sign", "--key", "alice", "--key", "bob"]).expect(0);
    assert_eq!(new.sync(&place), (3, vec![]));
    assert_eq!(old.sync(&place), (2, vec![RefusalCode::Signature]));
}

#[test]
fn a_stolen_daily_key_leaves_the_policy_and_the_delegation_together() {
    let place = Place::laid_out();
    words_in(&place, "words", WORDS);
    let stolen = key(&place, "keys/people/alice").public();
    let before = contents(&place);
    let refused = rotate(&place, "alice --key bob --key carol --plain").expect(3);
    assert!(refused.err.contains("targets version 2: 1 of platform/targets"), "{}", refused.err);
    assert_eq!(contents(&place), before);

    // A change that nobody has signed yet is not signed along with it.
    let form = place.path("d/policy.toml");
    let text = fs::read_to_string(&form).unwrap();
    fs::write(&form, text.replace("first_wave_max = 16", "first_wave_max = 15")).unwrap();
    let all = "alice --key bob --key carol --key platform/targets";
    let pending = rotate(&place, &format!("{all} --plain")).expect(1);
    assert!(pending.err.contains("policy.toml asks for other things"), "{}", pending.err);
    fs::write(&form, text.replace("# Who may start", "# Our people. Who may start")).unwrap();

    let done = rotate(&place, &format!("{all} --passphrase-file words")).expect(0).json();
    assert!(done["file"].as_str().unwrap().ends_with("people/alice.age"));
    let retired = PathBuf::from(done["retired"].as_str().unwrap());
    let day = now().to_string().chars().take(10).collect::<String>();
    assert!(retired.ends_with(format!("alice.json.retired-{day}")), "{}", retired.display());
    assert_eq!(
        fs::read(place.path(".").join(retired)).unwrap(),
        before[&place.path("d/keys/people/alice.json")]
    );
    for file in ["d/policy.toml", "d/server/policy.json", "d/server/data/tuf/2.targets.json"] {
        let text = fs::read_to_string(place.path(file)).unwrap();
        assert!(!text.contains(&stolen.to_string()), "{file} names the stolen key");
    }
    assert!(fs::read_to_string(&form).unwrap().contains("# Our people."), "comments stay");
    assert_eq!(Host::new(anchor(&place)).sync(&place), (2, vec![]));
    let list = place.andon(&["keys", "list", "--json"]).expect(0).json();
    let named =
        |key: &str| list.as_array().unwrap().iter().find(|it| it["key"] == key).unwrap().clone();
    assert_eq!(named("alice")["may"].as_array().unwrap().len(), 2);
    let retired = named(&format!("people/alice.json.retired-{day}"));
    assert_eq!((&retired["retired"], &retired["may"]), (&true.into(), &serde_json::json!([])));
    // Twice on one day.
    rotate(&place, &format!("{all} --passphrase-file words")).expect(0);
    rotate(&place, &format!("{all} --plain")).expect(0);
    let names = tree(&place.path("d/keys/people")).into_iter();
    let names: Vec<_> = names.filter(|it| it.to_string_lossy().contains("alice.")).collect();
    assert_eq!(names.len(), 7, "{names:?}");
}

/// One after another, each on top of the one before; a host from the first day follows them all.
#[test]
fn every_key_of_the_platform_and_the_server_can_be_replaced() {
    let place = Place::laid_out();
    let mut host = Host::new(anchor(&place));
    host.sync(&place);
    let roots = "--key platform/root-2 --key platform/root-3 --plain";
    let cases = [
        ("platform/root-1", roots, "platform/root-1", (1, vec![])),
        (
            "platform/root-3",
            "--key platform/root-1 --key platform/root-2 --plain",
            "platform/root-3",
            (1, vec![]),
        ),
        ("platform/targets", roots, "platform/targets", (1, vec![])),
        ("snapshot", roots, "server/keys/snapshot", (1, vec![])),
        ("timestamp", roots, "server/keys/timestamp", (1, vec![])),
        ("online", "--key alice --key bob", "server/keys/online", (2, vec![])),
        ("platform/cord", "--plain", "platform/cord", (2, vec![])),
    ];
    for (name, words, file, seen) in cases {
        let folder = if file.starts_with("server") { "" } else { "keys/" };
        let before = key(&place, &format!("{folder}{file}")).public();
        let done = rotate(&place, &format!("{name} {words}")).expect(0).json();
        let after = key(&place, &format!("{folder}{file}")).public();
        assert_ne!(before, after);
        assert_eq!(done["new"], serde_json::to_value(after).unwrap(), "{name}");
        assert_eq!(host.sync(&place), seen, "{name}");
    }
    assert!(place.path("d/server/data/tuf/6.root.json").is_file(), "five new roots");
    assert_eq!(anchor(&place).platform, [key(&place, "keys/platform/cord").public()]);
    // A thief of the old timestamp key is nobody; the line is the one that its tree shows.
    let shown = place.andon(&["trust", "show", "--json"]).expect(0).json();
    let new = serde_json::to_value(key(&place, "server/keys/timestamp").public()).unwrap();
    assert!(shown["keys"].as_array().unwrap().iter().any(|key| key["public"] == new));
    // The server starts with what is there.
    andon_server::config::Inputs::read(&place.path("d/server/andond.toml")).unwrap();
    for unknown in ["nobody", "platform/root-4"] {
        assert!(rotate(&place, unknown).expect(4).err.contains("has no key"));
    }
}

/// Until then it keeps every release from the hosts, if it says that they failed.
#[test]
fn a_stolen_key_of_a_rig_leaves_the_policy() {
    let place = Place::new();
    place.andon(&["init", "--operator", "hospital", "--rig", "lab"]).expect(0);
    let old = key(&place, "keys/rigs/lab").public();
    assert!(
        rotate(&place, "rigs/lab --key alice").expect(3).err.contains("policy version 2: 2 of")
    );
    assert_eq!(key(&place, "keys/rigs/lab").public(), old);
    rotate(&place, "rigs/lab --key alice --key bob").expect(0);
    let new = key(&place, "keys/rigs/lab").public();
    let shown = place.andon(&["policy", "show", "--json"]).expect(0).json();
    let rigs = serde_json::json!([{"name": "lab", "key": new}]);
    assert_eq!((&shown["policy"]["attestations"]["rigs"], new == old), (&rigs, false));
}

/// A release of acme's, signed by its keys 1 and 2, as a server would have published it.
fn publish(place: &Place) {
    let tuf = place.path("d/server/data/tuf");
    let mut made = Repository::load(&mut |name| fs::read(tuf.join(name)).ok()).unwrap();
    let path = "releases/acme/rules/1".to_owned();
    let later = now().plus(Millis::from_secs(1000));
    let mut role = vendor_role(None, later, &[(path, Digest::of(b"manifest"), 8)]).unwrap();
    for number in [1, 2] {
        role.sign(&key(place, &format!("keys/vendors/acme/{number}"))).unwrap();
    }
    made.set_role(&VendorId::new("acme").unwrap(), &role.to_bytes(), now()).unwrap();
    let day = Millis::from_secs(86_400);
    let keys = ["snapshot", "timestamp"].map(|name| key(place, &format!("server/keys/{name}")));
    let valid = Validity { snapshot: day, timestamp: day };
    for (name, bytes) in made.publish(now(), valid, &keys[0], &keys[1]).unwrap() {
        fs::write(tuf.join(name), bytes).unwrap();
    }
}

#[test]
fn a_vendors_role_is_signed_again_only_where_its_own_keys_no_longer_suffice() {
    let place = Place::laid_out();
    publish(&place);
    let mut host = Host::new(anchor(&place));
    host.sync(&place);
    // Key 3 has signed nothing: the platform's word is enough.
    rotate(&place, "vendors/acme/3 --key platform/targets --plain").expect(0);
    assert!(!place.path("d/server/data/tuf/2.acme.json").exists());
    assert_eq!(host.sync(&place), (1, vec![]));
    let before = contents(&place);
    let refused = rotate(&place, "vendors/acme/1 --key platform/targets --plain").expect(3);
    assert!(refused.err.contains("role of vendor acme, version 2: 2 of"), "{}", refused.err);
    assert_eq!(contents(&place), before);
    let signers = "--key platform/targets --key vendors/acme/2";
    rotate(&place, &format!("vendors/acme/1 {signers} --plain")).expect(0);
    assert!(place.path("d/server/data/tuf/2.acme.json").is_file());
    assert_eq!(host.sync(&place), (1, vec![]), "the vendor's releases are still believed");
}

#[test]
fn a_rotation_that_cannot_be_written_changes_nothing_and_a_running_server_is_not_written_under() {
    let place = Place::laid_out();
    // The fourth of the files that it writes is there already.
    place.write("d/server/data/tuf/2.snapshot.json", b"{}");
    let before = contents(&place);
    let words = "timestamp --key platform/root-1 --key platform/root-2";
    let refused = rotate(&place, words).expect(1);
    assert!(refused.err.contains("nothing was changed"), "{}", refused.err);
    assert_eq!(contents(&place), before);
    fs::remove_file(place.path("d/server/data/tuf/2.snapshot.json")).unwrap();

    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = place.path("d/server/andond.toml");
    let text = fs::read_to_string(&config).unwrap();
    let listen = server.local_addr().unwrap().to_string();
    fs::write(&config, text.replace("127.0.0.1:1", &listen)).unwrap();
    let running = rotate(&place, words).expect(2);
    assert!(running.err.contains("andond is running"), "{}", running.err);
    drop(server);
    rotate(&place, words).expect(0);
}

/// The way back, in the order of docs/operate/key-loss.md, by people who type what a checklist says.
#[test]
fn below_the_threshold_only_a_new_anchor_helps() {
    let place = Place::laid_out();
    for name in ["alice", "bob"] {
        fs::remove_file(place.path(&format!("d/keys/operator-root/{name}.json"))).unwrap();
    }
    let before = contents(&place);
    for lost in ["operator-root/alice", "operator-root/bob", "online"] {
        let refused = rotate(&place, &format!("{lost} --key carol --plain")).expect(3);
        assert!(refused.err.contains("policy version 2"), "{}", refused.err);
    }
    place.andon(&["policy", "sign", "--key", "carol"]).expect(3);
    assert_eq!(contents(&place), before);
    assert_eq!(Host::new(anchor(&place)).sync(&place), (1, vec![]), "what was signed holds");
}
