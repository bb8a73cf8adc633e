//! The whole way with a real server: publish by threshold, start, approve, halt, pull the cord.
//! Needs `andond` beside `andon` (`cargo build -p andon-server`); says so when it is missing.
use crate::common::Place;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

struct Server {
    process: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Started and serving, or `None` where it was not built.
fn serve(place: &Place) -> Option<Server> {
    let beside = PathBuf::from(env!("CARGO_BIN_EXE_andon")).with_file_name("andond");
    let program = std::env::var_os("ANDOND").map_or(beside, PathBuf::from);
    if !program.is_file() {
        eprintln!("skipped: build andond first: cargo build -p andon-server");
        return None;
    }
    let ready = place.path("ready");
    let process = Command::new(program)
        .args(["--listen", "127.0.0.1:0", "--config"])
        .arg(place.path("d/server/andond.toml"))
        .arg("--ready-file")
        .arg(&ready)
        .spawn()
        .unwrap();
    let mut server = Server { process, address: String::new() };
    let begun = Instant::now();
    while server.address.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30), "andond does not serve");
        assert!(server.process.try_wait().unwrap().is_none(), "andond ended");
        let text = std::fs::read_to_string(&ready).unwrap_or_default();
        server.address = format!("http://{}", text.trim());
        if text.trim().is_empty() {
            server.address.clear();
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Some(server)
}

#[test]
fn from_files_to_a_halted_rollout_and_back_out() {
    let place = Place::laid_out();
    let Some(server) = serve(&place) else { return };
    let andon = |words: &[&str]| place.andon(&[words, &["--server", &server.address]].concat());
    place.write("in/a", b"one");
    let create = [
        "release",
        "create",
        "--vendor",
        "acme",
        "--component",
        "data",
        "--kind",
        "files",
        "--version",
        "1",
        "in",
        "-o",
        "r",
    ];
    let release = andon(&[&create[..], &["--json"]].concat()).expect(0).json();
    let release = release["release"].as_str().unwrap().to_owned();

    // One signature of two: neither signed by a stranger nor published.
    andon(&["release", "sign", "r", "--key", "alice"]).expect(1);
    andon(&["release", "sign", "r", "--key", "vendors/acme/1"]).expect(0);
    andon(&["release", "publish", "r"]).expect(3);
    andon(&["rollout", "start", "--release", &release, "--key", "alice"]).expect(4);
    andon(&["release", "sign", "--add", "r", "--key", "vendors/acme/2"]).expect(0);
    andon(&["release", "publish", "r"]).expect(0);

    // Two people's approvals; one of them twice is one.
    let start = ["rollout", "start", "--release", &release, "--lane", "emergency", "--id", "e1"];
    andon(&[&start[..], &["--key", "alice"]].concat()).expect(0);
    for _ in 0..2 {
        andon(&["rollout", "approve", "e1", "--key", "bob"]);
    }
    let it = andon(&["rollout", "get", "e1", "--json"]).expect(0).json();
    assert_eq!(it["state"], "awaiting_approval");
    assert_eq!(it["reason"]["missing"], 1);
    assert!(!it["next"].as_array().unwrap().is_empty());
    andon(&["rollout", "get", "e1", "-w", "--timeout", "1s"]).expect(1);
    andon(&["rollout", "halt", "e1", "--reason", "enough", "--key", "carol"]).expect(0);
    let halted = andon(&["rollout", "get", "e1", "-w", "--json"]).expect(6).json();
    assert_eq!(halted["reason"]["halt"], "person");
    andon(&["why", "rollout", "e1"]).expect(0);
    let journal = andon(&["rollout", "journal", "e1"]).expect(0).out;
    assert!(journal.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    assert!(journal.contains("halted_by_person"), "{journal}");

    // The cord: a vendor for its own releases only.
    let pull = |who: &[&str]| andon(&[&["pull", "--reason", "test"], who].concat());
    pull(&["release", &release, "--as", "vendor:acme", "--key", "vendors/acme/3"]).expect(0);
    pull(&["all", "--as", "vendor:acme", "--key", "vendors/acme/3"]).expect(3);
    pull(&["all", "--as", "platform", "--key", "alice"]).expect(3);
    let frozen = andon(&["release", "list", "--json"]).expect(0).json();
    // The halt itself froze it as well, so either party may be the one shown.
    assert!(frozen[0]["frozen"].is_string(), "{frozen}");
}

#[test]
fn an_adopted_folder_counts_its_versions_up() {
    let place = Place::laid_out();
    let Some(server) = serve(&place) else { return };
    let andon = |words: &[&str]| place.andon(&[words, &["--server", &server.address]].concat());
    for (number, out) in ["r1", "r2"].into_iter().enumerate() {
        place.write("in/a", out.as_bytes());
        let words = ["adopt", "data", "--from", "in", "--key", "alice", "--key", "bob", "--json"];
        let made = andon(&[&words[..], &["-o", out]].concat()).expect(0).json();
        assert_eq!(made["version"], number + 1);
        andon(&["release", "publish", out]).expect(0);
    }
    let signed = andon(&["policy", "sign", "--key", "alice", "--key", "bob", "--send"]);
    signed.expect(0);
    let shown = andon(&["policy", "show", "--json"]).expect(0).json();
    assert_eq!((&shown["source"], &shown["policy"]["version"]), (&"server".into(), &2.into()));
}

#[test]
fn a_proof_bundle_is_believed_where_there_is_no_server_and_no_other_file_than_the_anchor() {
    let place = Place::laid_out();
    let Some(server) = serve(&place) else { return };
    let andon = |words: &[&str]| place.andon(&[words, &["--server", &server.address]].concat());
    for (version, out) in [("1", "r1"), ("2", "r2")] {
        place.write("in/a", version.as_bytes());
        let create = ["release", "create", "--vendor", "acme", "--component", "data"];
        andon(&[&create[..], &["--kind", "files", "--version", version, "in", "-o", out]].concat())
            .expect(0);
        let sign = ["release", "sign", out, "--key", "vendors/acme/1", "--key", "vendors/acme/2"];
        andon(&sign).expect(0);
        if version == "1" {
            andon(&["release", "prove", out, "-o", "early"]).expect(4);
        }
        andon(&["release", "publish", out]).expect(0);
        andon(&["release", "prove", out, "-o", &format!("{out}.proof")]).expect(0);
    }
    let early = std::fs::read(place.path("r1.proof")).unwrap();
    let said = andon(&["release", "prove", "r1", "-o", "r1.proof", "--json"]).expect(0).json();
    assert_eq!((&said["version"], &said["newest"]), (&1.into(), &2.into()));
    drop(server);

    std::fs::rename(place.path("d/anchor.json"), place.path("anchor")).unwrap();
    std::fs::rename(place.path("d/server/policy.json"), place.path("policy")).unwrap();
    std::fs::remove_dir_all(place.path("d")).unwrap();
    let verify = |file: &str, more: &[&str]| {
        place.andon(&[&["release", "verify", file, "--anchor", "anchor"], more].concat())
    };
    let proven = verify("r2.proof", &["--policy", "policy", "--json"]).expect(0).json();
    let digest = andon_model::Digest::of(&std::fs::read(place.path("r2/manifest.json")).unwrap());
    assert_eq!(
        (&proven["release"], &proven["vendor"]),
        (&digest.to_string().into(), &"acme".into())
    );
    assert_eq!(proven["log"], serde_json::json!({"judged": true, "demanded": false}));
    assert!(verify("r2.proof", &[]).expect(0).out.contains("Proven: acme data version 2"));
    assert!(verify("r1.proof", &[]).expect(0).out.contains("newer version: 2"));
    // Another release than was asked for, another time, another operator, a damaged copy.
    let wanted = digest.to_string();
    verify("r2.proof", &["--release", &wanted]).expect(0);
    let other = verify("r1.proof", &["--release", &wanted]).expect(3);
    assert!(
        other.err.contains("not of") && other.err.contains("do not install it"),
        "{}",
        other.err
    );
    assert!(
        verify("r1.proof", &["--at", "2099-01-01T00:00:00Z"]).expect(3).err.contains("timestamp")
    );
    verify("r1.proof", &["--at", "tomorrow"]).expect(2);
    assert!(verify("r1.proof", &["--policy", "anchor"]).expect(1).err.contains("read anchor"));
    let mut damaged = early.clone();
    damaged[200] ^= 1;
    place.write("damaged", &damaged);
    assert!(verify("damaged", &[]).expect(1).err.contains("copy or fetch it again"));
    verify("r2/manifest.json", &[]).expect(1);
    // What was believed is kept, and nothing older is believed after it.
    place.write("early", &early);
    verify("early", &["--known", "known"]).expect(0);
    verify("r2.proof", &["--known", "known"]).expect(0);
    let known = std::fs::read(place.path("known")).unwrap();
    assert!(verify("early", &["--known", "known"]).expect(3).err.contains("was believed before"));
    assert_eq!(std::fs::read(place.path("known")).unwrap(), known, "a refusal changed it");
    // Another anchor than the one it was made for.
    let stranger = Place::laid_out();
    std::fs::copy(stranger.path("d/anchor.json"), place.path("anchor")).unwrap();
    verify("r1.proof", &[]).expect(3);
}
