//! Members that are away within the share that the vendor's policy allows: the line goes on without
//! them, never beyond the share, and hears of their halts all the same.
use super::member::Member;
use super::world::{World, line_sharing};
use crate::rig::{post, words};
use crate::rollouts::get;
use andon_model::command::Verb;
use andon_model::line::LineStanding;
use andon_model::text::Text;
use andon_rollout::Event;
use andon_rollout::lines::MemberStanding;
use andon_server::record::Record;

/// One seat in twenty.
const SHARE_PPM: u32 = 50_000;
/// A generation is eight seconds: one after it a member that does not answer is late.
const LATE: usize = 9;

/// Members a, b, … with so many hosts, and a release that is being rolled out.
async fn world(ppm: u32, hosts: &[usize]) -> World {
    let named = ["a", "b", "c"].into_iter().zip(21..).zip(hosts);
    let members: Vec<Member> =
        named.map(|((name, number), hosts)| Member::new(name, number, *hosts)).collect();
    let mut world = World::seated_on(line_sharing(&members, ppm), members).await;
    world.start("r1").await;
    world
}

async fn seconds(world: &mut World, count: usize, who: &[usize]) {
    for _ in 0..count {
        world.second(who).await;
    }
}

/// What people see of the rollout.
async fn status(world: &mut World) -> serde_json::Value {
    let told: serde_json::Value =
        serde_json::from_slice(&get(&mut world.server, "/v1/line").await).unwrap();
    told["rollouts"][0].clone()
}

async fn absent(world: &mut World) -> serde_json::Value {
    status(world).await["absent"].clone()
}

async fn held(world: &mut World) -> Option<String> {
    match world.round().await.standing {
        LineStanding::Held { why } => Some(why.as_str().to_owned()),
        _ => None,
    }
}

async fn command(world: &mut World, nonce: &str, verb: Verb) -> u16 {
    let command = world.line.command(nonce, world.now, verb);
    post(&mut world.server, "/v1/commands", &command).await.0.as_u16()
}

async fn resume(world: &mut World, nonce: &str) {
    let verb = Verb::Resume { rollout: "r1".parse().unwrap() };
    assert_eq!(command(world, nonce, verb).await, 200);
}

async fn withdraw(world: &mut World, name: &str) {
    let (rollout, operator) = ("r1".parse().unwrap(), name.parse().unwrap());
    let verb = Verb::Withdraw { rollout, operator, reason: Text::clipped("its network is down") };
    assert_eq!(command(world, name, verb).await, 200);
}

fn halts(world: &mut World, at: usize) {
    let why = Text::clipped("its gate halted it");
    world.members[at].standing = MemberStanding::Halted { why };
}

fn of_kind(world: &World, kind: &str) -> usize {
    world.records().iter().filter(|record| record.kind() == kind).count()
}

#[tokio::test]
async fn within_the_share_the_line_goes_on_and_absent_hosts_are_never_vouched() {
    let mut world = world(SHARE_PPM, &[95, 5]).await;
    seconds(&mut world, 3, &[0, 1]).await;
    let before = world.round().await;
    seconds(&mut world, LATE - 1, &[0]).await;
    assert_eq!(world.round().await.round, before.round, "a round was pooled without a member");
    assert_eq!(absent(&mut world).await, serde_json::json!([]), "before its time was over");
    seconds(&mut world, 2, &[0]).await;
    assert_eq!(absent(&mut world).await, serde_json::json!(["b"]));
    assert_eq!(held(&mut world).await, None);
    assert_eq!(world.round().await.round, before.round + 1, "the same round is due and complete");
    for second in 0.. {
        assert!(second < 400, "it does not complete: {:?}", world.round().await);
        world.second(&[0]).await;
        if world.round().await.standing == LineStanding::Completed {
            break;
        }
    }
    assert_eq!(
        (of_kind(&world, "members_absent"), status(&mut world).await["due"].clone()),
        (1, serde_json::json!([]))
    );
    let confirmed = world.members[0].hosts.iter().filter(|host| host.confirmed.is_some()).count();
    let last = world.records().into_iter().rev().find_map(|record| match record {
        Record::Rollout { event: Event::Observed(seen), .. } => Some(seen),
        _ => None,
    });
    let arms: Vec<_> = last.unwrap().strata.into_iter().flat_map(|it| it.waves).collect();
    let vouched: u32 = arms.iter().map(|arm| arm.confirmed).sum();
    assert_eq!(vouched as usize, confirmed, "hosts of an absent member were vouched");
    let handed: u32 = arms.iter().map(|arm| arm.hosts).sum();
    assert!(handed > vouched, "its hosts are covered and stand where the order puts them");
}

/// A fault that is there from the start, before anybody is found absent, and one that comes later.
#[tokio::test]
async fn a_fault_is_stopped_though_a_member_is_absent() {
    for (well, most) in [(0, 16), (LATE + 1, 64)] {
        let mut world = world(SHARE_PPM, &[95, 5]).await;
        seconds(&mut world, well, &[0]).await;
        world.members[0].faulty = true;
        for _ in 0..60 {
            world.second(&[0]).await;
            if matches!(world.round().await.standing, LineStanding::Halted { .. }) {
                break;
            }
        }
        let round = world.round().await;
        assert!(matches!(round.standing, LineStanding::Halted { .. }), "{round:?}");
        assert_eq!(absent(&mut world).await, serde_json::json!(["b"]));
        let covered: u32 = world.waves(round.generation).await.last().unwrap().iter().sum();
        assert!(covered <= most, "the fault reached {covered} hosts of 100");
    }
}

/// Mutant: the share is not compared with what the policy allows.
#[tokio::test]
async fn one_host_beyond_the_share_the_line_holds_and_names_who_is_missing() {
    for (hosts, why) in [
        (&[94, 6][..], "pool tallies: operator b has not reported"),
        (&[94, 3, 3], "pool tallies: operators b, c have not reported"),
    ] {
        let mut world = world(SHARE_PPM, hosts).await;
        let round = world.round().await.round;
        seconds(&mut world, LATE + 5, &[0]).await;
        assert_eq!(held(&mut world).await.as_deref(), Some(why));
        assert_eq!(world.round().await.round, round, "a round was pooled without a member");
        assert_eq!(
            (absent(&mut world).await, of_kind(&world, "members_absent")),
            (serde_json::json!([]), 0)
        );
        // A person withdraws one: it no longer counts, and the rest is within the share or nobody.
        withdraw(&mut world, "b").await;
        assert_eq!(held(&mut world).await, None);
        seconds(&mut world, LATE + 1, &[0]).await;
        assert_eq!(held(&mut world).await, None);
        assert!(world.round().await.round > round);
        let rest = if hosts.len() > 2 { serde_json::json!(["c"]) } else { serde_json::json!([]) };
        assert_eq!(absent(&mut world).await, rest);
    }
}

#[tokio::test]
async fn who_was_absent_before_counts_when_another_goes() {
    for (hosts, goes_on) in [(&[95, 3, 2], true), (&[94, 3, 3], false)] {
        let mut world = world(SHARE_PPM, hosts).await;
        seconds(&mut world, LATE + 1, &[0, 2]).await;
        assert_eq!(absent(&mut world).await, serde_json::json!(["b"]));
        seconds(&mut world, LATE + 1, &[0]).await;
        let why = (!goes_on).then_some("pool tallies: operator c has not reported");
        assert_eq!(held(&mut world).await.as_deref(), why);
        let both = if goes_on { serde_json::json!(["b", "c"]) } else { serde_json::json!(["b"]) };
        assert_eq!(absent(&mut world).await, both);
    }
}

#[tokio::test]
async fn a_restart_keeps_who_is_absent() {
    let mut world = world(SHARE_PPM, &[95, 5]).await;
    seconds(&mut world, LATE + 1, &[0]).await;
    let (fold, round) = (words(&world.server), world.round().await.round);
    world = world.restart().await;
    assert_eq!(words(&world.server), fold, "replay differs");
    assert_eq!(absent(&mut world).await, serde_json::json!(["b"]));
    seconds(&mut world, 2, &[0]).await;
    assert_eq!(world.round().await.round, round + 2, "it waits for an absent member");
    assert_eq!(world.answer(1).await.1["absent"], true);
}

#[tokio::test]
async fn an_absent_members_tally_is_answered_and_nothing_of_it_is_counted() {
    let mut world = world(SHARE_PPM, &[95, 5]).await;
    seconds(&mut world, LATE + 1, &[0]).await;
    let before = (words(&world.server), world.line.journal.durable());
    let (status, told) = world.answer(1).await;
    assert_eq!((status.as_u16(), &told["absent"]), (409, &serde_json::json!(true)), "{told}");
    let message = told["error"]["message"].as_str().unwrap();
    assert_eq!(message, "operator b did not answer in time: this rollout goes on without it");
    assert_eq!(told["error"]["next"], "nothing: it is counted again from the next rollout on");
    assert_eq!((words(&world.server), world.line.journal.durable()), before);
    seconds(&mut world, 1, &[0]).await;
    let last = world.records().into_iter().rev().find_map(|record| match record {
        Record::TalliesPooled { tallies, .. } => Some(tallies),
        _ => None,
    });
    let counted: Vec<String> = last.unwrap().iter().map(|(who, _)| who.to_string()).collect();
    assert_eq!(counted, ["a"]);
    // It must be its own all the same, and make sense.
    let envelope = world.members[1].sent().unwrap();
    let mut tally: andon_rollout::lines::LineTally =
        serde_json::from_slice(&envelope.payload).unwrap();
    tally.schema = 2;
    let odd = world.members[1].sign(&tally);
    assert_eq!(post(&mut world.server, "/v1/line/tallies", &odd).await.0, 400);
    let foreign = world.members[0].sign(&tally);
    assert_eq!(post(&mut world.server, "/v1/line/tallies", &foreign).await.0, 401);
}

/// Mutant: of what an absent member says nothing is heard.
#[tokio::test]
async fn an_absent_member_whose_line_has_halted_is_heard_and_the_line_holds() {
    let mut world = world(SHARE_PPM, &[95, 5]).await;
    seconds(&mut world, LATE + 1, &[0]).await;
    halts(&mut world, 1);
    let (status, told) = world.answer(1).await;
    assert_eq!((status.as_u16(), &told["absent"]), (409, &serde_json::json!(true)), "{told}");
    let why = "operator b has halted: its gate halted it";
    assert_eq!(held(&mut world).await.as_deref(), Some(why));
    let kept = world.records().into_iter().find_map(|record| match record {
        Record::MemberHalted { tally, .. } => Some(tally),
        _ => None,
    });
    let (kept, folder) = (kept.unwrap(), world.line.folder.path().join("tallies/r1/halted"));
    let bytes = std::fs::read(folder.join(format!("{kept}.json"))).unwrap();
    assert_eq!(andon_model::Digest::of(&bytes), kept);
    world = world.restart().await;
    assert_eq!(held(&mut world).await.as_deref(), Some(why));
    // Told again it makes nobody hold again; who resumes goes on without it.
    resume(&mut world, "resume").await;
    let round = world.round().await.round;
    assert_eq!(world.answer(1).await.0, 409);
    seconds(&mut world, 2, &[0]).await;
    assert_eq!((held(&mut world).await, of_kind(&world, "member_halted")), (None, 1));
    assert!(world.round().await.round > round);
    assert_eq!(absent(&mut world).await, serde_json::json!(["b"]));
}

#[tokio::test]
async fn a_member_that_has_ever_said_that_it_halted_is_never_left_out_by_the_machine() {
    let mut world = world(SHARE_PPM, &[95, 5]).await;
    halts(&mut world, 1);
    world.wait(1000);
    assert_eq!(world.answer(1).await.0, 200);
    // Heard at once, though the round lacks the other's tally.
    let why = "operator b has halted: its gate halted it";
    assert_eq!(held(&mut world).await.as_deref(), Some(why));
    resume(&mut world, "resume").await;
    seconds(&mut world, 2 * LATE, &[0]).await;
    let why = "pool tallies: operator b has not reported";
    assert_eq!(held(&mut world).await.as_deref(), Some(why));
    assert_eq!(absent(&mut world).await, serde_json::json!([]));
    withdraw(&mut world, "b").await;
    assert_eq!(held(&mut world).await, None, "a person decides");
}

#[tokio::test]
async fn nobody_is_left_out_when_nobody_answers() {
    let mut world = world(200_000, &[80, 10, 10]).await;
    withdraw(&mut world, "a").await;
    let round = world.round().await.round;
    seconds(&mut world, LATE + 1, &[]).await;
    let why = "pool tallies: operators b, c have not reported";
    assert_eq!(held(&mut world).await.as_deref(), Some(why));
    assert_eq!(
        (absent(&mut world).await, world.round().await.round),
        (serde_json::json!([]), round)
    );
}

#[tokio::test]
async fn withdrawing_an_absent_member_makes_room_for_another() {
    let mut world = world(SHARE_PPM, &[90, 5, 5]).await;
    seconds(&mut world, LATE + 1, &[0, 2]).await;
    assert_eq!(absent(&mut world).await, serde_json::json!(["b"]));
    withdraw(&mut world, "b").await;
    let told = status(&mut world).await;
    assert_eq!(
        (&told["absent"], &told["withdrawn"]),
        (&serde_json::json!([]), &serde_json::json!(["b"]))
    );
    seconds(&mut world, LATE + 1, &[0]).await;
    assert_eq!(absent(&mut world).await, serde_json::json!(["c"]));
    // Absent is not the last: a is there.
    withdraw(&mut world, "c").await;
    let round = world.round().await.round;
    seconds(&mut world, 2, &[0]).await;
    assert_eq!((held(&mut world).await, world.round().await.round), (None, round + 2));
}

/// The policy that the plan was made under counts: a later one is for later plans.
#[tokio::test]
async fn a_later_policy_changes_nothing_for_a_rollout_that_runs() {
    let mut world = world(SHARE_PPM, &[95, 5]).await;
    world.line.policy.absent_max_ppm = 0;
    world.line.set_policy(&mut world.server).await;
    seconds(&mut world, LATE + 1, &[0]).await;
    assert_eq!(
        (held(&mut world).await, absent(&mut world).await),
        (None, serde_json::json!(["b"]))
    );
}
