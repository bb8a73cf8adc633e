//! A member that does not answer: the line holds and says who; a person lets it go on without it.
use super::world::World;
use crate::rig::post;
use andon_model::command::Verb;
use andon_model::line::LineStanding;
use andon_model::text::Text;
use andon_rollout::Event;
use andon_server::record::Record;

async fn ask(world: &mut World, nonce: &str, verb: Verb) -> (u16, serde_json::Value) {
    let command = world.line.command(nonce, world.now, verb);
    let (status, answer) = post(&mut world.server, "/v1/commands", &command).await;
    (status.as_u16(), answer)
}

fn withdraw(name: &str) -> Verb {
    Verb::Withdraw {
        rollout: "r1".parse().unwrap(),
        operator: name.parse().unwrap(),
        reason: Text::clipped("its network is down"),
    }
}

fn holds(world: &World) -> usize {
    let holds = |record: &&Record| {
        matches!(record, Record::Rollout { event: Event::ActionFailed { .. }, .. })
    };
    world.records().iter().filter(holds).count()
}

/// Mutant: a round without one member is pooled all the same.
#[tokio::test]
async fn a_missing_member_makes_the_line_hold_and_is_named_once() {
    let mut world = World::two().await;
    for _ in 0..3 {
        world.second(&[0, 1]).await;
    }
    let before = world.round().await;
    let seen = world.observations();
    // A generation is eight seconds: the patience ends, not the tick.
    for second in 1..=30 {
        world.second(&[0]).await;
        let held = matches!(world.round().await.standing, LineStanding::Held { .. });
        assert_eq!(held, second > 8, "second {second}");
    }
    let after = world.round().await;
    let LineStanding::Held { why } = &after.standing else { panic!("not held") };
    assert_eq!(why.as_str(), "pool tallies: operator b has not reported");
    assert_eq!((after.round, after.generation), (before.round, before.generation));
    assert_eq!(world.observations(), seen, "a round was pooled without a member");
    assert_eq!(holds(&world), 1, "it says so once, not at every tick");
}

#[tokio::test]
async fn a_person_that_resumes_gives_the_missing_member_its_time_again() {
    let mut world = World::two().await;
    world.second(&[0, 1]).await;
    for _ in 0..12 {
        world.second(&[0]).await;
    }
    let resume = Verb::Resume { rollout: "r1".parse().unwrap() };
    assert_eq!(ask(&mut world, "resume", resume).await.0, 200);
    for second in 1..=12 {
        world.second(&[0]).await;
        let held = matches!(world.round().await.standing, LineStanding::Held { .. });
        assert_eq!(held, second >= 8, "second {second}");
    }
    assert_eq!(holds(&world), 2);
    let resume = Verb::Resume { rollout: "r1".parse().unwrap() };
    assert_eq!(ask(&mut world, "resume again", resume).await.0, 200);
    let round = world.round().await.round;
    world.second(&[0, 1]).await;
    assert_eq!(world.round().await.round, round + 1, "it answers again and nothing comes of it");
}

#[tokio::test]
async fn a_member_that_was_withdrawn_is_not_waited_for_and_never_vouched() {
    let mut world = World::with(100, 30).await;
    for _ in 0..3 {
        world.second(&[0, 1]).await;
    }
    while !matches!(world.round().await.standing, LineStanding::Held { .. }) {
        world.second(&[0]).await;
    }
    let held = world.round().await;
    assert_eq!(ask(&mut world, "withdraw", withdraw("b")).await.0, 200);
    assert_eq!(world.round().await.standing, LineStanding::Live, "it holds though b is withdrawn");
    assert_eq!(ask(&mut world, "again", withdraw("b")).await.0, 409);
    assert_eq!(ask(&mut world, "last", withdraw("a")).await.0, 409, "nobody would be left");
    assert_eq!(ask(&mut world, "who", withdraw("c")).await.0, 404);
    world = world.restart().await;
    for _ in 0..40 {
        world.second(&[0]).await;
    }
    let round = world.round().await;
    assert!(round.round > held.round + 20, "{round:?}");
    assert!(round.generation > held.generation, "it does not widen without b: {round:?}");
    let confirmed = world.members[0].hosts.iter().filter(|host| host.confirmed.is_some()).count();
    let last = world.records().into_iter().rev().find_map(|record| match record {
        Record::Rollout { event: Event::Observed(seen), .. } => Some(seen),
        _ => None,
    });
    let arms = last.unwrap().strata.into_iter().flat_map(|stratum| stratum.waves);
    let vouched: u32 = arms.map(|arm| arm.confirmed).sum();
    assert_eq!(vouched as usize, confirmed, "hosts of a member that left were vouched");
    let (status, answer) = world.answer(1).await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("withdrawn"), "{answer}");
}

#[tokio::test]
async fn withdrawing_does_not_lift_the_hold_of_a_person() {
    let mut world = World::two().await;
    world.second(&[0, 1]).await;
    let (rollout, reason) = ("r1".parse().unwrap(), Text::clipped("lunch"));
    assert_eq!(ask(&mut world, "hold", Verb::Hold { rollout, reason }).await.0, 200);
    assert_eq!(ask(&mut world, "withdraw", withdraw("b")).await.0, 200);
    let LineStanding::Held { why } = world.round().await.standing else { panic!("not held") };
    assert_eq!(why.as_str(), "ada: lunch");
}
