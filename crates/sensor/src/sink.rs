//! Where the sensor writes: alerts as JSON lines with a size cap, and its status, replaced whole.
use andon_model::beat::{Alert, SensorStatus};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Largest alerts file, bytes; then it is renamed to `FILE.1` and begun anew: two files at most.
const ALERTS_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why something could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SinkError {
    #[error("write alert")]
    Alert(#[source] io::Error),
    #[error("open alerts file {}", .0.display())]
    Open(PathBuf, #[source] io::Error),
    #[error("write status file {}", .0.display())]
    Status(PathBuf, #[source] io::Error),
}

/// The alerts' way out.
pub(crate) enum Alerts {
    /// standard output
    Output,
    /// a file and its length
    File { path: PathBuf, file: File, length: u64, length_max: u64 },
}

impl Alerts {
    /// Appends to `path`, or to standard output.
    pub(crate) fn open(path: Option<&Path>) -> Result<Alerts, SinkError> {
        match path {
            None => Ok(Alerts::Output),
            Some(path) => Alerts::file(path, ALERTS_BYTES_MAX),
        }
    }

    fn file(path: &Path, length_max: u64) -> Result<Alerts, SinkError> {
        let opened = OpenOptions::new().append(true).create(true).open(path);
        let file = opened.map_err(|failed| SinkError::Open(path.to_owned(), failed))?;
        let length = file.metadata().map_err(SinkError::Alert)?.len();
        Ok(Alerts::File { path: path.to_owned(), file, length, length_max })
    }

    /// Writes one line.
    pub(crate) fn write(&mut self, alert: &Alert) -> Result<(), SinkError> {
        let mut line = serde_json::to_vec(alert)
            .map_err(|failed| SinkError::Alert(io::Error::other(failed)))?;
        line.push(b'\n');
        match self {
            Alerts::Output => {
                let mut out = io::stdout().lock();
                out.write_all(&line).and_then(|()| out.flush()).map_err(SinkError::Alert)
            }
            Alerts::File { path, file, length, length_max } => {
                if *length + line.len() as u64 > *length_max {
                    let mut older = path.clone().into_os_string();
                    older.push(".1");
                    std::fs::rename(&*path, older).map_err(SinkError::Alert)?;
                    *self = Alerts::file(&path.clone(), *length_max)?;
                    return self.write(alert);
                }
                file.write_all(&line).map_err(SinkError::Alert)?;
                *length += line.len() as u64;
                Ok(())
            }
        }
    }
}

/// Replaces the status file: a reader sees the old one or the new one, whole.
pub(crate) fn write_status(path: &Path, status: &SensorStatus) -> Result<(), SinkError> {
    let failed = |failed| SinkError::Status(path.to_owned(), failed);
    let bytes = serde_json::to_vec(status).map_err(|e| failed(io::Error::other(e)))?;
    let mut beside = path.to_owned().into_os_string();
    beside.push(".new");
    std::fs::write(&beside, bytes).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use andon_model::text::Text;
    use andon_model::time::Time;

    #[test]
    fn the_alerts_file_keeps_its_cap_and_one_older_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.jsonl");
        let alert = Alert {
            at: Time(1),
            rule: Text::clipped("rule"),
            rule_id: Text::default(),
            level: Text::clipped("high"),
            command_line: Text::clipped("x"),
            pid: 1,
        };
        let mut alerts = Alerts::file(&path, 1000).unwrap();
        for _ in 0..100 {
            alerts.write(&alert).unwrap();
        }
        let names = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 2);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.is_empty() && text.len() <= 1000);
        assert!(text.lines().all(|line| serde_json::from_str::<Alert>(line).is_ok()));
    }
}
