//! `demo-report.json`: figures counted from journals, promises judged by them, and the commands with
//! which a stranger counts again.
use super::setting::Settings;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Its name, in the working folder.
pub(super) const FILE: &str = "demo-report.json";

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// hosts of the fleet: light ones and the full one
    pub(super) hosts: usize,
    /// everything that was set
    pub(super) settings: Settings,
    /// the good update
    pub(super) good: Option<Update>,
    /// whether the faulty update was stopped by the gate
    pub(super) detected: bool,
    /// the faulty update
    pub(super) bad: Option<Bad>,
    /// the same again with reports switched off
    pub(super) bad_silent: Option<Bad>,
    /// why the run with reports off was left out
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bad_silent_left_out: Option<String>,
    /// from the cord to the last living host that saw it
    pub(super) freeze_seen_s: Option<f64>,
    /// the fix
    pub(super) fix: Option<Update>,
    /// a detection seen from end to end
    pub(super) alert: Option<Alert>,
    /// what a stranger finds in the line's public log
    pub(super) log: Option<LogFigures>,
    /// what a rig has run, and what two people have waived
    pub(super) rig: RigFigures,
    /// what was promised, and whether it held
    pub(super) promises: Vec<Promise>,
    /// what kept the story from its end
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    /// from start to end of the story
    pub(super) wall_s: f64,
    /// resources
    pub(super) fleet: FleetFigures,
    /// where the journals are
    pub(super) journals: Journals,
    /// commands that make the same counts
    pub(super) recount: BTreeMap<String, String>,
}

/// Releases proven from one file each, offline, by the anchor and the operator's policy.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct LogFigures {
    /// published in this story
    pub(super) releases: usize,
    /// proven to be the vendor's and in the log, cosigned by enough witnesses
    pub(super) proven: usize,
    /// largest of these files, bytes
    pub(super) bytes_max: usize,
}

/// Releases of content: those that a rig has run may reach everybody, those that people waived the canary wave.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct RigFigures {
    /// why no rig works on this machine; then hosts demand nothing of one
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) left_out: Option<String>,
    /// digests of releases that it has run and signed
    pub(super) attested: Vec<String>,
    /// digests of releases that two people have waived it for
    pub(super) waived: Vec<String>,
    /// most hosts that activated a waived one
    pub(super) waived_hosts_max: usize,
}

/// An update that is to reach everybody.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Update {
    /// its rollout
    pub(super) rollout: String,
    /// digest of its release
    pub(super) release: String,
    /// hosts whose journal says it was confirmed and not left
    pub(super) updated: usize,
    /// from the start to the moment when 99 % of all hosts had activated it
    pub(super) t99_s: Option<f64>,
    /// hosts covered after each wave
    pub(super) waves: Vec<u64>,
    /// hosts of the last wave, held back until the one before had soaked
    pub(super) held_back: Option<u64>,
    /// whether the gate completed it
    pub(super) completed: bool,
}

/// A faulty update.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Bad {
    /// its rollout
    pub(super) rollout: String,
    /// digest of its release
    pub(super) release: String,
    /// B: most hosts that it may crash
    pub(super) budget: u64,
    /// hosts that put it into effect
    pub(super) activated: usize,
    /// distinct hosts with a recorded exit by signal
    pub(super) crashed: usize,
    /// of these, hosts that died as a whole and said nothing
    pub(super) died_whole: usize,
    /// distinct hosts whose service hung
    pub(super) hung: usize,
    /// distinct hosts whose probe failed
    pub(super) probe_failed: usize,
    /// whether the gate stopped it
    pub(super) detected: bool,
    /// from its first activation on a host to the gate's halt
    pub(super) halted_after_s: Option<f64>,
    /// what convinced the gate
    pub(super) channel: Option<String>,
    /// E at the halt
    pub(super) e: Option<f64>,
    /// crashed or hung hosts that went back by themselves
    pub(super) fell_back: usize,
    /// crashed or hung hosts that have no working version since
    pub(super) hands: usize,
    /// hosts that left the release without a crash, hang or failing probe
    pub(super) healthy_touched: usize,
    /// hosts covered after each wave
    pub(super) waves: Vec<u64>,
    /// said when B does not speak of this fault
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outside_the_promise: Option<String>,
}

/// One detection on this machine.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Alert {
    /// what was run
    pub(super) command: String,
    /// the random word in it
    pub(super) marker: String,
    /// whether the server shows an alert with the marker
    pub(super) seen: bool,
    /// the rule that matched
    pub(super) rule: Option<String>,
    /// from the command to the server
    pub(super) seen_s: Option<f64>,
}

/// Resources of the light hosts.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct FleetFigures {
    /// resident memory of the fleet's process, kilobytes, legacy processes not counted
    pub(super) rss_kb: u64,
    /// the same per light host
    pub(super) rss_kb_per_host: f64,
    /// beats that the server took
    pub(super) beats: u64,
    /// beats that were lost on the way
    pub(super) beats_lost: u64,
}

/// Where a stranger finds what was counted.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Journals {
    /// everything the demo leaves behind
    pub(super) folder: String,
    /// one file per host
    pub(super) hosts: String,
    /// the server's, one per rollout, with the explanation beside it
    pub(super) server: String,
}

/// One promise.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Promise {
    /// what was promised
    pub(super) name: String,
    /// whether it held
    pub(super) held: bool,
    /// the figure by which it is judged
    pub(super) figure: String,
}

impl Promise {
    /// One promise, judged.
    pub(super) fn new(name: &str, held: bool, figure: impl Into<String>) -> Promise {
        Promise { name: name.to_owned(), held, figure: figure.into() }
    }
}

impl Report {
    /// Whether the story came to its end and every promise held.
    pub(super) fn all_held(&self) -> bool {
        self.error.is_none() && !self.promises.is_empty() && self.promises.iter().all(|p| p.held)
    }

    /// Writes it into the working folder.
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        crate::files::replace(&folder.join(FILE), &bytes, crate::files::Access::Public)?;
        Ok(())
    }
}

/// Deletes an old report: what is there afterwards is from this run.
/// # Errors
/// When it is there and cannot be deleted.
pub(super) fn delete_old(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(folder.join(FILE)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
