//! A growing log as a value: entries go in, files to write come out; and what it was is found again
//! from those files. It keeps the right-hand edge only, 256 hashes a level and one bundle of entries.
//! It writes nothing, signs nothing and has no clock.
use super::tiles::{self, TILE_WIDTH, Tile, TileError, TileKind};
use andon_model::Digest;
use andon_model::limits::{LOG_ENTRY_BYTES_MAX, LOG_NUMBER_MAX};
use andon_model::merkle::{Head, Tree, leaf};

/// See the module's documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TiledLog {
    size: u64,
    /// size as of which everything has been written
    written: u64,
    /// by level: hashes of the tile that is being filled, fewer than [`TILE_WIDTH`]
    edge: Vec<Vec<Digest>>,
    /// entries of the bundle that is being filled
    entries: Vec<Vec<u8>>,
    /// tiles that were filled since
    full: Vec<TileFile>,
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileFile {
    /// which; its text is the path
    pub tile: Tile,
    /// the whole content
    pub bytes: Vec<u8>,
}

/// Why an entry is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// larger than a bundle can say
    #[error("entry has {0} bytes, at most {LOG_ENTRY_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// no number is left
    #[error("log is full")]
    Full,
}

/// Why a log was not found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// neither it nor the full tile that replaced it
    #[error("find {0}")]
    Missing(Tile),
    /// not of that form
    #[error("read a tile")]
    Form(#[from] TileError),
    /// an entry that is not the one whose hash is in the tree
    #[error("{0} holds other entries than the tree")]
    Entries(Tile),
    /// the tiles are another tree's
    #[error("tiles do not have the root of the checkpoint at size {0}")]
    Root(u64),
}

impl TiledLog {
    /// A log without entries.
    #[must_use]
    pub fn new() -> TiledLog {
        TiledLog::default()
    }
    /// How many entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
    /// Size and root.
    #[must_use]
    pub fn head(&self) -> Head {
        Head { size: self.size, root: self.root() }
    }
    /// Takes an entry; its index.
    /// # Errors
    /// [`AppendError`]; nothing has changed then.
    pub fn append(&mut self, entry: &[u8]) -> Result<u64, AppendError> {
        if entry.len() > LOG_ENTRY_BYTES_MAX {
            return Err(AppendError::TooLarge(entry.len()));
        }
        if self.size == LOG_NUMBER_MAX {
            return Err(AppendError::Full);
        }
        let index = self.size;
        self.entries.push(entry.to_vec());
        self.push(leaf(entry));
        self.size += 1;
        if self.entries.len() == TILE_WIDTH {
            let bytes = tiles::bundle_bytes(&self.entries).unwrap_or_default();
            self.fill(TileKind::Entries, index >> 8, bytes);
            self.entries.clear();
        }
        Ok(index)
    }
    /// What must be on disk before a checkpoint of this size may be signed: tiles filled since the
    /// last [`TiledLog::mark_written`], and the partial ones of this size. No order among them.
    #[must_use]
    pub fn unwritten(&self) -> Vec<TileFile> {
        let mut files = self.full.clone();
        if self.written == self.size {
            return files;
        }
        let partial =
            |kind: TileKind, level: u32| Tile::of(kind, self.size >> (8 * level) >> 8, self.size);
        for (level, hashes) in (0_u8..).zip(&self.edge) {
            let shift = 8 * u32::from(level);
            let grew = self.written >> shift != self.size >> shift;
            if let Some(tile) = partial(TileKind::Hashes(level), level.into()).filter(|_| grew) {
                files.push(TileFile { tile, bytes: tiles::hash_bytes(hashes) });
            }
        }
        if let Some(tile) = partial(TileKind::Entries, 0) {
            let bytes = tiles::bundle_bytes(&self.entries).unwrap_or_default();
            files.push(TileFile { tile, bytes });
        }
        files
    }
    /// All of [`TiledLog::unwritten`] is durable now.
    pub fn mark_written(&mut self) {
        self.full.clear();
        self.written = self.size;
    }
    /// The log that a checkpoint of ours names, from its files. `read` gives a tile's bytes if it is
    /// there; a partial tile that is gone is read out of the full one. Only the right-hand edge is
    /// read: tiles to the left of it are believed because their hashes lead to the root.
    /// # Errors
    /// [`RecoverError`].
    pub fn recover(
        head: Head,
        mut read: impl FnMut(&Tile) -> Option<Vec<u8>>,
    ) -> Result<TiledLog, RecoverError> {
        let mut log = TiledLog { size: head.size, written: head.size, ..TiledLog::default() };
        let at = |kind, level: u32| Tile::of(kind, head.size >> (8 * level) >> 8, head.size);
        let mut level = 0_u8;
        while head.size >> (8 * u32::from(level)) > 0 {
            let hashes = match at(TileKind::Hashes(level), level.into()) {
                Some(tile) => {
                    let (from, bytes) = find(&tile, &mut read)?;
                    let mut hashes = from.hashes(&bytes)?;
                    hashes.truncate(tile.width());
                    hashes
                }
                None => Vec::new(),
            };
            log.edge.push(hashes);
            level += 1;
            if level == tiles::TILE_LEVELS {
                break;
            }
        }
        if let Some(tile) = at(TileKind::Entries, 0) {
            let (from, bytes) = find(&tile, &mut read)?;
            let entries = from.entries(&bytes)?;
            log.entries = entries[..tile.width()].iter().map(|entry| entry.to_vec()).collect();
            let hashes = log.entries.iter().map(|entry| leaf(entry));
            if !log.edge.first().is_some_and(|edge| hashes.eq(edge.iter().copied())) {
                return Err(RecoverError::Entries(tile));
            }
        }
        if log.root() != head.root {
            return Err(RecoverError::Root(head.size));
        }
        Ok(log)
    }

    fn push(&mut self, hash: Digest) {
        let (mut hash, mut level) = (hash, 0_u8);
        loop {
            let at = usize::from(level);
            if self.edge.len() == at {
                self.edge.push(Vec::new());
            }
            self.edge[at].push(hash);
            if self.edge[at].len() < TILE_WIDTH {
                return;
            }
            let row = std::mem::take(&mut self.edge[at]);
            let index = self.size >> (8 * u32::from(level)) >> 8;
            self.fill(TileKind::Hashes(level), index, tiles::hash_bytes(&row));
            hash = Tree::new(row).root();
            level += 1;
        }
    }
    fn fill(&mut self, kind: TileKind, index: u64, bytes: Vec<u8>) {
        self.full.extend(Tile::new(kind, index, TILE_WIDTH).map(|tile| TileFile { tile, bytes }));
    }
    /// From the lowest level up: what is left over below is the last, smaller subtree of the level.
    fn root(&self) -> Digest {
        let mut below = None;
        for row in &self.edge {
            let hashes: Vec<Digest> = row.iter().copied().chain(below).collect();
            below = (!hashes.is_empty()).then(|| Tree::new(hashes).root());
        }
        below.unwrap_or(Head::empty().root)
    }
}

fn find(
    tile: &Tile,
    read: &mut impl FnMut(&Tile) -> Option<Vec<u8>>,
) -> Result<(Tile, Vec<u8>), RecoverError> {
    let there = [*tile, tile.full()].into_iter().find_map(|from| Some((from, read(&from)?)));
    there.ok_or(RecoverError::Missing(*tile))
}
