//! Signing the operator's policy by a threshold of people, offline.
use crate::keys::HeldKey;
use crate::policy_form::{PolicyForm, PolicyFormError};
use andon_model::Time;
use andon_model::envelope::{Envelope, PayloadType};

/// Why there is no signed policy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyOpError {
    /// the form makes no sense
    #[error("read policy form")]
    Form(#[from] PolicyFormError),
    /// nobody signs
    #[error("sign policy without a key")]
    Unsigned,
    /// could not be written as JSON
    #[error("encode policy")]
    Encode(#[source] serde_json::Error),
}

/// The policy of `form` in an envelope, signed by everybody in `signers`.
/// # Errors
/// [`PolicyOpError`].
pub(crate) fn sign(
    form: &PolicyForm,
    version: u64,
    now: Time,
    signers: &[&HeldKey],
) -> Result<Envelope, PolicyOpError> {
    let policy = form.policy(version, now)?;
    let payload = serde_json::to_vec(&policy).map_err(PolicyOpError::Encode)?;
    let (first, others) = signers.split_first().ok_or(PolicyOpError::Unsigned)?;
    let mut envelope = first.key.seal(PayloadType::Policy, &payload);
    for other in others {
        other.key.add(&mut envelope);
    }
    Ok(envelope)
}
