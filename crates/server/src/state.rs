//! What the server knows: a pure fold over the journal's records. It reads no clock and does no
//! I/O; live operation and replay after a restart run exactly this code, so they agree.
//! It is not the memory of beats ([`crate::fleet`]), which a restart may lose.
use crate::attested;
use crate::log;
use crate::member::LineState;
use crate::pooled::members::Members;
use crate::pooled::seats::Seats;
use crate::record::{HostChange, Record, ReleaseFacts, TopMetadata};
use crate::rollout_state::RolloutState;
use andon_model::beat::{Alert, ComponentState, ComponentStatus, Presence};
use andon_model::class::HostClass;
use andon_model::directive::Directive;
use andon_model::envelope::Envelope;
use andon_model::facts::{self, Facts};
use andon_model::limits::MESSAGE_AGE_MAX;
use andon_model::line::Member;
use andon_model::log_entry::LogEntry;
use andon_model::policy::Policy;
use andon_model::stop::{Freeze, Party};
use andon_model::text::Text;
use andon_model::{
    ComponentId, Digest, HostId, KeyId, LineId, PersonId, PublicKey, RolloutId, StratumId, Time,
    VendorId,
};
use andon_rollout::Terms;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Detections kept in memory for `GET /v1/alerts`; all of them stand in the journal.
pub const ALERTS_KEPT: usize = 10_000;

/// Everything that the journal says.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// number of the last record
    pub seq: u64,
    /// time of the last record
    pub at: Time,
    /// hosts in order of their ids, beginning with 1
    pub hosts: Vec<HostState>,
    /// host by the id of its key
    pub by_key: HashMap<KeyId, HostId>,
    /// the policy in force
    pub policy: Option<PolicyInForce>,
    /// rollouts by name
    pub rollouts: BTreeMap<RolloutId, RolloutState>,
    /// rollouts in the order of their starts
    pub started: Vec<RolloutId>,
    /// freezes by the digest of their envelopes
    pub freezes: BTreeMap<Digest, AcceptedFreeze>,
    /// what the platform has published last: after a crash its files may be missing
    pub top: Option<TopMetadata>,
    /// directives by the digest of their envelope's bytes
    pub directives: BTreeMap<Digest, AcceptedDirective>,
    /// commands seen while they are fresh
    pub nonces: BTreeMap<(PersonId, Digest), Time>,
    /// what the line's own log must hold, in the order of the journal
    pub public: Vec<LogEntry>,
    /// published releases
    pub releases: BTreeMap<Digest, ReleaseFacts>,
    /// what rigs and people have signed about releases, in the order of the journal
    pub attestations: BTreeMap<Digest, Vec<Envelope>>,
    /// version and digest of each vendor's role
    pub roles: BTreeMap<VendorId, (u64, Digest)>,
    /// seeds' digests
    pub commitments: BTreeMap<RolloutId, Digest>,
    /// vendor lines that this line's hosts take part in
    pub lines: BTreeMap<LineId, LineState>,
    /// newest detections, oldest first
    pub alerts: VecDeque<(HostId, Alert)>,
    /// on a vendor line: its members' seats
    pub seats: Seats,
}

/// The policy in force, and as signed.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyInForce {
    /// what it says
    pub policy: Policy,
    /// as signed
    pub envelope: Envelope,
}

/// A freeze that was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct AcceptedFreeze {
    /// what it says
    pub freeze: Freeze,
    /// as signed
    pub envelope: Envelope,
}

/// A directive that was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct AcceptedDirective {
    /// what it says
    pub directive: Directive,
    /// as signed
    pub envelope: Envelope,
}

/// What keeps a release from being started.
#[derive(Clone, Copy, Debug)]
pub struct Stopped<'s> {
    /// who stopped it
    pub by: &'s Party,
    /// why
    pub reason: &'s Text,
    /// digest of the payload that says so: the policy may override it
    pub digest: Digest,
}

/// What is durably known of a host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostState {
    /// its key
    pub key: PublicKey,
    /// what it is
    pub class: HostClass,
    /// the stratum it is compared in
    pub stratum: StratumId,
    /// when it enrolled
    pub enrolled: Time,
    /// number of the last beat that said something new
    pub sequence: u64,
    /// alive or leaving
    pub presence: Presence,
    /// its components
    pub components: Vec<ComponentStatus>,
    /// every charge up to this number is stored
    pub charges_stored: u64,
    /// distinct charges stored
    pub charges: u32,
    /// whether it has answered the operator's probes
    pub answered: bool,
    /// the operator's probes that fail
    pub unwell: Vec<ComponentId>,
    /// freezes in force on it
    pub freezes: Vec<Digest>,
    /// what it runs, by its last word on that
    pub facts: Facts,
}

impl HostState {
    /// The stratum that it is compared in under these terms; `None`: they leave it out.
    #[must_use]
    pub fn stratum_in(&self, terms: &Terms) -> Option<StratumId> {
        let groups = &self.class.groups;
        if groups.iter().any(|group| terms.excluded.contains(group)) {
            return None;
        }
        let plain = groups.is_empty() || terms.scheduled.is_empty();
        let stratum =
            if plain { self.stratum.clone() } else { self.class.stratum_on(&terms.scheduled) };
        let stratum = facts::stratum_by(stratum, &self.facts, &terms.told_apart);
        (!terms.unattested.contains(&stratum)).then_some(stratum)
    }
}

/// Index of a host in columns.
#[must_use]
pub fn column(host: HostId) -> usize {
    usize::try_from(host.number().saturating_sub(1)).unwrap_or(usize::MAX)
}

/// Id of the host in a column.
#[must_use]
pub fn host_at(column: usize) -> Option<HostId> {
    HostId::new(column as u64 + 1).ok()
}

impl State {
    /// Takes one record. The same records in the same order give the same state.
    pub fn apply(&mut self, seq: u64, at: Time, record: &Record) {
        self.seq = seq;
        self.at = at;
        self.public.extend(log::facts::entries(record));
        match record {
            Record::HostEnrolled { host, key, class, token: _ } => {
                self.enrol(at, *host, *key, class);
            }
            Record::HostChanged(change) => self.change(at, change),
            Record::AlertsTaken { host, alerts, left_out: _ } => {
                self.alerts.extend(alerts.iter().map(|alert| (*host, alert.clone())));
                let extra = self.alerts.len().saturating_sub(ALERTS_KEPT);
                self.alerts.drain(..extra);
            }
            Record::PolicyAccepted { envelope } => self.obey(envelope),
            Record::RolePublished { vendor, version, digest, releases } => {
                self.roles.insert(vendor.clone(), (*version, *digest));
                self.releases.extend(releases.iter().map(|r| (r.release, r.clone())));
            }
            Record::SeedCommitted { rollout, commitment } => {
                self.commitments.insert(rollout.clone(), *commitment);
            }
            Record::RolloutStarted { by: _, vendor, plan, report } => {
                let rollout = RolloutState::new(
                    (**plan).clone(),
                    report.clone(),
                    vendor.clone(),
                    seq,
                    &self.hosts,
                );
                let policy = self.policy.as_ref().map(|policy| &policy.policy);
                let rollout = rollout.over_seats(&self.seats, policy);
                self.started.push(plan.rollout.clone());
                self.rollouts.insert(plan.rollout.clone(), rollout);
            }
            Record::Rollout { rollout, event, counted, approval } => {
                if let Some(state) = self.rollouts.get_mut(rollout) {
                    state.apply(at, event, counted, approval.as_ref());
                }
            }
            Record::FreezeAccepted { stop, envelope, until } => {
                self.freeze(*stop, envelope, *until);
            }
            Record::PlatformPublished(top) => self.top = Some(top.clone()),
            Record::DirectiveAccepted { envelope } => self.directive(envelope),
            Record::AttestationAccepted { release, envelope }
            | Record::WaiverAccepted { release, envelope } => {
                self.attestations.entry(*release).or_default().push(envelope.clone());
                attested::note_failure(self, release, envelope);
            }
            Record::VendorLine { line, fact } => {
                let known = self.lines.entry(line.clone()).or_default();
                known.apply(at, fact, &self.hosts);
            }
            Record::CommandAccepted { person, nonce, issued, .. } => {
                self.nonces.retain(|_, issued| at.since(*issued) <= MESSAGE_AGE_MAX);
                self.nonces.insert((person.clone(), *nonce), *issued);
            }
            Record::SeatsTaken { operator, seat_first, roster } => {
                self.seats.take(operator, *seat_first, roster);
            }
            Record::TalliesPooled { rollout, .. }
            | Record::MembersAbsent { rollout, .. }
            | Record::MemberHalted { rollout, .. }
            | Record::MemberWithdrawn { rollout, .. } => {
                if let Some(members) = self.members_of(rollout) {
                    members.apply(at, record);
                }
            }
        }
    }

    fn obey(&mut self, envelope: &Envelope) {
        if let Ok(policy) = Policy::parse(&envelope.payload) {
            self.policy = Some(PolicyInForce { policy, envelope: envelope.clone() });
        }
    }

    fn freeze(&mut self, stop: Digest, envelope: &Envelope, until: Option<Time>) {
        if let Ok(mut freeze) = Freeze::parse(&envelope.payload) {
            freeze.expires = until.map_or(freeze.expires, |end| end.min(freeze.expires));
            self.freezes.insert(stop, AcceptedFreeze { freeze, envelope: envelope.clone() });
        }
    }

    fn directive(&mut self, envelope: &Envelope) {
        if let Ok(directive) = Directive::parse(&envelope.payload) {
            let accepted = AcceptedDirective { directive, envelope: envelope.clone() };
            self.directives.insert(Digest::of(&envelope.to_bytes()), accepted);
        }
    }

    /// The members whose hosts a new plan counts; none on a line that has hosts.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        self.policy.as_ref().map_or(&[], |policy| &policy.policy.members)
    }

    fn members_of(&mut self, rollout: &RolloutId) -> Option<&mut Members> {
        self.rollouts.get_mut(rollout)?.members.as_deref_mut()
    }

    fn enrol(&mut self, at: Time, host: HostId, key: PublicKey, class: &HostClass) {
        if column(host) != self.hosts.len() {
            return;
        }
        self.by_key.insert(key.id(), host);
        self.hosts.push(HostState {
            key,
            class: class.clone(),
            stratum: class.stratum(),
            enrolled: at,
            sequence: 0,
            presence: Presence::Alive,
            components: Vec::new(),
            charges_stored: 0,
            charges: 0,
            answered: false,
            unwell: Vec::new(),
            freezes: Vec::new(),
            facts: Facts::default(),
        });
    }

    fn change(&mut self, at: Time, change: &HostChange) {
        let frozen = self.stopped_releases();
        let Some(host) = self.hosts.get_mut(column(change.host)) else { return };
        let before = std::mem::replace(&mut host.components, change.components.clone());
        host.sequence = change.sequence;
        host.presence = change.presence;
        host.answered |= change.answered;
        host.unwell.clone_from(&change.unwell);
        host.freezes.clone_from(&change.freezes);
        if let Some(facts) = &change.facts {
            host.facts.clone_from(facts);
        }
        for charge in &change.charges {
            host.charges_stored = host.charges_stored.max(charge.number);
            host.charges = host.charges.saturating_add(1);
        }
        let groups = self.groups();
        let bad = |component: &ComponentId, of: &Digest| {
            // Going back from a release that is stopped already says nothing about this one,
            // whichever arm the host is in.
            let known_bad = |release: &Digest| release != of && frozen.contains(release);
            let group = groups.get(component).unwrap_or(component);
            let ours = |other: &ComponentId| {
                groups.get(other).unwrap_or(other) == group || other == component
            };
            let mut charges = change.charges.iter();
            let charged = charges.any(|c| ours(&c.component) && !known_bad(&c.release));
            let fell = fallen(&before, &change.components)
                .any(|(was, now)| ours(&now.component) && !was.is_some_and(|r| known_bad(&r)));
            charged || fell
        };
        for rollout in self.rollouts.values_mut() {
            let bad = bad(&rollout.plan.component, &rollout.plan.release);
            rollout.host_changed(at, &before, change, bad);
        }
        for followed in self.lines.values_mut().flat_map(|line| line.rollouts.values_mut()) {
            let bad = bad(&followed.plan.component, &followed.plan.release);
            followed.host_changed(at, &before, change, bad);
        }
    }

    /// Releases whose rollout was halted.
    fn stopped_releases(&self) -> Vec<Digest> {
        let halted = self.rollouts.values().filter(|rollout| rollout.halted());
        halted.map(|rollout| rollout.plan.release).collect()
    }

    /// Which service each component belongs to, by the newest release published of it.
    fn groups(&self) -> BTreeMap<ComponentId, ComponentId> {
        let mut newest: BTreeMap<&ComponentId, &ReleaseFacts> = BTreeMap::new();
        for facts in self.releases.values() {
            let known = newest.entry(&facts.component).or_insert(facts);
            if known.version < facts.version {
                *known = facts;
            }
        }
        newest.into_iter().map(|(name, facts)| (name.clone(), facts.group().clone())).collect()
    }

    /// A host by id.
    #[must_use]
    pub fn host(&self, host: HostId) -> Option<&HostState> {
        self.hosts.get(column(host))
    }

    /// The rollout that still moves this component, if any.
    #[must_use]
    pub fn live_rollout(&self, component: &ComponentId) -> Option<&RolloutState> {
        self.rollouts.values().find(|r| r.live() && r.plan.component == *component)
    }

    /// A completed rollout whose place a newer completed one of the same component has taken.
    #[must_use]
    pub fn replaced(&self, rollout: &RolloutState) -> bool {
        self.rollouts.values().any(|other| {
            other.completed()
                && other.plan.component == rollout.plan.component
                && other.started_seq > rollout.started_seq
        })
    }

    /// Whether a later rollout of the same component has begun.
    #[must_use]
    pub fn followed(&self, rollout: &RolloutState) -> bool {
        self.rollouts.values().any(|other| {
            other.plan.component == rollout.plan.component
                && other.started_seq > rollout.started_seq
        })
    }

    /// What in force keeps this release from being started: a freeze, or a directive that takes it back;
    /// but for those that the policy in force overrides.
    #[must_use]
    pub fn frozen(&self, vendor: &VendorId, release: &Digest, now: Time) -> Option<Stopped<'_>> {
        let freezes = self.freezes.values().filter_map(|accepted| {
            let AcceptedFreeze { freeze, envelope } = accepted;
            let digest = Digest::of(&envelope.payload);
            let concerned = freeze.expires > now && freeze.concerns(vendor, release);
            concerned.then_some(Stopped { by: &freeze.by, reason: &freeze.reason, digest })
        });
        let directives = self.directives.values().filter_map(|accepted| {
            let AcceptedDirective { directive, envelope } = accepted;
            let digest = Digest::of(&envelope.payload);
            let concerned = directive.expires > now && directive.bars() == Some(release);
            concerned.then_some(Stopped { by: &directive.by, reason: &directive.reason, digest })
        });
        freezes.chain(directives).find(|stopped| !self.overrides(&stopped.digest, now))
    }

    /// Whether the policy in force says that a freeze, by its payload's digest, does not hold here.
    #[must_use]
    pub fn overrides(&self, freeze: &Digest, now: Time) -> bool {
        let policy = self.policy.as_ref().map(|held| &held.policy);
        policy.is_some_and(|policy| policy.expires > now && policy.overrides(freeze, now))
    }
}

/// Components that fell back or into safe mode with this change, and what they ran before.
fn fallen<'a>(
    before: &'a [ComponentStatus],
    after: &'a [ComponentStatus],
) -> impl Iterator<Item = (Option<Digest>, &'a ComponentStatus)> {
    let bad = |state: ComponentState| {
        matches!(state, ComponentState::FellBack | ComponentState::SafeMode)
    };
    after.iter().filter_map(move |now| {
        let was = before.iter().find(|status| status.component == now.component);
        let news = bad(now.state) && was.is_none_or(|was| was.state != now.state);
        news.then(|| (was.and_then(|was| was.release), now))
    })
}
