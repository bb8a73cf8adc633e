//! A vendor line by script: it signs what the test says with the vendor's keys, serves it over a real
//! socket, and keeps what the member sends. It pools nothing and decides nothing.
use crate::rig::*;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::line::{
    LineStanding, Member as Named, Pace, Places, Roster, Round, Rounds, SeatBlock, Seating,
    VendorLine,
};
use andon_model::policy::{Lane, Person, Policy};
use andon_model::position::Position;
use andon_model::release::Version;
use andon_model::ticket::{Ceiling, Newcomers, Step, Ticket};
use andon_model::*;
use andon_rollout::lines::LineTally;
use andon_rollout::{Plan, PlanRequest, Terms};
use andon_server::config::VendorLineAt;
use andon_server::member::Member;
use andon_server::serve::Server;
use andon_trust::sign::SigningKey;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// Seats of other members, which come before ours.
const OTHERS: u64 = 40;
/// Number of the vendor line's online key.
const ONLINE: u8 = 40;
/// Our first seat.
const FIRST: u64 = 1001;

#[derive(Default)]
pub(crate) struct Script {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    version: u64,
    pub(crate) rosters: Vec<Envelope>,
    pub(crate) seats: Vec<SeatBlock>,
    pub(crate) tallies: Vec<Vec<u8>>,
    /// it has no seats for more hosts
    pub(crate) full: bool,
    /// no round is open: a ticket waits
    pub(crate) closed: bool,
    pub(crate) calls: Vec<String>,
}

pub(crate) struct Vendor {
    /// in which lane its rollouts start
    pub(crate) lane: Lane,
    pub(crate) script: Arc<Mutex<Script>>,
    pub(crate) called: Arc<Notify>,
    pub(crate) at: VendorLineAt,
    pub(crate) policy: Policy,
    pub(crate) online: SigningKey,
    person: SigningKey,
    pub(crate) plan: Option<Plan>,
    /// all seats of the plan's one stratum in order
    pub(crate) order: Vec<(Position, u64)>,
    pub(crate) steps: Vec<Step>,
    /// directives that it names
    pub(crate) directives: Vec<Digest>,
}

type Shared = State<(Arc<Mutex<Script>>, Arc<Notify>)>;

async fn serve(State((script, called)): Shared, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 25).await.unwrap();
    called.notify_one();
    let mut script = script.lock().unwrap();
    script.calls.push(format!("{} {}", parts.method, parts.uri.path()));
    match (&parts.method, parts.uri.path()) {
        (&Method::POST, "/v1/line/roster") if script.full => StatusCode::FORBIDDEN.into_response(),
        (&Method::POST, "/v1/line/roster") => roster(&mut script, &body),
        (&Method::POST, "/v1/line/tallies") if script.closed => {
            (StatusCode::CONFLICT, r#"{"due":null}"#).into_response()
        }
        (&Method::POST, "/v1/line/tallies") => {
            script.tallies.push(body.to_vec());
            (StatusCode::OK, r#"{"accepted":true}"#).into_response()
        }
        (&Method::GET, "/v1/line/rounds") => rounds(&script, &parts.uri, &parts.headers),
        (&Method::GET, "/v1/line/seats/clinic") => seating(&script),
        (_, path) => match script.files.get(path) {
            Some(bytes) => bytes.clone().into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
    }
}

fn roster(script: &mut Script, body: &Bytes) -> Response {
    let envelope = Envelope::parse(body).unwrap();
    let roster = Roster::parse(&envelope.payload).unwrap();
    script.rosters.push(envelope);
    let last = script.seats.last();
    let next = last.map_or(1, |block| block.host_first + u64::from(block.count));
    let right = roster.host_first == next;
    if right {
        let seat_first = last.map_or(FIRST, |block| block.seat_first + 1000);
        let count = u32::try_from(roster.hosts.len()).unwrap();
        script.seats.push(SeatBlock { host_first: next, seat_first, count });
    }
    let answer = serde_json::json!({ "seats": script.seats }).to_string();
    (if right { StatusCode::OK } else { StatusCode::CONFLICT }, answer).into_response()
}

/// The seats so far, signed with the vendor line's key.
fn seating(script: &Script) -> Response {
    let operator = OperatorId::new("clinic").unwrap();
    let line = LineId::Vendor(VendorId::new("acme").unwrap());
    let seating = Seating { schema: 1, line, operator, seats: script.seats.clone() };
    let text = serde_json::to_vec(&seating).unwrap();
    key(ONLINE).seal(PayloadType::Seating, &text).to_bytes().into_response()
}

fn rounds(script: &Script, uri: &Uri, headers: &HeaderMap) -> Response {
    assert!(uri.query().is_some_and(|query| query.contains("wait_ms=")), "{uri}");
    let version = format!("\"{}\"", script.version);
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag == version.as_str());
    let Some(bytes) = script.files.get("/v1/line/rounds").filter(|_| !known) else {
        return StatusCode::NOT_MODIFIED.into_response();
    };
    ([(header::ETAG, version)], bytes.clone()).into_response()
}

impl Vendor {
    /// A vendor line that counts the clinic's hosts, and the clinic's policy that takes part in it.
    pub(crate) async fn of(line: &mut Line, pace: Pace) -> Vendor {
        let (online, person) = (key(ONLINE), key(41));
        let vera = Person { person: PersonId::new("vera").unwrap(), key: person.public() };
        let vendor = VendorId::new("acme").unwrap();
        line.policy.vendor_lines = vec![VendorLine {
            vendor: vendor.clone(),
            people: vec![vera.clone()],
            threshold: 1,
            pace,
        }];
        let signed = serde_json::to_vec(&line.policy).unwrap();
        line.inputs.policy = line.person.seal(PayloadType::Policy, &signed);
        let operator = OperatorId::new("clinic").unwrap();
        let member = Named { operator, key: line.inputs.online.public(), hosts_max: 1000 };
        let policy = Policy {
            line: LineId::Vendor(vendor.clone()),
            members: vec![member],
            vendor_lines: vec![],
            verifiers: Default::default(),
            online: online.public(),
            people: vec![vera],
            ..line.policy.clone()
        };
        let (script, called) = (Arc::new(Mutex::new(Script::default())), Arc::new(Notify::new()));
        let router =
            Router::new().fallback(serve).with_state((Arc::clone(&script), Arc::clone(&called)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let at = VendorLineAt { vendor, url };
        let (plan, order, steps, directives) = (None, vec![], vec![], vec![]);
        let lane = Lane::Routine;
        let vendor = Vendor {
            lane,
            script,
            called,
            at,
            policy,
            online,
            person,
            plan,
            order,
            steps,
            directives,
        };
        vendor.show_policy();
        vendor.say_rounds(vec![], START);
        vendor
    }

    pub(crate) fn member(&self, server: &Server) -> Member {
        Member::new(Arc::clone(&server.app), &self.at).unwrap().unwrap()
    }

    pub(crate) fn put(&self, path: &str, bytes: Vec<u8>) {
        self.script.lock().unwrap().files.insert(path.to_owned(), bytes);
    }

    pub(crate) fn seal<T: serde::Serialize>(&self, kind: PayloadType, what: &T) -> Vec<u8> {
        self.online.seal(kind, &serde_json::to_vec(what).unwrap()).to_bytes()
    }

    pub(crate) fn show_policy(&self) {
        let text = serde_json::to_vec(&self.policy).unwrap();
        let signed = self.person.seal(PayloadType::Policy, &text);
        self.put("/v1/lines/vendor:acme/policy.json", signed.to_bytes());
    }

    fn say_rounds(&self, rounds: Vec<Round>, issued: Time) {
        let line = self.policy.line.clone();
        let directives = self.directives.clone();
        let rounds = Rounds { schema: 1, line, issued, rounds, directives };
        self.put("/v1/line/rounds", self.seal(PayloadType::Rounds, &rounds));
        self.script.lock().unwrap().version += 1;
    }

    /// Starts `v1` over the other members' hosts and ours that have seats; places are our hosts' ranks.
    pub(crate) fn start(&mut self, release: Digest, now: Time) {
        self.start_as("v1", release, 1, now);
    }

    /// The same by another name, for another version.
    pub(crate) fn start_as(&mut self, name: &str, release: Digest, version: u32, now: Time) {
        let blocks = self.script.lock().unwrap().seats.clone();
        let of = |block: &SeatBlock| block.seat_first..block.seat_first + u64::from(block.count);
        let ours: Vec<u64> = blocks.iter().flat_map(of).collect();
        let size = OTHERS + ours.len() as u64;
        let stratum = class(&[]).stratum();
        let strata = [(stratum, u32::try_from(size).unwrap())].into();
        let (plan, _) = Plan::new(
            &self.policy,
            PlanRequest {
                rollout: RolloutId::new(name).unwrap(),
                release,
                component: ComponentId::new("rules").unwrap(),
                version: Version(version),
                lane: self.lane,
                seed: Digest::of(b"the vendor's seed"),
                enrolled_max: HostId::new(9999).ok(),
                strata,
                terms: Terms::default(),
                generation_base: 0,
                parent: None,
                created: now,
            },
        );
        let position =
            |seat: u64| Position::of(&plan.seed, &plan.release, HostId::new(seat).unwrap());
        self.order = (1..=OTHERS).chain(ours.iter().copied()).map(|s| (position(s), s)).collect();
        self.order.sort_unstable();
        let ranks = ours.iter().map(|seat| self.rank(*seat)).collect();
        let places = Places {
            schema: 1,
            line: self.policy.line.clone(),
            operator: OperatorId::new("clinic").unwrap(),
            rollout: plan.rollout.clone(),
            strata: vec![0; ours.len()],
            ranks,
        };
        self.put(
            &format!("/v1/line/places/{name}/clinic"),
            self.seal(PayloadType::Places, &places),
        );
        self.put(&format!("/v1/line/plans/{name}"), self.seal(PayloadType::Plan, &plan));
        self.plan = Some(plan);
    }

    fn rank(&self, seat: u64) -> u32 {
        let at = self.order.iter().position(|(_, known)| *known == seat).unwrap();
        u32::try_from(at).unwrap()
    }

    /// A host of ours that the first `handed` hosts of the vendor line include.
    pub(crate) fn reaches(&self, host: u64, handed: u64) -> bool {
        let blocks = self.script.lock().unwrap().seats.clone();
        let seat = andon_model::line::seat(&blocks, HostId::new(host).unwrap());
        seat.is_some_and(|seat| u64::from(self.rank(seat.number())) < handed)
    }

    /// The next ticket, covering `handed` hosts of the vendor line, as it would be signed.
    pub(crate) fn ticket(&self, handed: u64, at: Time) -> Ticket {
        self.ticket_after(&self.steps, handed, at)
    }

    /// The newest ticket once more, covering newcomers, as the vendor line's own hosts would find it.
    pub(crate) fn cover_newcomers(&self, now: Time) {
        let (last, before) = self.steps.split_last().unwrap();
        let mut ticket = self.ticket_after(before, last.handed, last.at);
        ticket.newcomers = Newcomers::Included;
        (ticket.not_before, ticket.not_after) = (now, now.plus(Millis::from_secs(600)));
        let path = format!("/v1/lines/vendor:acme/tickets/{}.json", ticket.rollout);
        self.put(&path, self.seal(PayloadType::Ticket, &ticket));
    }

    fn ticket_after(&self, before: &[Step], handed: u64, at: Time) -> Ticket {
        let plan = self.plan.as_ref().unwrap();
        let generation = u32::try_from(before.len()).unwrap() + 1;
        let mut steps = before.to_vec();
        steps.push(Step { generation, handed, at });
        let last = usize::try_from(handed).unwrap().checked_sub(1);
        let count = u32::try_from(handed).unwrap();
        Ticket {
            schema: 1,
            line: plan.line.clone(),
            rollout: plan.rollout.clone(),
            release: plan.release,
            component: plan.component.clone(),
            version: plan.version,
            lane: plan.lane,
            generation,
            seed: plan.seed,
            enrolled_max: plan.enrolled_max,
            newcomers: Newcomers::Excluded,
            planned: None,
            scheduled: vec![],
            told_apart: vec![],
            excluded: vec![],
            seats: vec![],
            order: None,
            committed: None,
            ceilings: vec![Ceiling {
                late_max: None,
                stratum: plan.strata[0].stratum.clone(),
                position_max: last.map(|last| self.order[last].0),
                handed: count,
            }],
            steps,
            watch: plan.watch,
            not_before: at,
            not_after: at.plus(Millis::from_secs(600)),
            evidence: Digest::of(b"evidence"),
            policy_version: self.policy.version,
            approvals: vec![],
        }
    }

    /// Issues the next ticket.
    pub(crate) fn issue(&mut self, handed: u64, at: Time) {
        let ticket = self.ticket(handed, at);
        self.show_ticket(&ticket, self.seal(PayloadType::Ticket, &ticket));
        self.steps = ticket.steps;
    }

    pub(crate) fn show_ticket(&self, ticket: &Ticket, bytes: Vec<u8>) {
        self.put(&format!("/v1/line/tickets/v1/{}", ticket.generation), bytes);
    }

    /// Says that `round` is due, at the generation issued last.
    pub(crate) fn say(&self, round: u64, standing: LineStanding, now: Time) {
        self.say_as(round, self.steps.len(), Newcomers::Excluded, standing, now);
    }

    pub(crate) fn say_as(
        &self,
        round: u64,
        generation: usize,
        newcomers: Newcomers,
        standing: LineStanding,
        now: Time,
    ) {
        let plan = self.plan.as_ref().unwrap();
        if newcomers == Newcomers::Included {
            self.cover_newcomers(now);
        }
        let round = Round {
            rollout: plan.rollout.clone(),
            release: plan.release,
            round,
            generation: u32::try_from(generation).unwrap(),
            newcomers,
            plan: Digest::of(&serde_json::to_vec(plan).unwrap()),
            standing,
        };
        self.say_rounds(vec![round], now);
    }

    /// The tallies that came, verified as the vendor line does.
    pub(crate) fn tallies(&self) -> Vec<LineTally> {
        let script = self.script.lock().unwrap();
        let read = |bytes: &Vec<u8>| {
            let envelope = Envelope::parse(bytes).unwrap();
            let key = self.policy.members[0].key;
            let payload =
                andon_trust::envelope::verify_one(&envelope, PayloadType::Tally, &key).unwrap();
            serde_json::from_slice(payload).unwrap()
        };
        script.tallies.iter().map(read).collect()
    }

    pub(crate) fn sent(&self) -> Vec<Vec<u8>> {
        self.script.lock().unwrap().tallies.clone()
    }
}
