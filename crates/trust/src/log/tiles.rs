//! Tiles: the files of which a log consists (C2SP tlog-tiles). Their names, the form of a bundle of
//! entries and of a row of hashes. Which of them a growing log writes is in [`super::tiled`].
use andon_model::Digest;
use andon_model::limits::{LOG_ENTRY_BYTES_MAX, LOG_NUMBER_MAX};
use std::fmt;

/// Hashes or entries in a full tile: 2^8, the height is fixed by the specification.
pub const TILE_WIDTH: usize = 256;
/// Levels of hashes that a log can have: 256^8 entries are more than it can count.
pub const TILE_LEVELS: u8 = 8;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TileKind {
    /// the entries themselves
    Entries,
    /// at level 0 hashes of entries, above of full tiles of the level below
    Hashes(u8),
}

/// One tile by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    kind: TileKind,
    index: u64,
    /// 1 to [`TILE_WIDTH`]
    width: usize,
}

/// Why bytes are not the tile they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// too short, too long, or no row of hashes
    #[error("{0} has not the length of that many hashes")]
    Hashes(Tile),
    /// too short, too long, or lengths that do not add up
    #[error("{0} does not hold that many entries")]
    Entries(Tile),
}

impl Tile {
    /// A tile of `kind` at `index` with `width` hashes or entries; `None` beyond what a log can have.
    #[must_use]
    pub fn new(kind: TileKind, index: u64, width: usize) -> Option<Tile> {
        let level = match kind {
            TileKind::Hashes(level) => level,
            TileKind::Entries => 0,
        };
        let possible = level < TILE_LEVELS
            && (1..=TILE_WIDTH).contains(&width)
            && index <= LOG_NUMBER_MAX >> 8 >> (8 * u32::from(level));
        possible.then_some(Tile { kind, index, width })
    }
    /// The tile at `index` of a log of `size` entries, as wide as it is then; `None` where it has
    /// nothing. A partial tile at level l has floor(size / 256^l) mod 256 hashes.
    #[must_use]
    pub fn of(kind: TileKind, index: u64, size: u64) -> Option<Tile> {
        let level = match kind {
            TileKind::Hashes(level) if level < TILE_LEVELS => level,
            TileKind::Hashes(_) => return None,
            TileKind::Entries => 0,
        };
        let there = (size >> (8 * u32::from(level))).checked_sub(index.checked_mul(256)?)?;
        let width = usize::try_from(there).map_or(TILE_WIDTH, |there| there.min(TILE_WIDTH));
        Tile::new(kind, index, width)
    }
    /// What it holds.
    #[must_use]
    pub fn kind(&self) -> TileKind {
        self.kind
    }
    /// Which of its level, from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }
    /// How many hashes or entries.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }
    /// Whether it will never change.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }
    /// The full tile that takes its place when the log has grown.
    #[must_use]
    pub fn full(&self) -> Tile {
        Tile { width: TILE_WIDTH, ..*self }
    }
    /// Reads a path as [`Tile`] writes it, and no other spelling.
    #[must_use]
    pub fn parse(path: &str) -> Option<Tile> {
        let (place, width) = match path.split_once(".p/") {
            Some((place, width)) => (place, width.parse().ok()?),
            None => (path, TILE_WIDTH),
        };
        let mut parts = place.strip_prefix("tile/")?.split('/');
        let kind = match parts.next()? {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes(level.parse().ok()?),
        };
        let mut index = 0_u64;
        for part in parts {
            let digits = part.strip_prefix('x').unwrap_or(part);
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        Tile::new(kind, index, width).filter(|tile| tile.to_string() == path)
    }
    /// A row of hashes, if the bytes are that.
    /// # Errors
    /// [`TileError::Hashes`].
    pub fn hashes(&self, bytes: &[u8]) -> Result<Vec<Digest>, TileError> {
        let (rows, rest) = bytes.as_chunks::<32>();
        if rows.len() != self.width || !rest.is_empty() {
            return Err(TileError::Hashes(*self));
        }
        Ok(rows.iter().copied().map(Digest).collect())
    }
    /// Entries of a bundle, if the bytes are that: each behind its length, a big-endian u16.
    /// # Errors
    /// [`TileError::Entries`].
    pub fn entries<'b>(&self, bytes: &'b [u8]) -> Result<Vec<&'b [u8]>, TileError> {
        let wrong = TileError::Entries(*self);
        let (mut entries, mut rest) = (Vec::with_capacity(self.width), bytes);
        while let Some((length, after)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let (entry, after) = after.split_at_checked(length).ok_or(wrong)?;
            if entries.len() == self.width {
                return Err(wrong);
            }
            entries.push(entry);
            rest = after;
        }
        if entries.len() != self.width || !rest.is_empty() {
            return Err(wrong);
        }
        Ok(entries)
    }
}

/// A row of hashes as written.
#[must_use]
pub fn hash_bytes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// A bundle as written; `None` when an entry is over [`LOG_ENTRY_BYTES_MAX`].
#[must_use]
pub fn bundle_bytes(entries: &[Vec<u8>]) -> Option<Vec<u8>> {
    const { assert!(LOG_ENTRY_BYTES_MAX == u16::MAX as usize) };
    let mut out = Vec::new();
    for entry in entries {
        out.extend(u16::try_from(entry.len()).ok()?.to_be_bytes());
        out.extend(entry);
    }
    Some(out)
}

/// The path below a log's address, for example `tile/0/x001/x234/067` or `tile/entries/000.p/3`.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Entries => f.write_str("tile/entries")?,
            TileKind::Hashes(level) => write!(f, "tile/{level}")?,
        }
        let mut groups = Vec::new();
        let mut rest = self.index;
        while groups.is_empty() || rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for (at, group) in groups.iter().enumerate().rev() {
            write!(f, "/{}{group:03}", if at > 0 { "x" } else { "" })?;
        }
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}
