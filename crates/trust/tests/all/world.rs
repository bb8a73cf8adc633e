//! A repository in memory: signs on demand, serves paths to a [`View`], and breaks on request.

use andon_model::class::HostClass;
use andon_model::command::Approval;
use andon_model::enrol::Anchor;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::index::{Index, IndexTicket};
use andon_model::policy::*;
use andon_model::position::Position;
use andon_model::release::*;
use andon_model::stop::{Freeze, Party, Scope};
use andon_model::text::Text;
use andon_model::ticket::*;
use andon_model::*;
use andon_trust::repository as tuf;
use andon_trust::sign::SigningKey;
use andon_trust::view::{Answer, Fetch, Outcome, Step, View};
use std::collections::BTreeMap;

pub(crate) const NOW: Time = Time(1_800_000_000_000);
pub(crate) const YEAR: Millis = Millis(31_536_000_000);

pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_seed([n; 32])
}
pub(crate) fn person(name: &str, n: u8) -> Person {
    Person { person: PersonId::new(name).unwrap(), key: key(n).public() }
}
pub(crate) fn seal<T: serde::Serialize>(keys: &[u8], kind: PayloadType, value: &T) -> Envelope {
    let payload = serde_json::to_vec(value).unwrap();
    let mut envelope = key(keys[0]).seal(kind, &payload);
    keys[1..].iter().for_each(|n| key(*n).add(&mut envelope));
    envelope
}
pub(crate) fn class() -> HostClass {
    let name = |text| StratumId::new(text).unwrap();
    HostClass {
        arch: name("x86_64"),
        os: name("debian12"),
        model: name("edge"),
        groups: Vec::new(),
    }
}
pub(crate) fn host(n: u64) -> HostId {
    HostId::new(n).unwrap()
}

/// Keys: 1, 2 operators (alice, bob); 3 online; 10, 11, 12 platform root; 13 targets; 14 snapshot;
/// 15 timestamp; 20, 21 vendor acme (threshold 2); 30, 31 vendor zeta (threshold 1).
pub(crate) struct World {
    pub(crate) policy: Policy,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) index: Index,
    pub(crate) roles: BTreeMap<String, Vec<u8>>,
    pub(crate) versions: u64,
    pub(crate) fetched: Vec<String>,
    /// a server that sends more than it was asked for
    pub(crate) careless: bool,
    /// changes one metadata file before the next one names it
    pub(crate) tamper: Option<(&'static str, Tamper)>,
}

/// What is done to a file's bytes.
pub(crate) type Tamper = Box<dyn Fn(Vec<u8>) -> Vec<u8>>;

fn lane(approvals_min: u32) -> LanePolicy {
    let horizon = Horizon { after: Millis::ZERO, hosts_max: 100, share_max_ppm: 1_000_000 };
    LanePolicy {
        budget: vec![horizon],
        first_wave_max: 16,
        growth_max_permille: 15_500,
        soak_min: Millis::from_secs(5),
        approvals_min,
    }
}

pub(crate) fn policy() -> Policy {
    Policy {
        members: Vec::new(),
        absent_max_ppm: 0,
        log: None,
        fast_lane: None,
        overrides: Vec::new(),
        attestations: Default::default(),
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

pub(crate) fn root(roles: &[(&str, tuf::Role)], signers: &[u8]) -> Vec<u8> {
    let mut root = tuf::root(1, NOW.plus(YEAR), roles).unwrap();
    signers.iter().for_each(|n| root.sign(&key(*n)).unwrap());
    root.to_bytes()
}
pub(crate) fn role(keys: &[u8], threshold: u32) -> tuf::Role {
    tuf::Role { keys: keys.iter().map(|n| key(*n).public()).collect(), threshold }
}
pub(crate) fn root_roles() -> Vec<(&'static str, tuf::Role)> {
    vec![
        ("root", role(&[10, 11, 12], 2)),
        ("targets", role(&[13], 1)),
        ("snapshot", role(&[14], 1)),
        ("timestamp", role(&[15], 1)),
    ]
}
pub(crate) fn anchor() -> Anchor {
    Anchor {
        schema: 1,
        line: "operator:hospital".parse().unwrap(),
        operators: vec![person("alice", 1), person("bob", 2)],
        operators_threshold: 2,
        tuf_root: serde_json::from_slice(&root(&root_roles(), &[10, 11])).unwrap(),
        platform: vec![key(10).public()],
    }
}
/// The class of hosts in these groups.
pub(crate) fn view_class(groups: &[&str]) -> HostClass {
    let groups = groups.iter().map(|group| GroupId::new(group).unwrap()).collect();
    HostClass { groups, ..class() }
}
pub(crate) fn view_in(n: u64, groups: &[&str]) -> View {
    View::new(anchor(), host(n), view_class(groups)).unwrap()
}
pub(crate) fn view(n: u64) -> View {
    View::new(anchor(), host(n), class()).unwrap()
}

pub(crate) fn manifest(vendor: &str, version: u32) -> Manifest {
    let bytes = format!("{vendor} {version}");
    Manifest {
        schema: 1,
        vendor: VendorId::new(vendor).unwrap(),
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
        files: vec![FileEntry {
            path: "rules.yml".to_owned(),
            digest: Digest::of(bytes.as_bytes()),
            length: bytes.len() as u64,
            executable: false,
        }],
        bundle: Digest::of(bytes.as_bytes()),
    }
}

impl World {
    pub(crate) fn new() -> World {
        let mut world = World {
            policy: policy(),
            files: BTreeMap::new(),
            index: Index { version: 1, ..Index::default() },
            roles: BTreeMap::new(),
            versions: 0,
            fetched: vec![],
            careless: false,
            tamper: None,
        };
        world.put_policy(&seal(&[1, 2], PayloadType::Policy, &world.policy));
        world
    }
    pub(crate) fn line_path(&self, rest: &str) -> String {
        format!("/v1/lines/operator:hospital/{rest}")
    }
    pub(crate) fn put_policy(&mut self, envelope: &Envelope) {
        self.put_policy_bytes(envelope.to_bytes());
    }
    pub(crate) fn put_policy_bytes(&mut self, bytes: Vec<u8>) {
        self.index.policy = Some(Digest::of(&bytes));
        self.files.insert(self.line_path("policy.json"), bytes);
        self.bump();
    }
    pub(crate) fn bump(&mut self) {
        self.index.version += 1;
        let bytes = serde_json::to_vec(&self.index).unwrap();
        self.files.insert(self.line_path("index.json"), bytes);
    }
    /// Lists releases in a vendor's role and signs it.
    pub(crate) fn vendor_role(
        &mut self,
        vendor: &str,
        releases: &[Manifest],
        signers: &[u8],
    ) -> Vec<u8> {
        self.vendor_role_until(vendor, releases, signers, NOW.plus(YEAR))
    }
    fn vendor_role_until(
        &mut self,
        vendor: &str,
        releases: &[Manifest],
        signers: &[u8],
        expires: Time,
    ) -> Vec<u8> {
        let target = |m: &Manifest| {
            let bytes = serde_json::to_vec(m).unwrap();
            (m.target_path(), Digest::of(&bytes), bytes.len() as u64)
        };
        let files: Vec<_> = releases.iter().map(target).collect();
        let before = self.roles.get(vendor).cloned();
        let mut signed = tuf::vendor_role(before.as_deref(), expires, &files).unwrap();
        signers.iter().for_each(|n| signed.sign(&key(*n)).unwrap());
        signed.to_bytes()
    }
    pub(crate) fn release(
        &mut self,
        vendor: &str,
        version: u32,
        signers: &[u8],
    ) -> (Manifest, Digest) {
        self.release_until(vendor, version, signers, NOW.plus(YEAR))
    }
    pub(crate) fn release_until(
        &mut self,
        vendor: &str,
        version: u32,
        signers: &[u8],
        expires: Time,
    ) -> (Manifest, Digest) {
        let manifest = manifest(vendor, version);
        let listed = std::slice::from_ref(&manifest);
        let role = self.vendor_role_until(vendor, listed, signers, expires);
        self.roles.insert(vendor.to_owned(), role);
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let digest = Digest::of(&bytes);
        let url = format!("/v1/targets/releases/{vendor}/rules/{digest}.{version}.json");
        self.files.insert(url, bytes);
        self.publish();
        (manifest, digest)
    }
    /// A new timestamp over the same snapshot.
    pub(crate) fn stamp_again(&mut self, signers: &[u8]) {
        let path = "/v1/tuf/timestamp.json";
        self.versions += 1;
        let version = self.versions;
        let bytes = resigned(self.files[path].clone(), signers, |signed| {
            signed["version"] = version.into();
        });
        self.index.timestamp = Some(Digest::of(&bytes));
        self.files.insert(path.to_owned(), bytes);
        self.bump();
    }
    pub(crate) fn publish(&mut self) {
        let delegations = [("acme", role(&[20, 21], 2)), ("zeta", role(&[30, 31], 1))]
            .map(|(n, role)| tuf::Delegation { vendor: VendorId::new(n).unwrap(), role });
        self.publish_with(&delegations, NOW.plus(YEAR));
    }
    pub(crate) fn publish_with(&mut self, delegations: &[tuf::Delegation], expires: Time) {
        self.versions += 1;
        let v = self.versions;
        let mut targets = tuf::targets(v, NOW.plus(YEAR), delegations).unwrap();
        targets.sign(&key(13)).unwrap();
        let targets = self.tampered("targets", targets.to_bytes());
        let mut pins: Vec<(String, u64, &[u8])> = vec![("targets.json".to_owned(), v, &targets)];
        for (name, bytes) in &self.roles {
            let version = tuf::version_of(bytes).unwrap_or(1);
            pins.push((format!("{name}.json"), version, bytes));
        }
        let mut snapshot = tuf::snapshot(v, NOW.plus(YEAR), &pins).unwrap();
        snapshot.sign(&key(14)).unwrap();
        let snapshot = self.tampered("snapshot", snapshot.to_bytes());
        let mut timestamp = tuf::timestamp(v, expires, v, &snapshot).unwrap();
        timestamp.sign(&key(15)).unwrap();
        let timestamp = self.tampered("timestamp", timestamp.to_bytes());
        for (name, bytes) in self.roles.clone() {
            let version = tuf::version_of(&bytes).unwrap_or(1);
            self.files.insert(format!("/v1/tuf/{version}.{name}.json"), bytes);
        }
        self.files.insert(format!("/v1/tuf/{v}.targets.json"), targets);
        self.files.insert(format!("/v1/tuf/{v}.snapshot.json"), snapshot);
        self.index.timestamp = Some(Digest::of(&timestamp));
        self.files.insert("/v1/tuf/timestamp.json".to_owned(), timestamp);
        self.bump();
    }
    fn tampered(&self, file: &str, bytes: Vec<u8>) -> Vec<u8> {
        match &self.tamper {
            Some((name, change)) if *name == file => change(bytes),
            _ => bytes,
        }
    }
    /// A ticket that covers hosts 1 to 100 of the stratum up to `position_max`.
    pub(crate) fn ticket(
        &self,
        id: &str,
        release: Digest,
        version: u32,
        steps: &[(u64, u64)],
    ) -> Ticket {
        let step = |(n, (handed, at)): (usize, &(u64, u64))| andon_model::ticket::Step {
            generation: u32::try_from(n + 1).unwrap(),
            handed: *handed,
            at: NOW.plus(Millis::from_secs(*at)),
        };
        let steps: Vec<_> = steps.iter().enumerate().map(step).collect();
        let last = *steps.last().unwrap();
        Ticket {
            seats: Vec::new(),
            schema: 1,
            line: self.policy.line.clone(),
            rollout: RolloutId::new(id).unwrap(),
            release,
            component: ComponentId::new("rules").unwrap(),
            version: Version(version),
            lane: Lane::Routine,
            generation: last.generation,
            seed: Digest::of(b"seed"),
            enrolled_max: Some(host(100)),
            newcomers: Newcomers::Excluded,
            planned: None,
            scheduled: vec![],
            told_apart: vec![],
            excluded: vec![],
            order: None,
            committed: None,
            ceilings: vec![Ceiling {
                stratum: class().stratum(),
                position_max: Some(Position::MAX),
                handed: u32::try_from(last.handed).unwrap(),
                late_max: None,
            }],
            steps,
            watch: self.policy.watch,
            not_before: last.at,
            not_after: last.at.plus(Millis::from_secs(600)),
            evidence: Digest::of(b"evidence"),
            policy_version: self.policy.version,
            approvals: vec![],
        }
    }
    pub(crate) fn put_ticket(&mut self, id: &str, bytes: Vec<u8>) {
        let rollout = RolloutId::new(id).unwrap();
        self.index.tickets.retain(|t| t.rollout != rollout);
        self.index.tickets.push(IndexTicket { rollout, digest: Digest::of(&bytes) });
        self.files.insert(self.line_path(&format!("tickets/{id}.json")), bytes);
        self.bump();
    }
    pub(crate) fn issue(&mut self, ticket: &Ticket) {
        let bytes = seal(&[3], PayloadType::Ticket, ticket).to_bytes();
        self.put_ticket(ticket.rollout.as_str(), bytes);
    }
    pub(crate) fn put_stop(&mut self, envelope: &Envelope) {
        self.put_stop_bytes(envelope.to_bytes());
    }
    pub(crate) fn put_stop_bytes(&mut self, bytes: Vec<u8>) {
        let digest = Digest::of(&bytes);
        self.index.stops.push(digest);
        self.files.insert(self.line_path(&format!("stops/{digest}.json")), bytes);
        self.bump();
    }
    pub(crate) fn answer(&mut self, fetch: &Fetch) -> Answer {
        self.fetched.push(fetch.path.clone());
        match self.files.get(&fetch.path) {
            None => Answer::Missing,
            Some(bytes) if fetch.known == Some(Digest::of(bytes)) => Answer::NotModified,
            Some(bytes) if bytes.len() > fetch.limit && !self.careless => {
                Answer::Failed("too large".to_owned())
            }
            Some(bytes) => Answer::Bytes(bytes.clone()),
        }
    }
    pub(crate) fn sync(&mut self, view: &mut View, now: Time) -> Outcome {
        self.fetched.clear();
        view.begin(now);
        while let Step::Fetch(fetch) = view.next() {
            let answer = self.answer(&fetch);
            view.supply(answer);
        }
        view.outcome().clone()
    }
}

pub(crate) fn freeze(by: Party, scope: Scope) -> Freeze {
    let reason = Text::clipped("crashes hosts");
    let expires = NOW.plus(Millis::from_secs(86_400));
    Freeze { schema: 1, by, scope, reason, issued: NOW, expires }
}

pub(crate) fn approval(name: &str, release: Digest, lane: Lane) -> Approval {
    Approval {
        schema: 1,
        line: "operator:hospital".parse().unwrap(),
        person: PersonId::new(name).unwrap(),
        release,
        lane,
        issued: NOW,
        expires: NOW.plus(Millis::from_secs(3600)),
    }
}

/// Metadata changed and signed again by these keys.
pub(crate) fn resigned(
    bytes: Vec<u8>,
    signers: &[u8],
    change: impl FnOnce(&mut serde_json::Value),
) -> Vec<u8> {
    let mut value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    change(&mut value["signed"]);
    value["signatures"] = serde_json::json!([]);
    let mut signed = tuf::SignedMetadata::parse(&serde_json::to_vec(&value).unwrap()).unwrap();
    signers.iter().for_each(|n| signed.sign(&key(*n)).unwrap());
    signed.to_bytes()
}

/// Lets a ticket's steps be a soak old, so that late hosts and newcomers may follow.
pub(crate) fn soaked(ticket: &mut Ticket) {
    for step in &mut ticket.steps {
        step.at = step.at.minus(Millis::from_secs(5));
    }
}
