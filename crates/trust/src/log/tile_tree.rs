//! Proofs and roots out of tiles (C2SP tlog-tiles, "Merkle Tree"; RFC 9162, section 2.1). The tiles
//! are somebody's files: whoever gets a proof verifies it, here nothing is believed or refused.
use super::tiles::{TILE_WIDTH, Tile, TileError, TileKind};
use andon_model::Digest;
use andon_model::merkle::{Head, Tree, inner};

/// The tree of a log of some size, read tile by tile.
#[derive(Debug)]
pub struct TileTree<R> {
    size: u64,
    read: R,
}

/// Why there is no root or proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileTreeError {
    /// neither it nor the full tile that replaced it
    #[error("find {0}")]
    Missing(Tile),
    /// not of that form
    #[error("read a tile")]
    Form(#[from] TileError),
    /// an index, or an old size, beyond the log
    #[error("{asked} is beyond a log of {size} entries")]
    Beyond {
        /// what was asked
        asked: u64,
        /// what there is
        size: u64,
    },
}

impl<R: FnMut(&Tile) -> Option<Vec<u8>>> TileTree<R> {
    /// The tree over the first `size` entries; `read` gives a tile's bytes if it is there.
    pub fn new(size: u64, read: R) -> TileTree<R> {
        TileTree { size, read }
    }
    /// Size and root.
    /// # Errors
    /// [`TileTreeError`].
    pub fn head(&mut self) -> Result<Head, TileTreeError> {
        if self.size == 0 {
            return Ok(Head::empty());
        }
        Ok(Head { size: self.size, root: self.subtree(0, self.size)? })
    }
    /// The hashes beside the way from an entry to the root, lowest first (section 2.1.3.1).
    /// # Errors
    /// [`TileTreeError`].
    pub fn inclusion(&mut self, index: u64) -> Result<Vec<Digest>, TileTreeError> {
        if index >= self.size {
            return Err(TileTreeError::Beyond { asked: index, size: self.size });
        }
        let (mut start, mut end, mut proof) = (0, self.size, Vec::new());
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                proof.push(self.subtree(middle, end)?);
                end = middle;
            } else {
                proof.push(self.subtree(start, middle)?);
                start = middle;
            }
        }
        proof.reverse();
        Ok(proof)
    }
    /// That the first `old` entries are what they were (section 2.1.4.1); empty for 0 and for all.
    /// # Errors
    /// [`TileTreeError`].
    pub fn consistency(&mut self, old: u64) -> Result<Vec<Digest>, TileTreeError> {
        if old > self.size {
            return Err(TileTreeError::Beyond { asked: old, size: self.size });
        }
        let (mut start, mut end, mut proof) = (0, self.size, Vec::new());
        if old == 0 {
            return Ok(proof);
        }
        while old < end {
            let middle = start + split(end - start);
            if old <= middle {
                proof.push(self.subtree(middle, end)?);
                end = middle;
            } else {
                proof.push(self.subtree(start, middle)?);
                start = middle;
            }
        }
        // a whole old tree is known to whoever asks; any other begins with its last whole subtree
        if start > 0 {
            proof.push(self.subtree(start, end)?);
        }
        proof.reverse();
        Ok(proof)
    }

    /// Root over entries `start` to `end`: whole and in its place, or at the log's right-hand edge.
    fn subtree(&mut self, start: u64, end: u64) -> Result<Digest, TileTreeError> {
        let count = end - start;
        if !count.is_power_of_two() {
            let middle = start + split(count);
            return Ok(inner(&self.subtree(start, middle)?, &self.subtree(middle, end)?));
        }
        let height = count.trailing_zeros();
        let level = height / 8;
        let first = start >> (8 * level);
        let kind = TileKind::Hashes(u8::try_from(level).unwrap_or(u8::MAX));
        let tile = Tile::of(kind, first / TILE_WIDTH as u64, self.size)
            .ok_or(TileTreeError::Beyond { asked: end, size: self.size })?;
        let hashes = self.hashes(&tile)?;
        let from = usize::try_from(first % TILE_WIDTH as u64).unwrap_or(TILE_WIDTH);
        let row = hashes.get(from..from + (1 << (height % 8)));
        let row = row.ok_or(TileTreeError::Beyond { asked: end, size: self.size })?;
        Ok(Tree::new(row.to_vec()).root())
    }

    fn hashes(&mut self, tile: &Tile) -> Result<Vec<Digest>, TileTreeError> {
        for from in [*tile, tile.full()] {
            if let Some(bytes) = (self.read)(&from) {
                return Ok(from.hashes(&bytes)?);
            }
        }
        Err(TileTreeError::Missing(*tile))
    }
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}
