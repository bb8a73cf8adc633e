//! `andon log`: proofs believed and refused, and audits of a log that is served whole, changed, or
//! with another history.
use crate::common::Place;
use andon_model::log_entry::LogEntry;
use andon_model::merkle::leaf;
use andon_model::release::Version;
use andon_model::stop::{Party, Scope};
use andon_model::{Digest, Time, VendorId};
use andon_trust::log::{
    Checkpoint, KeyKind, LogProof, NoteKey, SignedCheckpoint, TileTree, TiledLog,
};
use andon_trust::sign::SigningKey;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

const ORIGIN: &str = "log.example/one";

fn log_key() -> NoteKey {
    NoteKey::new(ORIGIN, KeyKind::Log, SigningKey::from_seed([1; 32])).unwrap()
}

fn witness(seed: u8) -> NoteKey {
    let key = SigningKey::from_seed([seed; 32]);
    NoteKey::new(&format!("witness.example/{seed}"), KeyKind::Witness, key).unwrap()
}

fn entry(history: u8, at: u64) -> Vec<u8> {
    format!("entry {at} of {}", if at < 100 { 0 } else { history }).into_bytes()
}

type Files = BTreeMap<String, Vec<u8>>;

/// Everything that a log of this size serves.
fn files(history: u8, size: u64) -> (Files, SignedCheckpoint) {
    let mut log = TiledLog::new();
    for at in 0..size {
        log.append(&entry(history, at)).unwrap();
    }
    let head = log.head();
    let text = Checkpoint { origin: ORIGIN.to_owned(), head, extensions: vec![] };
    let mut checkpoint = log_key().seal(&text, 0).unwrap();
    let line = witness(5).sign(checkpoint.note().text(), 1_790_000_000);
    checkpoint.add(line);
    let mut files: Files =
        log.unwritten().into_iter().map(|f| (f.tile.to_string(), f.bytes)).collect();
    files.insert("checkpoint".to_owned(), checkpoint.to_text().into_bytes());
    (files, checkpoint)
}

/// Serves files below `/log/` until the test ends; they may be exchanged meanwhile.
fn serve(files: Arc<Mutex<Files>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/log", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut lines = BufReader::new(&stream).lines();
            let first = lines.next().and_then(Result::ok).unwrap_or_default();
            while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
            let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches("/log/");
            let (status, body) = match files.lock().unwrap().get(path) {
                Some(body) => ("200 OK", body.clone()),
                None => ("404 Not Found", Vec::new()),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            let _gone = stream.write_all(&[head.into_bytes(), body].concat());
        }
    });
    url
}

fn policy(place: &Place) {
    let (log, one, two) = (log_key(), witness(5), witness(6));
    let text = format!(
        "log {}\nwitness one {}\nwitness two {}\ngroup any-of-them any one two\nquorum any-of-them\n",
        log.verifier(),
        one.verifier(),
        two.verifier()
    );
    place.write("policy", text.as_bytes());
    place.write("strict", text.replace(" any one", " all one").as_bytes());
}

#[test]
fn a_proof_is_verified_offline() {
    let place = Place::new();
    policy(&place);
    let (files, checkpoint) = files(0, 300);
    let mut tree = TileTree::new(300, |tile| files.get(&tile.to_string()).cloned());
    let hashes = tree.inclusion(270).unwrap();
    let proof = LogProof { extra: None, index: 270, hashes, checkpoint };
    place.write("p.tlog-proof", proof.to_text().as_bytes());
    place.write("entry", &entry(0, 270));
    place.write("other", &entry(0, 271));
    let verify = |policy: &str, entry: &str| {
        place.andon(&[
            "log",
            "verify",
            "p.tlog-proof",
            "--policy",
            policy,
            "--data",
            entry,
            "--json",
        ])
    };
    let said = verify("policy", "entry").expect(0).json();
    assert_eq!((&said["index"], &said["size"]), (&270.into(), &300.into()));
    assert_eq!(said["witnesses"], serde_json::json!(["witness.example/5"]));
    assert_eq!(said["quorum_time"], 1_790_000_000_000_u64);
    assert!(verify("policy", "other").expect(3).err.contains("does not show the entry"));
    assert!(verify("strict", "entry").expect(3).err.contains("quorum is not reached"));
    place.write("broken", b"log x\nquorum none\n");
    assert!(verify("broken", "entry").expect(1).err.contains("line 1 of the log policy"));
    verify("policy", "nowhere").expect(1);
    place.write("p.tlog-proof", &proof.to_text().as_bytes()[1..]);
    verify("policy", "entry").expect(1);
}

#[test]
fn an_audit_finds_what_a_log_changed() {
    let place = Place::new();
    policy(&place);
    let served = Arc::new(Mutex::new(Files::new()));
    let url = serve(Arc::clone(&served));
    let key = log_key().verifier().to_string();
    let audit = |more: &[&str]| {
        let words = [&["log", "audit", "--json", "--url", &url, "--log", &key], more].concat();
        place.andon(&words)
    };
    let put = |history: u8, size: u64| *served.lock().unwrap() = files(history, size).0;
    let known = ["--known", "known"];
    audit(&[]).expect(4); // nothing is served yet
    for size in [0, 1, 255, 256, 257, 600] {
        put(0, size);
        let said = audit(&[&known[..], &["--policy", "policy"]].concat()).expect(0).json();
        assert_eq!((&said["size"], &said["witnesses"]), (&size.into(), &1.into()));
    }
    assert!(audit(&["--policy", "strict"]).expect(3).err.contains("quorum is not reached"));
    // every file counts, and every byte of one of each kind; the checkpoint is in other tests
    let good = files(0, 600).0;
    for path in good.keys().filter(|path| *path != "checkpoint") {
        let mut bad = good.clone();
        bad.get_mut(path).unwrap()[40] ^= 1;
        *served.lock().unwrap() = bad;
        audit(&[]).expect(1);
        served.lock().unwrap().remove(path);
        assert!(audit(&[]).expect(1).err.contains("is not served"), "{path}");
    }
    // a history that parts at entry 100, a log that shrank, a log of another name
    put(1, 700);
    audit(&[]).expect(0);
    assert!(audit(&known).expect(1).err.contains("does not continue the known checkpoint"));
    put(0, 599);
    assert!(audit(&known).expect(1).err.contains("does not continue the known checkpoint"));
    put(0, 601);
    assert_eq!(audit(&known).expect(0).json()["known_size"], 600);
    let other = NoteKey::new("other", KeyKind::Log, SigningKey::from_seed([1; 32])).unwrap();
    let words = ["log", "audit", "--url", &url, "--log", &other.verifier().to_string()];
    assert!(place.andon(&words).expect(3).err.contains("is not in the policy"));
    // entries that were not signed
    let mut mixed = files(1, 601).0;
    mixed.insert("checkpoint".to_owned(), files(0, 601).0["checkpoint"].clone());
    *served.lock().unwrap() = mixed;
    assert!(audit(&[]).expect(1).err.contains("do not have the root"));
    assert_ne!(leaf(&entry(0, 100)), leaf(&entry(1, 100)));
}

/// A log with these entries.
fn files_of(entries: &[Vec<u8>]) -> Files {
    let mut log = TiledLog::new();
    entries.iter().for_each(|entry| assert!(log.append(entry).is_ok()));
    let text = Checkpoint { origin: ORIGIN.to_owned(), head: log.head(), extensions: vec![] };
    let checkpoint = log_key().seal(&text, 0).unwrap();
    let mut files: Files =
        log.unwritten().into_iter().map(|f| (f.tile.to_string(), f.bytes)).collect();
    files.insert("checkpoint".to_owned(), checkpoint.to_text().into_bytes());
    files
}

fn released(vendor: &str, version: u32) -> (Digest, Vec<u8>) {
    let manifest = Digest::of(format!("{vendor} {version}").as_bytes());
    let entry = LogEntry::Release {
        vendor: vendor.parse().unwrap(),
        component: "rules".parse().unwrap(),
        version: Version(version),
        manifest,
        bundle: Digest::of(b"bundle"),
    };
    (manifest, entry.to_bytes())
}

/// Mutant: monitor-without-alarm.
#[test]
fn a_vendor_is_alarmed_by_a_release_in_its_name_that_it_did_not_announce() {
    let place = Place::new();
    let served = Arc::new(Mutex::new(Files::new()));
    let url = serve(Arc::clone(&served));
    let vkey = log_key().verifier().to_string();
    let words = [
        "--json",
        "log",
        "monitor",
        "--url",
        &url,
        "--log",
        &vkey,
        "--vendor",
        "acme",
        "--known",
        "k",
        "--announced",
        "a",
    ];
    let monitor = || place.andon(&words);
    let (one, first) = released("acme", 1);
    let (two, second) = released("acme", 2);
    let (_, other) = released("zeta", 9);
    let mut entries = vec![b"of a later version".to_vec(), first, other];
    *served.lock().unwrap() = files_of(&entries);
    place.write("a", format!("# ours\n{one} # rules 1\n\n").as_bytes());
    let told = monitor().expect(0).json();
    assert_eq!(
        (&told["size"], &told["releases"], &told["unread"]),
        (&3.into(), &1.into(), &1.into())
    );
    assert_eq!(told["alarms"], serde_json::json!([]));
    entries.extend((0..300).map(|at| released("zeta", at).1));
    entries.push(second);
    *served.lock().unwrap() = files_of(&entries);
    for _ in 0..2 {
        let told = monitor().expect(7).json();
        assert_eq!(told["alarms"][0]["manifest"], two.to_string(), "{told:#}");
        assert_eq!(
            (told["alarms"].as_array().unwrap().len(), &told["alarms"][0]["index"]),
            (1, &303.into())
        );
    }
    let shown = place.andon(&words[1..]).expect(7).out;
    assert!(shown.contains("ALARM: entry 303 is rules 2 of acme"), "{shown}");
    place.write("a", format!("{one}\n{two}\n").as_bytes());
    monitor().expect(0);
    // The entry that alarmed is gone: another history.
    entries.pop();
    *served.lock().unwrap() = files_of(&entries);
    assert!(monitor().expect(1).err.contains("does not continue"));
    place.write("a", b"zz\n");
    assert!(monitor().expect(1).err.contains("line 1 of a is no SHA-256"));
}

/// Mutant: monitor-without-freezes.
#[test]
fn a_vendor_whom_the_platform_stops_unlike_others_is_told() {
    let place = Place::new();
    let served = Arc::new(Mutex::new(Files::new()));
    let url = serve(Arc::clone(&served));
    let vkey = log_key().verifier().to_string();
    let (ours, first) = released("acme", 1);
    let (theirs, other) = released("zeta", 1);
    place.write("a", format!("{ours}\n").as_bytes());
    let words = ["--json", "log", "monitor", "--url", &url, "--log", &vkey, "--vendor", "acme"];
    let monitor = || place.andon(&[&words[..], &["--known", "k", "--announced", "a"]].concat());
    let stop = |n: u8, by: Party, of: Scope| {
        let stop = Digest([n; 32]);
        (stop, LogEntry::Stop { stop, by, of: of.into() }.to_bytes())
    };
    let vendor = |name: &str| VendorId::new(name).unwrap();
    let operator = Party::Operator("clinic".parse().unwrap());
    let mut entries = vec![
        first,
        other,
        // everybody, another vendor, the vendor itself, and an operator, who may refuse what it likes
        stop(1, Party::Platform, Scope::All).1,
        stop(2, Party::Platform, Scope::Release(theirs)).1,
        stop(3, Party::Platform, Scope::Vendor(vendor("zeta"))).1,
        stop(4, Party::Vendor(vendor("acme")), Scope::Release(ours)).1,
        stop(5, operator, Scope::Vendor(vendor("acme"))).1,
    ];
    *served.lock().unwrap() = files_of(&entries);
    assert_eq!(monitor().expect(0).json()["frozen"], serde_json::json!([]));
    let mut list = format!("{ours}\n");
    for (n, of) in [(6, Scope::Release(ours)), (7, Scope::Vendor(vendor("acme")))] {
        let (stop, entry) = stop(n, Party::Platform, of);
        entries.push(entry);
        *served.lock().unwrap() = files_of(&entries);
        let told = monitor().expect(7).json();
        let frozen = told["frozen"].as_array().unwrap();
        assert_eq!((frozen.len(), &frozen[0]["stop"]), (1, &stop.to_string().into()), "{told:#}");
        assert_eq!(frozen[0]["index"], entries.len() - 1);
        let shown = [&words[1..], &["--known", "k", "--announced", "a"]].concat();
        let shown = place.andon(&shown).expect(7).out;
        assert!(shown.contains("the platform stops") && shown.contains("of acme"), "{shown}");
        list += &format!("{stop} # the platform has told us why\n");
        place.write("a", list.as_bytes());
        assert_eq!(monitor().expect(0).json()["frozen"], serde_json::json!([]));
    }
}

#[test]
fn a_monitor_that_follows_ends_with_the_alarm() {
    let place = Place::new();
    let (one, first) = released("acme", 1);
    let (two, second) = released("acme", 2);
    let served = Arc::new(Mutex::new(files_of(std::slice::from_ref(&first))));
    let url = serve(Arc::clone(&served));
    let vkey = log_key().verifier().to_string();
    place.write("a", format!("{one}\n").as_bytes());
    let words = [
        "log",
        "monitor",
        "--url",
        &url,
        "--log",
        &vkey,
        "--vendor",
        "acme",
        "--known",
        "k",
        "--announced",
        "a",
        "--follow",
        "--every",
        "1",
    ];
    let ran = std::thread::scope(|scope| {
        let ran = scope.spawn(|| place.andon(&words));
        // Once it has kept the first checkpoint, the log grows under it.
        while !place.path("k").exists() {
            assert!(!ran.is_finished(), "it ended before");
            std::thread::yield_now();
        }
        *served.lock().unwrap() = files_of(&[first.clone(), second.clone()]);
        ran.join().unwrap()
    });
    let out = ran.expect(7).out;
    assert!(out.contains("1 entries, 1 releases of acme, 0 not announced"), "{out}");
    assert!(out.contains(&format!("does not list: {two}")), "{out}");
}

/// A line that logs everybody's releases at once but one vendor's.
#[test]
fn a_vendor_that_others_overtake_again_and_again_is_told() {
    const HOUR: u64 = 3_600_000;
    let place = Place::new();
    let served = Arc::new(Mutex::new(Files::new()));
    let url = serve(Arc::clone(&served));
    let vkey = log_key().verifier().to_string();
    let start = 1_790_000_000_000;
    let (ours, frozen) = released("acme", 1);
    let (mut entries, mut times) = (Vec::new(), String::new());
    let mut lists = [String::new(), "# zeta's\n".to_owned(), String::new()];
    lists[0] += &format!("{ours} {} # rules 1\n", Time(start));
    for n in 1..=12_u64 {
        let who = 1 + usize::try_from(n % 2).unwrap();
        let (manifest, entry) = released(["", "zeta", "beta"][who], u32::try_from(n).unwrap());
        let handed_in = Time(start + n * HOUR);
        lists[who] += &format!("{manifest} {handed_in}\n");
        entries.push(entry);
        times += &format!("{n} {}\n", handed_in.0 + 60_000);
    }
    for (name, list) in ["a", "z", "b"].into_iter().zip(&lists) {
        place.write(name, list.as_bytes());
    }
    place.write("times", times.as_bytes());
    let put = |entries: &[Vec<u8>]| *served.lock().unwrap() = files_of(entries);
    let words = ["--json", "log", "monitor", "--url", &url, "--log", &vkey, "--vendor", "acme"];
    let kept = ["--known", "k", "--announced", "a"];
    let peers = ["--peer", "zeta=z", "--peer", "beta=b"];
    let monitor = |more: &[&str]| place.andon(&[&words[..], &kept, more].concat());
    put(&entries);
    // As before without lists of others; and without times nothing can be said for sure.
    assert!(monitor(&[]).expect(0).json().get("fairness").is_none());
    let told = monitor(&peers).expect(0).json();
    assert_eq!(
        (&told["fairness"]["draws"], &told["fairness"]["alarm"]),
        (&12.into(), &false.into())
    );
    let with_times = [&peers[..], &["--times", "times"]].concat();
    let told = monitor(&with_times).expect(7).json();
    let found = &told["fairness"];
    assert_eq!(
        (&found["passed_over"], &found["waits_since"]),
        (&12.into(), &start.into()),
        "{found}"
    );
    assert!(
        found["evidence"].as_f64().unwrap() >= 1000.0 && told["alarms"] == serde_json::json!([])
    );
    let shown = [&words[1..], &kept, &with_times].concat();
    let shown = place.andon(&shown).expect(7).out;
    assert!(shown.contains("ALARM: the line passes acme over: 12 of 12 times"), "{shown}");
    // The same line, had it logged ours when it came.
    entries.insert(0, frozen);
    put(&entries);
    std::fs::remove_file(place.path("k")).unwrap();
    place.write("times", b"1 1790000060000\n");
    let told = monitor(&with_times).expect(0).json();
    assert_eq!(told["fairness"]["draws"], 0, "{told:#}");
    // What was seen is kept: the log has grown to thirteen entries by now.
    let noted = std::fs::read_to_string(place.path("times")).unwrap();
    assert!(noted.starts_with("1 1790000060000\n13 "), "{noted}");
    for (list, why) in
        [("zz\n", "no SHA-256"), ("{} soon\n", "write the time"), ("{} {} x\n", "write")]
    {
        let (digest, time) = (ours.to_string(), Time(start).to_string());
        place.write("z", list.replacen("{}", &digest, 1).replacen("{}", &time, 1).as_bytes());
        let told = monitor(&peers).expect(1).err;
        assert!(told.contains("line 1 of z") && told.contains(why), "{told}");
    }
    monitor(&["--times", "times"]).expect(2);
}
