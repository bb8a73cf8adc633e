//! The catalogue: what a thief forges. Each forgery is signed with every stolen key, those that the
//! object's office asks for first; where none is stolen, with a key of the thief's own.
use super::fleet::{stand_in, stranger};
use super::lab::{Lab, LabError, NOW, POLICY_VERSION, YEAR};
use super::line::{Holder, Key};
use super::metadata::{Served, Tree, sealed, signed};
use super::parts::{Works, proof, role_of, stand_ins};
use super::rigs;
use super::tickets::{Forged, Made};
use crate::command;
use crate::log::VerifierKey;
use crate::repository::{self, Delegation};
use crate::sign::SigningKey;
use andon_model::command::{Command, Verb};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::APPROVALS_MAX;
use andon_model::policy::{Lane, LanePolicy, Person, Policy};
use andon_model::rigs::Attestations;
use andon_model::verifiers::Verifiers;
use andon_model::{Digest, Millis, PersonId, PublicKey, RolloutId, VendorId};
use std::fmt;

/// Under whose rules tickets are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// the policy in force
    Honest,
    /// an older one, if there is one
    Older,
    /// the thief's: no verifiers, no rigs, no log, any pace, the thief's own online key
    Open,
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rules::Honest => "honest rules",
            Rules::Older => "older rules",
            Rules::Open => "forged rules",
        })
    }
}

/// How the thief's release gets into TUF metadata. Timestamp and snapshot are always signed by the
/// server too: it stamps what it is sent, and may itself be in the thief's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// not at all
    Honest,
    /// listed by its vendor's role
    Vendor,
    /// listed by another vendor's role
    Foreigner,
    /// its vendor's role delegated to the thief
    Delegation,
    /// the root rotated to the thief
    Root,
}

pub(super) const CODES: [Code; 5] =
    [Code::Honest, Code::Vendor, Code::Foreigner, Code::Delegation, Code::Root];

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Code::Honest => "honest code",
            Code::Vendor => "forged role of a vendor",
            Code::Foreigner => "another vendor's role",
            Code::Delegation => "forged delegation",
            Code::Root => "forged root",
        })
    }
}

/// Who holds stolen keys, and a key of their own.
pub(super) struct Thief<'l> {
    pub(super) lab: &'l Lab,
    keys: Vec<&'l Key>,
    own: SigningKey,
    /// the vendor in whose name the thief makes a release: of whose keys most are stolen
    victim: usize,
}

impl<'l> Thief<'l> {
    pub(super) fn new(lab: &'l Lab, stolen: &[&str]) -> Result<Thief<'l>, LabError> {
        let find = |name: &&str| {
            let key = lab.keys.iter().find(|key| key.name == **name);
            key.ok_or_else(|| LabError::Key((*name).to_owned()))
        };
        let keys = stolen.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let stolen_of = |at: &usize| {
            let role = &lab.works[*at].role.keys;
            role.iter().filter(|key| keys.iter().any(|it| it.public == **key)).count()
        };
        // The first of several alike.
        let victim = (0..lab.works.len()).rev().max_by_key(stolen_of).unwrap_or(0);
        Ok(Thief { lab, keys, own: stranger("thief"), victim })
    }

    /// Whether nothing is stolen.
    pub(super) fn holds_none(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a key is stolen that may start rollouts.
    pub(super) fn starts(&self) -> bool {
        let holds = self.keys.iter().flat_map(|key| &key.holds);
        holds.into_iter().any(|holder| matches!(holder, Holder::Person(_)))
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.name.clone()).collect()
    }

    fn private(key: &Key) -> SigningKey {
        // A key that hosts trust for nothing was made here: its private half is known.
        match key.holds.first() {
            Some(Holder::Nothing("join token")) => stranger("join"),
            Some(Holder::Nothing(_)) => stranger("host"),
            _ => stand_in(&key.public),
        }
    }

    /// All stolen keys, those of this office first.
    pub(super) fn signers(&self, office: impl Fn(&Holder) -> bool) -> Vec<SigningKey> {
        let (first, rest): (Vec<&Key>, Vec<&Key>) =
            self.keys.iter().partition(|key| key.holds.iter().any(&office));
        let mut keys: Vec<_> = first.into_iter().chain(rest).map(Thief::private).collect();
        if keys.is_empty() {
            keys.push(self.own.clone());
        }
        keys
    }

    pub(super) fn rigs(&self) -> Vec<SigningKey> {
        self.signers(|holder| matches!(holder, Holder::Rig(_)))
    }

    fn has(&self, public: &PublicKey) -> Option<SigningKey> {
        self.keys.iter().find(|key| key.public == *public).map(|key| Thief::private(key))
    }

    /// The policy by which tickets are judged, and what is served with it.
    pub(super) fn rules(&self, rules: Rules) -> Result<Option<(Policy, Served)>, LabError> {
        let mut served = self.lab.served.clone();
        Ok(match rules {
            Rules::Honest => Some((self.lab.policy.clone(), served)),
            Rules::Older => match &self.lab.older {
                Some(envelope) => {
                    served.policy(envelope);
                    let policy = Policy::parse(&envelope.payload);
                    policy.ok().map(|policy| (policy, served))
                }
                None => None,
            },
            Rules::Open => {
                let policy = self.open(POLICY_VERSION + 1)?;
                served.policy(&self.signed_policy(&policy)?);
                Some((policy, served))
            }
        })
    }

    /// A vendor in whose place the first one's keys might speak.
    fn other(&self) -> Option<&Works> {
        let at = (0..self.lab.works.len()).find(|at| *at != self.victim)?;
        self.lab.works.get(at)
    }

    pub(super) fn signed_policy(&self, policy: &Policy) -> Result<Envelope, LabError> {
        let office = |holder: &Holder| matches!(holder, Holder::OperatorRoot(_));
        sealed(PayloadType::Policy, policy, &self.signers(office))
    }

    pub(super) fn open(&self, version: u64) -> Result<Policy, LabError> {
        let honest = &self.lab.policy;
        let lane = |lane: &LanePolicy, approvals_min| LanePolicy {
            first_wave_max: u32::MAX,
            growth_max_permille: 1_000_000_000,
            soak_min: Millis::ZERO,
            approvals_min,
            ..lane.clone()
        };
        let key = self.own.public();
        Ok(Policy {
            version,
            online: key,
            verifiers: Verifiers::default(),
            log: None,
            attestations: Attestations::default(),
            people: vec![Person { person: PersonId::new("thief")?, key }],
            routine: lane(&honest.routine, 0),
            emergency: lane(&honest.emergency, 2),
            ..honest.clone()
        })
    }

    /// Tickets of the thief's, signed as well as the thief can.
    pub(super) fn tickets(
        &self,
        rules: Rules,
        policy: &Policy,
    ) -> Result<Vec<(Forged, Envelope)>, LabError> {
        let office = |holder: &Holder| matches!(holder, Holder::Online | Holder::Verifier(_));
        let keys = match rules {
            Rules::Open => vec![self.own.clone()],
            Rules::Honest | Rules::Older => self.signers(office),
        };
        let victim = &self.lab.works[self.victim];
        let mut out = Vec::new();
        let mut made = vec![
            ("wave", &self.lab.works[0].wave),
            ("evil", &victim.evil),
            ("double", &victim.double),
        ];
        made.extend(self.other().map(|other| ("foreign", &other.evil)));
        for (tag, made) in made {
            for mut forged in self.lab.forged(policy, tag, made)? {
                forged.ticket.approvals = self.approvals(made, forged.ticket.lane)?;
                let envelope = sealed(PayloadType::Ticket, &forged.ticket, &keys)?;
                out.push((forged, envelope));
            }
        }
        if rules == Rules::Honest {
            for made in [&self.lab.works[0].idle, &victim.evil] {
                out.extend(self.started(made)?);
            }
        }
        Ok(out)
    }

    /// Consent of people whose keys are stolen, and for the others a signature of the thief's own; of the
    /// honest release also what its approvers have given before everybody's eyes.
    fn approvals(&self, made: &Made, lane: Lane) -> Result<Vec<Envelope>, LabError> {
        let mut out = Vec::new();
        if lane == Lane::Routine && made.digest == self.lab.works[0].wave.digest {
            out = self.lab.approvals(made)?;
        }
        for person in &self.lab.line.policy.people {
            let by = self.has(&person.key).unwrap_or_else(|| self.own.clone());
            out.push(self.lab.approval(person, made, lane, Some(&by))?);
        }
        out.truncate(APPROVALS_MAX);
        Ok(out)
    }

    /// What the honest gate issues when people whose keys are stolen start a rollout: a first wave.
    fn started(&self, made: &Made) -> Result<Option<(Forged, Envelope)>, LabError> {
        let policy = &self.lab.policy;
        let rollout = format!("started-{}-{}", made.manifest.vendor, made.manifest.version.0);
        let mut people = 0;
        for person in &self.lab.line.policy.people {
            let Some(key) = self.has(&person.key) else { continue };
            let command = Command {
                schema: 1,
                line: policy.line.clone(),
                person: person.person.clone(),
                nonce: Digest::of(b"nonce"),
                issued: NOW,
                verb: Verb::Start {
                    rollout: RolloutId::new(&rollout)?,
                    release: made.digest,
                    component: made.manifest.component.clone(),
                    lane: Lane::Routine,
                    approvals: vec![],
                    seed: None,
                },
            };
            let envelope = sealed(PayloadType::Command, &command, &[key])?;
            people += u32::from(command::verify(&envelope, policy, NOW).is_ok());
        }
        if people < policy.routine.approvals_min.max(1) {
            return Ok(None);
        }
        let ticket = self.lab.first_wave(&rollout, made)?;
        let envelope = self.lab.by_gate(&ticket)?;
        let whose = if made.digest == self.lab.works[self.victim].evil.digest {
            "of foreign code"
        } else {
            "of an honest release"
        };
        let name = format!("a wave {whose} that a stolen person's key started");
        Ok(Some((Forged { name, ticket }, envelope)))
    }

    /// Puts the thief's release into metadata; false: this way does not exist on this line.
    pub(super) fn code(&self, code: Code, served: &mut Served) -> Result<bool, LabError> {
        let victim = &self.lab.works[self.victim];
        let signer = |key: &VerifierKey| self.has(&key.public());
        for made in [&victim.evil, &victim.double] {
            if let Some(proof) = proof(&self.lab.line.policy, made, &signer)? {
                served.file(format!("/v1/log/proofs/{}", made.digest), proof);
            }
        }
        if !self.lab.policy.attestations.rigs.is_empty() {
            let keys = self.rigs();
            for made in [&victim.evil, &victim.double] {
                served.attested(made.digest, &rigs::passed(made, &keys)?);
            }
        }
        let mut tree = self.lab.tree.clone();
        tree.version += 1;
        let of = |name: &VendorId| {
            let name = name.clone();
            move |holder: &Holder| matches!(holder, Holder::Vendor(it) if *it == name)
        };
        let [mut snapshot, mut timestamp] = self.lab.stampers();
        snapshot.extend(self.signers(|holder| *holder == Holder::Snapshot));
        timestamp.extend(self.signers(|holder| *holder == Holder::Timestamp));
        match code {
            Code::Honest => return Ok(true),
            Code::Vendor => {
                let keys = self.signers(of(&victim.vendor));
                let role = self.lab.role(&victim.vendor, &[&victim.evil], &keys)?;
                tree.roles.insert(victim.vendor.clone(), role);
            }
            Code::Foreigner => {
                let Some(other) = self.other() else { return Ok(false) };
                let keys = self.signers(of(&victim.vendor));
                let role = self.lab.role(&victim.vendor, &[&other.evil, &victim.evil], &keys)?;
                tree.roles.insert(victim.vendor.clone(), role);
            }
            Code::Delegation => self.delegate(&mut tree)?,
            Code::Root => {
                let office = |holder: &Holder| *holder == Holder::PlatformRoot;
                self.own_root(served, &self.signers(office))?;
                self.delegate(&mut tree)?;
                let own = vec![self.own.clone()];
                (snapshot, timestamp) = (own.clone(), own);
            }
        }
        tree.put(served, NOW.plus(YEAR), &snapshot, &timestamp)?;
        Ok(true)
    }

    /// Top-level targets that give the victim's role to the thief.
    fn delegate(&self, tree: &mut Tree) -> Result<(), LabError> {
        let victim = &self.lab.works[self.victim];
        let mut vendors = stand_ins(&self.lab.line.vendors);
        vendors.retain(|it| it.vendor != victim.vendor);
        let role = role_of(&self.own);
        vendors.push(Delegation { vendor: victim.vendor.clone(), role });
        let targets = repository::targets(tree.targets.0 + 1, NOW.plus(YEAR), &vendors)?;
        let mut keys = self.signers(|holder| *holder == Holder::Delegations);
        keys.push(self.own.clone());
        tree.targets = (tree.targets.0 + 1, signed(targets, &keys)?);
        let own = [self.own.clone()];
        let role = self.lab.role(&victim.vendor, &[&victim.evil], &own)?;
        tree.roles.insert(victim.vendor.clone(), role);
        Ok(())
    }

    fn own_root(&self, served: &mut Served, keys: &[SigningKey]) -> Result<(), LabError> {
        let own = role_of(&self.own);
        let roles = ["root", "targets", "snapshot", "timestamp"].map(|name| (name, own.clone()));
        let mut root = repository::root(2, NOW.plus(YEAR), &roles)?;
        keys.iter().chain([&self.own]).try_for_each(|key| root.sign(key))?;
        served.root(&root);
        Ok(())
    }
}
