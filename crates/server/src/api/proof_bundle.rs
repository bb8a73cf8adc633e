//! Proof bundles on the static plane: one release and everything that proves it, in one file, made out of
//! what is served at that moment. What a stranger would not believe is not handed out.
use super::Refusal;
use super::error::in_words;
use super::releases::digest;
use crate::app::App;
use crate::deliver::{self, Cache, Item};
use crate::publish::manifest_path;
use crate::record::ReleaseFacts;
use andon_model::Digest;
use andon_model::limits::{MANIFEST_BYTES_MAX, TUF_BYTES_MAX, TUF_ROOT_ROTATIONS_MAX};
use andon_model::proof_bundle::{Believed, ProofBundle, SignedRoot};
use andon_trust::proof_bundle::{Terms, pack, verify};
use andon_trust::repository::pinned_version;
use andon_trust::view::RefusalCode;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State as Extract};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;

/// What the caller trusts already.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    /// version of its TUF root; every host's is at least 1
    #[serde(default = "first_root")]
    root: u64,
}

fn first_root() -> u64 {
    1
}

/// `GET /v1/proof-bundles/SHA256?root=N`.
pub(super) async fn bundle(
    Extract(app): Extract<Arc<App>>,
    Path(release): Path<String>,
    known: Result<Query<Known>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let release = digest(&release)?;
    let Query(known) =
        known.map_err(|_| Refusal::malformed("query: root must be a whole number"))?;
    let facts = app.core().state.releases.get(&release).cloned();
    let facts = facts.ok_or_else(|| Refusal::not_found("no such release is published"))?;
    let made = tokio::task::spawn_blocking(move || make(&app, &facts, known.root)).await;
    let bytes = made.map_err(|why| Refusal::disk(&format!("make proof bundle: {why}")))??;
    let (digest, cache) = (Digest::of(&bytes), Cache::Revalidate);
    Ok(deliver::answer(Item { bytes: bytes.into(), digest, cache }, &headers))
}

fn make(app: &App, facts: &ReleaseFacts, root: u64) -> Result<Vec<u8>, Refusal> {
    let bundle = gather(app, facts, root)?;
    let (anchor, believed) = (&app.inputs.anchor, Believed::default());
    let terms = Terms { anchor, policy: None, now: app.now(), believed: &believed };
    if let Err(why) = verify(&bundle, &terms) {
        let message = format!("nobody would believe the release now: {}", in_words(&why));
        return Err(match why.code() {
            RefusalCode::Expired => Refusal::expired(&message),
            _ => Refusal::conflict(&message, "look at the server's TUF files and its anchor"),
        });
    }
    pack(&bundle).map_err(|why| Refusal::conflict(&in_words(&why), "ask for its files one by one"))
}

/// The newest timestamp, and what it leads to: files under those names never change, and none is taken away.
fn gather(app: &App, facts: &ReleaseFacts, root: u64) -> Result<ProofBundle, Refusal> {
    let timestamp = tuf_file(app, "timestamp.json")?;
    let named = |text: &str, name: &str| {
        let version = pinned_version(text.as_bytes(), name).ok().flatten();
        version.ok_or_else(|| Refusal::disk(&format!("TUF metadata do not name {name}")))
    };
    let version = named(&timestamp, "snapshot.json")?;
    let snapshot = tuf_file(app, &format!("{version}.snapshot.json"))?;
    let version = named(&snapshot, "targets.json")?;
    let targets = tuf_file(app, &format!("{version}.targets.json"))?;
    let vendor = &facts.vendor;
    let version = named(&snapshot, &format!("{vendor}.json"))?;
    let role = tuf_file(app, &format!("{version}.{vendor}.json"))?;
    let manifest = read(manifest_path(&app.inputs.data, facts.release), MANIFEST_BYTES_MAX)
        .ok_or_else(|| Refusal::disk("the release's manifest cannot be read"))?;
    Ok(ProofBundle {
        schema: 1,
        vendor: vendor.clone(),
        roots: roots_after(app, root),
        timestamp,
        snapshot,
        targets,
        role,
        manifest,
        log_proof: log_proof(app, facts),
        attestations: Vec::new(),
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

/// `None` where this server keeps no log, or no checkpoint that covers the release is cosigned.
fn log_proof(app: &App, facts: &ReleaseFacts) -> Option<String> {
    let log = app.log.as_ref()?;
    let proof = log.served()?.proof(log, facts.log_entry().leaf())?;
    String::from_utf8(proof.bytes.to_vec()).ok()
}

/// What is served under that name; older versions lie on disk only.
fn tuf_file(app: &App, name: &str) -> Result<String, Refusal> {
    let shown = app.shelf.get(&format!("tuf/{name}"));
    let shown = shown.and_then(|item| String::from_utf8(item.bytes.to_vec()).ok());
    let text = shown.or_else(|| read(app.inputs.data.join("tuf").join(name), TUF_BYTES_MAX));
    text.ok_or_else(|| Refusal::disk(&format!("TUF file {name} cannot be read")))
}

fn read(path: std::path::PathBuf, limit: usize) -> Option<String> {
    let length = std::fs::metadata(&path).ok()?.len();
    (length <= limit as u64).then(|| std::fs::read_to_string(path).ok()).flatten()
}
