//! Files of a Debian package: `dpkg-deb` opens it (its formats are Debian's business), our tar reader
//! judges what comes out. Nothing of the package is run or installed.
use super::archive::{digest_of, unpack};
use super::{Collected, SourceError};
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const TOOL: &str = "dpkg-deb";
/// Most of a tool's words shown.
const WORDS_MAX: u64 = 400;

pub(super) fn collect(from: &Path, prefix: &str) -> Result<Collected, SourceError> {
    let name = field(from, "Package")?;
    let version = field(from, "Version")?;
    let mut child = start(&["--fsys-tarfile"], from, &[])?;
    let files = match child.stdout.take() {
        Some(stream) => unpack(from, stream, prefix),
        None => Err(SourceError::Tool(TOOL)),
    };
    // A package that dpkg-deb itself finds broken is refused even if we could read all of it; one
    // that we refuse makes dpkg-deb fail on a closed pipe, and our own reason says more.
    let ended = finish(child, from);
    let files = files?;
    ended?;
    let digest = digest_of(from)?;
    let origin = format!("Debian package {name} {version}, sha256 {digest}");
    Ok(Collected { files, origin })
}

fn field(from: &Path, field: &str) -> Result<String, SourceError> {
    let mut child = start(&["-f"], from, &[field])?;
    let mut text = String::new();
    if let Some(stream) = child.stdout.take() {
        let read = stream.take(1024).read_to_string(&mut text);
        read.map_err(|source| SourceError::Read { path: from.to_owned(), source })?;
    }
    finish(child, from)?;
    Ok(text.trim().to_owned())
}

fn start(before: &[&str], from: &Path, after: &[&str]) -> Result<Child, SourceError> {
    // An absolute path can never be read as an option.
    let failed = |source| SourceError::Read { path: from.to_owned(), source };
    let path = std::fs::canonicalize(from).map_err(failed)?;
    Command::new(TOOL)
        .args(before)
        .arg(path)
        .args(after)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => SourceError::Tool(TOOL),
            _ => failed(source),
        })
}

fn finish(mut child: Child, from: &Path) -> Result<(), SourceError> {
    let failed = |source| SourceError::Read { path: from.to_owned(), source };
    let mut words = String::new();
    if let Some(stream) = child.stderr.take() {
        let _shown_only = stream.take(WORDS_MAX).read_to_string(&mut words);
    }
    if child.wait().map_err(failed)?.success() {
        return Ok(());
    }
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(SourceError::ToolRefused { tool: TOOL, from: from.to_owned(), words })
}
