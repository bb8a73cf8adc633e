//! What the tickets of a vendor line permit of our own rollout. Pure; the core keeps to it.
use super::state::Followed;
use crate::rollout_state::RolloutState;
use crate::state::{State, column};
use andon_model::{HostId, LineId, RolloutId};
use andon_rollout::Event;

/// Our own rollout inside this one.
#[must_use]
pub fn own<'s>(state: &'s State, line: &LineId, rollout: &RolloutId) -> Option<&'s RolloutState> {
    let is = |own: &&RolloutState| {
        own.plan.inside.as_ref().is_some_and(|of| of.line == *line && of.rollout == *rollout)
    };
    state.rollouts.values().find(is)
}

/// Hosts of each of our own strata that the vendor line's tickets cover: host by host, because rings
/// and windows make other strata here than there. Both lines have one order, so the covered are the
/// first; should they not be, only those count that stand before the first uncovered one.
#[must_use]
pub fn covered(followed: &Followed, own: &RolloutState) -> Vec<u32> {
    let handed = followed.waves.last().map(|wave| &wave.handed);
    let is = |host: &&HostId| {
        let place = followed.places.get(column(**host)).copied().flatten();
        let reached = place.zip(handed).and_then(|(place, handed)| {
            handed.get(usize::from(place.stratum)).map(|handed| place.rank < *handed)
        });
        reached.unwrap_or(false)
    };
    let count = |hosts: &Vec<HostId>| {
        u32::try_from(hosts.iter().take_while(is).count()).unwrap_or(u32::MAX)
    };
    own.order.iter().map(count).collect()
}

/// What our own rollout is to be told, if it has not been.
#[must_use]
pub fn due(followed: &Followed, own: &RolloutState) -> Option<Event> {
    let newest = (followed.generation(), followed.newcomers);
    if newest.0 == 0 || own.permitted == Some(newest) || !own.live() {
        return None;
    }
    let (generation, newcomers) = newest;
    Some(Event::Permitted { generation, handed: covered(followed, own), newcomers })
}
