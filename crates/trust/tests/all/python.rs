//! A stranger's client reads what we write: python-tuf, the reference implementation.
#![expect(clippy::disallowed_methods, reason = "a foreign program wants files and its own clock")]
use crate::repository::{VALID, create, signed_role};
use crate::world::*;
use andon_model::time::Time;
use andon_model::{Digest, VendorId};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is installed from the package index, once, into the build folder.
const PACKAGES: [&str; 2] = ["tuf==7.0.0", "securesystemslib[crypto]==1.4.0"];

/// A Python that has python-tuf: the one named by `ANDON_PYTHON_TUF`, else one of our own.
fn python() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("ANDON_PYTHON_TUF") {
        return Some(named.into());
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-tuf-7.0.0");
    let (python, ready) = (folder.join("bin/python"), folder.join("ready"));
    if !ready.is_file() {
        let made = ran(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        let pip = ["-m", "pip", "install", "--quiet", "--timeout", "20", "--retries", "1"];
        if !made || !ran(Command::new(&python).args(pip).args(PACKAGES)) {
            return None;
        }
        std::fs::write(ready, "").unwrap();
    }
    Some(python)
}

fn ran(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}

#[test]
fn python_tuf_reads_our_repository_and_downloads_the_releases() {
    let Some(python) = python() else {
        eprintln!("skipped: no python3 with venv and a package index; set ANDON_PYTHON_TUF");
        return;
    };
    // The reference client has its own clock, so this repository is made for it.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = Time(u64::try_from(now.as_millis()).unwrap());
    let folder = std::env::temp_dir().join(format!("andon-python-tuf-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("metadata")).unwrap();
    std::fs::create_dir_all(folder.join("targets/releases/acme/rules")).unwrap();
    let mut repository = create();
    let acme = VendorId::new("acme").unwrap();
    let first = signed_role(None, 1, &[20, 21]);
    repository.set_role(&acme, &first, now.max(NOW)).unwrap();
    let second = signed_role(Some(&first), 2, &[20, 21]);
    repository.set_role(&acme, &second, now.max(NOW)).unwrap();
    for (name, bytes) in repository.publish(now.max(NOW), VALID, &key(14), &key(15)).unwrap() {
        std::fs::write(folder.join("metadata").join(name), bytes).unwrap();
    }
    for version in [1_u32, 2] {
        let bytes = version.to_be_bytes();
        let name = format!("targets/releases/acme/rules/{}.{version}.json", Digest::of(&bytes));
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python_tuf.py");
    let out = Command::new(&python).arg(script).arg(&folder).output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    let want = "releases/acme/rules/1.json 4 00000001\nreleases/acme/rules/2.json 4 00000002\n\
                LengthOrHashMismatchError";
    assert_eq!(text.trim(), want);
}
