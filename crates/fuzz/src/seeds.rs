//! Inputs that are taken, made by our own signing code: what fuzzers start from. `examples/seeds.rs` writes
//! them into the corpus, where inputs that fuzzers found lie beside them.
use crate::logs::request;
use crate::world::{
    NOW, class, host, key, line, log_policy, note_key, seal, statement, vendor, world,
};
use andon_model::attestation::{Predicate, Svr, SvrVerifier};
use andon_model::beat::{
    Alert, Beat, Charge, ComponentState, ComponentStatus, Presence, ProbeResult, SensorSource,
    SensorStatus, Strength,
};
use andon_model::command::{Approval, Command, Verb};
use andon_model::directive::{Demand, Directive};
use andon_model::enrol::EnrolRequest;
use andon_model::envelope::PayloadType;
use andon_model::facts::{FactKind, FactName, Facts};
use andon_model::handover::{FromCheck, Offer, Offers, PolicyFacts, ToCheck};
use andon_model::line::{
    LineStanding, Pace, Places, Roster, Round, Rounds, SeatBlock, Seating, VendorLine,
};
use andon_model::log_entry::{LogEntry, Stopped};
use andon_model::policy::Lane;
use andon_model::proof_bundle::ProofBundle;
use andon_model::release::{Activation, ComponentKind, Manifest, Version};
use andon_model::stop::{Freeze, Party, Scope};
use andon_model::text::Text;
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::waiver::Waiver;
use andon_model::{
    ComponentId, Digest, LineId, Millis, OperatorId, PersonId, RolloutId, StratumId, attestation,
};
use andon_trust::attestation::to_file;
use andon_trust::proof_bundle::pack;
use serde::Serialize;

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("JSON")
}

fn facts() -> Facts {
    let of = |word: &str| FactName::new(word).ok();
    Facts { kernel: of("6.1.0-18-amd64"), sensor: of("s1"), rung: of("ebpf") }
}

fn component(name: &str) -> ComponentId {
    ComponentId::new(name).expect("a name")
}

fn rollout() -> RolloutId {
    world().ticket.rollout.clone()
}

fn freezes() -> Vec<Freeze> {
    let own = world().freeze.clone();
    let release = Freeze { scope: Scope::Release(world().release), ..own.clone() };
    let by = Party::Operator(OperatorId::new("hospital").expect("a name"));
    let all = Freeze { by, scope: Scope::All, ..own.clone() };
    vec![own, release, all]
}

/// Of every kind, by whom it takes.
#[must_use]
pub fn envelopes() -> Vec<Vec<u8>> {
    let world = world();
    let mut all = vec![
        seal(&[1, 2], PayloadType::Policy, &world.policy),
        seal(&[3], PayloadType::Ticket, &world.ticket),
        seal(&[7], PayloadType::Beat, &full_beat()),
        seal(&[7], PayloadType::Enrol, &enrolment()),
        seal(&[1], PayloadType::Command, &halt()),
        seal(&[1], PayloadType::Approval, &approval()),
        seal(&[40], PayloadType::Statement, &statement(world.release)),
        seal(&[1, 2], PayloadType::Waiver, &waiver()),
        seal(&[3], PayloadType::Seating, &seating()),
    ];
    all.extend(freezes().iter().map(|freeze| seal(&[20], PayloadType::Freeze, freeze)));
    all.iter().map(|envelope| envelope.to_bytes()).collect()
}

/// Payloads of tickets.
#[must_use]
pub fn tickets() -> Vec<Vec<u8>> {
    let plain = world().ticket.clone();
    let block = |host_first, seat_first| SeatBlock { host_first, seat_first, count: 50 };
    let seats = vec![block(1, 1001), block(51, 2001)];
    let mut ordered = Ticket { order: Some(world().order.0), ..plain.clone() };
    ordered.enrolled_max = andon_model::HostId::new(5).ok();
    let rich = Ticket {
        lane: Lane::Emergency,
        scheduled: vec![andon_model::GroupId::new("ring-1").expect("a name")],
        told_apart: vec![FactKind::Kernel, FactKind::Rung],
        planned: Some(NOW),
        newcomers: Newcomers::Included,
        approvals: vec![seal(&[1], PayloadType::Approval, &approval())],
        seats,
        ..plain.clone()
    };
    let committed = Some(world().ceilings.0);
    let sealed = Ticket { committed, ceilings: vec![], ..plain.clone() };
    [plain, ordered, rich, sealed].iter().map(json).collect()
}

/// Payloads of freezes.
#[must_use]
pub fn stops() -> Vec<Vec<u8>> {
    freezes().iter().map(json).collect()
}

/// Payloads of directives: each demand, by whoever may say it.
#[must_use]
pub fn directives() -> Vec<Vec<u8>> {
    let operator = || Party::Operator(OperatorId::new("hospital").expect("a name"));
    let (release, to) = (world().release, Digest::of(b"an older one"));
    let component = ComponentId::new("rules").expect("a name");
    let demands = [
        (operator(), Demand::Recall { release, to }),
        (Party::Vendor(vendor()), Demand::Recall { release, to }),
        (operator(), Demand::Park { release, over: Millis(600_000) }),
        (operator(), Demand::Minimum { component, version: Version(2) }),
    ];
    let said = |(by, demand)| Directive {
        schema: 1,
        by,
        demand,
        reason: Text::clipped("eats memory"),
        issued: NOW,
        expires: NOW.plus(Millis(86_400_000)),
    };
    demands.into_iter().map(said).map(|directive| json(&directive)).collect()
}

/// Payloads of policies: an operator's and a vendor line's.
#[must_use]
pub fn policies() -> Vec<Vec<u8>> {
    let mut own = world().policy.clone();
    own.vendor_lines = vec![VendorLine {
        vendor: vendor(),
        people: own.people.clone(),
        threshold: 2,
        pace: Pace::Own,
    }];
    for demand in &mut own.attestations.demands {
        demand.same = vec![FactKind::Kernel, FactKind::Rung];
    }
    let mut of_vendor = world().policy.clone();
    of_vendor.line = LineId::Vendor(vendor());
    of_vendor.absent_max_ppm = 1000;
    of_vendor.members = vec![andon_model::line::Member {
        operator: OperatorId::new("hospital").expect("a name"),
        key: key(3).public(),
        hosts_max: 100,
    }];
    [world().policy.clone(), own, of_vendor].iter().map(json).collect()
}

fn halt() -> Command {
    Command {
        schema: 1,
        line: line(),
        person: PersonId::new("alice").expect("a name"),
        nonce: Digest::of(b"nonce"),
        issued: NOW,
        verb: Verb::Halt { rollout: rollout(), reason: Text::clipped("hosts crash") },
    }
}

fn approval() -> Approval {
    Approval {
        schema: 1,
        line: line(),
        person: PersonId::new("alice").expect("a name"),
        release: world().release,
        lane: Lane::Emergency,
        issued: NOW,
        expires: NOW.plus(Millis::from_secs(3600)),
    }
}

/// Payloads of commands and approvals.
#[must_use]
pub fn commands() -> Vec<Vec<u8>> {
    let approvals = vec![seal(&[1], PayloadType::Approval, &approval())];
    let start = Verb::Start {
        rollout: rollout(),
        release: world().release,
        component: component("rules"),
        lane: Lane::Emergency,
        approvals,
        seed: None,
    };
    let start = Command { verb: start, ..halt() };
    vec![json(&halt()), json(&start), json(&approval())]
}

/// Manifests of content and of a service.
#[must_use]
pub fn manifests() -> Vec<Vec<u8>> {
    let content = world().manifest.clone();
    let service = Manifest {
        kind: ComponentKind::Service,
        consumer: None,
        activation: Activation::Restart,
        exec: vec!["bin/sensor".to_owned(), "--quiet".to_owned()],
        architectures: vec!["x86_64".to_owned()],
        ..content.clone()
    };
    [content, service].iter().map(json).collect()
}

fn served(path: &str) -> Vec<u8> {
    world().files[path].clone()
}

/// The index.
#[must_use]
pub fn indices() -> Vec<Vec<u8>> {
    vec![served(&crate::world::World::line_path("index.json"))]
}

/// The shard.
#[must_use]
pub fn shards() -> Vec<Vec<u8>> {
    vec![json(&world().order.1)]
}

/// A shard of ceilings, and the list of all.
#[must_use]
pub fn ceilings() -> Vec<Vec<u8>> {
    vec![json(&world().ceilings.1), json(&crate::world::strata())]
}

fn seating() -> Seating {
    let block = |host_first, seat_first, count| SeatBlock { host_first, seat_first, count };
    Seating {
        schema: 1,
        line: LineId::Vendor(vendor()),
        operator: OperatorId::new("hospital").expect("a name"),
        seats: vec![block(1, 101, 3), block(4, 501, 2)],
    }
}

/// Rosters, seats, rounds, places.
#[must_use]
pub fn vendor_lines() -> Vec<Vec<u8>> {
    let seating = seating();
    let (line, operator) = (seating.line.clone(), seating.operator.clone());
    let strata = vec![StratumId::new("x86_64.debian12.edge").expect("a name")];
    let hosts = vec![0, 0, 0];
    let roster = Roster {
        schema: 1,
        line: line.clone(),
        operator: operator.clone(),
        host_first: 1,
        strata,
        hosts,
    };
    let by = Text::clipped("evidence");
    let round = Round {
        rollout: rollout(),
        release: world().release,
        round: 4,
        generation: 2,
        newcomers: Newcomers::Excluded,
        plan: Digest::of(b"plan"),
        standing: LineStanding::Halted { by, digest: Digest::of(b"e"), by_person: false },
    };
    let rounds = Rounds {
        schema: 1,
        line: line.clone(),
        issued: NOW,
        rounds: vec![round],
        directives: vec![Digest::of(b"directive")],
    };
    let (strata, ranks) = (vec![0, 0], vec![1, 0]);
    let places = Places { schema: 1, line, operator, rollout: rollout(), strata, ranks };
    vec![json(&seating), json(&roster), json(&rounds), json(&places)]
}

fn waiver() -> Waiver {
    Waiver {
        schema: 1,
        line: line(),
        release: world().release,
        arch: class().arch,
        os: class().os,
        model: None,
        reason: Text::clipped("the rig is down"),
        issued: NOW,
        expires: NOW.plus(Millis::from_secs(3600)),
    }
}

/// Statements, a waiver, and a file of signed ones.
#[must_use]
pub fn attestations() -> Vec<Vec<u8>> {
    let tested = statement(world().release);
    let class = attestation::AttestedClass::of(&class()).running(facts());
    let mut verified = tested.clone();
    verified.predicate = Predicate::Svr(Svr {
        verifier: SvrVerifier { id: "urn:andon:rig:one".to_owned() },
        time_created: NOW.to_string(),
        properties: vec![format!("{}{class}", attestation::PREFLIGHT_PROPERTY)],
    });
    let file = [
        seal(&[40], PayloadType::Statement, &tested),
        seal(&[1, 2], PayloadType::Waiver, &waiver()),
    ];
    vec![tested.to_bytes(), verified.to_bytes(), json(&waiver()), to_file(&file)]
}

fn full_beat() -> Beat {
    let (version, release) = (Version(1), world().release);
    Beat {
        schema: 1,
        host: host(),
        sequence: 9,
        at: NOW,
        presence: Presence::Restart { back_within: Millis::from_secs(120) },
        components: vec![ComponentStatus {
            component: component("rules"),
            version: Some(version),
            release: Some(release),
            state: ComponentState::Probation,
        }],
        charges: vec![Charge {
            number: 1,
            component: component("rules"),
            version,
            release,
            strength: Strength::Strong,
            cause: Text::clipped("signal 11"),
            at: NOW,
        }],
        probes: vec![ProbeResult { name: component("web"), well: true }],
        alerts: vec![Alert {
            at: NOW,
            rule: Text::clipped("a rule"),
            rule_id: Text::default(),
            level: Text::clipped("high"),
            command_line: Text::clipped("sh -c x"),
            pid: 7,
        }],
        alerts_left_out: 2,
        sensor: Some(SensorStatus {
            source: SensorSource::Ebpf,
            events: 10,
            drops: 0,
            rules: 3,
            canary_seen: Some(NOW),
            build: facts().sensor,
        }),
        facts: Some(facts()),
        freezes: vec![Digest::of(b"freeze")],
    }
}

/// Payloads of beats.
#[must_use]
pub fn beats() -> Vec<Vec<u8>> {
    let short = Beat {
        presence: Presence::Alive,
        components: vec![],
        charges: vec![],
        probes: vec![],
        alerts: vec![],
        sensor: None,
        facts: None,
        freezes: vec![],
        ..full_beat()
    };
    vec![json(&full_beat()), json(&short)]
}

fn enrolment() -> EnrolRequest {
    let mut class = class();
    class.groups = vec![andon_model::GroupId::new("ring-1").expect("a name")];
    EnrolRequest { schema: 1, token: "join".to_owned(), key: key(7).public(), class, at: NOW }
}

/// Payloads of enrolments.
#[must_use]
pub fn enrolments() -> Vec<Vec<u8>> {
    vec![json(&enrolment())]
}

/// Lines between supervisor and child.
#[must_use]
pub fn handovers() -> Vec<Vec<u8>> {
    let world = world();
    let offer = Offer {
        release: world.release,
        rollout: rollout(),
        generation: 2,
        begun: NOW,
        manifest: world.manifest.clone(),
    };
    let known = PolicyFacts {
        version: 3,
        watch: world.policy.watch,
        timing: world.policy.timing,
        probes: vec![],
    };
    let offers =
        Offers { index_version: 5, offers: vec![offer], policy: Some(known), ..Offers::default() };
    let envelope = seal(&[7], PayloadType::Beat, &full_beat());
    vec![
        FromCheck::Offers { offers: Box::new(offers) }.to_line(),
        FromCheck::Bell { version: 7 }.to_line(),
        FromCheck::Fetched { release: world.release, folder: "inbox".to_owned() }.to_line(),
        ToCheck::Sync { host: host(), class: class(), facts: facts() }.to_line(),
        ToCheck::PostBeat { envelope }.to_line(),
    ]
}

/// A checkpoint in its note, and a key.
#[must_use]
pub fn notes() -> Vec<Vec<u8>> {
    let key = note_key(1).verifier().to_string();
    vec![world().proof.checkpoint.to_text().into_bytes(), key.into_bytes()]
}

/// A proof of logging, with and without extra data.
#[must_use]
pub fn log_proofs() -> Vec<Vec<u8>> {
    let mut more = world().proof.clone();
    more.extra = Some(b"extra".to_vec());
    [world().proof.clone(), more].map(|proof| proof.to_text().into_bytes()).into()
}

/// A log policy, and one of groups in groups.
#[must_use]
pub fn log_policies() -> Vec<Vec<u8>> {
    let plain = log_policy();
    let nested = plain.replace("quorum two\n", "group outer all two\nquorum outer\n");
    let none = "# nothing\nquorum none\n".to_owned();
    [plain, nested, none].map(String::into_bytes).into()
}

/// Entries of a line's log.
#[must_use]
pub fn log_entries() -> Vec<Vec<u8>> {
    let world = world();
    let policy = LogEntry::Policy { line: line(), version: 3, policy: world.release };
    let stop = LogEntry::Stop {
        stop: world.release,
        by: Party::Vendor(vendor()),
        of: Stopped::Release(world.release),
    };
    let all = [LogEntry::release(world.release, &world.manifest), policy, stop];
    all.iter().map(LogEntry::to_bytes).collect()
}

/// A path, a newline, a tile.
#[must_use]
pub fn log_tiles() -> Vec<Vec<u8>> {
    let row = [b"tile/0/x001/067.p/2\n".as_slice(), &[7; 64]].concat();
    let entries = b"tile/entries/000.p/2\n\x00\x01a\x00\x02bc".to_vec();
    let high = [b"tile/6/000.p/1\n".as_slice(), &[9; 32]].concat();
    vec![row, entries, high]
}

/// Requests to a witness.
#[must_use]
pub fn witness_requests() -> Vec<Vec<u8>> {
    let first = request();
    let mut next = first.clone();
    next.old = 1;
    next.proof = world().proof.hashes.clone();
    let mut same = first.clone();
    same.old = 3;
    [first, next, same].map(|request| request.to_text().into_bytes()).into()
}

fn metadata(name: &str) -> Vec<u8> {
    world().metadata[name].clone()
}

/// The next root.
#[must_use]
pub fn roots() -> Vec<Vec<u8>> {
    vec![metadata("2.root.json")]
}

/// The timestamp.
#[must_use]
pub fn timestamps() -> Vec<Vec<u8>> {
    vec![metadata("timestamp.json")]
}

/// The snapshot.
#[must_use]
pub fn snapshots() -> Vec<Vec<u8>> {
    vec![metadata("1.snapshot.json")]
}

/// Top-level targets, with and without a fast-lane list.
#[must_use]
pub fn targets() -> Vec<Vec<u8>> {
    let plain = metadata("1.targets.json");
    let mut value: serde_json::Value = serde_json::from_slice(&plain).expect("JSON");
    let entry = serde_json::json!({"vendor": "acme", "component": "rules"});
    value["signed"]["x-andon-fast-lane"] =
        serde_json::json!({"expires": NOW.0, "components": [entry]});
    vec![plain, json(&value)]
}

/// The vendor's role.
#[must_use]
pub fn roles() -> Vec<Vec<u8>> {
    vec![metadata("1.acme.json")]
}

/// Targets that delegate in a circle, by paths and by prefixes of hashes.
#[must_use]
pub fn client_targets() -> Vec<Vec<u8>> {
    let plain = metadata("1.targets.json");
    let circle = |change: fn(&mut serde_json::Value)| {
        let mut value: serde_json::Value = serde_json::from_slice(&plain).expect("JSON");
        let first = value.pointer_mut("/signed/delegations/roles/0").expect("a delegation");
        change(first);
        json(&value)
    };
    let by_path = circle(|role| {
        role["paths"] = serde_json::json!(["*", "releases/*/*/?.json"]);
        role["terminating"] = serde_json::json!(false);
    });
    let by_hash = circle(|role| {
        role["path_hash_prefixes"] = serde_json::json!(["", "0", "ca97"]);
        let fields = role.as_object_mut().expect("an object");
        fields.remove("paths");
    });
    vec![plain, by_path, by_hash]
}

/// A bundle as a file, behind its digest, and unpacked.
#[must_use]
pub fn bundles() -> Vec<Vec<u8>> {
    let text = |name: &str| String::from_utf8(metadata(name)).expect("JSON");
    let bundle = ProofBundle {
        schema: 1,
        vendor: vendor(),
        roots: vec![andon_model::proof_bundle::SignedRoot {
            version: 2,
            root: text("2.root.json"),
        }],
        timestamp: text("timestamp.json"),
        snapshot: text("1.snapshot.json"),
        targets: text("1.targets.json"),
        role: text("1.acme.json"),
        manifest: String::from_utf8(json(&world().manifest)).expect("JSON"),
        log_proof: Some(world().proof.to_text()),
        attestations: vec![seal(&[40], PayloadType::Statement, &statement(world().release))],
    };
    let file = pack(&bundle).expect("within the limits");
    let body = file[b"andon-proof-bundle/1\n".len() + 32..].to_vec();
    vec![file, body, bundle.to_bytes()]
}

/// Every file that the server serves, each behind the byte that names it, for a host in 1970.
#[must_use]
pub fn answers() -> Vec<Vec<u8>> {
    let files = world().files.values().enumerate().map(|(at, bytes)| (at | 0x80, bytes));
    files
        .map(|(at, bytes)| [&[u8::try_from(at).expect("few")], bytes.as_slice()].concat())
        .collect()
}
