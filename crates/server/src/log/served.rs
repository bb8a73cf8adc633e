//! What is served of the log: a checkpoint as it was cosigned, and proofs under it, made when they are
//! first asked for.
use super::LineLog;
use super::book::read_tile;
use crate::deliver::{Cache, Item};
use andon_model::Digest;
use andon_model::merkle;
use andon_trust::log::{LogProof, SignedCheckpoint, TileTree};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// See the module's documentation.
#[derive(Debug)]
pub struct Served {
    checkpoint: SignedCheckpoint,
    /// by the hash of the entry; at most one for each release
    proofs: Mutex<BTreeMap<Digest, Item>>,
}

impl Served {
    pub(super) fn new(checkpoint: SignedCheckpoint) -> Served {
        Served { checkpoint, proofs: Mutex::default() }
    }

    /// The checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// The checkpoint as a file.
    #[must_use]
    pub fn item(&self) -> Item {
        item(self.checkpoint.to_text())
    }

    /// A proof that the log holds this entry; `None` while the checkpoint does not cover it.
    #[must_use]
    pub fn proof(&self, log: &LineLog, leaf: Digest) -> Option<Item> {
        let mut proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = proofs.get(&leaf) {
            return Some(known.clone());
        }
        let head = self.checkpoint.checkpoint().head;
        let index = log.place(&leaf).filter(|index| *index < head.size)?;
        let mut tree = TileTree::new(head.size, |tile| read_tile(log.folder(), tile));
        let hashes = tree.inclusion(index).ok()?;
        // Tiles that were damaged meanwhile prove nothing; hosts would say so, each of them.
        if !merkle::verify(&head.root, head.size, index, &leaf, &hashes) {
            return None;
        }
        let checkpoint = self.checkpoint.clone();
        let made = item(LogProof { extra: None, index, hashes, checkpoint }.to_text());
        proofs.insert(leaf, made.clone());
        Some(made)
    }
}

fn item(text: String) -> Item {
    let digest = Digest::of(text.as_bytes());
    Item { bytes: text.into_bytes().into(), digest, cache: Cache::Revalidate }
}
