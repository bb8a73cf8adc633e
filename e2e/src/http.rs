//! Asking a server over HTTP, with every status taken as an answer.
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Bodies over this are sent by hand: a server may refuse them by their length and close, and the
/// usual client then reports the broken pipe instead of the answer.
const LARGE: usize = 16 * 1024;

/// Largest answer read here, bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status
    pub status: u16,
    /// body
    pub body: Vec<u8>,
    /// the ETag, if there was one
    pub etag: Option<String>,
}

impl Answer {
    /// The body as JSON; null when it is not.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    /// Whether the status is 2xx.
    #[must_use]
    pub fn well(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A connection pool to one server.
#[derive(Clone, Debug)]
pub struct Http {
    agent: ureq::Agent,
    base: String,
}

impl Http {
    /// For `http://ADDRESS`.
    #[must_use]
    pub fn new(address: &str) -> Http {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(40)))
            .build();
        Http { agent: config.into(), base: format!("http://{address}") }
    }

    /// GET.
    /// # Errors
    /// When there is no answer.
    pub fn get(&self, path: &str) -> Result<Answer> {
        let answer = self.agent.get(format!("{}{path}", self.base)).call();
        read(answer.with_context(|| format!("GET {path}"))?, path)
    }

    /// GET with `If-None-Match`.
    /// # Errors
    /// When there is no answer.
    pub fn get_known(&self, path: &str, etag: &str) -> Result<Answer> {
        let request = self.agent.get(format!("{}{path}", self.base)).header("if-none-match", etag);
        read(request.call().with_context(|| format!("GET {path}"))?, path)
    }

    /// POST JSON.
    /// # Errors
    /// When there is no answer.
    pub fn post(&self, path: &str, body: &[u8]) -> Result<Answer> {
        if body.len() > LARGE {
            return self.large("POST", path, body);
        }
        let request = self.agent.post(format!("{}{path}", self.base));
        let answer = request.header("content-type", "application/json").send(body);
        read(answer.with_context(|| format!("POST {path}"))?, path)
    }

    /// PUT bytes.
    /// # Errors
    /// When there is no answer.
    pub fn put(&self, path: &str, body: &[u8]) -> Result<Answer> {
        if body.len() > LARGE {
            return self.large("PUT", path, body);
        }
        let request = self.agent.put(format!("{}{path}", self.base));
        let answer = request.header("content-type", "application/octet-stream").send(body);
        read(answer.with_context(|| format!("PUT {path}"))?, path)
    }
}

impl Http {
    /// Sends what the server will take, then reads its answer whatever became of the sending.
    fn large(&self, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        let address = self.base.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).context("connect")?;
        stream.set_read_timeout(Some(Duration::from_secs(40))).context("limit the wait")?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        let mut answer = Vec::new();
        let got = stream.read_to_end(&mut answer);
        let parsed = parse(&answer);
        parsed.with_context(|| format!("{method} {path}: no answer ({sent:?}, {got:?})"))
    }
}

/// Status and body of an answer that ends with the connection.
fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some(Answer { status, body: answer[end + 4..].to_vec(), etag: None })
}

fn read(mut answer: ureq::http::Response<ureq::Body>, path: &str) -> Result<Answer> {
    let status = answer.status().as_u16();
    let etag = answer.headers().get("etag").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    let body = body.with_context(|| format!("read the answer from {path}"))?;
    Ok(Answer { status, body, etag })
}
