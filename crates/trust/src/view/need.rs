//! What is missing, in the order in which it must be judged, and where it lies on the server.
use super::cover::Lacks;
use super::{Fetch, HeldTicket, Round, View};
use crate::{log, policy};
use andon_model::limits::{
    ATTESTATIONS_BYTES_MAX, CEILINGS_BYTES_MAX, DIRECTIVE_BYTES_MAX, ENVELOPE_BYTES_MAX,
    INDEX_BYTES_MAX, LOG_PROOF_BYTES_MAX, MANIFEST_BYTES_MAX, NOTE_BYTES_MAX,
    PROOF_BUNDLE_BYTES_MAX, SHARD_BYTES_MAX, TUF_BYTES_MAX,
};
use andon_model::order::shard_of;
use andon_model::{Digest, RolloutId, VendorId};

/// One thing wanted. Asked for at most once in a round, or twice when the round has learnt in between
/// that it is later than the clock says; so a round always ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    Index,
    Policy,
    Root(u64),
    Timestamp,
    Snapshot(u64),
    Targets(u64),
    Ticket(RolloutId),
    /// this host's shard of the rollout's order
    Order(RolloutId),
    /// the shard with the ceiling of this host's stratum
    Ceiling(RolloutId),
    Stop(Digest),
    Vendor(VendorId),
    Manifest(RolloutId),
    /// the log's newest checkpoint, for the time at which a quorum of witnesses has seen it
    Checkpoint,
    /// this release and all that proves it, in one file: for who has nothing yet
    Bundle(Digest),
    /// that a public log holds this release
    Proof(Digest),
    /// what a vendor line has signed, passed on by this host's own
    Line(VendorId, LineFile),
    /// what rigs and people have signed about this release
    Attestations(Digest),
}

/// One signed thing of a vendor line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LineFile {
    Policy,
    Seats,
    Ticket(RolloutId),
    Ceiling(RolloutId),
}

impl LineFile {
    /// Below the vendor line's folder.
    fn path(&self, lacks: Option<&Lacks>) -> String {
        match self {
            LineFile::Ceiling(rollout) => View::ceiling_path(rollout, lacks),
            LineFile::Policy => "policy.json".to_owned(),
            LineFile::Seats => "seats.json".to_owned(),
            LineFile::Ticket(rollout) => format!("tickets/{rollout}.json"),
        }
    }
}

impl Need {
    /// In refusals.
    pub(super) fn name(&self) -> String {
        match self {
            Need::Index => "index".to_owned(),
            Need::Policy => "policy".to_owned(),
            Need::Root(_) => "root".to_owned(),
            Need::Timestamp => "timestamp".to_owned(),
            Need::Snapshot(_) => "snapshot".to_owned(),
            Need::Targets(_) => "targets".to_owned(),
            Need::Ticket(rollout) => format!("ticket {rollout}"),
            Need::Order(rollout) => format!("order of {rollout}"),
            Need::Ceiling(rollout) => format!("ceiling of {rollout}"),
            Need::Stop(digest) => format!("stop {}", digest.short()),
            Need::Checkpoint => "checkpoint of the log".to_owned(),
            Need::Vendor(vendor) => format!("vendor {vendor}"),
            Need::Bundle(release) => format!("proof bundle of {}", release.short()),
            Need::Manifest(rollout) => format!("manifest of {rollout}"),
            Need::Proof(release) | Need::Attestations(release) => {
                format!("release {}", release.short())
            }
            Need::Line(vendor, LineFile::Policy) => format!("policy of vendor:{vendor}"),
            Need::Line(vendor, LineFile::Seats) => format!("seats of vendor:{vendor}"),
            Need::Line(vendor, LineFile::Ticket(rollout)) => {
                format!("ticket {rollout} of vendor:{vendor}")
            }
            Need::Line(vendor, LineFile::Ceiling(rollout)) => {
                format!("ceiling of {rollout} of vendor:{vendor}")
            }
        }
    }
}

impl View {
    /// The first thing that is missing and was not yet asked for in this round.
    pub(super) fn need(&mut self, round: &Round) -> Option<Need> {
        let untried = |need: &Need| !round.tried.contains(need);
        if untried(&Need::Index) {
            return Some(Need::Index);
        }
        let (_, index) = self.index.as_ref()?;
        let have = self.policy.as_ref().map(|(digest, _)| *digest);
        let policy = index.policy.filter(|d| Some(*d) != have && !self.refused.contains_key(d));
        if policy.is_some() && untried(&Need::Policy) {
            return Some(Need::Policy);
        }
        let timestamp = index.timestamp;
        if let Some(need) = self.cold_need(round, timestamp) {
            return Some(need);
        }
        if let Some(need) = self.catalogue.need(timestamp).filter(untried) {
            return Some(need);
        }
        self.ticket_need(round)
            .or_else(|| self.place_need(round))
            .or_else(|| self.stop_need(round))
            .or_else(|| self.checkpoint_need(round))
            .or_else(|| self.vendor_need(round))
            .or_else(|| self.line_need(round))
            .or_else(|| self.manifest_need(round))
            .or_else(|| self.proof_need(round))
            .or_else(|| self.attestations_need(round))
    }

    pub(super) fn ticket_need(&self, round: &Round) -> Option<Need> {
        let (_, index) = self.index.as_ref()?;
        // Nothing to judge a ticket by: the refusal of the policy says enough.
        self.policy.as_ref()?;
        let news = index.tickets.iter().filter(|listed| {
            let held = self.tickets.get(&listed.rollout).map(|held| held.digest);
            held != Some(listed.digest) && !self.refused.contains_key(&listed.digest)
        });
        let mut needs = news.map(|listed| Need::Ticket(listed.rollout.clone()));
        needs.find(|need| !round.tried.contains(need))
    }

    /// A place first: only then is it known whether a ceiling matters.
    pub(super) fn place_need(&self, round: &Round) -> Option<Need> {
        let undecided = self.tickets.iter().filter_map(|(rollout, held)| {
            Some(match held.undecided.as_ref()?.lacks {
                Lacks::Place(_) => Need::Order(rollout.clone()),
                Lacks::Ceiling(..) => Need::Ceiling(rollout.clone()),
            })
        });
        undecided.into_iter().find(|need| !round.tried.contains(need))
    }

    fn stop_need(&self, round: &Round) -> Option<Need> {
        let (_, index) = self.index.as_ref()?;
        let held = |d: &Digest| {
            self.stops.contains_key(d)
                || self.directives.contains_key(d)
                || self.refused.contains_key(d)
        };
        let mut needs = index.stops.iter().filter(|d| !held(d)).map(|d| Need::Stop(*d));
        needs.find(|need| !round.tried.contains(need))
    }

    /// What is dated in the future is, or this host's clock is behind: witnesses know.
    fn checkpoint_need(&self, round: &Round) -> Option<Need> {
        let several = |log: log::Policy| !log.is_quorum(|_| false);
        let asked = round.early.is_empty() || round.tried.contains(&Need::Checkpoint);
        let demanded = self.policy().filter(|_| !asked).map(policy::demanded_log);
        let known = demanded.and_then(Result::ok).flatten().is_some_and(several);
        known.then_some(Need::Checkpoint)
    }

    /// A freeze of a vendor's own release, or a ticket whose release nobody lists so far, makes it
    /// necessary to read vendors' roles: that vendor's, or one after another until it is found.
    fn vendor_need(&self, round: &Round) -> Option<Need> {
        let untried = |need: &Need| !round.tried.contains(need);
        let waiting = round.waiting.iter().map(|(_, vendor, _)| vendor);
        let first = waiting.filter(|vendor| self.catalogue.unread(vendor));
        if let Some(need) = first.map(|v| Need::Vendor(v.clone())).find(untried) {
            return Some(need);
        }
        let lost =
            |t: &HeldTicket| self.catalogue.find(&t.release, &t.component, t.version).is_none();
        if !self.tickets.values().any(|held| held.covered && lost(held)) {
            return None;
        }
        let here = round.parts.as_ref().map(|parts| parts.vendor().clone());
        let here = here.filter(|vendor| self.catalogue.unread(vendor)).map(Need::Vendor);
        if let Some(need) = here.filter(untried) {
            return Some(need);
        }
        self.catalogue.all_unread().map(|v| Need::Vendor(v.clone())).find(untried)
    }

    fn manifest_need(&self, round: &Round) -> Option<Need> {
        let wanted = self.tickets.iter().filter(|(_, held)| {
            held.covered
                && !self.manifests.contains_key(&held.release)
                && !self.refused.contains_key(&held.release)
                && !self.waits_outside(round.now, held)
                && self.catalogue.find(&held.release, &held.component, held.version).is_some()
        });
        let mut needs = wanted.map(|(rollout, _)| Need::Manifest(rollout.clone()));
        needs.find(|need| !round.tried.contains(need))
    }

    /// What the log must hold is known once the manifest is.
    fn proof_need(&self, round: &Round) -> Option<Need> {
        let held = self.tickets.values().filter(|held| held.covered).map(|held| held.release);
        let unproven = held
            .filter(|release| self.manifests.contains_key(release) && self.lacks_proof(release));
        unproven.map(Need::Proof).find(|need| !round.tried.contains(need))
    }

    /// As often as the index says that they have changed: a failed test may come after a passed one.
    fn attestations_need(&self, round: &Round) -> Option<Need> {
        let (_, index) = self.index.as_ref()?;
        if self.policy().is_none_or(|policy| policy.attestations.is_none()) {
            return None;
        }
        let news = index.attestations.iter().filter(|listed| {
            let held = self.attested.get(&listed.release).map(|held| held.digest);
            held != Some(listed.digest) && self.manifests.contains_key(&listed.release)
        });
        let mut needs = news.map(|listed| Need::Attestations(listed.release));
        needs.find(|need| !round.tried.contains(need))
    }

    /// Whether the policy demands a proof of logging for this release that is not here yet.
    pub(super) fn lacks_proof(&self, release: &Digest) -> bool {
        let demanded = self.policy().is_some_and(|policy| policy.log.is_some());
        demanded && !self.logged.contains(release)
    }

    pub(super) fn fetch(&self, need: &Need) -> Fetch {
        let line = format!("/v1/lines/{}", self.anchor.line);
        let tuf = |name: String| (format!("/v1/tuf/{name}"), TUF_BYTES_MAX);
        let mut known = None;
        let (path, limit) = match need {
            Need::Index => {
                known = self.index.as_ref().map(|(digest, _)| *digest);
                (format!("{line}/index.json"), INDEX_BYTES_MAX)
            }
            Need::Policy => (format!("{line}/policy.json"), ENVELOPE_BYTES_MAX),
            Need::Root(version) => tuf(format!("{version}.root.json")),
            Need::Timestamp => tuf("timestamp.json".to_owned()),
            Need::Snapshot(version) => tuf(format!("{version}.snapshot.json")),
            Need::Targets(version) => tuf(format!("{version}.targets.json")),
            Need::Vendor(name) => tuf(format!("{}.{name}.json", self.catalogue.role_version(name))),
            Need::Ticket(rollout) => (format!("{line}/tickets/{rollout}.json"), ENVELOPE_BYTES_MAX),
            Need::Order(rollout) => {
                let shard = shard_of(self.host);
                (format!("{line}/orders/{rollout}/{shard}.json"), SHARD_BYTES_MAX)
            }
            Need::Ceiling(rollout) => {
                let undecided = self.tickets.get(rollout).and_then(|it| it.undecided.as_ref());
                let path = View::ceiling_path(rollout, undecided.map(|it| &it.lacks));
                (format!("{line}/{path}"), CEILINGS_BYTES_MAX)
            }
            Need::Stop(digest) => (format!("{line}/stops/{digest}.json"), DIRECTIVE_BYTES_MAX),
            Need::Manifest(rollout) => (self.manifest_url(rollout), MANIFEST_BYTES_MAX),
            Need::Bundle(release) => {
                let root = self.catalogue.root_version();
                (format!("/v1/proof-bundles/{release}?root={root}"), PROOF_BUNDLE_BYTES_MAX)
            }
            Need::Checkpoint => ("/v1/log/checkpoint".to_owned(), NOTE_BYTES_MAX),
            Need::Proof(release) => (format!("/v1/log/proofs/{release}"), LOG_PROOF_BYTES_MAX),
            Need::Attestations(release) => {
                (format!("{line}/attestations/{release}.jsonl"), ATTESTATIONS_BYTES_MAX)
            }
            Need::Line(vendor, file) => {
                let limit = match file {
                    LineFile::Ceiling(_) => CEILINGS_BYTES_MAX,
                    _ => ENVELOPE_BYTES_MAX,
                };
                let path = file.path(self.line_lacks(vendor, file));
                (format!("{line}/vendor/{vendor}/{path}"), limit)
            }
        };
        Fetch { path, limit, known }
    }

    /// Under TUF's consistent snapshots the digest stands before the file's name.
    fn manifest_url(&self, rollout: &RolloutId) -> String {
        let held = self.tickets.get(rollout);
        let listed = held.and_then(|t| self.catalogue.find(&t.release, &t.component, t.version));
        let release = held.map(|t| t.release.to_string()).unwrap_or_default();
        let path = listed.map(|listed| listed.path).unwrap_or_default();
        match path.rsplit_once('/') {
            Some((folder, file)) => format!("/v1/targets/{folder}/{release}.{file}"),
            None => format!("/v1/targets/{release}.{path}"),
        }
    }
}
