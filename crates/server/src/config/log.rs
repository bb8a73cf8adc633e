//! The configured log of the line: its key and its witnesses, read and checked.
use super::fragments::{LogAt, WitnessAt};
use super::inputs::{CONFIG_BYTES_MAX, ConfigError, read_limited};
use andon_model::limits::LINE_WITNESSES_MAX;
use andon_trust::log::{KeyKind, NoteKey, VerifierKey};
use reqwest::Url;
use std::collections::BTreeSet;
use std::path::Path;

/// The line's own public log.
#[derive(Clone, Debug)]
pub struct LogInputs {
    /// signs its checkpoints; its name is the log's origin
    pub key: NoteKey,
    /// who is asked to cosign them, each key once
    pub witnesses: Vec<WitnessInputs>,
}

/// One witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessInputs {
    /// address without a slash at its end
    pub url: String,
    /// its key
    pub vkey: VerifierKey,
}

impl LogInputs {
    /// Reads the key and checks the witnesses of configuration `file`.
    /// # Errors
    /// [`ConfigError`].
    pub fn read(file: &Path, folder: &Path, log: &LogAt) -> Result<LogInputs, ConfigError> {
        let wrong = |field, problem| ConfigError::Field { file: file.to_owned(), field, problem };
        let path = folder.join(&log.key);
        let bytes = read_limited(&path, CONFIG_BYTES_MAX)?;
        let key: NoteKey = String::from_utf8_lossy(&bytes)
            .trim_end()
            .parse()
            .map_err(|why| ConfigError::NoteKey(path, why))?;
        if key.verifier().kind() != KeyKind::Log {
            return Err(wrong("log.key", "is not a log's key: andon keys note --for log"));
        }
        if log.witness.len() > LINE_WITNESSES_MAX {
            return Err(wrong("log.witness", "names over 64 witnesses"));
        }
        let witnesses: Vec<WitnessInputs> = log
            .witness
            .iter()
            .map(|at| witness(at).map_err(|(field, problem)| wrong(field, problem)))
            .collect::<Result<_, _>>()?;
        let keys: BTreeSet<_> = witnesses.iter().map(|witness| witness.vkey.public().0).collect();
        if keys.len() != witnesses.len() {
            return Err(wrong("log.witness.vkey", "is named twice"));
        }
        Ok(LogInputs { key, witnesses })
    }
}

fn witness(at: &WitnessAt) -> Result<WitnessInputs, (&'static str, &'static str)> {
    let field = "log.witness.vkey";
    let vkey: VerifierKey = at.vkey.parse().map_err(|_| (field, "is not a verifier key"))?;
    if vkey.kind() != KeyKind::Witness {
        return Err((field, "is not a witness's (signature type 0x04)"));
    }
    let url = address(&at.url);
    let url = url.ok_or(("log.witness.url", "is not http://HOST[:PORT][/PATH]"))?;
    Ok(WitnessInputs { url, vkey })
}

/// What a witness is called by. Plain HTTP: what is said is signed.
fn address(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let plain = url.scheme() == "http" && url.query().is_none() && url.fragment().is_none();
    let host = url.host_str().is_some_and(|host| !host.is_empty());
    let nobody = url.username().is_empty() && url.password().is_none();
    (plain && host && nobody).then(|| url.as_str().trim_end_matches('/').to_owned())
}
