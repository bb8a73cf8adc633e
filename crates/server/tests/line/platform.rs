//! The platform's next root and top-level targets on a line that runs.
use crate::rig::*;
use crate::rollouts::get;
use andon_model::command::Verb;
use andon_model::fast_lane::{FastLane, FastLaneEntry};
use andon_model::limits::PLATFORM_BYTES_MAX;
use andon_model::policy::Lane;
use andon_model::{ComponentId, Millis, RolloutId, Time, VendorId};
use andon_server::serve::Server;
use andon_trust::repository::{Delegation, Role, TargetsChange, next_root, next_targets};
use andon_trust::sign::SigningKey;
use andon_trust::tuf::{MetadataSet as _, TufSet};
use axum::http::{Method, StatusCode};
use std::path::Path;

const FAR: Time = Time(START.0 + 86_400_000 * 300);

fn role(keys: &[u8], threshold: u32) -> Role {
    Role { keys: keys.iter().map(|n| key(*n).public()).collect(), threshold }
}
fn acme() -> VendorId {
    VendorId::new("acme").unwrap()
}
fn body(root: Option<&[u8]>, targets: Option<&[u8]>) -> Vec<u8> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    serde_json::json!({ "root": root.map(text), "targets": targets.map(text) })
        .to_string()
        .into_bytes()
}

async fn publish_it(server: &mut Server, body: Vec<u8>) -> (StatusCode, serde_json::Value) {
    let (status, answer) = send(server, Method::POST, "/v1/platform/metadata", body).await;
    (status, serde_json::from_slice(&answer).unwrap_or_default())
}

/// The next targets after version `after`, signed by the platform's targets key.
pub(crate) async fn targets(
    server: &mut Server,
    after: u64,
    change: &TargetsChange,
    keys: &[u8],
) -> Vec<u8> {
    let now = get(server, &format!("/v1/tuf/{after}.targets.json")).await;
    let mut next = next_targets(&now, FAR, change).unwrap();
    keys.iter().for_each(|n| next.sign(&key(*n)).unwrap());
    next.to_bytes()
}

fn listed(components: &[&str]) -> TargetsChange {
    let entry =
        |name: &&str| FastLaneEntry { vendor: acme(), component: ComponentId::new(name).unwrap() };
    let components = components.iter().map(entry).collect();
    let fast_lane = Some(FastLane { expires: FAR, components });
    TargetsChange { fast_lane, ..TargetsChange::default() }
}

/// A host that enrolled under the first root walks to what is served: root, targets, whose keys.
async fn walked(line: &Line, server: &mut Server) -> (u64, u64, Vec<andon_model::PublicKey>) {
    let anchor = serde_json::to_vec(&line.inputs.anchor.tuf_root).unwrap();
    let mut set = TufSet::from_root(&anchor).unwrap();
    let now = server.app.now();
    loop {
        let path = format!("/v1/tuf/{}.root.json", set.root_version() + 1);
        let (status, bytes) = send(server, Method::GET, &path, vec![]).await;
        if status != 200 {
            break;
        }
        set.update_root(&bytes).unwrap();
    }
    let stamp = get(server, "/v1/tuf/timestamp.json").await;
    let snapshot = set.update_timestamp(&stamp, now).unwrap();
    let bytes = get(server, &format!("/v1/tuf/{snapshot}.snapshot.json")).await;
    let version = set.update_snapshot(&bytes, now).unwrap();
    let bytes = get(server, &format!("/v1/tuf/{version}.targets.json")).await;
    let vendors = set.update_targets(&bytes, now).unwrap();
    let keys = vendors.get(&acme()).map(|v| v.keys.clone()).unwrap_or_default();
    (set.root_version(), version, keys)
}

/// Timestamp and snapshot as they are served.
async fn served(server: &mut Server) -> (Vec<u8>, Vec<u8>) {
    let stamp = get(server, "/v1/tuf/timestamp.json").await;
    let version = andon_trust::repository::pinned_version(&stamp, "snapshot.json").unwrap();
    let path = format!("/v1/tuf/{}.snapshot.json", version.unwrap());
    (stamp, get(server, &path).await)
}

fn emergency(name: &str, release: andon_model::Digest) -> Verb {
    Verb::Start {
        rollout: RolloutId::new(name).unwrap(),
        release,
        component: ComponentId::new("rules").unwrap(),
        lane: Lane::Emergency,
        approvals: vec![],
        seed: None,
    }
}

#[tokio::test]
async fn the_platform_changes_its_fast_lane_list_on_a_running_line() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, 20).await;
    let release = line.publish(&mut server, 1).await;
    let next = targets(&mut server, 1, &listed(&["other"]), &[2]).await;
    let (status, answer) = publish_it(&mut server, body(None, Some(&next))).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer, serde_json::json!({"root": 1, "targets": 2, "orphaned": []}));
    let (status, answer) =
        post(&mut server, "/v1/commands", &line.command("1", START, emergency("r1", release)))
            .await;
    assert!(status == 409 && answer.to_string().contains("fast-lane list"), "{answer}");
    let next = targets(&mut server, 2, &listed(&["other", "rules"]), &[2]).await;
    assert_eq!(publish_it(&mut server, body(None, Some(&next))).await.0, 200);
    let mut server = line.restart(server).await;
    let command = line.command("2", START, emergency("r1", release));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    assert_eq!(walked(&line, &mut server).await.1, 3);
}

#[tokio::test]
async fn a_vendor_gets_other_keys_and_its_old_ones_publish_no_more() {
    let mut line = Line::new();
    let mut server = line.open(START).await.unwrap();
    line.publish(&mut server, 1).await;
    let other = Delegation { vendor: acme(), role: role(&[70], 1) };
    let change = TargetsChange { delegate: vec![other], ..TargetsChange::default() };
    let next = targets(&mut server, 1, &change, &[2]).await;
    let (status, answer) = publish_it(&mut server, body(None, Some(&next))).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["orphaned"], serde_json::json!(["acme"]));
    assert_eq!(walked(&line, &mut server).await.2, [key(70).public()]);
    let (_, status, why) = line.offer(&mut server, 2).await;
    assert_eq!(status, 403, "{why}");
    line.vendor = key(70);
    line.publish(&mut server, 2).await;
    let withdraw = TargetsChange { withdraw: vec![acme()], ..TargetsChange::default() };
    let next = targets(&mut server, 2, &withdraw, &[2]).await;
    let (status, answer) = publish_it(&mut server, body(None, Some(&next))).await;
    assert_eq!((status, &answer["orphaned"]), (StatusCode::OK, &serde_json::json!([])));
    // Hosts that know the role still follow: it stays named, and nobody believes it.
    let (stamp, known) = served(&mut server).await;
    let mut server = line.restart(server).await;
    let next = targets(&mut server, 3, &TargetsChange::default(), &[2]).await;
    assert_eq!(publish_it(&mut server, body(None, Some(&next))).await.0, 200);
    let anchor = serde_json::to_vec(&line.inputs.anchor.tuf_root).unwrap();
    let mut set = TufSet::from_root(&anchor).unwrap();
    set.update_timestamp(&stamp, START).unwrap();
    set.update_snapshot(&known, START).unwrap();
    let (stamp, news) = served(&mut server).await;
    set.update_timestamp(&stamp, START).unwrap();
    set.update_snapshot(&news, START).unwrap();
    assert_eq!(walked(&line, &mut server).await, (1, 4, vec![]));
    let (_, status, why) = line.offer(&mut server, 3).await;
    assert!(status.is_client_error(), "{why}");
}

async fn root(server: &mut Server, after: u64, roles: &[(&str, Role)], keys: &[u8]) -> Vec<u8> {
    let now = get(server, &format!("/v1/tuf/{after}.root.json")).await;
    let mut next = next_root(&now, FAR, roles).unwrap();
    keys.iter().for_each(|n| next.sign(&key(*n)).unwrap());
    next.to_bytes()
}

#[tokio::test]
async fn root_and_targets_keys_are_replaced_at_once_and_old_hosts_follow() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    line.publish(&mut server, 1).await;
    let roles = [("root", role(&[50, 51], 2)), ("targets", role(&[52], 1))];
    let next = root(&mut server, 1, &roles, &[1, 50, 51]).await;
    // The old targets would no longer be believed.
    let (status, answer) = publish_it(&mut server, body(Some(&next), None)).await;
    assert_eq!(status, 403, "{answer}");
    let again = targets(&mut server, 1, &TargetsChange::default(), &[52]).await;
    let (status, answer) = publish_it(&mut server, body(Some(&next), Some(&again))).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!((answer["root"].as_u64(), answer["targets"].as_u64()), (Some(2), Some(2)));
    // Both are public by now: sent again they are answered the same, and nothing is written.
    let before = (words(&server), get(&mut server, "/v1/tuf/timestamp.json").await);
    let (status, once_more) = publish_it(&mut server, body(Some(&next), Some(&again))).await;
    assert_eq!((status, once_more), (StatusCode::OK, answer));
    let after = (words(&server), get(&mut server, "/v1/tuf/timestamp.json").await);
    assert!(before == after, "the journal or the timestamp grew with what was in force");
    let mut server = line.restart(server).await;
    let (root, version, keys) = walked(&line, &mut server).await;
    assert_eq!((root, version, keys), (2, 2, vec![line.vendor.public()]));
    line.publish(&mut server, 2).await;
}

#[tokio::test]
async fn what_a_host_would_refuse_is_refused_and_changes_nothing() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    line.publish(&mut server, 1).await;
    let before = words(&server);
    let one = |key: u8| role(&[key], 1);
    let wrong: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", b"{}".to_vec()),
        ("no JSON", b"[".to_vec()),
        ("unsigned", body(None, Some(&targets(&mut server, 1, &listed(&["rules"]), &[]).await))),
        ("a vendor's key", {
            body(None, Some(&targets(&mut server, 1, &listed(&["rules"]), &[7]).await))
        }),
        ("a version left out", {
            let next = targets(&mut server, 1, &listed(&[]), &[2]).await;
            let mut after = next_targets(&next, FAR, &listed(&["rules"])).unwrap();
            after.sign(&key(2)).unwrap();
            body(None, Some(&after.to_bytes()))
        }),
        ("a root of the new key alone", {
            body(Some(&root(&mut server, 1, &[("root", one(50))], &[50]).await), None)
        }),
        ("a root of the old key alone", {
            body(Some(&root(&mut server, 1, &[("root", one(50))], &[1]).await), None)
        }),
        ("a timestamp key that this server does not hold", {
            body(Some(&root(&mut server, 1, &[("timestamp", one(60))], &[1]).await), None)
        }),
        ("targets as a root", {
            body(Some(&targets(&mut server, 1, &listed(&[]), &[2]).await), None)
        }),
        ("too large", vec![b' '; PLATFORM_BYTES_MAX + 1]),
    ];
    for (what, body) in wrong {
        let (status, answer) = publish_it(&mut server, body).await;
        assert!(status.is_client_error(), "{what}: {status} {answer}");
        assert_eq!(words(&server), before, "{what}");
        assert_eq!(walked(&line, &mut server).await, (1, 1, vec![line.vendor.public()]), "{what}");
    }
}

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(to).unwrap().flatten() {
        std::fs::remove_file(entry.path()).unwrap();
    }
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Power is lost after the record and before the first file.
#[tokio::test]
async fn metadata_whose_files_a_crash_took_are_written_again_from_the_journal() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    line.publish(&mut server, 1).await;
    let (tuf, aside) = (line.folder.path().join("tuf"), tempfile::tempdir().unwrap());
    copied(&tuf, aside.path());
    let roles = [("root", role(&[50], 1)), ("targets", role(&[52], 1))];
    let next = root(&mut server, 1, &roles, &[1, 50]).await;
    let again = targets(&mut server, 1, &listed(&["rules"]), &[52]).await;
    assert_eq!(publish_it(&mut server, body(Some(&next), Some(&again))).await.0, 200);
    drop(server);
    copied(aside.path(), &tuf);
    let mut server = line.open(START.plus(Millis(1000))).await.unwrap();
    let (root, version, _) = walked(&line, &mut server).await;
    assert_eq!((root, version), (2, 2));
    line.publish(&mut server, 2).await;
}

/// Signs with a key of this rig by its number.
pub(crate) fn platform_targets(bytes: &[u8], change: &TargetsChange) -> Vec<u8> {
    let targets: SigningKey = key(2);
    let mut next = next_targets(bytes, FAR, change).unwrap();
    next.sign(&targets).unwrap();
    body(None, Some(&next.to_bytes()))
}
