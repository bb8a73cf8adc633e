//! The public half of a key as a file of its own (`NAME.pub`): what `andon keys list` shows of a key that is encrypted, or that lies elsewhere.
//! Nobody believes it for anything else: what a key may sign stands in anchor, policy and TUF metadata.
use super::{HeldKey, RETIRED};
use crate::files;
use andon_model::{PublicKey, Time};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Largest such file, bytes.
const BYTES_MAX: u64 = 4096;

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublicHalf {
    /// format of this object; 1
    schema: u32,
    /// whose it is: a person or a role
    pub(crate) name: String,
    /// what it is for, for people
    pub(crate) role: String,
    /// the key
    pub(crate) public: PublicKey,
    /// when it was made
    pub(crate) created: Time,
}

impl PublicHalf {
    /// Of a key made at `created`.
    pub(crate) fn of(held: &HeldKey, created: Time) -> PublicHalf {
        PublicHalf {
            schema: 1,
            name: held.name.clone(),
            role: held.role.clone(),
            public: held.key.public(),
            created,
        }
    }

    /// What a file says; `None` where there is none, or it is something else.
    pub(crate) fn read(path: &Path) -> Option<PublicHalf> {
        let bytes = files::read(path, BYTES_MAX).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|half: &PublicHalf| half.schema == 1)
    }

    /// Whether it is that key's: an exchanged file would show people another key than they sign with.
    pub(super) fn is_of(&self, held: &HeldKey) -> bool {
        (&self.name, &self.role, self.public) == (&held.name, &held.role, held.key.public())
    }

    /// As written.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = serde_json::to_vec_pretty(self).unwrap_or_default();
        out.push(b'\n');
        out
    }

    /// Where the public half of a key file lies.
    pub(crate) fn beside(path: &Path) -> PathBuf {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // That of a key that was replaced is kept, too, and stays the key's.
        match name.rsplit_once(RETIRED) {
            Some((name, date)) => {
                let half = path.with_file_name(name).with_extension("pub");
                let name = half.file_name().unwrap_or_default().to_string_lossy();
                half.with_file_name(format!("{name}{RETIRED}{date}"))
            }
            None => path.with_extension("pub"),
        }
    }
}
