//! What a boot comes to, after what the last one left.
use crate::bench::{Bench, key};
use andon_host::boot_record::BootPhase;
use andon_model::Digest;
use andon_model::index::Index;
use andon_model::release::ComponentKind;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

fn enforcing() -> Bench {
    Bench::new().with("mode = enforce")
}

#[test]
fn a_boot_after_nothing_special_allows_what_is_installed() {
    let bench = enforcing();
    let ran = bench.run();
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(bench.allowed(), "{}", ran.said);
    assert_eq!(bench.active_version(), Some(2));
    let boot = bench.boot_record();
    assert_eq!((boot.boots, boot.phase), (4, BootPhase::Running));
    assert!(bench.path("run/guard.json").exists());
    // A folder that somebody has laid out is no place for the machine's own crash records.
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    assert!(!mounts.contains(&bench.path("pstore").display().to_string()), "{mounts}");
}

#[test]
fn a_crash_of_the_host_in_the_watch_period_falls_back_and_is_told_by_name() {
    let bench = enforcing();
    let release = bench.release(1);
    bench.crashed("Panic#1 Part1\nKernel panic - not syncing: Fatal exception\n");
    let ran = bench.run();
    assert_eq!(bench.active_version(), Some(1), "{}", ran.said);
    assert!(bench.allowed());
    assert!(
        ran.said.contains(&format!("tool version 2 ({release}): charged (strong)")),
        "{}",
        ran.said
    );
    // The kernel's words are kept and the store is clear: the next boot charges nothing again.
    assert!(bench.path("state/log/last-crash").exists());
    assert!(!bench.path("pstore/dmesg-efi-179585767901001").exists());
    let ran = bench.run();
    assert!(!ran.said.contains("charged (strong)"), "{}", ran.said);
}

#[test]
fn a_freeze_on_disk_is_obeyed_without_a_network() {
    let bench = enforcing().with("fetch = never");
    bench.keep(&bench.freeze(&key(2)));
    let ran = bench.run();
    assert_eq!(bench.active_version(), Some(1), "{}", ran.said);
    assert!(bench.allowed());
}

#[test]
fn a_freeze_that_nobody_pinned_has_signed_is_named_and_not_obeyed() {
    let bench = enforcing();
    bench.keep(&bench.freeze(&key(9)));
    std::fs::write(bench.path("state/stops/rubbish.json"), b"{\"payload\":").unwrap();
    let ran = bench.run();
    assert_eq!(bench.active_version(), Some(2), "{}", ran.said);
    assert!(ran.said.contains("verify freeze") && ran.said.contains("a stop: "), "{}", ran.said);
    assert!(bench.allowed());
}

/// A line's server with one stop: answers until the test ends.
fn serve(stop: Vec<u8>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let name = Digest::of(&stop);
    let index =
        serde_json::to_vec(&Index { version: 1, stops: vec![name], ..Index::default() }).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            let mut head = BufReader::new(stream.try_clone().unwrap());
            let _read = head.read_line(&mut line);
            let body = if line.contains("index.json") { &index } else { &stop };
            let _gone = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let _gone = stream.write_all(body);
        }
    });
    address
}

#[test]
fn a_freeze_that_is_only_on_the_network_is_fetched_before_anything_starts() {
    let bench = enforcing();
    let address = serve(bench.freeze(&key(2)).to_bytes());
    let bench = bench.with("fetch = always").with(&format!("server = {address}"));
    let ran = bench.run();
    assert_eq!(bench.active_version(), Some(1), "{}", ran.said);
    // Who may stop it is pinned: a server that makes one up is not believed.
    let bench = enforcing();
    let address = serve(bench.freeze(&key(9)).to_bytes());
    let bench = bench.with("fetch = always").with(&format!("server = {address}"));
    let ran = bench.run();
    assert_eq!(bench.active_version(), Some(2), "{}", ran.said);
    assert!(ran.said.contains("verify freeze"), "{}", ran.said);
}

#[test]
fn a_server_that_hangs_costs_two_seconds_and_the_boot_goes_on() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let bench = enforcing().with("fetch = always").with(&format!("server = {address}"));
    let ran = bench.run();
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(ran.said.contains("no stops from the network"), "{}", ran.said);
    assert!(bench.allowed());
}

#[test]
fn a_record_that_cannot_be_read_keeps_the_risky_parts_off_and_the_host_up() {
    for (name, words) in [
        ("boot.record", "boot record cannot be read"),
        ("records/tool", "record of tool cannot be read"),
    ] {
        let bench = enforcing();
        bench.spoil(name);
        let ran = bench.run();
        assert_eq!(ran.code, Some(0), "{}", ran.said);
        assert!(!bench.allowed(), "{name}: {}", ran.said);
        assert!(ran.said.contains(words), "{}", ran.said);
    }
}

/// What could not be made durable is not risked: the next boot would not know of it.
#[test]
fn a_record_that_cannot_be_written_keeps_the_risky_parts_off_and_the_host_up() {
    let bench = enforcing();
    bench.crashed("Kernel panic - not syncing: Fatal exception\n");
    let records = bench.path("state/records/tool");
    let full = std::fs::read(&records).unwrap();
    // A record on a device that refuses every write.
    let status = std::process::Command::new("chattr").arg("+i").arg(&records).status();
    if !status.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this file system has no immutable files, or this is not root");
        return;
    }
    let ran = bench.run();
    let again = std::process::Command::new("chattr").arg("-i").arg(&records).status();
    assert!(again.unwrap().success());
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(!bench.allowed(), "{}", ran.said);
    assert!(ran.said.contains("record of tool cannot be written"), "{}", ran.said);
    assert_eq!(std::fs::read(&records).unwrap(), full);
}

/// The kernel is given nothing but what was signed, and whether it takes that is its own affair: a module
/// that does not load is charged, and the host is up.
#[test]
fn a_module_is_given_to_the_kernel_only_as_it_was_signed() {
    let bench = Bench::of(ComponentKind::Kmod).with("mode = enforce");
    let ran = bench.run();
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(ran.said.contains("tool: off: it cannot be loaded"), "{}", ran.said);
    assert!(!ran.said.contains("is not what its release says"), "{}", ran.said);

    let bench = Bench::of(ComponentKind::Kmod).with("mode = enforce");
    std::fs::write(bench.path("state/slots/tool/b/files/tool.ko"), b"#!/bin/sh\n# 3\n").unwrap();
    let ran = bench.run();
    assert!(ran.said.contains("tool.ko is not what its release says"), "{}", ran.said);
    assert_eq!(bench.active_version(), Some(1), "{}", ran.said);
}

#[test]
fn observing_counts_and_tells_and_changes_nothing() {
    let bench = Bench::new();
    bench.crashed("Kernel panic - not syncing: Fatal exception\n");
    let before = bench.record();
    let ran = bench.run();
    assert_eq!(bench.record(), before, "{}", ran.said);
    assert!(bench.allowed());
    assert_eq!(bench.boot_record().boots, 4);
    assert!(bench.path("pstore/dmesg-efi-179585767901001").exists(), "somebody else reads that");
    assert!(
        ran.said.contains("charged (strong)") && ran.said.contains("mode observe"),
        "{}",
        ran.said
    );
}

/// In an initial file system the state folder may still be mounted read-only.
#[test]
fn observing_keeps_nothing_from_loading_though_the_boot_cannot_be_counted() {
    let bench = Bench::new();
    std::fs::remove_file(bench.path("state/boot.record")).unwrap();
    std::fs::create_dir(bench.path("state/boot.record")).unwrap();
    let ran = bench.run();
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert!(ran.said.contains("boot record not written"), "{}", ran.said);
    assert!(bench.allowed(), "{}", ran.said);
}

#[test]
fn unexplained_ends_of_what_is_confirmed_charge_nothing_once_it_runs() {
    let bench = enforcing();
    bench.confirm_and_charge();
    for _ in 0..6 {
        let ran = bench.run();
        assert!(bench.allowed(), "{}", ran.said);
    }
    assert_eq!(bench.active_version(), Some(2));
}

#[test]
fn a_configuration_that_makes_no_sense_loads_nothing_and_says_why() {
    let bench = enforcing().with("fetch = sometimes");
    let ran = bench.run();
    assert_eq!(ran.code, Some(1), "{}", ran.said);
    assert!(
        ran.said.contains("fetch is never, after-charge or always; nothing risky is loaded"),
        "{}",
        ran.said
    );
    assert!(!bench.allowed());
}
