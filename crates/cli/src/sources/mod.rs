//! Where a release's files come from: a folder, an archive, a Debian package. Strangers made them:
//! whatever could reach outside (links, `..`, devices) or never end (bombs) is refused as a whole.

mod archive;
mod deb;
mod folder;

use andon_model::limits::{FILES_MAX, PATH_LENGTH_MAX, RELEASE_BYTES_MAX};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// Most bytes that an archive may unpack to, together with what is left out of the release: four
/// times the largest release. A small file that unpacks without end stops here.
pub(crate) const ARCHIVE_BYTES_MAX: u64 = 4 * RELEASE_BYTES_MAX;
/// Most entries of an archive, those left out included.
pub(crate) const ARCHIVE_ENTRIES_MAX: usize = 10 * FILES_MAX;

/// One file, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// relative, with `/`
    pub(crate) path: String,
    /// what is in it
    pub(crate) bytes: Vec<u8>,
    /// whether it is a program
    pub(crate) executable: bool,
}

/// Files and a sentence about where they come from.
#[derive(Clone, Debug)]
pub(crate) struct Collected {
    /// the files
    pub(crate) files: Vec<SourceFile>,
    /// where they come from
    pub(crate) origin: String,
}

/// Why files were not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// could not be read
    #[error("read {path}")]
    Read {
        /// which
        path: PathBuf,
        /// why
        source: io::Error,
    },
    /// nothing we can open
    #[error("{0} is no folder and no archive that is known")]
    Kind(PathBuf),
    /// a name that could leave the slot
    #[error("{from}: name {name:?} is absolute, has '..', or is not plain text")]
    Name {
        /// where it was found
        from: PathBuf,
        /// the name
        name: String,
    },
    /// a device, a pipe, a socket, a sparse file
    #[error("{from}: {name:?} is {what}, not a file")]
    Special {
        /// where it was found
        from: PathBuf,
        /// the name
        name: String,
        /// what it is
        what: &'static str,
    },
    /// a link to elsewhere
    #[error("{from}: link {name:?} leads to {to:?}, outside of what is taken")]
    Link {
        /// where it was found
        from: PathBuf,
        /// the name
        name: String,
        /// where it points
        to: String,
    },
    /// a name used twice
    #[error("{from}: {name:?} is there twice")]
    Twice {
        /// where it was found
        from: PathBuf,
        /// the name
        name: String,
    },
    /// too much
    #[error("{from} has over {limit} {what}")]
    TooMuch {
        /// where it was found
        from: PathBuf,
        /// most
        limit: u64,
        /// of what
        what: &'static str,
    },
    /// nothing left
    #[error("{from} has no files{under}")]
    Empty {
        /// where nothing was found
        from: PathBuf,
        /// which part of it
        under: String,
    },
    /// a program we need is not there
    #[error("run {0}, which is not installed")]
    Tool(&'static str),
    /// a program we need refused
    #[error("{tool} refused {from}: {words}")]
    ToolRefused {
        /// which program
        tool: &'static str,
        /// which file
        from: PathBuf,
        /// its words
        words: String,
    },
}

impl SourceError {
    pub(crate) fn next(&self) -> Option<String> {
        let text = match self {
            SourceError::Kind(_) => "give a folder, .tar, .tar.gz, .tar.zst or .deb",
            SourceError::Link { .. }
            | SourceError::Special { .. }
            | SourceError::TooMuch { .. }
            | SourceError::Twice { .. } => {
                "take a part of it with --path PREFIX, or unpack and clean it first"
            }
            SourceError::Empty { .. } => {
                "look with tar -tf or dpkg-deb -c, then choose --path PREFIX"
            }
            SourceError::Tool(_) => {
                "install dpkg, or unpack elsewhere: dpkg-deb -x FILE.deb FOLDER"
            }
            SourceError::Name { .. } => {
                "do not use this archive: its maker tried to write elsewhere"
            }
            SourceError::Read { .. } | SourceError::ToolRefused { .. } => return None,
        };
        Some(text.to_owned())
    }
}

/// Files and folders named on a command line, for `release create`: a folder gives what is in it, a
/// file its own name.
/// # Errors
/// [`SourceError`].
pub(crate) fn gather(paths: &[PathBuf]) -> Result<Vec<SourceFile>, SourceError> {
    let mut taken = Taken::new(Path::new("the paths given"));
    for path in paths {
        folder::take(path, &mut taken)?;
    }
    taken.finish("")
}

/// Whatever `from` is; of it, what is below `prefix` if one is given.
/// # Errors
/// [`SourceError`]; nothing is taken then.
pub(crate) fn collect(from: &Path, prefix: Option<&str>) -> Result<Collected, SourceError> {
    let prefix = prefix.map(|text| plain(from, Path::new(text))).transpose()?.unwrap_or_default();
    let failed = |source| SourceError::Read { path: from.to_owned(), source };
    if from.is_dir() {
        let below = if prefix.is_empty() { from.to_owned() } else { from.join(&prefix) };
        let mut taken = Taken::new(from);
        folder::take(&below, &mut taken)?;
        let origin = format!("folder {}", file_name(from));
        return Ok(Collected { files: taken.finish(&prefix)?, origin });
    }
    let mut file = std::fs::File::open(from).map_err(failed)?;
    let mut start = [0; 512];
    let mut got = 0;
    while got < start.len() {
        match file.read(&mut start[got..]).map_err(failed)? {
            0 => break,
            more => got += more,
        }
    }
    if start.starts_with(b"!<arch>\n") {
        deb::collect(from, &prefix)
    } else {
        archive::collect(from, &start[..got], &prefix)
    }
}

/// Files taken so far, with the limits that hold for any source.
pub(crate) struct Taken {
    from: PathBuf,
    files: BTreeMap<String, SourceFile>,
    bytes: u64,
}

impl Taken {
    fn new(from: &Path) -> Taken {
        Taken { from: from.to_owned(), files: BTreeMap::new(), bytes: 0 }
    }

    /// Reads one file of `length` bytes, if everything still fits.
    fn add(
        &mut self,
        path: String,
        length: u64,
        executable: bool,
        reader: impl Read,
    ) -> Result<(), SourceError> {
        let too_much = |limit, what| SourceError::TooMuch { from: self.from.clone(), limit, what };
        if self.files.len() >= FILES_MAX {
            return Err(too_much(FILES_MAX as u64, "files"));
        }
        let left = RELEASE_BYTES_MAX - self.bytes;
        if length > left {
            return Err(too_much(RELEASE_BYTES_MAX, "bytes"));
        }
        let mut bytes = Vec::new();
        reader
            .take(left + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| SourceError::Read { path: self.from.join(&path), source })?;
        if bytes.len() as u64 > left {
            return Err(too_much(RELEASE_BYTES_MAX, "bytes"));
        }
        self.bytes += bytes.len() as u64;
        let file = SourceFile { path: path.clone(), bytes, executable };
        match self.files.insert(path.clone(), file) {
            Some(_) => Err(SourceError::Twice { from: self.from.clone(), name: path }),
            None => Ok(()),
        }
    }

    fn finish(self, prefix: &str) -> Result<Vec<SourceFile>, SourceError> {
        if self.files.is_empty() {
            let under =
                if prefix.is_empty() { String::new() } else { format!(" below {prefix:?}") };
            return Err(SourceError::Empty { from: self.from, under });
        }
        Ok(self.files.into_values().collect())
    }
}

/// A relative path made of plain names, `/` between them; `./` in front is dropped.
fn plain(from: &Path, path: &Path) -> Result<String, SourceError> {
    let wrong = || SourceError::Name {
        from: from.to_owned(),
        name: path.to_string_lossy().chars().take(PATH_LENGTH_MAX).collect(),
    };
    let mut words = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(word) => words.push(word.to_str().ok_or_else(wrong)?),
            Component::CurDir => {}
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => return Err(wrong()),
        }
    }
    let text = words.join("/");
    if text.len() > PATH_LENGTH_MAX
        || text.contains(['\\', '\0'])
        || text.chars().any(char::is_control)
    {
        return Err(wrong());
    }
    Ok(text)
}

/// What is left of `path` below `prefix`.
fn below<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    if prefix.is_empty() {
        return Some(path);
    }
    match path.strip_prefix(prefix)? {
        // The prefix is the file itself: it keeps its own name.
        "" => path.rsplit('/').next(),
        rest => rest.strip_prefix('/'),
    }
}

fn file_name(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    whole.file_name().unwrap_or(whole.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_plain_or_refused() {
        let from = Path::new("x");
        assert_eq!(plain(from, Path::new("./a//b/")).unwrap(), "a/b");
        for bad in ["/a", "../a", "a/../b", "a\\b", "a\nb"] {
            assert!(plain(from, Path::new(bad)).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(below("usr/share/x/y", "usr/share"), Some("x/y"));
        assert_eq!(below("usr/shared/x", "usr/share"), None);
        assert_eq!(below("usr/share/x", "usr/share/x"), Some("x"));
    }
}
