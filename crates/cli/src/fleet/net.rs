//! One light host's way to the server: conditional GETs, the object plane, beats. Every answer has a
//! limit and every wait an end. It believes nothing: verification is for `andon-trust`.
use andon_model::beat::BeatAnswer;
use andon_model::enrol::EnrolAnswer;
use andon_model::envelope::Envelope;
use andon_model::index::Bell;
use andon_model::limits::BELL_WAIT_MAX;
use andon_model::{Digest, LineId};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Longest wait for an answer that is not the bell's.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer to a beat, an enrolment or the bell.
const SMALL_BYTES_MAX: usize = 64 * 1024;

/// Why there was no answer to use.
#[derive(Debug, thiserror::Error)]
pub(super) enum NetError {
    /// nobody there, or too slow
    #[error("reach {path}")]
    Unreachable {
        /// asked
        path: String,
        /// why
        source: reqwest::Error,
    },
    /// the server said no
    #[error("{path} answered {status}")]
    Refused {
        /// asked
        path: String,
        /// HTTP status
        status: u16,
    },
    /// more than allowed
    #[error("answer of {path} is over {limit} bytes")]
    TooLarge {
        /// asked
        path: String,
        /// most bytes taken
        limit: usize,
    },
    /// not one of ours
    #[error("read the answer of {path}")]
    Form {
        /// asked
        path: String,
        /// why
        source: serde_json::Error,
    },
}

/// What a GET brought.
#[derive(Debug)]
pub(super) enum Got {
    /// the body
    Bytes(Vec<u8>),
    /// what the caller has is current
    NotModified,
    /// no such thing
    Missing,
}

/// A server's address and the process's connection pool; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Net {
    base: String,
    http: reqwest::Client,
}

impl Net {
    /// For `http://HOST:PORT`.
    /// # Errors
    /// When the HTTP client cannot be made.
    pub(super) fn new(base: &str) -> Result<Net, reqwest::Error> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .user_agent(concat!("andon-fleet/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Net { base: base.trim_end_matches('/').to_owned(), http })
    }

    /// GET with `If-None-Match` where the caller knows a digest.
    /// # Errors
    /// [`NetError`].
    pub(super) async fn get(
        &self,
        path: &str,
        limit: usize,
        known: Option<Digest>,
    ) -> Result<Got, NetError> {
        let mut request = self.http.get(self.url(path)).timeout(ANSWER_TIMEOUT);
        if let Some(digest) = known {
            request = request.header("if-none-match", format!("\"{digest}\""));
        }
        let answer = request.send().await.map_err(|source| lost(path, source))?;
        match answer.status() {
            StatusCode::NOT_MODIFIED => Ok(Got::NotModified),
            StatusCode::NOT_FOUND => Ok(Got::Missing),
            _ => body(path, answer, limit).await.map(Got::Bytes),
        }
    }

    /// Waits for the line's index to become newer than `since`.
    /// # Errors
    /// [`NetError`].
    pub(super) async fn bell(&self, line: &LineId, since: u64) -> Result<Bell, NetError> {
        let path = format!("/v1/lines/{line}/bell?since={since}");
        let wait = BELL_WAIT_MAX.std() + ANSWER_TIMEOUT;
        let request = self.http.get(self.url(&path)).timeout(wait);
        let answer = request.send().await.map_err(|source| lost(&path, source))?;
        read(&path, &body(&path, answer, SMALL_BYTES_MAX).await?)
    }

    /// Asks for an id.
    /// # Errors
    /// [`NetError`].
    pub(super) async fn enrol(&self, envelope: &Envelope) -> Result<EnrolAnswer, NetError> {
        self.post("/v1/enrol", envelope).await
    }

    /// Says how the host is.
    /// # Errors
    /// [`NetError`].
    pub(super) async fn beat(&self, envelope: &Envelope) -> Result<BeatAnswer, NetError> {
        self.post("/v1/beats", envelope).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        envelope: &Envelope,
    ) -> Result<T, NetError> {
        let request = self
            .http
            .post(self.url(path))
            .timeout(ANSWER_TIMEOUT)
            .header("content-type", "application/json")
            .body(envelope.to_bytes());
        let answer = request.send().await.map_err(|source| lost(path, source))?;
        read(path, &body(path, answer, SMALL_BYTES_MAX).await?)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

fn lost(path: &str, source: reqwest::Error) -> NetError {
    NetError::Unreachable { path: path.to_owned(), source }
}

fn read<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T, NetError> {
    serde_json::from_slice(bytes).map_err(|source| NetError::Form { path: path.to_owned(), source })
}

async fn body(
    path: &str,
    mut answer: reqwest::Response,
    limit: usize,
) -> Result<Vec<u8>, NetError> {
    let status = answer.status();
    if !status.is_success() {
        return Err(NetError::Refused { path: path.to_owned(), status: status.as_u16() });
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|source| lost(path, source))? {
        if bytes.len() + chunk.len() > limit {
            return Err(NetError::TooLarge { path: path.to_owned(), limit });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
