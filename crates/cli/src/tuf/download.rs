//! A file that metadata vouches for, streamed to disk: checked while it comes, resumed where it broke
//! off, in its place only when all of it is right and durable. Many files become durable together: a
//! thousand waits for the disk, one after the other, would cost ten times what the network does.
use super::http::{Http, HttpError, Stream};
use super::shelf::{HoldError, hold};
use andon_trust::client::{Check, File, FileError};
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Where parts live until they are whole. No file from metadata can have this name
/// (`andon_trust::client::local_path`).
const PARTS: &str = ".andon-parts";
/// Most requests for one file in one run: a connection that breaks every time is not waited for.
const REQUESTS_MAX: u32 = 8;
/// Most files, and bytes of them, that wait to become durable together.
const WAITING_MAX: usize = 4096;
const WAITING_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Up to so many files are synced one by one, more by one sync of their whole file system.
const SYNCED_ALONE_MAX: usize = 4;
/// Most files under way at once: enough that the disk and the server do not wait for each other.
const AT_ONCE_MAX: usize = 4;
/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DownloadError {
    /// transport
    #[error("fetch {0}")]
    Fetch(String, #[source] HttpError),
    /// it broke off again and again
    #[error(
        "{path} broke off {REQUESTS_MAX} times; its first {length} bytes are kept for another run"
    )]
    BrokeOff {
        /// which file
        path: String,
        /// bytes that are here
        length: u64,
    },
    /// other bytes than promised
    #[error("check {0}")]
    Wrong(String, #[source] FileError),
    /// disk
    #[error("write {0}")]
    Write(PathBuf, #[source] io::Error),
    /// somebody else is at it
    #[error("use the folder for files")]
    Hold(#[from] HoldError),
}

/// What became of a wanted file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obtained {
    /// it was there already, and right
    Present,
    /// it came
    Fetched,
}
type Outcome = Result<Obtained, DownloadError>;

/// A folder for files.
#[derive(Debug)]
pub(crate) struct Downloads {
    http: Http,
    folder: PathBuf,
    _held: fs::File,
}

impl Downloads {
    /// # Errors
    /// [`DownloadError`].
    pub(crate) fn new(http: Http, folder: &Path) -> Result<Downloads, DownloadError> {
        let failed = |source| DownloadError::Write(folder.to_owned(), source);
        fs::create_dir_all(folder).map_err(failed)?;
        let held = hold(folder)?;
        Ok(Downloads { http, folder: folder.to_owned(), _held: held })
    }

    /// Where a file is, or will be.
    pub(crate) fn place(&self, file: &File) -> PathBuf {
        self.folder.join(file.path())
    }

    fn part(&self, file: &File) -> PathBuf {
        self.folder.join(PARTS).join(file.digest())
    }

    /// Puts files into their places, a few at a time, and says of each how. Once one has failed no
    /// more are begun; what came by then is in its place, and durable.
    /// # Errors
    /// What went wrong with the first that failed, in the order given; its place is untouched.
    pub(crate) fn obtain(&self, files: &[File]) -> Result<Vec<Obtained>, DownloadError> {
        let mut obtained = Vec::new();
        let mut rest = files;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(self.batch(rest));
            let outcomes = self.fetch(batch);
            let fetched = |(at, outcome): &(usize, Outcome)| {
                matches!(outcome, Ok(Obtained::Fetched)).then(|| &batch[*at])
            };
            let settled = self.settle(outcomes.iter().filter_map(fetched));
            for (_, outcome) in outcomes {
                obtained.push(outcome?);
            }
            settled?;
            rest = later;
        }
        Ok(obtained)
    }

    /// How many of these, at least one, can become durable together: bounded, and none touches
    /// another's names.
    fn batch(&self, files: &[File]) -> usize {
        let (mut taken, mut bytes) = (HashSet::new(), 0_u64);
        let fits = |file: &&File| {
            let room = taken.len() < 2 * WAITING_MAX && bytes < WAITING_BYTES_MAX;
            bytes = bytes.saturating_add(file.length());
            let names = [self.part(file), self.place(file)].map(PathBuf::into_os_string);
            room && names.into_iter().all(|name| taken.insert(name))
        };
        files.iter().take_while(fits).count().max(1)
    }

    /// Fetches several at a time; the answers stand in the order given, up to the last that was begun.
    fn fetch(&self, files: &[File]) -> Vec<(usize, Outcome)> {
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let work = || {
            let mut done = Vec::new();
            while !failed.load(Ordering::Relaxed)
                && let at = next.fetch_add(1, Ordering::Relaxed)
                && let Some(file) = files.get(at)
            {
                let outcome = self.one(file);
                failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
                done.push((at, outcome));
            }
            done
        };
        let mut all = std::thread::scope(|scope| {
            let more = 1..AT_ONCE_MAX.min(files.len());
            let others: Vec<_> = more.map(|_| scope.spawn(work)).collect();
            let mut all = work();
            for other in others {
                all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            all
        });
        all.sort_by_key(|(at, _)| *at);
        all
    }

    fn one(&self, file: &File) -> Outcome {
        if is_right(&self.place(file), file) {
            return Ok(Obtained::Present);
        }
        let path = self.part(file);
        let bytes = open_part(&path).map_err(|e| DownloadError::Write(path.clone(), e))?;
        self.fill(Part { file, bytes, path })?;
        Ok(Obtained::Fetched)
    }

    /// Puts what is whole into its place: first the bytes reach the disk, then the names change, then
    /// the names reach the disk.
    fn settle<'f>(&self, files: impl Iterator<Item = &'f File>) -> Result<(), DownloadError> {
        let moves: Vec<_> = files.map(|file| (self.part(file), self.place(file))).collect();
        self.durable(moves.iter().map(|(part, _)| part.as_path()).collect())?;
        let mut changed = BTreeSet::new();
        for (part, place) in &moves {
            let failed = |source| DownloadError::Write(place.clone(), source);
            let above = place.parent().unwrap_or(&self.folder);
            if changed.insert(above) {
                fs::create_dir_all(above).map_err(failed)?;
            }
            fs::rename(part, place).map_err(failed)?;
        }
        self.durable(changed.into_iter().collect())
    }

    /// Ends a run that went well: parts of former runs are gone.
    /// # Errors
    /// [`DownloadError::Write`].
    pub(crate) fn clear(&self) -> Result<(), DownloadError> {
        let parts = self.folder.join(PARTS);
        match fs::remove_dir_all(&parts) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DownloadError::Write(parts, error))
            }
            _ => Ok(()),
        }
    }

    /// Files or folders of one file system, on disk when this returns.
    fn durable(&self, paths: Vec<&Path>) -> Result<(), DownloadError> {
        let together = paths.len() > SYNCED_ALONE_MAX;
        for path in if together { vec![self.folder.as_path()] } else { paths } {
            let failed = |source| DownloadError::Write(path.to_owned(), source);
            let opened = fs::File::open(path).map_err(failed)?;
            if together {
                rustix::fs::syncfs(&opened).map_err(|source| failed(source.into()))?;
            } else {
                opened.sync_all().map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Fetches what is missing and checks all of it.
    fn fill(&self, mut part: Part<'_>) -> Result<(), DownloadError> {
        let file = part.file;
        let mut check = part.replay()?;
        let mut old = check.length() > 0;
        let mut requests = 0;
        loop {
            if check.length() == file.length() {
                match check.finish() {
                    Ok(()) => return Ok(()),
                    // What an earlier run left may be anybody's: once more from the beginning.
                    Err(_) if old => (old, check) = (false, part.restart()?),
                    Err(why) => return Err(part.give_up(why)),
                }
                continue;
            }
            if requests == REQUESTS_MAX {
                let path = file.path().to_owned();
                return Err(DownloadError::BrokeOff { path, length: check.length() });
            }
            requests += 1;
            match self.http.open(&file.remote_path(), check.length()) {
                Ok(Some(stream)) => {
                    if stream.from == 0 && check.length() > 0 {
                        (old, check) = (false, part.restart()?);
                    }
                    part.pour(stream, &mut check)?;
                }
                Ok(None) => (old, check) = (false, part.restart()?),
                // Only a connection that worked once is worth another request.
                Err(HttpError::Transport(..)) if requests > 1 => {}
                Err(why) => return Err(DownloadError::Fetch(file.path().to_owned(), why)),
            }
        }
    }
}

/// Opens a part with what an earlier run left of it; its folder is made when there is none.
fn open_part(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            options.open(path)
        }
        opened => opened,
    }
}

/// A part of a file on disk.
struct Part<'f> {
    file: &'f File,
    bytes: fs::File,
    path: PathBuf,
}

impl<'f> Part<'f> {
    fn failed(&self, source: io::Error) -> DownloadError {
        DownloadError::Write(self.path.clone(), source)
    }

    /// Reads what an earlier run left.
    fn replay(&mut self) -> Result<Check<'f>, DownloadError> {
        let mut check = self.file.check();
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = self.bytes.read(&mut chunk).map_err(|e| self.failed(e))?;
            if count == 0 {
                return Ok(check);
            }
            if check.take(&chunk[..count]).is_err() {
                return self.restart();
            }
        }
    }

    fn restart(&mut self) -> Result<Check<'f>, DownloadError> {
        let emptied = self.bytes.set_len(0).and_then(|()| self.bytes.seek(SeekFrom::Start(0)));
        emptied.map_err(|e| self.failed(e))?;
        Ok(self.file.check())
    }

    /// Takes bytes until the server ends, breaks off, or sends too many.
    fn pour(&mut self, mut stream: Stream, check: &mut Check<'f>) -> Result<(), DownloadError> {
        let mut chunk = vec![0; CHUNK];
        loop {
            match stream.body.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    if let Err(why) = check.take(&chunk[..count]) {
                        return Err(self.give_up(why));
                    }
                    self.bytes.write_all(&chunk[..count]).map_err(|e| self.failed(e))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_broke_off) => return Ok(()),
            }
        }
    }

    /// Wrong bytes are not kept.
    fn give_up(&self, why: FileError) -> DownloadError {
        let _best_effort = fs::remove_file(&self.path);
        DownloadError::Wrong(self.file.path().to_owned(), why)
    }
}

/// Whether the file is in its place already; one that cannot be read is not.
fn is_right(place: &Path, file: &File) -> bool {
    let facts = fs::symlink_metadata(place);
    if !facts.is_ok_and(|facts| facts.is_file() && facts.len() == file.length()) {
        return false;
    }
    let Ok(mut opened) = fs::File::open(place) else { return false };
    let mut check = file.check();
    let mut chunk = vec![0; CHUNK];
    loop {
        match opened.read(&mut chunk) {
            Ok(0) => return check.finish().is_ok(),
            Ok(count) if check.take(&chunk[..count]).is_ok() => {}
            _ => return false,
        }
    }
}
