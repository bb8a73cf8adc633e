//! Where `andon init` puts things. It knows names only; it reads and writes nothing.
use andon_model::{PersonId, RigId, VendorId, VerifierId};
use std::path::{Path, PathBuf};

/// A folder made by `andon init`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// Of a folder, there or not.
    pub(crate) fn new(dir: &Path) -> Layout {
        Layout { dir: dir.to_owned() }
    }
    /// The folder itself.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
    /// What every host is given out of band.
    pub(crate) fn anchor(&self) -> PathBuf {
        self.dir.join("anchor.json")
    }
    /// What admits new hosts; secret.
    pub(crate) fn join_token(&self) -> PathBuf {
        self.dir.join("join-token")
    }
    /// The policy as people write it.
    pub(crate) fn policy_form(&self) -> PathBuf {
        self.dir.join("policy.toml")
    }
    /// All private keys of people and parties.
    pub(crate) fn keys(&self) -> PathBuf {
        self.dir.join("keys")
    }
    /// A person's daily key: commands, approvals, adopted releases, the cord.
    pub(crate) fn person_key(&self, person: &PersonId) -> PathBuf {
        self.keys().join("people").join(format!("{person}.json"))
    }
    /// A person's offline key: policy only.
    pub(crate) fn operator_root_key(&self, person: &PersonId) -> PathBuf {
        self.keys().join("operator-root").join(format!("{person}.json"))
    }
    /// One of the platform's root keys, counted from 1.
    pub(crate) fn platform_root_key(&self, number: u32) -> PathBuf {
        self.keys().join("platform").join(format!("root-{number}.json"))
    }
    /// The platform's key for delegations to vendors.
    pub(crate) fn platform_targets_key(&self) -> PathBuf {
        self.keys().join("platform").join("targets.json")
    }
    /// The platform's key that may pull the cord.
    pub(crate) fn platform_cord_key(&self) -> PathBuf {
        self.keys().join("platform").join("cord.json")
    }
    /// One of a vendor's keys, counted from 1.
    pub(crate) fn vendor_key(&self, vendor: &VendorId, number: u32) -> PathBuf {
        self.keys().join("vendors").join(vendor.as_str()).join(format!("{number}.json"))
    }
    /// A gate verifier's key; belongs on that verifier's machine, never on the server's.
    pub(crate) fn verifier_key(&self, verifier: &VerifierId) -> PathBuf {
        self.keys().join("verifiers").join(format!("{verifier}.json"))
    }
    /// A rig's key; belongs on that rig, never on the server.
    pub(crate) fn rig_key(&self, rig: &RigId) -> PathBuf {
        self.keys().join("rigs").join(format!("{rig}.json"))
    }
    /// Everything the server needs.
    pub(crate) fn server(&self) -> PathBuf {
        self.dir.join("server")
    }
    /// The server's configuration.
    pub(crate) fn server_config(&self) -> PathBuf {
        self.server().join("andond.toml")
    }
    /// The signed policy the server begins with.
    pub(crate) fn policy(&self) -> PathBuf {
        self.server().join("policy.json")
    }
    /// One of the server's online keys: `online`, `timestamp`, `snapshot`.
    pub(crate) fn server_key(&self, role: &str) -> PathBuf {
        self.server().join("keys").join(format!("{role}.json"))
    }
    /// The key of the line's own public log.
    pub(crate) fn log_key(&self) -> PathBuf {
        self.server().join("keys").join("log.note")
    }
    /// TUF files as served.
    pub(crate) fn tuf(&self) -> PathBuf {
        self.server().join("data").join("tuf")
    }
}
