//! A ticket inside a vendor line: a host's position is its seat's, and who has no seat is a newcomer.
use crate::world::*;
use andon_model::line::SeatBlock;
use andon_model::position::Position;
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::{Digest, StratumId};
use andon_trust::view::View;

/// Hosts 1 to 40 have seats 201 to 240, hosts 41 to 90 seats 1001 to 1050, hosts 91 to 100 none.
fn blocks() -> Vec<SeatBlock> {
    let block = |host_first, seat_first, count| SeatBlock { host_first, seat_first, count };
    vec![block(1, 201, 40), block(41, 1001, 50)]
}

fn seat(n: u64) -> u64 {
    if n <= 40 { 200 + n } else { 960 + n }
}

/// The position of the sixteenth of the seated hosts, and the sixteen.
fn first(ticket: &Ticket) -> (Position, Vec<u64>) {
    let at = |n: u64| Position::of(&ticket.seed, &ticket.release, host(seat(n)));
    let mut order: Vec<(Position, u64)> = (1..=90).map(|n| (at(n), n)).collect();
    order.sort_unstable();
    let mut hosts: Vec<u64> = order[..16].iter().map(|(_, n)| *n).collect();
    hosts.sort_unstable();
    (order[15].0, hosts)
}

fn world_with(seats: Vec<SeatBlock>) -> (World, Ticket) {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let mut ticket = world.ticket("r1", digest, 1, &[(16, 0)]);
    ticket.seats = seats;
    ticket.ceilings[0].position_max = Some(first(&ticket).0);
    world.issue(&ticket);
    (world, ticket)
}

fn offered(world: &mut World, n: u64) -> bool {
    let mut view: View = view(n);
    !world.sync(&mut view, NOW).offers.is_empty()
}

#[test]
fn sixteen_means_sixteen_by_the_seats_on_the_vendor_line() {
    let (mut world, mut ticket) = world_with(blocks());
    let covered =
        |world: &mut World| -> Vec<u64> { (1..=105).filter(|n| offered(world, *n)).collect() };
    let want = first(&ticket).1;
    assert_eq!(covered(&mut world), want);
    // The same hosts by their own numbers would be others: the test can tell.
    let plain = Ticket { seats: vec![], ..ticket.clone() };
    let by_number: Vec<u64> = (1..=100).filter(|n| plain.covers(host(*n), &class())).collect();
    assert_ne!(by_number, want);
    // Who has no seat is a newcomer, as is who enrolled later.
    ticket.newcomers = Newcomers::Included;
    ticket.steps[0].at = andon_model::Time(NOW.0 - 3_600_000); // newcomers follow what has soaked
    world.issue(&ticket);
    let more: Vec<u64> = (1..=105).filter(|n| want.contains(n) || *n > 90).collect();
    assert_eq!(covered(&mut world), more);
}

#[test]
fn a_ticket_from_before_there_were_seats_still_reads() {
    let (_, ticket) = world_with(vec![]);
    let mut text = serde_json::to_value(&ticket).unwrap();
    assert!(text.get("seats").is_none(), "nothing is written where there is nothing");
    let read = Ticket::parse(&serde_json::to_vec(&text).unwrap()).unwrap();
    assert_eq!(read, ticket);
    text["seats"] = serde_json::json!([{ "host_first": 1, "seat_first": 7, "count": 2 }]);
    let read = Ticket::parse(&serde_json::to_vec(&text).unwrap()).unwrap();
    assert_eq!(read.seats, [SeatBlock { host_first: 1, seat_first: 7, count: 2 }]);
}

#[test]
fn seats_given_twice_or_beside_an_order_are_refused() {
    let (_, ticket) = world_with(blocks());
    let parse = |ticket: &Ticket| Ticket::parse(&serde_json::to_vec(ticket).unwrap());
    parse(&ticket).unwrap();
    let mut twice = ticket.clone();
    twice.seats[1].seat_first = 240;
    assert!(parse(&twice).is_err(), "seat 240 is given twice");
    let mut unsorted = ticket.clone();
    unsorted.seats.reverse();
    assert!(parse(&unsorted).is_err());
    let strata: [StratumId; 1] = [class().stratum()];
    let places = [Some((0, 0)); 1];
    let mut both = ticket;
    both.order = andon_model::order::commit(&strata, &places).ok().map(|(signed, _)| signed);
    both.enrolled_max = Some(host(1));
    both.seed = Digest::of(b"seed");
    assert!(parse(&both).is_err(), "two orders at once");
    both.seats.clear();
    parse(&both).unwrap();
}
