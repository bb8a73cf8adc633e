//! RECALL and raise minimum on a vendor's line, and how members take them in.
use crate::member::{at, turn};
use crate::platform::targets;
use crate::pooled::member::Member as Played;
use crate::pooled::world::{World as Pooled, line_of};
use crate::rig::*;
use crate::rollouts::get;
use crate::two_lines::{World, index};
use crate::vendor::Vendor;
use andon_model::directive::{Demand, Directive};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::line::{LineStanding, Pace, Rounds};
use andon_model::release::Version;
use andon_model::stop::{FreezeOverride, Party};
use andon_model::text::Text;
use andon_model::*;
use andon_rollout::StateName;
use andon_server::member::Member;
use andon_server::member::client::TurnError;
use andon_server::serve::Server;
use andon_trust::repository::{Delegation, Role, TargetsChange};
use andon_trust::sign::SigningKey;
use andon_trust::view::{Answer, Outcome, Step, View};
use axum::http::{Method, StatusCode};

const VENDOR: &str = "/v1/lines/vendor:acme";

fn acme() -> Party {
    Party::Vendor(VendorId::new("acme").unwrap())
}
fn rules() -> ComponentId {
    ComponentId::new("rules").unwrap()
}

/// Signed with these keys.
fn says(by: Party, demand: Demand, now: Time, keys: &[&SigningKey]) -> Envelope {
    let (reason, expires) = (Text::clipped("eats memory"), now.plus(Millis::from_secs(86_400)));
    let directive = Directive { schema: 1, by, demand, reason, issued: now, expires };
    let payload = serde_json::to_vec(&directive).unwrap();
    let mut envelope = keys[0].seal(PayloadType::Directive, &payload);
    keys[1..].iter().for_each(|key| key.add(&mut envelope));
    envelope
}

async fn send_it(server: &mut Server, envelope: &Envelope) -> (u16, String) {
    let (status, answer) = post(server, "/v1/directives", envelope).await;
    (status.as_u16(), answer.to_string())
}

fn taken(line: &Line) -> Vec<Envelope> {
    let rows = line.journal.rows().into_iter();
    let rows = rows.filter(|row| row.kind == "directive_accepted");
    let read = |json: String| serde_json::from_str::<serde_json::Value>(&json).unwrap();
    let envelope = |json| serde_json::from_value(read(json)["envelope"].clone()).unwrap();
    rows.map(|row| envelope(row.json)).collect()
}

/// What a host that has seen nothing yet makes of what its server serves now.
async fn told(line: &Line, server: &mut Server, host: u64) -> Outcome {
    let id = HostId::new(host).unwrap();
    let mut view = View::new(line.inputs.anchor.clone(), id, class(&[])).unwrap();
    view.begin(server.app.now());
    while let Step::Fetch(fetch) = view.next() {
        let (status, body) = send(server, Method::GET, &fetch.path, Vec::new()).await;
        let found = status == StatusCode::OK;
        view.supply(if found { Answer::Bytes(body) } else { Answer::Missing });
    }
    view.outcome().clone()
}

/// Both versions are everywhere on both lines; returns the second at which that was so.
async fn on_second(world: &mut World) -> (u64, Digest, Digest) {
    let old = world.release;
    let new = world.vendor.publish(&mut world.server, 2).await;
    for operator in &mut world.operators {
        assert_eq!(operator.line.publish(&mut operator.server, 2).await, new);
    }
    let second = roll(world, 0, ("r1", 1, old)).await;
    let second = roll(world, second, ("r2", 2, new)).await;
    (second, old, new)
}

async fn roll(world: &mut World, from: u64, of: (&'static str, u32, Digest)) -> u64 {
    world.start_as(of.0, of.1, of.2).await;
    for second in from + 1..from + 400 {
        world.second(second, false).await;
        if world.states().iter().all(|state| *state == StateName::Completed) {
            let runs = |at: usize| world.operators[at].run.values().all(|run| *run == (of.1, of.2));
            assert!((0..2).all(runs), "{} is not everywhere", of.0);
            return second;
        }
    }
    panic!("{} did not end: {:?}", of.0, world.states());
}

#[tokio::test]
async fn a_vendors_recall_on_its_line_reaches_both_operators_hosts_and_all_go_back_gated() {
    let mut world = World::new(&[("clinic", 50, Pace::Own), ("farm", 12, Pace::Vendor)]).await;
    let (second, old, new) = on_second(&mut world).await;
    let now = world.server.app.now();
    let demand = Demand::Recall { release: new, to: old };
    let recall = says(acme(), demand, now, &[&world.vendor.vendor]);
    let name = Digest::of(&recall.to_bytes());
    let (status, answer) = send_it(&mut world.server, &recall).await;
    assert_eq!(status, 200, "{answer}");
    let listed = index(&mut world.server, "vendor:acme").await;
    assert!(
        listed.stops.contains(&name) && listed.tickets.iter().all(|t| t.rollout.as_str() == "r1")
    );
    for at in 0..2 {
        world.turn(at).await;
    }
    assert_eq!(world.states(), [StateName::Halted; 3]);
    let mut world = world.restart().await;
    assert_eq!(world.states(), [StateName::Halted; 3]);
    for at in 0..2 {
        world.turn(at).await;
        let operator = &mut world.operators[at];
        let line = operator.line_name();
        operator.server.driver.tick().await.unwrap();
        let now = index(&mut operator.server, &line).await;
        assert_eq!(now.stops, [name], "{line}: its hosts hear it from the directive alone");
        assert!(now.tickets.iter().all(|ticket| ticket.rollout.as_str() != "acme.r2"), "{line}");
        let path = format!("/v1/lines/{line}/stops/{name}.json");
        assert_eq!(get(&mut operator.server, &path).await, recall.to_bytes());
        let outcome = told(&operator.line, &mut operator.server, 1).await;
        let held: Vec<_> = outcome.directives.iter().map(|it| it.directive.by.clone()).collect();
        assert_eq!(held, [acme()], "{line}: a host has checked it itself");
        assert_eq!(taken(&operator.line), std::slice::from_ref(&recall), "{line}");
    }
    assert_eq!(taken(&world.vendor), std::slice::from_ref(&recall));
    roll(&mut world, second, ("r3", 1, old)).await;
    let core = world.server.app.core();
    let first =
        core.state.rollouts[&RolloutId::new("r3").unwrap()].waves[0].handed.iter().sum::<u32>();
    assert!((1..=16).contains(&first), "{first} hosts of both operators went back at once");
}

#[tokio::test]
async fn a_vendors_minimum_that_its_line_has_soaked_reaches_its_members() {
    let mut world = World::new(&[("clinic", 50, Pace::Own), ("farm", 12, Pace::Vendor)]).await;
    let demand = Demand::Minimum { component: rules(), version: Version(2) };
    let early = says(acme(), demand.clone(), START, &[&world.vendor.vendor]);
    let (status, said) = send_it(&mut world.server, &early).await;
    let words = "no rollout of rules 2 or newer has completed";
    assert!(status == 409 && said.contains(words), "{status} {said}");
    on_second(&mut world).await;
    let minimum = says(acme(), demand, world.server.app.now(), &[&world.vendor.vendor]);
    assert_eq!(send_it(&mut world.server, &minimum).await.0, 200);
    for at in 0..2 {
        world.turn(at).await;
        assert_eq!(taken(&world.operators[at].line), std::slice::from_ref(&minimum));
    }
    assert_eq!(world.states(), [StateName::Completed; 3], "a minimum stops nothing");
}

/// Refused with these words, and nothing is left of it.
async fn refused(server: &mut Server, line: &Line, envelope: &Envelope, want: u16, words: &str) {
    let before = line.journal.rows().len();
    let (status, said) = send_it(server, envelope).await;
    assert!(status == want && said.contains(words), "want {want} {words}: {status} {said}");
    assert_eq!(line.journal.rows().len(), before, "refused, and something is left: {said}");
}

#[tokio::test]
async fn a_vendor_line_takes_what_the_threshold_of_its_own_vendors_release_keys_has_signed_only() {
    let mut world = Pooled::two().await;
    let old = world.release;
    let new = world.line.publish(&mut world.server, 2).await;
    // From now on two keys publish for acme.
    let (one, two) = (key(7), key(60));
    let role = Role { keys: vec![one.public(), two.public()], threshold: 2 };
    let acme_now = Delegation { vendor: VendorId::new("acme").unwrap(), role };
    let change = TargetsChange { delegate: vec![acme_now], ..TargetsChange::default() };
    let next = targets(&mut world.server, 1, &change, &[2]).await;
    let body = serde_json::json!({ "root": null, "targets": String::from_utf8(next).unwrap() });
    let path = "/v1/platform/metadata";
    let body = body.to_string().into_bytes();
    let (status, said) = send(&mut world.server, Method::POST, path, body).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&said));

    let recall = Demand::Recall { release: new, to: old };
    let park = Demand::Park { release: new, over: Millis(0) };
    let beta = Party::Vendor(VendorId::new("beta").unwrap());
    let clinic = Party::Operator(OperatorId::new("a").unwrap());
    let person = world.line.person.clone();
    let online = world.line.inputs.online.clone();
    let both: &[&SigningKey] = &[&one, &two];
    let cases: [(Party, Demand, &[&SigningKey], u16, &str); 8] = [
        (acme(), recall.clone(), &[&one], 401, ""),
        (acme(), recall.clone(), &[&one, &one], 401, ""),
        (acme(), recall.clone(), &[&online, &person], 401, ""),
        (acme(), recall.clone(), &[&key(98), &key(99)], 401, ""),
        (beta, recall.clone(), both, 401, ""),
        (clinic.clone(), recall.clone(), &[&person], 403, "may not ask for this"),
        (acme(), park.clone(), both, 409, "only an operator takes protection off its hosts"),
        (clinic, park, &[&person], 409, "a vendor line parks nothing"),
    ];
    for (by, demand, keys, want, words) in cases {
        let envelope = says(by, demand, START, keys);
        refused(&mut world.server, &world.line, &envelope, want, words).await;
    }
    let rounds: Rounds = world.signed("/v1/line/rounds", PayloadType::Rounds).await;
    assert!(rounds.directives.is_empty());
    let recall = says(acme(), recall, START, both);
    assert_eq!(send_it(&mut world.server, &recall).await.0, 200);
    let mut world = world.restart().await;
    world.tick().await;
    let rounds: Rounds = world.signed("/v1/line/rounds", PayloadType::Rounds).await;
    assert_eq!(rounds.directives, [Digest::of(&recall.to_bytes())]);
}

/// Another vendor's releases may be delegated and published beside: it has no say here all the same.
#[tokio::test]
async fn a_vendor_line_takes_nothing_of_another_vendor() {
    let line = Line::made("vendor:beta", |policy| {
        policy.members = line_of(&[Played::new("a", 21, 3)]).policy.members.clone();
    });
    let mut server = line.open(START).await.unwrap();
    let old = line.publish(&mut server, 1).await;
    let new = line.publish(&mut server, 2).await;
    let demand = Demand::Recall { release: new, to: old };
    let recall = says(acme(), demand, START, &[&line.vendor]);
    refused(&mut server, &line, &recall, 409, "no say on the line of another vendor").await;
}

/// A clinic beside a vendor line by script, which has rolled out release 2 to some.
struct Clinic {
    line: Line,
    server: Server,
    vendor: Vendor,
    member: Member,
    old: Digest,
    new: Digest,
}

impl Clinic {
    async fn new() -> Clinic {
        let mut line = Line::new();
        let mut vendor = Vendor::of(&mut line, Pace::Vendor).await;
        let mut server = line.open(START).await.unwrap();
        enrol(&mut server, 20).await;
        let old = line.publish(&mut server, 1).await;
        let new = line.publish(&mut server, 2).await;
        let mut member = vendor.member(&server);
        turn(&mut server, &mut member).await.unwrap();
        vendor.start_as("v1", new, 2, START);
        vendor.issue(16, at(1));
        server.app.clock.set(at(1));
        vendor.say(1, LineStanding::Live, at(1));
        turn(&mut server, &mut member).await.unwrap();
        server.driver.tick().await.unwrap();
        Clinic { line, server, vendor, member, old, new }
    }

    fn recall(&self) -> Demand {
        Demand::Recall { release: self.new, to: self.old }
    }

    /// The vendor line names a directive, and serves these bytes by its name.
    async fn told_of(&mut self, name: Digest, bytes: Vec<u8>) -> Result<(), TurnError> {
        self.vendor.put(&format!("{VENDOR}/stops/{name}.json"), bytes);
        self.vendor.directives.push(name);
        self.say(LineStanding::Live);
        let turn = turn(&mut self.server, &mut self.member).await;
        self.server.driver.tick().await.unwrap();
        turn.map(|_| ())
    }

    fn say(&self, standing: LineStanding) {
        self.vendor.say(2, standing, self.server.app.now());
    }

    fn state(&self, name: &str) -> Option<StateName> {
        let core = self.server.app.core();
        let found = core.state.rollouts.get(&RolloutId::new(name).unwrap());
        found.map(|it| it.explain(self.server.app.now()).state)
    }

    async fn listed(&mut self) -> (usize, usize) {
        let now = index(&mut self.server, "operator:clinic").await;
        (now.tickets.len(), now.stops.len())
    }
}

#[tokio::test]
async fn a_member_believes_no_directive_for_the_vendor_lines_word() {
    let mut clinic = Clinic::new().await;
    let (acme_key, online) = (clinic.line.vendor.clone(), clinic.vendor.online.clone());
    let own = Party::Operator(OperatorId::new("clinic").unwrap());
    let park = Demand::Park { release: clinic.new, over: Millis(0) };
    let good = says(acme(), clinic.recall(), at(1), &[&acme_key]);
    let lies = [
        ("the line's online key", says(acme(), clinic.recall(), at(1), &[&online])),
        ("a stranger's", says(acme(), clinic.recall(), at(1), &[&key(99)])),
        ("a vendor's park", says(acme(), park.clone(), at(1), &[&acme_key])),
        // Its own people sign what they want here; no vendor's line carries it.
        ("this operator's own", says(own, park, at(1), &[&clinic.line.person])),
    ];
    for (what, lie) in lies {
        // Whether the turn says so or the log only: nothing of it is taken in.
        let _said = clinic.told_of(Digest::of(&lie.to_bytes()), lie.to_bytes()).await;
        assert!(taken(&clinic.line).is_empty(), "{what}");
        assert_eq!(clinic.listed().await, (1, 0), "{what}");
    }
    let other = says(acme(), clinic.recall(), at(0), &[&acme_key]);
    let named = Digest::of(&good.to_bytes());
    let odd = clinic.told_of(named, other.to_bytes()).await;
    assert!(matches!(odd, Err(TurnError::Doubt(_))), "other bytes than those named: {odd:?}");
    assert!(taken(&clinic.line).is_empty());
    // The others are named still, and keep none from being taken.
    let _odd_ones = clinic.told_of(named, good.to_bytes()).await;
    assert_eq!(taken(&clinic.line), [good]);
    assert_eq!(clinic.state("acme.v1"), Some(StateName::Halted));
    assert_eq!(clinic.listed().await, (0, 1), "the recall alone: no freeze of its own beside");
}

/// What makes no sense here yet may make sense later: it is not forgotten.
#[tokio::test]
async fn a_recall_of_what_is_not_published_here_is_taken_in_once_it_is() {
    let mut clinic = Clinic::new().await;
    let bytes = b"rules 3";
    let next = Digest::of(&serde_json::to_vec(&manifest(3, bytes)).unwrap());
    let demand = Demand::Recall { release: next, to: clinic.new };
    let recall = says(acme(), demand, at(1), &[&clinic.line.vendor]);
    clinic.told_of(Digest::of(&recall.to_bytes()), recall.to_bytes()).await.unwrap();
    assert!(taken(&clinic.line).is_empty());
    assert_eq!(clinic.line.publish(&mut clinic.server, 3).await, next);
    turn(&mut clinic.server, &mut clinic.member).await.unwrap();
    assert_eq!(taken(&clinic.line), std::slice::from_ref(&recall));
    // Told once more after a restart, it is the one that is known.
    clinic.server = clinic.line.restart(clinic.server).await;
    clinic.member = clinic.vendor.member(&clinic.server);
    turn(&mut clinic.server, &mut clinic.member).await.unwrap();
    assert_eq!(taken(&clinic.line), [recall]);
}

#[tokio::test]
async fn an_operators_override_lifts_a_vendors_recall_on_its_own_line() {
    let mut clinic = Clinic::new().await;
    let recall = says(acme(), clinic.recall(), at(1), &[&clinic.line.vendor]);
    let freeze = Digest::of(&recall.payload);
    let until = START.plus(Millis::from_secs(3600));
    clinic.line.policy.overrides =
        vec![FreezeOverride { freeze, reason: Text::clipped("not on ours"), until }];
    clinic.line.set_policy(&mut clinic.server).await;
    clinic.told_of(Digest::of(&recall.to_bytes()), recall.to_bytes()).await.unwrap();
    assert_eq!(taken(&clinic.line), [recall]);
    assert_eq!(clinic.listed().await, (1, 1), "its ticket is served still");
    // The vendor's line has halted for that recall; and for evidence, which nobody overrides.
    let halted = |digest| LineStanding::Halted {
        by: Text::clipped("vendor:acme"),
        digest,
        by_person: false,
    };
    clinic.say(halted(freeze));
    turn(&mut clinic.server, &mut clinic.member).await.unwrap();
    assert_ne!(clinic.state("acme.v1"), Some(StateName::Halted));
    // The vendor's return to the older release does not begin here: no host would follow.
    let generation = clinic.vendor.steps.len();
    assert!(generation > 0);
    clinic.vendor.steps.clear();
    clinic.vendor.start_as("v2", clinic.old, 1, at(1));
    clinic.say(LineStanding::Live);
    turn(&mut clinic.server, &mut clinic.member).await.unwrap();
    assert_eq!(clinic.state("acme.v2"), None);
    let outcome = told(&clinic.line, &mut clinic.server, 1).await;
    assert!(outcome.directives.is_empty(), "a host obeys it: {:?}", outcome.directives);
}

/// Mutant: an override lifts whatever the vendor's line has halted for.
#[tokio::test]
async fn an_override_lifts_no_halt_by_evidence() {
    let mut clinic = Clinic::new().await;
    let evidence = Digest::of(b"evidence there");
    let until = START.plus(Millis::from_secs(3600));
    clinic.line.policy.overrides =
        vec![FreezeOverride { freeze: evidence, reason: Text::clipped("not on ours"), until }];
    clinic.line.set_policy(&mut clinic.server).await;
    let by = Text::clipped("gate of vendor:acme");
    clinic.say(LineStanding::Halted { by, digest: evidence, by_person: false });
    turn(&mut clinic.server, &mut clinic.member).await.unwrap();
    assert_eq!(clinic.state("acme.v1"), Some(StateName::Halted));
}
