//! Files of a tar archive, plain or compressed with gzip or zstd; recognised by its first bytes, not
//! its name. Nothing is written to disk: names never meet a file system here.
use super::{
    ARCHIVE_BYTES_MAX, ARCHIVE_ENTRIES_MAX, Collected, SourceError, Taken, below, file_name, plain,
};
use andon_model::Digest;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use tar::EntryType;

/// Largest zstd window taken: 128 MiB, what `zstd --long=27` asks for.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

pub(super) fn collect(from: &Path, start: &[u8], prefix: &str) -> Result<Collected, SourceError> {
    let failed = |source| SourceError::Read { path: from.to_owned(), source };
    let file = BufReader::new(File::open(from).map_err(failed)?);
    let files = if start.starts_with(&[0x1f, 0x8b]) {
        unpack(from, flate2::bufread::MultiGzDecoder::new(file), prefix)?
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(file).map_err(failed)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(failed)?;
        unpack(from, decoder, prefix)?
    } else if start.get(257..262) == Some(b"ustar") {
        unpack(from, file, prefix)?
    } else {
        return Err(SourceError::Kind(from.to_owned()));
    };
    let digest = digest_of(from)?;
    let origin = format!("archive {}, sha256 {digest}", file_name(from));
    Ok(Collected { files, origin })
}

/// The digest of a file of any size.
pub(super) fn digest_of(path: &Path) -> Result<Digest, SourceError> {
    let failed = |source| SourceError::Read { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > ARCHIVE_BYTES_MAX {
        let limit = ARCHIVE_BYTES_MAX;
        return Err(SourceError::TooMuch { from: path.to_owned(), limit, what: "bytes" });
    }
    std::fs::read(path).map(|bytes| Digest::of(&bytes)).map_err(failed)
}

/// Says so when the stream has more than its limit, instead of ending quietly.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        let wrong = || io::Error::other(format!("unpacks to over {ARCHIVE_BYTES_MAX} bytes"));
        self.left = self.left.checked_sub(got as u64).ok_or_else(wrong)?;
        Ok(got)
    }
}

/// Everything below `prefix` of a tar stream.
pub(super) fn unpack(
    from: &Path,
    stream: impl Read,
    prefix: &str,
) -> Result<Vec<super::SourceFile>, SourceError> {
    let failed = |source| SourceError::Read { path: from.to_owned(), source };
    let mut archive = tar::Archive::new(Bounded { inner: stream, left: ARCHIVE_BYTES_MAX });
    let mut taken = Taken::new(from);
    let mut links = BTreeMap::new();
    for (count, entry) in archive.entries().map_err(failed)?.enumerate() {
        let entry = entry.map_err(failed)?;
        if count >= ARCHIVE_ENTRIES_MAX {
            let limit = ARCHIVE_ENTRIES_MAX as u64;
            return Err(SourceError::TooMuch { from: from.to_owned(), limit, what: "entries" });
        }
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        // Every name is checked, also of what is left out: an archive that tries once is not trusted.
        let path = plain(from, &entry.path().map_err(failed)?)?;
        let Some(name) = below(&path, prefix).map(str::to_owned) else { continue };
        let special =
            |what| SourceError::Special { from: from.to_owned(), name: name.clone(), what };
        match kind {
            EntryType::Directory => {}
            EntryType::Regular | EntryType::Continuous => {
                let executable = entry.header().mode().map_err(failed)? & 0o111 != 0;
                taken.add(name, entry.size(), executable, entry)?;
            }
            EntryType::Symlink | EntryType::Link => {
                let to = entry.link_name().map_err(failed)?.unwrap_or_default().into_owned();
                links.insert(path, (name, kind, to));
            }
            EntryType::Char | EntryType::Block => return Err(special("a device")),
            EntryType::Fifo => return Err(special("a pipe")),
            EntryType::GNUSparse => return Err(special("a sparse file")),
            _ => return Err(special("of an unknown type")),
        }
    }
    for (path, (name, kind, to)) in &links {
        resolve(from, &mut taken, path, name, *kind, to, prefix)?;
    }
    taken.finish(prefix)
}

/// A link becomes a copy of the file it leads to, if that file is itself taken.
fn resolve(
    from: &Path,
    taken: &mut Taken,
    path: &str,
    name: &str,
    kind: EntryType,
    to: &Path,
    prefix: &str,
) -> Result<(), SourceError> {
    let outside = || SourceError::Link {
        from: from.to_owned(),
        name: name.to_owned(),
        to: to.to_string_lossy().into_owned(),
    };
    let base = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let base = if kind == EntryType::Symlink { base } else { "" };
    let target = join(base, to).ok_or_else(outside)?;
    let target = below(&target, prefix).ok_or_else(outside)?;
    let file = taken.files.get(target).ok_or_else(outside)?;
    let (bytes, executable) = (file.bytes.clone(), file.executable);
    taken.add(name.to_owned(), bytes.len() as u64, executable, bytes.as_slice())
}

/// `folder/to` with `..` taken out by name; `None` when it leaves the top.
fn join(folder: &str, to: &Path) -> Option<String> {
    let mut words: Vec<&str> = folder.split('/').filter(|word| !word.is_empty()).collect();
    for part in to.to_str()?.split('/').enumerate() {
        match part {
            (0, "") => return None,
            (_, "" | ".") => {}
            (_, "..") => {
                words.pop()?;
            }
            (_, word) => words.push(word),
        }
    }
    Some(words.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Build = fn(&mut tar::Builder<Vec<u8>>);

    fn entry(builder: &mut tar::Builder<Vec<u8>>, name: &[u8], kind: EntryType, link: &str) {
        let mut header = tar::Header::new_ustar();
        let raw = header.as_old_mut();
        raw.name[..name.len()].copy_from_slice(name);
        raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        let body: &[u8] = if kind == EntryType::Regular { b"x" } else { b"" };
        header.set_size(body.len() as u64);
        header.set_cksum();
        builder.append(&header, body).unwrap();
    }

    fn check(build: Build) -> Result<Vec<String>, SourceError> {
        let mut builder = tar::Builder::new(Vec::new());
        build(&mut builder);
        let bytes = builder.into_inner().unwrap();
        let files = unpack(Path::new("t.tar"), bytes.as_slice(), "")?;
        Ok(files.into_iter().map(|file| file.path).collect())
    }

    #[test]
    fn archives_that_reach_outside_are_refused_whole() {
        let cases: [(&str, Build); 8] = [
            ("parent", |b| entry(b, b"../x", EntryType::Regular, "")),
            ("inner parent", |b| entry(b, b"a/../../x", EntryType::Regular, "")),
            ("absolute", |b| entry(b, b"/etc/x", EntryType::Regular, "")),
            ("absolute link", |b| entry(b, b"x", EntryType::Symlink, "/etc/passwd")),
            ("link out", |b| entry(b, b"a/x", EntryType::Symlink, "../../x")),
            ("hard link out", |b| entry(b, b"x", EntryType::Link, "../x")),
            ("device", |b| entry(b, b"x", EntryType::Char, "")),
            ("pipe", |b| entry(b, b"x", EntryType::Fifo, "")),
        ];
        for (what, build) in cases {
            assert!(check(build).is_err(), "{what} was accepted");
        }
        let twice = check(|b| {
            entry(b, b"x", EntryType::Regular, "");
            entry(b, b"./x", EntryType::Regular, "");
        });
        assert!(matches!(twice, Err(SourceError::Twice { .. })));
    }

    #[test]
    fn links_inside_become_copies() {
        let names = check(|b| {
            entry(b, b"./a/one", EntryType::Regular, "");
            entry(b, b"./a/b/two", EntryType::Symlink, "../one");
            entry(b, b"./three", EntryType::Link, "./a/one");
        });
        assert_eq!(names.unwrap(), ["a/b/two", "a/one", "three"]);
    }

    #[test]
    fn a_stream_without_end_is_refused() {
        let mut endless = Bounded { inner: io::repeat(0), left: 10 };
        let mut all = Vec::new();
        assert!(endless.read_to_end(&mut all).is_err());
    }
}
