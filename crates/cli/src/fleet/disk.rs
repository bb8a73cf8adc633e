//! What of a light host outlives its death: the bytes that a real host keeps on its disk. Everything
//! else is dropped when the host dies as a whole and rebuilt from here. It stands in memory, not on
//! the file system: what is tried here is the host's logic after a crash, not fdatasync.
use andon_host::record;
use andon_host::storage::{self, COPY_BYTES, FILE_BYTES};
use andon_host::{Found, Slot};
use andon_model::host_journal::Which;
use andon_model::release::Manifest;
use andon_model::{ComponentId, Digest, HostId};
use andon_trust::sign::SigningKey;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A light host's disk.
#[derive(Debug)]
pub(super) struct Disk {
    /// slots and state on the real file system
    pub(super) folder: PathBuf,
    /// the host's own key
    pub(super) key: SigningKey,
    /// which of the process's hosts
    pub(super) number: u32,
    /// its id, once enrolled
    pub(super) host: Option<HostId>,
    /// starts so far
    pub(super) boots: u32,
    /// what `andon-trust` remembers against rollback
    pub(super) trust: Option<Vec<u8>>,
    /// newest change among each service and its contents, as the journal has it
    pub(super) newest: BTreeMap<ComponentId, Which>,
    records: BTreeMap<ComponentId, Vec<u8>>,
    manifests: BTreeMap<(ComponentId, Slot), (Digest, Arc<Manifest>)>,
}

impl Disk {
    /// Of a host that was never on.
    pub(super) fn blank(folder: PathBuf, key: SigningKey) -> Disk {
        Disk {
            folder,
            key,
            number: 0,
            host: None,
            boots: 0,
            trust: None,
            newest: BTreeMap::new(),
            records: BTreeMap::new(),
            manifests: BTreeMap::new(),
        }
    }

    /// Where services keep their state, and probes look.
    pub(super) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Overwrites the older copy of a component's record.
    /// # Errors
    /// None but in a record file that is not whole.
    pub(super) fn write_record(
        &mut self,
        component: ComponentId,
        bytes: &[u8; COPY_BYTES],
    ) -> Result<(), String> {
        let file = self.records.entry(component).or_insert_with(|| vec![0; FILE_BYTES]);
        storage::write(file, bytes).map_err(|failed| failed.to_string())
    }

    /// The manifest that lies beside a slot's files.
    pub(super) fn keep_manifest(
        &mut self,
        component: ComponentId,
        slot: Slot,
        release: Digest,
        manifest: Arc<Manifest>,
    ) {
        self.manifests.insert((component, slot), (release, manifest));
    }

    /// The release in a slot.
    pub(super) fn release(&self, component: &ComponentId, slot: Slot) -> Option<Digest> {
        self.manifests.get(&(component.clone(), slot)).map(|(release, _)| *release)
    }

    /// Everything found at start.
    pub(super) fn found(&self) -> Vec<Found> {
        let found = |(component, file): (&ComponentId, &Vec<u8>)| Found {
            component: component.clone(),
            record: record::newest(file, component),
            manifests: [Slot::A, Slot::B]
                .into_iter()
                .filter_map(|slot| self.manifests.get(&(component.clone(), slot)).cloned())
                .collect(),
        };
        self.records.iter().map(found).collect()
    }
}
