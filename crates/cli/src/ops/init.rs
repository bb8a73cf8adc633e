//! A new operator's folder: keys, anchor, TUF repository, policy, server configuration, join token.
//! All of it or nothing: it is built beside its place and renamed. It never overwrites.
use crate::files::{self, Access, FileError};
use crate::keys::{self, HeldKey, Keeping, KeyError};
use crate::layout::Layout;
use crate::ops::init_log::{self, LogOptions};
use crate::ops::office::Office;
use crate::ops::policy::{self, PolicyOpError};
use crate::policy_attestations;
use crate::policy_form::PolicyForm;
use andon_model::enrol::Anchor;
use andon_model::fast_lane::{FastLane, FastLaneEntry};
use andon_model::id::IdError;
use andon_model::policy::Person;
use andon_model::release::ComponentKind;
use andon_model::rigs::{Attestations, Demand, Rig};
use andon_model::verifiers::{Verifier, Verifiers};
use andon_model::{
    Digest, LineId, Millis, OperatorId, PersonId, PublicKey, RigId, Time, VendorId, VerifierId,
};
use andon_trust::log::VerifierKey;
use andon_trust::repository::{Delegation, Repository, RepositoryError, Role, TopRoles, Validity};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Platform root: three keys, of which two must sign, so that one may be lost.
const PLATFORM_ROOT_KEYS: u32 = 3;
const PLATFORM_ROOT_THRESHOLD: u32 = 2;
/// Every vendor of this line: three keys, two sign.
const VENDOR_KEYS: u32 = 3;
const VENDOR_THRESHOLD: u32 = 2;
const DAY: u64 = 86_400;
/// Offline metadata is re-signed yearly; the server renews snapshot and timestamp by itself.
pub(crate) const OFFLINE_VALID: Millis = Millis::from_secs(365 * DAY);
pub(crate) const SNAPSHOT_VALID: Millis = Millis::from_secs(30 * DAY);
pub(crate) const TIMESTAMP_VALID: Millis = Millis::from_secs(7 * DAY);

/// What a new line is to be like.
#[derive(Clone, Debug)]
pub(crate) struct InitOptions {
    /// whose line: an operator's fleet, or a vendor's line over its members' hosts
    pub(crate) line: LineId,
    /// vendors with a role of their own
    pub(crate) vendors: Vec<VendorId>,
    /// the operator's people
    pub(crate) people: Vec<PersonId>,
    /// how many of them it takes for policy and adopted releases
    pub(crate) threshold: u32,
    /// gate verifiers; all of them must cosign
    pub(crate) verifiers: Vec<VerifierId>,
    /// rigs; all of them must have run a release
    pub(crate) rigs: Vec<RigId>,
    /// what they must have run: releases of this kind; `None`: of every kind
    pub(crate) rigs_run: Option<ComponentKind>,
    /// the line's own public log
    pub(crate) log: Option<LogOptions>,
    /// what may use the emergency lane, by the platform's list; none: everything
    pub(crate) fast_lane: Vec<FastLaneEntry>,
    /// where the server listens
    pub(crate) listen: String,
    /// the server's tick
    pub(crate) tick: Millis,
    /// how the keys of people are kept
    pub(crate) keeping: Keeping,
    /// the policy; its line, online key and people are filled in by [`create`]
    pub(crate) policy: PolicyForm,
}

impl InitOptions {
    /// Three people, two of whom must agree, and the promised policy.
    pub(crate) fn new(line: LineId) -> InitOptions {
        let people = ["alice", "bob", "carol"].iter().filter_map(|name| PersonId::new(name).ok());
        InitOptions {
            line: line.clone(),
            vendors: Vec::new(),
            people: people.collect(),
            threshold: 2,
            verifiers: Vec::new(),
            rigs: Vec::new(),
            rigs_run: None,
            log: None,
            fast_lane: Vec::new(),
            listen: "127.0.0.1:7300".to_owned(),
            tick: Millis::from_secs(1),
            keeping: Keeping::Plain,
            policy: PolicyForm::defaults(line, PublicKey([0; 32])),
        }
    }
}

/// What was made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// where everything is
    pub(crate) layout: Layout,
    /// what hosts trust
    pub(crate) anchor: Anchor,
    /// verifier key of the line's own public log
    pub(crate) log: Option<VerifierKey>,
}

/// Why there is no new folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitError {
    /// something is there
    #[error("{0} is already there and is not overwritten")]
    Exists(PathBuf),
    /// a file could not be written
    #[error("lay out folder")]
    File(#[from] FileError),
    /// a key could not be made
    #[error("make keys")]
    Key(#[from] KeyError),
    /// metadata could not be made
    #[error("make update repository")]
    Repository(#[from] RepositoryError),
    /// the policy makes no sense
    #[error("make policy")]
    Policy(#[from] PolicyOpError),
    /// too few people for the threshold
    #[error("threshold {threshold} needs at least so many distinct people, {people} are named")]
    People {
        /// distinct people
        people: usize,
        /// asked
        threshold: u32,
    },
    /// a vendor named twice, or as the operator
    #[error("vendor {0} is named twice, or has the operator's name")]
    Vendor(VendorId),
    /// a name that cannot be a role
    #[error("use operator's name as vendor of record")]
    Name(#[from] IdError),
    /// the finished folder could not be put in its place
    #[error("put {path} in place")]
    Place {
        /// where
        path: PathBuf,
        /// why
        source: std::io::Error,
    },
}

/// The vendor of record of an operator's line: the operator under its own name.
/// # Errors
/// [`IdError`], never for a valid operator name.
pub(crate) fn vendor_of_record(operator: &OperatorId) -> Result<VendorId, IdError> {
    VendorId::new(operator.as_str())
}

/// Makes the folder `dir`.
/// # Errors
/// [`InitError`]; nothing is left behind then.
pub(crate) fn create(dir: &Path, options: &InitOptions, now: Time) -> Result<Made, InitError> {
    check(dir, options)?;
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = dir.with_file_name(name);
    files::make_private_folder(&beside)?;
    let built = build(&Layout::new(&beside), options, now).and_then(|made| {
        let place = |source| InitError::Place { path: dir.to_owned(), source };
        std::fs::rename(&beside, dir).map_err(place)?;
        Ok(made)
    });
    if built.is_err() {
        let _best_effort = std::fs::remove_dir_all(&beside);
    }
    let (anchor, log) = built?;
    Ok(Made { layout: Layout::new(dir), anchor, log })
}

/// Whether a folder can be made there, with these names: asked before anybody types a passphrase.
/// # Errors
/// [`InitError`].
pub(crate) fn check(dir: &Path, options: &InitOptions) -> Result<(), InitError> {
    let occupied = std::fs::read_dir(dir).map(|mut entries| entries.next().is_some());
    let missing = occupied.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
    if !missing && occupied.unwrap_or(true) {
        return Err(InitError::Exists(dir.to_owned()));
    }
    let people = options.people.iter().collect::<BTreeSet<_>>().len();
    if options.threshold == 0
        || people < options.threshold as usize
        || people != options.people.len()
    {
        return Err(InitError::People { people, threshold: options.threshold });
    }
    let mut names = BTreeSet::from([match &options.line {
        LineId::Operator(operator) => vendor_of_record(operator)?,
        LineId::Vendor(vendor) => vendor.clone(),
    }]);
    match options.vendors.iter().find(|vendor| !names.insert((*vendor).clone())) {
        Some(vendor) => Err(InitError::Vendor(vendor.clone())),
        None => Ok(()),
    }
}

fn build(
    layout: &Layout,
    options: &InitOptions,
    now: Time,
) -> Result<(Anchor, Option<VerifierKey>), InitError> {
    files::make_private_folder(&layout.keys())?;
    let people = people_keys(layout, options)?;
    let root = make_tuf(layout, options, &people, now)?;
    let keeping = &options.keeping;
    let cord = Office::PlatformCord.words();
    let cord = keys::make_kept(&layout.platform_cord_key(), "platform", cord, keeping)?;
    let online = keys::make(&layout.server_key("online"), "online", Office::Online.words())?;

    let roots: Vec<HeldKey> = options
        .people
        .iter()
        .map(|person| {
            let path = layout.operator_root_key(person);
            keys::make_kept(&path, person.as_str(), Office::OperatorRoot.words(), keeping)
        })
        .collect::<Result<_, _>>()?;
    let person = |(person, held): (&PersonId, &HeldKey)| Person {
        person: person.clone(),
        key: held.key.public(),
    };
    let anchor = Anchor {
        schema: 1,
        line: options.line.clone(),
        operators: options.people.iter().zip(&roots).map(person).collect(),
        operators_threshold: options.threshold,
        tuf_root: root,
        platform: vec![cord.key.public()],
    };
    let bytes = serde_json::to_vec_pretty(&anchor).unwrap_or_default();
    files::create(&layout.anchor(), &bytes, Access::Public)?;

    let mut form = options.policy.clone();
    form.line = anchor.line.clone();
    form.online = online.key.public();
    form.people =
        options.people.iter().zip(&people).map(|(p, k)| (p.clone(), k.key.public())).collect();
    form.verifiers = verifiers(layout, &options.verifiers)?;
    form.attestations = attestations(layout, &options.rigs, options.rigs_run)?;
    let log = options.log.as_ref();
    let log = log.map(|log| Ok((log, init_log::make_key(layout, log)?)));
    let log = log.transpose().map_err(InitError::Key)?;
    form.log = log.as_ref().map(|(log, vkey)| init_log::policy(log, vkey));
    files::create(&layout.policy_form(), form.write().as_bytes(), Access::Public)?;
    let signers: Vec<_> = roots.iter().take(options.threshold as usize).collect();
    let envelope = policy::sign(&form, 1, now, &signers)?;
    files::create(&layout.policy(), &envelope.to_bytes(), Access::Public)?;

    let token = andon_model::digest::to_hex(&keys::random()?);
    files::create(&layout.join_token(), format!("{token}\n").as_bytes(), Access::Secret)?;
    let config = server_config(options, &Digest::of(token.as_bytes()));
    files::create(&layout.server_config(), config.as_bytes(), Access::Public)?;
    Ok((anchor, log.map(|(_, vkey)| vkey)))
}

fn verifiers(layout: &Layout, names: &[VerifierId]) -> Result<Verifiers, KeyError> {
    let make = |name: &VerifierId| {
        let path = layout.verifier_key(name);
        let held = keys::make(&path, name.as_str(), keys::VERIFIER)?;
        Ok(Verifier { name: name.clone(), key: held.key.public() })
    };
    let keys: Vec<Verifier> = names.iter().map(make).collect::<Result<_, KeyError>>()?;
    Ok(Verifiers { needed: u32::try_from(keys.len()).unwrap_or(u32::MAX), keys })
}

/// Without rigs nothing is demanded; with some, everything of all of them, for releases of that kind.
fn attestations(
    layout: &Layout,
    names: &[RigId],
    kind: Option<ComponentKind>,
) -> Result<Attestations, KeyError> {
    let make = |name: &RigId| {
        let held = keys::make(&layout.rig_key(name), name.as_str(), keys::RIG)?;
        Ok(Rig { name: name.clone(), key: held.key.public() })
    };
    let rigs: Vec<Rig> = names.iter().map(make).collect::<Result<_, KeyError>>()?;
    let all = Demand { kind, ..policy_attestations::demand() };
    let demands = if rigs.is_empty() { vec![] } else { vec![all] };
    Ok(Attestations { needed: u32::try_from(rigs.len()).unwrap_or(u32::MAX), rigs, demands })
}

fn people_keys(layout: &Layout, options: &InitOptions) -> Result<Vec<HeldKey>, KeyError> {
    let make = |person: &PersonId| {
        let path = layout.person_key(person);
        keys::make_kept(&path, person.as_str(), Office::Person.words(), &options.keeping)
    };
    options.people.iter().map(make).collect()
}

/// Root, targets with one delegation per vendor, snapshot, timestamp. Returns the root as signed.
fn make_tuf(
    layout: &Layout,
    options: &InitOptions,
    people: &[HeldKey],
    now: Time,
) -> Result<serde_json::Value, InitError> {
    let roots: Vec<HeldKey> = (1..=PLATFORM_ROOT_KEYS)
        .map(|n| {
            let (path, name) = (layout.platform_root_key(n), format!("platform-{n}"));
            keys::make_kept(&path, &name, Office::PlatformRoot.words(), &options.keeping)
        })
        .collect::<Result<_, _>>()?;
    let delegations = Office::PlatformTargets.words();
    let path = layout.platform_targets_key();
    let targets_key = keys::make_kept(&path, "targets", delegations, &options.keeping)?;
    let server_key =
        |name: &str, office: Office| keys::make(&layout.server_key(name), name, office.words());
    let snapshot_key = server_key("snapshot", Office::Snapshot)?;
    let timestamp_key = server_key("timestamp", Office::Timestamp)?;

    let one = |held: &HeldKey| Role { keys: vec![held.key.public()], threshold: 1 };
    let roles = TopRoles {
        root: Role { keys: public(&roots), threshold: PLATFORM_ROOT_THRESHOLD },
        timestamp: one(&timestamp_key),
        snapshot: one(&snapshot_key),
        targets: one(&targets_key),
    };
    // An operator vouches for third-party files by its people's keys; a vendor signs with its own.
    let first = match &options.line {
        LineId::Operator(operator) => {
            let role = Role { keys: public(people), threshold: options.threshold };
            Delegation { vendor: vendor_of_record(operator)?, role }
        }
        LineId::Vendor(vendor) => vendor_delegation(layout, vendor, &options.keeping)?,
    };
    let mut vendors = vec![first];
    for vendor in &options.vendors {
        vendors.push(vendor_delegation(layout, vendor, &options.keeping)?);
    }
    let expires = now.plus(OFFLINE_VALID);
    let mut repository = Repository::create(&roles, &vendors, expires, expires)?;
    for held in roots.iter().take(PLATFORM_ROOT_THRESHOLD as usize) {
        repository.sign_root(&held.key)?;
    }
    if !options.fast_lane.is_empty() {
        let mut components = options.fast_lane.clone();
        components.sort();
        components.dedup();
        repository.set_fast_lane(&FastLane { expires, components })?;
    }
    repository.sign_targets(&targets_key.key)?;
    let valid = Validity { snapshot: SNAPSHOT_VALID, timestamp: TIMESTAMP_VALID };
    let served = repository.publish(now, valid, &snapshot_key.key, &timestamp_key.key)?;
    for (name, bytes) in served {
        files::create(&layout.tuf().join(name), &bytes, Access::Public)?;
    }
    Ok(serde_json::from_slice(&repository.root_bytes()).unwrap_or_default())
}

fn vendor_delegation(
    layout: &Layout,
    vendor: &VendorId,
    keeping: &Keeping,
) -> Result<Delegation, KeyError> {
    let make = |n| {
        let name = format!("{vendor}-{n}");
        let path = layout.vendor_key(vendor, n);
        keys::make_kept(&path, &name, Office::Vendor.words(), keeping)
    };
    let held: Vec<HeldKey> = (1..=VENDOR_KEYS).map(make).collect::<Result<_, _>>()?;
    let role = Role { keys: public(&held), threshold: VENDOR_THRESHOLD };
    Ok(Delegation { vendor: vendor.clone(), role })
}

fn public(held: &[HeldKey]) -> Vec<PublicKey> {
    held.iter().map(|held| held.key.public()).collect()
}

/// What stands at the end of an operator's configuration.
const VENDOR_LINE_HINT: &str = "# Where a vendor line is served that policy.toml names:\n\
     # [[vendor_line]]\n\
     # vendor = \"acme\"\n\
     # url = \"http://line.acme.example:7300\"\n";

fn server_config(options: &InitOptions, token: &Digest) -> String {
    format!(
        "# The server of line {line}. Paths are relative to this file.\n\
         # Start it with: andond --config andond.toml\n\
         listen = {listen:?}\n\
         data = \"data\"\n\
         anchor = \"../anchor.json\"\n\
         policy = \"policy.json\"\n\
         online_key = \"keys/online.json\"\n\
         timestamp_key = \"keys/timestamp.json\"\n\
         snapshot_key = \"keys/snapshot.json\"\n\
         # SHA-256 of the tokens that admit new hosts; the token itself is in ../join-token\n\
         join_tokens = [\"{token}\"]\n\
         tick_ms = {tick}\n{inside}{log}",
        log = options.log.as_ref().map(init_log::config).unwrap_or_default(),
        line = options.line,
        inside = match options.line {
            LineId::Operator(_) => VENDOR_LINE_HINT,
            LineId::Vendor(_) => "",
        },
        listen = options.listen,
        tick = options.tick.0,
    )
}
