//! The two endpoints of a witness (C2SP tlog-witness, "HTTP Interface"): `POST /add-checkpoint` and
//! `GET /<origin hash>/checkpoint`. It only carries; `sign-subtree` is not offered.
use super::{Refused, Witness};
use crate::clock;
use andon_model::limits::WITNESS_REQUEST_BYTES_MAX;
use andon_trust::log::witness::{RequestError, WitnessRefusal};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

/// Longest a request may take to arrive: a slow sender must not hold a place.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Most requests at once; what is more is sent away. Each may wait for a disk.
const REQUESTS_MAX: usize = 64;
/// Type of an answer that is nothing but a size, by the specification.
const SIZE_TYPE: &str = "text/x.tlog.size";
const TEXT_TYPE: &str = "text/plain; charset=utf-8";

/// Why the witness does not serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// the address
    #[error("listen on {0}")]
    Listen(String, #[source] io::Error),
    /// signals or the listener
    #[error("serve")]
    Serve(#[from] io::Error),
}

#[derive(Debug)]
struct Shared {
    witness: Witness,
    places: Semaphore,
}

/// Binds the address to serve on.
/// # Errors
/// [`ServeError::Listen`].
pub(crate) async fn bind(address: &str) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |why| ServeError::Listen(address.to_owned(), why);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Serves until SIGTERM or SIGINT; requests that are under way end first.
/// # Errors
/// [`ServeError::Serve`].
pub(crate) async fn serve(witness: Witness, listener: TcpListener) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shared = Arc::new(Shared { witness, places: Semaphore::new(REQUESTS_MAX) });
    let router = Router::new()
        .route("/add-checkpoint", post(add))
        .route("/{origin}/checkpoint", get(newest))
        .with_state(shared);
    let end = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(axum::serve(listener, router).with_graceful_shutdown(end).await?)
}

async fn add(State(shared): State<Arc<Shared>>, body: Body) -> Response {
    let Ok(_place) = shared.places.try_acquire() else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once".to_owned());
    };
    let limited = Limited::new(body, WITNESS_REQUEST_BYTES_MAX).collect();
    let bytes = match tokio::time::timeout(BODY_TIMEOUT, limited).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(why)) if why.is::<LengthLimitError>() => {
            return text(StatusCode::PAYLOAD_TOO_LARGE, "request is too large".to_owned());
        }
        Ok(Err(_)) => return text(StatusCode::BAD_REQUEST, "the body broke off".to_owned()),
        Err(_) => return text(StatusCode::REQUEST_TIMEOUT, "the body did not arrive".to_owned()),
    };
    let worker = Arc::clone(&shared);
    let now = clock::now().0 / 1000;
    match tokio::task::spawn_blocking(move || worker.witness.add(&bytes, now)).await {
        Ok(Ok(line)) => text(StatusCode::OK, line),
        Ok(Err(why)) => refusal(&why),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the request failed".to_owned()),
    }
}

async fn newest(State(shared): State<Arc<Shared>>, Path(origin): Path<String>) -> Response {
    match shared.witness.newest(&origin) {
        Some(checkpoint) => text(StatusCode::OK, checkpoint),
        None => text(StatusCode::NOT_FOUND, "nothing was cosigned for this log".to_owned()),
    }
}

fn refusal(why: &Refused) -> Response {
    if let Refused::Witness(WitnessRefusal::Conflict { known }) = why {
        let kind = [(header::CONTENT_TYPE, SIZE_TYPE)];
        return (StatusCode::CONFLICT, kind, format!("{known}\n")).into_response();
    }
    let status = match why {
        Refused::Request(RequestError::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
        Refused::Request(_) => StatusCode::BAD_REQUEST,
        Refused::Witness(why) => {
            StatusCode::from_u16(why.status()).unwrap_or(StatusCode::BAD_REQUEST)
        }
        Refused::Record(_) | Refused::Unsure => StatusCode::INTERNAL_SERVER_ERROR,
    };
    text(status, in_words(why))
}

fn in_words(why: &Refused) -> String {
    let mut words = why.to_string();
    let mut source = std::error::Error::source(why);
    while let Some(next) = source {
        words = format!("{words}: {next}");
        source = next.source();
    }
    words
}

fn text(status: StatusCode, mut body: String) -> Response {
    if !body.ends_with('\n') {
        body.push('\n');
    }
    (status, [(header::CONTENT_TYPE, TEXT_TYPE)], body).into_response()
}
