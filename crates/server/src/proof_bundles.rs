//! Proof bundles: made out of what is served at that moment, verified as a stranger would, and kept until
//! something in them changes, for a fleet that starts asks for the same one again and again. What a stranger
//! would not believe is not handed out.
use crate::app::App;
use crate::deliver::{Cache, Item};
use crate::publish::manifest_path;
use crate::record::ReleaseFacts;
use andon_model::envelope::Envelope;
use andon_model::limits::{MANIFEST_BYTES_MAX, TUF_BYTES_MAX, TUF_ROOT_ROTATIONS_MAX};
use andon_model::proof_bundle::{Believed, ProofBundle, SignedRoot};
use andon_model::{Digest, Time};
use andon_trust::proof_bundle::{FileError, ProofRefusal, Terms, pack, verify};
use andon_trust::repository::pinned_version;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Most bundles kept; over it all are forgotten and made again when they are asked for.
const KEPT_MAX: usize = 64;

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum NoBundle {
    /// a file is not there
    #[error("{0}")]
    Disk(String),
    /// a stranger would refuse it
    #[error("nobody would believe the release now")]
    Refused(#[source] ProofRefusal),
    /// too large
    #[error("write the proof bundle")]
    Pack(#[source] FileError),
}

/// Bundles by release and by the first root that the reader lacks; 0: it lacks none, whatever number it gave.
#[derive(Debug, Default)]
pub struct Kept(Mutex<BTreeMap<(Digest, u64), Made>>);

impl Kept {
    /// How many are kept.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

#[derive(Debug)]
struct Made {
    of: Ingredients,
    expires: Time,
    item: Item,
}

/// What a bundle follows from: the same, the same bundle.
#[derive(Debug, PartialEq, Eq)]
struct Ingredients {
    timestamp: Option<Digest>,
    roots: usize,
    log_proof: Option<Digest>,
    attestations: usize,
}

/// The bundle of a published release for a reader that trusts root number `root`.
/// # Errors
/// [`NoBundle`].
pub fn served(app: &App, facts: &ReleaseFacts, root: u64) -> Result<Item, NoBundle> {
    // Held while one is made: who asks for the same meanwhile waits for it instead of making it again.
    let mut kept = app.proof_bundles.0.lock().unwrap_or_else(PoisonError::into_inner);
    let roots = roots_after(app, root);
    let of = Ingredients {
        timestamp: app.shelf.get("tuf/timestamp.json").map(|item| item.digest),
        roots: roots.len(),
        log_proof: log_proof(app, facts).map(|text| Digest::of(text.as_bytes())),
        // none is ever taken back
        attestations: attestations(app, facts.release).len(),
    };
    let place = (facts.release, roots.first().map_or(0, |first| first.version));
    let now = app.now();
    if let Some(made) = kept.get(&place).filter(|made| made.of == of && now < made.expires) {
        return Ok(made.item.clone());
    }
    let bundle = gather(app, facts, roots)?;
    let (anchor, believed) = (&app.inputs.anchor, Believed::default());
    let terms = Terms { anchor, policy: None, now, believed: &believed };
    let expires = verify(&bundle, &terms).map_err(NoBundle::Refused)?.expires;
    let bytes = pack(&bundle).map_err(NoBundle::Pack)?;
    let item = Item { digest: Digest::of(&bytes), bytes: bytes.into(), cache: Cache::Revalidate };
    if kept.len() >= KEPT_MAX {
        kept.clear();
    }
    kept.insert(place, Made { of, expires, item: item.clone() });
    Ok(item)
}

/// The newest timestamp, and what it leads to: files under those names never change, and none is taken away.
fn gather(
    app: &App,
    facts: &ReleaseFacts,
    roots: Vec<SignedRoot>,
) -> Result<ProofBundle, NoBundle> {
    let timestamp = tuf_file(app, "timestamp.json")?;
    let named = |text: &str, name: &str| {
        let version = pinned_version(text.as_bytes(), name).ok().flatten();
        version.ok_or_else(|| NoBundle::Disk(format!("TUF metadata do not name {name}")))
    };
    let version = named(&timestamp, "snapshot.json")?;
    let snapshot = tuf_file(app, &format!("{version}.snapshot.json"))?;
    let version = named(&snapshot, "targets.json")?;
    let targets = tuf_file(app, &format!("{version}.targets.json"))?;
    let vendor = &facts.vendor;
    let version = named(&snapshot, &format!("{vendor}.json"))?;
    let role = tuf_file(app, &format!("{version}.{vendor}.json"))?;
    let manifest = read(manifest_path(&app.inputs.data, facts.release), MANIFEST_BYTES_MAX)
        .ok_or_else(|| NoBundle::Disk("the release's manifest cannot be read".to_owned()))?;
    Ok(ProofBundle {
        schema: 1,
        vendor: vendor.clone(),
        roots,
        timestamp,
        snapshot,
        targets,
        role,
        manifest,
        log_proof: log_proof(app, facts),
        attestations: attestations(app, facts.release),
    })
}

fn roots_after(app: &App, known: u64) -> Vec<SignedRoot> {
    let next = |n: u32| known.saturating_add(u64::from(n));
    let versions = (1..=TUF_ROOT_ROTATIONS_MAX).map(next);
    let read = |version| {
        let root = tuf_file(app, &format!("{version}.root.json")).ok()?;
        Some(SignedRoot { version, root })
    };
    versions.map_while(read).collect()
}

/// What rigs and people have signed about it.
fn attestations(app: &App, release: Digest) -> Vec<Envelope> {
    app.core().state.attestations.get(&release).cloned().unwrap_or_default()
}

/// `None` where this server keeps no log, or no checkpoint that covers the release is cosigned.
fn log_proof(app: &App, facts: &ReleaseFacts) -> Option<String> {
    let log = app.log.as_ref()?;
    let proof = log.served()?.proof(log, facts.log_entry().leaf())?;
    String::from_utf8(proof.bytes.to_vec()).ok()
}

/// What is served under that name; older versions lie on disk only.
fn tuf_file(app: &App, name: &str) -> Result<String, NoBundle> {
    let shown = app.shelf.get(&format!("tuf/{name}"));
    let shown = shown.and_then(|item| String::from_utf8(item.bytes.to_vec()).ok());
    let text = shown.or_else(|| read(app.inputs.data.join("tuf").join(name), TUF_BYTES_MAX));
    text.ok_or_else(|| NoBundle::Disk(format!("TUF file {name} cannot be read")))
}

fn read(path: std::path::PathBuf, limit: usize) -> Option<String> {
    let length = std::fs::metadata(&path).ok()?.len();
    (length <= limit as u64).then(|| std::fs::read_to_string(path).ok()).flatten()
}
