//! RECALL, PARK, raise minimum: made, signed by one after another, and sent.
use crate::client::{Client, ClientError};
use andon_model::directive::{Demand, Directive, DirectiveError};
use andon_model::envelope::{Envelope, EnvelopeError, PayloadType};
use andon_model::limits::DIRECTIVE_BYTES_MAX;
use andon_model::stop::Party;
use andon_model::text::{Text, TextError};
use andon_model::{Digest, Millis, Time};
use andon_trust::sign::SigningKey;
use serde::Deserialize;

/// Why there is no directive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectiveFailure {
    /// the reason is too long or strange
    #[error("use reason")]
    Reason(#[from] TextError),
    /// it contradicts itself
    #[error("read directive")]
    Directive(#[from] DirectiveError),
    /// could not be written as JSON
    #[error("encode directive")]
    Encode(#[source] serde_json::Error),
    /// the file is no envelope
    #[error("read the file's envelope")]
    Envelope(#[from] EnvelopeError),
    /// it is signed, but as something else
    #[error("the file holds {0}, not a directive")]
    Kind(&'static str),
    /// no key at all
    #[error("a directive needs at least one key")]
    NoKey,
    /// too many signatures
    #[error(
        "directive has {0} bytes, at most {DIRECTIVE_BYTES_MAX} are allowed; shorten the reason"
    )]
    TooLarge(usize),
    /// the server
    #[error("send directive")]
    Client(#[from] ClientError),
}

/// What is to be said.
#[derive(Clone, Debug)]
pub(crate) struct Saying {
    pub(crate) by: Party,
    pub(crate) demand: Demand,
    pub(crate) reason: String,
    pub(crate) valid: Millis,
}

/// The directive under these keys' signatures.
/// # Errors
/// [`DirectiveFailure`].
pub(crate) fn make(
    saying: Saying,
    keys: &[SigningKey],
    now: Time,
) -> Result<Envelope, DirectiveFailure> {
    let Saying { by, demand, reason, valid } = saying;
    let reason = Text::try_from(reason)?;
    let directive =
        Directive { schema: 1, by, demand, reason, issued: now, expires: now.plus(valid) };
    let payload = serde_json::to_vec(&directive).map_err(DirectiveFailure::Encode)?;
    Directive::parse(&payload)?;
    let (first, others) = keys.split_first().ok_or(DirectiveFailure::NoKey)?;
    let mut envelope = first.seal(PayloadType::Directive, &payload);
    others.iter().for_each(|key| key.add(&mut envelope));
    bounded(envelope)
}

/// A directive that somebody else has made, read from its file's bytes.
/// # Errors
/// [`DirectiveFailure`].
pub(crate) fn read(bytes: &[u8]) -> Result<(Envelope, Directive), DirectiveFailure> {
    let envelope = Envelope::parse_limited(bytes, DIRECTIVE_BYTES_MAX)?;
    if envelope.payload_type != PayloadType::Directive {
        return Err(DirectiveFailure::Kind(envelope.payload_type.as_str()));
    }
    let directive = Directive::parse(&envelope.payload)?;
    Ok((envelope, directive))
}

/// One more signature on it.
/// # Errors
/// [`DirectiveFailure::TooLarge`].
pub(crate) fn cosign(
    mut envelope: Envelope,
    keys: &[SigningKey],
) -> Result<Envelope, DirectiveFailure> {
    keys.iter().for_each(|key| key.add(&mut envelope));
    bounded(envelope)
}

fn bounded(envelope: Envelope) -> Result<Envelope, DirectiveFailure> {
    match envelope.to_bytes().len() {
        size if size > DIRECTIVE_BYTES_MAX => Err(DirectiveFailure::TooLarge(size)),
        _ => Ok(envelope),
    }
}

#[derive(Deserialize)]
struct Stored {
    stop: Digest,
}

/// Sends it; returns its name once the server has it durably.
/// # Errors
/// [`DirectiveFailure::Client`].
pub(crate) async fn send(client: &Client, envelope: &Envelope) -> Result<Digest, DirectiveFailure> {
    let stored: Stored = client.post("/v1/directives", envelope).await?;
    Ok(stored.stop)
}
