//! A rollout from start to end over the API: exact ceilings, restarts in the middle, halting.
use crate::faults::freeze;
use crate::rig::*;
use andon_model::Digest;
use andon_model::beat::ComponentState;
use andon_model::envelope::Envelope;
use andon_model::index::Index;
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::{HostId, Time};
use andon_rollout::{Event, StratumTally};
use andon_server::record::Record;
use andon_server::serve::Server;
use axum::http::Method;

pub(crate) async fn get(server: &mut Server, path: &str) -> Vec<u8> {
    let (status, body) = send(server, Method::GET, path, Vec::new()).await;
    assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
    body
}

async fn index(server: &mut Server) -> Index {
    Index::parse(&get(server, "/v1/lines/operator:clinic/index.json").await).unwrap()
}

pub(crate) async fn ticket(server: &mut Server, name: &str) -> Ticket {
    let path = format!("/v1/lines/operator:clinic/tickets/{name}.json");
    let envelope = Envelope::parse(&get(server, &path).await).unwrap();
    Ticket::parse(&envelope.payload).unwrap()
}

fn covered(ticket: &Ticket, hosts: u64) -> u64 {
    let ids = (1..=hosts).map(|number| HostId::new(number).unwrap());
    ids.filter(|host| ticket.covers(*host, &class(&[]))).count() as u64
}

/// One second: every host beats, covered ones run the release, then the driver ticks.
async fn second(server: &mut Server, hosts: u64, release: Digest, name: &str, at: u64) {
    second_without(server, hosts, &[], (release, name), at).await;
}

/// The same while some hosts say nothing.
pub(crate) async fn second_without(
    server: &mut Server,
    hosts: u64,
    silent: &[u64],
    (release, name): (Digest, &str),
    at: u64,
) {
    let now = Time(START.0 + at * 1000);
    server.app.clock.set(now);
    let listed = index(server).await.tickets.iter().any(|t| t.rollout.as_str() == name);
    let current = if listed { Some(ticket(server, name).await) } else { None };
    for number in (1..=hosts).filter(|number| !silent.contains(number)) {
        let mut beat = quiet_beat(number, at + 1, now);
        if current.as_ref().is_some_and(|t| t.covers(beat.host, &class(&[]))) {
            beat.components = vec![running(1, release, ComponentState::Confirmed)];
        }
        assert_eq!(tell(server, &beat).await.0, 200);
    }
    server.driver.tick().await.unwrap();
}

#[tokio::test]
async fn a_ceiling_of_sixteen_covers_exactly_sixteen_hosts_through_a_whole_rollout() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, 60).await;
    let release = line.publish(&mut server, 1).await;
    let command = line.command("1", START, start("r1", release));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    let mut handed = 0;
    for at in 1..200 {
        second(&mut server, 60, release, "r1", at).await;
        let ticket = ticket(&mut server, "r1").await;
        let ceiling: u32 = ticket.ceilings.iter().map(|c| c.handed).sum();
        assert_eq!(covered(&ticket, 60), u64::from(ceiling), "second {at}");
        assert!(ceiling >= handed, "coverage went back");
        handed = ceiling;
        if at % 7 == 0 {
            let before = words(&server);
            server = line.restart(server).await;
            assert_eq!(words(&server), before, "replay differs in second {at}");
        }
        let completed = |core: &andon_server::app::Core| {
            core.state.rollouts.values().all(|rollout| rollout.completed())
        };
        if completed(&server.app.core()) {
            break;
        }
    }
    assert_eq!(handed, 60, "the rollout did not reach everybody");
    let told = get(&mut server, "/v1/rollouts/r1").await;
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["state"], "completed", "{told}");
    assert_eq!(told["crashed"], 0);
}

#[tokio::test]
async fn hosts_that_come_and_go_fall_silent_once() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, 60).await;
    let release = line.publish(&mut server, 1).await;
    let command = line.command("1", START, start("r1", release));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    let flapping = [7, 8, 9];
    for at in 1..60 {
        // Six seconds there, six seconds not; patience is four.
        let away: &[u64] = if at % 12 < 6 { &[] } else { &flapping };
        second_without(&mut server, 60, away, (release, "r1"), at).await;
    }
    let mut silent = Vec::new();
    for entry in line.journal.rows() {
        let record: Record = serde_json::from_str(&entry.json).unwrap();
        if let Record::Rollout { counted, event: Event::Observed(seen), .. } = record {
            let arms = |s: &StratumTally| {
                s.waves.iter().chain([&s.controls, &s.gauge]).cloned().collect::<Vec<_>>()
            };
            let told: u32 = seen.strata.iter().flat_map(arms).map(|arm| arm.silence.new).sum();
            assert!(told as usize <= counted.silent.len());
            silent.extend(counted.silent.iter().map(|host| host.number()));
        }
    }
    silent.sort_unstable();
    assert_eq!(silent, flapping, "each of five silences was counted, not the first alone");
}

#[tokio::test]
async fn a_freeze_withdraws_the_ticket_and_is_served_before_it_is_acknowledged() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, 20).await;
    let release = line.publish(&mut server, 1).await;
    let command = line.command("1", START, start("r1", release));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    let before = index(&mut server).await;
    assert_eq!(before.tickets.len(), 1);
    let envelope = freeze(&line, release, START);
    let (status, answer) = post(&mut server, "/v1/stops", &envelope).await;
    assert_eq!(status, 200);
    let after = index(&mut server).await;
    assert!(after.tickets.is_empty() && after.version > before.version);
    assert_eq!(serde_json::to_value(after.stops).unwrap()[0], answer["stop"]);
    let server_again = line.restart(server).await;
    let mut server = server_again;
    let restarted = index(&mut server).await;
    assert!(restarted.tickets.is_empty(), "the ticket came back after a restart");
    assert!(restarted.version >= after.version, "the index went back");
}

#[tokio::test]
async fn an_empty_line_gets_its_baseline_and_newcomers_are_included() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    let release = line.publish(&mut server, 1).await;
    let command = line.command("1", START, start("base", release));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    for at in 1..20 {
        second(&mut server, 0, release, "base", at).await;
    }
    let ticket = ticket(&mut server, "base").await;
    assert_eq!(ticket.newcomers, Newcomers::Included);
    assert_eq!(covered(&ticket, 5), 5);
}

#[tokio::test]
async fn healthy_unchanged_beats_never_touch_the_journal() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, 3).await;
    let before = (line.journal.calls(), line.journal.durable());
    for sequence in 1..50 {
        for host in 1..=3 {
            let told = tell(&mut server, &quiet_beat(host, sequence, START)).await;
            assert_eq!(told.0, 200);
        }
    }
    assert_eq!((line.journal.calls(), line.journal.durable()), before);
}
