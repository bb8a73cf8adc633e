//! Hooks and probes of light hosts, run for real. A hook that judges a release's files (validate)
//! gives the same answer for the same bytes, so it runs once per process and release; the rest runs
//! on every host.
use andon_host::HookKind;
use andon_model::Digest;
use andon_model::release::{Hook, ProbeCheck};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::process::Command;
use tokio::sync::OnceCell;

/// A release and the command line run on it.
type Asked = (Digest, Vec<String>);

/// Verdicts of validate hooks by release and command line.
#[derive(Debug, Default)]
pub(super) struct Verdicts(Mutex<BTreeMap<Asked, Arc<OnceCell<bool>>>>);

impl Verdicts {
    /// Runs a hook on a slot; `true`: it ended in time with status 0.
    pub(super) async fn hook(
        &self,
        kind: HookKind,
        release: Option<Digest>,
        hook: &Hook,
        slot: &Path,
        state: &Path,
    ) -> bool {
        match (kind, release) {
            (HookKind::Validate, Some(release)) => {
                let cell = {
                    let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                    known.entry((release, hook.argv.clone())).or_default().clone()
                };
                *cell.get_or_init(|| run(hook, Some(slot), state)).await
            }
            _ => run(hook, Some(slot), state).await,
        }
    }
}

/// Asks a probe.
pub(super) async fn probe(check: &ProbeCheck, state: &Path) -> bool {
    match check {
        ProbeCheck::FileReadable(path) => {
            let path = filled(path, None, state);
            std::fs::metadata(&path).is_ok_and(|facts| facts.is_file())
                && std::fs::File::open(&path).is_ok()
        }
        ProbeCheck::Command(hook) => run(hook, None, state).await,
    }
}

fn filled(word: &str, slot: Option<&Path>, state: &Path) -> String {
    let word = word.replace("{state}", &state.to_string_lossy());
    match slot {
        Some(slot) => word.replace("{slot}", &slot.to_string_lossy()),
        None => word,
    }
}

async fn run(hook: &Hook, slot: Option<&Path>, state: &Path) -> bool {
    let words: Vec<String> = hook.argv.iter().map(|word| filled(word, slot, state)).collect();
    let Some((program, arguments)) = words.split_first() else { return false };
    let ended = Command::new(program)
        .args(arguments)
        .env("ANDON_STATE", state)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status();
    matches!(tokio::time::timeout(hook.timeout.std(), ended).await, Ok(Ok(status)) if status.success())
}
