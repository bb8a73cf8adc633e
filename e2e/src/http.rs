//! Asking a server over HTTP, with every status taken as an answer.
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::time::Duration;

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
        let request = self.agent.post(format!("{}{path}", self.base));
        let answer = request.header("content-type", "application/json").send(body);
        read(answer.with_context(|| format!("POST {path}"))?, path)
    }

    /// PUT bytes.
    /// # Errors
    /// When there is no answer.
    pub fn put(&self, path: &str, body: &[u8]) -> Result<Answer> {
        let request = self.agent.put(format!("{}{path}", self.base));
        let answer = request.header("content-type", "application/octet-stream").send(body);
        read(answer.with_context(|| format!("PUT {path}"))?, path)
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>, path: &str) -> Result<Answer> {
    let status = answer.status().as_u16();
    let etag = answer.headers().get("etag").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    let body = body.with_context(|| format!("read the answer from {path}"))?;
    Ok(Answer { status, body, etag })
}
