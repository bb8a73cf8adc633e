//! GET, with a limit on everything: bytes, time, redirects (none). No TLS in this version: TUF
//! believes signatures, never the connection; who reads along learns what is fetched.
use super::names::Names;
use andon_trust::client::{Fault, Source, quoted_path};
use std::io::{self, Read};
use std::time::Duration;
use ureq::http::{Response, Uri};
use ureq::unversioned::transport::DefaultConnector;

/// Longest wait for a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest wait for the head of an answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
/// Longest one metadata file may take from name to last byte: 16 MiB at 300 KB/s.
const METADATA_TIME_MAX: Duration = Duration::from_secs(60);
/// Longest one connection may send one file: 1 GiB at 300 KB/s. What came before counts when it is
/// taken up again.
const FILE_TIME_MAX: Duration = Duration::from_secs(3600);
/// Most of an error's body that is read, so that its connection can serve again.
const ERROR_BYTES_MAX: u64 = 64 * 1024;

/// Why a request gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// not an address we can use
    #[error("{0:?} is not http://HOST[:PORT][/PATH]")]
    Address(String),
    /// https is asked for
    #[error(
        "{0:?} needs TLS, which this version does not have; TUF metadata is signed, use http://"
    )]
    Tls(String),
    /// no answer
    #[error("reach {0}")]
    Transport(String, #[source] Box<ureq::Error>),
    /// an answer that is no success
    #[error("{0} answers {1}")]
    Status(String, u16),
    /// it broke off
    #[error("read the answer of {0}")]
    Read(String, #[source] io::Error),
    /// it answers something else than it was asked
    #[error("{0} sends another range than the one asked for")]
    Range(String),
}

/// An address below which files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(String);

impl Address {
    /// Takes `http://HOST[:PORT][/PATH]`, with or without a slash at the end.
    /// # Errors
    /// [`HttpError::Address`], [`HttpError::Tls`].
    pub(crate) fn parse(text: &str) -> Result<Address, HttpError> {
        let short = || text.chars().take(200).collect();
        if text.starts_with("https://") {
            return Err(HttpError::Tls(short()));
        }
        let uri: Uri = text.parse().map_err(|_| HttpError::Address(short()))?;
        let plain = uri.scheme_str() == Some("http") && uri.query().is_none();
        if !plain || uri.host().is_none_or(str::is_empty) {
            return Err(HttpError::Address(short()));
        }
        Ok(Address(text.trim_end_matches('/').to_owned()))
    }

    fn of(&self, quoted: &str) -> String {
        format!("{}/{quoted}", self.0)
    }
}

/// Bytes of a file from the server, from `from` on.
pub(crate) struct Stream {
    /// the first byte that comes
    pub(crate) from: u64,
    /// the bytes
    pub(crate) body: Box<dyn Read>,
}

/// A connection pool. Redirects and proxies are not followed: the server is the one named.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    agent: ureq::Agent,
    base: Address,
}

impl Http {
    /// No connection is made yet.
    pub(crate) fn new(base: Address) -> Http {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIME_MAX))
            .timeout_recv_response(Some(ANSWER_TIME_MAX))
            .timeout_global(Some(METADATA_TIME_MAX))
            .user_agent(concat!("andon/", env!("CARGO_PKG_VERSION")));
        let (connector, names) = (DefaultConnector::new(), Names::default());
        Http { agent: ureq::Agent::with_parts(config.build(), connector, names), base }
    }

    /// The same connections, another address.
    pub(crate) fn at(&self, base: Address) -> Http {
        Http { agent: self.agent.clone(), base }
    }

    /// A file as a stream. Asked for a later part (`from`), a server may send all of it; `None` when
    /// it has no such part.
    /// # Errors
    /// [`HttpError`].
    pub(crate) fn open(&self, path: &str, from: u64) -> Result<Option<Stream>, HttpError> {
        let url = self.base.of(&quoted_path(path));
        let mut request = self.agent.get(&url);
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let request = request.config().timeout_global(Some(FILE_TIME_MAX)).build();
        let answer = request.call().map_err(|e| HttpError::Transport(url.clone(), Box::new(e)))?;
        let from = match answer.status().as_u16() {
            200 => 0,
            206 if from > 0 && begins_at(&answer, from) => from,
            206 => return Err(HttpError::Range(url)),
            416 if from > 0 => return Ok(None),
            status => return Err(HttpError::Status(url, status)),
        };
        Ok(Some(Stream { from, body: Box::new(answer.into_body().into_reader()) }))
    }
}

impl Source for Http {
    fn fetch(&mut self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        let url = self.base.of(name);
        let answer = self.agent.get(&url).call();
        let answer = answer.map_err(|e| HttpError::Transport(url.clone(), Box::new(e)))?;
        let status = answer.status().as_u16();
        let body = answer.into_body().into_reader();
        let mut bytes = Vec::new();
        match status {
            200 => {
                // One byte more than allowed, so that the caller sees that there was more.
                let read = body.take(limit as u64 + 1).read_to_end(&mut bytes);
                read.map_err(|e| HttpError::Read(url, e))?;
                Ok(Some(bytes))
            }
            // Object stores answer 403 for what they do not have.
            403 | 404 => {
                let _best_effort = body.take(ERROR_BYTES_MAX).read_to_end(&mut bytes);
                Ok(None)
            }
            status => Err(HttpError::Status(url, status).into()),
        }
    }
}

/// Whether `Content-Range: bytes FROM-…` says what was asked for.
fn begins_at<B>(answer: &Response<B>, from: u64) -> bool {
    let range = answer.headers().get("content-range").and_then(|value| value.to_str().ok());
    let first = range.and_then(|text| text.strip_prefix("bytes ")?.split('-').next());
    first.and_then(|text| text.trim().parse().ok()) == Some(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_plain_http_with_any_path() {
        for (text, want) in [
            ("http://127.0.0.1:80/a/metadata/", "http://127.0.0.1:80/a/metadata/1.root.json"),
            ("http://h", "http://h/1.root.json"),
        ] {
            assert_eq!(Address::parse(text).unwrap().of("1.root.json"), want);
        }
        assert!(matches!(Address::parse("https://x"), Err(HttpError::Tls(_))));
        for bad in ["", "x", "ftp://x", "http://", "http://x/?a", "file:///etc"] {
            assert!(matches!(Address::parse(bad), Err(HttpError::Address(_))), "{bad}");
        }
    }
}
