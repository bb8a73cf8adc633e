//! Rigs of the lab: honest ones have run what honest vendors made; a thief of their keys says what it likes.
use super::fleet::{class, stand_in, stranger};
use super::lab::{LabError, NOW};
use super::metadata::sealed;
use super::tickets::Made;
use crate::sign::SigningKey;
use andon_model::Digest;
use andon_model::attestation::{
    AttestedClass, Configuration, DigestSet, PREFLIGHT_PROPERTY, Predicate, PredicateKind,
    Statement, StatementType, Subject, Svr, SvrVerifier, TestOutcome, TestResult,
};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::rigs::{Alike, Attestations, Demand, Rig};
use std::collections::BTreeSet;

/// The line's demands as one on every host and every kind of component, so that all of it is asked for
/// wherever a thief tries; rigs under our keys.
pub(super) fn demanded(of: &Attestations) -> Attestations {
    let predicates: BTreeSet<PredicateKind> =
        of.demands.iter().flat_map(|demand| demand.predicates.iter().copied()).collect();
    let demand = Demand {
        kind: None,
        arch: None,
        os: None,
        model: None,
        alike: Alike::default(),
        same: Vec::new(),
        predicates: predicates.into_iter().collect(),
    };
    let own = |rig: &Rig| Rig { name: rig.name.clone(), key: stand_in(&rig.key).public() };
    Attestations {
        needed: of.needed,
        rigs: of.rigs.iter().map(own).collect(),
        demands: if demand.predicates.is_empty() { Vec::new() } else { vec![demand] },
    }
}

/// The private halves of a line's rigs.
pub(super) fn keys(of: &Attestations) -> Vec<SigningKey> {
    of.rigs.iter().map(|rig| stand_in(&rig.key)).collect()
}

/// Other rigs in the place of each, as a new policy names them once a key is lost.
pub(super) fn replaced(of: &Attestations) -> (Attestations, Vec<SigningKey>) {
    let fresh = |rig: &Rig| stranger(&format!("rig {}", rig.name));
    let keys: Vec<SigningKey> = of.rigs.iter().map(fresh).collect();
    let mut new = of.clone();
    new.rigs.iter_mut().zip(&keys).for_each(|(rig, key)| rig.key = key.public());
    (new, keys)
}

/// What these keys sign about a release that ran well on the lab's hosts.
pub(super) fn passed(made: &Made, keys: &[SigningKey]) -> Result<Vec<Envelope>, LabError> {
    let class = AttestedClass::of(&class()?);
    let verified = Predicate::Svr(Svr {
        verifier: SvrVerifier { id: "urn:andon:rig:lab".to_owned() },
        time_created: NOW.to_string(),
        properties: vec![format!("{PREFLIGHT_PROPERTY}{class}")],
    });
    let both = [tested(&class, TestOutcome::Passed), verified];
    both.into_iter().map(|predicate| signed(made.digest, predicate, keys)).collect()
}

/// What they sign about one that did not.
pub(super) fn failed(made: &Made, keys: &[SigningKey]) -> Result<Envelope, LabError> {
    let class = AttestedClass::of(&class()?);
    signed(made.digest, tested(&class, TestOutcome::Failed), keys)
}

fn tested(class: &AttestedClass, result: TestOutcome) -> Predicate {
    Predicate::TestResult(TestResult {
        result,
        configuration: vec![Configuration::of_class(class)],
        url: None,
        passed_tests: Vec::new(),
        warned_tests: Vec::new(),
        failed_tests: Vec::new(),
    })
}

fn signed(
    release: Digest,
    predicate: Predicate,
    keys: &[SigningKey],
) -> Result<Envelope, LabError> {
    let subject = Subject { name: "rules".to_owned(), digest: DigestSet { sha256: release } };
    let statement = Statement { kind: StatementType::V1, subject: vec![subject], predicate };
    sealed(PayloadType::Statement, &statement, keys)
}
