//! What the operator wants to be shown before a release reaches hosts of a class: which predicates, for
//! which hosts and kinds of components, signed by whom. Part of the signed policy (docs/spec/attestations.md).
//! What it is not: a judge of attestations (`andon_trust::attestation`).
use crate::attestation::{AttestedClass, PredicateKind};
use crate::class::HostClass;
use crate::id::{RigId, StratumId};
use crate::key::PublicKey;
use crate::limits::{DEMANDS_MAX, RIGS_MAX};
use crate::policy::Policy;
use crate::release::ComponentKind;
use serde::{Deserialize, Serialize};

/// An accredited rig.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rig {
    /// its name
    pub name: RigId,
    /// its key; it signs attestations, nothing else
    pub key: PublicKey,
}

/// When a class that a rig ran a release on is the same as a host's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alike {
    /// same architecture and operating system, whatever the model
    #[default]
    Platform,
    /// the same model too
    Model,
}

impl Alike {
    /// Whether what was found in a class speaks for a host of another one.
    #[must_use]
    pub fn same(self, attested: &AttestedClass, host: &HostClass) -> bool {
        let platform = attested.arch == host.arch && attested.os == host.os;
        platform && (self == Alike::Platform || attested.model == host.model)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_platform(alike: &Alike) -> bool {
    *alike == Alike::Platform
}

/// One demand. All that fit a host and a release must be met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demand {
    /// for components of this kind; absent: of every kind
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ComponentKind>,
    /// for hosts of this architecture; absent: of every one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<StratumId>,
    /// for hosts of this operating system; absent: of every one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<StratumId>,
    /// for hosts of this model; absent: of every one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<StratumId>,
    /// when an attested class is the host's own
    #[serde(default, skip_serializing_if = "is_platform")]
    pub alike: Alike,
    /// what must have been signed, each by as many rigs as the policy needs; sorted
    pub predicates: Vec<PredicateKind>,
}

impl Demand {
    /// Whether it is for releases of this kind (`None`: not known, so it is) on hosts of this class.
    #[must_use]
    pub fn fits(&self, kind: Option<ComponentKind>, class: &HostClass) -> bool {
        let is = |want: &Option<StratumId>, have: &StratumId| {
            want.as_ref().is_none_or(|want| want == have)
        };
        (self.kind.is_none() || kind.is_none() || self.kind == kind)
            && is(&self.arch, &class.arch)
            && is(&self.os, &class.os)
            && is(&self.model, &class.model)
    }
}

/// The rigs of a line, how many of them it takes, and what for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestations {
    /// how many distinct rigs must have signed each predicate; 0 only if there are none
    pub needed: u32,
    /// sorted by name
    pub rigs: Vec<Rig>,
    /// what is demanded
    pub demands: Vec<Demand>,
}

impl Attestations {
    /// Whether nothing is demanded.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.needed == 0 && self.rigs.is_empty() && self.demands.is_empty()
    }

    /// The demands on releases of this kind for hosts of this class.
    pub fn on<'a>(
        &'a self,
        kind: Option<ComponentKind>,
        class: &'a HostClass,
    ) -> impl Iterator<Item = &'a Demand> {
        self.demands.iter().filter(move |demand| demand.fits(kind, class))
    }

    /// Whether they make sense beside the rest of their policy. A key that stands for two parties would
    /// let one thief speak for both.
    pub(crate) fn check(&self, policy: &Policy) -> Result<(), &'static str> {
        let rule = |holds: bool, problem| if holds { Ok(()) } else { Err(problem) };
        if self.is_none() {
            return Ok(());
        }
        rule(self.rigs.len() <= RIGS_MAX, "has over 16 rigs")?;
        rule(self.demands.len() <= DEMANDS_MAX, "has over 64 demands")?;
        let sorted = self.rigs.windows(2).all(|pair| pair[0].name < pair[1].name);
        rule(sorted, "is not sorted by name of rig, or names one twice")?;
        let count = |key: &PublicKey| self.rigs.iter().filter(|rig| rig.key == *key).count();
        rule(self.rigs.iter().all(|rig| count(&rig.key) == 1), "names one key twice")?;
        let apart = |key: &PublicKey| {
            *key != policy.online
                && policy.people.iter().all(|person| person.key != *key)
                && policy.verifiers.keys.iter().all(|verifier| verifier.key != *key)
        };
        let apart = self.rigs.iter().all(|rig| apart(&rig.key));
        rule(apart, "has the online key, a person's or a verifier's among its rigs' keys")?;
        rule(self.needed as usize <= self.rigs.len(), "needs more rigs than it names")?;
        rule(self.needed >= 1, "names rigs or demands and needs no rig")?;
        rule(!self.demands.is_empty(), "names rigs and demands nothing of them")?;
        let sorted = |demand: &Demand| {
            !demand.predicates.is_empty()
                && demand.predicates.windows(2).all(|pair| pair[0] < pair[1])
        };
        let sorted = self.demands.iter().all(sorted);
        rule(sorted, "has a demand whose predicates are none, not sorted, or there twice")
    }
}
