//! A line laid out again with keys of our own making, and what its honest parties have signed: an old
//! release everywhere, a first wave of a new one under way for each vendor, another release published
//! that nobody has started.
use super::fleet::{self, Group, Knows, class, stand_in};
use super::line::{Key, Line, LineError};
use super::metadata::{Served, Tree, sealed, signed};
use super::parts::{Works, all, anchor, manifest_url, people, proof, rules, stand_ins, works};
use super::play::sync;
use super::report::Reach;
use super::rigs;
use super::tickets::{self, GOING_ON, Made};
use crate::log::VerifierKey;
use crate::repository::{self, RepositoryError};
use crate::sign::SigningKey;
use crate::view::{RecordError, View, ViewError};
use andon_model::command::Approval;
use andon_model::enrol::Anchor;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::id::IdError;
use andon_model::policy::{Lane, Person, Policy};
use andon_model::ticket::Ticket;
use andon_model::{Millis, Time, VendorId};
use std::collections::BTreeMap;

/// When the thief comes. Any time would do; no clock is asked.
pub(super) const NOW: Time = Time(1_800_000_000_000);
pub(super) const YEAR: Millis = Millis::from_secs(365 * 86_400);
/// Version of the policy in force.
pub(super) const POLICY_VERSION: u64 = 5;
/// Most vendors that are measured at once.
const VENDORS_MAX: usize = 16;

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// the line
    #[error("read the line")]
    Line(#[from] LineError),
    /// too many vendors
    #[error("line has {0} vendors, at most {VENDORS_MAX} are measured at once")]
    Vendors(usize),
    /// a name of the lab's own
    #[error("name something in the lab")]
    Name(#[from] IdError),
    /// metadata
    #[error("make TUF metadata")]
    Repository(#[from] RepositoryError),
    /// a host of the lab
    #[error("begin a host's view")]
    View(#[from] ViewError),
    /// a host's memory
    #[error("restore a host's view")]
    Record(#[from] RecordError),
    /// JSON
    #[error("encode an object of the lab")]
    Encode(#[source] serde_json::Error),
    /// a wave of no steps, or of more hosts than there can be
    #[error("make a ticket of no hosts or too many")]
    Steps,
    /// the log policy names keys that cannot be stood in for
    #[error("make the lab's public log")]
    Log,
    /// honest parties alone reach fewer hosts than they should: what is measured then means nothing
    #[error("honest parties alone do not get through: {0}")]
    Honest(String),
    /// no key of that name
    #[error("line has no key {0:?}")]
    Key(String),
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Lab {
    pub(super) keys: Vec<Key>,
    pub(super) line: Line,
    pub(super) anchor: Anchor,
    pub(super) policy: Policy,
    pub(super) older: Option<Envelope>,
    pub(super) works: Vec<Works>,
    pub(super) tree: Tree,
    /// what honest parties serve when the thief comes
    pub(super) served: Served,
    /// tickets that honest parties have signed
    pub(super) waves: Vec<Ticket>,
    pub(super) groups: Vec<Group>,
    /// the same where waves count that stolen people's keys start
    pub(super) groups_started: Vec<Group>,
    /// what hosts remember once nobody but honest parties has been there, as [`Knows::EVERY`]
    pub(super) records_honest: Vec<Vec<u8>>,
    /// what needs no key
    pub(super) nobody: Option<Reach>,
    /// what hosts of each kind remember
    records: BTreeMap<Knows, Vec<u8>>,
    /// hosts in the wave of each vendor, that have seen everything
    pub(super) in_wave: Vec<Group>,
    pub(super) wave_signed: u64,
    /// what honest parties serve 31 days later: under the same keys, and with the server's replaced
    pub(super) later: Vec<Served>,
}

impl Lab {
    /// Lays the line out again.
    /// # Errors
    /// [`LabError`].
    pub fn new(line: Line) -> Result<Lab, LabError> {
        Lab::divided(line, 1)
    }

    /// As [`Lab::new`], with so many hosts played of each group that no check tells apart, and not one:
    /// figures are the same, and show that the groups are right. From 10,000 parts on every host is played.
    /// # Errors
    /// [`LabError`].
    pub fn divided(line: Line, parts: u64) -> Result<Lab, LabError> {
        if line.vendors.len() > VENDORS_MAX {
            return Err(LabError::Vendors(line.vendors.len()));
        }
        let keys = line.keys();
        let policy = rules(&line.policy, POLICY_VERSION)?;
        let older =
            line.older.as_ref().map(|older| rules(older, POLICY_VERSION - 1)).transpose()?;
        let works = line.vendors.iter().map(works).collect::<Result<Vec<_>, _>>()?;
        let mut lab = Lab {
            keys,
            anchor: anchor(&line)?,
            older: None,
            works,
            tree: Tree { version: 1, targets: (1, Vec::new()), roles: BTreeMap::new() },
            served: Served::new(line.line.clone()),
            waves: Vec::new(),
            groups: Vec::new(),
            groups_started: Vec::new(),
            records_honest: Vec::new(),
            nobody: None,
            records: BTreeMap::new(),
            in_wave: Vec::new(),
            wave_signed: tickets::wave(&policy),
            later: Vec::new(),
            policy,
            line,
        };
        lab.older = older.map(|older| lab.by_operators(&older)).transpose()?;
        lab.publish()?;
        lab.hand_out()?;
        lab.remember(parts)?;
        lab.later = vec![lab.served_later(false)?, lab.served_later(true)?];
        lab.honest_parties_get_through()?;
        lab.nobody = Some(lab.measure(&[])?);
        Ok(lab)
    }

    /// The keys that can be stolen.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }
    /// Hosts of the first wave that honest parties have signed.
    #[must_use]
    pub fn wave_signed(&self) -> u64 {
        self.wave_signed
    }

    pub(super) fn by_operators(&self, policy: &Policy) -> Result<Envelope, LabError> {
        sealed(PayloadType::Policy, policy, &people(&self.line.operators))
    }

    /// Online key and every verifier.
    pub(super) fn by_gate(&self, ticket: &Ticket) -> Result<Envelope, LabError> {
        let policy = &self.line.policy;
        let mut keys = vec![stand_in(&policy.online)];
        keys.extend(policy.verifiers.keys.iter().map(|it| stand_in(&it.key)));
        sealed(PayloadType::Ticket, ticket, &keys)
    }

    /// The next version of a vendor's role, with these releases added, signed by these keys.
    pub(super) fn role(
        &self,
        vendor: &VendorId,
        added: &[&Made],
        keys: &[SigningKey],
    ) -> Result<(u64, Vec<u8>), LabError> {
        let files: Vec<_> = added
            .iter()
            .map(|made| (made.manifest.target_path(), made.digest, made.bytes.len() as u64))
            .collect();
        let before = self.tree.roles.get(vendor).map(|(_, bytes)| bytes.as_slice());
        let role = repository::vendor_role(before, NOW.plus(YEAR), &files)?;
        Ok((role.version(), signed(role, keys)?))
    }

    fn publish(&mut self) -> Result<(), LabError> {
        let targets = repository::targets(1, NOW.plus(YEAR), &stand_ins(&self.line.vendors))?;
        self.tree.targets = (1, signed(targets, &all(&self.line.top.targets))?);
        for works in self.works.clone() {
            let listed = [&works.wave, &works.idle];
            let role = self.role(&works.vendor, &listed, &all(&works.role))?;
            self.tree.roles.insert(works.vendor.clone(), role);
            for made in [&works.wave, &works.idle, &works.fix, &works.evil, &works.double] {
                self.served.file(manifest_url(made), made.bytes.clone());
            }
            let rigs = rigs::keys(&self.line.policy.attestations);
            for made in listed.into_iter().chain([&works.fix]) {
                self.prove(made)?;
                if !rigs.is_empty() {
                    self.served.attested(made.digest, &rigs::passed(made, &rigs)?);
                }
            }
        }
        let [snapshot, timestamp] = self.stampers();
        let expires = NOW.plus(YEAR);
        self.tree.clone().put(&mut self.served, expires, &snapshot, &timestamp)?;
        let envelope = self.by_operators(&self.policy)?;
        self.served.policy(&envelope);
        Ok(())
    }

    /// Keys of snapshot and timestamp.
    pub(super) fn stampers(&self) -> [Vec<SigningKey>; 2] {
        [all(&self.line.top.snapshot), all(&self.line.top.timestamp)]
    }

    /// The honest log holds it, and every witness has seen that.
    pub(super) fn prove(&mut self, made: &Made) -> Result<(), LabError> {
        let everybody = |key: &VerifierKey| Some(stand_in(&key.public()));
        if let Some(proof) = proof(&self.line.policy, made, &everybody)? {
            self.served.file(format!("/v1/log/proofs/{}", made.digest), proof);
        }
        Ok(())
    }

    /// A first wave for each vendor, and of the first one under a few more names.
    fn hand_out(&mut self) -> Result<(), LabError> {
        let begun = tickets::wave_at(&self.policy);
        let steps = [(self.wave_signed, begun)];
        let mut names: Vec<(String, usize)> = Vec::new();
        for (at, works) in self.works.iter().enumerate() {
            names.push((format!("wave-of-{}", works.vendor), at));
        }
        names.extend(GOING_ON.map(|name| (name.to_owned(), 0)));
        for (name, at) in names {
            let made = &self.works[at].wave;
            let approvals = self.approvals(made)?;
            let ticket = tickets::honest(&self.policy, &name, made, &steps, approvals)?;
            let envelope = self.by_gate(&ticket)?;
            self.served.ticket(&ticket.rollout, &envelope);
            self.waves.push(ticket);
        }
        self.served = self.served.clone().listed(3)?;
        Ok(())
    }

    /// As many people's consent as the routine lane asks for.
    pub(super) fn approvals(&self, made: &Made) -> Result<Vec<Envelope>, LabError> {
        let enough = self.policy.routine.approvals_min as usize;
        let people = self.line.policy.people.iter().take(enough);
        people.map(|person| self.approval(person, made, Lane::Routine, None)).collect()
    }

    /// One person's consent, signed by their key or by another.
    pub(super) fn approval(
        &self,
        person: &Person,
        made: &Made,
        lane: Lane,
        by: Option<&SigningKey>,
    ) -> Result<Envelope, LabError> {
        let approval = Approval {
            schema: 1,
            line: self.policy.line.clone(),
            person: person.person.clone(),
            release: made.digest,
            lane,
            issued: NOW.minus(YEAR),
            expires: NOW.plus(YEAR),
        };
        let own = stand_in(&person.key);
        sealed(PayloadType::Approval, &approval, &[by.unwrap_or(&own).clone()])
    }

    /// What hosts have seen before the thief comes, each as much as its kind.
    fn remember(&mut self, parts: u64) -> Result<(), LabError> {
        self.groups = fleet::groups(&self.every_ticket(false)?, parts)?;
        self.groups_started = fleet::groups(&self.every_ticket(true)?, parts)?;
        let mut before = self.served.clone();
        before.no_tickets();
        let before = before.listed(2)?;
        for (knows, served) in [(Knows::Rules, &before), (Knows::All, &self.served)] {
            let group = self.groups.iter().find(|group| group.knows == knows);
            let host = group.ok_or(LabError::Steps)?.host;
            let mut view = View::new(self.anchor.clone(), host, class()?)?;
            let outcome = sync(&mut view, served, NOW);
            if outcome.policy.is_none() || !outcome.refusals.is_empty() {
                return Err(LabError::Honest(format!("{:?}", outcome.refusals)));
            }
            self.records.insert(knows, view.record());
        }
        let class = class()?;
        for at in 0..self.works.len() {
            let wave = &self.waves[at];
            let there = |group: &&Group| {
                group.knows == Knows::All && crate::ticket::covers(wave, group.host, &class)
            };
            let group = self.groups.iter().find(there).ok_or(LabError::Steps)?;
            self.in_wave.push(group.clone());
        }
        for knows in Knows::EVERY {
            let mut view = self.view(self.any(knows)?)?;
            sync(&mut view, &self.served, NOW);
            self.records_honest.push(view.record());
        }
        Ok(())
    }

    /// The view of a host of this group when the thief comes.
    pub(super) fn view(&self, group: &Group) -> Result<View, LabError> {
        let anchor = self.anchor.clone();
        match self.records.get(&group.knows) {
            Some(record) => Ok(View::restore(anchor, group.host, class()?, record)?),
            None => Ok(View::new(anchor, group.host, class()?)?),
        }
    }
}
