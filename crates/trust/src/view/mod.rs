//! A host's view of the world: what it has verified, what it wants next, what follows.
//!
//! Sans-I/O. One round: [`View::begin`]; then, until [`Step::Done`], fetch what [`View::next`] names
//! and give the answer to [`View::supply`]; then read [`View::outcome`]. A round that fails half-way
//! leaves everything verified before in force. What it is not: transport, disk, clock, or a decision
//! to activate: that is `andon-host`'s.
mod outcome;
mod record;
mod round;

pub use outcome::{FreezeInForce, Offer, Outcome, Refusal, RefusalCode};
pub use record::RecordError;

use crate::stop::Authorities;
use crate::ticket::SeenTicket;
use crate::tuf::{TufError, TufSet, VendorRole};
use andon_model::class::HostClass;
use andon_model::enrol::Anchor;
use andon_model::envelope::Envelope;
use andon_model::index::Index;
use andon_model::policy::{Person, Policy};
use andon_model::release::Manifest;
use andon_model::stop::Freeze;
use andon_model::ticket::Ticket;
use andon_model::{Digest, HostId, LineId, RolloutId, Time, VendorId};
use round::Round;
use std::collections::BTreeMap;

/// What to do next in a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// get this and supply the answer
    Fetch(Fetch),
    /// the round is over; read the outcome
    Done,
}

/// One thing to get from the static plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// path below the server's base, beginning with `/v1/`
    pub path: String,
    /// read at most so many bytes; more is a failure
    pub limit: usize,
    /// digest of what we have: send as ETag, answer NotModified on 304
    pub known: Option<Digest>,
}

/// What came back.
#[derive(Clone, Debug)]
pub enum Answer {
    /// the bytes
    Bytes(Vec<u8>),
    /// we have it already
    NotModified,
    /// there is no such thing
    Missing,
    /// transport failed, or it was too large
    Failed(String),
}

/// Everything about files under TUF that outlives a round.
#[derive(Clone, Debug, Default)]
struct Catalogue {
    /// raw bytes as verified: root, timestamp, snapshot, targets, roles by vendor
    root: Vec<u8>,
    timestamp: Vec<u8>,
    snapshot: Vec<u8>,
    targets: Vec<u8>,
    roles: BTreeMap<VendorId, Vec<u8>>,
    /// what they say
    vendors: BTreeMap<VendorId, VendorRole>,
    expires: Time,
    /// a vendor's role was listed and did not arrive
    incomplete: bool,
}

/// A ticket that was verified, and the digest of its envelope.
#[derive(Clone, Debug)]
struct HeldTicket {
    digest: Digest,
    ticket: Ticket,
}

/// A freeze that was verified.
#[derive(Clone, Debug)]
struct HeldStop {
    envelope: Envelope,
    freeze: Freeze,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct View {
    anchor: Anchor,
    host: HostId,
    class: HostClass,
    index: Option<(Digest, Index)>,
    policy: Option<(Digest, Policy)>,
    policy_envelope: Option<Envelope>,
    policy_version_seen: u64,
    catalogue: Catalogue,
    tickets: BTreeMap<RolloutId, HeldTicket>,
    seen: BTreeMap<RolloutId, SeenTicket>,
    stops: BTreeMap<Digest, HeldStop>,
    manifests: BTreeMap<Digest, Manifest>,
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
    #[error("anchor needs {0} of {1} operators")]
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
        if anchor.schema != 1 {
            return Err(ViewError::Schema(anchor.schema));
        }
        let (need, have) = (anchor.operators_threshold, anchor.operators.len());
        if need == 0 || need as usize > have {
            return Err(ViewError::Threshold(need, have));
        }
        let root = serde_json::to_vec(&anchor.tuf_root).unwrap_or_default();
        TufSet::from_root(&root)?;
        Ok(View {
            anchor,
            host,
            class,
            index: None,
            policy: None,
            policy_envelope: None,
            policy_version_seen: 0,
            catalogue: Catalogue { root, ..Catalogue::default() },
            tickets: BTreeMap::new(),
            seen: BTreeMap::new(),
            stops: BTreeMap::new(),
            manifests: BTreeMap::new(),
            round: None,
            outcome: Outcome::default(),
        })
    }

    /// Starts a round; an unfinished one is forgotten.
    pub fn begin(&mut self, now: Time) {
        self.outcome = Outcome::default();
        self.round = Some(Round::new(now));
    }

    /// What the last round found; complete once [`View::next`] has said [`Step::Done`].
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The policy in force, if one was verified.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref().map(|(_, policy)| policy)
    }

    /// Version of the index last seen, for the bell.
    #[must_use]
    pub fn index_version(&self) -> u64 {
        self.index.as_ref().map_or(0, |(_, index)| index.version)
    }

    /// Who may stop what, by what is verified so far.
    #[must_use]
    pub fn authorities(&self) -> Authorities {
        let mut releases = BTreeMap::new();
        let mut vendors = BTreeMap::new();
        for (vendor, role) in &self.catalogue.vendors {
            vendors.insert(vendor.clone(), role.keys.clone());
            for file in role.targets.values() {
                releases.insert(file.digest, vendor.clone());
            }
        }
        let key = |person: &Person| person.key;
        let mut operators: Vec<_> = self.anchor.operators.iter().map(key).collect();
        if let Some(policy) = self.policy() {
            operators.extend(policy.people.iter().map(key));
            operators.push(policy.online);
        }
        let operator = match &self.anchor.line {
            LineId::Operator(name) => Some(name.clone()),
            LineId::Vendor(_) => None,
        };
        let platform = self.anchor.platform.clone();
        Authorities { platform, vendors, releases, operator, operators }
    }

    fn stratum(&self) -> andon_model::StratumId {
        self.class.stratum()
    }

    /// Puts together what may be acted on at `now`.
    fn conclude(&mut self, now: Time) {
        let mut outcome = std::mem::take(&mut self.outcome);
        outcome.index_version = self.index_version();
        self.stops.retain(|_, held| held.freeze.expires > now);
        outcome.freezes = self.stops.values().map(freeze_in_force).collect();
        outcome.policy = self.policy().filter(|policy| policy.expires > now).cloned();
        if outcome.policy.is_none() {
            outcome.refuse("policy", RefusalCode::Expired, "no policy in force");
        } else if self.catalogue.expires <= now {
            outcome.refuse(
                "timestamp",
                RefusalCode::Expired,
                "TUF metadata has expired or is missing",
            );
        } else {
            self.offer(now, &mut outcome);
        }
        self.outcome = outcome;
    }

    fn offer(&self, now: Time, outcome: &mut Outcome) {
        let stratum = self.stratum();
        for held in self.tickets.values() {
            let ticket = &held.ticket;
            if now >= ticket.not_after || now < ticket.not_before {
                let what = format!("ticket {}", ticket.rollout);
                outcome.refuse(&what, RefusalCode::Expired, "ticket is not in force now");
                continue;
            }
            if !crate::ticket::covers(ticket, self.host, &stratum) {
                continue;
            }
            let Some(manifest) = self.manifests.get(&ticket.release) else { continue };
            let frozen = |held: &HeldStop| held.freeze.concerns(&manifest.vendor, &ticket.release);
            if let Some(stop) = self.stops.values().find(|held| frozen(held)) {
                let why = format!("frozen by {}: {}", stop.freeze.by, stop.freeze.reason);
                outcome.refuse(&format!("release {}", ticket.release), RefusalCode::Frozen, &why);
                continue;
            }
            outcome.offers.push(Offer {
                rollout: ticket.rollout.clone(),
                generation: ticket.generation,
                release: ticket.release,
                lane: ticket.lane,
                manifest: manifest.clone(),
            });
        }
    }
}

fn freeze_in_force(held: &HeldStop) -> FreezeInForce {
    FreezeInForce { digest: Digest::of(&held.envelope.payload), freeze: held.freeze.clone() }
}
