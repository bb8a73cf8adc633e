//! Verifies what came. A failure becomes a refusal; only what depends on it is left out.
use super::need::Need;
use super::outcome::chain;
use super::release::{self, ManifestRefusal};
use super::{
    Answer, HeldDirective, HeldPlace, HeldStop, HeldTicket, HeldWords, Refusal, RefusalCode, Round,
    Unplaced, View, Wave,
};
use crate::attestation::{self, AttestationRefusal, Words};
use crate::directive::{self, DirectiveRefusal};
use crate::policy::{self, PolicyRefusal};
use crate::stop::{self, StopRefusal};
use crate::ticket::{self, SeenTicket, TicketRefusal};
use crate::tuf::TufError;
use andon_model::directive::Directive;
use andon_model::envelope::{Envelope, EnvelopeError, PayloadType};
use andon_model::index::{Index, IndexError};
use andon_model::limits::{DIRECTIVE_BYTES_MAX, STOP_BYTES_MAX};
use andon_model::order::{Shard, ShardError};
use andon_model::release::ReleaseError;
use andon_model::stop::{Freeze, Party};
use andon_model::ticket::Ticket;
use andon_model::{Digest, RolloutId, VendorId};
use std::error::Error;

impl View {
    pub(super) fn take(&mut self, round: &mut Round, need: &Need, answer: Answer) {
        let bytes = match (need, answer) {
            (_, Answer::Bytes(bytes)) => bytes,
            (Need::Index, Answer::NotModified) => return,
            (Need::Root(_), Answer::Missing) => return self.catalogue.no_more_roots(),
            (_, Answer::NotModified | Answer::Missing) => {
                let why = "it should be there, and the server does not have it";
                return self.gap(round, need, why);
            }
            (_, Answer::Failed(why)) => return self.gap(round, need, &why),
        };
        match need {
            Need::Index => self.take_index(round, &bytes),
            Need::Policy => self.take_policy(round, &bytes),
            Need::Ticket(rollout) => self.take_ticket(round, rollout, &bytes),
            Need::Order(rollout) => self.take_order(round, rollout, &bytes),
            Need::Stop(digest) => self.take_stop(round, *digest, &bytes),
            Need::Manifest(rollout) => self.take_manifest(round, rollout, &bytes),
            Need::Checkpoint => self.take_checkpoint(round, &bytes),
            Need::Proof(release) => self.take_proof(round, *release, &bytes),
            Need::Line(vendor, file) => {
                self.take_line(round, (vendor, file), &need.name(), &bytes);
            }
            Need::Attestations(release) => self.take_attestations(round, *release, &bytes),
            Need::Vendor(vendor) => {
                if let Err(why) = self.catalogue.take_vendor(vendor, &bytes, round.now) {
                    round.refusals.refuse(&need.name(), tuf_code(&why), &chain(&why));
                }
                self.judge_waiting(round);
            }
            Need::Root(_) | Need::Timestamp | Need::Snapshot(_) | Need::Targets(_) => {
                self.take_metadata(round, need, bytes);
            }
        }
    }

    /// It did not come. It is asked for again in the next round.
    fn gap(&mut self, round: &mut Round, need: &Need, why: &str) {
        match need {
            Need::Proof(_) => {
                let why = format!("no proof that the log which the policy demands holds it: {why}");
                round.refusals.refuse(&need.name(), RefusalCode::Unlogged, &why);
            }
            _ => round.refusals.refuse(&need.name(), RefusalCode::Missing, why),
        }
        match need {
            Need::Root(_) | Need::Timestamp | Need::Snapshot(_) | Need::Targets(_) => {
                self.catalogue.give_up();
            }
            Need::Vendor(_) => self.judge_waiting(round),
            _ => {}
        }
    }

    fn take_metadata(&mut self, round: &mut Round, need: &Need, bytes: Vec<u8>) {
        let now = round.now;
        let taken = match need {
            Need::Root(_) => self.catalogue.take_root(bytes).map(|()| false),
            Need::Timestamp => self.catalogue.take_timestamp(bytes, now),
            Need::Snapshot(_) => self.catalogue.take_snapshot(bytes, now),
            _ => self.catalogue.take_targets(bytes, now),
        };
        match taken {
            // Who may sign what has changed: what was refused before is judged anew.
            Ok(true) => self.refused.clear(),
            Ok(false) => {}
            Err(why) => {
                self.catalogue.give_up();
                round.refusals.refuse(&need.name(), tuf_code(&why), &chain(&why));
            }
        }
    }

    fn take_index(&mut self, round: &mut Round, bytes: &[u8]) {
        match Index::parse(bytes) {
            Ok(index) => {
                // A ticket that is no longer listed is withdrawn.
                let listed =
                    |rollout: &RolloutId| index.tickets.iter().any(|t| t.rollout == *rollout);
                self.tickets.retain(|rollout, _| listed(rollout));
                self.withdraw_line_tickets(&index);
                self.index = Some((Digest::of(bytes), index));
            }
            Err(why) => {
                let code = match why {
                    IndexError::TooLarge => RefusalCode::TooLarge,
                    IndexError::Parse(_) => RefusalCode::Malformed,
                };
                round.refusals.refuse("index", code, &chain(&why));
            }
        }
    }

    fn take_policy(&mut self, round: &Round, bytes: &[u8]) {
        let digest = Digest::of(bytes);
        let envelope = match Envelope::parse(bytes) {
            Ok(envelope) => envelope,
            Err(why) => return self.refuse(digest, "policy", envelope_code(&why), &why),
        };
        let seen = self.policy_version_seen;
        match policy::verify(&envelope, &self.anchor, round.now, seen) {
            Ok(policy) => {
                let contradicts = |held: &andon_model::policy::Policy| {
                    held.version == policy.version && *held != policy
                };
                if self.policy().is_some_and(contradicts) {
                    let why = PolicyRefusal::Rollback { got: policy.version, seen };
                    return self.refuse(digest, "policy", RefusalCode::Rollback, &why);
                }
                self.policy_version_seen = policy.version;
                self.policy = Some((digest, policy));
                self.policy_envelope = Some(envelope);
                // Tickets, proofs and attestations are judged by the policy in force: all of them again.
                self.tickets.clear();
                self.logged.clear();
                self.attested.clear();
                self.refused.clear();
                self.judge_lines_again();
            }
            Err(why) => self.refuse(digest, "policy", policy_code(&why), &why),
        }
    }

    /// Whatever came under the ticket's name is judged by its signature: between index and ticket
    /// the server may have issued the next one.
    fn take_ticket(&mut self, round: &mut Round, rollout: &RolloutId, bytes: &[u8]) {
        let what = format!("ticket {rollout}");
        let digest = Digest::of(bytes);
        let Some((_, policy)) = &self.policy else { return };
        let envelope = match Envelope::parse(bytes) {
            Ok(envelope) => envelope,
            Err(why) => return self.refuse(digest, &what, envelope_code(&why), &why),
        };
        let ticket = match ticket::verify(&envelope, policy, round.now, self.seen.get(rollout)) {
            Ok(ticket) if ticket.rollout == *rollout => ticket,
            Ok(_) => {
                let why = "it names another rollout than its path";
                return round.refusals.refuse(&what, RefusalCode::Policy, why);
            }
            // Time passes: it may be in force in the next round.
            Err(why @ TicketRefusal::Future) => {
                round.early.insert(Need::Ticket(rollout.clone()));
                return round.refusals.refuse(&what, ticket_code(&why), &chain(&why));
            }
            Err(why) => return self.refuse(digest, &what, ticket_code(&why), &why),
        };
        let wave = match attestation::is_canary(&ticket, policy.lane(ticket.lane)) {
            true => Wave::Canary,
            false => Wave::Later,
        };
        let (covered, unplaced) = self.covered(&ticket);
        self.seen.insert(rollout.clone(), SeenTicket::of(&ticket));
        let held = HeldTicket {
            digest,
            generation: ticket.generation,
            release: ticket.release,
            component: ticket.component,
            version: ticket.version,
            lane: ticket.lane,
            started: ticket.planned.unwrap_or(ticket.steps[0].at),
            begun: ticket.steps[0].at,
            not_before: ticket.not_before,
            not_after: ticket.not_after,
            covered,
            unplaced,
            wave,
        };
        self.tickets.insert(rollout.clone(), held);
    }

    /// Whether a ticket covers this host, or what to look up before that can be said.
    fn covered(&self, ticket: &Ticket) -> (bool, Option<Unplaced>) {
        let Some(signed) = ticket.order_of(self.host) else {
            return (ticket::covers(ticket, self.host, self.host_now()), None);
        };
        match self.places.get(&ticket.rollout).filter(|held| held.signed == signed) {
            Some(held) => (ticket::covers_held(ticket, self.host_now(), held.place.as_ref()), None),
            None => {
                let mut rest = Box::new(ticket.clone());
                let own = ticket.stratum_of(self.host_now());
                rest.ceilings.retain(|ceiling| ceiling.stratum == own);
                (rest.steps, rest.approvals) = (vec![], vec![]);
                (false, Some(Unplaced { signed, rest }))
            }
        }
    }

    /// This host's own shard. What it says counts only if the signed root says so too.
    fn take_order(&mut self, round: &mut Round, rollout: &RolloutId, bytes: &[u8]) {
        let Some(held) = self.tickets.get_mut(rollout) else { return };
        let Some(Unplaced { signed, rest }) = held.unplaced.take() else { return };
        let found = Shard::parse(bytes).and_then(|shard| {
            let place = shard.place(&signed, self.host)?;
            Ok(place.map(|(stratum, rank)| (stratum.clone(), rank)))
        });
        match found {
            Ok(place) => {
                let now = (&self.class, &self.facts);
                held.covered = ticket::covers_held(&rest, now, place.as_ref());
                self.places.insert(rollout.clone(), HeldPlace { signed, place });
            }
            Err(why) => {
                held.unplaced = Some(Unplaced { signed, rest });
                let what = Need::Order(rollout.clone()).name();
                round.refusals.refuse(&what, shard_code(&why), &chain(&why));
            }
        }
    }

    fn take_stop(&mut self, round: &mut Round, digest: Digest, bytes: &[u8]) {
        let what = Need::Stop(digest).name();
        if Digest::of(bytes) != digest {
            let why = "bytes are not what the index lists";
            return round.refusals.refuse(&what, RefusalCode::Digest, why);
        }
        let read = Envelope::parse_limited(bytes, DIRECTIVE_BYTES_MAX);
        let read = read.and_then(|envelope| match (envelope.payload_type, bytes.len()) {
            (PayloadType::Directive, _) | (_, ..=STOP_BYTES_MAX) => Ok(envelope),
            (_, length) => Err(EnvelopeError::TooLarge(length, STOP_BYTES_MAX)),
        });
        match read {
            Ok(envelope) => self.judge_stop(round, digest, envelope),
            Err(why) => self.refuse(digest, &what, envelope_code(&why), &why),
        }
    }

    /// A freeze, or a directive: what it is stands in what is signed.
    fn judge_stop(&mut self, round: &mut Round, digest: Digest, envelope: Envelope) {
        match envelope.payload_type {
            PayloadType::Directive => self.judge_directive(round, digest, envelope),
            _ => self.judge_freeze(round, digest, envelope),
        }
    }

    fn judge_freeze(&mut self, round: &mut Round, digest: Digest, envelope: Envelope) {
        let what = Need::Stop(digest).name();
        let why = match stop::verify(&envelope, &self.authorities(), round.now) {
            Ok(freeze) => {
                self.stops.insert(digest, HeldStop { envelope, freeze });
                return;
            }
            Err(why) => why,
        };
        if let (StopRefusal::Scope(_), Ok(freeze)) = (&why, Freeze::parse(&envelope.payload))
            && let Some(vendor) = self.to_be_read(round, &freeze.by)
        {
            // Whether the release is the vendor's own stands in a role that was not read yet.
            return round.waiting.push((digest, vendor, envelope));
        }
        match why {
            StopRefusal::Future => {
                round.early.insert(Need::Stop(digest));
                round.refusals.refuse(&what, RefusalCode::Expired, &chain(&why));
            }
            why => self.refuse(digest, &what, stop_code(&why), &why),
        }
    }

    fn judge_directive(&mut self, round: &mut Round, digest: Digest, envelope: Envelope) {
        let what = Need::Stop(digest).name();
        let why = match directive::verify(&envelope, &self.authorities(), round.now) {
            Ok(directive) => {
                self.directives.insert(digest, HeldDirective { envelope, directive });
                return;
            }
            Err(why) => why,
        };
        if let (DirectiveRefusal::Scope(_), Ok(said)) = (&why, Directive::parse(&envelope.payload))
            && let Some(vendor) = self.to_be_read(round, &said.by)
        {
            return round.waiting.push((digest, vendor, envelope));
        }
        match why {
            DirectiveRefusal::Future => {
                round.early.insert(Need::Stop(digest));
                round.refusals.refuse(&what, RefusalCode::Expired, &chain(&why));
            }
            why => self.refuse(digest, &what, directive_code(&why), &why),
        }
    }

    /// The vendor, if it is one whose role is yet to be read in this round.
    fn to_be_read(&self, round: &Round, by: &Party) -> Option<VendorId> {
        let Party::Vendor(vendor) = by else { return None };
        let unread = self.catalogue.unread(vendor);
        (unread && !round.tried.contains(&Need::Vendor(vendor.clone()))).then(|| vendor.clone())
    }

    /// A vendor's role came, or did not: what waited for it is judged again.
    fn judge_waiting(&mut self, round: &mut Round) {
        for (digest, _, envelope) in std::mem::take(&mut round.waiting) {
            self.judge_stop(round, digest, envelope);
        }
    }

    fn take_manifest(&mut self, round: &mut Round, rollout: &RolloutId, bytes: &[u8]) {
        let Some(held) = self.tickets.get(rollout) else { return };
        let release = held.release;
        let what = format!("release {}", release.short());
        let Some(listed) = self.catalogue.find(&release, &held.component, held.version) else {
            return;
        };
        let manifest = match release::manifest(&listed, release, bytes) {
            Ok(manifest) => manifest,
            // Other bytes may come in the next round; these would be no better.
            Err(why @ ManifestRefusal::Bytes) => {
                return round.refusals.refuse(&what, manifest_code(&why), &chain(&why));
            }
            Err(why) => return self.refuse(release, &what, manifest_code(&why), &why),
        };
        let fits = &manifest.architectures;
        if !fits.is_empty() && !fits.iter().any(|arch| arch == self.class.arch.as_str()) {
            let why = format!("release is not made for architecture {}", self.class.arch);
            self.refused.insert(release, Refusal { what, code: RefusalCode::Class, why });
            return;
        }
        self.manifests.insert(release, manifest);
    }

    /// What was dated in the future is asked for once more if it is later than this host thought.
    fn take_checkpoint(&mut self, round: &mut Round, bytes: &[u8]) {
        let Some(Ok(Some(log))) = self.policy().map(policy::demanded_log) else { return };
        match release::seen(bytes, &log) {
            Ok(vouched) => self.witnessed = self.witnessed.max(vouched),
            Err(why) => {
                let name = Need::Checkpoint.name();
                return round.refusals.refuse(&name, RefusalCode::Unlogged, &chain(&why));
            }
        }
        if round.now < self.witnessed {
            round.now = self.witnessed;
            for need in std::mem::take(&mut round.early) {
                round.refusals.refusals.retain(|refusal| refusal.what != need.name());
                round.tried.remove(&need);
            }
        }
    }

    /// A proof may be another one in the next round: it is made anew with every checkpoint.
    fn take_proof(&mut self, round: &mut Round, release: Digest, bytes: &[u8]) {
        let what = Need::Proof(release).name();
        let Some(manifest) = self.manifests.get(&release) else { return };
        let demanded = self.policy().map(policy::demanded_log);
        let Some(Ok(Some(log))) = demanded else { return };
        match release::logged(bytes, release, manifest, &log) {
            Ok(verified) => {
                self.witnessed = self.witnessed.max(release::vouched(verified.checkpoint(), &log));
                self.logged.insert(release);
            }
            Err(why) => {
                let why = chain(&why);
                let why = format!("proof that the log which the policy demands holds it: {why}");
                round.refusals.refuse(&what, RefusalCode::Unlogged, &why);
            }
        }
    }

    /// Attestations that cannot be read are none: what was known before may be what they take back.
    fn take_attestations(&mut self, round: &mut Round, release: Digest, bytes: &[u8]) {
        let Some((_, policy)) = &self.policy else { return };
        let read = Words::read(bytes, &release, policy);
        let words = read.unwrap_or_else(|why| {
            let (what, code) = (Need::Attestations(release).name(), attestations_code(&why));
            let why = format!("its attestations: {}", chain(&why));
            round.refusals.refuse(&what, code, &why);
            Words::default()
        });
        self.attested.insert(release, HeldWords { digest: Digest::of(bytes), words });
    }

    /// These bytes will not be better next time.
    pub(super) fn refuse(
        &mut self,
        digest: Digest,
        what: &str,
        code: RefusalCode,
        why: &dyn Error,
    ) {
        let refusal = Refusal { what: what.to_owned(), code, why: chain(why) };
        self.refused.insert(digest, refusal);
    }
}

pub(super) fn policy_code(why: &PolicyRefusal) -> RefusalCode {
    match why {
        PolicyRefusal::Signature(_) => RefusalCode::Signature,
        PolicyRefusal::Text(_) | PolicyRefusal::Log(_) | PolicyRefusal::NoLog => {
            RefusalCode::Malformed
        }
        PolicyRefusal::Line => RefusalCode::Policy,
        PolicyRefusal::Rollback { .. } => RefusalCode::Rollback,
        PolicyRefusal::Expired => RefusalCode::Expired,
    }
}

pub(super) fn envelope_code(why: &EnvelopeError) -> RefusalCode {
    match why {
        EnvelopeError::TooLarge(_, _) => RefusalCode::TooLarge,
        EnvelopeError::Parse(_) | EnvelopeError::Signatures(_) => RefusalCode::Malformed,
    }
}

fn attestations_code(why: &AttestationRefusal) -> RefusalCode {
    match why {
        AttestationRefusal::TooLarge(_) | AttestationRefusal::TooMany => RefusalCode::TooLarge,
        AttestationRefusal::Envelope(why) => envelope_code(why),
        _ => RefusalCode::Malformed,
    }
}

pub(super) fn manifest_code(why: &ManifestRefusal) -> RefusalCode {
    match why {
        ManifestRefusal::Bytes => RefusalCode::Digest,
        ManifestRefusal::Text(ReleaseError::TooLarge(_)) => RefusalCode::TooLarge,
        ManifestRefusal::Text(_) => RefusalCode::Malformed,
        ManifestRefusal::Name => RefusalCode::Policy,
    }
}

fn shard_code(why: &ShardError) -> RefusalCode {
    match why {
        ShardError::Size(_) => RefusalCode::TooLarge,
        ShardError::Parse(_) | ShardError::Field(..) => RefusalCode::Malformed,
        ShardError::Root(_) | ShardError::Elsewhere { .. } => RefusalCode::Digest,
    }
}

pub(super) fn ticket_code(why: &TicketRefusal) -> RefusalCode {
    match why {
        TicketRefusal::Signature(_)
        | TicketRefusal::Cosignatures { .. }
        | TicketRefusal::Approvals { .. } => RefusalCode::Signature,
        TicketRefusal::Text(_) => RefusalCode::Malformed,
        TicketRefusal::Rollback => RefusalCode::Rollback,
        TicketRefusal::Expired | TicketRefusal::Future => RefusalCode::Expired,
        TicketRefusal::Line
        | TicketRefusal::PolicyVersion(_)
        | TicketRefusal::Growth(_)
        | TicketRefusal::Soak(_)
        | TicketRefusal::Late { .. }
        | TicketRefusal::Newcomers => RefusalCode::Policy,
    }
}

fn stop_code(why: &StopRefusal) -> RefusalCode {
    match why {
        StopRefusal::TooLarge(_) => RefusalCode::TooLarge,
        StopRefusal::Signature(_) => RefusalCode::Signature,
        StopRefusal::Text(_) => RefusalCode::Malformed,
        StopRefusal::Scope(_) => RefusalCode::Policy,
        StopRefusal::Expired | StopRefusal::Future => RefusalCode::Expired,
    }
}

fn directive_code(why: &DirectiveRefusal) -> RefusalCode {
    match why {
        DirectiveRefusal::TooLarge(_) => RefusalCode::TooLarge,
        DirectiveRefusal::Signature(_) => RefusalCode::Signature,
        DirectiveRefusal::Text(_) => RefusalCode::Malformed,
        DirectiveRefusal::Scope(_) => RefusalCode::Policy,
        DirectiveRefusal::Expired | DirectiveRefusal::Future => RefusalCode::Expired,
    }
}

pub(super) fn tuf_code(why: &TufError) -> RefusalCode {
    use sigstore_tuf::Error;
    match why {
        TufError::TooLarge(..) | TufError::Vendors(_) => RefusalCode::TooLarge,
        TufError::Expired(_) => RefusalCode::Expired,
        TufError::Core(_, why) => match **why {
            Error::Expired { .. } => RefusalCode::Expired,
            Error::Rollback { .. } | Error::BadRootVersion { .. } => RefusalCode::Rollback,
            Error::IntegrityMismatch(_) => RefusalCode::Digest,
            Error::Json(_) | Error::Malformed(_) | Error::NonIntegerNumber => {
                RefusalCode::Malformed
            }
            _ => RefusalCode::Signature,
        },
        TufError::AliasedKey(_) | TufError::Threshold(..) => RefusalCode::Signature,
        TufError::Clock | TufError::Order(_) => RefusalCode::Malformed,
    }
}
