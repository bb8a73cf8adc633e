//! Attestations, waivers and what policies demand: their forms and limits.
#![expect(clippy::unwrap_used, reason = "a test stops where it is wrong")]
use andon_model::Digest;
use andon_model::attestation::*;
use andon_model::class::HostClass;
use andon_model::facts::{FactKind, FactName, Facts};
use andon_model::limits::*;
use andon_model::rigs::{Alike, Attestations, Demand};
use andon_model::waiver::Waiver;
use andon_model::{Millis, StratumId, Time};
use serde_json::{Value, json};

fn statement(predicate_type: &str, predicate: Value) -> Value {
    let digest = Digest::of(b"release").to_string();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "rules", "digest": {"sha256": digest, "gitCommit": "d20ace"}}],
        "predicateType": predicate_type,
        "predicate": predicate,
    })
}
fn test_result() -> Value {
    let class = json!({"arch": "x86_64", "os": "debian12", "model": "edge"});
    let configuration = json!([
        {"name": "ci.yml", "digest": {"gitBlob": "ebe4"}},
        {"name": "host-class", "uri": "urn:andon:host-class:v1", "annotations": class},
    ]);
    statement(
        "https://in-toto.io/attestation/test-result/v0.1",
        json!({"result": "PASSED", "configuration": configuration, "passedTests": ["boot"],
               "url": "https://example.org/run/7"}),
    )
}
fn svr() -> Value {
    statement(
        "https://in-toto.io/attestation/svr/v0.1",
        json!({
            "verifier": {"id": "https://example.org/lab/v1", "policy": {"uri": "x"}},
            "timeCreated": "2026-11-27T00:00:00Z",
            "properties": ["SLSA_BUILD_LEVEL_3", "ANDON_PREFLIGHT_PASSED_V1:x86_64/debian12/edge"],
        }),
    )
}
fn parse(value: &Value) -> Result<Statement, StatementError> {
    Statement::parse(value.to_string().as_bytes())
}
fn edge() -> AttestedClass {
    "x86_64/debian12/edge".parse().unwrap()
}

#[test]
fn statements_of_others_make_are_read_and_ours_are_read_back() {
    let read = parse(&test_result()).unwrap();
    assert!(read.is_about(&Digest::of(b"release")) && !read.is_about(&Digest::of(b"other")));
    assert_eq!(read.findings().unwrap(), [Finding::Test(edge(), TestOutcome::Passed)]);
    let read = parse(&svr()).unwrap();
    assert_eq!(read.findings().unwrap(), [Finding::Verified(edge())]);
    for value in [test_result(), svr()] {
        let read = parse(&value).unwrap();
        assert_eq!(Statement::parse(&read.to_bytes()).unwrap(), read);
    }
    let own = Configuration::of_class(&edge());
    assert_eq!(serde_json::to_value(own).unwrap(), test_result()["predicate"]["configuration"][1]);
}

#[test]
fn what_is_no_statement_of_a_known_kind_is_refused() {
    let change = |mut value: Value, at: &str, to: Value| {
        *value.pointer_mut(at).unwrap() = to;
        value
    };
    let configuration = "/predicate/configuration/1";
    for (value, want) in [
        (change(svr(), "/predicateType", json!("https://slsa.dev/provenance/v1")), "does not know"),
        (change(svr(), "/_type", json!("https://in-toto.io/Statement/v0.1")), "parse statement"),
        (change(svr(), "/subject", json!([])), "0 subjects"),
        (change(svr(), "/subject/0/digest", json!({"sha512": "00"})), "parse statement"),
        (change(svr(), "/predicate/properties", json!([])), "0 properties"),
        (
            change(svr(), "/predicate/properties", json!(["ANDON_PREFLIGHT_PASSED_V1:x86_64"])),
            "host class of a property",
        ),
        (change(test_result(), "/predicate/result", json!("SKIPPED")), "parse statement"),
        (change(test_result(), configuration, json!({"uri": "x"})), "is not said"),
        (
            change(test_result(), "/predicate/configuration/1/annotations/os", json!(5)),
            "nothing else",
        ),
    ] {
        let refused = parse(&value).unwrap_err().to_string();
        assert!(refused.contains(want), "{want}: {refused}");
    }
}

#[test]
fn lists_and_bytes_have_limits() {
    let with = |mut value: Value, at: &str, count: usize, one: Value| {
        *value.pointer_mut(at).unwrap() = Value::Array(vec![one; count]);
        parse(&value).is_ok()
    };
    let subject = svr()["subject"][0].clone();
    assert!(with(svr(), "/subject", ATTESTATION_ITEMS_MAX, subject.clone()));
    assert!(!with(svr(), "/subject", ATTESTATION_ITEMS_MAX + 1, subject));
    assert!(with(svr(), "/predicate/properties", ATTESTATION_ITEMS_MAX, json!("X")));
    assert!(!with(svr(), "/predicate/properties", ATTESTATION_ITEMS_MAX + 1, json!("X")));
    let tests = "/predicate/passedTests";
    assert!(with(test_result(), tests, ATTESTATION_TESTS_MAX, json!("t")));
    assert!(!with(test_result(), tests, ATTESTATION_TESTS_MAX + 1, json!("t")));
    let mut bytes = svr().to_string().into_bytes();
    bytes.resize(ATTESTATION_BYTES_MAX, b' ');
    Statement::parse(&bytes).unwrap();
    bytes.push(b' ');
    assert!(matches!(Statement::parse(&bytes), Err(StatementError::TooLarge(_))));
}

#[test]
fn a_waiver_holds_for_a_week_at_most_and_says_why() {
    let name = |text| StratumId::new(text).unwrap();
    let good = Waiver {
        schema: 1,
        line: "operator:clinic".parse().unwrap(),
        release: Digest::of(b"release"),
        arch: name("x86_64"),
        os: name("debian12"),
        model: None,
        reason: "the rig is down".to_owned().try_into().unwrap(),
        issued: Time(1000),
        expires: Time(1000).plus(WAIVER_MAX),
    };
    let bytes = serde_json::to_vec(&good).unwrap();
    assert_eq!(Waiver::parse(&bytes).unwrap(), good);
    for (change, want) in [
        ((|w| w.expires = w.expires.plus(Millis(1))) as fn(&mut Waiver), "more than 7 days"),
        (|w| w.expires = w.issued, "not after issued"),
        (|w| w.reason = String::new().try_into().unwrap(), "reason is empty"),
        (|w| w.schema = 2, "schema is not 1"),
    ] {
        let mut other = good.clone();
        change(&mut other);
        let refused = Waiver::parse(&serde_json::to_vec(&other).unwrap()).unwrap_err();
        assert!(refused.to_string().contains(want), "{refused}");
    }
}

#[test]
fn classes_are_the_same_by_platform_or_by_model() {
    let name = |text| StratumId::new(text).unwrap();
    let host = |os, model| HostClass {
        arch: name("x86_64"),
        os: name(os),
        model: name(model),
        groups: vec![],
    };
    let rows = [("debian12", "edge", true, true), ("debian12", "core", true, false)];
    for (os, model, platform, whole) in rows.into_iter().chain([("debian11", "edge", false, false)])
    {
        assert_eq!(Alike::Platform.same(&edge(), &host(os, model)), platform);
        assert_eq!(Alike::Model.same(&edge(), &host(os, model)), whole);
    }
    assert_eq!(edge().to_string().parse::<AttestedClass>().unwrap(), edge());
    for bad in ["", "x86_64", "x86_64/debian12", "a/b/c/d", "a//c", "A/b/c"] {
        bad.parse::<AttestedClass>().unwrap_err();
    }
}

#[test]
fn a_class_says_what_ran_there_and_nothing_that_is_not_understood() {
    let full = "x86_64/debian12/edge/kernel=6.1.0-18-amd64/sensor=ab12/rung=ebpf";
    let class: AttestedClass = full.parse().unwrap();
    assert_eq!(class.to_string(), full);
    assert_eq!((class.facts.kernel.as_ref().unwrap().as_str()), "6.1.0-18-amd64");
    let alone: AttestedClass = "x86_64/debian12/edge/rung=ebpf".parse().unwrap();
    assert_eq!(alone.facts, Facts { rung: FactName::new("ebpf").ok(), ..Facts::default() });
    for bad in ["/kernel", "/kernel=", "/firmware=1", "/kernel=1/kernel=1", "/kernel=a b", "/"] {
        format!("x86_64/debian12/edge{bad}").parse::<AttestedClass>().unwrap_err();
    }
    let mut value = test_result();
    let annotations = "/predicate/configuration/1/annotations";
    *value.pointer_mut(annotations).unwrap() = serde_json::to_value(&class).unwrap();
    let read = parse(&value).unwrap();
    assert_eq!(read.findings().unwrap(), [Finding::Test(class.clone(), TestOutcome::Passed)]);
    assert_eq!(Statement::parse(&read.to_bytes()).unwrap(), read);
    value.pointer_mut(annotations).unwrap()["firmware"] = json!("1");
    assert!(parse(&value).unwrap_err().to_string().contains("nothing else"));
    let mut value = svr();
    value["predicate"]["properties"] = json!([format!("{PREFLIGHT_PROPERTY}{full}")]);
    assert_eq!(parse(&value).unwrap().findings().unwrap(), [Finding::Verified(class)]);
}

#[test]
fn a_demand_has_few_words() {
    let text = r#"{"needed":1,"rigs":[],"demands":[{"predicates":["test_result","svr"]}]}"#;
    let read: Attestations = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    let demand: Demand =
        serde_json::from_str(r#"{"kind":"service","alike":"model","predicates":["svr"]}"#).unwrap();
    assert_eq!(demand.alike, Alike::Model);
    let text = r#"{"same":["kernel_series","sensor","rung"],"predicates":["svr"]}"#;
    let read: Demand = serde_json::from_str(text).unwrap();
    assert_eq!(read.same, [FactKind::KernelSeries, FactKind::Sensor, FactKind::Rung]);
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    serde_json::from_str::<Demand>(r#"{"predicates":["svr"],"kernel":"6.1"}"#).unwrap_err();
}
