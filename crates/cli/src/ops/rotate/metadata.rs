//! The TUF side of a rotation: a new root, new targets, a vendor's role signed again.
use super::{RotateError, Sheet};
use crate::files::{self, Access};
use crate::keys::{self, Passphrases};
use crate::ops::init::{OFFLINE_VALID, SNAPSHOT_VALID, TIMESTAMP_VALID};
use crate::ops::role::ROLE_VALID;
use andon_model::PublicKey;
use andon_model::limits::TUF_BYTES_MAX;
use andon_trust::repository::{self, Delegation, Repository, Role, Validity};
use andon_trust::sign::SigningKey;
use andon_trust::theft::Holder;
use andon_trust::tuf::check_vendor_role;

impl Sheet<'_> {
    /// What the platform and its vendors sign, if the old key stands there.
    pub(super) fn metadata(&mut self) -> Result<(), RotateError> {
        use Holder::{Delegations, PlatformRoot, Snapshot, Timestamp};
        let root = self.holds(|it| matches!(it, PlatformRoot | Delegations | Snapshot | Timestamp));
        let vendor = self.holds(|it| matches!(it, Holder::Vendor(_)));
        if !root && !vendor {
            return Ok(());
        }
        let tuf = self.order.layout.tuf();
        let read = |name: &str| files::read(&tuf.join(name), TUF_BYTES_MAX as u64).ok();
        let mut made = Repository::load(&mut { read })?;
        if root {
            self.new_root(&mut made)?;
        }
        if vendor || self.holds(|it| matches!(it, Delegations)) {
            self.new_targets(&mut made)?;
        }
        if self.needs.iter().all(super::Need::is_met) {
            self.publish(&mut made)?;
        }
        Ok(())
    }

    fn new_root(&mut self, made: &mut Repository) -> Result<(), RotateError> {
        let (old, new) = (self.order.old.public, self.new.key.public());
        let version = made.rotate_root(&old, &new, self.order.now.plus(OFFLINE_VALID))?;
        let Role { keys, threshold } = self.order.line.top.root.clone();
        self.need(format!("root version {version}"), &keys, threshold);
        let next: Vec<PublicKey> = keys.iter().map(|key| self.replaced(*key)).collect();
        if next != keys {
            self.need(format!("root version {version}, under its own keys"), &next, threshold);
        }
        for held in self.hands().filter(|held| {
            let public = held.key.public();
            keys.contains(&public) || next.contains(&public)
        }) {
            made.sign_root(&held.key)?;
        }
        Ok(())
    }

    /// Top-level targets that name the new key, or are signed by it, and the vendor's role where it needs it.
    fn new_targets(&mut self, made: &mut Repository) -> Result<(), RotateError> {
        let mut changed = Vec::new();
        for Delegation { vendor, role } in &self.order.line.vendors {
            let keys: Vec<PublicKey> = role.keys.iter().map(|key| self.replaced(*key)).collect();
            if keys != role.keys {
                let role = Role { keys, threshold: role.threshold };
                changed.push(Delegation { vendor: vendor.clone(), role });
            }
        }
        for delegation in &changed {
            made.add_vendor(delegation)?;
        }
        if changed.is_empty() {
            made.renew_targets(self.order.now.plus(OFFLINE_VALID))?;
        }
        let version = repository::version_of(&made.targets_bytes())?;
        let Role { keys, threshold } = self.order.line.top.targets.clone();
        let keys: Vec<PublicKey> = keys.iter().map(|key| self.replaced(*key)).collect();
        self.need(format!("targets version {version}"), &keys, threshold);
        for held in self.hands().filter(|held| keys.contains(&held.key.public())) {
            made.sign_targets(&held.key)?;
        }
        for delegation in &changed {
            self.sign_role(made, delegation)?;
        }
        Ok(())
    }

    /// A role that the remaining keys have not signed often enough would be refused by every host.
    fn sign_role(
        &mut self,
        made: &mut Repository,
        delegation: &Delegation,
    ) -> Result<(), RotateError> {
        let Delegation { vendor, role } = delegation;
        let Some(bytes) = made.role(vendor).map(<[u8]>::to_vec) else { return Ok(()) };
        let now = self.order.now;
        if check_vendor_role(&made.targets_bytes(), vendor, &bytes, now).is_ok() {
            return Ok(());
        }
        let mut renewed = repository::vendor_role(Some(&bytes), now.plus(ROLE_VALID), &[])?;
        for held in self.hands().filter(|held| role.keys.contains(&held.key.public())) {
            renewed.sign(&held.key)?;
        }
        let document = format!("role of vendor {vendor}, version {}", renewed.version());
        self.need(document, &role.keys, role.threshold);
        if self.needs.iter().all(super::Need::is_met) {
            made.set_role(vendor, &renewed.to_bytes(), now)?;
        }
        Ok(())
    }

    fn publish(&mut self, made: &mut Repository) -> Result<(), RotateError> {
        let snapshot = self.server_key("snapshot", &Holder::Snapshot)?;
        let timestamp = self.server_key("timestamp", &Holder::Timestamp)?;
        let valid = Validity { snapshot: SNAPSHOT_VALID, timestamp: TIMESTAMP_VALID };
        let served = made.publish(self.order.now, valid, &snapshot, &timestamp)?;
        let tuf = self.order.layout.tuf();
        for (name, bytes) in served {
            let path = tuf.join(&name);
            if name == "timestamp.json" {
                self.change.replace(&path, bytes, Access::Public);
            } else if files::read(&path, TUF_BYTES_MAX as u64).ok().as_ref() != Some(&bytes) {
                self.change.create(&path, bytes, Access::Public);
            }
        }
        self.next.push(
            "start andond again: it serves the new metadata, hosts follow it by themselves"
                .to_owned(),
        );
        Ok(())
    }

    /// The server signs without a person: its keys are here, plain.
    fn server_key(&self, name: &str, holder: &Holder) -> Result<SigningKey, RotateError> {
        if self.holds(|it| it == holder) {
            return Ok(self.new.key.clone());
        }
        Ok(keys::read(&self.order.layout.server_key(name), &Passphrases::default())?.key)
    }
}
