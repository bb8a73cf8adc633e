//! One round of a light host's view: it fetches what `andon-trust` asks for and hands the bytes
//! back. All belief is made there; this only carries.
use super::net::{Got, Net, NetError};
use andon_model::Digest;
use andon_model::limits::RELEASE_BYTES_MAX;
use andon_model::release::Manifest;
use andon_trust::view::{Answer, Step, View};

/// Most fetches in one round: all strata of tickets and vendors a line may have, and a bound on a
/// server that would keep us busy for ever.
const FETCHES_PER_ROUND_MAX: usize = 10_000;

/// Runs one round to its end.
pub(super) async fn round(view: &mut View, net: &Net) {
    view.begin(super::clock::now());
    for _ in 0..FETCHES_PER_ROUND_MAX {
        let Step::Fetch(fetch) = view.next() else { return };
        let answer = match net.get(&fetch.path, fetch.limit, fetch.known).await {
            Ok(Got::Bytes(bytes)) => Answer::Bytes(bytes),
            Ok(Got::NotModified) => Answer::NotModified,
            Ok(Got::Missing) => Answer::Missing,
            Err(error) => Answer::Failed(super::chain(&error)),
        };
        view.supply(answer);
    }
}

/// The bundle of a release; its digest is checked where it is staged.
/// # Errors
/// [`NetError`].
pub(super) async fn bundle(net: &Net, manifest: &Manifest) -> Result<Vec<u8>, NetError> {
    let path = object_path(&manifest.bundle);
    let limit = usize::try_from(manifest.bundle_length().min(RELEASE_BYTES_MAX)).unwrap_or(0);
    match net.get(&path, limit, None).await? {
        Got::Bytes(bytes) => Ok(bytes),
        Got::Missing | Got::NotModified => Err(NetError::Refused { path, status: 404 }),
    }
}

fn object_path(digest: &Digest) -> String {
    format!("/v1/objects/{digest}")
}
