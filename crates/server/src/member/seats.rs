//! Which hosts are shown to a vendor line, and when. Pure.
use super::state::LineState;
use crate::state::HostState;
use andon_model::limits::{ROSTER_HOSTS_MAX, STRATA_MAX};
use andon_model::line::{Roster, SeatBlock};
use andon_model::{LineId, Millis, OperatorId, StratumId, Time};
use std::collections::BTreeMap;

/// Hosts that enrolled since are shown once so much time has passed since seats were given last, or
/// they are a tenth of those that have seats. Each roster may cost a block of seats for good
/// ([`andon_model::limits::SEAT_BLOCKS_MAX`]), and until then they are newcomers, which harms nobody.
const ROSTER_PAUSE: Millis = Millis::from_secs(86_400);
const ROSTER_SHARE: u64 = 10;

/// Whether a roster is due.
#[must_use]
pub fn due(line: &LineState, hosts: u64, now: Time) -> bool {
    let (seated, more) = (line.seated(), hosts.saturating_sub(line.seated()));
    more > 0 && (more * ROSTER_SHARE >= seated || now.since(line.seated_at) >= ROSTER_PAUSE)
}

/// The next hosts that have no seat; `None`: all have. Ends early where strata would be too many.
#[must_use]
pub fn roster(
    line: &LineId,
    operator: &OperatorId,
    seated: u64,
    hosts: &[HostState],
) -> Option<Roster> {
    let from = usize::try_from(seated).ok()?;
    let mut known: BTreeMap<&StratumId, u16> = BTreeMap::new();
    let mut strata = Vec::new();
    let mut indices = Vec::new();
    for host in hosts.get(from..)?.iter().take(ROSTER_HOSTS_MAX) {
        let index = match known.get(&host.stratum) {
            Some(index) => *index,
            None if strata.len() == STRATA_MAX => break,
            None => {
                let index = u16::try_from(strata.len()).ok()?;
                strata.push(host.stratum.clone());
                known.insert(&host.stratum, index);
                index
            }
        };
        indices.push(index);
    }
    let (line, operator, host_first) = (line.clone(), operator.clone(), seated + 1);
    let roster = Roster { schema: 1, line, operator, host_first, strata, hosts: indices };
    (!roster.hosts.is_empty()).then_some(roster)
}

/// The seats of the first `hosts` hosts.
#[must_use]
pub fn first(blocks: &[SeatBlock], hosts: u64) -> Vec<SeatBlock> {
    let cut = |block: &SeatBlock| {
        let left = (hosts + 1).saturating_sub(block.host_first).min(u64::from(block.count));
        let count = u32::try_from(left).ok().filter(|count| *count > 0)?;
        Some(SeatBlock { count, ..*block })
    };
    blocks.iter().filter_map(cut).collect()
}
