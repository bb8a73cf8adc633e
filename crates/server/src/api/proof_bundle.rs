//! Proof bundles on the static plane: one release and everything that proves it, in one file.
use super::Refusal;
use super::error::in_words;
use super::releases::digest;
use crate::app::App;
use crate::deliver;
use crate::proof_bundles::{NoBundle, served};
use andon_trust::view::RefusalCode;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State as Extract};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;

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
    let by = Arc::clone(&app);
    let made = tokio::task::spawn_blocking(move || served(&by, &facts, known.root)).await;
    let item = made.map_err(|why| Refusal::disk(&format!("make proof bundle: {why}")))??;
    app.counters.proof_bundles_served.fetch_add(1, Ordering::Relaxed);
    Ok(deliver::answer(item, &headers))
}

impl From<NoBundle> for Refusal {
    fn from(error: NoBundle) -> Refusal {
        let words = in_words(&error);
        match error {
            NoBundle::Disk(_) => Refusal::disk(&words),
            NoBundle::Pack(_) => Refusal::conflict(&words, "ask for its files one by one"),
            NoBundle::Refused(why) if why.code() == RefusalCode::Expired => {
                Refusal::expired(&words)
            }
            NoBundle::Refused(_) => {
                Refusal::conflict(&words, "look at the server's TUF files and its anchor")
            }
        }
    }
}
