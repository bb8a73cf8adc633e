//! The host's disk: a state folder as a supervisor leaves it, in an ext4 image.
use crate::kit::{Kit, run};
use andon_host::boot_record::BootRecord;
use andon_host::machine::{Event, Machine};
use andon_host::record::{InSlot, Mark, Record};
use andon_host::storage::{FILE_BYTES, Stored, write};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::id::{ComponentId, LineId, OperatorId, RolloutId, VendorId};
use andon_model::pins::{PinnedVendor, Pins};
use andon_model::policy::Person;
use andon_model::release::{Activation, ComponentKind, FileEntry, Hooks, Manifest, Mode, Version};
use andon_model::stop::{Freeze, Party, Scope};
use andon_model::text::Text;
use andon_model::{Digest, Millis, PersonId, Time};
use andon_trust::sign::SigningKey;
use anyhow::{Context as _, Result};
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

const SOAK: Millis = Millis::from_secs(60);
/// What the sensor can do, what kills it, what hangs it.
pub(crate) const GOOD: &str = "input 5\n";
pub(crate) const BAD: &str = "input 21\n";
pub(crate) const HANGS: &str = "input 0\n";

/// What lies on the disk at first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    /// content in slot a: version 1, confirmed long ago
    pub(crate) old: &'static str,
    /// content in slot b: version 2
    pub(crate) new: &'static str,
    /// version 2 was confirmed an hour ago; else it lies staged
    pub(crate) confirmed: bool,
}

/// A state folder in the making.
pub(crate) struct Disk {
    folder: std::path::PathBuf,
    vendor: SigningKey,
    now: Time,
    /// the new content's release
    pub(crate) new: Digest,
}

fn vendor() -> Result<VendorId> {
    VendorId::new("example").context("name a vendor")
}
fn component(name: &str) -> Result<ComponentId> {
    ComponentId::new(name).context("name a component")
}
fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
fn ago(now: Time, seconds: u64) -> Time {
    Time(now.0.saturating_sub(seconds * 1000))
}

impl Disk {
    /// Lays out the folder: the sensor's module, its old content, its new one.
    pub(crate) fn lay_out(kit: &Kit, folder: &Path, content: Content) -> Result<Disk> {
        let (now, vendor_key) = (now(), SigningKey::from_seed([19; 32]));
        let tree = folder.join("tree");
        for name in ["andon/records", "andon/stops"] {
            std::fs::create_dir_all(tree.join(name))?;
        }
        let mut disk = Disk { folder: tree, vendor: vendor_key, now, new: Digest([0; 32]) };
        let mut module = Machine::new();
        confirm(&mut module, ago(now, 90 * 86_400));
        let held = disk.fill(
            "vendor-sensor",
            "a",
            1,
            ComponentKind::Kmod,
            ("vendor_sensor.ko", &kit.module),
        )?;
        disk.record("vendor-sensor", module, [Some(held), None])?;
        let mut rules = Machine::new();
        confirm(&mut rules, ago(now, 30 * 86_400));
        rules.apply(ago(now, 4000), Event::Staged);
        if content.confirmed {
            rules.apply(ago(now, 4000), Event::Activated { soak: SOAK });
            rules.apply(ago(now, 4000), Event::Ready);
            rules.apply(ago(now, 3600), Event::Tick);
        }
        let old = disk.fill(
            "vendor-rules",
            "a",
            1,
            ComponentKind::Content,
            ("content", content.old.as_bytes()),
        )?;
        let new = disk.fill(
            "vendor-rules",
            "b",
            2,
            ComponentKind::Content,
            ("content", content.new.as_bytes()),
        )?;
        disk.new = new.release;
        disk.record("vendor-rules", rules, [Some(old), Some(new)])?;
        disk.keep("boot.record", &BootRecord::NEW)?;
        disk.pin()?;
        Ok(disk)
    }

    fn path(&self, below: &str) -> std::path::PathBuf {
        self.folder.join("andon").join(below)
    }

    fn fill(
        &self,
        name: &str,
        slot: &str,
        version: u32,
        kind: ComponentKind,
        file: (&str, &[u8]),
    ) -> Result<InSlot> {
        let digest = Digest::of(file.1);
        let content = kind == ComponentKind::Content;
        let manifest = Manifest {
            schema: 1,
            vendor: vendor()?,
            component: component(name)?,
            version: Version(version),
            kind,
            mode: Mode::Enforce,
            consumer: if content { Some(component("vendor-sensor")?) } else { None },
            activation: Activation::Restart,
            exec: if content {
                vec![]
            } else {
                vec!["content={content:vendor-rules}/content".to_owned()]
            },
            hooks: Hooks::default(),
            probes: vec![],
            soak: SOAK,
            architectures: vec![],
            origin: Text::default(),
            files: vec![FileEntry {
                path: file.0.to_owned(),
                digest,
                length: file.1.len() as u64,
                executable: false,
            }],
            bundle: digest,
        };
        manifest.check()?;
        let folder = self.path(&format!("slots/{name}/{slot}"));
        std::fs::create_dir_all(folder.join("files"))?;
        let bytes = serde_json::to_vec(&manifest)?;
        std::fs::write(folder.join("manifest.json"), &bytes)?;
        std::fs::write(folder.join("files").join(file.0), file.1)?;
        let release = Digest::of(&bytes);
        let rollout = RolloutId::new("july-19").context("name a rollout")?;
        Ok(InSlot { release, version: Version(version), mark: Mark::of(&rollout, &release) })
    }

    fn record(&self, name: &str, machine: Machine, slots: [Option<InSlot>; 2]) -> Result<()> {
        let record = Record { machine, slots, sequence: 1, ..Record::new(component(name)?) };
        self.keep(&format!("records/{name}"), &record)
    }

    fn keep<T: Stored>(&self, name: &str, record: &T) -> Result<()> {
        let mut file = vec![0; FILE_BYTES];
        write(&mut file, &record.encode())?;
        Ok(std::fs::write(self.path(name), file)?)
    }

    fn pin(&self) -> Result<()> {
        let key = self.vendor.public();
        let operator = SigningKey::from_seed([20; 32]).public();
        let pins = Pins {
            schema: 1,
            line: LineId::Operator(OperatorId::new("hospital")?),
            host: None,
            vouched: self.now,
            platform: vec![SigningKey::from_seed([21; 32]).public()],
            vendors: vec![PinnedVendor {
                vendor: vendor()?,
                keys: vec![key],
                role: vec![key],
                threshold: 1,
            }],
            operator: Some(OperatorId::new("hospital")?),
            operators: vec![operator],
            people: vec![operator],
            roots: vec![Person { person: PersonId::new("ada")?, key: operator }],
            roots_threshold: 1,
            overrides: vec![],
            policy_expires: self.now,
        };
        Ok(std::fs::write(self.path("pins.json"), serde_json::to_vec(&pins)?)?)
    }

    /// The vendor's own freeze of its new content.
    pub(crate) fn freeze(&self) -> Result<Envelope> {
        let freeze = Freeze {
            schema: 1,
            by: Party::Vendor(vendor()?),
            scope: Scope::Release(self.new),
            reason: Text::clipped("it crashes hosts"),
            issued: ago(self.now, 60),
            expires: self.now.plus(Millis::from_secs(86_400)),
        };
        Ok(self.vendor.seal(PayloadType::Freeze, &serde_json::to_vec(&freeze)?))
    }

    /// A stop that the host heard of before it went down.
    pub(crate) fn knows(&self, stop: &Envelope) -> Result<()> {
        Ok(std::fs::write(self.path("stops/freeze.json"), stop.to_bytes())?)
    }

    /// Both copies of the host's own record, spoiled.
    pub(crate) fn spoil(&self) -> Result<()> {
        Ok(std::fs::write(self.path("boot.record"), vec![0xa5; FILE_BYTES])?)
    }

    /// Writes `guard.conf` and makes the image.
    pub(crate) fn image(self, fetch: &str, server: Option<u16>) -> Result<Digest> {
        let mut config =
            format!("state = /state/andon\nrun = /run/andon\nmode = enforce\nfetch = {fetch}\n");
        if let Some(port) = server {
            config.push_str(&format!(
                "server = 10.0.2.2:{port}\ninterface = eth0\naddress = 10.0.2.15/24\ngateway = 10.0.2.2\n"
            ));
        }
        std::fs::write(self.folder.join("guard.conf"), config)?;
        let image = self.folder.with_file_name("disk.img");
        let _old = std::fs::remove_file(&image);
        run(Command::new("mkfs.ext4")
            .args(["-q", "-F", "-d"])
            .arg(&self.folder)
            .arg(&image)
            .arg("24M"))?;
        Ok(self.new)
    }
}

fn confirm(machine: &mut Machine, at: Time) {
    machine.apply(at, Event::Staged);
    machine.apply(at, Event::Activated { soak: SOAK });
    machine.apply(at, Event::Ready);
    machine.apply(at.plus(SOAK), Event::Tick);
}
