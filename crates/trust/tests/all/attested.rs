//! A policy that demands attestations: what hosts of which class install in which wave
//! (docs/spec/attestations.md, section 4).
use crate::world::*;
use andon_model::attestation::*;
use andon_model::class::HostClass;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::facts::Facts;
use andon_model::index::IndexAttestations;
use andon_model::limits::{ATTESTATION_BYTES_MAX, ATTESTATIONS_BYTES_MAX, ATTESTATIONS_MAX};
use andon_model::policy::Policy;
use andon_model::release::ComponentKind;
use andon_model::rigs::*;
use andon_model::text::Text;
use andon_model::ticket::Newcomers;
use andon_model::waiver::Waiver;
use andon_model::{Digest, Millis, RigId, StratumId, Time};
use andon_trust::attestation::{self, AttestationRefusal, Standing, Words, to_file};
use andon_trust::view::{Outcome, RefusalCode, View};

pub(crate) const SOON: Time = Time(NOW.0 + 1000);
const RIGS: [u8; 3] = [40, 41, 42];
const FIRST: &[(u64, u64)] = &[(16, 0)];
pub(crate) const SECOND: &[(u64, u64)] = &[(16, 0), (100, 60)];

fn name(text: &str) -> StratumId {
    StratumId::new(text).unwrap()
}
fn attested(arch: &str, os: &str, model: &str) -> AttestedClass {
    let facts = Facts::default();
    AttestedClass { arch: name(arch), os: name(os), model: name(model), facts }
}
pub(crate) fn own() -> AttestedClass {
    AttestedClass::of(&class())
}
fn about(release: Digest, predicate: Predicate) -> Statement {
    let subject = Subject { name: "rules".to_owned(), digest: DigestSet { sha256: release } };
    Statement { kind: StatementType::V1, subject: vec![subject], predicate }
}
fn tested(class: &AttestedClass, result: TestOutcome) -> Predicate {
    Predicate::TestResult(TestResult {
        result,
        configuration: vec![Configuration::of_class(class)],
        url: None,
        passed_tests: vec![],
        warned_tests: vec![],
        failed_tests: vec![],
    })
}
fn verified(class: &AttestedClass) -> Predicate {
    Predicate::Svr(Svr {
        verifier: SvrVerifier { id: "urn:andon:rig:one".to_owned() },
        time_created: NOW.to_string(),
        properties: vec!["SLSA_BUILD_LEVEL_3".to_owned(), format!("{PREFLIGHT_PROPERTY}{class}")],
    })
}
fn signed(rigs: &[u8], statement: &Statement) -> Envelope {
    let mut envelope = key(rigs[0]).seal(PayloadType::Statement, &statement.to_bytes());
    rigs[1..].iter().for_each(|n| key(*n).add(&mut envelope));
    envelope
}
/// Both predicates for a class.
pub(crate) fn passed(rigs: &[u8], release: Digest, class: &AttestedClass) -> Vec<Envelope> {
    let both = [tested(class, TestOutcome::Passed), verified(class)];
    both.map(|predicate| signed(rigs, &about(release, predicate))).into()
}
pub(crate) fn failed(rig: u8, release: Digest, class: &AttestedClass) -> Envelope {
    signed(&[rig], &about(release, tested(class, TestOutcome::Failed)))
}
fn waiver(release: Digest) -> Waiver {
    Waiver {
        schema: 1,
        line: "operator:hospital".parse().unwrap(),
        release,
        arch: name("x86_64"),
        os: name("debian12"),
        model: None,
        reason: Text::clipped("the rig is down"),
        issued: NOW,
        expires: NOW.plus(Millis::from_secs(3600)),
    }
}
fn waived(people: &[u8], waiver: &Waiver) -> Envelope {
    seal(people, PayloadType::Waiver, waiver)
}
pub(crate) fn demand(alike: Alike) -> Demand {
    Demand {
        kind: None,
        arch: None,
        os: None,
        model: None,
        alike,
        same: vec![],
        predicates: vec![PredicateKind::TestResult, PredicateKind::Svr],
    }
}
pub(crate) fn demands(needed: u32, demands: Vec<Demand>) -> Attestations {
    let rig = |(at, n): (usize, &u8)| Rig {
        name: RigId::new(&format!("rig-{at}")).unwrap(),
        key: key(*n).public(),
    };
    Attestations { needed, rigs: RIGS.iter().enumerate().map(rig).collect(), demands }
}
pub(crate) fn seal_policy(world: &mut World, change: impl FnOnce(&mut Policy)) {
    change(&mut world.policy);
    let envelope = seal(&[1, 2], PayloadType::Policy, &world.policy);
    world.put_policy(&envelope);
}
/// A line that demands both predicates by two rigs, and a release with its first ticket.
fn world(steps: &[(u64, u64)]) -> (World, Digest) {
    let mut world = World::new();
    seal_policy(&mut world, |policy| {
        policy.attestations = demands(2, vec![demand(Alike::Platform)])
    });
    let (_, release) = world.release("acme", 1, &[20, 21]);
    let ticket = world.ticket("r1", release, 1, steps);
    world.issue(&ticket);
    (world, release)
}
pub(crate) fn put(world: &mut World, release: Digest, envelopes: &[Envelope]) {
    put_bytes(world, release, to_file(envelopes));
}
fn put_bytes(world: &mut World, release: Digest, bytes: Vec<u8>) {
    world.index.attestations.retain(|listed| listed.release != release);
    let digest = Digest::of(&bytes);
    world.index.attestations.push(IndexAttestations { release, digest });
    world.files.insert(world.line_path(&format!("attestations/{release}.jsonl")), bytes);
    world.bump();
}
pub(crate) fn at(steps: &[(u64, u64)]) -> Time {
    SOON.plus(Millis::from_secs(steps.last().unwrap().1))
}
pub(crate) fn told(outcome: &Outcome) -> Vec<RefusalCode> {
    outcome.refusals.iter().map(|refusal| refusal.code).collect()
}

/// The table of docs/spec/attestations.md, section 4, seen by a host.
/// Mutants: attestation-class-unchecked, unknown-class-beyond-canary.
#[test]
fn what_a_host_installs_in_which_wave_follows_from_what_was_signed_for_its_class() {
    use RefusalCode::{FailedTest, Unattested};
    let other = attested("aarch64", "debian12", "edge");
    let release = world(FIRST).1;
    let both = |class: &AttestedClass| passed(&[40, 41], release, class);
    let with = |one: Vec<Envelope>, more: Envelope| [one, vec![more]].concat();
    let (no, yes) = (Some(Unattested), None);
    let waived = || waived(&[1, 2], &waiver(release));
    let rows: [(&str, Vec<Envelope>, _, _); 10] = [
        ("attested", both(&own()), yes, yes),
        ("nothing", vec![], no, no),
        ("waived", vec![waived()], yes, no),
        ("unknown class", both(&other), yes, no),
        ("unknown class, waived", with(both(&other), waived()), yes, no),
        ("one rig", passed(&[40], release, &own()), no, no),
        ("one rig, waived", with(passed(&[40], release, &own()), waived()), yes, no),
        (
            "failed",
            with(both(&own()), failed(42, release, &own())),
            Some(FailedTest),
            Some(FailedTest),
        ),
        (
            "failed, waived",
            vec![failed(42, release, &own()), waived()],
            Some(FailedTest),
            Some(FailedTest),
        ),
        ("failed elsewhere", with(both(&own()), failed(42, release, &other)), yes, yes),
    ];
    for (row, envelopes, first, later) in rows {
        for (steps, refused) in [(FIRST, first), (SECOND, later)] {
            let (mut world, release) = world(steps);
            put(&mut world, release, &envelopes);
            let outcome = world.sync(&mut view(7), at(steps));
            assert_eq!(outcome.offers.len(), usize::from(refused.is_none()), "{row} {steps:?}");
            assert_eq!(told(&outcome), refused.into_iter().collect::<Vec<_>>(), "{row} {steps:?}");
        }
    }
}

#[test]
fn a_ticket_beyond_the_plan_is_of_no_canary_wave() {
    let (mut world, release) = world(FIRST);
    put(&mut world, release, &[waived(&[1, 2], &waiver(release))]);
    let lane = world.policy.routine.clone();
    let ticket = world.ticket("r1", release, 1, FIRST);
    assert!(attestation::is_canary(&ticket, &lane));
    let mut more = ticket.clone();
    more.newcomers = Newcomers::Included;
    assert!(!attestation::is_canary(&more, &lane));
    let mut late = ticket.clone();
    late.ceilings[0].late_max = Some(host(101));
    assert!(!attestation::is_canary(&late, &lane));
    // Two widenings within the first wave's size are canary waves both.
    let small = world.ticket("r1", release, 1, &[(4, 0), (16, 60)]);
    assert!(attestation::is_canary(&small, &lane));
    let large = world.ticket("r1", release, 1, &[(4, 0), (17, 60)]);
    assert!(!attestation::is_canary(&large, &lane));
}

/// One rig is one voice, however often it signs; a key of nobody is none.
/// Mutant: attestation-threshold-by-key-id.
#[test]
fn the_threshold_counts_distinct_keys() {
    let (mut world, release) = world(FIRST);
    let twice = [passed(&[40], release, &own()), passed(&[40, 40], release, &own())].concat();
    let apart = [passed(&[40], release, &own()), passed(&[42], release, &own())].concat();
    let strangers = [passed(&[40], release, &own()), passed(&[50], release, &own())].concat();
    let split = vec![
        signed(&[40, 41], &about(release, tested(&own(), TestOutcome::Passed))),
        signed(&[40], &about(release, verified(&own()))),
    ];
    for (row, envelopes, offers) in
        [("twice", twice, 0), ("apart", apart, 1), ("stranger", strangers, 0), ("split", split, 0)]
    {
        put(&mut world, release, &envelopes);
        let outcome = world.sync(&mut view(7), SOON);
        assert_eq!(outcome.offers.len(), offers, "{row}: {:?}", outcome.refusals);
    }
}

#[test]
fn words_about_other_bytes_by_other_predicates_or_with_doubts_vouch_for_nothing() {
    let (mut world, release) = world(FIRST);
    let elsewhere = passed(&[40, 41], Digest::of(b"other"), &own());
    let warned = [tested(&own(), TestOutcome::Warned), verified(&own())]
        .map(|predicate| signed(&[40, 41], &about(release, predicate)));
    let mut lists = TestResult { failed_tests: vec!["boot".to_owned()], ..result(&own()) };
    let says_passed = signed(&[40], &about(release, Predicate::TestResult(lists.clone())));
    lists.failed_tests.clear();
    let mut unknown = serde_json::to_value(about(release, verified(&own()))).unwrap();
    unknown["predicateType"] = "https://slsa.dev/verification_summary/v1".into();
    let unknown = key(40).seal(PayloadType::Statement, unknown.to_string().as_bytes());
    for (row, envelopes, code) in [
        ("elsewhere", elsewhere, RefusalCode::Unattested),
        ("warned", warned.to_vec(), RefusalCode::Unattested),
        ("unknown", vec![unknown.clone()], RefusalCode::Unattested),
        ("lists a failure", vec![says_passed], RefusalCode::FailedTest),
    ] {
        put(&mut world, release, &envelopes);
        let outcome = world.sync(&mut view(7), SOON);
        assert_eq!((outcome.offers.len(), told(&outcome)), (0, vec![code]), "{row}");
    }
    // Beside what is demanded an unknown predicate does no harm to whoever reads, and is not taken in.
    let all = [passed(&[40, 41], release, &own()), vec![unknown.clone()]].concat();
    put(&mut world, release, &all);
    assert_eq!(world.sync(&mut view(7), SOON).offers.len(), 1);
    let refused = attestation::verify(&unknown, &release, &world.policy, SOON).unwrap_err();
    assert!(matches!(refused, AttestationRefusal::Statement(StatementError::Predicate(_))));
}

fn result(class: &AttestedClass) -> TestResult {
    match tested(class, TestOutcome::Passed) {
        Predicate::TestResult(result) => result,
        Predicate::Svr(_) => unreachable!(),
    }
}

#[test]
fn what_an_accredited_rig_garbled_is_refused_with_its_whole_file() {
    let (mut world, release) = world(FIRST);
    let good = passed(&[40, 41], release, &own());
    let class = |annotations: serde_json::Value| {
        let mut result = result(&own());
        result.configuration[0].annotations = annotations;
        signed(&[42], &about(release, Predicate::TestResult(result)))
    };
    let mut twice = result(&own());
    twice.configuration.push(Configuration::of_class(&own()));
    let mut nowhere = result(&own());
    nowhere.configuration[0].uri = String::new();
    let narrower = serde_json::json!(
        {"arch": "x86_64", "os": "debian12", "model": "edge", "firmware": "6.1"}
    );
    let mut part = verified(&own());
    if let Predicate::Svr(svr) = &mut part {
        svr.properties.push(format!("{PREFLIGHT_PROPERTY}x86_64/debian12"));
    }
    for bad in [
        class(narrower),
        class(serde_json::json!({"arch": "x86_64", "os": "debian12"})),
        class(serde_json::Value::Null),
        signed(&[42], &about(release, Predicate::TestResult(twice))),
        signed(&[42], &about(release, Predicate::TestResult(nowhere))),
        signed(&[42], &about(release, part)),
        key(42).seal(PayloadType::Statement, b"{}"),
    ] {
        put(&mut world, release, &[good.clone(), vec![bad]].concat());
        let outcome = world.sync(&mut view(7), SOON);
        assert_eq!(outcome.offers, []);
        assert_eq!(told(&outcome), [RefusalCode::Malformed, RefusalCode::Unattested]);
    }
    // Signed by nobody whom the policy knows, the same is nobody's word.
    let stranger = key(50).seal(PayloadType::Statement, b"{}");
    put(&mut world, release, &[good, vec![stranger]].concat());
    assert_eq!(world.sync(&mut view(7), SOON).offers.len(), 1);
}

#[test]
fn no_bit_of_an_attestation_or_waiver_can_be_changed() {
    let (world, release) = world(FIRST);
    let envelopes = [
        signed(&[40], &about(release, tested(&own(), TestOutcome::Failed))),
        signed(&[40], &about(release, verified(&own()))),
        waived(&[1, 2], &waiver(release)),
    ];
    for envelope in envelopes {
        attestation::verify(&envelope, &release, &world.policy, SOON).unwrap();
        for at in 0..envelope.payload.len() {
            for bit in 0..8 {
                let mut changed = envelope.clone();
                changed.payload[at] ^= 1 << bit;
                attestation::verify(&changed, &release, &world.policy, SOON).unwrap_err();
            }
        }
        for at in 0..64 {
            let mut changed = envelope.clone();
            changed.signatures[0].sig.0[at] ^= 1;
            attestation::verify(&changed, &release, &world.policy, SOON).unwrap_err();
        }
        let mut other = envelope.clone();
        other.payload_type = PayloadType::Approval;
        let refused = attestation::verify(&other, &release, &world.policy, SOON).unwrap_err();
        assert!(matches!(refused, AttestationRefusal::Kind(_)));
        other.payload_type = match envelope.payload_type {
            PayloadType::Waiver => PayloadType::Statement,
            _ => PayloadType::Waiver,
        };
        attestation::verify(&other, &release, &world.policy, SOON).unwrap_err();
    }
}

/// Mutant: waiver-by-one.
#[test]
fn a_waiver_needs_two_people_the_right_line_release_class_and_time() {
    let (mut world, release) = world(FIRST);
    let good = waiver(release);
    let change = |change: fn(&mut Waiver)| {
        let mut other = good.clone();
        change(&mut other);
        waived(&[1, 2], &other)
    };
    let rows = [
        ("good", waived(&[1, 2], &good), 1),
        ("one person", waived(&[1], &good), 0),
        ("one person twice", waived(&[1, 1], &good), 0),
        ("a stranger", waived(&[1, 50], &good), 0),
        ("a rig", waived(&[1, 40], &good), 0),
        ("the online key", waived(&[1, 3], &good), 0),
        ("another line", change(|w| w.line = "operator:other".parse().unwrap()), 0),
        ("another release", change(|w| w.release = Digest::of(b"x")), 0),
        ("another class", change(|w| w.os = name("debian11")), 0),
        ("another model", change(|w| w.model = Some(name("core"))), 0),
        ("this model", change(|w| w.model = Some(name("edge"))), 1),
        ("over", change(|w| w.expires = SOON), 0),
        ("not yet", change(|w| (w.issued, w.expires) = (later(61_001), later(90_000))), 0),
    ];
    for (row, envelope, offers) in rows {
        put(&mut world, release, &[envelope]);
        let outcome = world.sync(&mut view(7), SOON);
        assert_eq!(outcome.offers.len(), offers, "{row}: {:?}", outcome.refusals);
    }
    // Two names for one key are one person.
    seal_policy(&mut world, |policy| {
        policy.version += 1;
        policy.people = vec![person("alice", 1), person("bob", 2), person("carol", 1)];
    });
    put(&mut world, release, &[waived(&[1, 1], &good)]);
    assert_eq!(world.sync(&mut view(7), SOON).offers.len(), 0);
}

fn later(ms: u64) -> Time {
    SOON.plus(Millis(ms))
}

#[test]
fn a_waiver_ends_while_nothing_else_changes() {
    let (mut world, release) = world(FIRST);
    let mut short = waiver(release);
    short.expires = NOW.plus(Millis::from_secs(60));
    put(&mut world, release, &[waived(&[1, 2], &short)]);
    let mut view = view(7);
    assert_eq!(world.sync(&mut view, SOON).offers.len(), 1);
    let outcome = world.sync(&mut view, short.expires);
    assert_eq!((outcome.offers.len(), told(&outcome)), (0, vec![RefusalCode::Unattested]));
    assert_eq!(world.fetched.len(), 1, "the index alone: {:?}", world.fetched);
}

#[test]
fn attestations_are_fetched_when_they_change_and_a_failure_takes_back_what_was_said() {
    let (mut world, release) = world(FIRST);
    let mut view = view(7);
    assert_eq!(told(&world.sync(&mut view, SOON)), [RefusalCode::Unattested]);
    let good = passed(&[40, 41], release, &own());
    put(&mut world, release, &good);
    assert_eq!(world.sync(&mut view, SOON).offers.len(), 1);
    assert!(world.fetched.iter().any(|path| path.contains("/attestations/")));
    assert_eq!(world.sync(&mut view, SOON).offers.len(), 1);
    assert_eq!(world.fetched.len(), 1, "{:?}", world.fetched);
    put(&mut world, release, &[good, vec![failed(42, release, &own())]].concat());
    assert_eq!(told(&world.sync(&mut view, SOON)), [RefusalCode::FailedTest]);
    // A policy that no longer accredits that rig judges anew.
    seal_policy(&mut world, |policy| {
        policy.version += 1;
        policy.attestations.rigs.pop();
    });
    let mut ticket = world.ticket("r1", release, 1, FIRST);
    ticket.not_before = ticket.not_before.plus(Millis(1));
    world.issue(&ticket);
    assert_eq!(world.sync(&mut view, SOON).offers.len(), 1);
}

#[test]
fn a_policy_without_the_field_asks_for_no_attestation() {
    let mut world = World::new();
    let (_, release) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", release, 1, FIRST));
    put(&mut world, release, &[failed(40, release, &own())]);
    let outcome = world.sync(&mut view(7), SOON);
    assert_eq!((outcome.offers.len(), outcome.refusals), (1, vec![]));
    assert!(!world.fetched.iter().any(|path| path.contains("/attestations/")));
}

#[test]
fn one_vendors_missing_attestations_are_not_another_vendors() {
    let (mut world, lacking) = world(FIRST);
    let (_, shown) = world.release("zeta", 2, &[30]);
    world.issue(&world.ticket("r2", shown, 2, FIRST));
    put(&mut world, shown, &passed(&[40, 41], shown, &own()));
    put_bytes(&mut world, lacking, b"{".to_vec());
    let outcome = world.sync(&mut view(7), SOON);
    let offered: Vec<Digest> = outcome.offers.iter().map(|offer| offer.release).collect();
    assert_eq!(offered, [shown]);
    assert!(outcome.refusals.iter().all(|why| why.what.contains(&lacking.short())));
}

/// Which demands are for whom, and when a class is the same.
#[test]
fn demands_are_for_their_kinds_and_classes_and_tell_models_apart_if_asked() {
    let release = Digest::of(b"release");
    let of = |change: fn(&mut Demand)| {
        let mut one = demand(Alike::Platform);
        change(&mut one);
        one
    };
    let sister = attested("x86_64", "debian12", "core");
    let judge = |demands_: Vec<Demand>, envelopes: &[Envelope]| {
        let policy = Policy { attestations: demands(1, demands_), ..policy() };
        policy.check().unwrap();
        let words = Words::of(envelopes, &release, &policy).unwrap();
        match words.judge(&policy, Some(ComponentKind::Content), &class(), SOON) {
            Standing::Attested => "attested",
            Standing::CanaryOnly(_) => "canary",
            Standing::Missing(_) => "missing",
            Standing::Failed(_) => "failed",
        }
    };
    let service = of(|d| d.kind = Some(ComponentKind::Service));
    let content = of(|d| d.kind = Some(ComponentKind::Content));
    let arm = of(|d| d.arch = Some(name("aarch64")));
    let old = of(|d| d.os = Some(name("debian11")));
    let core = of(|d| d.model = Some(name("core")));
    let edge = of(|d| d.model = Some(name("edge")));
    let strict = demand(Alike::Model);
    for other in [service, arm, old, core] {
        assert_eq!(judge(vec![other.clone()], &[]), "attested", "{other:?}");
        let seen = [failed(40, release, &sister)];
        assert_eq!(judge(vec![other], &seen), "failed", "no demand is needed to believe a failure");
    }
    for mine in [content, edge] {
        assert_eq!(judge(vec![mine.clone()], &[]), "missing");
        assert_eq!(judge(vec![mine], &passed(&[40], release, &sister)), "attested");
    }
    assert_eq!(judge(vec![strict.clone()], &passed(&[40], release, &sister)), "canary");
    assert_eq!(judge(vec![strict.clone()], &passed(&[40], release, &own())), "attested");
    let mixed = [passed(&[40], release, &own()), vec![failed(41, release, &sister)]].concat();
    assert_eq!(judge(vec![strict.clone()], &mixed), "attested", "another model failed");
    assert_eq!(judge(vec![strict, demand(Alike::Platform)], &mixed), "failed");
}

#[test]
fn limits_hold_at_the_limit_and_not_beyond() {
    let policy = Policy { attestations: demands(1, vec![demand(Alike::Platform)]), ..policy() };
    let release = Digest::of(b"release");
    let one = signed(&[40], &about(release, verified(&own())));
    let read = |bytes: &[u8]| Words::read(bytes, &release, &policy);
    let many = |count: usize| to_file(std::iter::repeat_n(&one, count));
    read(&many(ATTESTATIONS_MAX)).unwrap();
    let refused = read(&many(ATTESTATIONS_MAX + 1)).unwrap_err();
    assert!(matches!(refused, AttestationRefusal::TooMany));
    let padded = |length: usize| {
        let mut bytes = many(1);
        bytes.resize(length, b'\n');
        bytes
    };
    read(&padded(ATTESTATIONS_BYTES_MAX)).unwrap();
    let refused = read(&padded(ATTESTATIONS_BYTES_MAX + 1)).unwrap_err();
    assert!(matches!(refused, AttestationRefusal::TooLarge(_)));
    let line = |length: usize| {
        let mut bytes = one.to_bytes();
        bytes.resize(length, b' ');
        bytes
    };
    read(&line(ATTESTATION_BYTES_MAX)).unwrap();
    let refused = read(&line(ATTESTATION_BYTES_MAX + 1)).unwrap_err();
    assert!(matches!(refused, AttestationRefusal::Envelope(_)));
}

/// A restart forgets the words and asks for them again; what a host of another class is told is its own.
#[test]
fn a_host_of_another_class_and_one_that_restarts_judge_for_themselves() {
    let (mut world, release) = world(FIRST);
    put(&mut world, release, &passed(&[40, 41], release, &own()));
    let mut first = view(7);
    assert_eq!(world.sync(&mut first, SOON).offers.len(), 1);
    let mut again = View::restore(anchor(), host(7), class(), &first.record()).unwrap();
    assert_eq!(world.sync(&mut again, SOON).offers.len(), 1);
    let other = HostClass { model: name("core"), ..class() };
    let mut ticket = world.ticket("r1", release, 1, SECOND);
    ticket.ceilings[0].stratum = other.stratum();
    world.issue(&ticket);
    let mut view = View::new(anchor(), host(7), other).unwrap();
    assert_eq!(world.sync(&mut view, at(SECOND)).offers.len(), 1, "the same platform");
    let other = HostClass { os: name("debian13"), ..class() };
    ticket.ceilings[0].stratum = other.stratum();
    world.issue(&ticket);
    let mut view = View::new(anchor(), host(7), other).unwrap();
    assert_eq!(told(&world.sync(&mut view, at(SECOND))), [RefusalCode::Unattested]);
}
