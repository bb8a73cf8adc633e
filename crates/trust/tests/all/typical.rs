//! A typical release and its proof bundle: twenty vendors with two keys each, both of which must sign; a
//! vendor that has published ten releases; a log of a million entries with three witnesses. Shared with the
//! benchmark (`examples/proof_bundle.rs`).
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::log_entry::LogEntry;
use andon_model::merkle::{Head, inner};
use andon_model::policy::{Horizon, LanePolicy, Person, Policy, Timing, Watch};
use andon_model::proof_bundle::ProofBundle;
use andon_model::release::*;
use andon_model::text::Text;
use andon_model::*;
use andon_trust::log::{Checkpoint, KeyKind, LogProof, NoteKey};
use andon_trust::repository::{self, Delegation, Repository, Role, TopRoles, Validity};
use andon_trust::sign::SigningKey;

pub(crate) const VENDORS: u8 = 20;
pub(crate) const NOW: Time = Time(1_800_000_000_000);
const YEAR: Millis = Millis(31_536_000_000);
const DAY: Millis = Millis(86_400_000);
/// Entries of the log, as a power of two: so many hashes has a proof.
const LOG_HEIGHT: u8 = 20;

pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_seed([n; 32])
}

/// Everything that a stranger needs, and the repository to go on with.
pub(crate) struct Typical {
    pub(crate) anchor: enrol::Anchor,
    pub(crate) policy: Policy,
    pub(crate) repository: Repository,
    pub(crate) vendor: VendorId,
    pub(crate) manifest: Vec<u8>,
    pub(crate) log_proof: LogProof,
    /// files of the repository by name, as published last
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

fn role(keys: &[u8], threshold: u32) -> Role {
    Role { keys: keys.iter().map(|n| key(*n).public()).collect(), threshold }
}

pub(crate) fn vendor(n: u8) -> VendorId {
    VendorId::new(&format!("vendor-{n:02}")).unwrap()
}

/// The two keys of a vendor.
pub(crate) fn vendor_keys(n: u8) -> [u8; 2] {
    [100 + 2 * n, 101 + 2 * n]
}

pub(crate) fn manifest(version: u32) -> Manifest {
    let file = |n: u32| FileEntry {
        path: format!("rules/{n:02}-process-creation.yml"),
        digest: Digest::of(format!("{version} {n}").as_bytes()),
        length: u64::from(700 + n),
        executable: false,
    };
    Manifest {
        schema: 1,
        vendor: vendor(7),
        component: ComponentId::new("rules").unwrap(),
        version: Version(version),
        kind: ComponentKind::Content,
        mode: Mode::Enforce,
        consumer: Some(ComponentId::new("sensor").unwrap()),
        activation: Activation::Reload,
        exec: vec![],
        hooks: Hooks::default(),
        probes: vec![],
        soak: Millis::from_secs(3),
        architectures: vec![],
        origin: Text::default(),
        files: (0..10).map(file).collect(),
        bundle: Digest::of(format!("bundle {version}").as_bytes()),
    }
}

pub(crate) fn note(name: &str, kind: KeyKind, seed: u8) -> NoteKey {
    NoteKey::new(name, kind, key(seed)).unwrap()
}

fn log() -> NoteKey {
    note("log.platform.example", KeyKind::Log, 60)
}

fn witness(n: u8) -> NoteKey {
    note(&format!("witness-{n}.example"), KeyKind::Witness, 60 + n)
}

/// One log, three witnesses of which two are a quorum.
pub(crate) fn demanded() -> String {
    let mut text = format!("log {}\n", log().verifier());
    for n in 1..=3 {
        text += &format!("witness w{n} {}\n", witness(n).verifier());
    }
    text + "group two 2 w1 w2 w3\nquorum two\n"
}

/// A proof that the log's first entry is this one, cosigned at `at` by these witnesses.
pub(crate) fn proof(entry: &LogEntry, at: Time, witnesses: &[u8]) -> LogProof {
    let hashes: Vec<Digest> = (0..LOG_HEIGHT).map(|n| Digest::of(&[n])).collect();
    let root = hashes.iter().fold(entry.leaf(), |below, beside| inner(&below, beside));
    let head = Head { size: 1 << LOG_HEIGHT, root };
    let origin = log().verifier().name().to_owned();
    let checkpoint = Checkpoint { origin, head, extensions: vec![] };
    let mut checkpoint = log().seal(&checkpoint, 0).unwrap();
    for n in witnesses {
        let line = witness(*n).sign(checkpoint.note().text(), at.0 / 1000);
        checkpoint.add(line);
    }
    LogProof { extra: None, index: 0, hashes, checkpoint }
}

pub(crate) fn policy() -> Policy {
    let horizon = Horizon { after: Millis::ZERO, hosts_max: 100, share_max_ppm: 1_000_000 };
    let lane = |approvals_min| LanePolicy {
        budget: vec![horizon.clone()],
        first_wave_max: 16,
        growth_max_permille: 15_500,
        soak_min: Millis::from_secs(5),
        approvals_min,
    };
    let person = |name, n| Person { person: PersonId::new(name).unwrap(), key: key(n).public() };
    Policy {
        attestations: Default::default(),
        fast_lane: None,
        overrides: Vec::new(),
        members: Vec::new(),
        absent_max_ppm: 0,
        log: Some(demanded()),
        vendor_lines: Vec::new(),
        verifiers: Default::default(),
        schema: 1,
        line: "operator:hospital".parse().unwrap(),
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
            restart_missed_ppm: andon_model::policy::restart_missed_ppm(),
        },
        timing: Timing { delivery: Millis::from_secs(1), window: Millis::from_secs(3) },
        background_ppm_per_h: 7200,
        controls_max: 1_000_000,
        ticket_valid: Millis::from_secs(600),
        probes: vec![],
        eligibility: andon_model::eligible::Rules::default(),
        budgets: vec![],
    }
}

pub(crate) fn seal(policy: &Policy) -> Envelope {
    let payload = serde_json::to_vec(policy).unwrap();
    let mut envelope = key(1).seal(PayloadType::Policy, &payload);
    key(2).add(&mut envelope);
    envelope
}

/// Signs the next version of a vendor's role with these manifests more.
pub(crate) fn publish_role(
    repository: &mut Repository,
    n: u8,
    manifests: &[Manifest],
    expires: Time,
) {
    let name = vendor(n);
    let listed = |m: &Manifest| {
        let bytes = serde_json::to_vec(m).unwrap();
        (
            format!("releases/{name}/rules/{}.json", m.version),
            Digest::of(&bytes),
            bytes.len() as u64,
        )
    };
    let files: Vec<_> = manifests.iter().map(listed).collect();
    let mut signed = repository::vendor_role(repository.role(&name), expires, &files).unwrap();
    vendor_keys(n).iter().for_each(|n| signed.sign(&key(*n)).unwrap());
    repository.set_role(&name, &signed.to_bytes(), NOW).unwrap();
}

pub(crate) fn publish(repository: &mut Repository, now: Time) -> Vec<(String, Vec<u8>)> {
    let valid = Validity { snapshot: Millis(7 * DAY.0), timestamp: DAY };
    repository.publish(now, valid, &key(14), &key(15)).unwrap()
}

impl Typical {
    pub(crate) fn new() -> Typical {
        let roles = TopRoles {
            root: role(&[10, 11, 12], 2),
            targets: role(&[13], 1),
            snapshot: role(&[14], 1),
            timestamp: role(&[15], 1),
        };
        let delegation = |n| Delegation { vendor: vendor(n), role: role(&vendor_keys(n), 2) };
        let vendors: Vec<_> = (1..=VENDORS).map(delegation).collect();
        let until = NOW.plus(YEAR);
        let mut repository = Repository::create(&roles, &vendors, until, until).unwrap();
        [10, 11].iter().for_each(|n| repository.sign_root(&key(*n)).unwrap());
        repository.sign_targets(&key(13)).unwrap();
        let ten: Vec<Manifest> = (1..=10).map(manifest).collect();
        (1..=VENDORS).for_each(|n| publish_role(&mut repository, n, &ten, until));
        let files = publish(&mut repository, NOW);
        let person =
            |name, n| Person { person: PersonId::new(name).unwrap(), key: key(n).public() };
        let anchor = enrol::Anchor {
            schema: 1,
            line: "operator:hospital".parse().unwrap(),
            operators: vec![person("alice", 1), person("bob", 2)],
            operators_threshold: 2,
            tuf_root: serde_json::from_slice(&repository.root_bytes()).unwrap(),
            platform: vec![key(10).public()],
        };
        let ninth = manifest(9);
        let bytes = serde_json::to_vec(&ninth).unwrap();
        let entry = LogEntry::release(Digest::of(&bytes), &ninth);
        let log_proof = proof(&entry, NOW, &[1, 2, 3]);
        Typical {
            anchor,
            policy: policy(),
            repository,
            vendor: vendor(7),
            manifest: bytes,
            log_proof,
            files,
        }
    }

    /// The newest published file whose name ends so.
    pub(crate) fn file(&self, end: &str) -> String {
        let mut newest_first = self.files.iter().rev().filter(|(name, _)| name.ends_with(end));
        String::from_utf8(newest_first.next().unwrap().1.clone()).unwrap()
    }

    pub(crate) fn bundle(&self) -> ProofBundle {
        ProofBundle {
            schema: 1,
            vendor: self.vendor.clone(),
            roots: vec![],
            timestamp: self.file("timestamp.json"),
            snapshot: self.file("snapshot.json"),
            targets: self.file(".targets.json"),
            role: self.file(&format!("{}.json", self.vendor)),
            manifest: String::from_utf8(self.manifest.clone()).unwrap(),
            log_proof: Some(self.log_proof.to_text()),
            attestations: vec![],
        }
    }
}
