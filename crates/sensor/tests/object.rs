//! The committed eBPF object is what its source builds: nobody has to trust a binary.
use std::path::Path;
use std::process::Command;

/// The compiler that built the committed object; another one gives other bytes.
const CLANG: &str = "clang version 14.0.6";

#[test]
fn the_committed_object_is_built_from_the_committed_source() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bpf");
    let version = Command::new("clang").arg("--version").output();
    let version = version.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    match version {
        Ok(text) if text.contains(CLANG) => {}
        Ok(text) => {
            eprintln!("skipped: needs {CLANG}, found {}", text.lines().next().unwrap_or("nothing"));
            return;
        }
        Err(_) => return eprintln!("skipped: clang is not installed"),
    }
    if !Path::new("/usr/include/bpf/bpf_helpers.h").exists() {
        return eprintln!("skipped: libbpf-dev is not installed");
    }
    // in another folder, so that a path that leaks into the object shows
    let elsewhere = tempfile::tempdir().unwrap();
    for name in ["process.bpf.c", "build.sh"] {
        std::fs::copy(folder.join(name), elsewhere.path().join(name)).unwrap();
    }
    let built = Command::new("sh").arg(elsewhere.path().join("build.sh")).status().unwrap();
    assert!(built.success());
    let built = std::fs::read(elsewhere.path().join("process.bpf.o")).unwrap();
    let committed = std::fs::read(folder.join("process.bpf.o")).unwrap();
    assert!(built == committed, "run crates/sensor/bpf/build.sh and commit the object");
}
