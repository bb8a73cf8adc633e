//! The operator's rules on who may take what when, as a host keeps them itself.
use crate::world::*;
use andon_model::eligible::{Hold, KindRules, Pin, Ring, Rules, Weekly, WindowRule};
use andon_model::envelope::PayloadType;
use andon_model::release::{ComponentKind, Version};
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::{ComponentId, GroupId, Millis, Time};
use andon_trust::view::{Outcome, RefusalCode, View};

fn group(name: &str) -> GroupId {
    GroupId::new(name).unwrap()
}

fn later(seconds: u64) -> Time {
    NOW.plus(Millis::from_secs(seconds))
}

/// A world whose policy has these rules, and a ticket that covers hosts 1 to 100.
fn world(rules: Rules) -> (World, Ticket) {
    let mut world = World::new();
    world.policy.version += 1;
    world.policy.eligibility = rules;
    let signed = seal(&[1, 2], PayloadType::Policy, &world.policy);
    world.put_policy(&signed);
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let ticket = world.ticket("r1", digest, 1, &[(16, 0)]);
    world.issue(&ticket);
    (world, ticket)
}

fn told(outcome: &Outcome) -> Vec<(RefusalCode, &str)> {
    outcome.refusals.iter().map(|refusal| (refusal.code, refusal.why.as_str())).collect()
}

#[test]
fn a_host_keeps_its_operators_no_whatever_the_ticket_says() {
    let till = Some(group("till"));
    let hold = |until| Hold { group: till.clone(), component: None, until };
    let pin = |version| Pin {
        group: till.clone(),
        component: ComponentId::new("rules").unwrap(),
        version: Version(version),
        until: None,
    };
    let held = |until| Rules { holds: vec![hold(until)], ..Rules::default() };
    let of = |kind| {
        let rules = KindRules { kind, rules: held(None) };
        Rules { kinds: vec![rules], ..Rules::default() }
    };
    let pinned = |version| Rules { pins: vec![pin(version)], ..Rules::default() };
    let minute = held(Some(later(60)));
    let not_before = format!("not before {}: its group is on hold", later(60));
    for (what, rules, after, refused) in [
        ("held", held(None), 1, Some("its group is on hold")),
        ("held for a minute", minute.clone(), 1, Some(not_before.as_str())),
        ("the minute is over", minute, 61, None),
        ("its kind is held", of(ComponentKind::Content), 1, Some("its group is on hold")),
        ("another kind is held", of(ComponentKind::Service), 1, None),
        ("pinned to another", pinned(7), 1, Some("its group is pinned to version 7")),
        ("pinned to this", pinned(1), 1, None),
    ] {
        let (mut world, _) = world(rules);
        let seen = world.sync(&mut view_in(7, &["till"]), later(after));
        let want: Vec<_> = refused.iter().map(|why| (RefusalCode::Ineligible, *why)).collect();
        assert_eq!(told(&seen), want, "{what}");
        assert_eq!(seen.offers.len(), usize::from(refused.is_none()), "{what}");
        assert_eq!(world.sync(&mut view(7), later(after)).offers.len(), 1, "{what}: others");
    }
}

#[test]
fn a_host_waits_for_its_ring_and_its_window() {
    let minute = |at: Time| u32::try_from((at.0 / 60_000 + 3 * 1440) % 10_080).unwrap();
    let weekly = Weekly { opens_minute: minute(later(120)), open_minutes: 30 };
    let rules = Rules {
        rings: vec![Ring { group: group("late"), after: Millis::from_secs(90) }],
        windows: vec![WindowRule { group: Some(group("till")), weekly }],
        ..Rules::default()
    };
    let (mut world, mut ticket) = world(rules);
    // Their own strata are covered as well.
    ticket.planned = Some(NOW);
    ticket.scheduled = vec![group("late"), group("till")];
    let mut place = ticket.ceilings[0].clone();
    place.handed = 0;
    for name in ["late", "till"] {
        place.stratum = view_class(&[name]).stratum_on(&ticket.scheduled);
        ticket.ceilings.push(place.clone());
    }
    world.issue(&ticket);
    let opens = later(120).0 / 60_000 * 60;
    for (name, from) in [("late", later(90).0 / 1000), ("till", opens)] {
        let mut view = view_in(7, &[name]);
        let at = |seconds: u64| Time(seconds * 1000);
        let early = world.sync(&mut view, at(from - 1));
        assert_eq!(early.offers.len(), 0, "{name}");
        assert_eq!(told(&early)[0].0, RefusalCode::Ineligible, "{name}: {:?}", told(&early));
        assert_eq!(world.sync(&mut view, at(from)).offers.len(), 1, "{name}");
    }
}

/// The plan left a group out; that the rule is taken back later does not put its hosts into a wave
/// that never counted them.
#[test]
fn hosts_that_the_plan_left_out_are_newcomers_whatever_the_rules_say_later() {
    let (mut world, mut ticket) = world(Rules::default());
    ticket.excluded = vec![group("till")];
    // A late ceiling is for hosts that enrolled later: it takes nobody in whom a rule left out.
    ticket.ceilings[0].late_max = Some(host(101));
    soaked(&mut ticket);
    world.issue(&ticket);
    let mut newer = View::new(anchor(), host(101), view_class(&["till"])).unwrap();
    assert_eq!(world.sync(&mut newer, later(1)).offers.len(), 0);
    let mut newer = View::new(anchor(), host(101), view_class(&[])).unwrap();
    assert_eq!(world.sync(&mut newer, later(1)).offers.len(), 1);
    let mut left_out = view_in(7, &["till"]);
    assert_eq!(world.sync(&mut left_out, later(1)).offers.len(), 0);
    assert_eq!(world.sync(&mut view(7), later(1)).offers.len(), 1);
    ticket.newcomers = Newcomers::Included;
    world.issue(&ticket);
    assert_eq!(world.sync(&mut left_out, later(2)).offers.len(), 1);
}
