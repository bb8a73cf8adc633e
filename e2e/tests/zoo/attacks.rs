//! Rollback, freeze, mix-and-match, endless data, and the way back after a key was misused.
use crate::vendors;
use andon_e2e::zoo::{Client, PAST, Page, Signer, Zoo};
use serde_json::{Value, json};

fn version(client: &Client, role: &str) -> u64 {
    let bytes = std::fs::read(client.trusted().join(format!("{role}.json"))).unwrap();
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    value["signed"]["version"].as_u64().unwrap()
}

/// A zoo, and a client that has seen its second edition of everything.
fn seen() -> (Zoo, Client) {
    let mut zoo = vendors(&["v00"]);
    let client = Client::new(&zoo).unwrap();
    zoo.add_file("v00", "v00/tool", b"second tool");
    zoo.bump("v00");
    zoo.bump("targets");
    zoo.publish();
    let ran = client.download(&zoo, &["v00/tool"]).unwrap();
    assert!(ran.well(), "{}", ran.said);
    (zoo, client)
}

fn refused(zoo: &Zoo, client: &Client, words: &str) {
    let before = version(client, "timestamp");
    let ran = client.download(zoo, &["v00/tool"]).unwrap();
    assert!(ran.refused(words), "{ran:?}");
    assert!(version(client, "timestamp") >= before);
    assert_eq!(client.file("v00/tool").unwrap(), b"second tool");
}

#[test]
fn an_older_timestamp_is_refused() {
    let (mut zoo, client) = seen();
    zoo.signed("timestamp")["version"] = json!(1);
    zoo.serve("timestamp");
    refused(&zoo, &client, "rollback detected for timestamp");
}

#[test]
fn an_older_snapshot_is_refused() {
    let (mut zoo, client) = seen();
    zoo.signed("snapshot")["version"] = json!(1);
    let pin = zoo.serve("snapshot");
    zoo.signed("timestamp")["meta"]["snapshot.json"] = pin;
    zoo.bump("timestamp");
    zoo.serve("timestamp");
    refused(&zoo, &client, "rollback detected for snapshot");
}

#[test]
fn older_targets_and_vendor_roles_are_refused() {
    for role in ["targets", "v00"] {
        let (mut zoo, client) = seen();
        zoo.signed("snapshot")["meta"][format!("{role}.json")] = json!({"version": 1});
        zoo.publish_snapshot();
        refused(&zoo, &client, &format!("the snapshot takes {role}.json from version"));
    }
}

#[test]
fn a_role_taken_out_of_the_snapshot_is_refused() {
    let (mut zoo, client) = seen();
    zoo.signed("snapshot")["meta"].as_object_mut().unwrap().remove("v00.json");
    zoo.publish_snapshot();
    refused(&zoo, &client, "v00.json from version 2 to 0");
}

/// A run that ended between timestamp and snapshot has not lost its floor.
#[test]
fn a_rollback_is_refused_after_a_run_that_ended_in_the_middle() {
    let (mut zoo, client) = seen();
    zoo.publish_snapshot();
    let name = format!("metadata/{}.snapshot.json", zoo.signed("snapshot")["version"]);
    zoo.served.take_away(&name);
    refused(&zoo, &client, "is not on the server");
    zoo.signed("snapshot")["meta"]["v00.json"] = json!({"version": 1});
    zoo.publish_snapshot();
    refused(&zoo, &client, "v00.json from version 2 to 1");
}

/// An expired timestamp that was kept is no permission, but still a floor.
#[test]
fn an_expired_timestamp_is_a_floor_all_the_same() {
    let (mut zoo, client) = seen();
    zoo.signed("timestamp")["expires"] = json!(PAST);
    zoo.bump("timestamp");
    zoo.serve("timestamp");
    let expired = zoo.served.bytes("metadata/timestamp.json").unwrap();
    refused(&zoo, &client, "timestamp metadata expired");
    // A machine that was off for long finds it on its own disk.
    std::fs::write(client.trusted().join("timestamp.json"), expired).unwrap();
    refused(&zoo, &client, "timestamp metadata expired");
    zoo.signed("timestamp")["expires"] = json!(andon_e2e::zoo::FAR);
    zoo.signed("timestamp")["version"] = json!(1);
    zoo.serve("timestamp");
    refused(&zoo, &client, "rollback detected for timestamp");
}

#[test]
fn expired_roots_snapshots_and_targets_freeze_nobody() {
    for role in ["snapshot", "targets"] {
        let (mut zoo, client) = seen();
        zoo.signed(role)["expires"] = json!(PAST);
        zoo.bump(role);
        zoo.publish();
        refused(&zoo, &client, &format!("{role} metadata expired"));
    }
    let (mut zoo, client) = seen();
    zoo.signed("root")["expires"] = json!(PAST);
    zoo.bump("root");
    zoo.publish_root(&[]);
    refused(&zoo, &client, "root metadata expired");
}

/// Fast-forward: a thief of the online keys names versions that can never be passed again. New keys
/// in a new root make them forgotten.
#[test]
fn new_keys_recover_from_a_fast_forward() {
    let (mut zoo, client) = seen();
    for role in ["timestamp", "snapshot"] {
        zoo.signed(role)["version"] = json!(1_000_000);
    }
    zoo.publish_snapshot();
    assert!(client.refresh(&zoo).unwrap().well());
    assert_eq!(version(&client, "snapshot"), 1_000_001);
    for role in ["timestamp", "snapshot"] {
        zoo.signed(role)["version"] = json!(9);
    }
    zoo.publish_snapshot();
    let ran = client.refresh(&zoo).unwrap();
    assert!(ran.refused("rollback detected for timestamp"), "{ran:?}");
    zoo.set_keys("timestamp", &[Signer::new(60)], 1);
    zoo.set_keys("snapshot", &[Signer::new(61)], 1);
    zoo.bump("root");
    zoo.publish_root(&[]);
    zoo.publish_snapshot();
    let ran = client.refresh(&zoo).unwrap();
    assert!(ran.well(), "{}", ran.said);
    assert_eq!(version(&client, "snapshot"), 11);
}

#[test]
fn a_root_needs_the_keys_before_it_and_its_own_and_no_gap() {
    type Spoil = fn(&mut Zoo);
    let cases: [(&str, Spoil); 3] = [
        ("threshold not met for role root", |zoo| zoo.publish_root(&[])),
        ("threshold not met for role root", |zoo| {
            zoo.signers("root", &[]);
            zoo.publish_root(&[Signer::new(1)]);
        }),
        ("root version must increment by one", |zoo| {
            zoo.bump("root");
            zoo.publish_root(&[Signer::new(1)]);
            let bytes = zoo.served.bytes("metadata/3.root.json").unwrap();
            zoo.served.put("metadata/2.root.json", bytes);
        }),
    ];
    for (words, spoil) in cases {
        let mut zoo = Zoo::new().unwrap();
        let client = Client::new(&zoo).unwrap();
        zoo.set_keys("root", &[Signer::new(70)], 1);
        zoo.bump("root");
        spoil(&mut zoo);
        let ran = client.refresh(&zoo).unwrap();
        assert!(ran.refused(words), "{ran:?}");
        assert_eq!(version(&client, "root"), 1);
    }
}

#[test]
fn many_rotations_are_walked_in_several_refreshes() {
    let mut zoo = Zoo::new().unwrap();
    let client = Client::new(&zoo).unwrap();
    for _ in 0..70 {
        zoo.bump("root");
        zoo.publish_root(&[]);
    }
    let ran = client.refresh(&zoo).unwrap();
    assert!(ran.refused("over 64 new roots"), "{ran:?}");
    assert_eq!(version(&client, "root"), 65);
    let ran = client.refresh(&zoo).unwrap();
    assert!(ran.well(), "{}", ran.said);
    assert_eq!(version(&client, "root"), 71);
}

#[test]
fn endless_metadata_ends_at_its_limit() {
    for (path, words) in [
        ("metadata/2.root.json", "2.root.json has over 4194304 bytes"),
        ("metadata/timestamp.json", "timestamp.json has over 16384 bytes"),
        ("metadata/4.snapshot.json", "4.snapshot.json has over"),
        ("metadata/3.targets.json", "3.targets.json has over"),
        ("metadata/2.v00.json", "2.v00.json has over"),
    ] {
        let mut zoo = vendors(&["v00"]);
        zoo.bump("v00");
        zoo.bump("targets");
        zoo.publish();
        let client = Client::new(&zoo).unwrap();
        zoo.served.set(path, Page::Endless);
        let ran = client.download(&zoo, &["v00/tool"]).unwrap();
        assert!(ran.refused(words), "{path}: {ran:?}");
    }
}

#[test]
fn a_search_ends_after_32_roles() {
    let mut zoo = Zoo::new().unwrap();
    let names: Vec<String> = (0..40).map(|n| format!("r{n}")).collect();
    let mut above = "targets";
    for name in &names {
        zoo.delegate(above, name, &["*"], &[Signer::new(80)], 1);
        above = name;
    }
    zoo.add_file("r30", "near", b"near");
    zoo.add_file("r31", "far", b"far");
    zoo.bump("targets");
    zoo.publish();
    let client = Client::new(&zoo).unwrap();
    assert!(client.download(&zoo, &["near"]).unwrap().well());
    let ran = client.download(&zoo, &["far"]).unwrap();
    assert!(ran.refused("among the first 32 roles"), "{ran:?}");
}

#[test]
fn another_root_is_not_taken_over_the_one_that_is_trusted() {
    let zoo = Zoo::new().unwrap();
    let client = Client::new(&zoo).unwrap();
    let ran = client.init(&Zoo::new().unwrap().root_bytes()).unwrap();
    assert!(ran.refused("is already there"), "{ran:?}");
    let ran = Client::empty().unwrap().refresh(&zoo).unwrap();
    assert!(ran.refused("no trusted root"), "{ran:?}");
}
