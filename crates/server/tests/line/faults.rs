//! Every write to the journal × fails-and-not-kept, fails-but-kept; and the loss of power. Whatever
//! was acknowledged is there after the restart; whatever was not may be sent again.
use crate::platform::platform_targets;
use crate::rig::*;
use andon_model::beat::ComponentState;
use andon_model::directive::Demand;
use andon_model::{Digest, Millis, Time};
use andon_server::serve::Server;
use andon_server::store::memory::{Call, Fault};
use andon_trust::repository::TargetsChange;
use axum::http::{Method, StatusCode};

/// One of the writes, and whether its fact is in the state.
type Write = (&'static str, fn(&Server) -> bool);

const WRITES: [Write; 6] = [
    ("enrol", |server| server.app.core().state.hosts.len() == 3),
    ("beat", |server| server.app.core().state.hosts[0].charges == 1),
    ("command", |server| !server.app.core().state.rollouts.is_empty()),
    ("directive", |server| !server.app.core().state.directives.is_empty()),
    ("platform", |server| server.app.core().state.top.is_some()),
    ("stop", |server| !server.app.core().state.freezes.is_empty()),
];

async fn write(line: &Line, server: &mut Server, what: &str, release: Digest) -> StatusCode {
    let now = server.app.now();
    match what {
        "enrol" => post(server, "/v1/enrol", &enrolment(3, now)).await.0,
        "beat" => {
            let sequence = server.app.core().fleet.rows()[0].sequence + 1;
            let mut beat = quiet_beat(1, sequence, now);
            beat.components = vec![running(1, release, ComponentState::FellBack)];
            beat.charges = vec![charge(1, release, now)];
            tell(server, &beat).await.0
        }
        "command" => {
            let command = line.command("first", now, start("r1", release));
            post(server, "/v1/commands", &command).await.0
        }
        "directive" => {
            let demand = Demand::Park { release, over: Millis(0) };
            post(server, "/v1/directives", &line.says(demand, now)).await.0
        }
        "platform" => {
            let first = std::fs::read(line.folder.path().join("tuf/1.targets.json")).unwrap();
            let body = platform_targets(&first, &TargetsChange::default());
            send(server, Method::POST, "/v1/platform/metadata", body).await.0
        }
        _ => post(server, "/v1/stops", &freeze(line, release, now)).await.0,
    }
}

pub(crate) fn freeze(line: &Line, release: Digest, now: Time) -> andon_model::envelope::Envelope {
    let freeze = andon_model::stop::Freeze {
        schema: 1,
        by: andon_model::stop::Party::Vendor("acme".parse().unwrap()),
        scope: andon_model::stop::Scope::Release(release),
        reason: andon_model::text::Text::clipped("it crashes"),
        issued: now,
        expires: now.plus(andon_model::Millis::from_secs(3600)),
    };
    let payload = serde_json::to_vec(&freeze).unwrap();
    line.vendor.seal(andon_model::envelope::PayloadType::Freeze, &payload)
}

async fn prepared() -> (Line, Server, Digest) {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, 2).await;
    let release = line.publish(&mut server, 1).await;
    (line, server, release)
}

#[tokio::test]
async fn every_write_that_fails_is_not_acknowledged_and_is_sent_again_after_the_restart() {
    for (what, is_there) in WRITES {
        for call in [Call::Stage, Call::Commit] {
            for fault in [Fault::NotWritten, Fault::Written] {
                let case = format!("{what}, {call:?} {fault:?}");
                let (line, mut server, release) = prepared().await;
                let from = line.journal.calls()[call as usize];
                line.journal.fail(Box::new(move |c, number| {
                    (c == call && number >= from).then_some(fault)
                }));
                let status = write(&line, &mut server, what, release).await;
                assert_eq!(status, 503, "{case}: was acknowledged");
                let mut server = line.restart(server).await;
                assert_eq!(is_there(&server), fault == Fault::Written, "{case}: after restart");
                let again = write(&line, &mut server, what, release).await;
                // What was kept is known: a command says so, the rest is idempotent.
                let kept_command = what == "command" && fault == Fault::Written;
                assert_eq!(again == 409, kept_command, "{case}: {again}");
                assert!(is_there(&server), "{case}: sent again");
            }
        }
    }
}

/// Mutant: receipts honoured before the commit. Power is lost right after each answer.
#[tokio::test]
async fn an_acknowledged_event_survives_the_loss_of_power() {
    for (what, is_there) in WRITES {
        let (line, mut server, release) = prepared().await;
        assert_eq!(write(&line, &mut server, what, release).await, 200, "{what}");
        let before = words(&server);
        let server = line.restart(server).await;
        assert!(is_there(&server), "{what} was acknowledged and is lost");
        assert_eq!(words(&server), before, "{what}: replay and live state differ");
    }
}

/// Mutant: receipts honoured before the commit. A commit that fails must not be acknowledged.
#[tokio::test]
async fn a_receipt_is_honoured_only_after_its_commit() {
    use andon_server::store::{Entry, Writer, memory::MemoryJournal};
    let journal = MemoryJournal::default();
    journal.fail(Box::new(|call, _| (call == Call::Commit).then_some(Fault::NotWritten)));
    let writer = Writer::start(journal.clone());
    let text = |t: &str| t.to_owned();
    let entry =
        Entry { seq: 1, at: Time(1), kind: text("k"), subject: text("s"), json: text("{}") };
    assert!(writer.append(vec![entry]).durable().await.is_err(), "acknowledged, and not durable");
    assert_eq!(journal.durable(), 0);
    assert!(writer.failure().is_some(), "the writer takes nothing after a failed write");
}
