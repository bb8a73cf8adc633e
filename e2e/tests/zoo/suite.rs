//! The public conformance suite (theupdateframework/tuf-conformance), where a checkout of it is given.
use andon_e2e::{programs, skip};
use std::path::PathBuf;
use std::process::Command;

/// Set `ANDON_TUF_CONFORMANCE` to a checkout with the suite installed into `env/` beside it
/// (`python3 -m venv env && env/bin/pip install -e .`), and have `faketime`.
#[test]
fn the_public_conformance_suite_passes() {
    let Some(folder) = std::env::var_os("ANDON_TUF_CONFORMANCE").map(PathBuf::from) else {
        eprintln!("skipped: set ANDON_TUF_CONFORMANCE to a checkout of tuf-conformance");
        return;
    };
    if !programs::installed("faketime") {
        skip("faketime is not installed");
        return;
    }
    let own = folder.join("env/bin/python");
    let python = if own.is_file() { own } else { PathBuf::from("python3") };
    let entry = format!("{} tuf-client", programs::path("andon").unwrap().display());
    let out = Command::new(python)
        .current_dir(&folder)
        .args(["-m", "pytest", "-q", "tuf_conformance", "--entrypoint", &entry])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    let last = said.lines().last().unwrap_or_default();
    eprintln!("tuf-conformance: {last}");
    assert!(out.status.success(), "{said}");
    assert!(last.starts_with("113 passed"), "{last}");
}
