//! HTTP to a vendor line's server, and to witnesses: every wait and every answer has a limit, redirects are not
//! followed. It checks no signature ([`super::verify`] does), and speaks plain HTTP: what is said is
//! signed, and TLS is a proxy's.
use andon_model::Millis;
use andon_model::text::Text;
use reqwest::{Response, StatusCode, Url, header};
use std::time::Duration;

/// Longest wait for a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest one call may take beside what it may wait at the server: the largest places over 10 MB/s.
const CALL_TIME_MAX: Duration = Duration::from_secs(20);
/// Largest body of a refusal that is read for its words.
const REFUSAL_BYTES_MAX: usize = 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// nobody there, or it broke off
    #[error("call {0}")]
    Call(String, #[source] reqwest::Error),
    /// more than allowed
    #[error("the answer of {0} has over {1} bytes")]
    TooLarge(String, usize),
    /// an answer that is no success
    #[error("{path} answers {status}: {words}")]
    Refused {
        /// asked
        path: String,
        /// HTTP status
        status: u16,
        /// the server's words, cut
        words: Text,
    },
    /// no client can be made
    #[error("make an HTTP client")]
    Client(#[source] reqwest::Error),
}

/// What an address is called by: `http://HOST[:PORT]` and nothing after it.
#[must_use]
pub fn address(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let plain = url.scheme() == "http" && url.path() == "/" && url.query().is_none();
    let host = url.host_str().is_some_and(|host| !host.is_empty());
    let nobody = url.username().is_empty() && url.password().is_none();
    (plain && host && nobody && url.fragment().is_none())
        .then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// What a long poll brought.
#[derive(Debug)]
pub enum Polled {
    /// something newer
    New {
        /// the body
        bytes: Vec<u8>,
        /// its version, for the next poll
        version: Option<String>,
    },
    /// nothing for so long
    Nothing,
}

/// A vendor line's server.
#[derive(Clone, Debug)]
pub struct LineHttp {
    base: String,
    http: reqwest::Client,
}

impl LineHttp {
    /// For an [`address`].
    /// # Errors
    /// [`HttpError::Client`].
    pub fn new(base: &str) -> Result<LineHttp, HttpError> {
        let mut builder = reqwest::Client::builder();
        // A proxy of the surroundings can never reach our own loopback.
        let host = Url::parse(base).ok().and_then(|url| url.host_str().map(str::to_owned));
        if matches!(host.as_deref(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            builder = builder.no_proxy();
        }
        let http = builder
            .connect_timeout(CONNECT_TIME_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("andond/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(HttpError::Client)?;
        Ok(LineHttp { base: base.trim_end_matches('/').to_owned(), http })
    }

    /// GET of at most `limit` bytes.
    /// # Errors
    /// [`HttpError`].
    pub async fn get(&self, path: &str, limit: usize) -> Result<Vec<u8>, HttpError> {
        let call = self.http.get(format!("{}{path}", self.base)).timeout(CALL_TIME_MAX);
        let answer = call.send().await.map_err(|why| HttpError::Call(path.to_owned(), why))?;
        match answer.status() {
            StatusCode::OK => read(path, answer, limit).await,
            status => Err(refused(path, status, answer).await),
        }
    }

    /// GET that waits at the server for something newer than `version`.
    /// # Errors
    /// [`HttpError`].
    pub async fn poll(
        &self,
        path: &str,
        version: Option<&str>,
        wait: Millis,
        limit: usize,
    ) -> Result<Polled, HttpError> {
        let time = CALL_TIME_MAX + wait.std();
        let mut call = self.http.get(format!("{}{path}", self.base)).timeout(time);
        if let Some(version) = version {
            call = call.header(header::IF_NONE_MATCH, version);
        }
        let answer = call.send().await.map_err(|why| HttpError::Call(path.to_owned(), why))?;
        match answer.status() {
            StatusCode::NOT_MODIFIED => Ok(Polled::Nothing),
            StatusCode::OK => {
                let version = answer.headers().get(header::ETAG);
                let version = version.and_then(|tag| tag.to_str().ok()).map(str::to_owned);
                Ok(Polled::New { bytes: read(path, answer, limit).await?, version })
            }
            status => Err(refused(path, status, answer).await),
        }
    }

    /// POST; the status and at most a megabyte of the body, for 200 and 409.
    /// # Errors
    /// [`HttpError`].
    pub async fn post(&self, path: &str, body: Vec<u8>) -> Result<(bool, Vec<u8>), HttpError> {
        self.post_as("application/json", path, body, CALL_TIME_MAX).await
    }

    /// The same with a body of this type, and no longer than `time`.
    /// # Errors
    /// [`HttpError`].
    pub async fn post_as(
        &self,
        kind: &'static str,
        path: &str,
        body: Vec<u8>,
        time: Duration,
    ) -> Result<(bool, Vec<u8>), HttpError> {
        let call = self.http.post(format!("{}{path}", self.base)).timeout(time);
        let call = call.header(header::CONTENT_TYPE, kind).body(body);
        let answer = call.send().await.map_err(|why| HttpError::Call(path.to_owned(), why))?;
        match answer.status() {
            status @ (StatusCode::OK | StatusCode::CONFLICT) => {
                let bytes = read(path, answer, REFUSAL_BYTES_MAX).await?;
                Ok((status == StatusCode::OK, bytes))
            }
            status => Err(refused(path, status, answer).await),
        }
    }
}

async fn read(path: &str, mut answer: Response, limit: usize) -> Result<Vec<u8>, HttpError> {
    let mut bytes = Vec::new();
    let broken = |why| HttpError::Call(path.to_owned(), why);
    while let Some(piece) = answer.chunk().await.map_err(broken)? {
        if bytes.len() + piece.len() > limit {
            return Err(HttpError::TooLarge(path.to_owned(), limit));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

async fn refused(path: &str, status: StatusCode, answer: Response) -> HttpError {
    let bytes = read(path, answer, REFUSAL_BYTES_MAX).await.unwrap_or_default();
    let words = Text::clipped(&String::from_utf8_lossy(&bytes));
    HttpError::Refused { path: path.to_owned(), status: status.as_u16(), words }
}
