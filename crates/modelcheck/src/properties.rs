//! What must hold in every reachable state, by name; and what must be reachable, or the rest would
//! hold for the wrong reason.
use crate::Line;
use crate::journal::Record;
use crate::state::State;
use andon_rollout::StateName;
use stateright::Property;

/// Names of the properties that must always hold.
pub const ALWAYS: [&str; 10] = [
    "no_ticket_after_halt",
    "no_activation_after_freeze",
    "every_ticket_within_budget",
    "no_host_beyond_its_ticket",
    "halt_survives_a_leader_crash",
    "emergency_needs_two_people",
    "stale_token_is_refused",
    "stale_generation_is_refused",
    "halted_stays_halted",
    "replay_gives_same_actions",
];

/// Names of what must be reachable.
pub const SOMETIMES: [&str; 8] = [
    "a rollout completes",
    "the gate halts",
    "a person halts",
    "a wait asks again",
    "both leaders have led",
    "an old token is refused",
    "the holdback is active",
    "a frozen host holds a covering ticket",
];

/// All of them.
#[must_use]
pub fn all() -> Vec<Property<Line>> {
    let always: [fn(&Line, &State) -> bool; 10] = [
        |_, s| s.tickets.iter().all(|ticket| !ticket.after_halt),
        |_, s| !s.past.activated_frozen,
        |_, s| s.tickets.iter().all(|ticket| ticket.within_budget),
        |_, s| !s.past.activated_beyond,
        halt_survives,
        |_, s| s.tickets.iter().all(|ticket| ticket.people >= 2),
        |_, s| !s.past.stale_written,
        |_, s| !s.past.went_back,
        |_, s| s.journal.stays_halted(),
        |_, s| s.journal.replays(),
    ];
    let sometimes: [fn(&Line, &State) -> bool; 8] = [
        |_, s| s.journal.state() == StateName::Completed,
        |_, s| s.journal.halted() && s.journal.count(|r| *r == Record::Halted) == 0,
        |_, s| s.journal.halted() && s.journal.records().last() == Some(&Record::Halted),
        |_, s| s.tickets.len() >= 2 && s.journal.count(is_wait) > 0,
        |_, s| s.leaders.iter().all(|leader| leader.token > 0),
        |_, s| s.past.refused,
        |line, s| {
            let last = line.ranks().iter().zip(&s.hosts).max_by_key(|(rank, _)| **rank);
            last.is_some_and(|(_, host)| host.active)
        },
        |line, s| {
            let pairs = line.ranks().iter().zip(&s.hosts);
            pairs.into_iter().any(|(rank, host)| {
                let held = usize::from(host.heard.ticket).checked_sub(1);
                let covers = held.is_some_and(|at| *rank < s.tickets[at].handed);
                covers && host.heard.frozen && !host.active
            })
        },
    ];
    let one = ALWAYS.into_iter().zip(always).map(|(name, holds)| Property::always(name, holds));
    let other = SOMETIMES.into_iter().zip(sometimes);
    one.chain(other.map(|(name, holds)| Property::sometimes(name, holds))).collect()
}

fn is_wait(record: &Record) -> bool {
    *record == Record::Saw(crate::Look::Wait)
}

/// What any leader ever decided to halt is halted for whoever leads next.
fn halt_survives(_: &Line, state: &State) -> bool {
    let newest = state.leaders.iter().filter(|leader| leader.token == state.token);
    let knows = |leader: &crate::Leader| leader.view.as_ref().is_none_or(|view| view.halted());
    !state.open || !state.past.halted || (state.journal.halted() && newest.into_iter().all(knows))
}
