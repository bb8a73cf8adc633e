//! A host that trusts nothing yet but its anchor: one proof bundle instead of a file after the other. Its
//! parts lie ready until they are asked for, and are then judged like files that came by themselves, so it
//! saves round trips and proves nothing that they would not. Where there is none, or it is no good, the
//! files are fetched; who trusts metadata already needs what has changed, not all of it.
use super::need::Need;
use super::{Answer, Round, View};
use crate::proof_bundle::open;
use andon_model::proof_bundle::ProofBundle;
use andon_model::{Digest, VendorId};

/// What a proof bundle holds, each until it is asked for.
#[derive(Debug)]
pub(super) struct Parts {
    release: Digest,
    bundle: ProofBundle,
}

impl Parts {
    /// Whose role is in it.
    pub(super) fn vendor(&self) -> &VendorId {
        &self.bundle.vendor
    }

    /// `None`: it is not in here, or no more.
    fn give(&mut self, need: &Need, release: Option<Digest>) -> Option<String> {
        let bundle = &mut self.bundle;
        let text = match need {
            Need::Timestamp => &mut bundle.timestamp,
            Need::Snapshot(_) => &mut bundle.snapshot,
            Need::Targets(_) => &mut bundle.targets,
            Need::Vendor(vendor) if *vendor == bundle.vendor => &mut bundle.role,
            Need::Manifest(_) if release == Some(self.release) => &mut bundle.manifest,
            Need::Proof(release) if *release == self.release => bundle.log_proof.as_mut()?,
            Need::Root(version) => {
                let at = bundle.roots.iter().position(|root| root.version == *version)?;
                return Some(bundle.roots.swap_remove(at).root);
            }
            _ => return None,
        };
        Some(std::mem::take(text)).filter(|text| !text.is_empty())
    }
}

/// What does not read leaves the host where it was: its files are asked for one by one.
pub(super) fn take_bundle(round: &mut Round, release: Digest, answer: Answer) {
    let Answer::Bytes(bytes) = answer else { return };
    round.parts = open(&bytes).ok().map(|bundle| Parts { release, bundle });
}

impl View {
    /// Tickets first, for they name the release that matters; then its proof bundle.
    pub(super) fn cold_need(&mut self, round: &Round, timestamp: Option<Digest>) -> Option<Need> {
        if !self.catalogue.is_cold() || self.bundle_asked || timestamp.is_none() {
            return None;
        }
        let need = self.ticket_need(round).or_else(|| self.place_need(round));
        if need.is_some() {
            return need;
        }
        let release = self.tickets.values().find(|held| held.covered)?.release;
        self.bundle_asked = true;
        Some(Need::Bundle(release)).filter(|need| !round.tried.contains(need))
    }

    /// The answer that a proof bundle has brought already.
    pub(super) fn at_hand(&self, round: &mut Round, need: &Need, limit: usize) -> Option<Answer> {
        let parts = round.parts.as_mut()?;
        let of_ticket = |rollout| self.tickets.get(rollout).map(|held| held.release);
        let release = match need {
            Need::Manifest(rollout) => of_ticket(rollout),
            _ => None,
        };
        match parts.give(need, release) {
            Some(text) if text.len() > limit => {
                let (got, limit) = (text.len(), limit);
                Some(Answer::Failed(format!("{got} bytes, at most {limit} are allowed")))
            }
            Some(text) => Some(Answer::Bytes(text.into_bytes())),
            // the newest roots are in it: what is not there does not exist
            None => matches!(need, Need::Root(_)).then_some(Answer::Missing),
        }
    }
}
