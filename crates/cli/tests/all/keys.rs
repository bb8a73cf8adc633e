//! `andon keys`: key files under a passphrase, lists, what is refused; a person who types at a terminal.
use crate::common::{Place, tree};
use age::secrecy::SecretString;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

pub(crate) const WORDS: &str = "correct horse battery";

/// A passphrase file.
pub(crate) fn words_in(place: &Place, name: &str, words: &str) {
    place.write(name, format!("{words}\n").as_bytes());
    chmod(&place.path(name), 0o600);
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// As another program writes it, with little work.
fn sealed_by_others(plain: &[u8], armoured: bool) -> Vec<u8> {
    let mut recipient = age::scrypt::Recipient::new(SecretString::from(WORDS.to_owned()));
    recipient.set_work_factor(4);
    match armoured {
        true => age::encrypt_and_armor(&recipient, plain).unwrap().into_bytes(),
        false => age::encrypt(&recipient, plain).unwrap(),
    }
}

fn find<'l>(list: &'l Value, key: &str) -> &'l Value {
    let found = list.as_array().unwrap().iter().find(|it| it["key"] == key);
    found.unwrap_or_else(|| panic!("no key {key} in {list:#}"))
}

/// Mutants: encrypted-key-written-plain, key-file-overwritten.
#[test]
fn a_new_key_is_encrypted_listed_without_its_passphrase_and_never_overwritten() {
    let place = Place::new();
    words_in(&place, "words", WORDS);
    let words = ["--dir", "k", "--passphrase-file", "words", "--json", "keys", "create", "dora"];
    let made = place.andon(&words).expect(0).json();
    assert_eq!((&made[0]["encrypted"], &made[0]["algorithm"]), (&true.into(), &"ed25519".into()));
    let file = place.path("k/dora.age");
    let bytes = fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----"), "in the age format");
    assert_eq!((mode(&file), mode(&place.path("k"))), (0o600, 0o700));
    // The crate's own opening, not ours.
    let identity = age::scrypt::Identity::new(SecretString::from(WORDS.to_owned()));
    let plain: Value = serde_json::from_slice(&age::decrypt(&identity, &bytes).unwrap()).unwrap();
    assert_eq!((&plain["public"], &plain["name"]), (&made[0]["public"], &"dora".into()));

    let list = place.andon(&["keys", "list", "k", "--json"]).expect(0).json();
    let dora = find(&list, "dora");
    for (field, wanted) in [
        ("public", made[0]["public"].clone()),
        ("keyid", made[0]["keyid"].clone()),
        ("form", "encrypted".into()),
        ("mode", "0600".into()),
        ("exposed", false.into()),
        ("may", Value::Null),
    ] {
        assert_eq!(dora[field], wanted, "{field}");
    }
    assert!(dora["created"].as_u64().unwrap() > 1_700_000_000_000);
    assert_eq!(list.as_array().unwrap().len(), 1, "its public half is no key of its own");

    // Neither under its own ending nor under the other one, nor half of several.
    for words in [
        &["--dir", "k", "--passphrase-file", "words", "keys", "create", "dora"][..],
        &["--dir", "k", "keys", "create", "dora", "--plain"],
        &["--dir", "k", "keys", "create", "eve", "dora", "--plain"],
        &["keys", "verifier", "--name", "v1", "--out", "k/dora.age"],
        &["keys", "note", "--for", "log", "--name", "log.example", "--out", "k/dora.age"],
        &["keys", "ceremony", "--out", "k/dora.age"],
    ] {
        let refused = place.andon(words).expect(1);
        assert!(refused.err.contains("already there"), "{}", refused.err);
    }
    assert_eq!(fs::read(&file).unwrap(), bytes);
    assert_eq!(tree(&place.path("k")).len(), 2, "{:?}", tree(&place.path("k")));
}

/// With the program that Debian ships, where there is one.
#[test]
fn age_itself_opens_what_we_write() {
    if Command::new("age").arg("--version").output().is_err() {
        eprintln!("skipped: there is no age; apt-get install age");
        return;
    }
    let place = Place::new();
    words_in(&place, "words", WORDS);
    place.andon(&["--dir", "k", "--passphrase-file", "words", "keys", "create", "dora"]).expect(0);
    let mut terminal = Terminal::run(&place, "age", &["-d", "-o", "plain", "k/dora.age"]);
    terminal.answer("passphrase", WORDS);
    assert_eq!(terminal.end(), 0);
    let plain: Value = serde_json::from_slice(&fs::read(place.path("plain")).unwrap()).unwrap();
    let half: Value = serde_json::from_slice(&fs::read(place.path("k/dora.pub")).unwrap()).unwrap();
    assert_eq!(plain["public"], half["public"]);
}

/// A command that signs takes them like plain ones: from `age -p`, armoured or not, whatever the file's name is.
#[test]
fn keys_that_others_encrypted_sign_as_plain_ones_do() {
    let place = Place::laid_out();
    words_in(&place, "words", WORDS);
    words_in(&place, "others", "another passphrase");
    for (name, armoured, ending) in [("alice", true, "age"), ("bob", false, "json")] {
        let path = place.path(&format!("d/keys/operator-root/{name}.json"));
        let sealed = sealed_by_others(&fs::read(&path).unwrap(), armoured);
        fs::remove_file(&path).unwrap();
        let path = path.with_extension(ending);
        fs::write(&path, sealed).unwrap();
        chmod(&path, 0o600);
    }
    let sign = ["policy", "sign", "--key", "alice", "--key", "bob"];
    place.andon(&[&["--passphrase-file", "words"], &sign[..]].concat()).expect(0);
    // Several are tried in turn: people have passphrases of their own.
    let several = ["--passphrase-file", "others", "--passphrase-file", "words"];
    place.andon(&[&several, &sign[..]].concat()).expect(0);

    let before = fs::read(place.path("d/keys/operator-root/alice.age")).unwrap();
    let wrong = place.andon(&[&["--passphrase-file", "others"], &sign[..]].concat()).expect(1);
    assert!(wrong.err.contains("alice.age: the passphrase does not open it"), "{}", wrong.err);
    let by_variable = Command::new(env!("CARGO_BIN_EXE_andon"))
        .args(sign)
        .envs([("ANDON_DIR", "d"), ("ANDON_PASSPHRASE_FILE", "words")])
        .current_dir(place.path("."))
        .output();
    assert!(by_variable.unwrap().status.success());
    let nobody = place.without_terminal(&sign).expect(1);
    assert!(nobody.err.contains("no terminal") && nobody.err.contains("--passphrase-file"));
    assert_eq!(fs::read(place.path("d/keys/operator-root/alice.age")).unwrap(), before);
    let version = place.andon(&["policy", "show", "--json"]).expect(0).json();
    assert_eq!(version["policy"]["version"], 4, "the refused ones signed nothing");

    chmod(&place.path("d/keys/operator-root/alice.age"), 0o644);
    let warned = place.andon(&[&["--passphrase-file", "words"], &sign[..]].concat()).expect(0);
    assert!(warned.err.contains("warning: key file") && warned.err.contains("chmod 600"));
    chmod(&place.path("words"), 0o640);
    let exposed = place.andon(&[&["--passphrase-file", "words"], &sign[..]].concat()).expect(1);
    assert!(exposed.err.contains("passphrase file words can be read by others"), "{}", exposed.err);
}

#[test]
fn what_would_protect_nothing_is_refused_and_leaves_nothing() {
    let place = Place::new();
    for (words, why) in [
        ("", "no first line"),
        ("hunter2", "7 characters"),
        ("aaaaaaaaaaaaaaaaaaaa", "1 different characters"),
    ] {
        words_in(&place, "words", words);
        let refused = place
            .andon(&["--dir", "k", "--passphrase-file", "words", "keys", "create", "dora"])
            .expect(1);
        assert!(refused.err.contains(why), "{}", refused.err);
        let line = ["--passphrase-file", "words", "init", "--encrypt"];
        assert!(place.andon(&line).expect(1).err.contains(why));
    }
    words_in(&place, "words", WORDS);
    for (names, why) in [
        (&["dora", "dora"][..], "named twice"),
        (&["../dora"], "no name for a key"),
        (&["Dora"], "no name for a key"),
        (&["a/b/c"], "no name for a key"),
    ] {
        let words = ["--dir", "k", "--passphrase-file", "words", "keys", "create"];
        let refused = place.andon(&[&words, names].concat()).expect(1);
        assert!(refused.err.contains(why), "{}", refused.err);
    }
    let nobody = place.without_terminal(&["--dir", "k", "keys", "create", "dora"]).expect(1);
    assert!(nobody.err.contains("no terminal"), "{}", nobody.err);
    let many: Vec<String> = (0..65).map(|number| format!("k{number}")).collect();
    let mut words = vec!["--dir", "k", "keys", "create", "--plain"];
    words.extend(many.iter().map(String::as_str));
    assert!(place.andon(&words).expect(1).err.contains("at most 64"));
    words.pop();
    place.andon(&words).expect(0);
    assert_eq!(tree(&place.path("k")).len(), 128, "64 keys and their public halves");
    assert!(!place.path("d").exists());
}

/// The list of a line's folder: what each key may sign, by anchor, policy and metadata.
#[test]
fn a_list_says_what_each_key_may_sign_and_which_files_are_wrong() {
    let place = Place::laid_out();
    place.andon(&["keys", "create", "zoe", "--plain"]).expect(0);
    let list = place.andon(&["keys", "list", "--json"]).expect(0).json();
    for (key, may) in [
        (
            "alice",
            vec!["alice: commands, approvals, the cord", "vendor hospital: releases, its own cord"],
        ),
        ("operator-root/bob", vec!["bob, operator root: signs the policy"]),
        ("platform/root-3", vec!["platform: replaces the TUF root"]),
        ("vendors/acme/2", vec!["vendor acme: releases, its own cord"]),
        ("timestamp", vec!["the line's server: TUF timestamp"]),
        ("zoe", vec![]),
    ] {
        assert_eq!(find(&list, key)["may"], serde_json::json!(may), "{key}");
        assert_eq!(find(&list, key)["form"], "plain");
    }
    // A key that lies elsewhere is known by its public half; an exchanged one is not believed.
    fs::remove_file(place.path("d/keys/people/zoe.json")).unwrap();
    let list = place.andon(&["keys", "list", "--json"]).expect(0).json();
    assert_eq!(find(&list, "zoe")["form"], "public half only");
    let zoe = place.path("d/keys/people/zoe.pub");
    fs::rename(&zoe, place.path("d/keys/operator-root/alice.pub")).unwrap();
    let mixed = place.andon(&["policy", "sign", "--key", "alice", "--key", "bob"]).expect(1);
    assert!(mixed.err.contains("is not its public half"), "{}", mixed.err);
    // A folder that cannot be verified is listed all the same.
    place.write("d/server/policy.json", b"{}");
    let ran = place.andon(&["keys", "list", "--json"]).expect(0);
    assert!(ran.err.contains("not known") && ran.json()[0]["may"].is_null(), "{}", ran.err);
}

#[test]
fn a_line_is_laid_out_with_peoples_keys_encrypted_and_programs_plain() {
    let place = Place::new();
    words_in(&place, "words", WORDS);
    let words = ["--passphrase-file", "words", "init", "--operator", "hospital", "--encrypt"];
    let people = ["--people", "alice,bob", "--verifier", "v1"];
    place.andon(&[&words[..], &people].concat()).expect(0);
    let list = place.andon(&["keys", "list", "--json"]).expect(0).json();
    let mut forms = Vec::new();
    for key in list.as_array().unwrap() {
        forms.push((key["key"].as_str().unwrap(), key["form"] == "encrypted"));
        assert!(!key["may"].as_array().unwrap().is_empty(), "{key}");
        assert_eq!(key["exposed"], false);
    }
    let want = [
        ("operator-root/alice", true),
        ("operator-root/bob", true),
        ("alice", true),
        ("bob", true),
        ("platform/cord", true),
        ("platform/root-1", true),
        ("platform/root-2", true),
        ("platform/root-3", true),
        ("platform/targets", true),
        ("verifiers/v1", false),
        ("online", false),
        ("snapshot", false),
        ("timestamp", false),
    ];
    assert_eq!(forms, want);
    let sign = ["--passphrase-file", "words", "policy", "sign", "--key", "alice", "--key", "bob"];
    place.andon(&sign).expect(0);
    // The server's keys are for a program: it starts with them.
    andon_server::config::Inputs::read(&place.path("d/server/andond.toml")).unwrap();
    // And says so, if it is given one that nobody could type a passphrase for.
    let online = place.path("d/server/keys/online.json");
    fs::write(&online, sealed_by_others(&fs::read(&online).unwrap(), true)).unwrap();
    let refused = andon_server::config::Inputs::read(&place.path("d/server/andond.toml"));
    let why = std::error::Error::source(&refused.err().unwrap()).unwrap().to_string();
    assert!(why.contains("encrypted by a passphrase"), "{why}");
}

/// The person is asked twice, unseen; and once when the key is opened, up to three times.
#[test]
fn a_passphrase_is_typed_unseen_at_the_terminal() {
    let andon = env!("CARGO_BIN_EXE_andon");
    let place = Place::new();
    let create = ["--dir", "k", "keys", "create", "dora"];
    let mut terminal = Terminal::run(&place, andon, &create);
    terminal.answer("New passphrase for dora: ", WORDS);
    terminal.answer("The same again: ", "correct horse batterie");
    assert_eq!(terminal.end(), 1);
    assert!(!place.path("k/dora.age").exists(), "the two differed");
    let mut terminal = Terminal::run(&place, andon, &create);
    terminal.answer("New passphrase for dora: ", WORDS);
    terminal.answer("The same again: ", WORDS);
    assert_eq!(terminal.end(), 0);
    assert!(!terminal.shown.contains("horse"), "{}", terminal.shown);

    let place = Place::laid_out();
    let root = place.path("d/keys/operator-root/alice.json");
    fs::write(&root, sealed_by_others(&fs::read(&root).unwrap(), true)).unwrap();
    let sign = ["policy", "sign", "--key", "alice", "--key", "bob"];
    let mut terminal = Terminal::run(&place, andon, &sign);
    terminal.answer("alice.json: ", "mistyped");
    terminal.answer("alice.json: ", WORDS);
    assert_eq!(terminal.end(), 0);
    let mut terminal = Terminal::run(&place, andon, &sign);
    for wrong in ["one", "two", "three"] {
        terminal.answer("alice.json: ", wrong);
    }
    assert_eq!(terminal.end(), 1);
    // Ctrl-C ends the question, and leaves the terminal as it was.
    let mut terminal = Terminal::run(&place, andon, &sign);
    terminal.answer("alice.json: ", "half\u{3}");
    assert_eq!(terminal.end(), 1);
    assert!(terminal.echoes(), "the terminal was left mute");
}

/// A program at a terminal of its own.
struct Terminal {
    master: fs::File,
    slave: fs::File,
    child: std::process::Child,
    shown: String,
    /// how much of it was answered
    read: usize,
}

impl Terminal {
    fn run(place: &Place, program: &str, words: &[&str]) -> Terminal {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = fs::OpenOptions::new().read(true).write(true).open(name).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        // A new session whose controlling terminal is its standard input.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", program])
            .args(words)
            .env("ANDON_DIR", "d")
            .env_remove("ANDON_PASSPHRASE_FILE")
            .current_dir(place.path("."))
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        Terminal { master: master.into(), slave, child, shown: String::new(), read: 0 }
    }

    /// Waits for a question and types an answer.
    fn answer(&mut self, question: &str, text: &str) {
        while !self.shown[self.read..].contains(question) {
            let mut bytes = [0; 256];
            let count = self.master.read(&mut bytes).unwrap();
            self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        self.read = self.shown.len();
        self.master.write_all(text.as_bytes()).unwrap();
        self.master.write_all(b"\r").unwrap();
    }

    /// Its exit code.
    fn end(&mut self) -> i32 {
        // Little enough is said for the terminal to hold it, so that nobody waits for us to read.
        let code = self.child.wait().unwrap().code().unwrap();
        rustix::io::ioctl_fionbio(&self.master, true).unwrap();
        let mut rest = Vec::new();
        let _until_it_would_block = self.master.read_to_end(&mut rest);
        self.shown.push_str(&String::from_utf8_lossy(&rest));
        code
    }

    fn echoes(&self) -> bool {
        let modes = rustix::termios::tcgetattr(&self.slave).unwrap().local_modes;
        modes.contains(rustix::termios::LocalModes::ECHO | rustix::termios::LocalModes::ICANON)
    }
}
