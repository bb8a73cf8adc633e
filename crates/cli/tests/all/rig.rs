//! `andon rig run` with real processes: good components pass, bad ones fail with the reason, and what is
//! signed is what hosts read. Nothing reaches out of the bench.
use crate::common::{Place, Ran};
use andon_model::attestation::{AttestedClass, Finding, Statement, TestOutcome};
use andon_model::envelope::Envelope;
use andon_model::policy::Policy;
use andon_model::release::Manifest;
use andon_model::{Digest, PublicKey};
use andon_trust::envelope::signed_with;
use std::net::TcpListener;

const RULE: &str = "\
title: Marker
id: 5f6c1c9e-7f0b-4f53-9a51-0d4f0c1f8a02
logsource:
  category: process_creation
  product: linux
detection:
  selection:
    CommandLine|contains: 'marker'
  condition: selection
level: high
";

/// A service in Perl, which every Debian has: says that it is ready, and does `then`.
fn service(then: &str) -> String {
    format!(
        "#!/usr/bin/perl\nuse Socket;\nsocket(S, AF_UNIX, SOCK_DGRAM, 0) or die 'socket';\n\
         send(S, 'READY=1', 0, sockaddr_un($ENV{{NOTIFY_SOCKET}})) or die 'send';\n{then}\n"
    )
}

/// The class of this machine.
fn class() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap();
    let value = |key: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim_matches('"').split('.').next().unwrap().to_owned()
    };
    format!("{}/{}{}/bench", std::env::consts::ARCH, value("ID="), value("VERSION_ID="))
}

/// What a rig signs of this machine: its class, the kernel that runs, and what it was told beside.
fn signed_class(more: &str) -> AttestedClass {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    format!("{}/kernel={}{more}", class(), kernel.trim()).parse().unwrap()
}

struct Rig {
    place: Place,
    key: PublicKey,
}

impl Rig {
    fn new() -> Rig {
        let place = Place::new();
        let made =
            place.andon(&["rig", "keys", "--name", "lab", "--out", "lab.json", "--json"]).expect(0);
        let key = serde_json::from_value(made.json()["key"].clone()).unwrap();
        Rig { place, key }
    }
    /// A release of kind files whose validate hook is this script.
    fn hook(&self, script: &str) {
        self.place.write("in/check.sh", script.as_bytes());
        let hook = "/bin/bash {slot}/check.sh";
        self.create(&["--kind", "files", "--validate", hook, "in"]);
    }
    fn service(&self, program: &str, soak: &str) {
        self.place.write("in/run", program.as_bytes());
        let path = self.place.path("in/run");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, mode).unwrap();
        self.create(&["--kind", "service", "--exec", "run", "--soak", soak, "in"]);
    }
    fn create(&self, words: &[&str]) {
        let first = ["release", "create", "--vendor", "acme", "--component", "tool"];
        let _none = std::fs::remove_dir_all(self.place.path("r"));
        self.place.andon(&[&first[..], &["--version", "1", "-o", "r"], words].concat()).expect(0);
    }
    fn run(&self, more: &[&str]) -> Ran {
        let class = class();
        let words = ["rig", "run", "r", "--key", "lab.json", "--class", &class, "-o", "out.jsonl"];
        self.place.andon(&[&words, more].concat())
    }
    /// The findings that were signed, all about the release.
    fn signed(&self) -> Vec<Finding> {
        let bytes = std::fs::read(self.place.path("out.jsonl")).unwrap();
        let release = Digest::of(&std::fs::read(self.place.path("r/manifest.json")).unwrap());
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let findings = lines.flat_map(|line| {
            let envelope = Envelope::parse(line).unwrap();
            assert_eq!(signed_with(&envelope, &[self.key]).len(), 1);
            let statement = Statement::parse(&envelope.payload).unwrap();
            assert!(statement.is_about(&release));
            statement.findings().unwrap()
        });
        findings.collect()
    }
    fn passes(&self, more: &[&str]) {
        let ran = self.run(more).expect(0);
        assert!(ran.out.starts_with("PASSED on "), "{}", ran.out);
        let class = signed_class("");
        let passed = Finding::Test(class.clone(), TestOutcome::Passed);
        assert_eq!(self.signed(), [passed, Finding::Verified(class)]);
    }
    fn fails(&self, more: &[&str], why: &str) {
        let ran = self.run(more).expect(1);
        assert!(ran.out.starts_with("FAILED on ") && ran.out.contains(why), "{why}: {}", ran.out);
        let class = signed_class("");
        assert_eq!(self.signed(), [Finding::Test(class, TestOutcome::Failed)]);
    }
}

#[test]
fn good_components_of_every_kind_pass() {
    let rig = Rig::new();
    rig.hook("test -r \"$(dirname \"$0\")/check.sh\" && echo x > \"$ANDON_STATE/own\"\n");
    rig.passes(&[]);
    rig.service(&service("sleep 60;"), "1s");
    rig.passes(&[]);
    rig.place.write("rules/one.yml", RULE.as_bytes());
    rig.create(&["--kind", "content", "--consumer", "sensor", "rules"]);
    rig.passes(&[]);
}

#[test]
fn a_component_that_ends_badly_hangs_or_eats_memory_fails_with_the_reason() {
    let rig = Rig::new();
    for (script, why) in [
        ("echo broken table >&2; exit 3", "exit status 3; broken table"),
        ("kill -SEGV $$", "signal 11"),
        ("while :; do :; done", "not ended after 1 s"),
        ("sleep 600", "not ended after 1 s"),
        ("exec tail /dev/zero", "memory exhausted"),
    ] {
        rig.hook(script);
        // Only what never ends is given little time: a loaded machine takes its own.
        let time = if why.starts_with("not ended") { "1s" } else { "60s" };
        rig.fails(&["--time", time, "--memory", "256"], why);
    }
    for (program, why) in [
        ("#!/bin/sh\nsleep 60\n".to_owned(), "not ready after 1 s"),
        ("#!/bin/sh\nexit 0\n".to_owned(), "exit status 0 before it was ready"),
        (service("exit 7;"), "exit status 7 after it was ready"),
        (service("kill 'ABRT', $$;"), "signal 6 after it was ready"),
    ] {
        rig.service(&program, "30s");
        let time = if why.starts_with("not ready") { "1s" } else { "60s" };
        rig.fails(&["--time", time], why);
    }
    rig.service("#!/no/such/program\n", "1s");
    rig.fails(&[], "exit status 1 before it was ready");
    // A rule whose condition names nothing: the engine of the hosts refuses it. Made by hand, for
    // `andon release create` refuses it too.
    rig.place.write("rules/one.yml", RULE.as_bytes());
    rig.create(&["--kind", "content", "--consumer", "sensor", "rules"]);
    let broken = RULE.replace("condition: selection", "condition: nothing");
    let path = rig.place.path("r/manifest.json");
    let mut manifest = Manifest::parse(&std::fs::read(&path).unwrap()).unwrap();
    (manifest.files[0].digest, manifest.bundle) =
        (Digest::of(broken.as_bytes()), Digest::of(broken.as_bytes()));
    manifest.files[0].length = broken.len() as u64;
    rig.place.write("r/manifest.json", &serde_json::to_vec(&manifest).unwrap());
    rig.place.write("r/bundle", broken.as_bytes());
    rig.fails(&[], "load-rules: it ended with exit status 1");
}

/// Mutant: rig-without-walls.
#[test]
fn nothing_reaches_out_of_the_bench() {
    let rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (key, outside) = (rig.place.path("lab.json"), rig.place.path("outside"));
    for (what, escape) in [
        ("network", format!("exec 3<>/dev/tcp/127.0.0.1/{port}")),
        ("keys", format!("cat {}", key.display())),
        ("files", format!("echo x > {}", outside.display())),
        ("its own slot", "echo x >> \"$0\"".to_owned()),
        ("another session", "setsid sleep 600".to_owned()),
        ("core dumps", "test \"$(ulimit -c)\" != 0".to_owned()),
    ] {
        rig.hook(&format!("({escape}) && exit 9\nexit 0\n"));
        let ran = rig.run(&[]);
        assert_eq!(ran.code, 0, "{what}: {}{}", ran.out, ran.err);
    }
    assert!(listener.accept().is_err() && !outside.exists());
    // What a component leaves running ends with it.
    rig.hook("sleep 4321.0987 &\nexit 0\n");
    rig.passes(&[]);
    let left = std::fs::read_dir("/proc").unwrap().filter(|entry| {
        let path = entry.as_ref().unwrap().path().join("cmdline");
        std::fs::read(path).is_ok_and(|line| line.ends_with(b"sleep\x004321.0987\0"))
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn what_cannot_be_run_here_is_refused_and_nothing_is_signed() {
    let rig = Rig::new();
    rig.hook("exit 0");
    let other = ["rig", "run", "r", "--key", "lab.json", "-o", "out.jsonl", "--class"];
    for class in ["riscv64/debian12/bench", "x86_64/plan9/bench"] {
        let ran = rig.place.andon(&[&other[..], &[class]].concat()).expect(1);
        assert!(ran.err.contains(&format!("cannot run class {class} here")), "{}", ran.err);
    }
    let ran = rig.place.andon(&[&other[..], &["x86_64/debian12"]].concat()).expect(2);
    assert!(ran.err.contains("ARCH/OS/MODEL"), "{}", ran.err);
    rig.create(&["--kind", "files", "in"]);
    assert!(rig.run(&[]).expect(1).err.contains("nothing that can be run here"));
    rig.create(&["--kind", "service", "--exec", "check.sh '{content:rules}'", "in"]);
    assert!(rig.run(&[]).expect(1).err.contains("needs content of other releases"));
    rig.create(&["--kind", "files", "--validate", "/bin/true", "--architectures", "vax", "in"]);
    assert!(rig.run(&[]).expect(1).err.contains("not made for architecture"));
    rig.hook("exit 0");
    rig.place.write("r/bundle", b"exit 1");
    assert_eq!(rig.run(&[]).code, 1);
    assert!(!rig.place.path("out.jsonl").exists());
}

#[test]
fn a_line_with_rigs_is_laid_out_with_what_its_hosts_will_demand() {
    let place = Place::new();
    let words = ["init", "--operator", "hospital", "--rig", "lab", "--rig", "field"];
    place.andon(&words).expect(0);
    let envelope = Envelope::parse(&std::fs::read(place.path("d/server/policy.json")).unwrap());
    let policy = Policy::parse(&envelope.unwrap().payload).unwrap().attestations;
    let names: Vec<&str> = policy.rigs.iter().map(|rig| rig.name.as_str()).collect();
    assert_eq!((policy.needed, names), (2, vec!["field", "lab"]));
    assert_eq!((policy.demands.len(), policy.demands[0].predicates.len()), (1, 2));
    let shown = place.andon(&["keys", "show", "--json"]).expect(0).json();
    let lab = shown.as_array().unwrap().iter().find(|key| key["key"] == "rigs/lab").unwrap();
    assert_eq!(lab["public"], serde_json::to_value(policy.rigs[1].key).unwrap());
}

#[test]
fn what_runs_on_the_rig_is_signed_with_the_class_and_another_kernel_than_its_own_is_refused() {
    let rig = Rig::new();
    rig.hook("exit 0\n");
    rig.run(&["--sensor", "ab12", "--rung", "ebpf"]).expect(0);
    let full = signed_class("/sensor=ab12/rung=ebpf");
    let passed = Finding::Test(full.clone(), TestOutcome::Passed);
    assert_eq!(rig.signed(), [passed, Finding::Verified(full)]);
    let as_class = |class: &str| {
        let words = ["rig", "run", "r", "--key", "lab.json", "--class", class, "-o", "out.jsonl"];
        rig.place.andon(&words)
    };
    as_class(&signed_class("/rung=ebpf").to_string()).expect(0);
    assert_eq!(rig.signed()[0], Finding::Test(signed_class("/rung=ebpf"), TestOutcome::Passed));
    let ran = as_class(&format!("{}/kernel=0.0.1", class()));
    assert!(ran.code != 0 && ran.err.contains("cannot run class"), "{}", ran.err);
}
