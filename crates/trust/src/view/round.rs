//! One round: index, policy, TUF, stops, tickets, manifests, in this order, each verified before the
//! next is asked for. A failure becomes a refusal; only what depends on it is left out.
use super::outcome::chain;
use super::{Answer, Fetch, HeldStop, HeldTicket, RefusalCode, Step, View};
use crate::policy::{self, PolicyRefusal};
use crate::stop;
use crate::ticket::{self, SeenTicket, TicketRefusal};
use crate::tuf::{MetadataSet as _, TufSet, VendorRole};
use andon_model::envelope::{Envelope, EnvelopeError};
use andon_model::index::Index;
use andon_model::limits::{
    ENVELOPE_BYTES_MAX, INDEX_BYTES_MAX, MANIFEST_BYTES_MAX, STOP_BYTES_MAX, TUF_BYTES_MAX,
    TUF_ROOT_ROTATIONS_MAX,
};
use andon_model::release::{Manifest, target_path};
use andon_model::{Digest, RolloutId, Time, VendorId};
use std::collections::{BTreeMap, VecDeque};

/// One thing wanted.
#[derive(Clone, Debug)]
enum Want {
    Index,
    Policy(Digest),
    Root(u64),
    Timestamp,
    Snapshot(u64),
    Targets(u64),
    Vendor(VendorId, u64),
    Stop(Digest),
    Ticket(RolloutId, Digest),
    Manifest { vendor: VendorId, path: String, release: Digest, length: u64 },
}

/// Everything of a round that is not yet in force.
#[derive(Debug)]
pub(super) struct Round {
    now: Time,
    queue: VecDeque<Want>,
    current: Option<Want>,
    manifests_wanted: bool,
    concluded: bool,
    tuf: Option<Tuf>,
}

/// TUF metadata on its way in.
#[derive(Debug)]
struct Tuf {
    set: TufSet,
    rotations: u32,
    root: Vec<u8>,
    timestamp: Vec<u8>,
    snapshot: Vec<u8>,
    targets: Vec<u8>,
    roles: BTreeMap<VendorId, Vec<u8>>,
    vendors: BTreeMap<VendorId, VendorRole>,
}

impl Round {
    pub(super) fn new(now: Time) -> Round {
        let queue = VecDeque::from([Want::Index]);
        Round { now, queue, current: None, manifests_wanted: false, concluded: false, tuf: None }
    }
}

impl View {
    /// What to fetch next. Asking again without supplying an answer skips what was asked for.
    #[expect(clippy::should_implement_trait, reason = "a step may be asked for again; no iterator")]
    pub fn next(&mut self) -> Step {
        let Some(mut round) = self.round.take() else { return Step::Done };
        if round.queue.is_empty() && !round.manifests_wanted {
            // Last, because a vendor's role that came in this round may explain an older ticket.
            round.manifests_wanted = true;
            self.want_manifests(&mut round);
        }
        round.current = round.queue.pop_front();
        let step = match &round.current {
            Some(want) => Step::Fetch(self.fetch(want)),
            None => {
                if !round.concluded {
                    self.conclude(round.now);
                    round.concluded = true;
                }
                Step::Done
            }
        };
        self.round = Some(round);
        step
    }

    /// The answer to what [`View::next`] asked for last.
    pub fn supply(&mut self, answer: Answer) {
        let Some(mut round) = self.round.take() else { return };
        if let Some(want) = round.current.take() {
            self.take(&mut round, want, answer);
        }
        self.round = Some(round);
    }

    fn fetch(&self, want: &Want) -> Fetch {
        let line = format!("/v1/lines/{}", self.anchor.line);
        let tuf = |name: String| (format!("/v1/tuf/{name}"), TUF_BYTES_MAX);
        let mut known = None;
        let (path, limit) = match want {
            Want::Index => {
                known = self.index.as_ref().map(|(digest, _)| *digest);
                (format!("{line}/index.json"), INDEX_BYTES_MAX)
            }
            Want::Policy(_) => (format!("{line}/policy.json"), ENVELOPE_BYTES_MAX),
            Want::Root(version) => tuf(format!("{version}.root.json")),
            Want::Timestamp => tuf("timestamp.json".to_owned()),
            Want::Snapshot(version) => tuf(format!("{version}.snapshot.json")),
            Want::Targets(version) => tuf(format!("{version}.targets.json")),
            Want::Vendor(name, version) => tuf(format!("{version}.{name}.json")),
            Want::Stop(digest) => (format!("{line}/stops/{digest}.json"), STOP_BYTES_MAX),
            Want::Ticket(rollout, _) => {
                (format!("{line}/tickets/{rollout}.json"), ENVELOPE_BYTES_MAX)
            }
            Want::Manifest { path, release, .. } => {
                (manifest_url(path, release), MANIFEST_BYTES_MAX)
            }
        };
        Fetch { path, limit, known }
    }

    fn take(&mut self, round: &mut Round, want: Want, answer: Answer) {
        let bytes = match (&want, answer) {
            (_, Answer::Bytes(bytes)) => bytes,
            (Want::Index, Answer::NotModified) => return self.index_again(round),
            (Want::Root(_), Answer::Missing) => return round.queue.push_front(Want::Timestamp),
            (_, Answer::NotModified | Answer::Missing) => {
                self.note_gap(&want);
                let why = "the index lists it, the server does not have it";
                return self.outcome.refuse(&name(&want), RefusalCode::Missing, why);
            }
            (_, Answer::Failed(why)) => {
                self.note_gap(&want);
                return self.outcome.refuse(&name(&want), RefusalCode::Missing, &why);
            }
        };
        match want {
            Want::Index => self.take_index(round, &bytes),
            Want::Policy(digest) => self.take_policy(round, digest, &bytes),
            Want::Root(version) => self.take_root(round, version, bytes),
            Want::Timestamp => self.take_timestamp(round, bytes),
            Want::Snapshot(_) => self.take_snapshot(round, bytes),
            Want::Targets(_) => self.take_targets(round, bytes),
            Want::Vendor(vendor, _) => self.take_vendor(round, vendor, bytes),
            Want::Stop(digest) => self.take_stop(round, digest, &bytes),
            Want::Ticket(rollout, digest) => self.take_ticket(round, &rollout, digest, &bytes),
            Want::Manifest { vendor, path, release, length } => {
                self.take_manifest(&vendor, &path, release, length, &bytes);
            }
        }
    }

    /// A vendor's role that did not arrive is asked for again in the next round.
    fn note_gap(&mut self, want: &Want) {
        if matches!(want, Want::Vendor(..)) {
            self.catalogue.incomplete = true;
        }
    }

    fn take_index(&mut self, round: &mut Round, bytes: &[u8]) {
        match Index::parse(bytes) {
            Err(why) => self.outcome.refuse("index", RefusalCode::Malformed, &chain(&why)),
            Ok(index) => {
                self.index = Some((Digest::of(bytes), index));
                self.index_again(round);
            }
        }
    }

    /// Wants what the index lists and we do not have.
    fn index_again(&mut self, round: &mut Round) {
        let Some((_, index)) = &self.index else { return };
        let have_policy = self.policy.as_ref().map(|(digest, _)| *digest);
        round.queue.extend(index.policy.filter(|d| Some(*d) != have_policy).map(Want::Policy));
        let have_timestamp = Digest::of(&self.catalogue.timestamp);
        let newer = index.timestamp.is_some_and(|digest| digest != have_timestamp);
        if newer || self.catalogue.incomplete {
            match TufSet::from_root(&self.catalogue.root) {
                Ok(set) => {
                    round.queue.push_back(Want::Root(set.root_version() + 1));
                    round.tuf = Some(Tuf::new(set, self.catalogue.root.clone()));
                }
                Err(why) => self.outcome.refuse("root", RefusalCode::Signature, &chain(&why)),
            }
        }
        let stops = index.stops.iter().filter(|digest| !self.stops.contains_key(*digest));
        round.queue.extend(stops.copied().map(Want::Stop));
        // A ticket that is no longer listed is withdrawn.
        let listed: BTreeMap<_, _> = index.tickets.iter().map(|t| (&t.rollout, t.digest)).collect();
        self.tickets.retain(|rollout, _| listed.contains_key(rollout));
        for (rollout, digest) in listed {
            match self.tickets.get(rollout) {
                Some(held) if held.digest == digest => {}
                _ => round.queue.push_back(Want::Ticket(rollout.clone(), digest)),
            }
        }
    }

    fn take_policy(&mut self, round: &mut Round, digest: Digest, bytes: &[u8]) {
        if Digest::of(bytes) != digest {
            return self.outcome.refuse("policy", RefusalCode::Digest, "not what the index lists");
        }
        let envelope = match Envelope::parse(bytes) {
            Ok(envelope) => envelope,
            Err(why) => return self.outcome.refuse("policy", malformed(&why), &chain(&why)),
        };
        match policy::verify(&envelope, &self.anchor, round.now, self.policy_version_seen) {
            Ok(policy) => {
                self.policy_version_seen = policy.version;
                self.policy = Some((digest, policy));
                self.policy_envelope = Some(envelope);
            }
            Err(why) => {
                let code = match &why {
                    PolicyRefusal::Signature(_) => RefusalCode::Signature,
                    PolicyRefusal::Text(_) => RefusalCode::Malformed,
                    PolicyRefusal::Line => RefusalCode::Policy,
                    PolicyRefusal::Rollback { .. } => RefusalCode::Rollback,
                    PolicyRefusal::Expired => RefusalCode::Expired,
                };
                self.outcome.refuse("policy", code, &chain(&why));
            }
        }
    }

    fn take_root(&mut self, round: &mut Round, version: u64, bytes: Vec<u8>) {
        let Some(tuf) = &mut round.tuf else { return };
        match tuf.set.update_root(&bytes) {
            Ok(()) => {
                tuf.root = bytes;
                tuf.rotations += 1;
                let more = tuf.rotations < TUF_ROOT_ROTATIONS_MAX;
                round.queue.push_front(if more {
                    Want::Root(version + 1)
                } else {
                    Want::Timestamp
                });
            }
            Err(why) => self.give_up_tuf(round, "root", &why),
        }
    }

    fn take_timestamp(&mut self, round: &mut Round, bytes: Vec<u8>) {
        let Some(tuf) = &mut round.tuf else { return };
        // What was trusted before comes first, its age apart: the core then refuses anything older.
        let before = &self.catalogue;
        let _rotated_away = tuf.set.update_timestamp(&before.timestamp, Time(0));
        let _rotated_away = tuf.set.update_snapshot(&before.snapshot, Time(0));
        match tuf.set.update_timestamp(&bytes, round.now) {
            Ok(version) => {
                tuf.timestamp = bytes;
                round.queue.push_front(Want::Snapshot(version));
            }
            Err(why) => self.give_up_tuf(round, "timestamp", &why),
        }
    }

    fn take_snapshot(&mut self, round: &mut Round, bytes: Vec<u8>) {
        let Some(tuf) = &mut round.tuf else { return };
        match tuf.set.update_snapshot(&bytes, round.now) {
            Ok(version) => {
                tuf.snapshot = bytes;
                round.queue.push_front(Want::Targets(version));
            }
            Err(why) => self.give_up_tuf(round, "snapshot", &why),
        }
    }

    fn take_targets(&mut self, round: &mut Round, bytes: Vec<u8>) {
        let Some(tuf) = &mut round.tuf else { return };
        let vendors = match tuf.set.update_targets(&bytes, round.now) {
            Ok(vendors) => vendors,
            Err(why) => return self.give_up_tuf(round, "targets", &why),
        };
        tuf.targets = bytes;
        self.catalogue.incomplete = false;
        // From here on the metadata is in force; each vendor's role stands or falls alone.
        for (vendor, version) in vendors.into_iter().rev() {
            let keys = tuf.set.vendor_keys(&vendor);
            let role = VendorRole { keys, ..VendorRole::default() };
            tuf.vendors.insert(vendor.clone(), role);
            if let Some(version) = version {
                round.queue.push_front(Want::Vendor(vendor, version));
            }
        }
        self.adopt_catalogue(round);
    }

    fn take_vendor(&mut self, round: &mut Round, vendor: VendorId, bytes: Vec<u8>) {
        let Some(tuf) = &mut round.tuf else { return };
        match tuf.set.update_vendor(&vendor, &bytes, round.now) {
            Ok(role) => {
                tuf.vendors.insert(vendor.clone(), role);
                tuf.roles.insert(vendor, bytes);
                self.adopt_catalogue(round);
            }
            Err(why) => {
                let what = format!("vendor {vendor}");
                self.outcome.refuse(&what, RefusalCode::Signature, &chain(&why));
            }
        }
    }

    /// The metadata verified so far replaces what was in force before.
    fn adopt_catalogue(&mut self, round: &Round) {
        let Some(tuf) = &round.tuf else { return };
        self.catalogue.root.clone_from(&tuf.root);
        self.catalogue.timestamp.clone_from(&tuf.timestamp);
        self.catalogue.snapshot.clone_from(&tuf.snapshot);
        self.catalogue.targets.clone_from(&tuf.targets);
        self.catalogue.roles.clone_from(&tuf.roles);
        self.catalogue.vendors.clone_from(&tuf.vendors);
        self.catalogue.expires = tuf.set.expires();
    }

    fn give_up_tuf(&mut self, round: &mut Round, what: &str, why: &dyn std::error::Error) {
        round.tuf = None;
        let text = chain(why);
        let code =
            if text.contains("expired") { RefusalCode::Expired } else { RefusalCode::Signature };
        self.outcome.refuse(what, code, &text);
    }

    fn take_stop(&mut self, round: &Round, digest: Digest, bytes: &[u8]) {
        let what = format!("stop {}", digest.short());
        if Digest::of(bytes) != digest {
            return self.outcome.refuse(&what, RefusalCode::Digest, "not what the index lists");
        }
        let envelope = match Envelope::parse_limited(bytes, STOP_BYTES_MAX) {
            Ok(envelope) => envelope,
            Err(why) => return self.outcome.refuse(&what, malformed(&why), &chain(&why)),
        };
        match stop::verify(&envelope, &self.authorities(), round.now) {
            Ok(freeze) => {
                self.stops.insert(digest, HeldStop { envelope, freeze });
            }
            Err(why) => {
                let code = match &why {
                    stop::StopRefusal::TooLarge(_) => RefusalCode::TooLarge,
                    stop::StopRefusal::Signature(_) => RefusalCode::Signature,
                    stop::StopRefusal::Text(_) => RefusalCode::Malformed,
                    stop::StopRefusal::Scope(_) => RefusalCode::Policy,
                    stop::StopRefusal::Expired | stop::StopRefusal::Future => RefusalCode::Expired,
                };
                self.outcome.refuse(&what, code, &chain(&why));
            }
        }
    }

    fn take_ticket(
        &mut self,
        round: &mut Round,
        rollout: &RolloutId,
        digest: Digest,
        bytes: &[u8],
    ) {
        let what = format!("ticket {rollout}");
        if Digest::of(bytes) != digest {
            return self.outcome.refuse(&what, RefusalCode::Digest, "not what the index lists");
        }
        let Some((_, policy)) = &self.policy else {
            return self.outcome.refuse(&what, RefusalCode::Policy, "no policy to judge it by");
        };
        let envelope = match Envelope::parse(bytes) {
            Ok(envelope) => envelope,
            Err(why) => return self.outcome.refuse(&what, malformed(&why), &chain(&why)),
        };
        match ticket::verify(&envelope, policy, round.now, self.seen.get(rollout)) {
            Ok(ticket) if ticket.rollout == *rollout => {
                self.seen.insert(rollout.clone(), SeenTicket::of(&ticket));
                self.tickets.insert(rollout.clone(), HeldTicket { digest, ticket });
            }
            Ok(_) => self.outcome.refuse(&what, RefusalCode::Policy, "it names another rollout"),
            Err(why) => self.outcome.refuse(&what, ticket_code(&why), &chain(&why)),
        }
    }

    fn want_manifests(&mut self, round: &mut Round) {
        let held: Vec<RolloutId> = self.tickets.keys().cloned().collect();
        for rollout in held {
            self.want_manifest(round, &rollout);
        }
    }

    /// Wants the manifest of a ticket that covers this host.
    fn want_manifest(&mut self, round: &mut Round, rollout: &RolloutId) {
        let Some(ticket) = self.tickets.get(rollout).map(|held| &held.ticket) else { return };
        let covered = ticket::covers(ticket, self.host, &self.stratum());
        if !covered || self.manifests.contains_key(&ticket.release) {
            return;
        }
        let found = self.catalogue.vendors.iter().find_map(|(vendor, role)| {
            let path = target_path(vendor, &ticket.component, ticket.version);
            let file = role.targets.get(&path).filter(|file| file.digest == ticket.release)?;
            Some((vendor.clone(), path, file.length))
        });
        match found {
            Some((vendor, path, length)) => {
                let release = ticket.release;
                round.queue.push_back(Want::Manifest { vendor, path, release, length });
            }
            None => {
                let what = format!("release {}", ticket.release);
                let why = "no vendor's signed metadata lists this release";
                self.outcome.refuse(&what, RefusalCode::Signature, why);
            }
        }
    }

    fn take_manifest(
        &mut self,
        vendor: &VendorId,
        path: &str,
        release: Digest,
        length: u64,
        bytes: &[u8],
    ) {
        let what = format!("release {release}");
        if bytes.len() as u64 != length || Digest::of(bytes) != release {
            let why = "manifest is not what the vendor's metadata lists";
            return self.outcome.refuse(&what, RefusalCode::Digest, why);
        }
        let manifest = match Manifest::parse(bytes) {
            Ok(manifest) => manifest,
            Err(why) => return self.outcome.refuse(&what, RefusalCode::Malformed, &chain(&why)),
        };
        if manifest.vendor != *vendor || manifest.target_path() != path {
            let why = "manifest names another vendor, component or version than its path";
            return self.outcome.refuse(&what, RefusalCode::Policy, why);
        }
        let fits = &manifest.architectures;
        if !fits.is_empty() && !fits.iter().any(|arch| arch == self.class.arch.as_str()) {
            let why = "release is not made for this host's architecture";
            return self.outcome.refuse(&what, RefusalCode::Class, why);
        }
        let used = |digest: &Digest| self.tickets.values().any(|h| h.ticket.release == *digest);
        self.manifests.retain(|digest, _| used(digest));
        self.manifests.insert(release, manifest);
    }
}

impl Tuf {
    fn new(set: TufSet, root: Vec<u8>) -> Tuf {
        Tuf {
            set,
            rotations: 0,
            root,
            timestamp: Vec::new(),
            snapshot: Vec::new(),
            targets: Vec::new(),
            roles: BTreeMap::new(),
            vendors: BTreeMap::new(),
        }
    }
}

/// Where a manifest lies under TUF's consistent snapshots: the digest stands before the file's name.
fn manifest_url(path: &str, release: &Digest) -> String {
    match path.rsplit_once('/') {
        Some((folder, file)) => format!("/v1/targets/{folder}/{release}.{file}"),
        None => format!("/v1/targets/{release}.{path}"),
    }
}

fn name(want: &Want) -> String {
    match want {
        Want::Index => "index".to_owned(),
        Want::Policy(_) => "policy".to_owned(),
        Want::Root(_) => "root".to_owned(),
        Want::Timestamp => "timestamp".to_owned(),
        Want::Snapshot(_) => "snapshot".to_owned(),
        Want::Targets(_) => "targets".to_owned(),
        Want::Vendor(vendor, _) => format!("vendor {vendor}"),
        Want::Stop(digest) => format!("stop {}", digest.short()),
        Want::Ticket(rollout, _) => format!("ticket {rollout}"),
        Want::Manifest { release, .. } => format!("release {release}"),
    }
}

fn malformed(why: &EnvelopeError) -> RefusalCode {
    match why {
        EnvelopeError::TooLarge(_, _) => RefusalCode::TooLarge,
        EnvelopeError::Parse(_) | EnvelopeError::Signatures(_) => RefusalCode::Malformed,
    }
}

fn ticket_code(why: &TicketRefusal) -> RefusalCode {
    match why {
        TicketRefusal::Signature(_) | TicketRefusal::Approvals { .. } => RefusalCode::Signature,
        TicketRefusal::Text(_) => RefusalCode::Malformed,
        TicketRefusal::Rollback => RefusalCode::Rollback,
        TicketRefusal::Expired | TicketRefusal::Future => RefusalCode::Expired,
        TicketRefusal::Line
        | TicketRefusal::PolicyVersion(_)
        | TicketRefusal::Growth(_)
        | TicketRefusal::Soak(_) => RefusalCode::Policy,
    }
}
