//! The state folder: the host's own key, its id, its boot counter, the freezes it knows. Small files,
//! each replaced whole (temporary file, sync, rename, sync folder).
use andon_host::Previous;
use andon_model::handover::{DirectiveSeen, FreezeSeen};
use andon_model::id::{HostId, LineId};
use andon_trust::sign::{KeyFile, KeyFileError, SigningKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Largest of the small files, bytes.
const SMALL_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// a folder cannot be made
    #[error("make folder {}", .0.display())]
    Folder(PathBuf, #[source] io::Error),
    /// a file cannot be read
    #[error("read {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// a file cannot be written
    #[error("write {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// a file is not ours
    #[error("parse {}", .0.display())]
    Parse(PathBuf, #[source] serde_json::Error),
    /// the key file is damaged
    #[error("read the host's key {}", .0.display())]
    Key(PathBuf, #[source] KeyFileError),
    /// the kernel gives no random bytes
    #[error("read random bytes")]
    Random(#[source] io::Error),
}

/// Where things lie.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) folder: PathBuf,
}

/// `host.json`: who this host is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub(crate) schema: u32,
    pub(crate) host: HostId,
    pub(crate) line: LineId,
}

/// `boot.json`: how often the supervisor started, and in which boot of the kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Boots {
    boot: u32,
    kernel: String,
}

impl State {
    pub(crate) fn open(folder: &Path) -> Result<State, StateError> {
        for path in [
            folder.to_owned(),
            folder.join("records"),
            folder.join("slots"),
            folder.join("inbox"),
            folder.join("check"),
            folder.join("log"),
            folder.join("run"),
        ] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(|failed| StateError::Folder(path, failed))?;
        }
        Ok(State { folder: folder.to_owned() })
    }

    /// The host's own key; made at the first start, readable by its owner only.
    pub(crate) fn key(&self) -> Result<SigningKey, StateError> {
        let path = self.folder.join("key.json");
        if let Some(bytes) = read(&path)? {
            let (_, key) =
                KeyFile::parse(&bytes).map_err(|wrong| StateError::Key(path.clone(), wrong))?;
            return Ok(key);
        }
        let mut seed = [0; 32];
        File::open("/dev/urandom")
            .and_then(|mut random| random.read_exact(&mut seed))
            .map_err(StateError::Random)?;
        let key = SigningKey::from_seed(seed);
        replace(&path, &key.to_file("host", "host").to_bytes())?;
        Ok(key)
    }

    pub(crate) fn identity(&self) -> Result<Option<Identity>, StateError> {
        parsed(&self.folder.join("host.json"))
    }
    pub(crate) fn set_identity(&self, identity: &Identity) -> Result<(), StateError> {
        replace(&self.folder.join("host.json"), &json(identity))
    }

    /// Counts this start, durably, before anything uses the number. Says what ended before.
    pub(crate) fn count_boot(&self) -> Result<(u32, Previous), StateError> {
        let path = self.folder.join("boot.json");
        let kernel = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let kernel = kernel.trim().to_owned();
        // A damaged counter would let numbers run backwards: that must be seen, not guessed.
        let before: Option<Boots> = parsed(&path)?;
        let same = before.as_ref().is_some_and(|boots| boots.kernel == kernel);
        let boot = before.map_or(0, |boots| boots.boot).saturating_add(1);
        replace(&path, &json(&Boots { boot, kernel }))?;
        Ok((boot, if same { Previous::SupervisorEnded } else { Previous::HostEnded }))
    }

    /// Freezes known when the supervisor ended: obeyed before anything is started.
    pub(crate) fn freezes(&self) -> Result<Vec<FreezeSeen>, StateError> {
        Ok(parsed(&self.folder.join("freezes.json"))?.unwrap_or_default())
    }
    pub(crate) fn set_freezes(&self, freezes: &[FreezeSeen]) -> Result<(), StateError> {
        replace(&self.folder.join("freezes.json"), &json(&freezes))
    }

    /// Directives known when the supervisor ended.
    pub(crate) fn directives(&self) -> Result<Vec<DirectiveSeen>, StateError> {
        Ok(parsed(&self.folder.join("directives.json"))?.unwrap_or_default())
    }
    pub(crate) fn set_directives(&self, directives: &[DirectiveSeen]) -> Result<(), StateError> {
        replace(&self.folder.join("directives.json"), &json(&directives))
    }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// At most [`SMALL_BYTES_MAX`] bytes of a file; `None` where there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let failed = |failed| StateError::Read(path.to_owned(), failed);
    let file = match File::open(path) {
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(SMALL_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

fn parsed<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    let value = serde_json::from_slice(&bytes);
    value.map(Some).map_err(|wrong| StateError::Parse(path.to_owned(), wrong))
}

/// Old content or new content, whole, whatever happens.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let beside = path.with_extension("new");
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    };
    write().map_err(|failed| StateError::Write(path.to_owned(), failed))
}
