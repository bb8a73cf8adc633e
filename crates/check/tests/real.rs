//! The real andon-check, in its sandbox, against a server on a real socket.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod common;

use andon_model::Digest;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::facts::Facts;
use andon_model::handover::{FromCheck, Offers, ToCheck};
use andon_model::release::Manifest;
use common::{World, class, host, key};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const FILES: &[(&str, &[u8])] = &[("bin/tool", b"#!/bin/sh\n"), ("empty", b""), ("z.yml", b"rule")];

struct Check {
    child: Child,
    to: Option<ChildStdin>,
    from: Receiver<FromCheck>,
}

impl Drop for Check {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Check {
    fn start(world: &World, state: &Path) -> Check {
        let anchor = state.join("anchor.json");
        std::fs::write(&anchor, serde_json::to_vec(&world.anchor()).unwrap()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_andon-check"))
            .args(["--server", &format!("http://localhost:{}", world.port)])
            .arg("--anchor")
            .arg(&anchor)
            .arg("--state")
            .arg(state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, from) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.split(b'\n').map_while(Result::ok) {
                let _ = send.send(FromCheck::parse(&line).unwrap());
            }
        });
        Check { to: child.stdin.take(), child, from }
    }
    fn ask(&mut self, asked: &ToCheck) {
        self.to.as_mut().unwrap().write_all(&asked.to_line()).unwrap();
    }
    /// The next line for which `want` gives something.
    fn hear<T>(&self, want: impl Fn(&FromCheck) -> Option<T>) -> T {
        loop {
            let said = self.from.recv_timeout(PATIENCE).expect("check says nothing more");
            if let Some(found) = want(&said) {
                return found;
            }
        }
    }
    fn sync(&mut self) -> Offers {
        self.ask(&ToCheck::Sync { host: host(), class: class(), facts: Facts::default() });
        self.hear(|said| match said {
            FromCheck::Offers { offers } => Some((**offers).clone()),
            FromCheck::Failed { what, why } if what.as_str() == "sync" => panic!("{why}"),
            _ => None,
        })
    }
    /// The folder, or why not.
    fn fetch(&mut self, wanted: Digest) -> Result<String, String> {
        self.ask(&ToCheck::Fetch { release: wanted });
        self.hear(|said| match said {
            FromCheck::Fetched { release, folder } if *release == wanted => {
                Some(Ok(folder.clone()))
            }
            FromCheck::FetchFailed { release, why } if *release == wanted => {
                Some(Err(why.to_string()))
            }
            _ => None,
        })
    }
}

fn inbox(state: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(state.join("inbox")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn an_offered_release_reaches_the_inbox_and_a_freeze_takes_the_offer_back() {
    let (mut world, state) = (World::start(), tempfile::tempdir().unwrap());
    let (release, manifest) = world.release(1, FILES);
    let mut check = Check::start(&world, state.path());
    check.hear(|said| matches!(said, FromCheck::Bell { version } if *version > 0).then_some(()));
    let told = check.sync();
    assert_eq!(told.refusals, []);
    assert_eq!(told.policy.unwrap().version, 3);
    assert_eq!((told.offers.len(), told.offers[0].release), (1, release));
    let folder = check.fetch(release).unwrap();
    assert_eq!(folder, release.to_string());
    let at = state.path().join("inbox").join(folder);
    let bytes = std::fs::read(at.join("manifest.json")).unwrap();
    assert_eq!(Digest::of(&bytes), release);
    assert_eq!(Manifest::parse(&bytes).unwrap(), manifest);
    for (path, bytes) in FILES {
        assert_eq!(std::fs::read(at.join("files").join(path)).unwrap(), *bytes);
    }
    assert_eq!(check.fetch(release).unwrap(), release.to_string(), "again is the same");
    world.freeze(release);
    let told = check.sync();
    assert_eq!((told.offers.len(), told.freezes.len()), (0, 1));
    let refused = check.fetch(release).unwrap_err();
    assert!(refused.contains("not offered"), "{refused}");
}

#[test]
fn a_bundle_that_is_not_what_was_signed_leaves_nothing_behind() {
    let (mut world, state) = (World::start(), tempfile::tempdir().unwrap());
    let (release, manifest) = world.release(1, FILES);
    let mut check = Check::start(&world, state.path());
    assert_eq!(check.sync().offers.len(), 1);
    let object = format!("/v1/objects/{}", manifest.bundle);
    let good: Vec<u8> = FILES.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
    let target = format!("/v1/targets/releases/acme/rules/{release}.1.json");
    let signed = serde_json::to_vec(&manifest).unwrap();
    let mut flipped = good.clone();
    flipped[3] ^= 1;
    let cases: [(&str, &str, Vec<u8>); 6] = [
        ("digest of bin/tool", &object, flipped),
        ("shorter", &object, good[..good.len() - 1].to_vec()),
        ("longer", &object, [&good[..], b"x"].concat()),
        ("shorter", &object, vec![]),
        ("digest of manifest", &target, [&signed[..], b" "].concat()),
        ("over 1048576 bytes", &target, vec![b' '; 2 * 1024 * 1024]),
    ];
    for (want, path, bytes) in cases {
        world.put(&object, good.clone());
        world.put(&target, signed.clone());
        world.put(path, bytes);
        let refused = check.fetch(release).unwrap_err();
        assert!(refused.contains(want), "{want}: {refused}");
        assert_eq!(inbox(state.path()), Vec::<String>::new(), "{want}");
    }
    world.put(&object, good);
    world.put(&target, signed);
    check.fetch(release).unwrap();
}

#[test]
fn what_was_seen_is_remembered_over_a_restart() {
    let (mut world, state) = (World::start(), tempfile::tempdir().unwrap());
    world.release(1, FILES);
    let mut check = Check::start(&world, state.path());
    assert_eq!(check.sync().policy.unwrap().version, 3);
    drop(check);
    // an older policy, properly signed: a rollback attack
    world.put_policy(2);
    let mut check = Check::start(&world, state.path());
    let told = check.sync();
    assert!(told.refusals.iter().any(|r| r.why.as_str().contains('3')), "{:?}", told.refusals);
    assert_eq!(told.policy.unwrap().version, 3);
    drop(check);
    // a damaged record is set aside, and the anchor alone still tells right from wrong
    world.put_policy(4);
    std::fs::write(state.path().join("check/view.json"), b"{").unwrap();
    let mut check = Check::start(&world, state.path());
    assert_eq!(check.sync().policy.unwrap().version, 4);
    assert!(state.path().join("check/view.json.damaged").exists());
}

#[test]
fn beats_are_relayed_as_signed_and_refusals_come_back_in_words() {
    let (world, state) = (World::start(), tempfile::tempdir().unwrap());
    let mut check = Check::start(&world, state.path());
    let envelope = key(40).seal(PayloadType::Beat, b"{}");
    check.ask(&ToCheck::PostBeat { envelope: envelope.clone() });
    check.hear(|said| matches!(said, FromCheck::Answer { .. }).then_some(()));
    let posted = world.posted.lock().unwrap().clone();
    assert_eq!(posted[0].0, "/v1/beats");
    assert_eq!(Envelope::parse(&posted[0].1).unwrap(), envelope);
    check.ask(&ToCheck::Enrol { envelope });
    let why = check.hear(|said| match said {
        FromCheck::Failed { what, why } if what.as_str() == "enrol" => Some(why.to_string()),
        _ => None,
    });
    assert!(why.contains("403") && why.contains("join token unknown"), "{why}");
    check.to.as_mut().unwrap().write_all(b"{\"cmd\":\"format_disk\"}\n").unwrap();
    check.hear(|said| match said {
        FromCheck::Failed { what, .. } if what.as_str() == "command" => Some(()),
        _ => None,
    });
    check.to = None;
    assert!(check.child.wait().unwrap().success(), "ends with its standard input");
}

#[test]
fn a_line_without_end_is_not_collected_for_ever() {
    let (world, state) = (World::start(), tempfile::tempdir().unwrap());
    let mut check = Check::start(&world, state.path());
    let mut to = check.to.take().unwrap();
    let block = vec![b' '; 1024 * 1024];
    let refused = (0..64).any(|_| to.write_all(&block).is_err());
    assert!(refused, "64 MiB without a newline were taken");
    assert_eq!(check.child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_wrong_start_is_refused_with_what_is_wrong() {
    let state = tempfile::tempdir().unwrap();
    let start = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_andon-check"));
        let out = command.args(words).current_dir(state.path()).output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    for (words, code, want) in [
        (&["--server"][..], 2, "needs a value"),
        (&["--server", "http://x", "--state", "s"], 2, "--anchor is missing"),
        (&["--surprise", "x"], 2, "unknown word"),
        (&["--server", "https://x", "--anchor", "a", "--state", "s"], 1, "TLS"),
        (&["--server", "http://x", "--anchor", "a", "--state", "s"], 1, "read a"),
    ] {
        let (got, text) = start(words);
        assert_eq!(got, Some(code), "{text}");
        assert!(text.contains(want), "{text}");
    }
}
