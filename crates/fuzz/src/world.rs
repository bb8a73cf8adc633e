//! One small line, made by our own signing code and the same at every start: what the targets hold
//! bytes against, and what the seeds are made of. Its keys are numbers; nobody trusts them.
use andon_model::ceilings;
use andon_model::class::HostClass;
use andon_model::enrol::Anchor;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::index::{Index, IndexAttestations, IndexTicket};
use andon_model::log_entry::LogEntry;
use andon_model::merkle::{Head, Tree, leaf};
use andon_model::order::{Commitment, Shard, commit};
use andon_model::policy::{Horizon, LanePolicy, Person, Policy, Timing, Watch, controls_max};
use andon_model::release::{
    Activation, ComponentKind, FileEntry, Hooks, Manifest, Mode, Version, target_path,
};
use andon_model::rigs::{Alike, Attestations, Demand, Rig};
use andon_model::stop::{Freeze, Party, Scope};
use andon_model::text::Text;
use andon_model::ticket::{Ceiling, Newcomers, Step, Ticket};
use andon_model::{
    ComponentId, Digest, HostId, LineId, Millis, OperatorId, PersonId, RigId, RolloutId, StratumId,
    Time, VendorId, attestation, eligible, policy, position::Position,
};
use andon_trust::attestation::to_file;
use andon_trust::log::{Checkpoint, KeyKind, LogProof, NoteKey};
use andon_trust::repository::{self as tuf, Delegation, Role};
use andon_trust::sign::SigningKey;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// When everything here is in force.
pub const NOW: Time = Time(1_800_000_000_000);
const YEAR: Millis = Millis(31_536_000_000);

/// Keys 1, 2 operators; 3 online; 7 a host; 10, 11 platform root; 13 targets; 14 snapshot; 15 timestamp;
/// 20, 21 vendor acme, both must sign; 40, 41 rigs; 60 the log, 61 to 63 witnesses.
#[must_use]
pub fn key(number: u8) -> SigningKey {
    SigningKey::from_seed([number; 32])
}

/// Reads a name that is one.
macro_rules! name {
    ($type:ident, $text:expr) => {
        $type::new($text).expect("a name")
    };
}

/// The line and what is served for it.
#[derive(Debug)]
pub struct World {
    /// what a host has from the start
    pub anchor: Anchor,
    /// signed by both operators
    pub policy: Policy,
    /// of the one release
    pub manifest: Manifest,
    /// its digest
    pub release: Digest,
    /// of the one rollout
    pub ticket: Ticket,
    /// by the vendor
    pub freeze: Freeze,
    /// one shard and its commitment
    pub order: (Commitment, Shard),
    /// the same of ceilings
    pub ceilings: (ceilings::Commitment, ceilings::Shard),
    /// of the release
    pub proof: LogProof,
    /// TUF files by their names below `/v1/tuf/`
    pub metadata: BTreeMap<String, Vec<u8>>,
    /// all files by their paths, as a host asks for them
    pub files: BTreeMap<String, Vec<u8>>,
}

/// The world, made once.
#[must_use]
pub fn world() -> &'static World {
    static WORLD: LazyLock<World> = LazyLock::new(World::new);
    &WORLD
}

/// A value as the payload of an envelope, signed with these keys.
#[must_use]
pub fn seal<T: Serialize>(keys: &[u8], kind: PayloadType, value: &T) -> Envelope {
    seal_bytes(keys, kind, &serde_json::to_vec(value).expect("JSON"))
}

/// The same of bytes.
#[must_use]
pub fn seal_bytes(keys: &[u8], kind: PayloadType, payload: &[u8]) -> Envelope {
    let mut envelope =
        Envelope { payload_type: kind, payload: payload.to_vec(), signatures: vec![] };
    keys.iter().for_each(|number| key(*number).add(&mut envelope));
    envelope
}

/// Metadata signed anew with these keys, beside whatever signatures it has.
#[must_use]
pub fn signed_again(bytes: &[u8], keys: &[u8]) -> Option<Vec<u8>> {
    let mut metadata = tuf::SignedMetadata::parse(bytes).ok()?;
    for number in keys {
        metadata.sign(&key(*number)).ok()?;
    }
    Some(metadata.to_bytes())
}

/// The host that looks.
#[must_use]
pub fn host() -> HostId {
    HostId::new(7).expect("a host")
}

/// Its class.
#[must_use]
pub fn class() -> HostClass {
    HostClass {
        arch: name!(StratumId, "x86_64"),
        os: name!(StratumId, "debian12"),
        model: name!(StratumId, "edge"),
        groups: vec![],
    }
}

/// The vendor.
#[must_use]
pub fn vendor() -> VendorId {
    name!(VendorId, "acme")
}

/// The line.
#[must_use]
pub fn line() -> LineId {
    LineId::Operator(name!(OperatorId, "hospital"))
}

/// The log's key, or a witness's (1 to 3).
#[must_use]
pub fn note_key(witness: u8) -> NoteKey {
    let (name, kind) = match witness {
        0 => ("log.example".to_owned(), KeyKind::Log),
        _ => (format!("w{witness}.example"), KeyKind::Witness),
    };
    NoteKey::new(&name, kind, key(60 + witness)).expect("a note key")
}

/// Our log and two of three witnesses.
#[must_use]
pub fn log_policy() -> String {
    let mut text = format!("log {}\n", note_key(0).verifier());
    for number in 1..=3 {
        text += &format!("witness w{number} {}\n", note_key(number).verifier());
    }
    text + "group two 2 w1 w2 w3\nquorum two\n"
}

/// A statement of the first rig: this release ran well on this class.
#[must_use]
pub fn statement(release: Digest) -> attestation::Statement {
    use attestation::{Configuration, DigestSet, Predicate, StatementType, Subject, TestResult};
    let class = attestation::AttestedClass::of(&class());
    attestation::Statement {
        kind: StatementType::V1,
        subject: vec![Subject { name: "rules".to_owned(), digest: DigestSet { sha256: release } }],
        predicate: Predicate::TestResult(TestResult {
            result: attestation::TestOutcome::Passed,
            configuration: vec![Configuration::of_class(&class)],
            url: None,
            passed_tests: vec!["loads".to_owned()],
            warned_tests: vec![],
            failed_tests: vec![],
        }),
    }
}

impl World {
    fn new() -> World {
        let (policy, manifest) = (policy(), manifest());
        let bytes = serde_json::to_vec(&manifest).expect("JSON");
        let release = Digest::of(&bytes);
        let metadata = metadata(&manifest, &bytes);
        let ticket = ticket(&policy, release);
        let freeze = Freeze {
            schema: 1,
            by: Party::Vendor(vendor()),
            scope: Scope::Vendor(vendor()),
            reason: Text::clipped("crashes hosts"),
            issued: NOW,
            expires: NOW.plus(Millis::from_secs(86_400)),
        };
        let proof = proof(release, &manifest);
        let mut made = World {
            anchor: anchor(&metadata),
            order: order(),
            ceilings: ceilings(),
            files: BTreeMap::new(),
            policy,
            manifest,
            release,
            ticket,
            freeze,
            proof,
            metadata,
        };
        made.files = served(&made, bytes);
        made
    }

    /// The path of a file of this line.
    #[must_use]
    pub fn line_path(rest: &str) -> String {
        format!("/v1/lines/{}/{rest}", line())
    }
}

/// What the server of the line serves.
fn served(world: &World, manifest: Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    let release = world.release;
    let policy = seal(&[1, 2], PayloadType::Policy, &world.policy).to_bytes();
    let ticket = seal(&[3], PayloadType::Ticket, &world.ticket).to_bytes();
    // Of a release that is none of this line's: in force, and it stops nothing here.
    let freeze = Freeze {
        scope: Scope::Release(Digest::of(b"another")),
        by: Party::Platform,
        ..world.freeze.clone()
    };
    let stop = seal(&[10], PayloadType::Freeze, &freeze).to_bytes();
    let words = seal(&[40], PayloadType::Statement, &statement(release));
    let words = to_file([&words]);
    // The first root is in the anchor: no host asks for it.
    let metadata = world.metadata.iter().filter(|(name, _)| *name != "1.root.json");
    let mut files: BTreeMap<String, Vec<u8>> =
        metadata.map(|(name, bytes)| (format!("/v1/tuf/{name}"), bytes.clone())).collect();
    let rollout = world.ticket.rollout.clone();
    let index = Index {
        version: 5,
        policy: Some(Digest::of(&policy)),
        timestamp: Some(Digest::of(&world.metadata["timestamp.json"])),
        tickets: vec![IndexTicket { rollout, digest: Digest::of(&ticket) }],
        stops: vec![Digest::of(&stop)],
        vendor_lines: vec![],
        attestations: vec![IndexAttestations { release, digest: Digest::of(&words) }],
    };
    let of_line = [
        ("index.json".to_owned(), serde_json::to_vec(&index).expect("JSON")),
        ("policy.json".to_owned(), policy),
        (format!("tickets/{}.json", world.ticket.rollout), ticket),
        (format!("stops/{}.json", Digest::of(&stop)), stop),
        (format!("attestations/{release}.jsonl"), words),
    ];
    files.extend(of_line.map(|(name, bytes)| (World::line_path(&name), bytes)));
    let path = format!("/v1/targets/releases/acme/rules/{release}.1.json");
    files.insert(path, manifest);
    files.insert(format!("/v1/log/proofs/{release}"), world.proof.to_text().into_bytes());
    let checkpoint = world.proof.checkpoint.to_text().into_bytes();
    files.insert("/v1/log/checkpoint".to_owned(), checkpoint);
    files
}

fn lane(approvals_min: u32) -> LanePolicy {
    LanePolicy {
        budget: vec![Horizon { after: Millis::ZERO, hosts_max: 100, share_max_ppm: 1_000_000 }],
        first_wave_max: 16,
        growth_max_permille: 15_500,
        soak_min: Millis::from_secs(5),
        approvals_min,
    }
}

fn person(name: &str, number: u8) -> Person {
    Person { person: name!(PersonId, name), key: key(number).public() }
}

fn policy() -> Policy {
    Policy {
        schema: 1,
        line: line(),
        version: 3,
        expires: NOW.plus(YEAR),
        online: key(3).public(),
        people: vec![person("alice", 1), person("bob", 2)],
        routine: lane(0),
        emergency: lane(2),
        alpha_ppm: 1000,
        delta_ppm: 1000,
        holdback_permille: 5,
        holdback_min: 1,
        watch: Watch {
            beat: Millis::from_secs(1),
            silent_after: Millis::from_secs(4),
            restart_missed_ppm: policy::restart_missed_ppm(),
        },
        timing: Timing { delivery: Millis::from_secs(1), window: Millis::from_secs(3) },
        background_ppm_per_h: policy::background_ppm_per_h(),
        controls_max: controls_max(),
        ticket_valid: Millis::from_secs(600),
        probes: vec![],
        eligibility: eligible::Rules::default(),
        budgets: vec![],
        members: vec![],
        absent_max_ppm: 0,
        log: Some(log_policy()),
        fast_lane: None,
        overrides: vec![],
        attestations: attestations(),
        vendor_lines: vec![],
        verifiers: andon_model::verifiers::Verifiers::default(),
    }
}

fn attestations() -> Attestations {
    let rig = |name: &str, number| Rig { name: name!(RigId, name), key: key(number).public() };
    let demand = Demand {
        kind: None,
        arch: None,
        os: None,
        model: None,
        alike: Alike::Platform,
        same: Vec::new(),
        predicates: vec![attestation::PredicateKind::TestResult],
    };
    Attestations { needed: 1, rigs: vec![rig("one", 40), rig("two", 41)], demands: vec![demand] }
}

fn manifest() -> Manifest {
    let bytes = b"title: x";
    Manifest {
        schema: 1,
        vendor: vendor(),
        component: name!(ComponentId, "rules"),
        version: Version(1),
        kind: ComponentKind::Content,
        mode: Mode::Enforce,
        consumer: Some(name!(ComponentId, "sensor")),
        activation: Activation::Reload,
        exec: vec![],
        hooks: Hooks::default(),
        probes: vec![],
        soak: Millis::from_secs(3),
        architectures: vec![],
        origin: Text::default(),
        files: vec![FileEntry {
            path: "rules/a.yml".to_owned(),
            digest: Digest::of(bytes),
            length: bytes.len() as u64,
            executable: false,
        }],
        bundle: Digest::of(bytes),
    }
}

fn ticket(policy: &Policy, release: Digest) -> Ticket {
    let step = |generation, handed, at| Step { generation, handed, at: NOW.plus(Millis(at)) };
    Ticket {
        schema: 1,
        line: line(),
        rollout: name!(RolloutId, "r1"),
        release,
        component: name!(ComponentId, "rules"),
        version: Version(1),
        lane: policy::Lane::Routine,
        generation: 2,
        seed: Digest::of(b"seed"),
        enrolled_max: Some(HostId::new(100).expect("a host")),
        newcomers: Newcomers::Excluded,
        planned: None,
        scheduled: vec![],
        told_apart: vec![],
        excluded: vec![],
        seats: vec![],
        order: None,
        committed: None,
        ceilings: vec![Ceiling {
            stratum: class().stratum(),
            position_max: Some(Position::MAX),
            handed: 32,
            late_max: None,
        }],
        steps: vec![step(1, 16, 0), step(2, 32, 6000)],
        watch: policy.watch,
        not_before: NOW.plus(Millis(6000)),
        not_after: NOW.plus(Millis::from_secs(606)),
        evidence: Digest::of(b"evidence"),
        policy_version: policy.version,
        approvals: vec![],
    }
}

/// Thirty-three strata in three shards; the one with the world's own.
fn ceilings() -> (ceilings::Commitment, ceilings::Shard) {
    let (signed, mut shards) = ceilings::commit(&strata()).expect("ceilings");
    let number = ceilings::shard_of(&class().stratum(), signed.shards);
    (signed, shards.remove(number as usize))
}

/// The ceiling of the world's own stratum, and of others with nobody covered.
pub(crate) fn strata() -> Vec<Ceiling> {
    let other = |n: u32| Ceiling {
        stratum: StratumId::new(&format!("x86_64.other.m{n:02}")).expect("a name"),
        position_max: None,
        handed: 0,
        late_max: None,
    };
    let own = Ceiling {
        stratum: class().stratum(),
        position_max: Some(Position::MAX),
        handed: 32,
        late_max: HostId::new(105).ok(),
    };
    let mut strata: Vec<Ceiling> = (0..32).map(other).chain([own]).collect();
    strata.sort_by(|a, b| a.stratum.cmp(&b.stratum));
    strata
}

/// Five hosts of which one has no place.
fn order() -> (Commitment, Shard) {
    let strata = [class().stratum()];
    let places = [Some((0, 3)), Some((0, 1)), None, Some((0, 0)), Some((0, 2))];
    let (commitment, mut shards) = commit(&strata, &places).expect("an order");
    (commitment, shards.remove(0))
}

/// The log's second of three entries, seen by two witnesses.
fn proof(release: Digest, manifest: &Manifest) -> LogProof {
    let other = leaf(b"other");
    let tree = Tree::new(vec![other, LogEntry::release(release, manifest).leaf(), other]);
    let origin = note_key(0).verifier().name().to_owned();
    let head = Head { size: 3, root: tree.root() };
    let checkpoint = Checkpoint { origin, head, extensions: vec![] };
    let mut checkpoint = note_key(0).seal(&checkpoint, 0).expect("a checkpoint");
    for number in [1, 2] {
        let line = note_key(number).sign(checkpoint.note().text(), NOW.0 / 1000);
        checkpoint.add(line);
    }
    LogProof { extra: None, index: 1, hashes: tree.proof(1).expect("a proof"), checkpoint }
}

fn anchor(metadata: &BTreeMap<String, Vec<u8>>) -> Anchor {
    Anchor {
        schema: 1,
        line: line(),
        operators: vec![person("alice", 1), person("bob", 2)],
        operators_threshold: 2,
        tuf_root: serde_json::from_slice(&metadata["1.root.json"]).expect("JSON"),
        platform: vec![key(10).public()],
    }
}

fn role(keys: &[u8], threshold: u32) -> Role {
    Role { keys: keys.iter().map(|number| key(*number).public()).collect(), threshold }
}

/// Two roots, and one of everything else.
fn metadata(manifest: &Manifest, bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let until = NOW.plus(YEAR);
    let roles = [
        ("root", role(&[10, 11], 2)),
        ("targets", role(&[13], 1)),
        ("snapshot", role(&[14], 1)),
        ("timestamp", role(&[15], 1)),
    ];
    let signed = |mut metadata: tuf::SignedMetadata, keys: &[u8]| {
        keys.iter().for_each(|number| metadata.sign(&key(*number)).expect("canonical JSON"));
        metadata.to_bytes()
    };
    let root = |version| {
        let root = tuf::root(version, until, &roles).expect("a root");
        signed(root, &[10, 11])
    };
    let path = target_path(&manifest.vendor, &manifest.component, manifest.version);
    let file = [(path, Digest::of(bytes), bytes.len() as u64)];
    let acme = signed(tuf::vendor_role(None, until, &file).expect("a role"), &[20, 21]);
    let delegation = Delegation { vendor: vendor(), role: role(&[20, 21], 2) };
    let targets = signed(tuf::targets(1, until, &[delegation]).expect("targets"), &[13]);
    let (snapshot, timestamp) = above(&[("targets", 1, &targets), ("acme", 1, &acme)]);
    [
        ("1.root.json", root(1)),
        ("2.root.json", root(2)),
        ("timestamp.json", timestamp),
        ("1.snapshot.json", snapshot),
        ("1.targets.json", targets),
        ("1.acme.json", acme),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into()
}

/// A snapshot of these roles and a timestamp of it, signed.
#[must_use]
pub fn above(roles: &[(&str, u64, &[u8])]) -> (Vec<u8>, Vec<u8>) {
    let until = NOW.plus(YEAR);
    let pin = |(name, version, bytes): &(&str, u64, _)| (format!("{name}.json"), *version, *bytes);
    let pins: Vec<(String, u64, &[u8])> = roles.iter().map(pin).collect();
    let mut snapshot = tuf::snapshot(1, until, &pins).expect("a snapshot");
    snapshot.sign(&key(14)).expect("canonical JSON");
    let snapshot = snapshot.to_bytes();
    let mut timestamp = tuf::timestamp(1, until, 1, &snapshot).expect("a timestamp");
    timestamp.sign(&key(15)).expect("canonical JSON");
    (snapshot, timestamp.to_bytes())
}
