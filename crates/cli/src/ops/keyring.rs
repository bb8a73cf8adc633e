//! The keys of a folder: new ones, and a list of those that are there. Nothing that is encrypted is opened.
use crate::files::{self, Access, FileError};
use crate::keys::{self, HeldKey, KeyError, Passphrase, PublicHalf, RETIRED};
use crate::layout::Layout;
use crate::ops::change::{Change, ChangeError};
use crate::ops::office::Office;
use andon_model::{PublicKey, Time};
use andon_trust::log::NoteKey;
use andon_trust::sign::KeyFile;
use andon_trust::theft::Key;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// How many folders deep keys are looked for.
const DEPTH_MAX: u32 = 4;
/// Most files that are looked at: a folder of keys, not a home directory.
const FILES_MAX: usize = 4096;
/// Most keys made at once.
pub(crate) const NEW_MAX: usize = 64;

/// Why no keys were made or listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyringError {
    /// not a name
    #[error(
        "{0:?} is no name for a key: lower-case letters, digits, '.', '-' and '_', at most one '/' (vendors: NAME/NUMBER)"
    )]
    Name(String),
    /// twice the same
    #[error("key {0} is named twice")]
    Twice(String),
    /// too many at once
    #[error("{0} keys are named, at most {NEW_MAX} are made at once")]
    TooMany(usize),
    /// a key of that name is there
    #[error("key file {0} is already there and is not overwritten")]
    Exists(PathBuf),
    /// the key itself
    #[error("make key")]
    Key(#[from] KeyError),
    /// its files
    #[error("write key files")]
    Change(#[from] ChangeError),
    /// a folder
    #[error("make folder")]
    File(#[from] FileError),
    /// a folder that cannot be listed
    #[error("list {0}")]
    Folder(PathBuf, #[source] io::Error),
    /// more than a folder of keys has
    #[error("{0} holds over {FILES_MAX} files; name the folder of the keys")]
    Huge(PathBuf),
}

/// A key that was made.
#[derive(Clone, Debug)]
pub(crate) struct NewKey {
    /// the key
    pub(crate) held: HeldKey,
    /// its file
    pub(crate) file: PathBuf,
    /// where its public half lies
    pub(crate) public: PathBuf,
}

/// Where new keys go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'f> {
    /// a folder of `andon init`, or any
    pub(crate) dir: &'f Path,
    /// for what
    pub(crate) office: Office,
}

impl Place<'_> {
    /// A key's file if it were plain. In a folder of `andon init` each office has its own folder.
    fn file(&self, name: &str) -> PathBuf {
        let layout = Layout::new(self.dir);
        let laid_out = layout.anchor().is_file();
        let folder = if laid_out { self.office.folder(&layout) } else { self.dir.to_owned() };
        folder.join(format!("{name}.json"))
    }
}

/// Makes keys, all of them or none, under a passphrase if there is one.
/// # Errors
/// [`KeyringError`].
pub(crate) fn create(
    place: Place<'_>,
    names: &[String],
    passphrase: Option<&Passphrase>,
    now: Time,
) -> Result<Vec<NewKey>, KeyringError> {
    check(place, names)?;
    let mut change = Change::default();
    let mut made = Vec::new();
    for name in names {
        let held = HeldKey::draw(&name.replace('/', "-"), place.office.words())?;
        let plain = place.file(name);
        let file = keys::place(&plain, passphrase.is_some());
        let public = PublicHalf::beside(&plain);
        change.create(&public, PublicHalf::of(&held, now).to_bytes(), Access::Public);
        change.create(&file, held.content(passphrase)?, Access::Secret);
        if let Some(folder) = file.parent() {
            files::make_private_folder(folder)?;
        }
        made.push(NewKey { held, file, public });
    }
    change.apply()?;
    Ok(made)
}

/// Whether keys of these names can be made: asked before anybody types a passphrase.
/// # Errors
/// [`KeyringError`].
pub(crate) fn check(place: Place<'_>, names: &[String]) -> Result<(), KeyringError> {
    if names.len() > NEW_MAX {
        return Err(KeyringError::TooMany(names.len()));
    }
    for (at, name) in names.iter().enumerate() {
        let parts = name.split('/').count();
        let part = |part: &str| part.parse::<andon_model::PersonId>().is_ok();
        if parts > 2 || !name.split('/').all(part) {
            return Err(KeyringError::Name(name.clone()));
        }
        if names[..at].contains(name) {
            return Err(KeyringError::Twice(name.clone()));
        }
        // Under either ending: two keys of one name could not be told apart.
        let plain = place.file(name);
        let there = [keys::place(&plain, false), keys::place(&plain, true)];
        if let Some(path) = there.into_iter().find(|path| path.exists()) {
            return Err(KeyringError::Exists(path));
        }
    }
    Ok(())
}

/// How a key lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// readable by whoever has the file
    Plain,
    /// under a passphrase
    Encrypted,
    /// the public half alone: the private one lies elsewhere
    PublicOnly,
}

impl Form {
    /// As people and scripts read it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Form::Plain => "plain",
            Form::Encrypted => "encrypted",
            Form::PublicOnly => "public half only",
        }
    }
}

/// A key as the list shows it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// the name that --key takes, or the path below the folder
    pub(crate) key: String,
    /// its file
    pub(crate) file: PathBuf,
    /// how it lies there
    pub(crate) form: Form,
    /// permission bits
    pub(crate) mode: u32,
    /// replaced by another; to be destroyed
    pub(crate) retired: bool,
    /// whose; `None`: encrypted, and no public half beside it
    pub(crate) name: Option<String>,
    /// what for, in the words of its file
    pub(crate) role: Option<String>,
    /// the public half
    pub(crate) public: Option<PublicKey>,
    /// when it was made; by the file's own time where nothing else says it
    pub(crate) created: Option<Time>,
}

impl Listed {
    /// Whether others than the owner may read the private half.
    pub(crate) fn is_exposed(&self) -> bool {
        self.form != Form::PublicOnly && self.mode & 0o077 != 0
    }

    /// What it may sign on a line, in words; nothing that a host believes: empty.
    pub(crate) fn may(&self, line: &[Key]) -> Vec<String> {
        let own = line.iter().find(|key| Some(key.public) == self.public);
        own.map(|key| key.holds.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }
}

/// The keys below a folder: of one of `andon init` those of people and of the server.
/// # Errors
/// [`KeyringError`].
pub(crate) fn list(dir: &Path) -> Result<Vec<Listed>, KeyringError> {
    let layout = Layout::new(dir);
    let roots = match layout.keys().is_dir() {
        true => vec![layout.keys(), layout.server().join("keys")],
        false => vec![dir.to_owned()],
    };
    let mut found = Vec::new();
    for root in &roots {
        // The server's are not there where the folder is another person's.
        if root == &roots[0] || root.is_dir() {
            let mut paths = Vec::new();
            walk(root, 0, &mut paths)?;
            found.extend(paths.iter().filter_map(|path| listed(root, path)));
        }
    }
    // A public half beside its private one is no entry of its own.
    let private: Vec<PathBuf> = found
        .iter()
        .filter(|it| it.form != Form::PublicOnly && !it.retired)
        .map(|it| PublicHalf::beside(&it.file))
        .collect();
    found.retain(|it| it.form != Form::PublicOnly || !private.contains(&it.file));
    Ok(found)
}

fn walk(dir: &Path, depth: u32, found: &mut Vec<PathBuf>) -> Result<(), KeyringError> {
    let failed = |why| KeyringError::Folder(dir.to_owned(), why);
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
        if paths.len() + found.len() > FILES_MAX {
            return Err(KeyringError::Huge(dir.to_owned()));
        }
    }
    paths.sort();
    for path in paths {
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() && depth < DEPTH_MAX {
            walk(&path, depth + 1, found)?;
        } else if path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// What a file is, if it is a key.
fn listed(root: &Path, path: &Path) -> Option<Listed> {
    let facts = fs::metadata(path).ok()?;
    let since = facts.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let written = Time(u64::try_from(since.as_millis()).ok()?);
    let bytes = files::read(path, keys::KEY_FILE_BYTES_MAX).ok()?;
    let half = PublicHalf::read(&PublicHalf::beside(path));
    let short = path.strip_prefix(root).unwrap_or(path).with_extension("");
    let short = short.strip_prefix("people").unwrap_or(&short);
    let mut found = Listed {
        key: short.display().to_string(),
        file: path.to_owned(),
        form: Form::Plain,
        mode: facts.permissions().mode() & 0o7777,
        retired: path.file_name().is_some_and(|name| name.to_string_lossy().contains(RETIRED)),
        name: half.as_ref().map(|half| half.name.clone()),
        role: half.as_ref().map(|half| half.role.clone()),
        public: half.as_ref().map(|half| half.public),
        created: half.as_ref().map_or(Some(written), |half| Some(half.created)),
    };
    if found.retired {
        found.key = path.strip_prefix(root).unwrap_or(path).display().to_string();
    }
    if keys::is_sealed(&bytes) {
        found.form = Form::Encrypted;
    } else if let Ok((file, key)) = KeyFile::parse(&bytes) {
        (found.name, found.role) = (Some(file.name), Some(file.role));
        found.public = Some(key.public());
    } else if let Some(note) = note(&bytes) {
        found.name = Some(note.verifier().name().to_owned());
        found.role = Some("public log or witness".to_owned());
        found.public = Some(note.verifier().public());
    } else if let Some(half) = PublicHalf::read(path) {
        found.form = Form::PublicOnly;
        (found.name, found.role) = (Some(half.name), Some(half.role));
        (found.public, found.created) = (Some(half.public), Some(half.created));
    } else {
        return None;
    }
    Some(found)
}

fn note(bytes: &[u8]) -> Option<NoteKey> {
    std::str::from_utf8(bytes).ok()?.trim_end().parse().ok()
}
