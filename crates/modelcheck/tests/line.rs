//! The line explored within limits that a test has time for; each safeguard taken away in turn.
use andon_modelcheck::explore::{break_it, explore};
use andon_modelcheck::{Host, Limits, Line, Safeguards, Signed};
use stateright::Model as _;
use std::collections::{BTreeSet, HashSet};

/// A line of 42 hosts in three waves, holdback included; four hosts are played.
const SMALL: Limits = Limits {
    hosts: 42,
    played: 4,
    looks: 3,
    approvals: 3,
    acts: 1,
    leases: 2,
    crashes: 1,
    edges: 0,
    interleaved: false,
};

#[test]
fn every_order_of_events_keeps_the_promises() {
    let found = explore(SMALL, Safeguards::ALL);
    println!("{found}");
    assert!(found.well(), "{found}");
    assert!(found.states > 100_000, "{found}: the model has become small");
}

/// Among 210 hosts the budget, not the number of hosts, is what limits the second wave.
#[test]
fn every_ticket_of_a_larger_line_fits_the_budget() {
    let found = explore(Limits { hosts: 210, looks: 2, crashes: 0, ..SMALL }, Safeguards::ALL);
    println!("{found}");
    assert!(found.broken.is_empty(), "{found}");
    assert!(found.states > 50_000, "{found}: the model has become small");
}

#[test]
fn the_promises_hold_behind_edges_that_lag() {
    let limits = Limits { edges: 2, looks: 1, approvals: 2, leases: 1, crashes: 0, ..SMALL };
    let found = explore(limits, Safeguards::ALL);
    println!("{found}");
    assert!(found.broken.is_empty(), "{found}");
    assert!(found.states > 10_000, "{found}: the model has become small");
}

/// The played hosts stand in different waves, the last in the holdback.
#[test]
fn played_hosts_stand_in_every_wave() {
    assert_eq!(Line::new(SMALL, Safeguards::ALL).ranks(), [0, 8, 41, 1]);
    let four_waves = Limits { hosts: 210, ..SMALL };
    assert_eq!(Line::new(four_waves, Safeguards::ALL).ranks(), [0, 8, 56, 209]);
}

/// Letting hosts act last loses nothing: what tickets, freeze and hosts can come to is the same.
#[test]
fn hosts_that_act_last_come_to_the_same_ends() {
    let short = Limits { looks: 1, approvals: 2, played: 3, ..SMALL };
    let last = ends(short);
    let any_time = ends(Limits { interleaved: true, ..short });
    assert_eq!(last, any_time);
    assert!(last.len() > 100, "{}: too few to compare", last.len());
}

type End = (Vec<Signed>, bool, Vec<Host>);

/// Everything reachable, by a search that shares nothing with the checker's.
#[expect(
    clippy::mutable_key_type,
    reason = "a journal's memory of what follows is not in its hash"
)]
fn ends(limits: Limits) -> HashSet<End> {
    let line = Line::new(limits, Safeguards::ALL);
    let mut open = line.init_states();
    let mut seen: HashSet<_> = open.iter().cloned().collect();
    while let Some(state) = open.pop() {
        let mut actions = Vec::new();
        line.actions(&state, &mut actions);
        let next = actions.into_iter().filter_map(|action| line.next_state(&state, action));
        open.extend(next.filter(|state| seen.insert(state.clone())));
    }
    seen.into_iter().map(|state| (state.tickets, state.frozen, state.hosts)).collect()
}

/// A property that nothing can break proves nothing: each falls with its safeguard.
#[test]
fn each_promise_falls_with_its_safeguard() {
    type Row = (&'static str, fn(&mut Safeguards), &'static [&'static str]);
    let table: [Row; 7] = [
        ("fencing", |s| s.fencing = false, &["stale_token_is_refused", "no_ticket_after_halt"]),
        (
            "journal first",
            |s| s.journal_first = false,
            &["halt_survives_a_leader_crash", "no_ticket_after_halt"],
        ),
        ("approvals", |s| s.approvals = false, &["emergency_needs_two_people"]),
        ("budget", |s| s.budget = false, &["every_ticket_within_budget"]),
        ("freeze on hosts", |s| s.host_obeys_freeze = false, &["no_activation_after_freeze"]),
        ("ceiling", |s| s.host_checks_ceiling = false, &["no_host_beyond_its_ticket"]),
        ("stale", |s| s.host_refuses_stale = false, &["stale_generation_is_refused"]),
    ];
    for (name, remove, wanted) in table {
        let mut safeguards = Safeguards::ALL;
        remove(&mut safeguards);
        // Enough for the shortest way to any of them; 210 hosts, so that the budget binds.
        let limits = Limits { hosts: 210, looks: 1, approvals: 2, played: 2, ..SMALL };
        let found = break_it(limits, safeguards, wanted);
        println!("without {name}: {found}");
        let broken: BTreeSet<&str> = found.broken.iter().map(|(name, _)| *name).collect();
        for promise in wanted {
            assert!(broken.contains(promise), "without {name} {promise} still holds: {found}");
        }
    }
}
