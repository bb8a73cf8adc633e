//! Publication: objects and manifests by digest, then the vendor's role that makes them count.
use super::{Refusal, read_body};
use crate::app::App;
use crate::durable;
use crate::publish::{manifest_path, object_path};
use crate::record::{Record, ReleaseFacts, TopMetadata};
use andon_model::limits::{
    MANIFEST_BYTES_MAX, PLATFORM_BYTES_MAX, RELEASE_BYTES_MAX, TUF_BYTES_MAX,
};
use andon_model::release::Manifest;
use andon_model::{Digest, VendorId};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path as InPath, State as Extract};
use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use sha2::Digest as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// Longest pause between two pieces of an object.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn digest(text: &str) -> Result<Digest, Refusal> {
    text.parse().map_err(|why| Refusal::malformed(&format!("path: {why}")))
}

/// `PUT /v1/objects/SHA256`: streamed to disk, named only once its digest is right.
pub(super) async fn put_object(
    Extract(app): Extract<Arc<App>>,
    InPath(name): InPath<String>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let wanted = digest(&name)?;
    let path = object_path(&app.inputs.data, wanted);
    let temporary = durable::temporary_name(&path);
    let stored = store(body, wanted, &temporary, &path).await;
    if stored.is_err() {
        let _ = tokio::fs::remove_file(&temporary).await;
    }
    stored.map(|()| StatusCode::CREATED)
}

async fn store(
    mut body: Body,
    wanted: Digest,
    temporary: &Path,
    path: &Path,
) -> Result<(), Refusal> {
    let failed = |why: std::io::Error| Refusal::disk(&format!("write object: {why}"));
    let mut file = tokio::fs::File::create(temporary).await.map_err(failed)?;
    let (mut hash, mut length) = (sha2::Sha256::new(), 0_u64);
    loop {
        let piece = tokio::time::timeout(PIECE_TIMEOUT, body.frame()).await;
        let piece = piece.map_err(|_| Refusal::malformed("the body did not arrive in time"))?;
        let Some(piece) = piece else { break };
        let piece = piece.map_err(|_| Refusal::malformed("the body broke off"))?;
        let Ok(bytes) = piece.into_data() else { continue };
        length += bytes.len() as u64;
        if length > RELEASE_BYTES_MAX {
            return Err(Refusal::too_large(RELEASE_BYTES_MAX));
        }
        hash.update(&bytes);
        file.write_all(&bytes).await.map_err(failed)?;
    }
    if Digest(hash.finalize().into()) != wanted {
        return Err(Refusal::malformed("the bytes have another digest than the path says"));
    }
    file.sync_all().await.map_err(failed)?;
    durable::adopt(temporary, path).map_err(failed)
}

/// `PUT /v1/manifests/SHA256`.
pub(super) async fn put_manifest(
    Extract(app): Extract<Arc<App>>,
    InPath(name): InPath<String>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let wanted = digest(&name)?;
    let bytes = read_body(body, MANIFEST_BYTES_MAX).await?;
    if Digest::of(&bytes) != wanted {
        return Err(Refusal::malformed("the bytes have another digest than the path says"));
    }
    Manifest::parse(&bytes).map_err(|why| Refusal::malformed(&super::error::in_words(&why)))?;
    let path = manifest_path(&app.inputs.data, wanted);
    durable::write(&path, &bytes)
        .map_err(|why| Refusal::disk(&format!("write manifest: {why}")))?;
    Ok(StatusCode::CREATED)
}

/// `POST /v1/releases/VENDOR/metadata`: the vendor's signed TUF role.
pub(super) async fn publish(
    Extract(app): Extract<Arc<App>>,
    InPath(vendor): InPath<String>,
    body: Body,
) -> Result<Json<serde_json::Value>, Refusal> {
    let vendor =
        VendorId::new(&vendor).map_err(|why| Refusal::malformed(&format!("path: vendor {why}")))?;
    let bytes = read_body(body, TUF_BYTES_MAX).await?;
    log_first(&app, &vendor, &bytes).await?;
    let mut repository = app.repository.lock().await;
    let now = app.now();
    let known = app.core().state.releases.clone();
    let candidate = repository.consider(&vendor, &bytes, &known, now)?;
    let version = candidate.version;
    repository.keep(&vendor, version, &bytes)?;
    let record = Record::RolePublished {
        vendor,
        version,
        digest: candidate.digest,
        releases: candidate.releases.clone(),
    };
    app.record(&[record]).await?;
    repository.adopt(candidate);
    repository.publish(&app.shelf, now)?;
    drop(repository);
    app.drive().await;
    Ok(Json(serde_json::json!({ "version": version })))
}

/// `POST /v1/platform/metadata`: the platform's next root, next top-level targets, or both at once.
pub(super) async fn platform(
    Extract(app): Extract<Arc<App>>,
    body: Body,
) -> Result<Json<serde_json::Value>, Refusal> {
    let bytes = read_body(body, PLATFORM_BYTES_MAX).await?;
    let top: TopMetadata = serde_json::from_slice(&bytes)
        .map_err(|why| Refusal::malformed(&format!("parse platform metadata: {why}")))?;
    if top == TopMetadata::default() {
        return Err(Refusal::malformed("it holds neither a root nor targets"));
    }
    let mut repository = app.repository.lock().await;
    let now = app.now();
    let (root, targets) = (top.root.as_deref(), top.targets.as_deref());
    let candidate =
        repository.consider_top(root.map(str::as_bytes), targets.map(str::as_bytes), now)?;
    let orphaned = candidate.orphaned.clone();
    // What is in force is public: whoever sends it again must not fill the journal with it.
    if candidate.top_versions() != repository.top_versions() {
        app.record(&[Record::PlatformPublished(top)]).await?;
        repository.adopt_top(candidate);
        repository.publish(&app.shelf, now)?;
    }
    let (root, targets) = repository.top_versions();
    drop(repository);
    app.drive().await;
    Ok(Json(serde_json::json!({ "root": root, "targets": targets, "orphaned": orphaned })))
}

/// Has the role's new releases logged before anything is published. The repository is not held
/// meanwhile: whoever pulls the cord needs it, and witnesses take their time.
async fn log_first(app: &App, vendor: &VendorId, bytes: &[u8]) -> Result<(), Refusal> {
    let candidate = {
        let repository = app.repository.lock().await;
        let known = app.core().state.releases.clone();
        repository.consider(vendor, bytes, &known, app.now())?
    };
    let entries: Vec<_> = candidate.releases.iter().map(ReleaseFacts::log_entry).collect();
    if entries.is_empty() {
        return Ok(());
    }
    Ok(crate::log::before_publishing(app, &entries).await?)
}
