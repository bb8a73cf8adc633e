//! Tickets that wait for the policy's gate verifiers: signed by the online key, served to nobody. What
//! is here is memory only; after a restart the driver makes the ticket again and asks again.
//! It does not judge a ticket: that is [`crate::verifier`]'s, on another machine.
use crate::issue::Wanted;
use andon_model::envelope::{Envelope, EnvelopeSignature};
use andon_model::policy::Policy;
use andon_model::ticket::Ticket;
use andon_model::{Millis, RolloutId, Time, VerifierId};
use andon_trust::envelope::signature_is_valid;
use andon_trust::ticket::cosigners;
use std::collections::{BTreeMap, BTreeSet};

/// A ticket older than this that is still waiting is made again: its steps say when hosts get it.
pub const MADE_AGAIN_AFTER: Millis = Millis::from_secs(10);

/// One ticket that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// number of the journal's record that it was made after
    pub seq: u64,
    /// the ticket
    pub ticket: Ticket,
    /// the same, signed, with the cosignatures that have come
    pub envelope: Envelope,
    /// what it was made for
    pub wanted: Wanted,
    /// since when a ticket of this generation waits
    pub since: Time,
}

/// Why a cosignature is not taken. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CosignError {
    /// none waits with these bytes: issued, made again, or withdrawn meanwhile
    #[error("no ticket with this payload waits for cosignatures")]
    NotWaiting,
    /// by nobody of the policy's verifiers
    #[error("no valid signature by a gate verifier of the policy")]
    NoVerifier,
}

/// All tickets that wait, by rollout.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    waiting: BTreeMap<RolloutId, Waiting>,
}

impl Desk {
    /// The ticket of a rollout that waits.
    #[must_use]
    pub fn get(&self, rollout: &RolloutId) -> Option<&Waiting> {
        self.waiting.get(rollout)
    }

    /// All that wait, by name.
    pub fn all(&self) -> impl Iterator<Item = (&RolloutId, &Waiting)> {
        self.waiting.iter()
    }

    /// Puts a freshly signed ticket down, in place of the one before.
    pub fn ask(&mut self, rollout: &RolloutId, asked: Waiting) {
        let before = self.waiting.get(rollout);
        let same = before.filter(|before| before.ticket.generation == asked.ticket.generation);
        let since = same.map_or(asked.since, |before| before.since);
        self.waiting.insert(rollout.clone(), Waiting { since, ..asked });
    }

    /// Takes away whatever `wanted` does not name. True: something went.
    pub fn keep(&mut self, mut wanted: impl FnMut(&RolloutId) -> bool) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|name, _| wanted(name));
        before != self.waiting.len()
    }

    /// Takes a verifier's signatures over a ticket that waits. Answers who has cosigned it now.
    /// # Errors
    /// [`CosignError`].
    pub fn cosign(
        &mut self,
        brought: &Envelope,
        policy: &Policy,
    ) -> Result<(RolloutId, BTreeSet<VerifierId>), CosignError> {
        let same = |waiting: &Waiting| {
            waiting.envelope.payload == brought.payload
                && waiting.envelope.payload_type == brought.payload_type
        };
        let found = self.waiting.iter_mut().find(|(_, waiting)| same(waiting));
        let (name, waiting) = found.ok_or(CosignError::NotWaiting)?;
        let message = brought.signed_bytes();
        let mut known = cosigners(&waiting.envelope, policy);
        let mut somebody = false;
        for EnvelopeSignature { keyid, sig } in &brought.signatures {
            let mut verifiers = policy.verifiers.keys.iter();
            let Some(verifier) = verifiers.find(|verifier| verifier.key.id() == *keyid) else {
                continue;
            };
            if !signature_is_valid(&verifier.key, &message, sig) {
                continue;
            }
            somebody = true;
            if known.insert(verifier.name.clone()) {
                let signature = EnvelopeSignature { keyid: *keyid, sig: *sig };
                waiting.envelope.signatures.push(signature);
            }
        }
        if !somebody {
            return Err(CosignError::NoVerifier);
        }
        Ok((name.clone(), known))
    }
}

/// Whether as many verifiers as the policy asks for have cosigned.
#[must_use]
pub fn complete(envelope: &Envelope, policy: &Policy) -> bool {
    cosigners(envelope, policy).len() as u64 >= u64::from(policy.verifiers.needed)
}
