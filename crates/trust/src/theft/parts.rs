//! A line's own parties with keys of which the lab has the private halves: anchor, policy, log, vendors and
//! their releases.
use super::fleet::{stand_in, stranger};
use super::lab::{LabError, NOW, YEAR};
use super::line::Line;
use super::rigs;
use super::tickets::Made;
use crate::log::{Checkpoint, KeyKind, LogProof, NoteKey, VerifierKey};
use crate::policy::demanded_log;
use crate::repository::{self, Delegation, RepositoryError, Role, TopRoles};
use crate::sign::SigningKey;
use andon_model::enrol::Anchor;
use andon_model::log_entry::LogEntry;
use andon_model::merkle::{Head, Tree as Merkle};
use andon_model::policy::{Person, Policy};
use andon_model::release::{
    Activation, ComponentKind, FileEntry, Hooks, Manifest, Mode, Version, target_path,
};
use andon_model::text::Text;
use andon_model::{ComponentId, Digest, Millis, VendorId};

/// What one vendor has made.
#[derive(Clone, Debug)]
pub(super) struct Works {
    pub(super) vendor: VendorId,
    pub(super) role: Role,
    /// of which the first wave is under way
    pub(super) wave: Made,
    /// published, and started by nobody
    pub(super) idle: Made,
    /// what helps, 31 days later
    pub(super) fix: Made,
    /// a thief's release
    pub(super) evil: Made,
    /// a thief's, under the wave's own version and of the same length, listed by nobody
    pub(super) double: Made,
}

/// The private halves of a role, all of them.
pub(super) fn all(role: &Role) -> Vec<SigningKey> {
    role.keys.iter().map(stand_in).collect()
}

pub(super) fn people(people: &[Person]) -> Vec<SigningKey> {
    people.iter().map(|person| stand_in(&person.key)).collect()
}

fn ours(role: &Role) -> Role {
    Role { keys: all(role).iter().map(SigningKey::public).collect(), threshold: role.threshold }
}

pub(super) fn stand_ins(vendors: &[Delegation]) -> Vec<Delegation> {
    let own = |it: &Delegation| Delegation { vendor: it.vendor.clone(), role: ours(&it.role) };
    vendors.iter().map(own).collect()
}

fn persons(people: &[Person]) -> Vec<Person> {
    let own = |it: &Person| Person { person: it.person.clone(), key: stand_in(&it.key).public() };
    people.iter().map(own).collect()
}

/// A root by the line's own root keys for these roles below it.
pub(super) fn root_of(
    version: u64,
    top: &TopRoles,
    below: [Role; 3],
) -> Result<Vec<u8>, RepositoryError> {
    let [targets, snapshot, timestamp] = below;
    let roles = [
        ("root", ours(&top.root)),
        ("targets", targets),
        ("snapshot", snapshot),
        ("timestamp", timestamp),
    ];
    let mut root = repository::root(version, NOW.plus(YEAR), &roles)?;
    all(&top.root).iter().try_for_each(|key| root.sign(key))?;
    Ok(root.to_bytes())
}

pub(super) fn anchor(line: &Line) -> Result<Anchor, LabError> {
    let top = &line.top;
    let below = [ours(&top.targets), ours(&top.snapshot), ours(&top.timestamp)];
    let root = root_of(1, top, below)?;
    Ok(Anchor {
        schema: 1,
        line: line.line.clone(),
        operators: persons(&line.operators),
        operators_threshold: line.operators_threshold,
        tuf_root: serde_json::from_slice(&root).map_err(LabError::Encode)?,
        platform: line.cord.iter().map(|key| stand_in(key).public()).collect(),
    })
}

/// The line's rules under our keys. Rules on who takes what when, budgets of groups and other lines are
/// left out: they only take hosts away from a thief.
pub(super) fn rules(policy: &Policy, version: u64) -> Result<Policy, LabError> {
    let mut own = policy.clone();
    (own.version, own.expires) = (version, NOW.plus(YEAR));
    own.online = stand_in(&policy.online).public();
    own.people = persons(&policy.people);
    for verifier in &mut own.verifiers.keys {
        verifier.key = stand_in(&verifier.key).public();
    }
    own.log = policy.log.as_deref().map(log_text).transpose()?;
    own.eligibility = andon_model::eligible::Rules::default();
    own.budgets.clear();
    own.probes.clear();
    (own.members, own.absent_max_ppm) = (Vec::new(), 0);
    own.vendor_lines.clear();
    own.attestations = rigs::demanded(&policy.attestations);
    own.fast_lane = None;
    own.overrides.clear();
    Ok(own)
}

/// A log policy whose keys are ours.
fn log_text(text: &str) -> Result<String, LabError> {
    let word = |word: &str| match word.parse::<VerifierKey>() {
        Ok(key) => own_note(&key).map(|key| key.verifier().to_string()),
        Err(_) => Ok(word.to_owned()),
    };
    let line = |line: &str| {
        let words = line.split_whitespace().map(word).collect::<Result<Vec<_>, _>>()?;
        Ok(words.join(" ") + "\n")
    };
    text.lines().map(line).collect()
}

fn own_note(key: &VerifierKey) -> Result<NoteKey, LabError> {
    NoteKey::new(key.name(), key.kind(), stand_in(&key.public())).map_err(|_| LabError::Log)
}

/// A proof of logging by the first log of the policy and whoever of the witnesses signs; nothing where no
/// log is demanded. `signer` gives the private half of a real key, or none.
pub(super) fn proof(
    policy: &Policy,
    made: &Made,
    signer: &dyn Fn(&VerifierKey) -> Option<SigningKey>,
) -> Result<Option<Vec<u8>>, LabError> {
    let demanded = demanded_log(policy).map_err(|_| LabError::Log)?;
    let Some((log, of)) = demanded.as_ref().and_then(|log| Some((log.logs().next()?, log))) else {
        return Ok(None);
    };
    let tree = Merkle::new(vec![LogEntry::release(made.digest, &made.manifest).leaf()]);
    let head = Head { size: 1, root: tree.root() };
    let checkpoint = Checkpoint { origin: log.name().to_owned(), head, extensions: vec![] };
    let key = signer(log).unwrap_or_else(|| stranger("log"));
    let key = NoteKey::new(log.name(), KeyKind::Log, key).map_err(|_| LabError::Log)?;
    let mut checkpoint = key.seal(&checkpoint, 0).map_err(|_| LabError::Log)?;
    for witness in of.witnesses() {
        if let Some(key) = signer(witness) {
            let key = NoteKey::new(witness.name(), KeyKind::Witness, key);
            let key = key.map_err(|_| LabError::Log)?;
            checkpoint.add(key.sign(checkpoint.note().text(), NOW.0 / 1000));
        }
    }
    let proof = LogProof { extra: None, index: 0, hashes: Vec::new(), checkpoint };
    Ok(Some(proof.to_text().into_bytes()))
}

pub(super) fn manifest_url(made: &Made) -> String {
    let Manifest { vendor, component, version, .. } = &made.manifest;
    let path = target_path(vendor, component, *version);
    match path.rsplit_once('/') {
        Some((folder, file)) => format!("/v1/targets/{folder}/{}.{file}", made.digest),
        None => format!("/v1/targets/{}.{path}", made.digest),
    }
}

pub(super) fn works(delegation: &Delegation) -> Result<Works, LabError> {
    let vendor = &delegation.vendor;
    Ok(Works {
        vendor: vendor.clone(),
        role: delegation.role.clone(),
        wave: made(vendor, 2, "honest")?,
        idle: made(vendor, 3, "honest")?,
        fix: made(vendor, 4, "honest")?,
        evil: made(vendor, 9, "stolen")?,
        double: made(vendor, 2, "stolen")?,
    })
}

/// Each vendor's is another: a host tells releases apart by component, version and digest.
fn component(vendor: &VendorId) -> Result<ComponentId, LabError> {
    let own = ComponentId::new(&format!("rules-{vendor}"));
    Ok(own.or_else(|_| ComponentId::new(vendor.as_str()))?)
}

/// A release; all of one version are of the same length.
fn made(vendor: &VendorId, version: u32, whose: &str) -> Result<Made, LabError> {
    let content = format!("{vendor} {version} {whose}");
    let digest = Digest::of(content.as_bytes());
    let manifest = Manifest {
        schema: 1,
        vendor: vendor.clone(),
        component: component(vendor)?,
        version: Version(version),
        kind: ComponentKind::Content,
        mode: Mode::Enforce,
        consumer: Some(ComponentId::new("sensor")?),
        activation: Activation::Reload,
        exec: vec![],
        hooks: Hooks::default(),
        probes: vec![],
        soak: Millis::from_secs(3),
        architectures: vec![],
        origin: Text::default(),
        files: vec![FileEntry {
            path: "rules.yml".to_owned(),
            digest,
            length: content.len() as u64,
            executable: false,
        }],
        bundle: digest,
    };
    let bytes = serde_json::to_vec(&manifest).map_err(LabError::Encode)?;
    Ok(Made { digest: Digest::of(&bytes), manifest, bytes })
}

/// A role for whose keys nobody but the thief has the private half.
pub(super) fn role_of(key: &SigningKey) -> Role {
    Role { keys: vec![key.public()], threshold: 1 }
}
