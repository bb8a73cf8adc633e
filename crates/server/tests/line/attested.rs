//! Attestations: what the server takes in, what its index lists, and what a plan makes of them.
use crate::rig::*;
use crate::rollouts::ticket;
use andon_model::attestation::*;
use andon_model::beat::ComponentState;
use andon_model::class::HostClass;
use andon_model::enrol::EnrolRequest;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::index::Index;
use andon_model::limits::{ATTESTATIONS_BYTES_MAX, ATTESTATIONS_MAX};
use andon_model::policy::Person;
use andon_model::rigs::{Alike, Attestations, Demand, Rig};
use andon_model::text::Text;
use andon_model::ticket::Ticket;
use andon_model::waiver::Waiver;
use andon_model::{Digest, HostId, Millis, PersonId, RigId, RolloutId, StratumId, Time};
use andon_server::serve::Server;
use andon_trust::attestation::to_file;
use axum::http::{Method, StatusCode};

const DEBIAN: std::ops::RangeInclusive<u64> = 1..=40;
const ALPINE: std::ops::RangeInclusive<u64> = 41..=60;
const ARCH: std::ops::RangeInclusive<u64> = 61..=70;

fn name(text: &str) -> StratumId {
    StratumId::new(text).unwrap()
}
fn class_of(number: u64) -> HostClass {
    let os = match number {
        n if DEBIAN.contains(&n) => "debian12",
        n if ALPINE.contains(&n) => "alpine3",
        _ => "arch",
    };
    HostClass { os: name(os), ..class(&[]) }
}

/// A line with one rig and two people, whose policy demands both predicates of every release.
fn line() -> Line {
    Line::made("operator:clinic", |policy| {
        let person = PersonId::new("bob").unwrap();
        policy.people.push(Person { person, key: key(8).public() });
        let predicates = vec![PredicateKind::TestResult, PredicateKind::Svr];
        let (kind, arch, os, model) = (None, None, None, None);
        let demand = Demand { kind, arch, os, model, alike: Alike::Platform, predicates };
        let rig = Rig { name: RigId::new("lab").unwrap(), key: key(40).public() };
        policy.attestations = Attestations { needed: 1, rigs: vec![rig], demands: vec![demand] };
    })
}

async fn enrolled(server: &mut Server, last: u64) {
    for number in 1..=last {
        let key = host_key(number);
        let (token, at) = ("let me in".to_owned(), server.app.now());
        let class = class_of(number);
        let request = EnrolRequest { schema: 1, token, key: key.public(), class, at };
        let envelope = key.seal(PayloadType::Enrol, &serde_json::to_vec(&request).unwrap());
        assert_eq!(post(server, "/v1/enrol", &envelope).await.0, 200);
    }
}

fn signed(by: u8, release: Digest, class: &HostClass, outcome: TestOutcome) -> Vec<Envelope> {
    let class = AttestedClass::of(class);
    let test = Predicate::TestResult(TestResult {
        result: outcome,
        configuration: vec![Configuration::of_class(&class)],
        url: None,
        passed_tests: vec![],
        warned_tests: vec![],
        failed_tests: vec![],
    });
    let svr = Predicate::Svr(Svr {
        verifier: SvrVerifier { id: "urn:andon:rig:lab".to_owned() },
        time_created: START.to_string(),
        properties: vec![format!("{PREFLIGHT_PROPERTY}{class}")],
    });
    let of = |predicate| {
        let subject = vec![Subject { name: String::new(), digest: DigestSet { sha256: release } }];
        let statement = Statement { kind: StatementType::V1, subject, predicate };
        key(by).seal(PayloadType::Statement, &statement.to_bytes())
    };
    match outcome {
        TestOutcome::Passed => vec![of(test), of(svr)],
        _ => vec![of(test)],
    }
}

fn waiver(people: &[u8], release: Digest, class: &HostClass) -> Envelope {
    let waiver = Waiver {
        schema: 1,
        line: "operator:clinic".parse().unwrap(),
        release,
        arch: class.arch.clone(),
        os: class.os.clone(),
        model: None,
        reason: Text::clipped("no rig of this kind yet"),
        issued: START,
        expires: START.plus(Millis::from_secs(86_400)),
    };
    let payload = serde_json::to_vec(&waiver).unwrap();
    let mut envelope = key(people[0]).seal(PayloadType::Waiver, &payload);
    people[1..].iter().for_each(|person| key(*person).add(&mut envelope));
    envelope
}

async fn send_in(
    server: &mut Server,
    release: Digest,
    envelopes: &[Envelope],
) -> (StatusCode, serde_json::Value) {
    let path = format!("/v1/attestations/{release}");
    let (status, body) = send(server, Method::POST, &path, to_file(envelopes)).await;
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

async fn index(server: &mut Server) -> Index {
    let path = "/v1/lines/operator:clinic/index.json";
    Index::parse(&send(server, Method::GET, path, vec![]).await.1).unwrap()
}

async fn begun(line: &Line, server: &mut Server, release: Digest) {
    let command = line.command("1", START, start("r1", release));
    let (status, answer) = post(server, "/v1/commands", &command).await;
    assert_eq!(status, 200, "{answer}");
    server.driver.tick().await.unwrap();
}

/// Who is covered, by class.
fn reached(ticket: &Ticket) -> [usize; 3] {
    let covered = |number: &u64| ticket.covers(HostId::new(*number).unwrap(), &class_of(*number));
    [DEBIAN, ALPINE, ARCH].map(|hosts| hosts.filter(covered).count())
}

#[tokio::test]
async fn what_is_signed_by_nobody_accredited_is_not_taken_in_and_nothing_half() {
    let line = line();
    let mut server = line.open(START).await.unwrap();
    let release = line.publish(&mut server, 1).await;
    let own = class_of(1);
    let good = signed(40, release, &own, TestOutcome::Passed);
    let with = |more: Envelope| [good.clone(), vec![more]].concat();
    let stranger = signed(41, release, &own, TestOutcome::Passed).remove(0);
    let elsewhere = signed(40, Digest::of(b"x"), &own, TestOutcome::Passed).remove(0);
    let unknown = key(40).seal(PayloadType::Statement, br#"{"predicateType":"x"}"#);
    let approval = key(40).seal(PayloadType::Approval, b"{}");
    for (envelopes, status, word) in [
        (vec![], 400, "no attestation"),
        (with(stranger), 401, "no rig that the policy accredits"),
        (with(elsewhere), 403, "not about this release"),
        (with(unknown), 400, "does not know"),
        (with(approval), 400, "no attestation and no waiver"),
        (with(waiver(&[6], release, &own)), 401, "1 distinct people"),
        (with(waiver(&[6, 6], release, &own)), 401, "1 distinct people"),
    ] {
        let (got, answer) = send_in(&mut server, release, &envelopes).await;
        assert_eq!(got, status, "{answer}");
        assert!(answer.to_string().contains(word), "{word}: {answer}");
    }
    let (status, _) = send_in(&mut server, Digest::of(b"x"), &good).await;
    assert_eq!(status, 404, "a release that is not published");
    let path = format!("/v1/attestations/{release}");
    let body = vec![b'\n'; ATTESTATIONS_BYTES_MAX + 1];
    assert_eq!(send(&mut server, Method::POST, &path, body).await.0, 413);
    assert!(server.app.core().state.attestations.is_empty(), "something was half taken");
    // All of it, and once.
    let both = with(waiver(&[6, 8], release, &own));
    let (status, answer) = send_in(&mut server, release, &both).await;
    assert_eq!((status.as_u16(), &answer["taken"]), (200, &3.into()), "{answer}");
    let (_, answer) = send_in(&mut server, release, &both).await;
    assert_eq!((&answer["taken"], &answer["known"]), (&0.into(), &3.into()));
    // A waiver is public; a restart forgets nothing.
    let public = server.app.core().state.public.clone();
    assert!(public.iter().any(|e| matches!(e, andon_model::log_entry::LogEntry::Waiver { .. })));
    let server = line.restart(server).await;
    assert_eq!(server.app.core().state.attestations[&release], both);
}

#[tokio::test]
async fn no_release_has_more_attestations_than_hosts_read() {
    let line = line();
    let mut server = line.open(START).await.unwrap();
    let release = line.publish(&mut server, 1).await;
    let one = |number: usize| {
        let class = HostClass { model: name(&format!("m{number}")), ..class_of(1) };
        signed(40, release, &class, TestOutcome::Passed).remove(0)
    };
    let full: Vec<Envelope> = (0..ATTESTATIONS_MAX).map(one).collect();
    let (status, answer) = send_in(&mut server, release, &full).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = send_in(&mut server, release, &[one(ATTESTATIONS_MAX)]).await;
    assert_eq!(status, 409, "{answer}");
    assert_eq!(server.app.core().state.attestations[&release].len(), ATTESTATIONS_MAX);
}

#[tokio::test]
async fn a_release_that_no_host_may_install_is_not_begun() {
    let line = line();
    let mut server = line.open(START).await.unwrap();
    enrolled(&mut server, 40).await;
    let release = line.publish(&mut server, 1).await;
    let failed = signed(40, release, &class_of(1), TestOutcome::Failed);
    for (envelopes, word) in [(vec![], "0 of 1 accredited rigs"), (failed, "saw it fail")] {
        if !envelopes.is_empty() {
            assert_eq!(send_in(&mut server, release, &envelopes).await.0, 200);
        }
        let command = line.command(word, START, start("r1", release));
        let (status, answer) = post(&mut server, "/v1/commands", &command).await;
        assert_eq!(status, 409, "{answer}");
        assert!(answer.to_string().contains(word), "{answer}");
        assert!(answer["error"]["next"].as_str().unwrap().contains("andon rig run"));
        assert!(server.app.core().state.rollouts.is_empty());
    }
}

/// One class is attested, one is not, of one a rig saw it fail: the rollout reaches all of the first, the
/// canary wave of the second, nobody of the third, and ends.
/// Mutant: refusing-hosts-awaited.
#[tokio::test]
async fn hosts_that_say_no_neither_stall_nor_halt_a_rollout() {
    let line = line();
    let mut server = line.open(START).await.unwrap();
    enrolled(&mut server, 70).await;
    let release = line.publish(&mut server, 1).await;
    let mut sent = signed(40, release, &class_of(1), TestOutcome::Passed);
    sent.extend(signed(40, release, &class_of(61), TestOutcome::Failed));
    assert_eq!(send_in(&mut server, release, &sent).await.0, 200);
    begun(&line, &mut server, release).await;
    let listed = index(&mut server).await.attestations;
    assert_eq!(listed.len(), 1);
    let path = format!("/v1/lines/operator:clinic/attestations/{release}.jsonl");
    let (_, bytes) = send(&mut server, Method::GET, &path, vec![]).await;
    assert_eq!((listed[0].release, listed[0].digest), (release, Digest::of(&bytes)));
    assert_eq!(bytes, to_file(&sent));
    let first = reached(&ticket(&mut server, "r1").await);
    assert!(first[0] > 0 && first[1] > 0 && first[2] == 0, "{first:?}");
    let rollout = RolloutId::new("r1").unwrap();
    let over = |server: &Server| server.app.core().state.rollouts[&rollout].completed();
    let mut at = 0;
    while !over(&server) {
        at += 1;
        assert!(at < 600, "the rollout waits for hosts that refuse");
        let now = Time(START.0 + at * 1000);
        server.app.clock.set(now);
        let current = ticket(&mut server, "r1").await;
        let [_, alpine, arch] = reached(&current);
        assert!(alpine == first[1] && arch == 0, "second {at}: {alpine} {arch}");
        let canary = andon_trust::attestation::is_canary(&current, &line.policy.routine);
        for number in 1..=70 {
            let mut beat = quiet_beat(number, at + 1, now);
            // As hosts do: the second class obeys canary waves only, what has begun goes on.
            let covered = current.covers(HostId::new(number).unwrap(), &class_of(number));
            let obeys =
                DEBIAN.contains(&number) || (ALPINE.contains(&number) && (canary || at > 2));
            if covered && obeys {
                beat.components = vec![running(1, release, ComponentState::Confirmed)];
            }
            assert_eq!(tell(&mut server, &beat).await.0, 200);
        }
        server.driver.tick().await.unwrap();
    }
    let told = ticket(&mut server, "r1").await;
    assert_eq!(reached(&told), [40, first[1], 0]);
    let core = server.app.core();
    let said = core.state.rollouts[&rollout].explain(server.app.now()).cannot_see.join("\n");
    drop(core);
    assert!(said.contains("20 hosts of x86_64.alpine3.m1 keep the old version after"), "{said}");
    assert!(said.contains("10 hosts of x86_64.arch.m1 keep the old version:"), "{said}");
}
