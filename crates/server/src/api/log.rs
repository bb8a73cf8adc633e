//! The line's own log on the static plane: checkpoint and tiles as C2SP tlog-tiles has them, and a
//! proof of logging for each release.
use super::Refusal;
use super::releases::digest;
use crate::app::App;
use crate::deliver::{self, Cache, Item};
use crate::log::LineLog;
use crate::log::book::read_tile;
use andon_model::Digest;
use andon_trust::log::Tile;
use axum::extract::{Path, State as Extract};
use axum::http::HeaderMap;
use axum::response::Response;
use std::sync::Arc;

fn log(app: &App) -> Result<&LineLog, Refusal> {
    app.log.as_ref().ok_or_else(|| Refusal::not_found("this server keeps no public log"))
}

/// The newest checkpoint that is cosigned as the policy demands.
pub(super) async fn checkpoint(
    Extract(app): Extract<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let served = log(&app)?.served();
    let served = served.ok_or_else(|| Refusal::not_found("no checkpoint is cosigned yet"))?;
    Ok(deliver::answer(served.item(), &headers))
}

/// A tile that the served checkpoint covers; what has a width in its name never changes either. Beyond
/// the checkpoint there may be what a crash has left, and nobody may keep that for good.
pub(super) async fn tile(
    Extract(app): Extract<Arc<App>>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let missing = || Refusal::not_found("the log has no such tile");
    let tile = Tile::parse(&format!("tile/{path}")).ok_or_else(missing)?;
    let log = log(&app)?;
    let size = log.served().map_or(0, |served| served.checkpoint().checkpoint().head.size);
    let covered = Tile::of(tile.kind(), tile.index(), size);
    if covered.is_none_or(|covered| tile.width() > covered.width()) {
        return Err(missing());
    }
    let folder = log.folder().to_owned();
    let read = tokio::task::spawn_blocking(move || read_tile(&folder, &tile)).await;
    let bytes = read.ok().flatten().ok_or_else(missing)?;
    let (digest, cache) = (Digest::of(&bytes), Cache::Immutable);
    Ok(deliver::answer(Item { bytes: bytes.into(), digest, cache }, &headers))
}

/// A proof that the log holds a published release.
pub(super) async fn proof(
    Extract(app): Extract<Arc<App>>,
    Path(release): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let release = digest(&release)?;
    let served = log(&app)?.served();
    let entry = app.core().state.releases.get(&release).map(|facts| facts.log_entry());
    let entry = entry.ok_or_else(|| Refusal::not_found("no such release is published"))?;
    let proven = Arc::clone(&app);
    let made =
        tokio::task::spawn_blocking(move || served?.proof(proven.log.as_ref()?, entry.leaf()));
    let item = made.await.ok().flatten();
    let item = item.ok_or_else(|| {
        Refusal::not_found("no checkpoint that covers the release is cosigned yet")
    })?;
    Ok(deliver::answer(item, &headers))
}
