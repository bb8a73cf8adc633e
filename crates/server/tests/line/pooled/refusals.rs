//! Bad input to the vendor line's addresses is refused with a status and a code, and changes nothing.
use super::member::Member;
use super::world::{World, line_of};
use crate::rig::*;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::ENVELOPE_BYTES_MAX;
use andon_model::policy::Horizon;
use andon_model::{LineId, Millis};
use andon_rollout::lines::LineTally;
use andon_trust::sign::SigningKey;
use axum::http::Method;

struct Row(&'static str, Vec<u8>, u16, &'static str);

async fn check(world: &mut World, path: &str, rows: Vec<Row>) {
    let before = (words(&world.server), world.line.journal.durable());
    for Row(what, body, status, code) in rows {
        let (got, body) = send(&mut world.server, Method::POST, path, body).await;
        let told: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        assert_eq!(got, status, "{what}: {told}");
        assert_eq!(told["error"]["code"], code, "{what}: {told}");
        let text = |field: &str| told["error"][field].as_str().unwrap_or_default().len();
        assert!(text("message") > 0 && text("next") > 0, "{what}: {told}");
        assert_eq!((words(&world.server), world.line.journal.durable()), before, "{what}");
    }
}

fn vendor_line() -> LineId {
    "vendor:acme".parse().unwrap()
}

#[tokio::test]
async fn rosters_that_nobody_vouches_for_get_no_seats() {
    let members = vec![Member::new("a", 21, 10), Member::new("b", 22, 10)];
    let mut world = World::seated(members).await;
    let (a, stranger) = (Member::new("a", 21, 10), Member::new("c", 23, 10));
    let line = vendor_line();
    let next = a.roster(&line, 11, 5);
    let good = a.sealed(&next);
    let mut strange = next.clone();
    strange.hosts[0] = 9;
    let elsewhere = a.roster(&"vendor:other".parse().unwrap(), 11, 5);
    let ticket = a.key.seal(PayloadType::Ticket, &good.payload);
    let foreign = world.members[1].key.seal(PayloadType::Roster, &good.payload);
    let rows = vec![
        Row("cut", good.to_bytes()[..99].to_vec(), 400, "malformed"),
        Row("too large", vec![b' '; ENVELOPE_BYTES_MAX + 1], 413, "too_large"),
        Row(
            "of a stranger",
            stranger.sealed(&stranger.roster(&line, 1, 5)).to_bytes(),
            401,
            "unknown_key",
        ),
        Row("with another member's key", foreign.to_bytes(), 401, "signature"),
        Row("as another type", ticket.to_bytes(), 400, "malformed"),
        Row("for another line", a.sealed(&elsewhere).to_bytes(), 403, "not_allowed"),
        Row("of a strange stratum", a.sealed(&strange).to_bytes(), 400, "malformed"),
        Row("with a gap", a.sealed(&a.roster(&line, 12, 5)).to_bytes(), 409, "conflict"),
        Row("again", a.sealed(&a.roster(&line, 1, 10)).to_bytes(), 409, "conflict"),
        Row("over hosts_max", a.sealed(&a.roster(&line, 11, 91)).to_bytes(), 409, "conflict"),
    ];
    check(&mut world, "/v1/line/roster", rows).await;
    // Who sends a roster again learns where the first ones are.
    let again = a.sealed(&a.roster(&line, 1, 10));
    let (_, told) = post(&mut world.server, "/v1/line/roster", &again).await;
    let first = serde_json::json!({ "host_first": 1, "seat_first": 1, "count": 10 });
    assert_eq!(told["seats"], serde_json::json!([first]));
    let (status, told) = post(&mut world.server, "/v1/line/roster", &good).await;
    assert_eq!((status.as_u16(), told["seats"].as_array().unwrap().len()), (200, 2), "{told}");
}

fn changed(of: &LineTally, key: &SigningKey, change: impl FnOnce(&mut LineTally)) -> Vec<u8> {
    let mut tally = of.clone();
    change(&mut tally);
    key.seal(PayloadType::Tally, &serde_json::to_vec(&tally).unwrap()).to_bytes()
}

/// Mutant: whose key signed a tally is not asked.
#[tokio::test]
async fn tallies_that_nobody_vouches_for_are_not_counted() {
    let mut world = World::two().await;
    world.second(&[0, 1]).await;
    world.wait(1000);
    let (round, plan) = (world.round().await, world.plan().await);
    let waves = world.waves(round.generation).await;
    let now = world.now;
    let good = world.members[0].count(&plan, &round, &waves, now);
    let (own, other) = (world.members[0].key.clone(), world.members[1].key.clone());
    let stranger = key(23);
    let as_ticket = own.seal(PayloadType::Ticket, &serde_json::to_vec(&good).unwrap());
    let mut cut = changed(&good, &own, |_| ());
    cut.truncate(500);
    let mut rows = vec![
        Row("cut", cut, 400, "malformed"),
        Row("with another member's key", changed(&good, &other, |_| ()), 401, "signature"),
        Row("with a stranger's key", changed(&good, &stranger, |_| ()), 401, "signature"),
        Row("as another type", as_ticket.to_bytes(), 400, "malformed"),
    ];
    let mut row = |what, status, code, change: fn(&mut LineTally)| {
        rows.push(Row(what, changed(&good, &own, change), status, code));
    };
    row("of another operator", 401, "unknown_key", |t| t.operator = "c".parse().unwrap());
    row("for another line", 403, "not_allowed", |t| t.line = "vendor:other".parse().unwrap());
    row("of another rollout", 404, "not_found", |t| t.rollout = "r9".parse().unwrap());
    row("of the last round", 409, "conflict", |t| t.round -= 1);
    row("of the next round", 409, "conflict", |t| t.round += 1);
    row("of another generation", 409, "conflict", |t| t.generation += 1);
    row("of another schema", 400, "malformed", |t| t.schema = 2);
    row("with strata out of order", 400, "malformed", |t| t.strata.reverse());
    row("with a wave too many", 400, "malformed", |t| {
        t.strata[0].tally.waves.push(Default::default());
    });
    row("with a host too few", 400, "malformed", |t| t.strata[0].tally.controls.hosts -= 1);
    row("with a host elsewhere", 400, "malformed", |t| {
        t.strata[0].tally.controls.hosts -= 1;
        t.strata[0].tally.gauge.hosts += 1;
    });
    row("without windows", 400, "malformed", |t| t.strata[0].tally.windows.clear());
    check(&mut world, "/v1/line/tallies", rows).await;
    assert!(
        !world
            .line
            .folder
            .path()
            .join("tallies/r1")
            .join(format!("{}-{}", round.round, round.generation))
            .exists(),
        "a refused tally was kept"
    );
    // The first one that was acknowledged stands, and is as good as itself sent again.
    let first = world.members[0].sign(&good);
    let path = "/v1/line/tallies";
    assert_eq!(post(&mut world.server, path, &first).await.0, 200);
    assert_eq!(post(&mut world.server, path, &first).await.0, 200);
    let second = changed(&good, &own, |tally| tally.at = now.plus(Millis(1)));
    let second = Envelope::parse_limited(&second, second.len()).unwrap();
    let (status, told) = post(&mut world.server, path, &second).await;
    assert_eq!((status.as_u16(), &told["error"]["code"]), (409, &"replayed".into()), "{told}");
}

#[tokio::test]
async fn a_line_without_members_has_none_of_these_addresses() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    let a = Member::new("a", 21, 10);
    let roster = a.sealed(&a.roster(&vendor_line(), 1, 5));
    assert_eq!(post(&mut server, "/v1/line/roster", &roster).await.0, 404);
    for path in ["", "/rounds", "/plans/r1", "/places/r1/a", "/tickets/r1/1"] {
        let path = format!("/v1/line{path}");
        assert_eq!(send(&mut server, Method::GET, &path, Vec::new()).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_line_with_members_has_no_hosts_of_its_own_and_keeps_no_rules_of_groups() {
    let members = vec![Member::new("a", 21, 10)];
    let mut line = line_of(&members);
    let mut server = line.open(START).await.unwrap();
    let told = post(&mut server, "/v1/enrol", &enrolment(1, START)).await;
    assert_eq!(told.0, 403, "{}", told.1);
    let release = line.publish(&mut server, 1).await;
    let window = serde_json::json!({"weekly": {"opens_minute": 0, "open_minutes": 60}});
    line.policy.eligibility.windows = vec![serde_json::from_value(window).unwrap()];
    line.policy.routine.budget =
        vec![Horizon { after: Millis(0), hosts_max: 100, share_max_ppm: 1_000_000 }];
    line.set_policy(&mut server).await;
    let command = line.command("1", START, start("r1", release));
    let (status, told) = post(&mut server, "/v1/commands", &command).await;
    assert_eq!(status, 409, "{told}");
    assert!(told["error"]["message"].as_str().unwrap().contains("windows"), "{told}");
}
