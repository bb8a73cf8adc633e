//! Who holds which key of a line, and what each of them may do: read from what hosts are given and
//! fetch (anchor, TUF metadata, policy). Public halves only.
use crate::log;
use crate::policy::demanded_log;
use crate::repository::{Delegation, Role, TopRoles};
use crate::tuf::{material, provide_crypto};
use andon_model::enrol::Anchor;
use andon_model::policy::{Person, Policy};
use andon_model::{LineId, PersonId, PublicKey, RigId, VendorId, VerifierId};
use sigstore_tuf::{Metadata, Root, Targets};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Most witnesses of which we look whether they can stand in for each other (every subset is asked).
const ALIKE_MAX: usize = 10;

/// What a key is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// one of the operator's people, offline: the policy
    OperatorRoot(PersonId),
    /// one of the operator's people, daily: commands, approvals, the cord
    Person(PersonId),
    /// the line's online key: tickets
    Online,
    /// TUF snapshot
    Snapshot,
    /// TUF timestamp
    Timestamp,
    /// recomputes and cosigns tickets
    Verifier(VerifierId),
    /// says on which hosts a release has run
    Rig(RigId),
    /// may replace the TUF root
    PlatformRoot,
    /// delegates to vendors
    Delegations,
    /// the platform's cord
    Cord,
    /// releases of a vendor
    Vendor(VendorId),
    /// a public log that the policy names
    Log(String),
    /// a witness of it
    Witness(String),
    /// nothing that a host believes
    Nothing(&'static str),
}

impl Holder {
    /// Its name as `andon trust` shows it, with a number where several keys hold the same office.
    fn named(&self, number: usize) -> String {
        match self {
            Holder::OperatorRoot(person) => format!("operator-root/{person}"),
            Holder::Person(person) => format!("people/{person}"),
            Holder::Online => "online".to_owned(),
            Holder::Snapshot => several("snapshot", number),
            Holder::Timestamp => several("timestamp", number),
            Holder::Verifier(name) => format!("verifiers/{name}"),
            Holder::Rig(name) => format!("rigs/{name}"),
            Holder::PlatformRoot => format!("platform/root-{number}"),
            Holder::Delegations => several("platform/targets", number),
            Holder::Cord => several("platform/cord", number),
            Holder::Vendor(vendor) => format!("vendors/{vendor}/{number}"),
            Holder::Log(name) => format!("log/{name}"),
            Holder::Witness(name) => format!("witness/{name}"),
            Holder::Nothing(what) => (*what).to_owned(),
        }
    }
}

fn several(name: &str, number: usize) -> String {
    if number == 1 { name.to_owned() } else { format!("{name}-{number}") }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::OperatorRoot(person) => write!(f, "{person}, operator root: signs the policy"),
            Holder::Person(person) => write!(f, "{person}: commands, approvals, the cord"),
            Holder::Online => f.write_str("the line's server: wave tickets"),
            Holder::Snapshot => f.write_str("the line's server: TUF snapshot"),
            Holder::Timestamp => f.write_str("the line's server: TUF timestamp"),
            Holder::Verifier(name) => write!(f, "gate verifier {name}: cosigns every ticket"),
            Holder::Rig(name) => write!(f, "rig {name}: runs releases before hosts do"),
            Holder::PlatformRoot => f.write_str("platform: replaces the TUF root"),
            Holder::Delegations => f.write_str("platform: delegates to vendors"),
            Holder::Cord => f.write_str("platform: the cord"),
            Holder::Vendor(vendor) => write!(f, "vendor {vendor}: releases, its own cord"),
            Holder::Log(name) => write!(f, "public log {name}"),
            Holder::Witness(name) => write!(f, "witness {name} of the public log"),
            Holder::Nothing(_) => f.write_str("nothing that a host believes"),
        }
    }
}

/// One physical key: key material, whatever offices it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// by its first office: `operator-root/alice`, `online`, `vendors/acme/1`
    pub name: String,
    /// its public half
    pub public: PublicKey,
    /// all its offices
    pub holds: Vec<Holder>,
    /// keys of one class can stand in for each other everywhere, so that one of them is measured for all
    pub class: String,
}

/// A line as far as it is about keys.
#[derive(Clone, Debug)]
pub struct Line {
    /// whose
    pub line: LineId,
    /// the operator's root …
    pub operators: Vec<Person>,
    /// … and how many of them sign a policy
    pub operators_threshold: u32,
    /// keys of the platform that may pull the cord
    pub cord: Vec<PublicKey>,
    /// TUF's top-level roles
    pub top: TopRoles,
    /// what the platform delegates to whom
    pub vendors: Vec<Delegation>,
    /// the policy in force
    pub policy: Policy,
    /// an older policy that was signed and has not expired, if there is one: who has seen none newer can
    /// be shown it
    pub older: Option<Policy>,
}

/// Why a line cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// not TUF metadata
    #[error("read {0}")]
    Metadata(&'static str, #[source] Box<sigstore_tuf::Error>),
    /// a role is missing from the root
    #[error("TUF root has no role {0}")]
    Role(&'static str),
    /// a key of a kind that nothing of ours signs with
    #[error("a key of TUF role {0} is not Ed25519; only lines that andon laid out can be measured")]
    Scheme(String),
    /// no vendor, so there is nothing that could be installed
    #[error("TUF targets delegate to no vendor")]
    NoVendor,
    /// the log policy
    #[error("read the log policy of the policy")]
    Log(#[source] log::policy::PolicyError),
}

impl Line {
    /// A line as a host knows it.
    /// # Errors
    /// [`LineError`].
    pub fn of(
        anchor: &Anchor,
        root: &[u8],
        targets: &[u8],
        policy: Policy,
    ) -> Result<Line, LineError> {
        provide_crypto();
        let failed = |what| move |why| LineError::Metadata(what, Box::new(why));
        let root = Metadata::<Root>::from_slice(root).map_err(failed("TUF root"))?;
        let root = root.signed();
        let role = |name: &'static str| {
            let role = root.roles.get(name).ok_or(LineError::Role(name))?;
            role_of(name, &role.keyids, role.threshold, &root.keys)
        };
        let top = TopRoles {
            root: role("root")?,
            timestamp: role("timestamp")?,
            snapshot: role("snapshot")?,
            targets: role("targets")?,
        };
        let targets = Metadata::<Targets>::from_slice(targets).map_err(failed("TUF targets"))?;
        let mut vendors = Vec::new();
        if let Some(delegations) = &targets.signed().delegations {
            for role in &delegations.roles {
                let Ok(vendor) = VendorId::new(&role.name) else { continue };
                let keys = &delegations.keys;
                let role = role_of(&role.name, &role.keyids, role.threshold, keys)?;
                vendors.push(Delegation { vendor, role });
            }
        }
        if vendors.is_empty() {
            return Err(LineError::NoVendor);
        }
        demanded_log(&policy).map_err(LineError::Log)?;
        Ok(Line {
            line: anchor.line.clone(),
            operators: anchor.operators.clone(),
            operators_threshold: anchor.operators_threshold,
            cord: anchor.platform.clone(),
            top,
            vendors,
            policy,
            older: None,
        })
    }

    /// Every physical key of the line once, by key material; last those that no host trusts for anything.
    #[must_use]
    pub fn keys(&self) -> Vec<Key> {
        let mut table = Table::default();
        for person in &self.operators {
            table.add(Holder::OperatorRoot(person.person.clone()), person.key);
        }
        for person in &self.policy.people {
            table.add(Holder::Person(person.person.clone()), person.key);
        }
        table.add(Holder::Online, self.policy.online);
        table.all(&Holder::Snapshot, &self.top.snapshot.keys);
        table.all(&Holder::Timestamp, &self.top.timestamp.keys);
        for verifier in &self.policy.verifiers.keys {
            table.add(Holder::Verifier(verifier.name.clone()), verifier.key);
        }
        for rig in &self.policy.attestations.rigs {
            table.add(Holder::Rig(rig.name.clone()), rig.key);
        }
        table.all(&Holder::PlatformRoot, &self.top.root.keys);
        table.all(&Holder::Delegations, &self.top.targets.keys);
        table.all(&Holder::Cord, &self.cord);
        for Delegation { vendor, role } in &self.vendors {
            table.all(&Holder::Vendor(vendor.clone()), &role.keys);
        }
        let log = demanded_log(&self.policy).ok().flatten();
        for key in log.iter().flat_map(log::Policy::logs) {
            table.add(Holder::Log(key.name().to_owned()), key.public());
        }
        for key in log.iter().flat_map(log::Policy::witnesses) {
            table.add(Holder::Witness(key.name().to_owned()), key.public());
        }
        // Keys of hosts and what admits them sign nothing that other hosts read: they are tried all
        // the same.
        table.add(Holder::Nothing("a host's own key"), super::fleet::stranger("host").public());
        table.add(Holder::Nothing("join token"), super::fleet::stranger("join").public());
        let alike = log.is_some_and(|log| witnesses_are_alike(&log));
        table.finish(alike)
    }
}

fn role_of(
    name: &str,
    ids: &[String],
    threshold: usize,
    keys: &BTreeMap<String, sigstore_tuf::Key>,
) -> Result<Role, LineError> {
    let wrong = || LineError::Scheme(name.to_owned());
    let key = |id: &String| {
        let key = keys.get(id).filter(|key| key.scheme == "ed25519").ok_or_else(wrong)?;
        material(key).parse().map_err(|_| wrong())
    };
    let keys = ids.iter().map(key).collect::<Result<Vec<PublicKey>, _>>()?;
    Ok(Role { keys, threshold: u32::try_from(threshold).unwrap_or(u32::MAX) })
}

/// Whether only their number counts, not which of them.
fn witnesses_are_alike(log: &log::Policy) -> bool {
    let witnesses = log.witnesses().count();
    if witnesses > ALIKE_MAX {
        return false;
    }
    let mut by_count: BTreeMap<u32, BTreeSet<bool>> = BTreeMap::new();
    for subset in 0_u32..1 << witnesses {
        let quorum = log.is_quorum(|at| subset >> at & 1 == 1);
        by_count.entry(subset.count_ones()).or_default().insert(quorum);
    }
    by_count.values().all(|answers| answers.len() == 1)
}

#[derive(Default)]
struct Table {
    keys: Vec<Key>,
    named: BTreeMap<String, usize>,
}

impl Table {
    fn all(&mut self, holder: &Holder, keys: &[PublicKey]) {
        for (at, key) in keys.iter().enumerate() {
            self.put(holder.clone(), *key, at + 1);
        }
    }
    fn add(&mut self, holder: Holder, key: PublicKey) {
        self.put(holder, key, 1);
    }
    fn put(&mut self, holder: Holder, public: PublicKey, number: usize) {
        match self.keys.iter_mut().find(|key| key.public == public) {
            Some(key) => key.holds.push(holder),
            None => {
                let mut name = holder.named(number);
                let times = self.named.entry(name.clone()).or_insert(0);
                *times += 1;
                if *times > 1 {
                    name = format!("{name}#{times}");
                }
                self.keys.push(Key { name, public, holds: vec![holder], class: String::new() });
            }
        }
    }

    /// Two people of the same offices are of one class, if each of them has one key there.
    fn finish(mut self, witnesses_alike: bool) -> Vec<Key> {
        let count = |person: &PersonId, root: bool| {
            let holds = self.keys.iter().flat_map(|key| &key.holds);
            holds
                .filter(|holder| match holder {
                    Holder::OperatorRoot(other) => root && other == person,
                    Holder::Person(other) => !root && other == person,
                    _ => false,
                })
                .count()
        };
        let office = |holder: &Holder| match holder {
            Holder::OperatorRoot(person) if count(person, true) == 1 => "operator root".to_owned(),
            Holder::Person(person) if count(person, false) == 1 => "person".to_owned(),
            Holder::Verifier(_) => "gate verifier".to_owned(),
            Holder::Rig(_) => "rig".to_owned(),
            Holder::PlatformRoot => "platform root".to_owned(),
            Holder::Vendor(vendor) => format!("vendor {vendor}"),
            Holder::Witness(_) if witnesses_alike => "witness".to_owned(),
            other => format!("{other:?}"),
        };
        let class = |key: &Key| key.holds.iter().map(office).collect::<Vec<_>>().join(" + ");
        let classes: Vec<String> = self.keys.iter().map(class).collect();
        self.keys.iter_mut().zip(classes).for_each(|(key, class)| key.class = class);
        self.keys
    }
}
