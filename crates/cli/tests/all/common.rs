//! A folder of its own for every test, and `andon` run in it.
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) struct Place {
    dir: tempfile::TempDir,
}

/// What a run of `andon` left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Its JSON document.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }
    /// Fails the test unless it ended with `code`.
    pub(crate) fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }
}

impl Place {
    pub(crate) fn new() -> Place {
        Place { dir: tempfile::tempdir().unwrap() }
    }
    /// With a line laid out in `d`: operator hospital, vendor acme.
    pub(crate) fn laid_out() -> Place {
        let place = Place::new();
        let words =
            ["init", "--operator", "hospital", "--vendor", "acme", "--listen", "127.0.0.1:1"];
        place.andon(&words).expect(0);
        place
    }
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    /// Runs `andon` in this folder; the line's folder is `d`.
    pub(crate) fn andon(&self, words: &[&str]) -> Ran {
        self.run(&mut Command::new(env!("CARGO_BIN_EXE_andon")), words)
    }
    /// The same where nobody can be asked anything, whoever runs the test.
    pub(crate) fn without_terminal(&self, words: &[&str]) -> Ran {
        let mut command = Command::new("setsid");
        self.run(command.args(["--wait", env!("CARGO_BIN_EXE_andon")]), words)
    }
    fn run(&self, command: &mut Command, words: &[&str]) -> Ran {
        for name in ["ANDON_SERVER", "ANDON_LINE", "ANDON_ANCHOR", "ANDON_PASSPHRASE_FILE"] {
            command.env_remove(name);
        }
        let out = command
            .args(words)
            .env("ANDON_DIR", "d")
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        ran(&out)
    }
}

fn ran(out: &Output) -> Ran {
    Ran {
        code: out.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&out.stdout).into_owned(),
        err: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

/// Every file below `dir`, sorted, for "nothing was left behind".
pub(crate) fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            out.extend(tree(&path));
        }
        out.push(path);
    }
    out.sort();
    out
}
