//! `andon witness` as a program: the statuses of C2SP tlog-witness over real HTTP, and no two roots of
//! one size although it is killed again and again.
use crate::common::Place;
use andon_model::Digest;
use andon_model::merkle::{Head, Tree, leaf};
use andon_trust::log::note::Seen;
use andon_trust::log::witness::AddCheckpoint;
use andon_trust::log::{
    Checkpoint, KeyKind, LogProof, NoteKey, NoteSignature, SignedCheckpoint, TileTree, TiledLog,
    VerifierKey,
};
use andon_trust::sign::SigningKey;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const ORIGIN: &str = "log.example/one";

fn log(name: &str) -> NoteKey {
    NoteKey::new(name, KeyKind::Log, SigningKey::from_seed([1; 32])).unwrap()
}

/// Two histories that part after three entries.
fn tree(history: u8, size: u64) -> Tree {
    let entry = |at: u64| leaf(&[if at < 3 { 0 } else { history }, at.to_be_bytes()[7]]);
    Tree::new((0..size).map(entry).collect())
}

fn sealed(origin: &str, history: u8, size: u64) -> SignedCheckpoint {
    let head = Head { size, root: tree(history, size).root() };
    let checkpoint = Checkpoint { origin: origin.to_owned(), head, extensions: vec![] };
    log(origin).seal(&checkpoint, 0).unwrap()
}

fn ask(history: u8, old: u64, size: u64) -> AddCheckpoint {
    let proof = tree(history, size).consistency(usize::try_from(old).unwrap());
    let checkpoint = sealed(ORIGIN, history, size);
    AddCheckpoint { old, proof: proof.unwrap_or_default(), checkpoint }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

struct Server {
    process: Child,
    address: String,
    verifier: VerifierKey,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

impl Server {
    fn start(place: &Place, key: &str) -> Server {
        Server::spawn(command(place, key))
    }
    fn spawn(mut command: Command) -> Server {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut after = |word: &str| {
            let line = lines.next().unwrap().unwrap();
            line.strip_prefix(word).unwrap().to_owned()
        };
        let verifier = after("witness ").parse().unwrap();
        Server { process, address: after("listens on "), verifier }
    }
    /// `None` when the witness died meanwhile.
    fn try_send(&self, request: &str) -> Option<Answer> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        let whole = length.parse() == Ok(body.len());
        whole.then(|| Answer { status, head: head.to_owned(), body: body.to_owned() })
    }
    fn send(&self, request: &str) -> Answer {
        self.try_send(request).unwrap()
    }
    fn post(&self, body: &str) -> Answer {
        self.send(&post(body))
    }
    fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n"))
    }
}

fn post(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn command(place: &Place, key: &str) -> Command {
    command_in(place, key, "witness")
}

fn command_in(place: &Place, key: &str, folder: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
    command.args(["witness", "--listen", "127.0.0.1:0", "--data"]).arg(place.path(folder));
    command.arg("--key").arg(place.path(key)).arg("--log").arg(log(ORIGIN).verifier().to_string());
    command
}

/// A place with a witness's key in `key`.
fn keyed() -> Place {
    let place = Place::new();
    make_key(&place, "key");
    place
}

fn make_key(place: &Place, file: &str) -> VerifierKey {
    let words = ["keys", "note", "--for", "witness", "--name", "witness.example/w1", "--out", file];
    place.andon(&words).expect(0).out.trim().parse().unwrap()
}

/// The time of a cosignature, if the line is one of this checkpoint by this witness.
fn time(checkpoint: &SignedCheckpoint, line: &str, by: &VerifierKey) -> Option<u64> {
    let mut checkpoint = checkpoint.clone();
    NoteSignature::parse_lines(line).unwrap().into_iter().for_each(|line| checkpoint.add(line));
    match checkpoint.note().seen_by(by).unwrap() {
        Seen::Cosigned(time) => Some(time),
        Seen::No | Seen::Signed => None,
    }
}

#[test]
fn a_witness_answers_as_the_specification_says() {
    let place = keyed();
    let server = Server::start(&place, "key");
    let hash = Digest::of(ORIGIN.as_bytes());
    assert_eq!(server.get(&format!("/{hash}/checkpoint")).status, 404);

    let first = server.post(&ask(0, 0, 5).to_text());
    assert_eq!(first.status, 200, "{}", first.body);
    assert!(
        time(&sealed(ORIGIN, 0, 5), &first.body, &server.verifier).is_some_and(|time| time > 0)
    );
    let stored = server.get(&format!("/{hash}/checkpoint"));
    assert_eq!(stored.status, 200);
    assert!(SignedCheckpoint::parse(stored.body.as_bytes()).is_ok());
    assert!(stored.body.ends_with(&first.body));

    let conflict = server.post(&ask(0, 0, 8).to_text());
    assert_eq!((conflict.status, conflict.body.as_str()), (409, "5\n"));
    assert!(conflict.head.contains("content-type: text/x.tlog.size"), "{}", conflict.head);

    let forked = server.post(&ask(1, 5, 8).to_text());
    assert_eq!(forked.status, 422, "{}", forked.body);
    assert_eq!(server.post(&ask(1, 5, 5).to_text()).status, 422);
    let stranger = sealed("log.example/two", 0, 8);
    let unknown = AddCheckpoint { checkpoint: stranger, ..ask(0, 5, 8) };
    assert_eq!(server.post(&unknown.to_text()).status, 404);
    let unsigned = ask(0, 5, 8).to_text().replace("\n8\n", "\n9\n");
    assert_eq!(server.post(&unsigned).status, 403);
    let beyond = AddCheckpoint { old: 9, ..ask(0, 5, 8) };
    assert_eq!(server.post(&beyond.to_text()).status, 400);
    assert_eq!(server.post("").status, 400);
    assert_eq!(server.post("old 5\n\n").status, 400);
    let large = "x".repeat(andon_model::limits::WITNESS_REQUEST_BYTES_MAX + 1);
    assert_eq!(server.post(&large).status, 413);
    assert_eq!(server.get("/add-checkpoint").status, 405);

    // none of that changed anything
    assert_eq!(server.get(&format!("/{hash}/checkpoint")).body, stored.body);
    assert_eq!(server.post(&ask(0, 5, 8).to_text()).status, 200);
    assert_eq!(server.post(&ask(0, 8, 8).to_text()).status, 200);
}

/// A growing log, two witnesses as programs, a proof: believed with both, not with one.
#[test]
fn a_proof_with_the_cosignatures_of_two_witnesses_is_believed() {
    let place = Place::new();
    let mut policy = format!("log {}\n", log(ORIGIN).verifier());
    let mut witnesses = Vec::new();
    for (name, folder) in [("one", "data-one"), ("two", "data-two")] {
        let file = format!("key-{name}");
        let words = ["keys", "note", "--for", "witness", "--name", name, "--out", &file];
        let vkey = place.andon(&words).expect(0).out;
        policy += &format!("witness {name} {vkey}");
        witnesses.push(Server::spawn(command_in(&place, &file, folder)));
    }
    place.write("policy", format!("{policy}group both all one two\nquorum both\n").as_bytes());

    let (mut tiled, mut files) = (TiledLog::new(), BTreeMap::new());
    let mut old = 0;
    for size in [1, 4, 260] {
        for at in old..size {
            tiled.append(format!("entry {at}").as_bytes()).unwrap();
        }
        for file in tiled.unwritten() {
            files.insert(file.tile, file.bytes);
        }
        tiled.mark_written();
        let mut tree = TileTree::new(size, |tile| files.get(tile).cloned());
        let text = Checkpoint { origin: ORIGIN.to_owned(), head: tiled.head(), extensions: vec![] };
        let mut checkpoint = log(ORIGIN).seal(&text, 0).unwrap();
        let proof = tree.consistency(old).unwrap();
        let ask = AddCheckpoint { old, proof, checkpoint: checkpoint.clone() }.to_text();
        let hashes = tree.inclusion(size - 1).unwrap();
        place.write("entry", format!("entry {}", size - 1).as_bytes());
        for (at, witness) in witnesses.iter().enumerate() {
            let answer = witness.post(&ask);
            assert_eq!(answer.status, 200, "{}", answer.body);
            for line in NoteSignature::parse_lines(&answer.body).unwrap() {
                checkpoint.add(line);
            }
            let (hashes, checkpoint) = (hashes.clone(), checkpoint.clone());
            let proof = LogProof { extra: None, index: size - 1, hashes, checkpoint };
            place.write("proof", proof.to_text().as_bytes());
            let words = ["log", "verify", "proof", "--policy", "policy", "--data", "entry"];
            place.andon(&words).expect(if at == 0 { 3 } else { 0 });
        }
        old = size;
    }
}

#[test]
fn a_witness_does_not_start_where_it_could_contradict_itself() {
    let place = keyed();
    let ends = |key: &str| {
        let out = command(&place, key).output().unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    {
        let server = Server::start(&place, "key");
        assert_eq!(server.post(&ask(0, 0, 5).to_text()).status, 200);
        let (code, said) = ends("key");
        assert_eq!(code, Some(1));
        assert!(said.contains("another witness uses"), "{said}");
    }
    make_key(&place, "other");
    let (code, said) = ends("other");
    assert_eq!(code, Some(1));
    assert!(said.contains("a new key needs a new folder"), "{said}");
    let words =
        ["keys", "note", "--for", "log", "--name", "log.example/x", "--out", "log", "--json"];
    let made = place.andon(&words).expect(0).json();
    assert!(made["verifier"].as_str().unwrap().starts_with("log.example/x+"));
    assert_eq!(ends("log").0, Some(2));
    place.andon(&words).expect(1); // nothing is overwritten
    place.andon(&["keys", "note", "--for", "log", "--name", "a b", "--out", "bad"]).expect(1);
    std::fs::set_permissions(
        place.path("key"),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    assert!(ends("key").1.contains("can be read by others"));
}

/// Asks for both histories at once until the witness is killed, starts it again; every
/// cosignature that ever arrived is of one history, and what arrived is remembered.
#[test]
fn a_witness_that_is_killed_never_signs_two_roots_of_one_size() {
    let place = keyed();
    let mut cosigned: BTreeMap<u64, Digest> = BTreeMap::new();
    let mut newest = 0;
    for round in 0..25_u64 {
        let server = Server::start(&place, "key");
        // what it remembers is at least what it has sent
        let probe = server.post(&ask(0, 0, 0).to_text());
        let known = if probe.status == 409 { probe.body.trim().parse().unwrap() } else { 0 };
        assert!(known >= newest, "round {round}: it remembers {known}, {newest} had arrived");
        let pid = server.process.id();
        let answers = std::thread::scope(|scope| {
            let askers: Vec<_> = (0..2_u8)
                .map(|history| {
                    let server = &server;
                    scope.spawn(move || {
                        let mut got = Vec::new();
                        for size in known + 1.. {
                            for old in [known, size - 1] {
                                let ask = ask(history, old, size);
                                let Some(answer) = server.try_send(&post(&ask.to_text())) else {
                                    return got;
                                };
                                if answer.status == 200 {
                                    got.push((ask.checkpoint, answer.body));
                                }
                            }
                        }
                        got
                    })
                })
                .collect();
            let killer = scope.spawn(move || {
                pause(Duration::from_millis(1 + round * 7 % 40));
                let kill = Command::new("kill").args(["-9", &pid.to_string()]).status();
                assert!(kill.unwrap().success());
            });
            killer.join().unwrap();
            askers.into_iter().map(|asker| asker.join().unwrap()).collect::<Vec<_>>()
        });
        for (checkpoint, line) in answers.into_iter().flatten() {
            assert!(time(&checkpoint, &line, &server.verifier).is_some());
            let head = checkpoint.checkpoint().head;
            let root = *cosigned.entry(head.size).or_insert(head.root);
            assert_eq!(root, head.root, "two roots of size {}", head.size);
            newest = newest.max(head.size);
        }
    }
    let of = |history: u8| cosigned.iter().all(|(size, root)| tree(history, *size).root() == *root);
    assert!(of(0) || of(1), "cosignatures of two histories");
    assert!(newest > 0, "it was killed too early to cosign anything");
}

/// What a power cut may not undo: the file synced, named, its folder synced, and then the answer.
#[test]
fn the_record_is_synced_before_the_cosignature_leaves() {
    if Command::new("strace").arg("-V").output().is_err() {
        assert!(std::env::var_os("ANDON_E2E_STRICT").is_none(), "strace is not installed");
        eprintln!("skipped: strace is not installed (apt-get install strace)");
        return;
    }
    let place = keyed();
    let trace = place.path("trace");
    let witness = command(&place, "key");
    let mut traced = Command::new("strace");
    traced.args(["-f", "-y", "-s", "64", "-e", "trace=fsync,rename,renameat2,write,writev,sendto"]);
    traced.arg("-o").arg(&trace).arg(witness.get_program()).args(witness.get_args());
    let mut server = Server::spawn(traced);
    for (old, size) in [(0, 5), (5, 6), (6, 6)] {
        assert_eq!(server.post(&ask(0, old, size).to_text()).status, 200);
    }
    // strace ends with its child, whose number begins the lines
    let text = || std::fs::read_to_string(&trace).unwrap();
    let pid = text().split_whitespace().next().unwrap().to_owned();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    server.process.wait().unwrap();
    let text = text();
    // one step after the other, three times; a call that was interrupted in the print-out shows the
    // file where it begins, and what it returned where it is resumed
    let steps = [".new>", "rename", "/witness>", "HTTP/1.1 200 OK"];
    let mut lines = text.lines();
    for round in 0..3 {
        for step in steps {
            let there = lines.any(|line| {
                let sync = step.ends_with('>');
                line.contains(step) && (!sync || line.contains("fsync("))
            });
            assert!(there, "round {round}: no {step} in its place\n{text}");
        }
    }
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3);
}

/// Waits without polling: nothing is ever sent on this channel.
fn pause(time: Duration) {
    let (_held, never) = std::sync::mpsc::sync_channel::<()>(1);
    let _timeout = never.recv_timeout(time);
}

#[test]
fn a_broken_record_stops_the_witness_instead_of_forgetting() {
    let place = keyed();
    drop({
        let server = Server::start(&place, "key");
        assert_eq!(server.post(&ask(0, 0, 5).to_text()).status, 200);
        server
    });
    let records: Vec<PathBuf> = crate::common::tree(&place.path("witness"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "checkpoint"))
        .collect();
    let [record] = records.as_slice() else { panic!("{records:?}") };
    std::fs::write(record, b"").unwrap();
    let out = command(&place, "key").output().unwrap();
    assert_eq!(out.status.code(), Some(1));
}
