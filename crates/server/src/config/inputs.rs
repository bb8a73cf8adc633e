//! What the server works with: every file that the configuration names has been read and checked.
//! A server that starts with a wrong key or an unsigned policy would only fail later, and worse.
use super::fragments::{ConfigFile, VendorLineAt};
use super::log::LogInputs;
use andon_model::enrol::Anchor;
use andon_model::envelope::{Envelope, EnvelopeError};
use andon_model::{Digest, LineId, Millis};
use andon_trust::log::key::VerifierKeyError;
use andon_trust::sign::{KeyFile, KeyFileError, SigningKey};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// Largest configuration file, bytes: a thousand join tokens fit ten times.
pub(super) const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// Largest anchor, bytes: a TUF root with every allowed key fits.
const ANCHOR_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Shortest tick: below, the fleet would be walked more often than beats come.
const TICK_MIN: Millis = Millis(20);

/// Checked configuration.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// address and port to serve on
    pub listen: String,
    /// folder of the journal, objects, manifests and TUF files
    pub data: PathBuf,
    /// what hosts trust
    pub anchor: Anchor,
    /// the policy as the file has it
    pub policy: Envelope,
    /// signs tickets and the line's freezes
    pub online: SigningKey,
    /// signs the TUF timestamp
    pub timestamp: SigningKey,
    /// signs the TUF snapshot
    pub snapshot: SigningKey,
    /// digests of join tokens
    pub join_tokens: Vec<Digest>,
    /// time between two observations
    pub tick: Millis,
    /// where vendor lines are served, one per vendor
    pub vendor_lines: Vec<VendorLineAt>,
    /// the line's own public log
    pub log: Option<LogInputs>,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// a file is not there, or may not be read
    #[error("read {0}")]
    Read(PathBuf, #[source] io::Error),
    /// larger than any such file
    #[error("{0} has {1} bytes, at most {2} are allowed")]
    TooLarge(PathBuf, u64, u64),
    /// not the TOML we expect
    #[error("parse {0}")]
    Toml(PathBuf, #[source] Box<toml::de::Error>),
    /// not the JSON we expect
    #[error("parse {0}")]
    Json(PathBuf, #[source] serde_json::Error),
    /// not an envelope
    #[error("read envelope {0}")]
    Envelope(PathBuf, #[source] EnvelopeError),
    /// not a key file
    #[error("read key {0}")]
    Key(PathBuf, #[source] KeyFileError),
    /// not the text of a note key
    #[error("read key {0}")]
    NoteKey(PathBuf, #[source] VerifierKeyError),
    /// a value outside its range
    #[error("{file}: field {field} {problem}")]
    Field {
        /// which file
        file: PathBuf,
        /// which field
        field: &'static str,
        /// what is wrong with it
        problem: &'static str,
    },
}

impl Inputs {
    /// Reads a configuration file and every file it names.
    /// # Errors
    /// [`ConfigError`].
    pub fn read(file: &Path) -> Result<Inputs, ConfigError> {
        let bytes = read_limited(file, CONFIG_BYTES_MAX)?;
        let text = String::from_utf8_lossy(&bytes);
        let config: ConfigFile = toml::from_str(&text)
            .map_err(|why| ConfigError::Toml(file.to_owned(), Box::new(why)))?;
        let folder = file.parent().unwrap_or(Path::new("."));
        let field = |holds: bool, field, problem| match holds {
            true => Ok(()),
            false => Err(ConfigError::Field { file: file.to_owned(), field, problem }),
        };
        field(config.tick_ms >= TICK_MIN, "tick_ms", "is under 20")?;
        field(!config.listen.is_empty(), "listen", "is empty")?;
        let anchor_file = folder.join(&config.anchor);
        let anchor = read_limited(&anchor_file, ANCHOR_BYTES_MAX)?;
        let anchor: Anchor = serde_json::from_slice(&anchor)
            .map_err(|why| ConfigError::Json(anchor_file.clone(), why))?;
        let threshold = anchor.operators_threshold as usize;
        let sane = anchor.schema == 1 && (1..=anchor.operators.len()).contains(&threshold);
        if !sane {
            let (field, problem) = ("operators_threshold", "does not fit its operators or schema");
            return Err(ConfigError::Field { file: anchor_file, field, problem });
        }
        let lines = &config.vendor_line;
        let (once, plain) = vendor_lines(lines);
        field(once, "vendor_line.vendor", "is named twice")?;
        field(plain, "vendor_line.url", "is not http://HOST[:PORT]")?;
        let fits = lines.is_empty() || matches!(anchor.line, LineId::Operator(_));
        field(fits, "vendor_line", "is for an operator's line, and this is a vendor's")?;
        let policy_file = folder.join(&config.policy);
        let policy = Envelope::parse(&read_limited(&policy_file, ANCHOR_BYTES_MAX)?)
            .map_err(|why| ConfigError::Envelope(policy_file, why))?;
        let log = match &config.log {
            Some(log) => Some(LogInputs::read(file, folder, log)?),
            None => None,
        };
        Ok(Inputs {
            log,
            listen: config.listen,
            data: folder.join(config.data),
            anchor,
            policy,
            online: read_key(&folder.join(config.online_key))?,
            timestamp: read_key(&folder.join(config.timestamp_key))?,
            snapshot: read_key(&folder.join(config.snapshot_key))?,
            join_tokens: config.join_tokens,
            tick: config.tick_ms,
            vendor_lines: config.vendor_line,
        })
    }
}

/// Whether no vendor is named twice, and whether every address is one that can be called.
fn vendor_lines(lines: &[VendorLineAt]) -> (bool, bool) {
    let names: BTreeSet<_> = lines.iter().map(|line| &line.vendor).collect();
    let plain = lines.iter().all(|line| crate::member::address(&line.url).is_some());
    (names.len() == lines.len(), plain)
}

pub(super) fn read_limited(file: &Path, limit: u64) -> Result<Vec<u8>, ConfigError> {
    let failed = |why| ConfigError::Read(file.to_owned(), why);
    let length = std::fs::metadata(file).map_err(failed)?.len();
    if length > limit {
        return Err(ConfigError::TooLarge(file.to_owned(), length, limit));
    }
    std::fs::read(file).map_err(failed)
}

fn read_key(file: &Path) -> Result<SigningKey, ConfigError> {
    let bytes = read_limited(file, CONFIG_BYTES_MAX)?;
    let parsed = KeyFile::parse(&bytes).map_err(|why| ConfigError::Key(file.to_owned(), why))?;
    Ok(parsed.1)
}
