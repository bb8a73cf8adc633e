//! Commands and approvals: signed by the person they name, with the key the policy lists for them.
use crate::envelope::{VerifyError, verify_one};
use andon_model::command::{Approval, Command};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::{MESSAGE_AGE_MAX, MESSAGE_SKEW_MAX};
use andon_model::policy::Policy;
use andon_model::{PersonId, PublicKey, Time};

/// Why a person's word is not taken.
#[derive(Debug, thiserror::Error)]
pub enum CommandRefusal {
    /// its own text is wrong
    #[error("parse payload")]
    Parse(#[source] serde_json::Error),
    /// format of another time
    #[error("payload has schema {0}, this version reads 1")]
    Schema(u32),
    /// nobody of that name in the policy
    #[error("the policy knows no person named {0}")]
    Stranger(PersonId),
    /// not signed by them
    #[error("verify signature of {0}")]
    Signature(PersonId, #[source] VerifyError),
    /// for another line
    #[error("payload is for another line")]
    Line,
    /// too old, or from the future
    #[error("payload was signed outside the allowed time; check the clock and sign again")]
    Stale,
}

/// The command, if the person it names signed it, recently. Replays within that time are for the
/// caller to notice by nonce.
/// # Errors
/// [`CommandRefusal`].
pub fn verify(envelope: &Envelope, policy: &Policy, now: Time) -> Result<Command, CommandRefusal> {
    let command: Command =
        serde_json::from_slice(&envelope.payload).map_err(CommandRefusal::Parse)?;
    signed_by(envelope, PayloadType::Command, policy, &command.person)?;
    if command.schema != 1 {
        return Err(CommandRefusal::Schema(command.schema));
    }
    if command.line != policy.line {
        return Err(CommandRefusal::Line);
    }
    let fresh = now.since(command.issued) <= MESSAGE_AGE_MAX
        && command.issued <= now.plus(MESSAGE_SKEW_MAX);
    if fresh { Ok(command) } else { Err(CommandRefusal::Stale) }
}

/// The approval, if the person it names signed it and it is in force.
/// # Errors
/// [`CommandRefusal`].
pub fn verify_approval(
    envelope: &Envelope,
    policy: &Policy,
    now: Time,
) -> Result<Approval, CommandRefusal> {
    let approval: Approval =
        serde_json::from_slice(&envelope.payload).map_err(CommandRefusal::Parse)?;
    signed_by(envelope, PayloadType::Approval, policy, &approval.person)?;
    if approval.schema != 1 {
        return Err(CommandRefusal::Schema(approval.schema));
    }
    if approval.line != policy.line {
        return Err(CommandRefusal::Line);
    }
    let in_force = now < approval.expires && approval.issued <= now.plus(MESSAGE_SKEW_MAX);
    if in_force { Ok(approval) } else { Err(CommandRefusal::Stale) }
}

fn signed_by(
    envelope: &Envelope,
    kind: PayloadType,
    policy: &Policy,
    person: &PersonId,
) -> Result<PublicKey, CommandRefusal> {
    let known = policy.people.iter().find(|p| p.person == *person);
    let known = known.ok_or_else(|| CommandRefusal::Stranger(person.clone()))?;
    verify_one(envelope, kind, &known.key)
        .map(|_| known.key)
        .map_err(|why| CommandRefusal::Signature(person.clone(), why))
}
