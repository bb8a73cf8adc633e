//! Refusals as callers see them: `{"error":{"code","message","next"}}`. The only place where our
//! errors become status codes.
use crate::directives;
use crate::log::LogError;
use crate::publish::PublishError;
use crate::stops::AcceptError;
use crate::store::StoreError;
use andon_model::envelope::EnvelopeError;
use andon_trust::command::CommandRefusal;
use andon_trust::directive::DirectiveRefusal;
use andon_trust::envelope::VerifyError;
use andon_trust::policy::PolicyRefusal;
use andon_trust::repository::RepositoryError;
use andon_trust::stop::StopRefusal;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::error::Error;

/// Why a request was not carried out. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status
    pub status: StatusCode,
    /// for machines
    pub code: &'static str,
    /// what was wrong, and where
    pub message: String,
    /// what to do
    pub next: &'static str,
}

/// An error and its causes in one line.
#[must_use]
pub fn in_words(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(why) = cause {
        text.push_str(": ");
        text.push_str(&why.to_string());
        cause = why.source();
    }
    text
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: &str, next: &'static str) -> Refusal {
        Refusal { status, code, message: message.to_owned(), next }
    }
    /// 400
    #[must_use]
    pub fn malformed(message: &str) -> Refusal {
        let next = "correct the request; docs/spec/protocol.md describes it";
        Refusal::new(StatusCode::BAD_REQUEST, "malformed", message, next)
    }
    /// 401
    #[must_use]
    pub fn unknown_key(message: &str) -> Refusal {
        let next = "sign with a key that this server knows; a new host enrols first";
        Refusal::new(StatusCode::UNAUTHORIZED, "unknown_key", message, next)
    }
    /// 401
    #[must_use]
    pub fn signature(message: &str) -> Refusal {
        let next = "sign the exact payload with the right key and send it again";
        Refusal::new(StatusCode::UNAUTHORIZED, "signature", message, next)
    }
    /// 403
    #[must_use]
    pub fn not_allowed(message: &str) -> Refusal {
        let next = "ask somebody whom the policy allows to do this";
        Refusal::new(StatusCode::FORBIDDEN, "not_allowed", message, next)
    }
    /// 404
    #[must_use]
    pub fn not_found(message: &str) -> Refusal {
        let next = "check the name; lists are at /v1/rollouts, /v1/hosts and /v1/releases";
        Refusal::new(StatusCode::NOT_FOUND, "not_found", message, next)
    }
    /// 405
    #[must_use]
    pub fn method() -> Refusal {
        let (message, next) = ("this path does not take that method", "see docs/spec/protocol.md");
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", message, next)
    }
    /// 409: seen before
    #[must_use]
    pub fn replayed(message: &str) -> Refusal {
        let next = "nothing, if it was sent twice by mistake; else sign a new one";
        Refusal::new(StatusCode::CONFLICT, "replayed", message, next)
    }
    /// 409: it does not fit what is there
    #[must_use]
    pub fn conflict(message: &str, next: &'static str) -> Refusal {
        Refusal::new(StatusCode::CONFLICT, "conflict", message, next)
    }
    /// 410
    #[must_use]
    pub fn expired(message: &str) -> Refusal {
        let next = "check the clock and sign a new one";
        Refusal::new(StatusCode::GONE, "expired", message, next)
    }
    /// 413
    #[must_use]
    pub fn too_large(limit: u64) -> Refusal {
        let message = format!("the body has more than {limit} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &message, "send less")
    }
    /// 429
    #[must_use]
    pub fn overloaded() -> Refusal {
        let message = "too many requests are being served";
        let next = "try again in a second; pulling the cord is always served";
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", message, next)
    }
    /// 500
    #[must_use]
    pub fn disk(message: &str) -> Refusal {
        let next = "look at the server's disk; nothing was changed";
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "disk", message, next)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = serde_json::json!({
            "code": self.code, "message": self.message, "next": self.next,
        });
        let body = Json(serde_json::json!({ "error": error }));
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        let next = "the server restarts and knows then whether it was stored; send it again";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "store", &in_words(&error), next)
    }
}

impl From<EnvelopeError> for Refusal {
    fn from(error: EnvelopeError) -> Refusal {
        match error {
            EnvelopeError::TooLarge(_, limit) => Refusal::too_large(limit as u64),
            error => Refusal::malformed(&in_words(&error)),
        }
    }
}

impl From<VerifyError> for Refusal {
    fn from(error: VerifyError) -> Refusal {
        match error {
            VerifyError::PayloadType { .. } => Refusal::malformed(&in_words(&error)),
            error => Refusal::signature(&in_words(&error)),
        }
    }
}

impl From<CommandRefusal> for Refusal {
    fn from(error: CommandRefusal) -> Refusal {
        let words = in_words(&error);
        match error {
            CommandRefusal::Parse(_) | CommandRefusal::Schema(_) => Refusal::malformed(&words),
            CommandRefusal::Stranger(_) => Refusal::unknown_key(&words),
            CommandRefusal::Signature(_, VerifyError::PayloadType { .. }) => {
                Refusal::malformed(&words)
            }
            CommandRefusal::Signature(..) => Refusal::signature(&words),
            CommandRefusal::Line => Refusal::not_allowed(&words),
            CommandRefusal::Stale => Refusal::expired(&words),
        }
    }
}

impl From<PolicyRefusal> for Refusal {
    fn from(error: PolicyRefusal) -> Refusal {
        let words = in_words(&error);
        match error {
            PolicyRefusal::Signature(error) => Refusal::from(error),
            PolicyRefusal::Text(_) | PolicyRefusal::Log(_) | PolicyRefusal::NoLog => {
                Refusal::malformed(&words)
            }
            PolicyRefusal::Line => Refusal::not_allowed(&words),
            PolicyRefusal::Rollback { .. } => Refusal::replayed(&words),
            PolicyRefusal::Expired => Refusal::expired(&words),
        }
    }
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Refusal {
        let words = in_words(&error);
        match error {
            LogError::None => Refusal::conflict(
                &words,
                "add [log] to the server's configuration, or sign a policy that names its log",
            ),
            LogError::Broken(_) => Refusal::disk(&words),
            LogError::Quorum { .. } => {
                let next = "bring these witnesses back, or sign a policy with others; then send it \
                            again: nothing was published, and what was logged is not logged twice";
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "log_quorum", &words, next)
            }
        }
    }
}

impl From<AcceptError> for Refusal {
    fn from(error: AcceptError) -> Refusal {
        let words = in_words(&error);
        match error {
            AcceptError::Store(error) => Refusal::from(error),
            AcceptError::Full(..) => {
                let next = "let some end, or override them by the policy; if nobody here signed them, replace that party's keys";
                Refusal::conflict(&words, next)
            }
            AcceptError::Refused(StopRefusal::TooLarge(_)) => {
                Refusal::too_large(andon_model::limits::STOP_BYTES_MAX as u64)
            }
            AcceptError::Refused(StopRefusal::Signature(error)) => Refusal::from(error),
            AcceptError::Refused(StopRefusal::Text(_)) => Refusal::malformed(&words),
            AcceptError::Refused(StopRefusal::Scope(_)) => Refusal::not_allowed(&words),
            AcceptError::Refused(_) => Refusal::expired(&words),
        }
    }
}

impl From<directives::AcceptError> for Refusal {
    fn from(error: directives::AcceptError) -> Refusal {
        use directives::AcceptError;
        let words = in_words(&error);
        match error {
            AcceptError::Store(error) => Refusal::from(error),
            AcceptError::Senseless(what, next) => Refusal::conflict(&what, next),
            AcceptError::Refused(DirectiveRefusal::TooLarge(_)) => {
                Refusal::too_large(andon_model::limits::DIRECTIVE_BYTES_MAX as u64)
            }
            AcceptError::Refused(DirectiveRefusal::Signature(error)) => Refusal::from(error),
            AcceptError::Refused(DirectiveRefusal::Text(_)) => Refusal::malformed(&words),
            AcceptError::Refused(DirectiveRefusal::Scope(_)) => Refusal::not_allowed(&words),
            AcceptError::Refused(_) => Refusal::expired(&words),
        }
    }
}

impl From<PublishError> for Refusal {
    fn from(error: PublishError) -> Refusal {
        let words = in_words(&error);
        let upload = "upload objects and manifests first, then the role";
        match error {
            PublishError::Write(..) => Refusal::disk(&words),
            PublishError::Manifest { .. } | PublishError::Bundle { .. } => {
                Refusal::conflict(&words, upload)
            }
            PublishError::Text(..) | PublishError::Name { .. } => Refusal::malformed(&words),
            PublishError::Metadata(RepositoryError::Version { .. } | RepositoryError::Removed) => {
                Refusal::conflict(&words, "fetch the current role, add to it and sign again")
            }
            PublishError::Metadata(RepositoryError::Tuf(_)) | PublishError::Role(_) => {
                Refusal::not_allowed(&words)
            }
            PublishError::Metadata(_) => Refusal::malformed(&words),
        }
    }
}
