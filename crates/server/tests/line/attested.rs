//! Attestations: what the server takes in, what its index lists, and what a plan makes of them.
use crate::rig::*;
use crate::rollouts::ticket;
use andon_model::attestation::*;
use andon_model::beat::ComponentState;
use andon_model::class::HostClass;
use andon_model::command::Verb;
use andon_model::enrol::EnrolRequest;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::facts::{FactKind, FactName, Facts};
use andon_model::index::Index;
use andon_model::limits::{ATTESTATIONS_BYTES_MAX, ATTESTATIONS_MAX};
use andon_model::policy::Person;
use andon_model::proof_bundle::Believed;
use andon_model::rigs::{Alike, Attestations, Demand, Rig};
use andon_model::text::Text;
use andon_model::ticket::Ticket;
use andon_model::waiver::Waiver;
use andon_model::{Digest, HostId, Millis, PersonId, RigId, RolloutId, StratumId, Time};
use andon_server::record::Record;
use andon_server::serve::Server;
use andon_trust::attestation::to_file;
use andon_trust::proof_bundle::{Terms, open, verify};
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
    line_for(Vec::new())
}

/// The same, whose rig must have run what hosts run.
fn line_for(same: Vec<FactKind>) -> Line {
    Line::made("operator:clinic", |policy| {
        let person = PersonId::new("bob").unwrap();
        policy.people.push(Person { person, key: key(8).public() });
        let predicates = vec![PredicateKind::TestResult, PredicateKind::Svr];
        let (kind, arch, os, model) = (None, None, None, None);
        let demand = Demand { kind, arch, os, model, alike: Alike::Platform, same, predicates };
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
    signed_on(by, release, &AttestedClass::of(class), outcome)
}

fn signed_on(
    by: u8,
    release: Digest,
    class: &AttestedClass,
    outcome: TestOutcome,
) -> Vec<Envelope> {
    let test = Predicate::TestResult(TestResult {
        result: outcome,
        configuration: vec![Configuration::of_class(class)],
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

fn kernel(release: &str) -> Facts {
    Facts { kernel: FactName::new(release).ok(), ..Facts::default() }
}

/// What host `number` of one class runs: most the kernel that the rig ran, some another one, one nobody's.
fn runs(number: u64) -> Facts {
    match number {
        1..=30 => kernel("6.1.0-18-amd64"),
        31..=39 => kernel("6.6.9-1-amd64"),
        _ => Facts::default(),
    }
}

async fn beats(server: &mut Server, sequence: u64, of: impl Fn(u64) -> Option<Facts>) {
    let now = server.app.now();
    for number in 1..=40 {
        let mut beat = quiet_beat(number, sequence, now);
        beat.facts = of(number);
        assert_eq!(tell(server, &beat).await.0, 200);
    }
}

/// Hosts of one class run different kernels, and the policy wants the rig's. The rollout reaches all that
/// run it, the canary wave of the others, and ends; one odd host holds up nobody. A gate verifier that has
/// read the journal makes the same plan ([`Line`] checks that at the end of every test).
/// Mutants: facts-unheard, plan-of-any-kernel.
#[tokio::test]
async fn who_runs_another_kernel_than_the_rig_is_left_to_the_canary_wave() {
    let line = line_for(vec![FactKind::Kernel]);
    let mut server = line.open(START).await.unwrap();
    enrolled(&mut server, 40).await;
    beats(&mut server, 1, |number| Some(runs(number)).filter(|facts| !facts.is_unknown())).await;
    let journalled = server.app.core().state.seq;
    beats(&mut server, 2, |number| Some(runs(number))).await;
    assert_eq!(server.app.core().state.seq, journalled, "the same again is no news");
    let mut server = line.restart(server).await;
    let known = server.app.core().state.hosts.iter().map(|it| it.facts.clone()).collect::<Vec<_>>();
    assert_eq!(known, (1..=40).map(runs).collect::<Vec<_>>(), "a restart forgets nothing");
    let release = line.publish(&mut server, 1).await;
    let ran = AttestedClass::of(&class_of(1)).running(kernel("6.1.0-18-amd64"));
    let sent = signed_on(40, release, &ran, TestOutcome::Passed);
    assert_eq!(send_in(&mut server, release, &sent).await.0, 200);
    begun(&line, &mut server, release).await;
    let rollout = RolloutId::new("r1").unwrap();
    let covered = |ticket: &Ticket, number: u64| {
        ticket.covers(HostId::new(number).unwrap(), (&class_of(number), &runs(number)))
    };
    let reached = |ticket: &Ticket| {
        let of = |hosts: std::ops::RangeInclusive<u64>| {
            hosts.filter(|number| covered(ticket, *number)).count()
        };
        [of(1..=30), of(31..=39), of(40..=40)]
    };
    let first = reached(&ticket(&mut server, "r1").await);
    assert!(first[0] > 0 && first[1] + first[2] > 0, "{first:?}");
    let mut at = 0;
    while !server.app.core().state.rollouts[&rollout].completed() {
        at += 1;
        assert!(at < 600, "the rollout waits for hosts that refuse");
        let now = Time(START.0 + at * 1000);
        server.app.clock.set(now);
        let current = ticket(&mut server, "r1").await;
        for number in 1..=40 {
            let mut beat = quiet_beat(number, at + 2, now);
            if covered(&current, number) {
                beat.components = vec![running(1, release, ComponentState::Confirmed)];
            }
            assert_eq!(tell(&mut server, &beat).await.0, 200);
        }
        server.driver.tick().await.unwrap();
    }
    let last = ticket(&mut server, "r1").await;
    assert_eq!(reached(&last), [30, first[1], first[2]]);
    assert_eq!(last.told_apart, [FactKind::Kernel]);
    let newer = kernel("6.1.0-19-amd64");
    let moved = last.covers(HostId::new(1).unwrap(), (&class_of(1), &newer));
    assert!(!moved, "nobody has counted a host with this kernel");
    let said = server.app.core().state.rollouts[&rollout].explain(server.app.now());
    let said = said.cannot_see.join("\n");
    assert!(said.contains("kernel=6.6.9-1-amd64") && said.contains("9 hosts"), "{said}");
}

/// What hosts refuse by themselves is not handed to anybody: people look first. It is in the journal, so a
/// restart and a gate verifier know it, and a failure on a class without hosts holds nothing.
/// Mutants: failure-holds-nothing, ticket-before-the-failure-is-told.
#[tokio::test]
async fn a_failure_that_comes_while_a_rollout_runs_holds_it_until_people_resume() {
    let line = line();
    let mut server = line.open(START).await.unwrap();
    enrolled(&mut server, 40).await;
    let release = line.publish(&mut server, 1).await;
    let passed = signed(40, release, &class_of(1), TestOutcome::Passed);
    assert_eq!(send_in(&mut server, release, &passed).await.0, 200);
    begun(&line, &mut server, release).await;
    let first = reached(&ticket(&mut server, "r1").await);
    let rollout = RolloutId::new("r1").unwrap();
    let reason = |server: &Server| {
        let core = server.app.core();
        let told = core.state.rollouts[&rollout].explain(server.app.now()).reason;
        serde_json::to_string(&told).unwrap()
    };
    let elsewhere = signed(40, release, &class_of(61), TestOutcome::Failed);
    assert_eq!(send_in(&mut server, release, &elsewhere).await.0, 200);
    assert!(!reason(&server).contains("test_failed"), "nobody here is of that class");
    let failed = signed(40, release, &class_of(1), TestOutcome::Failed);
    assert_eq!(send_in(&mut server, release, &failed).await.0, 200);
    for word in ["test_failed", "lab", "x86_64/debian12/m1"] {
        assert!(reason(&server).contains(word), "{word}: {}", reason(&server));
    }
    let mut server = line.restart(server).await;
    assert!(reason(&server).contains("test_failed"), "a restart forgets nothing");
    let mut sequence = 0;
    for at in 1..=120 {
        let now = Time(START.0 + at * 1000);
        server.app.clock.set(now);
        for number in 1..=40 {
            sequence += 1;
            let mut beat = quiet_beat(number, sequence, now);
            beat.components = vec![running(1, release, ComponentState::Confirmed)];
            assert_eq!(tell(&mut server, &beat).await.0, 200);
        }
        server.driver.tick().await.unwrap();
        assert_eq!(reached(&ticket(&mut server, "r1").await), first, "handed on in second {at}");
    }
    // Whoever decides otherwise says so by name; the same word again is no news.
    let now = server.app.now();
    let resume = Verb::Resume { rollout: rollout.clone() };
    let (status, answer) = post(&mut server, "/v1/commands", &line.command("2", now, resume)).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(send_in(&mut server, release, &failed).await.0, 200);
    assert!(!reason(&server).contains("test_failed"), "{}", reason(&server));
}

/// A journal of a server that took a failure and told no core of it: no ticket follows from it.
#[tokio::test]
async fn no_ticket_follows_from_a_journal_that_hides_a_failure_from_the_rollout() {
    let line = line();
    let mut server = line.open(START).await.unwrap();
    enrolled(&mut server, 40).await;
    let release = line.publish(&mut server, 1).await;
    let passed = signed(40, release, &class_of(1), TestOutcome::Passed);
    assert_eq!(send_in(&mut server, release, &passed).await.0, 200);
    begun(&line, &mut server, release).await;
    let mut state = server.app.core().state.clone();
    let envelope = signed(40, release, &class_of(1), TestOutcome::Failed).remove(0);
    let taken = Record::AttestationAccepted { release, envelope };
    let rollout = RolloutId::new("r1").unwrap();
    let now = server.app.now();
    state.apply(state.seq + 1, now, &taken);
    let [told] = &state.rollouts[&rollout].failures[..] else { panic!("it is not noted") };
    assert!(!andon_server::driver::wants_ticket(&state, &state.rollouts[&rollout], now));
    let told = Record::event(&rollout, told.clone());
    state.apply(state.seq + 1, now, &told);
    assert!(state.rollouts[&rollout].failures.is_empty());
    assert_eq!(state.rollouts[&rollout].machine.state(), andon_rollout::StateName::Held);
}

/// Offline, by the policy that names the rigs, and by what has come until then.
/// Mutant: proof-bundle-without-attestations.
#[tokio::test]
async fn a_proof_bundle_carries_what_was_signed_and_is_judged_as_a_host_judges() {
    let line = line();
    let mut server = line.open(START).await.unwrap();
    let release = line.publish(&mut server, 1).await;
    let classes = [class_of(1), class_of(41)];
    let (debian, alpine) = (&classes[0], &classes[1]);
    let steps = [
        (vec![], ["Missing", "Missing"]),
        (signed(40, release, debian, TestOutcome::Passed), ["Attested", "CanaryOnly"]),
        (signed(40, release, alpine, TestOutcome::Failed), ["Attested", "Failed"]),
        (signed(40, release, debian, TestOutcome::Failed), ["Failed", "Failed"]),
    ];
    for (words, expected) in steps {
        if !words.is_empty() {
            assert_eq!(send_in(&mut server, release, &words).await.0, 200);
        }
        let path = format!("/v1/proof-bundles/{release}");
        let (status, bytes) = send(&mut server, Method::GET, &path, vec![]).await;
        assert_eq!(status, 200);
        let bundle = open(&bytes).unwrap();
        let (anchor, believed) = (&line.inputs.anchor, Believed::default());
        let terms = |policy| Terms { anchor, policy, now: server.app.now(), believed: &believed };
        let proven = verify(&bundle, &terms(Some(&line.inputs.policy))).unwrap();
        for (class, expected) in classes.iter().zip(expected) {
            let standing = proven.standing(class).unwrap().unwrap();
            let shown = format!("{standing:?}");
            assert!(shown.starts_with(expected), "{}: {shown}", class.os);
        }
        let alone = verify(&bundle, &terms(None)).unwrap();
        assert_eq!(alone.standing(debian).unwrap(), None, "who names no rigs judges nothing");
    }
}
