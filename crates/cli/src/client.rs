//! Talks to `andond` over HTTP. It shows the server's own words when the server refuses, and never
//! reads more than it must: every answer has a limit. It checks no signature (that is andon-trust's).
use crate::exit::Exit;
use andon_model::envelope::Envelope;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for an answer: a gigabyte of bundle over loopback or LAN fits.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// Largest JSON answer for people (ten thousand hosts in a list).
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why the server gave us nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// not a URL
    #[error("read server address {0:?}")]
    Address(String),
    /// nobody there
    #[error("reach {url}")]
    Unreachable {
        /// asked
        url: String,
        /// why
        source: reqwest::Error,
    },
    /// the server said no
    #[error("{url} refused ({status}, {code}): {message}")]
    Refused {
        /// asked
        url: String,
        /// HTTP status
        status: u16,
        /// the server's code
        code: String,
        /// the server's words
        message: String,
        /// the server's advice
        next: Option<String>,
    },
    /// an answer, but not one of ours
    #[error("read the answer of {url}")]
    Answer {
        /// asked
        url: String,
        /// why
        source: serde_json::Error,
    },
    /// too much
    #[error("answer of {url} is over {limit} bytes")]
    TooLarge {
        /// asked
        url: String,
        /// most bytes taken
        limit: usize,
    },
}

impl ClientError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            ClientError::Address(_) => Exit::Usage,
            ClientError::Unreachable { .. } => Exit::Unreachable,
            ClientError::Refused { status: 404, .. } => Exit::NotFound,
            ClientError::Refused { status: 500.., .. } => Exit::Failed,
            ClientError::Refused { .. } => Exit::Refused,
            ClientError::Answer { .. } | ClientError::TooLarge { .. } => Exit::Failed,
        }
    }
    pub(crate) fn next(&self) -> Option<String> {
        match self {
            ClientError::Address(_) => Some("give --server http://HOST:PORT".to_owned()),
            ClientError::Unreachable { .. } => Some(
                "start the server (andond --config DIR/server/andond.toml) or give --server URL"
                    .to_owned(),
            ),
            ClientError::Refused { status: 404, .. } => Some(
                "andon rollout list, andon host list and andon release list show the names"
                    .to_owned(),
            ),
            ClientError::Refused { next, .. } => next.clone(),
            ClientError::Answer { .. } | ClientError::TooLarge { .. } => {
                Some("check that the address is andond's and of this version".to_owned())
            }
        }
    }
    /// Whether the server answered that there is no such thing.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, ClientError::Refused { status: 404, .. })
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorWords,
}

#[derive(Deserialize)]
struct ErrorWords {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    next: Option<String>,
}

/// A server's address and a connection pool.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    base: Url,
    http: reqwest::Client,
}

impl Client {
    /// For `http://HOST:PORT`.
    /// # Errors
    /// [`ClientError::Address`].
    pub(crate) fn new(base: &str) -> Result<Client, ClientError> {
        let wrong = || ClientError::Address(base.to_owned());
        let text = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
        let base = Url::parse(&text).map_err(|_| wrong())?;
        if base.host_str().is_none() || base.cannot_be_a_base() {
            return Err(wrong());
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .user_agent(concat!("andon/", env!("CARGO_PKG_VERSION")));
        // A proxy of the surroundings can never reach our own loopback.
        if matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|_| wrong())?;
        Ok(Client { base, http })
    }

    /// The server's address.
    pub(crate) fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// GET, the whole body.
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn bytes(&self, path: &str, limit: usize) -> Result<Vec<u8>, ClientError> {
        self.send(Method::GET, path, None, limit).await
    }

    /// GET, `None` when the server has no such thing.
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn bytes_if_there(
        &self,
        path: &str,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, ClientError> {
        match self.bytes(path, limit).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// GET, read as JSON.
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let bytes = self.bytes(path, ANSWER_BYTES_MAX).await?;
        self.read(path, &bytes)
    }

    /// POST an envelope.
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        envelope: &Envelope,
    ) -> Result<T, ClientError> {
        self.post_bytes(path, envelope.to_bytes()).await
    }

    /// POST bytes that are JSON.
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn post_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, ClientError> {
        let answer = self.send(Method::POST, path, Some(body), ANSWER_BYTES_MAX).await?;
        self.read(path, &answer)
    }

    /// PUT bytes under their digest.
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn put(&self, path: &str, body: Vec<u8>) -> Result<(), ClientError> {
        self.send(Method::PUT, path, Some(body), ANSWER_BYTES_MAX).await.map(|_| ())
    }

    fn read<T: DeserializeOwned>(&self, path: &str, bytes: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(bytes)
            .map_err(|source| ClientError::Answer { url: self.url(path), source })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<Vec<u8>, ClientError> {
        let url = self.url(path);
        let lost = |source| ClientError::Unreachable { url: url.clone(), source };
        let mut request = self.http.request(method.clone(), &url);
        if let Some(body) = body {
            let kind = if method == Method::POST {
                "application/json"
            } else {
                "application/octet-stream"
            };
            request = request.header("content-type", kind).body(body);
        }
        let mut answer = request.send().await.map_err(lost)?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            if bytes.len() + chunk.len() > limit {
                return Err(ClientError::TooLarge { url, limit });
            }
            bytes.extend_from_slice(&chunk);
        }
        if status.is_success() { Ok(bytes) } else { Err(refusal(url, status, &bytes)) }
    }
}

fn refusal(url: String, status: StatusCode, body: &[u8]) -> ClientError {
    let words = serde_json::from_slice::<ErrorBody>(body).map(|body| body.error);
    let words = words.unwrap_or_else(|_| ErrorWords {
        code: "unknown".to_owned(),
        message: String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned(),
        next: None,
    });
    ClientError::Refused {
        url,
        status: status.as_u16(),
        code: words.code,
        message: words.message,
        next: words.next,
    }
}
