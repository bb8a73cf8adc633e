//! What the fleet is told while it runs: JSON lines on standard input, strictly read.
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::sync::watch;

/// Longest line read.
const LINE_BYTES_MAX: u64 = 4096;

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Switch {
    /// as usual
    On,
    /// not
    Off,
}

/// One line; what it does not name stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Line {
    /// whether hosts tell of crashes (charges, fallen-back components) in their beats
    reports: Option<Switch>,
    /// everybody is painted calm: a new act begins
    calm: Option<bool>,
    /// the fleet ends
    stop: Option<bool>,
}

/// The present settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// whether crashes are told
    pub(super) reports: Switch,
}

/// Reads until the input ends or says stop; a line that cannot be read is told and changes nothing.
pub(super) async fn listen(settings: &watch::Sender<Settings>, calm: impl Fn()) {
    let mut input = BufReader::new(tokio::io::stdin());
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut input).take(LINE_BYTES_MAX);
        match limited.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        match serde_json::from_slice::<Line>(&line) {
            Ok(line) => {
                if let Some(reports) = line.reports {
                    settings.send_modify(|settings| settings.reports = reports);
                }
                if line.calm == Some(true) {
                    calm();
                }
                if line.stop == Some(true) {
                    return;
                }
            }
            Err(error) => crate::output::note(format_args!("fleet: control line ignored: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_lines_are_read_strictly() {
        let read = |text: &str| serde_json::from_str::<Line>(text);
        assert_eq!(read(r#"{"reports":"off"}"#).unwrap().reports, Some(Switch::Off));
        assert!(read(r#"{"reports":"maybe"}"#).is_err());
        assert!(read(r#"{"repots":"off"}"#).is_err());
    }
}
