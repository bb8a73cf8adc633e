//! A host's view of the world: what it has verified, what it wants next, what follows.
//!
//! Sans-I/O. One round: [`View::begin`]; then, until [`Step::Done`], fetch what [`View::next`] names
//! and give the answer to [`View::supply`]; then read [`View::outcome`]. A round that fails half-way
//! leaves everything verified before in force. What it is not: transport, disk, clock, or a decision
//! to activate: that is `andon-host`'s.
//!
//! How it works: `need` derives the first thing that is missing from what is held, each thing at
//! most once in a round; `take` verifies what comes; `judge` says what may be acted on.
pub(crate) mod bundle;
mod catalogue;
mod cold;
mod cover;
mod judge;
mod need;
mod outcome;
mod record;
pub(crate) mod release;
mod take;
mod vendor;

pub use outcome::{
    Answer, DirectiveInForce, Fetch, FreezeInForce, Offer, Outcome, Refusal, RefusalCode, Step,
};
pub use record::RecordError;

use crate::attestation::Words;
use crate::stop::Authorities;
use crate::ticket::SeenTicket;
use crate::tuf::{TufError, TufSet};
use andon_model::class::HostClass;
use andon_model::directive::Directive;
use andon_model::enrol::Anchor;
use andon_model::envelope::Envelope;
use andon_model::facts::{Facts, HostNow};
use andon_model::index::Index;
use andon_model::policy::{Lane, Person, Policy};
use andon_model::release::{Manifest, Version};
use andon_model::stop::Freeze;
use andon_model::{
    ComponentId, Digest, HostId, KeyId, LineId, PersonId, RolloutId, Time, VendorId,
};
use catalogue::Catalogue;
use cold::Parts;
use cover::{HeldCeiling, HeldPlace, Undecided};
use need::Need;
use std::collections::{BTreeMap, BTreeSet};
use vendor::HeldLine;

/// What is kept of a ticket that was verified. The ticket itself (up to half a megabyte) is not: a
/// thousand views share one process in the fleet runner.
#[derive(Clone, Debug)]
struct HeldTicket {
    digest: Digest,
    generation: u32,
    release: Digest,
    component: ComponentId,
    version: Version,
    lane: Lane,
    /// when the rollout began, as its rings count
    started: Time,
    /// when it first handed out: how far it may have come since, the policy's pace says
    begun: Time,
    not_before: Time,
    not_after: Time,
    /// whether this host's position is below the ticket's ceiling
    covered: bool,
    /// what to look up before that can be said
    undecided: Option<Undecided>,
    wave: Wave,
}

/// Which waves a ticket is of: hosts of classes that nobody has attested obey the first kind only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wave {
    Canary,
    Later,
}

/// Attestations as they came: which bytes, and what was verified of them.
#[derive(Clone, Debug)]
struct HeldWords {
    digest: Digest,
    words: Words,
}

/// A freeze that was verified.
#[derive(Clone, Debug)]
struct HeldStop {
    envelope: Envelope,
    freeze: Freeze,
}

/// A directive that was verified.
#[derive(Clone, Debug)]
struct HeldDirective {
    envelope: Envelope,
    directive: Directive,
}

/// What lasts for one round only.
#[derive(Debug, Default)]
struct Round {
    now: Time,
    /// what this host's clock says
    clock: Time,
    tried: BTreeSet<Need>,
    current: Option<Need>,
    /// what was dated in the future by what is taken for now
    early: BTreeSet<Need>,
    /// freezes and directives whose vendor's role must be read before they can be judged
    waiting: Vec<(Digest, VendorId, Envelope)>,
    /// what a proof bundle brought and nobody has asked for yet
    parts: Option<Parts>,
    refusals: Outcome,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct View {
    anchor: Anchor,
    host: HostId,
    class: HostClass,
    /// what it runs now; told anew whenever it changes, and after every start
    facts: Facts,
    index: Option<(Digest, Index)>,
    policy: Option<(Digest, Policy)>,
    policy_envelope: Option<Envelope>,
    policy_version_seen: u64,
    catalogue: Catalogue,
    tickets: BTreeMap<RolloutId, HeldTicket>,
    seen: BTreeMap<RolloutId, SeenTicket>,
    /// vendor lines that the policy in force names, as far as they mattered here
    lines: BTreeMap<VendorId, HeldLine>,
    stops: BTreeMap<Digest, HeldStop>,
    directives: BTreeMap<Digest, HeldDirective>,
    manifests: BTreeMap<Digest, Manifest>,
    /// releases that the logs of the policy in force were shown to hold
    logged: BTreeSet<Digest>,
    /// what rigs and people have signed about releases
    attested: BTreeMap<Digest, HeldWords>,
    /// the newest time that a quorum of witnesses has vouched for; 0: none. It is never earlier than this,
    /// whatever this host's clock says
    witnessed: Time,
    /// what was taken for now in the last round
    latest: Time,
    /// places that were verified, of rollouts that the index lists
    places: BTreeMap<RolloutId, HeldPlace>,
    /// ceilings that were verified, of rollouts that the index lists
    ceilings: BTreeMap<RolloutId, HeldCeiling>,
    /// bytes (by digest) that were judged and found wanting: not fetched again before what they
    /// were judged by (policy, TUF metadata) changes
    refused: BTreeMap<Digest, Refusal>,
    /// whether a proof bundle was asked for: one is, at most
    bundle_asked: bool,
    round: Option<Round>,
    outcome: Outcome,
}

/// Why a view cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// the anchor's TUF root is not one
    #[error("read the anchor's TUF root")]
    Root(#[from] TufError),
    /// the anchor's operator root cannot protect anything
    #[error("anchor needs {0} of {1} distinct operators with distinct keys")]
    Threshold(u32, usize),
    /// format of another time
    #[error("anchor has schema {0}, this version reads 1")]
    Schema(u32),
}

impl View {
    /// A host that has seen nothing yet but its anchor.
    /// # Errors
    /// [`ViewError`].
    pub fn new(anchor: Anchor, host: HostId, class: HostClass) -> Result<View, ViewError> {
        let (root, _) = trusted_root(&anchor)?;
        Ok(View {
            anchor,
            host,
            class,
            facts: Facts::default(),
            index: None,
            policy: None,
            policy_envelope: None,
            policy_version_seen: 0,
            catalogue: Catalogue::new(root),
            tickets: BTreeMap::new(),
            seen: BTreeMap::new(),
            lines: BTreeMap::new(),
            stops: BTreeMap::new(),
            directives: BTreeMap::new(),
            manifests: BTreeMap::new(),
            logged: BTreeSet::new(),
            attested: BTreeMap::new(),
            witnessed: Time(0),
            latest: Time(0),
            places: BTreeMap::new(),
            ceilings: BTreeMap::new(),
            refused: BTreeMap::new(),
            bundle_asked: false,
            round: None,
            outcome: Outcome::default(),
        })
    }

    /// What this host runs now. Where it stands in a plan may depend on that: tickets are read again.
    pub fn runs(&mut self, facts: Facts) {
        if facts != self.facts {
            self.facts = facts;
            self.tickets.clear();
        }
    }

    fn host_now(&self) -> HostNow<'_> {
        HostNow { class: &self.class, facts: &self.facts }
    }

    /// Starts a round; an unfinished one is forgotten. The last outcome stays readable until this
    /// round is over. `clock`: what this host's clock says; a quorum of witnesses knows better when it is
    /// behind what they have vouched for.
    pub fn begin(&mut self, clock: Time) {
        self.catalogue.end_refresh();
        let now = clock.max(self.witnessed);
        if now < self.latest {
            // The clock was ahead and is set: what had expired by it alone is judged again.
            self.refused.retain(|_, refusal| refusal.code != RefusalCode::Expired);
        }
        self.latest = now;
        self.round = Some(Round { now, clock, ..Round::default() });
    }

    /// What to fetch next. Asking again without supplying an answer skips what was asked for.
    #[expect(clippy::should_implement_trait, reason = "answers come between steps; no iterator")]
    pub fn next(&mut self) -> Step {
        let Some(mut round) = self.round.take() else { return Step::Done };
        while let Some(need) = self.need(&round) {
            round.tried.insert(need.clone());
            let fetch = self.fetch(&need);
            if let Some(answer) = self.at_hand(&mut round, &need, fetch.limit) {
                self.take(&mut round, &need, answer);
                continue;
            }
            round.current = Some(need);
            self.round = Some(round);
            return Step::Fetch(fetch);
        }
        self.catalogue.end_refresh();
        self.conclude(round);
        Step::Done
    }

    /// The answer to what [`View::next`] asked for last.
    pub fn supply(&mut self, answer: Answer) {
        let Some(mut round) = self.round.take() else { return };
        if let Some(need) = round.current.take() {
            self.take(&mut round, &need, answer);
        }
        self.round = Some(round);
    }

    /// What the last finished round found.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The last policy that was verified, in force or not.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref().map(|(_, policy)| policy)
    }

    /// Version of the index last seen, for the bell.
    #[must_use]
    pub fn index_version(&self) -> u64 {
        self.index.as_ref().map_or(0, |(_, index)| index.version)
    }

    /// Who may stop what, by what is verified so far: the last good delegations, expired or not.
    #[must_use]
    pub fn authorities(&self) -> Authorities {
        let key = |person: &Person| person.key;
        let mut people: Vec<_> = self.anchor.operators.iter().map(key).collect();
        people.extend(self.policy().into_iter().flat_map(|policy| &policy.people).map(key));
        let mut operators = people.clone();
        operators.extend(self.policy().map(|policy| policy.online));
        let operator = match &self.anchor.line {
            LineId::Operator(name) => Some(name.clone()),
            LineId::Vendor(_) => None,
        };
        Authorities {
            platform: self.anchor.platform.clone(),
            vendors: self.catalogue.vendor_keys(),
            releases: self.catalogue.releases().clone(),
            operator,
            operators,
            people,
            roots: self.anchor.operators.clone(),
            roots_threshold: self.anchor.operators_threshold,
            vendor_roles: self.catalogue.vendor_roles(),
        }
    }
}

/// The TUF root of an anchor that can protect something.
fn trusted_root(anchor: &Anchor) -> Result<(Vec<u8>, TufSet), ViewError> {
    if anchor.schema != 1 {
        return Err(ViewError::Schema(anchor.schema));
    }
    let people: BTreeSet<&PersonId> = anchor.operators.iter().map(|p| &p.person).collect();
    let keys: BTreeSet<KeyId> = anchor.operators.iter().map(|p| p.key.id()).collect();
    let (need, have) = (anchor.operators_threshold, people.len().min(keys.len()));
    if need == 0 || need as usize > have {
        return Err(ViewError::Threshold(need, have));
    }
    let root = serde_json::to_vec(&anchor.tuf_root).unwrap_or_default();
    let set = TufSet::from_root(&root)?;
    Ok((root, set))
}
