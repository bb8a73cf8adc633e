//! A server for one line, over a real socket: a repository built by `andon_trust::repository`, with
//! today's clock, that can be changed, damaged and rolled back while it serves.
use andon_model::beat::BeatAnswer;
use andon_model::class::HostClass;
use andon_model::enrol::Anchor;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::index::{Index, IndexTicket};
use andon_model::policy::*;
use andon_model::position::Position;
use andon_model::release::*;
use andon_model::stop::{Freeze, Party, Scope};
use andon_model::text::Text;
use andon_model::ticket::{Ceiling, Newcomers, Step, Ticket};
use andon_model::*;
use andon_trust::repository::{Delegation, Repository, Role, TopRoles, Validity, vendor_role};
use andon_trust::sign::SigningKey;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const LINE: &str = "/v1/lines/operator:hospital";
const DAY: Millis = Millis::from_secs(86_400);

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Time(u64::try_from(since.as_millis()).unwrap())
}
pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_seed([n; 32])
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
pub(crate) fn host() -> HostId {
    HostId::new(7).unwrap()
}
fn person(name: &str, n: u8) -> Person {
    Person { person: PersonId::new(name).unwrap(), key: key(n).public() }
}
fn role(n: u8) -> Role {
    Role { keys: vec![key(n).public()], threshold: 1 }
}
fn seal<T: serde::Serialize>(n: u8, kind: PayloadType, value: &T) -> Envelope {
    key(n).seal(kind, &serde_json::to_vec(value).unwrap())
}

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;
/// Paths and bodies of what was posted.
type Posted = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// Keys: 1 operator, 3 online, 10 to 13 root, targets, snapshot, timestamp, 20 vendor, 40 host.
pub(crate) struct World {
    pub(crate) files: Files,
    pub(crate) posted: Posted,
    pub(crate) index: Index,
    pub(crate) port: u16,
    repository: Repository,
    role: Option<Vec<u8>>,
}

impl World {
    pub(crate) fn start() -> World {
        let roles =
            TopRoles { root: role(10), targets: role(11), snapshot: role(12), timestamp: role(13) };
        let acme = Delegation { vendor: VendorId::new("acme").unwrap(), role: role(20) };
        let expires = now().plus(DAY);
        let mut repository = Repository::create(&roles, &[acme], expires, expires).unwrap();
        repository.sign_root(&key(10)).unwrap();
        repository.sign_targets(&key(11)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut world = World {
            files: Files::default(),
            posted: Arc::default(),
            index: Index { version: 1, ..Index::default() },
            port: listener.local_addr().unwrap().port(),
            repository,
            role: None,
        };
        let (files, posted) = (Arc::clone(&world.files), Arc::clone(&world.posted));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (files, posted) = (Arc::clone(&files), Arc::clone(&posted));
                std::thread::spawn(move || serve(stream.unwrap(), &files, &posted));
            }
        });
        world.put_policy(3);
        world
    }
    pub(crate) fn anchor(&self) -> Anchor {
        Anchor {
            schema: 1,
            line: "operator:hospital".parse().unwrap(),
            operators: vec![person("alice", 1)],
            operators_threshold: 1,
            tuf_root: serde_json::from_slice(&self.repository.root_bytes()).unwrap(),
            platform: vec![key(10).public()],
        }
    }
    pub(crate) fn put(&self, path: &str, bytes: Vec<u8>) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes);
    }
    fn bump(&mut self) {
        self.index.version += 1;
        self.put(&format!("{LINE}/index.json"), serde_json::to_vec(&self.index).unwrap());
    }
    pub(crate) fn put_policy(&mut self, version: u64) {
        let bytes = seal(1, PayloadType::Policy, &policy(version)).to_bytes();
        self.index.policy = Some(Digest::of(&bytes));
        self.put(&format!("{LINE}/policy.json"), bytes);
        self.bump();
    }
    /// Publishes a release of the given files and a ticket that covers every host.
    pub(crate) fn release(&mut self, version: u32, files: &[(&str, &[u8])]) -> (Digest, Manifest) {
        let manifest = manifest(version, files);
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let digest = Digest::of(&bytes);
        let entry = (manifest.target_path(), digest, bytes.len() as u64);
        let mut signed = vendor_role(self.role.as_deref(), now().plus(DAY), &[entry]).unwrap();
        signed.sign(&key(20)).unwrap();
        let vendor = VendorId::new("acme").unwrap();
        self.role = Some(signed.to_bytes());
        self.repository.set_role(&vendor, &signed.to_bytes(), now()).unwrap();
        let valid = Validity { snapshot: DAY, timestamp: DAY };
        for (name, bytes) in self.repository.publish(now(), valid, &key(12), &key(13)).unwrap() {
            if name == "timestamp.json" {
                self.index.timestamp = Some(Digest::of(&bytes));
            }
            self.put(&format!("/v1/tuf/{name}"), bytes);
        }
        self.put(&format!("/v1/targets/releases/acme/rules/{digest}.{version}.json"), bytes);
        let bundle: Vec<u8> = files.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
        self.put(&format!("/v1/objects/{}", manifest.bundle), bundle);
        self.put_ticket(version, digest);
        (digest, manifest)
    }
    fn put_ticket(&mut self, version: u32, release: Digest) {
        let at = now().minus(Millis::from_secs(10));
        let rollout = RolloutId::new(&format!("r{version}")).unwrap();
        let ticket = Ticket {
            seats: Vec::new(),
            schema: 1,
            line: "operator:hospital".parse().unwrap(),
            rollout: rollout.clone(),
            release,
            component: ComponentId::new("rules").unwrap(),
            version: Version(version),
            lane: Lane::Routine,
            generation: 1,
            seed: Digest::of(b"seed"),
            enrolled_max: Some(HostId::new(100).unwrap()),
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
                handed: 16,
                late_max: None,
            }],
            steps: vec![Step { generation: 1, handed: 16, at }],
            watch: policy(3).watch,
            not_before: at,
            not_after: at.plus(Millis::from_secs(600)),
            evidence: Digest::of(b"evidence"),
            policy_version: 3,
            approvals: vec![],
        };
        let bytes = seal(3, PayloadType::Ticket, &ticket).to_bytes();
        self.index.tickets.push(IndexTicket { rollout, digest: Digest::of(&bytes) });
        self.put(&format!("{LINE}/tickets/r{version}.json"), bytes);
        self.bump();
    }
    pub(crate) fn freeze(&mut self, release: Digest) {
        let freeze = Freeze {
            schema: 1,
            by: Party::Vendor(VendorId::new("acme").unwrap()),
            scope: Scope::Release(release),
            reason: Text::clipped("crashes hosts"),
            issued: now(),
            expires: now().plus(DAY),
        };
        let bytes = seal(20, PayloadType::Freeze, &freeze).to_bytes();
        self.index.stops.push(Digest::of(&bytes));
        self.put(&format!("{LINE}/stops/{}.json", Digest::of(&bytes)), bytes);
        self.bump();
    }
}

fn policy(version: u64) -> Policy {
    let lane = |approvals_min| LanePolicy {
        budget: vec![Horizon { after: Millis::ZERO, hosts_max: 100, share_max_ppm: 1_000_000 }],
        first_wave_max: 16,
        growth_max_permille: 15_500,
        soak_min: Millis::from_secs(5),
        approvals_min,
    };
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
        version,
        expires: now().plus(DAY),
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

pub(crate) fn manifest(version: u32, files: &[(&str, &[u8])]) -> Manifest {
    let entry = |(path, bytes): &(&str, &[u8])| FileEntry {
        path: (*path).to_owned(),
        digest: Digest::of(bytes),
        length: bytes.len() as u64,
        executable: path.starts_with("bin/"),
    };
    let parts: Vec<&[u8]> = files.iter().map(|(_, bytes)| *bytes).collect();
    Manifest {
        schema: 1,
        vendor: VendorId::new("acme").unwrap(),
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
        files: files.iter().map(entry).collect(),
        bundle: Digest::of_parts(&parts),
    }
}

/// One connection: HTTP/1.1 as far as needed, one request after another.
fn serve(stream: TcpStream, files: &Files, posted: &Posted) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let header = |name: &str| {
            head.iter().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let length = header("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let path = head[0].split(' ').nth(1).unwrap().to_owned();
        let known = header("if-none-match");
        let (status, answer) = if head[0].starts_with("POST") {
            posted.lock().unwrap().push((path.clone(), body));
            post(&path)
        } else {
            get(&path, known.as_deref(), &files.lock().unwrap())
        };
        let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n", answer.len());
        if writer.write_all(&[head.as_bytes(), &answer].concat()).is_err() {
            return;
        }
    }
}

fn post(path: &str) -> (u16, Vec<u8>) {
    match path {
        "/v1/beats" => (200, serde_json::to_vec(&BeatAnswer::default()).unwrap()),
        "/v1/enrol" => (
            403,
            br#"{"error":{"code":"token","message":"join token unknown","next":"ask"}}"#.to_vec(),
        ),
        _ => (404, vec![]),
    }
}

fn get(path: &str, known: Option<&str>, files: &BTreeMap<String, Vec<u8>>) -> (u16, Vec<u8>) {
    if path.starts_with(&format!("{LINE}/bell?")) {
        let index: Index = serde_json::from_slice(&files[&format!("{LINE}/index.json")]).unwrap();
        return (200, format!("{{\"version\":{}}}", index.version).into_bytes());
    }
    match files.get(path) {
        None => (404, vec![]),
        Some(bytes) if known == Some(&format!("\"{}\"", Digest::of(bytes))) => (304, vec![]),
        Some(bytes) => (200, bytes.clone()),
    }
}
