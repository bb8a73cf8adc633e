//! HTTP behind a small trait, so that everything above it can be tested without a network.
use andon_model::text::Text;
use andon_trust::view::{Answer, Fetch as Ask};
use std::io::{self, Read};
use std::time::Duration;

/// Longest one request for an object of bounded size may take, from name to last byte.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);
/// Longest a bundle may take: 1 GiB at 1 MiB/s with room to spare.
const BUNDLE_TIME_MAX: Duration = Duration::from_secs(3600);
/// Longest without a single byte.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// Largest error body read for its message.
const ERROR_BYTES_MAX: u64 = 4096;

/// What the sync round, the inbox and the relay need of a server.
pub trait Fetch: Send {
    /// GET with a size limit and If-None-Match; never fails, says what came of it.
    fn get(&mut self, ask: &Ask) -> Answer;
    /// GET as a stream; the reader enforces no limit, its user does.
    /// # Errors
    /// [`HttpError`].
    fn open(&mut self, path: &str) -> Result<Box<dyn Read>, HttpError>;
    /// POST of JSON; the answer's body, at most `limit` bytes.
    /// # Errors
    /// [`HttpError`].
    fn post(&mut self, path: &str, body: &[u8], limit: usize) -> Result<Vec<u8>, HttpError>;
    /// GET that may wait on the server for up to `wait`; the body, at most `limit` bytes.
    /// # Errors
    /// [`HttpError`].
    fn wait(&mut self, path: &str, wait: Duration, limit: usize) -> Result<Vec<u8>, HttpError>;
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// the server's address is unusable
    #[error("server address {0:?} is not http://HOST[:PORT]")]
    Address(String),
    /// https is asked for
    #[error("server address {0:?} needs TLS, which this version does not have; use http://")]
    Tls(String),
    /// no answer
    #[error("reach server")]
    Transport(#[source] Box<ureq::Error>),
    /// an answer that is no success
    #[error("server answers {status}: {message}")]
    Status {
        /// HTTP status
        status: u16,
        /// the server's own words, cut
        message: Text,
    },
    /// more than allowed
    #[error("answer has over {0} bytes")]
    TooLarge(usize),
    /// it broke off
    #[error("read answer")]
    Read(#[source] io::Error),
}

/// The server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    text: String,
    port: u16,
}

impl Base {
    /// Takes `http://HOST[:PORT]`, with or without a slash at the end.
    /// # Errors
    /// [`HttpError::Address`], [`HttpError::Tls`].
    pub fn parse(text: &str) -> Result<Base, HttpError> {
        let wrong = || HttpError::Address(text.chars().take(200).collect());
        if text.starts_with("https://") {
            return Err(HttpError::Tls(text.chars().take(200).collect()));
        }
        let uri: ureq::http::Uri = text.parse().map_err(|_| wrong())?;
        let plain = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        if !plain || uri.host().is_none_or(str::is_empty) {
            return Err(wrong());
        }
        Ok(Base { text: text.trim_end_matches('/').to_owned(), port: uri.port_u16().unwrap_or(80) })
    }
    /// TCP port of the server.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// The real thing. Cheap to clone; connections are shared.
#[derive(Clone, Debug)]
pub struct Http {
    base: Base,
    agent: ureq::Agent,
}

impl Http {
    /// No connection is made yet. Redirects and proxies are not followed: the server is the one named.
    #[must_use]
    pub fn new(base: Base) -> Http {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIME_MAX))
            .timeout_global(Some(REQUEST_TIME_MAX))
            .user_agent(concat!("andon-check/", env!("CARGO_PKG_VERSION")));
        Http { base, agent: config.build().new_agent() }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base.text)
    }

    fn send(&self, ask: &Ask) -> Result<Answer, HttpError> {
        let mut request = self.agent.get(self.url(&ask.path));
        if let Some(known) = &ask.known {
            request = request.header("If-None-Match", format!("\"{known}\""));
        }
        let response = request.call().map_err(transport)?;
        match response.status().as_u16() {
            304 if ask.known.is_some() => Ok(Answer::NotModified),
            404 => Ok(Answer::Missing),
            _ => read(success(response)?.into_body().into_reader(), ask.limit).map(Answer::Bytes),
        }
    }
}

impl Fetch for Http {
    fn get(&mut self, ask: &Ask) -> Answer {
        self.send(ask).unwrap_or_else(|failed| Answer::Failed(chain(&failed)))
    }
    fn open(&mut self, path: &str) -> Result<Box<dyn Read>, HttpError> {
        let request = self.agent.get(self.url(path));
        let request = request.config().timeout_global(Some(BUNDLE_TIME_MAX)).build();
        let response = success(request.call().map_err(transport)?)?;
        Ok(Box::new(response.into_body().into_reader()))
    }
    fn post(&mut self, path: &str, body: &[u8], limit: usize) -> Result<Vec<u8>, HttpError> {
        let request = self.agent.post(self.url(path)).header("Content-Type", "application/json");
        let response = success(request.send(body).map_err(transport)?)?;
        read(response.into_body().into_reader(), limit)
    }
    fn wait(&mut self, path: &str, wait: Duration, limit: usize) -> Result<Vec<u8>, HttpError> {
        let request = self.agent.get(self.url(path));
        let request = request.config().timeout_global(Some(wait + CONNECT_TIME_MAX)).build();
        let response = success(request.call().map_err(transport)?)?;
        read(response.into_body().into_reader(), limit)
    }
}

fn transport(failed: ureq::Error) -> HttpError {
    HttpError::Transport(Box::new(failed))
}

fn success(
    response: ureq::http::Response<ureq::Body>,
) -> Result<ureq::http::Response<ureq::Body>, HttpError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let mut body = Vec::new();
    // what cannot be read of an error's text does not matter
    let _ = response.into_body().into_reader().take(ERROR_BYTES_MAX).read_to_end(&mut body);
    Err(HttpError::Status { status: status.as_u16(), message: message(&body) })
}

/// The words of `{"error":{"code","message","next"}}`, or the beginning of whatever was sent.
fn message(body: &[u8]) -> Text {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let word = |name| Some(parsed.as_ref()?.get("error")?.get(name)?.as_str()?.to_owned());
    match (word("code"), word("message")) {
        (Some(code), Some(message)) => Text::clipped(&format!("{code}: {message}")),
        _ => Text::clipped(&String::from_utf8_lossy(&body[..body.len().min(200)])),
    }
}

fn read(from: impl Read, limit: usize) -> Result<Vec<u8>, HttpError> {
    let mut bytes = Vec::new();
    from.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(HttpError::Read)?;
    if bytes.len() > limit { Err(HttpError::TooLarge(limit)) } else { Ok(bytes) }
}

/// An error and its causes on one line, for people.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        out.push_str(": ");
        out.push_str(&source.to_string());
        cause = source.source();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_plain_http_or_refused() {
        assert_eq!(Base::parse("http://127.0.0.1:7300/").unwrap().port(), 7300);
        assert_eq!(Base::parse("http://andon.example").unwrap().port(), 80);
        assert!(matches!(Base::parse("https://x"), Err(HttpError::Tls(_))));
        for bad in ["", "x", "ftp://x", "http://", "http://x/path", "http://x/?a", "file:///etc"] {
            assert!(matches!(Base::parse(bad), Err(HttpError::Address(_))), "{bad}");
        }
    }
}
