//! What honest parties serve later, and which tickets there can be.
use super::fleet::{stand_in, stranger};
use super::lab::{Lab, LabError, NOW, POLICY_VERSION, YEAR};
use super::metadata::{Served, sealed, signed};
use super::parts::{all, role_of, root_of, stand_ins};
use super::rigs;
use super::tickets::{self, Forged, Made};
use crate::repository::{self, SignedMetadata};
use crate::sign::SigningKey;
use andon_model::envelope::PayloadType;
use andon_model::policy::Policy;
use andon_model::ticket::Ticket;

impl Lab {
    /// What a thief signs for this release: everything for the honest wave's, the two best for others.
    pub(super) fn forged(
        &self,
        policy: &Policy,
        tag: &str,
        made: &Made,
    ) -> Result<Vec<Forged>, LabError> {
        let mut all = tickets::forged(policy, tag, made)?;
        if tag != "wave" {
            let best = ["understated-", "first-release-"];
            all.retain(|it| best.iter().any(|name| it.ticket.rollout.as_str().starts_with(name)));
        }
        Ok(all)
    }

    /// A first wave as the gate would issue it now.
    pub(super) fn first_wave(&self, rollout: &str, made: &Made) -> Result<Ticket, LabError> {
        let steps = [(self.wave_signed, NOW)];
        let approvals = self.approvals(made)?;
        tickets::honest(&self.policy, rollout, made, &steps, approvals)
    }

    /// Every ticket that can be played, with those that stolen people's keys start or without: what tells
    /// hosts apart.
    pub(super) fn every_ticket(&self, started: bool) -> Result<Vec<Ticket>, LabError> {
        let mut out = self.waves.clone();
        let forged = self.forged(&self.policy, "wave", &self.works[0].wave)?;
        out.extend(forged.into_iter().map(|it| it.ticket));
        if started {
            out.push(self.first_wave("started", &self.works[0].idle)?);
        }
        for works in &self.works {
            if started {
                out.push(self.first_wave("started", &works.evil)?);
            }
            for made in [&works.evil, &works.double] {
                let forged = self.forged(&self.policy, "evil", made)?;
                out.extend(forged.into_iter().map(|it| it.ticket));
            }
        }
        Ok(out)
    }

    /// A timestamp over the honest snapshot, of that version.
    pub(super) fn far_timestamp(
        &self,
        version: u64,
        keys: &[SigningKey],
    ) -> Result<Served, LabError> {
        let mut served = self.served.clone();
        let at = self.tree.version;
        let path = format!("/v1/tuf/{at}.snapshot.json");
        let snapshot = served.get(&path).cloned().unwrap_or_default();
        let stamp = repository::timestamp(version, NOW.plus(YEAR), at, &snapshot)?;
        served.timestamp(signed(stamp, keys)?);
        served.listed(17)
    }

    /// What honest parties serve 31 days later: a fix by each vendor, for everybody. `replaced`: the
    /// platform has rotated the root to new keys for targets, snapshot and timestamp, the operator the
    /// online key and its rigs.
    pub(super) fn served_later(&self, replaced: bool) -> Result<Served, LabError> {
        let mut served = self.served.clone();
        served.no_tickets();
        let mut policy = Policy { version: POLICY_VERSION + 1, ..self.policy.clone() };
        let fresh = stranger("replaced");
        let new = |keys: Vec<SigningKey>| if replaced { vec![fresh.clone()] } else { keys };
        let top = &self.line.top;
        let mut tree = self.tree.clone();
        tree.version += 1;
        let mut online = stand_in(&self.line.policy.online);
        if replaced {
            let role = role_of(&fresh);
            let root = root_of(2, top, [role.clone(), role.clone(), role])?;
            served.root(&SignedMetadata::parse(&root)?);
            (policy.online, online) = (fresh.public(), fresh.clone());
            let (rigs, keys) = rigs::replaced(&policy.attestations);
            policy.attestations = rigs;
            for works in self.works.iter().filter(|_| !keys.is_empty()) {
                served.attested(works.fix.digest, &rigs::passed(&works.fix, &keys)?);
            }
        }
        for works in &self.works {
            let role = self.role(&works.vendor, &[&works.fix], &all(&works.role))?;
            tree.roles.insert(works.vendor.clone(), role);
        }
        let vendors = stand_ins(&self.line.vendors);
        let targets = repository::targets(tree.targets.0 + 1, NOW.plus(YEAR), &vendors)?;
        tree.targets = (tree.targets.0 + 1, signed(targets, &new(all(&top.targets)))?);
        let [snapshot, timestamp] = self.stampers().map(new);
        tree.put(&mut served, NOW.plus(YEAR), &snapshot, &timestamp)?;
        served.policy(&self.by_operators(&policy)?);
        let mut keys = vec![online];
        let verifiers = &self.line.policy.verifiers.keys;
        keys.extend(verifiers.iter().map(|it| stand_in(&it.key)));
        for works in &self.works {
            let rollout = format!("fix-of-{}", works.vendor);
            let mut ticket = tickets::last(&policy, &rollout, &works.fix)?;
            ticket.approvals = self.approvals(&works.fix)?;
            let envelope = sealed(PayloadType::Ticket, &ticket, &keys)?;
            served.ticket(&ticket.rollout, &envelope);
        }
        served.listed(30)
    }
}
