//! RECALL, PARK, raise minimum as the line's server takes them.
use crate::rig::*;
use crate::rollouts::{get, ticket};
use andon_model::beat::ComponentState;
use andon_model::directive::{Demand, Directive};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::index::Index;
use andon_model::policy::Person;
use andon_model::release::Version;
use andon_model::stop::{FreezeOverride, Party};
use andon_model::text::Text;
use andon_model::{ComponentId, Digest, Millis, OperatorId, PersonId, RolloutId, Time, VendorId};
use andon_server::serve::Server;
use axum::http::StatusCode;

const HOSTS: u64 = 60;

fn operator() -> Party {
    Party::Operator(OperatorId::new("clinic").unwrap())
}
fn acme() -> Party {
    Party::Vendor(VendorId::new("acme").unwrap())
}
fn rules() -> ComponentId {
    ComponentId::new("rules").unwrap()
}

fn directive(by: Party, demand: Demand, now: Time) -> Vec<u8> {
    let (reason, expires) = (Text::clipped("eats memory"), now.plus(Millis::from_secs(86_400)));
    let directive = Directive { schema: 1, by, demand, reason, issued: now, expires };
    serde_json::to_vec(&directive).unwrap()
}

async fn send_it(server: &mut Server, envelope: &Envelope) -> (StatusCode, String) {
    let (status, answer) = post(server, "/v1/directives", envelope).await;
    (status, answer.to_string())
}

impl Line {
    pub(crate) fn says(&self, demand: Demand, now: Time) -> Envelope {
        self.person.seal(PayloadType::Directive, &directive(operator(), demand, now))
    }
}

/// A fleet and what its hosts run.
struct Fleet {
    server: Server,
    at: u64,
    run: Vec<(u32, Digest)>,
}

impl Fleet {
    fn now(&self) -> Time {
        Time(START.0 + self.at * 1000)
    }

    /// One second: covered hosts run the release, or crash of it where `crash` says so.
    async fn second(&mut self, name: &str, (version, release): (u32, Digest), crash: bool) {
        self.at += 1;
        let now = self.now();
        self.server.app.clock.set(now);
        let listed = self.listed().await.contains(&name.to_owned());
        let current = if listed { Some(ticket(&mut self.server, name).await) } else { None };
        for number in 1..=HOSTS {
            let column = usize::try_from(number - 1).unwrap();
            let mut beat = quiet_beat(number, self.at + 1, now);
            let covers = current.as_ref().is_some_and(|t| t.covers(beat.host, &class(&[])));
            if covers && crash {
                beat.charges = vec![charge(1, release, now)];
            } else if covers {
                self.run[column] = (version, release);
            }
            let (version, release) = self.run[column];
            beat.components = vec![running(version, release, ComponentState::Confirmed)];
            assert_eq!(tell(&mut self.server, &beat).await.0, 200);
        }
        self.server.driver.tick().await.unwrap();
    }

    /// A rollout from its start until it is over.
    async fn roll(&mut self, line: &Line, name: &str, of: (u32, Digest), crash: bool) {
        let command = line.command(name, self.now(), start(name, of.1));
        let (status, answer) = post(&mut self.server, "/v1/commands", &command).await;
        assert_eq!(status, 200, "{answer}");
        let rollout = RolloutId::new(name).unwrap();
        for _ in 0..200 {
            self.second(name, of, crash).await;
            if !self.server.app.core().state.rollouts[&rollout].live() {
                return;
            }
        }
        panic!("rollout {name} did not end");
    }

    async fn listed(&mut self) -> Vec<String> {
        let bytes = get(&mut self.server, "/v1/lines/operator:clinic/index.json").await;
        let index = Index::parse(&bytes).unwrap();
        index.tickets.iter().map(|t| t.rollout.to_string()).collect()
    }

    fn completed(&self, name: &str) -> bool {
        self.server.app.core().state.rollouts[&RolloutId::new(name).unwrap()].completed()
    }
}

/// Both versions rolled out to everybody.
async fn on_second(line: &Line) -> (Fleet, Digest, Digest) {
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, HOSTS).await;
    let old = line.publish(&mut server, 1).await;
    let new = line.publish(&mut server, 2).await;
    let run = vec![(0, Digest::of(b"as installed")); usize::try_from(HOSTS).unwrap()];
    let mut fleet = Fleet { server, at: 0, run };
    fleet.roll(line, "first", (1, old), false).await;
    fleet.roll(line, "second", (2, new), false).await;
    assert!(fleet.completed("second") && fleet.run.iter().all(|run| *run == (2, new)));
    (fleet, old, new)
}

#[tokio::test]
async fn a_recall_withdraws_the_release_and_the_older_one_rolls_out_gated() {
    let line = Line::new();
    let (mut fleet, old, new) = on_second(&line).await;
    assert_eq!(fleet.listed().await, ["second"]);
    let now = fleet.now();
    let recall = line.says(Demand::Recall { release: new, to: old }, now);
    let (status, answer) = send_it(&mut fleet.server, &recall).await;
    assert_eq!(status, 200, "{answer}");
    // Newcomers get what the fleet had before; who runs the recalled one does not go back by that.
    assert_eq!(fleet.listed().await, ["first"], "its ticket is still served");
    let again = line.command("again", now, start("again", new));
    let (status, answer) = post(&mut fleet.server, "/v1/commands", &again).await;
    assert_eq!(status, 409, "{answer}");
    fleet.server = line.restart(fleet.server).await;
    fleet.server.driver.tick().await.unwrap();
    let bytes = get(&mut fleet.server, "/v1/lines/operator:clinic/index.json").await;
    let name = Digest::of(&recall.to_bytes());
    assert!(Index::parse(&bytes).unwrap().stops.contains(&name), "hosts hear of it");
    let path = format!("/v1/lines/operator:clinic/stops/{name}.json");
    assert_eq!(get(&mut fleet.server, &path).await, recall.to_bytes());
    fleet.roll(&line, "back", (1, old), false).await;
    assert!(fleet.completed("back") && fleet.run.iter().all(|run| *run == (1, old)));
    assert_eq!(fleet.listed().await, ["back"]);
    let first_wave = fleet.server.app.core().state.rollouts[&RolloutId::new("back").unwrap()].waves
        [0]
    .handed
    .iter()
    .sum::<u32>();
    assert!(first_wave <= 16, "{first_wave} hosts went back at once");
}

#[tokio::test]
async fn the_gate_halts_a_recall_whose_older_release_crashes_now() {
    let line = Line::new();
    let (mut fleet, old, new) = on_second(&line).await;
    let recall = line.says(Demand::Recall { release: new, to: old }, fleet.now());
    assert_eq!(send_it(&mut fleet.server, &recall).await.0, 200);
    fleet.roll(&line, "back", (1, old), true).await;
    let core = fleet.server.app.core();
    assert!(core.state.rollouts[&RolloutId::new("back").unwrap()].halted());
}

#[tokio::test]
async fn a_rollout_that_still_runs_is_halted_by_a_recall_of_its_release() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, HOSTS).await;
    let old = line.publish(&mut server, 1).await;
    let new = line.publish(&mut server, 2).await;
    let run = vec![(0, old); usize::try_from(HOSTS).unwrap()];
    let mut fleet = Fleet { server, at: 0, run };
    fleet.roll(&line, "first", (1, old), false).await;
    let command = line.command("2", fleet.now(), start("second", new));
    assert_eq!(post(&mut fleet.server, "/v1/commands", &command).await.0, 200);
    fleet.second("second", (2, new), false).await;
    let payload = directive(acme(), Demand::Recall { release: new, to: old }, fleet.now());
    let recall = line.vendor.seal(PayloadType::Directive, &payload);
    let (status, answer) = send_it(&mut fleet.server, &recall).await;
    assert_eq!(status, 200, "{answer}");
    fleet.server.driver.tick().await.unwrap();
    let second = RolloutId::new("second").unwrap();
    let core = fleet.server.app.core();
    assert!(core.state.rollouts[&second].halted());
    assert!(core.state.freezes.is_empty(), "hosts hear it from the directive already");
}

#[tokio::test]
async fn what_makes_no_sense_here_is_refused_and_leaves_nothing() {
    let line = Line::new();
    let (mut fleet, old, new) = on_second(&line).await;
    let now = fleet.now();
    let minimum = |version| Demand::Minimum { component: rules(), version: Version(version) };
    let unknown = Digest::of(b"nobody's");
    let cases = [
        (Demand::Recall { release: old, to: new }, "no older version"),
        (Demand::Recall { release: new, to: unknown }, "no published release"),
        (Demand::Park { release: unknown, over: Millis(0) }, "no published release"),
        (minimum(3), "no rollout of rules 3 or newer has completed"),
    ];
    for (demand, why) in cases {
        let (status, answer) = send_it(&mut fleet.server, &line.says(demand, now)).await;
        assert!(status == 409 && answer.contains(why), "{status} {answer}");
    }
    let payload = directive(acme(), Demand::Park { release: new, over: Millis(0) }, now);
    let parks = line.vendor.seal(PayloadType::Directive, &payload);
    assert_eq!(send_it(&mut fleet.server, &parks).await.0, 403, "a vendor parks");
    let stranger = key(9).seal(PayloadType::Directive, &directive(operator(), minimum(2), now));
    assert_eq!(send_it(&mut fleet.server, &stranger).await.0, 401);
    let old_one = line.says(minimum(2), Time(now.0 - 2 * 86_400_000));
    let (status, answer) = send_it(&mut fleet.server, &old_one).await;
    assert!(status.is_client_error() && answer.contains("expired"), "{status} {answer}");
    assert!(fleet.server.app.core().state.directives.is_empty());
    assert_eq!(send_it(&mut fleet.server, &line.says(minimum(2), now)).await.0, 200);
    assert_eq!(send_it(&mut fleet.server, &line.says(minimum(2), now)).await.0, 200, "repeated");
    assert_eq!(fleet.server.app.core().state.directives.len(), 1);
}

/// One of two people alone takes nothing away.
#[tokio::test]
async fn the_server_takes_a_directive_of_the_whole_threshold_only() {
    let mut line = Line::made("operator:clinic", |policy| {
        let person = PersonId::new("ben").unwrap();
        policy.people.push(Person { person, key: key(8).public() });
    });
    line.inputs.anchor.operators_threshold = 2;
    key(8).add(&mut line.inputs.policy);
    let mut server = line.open(START).await.unwrap();
    let release = line.publish(&mut server, 1).await;
    let mut park = line.says(Demand::Park { release, over: Millis(0) }, START);
    assert_eq!(send_it(&mut server, &park).await.0, 401);
    line.inputs.online.add(&mut park);
    assert_eq!(send_it(&mut server, &park).await.0, 401, "the online key counts for nobody");
    key(8).add(&mut park);
    assert_eq!(send_it(&mut server, &park).await.0, 200);
}

#[tokio::test]
async fn a_directive_that_the_policy_overrides_bars_nothing_here() {
    let mut line = Line::new();
    let (mut fleet, old, new) = on_second(&line).await;
    let recall = line.says(Demand::Recall { release: new, to: old }, fleet.now());
    let freeze = Digest::of(&recall.payload);
    let until = fleet.now().plus(Millis::from_secs(3600));
    line.policy.overrides =
        vec![FreezeOverride { freeze, reason: Text::clipped("not on ours"), until }];
    line.set_policy(&mut fleet.server).await;
    assert_eq!(send_it(&mut fleet.server, &recall).await.0, 200);
    assert_eq!(fleet.listed().await, ["second"]);
}

/// Signed once, a stop is public: whoever adds signatures that count for nothing makes no new one of it, and
/// so never fills the list that the next honest stop must stand in.
#[tokio::test]
async fn a_stop_with_a_strangers_signature_beside_is_the_stop_that_is_known() {
    let line = Line::new();
    let mut server = line.open(START).await.unwrap();
    let release = line.publish(&mut server, 1).await;
    let park = line.says(Demand::Park { release, over: Millis(0) }, START);
    let freeze = crate::faults::freeze(&line, release, START);
    for (path, envelope) in [("/v1/directives", park), ("/v1/stops", freeze)] {
        let (status, first) = post(&mut server, path, &envelope).await;
        assert_eq!(status, 200, "{first}");
        let before = words(&server);
        let mut other = envelope.clone();
        key(99).add(&mut other);
        let (status, again) = post(&mut server, path, &other).await;
        assert_eq!((status, again), (StatusCode::OK, first), "{path}");
        assert_eq!(words(&server), before, "{path}: the same once more");
    }
}
