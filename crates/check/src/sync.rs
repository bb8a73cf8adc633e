//! One round of looking for something new: the view says what to get, the server answers, and what
//! comes of it is told to the supervisor within the limits of a line.
use crate::http::Fetch;
use andon_model::Time;
use andon_model::handover::{DirectiveSeen, FreezeSeen, Offer, Offers, PolicyFacts, Refused};
use andon_model::limits::{
    COMPONENTS_MAX, HANDOVER_LINE_BYTES_MAX, INDEX_ITEMS_MAX, TUF_ROOT_ROTATIONS_MAX, VENDORS_MAX,
};
use andon_model::text::Text;
use andon_trust::view::{Outcome, Step, View};
use serde::Serialize;

/// Most requests in one round: every list at its limit, each item fetched once, and some.
const STEPS_MAX: usize = 2 * (INDEX_ITEMS_MAX + VENDORS_MAX + TUF_ROOT_ROTATIONS_MAX as usize);
/// Most refusals told; the rest are counted in one more.
const REFUSALS_MAX: usize = 256;

/// Why a round did not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// the server keeps the round going
    #[error("sync needs over {STEPS_MAX} requests")]
    Steps,
}

/// Runs one round; the view's outcome is current afterwards.
/// # Errors
/// [`SyncError`]; the view keeps what it had verified.
pub fn round(view: &mut View, server: &mut dyn Fetch, now: Time) -> Result<(), SyncError> {
    view.begin(now);
    for _ in 0..STEPS_MAX {
        match view.next() {
            Step::Done => return Ok(()),
            Step::Fetch(ask) => {
                let answer = server.get(&ask);
                view.supply(answer);
            }
        }
    }
    Err(SyncError::Steps)
}

/// What the supervisor is told. Freezes and directives go first: they must never be
/// crowded out.
#[must_use]
pub fn told(outcome: &Outcome) -> Offers {
    // room for the other fields and the punctuation
    let mut room = HANDOVER_LINE_BYTES_MAX - 64 * 1024;
    let mut left_out = 0_usize;
    let mut offers = Offers { index_version: outcome.index_version, ..Offers::default() };
    for seen in &outcome.freezes {
        let seen = FreezeSeen { digest: seen.digest, freeze: seen.freeze.clone() };
        keep(&mut offers.freezes, seen, INDEX_ITEMS_MAX, &mut room, &mut left_out);
    }
    for seen in &outcome.directives {
        let seen = DirectiveSeen { digest: seen.digest, directive: seen.directive.clone() };
        keep(&mut offers.directives, seen, INDEX_ITEMS_MAX, &mut room, &mut left_out);
    }
    offers.policy = outcome.policy.as_ref().map(|policy| PolicyFacts {
        version: policy.version,
        watch: policy.watch,
        timing: policy.timing,
        probes: policy.probes.clone(),
    });
    room = room.saturating_sub(size(&offers.policy));
    for offer in &outcome.offers {
        let offer = Offer {
            release: offer.release,
            rollout: offer.rollout.clone(),
            generation: offer.generation,
            begun: offer.begun,
            manifest: offer.manifest.clone(),
        };
        keep(&mut offers.offers, offer, COMPONENTS_MAX, &mut room, &mut left_out);
    }
    for refusal in &outcome.refusals {
        let refused =
            Refused { what: Text::clipped(&refusal.what), why: Text::clipped(&refusal.why) };
        keep(&mut offers.refusals, refused, REFUSALS_MAX, &mut room, &mut left_out);
    }
    if left_out > 0 {
        offers.refusals.push(Refused {
            what: Text::clipped("handover"),
            why: Text::clipped(&format!("{left_out} items did not fit and are left out")),
        });
    }
    offers
}

fn keep<T: Serialize>(
    list: &mut Vec<T>,
    item: T,
    count_max: usize,
    room: &mut usize,
    left_out: &mut usize,
) {
    let bytes = size(&item);
    if list.len() < count_max && bytes <= *room {
        *room -= bytes;
        list.push(item);
    } else {
        *left_out += 1;
    }
}

/// Bytes on the line, comma included.
fn size<T: Serialize>(item: &T) -> usize {
    serde_json::to_vec(item).map_or(usize::MAX, |bytes| bytes.len() + 1)
}
