//! The part of `policy.toml` that says which rigs must have signed what before hosts of a class install a
//! release (docs/spec/attestations.md). It reads and writes; what it means is `andon_model::rigs`.
use andon_model::rigs::{Attestations, Demand};
use serde::Serialize;

const COMMENT: &str = "
# Attestations: machines that run a release before hosts do and sign what came of it, one per class of
# hosts. Hosts whose class has not been shown to run it obey canary waves only, or none. `andon rig keys`
# makes a key, `andon rig run` runs and signs, `andon release attest` and `waive` bring it here. For example:
#   [attestations]
#   needed = 1
#   rigs = [ { name = \"lab\", key = \"…\" } ]
#   [[attestations.demands]]
#   kind = \"content\"
#   predicates = [\"test_result\", \"svr\"]
#   same = [\"kernel_series\"]
# `same`: what must have been running on the rig as it runs on the host: kernel, kernel_series, sensor, rung.";

/// As the policy wants it: lists in order.
pub(crate) fn sorted(attestations: &Attestations) -> Attestations {
    let mut sorted = attestations.clone();
    sorted.rigs.sort_by(|a, b| a.name.cmp(&b.name));
    for demand in &mut sorted.demands {
        demand.predicates.sort();
        demand.same.sort();
    }
    sorted
}

/// Comment and table.
pub(crate) fn write(attestations: &Attestations) -> String {
    if attestations.is_none() {
        return COMMENT.to_owned();
    }
    let rig = |rig: &andon_model::rigs::Rig| {
        format!("  {{ name = \"{}\", key = \"{}\" }},\n", rig.name, rig.key)
    };
    let rigs: String = attestations.rigs.iter().map(rig).collect();
    let needed = attestations.needed;
    let mut out = format!("{COMMENT}\n[attestations]\nneeded = {needed}\nrigs = [\n{rigs}]");
    for demand in &attestations.demands {
        out += &format!("\n[[attestations.demands]]\n{}", table(demand).trim_end());
    }
    out
}

fn table<T: Serialize>(value: &T) -> String {
    toml::to_string(value).unwrap_or_default()
}

/// What a line demands that has just got a rig: both predicates, for everything.
pub(crate) fn demand() -> Demand {
    use andon_model::attestation::PredicateKind;
    let predicates = vec![PredicateKind::TestResult, PredicateKind::Svr];
    Demand {
        kind: None,
        arch: None,
        os: None,
        model: None,
        alike: andon_model::rigs::Alike::Platform,
        same: Vec::new(),
        predicates,
    }
}
