//! A ticket with an explicit order: a host believes the place that its own leaf names, and no other.
use crate::world::*;
use andon_model::limits::SHARD_BYTES_MAX;
use andon_model::order::{self, Commitment, Place, Shard};
use andon_model::position::Position;
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::{Digest, StratumId};
use andon_trust::view::{RefusalCode, View};

type Change = fn(&mut Shard);

const SHARD: &str = "/v1/lines/operator:hospital/orders/r1/0.json";

/// Hosts 1 to 100, of which every tenth has no place; ranks count down, so host 99 is the first.
fn places() -> Vec<Option<Place>> {
    let mut ranks = (0..90_u32).rev();
    let place = |n: u32| (!n.is_multiple_of(10)).then(|| (0, ranks.next().unwrap_or(0)));
    (1..=100).map(place).collect()
}

fn ordered(places: &[Option<Place>]) -> (Commitment, Shard) {
    let (signed, mut shards) = order::commit(&[class().stratum()], places).unwrap();
    (signed, shards.remove(0))
}

fn put(world: &mut World, shard: &Shard) {
    world.files.insert(SHARD.to_owned(), serde_json::to_vec(shard).unwrap());
}

/// A world with a ticket for the first 16 of [`places`].
fn world() -> (World, Ticket, Shard) {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let mut ticket = world.ticket("r1", digest, 1, &[(16, 0)]);
    let (signed, shard) = ordered(&places());
    ticket.order = Some(signed);
    ticket.ceilings[0].position_max = Some(Position(15));
    soaked(&mut ticket);
    world.issue(&ticket);
    put(&mut world, &shard);
    (world, ticket, shard)
}

fn offered(world: &mut World, view: &mut View) -> bool {
    !world.sync(view, NOW).offers.is_empty()
}

fn refused(world: &mut World, view: &mut View) -> Vec<RefusalCode> {
    let outcome = world.sync(view, NOW);
    assert!(outcome.offers.is_empty(), "offered all the same");
    outcome.refusals.iter().map(|refusal| refusal.code).collect()
}

#[test]
fn sixteen_means_sixteen_by_the_committed_order() {
    let (mut world, mut ticket, _) = world();
    let first = |world: &mut World| -> Vec<u64> {
        (1..=105).filter(|n| offered(world, &mut view(*n))).collect()
    };
    let want: Vec<u64> = (83..=99).filter(|n| n % 10 != 0).collect();
    assert_eq!((first(&mut world), want.len()), (want.clone(), 16));
    // Whoever has no place is a newcomer, as is who enrolled later.
    ticket.newcomers = Newcomers::Included;
    world.issue(&ticket);
    let more: Vec<u64> =
        (1..=105).filter(|n| want.contains(n) || n % 10 == 0 || *n > 100).collect();
    assert_eq!(first(&mut world), more);
}

#[test]
fn a_place_is_looked_up_once_and_serves_every_wider_ticket() {
    let (mut world, mut ticket, _) = world();
    let mut view = view(50 + 1);
    assert!(!offered(&mut world, &mut view));
    assert!(world.fetched.iter().any(|path| path == SHARD));
    let step = andon_model::ticket::Step {
        generation: 2,
        handed: 90,
        at: NOW.plus(andon_model::Millis::from_secs(20)),
    };
    ticket.steps.push(step);
    (ticket.generation, ticket.ceilings[0].handed) = (2, 90);
    ticket.ceilings[0].position_max = Some(Position(89));
    (ticket.not_before, ticket.steps[1].at) = (step.at, step.at);
    world.issue(&ticket);
    let outcome = world.sync(&mut view, step.at);
    assert_eq!(outcome.offers.len(), 1, "{:?}", outcome.refusals);
    assert!(!world.fetched.iter().any(|path| path == SHARD), "looked up again");
}

#[test]
fn a_forged_foreign_or_missing_shard_is_a_refusal_and_covers_nobody() {
    let (_, _, good) = world();
    let better: Change = |shard| shard.places[4] = Some((0, 0));
    let swapped: Change = |shard| shard.places.swap(4, 97);
    let moved: Change = |shard| shard.strata[0] = StratumId::new("x86_64.other").unwrap();
    let none: Change = |shard| shard.places[4] = None;
    let cut: Change = |shard| shard.places.truncate(5);
    let number: Change = |shard| shard.number = 1;
    let changes: [(&str, Change); 6] = [
        ("a better rank", better),
        ("another host's leaf", swapped),
        ("another stratum", moved),
        ("no place, to be a newcomer", none),
        ("a shard cut short", cut),
        ("another shard's number", number),
    ];
    for (what, change) in changes {
        let (mut world, mut ticket, _) = world();
        ticket.newcomers = Newcomers::Included;
        world.issue(&ticket);
        let mut shard = good.clone();
        change(&mut shard);
        put(&mut world, &shard);
        let mut five = view(5);
        assert_eq!(refused(&mut world, &mut five), [RefusalCode::Digest], "{what}");
        // The right one heals it.
        put(&mut world, &good);
        assert_eq!(refused(&mut world, &mut five), [], "{what}");
        assert!(offered(&mut world, &mut view(99)), "{what}: the others");
    }
    for (what, bytes, code) in [
        ("missing", None, RefusalCode::Missing),
        ("no shard at all", Some(b"{}".to_vec()), RefusalCode::Malformed),
        ("too large", Some(vec![b' '; SHARD_BYTES_MAX + 1]), RefusalCode::Missing),
    ] {
        let (mut world, _, _) = world();
        world.files.remove(SHARD);
        if let Some(bytes) = bytes {
            world.files.insert(SHARD.to_owned(), bytes);
        }
        assert_eq!(refused(&mut world, &mut view(99)), [code], "{what}");
    }
}

#[test]
fn a_wrong_root_places_nobody_and_a_root_does_not_change_within_a_rollout() {
    let (mut world, ticket, _) = world();
    let mut held = view(99);
    assert!(offered(&mut world, &mut held));
    let mut other = ticket.clone();
    other.order = Some(Commitment { root: Digest::of(b"another"), hosts: 100 });
    other.not_before = ticket.not_before.plus(andon_model::Millis(1));
    world.issue(&other);
    let later = other.not_before;
    // Who has not seen the first root finds no shard for the second …
    let seen = world.sync(&mut view(98), later);
    let codes: Vec<_> = seen.refusals.iter().map(|refusal| refusal.code).collect();
    assert_eq!((codes, seen.offers.len()), (vec![RefusalCode::Digest], 0));
    // … and who has is not told another order of the same rollout, nor that there is none.
    for changed in [other.order, None] {
        let mut ticket = other.clone();
        ticket.order = changed;
        world.issue(&ticket);
        let mut view = View::restore(anchor(), host(99), class(), &held.record()).unwrap();
        let seen = world.sync(&mut view, later);
        let codes: Vec<_> = seen.refusals.iter().map(|refusal| refusal.code).collect();
        assert_eq!((codes, seen.offers.len()), (vec![RefusalCode::Rollback], 0));
    }
}

#[test]
fn a_host_whose_class_has_changed_is_late() {
    let (mut world, mut ticket, _) = world();
    let moved = || {
        let mut class = class();
        class.model = StratumId::new("another").unwrap();
        View::new(anchor(), host(99), class).unwrap()
    };
    assert!(!offered(&mut world, &mut moved()));
    ticket.newcomers = Newcomers::Included;
    world.issue(&ticket);
    assert!(offered(&mut world, &mut moved()));
    ticket.order = Some(Commitment { hosts: 99, ..ticket.order.unwrap() });
    world.issue(&ticket);
    assert_eq!(
        refused(&mut world, &mut view(99)),
        [RefusalCode::Malformed],
        "not the plan's hosts"
    );
}
