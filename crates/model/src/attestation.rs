//! What a rig signs: an in-toto Statement (v1) about a release's manifest, with one of two predicates, the
//! test result (v0.1) and the simple verification result (SVR, v0.1). Sources: the in-toto attestation
//! framework, `spec/v1` and `spec/predicates`. How the class of hosts is named: docs/spec/attestations.md.
//!
//! Fields that we do not know are passed over, as in-toto's parsing rules ask; but for the host class: a
//! part of it that is not understood would make the class look wider than it was.
//! What it is not: signatures, or who may sign (`andon_trust::attestation`).
use crate::class::HostClass;
use crate::digest::Digest;
use crate::facts::{FactError, FactName, Facts};
use crate::id::{IdError, StratumId};
use crate::limits::{ATTESTATION_BYTES_MAX, ATTESTATION_ITEMS_MAX, ATTESTATION_TESTS_MAX};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The resource in a test result's configuration whose annotations are the class of the rig's machine.
pub const HOST_CLASS_URI: &str = "urn:andon:host-class:v1";
/// What stands before the class in the property of an SVR that says that a release ran well there.
pub const PREFLIGHT_PROPERTY: &str = "ANDON_PREFLIGHT_PASSED_V1:";

/// Which predicate, as policies name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredicateKind {
    /// `https://in-toto.io/attestation/test-result/v0.1`
    TestResult,
    /// `https://in-toto.io/attestation/svr/v0.1`
    Svr,
}

/// The class of the machine that a rig ran a release on: what decides of a host's class, without groups; and
/// what ran there, as far as the rig says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Annotations", into = "Annotations")]
pub struct AttestedClass {
    /// machine architecture, as `uname -m`
    pub arch: StratumId,
    /// operating system and major version
    pub os: StratumId,
    /// hardware or image model
    pub model: StratumId,
    /// what ran there
    pub facts: Facts,
}

/// The same in a test result. Whoever does not know one of these words refuses all of them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotations {
    arch: StratumId,
    os: StratumId,
    model: StratumId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kernel: Option<FactName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sensor: Option<FactName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rung: Option<FactName>,
}

impl From<Annotations> for AttestedClass {
    fn from(said: Annotations) -> AttestedClass {
        let Annotations { arch, os, model, kernel, sensor, rung } = said;
        AttestedClass { arch, os, model, facts: Facts { kernel, sensor, rung } }
    }
}
impl From<AttestedClass> for Annotations {
    fn from(class: AttestedClass) -> Annotations {
        let AttestedClass { arch, os, model, facts: Facts { kernel, sensor, rung } } = class;
        Annotations { arch, os, model, kernel, sensor, rung }
    }
}

impl AttestedClass {
    /// Of a host's class, whatever it runs.
    #[must_use]
    pub fn of(class: &HostClass) -> AttestedClass {
        let (arch, os, model) = (class.arch.clone(), class.os.clone(), class.model.clone());
        AttestedClass { arch, os, model, facts: Facts::default() }
    }

    /// The same class, with this running.
    #[must_use]
    pub fn running(self, facts: Facts) -> AttestedClass {
        AttestedClass { facts, ..self }
    }
}

/// `ARCH/OS/MODEL`, and `/NAME=FACT` for each fact that is known.
impl fmt::Display for AttestedClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.arch, self.os, self.model)?;
        self.facts.named().try_for_each(|(name, fact)| write!(f, "/{name}={fact}"))
    }
}

/// Why a text is no class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClassTextError {
    /// not three parts, or other facts than these after them
    #[error("class {0:?} is not ARCH/OS/MODEL[/kernel=…][/sensor=…][/rung=…]")]
    Parts(String),
    /// a part that is no name
    #[error("part of a class")]
    Name(#[from] IdError),
    /// a fact that is no word
    #[error("fact of a class")]
    Fact(#[from] FactError),
}

impl FromStr for AttestedClass {
    type Err = ClassTextError;
    fn from_str(text: &str) -> Result<AttestedClass, ClassTextError> {
        let wrong = || ClassTextError::Parts(text.chars().take(200).collect());
        let parts: Vec<&str> = text.splitn(7, '/').collect();
        let [arch, os, model, said @ ..] = &parts[..] else { return Err(wrong()) };
        let mut facts = Facts::default();
        for one in said {
            let (name, fact) = one.split_once('=').ok_or_else(wrong)?;
            let place = match name {
                "kernel" => &mut facts.kernel,
                "sensor" => &mut facts.sensor,
                "rung" => &mut facts.rung,
                _ => return Err(wrong()),
            };
            if place.replace(FactName::new(fact)?).is_some() {
                return Err(wrong());
            }
        }
        let name = StratumId::new;
        Ok(AttestedClass { arch: name(arch)?, os: name(os)?, model: name(model)?, facts })
    }
}

/// An in-toto Statement of a kind that we know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// always the same
    #[serde(rename = "_type")]
    pub kind: StatementType,
    /// what it is about
    pub subject: Vec<Subject>,
    /// what it says
    #[serde(flatten)]
    pub predicate: Predicate,
}

/// The version of the framework.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StatementType {
    /// the only one
    #[serde(rename = "https://in-toto.io/Statement/v1")]
    V1,
}

/// One subject: a resource descriptor of which the digest counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// for people
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// which bytes
    pub digest: DigestSet,
}

/// Digests of one thing; we go by one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestSet {
    /// SHA-256
    pub sha256: Digest,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "predicateType", content = "predicate")]
pub enum Predicate {
    /// one run of tests on one machine
    #[serde(rename = "https://in-toto.io/attestation/test-result/v0.1")]
    TestResult(TestResult),
    /// what somebody has verified
    #[serde(rename = "https://in-toto.io/attestation/svr/v0.1")]
    Svr(Svr),
}

/// How a run of tests ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TestOutcome {
    /// all is well
    Passed,
    /// well, with doubts: it vouches for nothing and refuses nothing
    Warned,
    /// something failed
    Failed,
}

/// See the predicate's specification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// how it ended
    pub result: TestOutcome,
    /// with what; one of these is the machine's class ([`HOST_CLASS_URI`])
    pub configuration: Vec<Configuration>,
    /// where to read more
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// names of tests
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_tests: Vec<String>,
    /// names of tests
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warned_tests: Vec<String>,
    /// names of tests
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_tests: Vec<String>,
}

/// A resource descriptor among the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// for people
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// what it is
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uri: String,
    /// more about it
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub annotations: serde_json::Value,
}

/// See the predicate's specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Svr {
    /// who verified, in its own words; whom we believe is said by the key
    pub verifier: SvrVerifier,
    /// when, RFC 3339
    pub time_created: String,
    /// what was found true; see [`PREFLIGHT_PROPERTY`]
    pub properties: Vec<String>,
}

/// Who verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SvrVerifier {
    /// a URI
    pub id: String,
}

/// Why bytes are no statement that we can judge.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// larger than allowed
    #[error("statement has {0} bytes, at most {ATTESTATION_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// not the JSON we expect
    #[error("parse statement")]
    Parse(#[source] serde_json::Error),
    /// a predicate that we cannot judge
    #[error("statement has predicate type {0:?}, which this version does not know")]
    Predicate(String),
    /// none, or too many
    #[error("statement has {count} {what}, {range} are allowed")]
    Count {
        /// of what
        what: &'static str,
        /// how many
        count: usize,
        /// how many there may be
        range: &'static str,
    },
    /// the class of a test result's machine is not said, said twice, or not understood
    #[error("the statement's host class {0}")]
    Class(&'static str),
    /// a property of ours that does not name a class
    #[error("read host class of a property")]
    Property(#[from] ClassTextError),
}

/// What a statement says about one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// a run of tests there
    Test(AttestedClass, TestOutcome),
    /// somebody has verified that it runs well there
    Verified(AttestedClass),
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "predicateType")]
    predicate_type: String,
}

impl Statement {
    /// Reads a statement payload and checks its limits; its signatures are for `andon-trust`.
    /// # Errors
    /// [`StatementError`].
    pub fn parse(bytes: &[u8]) -> Result<Statement, StatementError> {
        if bytes.len() > ATTESTATION_BYTES_MAX {
            return Err(StatementError::TooLarge(bytes.len()));
        }
        let kind: Kind = serde_json::from_slice(bytes).map_err(StatementError::Parse)?;
        if ![TEST_RESULT, SVR].contains(&kind.predicate_type.as_str()) {
            let clipped = kind.predicate_type.chars().take(200).collect();
            return Err(StatementError::Predicate(clipped));
        }
        let statement: Statement = serde_json::from_slice(bytes).map_err(StatementError::Parse)?;
        statement.check()?;
        Ok(statement)
    }

    fn check(&self) -> Result<(), StatementError> {
        let some = |what, count: usize| match count {
            1..=ATTESTATION_ITEMS_MAX => Ok(()),
            _ => Err(StatementError::Count { what, count, range: "1 to 64" }),
        };
        let few = |what, count: usize| match count {
            0..=ATTESTATION_TESTS_MAX => Ok(()),
            _ => Err(StatementError::Count { what, count, range: "at most 256" }),
        };
        some("subjects", self.subject.len())?;
        match &self.predicate {
            Predicate::TestResult(result) => {
                some("configurations", result.configuration.len())?;
                few("passed tests", result.passed_tests.len())?;
                few("warned tests", result.warned_tests.len())?;
                few("failed tests", result.failed_tests.len())?;
            }
            Predicate::Svr(svr) => some("properties", svr.properties.len())?,
        }
        self.findings().map(|_| ())
    }

    /// What it says, class by class. A test result that lists failed tests has failed, whatever it says.
    /// # Errors
    /// [`StatementError`]; never for a statement that was parsed.
    pub fn findings(&self) -> Result<Vec<Finding>, StatementError> {
        match &self.predicate {
            Predicate::TestResult(result) => {
                let outcome = match result.failed_tests.is_empty() {
                    true => result.result,
                    false => TestOutcome::Failed,
                };
                Ok(vec![Finding::Test(result.class()?, outcome)])
            }
            Predicate::Svr(svr) => {
                let ours = svr.properties.iter();
                let ours = ours.filter_map(|property| property.strip_prefix(PREFLIGHT_PROPERTY));
                ours.map(|class| Ok(Finding::Verified(class.parse()?))).collect()
            }
        }
    }

    /// Names of the tests that failed, if it is of tests and names some.
    #[must_use]
    pub fn failed_tests(&self) -> &[String] {
        match &self.predicate {
            Predicate::TestResult(result) => &result.failed_tests,
            Predicate::Svr(_) => &[],
        }
    }

    /// Whether it is about this release.
    #[must_use]
    pub fn is_about(&self, release: &Digest) -> bool {
        self.subject.iter().any(|subject| subject.digest.sha256 == *release)
    }

    /// As signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

const CLASS_WORDS: &str =
    "is not arch, os, model and, where it says so, kernel, sensor and rung, and nothing else";
const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";
const SVR: &str = "https://in-toto.io/attestation/svr/v0.1";

impl TestResult {
    /// The class of the machine that the tests ran on.
    /// # Errors
    /// [`StatementError::Class`].
    pub fn class(&self) -> Result<AttestedClass, StatementError> {
        let mut named = self.configuration.iter().filter(|one| one.uri == HOST_CLASS_URI);
        let first = named.next().ok_or(StatementError::Class("is not said"))?;
        if named.next().is_some() {
            return Err(StatementError::Class("is said twice"));
        }
        serde_json::from_value(first.annotations.clone())
            .map_err(|_| StatementError::Class(CLASS_WORDS))
    }
}

impl Configuration {
    /// The configuration that names a class.
    #[must_use]
    pub fn of_class(class: &AttestedClass) -> Configuration {
        Configuration {
            name: "host-class".to_owned(),
            uri: HOST_CLASS_URI.to_owned(),
            annotations: serde_json::to_value(class).unwrap_or_default(),
        }
    }
}
