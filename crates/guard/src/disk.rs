//! What lies in the state folder: the host's own record, the components' records, the manifests in their
//! slots. Read only as far as limits go; written one copy at a time.
use andon_host::Slot;
use andon_host::boot::{OnDisk, Part, RecordOf, Starts, Unit};
use andon_host::boot_record::BootRecord;
use andon_host::record::{self, Record, RecordError};
use andon_host::storage::{self, COPY_BYTES, FILE_BYTES, Storage};
use andon_model::Digest;
use andon_model::id::{ComponentId, VendorId};
use andon_model::limits::{COMPONENTS_MAX, MANIFEST_BYTES_MAX};
use andon_model::release::{ComponentKind, Manifest, Mode};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The state folder.
#[derive(Clone, Debug)]
pub(crate) struct State(pub(crate) PathBuf);

/// A component as it lies there.
#[derive(Debug)]
struct Lying {
    part: Part,
    kind: ComponentKind,
    consumer: Option<ComponentId>,
    module: Option<String>,
}

/// Manifests by slot.
pub(crate) type Manifests = BTreeMap<(ComponentId, &'static str), (Digest, Manifest)>;

/// At most so many bytes of a file.
pub(crate) fn bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("over {limit} bytes")));
    }
    Ok(bytes)
}

impl State {
    pub(crate) fn slot(&self, component: &ComponentId, slot: Slot) -> PathBuf {
        self.0.join("slots").join(component.as_str()).join(slot.name())
    }

    fn record_path(&self, of: RecordOf<'_>) -> PathBuf {
        match of {
            RecordOf::Host => self.0.join("boot.record"),
            RecordOf::Component(name) => self.0.join("records").join(name.as_str()),
        }
    }

    /// Overwrites the older copy, durably.
    pub(crate) fn save(&self, of: RecordOf<'_>, copy: &[u8; COPY_BYTES]) -> Result<(), String> {
        let path = self.record_path(of);
        let file = open_whole(&path).map_err(|why| format!("open {}: {why}", path.display()))?;
        storage::write(&mut Opened(file), copy).map_err(|why| why.to_string())
    }

    /// The host's own record. None on disk at all: a host that never booted with a guard.
    fn boot(&self) -> Option<BootRecord> {
        match File::open(self.record_path(RecordOf::Host)) {
            Ok(file) => storage::read(&mut Opened(file)).ok(),
            Err(why) if why.kind() == io::ErrorKind::NotFound && self.0.is_dir() => {
                Some(BootRecord::NEW)
            }
            Err(_) => None,
        }
    }

    /// Everything that a decision goes by, and the manifests it speaks of.
    pub(crate) fn read(&self) -> (OnDisk, Manifests) {
        let mut manifests = Manifests::new();
        let lying: Vec<Lying> = self
            .components()
            .into_iter()
            .filter_map(|name| self.lying(name, &mut manifests))
            .collect();
        (OnDisk { boot: self.boot(), units: units(lying) }, manifests)
    }

    fn components(&self) -> Vec<ComponentId> {
        let Ok(entries) = std::fs::read_dir(self.0.join("records")) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> =
            names.filter_map(|name| ComponentId::new(&name).ok()).take(COMPONENTS_MAX).collect();
        names.sort();
        names
    }

    fn lying(&self, component: ComponentId, manifests: &mut Manifests) -> Option<Lying> {
        let found = [Slot::A, Slot::B].into_iter().filter_map(|slot| {
            let bytes = bounded(
                &self.slot(&component, slot).join("manifest.json"),
                MANIFEST_BYTES_MAX as u64,
            );
            let bytes = bytes.ok()?;
            let manifest = Manifest::parse(&bytes).ok().filter(|it| it.component == component)?;
            manifests
                .insert((component.clone(), slot.name()), (Digest::of(&bytes), manifest.clone()));
            Some((slot, manifest))
        });
        let found: Vec<(Slot, Manifest)> = found.collect();
        let record = self.record(&component);
        let active = record.as_ref().ok().and_then(|record: &Record| record.machine.active());
        // Nothing could be loaded without a manifest.
        let of =
            |slot: Option<Slot>| found.iter().find(|(at, _)| slot.is_none_or(|slot| slot == *at));
        let (_, now) = of(active).or_else(|| of(None))?;
        let other = found.iter().find(|(at, _)| Some(*at) != active);
        if now.mode == Mode::Observe {
            return None;
        }
        let soak = other.map_or(now.soak, |(_, staged)| staged.soak);
        let part = Part { component, vendor: now.vendor.clone(), record, soak };
        let module = now.module().map(|(_, name)| name);
        Some(Lying { part, kind: now.kind, consumer: now.consumer.clone(), module })
    }

    fn record(&self, component: &ComponentId) -> Result<Record, RecordError> {
        let file = File::open(self.record_path(RecordOf::Component(component)));
        let mut file = Opened(file.map_err(|_| RecordError::File)?);
        let record: Record = storage::read(&mut file).map_err(|why| match why {
            storage::StorageError::Unreadable => RecordError::Unreadable,
            _ => RecordError::File,
        })?;
        record.of(component)
    }
}

/// What has to be loaded together: a module or service with the contents that it reads.
fn units(lying: Vec<Lying>) -> Vec<Unit> {
    let mut units: BTreeMap<ComponentId, Unit> = BTreeMap::new();
    let (contents, others): (Vec<_>, Vec<_>) =
        lying.into_iter().partition(|one| one.kind == ComponentKind::Content);
    let unit = |id: &ComponentId, starts, parts| Unit { id: id.clone(), order: 0, starts, parts };
    for one in others {
        let id = one.part.component.clone();
        let starts = match one.module {
            Some(module) if one.kind == ComponentKind::Kmod => Starts::AtBoot { module },
            _ => Starts::Later,
        };
        units.insert(id.clone(), unit(&id, starts, vec![one.part]));
    }
    for one in contents {
        let id = one.consumer.unwrap_or_else(|| one.part.component.clone());
        let entry = units.entry(id.clone());
        entry.or_insert_with(|| unit(&id, Starts::Later, Vec::new())).parts.push(one.part);
    }
    units.into_values().collect()
}

/// Which vendor's each release is that lies here: whose stops concern it.
pub(crate) fn releases(manifests: &Manifests) -> BTreeMap<Digest, VendorId> {
    manifests.values().map(|(digest, it)| (*digest, it.vendor.clone())).collect()
}

fn open_whole(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    // A partition has its own length; a new file is allocated before it is believed in.
    if file.metadata()?.is_file() && file.metadata()?.len() < FILE_BYTES as u64 {
        file.write_all_at(&[0; FILE_BYTES], 0)?;
        file.sync_all()?;
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
    }
    Ok(file)
}

struct Opened(File);

impl Storage for Opened {
    type Error = io::Error;
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(into, offset)
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

const _: () = assert!(record::FILE_BYTES == FILE_BYTES);
