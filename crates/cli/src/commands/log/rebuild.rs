//! A log downloaded and built again: its entries appended to a log of our own, whose tiles and root must be
//! those that are served and signed. What is built once is the memory that a later history must continue.
use crate::client::Client;
use crate::exit::Failure;
use andon_model::limits::{LOG_AUDIT_ENTRIES_MAX, LOG_ENTRY_BYTES_MAX};
use andon_model::merkle::Head;
use andon_trust::log::tiled::{RecoverError, TileFile};
use andon_trust::log::tiles::{TILE_LEVELS, TILE_WIDTH};
use andon_trust::log::{Tile, TileKind, TiledLog};
use std::collections::BTreeMap;

/// Largest tile, bytes: a bundle of the largest entries.
const TILE_BYTES_MAX: usize = TILE_WIDTH * (LOG_ENTRY_BYTES_MAX + 2);

/// What an audit found wrong with a log.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuditError {
    /// neither the tile nor the full one that replaced it
    #[error("{0} is not served")]
    Missing(Tile),
    /// other bytes than its entries give
    #[error("{0} does not hold the hashes of the log's entries")]
    Tile(Tile),
    /// the unfilled tiles
    #[error("read the edge of the log")]
    Edge(#[source] RecoverError),
    /// the entries are not those that were signed
    #[error("entries do not have the root of the checkpoint at size {0}")]
    Root(u64),
    /// smaller, or another history
    #[error("log of {size} entries does not continue the known checkpoint at size {known}")]
    Fork {
        /// now
        size: u64,
        /// at the last audit
        known: u64,
    },
    /// the known checkpoint is of another log
    #[error("the known checkpoint is of log {0:?}")]
    OtherLog(String),
    /// more than we would wait for
    #[error("log has {0} entries, an audit takes at most {LOG_AUDIT_ENTRIES_MAX}")]
    TooLarge(u64),
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Rebuilt {
    log: TiledLog,
    /// filled tiles of hashes that were compared
    full: u64,
    /// unfilled ones
    edge: u64,
}

impl Rebuilt {
    /// What was built so far.
    pub(super) fn head(&self) -> Head {
        self.log.head()
    }

    /// How many tiles of hashes were compared.
    pub(super) fn tiles(&self) -> u64 {
        self.full + self.edge
    }

    /// Appends every entry up to a signed head and compares the tiles that this fills with those served,
    /// then the unfilled ones at the edge. `see` is shown each new entry and its place. `known` is a head
    /// that the log must continue beside what was built.
    /// # Errors
    /// [`AuditError`], or the client's; the value is of no use any more then.
    pub(super) async fn grow(
        &mut self,
        client: &Client,
        head: Head,
        known: Option<Head>,
        mut see: impl FnMut(u64, &[u8]),
    ) -> Result<(), Failure> {
        if head.size > LOG_AUDIT_ENTRIES_MAX {
            return Err(AuditError::TooLarge(head.size).into());
        }
        let forked = |known: u64| AuditError::Fork { size: head.size, known };
        let largest = known.map_or(0, |known| known.size).max(self.log.size());
        if head.size < largest {
            return Err(forked(largest).into());
        }
        for at in self.log.size() >> 8.. {
            let Some(bundle) = Tile::of(TileKind::Entries, at, head.size) else { break };
            let (from, bytes) = fetch(client, &bundle).await?;
            let held = usize::try_from(self.log.size() - (at << 8)).unwrap_or(TILE_WIDTH);
            for entry in from.entries(&bytes)?.into_iter().take(bundle.width()).skip(held) {
                let place = self.log.append(entry)?;
                let differs = |known: &Head| known.size == place + 1 && *known != self.log.head();
                if known.as_ref().is_some_and(differs) {
                    return Err(forked(place + 1).into());
                }
                see(place, entry);
            }
            self.compare_filled(client).await?;
        }
        if self.log.head() != head {
            return Err(AuditError::Root(head.size).into());
        }
        self.edge = edge(client, head).await?;
        Ok(())
    }

    async fn compare_filled(&mut self, client: &Client) -> Result<(), Failure> {
        let filled = |file: &TileFile| file.tile.is_full() && file.tile.kind() != TileKind::Entries;
        for file in self.log.unwritten().into_iter().filter(filled) {
            let (_, bytes) = fetch(client, &file.tile).await?;
            if bytes != file.bytes {
                return Err(AuditError::Tile(file.tile).into());
            }
            self.full += 1;
        }
        self.log.mark_written();
        Ok(())
    }
}

/// Checks that the unfilled tiles lead to the root, as a log that goes on from them would.
async fn edge(client: &Client, head: Head) -> Result<u64, Failure> {
    let kinds = (0..TILE_LEVELS).map(TileKind::Hashes).chain([TileKind::Entries]);
    let mut there = BTreeMap::new();
    for kind in kinds {
        let level = if let TileKind::Hashes(level) = kind { u32::from(level) } else { 0 };
        if let Some(tile) = Tile::of(kind, head.size >> (8 * level) >> 8, head.size) {
            let (from, bytes) = fetch(client, &tile).await?;
            there.insert(from, bytes);
        }
    }
    TiledLog::recover(head, |tile| there.get(tile).cloned()).map_err(AuditError::Edge)?;
    let hashes = there.keys().filter(|tile| tile.kind() != TileKind::Entries);
    Ok(hashes.count() as u64)
}

/// A tile, or the full one that has replaced it meanwhile.
async fn fetch(client: &Client, tile: &Tile) -> Result<(Tile, Vec<u8>), Failure> {
    for from in [*tile, tile.full()] {
        if let Some(bytes) = client.bytes_if_there(&format!("/{from}"), TILE_BYTES_MAX).await? {
            return Ok((from, bytes));
        }
    }
    Err(AuditError::Missing(*tile).into())
}
