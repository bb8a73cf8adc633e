//! Pulling the cord: one party, one key, one small signed object.
use crate::client::{Client, ClientError};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::STOP_BYTES_MAX;
use andon_model::stop::{Freeze, FreezeError, Party, Scope};
use andon_model::text::{Text, TextError};
use andon_model::{Digest, Millis, Time};
use andon_trust::sign::SigningKey;
use serde::Deserialize;

/// Why nothing was frozen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StopError {
    /// the reason is too long or strange
    #[error("use reason")]
    Reason(#[from] TextError),
    /// the freeze contradicts itself
    #[error("make freeze")]
    Freeze(#[from] FreezeError),
    /// could not be written as JSON
    #[error("encode freeze")]
    Encode(#[source] serde_json::Error),
    /// does not fit where nothing else does
    #[error("freeze has {0} bytes, at most {STOP_BYTES_MAX} are allowed; shorten the reason")]
    TooLarge(usize),
    /// the server
    #[error("send freeze")]
    Client(#[from] ClientError),
}

/// The signed freeze; `confirming`: further keys of the party, which make it last.
/// # Errors
/// [`StopError`].
pub(crate) fn freeze(
    by: Party,
    scope: Scope,
    reason: &str,
    (key, confirming): (&SigningKey, &[SigningKey]),
    now: Time,
    valid: Millis,
) -> Result<Envelope, StopError> {
    let reason = Text::try_from(reason.to_owned())?;
    let freeze = Freeze { schema: 1, by, scope, reason, issued: now, expires: now.plus(valid) };
    let payload = serde_json::to_vec(&freeze).map_err(StopError::Encode)?;
    Freeze::parse(&payload)?;
    let mut envelope = key.seal(PayloadType::Freeze, &payload);
    confirming.iter().for_each(|key| key.add(&mut envelope));
    match envelope.to_bytes().len() {
        size if size > STOP_BYTES_MAX => Err(StopError::TooLarge(size)),
        _ => Ok(envelope),
    }
}

#[derive(Deserialize)]
struct Stored {
    stop: Digest,
}

/// Sends a freeze; returns its digest once the server has it durably.
/// # Errors
/// [`StopError::Client`].
pub(crate) async fn pull(client: &Client, freeze: &Envelope) -> Result<Digest, StopError> {
    let stored: Stored = client.post("/v1/stops", freeze).await?;
    Ok(stored.stop)
}
