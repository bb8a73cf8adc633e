//! A new line's own public log: its key, what its server is told of it, and the log policy that its hosts
//! will demand. It asks no witness.
use crate::keys::{self, KeyError};
use crate::layout::Layout;
use andon_model::LineId;
use andon_trust::log::{KeyKind, VerifierKey};
use std::fmt::Write as _;
use std::str::FromStr;

/// What the log is to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogOptions {
    /// its origin, the name of its key
    pub(crate) name: String,
    /// who cosigns it
    pub(crate) witnesses: Vec<WitnessOption>,
}

/// A witness on the command line: `VKEY@URL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WitnessOption {
    vkey: VerifierKey,
    url: String,
}

impl FromStr for WitnessOption {
    type Err = String;
    fn from_str(text: &str) -> Result<WitnessOption, String> {
        let form = "is not VKEY@http://HOST[:PORT][/PATH]";
        let (vkey, rest) = text.rsplit_once("@http://").ok_or(form)?;
        let vkey: VerifierKey = vkey.parse().map_err(|why| format!("{form}: {why}"))?;
        if vkey.kind() != KeyKind::Witness {
            return Err("has no witness's key (andon keys note --for witness)".to_owned());
        }
        let plain = rest.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if rest.is_empty() || !plain {
            return Err(form.to_owned());
        }
        Ok(WitnessOption { vkey, url: format!("http://{}", rest.trim_end_matches('/')) })
    }
}

/// The name of a log that was given none.
pub(crate) fn name(line: &LineId) -> String {
    format!("{line}/log")
}

/// How many of so many witnesses must cosign: more than half, so that two histories of the log cannot
/// both find enough, and one of three may be away.
pub(crate) const fn quorum(witnesses: usize) -> usize {
    witnesses / 2 + 1
}

/// Makes the log's key; its public half.
/// # Errors
/// [`KeyError`].
pub(crate) fn make_key(layout: &Layout, log: &LogOptions) -> Result<VerifierKey, KeyError> {
    let key = keys::make_note(&layout.log_key(), &log.name, KeyKind::Log)?;
    Ok(key.verifier().clone())
}

/// The log policy for the line's hosts.
pub(crate) fn policy(log: &LogOptions, vkey: &VerifierKey) -> String {
    let mut text = format!("log {vkey}\n");
    if log.witnesses.is_empty() {
        return text + "quorum none\n";
    }
    let mut names = String::new();
    for (at, witness) in (1..).zip(&log.witnesses) {
        let _infallible = writeln!(text, "witness w{at} {} {}", witness.vkey, witness.url);
        let _infallible = write!(names, " w{at}");
    }
    let needed = quorum(log.witnesses.len());
    format!("{text}group enough {needed}{names}\nquorum enough\n")
}

/// The end of the server's configuration.
pub(crate) fn config(log: &LogOptions) -> String {
    let mut text = "# The line's own public log (docs/spec/log.md, section 7).\n\
                    [log]\nkey = \"keys/log.note\"\n"
        .to_owned();
    for WitnessOption { vkey, url } in &log.witnesses {
        let _infallible = writeln!(text, "[[log.witness]]\nurl = \"{url}\"\nvkey = \"{vkey}\"");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_histories_of_a_log_never_both_find_enough_witnesses() {
        for witnesses in 1..=64 {
            assert!(quorum(witnesses) <= witnesses && 2 * quorum(witnesses) > witnesses);
        }
    }
}
