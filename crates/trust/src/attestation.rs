//! Attestations of a release, judged for one class of hosts: what accredited rigs have signed, and what
//! two people have waived. The table of what follows from what is docs/spec/attestations.md, section 4.
//! What it is not: transport, or the decision who is a rig: that is the policy's.
use crate::envelope::{VerifyError, signed_with, verify_threshold};
use andon_model::attestation::{
    AttestedClass, Finding, PredicateKind, Statement, StatementError, TestOutcome,
};
use andon_model::class::HostClass;
use andon_model::envelope::{Envelope, EnvelopeError, PayloadType};
use andon_model::facts::{FactKind, Facts, HostNow};
use andon_model::limits::{
    ATTESTATION_BYTES_MAX, ATTESTATIONS_BYTES_MAX, ATTESTATIONS_MAX, MESSAGE_SKEW_MAX,
};
use andon_model::policy::{LanePolicy, Policy};
use andon_model::release::ComponentKind;
use andon_model::rigs::Demand;
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::waiver::{Waiver, WaiverError};
use andon_model::{Digest, PublicKey, Time};
use std::collections::BTreeSet;

/// Distinct people, each with a key of their own, who must sign a waiver.
const WAIVER_PEOPLE: u32 = 2;

/// Why an attestation, or a file of them, is not taken.
#[derive(Debug, thiserror::Error)]
pub enum AttestationRefusal {
    /// larger than allowed
    #[error("attestations have {0} bytes, at most {ATTESTATIONS_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// more than allowed
    #[error("there are over {ATTESTATIONS_MAX} attestations")]
    TooMany,
    /// a line that is no envelope
    #[error("read attestation")]
    Envelope(#[from] EnvelopeError),
    /// something signed as neither
    #[error("envelope holds {0}, no attestation and no waiver")]
    Kind(&'static str),
    /// by nobody whom the policy accredits
    #[error("attestation is signed by no rig that the policy accredits")]
    Stranger,
    /// what was signed cannot be judged
    #[error("read statement")]
    Statement(#[from] StatementError),
    /// about other bytes
    #[error("attestation is not about this release")]
    Release,
    /// by too few people
    #[error("verify waiver")]
    People(#[source] VerifyError),
    /// its text is wrong
    #[error("read waiver")]
    Waiver(#[from] WaiverError),
    /// for another line
    #[error("waiver is for another line")]
    Line,
    /// over, or dated in the future
    #[error("waiver is not in force now")]
    Expired,
}

impl AttestationRefusal {
    /// Whether it says nothing, rather than something wrong: others' words about other things may lie in
    /// the same file, and a policy that no longer accredits a rig leaves its words there.
    const fn is_idle(&self) -> bool {
        matches!(
            self,
            AttestationRefusal::Stranger
                | AttestationRefusal::Release
                | AttestationRefusal::People(_)
                | AttestationRefusal::Line
                | AttestationRefusal::Statement(StatementError::Predicate(_))
        )
    }
}

/// One thing that was signed by who may sign it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// by rigs
    Rigs {
        /// what they found
        findings: Vec<Finding>,
        /// whose keys signed it
        signers: BTreeSet<PublicKey>,
        /// names of the tests that failed
        failed_tests: Vec<String>,
    },
    /// by people
    Waiver(Waiver),
}

/// What was signed about one release, verified under one policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Vec<Word>);

/// What follows for hosts of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// all that is demanded is there, or nothing is demanded: every wave
    Attested,
    /// only the canary waves, and why
    CanaryOnly(String),
    /// no wave, and why
    Missing(String),
    /// no wave: an accredited rig saw it fail
    Failed(String),
}

/// One attestation or waiver of this release, as whoever takes it in must judge it: a waiver must be in
/// force now.
/// # Errors
/// [`AttestationRefusal`].
pub fn verify(
    envelope: &Envelope,
    release: &Digest,
    policy: &Policy,
    now: Time,
) -> Result<Word, AttestationRefusal> {
    match authentic(envelope, release, policy)? {
        Word::Waiver(waiver) if !in_force(&waiver, now) => Err(AttestationRefusal::Expired),
        word => Ok(word),
    }
}

/// The same whatever the time: it is looked at when it matters.
fn authentic(
    envelope: &Envelope,
    release: &Digest,
    policy: &Policy,
) -> Result<Word, AttestationRefusal> {
    match envelope.payload_type {
        PayloadType::Statement => {
            let keys: Vec<PublicKey> = policy.attestations.rigs.iter().map(|rig| rig.key).collect();
            let signers = signed_with(envelope, &keys);
            if signers.is_empty() {
                return Err(AttestationRefusal::Stranger);
            }
            let statement = Statement::parse(&envelope.payload)?;
            if !statement.is_about(release) {
                return Err(AttestationRefusal::Release);
            }
            let failed_tests = statement.failed_tests().to_vec();
            Ok(Word::Rigs { findings: statement.findings()?, signers, failed_tests })
        }
        PayloadType::Waiver => {
            let signed =
                verify_threshold(envelope, PayloadType::Waiver, &policy.people, WAIVER_PEOPLE);
            let waiver = Waiver::parse(signed.map_err(AttestationRefusal::People)?)?;
            if waiver.line != policy.line {
                return Err(AttestationRefusal::Line);
            }
            if waiver.release != *release {
                return Err(AttestationRefusal::Release);
            }
            Ok(Word::Waiver(waiver))
        }
        other => Err(AttestationRefusal::Kind(other.as_str())),
    }
}

fn in_force(waiver: &Waiver, now: Time) -> bool {
    now < waiver.expires && waiver.issued <= now.plus(MESSAGE_SKEW_MAX)
}

/// The envelopes of a file of attestations: JSON lines, as in-toto's bundles.
/// # Errors
/// [`AttestationRefusal`] when the file or one line is beyond its limits or no envelope.
pub fn envelopes(bytes: &[u8]) -> Result<Vec<Envelope>, AttestationRefusal> {
    if bytes.len() > ATTESTATIONS_BYTES_MAX {
        return Err(AttestationRefusal::TooLarge(bytes.len()));
    }
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut envelopes = Vec::new();
    for line in lines {
        if envelopes.len() >= ATTESTATIONS_MAX {
            return Err(AttestationRefusal::TooMany);
        }
        envelopes.push(Envelope::parse_limited(line, ATTESTATION_BYTES_MAX)?);
    }
    Ok(envelopes)
}

/// The file of these envelopes.
#[must_use]
pub fn to_file<'e>(envelopes: impl IntoIterator<Item = &'e Envelope>) -> Vec<u8> {
    let mut out = Vec::new();
    for envelope in envelopes {
        out.extend_from_slice(&envelope.to_bytes());
        out.push(b'\n');
    }
    out
}

impl Words {
    /// What a file says about this release. Words that count for nothing here are passed over; one that
    /// an accredited signer garbled is not: it may have been the one that says no.
    /// # Errors
    /// [`AttestationRefusal`]: nothing of the file is taken.
    pub fn read(
        bytes: &[u8],
        release: &Digest,
        policy: &Policy,
    ) -> Result<Words, AttestationRefusal> {
        Words::of(&envelopes(bytes)?, release, policy)
    }

    /// The same of envelopes.
    /// # Errors
    /// [`AttestationRefusal`].
    pub fn of<'e>(
        envelopes: impl IntoIterator<Item = &'e Envelope>,
        release: &Digest,
        policy: &Policy,
    ) -> Result<Words, AttestationRefusal> {
        let mut words = Vec::new();
        for envelope in envelopes {
            match authentic(envelope, release, policy) {
                Ok(word) => words.push(word),
                Err(why) if why.is_idle() => {}
                Err(why) => return Err(why),
            }
        }
        Ok(Words(words))
    }

    /// What follows from them for hosts of this class that run this now. `kind`: of the release; `None`: not
    /// known, so every demand is for it.
    #[must_use]
    pub fn judge<'h>(
        &self,
        policy: &Policy,
        kind: Option<ComponentKind>,
        host: impl Into<HostNow<'h>>,
        now: Time,
    ) -> Standing {
        let host = host.into();
        let class = host.class;
        if let Some(failed) = self.failure(policy, kind, host) {
            return Standing::Failed(format!("an accredited rig saw it fail on {failed}"));
        }
        let needed = policy.attestations.needed;
        let mut lacking = Vec::new();
        for demand in policy.attestations.on(kind, class) {
            let own = |attested: &AttestedClass| demand.own(attested, host);
            for predicate in &demand.predicates {
                let got = self.vouching(*predicate, &own);
                if got < needed as usize {
                    let what = name(*predicate);
                    lacking.push(format!("{what} by {got} of {needed} accredited rigs"));
                }
            }
        }
        if lacking.is_empty() {
            return Standing::Attested;
        }
        let own = told(policy, kind, host);
        let lacking = format!("for hosts {own} it has {}", lacking.join(" and "));
        if let Some(other) = self.attested_elsewhere(policy, kind, class) {
            return Standing::CanaryOnly(format!("{lacking}; it is attested for {other}"));
        }
        match self.waiver(class, now) {
            Some(waiver) => Standing::CanaryOnly(format!(
                "{lacking}; waived until {}: {}",
                waiver.expires,
                waiver.reason.as_str()
            )),
            None => Standing::Missing(lacking),
        }
    }

    /// The first failure that rigs have seen, whatever it speaks for: on which class, and in which tests.
    #[must_use]
    pub fn failed(&self) -> Option<(&AttestedClass, &[String])> {
        self.0.iter().find_map(|word| {
            let Word::Rigs { findings, failed_tests, .. } = word else { return None };
            findings.iter().find_map(|finding| match finding {
                Finding::Test(class, TestOutcome::Failed) => Some((class, &failed_tests[..])),
                _ => None,
            })
        })
    }

    fn findings(&self) -> impl Iterator<Item = (&Finding, &BTreeSet<PublicKey>)> {
        self.0.iter().flat_map(|word| match word {
            Word::Rigs { findings, signers, .. } => {
                findings.iter().map(|finding| (finding, signers)).collect()
            }
            Word::Waiver(_) => Vec::new(),
        })
    }

    /// Distinct keys of rigs that vouch by this predicate for a class that is `own`.
    fn vouching(&self, predicate: PredicateKind, own: &dyn Fn(&AttestedClass) -> bool) -> usize {
        let mut keys: BTreeSet<PublicKey> = BTreeSet::new();
        for (finding, signers) in self.findings() {
            if let Some((kind, class)) = vouches(finding)
                && kind == predicate
                && own(class)
            {
                keys.extend(signers);
            }
        }
        keys.len()
    }

    /// Where an accredited rig saw it fail, if that speaks for this host. One rig is enough. Another
    /// model, kernel, sensor or rung of the same platform counts, but where every demand tells it apart and
    /// both are known to differ.
    fn failure(
        &self,
        policy: &Policy,
        kind: Option<ComponentKind>,
        host: HostNow<'_>,
    ) -> Option<&AttestedClass> {
        let demands: Vec<&Demand> = policy.attestations.on(kind, host.class).collect();
        let alike = demands.iter().map(|demand| demand.alike).min().unwrap_or_default();
        let told =
            |it: &FactKind| !demands.is_empty() && demands.iter().all(|demand| demand.tells(*it));
        let told: Vec<FactKind> = FactKind::ALL.into_iter().filter(told).collect();
        let differs = |tested: &AttestedClass| {
            told.iter().any(|it| it.same(&tested.facts, host.facts) == Some(false))
        };
        let speaks = |tested: &AttestedClass| alike.same(tested, host.class) && !differs(tested);
        self.findings().find_map(|(finding, _)| match finding {
            Finding::Test(tested, TestOutcome::Failed) if speaks(tested) => Some(tested),
            _ => None,
        })
    }

    /// A class for which everything that is demanded of this release here has been shown.
    fn attested_elsewhere(
        &self,
        policy: &Policy,
        kind: Option<ComponentKind>,
        class: &HostClass,
    ) -> Option<&AttestedClass> {
        let needed = policy.attestations.needed as usize;
        let shown = |other: &AttestedClass, demand: &Demand| {
            let same = |attested: &AttestedClass| demand.one(attested, other);
            demand.predicates.iter().all(|predicate| self.vouching(*predicate, &same) >= needed)
        };
        let named = self.findings().filter_map(|(finding, _)| vouches(finding));
        let mut named = named.map(|(_, class)| class);
        named.find(|other| policy.attestations.on(kind, class).all(|demand| shown(other, demand)))
    }

    fn waiver(&self, class: &HostClass, now: Time) -> Option<&Waiver> {
        self.0.iter().find_map(|word| match word {
            Word::Waiver(waiver) if in_force(waiver, now) && waiver.fits(class) => Some(waiver),
            _ => None,
        })
    }
}

/// A host's class with what the demands on it look at.
fn told(policy: &Policy, kind: Option<ComponentKind>, host: HostNow<'_>) -> AttestedClass {
    let demands = || policy.attestations.on(kind, host.class);
    let looked_at = |it: FactKind| demands().any(|demand| demand.tells(it));
    let facts = host.facts;
    AttestedClass::of(host.class).running(Facts {
        kernel: facts.kernel.clone().filter(|_| looked_at(FactKind::KernelSeries)),
        sensor: facts.sensor.clone().filter(|_| looked_at(FactKind::Sensor)),
        rung: facts.rung.clone().filter(|_| looked_at(FactKind::Rung)),
    })
}

fn vouches(finding: &Finding) -> Option<(PredicateKind, &AttestedClass)> {
    match finding {
        Finding::Test(class, TestOutcome::Passed) => Some((PredicateKind::TestResult, class)),
        Finding::Verified(class) => Some((PredicateKind::Svr, class)),
        Finding::Test(..) => None,
    }
}

const fn name(predicate: PredicateKind) -> &'static str {
    match predicate {
        PredicateKind::TestResult => "a passed test result",
        PredicateKind::Svr => "a verification result",
    }
}

/// Whether a ticket is one of the canary waves': all that it hands, over all of its widenings, is no more
/// than the lane's first wave may, and nobody beside its plan.
#[must_use]
pub fn is_canary(ticket: &Ticket, lane: &LanePolicy) -> bool {
    let handed = ticket.steps.last().map_or(0, |step| step.handed);
    let apart = ticket.newcomers == Newcomers::Included || ticket.late_hosts() > 0;
    handed <= u64::from(lane.first_wave_max) && !apart
}
