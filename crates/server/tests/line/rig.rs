//! A line for tests: keys, policy, TUF files, one vendor, hosts that sign. Time stands still until
//! the test moves it.
use andon_model::beat::{Beat, BeatAnswer, Charge, ComponentState, ComponentStatus, Presence};
use andon_model::class::HostClass;
use andon_model::command::{Command, Verb};
use andon_model::eligible::Rules;
use andon_model::enrol::{Anchor, EnrolAnswer, EnrolRequest};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::policy::{Horizon, Lane, LanePolicy, Person, Policy, Timing, Watch};
use andon_model::release::{Activation, ComponentKind, FileEntry, Hooks, Manifest, Mode, Version};
use andon_model::text::Text;
use andon_model::{
    ComponentId, Digest, GroupId, HostId, LineId, Millis, PersonId, RolloutId, Time, VendorId,
};
use andon_server::clock::Clock;
use andon_server::config::Inputs;
use andon_server::pooled::kept::tally_path;
use andon_server::serve::{ServeError, Server};
use andon_server::store::memory::MemoryJournal;
use andon_server::store::{Entry, StoreError};
use andon_server::verifier::record::Memory;
use andon_server::verifier::{Doubt, Named, Verifier};
use andon_trust::repository::{Delegation, Repository, Role, TopRoles, Validity, vendor_role};
use andon_trust::sign::SigningKey;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

pub(crate) const START: Time = Time(1_800_000_000_000);

pub(crate) struct Line {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) journal: MemoryJournal,
    pub(crate) inputs: Inputs,
    pub(crate) person: SigningKey,
    pub(crate) vendor: SigningKey,
    pub(crate) policy: Policy,
}

/// Whatever a test made a server write down, a gate verifier that reads it must find nothing odd in it: a
/// doubt would stop a line that is honest.
impl Drop for Line {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.believed();
        }
    }
}

pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_seed([number; 32])
}

pub(crate) fn host_key(number: u64) -> SigningKey {
    SigningKey::from_seed(Digest::of(format!("host {number}").as_bytes()).0)
}

fn lane(approvals_min: u32) -> LanePolicy {
    LanePolicy {
        budget: vec![Horizon { after: Millis(0), hosts_max: 100, share_max_ppm: 1_000_000 }],
        first_wave_max: 16,
        growth_max_permille: 4000,
        soak_min: Millis(1000),
        approvals_min,
    }
}

fn policy(line: LineId, person: &SigningKey, online: &SigningKey) -> Policy {
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
        line,
        version: 1,
        expires: START.plus(Millis::from_secs(86_400 * 30)),
        online: online.public(),
        people: vec![Person { person: PersonId::new("ada").unwrap(), key: person.public() }],
        routine: lane(0),
        emergency: lane(2),
        alpha_ppm: 1000,
        delta_ppm: 1000,
        holdback_permille: 5,
        holdback_min: 1,
        watch: Watch {
            beat: Millis(1000),
            silent_after: Millis(4000),
            restart_missed_ppm: andon_model::policy::restart_missed_ppm(),
        },
        timing: Timing { delivery: Millis(1000), window: Millis(3000) },
        background_ppm_per_h: 7200,
        controls_max: 1_000_000,
        ticket_valid: Millis::from_secs(600),
        probes: vec![],
        eligibility: andon_model::eligible::Rules::default(),
        budgets: vec![],
    }
}

impl Line {
    pub(crate) fn new() -> Line {
        Line::made("operator:clinic", |_| ())
    }

    /// A line of this name, whose first policy is changed so.
    pub(crate) fn made(line: &str, change: impl FnOnce(&mut Policy)) -> Line {
        let folder = tempfile::tempdir().unwrap();
        let (root, targets, online) = (key(1), key(2), key(3));
        let (timestamp, snapshot, person, vendor) = (key(4), key(5), key(6), key(7));
        let role = |key: &SigningKey| Role { keys: vec![key.public()], threshold: 1 };
        let far = START.plus(Millis::from_secs(86_400 * 365));
        let roles = TopRoles {
            root: role(&root),
            timestamp: role(&timestamp),
            snapshot: role(&snapshot),
            targets: role(&targets),
        };
        let acme = Delegation { vendor: VendorId::new("acme").unwrap(), role: role(&vendor) };
        let mut repository = Repository::create(&roles, &[acme], far, far).unwrap();
        repository.sign_root(&root).unwrap();
        repository.sign_targets(&targets).unwrap();
        let valid = Validity { snapshot: Millis(1 << 30), timestamp: Millis(1 << 30) };
        let files = repository.publish(START, valid, &snapshot, &timestamp).unwrap();
        std::fs::create_dir_all(folder.path().join("tuf")).unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join("tuf").join(name), bytes).unwrap();
        }
        let mut policy = policy(line.parse().unwrap(), &person, &online);
        change(&mut policy);
        let people = policy.people.clone();
        let anchor = Anchor {
            schema: 1,
            line: policy.line.clone(),
            operators: people,
            operators_threshold: 1,
            tuf_root: serde_json::from_slice(&repository.root_bytes()).unwrap(),
            platform: vec![root.public()],
        };
        let signed = person.seal(PayloadType::Policy, &serde_json::to_vec(&policy).unwrap());
        let inputs = Inputs {
            listen: "127.0.0.1:0".to_owned(),
            data: folder.path().to_owned(),
            anchor,
            policy: signed,
            online,
            timestamp,
            snapshot,
            join_tokens: vec![Digest::of(b"let me in")],
            tick: Millis(1000),
            vendor_lines: vec![],
            log: None,
        };
        let journal = MemoryJournal::default();
        Line { folder, journal, inputs, person, vendor, policy }
    }

    pub(crate) async fn open(&self, now: Time) -> Result<Server, ServeError> {
        let clock = Clock::by_hand(now);
        Server::open_on(self.inputs.clone(), self.journal.clone(), clock).await
    }

    /// Reads the journal as a gate verifier does.
    fn believed(&self) {
        let memory = Memory::new(self.policy.line.clone());
        let kept = |named: &Named| std::fs::read(self.tally_file(named)).ok();
        if let Err((seq, doubt)) = self.verify(&self.journal.rows(), memory, kept) {
            panic!("a gate verifier doubts record {seq}: {doubt:?}");
        }
    }

    /// Where the server keeps a tally.
    pub(crate) fn tally_file(&self, named: &Named) -> std::path::PathBuf {
        tally_path(self.folder.path(), &named.rollout, named.due, &named.operator)
    }

    /// Reads these rows as a gate verifier that remembers does, with the tallies that are brought for
    /// them; which record it doubts, and why.
    pub(crate) fn verify(
        &self,
        rows: &[Entry],
        memory: Memory,
        tally: impl Fn(&Named) -> Option<Vec<u8>>,
    ) -> Result<Verifier, (u64, Doubt)> {
        let mut verifier = Verifier::new(self.inputs.anchor.clone(), memory);
        for Entry { seq, at, kind, json, .. } in rows {
            let at_ms = at.0;
            let row = format!(r#"{{"seq":{seq},"at":{at_ms},"kind":"{kind}","record":{json}}}"#);
            let doubted = |doubt| (*seq, doubt);
            for named in verifier.rests_on(&row).map_err(doubted)? {
                if let Some(bytes) = tally(&named) {
                    verifier.bring(&named, &bytes).map_err(doubted)?;
                }
            }
            verifier.follow(&row, *at).map_err(doubted)?;
        }
        Ok(verifier)
    }

    /// Power is lost and comes back.
    pub(crate) async fn restart(&self, server: Server) -> Server {
        let now = server.app.now();
        drop(server);
        self.journal.crash();
        self.open(now).await.unwrap()
    }

    pub(crate) fn command(&self, nonce: &str, now: Time, verb: Verb) -> Envelope {
        let command = Command {
            schema: 1,
            line: self.policy.line.clone(),
            person: PersonId::new("ada").unwrap(),
            nonce: Digest::of(nonce.as_bytes()),
            issued: now,
            verb,
        };
        self.person.seal(PayloadType::Command, &serde_json::to_vec(&command).unwrap())
    }

    /// Publishes release `version` of component rules and returns its digest.
    pub(crate) async fn publish(&self, server: &mut Server, version: u32) -> Digest {
        let (digest, status, body) = self.offer(server, version).await;
        assert_eq!(status, 200, "{body}");
        digest
    }

    /// Sends release `version` of component rules: its digest, and what the role is answered.
    pub(crate) async fn offer(
        &self,
        server: &mut Server,
        version: u32,
    ) -> (Digest, StatusCode, String) {
        let bytes = format!("rules {version}").into_bytes();
        let manifest = manifest(version, &bytes);
        let text = serde_json::to_vec(&manifest).unwrap();
        let digest = Digest::of(&text);
        let previous = self.role(version - 1);
        let far = START.plus(Millis::from_secs(86_400 * 365));
        let added = [(manifest.target_path(), digest, text.len() as u64)];
        let mut role = vendor_role(previous.as_deref(), far, &added).unwrap();
        role.sign(&self.vendor).unwrap();
        let object = format!("/v1/objects/{}", manifest.bundle);
        assert_eq!(send(server, Method::PUT, &object, bytes).await.0, 201);
        let path = format!("/v1/manifests/{digest}");
        assert_eq!(send(server, Method::PUT, &path, text).await.0, 201);
        let path = "/v1/releases/acme/metadata";
        let (status, body) = send(server, Method::POST, path, role.to_bytes()).await;
        (digest, status, String::from_utf8_lossy(&body).into_owned())
    }

    /// Signs the policy with these rules, one version up, and gives it to the server.
    pub(crate) async fn set_rules(&mut self, server: &mut Server, rules: Rules) {
        self.policy.eligibility = rules;
        self.set_policy(server).await;
    }

    /// Signs the policy, one version up, and gives it to the server.
    pub(crate) async fn set_policy(&mut self, server: &mut Server) {
        self.policy.version += 1;
        let bytes = serde_json::to_vec(&self.policy).unwrap();
        let signed = self.person.seal(PayloadType::Policy, &bytes);
        let (status, answer) =
            post(server, &format!("/v1/lines/{}/policy", self.policy.line), &signed).await;
        assert_eq!(status, 200, "{answer}");
    }

    pub(crate) fn role(&self, version: u32) -> Option<Vec<u8>> {
        std::fs::read(self.folder.path().join(format!("tuf/{version}.acme.json"))).ok()
    }
}

pub(crate) fn manifest(version: u32, bytes: &[u8]) -> Manifest {
    Manifest {
        schema: 1,
        vendor: VendorId::new("acme").unwrap(),
        component: ComponentId::new("rules").unwrap(),
        version: Version(version),
        kind: ComponentKind::Content,
        mode: Mode::Enforce,
        consumer: Some(ComponentId::new("scanner").unwrap()),
        activation: Activation::Restart,
        exec: vec![],
        hooks: Hooks::default(),
        probes: vec![],
        soak: Millis(3000),
        architectures: vec![],
        origin: Text::default(),
        files: vec![FileEntry {
            path: "rules.bin".to_owned(),
            digest: Digest::of(bytes),
            length: bytes.len() as u64,
            executable: false,
        }],
        bundle: Digest::of(bytes),
    }
}

pub(crate) async fn send(
    server: &mut Server,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> (StatusCode, Vec<u8>) {
    let router = andon_server::api::router(std::sync::Arc::clone(&server.app));
    let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
    let work = async move {
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
    };
    match server.driver.during(work).await {
        Ok(answer) => answer,
        Err(StoreError::Stopped | StoreError::Append(_) | StoreError::Commit(_)) => {
            (StatusCode::SERVICE_UNAVAILABLE, Vec::new())
        }
        Err(why) => panic!("{why}"),
    }
}

pub(crate) async fn post(
    server: &mut Server,
    path: &str,
    envelope: &Envelope,
) -> (StatusCode, serde_json::Value) {
    let (status, body) = send(server, Method::POST, path, envelope.to_bytes()).await;
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

pub(crate) fn enrolment(number: u64, now: Time) -> Envelope {
    enrolment_in(number, &[], now)
}

/// Every host of these tests, in these groups.
pub(crate) fn class(groups: &[&str]) -> HostClass {
    let name = |text: &str| andon_model::StratumId::new(text).unwrap();
    let groups = groups.iter().map(|group| GroupId::new(group).unwrap()).collect();
    HostClass { arch: name("x86_64"), os: name("debian12"), model: name("m1"), groups }
}

pub(crate) fn enrolment_in(number: u64, groups: &[&str], now: Time) -> Envelope {
    let class = class(groups);
    let key = host_key(number);
    let token = "let me in".to_owned();
    let request = EnrolRequest { schema: 1, token, key: key.public(), class, at: now };
    key.seal(PayloadType::Enrol, &serde_json::to_vec(&request).unwrap())
}

pub(crate) async fn enrol_in(server: &mut Server, number: u64, groups: &[&str]) {
    let envelope = enrolment_in(number, groups, server.app.now());
    let (status, answer) = post(server, "/v1/enrol", &envelope).await;
    assert_eq!(status, 200, "{answer}");
}

pub(crate) async fn enrol(server: &mut Server, hosts: u64) {
    for number in 1..=hosts {
        let envelope = enrolment(number, server.app.now());
        let (status, answer) = post(server, "/v1/enrol", &envelope).await;
        assert_eq!(status, 200, "{answer}");
        let answer: EnrolAnswer = serde_json::from_value(answer).unwrap();
        assert_eq!(answer.host.number(), number);
    }
}

pub(crate) fn quiet_beat(number: u64, sequence: u64, now: Time) -> Beat {
    Beat {
        schema: 1,
        host: HostId::new(number).unwrap(),
        sequence,
        at: now,
        presence: Presence::Alive,
        components: vec![],
        charges: vec![],
        probes: vec![],
        alerts: vec![],
        alerts_left_out: 0,
        sensor: None,
        facts: None,
        freezes: vec![],
    }
}

pub(crate) fn running(version: u32, release: Digest, state: ComponentState) -> ComponentStatus {
    let component = ComponentId::new("rules").unwrap();
    ComponentStatus { component, version: Some(Version(version)), release: Some(release), state }
}

pub(crate) fn charge(number: u64, release: Digest, now: Time) -> Charge {
    Charge {
        number,
        component: ComponentId::new("rules").unwrap(),
        version: Version(1),
        release,
        strength: andon_model::beat::Strength::Strong,
        cause: Text::clipped("signal 11"),
        at: now,
    }
}

pub(crate) fn sealed(beat: &Beat) -> Envelope {
    let payload = serde_json::to_vec(beat).unwrap();
    host_key(beat.host.number()).seal(PayloadType::Beat, &payload)
}

pub(crate) async fn tell(server: &mut Server, beat: &Beat) -> (StatusCode, BeatAnswer) {
    let (status, answer) = post(server, "/v1/beats", &sealed(beat)).await;
    (status, serde_json::from_value(answer).unwrap_or_default())
}

pub(crate) fn start(name: &str, release: Digest) -> Verb {
    Verb::Start {
        rollout: RolloutId::new(name).unwrap(),
        release,
        component: ComponentId::new("rules").unwrap(),
        lane: Lane::Routine,
        approvals: vec![],
        seed: None,
    }
}

/// Everything that the fold knows, in words; equal words, equal state.
pub(crate) fn words(server: &Server) -> String {
    let core = server.app.core();
    let state = &core.state;
    let mut keys: Vec<_> = state.by_key.iter().collect();
    keys.sort();
    format!(
        "{} {:?} {:?} {keys:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        state.seq,
        state.at,
        state.hosts,
        state.policy,
        state.rollouts,
        state.started,
        state.freezes,
        state.directives,
        state.top,
        state.nonces,
        state.releases,
        state.alerts,
        state.seats,
    )
}
