//! Published advisories about TUF clients, each as a case of that name, and one key posing as two.
use crate::vendors;
use andon_e2e::zoo::{Client, PAST, Page, Signer, Zoo};
use serde_json::{Value, json};

/// A zoo whose targets delegate everything to `vendor` with these keys and this threshold.
fn delegated(keys: &[Signer], threshold: u32) -> Zoo {
    let mut zoo = Zoo::new().unwrap();
    zoo.delegate("targets", "vendor", &["*"], keys, threshold);
    zoo.add_file("vendor", "tool", b"tool");
    zoo.bump("targets");
    zoo.publish();
    zoo
}

fn refused(zoo: &Zoo, words: &str) {
    let client = Client::new(zoo).unwrap();
    let ran = client.download(zoo, &["tool"]).unwrap();
    assert!(ran.refused(words), "{ran:?}");
    assert_eq!(client.file("tool"), None);
    assert!(!client.trusted().join("vendor.json").exists(), "it was kept all the same");
}

#[test]
fn two_keys_that_are_two_keys_make_a_threshold_of_two() {
    let zoo = delegated(&[Signer::new(30), Signer::new(31)], 2);
    let client = Client::new(&zoo).unwrap();
    let ran = client.download(&zoo, &["tool"]).unwrap();
    assert!(ran.well(), "{}", ran.said);
}

#[test]
fn one_key_under_two_ids_is_one_key() {
    let key = Signer::new(30);
    refused(&delegated(&[key.clone(), key.alias("other")], 2), "one key's material under two ids");
}

#[test]
fn one_key_with_one_more_field_is_one_key() {
    let key = Signer::new(30);
    let zoo = delegated(&[key.clone(), key.with_field("x-owner", "bob")], 2);
    refused(&zoo, "one key's material under two ids");
}

#[test]
fn one_key_in_two_spellings_is_one_key() {
    let key = Signer::new(30);
    let mut loud = key.alias("loud");
    let hex = loud.entry["keyval"]["public"].as_str().unwrap().to_ascii_uppercase();
    loud.entry["keyval"]["public"] = json!(hex);
    refused(&delegated(&[key, loud], 2), "one key's material under two ids");
}

#[test]
fn one_key_under_two_ids_in_the_root_is_one_key() {
    for role in ["root", "timestamp", "snapshot", "targets"] {
        let mut zoo = Zoo::new().unwrap();
        let client = Client::new(&zoo).unwrap();
        let before = Signer::new(1);
        let key = Signer::new(30);
        zoo.set_keys(role, &[key.clone(), key.alias("other")], 2);
        zoo.bump("root");
        zoo.publish_root(std::slice::from_ref(&before));
        zoo.publish();
        let words = format!("role {role} lists one key's material under two ids");
        let ran = client.refresh(&zoo).unwrap();
        assert!(ran.refused(&words), "{role}: {ran:?}");
        // nor can anybody begin with it
        let ran = Client::empty().unwrap().init(&zoo.root_bytes()).unwrap();
        assert!(ran.refused(&words), "{role}: {ran:?}");
    }
}

/// go-tuf, 2026: a threshold of 0 disabled verification.
#[test]
fn ghsa_fphv_w9fq_2525_a_threshold_of_0_is_refused() {
    let mut zoo = delegated(&[Signer::new(30)], 0);
    zoo.signers("vendor", &[]);
    zoo.bump("vendor");
    zoo.publish();
    refused(&zoo, "threshold 0");
    for role in ["root", "timestamp", "snapshot", "targets"] {
        let mut zoo = Zoo::new().unwrap();
        let client = Client::new(&zoo).unwrap();
        zoo.signed("root")["roles"][role]["threshold"] = json!(0);
        zoo.bump("root");
        zoo.publish_root(&[]);
        let ran = client.refresh(&zoo).unwrap();
        assert!(ran.refused("threshold 0"), "{role}: {ran:?}");
    }
}

/// tough, 2026: a signature given twice counted twice in delegated roles.
#[test]
fn cve_2026_6966_a_signature_given_twice_counts_once() {
    let key = Signer::new(30);
    let mut zoo = delegated(&[key.clone(), Signer::new(31)], 2);
    zoo.signers("vendor", &[key.clone(), key]);
    zoo.bump("vendor");
    zoo.publish();
    refused(&zoo, "duplicate signature");
}

/// tough, 2026: expiry, digest and length of delegated roles were not checked.
#[test]
fn cve_2026_6967_a_delegated_role_is_held_to_expiry_digest_length_and_version() {
    let mut zoo = delegated(&[Signer::new(30)], 1);
    zoo.signed("vendor")["expires"] = json!(PAST);
    zoo.bump("vendor");
    zoo.publish();
    refused(&zoo, "metadata expired");
    // Signed by the vendor, and not what the snapshot names.
    type Spoil = fn(&mut Value);
    let cases: [(&str, Spoil); 3] = [
        ("sha256 mismatch", |pin| pin["hashes"]["sha256"] = json!("00".repeat(32))),
        ("length", |pin| pin["length"] = json!(pin["length"].as_u64().unwrap() + 1)),
        ("version", |pin| *pin = json!({"version": 7})),
    ];
    for (words, spoil) in cases {
        let mut zoo = delegated(&[Signer::new(30)], 1);
        let served = zoo.served.bytes("metadata/1.vendor.json").unwrap();
        zoo.served.put("metadata/7.vendor.json", served);
        spoil(&mut zoo.signed("snapshot")["meta"]["vendor.json"]);
        zoo.publish_snapshot();
        refused(&zoo, words);
    }
}

/// tough, 2026: names of files led out of the folder.
#[test]
fn cve_2026_6968_no_file_leaves_its_folder() {
    let names = [
        "../evil",
        "a/../../evil",
        "/tmp/andon-zoo-evil",
        "..",
        "a/..",
        "./evil",
        "a//evil",
        "a\\..\\b",
        ".andon-parts/evil",
        "",
    ];
    let mut zoo = Zoo::new().unwrap();
    for name in names {
        zoo.add_file("targets", name, b"evil");
        zoo.served.put(&format!("files/{name}"), b"evil".to_vec());
    }
    zoo.bump("targets");
    zoo.publish();
    let client = Client::new(&zoo).unwrap();
    for name in names {
        let ran = client.download(&zoo, &[name]).unwrap();
        assert!(ran.refused("is not a path below a folder"), "{name:?}: {ran:?}");
    }
    let mut around: Vec<String> = std::fs::read_dir(client.outside())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    around.sort();
    assert_eq!(around, ["files", "given-root.json", "trusted"]);
    assert_eq!(std::fs::read_dir(client.outside().join("files")).unwrap().count(), 0);
}

/// go-tuf, 2026: names from metadata became paths of the cache.
#[test]
fn cve_2026_24686_no_role_leaves_the_folder_of_trusted_metadata() {
    let names = ["../escaped", "/escaped", "..", "a/b", "?", "#", "%2e%2e%2fescaped"];
    for name in names {
        let mut zoo = Zoo::new().unwrap();
        zoo.delegate("targets", name, &["*"], &[Signer::new(30)], 1);
        zoo.add_file(name, "tool", b"tool");
        zoo.bump("targets");
        zoo.publish();
        let client = Client::new(&zoo).unwrap();
        let ran = client.download(&zoo, &["tool"]).unwrap();
        assert!(ran.well(), "{name}: {}", ran.said);
        assert_eq!(std::fs::read_dir(client.outside()).unwrap().count(), 3, "{name}");
        let kept = std::fs::read_dir(client.trusted()).unwrap();
        assert!(kept.into_iter().all(|entry| entry.unwrap().file_type().unwrap().is_file()));
        assert_eq!(std::fs::read_dir(client.trusted()).unwrap().count(), 5, "{name}");
    }
    for name in ["root", "timestamp", "snapshot", "targets", ""] {
        let mut zoo = Zoo::new().unwrap();
        zoo.delegate("targets", name, &["*"], &[Signer::new(30)], 1);
        zoo.bump("targets");
        zoo.publish();
        let client = Client::new(&zoo).unwrap();
        let ran = client.download(&zoo, &["tool"]).unwrap();
        assert!(ran.refused("cannot be the name of a delegated role"), "{name}: {ran:?}");
    }
}

/// python-tuf, go-tuf: a role that was believed through one delegator was believed through another.
#[test]
fn a_cached_role_is_verified_against_its_current_delegator() {
    let mut zoo = vendors(&["a", "b"]);
    zoo.delegate("a", "release", &["a/*"], &[Signer::new(40)], 1);
    zoo.delegate("b", "release", &["b/*"], &[Signer::new(41)], 1);
    zoo.signers("release", &[Signer::new(40)]);
    zoo.add_file("release", "a/new", b"by a's key");
    zoo.add_file("release", "b/new", b"also by a's key");
    zoo.bump("a");
    zoo.bump("b");
    zoo.publish();
    let client = Client::new(&zoo).unwrap();
    // in one run …
    let ran = client.download(&zoo, &["a/new", "b/new"]).unwrap();
    assert!(ran.refused("threshold not met for role release"), "{ran:?}");
    assert_eq!(client.file("a/new").unwrap(), b"by a's key");
    assert_eq!(client.file("b/new"), None);
    // … and from the shelf, where a's run has put the role
    assert!(client.trusted().join("release.json").exists());
    let ran = client.download(&zoo, &["b/new"]).unwrap();
    assert!(ran.refused("threshold not met for role release"), "{ran:?}");
    // The other way round, what b refuses does not spoil a's.
    let ran = client.download(&zoo, &["a/new"]).unwrap();
    assert!(ran.well(), "{}", ran.said);
}

/// One delegator that names a role twice, with other keys for other paths, means nothing certain.
#[test]
fn a_role_named_twice_by_one_delegator_is_refused() {
    let mut zoo = vendors(&["v00"]);
    zoo.delegate("targets", "v00", &["other/*"], &[Signer::new(50)], 1);
    zoo.bump("targets");
    zoo.publish();
    let client = Client::new(&zoo).unwrap();
    let ran = client.download(&zoo, &["v00/tool"]).unwrap();
    assert!(ran.refused("named twice"), "{ran:?}");
}

/// Requests go to the server that was named, whatever it answers.
#[test]
fn redirects_are_not_followed() {
    let zoo = vendors(&["v00"]);
    let bytes = zoo.served.bytes("metadata/timestamp.json").unwrap();
    zoo.served.put("elsewhere/timestamp.json", bytes);
    let page = Page::Elsewhere("elsewhere/timestamp.json".to_owned());
    zoo.served.set("metadata/timestamp.json", page);
    let ran = Client::new(&zoo).unwrap().refresh(&zoo).unwrap();
    assert!(ran.refused("answers 302"), "{ran:?}");
    assert!(!zoo.served.asked().0.iter().any(|path| path.starts_with("elsewhere")));
}
