//! The one signed container for our own objects: DSSE (Dead Simple Signing Envelope 1.0).
//! Signatures are over PAE(type, payload), so nothing has to be re-serialised to be checked.
use crate::key::{KeyId, Signature};
use crate::limits::{ENVELOPE_BYTES_MAX, SIGNATURES_MAX};
use serde::{Deserialize, Serialize};

/// What the payload of an envelope is. Part of what is signed: an approval can never be read as a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadType {
    /// [`crate::policy::Policy`]
    #[serde(rename = "application/vnd.andon.policy.v1+json")]
    Policy,
    /// [`crate::ticket::Ticket`]
    #[serde(rename = "application/vnd.andon.ticket.v1+json")]
    Ticket,
    /// [`crate::stop::Freeze`]
    #[serde(rename = "application/vnd.andon.freeze.v1+json")]
    Freeze,
    /// [`crate::directive::Directive`]
    #[serde(rename = "application/vnd.andon.directive.v1+json")]
    Directive,
    /// [`crate::beat::Beat`]
    #[serde(rename = "application/vnd.andon.beat.v1+json")]
    Beat,
    /// [`crate::enrol::EnrolRequest`]
    #[serde(rename = "application/vnd.andon.enrol.v1+json")]
    Enrol,
    /// [`crate::command::Command`]
    #[serde(rename = "application/vnd.andon.command.v1+json")]
    Command,
    /// [`crate::command::Approval`]
    #[serde(rename = "application/vnd.andon.approval.v1+json")]
    Approval,
    /// [`crate::line::Roster`]
    #[serde(rename = "application/vnd.andon.roster.v1+json")]
    Roster,
    /// [`crate::line::Rounds`]
    #[serde(rename = "application/vnd.andon.rounds.v1+json")]
    Rounds,
    /// [`crate::line::Places`]
    #[serde(rename = "application/vnd.andon.places.v1+json")]
    Places,
    /// [`crate::line::Seating`]
    #[serde(rename = "application/vnd.andon.seating.v1+json")]
    Seating,
    /// the plan of a vendor line's rollout (`andon_rollout::Plan`)
    #[serde(rename = "application/vnd.andon.plan.v1+json")]
    Plan,
    /// one member's tallies of one round (`andon_rollout::lines::LineTally`)
    #[serde(rename = "application/vnd.andon.tally.v1+json")]
    Tally,
    /// an in-toto Statement ([`crate::attestation::Statement`]); not our type, so strangers' tools read it
    #[serde(rename = "application/vnd.in-toto+json")]
    Statement,
    /// [`crate::waiver::Waiver`]
    #[serde(rename = "application/vnd.andon.waiver.v1+json")]
    Waiver,
}

impl PayloadType {
    /// The media type as signed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            PayloadType::Policy => "application/vnd.andon.policy.v1+json",
            PayloadType::Ticket => "application/vnd.andon.ticket.v1+json",
            PayloadType::Freeze => "application/vnd.andon.freeze.v1+json",
            PayloadType::Directive => "application/vnd.andon.directive.v1+json",
            PayloadType::Beat => "application/vnd.andon.beat.v1+json",
            PayloadType::Enrol => "application/vnd.andon.enrol.v1+json",
            PayloadType::Command => "application/vnd.andon.command.v1+json",
            PayloadType::Approval => "application/vnd.andon.approval.v1+json",
            PayloadType::Roster => "application/vnd.andon.roster.v1+json",
            PayloadType::Rounds => "application/vnd.andon.rounds.v1+json",
            PayloadType::Places => "application/vnd.andon.places.v1+json",
            PayloadType::Seating => "application/vnd.andon.seating.v1+json",
            PayloadType::Plan => "application/vnd.andon.plan.v1+json",
            PayloadType::Tally => "application/vnd.andon.tally.v1+json",
            PayloadType::Statement => "application/vnd.in-toto+json",
            PayloadType::Waiver => "application/vnd.andon.waiver.v1+json",
        }
    }
}

/// A payload and signatures over it; nothing about it is checked yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    /// what the payload is
    pub payload_type: PayloadType,
    /// the payload, base64 on the wire
    #[serde(with = "payload_base64")]
    pub payload: Vec<u8>,
    /// signatures over [`Envelope::signed_bytes`]
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature and whose it claims to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeSignature {
    /// id of the key
    pub keyid: KeyId,
    /// the signature
    pub sig: Signature,
}

/// Why bytes are no envelope of ours.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// larger than allowed
    #[error("envelope has {0} bytes, at most {1} are allowed")]
    TooLarge(usize, usize),
    /// not the JSON we expect
    #[error("parse envelope")]
    Parse(#[source] serde_json::Error),
    /// none, or more than the limit
    #[error("envelope has {0} signatures, 1 to {SIGNATURES_MAX} are allowed")]
    Signatures(usize),
}

impl Envelope {
    /// Reads an envelope; checks form and limits, no signature.
    /// # Errors
    /// [`EnvelopeError`].
    pub fn parse(bytes: &[u8]) -> Result<Envelope, EnvelopeError> {
        Envelope::parse_limited(bytes, ENVELOPE_BYTES_MAX)
    }
    /// As [`Envelope::parse`] with a smaller limit in bytes.
    /// # Errors
    /// [`EnvelopeError`].
    pub fn parse_limited(bytes: &[u8], limit: usize) -> Result<Envelope, EnvelopeError> {
        if bytes.len() > limit {
            return Err(EnvelopeError::TooLarge(bytes.len(), limit));
        }
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(EnvelopeError::Parse)?;
        let count = envelope.signatures.len();
        if count == 0 || count > SIGNATURES_MAX {
            return Err(EnvelopeError::Signatures(count));
        }
        Ok(envelope)
    }
    /// As written to disk and wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
    /// Exactly what is signed: DSSE's pre-authentication encoding.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        pae(self.payload_type.as_str(), &self.payload)
    }
}

/// DSSE pre-authentication encoding (DSSE v1.0.2, "protocol").
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

mod payload_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(bytes))
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(d)?;
        STANDARD.decode(text).map_err(|_| D::Error::custom("payload is not base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pae_matches_the_dsse_protocol_example() {
        let out = pae("http://example.com/HelloWorld", b"hello world");
        assert_eq!(out, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}
