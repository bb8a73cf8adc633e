//! What the operator wants to be shown before a release reaches hosts of a class: which predicates, for
//! which hosts and kinds of components, signed by whom. Part of the signed policy (docs/spec/attestations.md).
//! What it is not: a judge of attestations (`andon_trust::attestation`).
use crate::attestation::{AttestedClass, PredicateKind};
use crate::class::HostClass;
use crate::facts::{FactKind, HostNow};
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
    /// what must have been running where it was attested as it runs on the host; sorted
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub same: Vec<FactKind>,
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

    /// Whether what was found in a class speaks for this host. What one of them does not know is not the
    /// same.
    #[must_use]
    pub fn own(&self, attested: &AttestedClass, host: HostNow<'_>) -> bool {
        let same = |kind: &FactKind| kind.same(&attested.facts, host.facts) == Some(true);
        self.alike.same(attested, host.class) && self.same.iter().all(same)
    }

    /// Whether two attested classes are one to this demand. Two that do not say something are, in that.
    #[must_use]
    pub fn one(&self, a: &AttestedClass, b: &AttestedClass) -> bool {
        let platform = a.arch == b.arch && a.os == b.os;
        platform
            && (self.alike == Alike::Platform || a.model == b.model)
            && self.same.iter().all(|kind| kind.of(&a.facts) == kind.of(&b.facts))
    }

    /// Whether it tells hosts apart by this.
    #[must_use]
    pub fn tells(&self, kind: FactKind) -> bool {
        self.same.iter().any(|own| own.implies(kind))
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

    /// By what of that which hosts run the demands on releases of this kind tell them apart; sorted. Of
    /// every class, because whoever reads a ticket knows no more of it than the ticket says.
    #[must_use]
    pub fn told_apart(&self, kind: Option<ComponentKind>) -> Vec<FactKind> {
        let of_kind =
            |demand: &&Demand| demand.kind.is_none() || kind.is_none() || demand.kind == kind;
        let demands = || self.demands.iter().filter(of_kind);
        let named = |kind: &FactKind| demands().any(|demand| demand.same.contains(kind));
        FactKind::ALL.into_iter().filter(named).collect()
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
        rule(sorted, "has a demand whose predicates are none, not sorted, or there twice")?;
        let sorted = |demand: &Demand| demand.same.windows(2).all(|pair| pair[0] < pair[1]);
        let sorted = self.demands.iter().all(sorted);
        rule(sorted, "has a demand whose `same` is not sorted, or names something twice")
    }
}
