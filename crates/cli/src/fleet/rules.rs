//! The sensor's part that needs no kernel: Sigma content is loaded by the very engine that
//! `andon-sensor` runs. Loading the same release gives the same answer, so it is done once per
//! process and remembered by the release's digest; every host still checks its own bytes.
use andon_content::preflight;
use andon_model::Digest;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Mutex;

/// Verdicts by release.
#[derive(Debug, Default)]
pub(super) struct Verdicts(Mutex<BTreeMap<Digest, Result<u32, String>>>);

impl Verdicts {
    /// How many rules of the slot are at work, or why the engine refuses them.
    /// # Errors
    /// The engine's words, or that the slot cannot be read.
    pub(super) fn judge(&self, release: &Digest, slot: &Path) -> Result<u32, String> {
        let mut known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        known.entry(*release).or_insert_with(|| load(slot)).clone()
    }
}

fn load(slot: &Path) -> Result<u32, String> {
    let mut files = Vec::new();
    read_below(slot, slot, &mut files).map_err(|error| format!("read slot: {error}"))?;
    let report = preflight::validate(files).map_err(|error| error.to_string())?;
    Ok(report.counts.active)
}

fn read_below(root: &Path, folder: &Path, files: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_below(root, &path, files)?;
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            files.push((name, fs::read(&path)?));
        }
    }
    Ok(())
}
