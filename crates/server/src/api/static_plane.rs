//! The static plane's endpoints, and the bell. What is served is signed or named by its digest.
use super::releases::digest;
use super::{Refusal, our_line};
use crate::app::App;
use crate::deliver::{self, Cache, Item};
use crate::publish::{manifest_path, object_path};
use andon_model::Digest;
use andon_model::index::Bell;
use andon_model::limits::{BELL_WAIT_MAX, TUF_BYTES_MAX};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State as Extract};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;

/// Objects up to this size are read whole; larger ones in pieces of it.
const PIECE: usize = 256 * 1024;

pub(super) async fn line_file(
    Extract(app): Extract<Arc<App>>,
    Path((line, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    our_line(&app, &line)?;
    let item = app.shelf.get(&format!("lines/{line}/{file}"));
    let item = item.ok_or_else(|| Refusal::not_found("the line has no such file now"))?;
    Ok(deliver::answer(item, &headers))
}

pub(super) async fn tuf(
    Extract(app): Extract<Arc<App>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    if let Some(item) = app.shelf.get(&format!("tuf/{file}")) {
        return Ok(deliver::answer(item, &headers));
    }
    // Older versions, for hosts in the middle of a refresh.
    let clean = file.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !clean || file.starts_with('.') {
        return Err(Refusal::not_found("no such metadata"));
    }
    let bytes = read_file(app.inputs.data.join("tuf").join(file), TUF_BYTES_MAX as u64).await?;
    let (digest, cache) = (Digest::of(&bytes), Cache::Immutable);
    Ok(deliver::answer(Item { bytes: bytes.into(), digest, cache }, &headers))
}

/// `…/SHA256.VERSION.json`: the manifest, whatever vendor and component the path names; hosts check
/// the digest that the vendor signed for that path.
pub(super) async fn manifest(
    Extract(app): Extract<Arc<App>>,
    Path((_, _, file)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let name = file.split('.').next().unwrap_or_default();
    let digest = digest(name)?;
    if let Some(known) = deliver::not_modified(digest, Cache::Immutable, &headers) {
        return Ok(known);
    }
    whole_or_streamed(manifest_path(&app.inputs.data, digest), digest).await
}

pub(super) async fn object(
    Extract(app): Extract<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let digest = digest(&name)?;
    if let Some(known) = deliver::not_modified(digest, Cache::Immutable, &headers) {
        return Ok(known);
    }
    whole_or_streamed(object_path(&app.inputs.data, digest), digest).await
}

async fn whole_or_streamed(path: PathBuf, digest: Digest) -> Result<Response, Refusal> {
    let missing = |_| Refusal::not_found("no such object");
    let mut file = tokio::fs::File::open(&path).await.map_err(missing)?;
    let length = file.metadata().await.map_err(missing)?.len();
    let body = if length <= PIECE as u64 {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).await.map_err(missing)?;
        Body::from(bytes)
    } else {
        Body::from_stream(pieces(file))
    };
    let mut response = Response::new(body);
    deliver::describe(response.headers_mut(), digest, Cache::Immutable);
    if let Ok(length) = length.to_string().parse() {
        response.headers_mut().insert(axum::http::header::CONTENT_LENGTH, length);
    }
    Ok(response)
}

fn pieces(
    file: tokio::fs::File,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    futures_util::stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok((read > 0).then(|| (Bytes::from(piece), file)))
    })
}

async fn read_file(path: PathBuf, limit: u64) -> Result<Vec<u8>, Refusal> {
    let missing = |_| Refusal::not_found("no such metadata");
    let length = tokio::fs::metadata(&path).await.map_err(missing)?.len();
    if length > limit {
        return Err(Refusal::not_found("no such metadata"));
    }
    tokio::fs::read(&path).await.map_err(missing)
}

/// What a caller at the bell has seen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    #[serde(default)]
    since: u64,
}

/// `GET …/bell?since=N`: answers when the index has another version than N, else after half a
/// minute. Another, not only a newer one: a server restored from a backup must not leave hosts deaf.
pub(super) async fn bell(
    Extract(app): Extract<Arc<App>>,
    Path(line): Path<String>,
    since: Result<Query<Since>, QueryRejection>,
) -> Result<Json<Bell>, Refusal> {
    our_line(&app, &line)?;
    Ok(Json(Bell { version: another(&app, &app.bell, since).await? }))
}

/// Waits until a version is another one than the caller has seen, and gives it.
pub(super) async fn another(
    app: &App,
    versions: &watch::Sender<u64>,
    since: Result<Query<Since>, QueryRejection>,
) -> Result<u64, Refusal> {
    let Query(Since { since }) =
        since.map_err(|_| Refusal::malformed("query: since must be a whole number"))?;
    let mut version = versions.subscribe();
    let mut closing = app.closing.subscribe();
    tokio::select! {
        _ = version.wait_for(|version| *version != since) => {}
        _ = closing.wait_for(|closing| *closing) => {}
        () = tokio::time::sleep(BELL_WAIT_MAX.std()) => {}
    }
    let now = *versions.borrow();
    Ok(now)
}
