//! A ticket that commits to its ceilings: a host believes the ceiling of its own stratum that the signed
//! root shows, checks of the whole what it checked before, and no shard makes it believe more.
use crate::world::*;
use andon_model::ceilings::{self, Shard};
use andon_model::position::Position;
use andon_model::ticket::{Ceiling, Newcomers, Step, Ticket};
use andon_model::{Digest, Millis, StratumId, Time, limits};
use andon_trust::view::{RefusalCode, View};

type Change = fn(&mut Shard);

/// The ceiling of every host's stratum here, and of so many others with nobody in them.
fn with_strata(ticket: &mut Ticket, strata: usize) {
    let other = |n: usize| Ceiling {
        stratum: StratumId::new(&format!("x86_64.other.m{n:04}")).unwrap(),
        position_max: None,
        handed: 0,
        late_max: None,
    };
    ticket.ceilings.extend((1..strata).map(other));
    ticket.ceilings.sort_by(|a, b| a.stratum.cmp(&b.stratum));
}

fn own(ticket: &mut Ticket) -> &mut Ceiling {
    let mut ceilings = ticket.ceilings.iter_mut();
    ceilings.find(|ceiling| ceiling.stratum == class().stratum()).unwrap()
}

fn shard_path(ticket: &Ticket, number: u32) -> String {
    let root = ticket.committed.unwrap().root;
    format!("/v1/lines/operator:hospital/{}", ceilings::path(&ticket.rollout, &root, number))
}

/// Issues the ticket as a server does. Gives it as signed, and the shard of these hosts' stratum.
fn issue(world: &mut World, ticket: &Ticket) -> (Ticket, Option<Shard>) {
    let (sealed, shards) = ticket.clone().sealed().unwrap();
    for shard in &shards {
        put(world, &sealed, shard.number, shard);
    }
    world.issue(&sealed);
    let number = sealed.committed.map(|it| ceilings::shard_of(&class().stratum(), it.shards));
    let own = number.map(|number| shards[number as usize].clone());
    (sealed, own)
}

fn put(world: &mut World, ticket: &Ticket, number: u32, shard: &Shard) {
    world.files.insert(shard_path(ticket, number), serde_json::to_vec(shard).unwrap());
}

/// A ticket for the first sixteen hosts of one hundred, with so many strata.
fn world(strata: usize) -> (World, Ticket) {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let mut ticket = world.ticket("r1", digest, 1, &[(16, 0)]);
    let mut order: Vec<_> =
        (1..=100).map(|n| Position::of(&ticket.seed, &ticket.release, host(n))).collect();
    order.sort_unstable();
    ticket.ceilings[0].position_max = Some(order[15]);
    soaked(&mut ticket);
    with_strata(&mut ticket, strata);
    (world, ticket)
}

fn covered(world: &mut World) -> Vec<u64> {
    (1..=105).filter(|n| !world.sync(&mut view(*n), NOW).offers.is_empty()).collect()
}

fn refused(world: &mut World, view: &mut View, now: Time) -> Vec<(String, RefusalCode)> {
    let outcome = world.sync(view, now);
    assert!(outcome.offers.is_empty(), "offered all the same");
    outcome.refusals.into_iter().map(|told| (told.what, told.code)).collect()
}

fn said(what: &str, code: RefusalCode) -> Vec<(String, RefusalCode)> {
    vec![(what.to_owned(), code)]
}

#[test]
fn the_same_hosts_are_covered_whether_ceilings_are_listed_or_committed_to() {
    let (mut listed, ticket) = world(64);
    let (signed, none) = issue(&mut listed, &ticket);
    assert_eq!((signed.committed, none), (None, None), "64 are listed");
    assert_eq!(signed, ticket, "and the ticket keeps its bytes");
    let want = covered(&mut listed);
    assert_eq!(want.len(), 16);
    for strata in [65, 4096] {
        let (mut world, ticket) = world(strata);
        let (signed, shard) = issue(&mut world, &ticket);
        assert!(signed.ceilings.is_empty() && signed.committed.is_some());
        assert_eq!(covered(&mut world), want, "{strata} strata");
        let path = shard_path(&signed, shard.unwrap().number);
        let shards = world.fetched.iter().filter(|path| path.contains("/ceilings/"));
        assert_eq!(shards.collect::<Vec<_>>(), [&path], "a host fetches its own shard only");
    }
}

#[test]
fn a_forged_swapped_or_missing_shard_is_refused_by_name_and_covers_nobody() {
    let changes: [(&str, Change); 4] = [
        ("a higher position", |shard| {
            for ceiling in &mut shard.ceilings {
                ceiling.position_max = Some(Position::MAX);
            }
        }),
        ("a late host", |shard| {
            for ceiling in &mut shard.ceilings {
                ceiling.late_max = Some(host(105));
            }
        }),
        ("no ceiling, to be a newcomer", |shard| shard.ceilings.clear()),
        ("another number", |shard| shard.number += 1),
    ];
    let late = 102;
    for number in [view_covered(), late] {
        for (what, change) in changes {
            let (mut world, ticket) = world(65);
            let (signed, shard) = issue(&mut world, &ticket);
            let good = shard.unwrap();
            let mut bad = good.clone();
            change(&mut bad);
            put(&mut world, &signed, good.number, &bad);
            let mut view = view(number);
            let told = refused(&mut world, &mut view, NOW);
            assert_eq!(told, said("ceiling of r1", RefusalCode::Digest), "{what}");
            // The right one heals it; nothing was marked as bad for good.
            put(&mut world, &signed, good.number, &good);
            assert_eq!(!world.sync(&mut view, NOW).offers.is_empty(), number != late, "{what}");
        }
    }
    let (mut world, ticket) = world(65);
    let (signed, shard) = issue(&mut world, &ticket);
    let good = shard.unwrap();
    let path = shard_path(&signed, good.number);
    let (_, others) = ticket.sealed().unwrap();
    let other = others.iter().find(|shard| shard.number != good.number).unwrap();
    for (what, bytes, code) in [
        ("missing", None, RefusalCode::Missing),
        ("another's", Some(serde_json::to_vec(other).unwrap()), RefusalCode::Digest),
        ("no shard at all", Some(b"{}".to_vec()), RefusalCode::Malformed),
        ("too large", Some(vec![b' '; limits::CEILINGS_BYTES_MAX + 1]), RefusalCode::Missing),
    ] {
        world.files.remove(&path);
        bytes.map(|bytes| world.files.insert(path.clone(), bytes));
        let told = refused(&mut world, &mut view(view_covered()), NOW);
        assert_eq!(told, said("ceiling of r1", code), "{what}");
    }
}

/// A host that the first wave of [`world`] covers.
fn view_covered() -> u64 {
    let (mut world, ticket) = world(1);
    issue(&mut world, &ticket);
    covered(&mut world)[0]
}

/// Signs a ticket whose commitment was made by hand, beside the shards of the honest one.
fn forged(change: impl FnOnce(&mut Ticket)) -> Vec<(String, RefusalCode)> {
    let (mut world, ticket) = world(65);
    let (mut signed, _) = issue(&mut world, &ticket);
    change(&mut signed);
    world.issue(&signed);
    refused(&mut world, &mut view(view_covered()), NOW)
}

#[test]
fn what_a_host_checks_of_all_ceilings_is_not_weaker_without_seeing_them() {
    let committed = |ticket: &mut Ticket, change: fn(&mut ceilings::Commitment)| {
        change(ticket.committed.as_mut().unwrap());
    };
    let malformed = said("ticket r1", RefusalCode::Malformed);
    let policy = said("ticket r1", RefusalCode::Policy);
    let unlike = forged(|t| committed(t, |it| it.handed = 17));
    assert_eq!(unlike, malformed, "hosts of the ceilings unlike the steps'");
    let first = forged(|t| {
        t.steps[0].handed = 17;
        committed(t, |it| it.handed = 17);
    });
    assert_eq!(first, policy, "a first wave beyond the policy's");
    let grown = forged(|t| {
        let step = Step { generation: 2, handed: 1000, at: NOW };
        (t.steps, t.generation, t.not_before) = (vec![t.steps[0], step], 2, NOW);
        committed(t, |it| it.handed = 1000);
    });
    assert_eq!(grown, policy, "grown beyond the policy's");
    let soon = forged(|t| {
        let step = Step { generation: 2, handed: 32, at: t.steps[0].at.plus(Millis(1)) };
        (t.steps, t.generation) = (vec![t.steps[0], step], 2);
        t.not_before = step.at;
        committed(t, |it| it.handed = 32);
    });
    assert_eq!(soon, policy, "before the soak is over");
    let late = forged(|t| committed(t, |it| it.late_max = Some(host(100 + 17))));
    assert_eq!(late, policy, "more late hosts than have soaked");
    let planned = forged(|t| committed(t, |it| it.late_max = Some(host(100))));
    assert_eq!(planned, malformed, "a late host of the plan");
    let beside = forged(|t| t.ceilings = world(1).1.ceilings);
    assert_eq!(beside, malformed, "ceilings beside the commitment");
    assert_eq!(forged(|t| committed(t, |it| it.shards = 0)), malformed);
    assert_eq!(forged(|t| committed(t, |it| it.strata = 4097)), malformed);
    // A ceiling that covers late hosts which the signed sums do not know of: its own leaf tells on it.
    let (mut world, mut ticket) = world(65);
    own(&mut ticket).late_max = Some(host(105));
    let (mut signed, _) = issue(&mut world, &ticket);
    assert!(!world.sync(&mut view(105), NOW).offers.is_empty(), "five of sixteen that have soaked");
    signed.committed.as_mut().unwrap().late_max = None;
    world.issue(&signed);
    for number in [105, view_covered()] {
        let told = refused(&mut world, &mut view(number), NOW);
        assert_eq!(told, said("ceiling of r1", RefusalCode::Digest));
    }
}

#[test]
fn a_ceiling_is_fetched_once_per_wave_and_a_renewal_costs_nothing() {
    let (mut world, mut ticket) = world(100);
    issue(&mut world, &ticket);
    let mut view = view(view_covered());
    let fetched =
        |world: &World| world.fetched.iter().filter(|path| path.contains("/ceilings/")).count();
    let offered = |world: &mut World, view: &mut View, now| world.sync(view, now).offers.len();
    assert_eq!((offered(&mut world, &mut view, NOW), fetched(&world)), (1, 1));
    let later = NOW.plus(Millis::from_secs(20));
    ticket.not_before = later;
    issue(&mut world, &ticket);
    assert_eq!((offered(&mut world, &mut view, later), fetched(&world)), (1, 0), "renewed");
    ticket.steps.push(Step { generation: 2, handed: 100, at: later });
    ticket.generation = 2;
    (own(&mut ticket).handed, own(&mut ticket).position_max) = (100, Some(Position::MAX));
    issue(&mut world, &ticket);
    assert_eq!((offered(&mut world, &mut view, later), fetched(&world)), (1, 1), "wider");
}

#[test]
fn who_needs_no_ceiling_fetches_none_and_a_stratum_that_is_not_there_covers_nobody() {
    let (mut world, mut ticket) = world(65);
    let moved = |number| {
        let mut class = class();
        class.model = StratumId::new("another").unwrap();
        View::new(anchor(), host(number), class).unwrap()
    };
    issue(&mut world, &ticket);
    // Shown to have none, not merely not found: no refusal.
    for number in [view_covered(), 105] {
        let told = world.sync(&mut moved(number), NOW);
        assert_eq!((told.offers.len(), told.refusals), (0, vec![]));
    }
    ticket.newcomers = Newcomers::Included;
    let (signed, shard) = issue(&mut world, &ticket);
    world.files.remove(&shard_path(&signed, shard.unwrap().number));
    let told = world.sync(&mut view(105), NOW);
    assert_eq!((told.offers.len(), told.refusals), (1, vec![]), "a newcomer");
    assert!(!world.fetched.iter().any(|path| path.contains("/ceilings/")));
    let told = refused(&mut world, &mut view(view_covered()), NOW);
    assert_eq!(told, said("ceiling of r1", RefusalCode::Missing), "a host of the plan");
}

#[test]
fn a_place_in_an_order_is_looked_up_before_the_ceiling() {
    let (mut world, mut ticket) = world(65);
    let places: Vec<_> = (0..100_u32).map(|n| Some((0, 99 - n))).collect();
    let (signed, shards) = andon_model::order::commit(&[class().stratum()], &places).unwrap();
    ticket.order = Some(signed);
    own(&mut ticket).position_max = Some(Position(15));
    issue(&mut world, &ticket);
    let path = world.line_path("orders/r1/0.json");
    world.files.insert(path.clone(), serde_json::to_vec(&shards[0]).unwrap());
    assert_eq!(covered(&mut world), (85..=100).collect::<Vec<_>>());
    world.files.remove(&path);
    let told = refused(&mut world, &mut view(100), NOW);
    assert_eq!(told, said("order of r1", RefusalCode::Missing));
}

#[test]
fn a_commitment_reads_back_and_a_ticket_without_one_has_the_bytes_that_it_had() {
    let (_, ticket) = world(65);
    let (sealed, _) = ticket.clone().sealed().unwrap();
    let bytes = serde_json::to_vec(&sealed).unwrap();
    assert_eq!(Ticket::parse(&bytes).unwrap(), sealed);
    assert!(bytes.len() < 2048, "{} bytes", bytes.len());
    assert_eq!(sealed.clone().opened(&ticket.ceilings).unwrap(), ticket);
    assert!(sealed.opened(&ticket.ceilings[1..]).is_err());
    let (_, small) = world(2);
    let text = serde_json::to_string(&small).unwrap();
    assert!(!text.contains("committed"), "{text}");
    let mut other = ticket.ceilings.clone();
    other[0].handed += 1;
    let roots = [&ticket.ceilings, &other].map(|all| ceilings::commit(all).unwrap().0.root);
    assert!(roots[0] != roots[1] && roots[0] != Digest::of(b""));
}

/// Prints the table of docs/benchmarks.md, "Tickets of many strata".
#[test]
fn sizes_of_tickets_and_shards_stay_small() {
    for strata in [1, 64, 65, 4096] {
        let (_, ticket) = world(strata);
        let bytes = |ticket: &Ticket| {
            let kind = andon_model::envelope::PayloadType::Ticket;
            seal(&[3], kind, ticket).to_bytes().len()
        };
        let listed = bytes(&ticket);
        let (sealed, shards) = ticket.sealed().unwrap();
        let signed = bytes(&sealed);
        let sizes = shards.iter().map(|shard| serde_json::to_vec(shard).unwrap().len());
        let sizes: Vec<usize> = sizes.collect();
        let (mean, most) =
            (sizes.iter().sum::<usize>() / sizes.len().max(1), sizes.iter().max().unwrap_or(&0));
        eprintln!("| {strata} | {listed} B | {signed} B | {} | {mean} B, {most} B |", sizes.len());
        let small = 14_600; // ten segments of 1,460 bytes, the first flight of a connection
        assert!(signed <= small && *most <= small, "{strata} strata: {signed} B, {most} B");
    }
}
