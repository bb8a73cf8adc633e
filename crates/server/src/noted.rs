//! What is noted of a host for one release, on this line or on a vendor line that it takes part in:
//! one rule for both, so that both count the same. Only notes; counting is [`crate::tally`]'s.
use crate::record::{Counted, HostChange};
use crate::rollout_state::Marks;
use crate::state::column;
use andon_model::beat::{ComponentState, ComponentStatus};
use andon_model::{ComponentId, Digest, Time};

/// Notes who was counted in which channel; `observed`: as bad, and not as known from before.
pub fn counted(marks: &mut [Marks], counted: &Counted, observed: bool) {
    let channels = [
        (&counted.silent, Marks::SILENT),
        (&counted.reported, Marks::REPORTED),
        (&counted.unwell, Marks::UNWELL),
        (&counted.missed, Marks::SILENT),
    ];
    for (hosts, mark) in channels {
        for host in hosts {
            if let Some(marks) = marks.get_mut(column(*host)) {
                marks.set(mark);
                if observed {
                    marks.set(Marks::BAD);
                }
            }
        }
    }
}

/// What a host's news means for a release of a component. `bad`: it counts as a report, were the host
/// treated or not.
pub fn changed(
    (marks, confirmed_at): (&mut Marks, &mut Time),
    (component, release): (&ComponentId, Digest),
    at: Time,
    before: &[ComponentStatus],
    change: &HostChange,
    bad: bool,
) {
    if bad && !marks.has(Marks::REPORTED) {
        marks.set(Marks::REPORT_WAITING);
    }
    let is = |status: &&ComponentStatus| status.component == *component;
    let (was, now) = (before.iter().find(is), change.components.iter().find(is));
    let active = now.is_some_and(|now| now.release == Some(release));
    let good = [ComponentState::Confirmed, ComponentState::Observed];
    if active && now.is_some_and(|now| good.contains(&now.state)) {
        if !marks.has(Marks::CONFIRMED) {
            *confirmed_at = at;
        }
        marks.set(Marks::CONFIRMED);
    }
    // Gone back from this release: it was seen active before, or this charge names it.
    let left = !active && was.is_some_and(|was| was.release == Some(release));
    let charged = change.charges.iter().any(|charge| charge.release == release);
    let back = [ComponentState::FellBack, ComponentState::SafeMode];
    if now.is_some_and(|now| back.contains(&now.state)) && (left || charged) {
        marks.set(Marks::FELL_BACK);
    }
}
