//! The operator's policy: signed by the operator's own root, never older than what was seen.
use crate::envelope::{VerifyError, verify_threshold};
use crate::log;
use andon_model::Time;
use andon_model::enrol::Anchor;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::policy::{Policy, PolicyError};

/// Why a policy is not obeyed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyRefusal {
    /// not signed by enough people of the operator's root
    #[error("verify policy")]
    Signature(#[from] VerifyError),
    /// its own text is wrong
    #[error("read policy")]
    Text(#[from] PolicyError),
    /// what it says about public logs cannot be read
    #[error("read log policy of the policy")]
    Log(#[source] log::policy::PolicyError),
    /// hosts could never install anything
    #[error("log policy of the policy names no log")]
    NoLog,
    /// for another line
    #[error("policy is for another line than this host's")]
    Line,
    /// older than one seen before
    #[error("policy has version {got}, version {seen} was seen before")]
    Rollback {
        /// its version
        got: u64,
        /// the newest seen
        seen: u64,
    },
    /// over
    #[error("policy has expired")]
    Expired,
}

/// The policy, if it is signed by the anchor's threshold, for the anchor's line, in force, and not
/// older than `version_seen`.
/// # Errors
/// [`PolicyRefusal`].
pub fn verify(
    envelope: &Envelope,
    anchor: &Anchor,
    now: Time,
    version_seen: u64,
) -> Result<Policy, PolicyRefusal> {
    let payload = verify_threshold(
        envelope,
        PayloadType::Policy,
        &anchor.operators,
        anchor.operators_threshold,
    )?;
    let policy = Policy::parse(payload)?;
    if demanded_log(&policy).map_err(PolicyRefusal::Log)?.is_some_and(|log| log.logs().count() == 0)
    {
        return Err(PolicyRefusal::NoLog);
    }
    if policy.line != anchor.line {
        return Err(PolicyRefusal::Line);
    }
    if policy.version < version_seen {
        return Err(PolicyRefusal::Rollback { got: policy.version, seen: version_seen });
    }
    if policy.expires <= now {
        return Err(PolicyRefusal::Expired);
    }
    Ok(policy)
}

/// Which logs and witnesses must have seen a release before a host of this line installs it; `None`:
/// no log need have.
/// # Errors
/// [`log::policy::PolicyError`]; never for a policy that was verified.
pub fn demanded_log(policy: &Policy) -> Result<Option<log::Policy>, log::policy::PolicyError> {
    policy.log.as_ref().map(|text| log::Policy::parse(text.as_bytes())).transpose()
}
