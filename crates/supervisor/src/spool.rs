//! What the sensor leaves in the state folder: `alerts.jsonl` (appended, now and then begun anew) and
//! `status.json`. Read in small pieces; strange lines are skipped.
use andon_host::Input;
use andon_model::beat::{Alert, SensorStatus};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Most bytes read at a time: a flood of alerts must not keep the supervisor from watching.
const PIECE_BYTES_MAX: u64 = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Spool {
    alerts: PathBuf,
    status: PathBuf,
    file: Option<(File, u64)>,
    rest: Vec<u8>,
    status_last: Option<SensorStatus>,
}

impl Spool {
    /// Alerts written before this start were reported then.
    pub(crate) fn open(folder: &Path) -> Spool {
        let alerts = folder.join("alerts.jsonl");
        let file = File::open(&alerts).ok().and_then(|mut file| {
            let inode = file.metadata().ok()?.ino();
            file.seek(SeekFrom::End(0)).ok()?;
            Some((file, inode))
        });
        let status = folder.join("status.json");
        Spool { alerts, status, file, rest: Vec::new(), status_last: None }
    }

    /// What is new.
    pub(crate) fn news(&mut self) -> Vec<Input> {
        let mut bytes = std::mem::take(&mut self.rest);
        self.read_piece(&mut bytes);
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.rest = bytes.split_off(whole);
        if self.rest.len() as u64 > PIECE_BYTES_MAX {
            self.rest.clear();
        }
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let alerts = lines.filter_map(|line| serde_json::from_slice::<Alert>(line).ok());
        let mut news: Vec<Input> =
            alerts.map(|alert| Input::AlertSeen { alert: Box::new(alert) }).collect();
        news.extend(self.status_news());
        news
    }

    fn read_piece(&mut self, into: &mut Vec<u8>) {
        let before = into.len();
        if let Some((file, _)) = &mut self.file {
            // A read that fails is tried again at the next look.
            let _partial = file.take(PIECE_BYTES_MAX).read_to_end(into);
        }
        if into.len() > before {
            return;
        }
        // Nothing more in this one: is there another by now?
        let Ok(now) = std::fs::metadata(&self.alerts) else { return };
        let known = self.file.as_ref().map(|(_, inode)| *inode);
        if known != Some(now.ino()) {
            self.file = File::open(&self.alerts).ok().map(|file| (file, now.ino()));
            into.clear();
            if let Some((file, _)) = &mut self.file {
                let _partial = file.take(PIECE_BYTES_MAX).read_to_end(into);
            }
        }
    }

    fn status_news(&mut self) -> Option<Input> {
        let mut bytes = Vec::new();
        File::open(&self.status).ok()?.take(64 * 1024).read_to_end(&mut bytes).ok()?;
        let status: SensorStatus = serde_json::from_slice(&bytes).ok()?;
        if self.status_last.as_ref() == Some(&status) {
            return None;
        }
        self.status_last = Some(status.clone());
        Some(Input::SensorSeen { status })
    }
}
