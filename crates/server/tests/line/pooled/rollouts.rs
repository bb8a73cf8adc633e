//! Whole rollouts of a vendor line.
use super::member::Member;
use super::world::World;
use crate::rig::{START, post};
use crate::rollouts::get;
use andon_model::envelope::PayloadType;
use andon_model::index::Index;
use andon_model::line::{LineStanding, seat};
use andon_model::position::Position;
use andon_model::text::Text;
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::{HostId, Millis};
use andon_rollout::lines::MemberStanding;
use andon_server::pooled::intake;
use andon_server::record::Record;

fn handed(waves: &[Vec<u32>]) -> u32 {
    waves.last().map_or(0, |wave| wave.iter().sum())
}

#[tokio::test]
async fn a_good_release_reaches_everybody_and_widens_only_when_all_have_answered() {
    let mut world = World::two().await;
    for _ in 1..200 {
        world.wait(1000);
        let before = world.round().await;
        if before.standing == LineStanding::Completed {
            break;
        }
        assert_eq!(world.answer(0).await.0, 200);
        world.tick().await;
        let between = world.round().await;
        assert_eq!(between, before, "one of two tallies made a round");
        assert_eq!(world.answer(1).await.0, 200);
        world.tick().await;
        let after = world.round().await;
        assert_eq!(after.round, before.round + 1, "both tallies made no round");
    }
    let round = world.round().await;
    assert_eq!(
        (round.standing.clone(), round.newcomers),
        (LineStanding::Completed, Newcomers::Included)
    );
    assert_eq!(handed(&world.waves(round.generation).await), 70, "not everybody has it");
    let confirmed = |member: &Member| member.hosts.iter().all(|host| host.confirmed.is_some());
    assert!(world.members.iter().all(confirmed));
    let pooled = world.records().into_iter().filter_map(|record| match record {
        Record::TalliesPooled { round, tallies, .. } => Some((round, tallies.len())),
        _ => None,
    });
    let pooled: Vec<_> = pooled.collect();
    assert!(pooled.iter().all(|(_, tallies)| *tallies == 2));
    assert!(pooled.iter().map(|(round, _)| *round).eq(1..=pooled.len() as u64), "a round twice");
    assert_eq!(pooled.len(), world.observations());
}

#[tokio::test]
async fn every_tally_that_was_counted_lies_on_disk_under_its_digest() {
    let mut world = World::two().await;
    for _ in 0..5 {
        world.second(&[0, 1]).await;
    }
    let mut seen = 0;
    for record in world.records() {
        let Record::TalliesPooled { rollout, round, generation, tallies, .. } = record else {
            continue;
        };
        for (operator, digest) in tallies {
            let folder = world.line.folder.path().join("tallies").join(rollout.as_str());
            let file = folder.join(format!("{round}-{generation}/{operator}.json"));
            let bytes = std::fs::read(file).unwrap();
            assert_eq!(andon_model::Digest::of(&bytes), digest);
            seen += 1;
        }
    }
    assert_eq!(seen, 10);
}

#[tokio::test]
async fn a_fault_on_one_members_hosts_halts_the_line_and_everybody_hears_of_it() {
    let mut world = World::with(100, 100).await;
    world.members[1].faulty = true;
    for _ in 1..60 {
        world.second(&[0, 1]).await;
        if matches!(world.round().await.standing, LineStanding::Halted { .. }) {
            break;
        }
    }
    let round = world.round().await;
    let LineStanding::Halted { by, by_person, .. } = &round.standing else {
        panic!("it was not halted: {round:?}");
    };
    assert_eq!((by.as_str(), *by_person), ("gate of vendor:acme", false));
    let covered = handed(&world.waves(round.generation).await);
    assert!(covered <= 64, "the fault reached {covered} hosts of 200");
    let index = get(&mut world.server, "/v1/lines/vendor:acme/index.json").await;
    let index = Index::parse(&index).unwrap();
    assert!(index.tickets.is_empty(), "the ticket of a halted rollout is served");
    assert_eq!(index.stops.len(), 1, "the line's own freeze is not served");
    // Members that were away for longer than an hour still hear of it.
    world.wait(3 * 3_600_000);
    world.tick().await;
    assert!(matches!(world.round().await.standing, LineStanding::Halted { .. }));
    // What comes late changes nothing.
    let (status, answer) = world.answer(0).await;
    assert_eq!((status.as_u16(), &answer["due"]), (409, &serde_json::Value::Null), "{answer}");
}

#[tokio::test]
async fn a_member_that_halts_makes_the_line_hold_once() {
    let mut world = World::two().await;
    world.second(&[0, 1]).await;
    let why = Text::clipped("its gate halted it");
    world.members[1].standing = MemberStanding::Halted { why };
    world.second(&[0, 1]).await;
    let LineStanding::Held { why } = world.round().await.standing else { panic!("not held") };
    assert_eq!(why.as_str(), "operator b has halted: its gate halted it");
    let generation = world.round().await.generation;
    let resume = andon_model::command::Verb::Resume { rollout: "r1".parse().unwrap() };
    let command = world.line.command("resume", world.now, resume);
    assert_eq!(post(&mut world.server, "/v1/commands", &command).await.0, 200);
    for _ in 1..30 {
        world.second(&[0, 1]).await;
    }
    let round = world.round().await;
    assert!(!matches!(round.standing, LineStanding::Held { .. }), "it holds again: {round:?}");
    assert!(round.generation > generation, "a person resumed it and it does not go on");
}

#[tokio::test]
async fn places_and_ceilings_name_the_same_hosts() {
    let mut world = World::two().await;
    for _ in 0..12 {
        world.second(&[0, 1]).await;
    }
    let (round, plan) = (world.round().await, world.plan().await);
    assert!(round.generation > 1);
    for generation in 1..=round.generation {
        let path = format!("/v1/line/tickets/r1/{generation}");
        let ticket: Ticket = world.signed(&path, PayloadType::Ticket).await;
        let mut covered = vec![0; ticket.ceilings.len()];
        for member in &world.members {
            let blocks = world.server.app.core().state.seats.blocks(&member.operator).to_vec();
            let places = member.places.as_ref().unwrap();
            let own = places.strata.iter().zip(&places.ranks);
            for (number, (stratum, rank)) in (1..).zip(own) {
                let ceiling = &ticket.ceilings[usize::from(*stratum)];
                let seat = seat(&blocks, HostId::new(number).unwrap()).unwrap();
                let position = Position::of(&plan.seed, &plan.release, seat);
                let by_position = ceiling.position_max.is_some_and(|max| position <= max);
                assert_eq!(*rank < ceiling.handed, by_position, "{generation} {seat}");
                assert_eq!(by_position, ticket.reaches(seat, &ceiling.stratum));
                covered[usize::from(*stratum)] += u32::from(by_position);
            }
        }
        let handed: Vec<u32> = ticket.ceilings.iter().map(|ceiling| ceiling.handed).collect();
        assert_eq!(covered, handed, "generation {generation}");
    }
}

#[tokio::test]
async fn rounds_are_waited_for_and_not_sent_again() {
    use axum::body::Body;
    use axum::http::{Request, header};
    use tower::ServiceExt as _;
    let mut world = World::two().await;
    let router = andon_server::api::router(std::sync::Arc::clone(&world.server.app));
    let ask = |wait: &str, version: &str| {
        let request = Request::builder().uri(format!("/v1/line/rounds?round=1&wait_ms={wait}"));
        let request = request.header(header::IF_NONE_MATCH, version.to_owned());
        router.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    let first = ask("0", "\"none\"").await.unwrap();
    let version = first.headers()[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(first.status(), 200);
    assert_eq!(ask("0", &version).await.unwrap().status(), 304);
    let waits = ask("30000", &version);
    let work = async {
        world.second(&[0, 1]).await;
    };
    let (news, ()) = tokio::join!(waits, work);
    let news = news.unwrap();
    assert_eq!(news.status(), 200);
    assert_ne!(news.headers()[header::ETAG].to_str().unwrap(), version);
}

/// Mutant: tallies are taken while the next ticket is on its way.
#[tokio::test]
async fn no_round_is_open_while_a_ticket_is_being_issued() {
    // In which second the same line widens when nothing is in its way.
    let mut free = World::two().await;
    let mut seconds = 0;
    while free.round().await.generation < 2 {
        free.second(&[0, 1]).await;
        seconds += 1;
    }
    // Without a policy in force no ticket is issued: it ends after the tallies of that second.
    let mut world = World::two().await;
    let far = world.line.policy.expires;
    world.line.policy.expires = START.plus(Millis(seconds * 1000 + 1));
    world.line.set_policy(&mut world.server).await;
    for _ in 1..seconds {
        world.second(&[0, 1]).await;
    }
    world.wait(1000);
    for at in 0..2 {
        assert_eq!(world.answer(at).await.0, 200);
    }
    world.wait(1);
    world.tick().await;
    let now = |world: &World| {
        let core = world.server.app.core();
        let rollout = &core.state.rollouts[&"r1".parse().unwrap()];
        (rollout.issue_due(), intake::due(rollout))
    };
    assert_eq!(now(&world), (true, None), "tallies are due that no ticket has waves for");
    world.line.policy.expires = far;
    world.line.set_policy(&mut world.server).await;
    let round = seconds + 1;
    assert_eq!(now(&world), (false, Some(intake::Due { round, generation: 2 })));
}
