//! The TUF part of a view: what is trusted, and a refresh on its way in (TUF specification 1.0.x,
//! section 5). Roles of vendors are read only when something needs them, each on its own.
use super::need::Need;
use crate::tuf::{Delegated, MetadataSet, Pin, TufError, TufSet, VendorRole};
use andon_model::limits::TUF_ROOT_ROTATIONS_MAX;
use andon_model::release::{Version, target_path};
use andon_model::{ComponentId, Digest, PublicKey, Time, VendorId};
use std::collections::BTreeMap;

/// Most releases whose vendor is remembered for freezes.
const RELEASES_MAX: usize = 4096;
/// Trusted bytes are read again at this moment, so that their age does not count: old metadata
/// still says what must not be older.
const AGELESS: Time = Time(0);

/// Files as they were verified; kept as signed, never re-serialised.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    pub(super) root: Vec<u8>,
    pub(super) timestamp: Vec<u8>,
    pub(super) snapshot: Vec<u8>,
    pub(super) targets: Vec<u8>,
}

/// One vendor.
#[derive(Clone, Debug)]
struct Vendor {
    delegated: Delegated,
    /// what was read of its role, and which role that was
    role: Option<(Pin, VendorRole)>,
}

/// How far a refresh has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Root,
    Timestamp,
    Snapshot(u64),
    Targets(u64),
    Complete,
    GivenUp,
}

#[derive(Debug)]
struct Refresh {
    set: TufSet,
    files: Files,
    rotations: u32,
    stage: Stage,
}

/// What TUF metadata this host trusts.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) files: Files,
    expires: Time,
    vendors: BTreeMap<VendorId, Vendor>,
    releases: BTreeMap<Digest, VendorId>,
    refresh: Option<Refresh>,
}

/// A release that a vendor's role lists.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) vendor: VendorId,
    pub(super) path: String,
    pub(super) length: u64,
    pub(super) expires: Time,
    /// newest version of the component that the role lists
    pub(super) newest: Version,
}

/// The newest version of a component that a vendor's role lists.
fn newest(role: &VendorRole, vendor: &VendorId, component: &ComponentId) -> Option<Version> {
    let first = target_path(vendor, component, Version(0));
    let folder = first.strip_suffix("0.json")?;
    let of = role.targets.range(folder.to_owned()..);
    let of = of.map_while(|(path, _)| path.strip_prefix(folder));
    of.filter_map(|name| name.strip_suffix(".json")?.parse().ok().map(Version)).max()
}

impl Catalogue {
    pub(super) fn new(root: Vec<u8>) -> Catalogue {
        Catalogue {
            files: Files { root, ..Files::default() },
            expires: Time(0),
            vendors: BTreeMap::new(),
            releases: BTreeMap::new(),
            refresh: None,
        }
    }

    /// When the first of root, timestamp, snapshot and targets expires.
    pub(super) fn expires(&self) -> Time {
        self.expires
    }

    pub(super) fn vendor_keys(&self) -> BTreeMap<VendorId, Vec<PublicKey>> {
        self.vendors.iter().map(|(name, v)| (name.clone(), v.delegated.keys.clone())).collect()
    }

    pub(super) fn vendor_roles(&self) -> BTreeMap<VendorId, (Vec<PublicKey>, usize)> {
        let role = |v: &Vendor| (v.delegated.keys.clone(), v.delegated.threshold);
        self.vendors.iter().map(|(name, v)| (name.clone(), role(v))).collect()
    }

    pub(super) fn releases(&self) -> &BTreeMap<Digest, VendorId> {
        &self.releases
    }

    pub(super) fn roles(&self) -> BTreeMap<VendorId, (Pin, VendorRole)> {
        let read = |(name, v): (&VendorId, &Vendor)| Some((name.clone(), v.role.clone()?));
        self.vendors.iter().filter_map(read).collect()
    }

    /// Whether nothing is trusted yet but the anchor's root.
    pub(super) fn is_cold(&self) -> bool {
        self.files.timestamp.is_empty()
    }

    /// Version of the trusted root.
    pub(super) fn root_version(&self) -> u64 {
        TufSet::from_root(&self.files.root).map_or(1, |set| set.root_version())
    }

    /// Forgets what is only needed while files come in.
    pub(super) fn end_refresh(&mut self) {
        self.refresh = None;
    }

    /// What the refresh wants next, if the index names another timestamp than the trusted one.
    pub(super) fn need(&mut self, listed: Option<Digest>) -> Option<Need> {
        if self.refresh.is_none() {
            if listed? == Digest::of(&self.files.timestamp) {
                return None;
            }
            let set = TufSet::from_root(&self.files.root).ok()?;
            let files = self.files.clone();
            self.refresh = Some(Refresh { set, files, rotations: 0, stage: Stage::Root });
        }
        let refresh = self.refresh.as_ref()?;
        match refresh.stage {
            Stage::Root => Some(Need::Root(refresh.set.root_version() + 1)),
            Stage::Timestamp => Some(Need::Timestamp),
            Stage::Snapshot(version) => Some(Need::Snapshot(version)),
            Stage::Targets(version) => Some(Need::Targets(version)),
            Stage::Complete | Stage::GivenUp => None,
        }
    }

    /// The chain of roots ends here.
    pub(super) fn no_more_roots(&mut self) {
        if let Some(refresh) = &mut self.refresh {
            refresh.stage = Stage::Timestamp;
        }
    }

    /// Something of the refresh did not come, or is not to be trusted: what was trusted stays.
    pub(super) fn give_up(&mut self) {
        if let Some(refresh) = &mut self.refresh {
            refresh.stage = Stage::GivenUp;
        }
    }

    pub(super) fn take_root(&mut self, bytes: Vec<u8>) -> Result<(), TufError> {
        let Some(refresh) = &mut self.refresh else { return Ok(()) };
        refresh.set.update_root(&bytes)?;
        refresh.files.root = bytes;
        refresh.rotations += 1;
        if refresh.rotations >= TUF_ROOT_ROTATIONS_MAX {
            refresh.stage = Stage::Timestamp;
        }
        Ok(())
    }

    /// True once everything above the vendors' roles is in force.
    pub(super) fn take_timestamp(&mut self, bytes: Vec<u8>, now: Time) -> Result<bool, TufError> {
        let Some(refresh) = &mut self.refresh else { return Ok(false) };
        // What was trusted before comes first: the core then refuses anything older. After a root
        // that took its keys' trust away it is refused itself, and no longer counts (5.3.11).
        let _rotated_away = refresh.set.update_timestamp(&refresh.files.timestamp, AGELESS);
        let _rotated_away = refresh.set.update_snapshot(&refresh.files.snapshot, AGELESS);
        let before = refresh.set.timestamp_version();
        let snapshot = refresh.set.update_timestamp(&bytes, now)?;
        if refresh.set.timestamp_version() != before {
            refresh.files.timestamp = bytes;
        }
        if refresh.set.snapshot_version() == snapshot {
            return self.snapshot_stands(now);
        }
        refresh.stage = Stage::Snapshot(snapshot);
        Ok(false)
    }

    pub(super) fn take_snapshot(&mut self, bytes: Vec<u8>, now: Time) -> Result<bool, TufError> {
        let Some(refresh) = &mut self.refresh else { return Ok(false) };
        refresh.set.update_snapshot(&bytes, now)?;
        refresh.files.snapshot = bytes;
        self.snapshot_stands(now)
    }

    /// The targets that we hold may be those that the snapshot names.
    fn snapshot_stands(&mut self, now: Time) -> Result<bool, TufError> {
        let Some(refresh) = &mut self.refresh else { return Ok(false) };
        refresh.stage = Stage::Targets(refresh.set.targets_version()?);
        match refresh.set.update_targets(&refresh.files.targets, now) {
            Ok(vendors) => self.adopt(vendors, now).map(|()| true),
            Err(_) => Ok(false),
        }
    }

    pub(super) fn take_targets(&mut self, bytes: Vec<u8>, now: Time) -> Result<bool, TufError> {
        let Some(refresh) = &mut self.refresh else { return Ok(false) };
        let vendors = refresh.set.update_targets(&bytes, now)?;
        refresh.files.targets = bytes;
        self.adopt(vendors, now).map(|()| true)
    }

    /// The refresh is complete and takes the place of what was trusted before. A vendor's role that
    /// is still the one named, under the same keys, need not be read again.
    fn adopt(&mut self, vendors: BTreeMap<VendorId, Delegated>, now: Time) -> Result<(), TufError> {
        let Some(refresh) = &mut self.refresh else { return Ok(()) };
        refresh.set.authorised(now)?;
        refresh.stage = Stage::Complete;
        self.files = refresh.files.clone();
        self.expires = refresh.set.expires();
        let mut old = std::mem::take(&mut self.vendors);
        for (name, delegated) in vendors {
            let before = old.remove(&name).filter(|v| {
                v.delegated.keys == delegated.keys && v.delegated.threshold == delegated.threshold
            });
            let role = before.and_then(|v| v.role);
            self.vendors.insert(name, Vendor { delegated, role });
        }
        let known = &self.vendors;
        self.releases.retain(|_, vendor| known.contains_key(vendor));
        Ok(())
    }

    /// The vendor's current role, if it was read.
    fn current(vendor: &Vendor) -> Option<&VendorRole> {
        let (pin, role) = vendor.role.as_ref()?;
        (vendor.delegated.pin.as_ref() == Some(pin)).then_some(role)
    }

    /// Whether this vendor has published something that was not read yet.
    pub(super) fn unread(&self, vendor: &VendorId) -> bool {
        let unread = |v: &Vendor| v.delegated.pin.is_some() && Catalogue::current(v).is_none();
        self.vendors.get(vendor).is_some_and(unread)
    }

    /// Vendors that have published something that was not read yet.
    pub(super) fn all_unread(&self) -> impl Iterator<Item = &VendorId> {
        self.vendors.keys().filter(|name| self.unread(name))
    }

    /// Version of the vendor's role as the snapshot names it.
    pub(super) fn role_version(&self, vendor: &VendorId) -> u64 {
        let pin = self.vendors.get(vendor).and_then(|v| v.delegated.pin);
        pin.map_or(0, |pin| pin.version)
    }

    /// One that has a refresh under way, from a root that was read already.
    pub(super) fn refreshing(root: Vec<u8>, set: TufSet) -> Catalogue {
        let mut catalogue = Catalogue::new(root);
        let files = catalogue.files.clone();
        catalogue.refresh = Some(Refresh { set, files, rotations: 0, stage: Stage::Root });
        catalogue
    }

    /// Versions of root, timestamp, snapshot and targets, while a refresh is held; else zeros.
    pub(super) fn versions(&self) -> [u64; 4] {
        self.refresh.as_ref().map_or([0; 4], |Refresh { set, .. }| {
            let targets = set.targets_version().unwrap_or(0);
            [set.root_version(), set.timestamp_version(), set.snapshot_version(), targets]
        })
    }

    /// One vendor's role; others neither wait for it nor fall with it.
    pub(super) fn take_vendor(
        &mut self,
        name: &VendorId,
        bytes: &[u8],
        now: Time,
    ) -> Result<(), TufError> {
        if !self.refresh.as_ref().is_some_and(|r| r.stage == Stage::Complete) {
            let set = self.trusted_set(now)?;
            let files = self.files.clone();
            self.refresh = Some(Refresh { set, files, rotations: 0, stage: Stage::Complete });
        }
        let Some(refresh) = &mut self.refresh else { return Ok(()) };
        let role = refresh.set.update_vendor(name, bytes, now)?;
        let vendor = self.vendors.get_mut(name).ok_or(TufError::Order("delegation"))?;
        for file in role.targets.values() {
            if self.releases.len() < RELEASES_MAX {
                self.releases.insert(file.digest, name.clone());
            }
        }
        vendor.role = vendor.delegated.pin.map(|pin| (pin, role));
        Ok(())
    }

    /// What is trusted, read again: a later round may need another vendor's role.
    fn trusted_set(&self, now: Time) -> Result<TufSet, TufError> {
        let mut set = TufSet::from_root(&self.files.root)?;
        set.update_timestamp(&self.files.timestamp, now)?;
        set.update_snapshot(&self.files.snapshot, now)?;
        set.update_targets(&self.files.targets, now)?;
        Ok(set)
    }

    /// The vendor whose current role lists this release as that version of that component.
    pub(super) fn find(
        &self,
        release: &Digest,
        component: &ComponentId,
        version: Version,
    ) -> Option<Listed> {
        self.vendors.iter().find_map(|(name, vendor)| {
            let role = Catalogue::current(vendor)?;
            let path = target_path(name, component, version);
            let file = role.targets.get(&path).filter(|file| file.digest == *release)?;
            let (length, expires) = (file.length, role.expires);
            let newest = newest(role, name, component).unwrap_or(version);
            Some(Listed { vendor: name.clone(), path, length, expires, newest })
        })
    }

    /// Takes over what a record says, as far as it verifies under the record's root.
    pub(super) fn restore(
        &mut self,
        files: Files,
        roles: BTreeMap<VendorId, (Pin, VendorRole)>,
        releases: BTreeMap<Digest, VendorId>,
    ) -> Result<(), TufError> {
        let mut set = TufSet::from_root(&files.root)?;
        self.files.root.clone_from(&files.root);
        self.releases = releases;
        if files.timestamp.is_empty() {
            return Ok(());
        }
        set.update_timestamp(&files.timestamp, AGELESS)?;
        set.update_snapshot(&files.snapshot, AGELESS)?;
        let vendors = set.update_targets(&files.targets, AGELESS)?;
        self.expires = set.expires();
        self.files = files;
        let mut roles = roles;
        for (name, delegated) in vendors {
            let role = roles.remove(&name);
            self.vendors.insert(name, Vendor { delegated, role });
        }
        Ok(())
    }
}
