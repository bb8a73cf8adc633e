//! The line's own log: what is in it, what it takes to publish under a policy that demands it, and what a
//! crash leaves. Witnesses by script, over real sockets.
use crate::faults::freeze;
use crate::rig::*;
use andon_model::log_entry::{LogEntry, Stopped};
use andon_model::merkle::Head;
use andon_model::proof_bundle::Believed;
use andon_model::stop::{Party, Scope};
use andon_model::{Digest, Millis};
use andon_server::config::{LogInputs, WitnessInputs};
use andon_server::log;
use andon_server::serve::Server;
use andon_trust::log::witness::{AddCheckpoint, WitnessRefusal, advance, authenticate};
use andon_trust::log::{
    KeyKind, LogProof, NoteKey, Policy, SignedCheckpoint, Tile, TileKind, verified,
};
use andon_trust::proof_bundle;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing;
use std::path::Path;
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Fine,
    Refuses,
    /// cosigns with a key that is not its own
    Lies,
    /// never answers
    Hangs,
}

struct Script {
    mood: Mood,
    key: NoteKey,
    logs: Policy,
    known: Head,
    cosigned: u32,
}

#[derive(Clone)]
struct Witness {
    script: Arc<Mutex<Script>>,
    inputs: WitnessInputs,
}

fn note(name: &str, kind: KeyKind, seed: u8) -> NoteKey {
    NoteKey::new(name, kind, key(seed)).unwrap()
}

fn log_key() -> NoteKey {
    note("clinic.example/log", KeyKind::Log, 80)
}

async fn add(State(script): State<Arc<Mutex<Script>>>, body: Bytes) -> Response {
    let mood = script.lock().unwrap().mood;
    if mood == Mood::Hangs {
        std::future::pending::<()>().await;
    }
    let mut script = script.lock().unwrap();
    let request = AddCheckpoint::parse(&body).unwrap();
    authenticate(&request, &script.logs).unwrap();
    match advance(&request, &script.known) {
        _ if mood == Mood::Refuses => (StatusCode::FORBIDDEN, "not today\n").into_response(),
        Err(WitnessRefusal::Conflict { known }) => {
            (StatusCode::CONFLICT, format!("{known}\n")).into_response()
        }
        Err(why) => panic!("the server asks wrongly: {why}"),
        Ok(head) => {
            script.known = head;
            script.cosigned += 1;
            let name = script.key.verifier().name();
            let liar = note(name, KeyKind::Witness, 99);
            let signer = if mood == Mood::Lies { &liar } else { &script.key };
            let mut line = signer.sign(request.checkpoint.note().text(), START.0 / 1000);
            line.id = script.key.verifier().id();
            line.to_line().into_response()
        }
    }
}

impl Witness {
    async fn new(number: u8) -> Witness {
        let key = note(&format!("w{number}.example"), KeyKind::Witness, 80 + number);
        let vkey = key.verifier().clone();
        let logs = Policy::unwitnessed(vec![log_key().verifier().clone()]);
        let (known, cosigned, mood) = (Head::empty(), 0, Mood::Fine);
        let script = Arc::new(Mutex::new(Script { mood, key, logs, known, cosigned }));
        let router = Router::new()
            .route("/below/add-checkpoint", routing::post(add))
            .with_state(Arc::clone(&script));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/below", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Witness { script, inputs: WitnessInputs { url, vkey } }
    }
    fn mood(&self, mood: Mood) {
        self.script.lock().unwrap().mood = mood;
    }
    fn cosigned(&self) -> u32 {
        self.script.lock().unwrap().cosigned
    }
}

fn demanded(witnesses: &[Witness], needed: usize) -> String {
    let mut text = format!("log {}\n", log_key().verifier());
    let mut names = String::new();
    for (at, witness) in witnesses.iter().enumerate() {
        text += &format!("witness w{at} {}\n", witness.inputs.vkey);
        names += &format!(" w{at}");
    }
    format!("{text}group enough {needed}{names}\nquorum enough\n")
}

/// A line that keeps a log with these witnesses, of which its hosts want to see so many.
fn line(witnesses: &[Witness], needed: Option<usize>) -> Line {
    let log = needed.map(|needed| demanded(witnesses, needed));
    let mut line = Line::made("operator:clinic", |policy| policy.log = log);
    let inputs = witnesses.iter().map(|witness| witness.inputs.clone()).collect();
    line.inputs.log = Some(LogInputs { key: log_key(), witnesses: inputs });
    line
}

async fn get(server: &mut Server, path: &str) -> (StatusCode, Vec<u8>) {
    send(server, Method::GET, path, vec![]).await
}

async fn checkpoint(server: &mut Server) -> Option<SignedCheckpoint> {
    let (status, bytes) = get(server, "/v1/log/checkpoint").await;
    (status == 200).then(|| SignedCheckpoint::parse(&bytes).unwrap())
}

/// All entries under the checkpoint that is served, and each published release's proof checked.
async fn entries(server: &mut Server) -> Vec<LogEntry> {
    let signed = checkpoint(server).await.unwrap();
    let mut entries = Vec::new();
    for at in 0.. {
        let size = signed.checkpoint().head.size;
        let Some(tile) = Tile::of(TileKind::Entries, at, size) else { break };
        let (status, bytes) = get(server, &format!("/v1/log/{tile}")).await;
        assert_eq!(status, 200, "{tile}");
        let read = tile.entries(&bytes).unwrap();
        entries.extend(read.into_iter().map(|entry| LogEntry::parse(entry).unwrap()));
    }
    entries
}

async fn proven(server: &mut Server, release: Digest, policy: &str) -> Result<u64, String> {
    let (status, bytes) = get(server, &format!("/v1/log/proofs/{release}")).await;
    if status != 200 {
        return Err(String::from_utf8_lossy(&bytes).into_owned());
    }
    let facts = server.app.core().state.releases[&release].log_entry();
    let policy = Policy::parse(policy.as_bytes()).unwrap();
    let proof = LogProof::parse(&bytes).unwrap().verify(facts.leaf(), &policy);
    proof.map(|proof| proof.index()).map_err(|why| why.to_string())
}

fn published(server: &Server) -> usize {
    server.app.core().state.releases.len()
}

#[tokio::test]
async fn every_release_policy_and_stop_is_one_entry_and_every_release_has_a_proof() {
    let witnesses = [Witness::new(1).await, Witness::new(2).await];
    let policy = demanded(&witnesses, 2);
    let mut line = line(&witnesses, Some(2));
    let mut server = line.open(START).await.unwrap();
    let first = line.publish(&mut server, 1).await;
    assert_eq!(proven(&mut server, first, &policy).await, Ok(1), "before hosts hear of it");
    let second = line.publish(&mut server, 2).await;
    line.set_policy(&mut server).await;
    let cord = freeze(&line, first, START);
    assert_eq!(post(&mut server, "/v1/stops", &cord).await.0, 200);
    log::keep(&server.app).await.unwrap();
    let logged = entries(&mut server).await;
    let shown: Vec<String> = logged
        .iter()
        .map(|entry| match entry {
            LogEntry::Release { vendor, version, .. } => format!("{vendor} {version}"),
            LogEntry::Policy { version, .. } => format!("policy {version}"),
            LogEntry::Stop { by, of, .. } => format!("{by}: {of:?}"),
            LogEntry::Waiver { release, .. } => release.to_string(),
        })
        .collect();
    assert_eq!(
        shown,
        [
            "policy 1",
            "acme 1",
            "acme 2",
            "policy 2",
            &format!("vendor acme: {:?}", Stopped::Release(first))
        ]
    );
    assert_eq!(proven(&mut server, first, &policy).await, Ok(1));
    assert_eq!(proven(&mut server, second, &policy).await, Ok(2));
    let unknown = Digest::of(b"unknown");
    assert_eq!(get(&mut server, &format!("/v1/log/proofs/{unknown}")).await.0, 404);
    for path in ["tile/9/000", "tile/entries/../sealed", "sealed", "tile/entries/000.p/9"] {
        assert_eq!(get(&mut server, &format!("/v1/log/{path}")).await.0, 404, "{path}");
    }
    // Nothing new: nobody is asked, before a restart and after it.
    let asked = witnesses[0].cosigned();
    log::keep(&server.app).await.unwrap();
    let mut server = line.restart(server).await;
    log::keep(&server.app).await.unwrap();
    assert_eq!((witnesses[0].cosigned(), entries(&mut server).await), (asked, logged));
}

#[tokio::test]
async fn a_proof_bundle_shows_that_its_release_is_logged() {
    let witnesses = [Witness::new(1).await, Witness::new(2).await];
    let line = line(&witnesses, Some(2));
    let mut server = line.open(START).await.unwrap();
    let release = line.publish(&mut server, 1).await;
    let (status, bytes) = get(&mut server, &format!("/v1/proof-bundles/{release}")).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
    let bundle = proof_bundle::open(&bytes).unwrap();
    let believed = Believed::default();
    let (anchor, policy) = (&line.inputs.anchor, Some(&line.inputs.policy));
    let terms = proof_bundle::Terms { anchor, policy, now: START, believed: &believed };
    let proven = proof_bundle::verify(&bundle, &terms).unwrap();
    let proof_bundle::Logging::Logged(logged) = proven.logging else { panic!("{proven:?}") };
    assert_eq!((proven.release, logged.checkpoint().cosigned().len()), (release, 2));
}

/// Mutant: log-quorum-not-asked.
#[tokio::test]
async fn nothing_is_published_before_a_quorum_has_cosigned_it() {
    for mood in [Mood::Refuses, Mood::Lies, Mood::Hangs] {
        let witnesses = [Witness::new(1).await, Witness::new(2).await];
        let line = line(&witnesses, Some(2));
        let mut server = line.open(START).await.unwrap();
        witnesses[1].mood(mood);
        let tuf = get(&mut server, "/v1/tuf/timestamp.json").await;
        for _ in 0..2 {
            let (_, status, answer) = line.offer(&mut server, 1).await;
            assert_eq!(status, 503, "{mood:?}: {answer}");
            for words in
                ["log_quorum", "1 of 2 witnesses", "w2.example at http://", "send it again"]
            {
                assert!(answer.contains(words), "{mood:?}: {answer}");
            }
            assert!(!answer.contains("w1.example"), "{answer}");
            assert_eq!(published(&server), 0, "{mood:?}");
        }
        assert_eq!(get(&mut server, "/v1/tuf/timestamp.json").await, tuf, "{mood:?}");
        assert!(line.role(1).is_none() && checkpoint(&mut server).await.is_none());
        let tile = get(&mut server, "/v1/log/tile/entries/000.p/2").await;
        assert_eq!(tile.0, 404, "{mood:?}: what no checkpoint covers is not served");
        assert_eq!(witnesses[0].cosigned(), 1, "it has cosigned this checkpoint already");
        // The same role again, once the witness is back: no second entry.
        witnesses[1].mood(Mood::Fine);
        let release = line.publish(&mut server, 1).await;
        let logged = entries(&mut server).await;
        assert_eq!(logged.len(), 2, "{mood:?}: {logged:?}");
        proven(&mut server, release, &demanded(&witnesses, 2)).await.unwrap();
    }
}

#[tokio::test]
async fn as_many_witnesses_as_the_policy_demands_are_enough() {
    let witnesses = [Witness::new(1).await, Witness::new(2).await, Witness::new(3).await];
    witnesses[2].mood(Mood::Refuses);
    let line = line(&witnesses, Some(2));
    let mut server = line.open(START).await.unwrap();
    let release = line.publish(&mut server, 1).await;
    proven(&mut server, release, &demanded(&witnesses, 2)).await.unwrap();
}

#[tokio::test]
async fn a_policy_that_demands_nothing_waits_for_no_witness() {
    let witnesses = [Witness::new(1).await];
    witnesses[0].mood(Mood::Refuses);
    let mut line = line(&witnesses, None);
    let mut server = line.open(START).await.unwrap();
    let release = line.publish(&mut server, 1).await;
    let unwitnessed = format!("log {}\nquorum none\n", log_key().verifier());
    assert_eq!(proven(&mut server, release, &unwitnessed).await, Ok(1));
    // From the day on which the policy demands it, the same release has a proof.
    witnesses[0].mood(Mood::Fine);
    let policy = demanded(&witnesses, 1);
    line.policy.log = Some(policy.clone());
    line.set_policy(&mut server).await;
    assert!(proven(&mut server, release, &policy).await.is_err());
    log::keep(&server.app).await.unwrap();
    assert_eq!(proven(&mut server, release, &policy).await, Ok(1));
}

/// Metadata is signed again before it expires, whoever is away.
#[tokio::test]
async fn a_role_without_new_releases_waits_for_no_witness() {
    let witnesses = [Witness::new(1).await];
    let line = line(&witnesses, Some(1));
    let mut server = line.open(START).await.unwrap();
    line.publish(&mut server, 1).await;
    line.publish(&mut server, 2).await;
    witnesses[0].mood(Mood::Refuses);
    let mut logged = line.policy.clone();
    logged.version = 2;
    let signed = serde_json::to_vec(&logged).unwrap();
    let signed = line.person.seal(andon_model::envelope::PayloadType::Policy, &signed);
    assert_eq!(post(&mut server, "/v1/lines/operator:clinic/policy", &signed).await.0, 200);
    log::keep(&server.app).await.unwrap_err();
    let far = START.plus(Millis::from_secs(86_400 * 365));
    let previous = line.role(2);
    let mut role = andon_trust::repository::vendor_role(previous.as_deref(), far, &[]).unwrap();
    role.sign(&line.vendor).unwrap();
    let path = "/v1/releases/acme/metadata";
    let (status, body) = send(&mut server, Method::POST, path, role.to_bytes()).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
}

#[tokio::test]
async fn a_policy_that_no_log_of_this_server_satisfies_is_not_taken() {
    let witnesses = [Witness::new(1).await];
    let mut line = Line::new();
    let mut server = line.open(START).await.unwrap();
    line.policy.log = Some(demanded(&witnesses, 1));
    line.policy.version = 2;
    let bytes = serde_json::to_vec(&line.policy).unwrap();
    let signed = line.person.seal(andon_model::envelope::PayloadType::Policy, &bytes);
    let path = "/v1/lines/operator:clinic/policy";
    let (status, answer) = post(&mut server, path, &signed).await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer.to_string().contains("keeps no log that it names"), "{answer}");
    assert_eq!(server.app.core().state.policy.as_ref().unwrap().policy.version, 1);
    assert_eq!(get(&mut server, "/v1/log/checkpoint").await.0, 404);
}

/// A log's folder with everything in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Whatever a crash has left undone is done at the next start, and never twice.
#[tokio::test]
async fn a_crash_at_any_point_leaves_one_history() {
    for crash in [
        "before the journal's record",
        "tiles without their checkpoint",
        "checkpoint without cosignatures",
        "log configured later",
    ] {
        let witnesses = [Witness::new(1).await];
        let policy = demanded(&witnesses, 1);
        let mut line = line(&witnesses, Some(1));
        let place = line.folder.path().join("log");
        if crash == "log configured later" {
            (line.inputs.log, line.policy.log) = (None, None);
            let bytes = serde_json::to_vec(&line.policy).unwrap();
            let kind = andon_model::envelope::PayloadType::Policy;
            line.inputs.policy = line.person.seal(kind, &bytes);
        }
        let mut server = line.open(START).await.unwrap();
        let first = line.publish(&mut server, 1).await;
        match crash {
            "before the journal's record" => {
                witnesses[0].mood(Mood::Refuses);
                assert_eq!(line.offer(&mut server, 2).await.1, 503);
                witnesses[0].mood(Mood::Fine);
            }
            "tiles without their checkpoint" => {
                let before = std::fs::read(place.join("sealed")).unwrap();
                witnesses[0].mood(Mood::Refuses);
                assert_eq!(line.offer(&mut server, 2).await.1, 503);
                witnesses[0].mood(Mood::Fine);
                std::fs::write(place.join("sealed"), before).unwrap();
            }
            "checkpoint without cosignatures" => {
                std::fs::remove_file(place.join("checkpoint")).unwrap();
            }
            _ => {
                let inputs = vec![witnesses[0].inputs.clone()];
                line.inputs.log = Some(LogInputs { key: log_key(), witnesses: inputs });
            }
        }
        let mut server = line.restart(server).await;
        if line.policy.log.is_none() {
            line.policy.log = Some(policy.clone());
            line.set_policy(&mut server).await;
        }
        log::keep(&server.app).await.unwrap();
        proven(&mut server, first, &policy).await.unwrap();
        let second = line.publish(&mut server, 2).await;
        proven(&mut server, second, &policy).await.unwrap();
        let logged = entries(&mut server).await;
        let releases = logged.iter().filter(|entry| matches!(entry, LogEntry::Release { .. }));
        assert_eq!(releases.count(), 2, "{crash}: {logged:?}");
        // The whole of it stands after another restart.
        let mut server = line.restart(server).await;
        assert_eq!(entries(&mut server).await, logged, "{crash}");
        proven(&mut server, second, &policy).await.unwrap();
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_believed_publishes_nothing_and_stops_nothing_else() {
    for harm in ["sealed is gone", "an entry was changed", "an old folder", "another key"] {
        let witnesses = [Witness::new(1).await];
        let mut line = line(&witnesses, Some(1));
        let mut server = line.open(START).await.unwrap();
        let place = line.folder.path().join("log");
        let old = tempfile::tempdir().unwrap();
        copy(&place, old.path());
        let first = line.publish(&mut server, 1).await;
        match harm {
            "sealed is gone" => std::fs::remove_file(place.join("sealed")).unwrap(),
            "an entry was changed" => {
                let file = place.join("tile/entries/000.p/2");
                let mut bytes = std::fs::read(&file).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                std::fs::write(file, bytes).unwrap();
            }
            "an old folder" => copy(old.path(), &place),
            _ => {
                let other = note("clinic.example/log", KeyKind::Log, 90);
                line.inputs.log.as_mut().unwrap().key = other;
            }
        }
        let mut server = line.restart(server).await;
        let (_, status, answer) = line.offer(&mut server, 2).await;
        assert!(status == 500 || (status == 409 && harm == "another key"), "{harm}: {answer}");
        assert_eq!(published(&server), 1, "{harm}");
        let cord = freeze(&line, first, server.app.now());
        assert_eq!(post(&mut server, "/v1/stops", &cord).await.0, 200, "{harm}");
    }
}

#[tokio::test]
async fn a_folder_older_than_what_a_witness_saw_is_noticed() {
    let witnesses = [Witness::new(1).await];
    let line = line(&witnesses, Some(1));
    let mut server = line.open(START).await.unwrap();
    line.publish(&mut server, 1).await;
    witnesses[0].script.lock().unwrap().known.size = 9;
    let (_, status, answer) = line.offer(&mut server, 2).await;
    assert_eq!(status, 503, "{answer}");
    assert!(answer.contains("has cosigned 9 entries of this log and here are 3"), "{answer}");
}

/// Publication waits for witnesses; whoever pulls the cord does not.
#[tokio::test]
async fn a_witness_that_does_not_answer_does_not_hold_the_cord() {
    let witnesses = [Witness::new(1).await];
    let line = line(&witnesses, Some(1));
    let mut server = line.open(START).await.unwrap();
    let release = line.publish(&mut server, 1).await;
    witnesses[0].mood(Mood::Hangs);
    let entry = LogEntry::Stop { stop: release, by: Party::Platform, of: Scope::All.into() };
    let app = Arc::clone(&server.app);
    let waits = tokio::spawn(async move { log::before_publishing(&app, &[entry]).await });
    tokio::task::yield_now().await;
    let cord = freeze(&line, release, server.app.now());
    let pulled = tokio::time::timeout(Millis(2000).std(), post(&mut server, "/v1/stops", &cord));
    assert_eq!(pulled.await.unwrap().0, 200);
    assert!(!waits.is_finished(), "the witness still keeps the publication waiting");
    let policy = demanded(&witnesses, 1);
    let proof = proven(&mut server, release, &policy);
    assert_eq!(tokio::time::timeout(Millis(2000).std(), proof).await.unwrap(), Ok(1));
    waits.abort();
    let signed = checkpoint(&mut server).await.unwrap();
    let policy = Policy::parse(policy.as_bytes()).unwrap();
    verified::checkpoint(&signed, &policy).unwrap();
}
