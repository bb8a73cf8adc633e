//! A state folder as a supervisor leaves it, and the real guard run on it.
use andon_host::boot_record::{BootId, BootPhase, BootRecord, GuardMode};
use andon_host::machine::{Event, Evidence, Machine};
use andon_host::record::{CrashMark, InSlot, Mark, Record};
use andon_host::storage::{self, FILE_BYTES, OFFSETS, Stored};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::id::{ComponentId, LineId, OperatorId, RolloutId, VendorId};
use andon_model::pins::{PinnedVendor, Pins};
use andon_model::policy::Person;
use andon_model::release::{Activation, ComponentKind, FileEntry, Hooks, Manifest, Mode, Version};
use andon_model::stop::{Freeze, Party, Scope};
use andon_model::text::Text;
use andon_model::{Digest, Millis, PersonId, Time};
use andon_trust::sign::SigningKey;
use std::path::{Path, PathBuf};
use std::process::Command;

/// 28 November 2026.
pub(crate) const NOW: Time = Time(1_795_860_000_000);
const SOAK: Millis = Millis::from_secs(600);

pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_seed([n; 32])
}
pub(crate) fn vendor() -> VendorId {
    VendorId::new("acme").unwrap()
}
pub(crate) fn tool() -> ComponentId {
    ComponentId::new("tool").unwrap()
}

/// A host.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    config: String,
    kind: ComponentKind,
}

/// What a run did.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
}

impl Bench {
    /// Release 1 of a service is confirmed; release 2 has been started and has not yet soaked.
    pub(crate) fn new() -> Bench {
        Bench::of(ComponentKind::Service)
    }

    /// The same of a kernel module, which no kernel would take: what it says is not even one.
    pub(crate) fn of(kind: ComponentKind) -> Bench {
        let bench = Bench { folder: tempfile::tempdir().unwrap(), config: String::new(), kind };
        for folder in ["state/records", "state/stops", "pstore", "none"] {
            std::fs::create_dir_all(bench.path(folder)).unwrap();
        }
        let mut machine = Machine::new();
        machine.apply(NOW, Event::Staged);
        machine.apply(NOW, Event::Activated { soak: SOAK });
        machine.apply(NOW, Event::Ready);
        machine.apply(NOW.plus(SOAK), Event::Tick);
        machine.apply(NOW, Event::Staged);
        machine.apply(NOW, Event::Activated { soak: SOAK });
        machine.apply(NOW, Event::Ready);
        let slots = [("a", 1), ("b", 2)].map(|(slot, version)| Some(bench.fill(slot, version)));
        let record = Record { machine, slots, sequence: 7, ..Record::new(tool()) };
        bench.write_record("records/tool", &record);
        let boot = BootRecord {
            boots: 3,
            sequence: 9,
            mode: GuardMode::Enforce,
            phase: BootPhase::Running,
            boot: BootId([1; 16]),
            ..BootRecord::NEW
        };
        bench.write_record("boot.record", &boot);
        let pins = Pins {
            schema: 1,
            line: LineId::Operator(OperatorId::new("clinic").unwrap()),
            host: None,
            vouched: NOW.plus(SOAK),
            platform: vec![key(1).public()],
            vendors: vec![PinnedVendor {
                vendor: vendor(),
                keys: vec![key(2).public()],
                role: vec![key(2).public()],
                threshold: 1,
            }],
            operator: OperatorId::new("clinic").ok(),
            operators: vec![key(3).public()],
            people: vec![key(3).public()],
            roots: vec![Person { person: PersonId::new("ada").unwrap(), key: key(3).public() }],
            roots_threshold: 1,
            overrides: vec![],
            policy_expires: NOW.plus(Millis::from_secs(86_400)),
        };
        std::fs::write(bench.path("state/pins.json"), serde_json::to_vec(&pins).unwrap()).unwrap();
        bench
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// One more line of the configuration.
    pub(crate) fn with(mut self, line: &str) -> Bench {
        self.config.push_str(line);
        self.config.push('\n');
        self
    }

    fn fill(&self, slot: &str, version: u32) -> InSlot {
        let script = format!("#!/bin/sh\n# {version}\n");
        let service = self.kind == ComponentKind::Service;
        let name = if service { "run" } else { "tool.ko" };
        let manifest = Manifest {
            schema: 1,
            vendor: vendor(),
            component: tool(),
            version: Version(version),
            kind: self.kind,
            mode: Mode::Enforce,
            consumer: None,
            activation: Activation::Restart,
            exec: if service { vec![name.to_owned()] } else { vec![] },
            hooks: Hooks::default(),
            probes: vec![],
            soak: SOAK,
            architectures: vec![],
            origin: Text::default(),
            files: vec![FileEntry {
                path: name.to_owned(),
                digest: Digest::of(script.as_bytes()),
                length: script.len() as u64,
                executable: true,
            }],
            bundle: Digest::of(script.as_bytes()),
        };
        let folder = self.path(&format!("state/slots/tool/{slot}"));
        std::fs::create_dir_all(folder.join("files")).unwrap();
        let bytes = serde_json::to_vec(&manifest).unwrap();
        std::fs::write(folder.join("manifest.json"), &bytes).unwrap();
        std::fs::write(folder.join("files").join(name), script).unwrap();
        let release = Digest::of(&bytes);
        let mark = Mark::of(&RolloutId::new("r").unwrap(), &release);
        InSlot { release, version: Version(version), mark }
    }

    fn write_record<T: Stored>(&self, name: &str, record: &T) {
        let mut file = vec![0; FILE_BYTES];
        storage::write(&mut file, &record.encode()).unwrap();
        std::fs::write(self.path("state").join(name), file).unwrap();
    }

    pub(crate) fn record(&self) -> Record {
        let mut file = std::fs::read(self.path("state/records/tool")).unwrap();
        storage::read(&mut file).unwrap()
    }

    pub(crate) fn boot_record(&self) -> BootRecord {
        let mut file = std::fs::read(self.path("state/boot.record")).unwrap();
        storage::read(&mut file).unwrap()
    }

    pub(crate) fn release(&self, slot: usize) -> Digest {
        self.record().slots[slot].unwrap().release
    }

    /// A freeze of release 2 by its vendor, signed with this key.
    pub(crate) fn freeze(&self, by: &SigningKey) -> Envelope {
        let freeze = Freeze {
            schema: 1,
            by: Party::Vendor(vendor()),
            scope: Scope::Release(self.release(1)),
            reason: Text::clipped("it crashes"),
            issued: NOW,
            expires: NOW.plus(Millis::from_secs(20 * 86_400)),
        };
        by.seal(PayloadType::Freeze, &serde_json::to_vec(&freeze).unwrap())
    }

    pub(crate) fn keep(&self, stop: &Envelope) {
        let bytes = stop.to_bytes();
        let path = self.path("state/stops").join(format!("{}.json", Digest::of(&bytes)));
        std::fs::write(path, bytes).unwrap();
    }

    /// The kernel's own record of a crash.
    pub(crate) fn crashed(&self, text: &str) {
        std::fs::write(self.path("pstore/dmesg-efi-179585767901001"), text).unwrap();
    }

    pub(crate) fn spoil(&self, name: &str) {
        for at in OFFSETS {
            let path = self.path("state").join(name);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[usize::try_from(at).unwrap() + 20] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }

    pub(crate) fn run(&self) -> Ran {
        let place = |name: &str| self.path(name).display().to_string();
        let fixed = [
            ("state", "state"),
            ("run", "run"),
            ("pstore", "pstore"),
            ("watchdogs", "none"),
            ("efivars", "none"),
        ];
        let mut config = self.config.clone();
        for (name, folder) in fixed {
            config.push_str(&format!("{name} = {}\n", place(folder)));
        }
        std::fs::write(self.path("guard.conf"), config).unwrap();
        let _run = std::fs::remove_dir_all(self.path("run"));
        let mut guard = Command::new(env!("CARGO_BIN_EXE_andon-guard"));
        let ended = guard.arg("--config").arg(self.path("guard.conf")).output().unwrap();
        Ran { code: ended.status.code(), said: String::from_utf8_lossy(&ended.stderr).into_owned() }
    }

    pub(crate) fn allowed(&self) -> bool {
        is_there(&self.path("run/allow/tool"))
    }

    pub(crate) fn active_version(&self) -> Option<u32> {
        let record = self.record();
        let slot = record.machine.active()?;
        record.slot(slot).map(|held| held.version.0)
    }

    /// As if release 2 had been confirmed, and had then crashed once.
    pub(crate) fn confirm_and_charge(&self) {
        let mut record = self.record();
        record.machine.apply(NOW.plus(SOAK), Event::Tick);
        record.machine.apply(
            NOW.plus(SOAK),
            Event::Charged { evidence: Evidence::Unexplained, frozen: false },
        );
        record.crash = CrashMark::NONE;
        record.sequence += 1;
        self.write_record("records/tool", &record);
    }
}

fn is_there(path: &Path) -> bool {
    path.exists()
}
