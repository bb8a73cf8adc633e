//! A stranger's client reads what we write: python-tuf, the reference implementation.
#![expect(clippy::disallowed_methods, reason = "a foreign program wants files and its own clock")]
use crate::repository::{VALID, create, signed_role};
use crate::world::*;
use andon_model::VendorId;
use andon_model::time::Time;
use std::process::Command;

#[test]
fn python_tuf_reads_our_repository_and_finds_the_release() {
    let python = std::env::var("ANDON_PYTHON_TUF").unwrap_or_else(|_| "python3".to_owned());
    let there = Command::new(&python).args(["-c", "import tuf, securesystemslib"]).output();
    if !there.is_ok_and(|out| out.status.success()) {
        eprintln!("skipped: {python} has no package tuf; set ANDON_PYTHON_TUF to one that has");
        return;
    }
    // The reference client has its own clock, so this repository is made for it.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = Time(u64::try_from(now.as_millis()).unwrap());
    let folder = std::env::temp_dir().join(format!("andon-python-tuf-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("metadata")).unwrap();
    let mut repository = create();
    let acme = VendorId::new("acme").unwrap();
    let first = signed_role(None, 1, &[20, 21]);
    repository.set_role(&acme, &first, now.max(NOW)).unwrap();
    let second = signed_role(Some(&first), 2, &[20, 21]);
    repository.set_role(&acme, &second, now.max(NOW)).unwrap();
    for (name, bytes) in repository.publish(now.max(NOW), VALID, &key(14), &key(15)).unwrap() {
        std::fs::write(folder.join("metadata").join(name), bytes).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python_tuf.py");
    let out = Command::new(&python).arg(script).arg(&folder).output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(text.trim(), "releases/acme/rules/1.json 4\nreleases/acme/rules/2.json 4");
}
