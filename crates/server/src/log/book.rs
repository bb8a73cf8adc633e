//! The log on disk: `tile/`; `sealed`, the newest checkpoint that the log's own key signed; `checkpoint`, the
//! newest that is cosigned as demanded, which is the one that is served. Tiles are durable before the checkpoint that covers them, the checkpoint before anybody hears of it. What a
//! crash leaves beyond the checkpoint is written again, with the same bytes or longer.
//! It asks no witness and knows no journal.
use crate::durable;
use andon_model::Digest;
use andon_model::limits::{
    LINE_ENTRY_BYTES_MAX, LINE_LOG_ENTRIES_MAX, LOG_ENTRY_BYTES_MAX, NOTE_BYTES_MAX,
};
use andon_model::log_entry::LogEntry;
use andon_model::merkle::{Head, leaf};
use andon_trust::log::checkpoint::CheckpointError;
use andon_trust::log::tile_tree::TileTreeError;
use andon_trust::log::tiled::{AppendError, RecoverError};
use andon_trust::log::tiles::{TILE_WIDTH, TileError};
use andon_trust::log::verified::{self, LogRefusal};
use andon_trust::log::{
    Checkpoint, NoteKey, NoteSignature, Policy, SignedCheckpoint, Tile, TileKind, TileTree,
    TiledLog,
};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Largest tile, bytes: a bundle of entries as large as any log may have.
pub const TILE_BYTES_MAX: usize = TILE_WIDTH * (LOG_ENTRY_BYTES_MAX + 2);

/// See the module's documentation.
#[derive(Debug)]
pub struct Book {
    folder: PathBuf,
    key: NoteKey,
    log: TiledLog,
    /// place of every entry by its hash in the tree
    places: BTreeMap<Digest, u64>,
    /// the newest checkpoint, durable; with the cosignatures that have come
    sealed: SignedCheckpoint,
}

/// Why the log cannot be kept. After a failed write it is taken up again at the next start only.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// a file
    #[error("read or write {0}")]
    Disk(PathBuf, #[source] io::Error),
    /// tiles and no checkpoint: a log begun anew would show another history
    #[error("{0} is missing and there are tiles; bring it back, or take a new log key and folder")]
    Lost(PathBuf),
    /// not a checkpoint
    #[error("read {0}")]
    Checkpoint(PathBuf, #[source] CheckpointError),
    /// another key's
    #[error("{0} is not the checkpoint of the configured log key")]
    Foreign(PathBuf, #[source] LogRefusal),
    /// an old copy of the folder
    #[error(
        "the log has {size} entries and its cosigned checkpoint {known}; bring the newer folder back"
    )]
    Behind {
        /// as cosigned
        known: u64,
        /// as sealed
        size: u64,
    },
    /// tiles that do not lead to the checkpoint
    #[error("take the log up from its tiles")]
    Recover(#[from] RecoverError),
    /// a bundle of entries that is none
    #[error("read entries")]
    Tile(#[from] TileError),
    /// entries that are not those of the tree
    #[error("entries do not have the root of the checkpoint at size {0}")]
    Entries(u64),
    /// an entry that no log takes
    #[error("append entry")]
    Append(#[from] AppendError),
    /// more than the server holds
    #[error("the log has {LINE_LOG_ENTRIES_MAX} entries; begin a new one with a new key")]
    Full,
}

impl Book {
    /// Takes the log up again, or begins it: with the checkpoint of no entries, before any tile.
    /// # Errors
    /// [`BookError`].
    pub fn open(folder: &Path, key: &NoteKey) -> Result<Book, BookError> {
        let path = folder.join("sealed");
        let there = path.try_exists().map_err(|why| BookError::Disk(path.clone(), why))?;
        if !there {
            if folder.join("tile").exists() {
                return Err(BookError::Lost(path));
            }
            let sealed = seal(key, Head::empty(), &path)?;
            write(&path, sealed.to_text().as_bytes())?;
        }
        let sealed = read_checkpoint(&path, key)?;
        let head = sealed.checkpoint().head;
        let log = TiledLog::recover(head, |tile| read_tile(folder, tile))?;
        let places = places(folder, head)?;
        Ok(Book { folder: folder.to_owned(), key: key.clone(), log, places, sealed })
    }

    /// Appends the entries that are not there yet, and seals the log if it has grown. True: it has.
    /// # Errors
    /// [`BookError`]; the value must not be used any more then.
    pub fn take(&mut self, entries: &[LogEntry]) -> Result<bool, BookError> {
        for entry in entries {
            let bytes = entry.to_bytes();
            if self.places.contains_key(&leaf(&bytes)) {
                continue;
            }
            if self.log.size() >= LINE_LOG_ENTRIES_MAX {
                return Err(BookError::Full);
            }
            let place = self.log.append(&bytes)?;
            self.places.insert(leaf(&bytes), place);
        }
        if self.log.head() == self.sealed.checkpoint().head {
            return Ok(false);
        }
        for file in self.log.unwritten() {
            write(&self.folder.join(file.tile.to_string()), &file.bytes)?;
        }
        self.log.mark_written();
        let path = self.folder.join("sealed");
        let sealed = seal(&self.key, self.log.head(), &path)?;
        write(&path, sealed.to_text().as_bytes())?;
        self.sealed = sealed;
        Ok(true)
    }

    /// The newest checkpoint.
    #[must_use]
    pub fn sealed(&self) -> &SignedCheckpoint {
        &self.sealed
    }

    /// The newest checkpoint that was cosigned as demanded, from disk.
    /// # Errors
    /// [`BookError`]; one that is ahead of the log says that the log was brought back from a backup.
    pub fn cosigned(&self) -> Result<Option<SignedCheckpoint>, BookError> {
        let path = self.folder.join("checkpoint");
        if !path.try_exists().map_err(|why| BookError::Disk(path.clone(), why))? {
            return Ok(None);
        }
        let cosigned = read_checkpoint(&path, &self.key)?;
        let (known, size) = (cosigned.checkpoint().head.size, self.log.size());
        if known > size {
            return Err(BookError::Behind { known, size });
        }
        Ok(Some(cosigned))
    }

    /// Makes the newest checkpoint, with its cosignatures, the one to serve after a restart.
    /// # Errors
    /// [`BookError::Disk`].
    pub fn keep_cosigned(&self) -> Result<(), BookError> {
        write(&self.folder.join("checkpoint"), self.sealed.to_text().as_bytes())
    }

    /// A witness's line over the newest checkpoint. In memory only: it is asked for again.
    pub fn add(&mut self, line: NoteSignature) {
        self.sealed.add(line);
    }

    /// Entries from this place on, by their hashes.
    pub fn places_from(&self, first: u64) -> impl Iterator<Item = (Digest, u64)> {
        let new = self.places.iter().filter(move |(_, place)| **place >= first);
        new.map(|(leaf, place)| (*leaf, *place))
    }

    /// That the first `old` entries are what they were.
    /// # Errors
    /// [`TileTreeError`].
    pub fn consistency(&self, old: u64) -> Result<Vec<Digest>, TileTreeError> {
        let size = self.sealed.checkpoint().head.size;
        TileTree::new(size, |tile| read_tile(&self.folder, tile)).consistency(old)
    }
}

/// A checkpoint of ours on disk.
/// # Errors
/// [`BookError`].
pub fn read_checkpoint(path: &Path, key: &NoteKey) -> Result<SignedCheckpoint, BookError> {
    let bytes = read_limited(path, NOTE_BYTES_MAX);
    let bytes = bytes.map_err(|why| BookError::Disk(path.to_owned(), why))?;
    let signed = SignedCheckpoint::parse(&bytes)
        .map_err(|why| BookError::Checkpoint(path.to_owned(), why))?;
    verified::checkpoint(&signed, &Policy::unwitnessed(vec![key.verifier().clone()]))
        .map_err(|why| BookError::Foreign(path.to_owned(), why))?;
    Ok(signed)
}

/// A tile's bytes, if it is there.
#[must_use]
pub fn read_tile(folder: &Path, tile: &Tile) -> Option<Vec<u8>> {
    read_limited(&folder.join(tile.to_string()), TILE_BYTES_MAX).ok()
}

fn read_limited(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    if std::fs::metadata(path)?.len() > limit as u64 {
        return Err(io::Error::other(format!("it has over {limit} bytes")));
    }
    std::fs::read(path)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), BookError> {
    durable::write(path, bytes).map_err(|why| BookError::Disk(path.to_owned(), why))
}

fn seal(key: &NoteKey, head: Head, path: &Path) -> Result<SignedCheckpoint, BookError> {
    let origin = key.verifier().name().to_owned();
    let sealed = key.seal(&Checkpoint { origin, head, extensions: Vec::new() }, 0);
    sealed.map_err(|why| BookError::Checkpoint(path.to_owned(), why))
}

/// Reads every entry again: one that was changed on disk is found here, not by a stranger.
fn places(folder: &Path, head: Head) -> Result<BTreeMap<Digest, u64>, BookError> {
    const { assert!(LINE_ENTRY_BYTES_MAX <= LOG_ENTRY_BYTES_MAX) };
    let (mut places, mut again) = (BTreeMap::new(), TiledLog::new());
    for at in 0.. {
        let Some(bundle) = Tile::of(TileKind::Entries, at, head.size) else { break };
        let found = [bundle, bundle.full()]
            .into_iter()
            .find_map(|tile| Some((tile, read_tile(folder, &tile)?)));
        let (from, bytes) = found.ok_or(RecoverError::Missing(bundle))?;
        for entry in from.entries(&bytes)?.into_iter().take(bundle.width()) {
            let place = again.append(entry)?;
            places.insert(leaf(entry), place);
        }
        again.mark_written();
    }
    if again.head() != head {
        return Err(BookError::Entries(head.size));
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use andon_model::stop::{Party, Scope};
    use andon_trust::log::KeyKind;
    use andon_trust::sign::SigningKey;
    use std::fs;

    fn key() -> NoteKey {
        NoteKey::new("clinic/log", KeyKind::Log, SigningKey::from_seed([1; 32])).unwrap()
    }

    fn entries(history: &str, range: std::ops::Range<u64>) -> Vec<LogEntry> {
        let stop = |at: u64| Digest::of(format!("{history} {at}").as_bytes());
        range
            .map(|at| LogEntry::Stop { stop: stop(at), by: Party::Platform, of: Scope::All.into() })
            .collect()
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &to)
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }

    /// Tiles have no order among them: a crash may leave each of them and not the others.
    #[test]
    fn a_crash_between_tiles_and_checkpoint_changes_nothing() {
        for (size, more) in [(0, 1), (3, 2), (250, 10), (255, 1), (256, 1), (300, 260)] {
            let place = tempfile::tempdir().unwrap();
            let before = place.path().join("before");
            let mut book = Book::open(&before, &key()).unwrap();
            book.take(&entries("a", 0..size)).unwrap();
            let sealed = book.sealed().clone();
            let mut crashed = book.log.clone();
            for entry in entries("crashed", size..size + more) {
                crashed.append(&entry.to_bytes()).unwrap();
            }
            let left = crashed.unwritten();
            for of in 0..1 << left.len().min(4) {
                let after = place.path().join(of.to_string());
                copy(&before, &after);
                for (_, file) in left.iter().enumerate().filter(|(at, _)| of >> at & 1 == 1) {
                    write(&after.join(file.tile.to_string()), &file.bytes).unwrap();
                }
                let case = format!("{size} and {more}, files {of:b}");
                let mut book = Book::open(&after, &key()).unwrap();
                assert_eq!(book.sealed(), &sealed, "{case}");
                assert!(!book.take(&entries("a", 0..size)).unwrap(), "{case}: nothing is new");
                assert!(book.take(&entries("b", size..size + 300)).unwrap(), "{case}");
                let head = book.sealed().checkpoint().head;
                let again = Book::open(&after, &key()).unwrap();
                let mut tree = TileTree::new(head.size, |tile| read_tile(&after, tile));
                assert_eq!(
                    (again.sealed().checkpoint().head, tree.head().unwrap()),
                    (head, head),
                    "{case}"
                );
                fs::remove_dir_all(after).unwrap();
            }
        }
    }
}
