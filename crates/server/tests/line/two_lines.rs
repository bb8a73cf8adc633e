//! A vendor line and two operators' servers inside it, all three real; only the hosts are played.
use crate::pooled::world::line_sharing;
use crate::rig::*;
use crate::rollouts::get;
use andon_model::beat::ComponentState;
use andon_model::envelope::Envelope;
use andon_model::index::Index;
use andon_model::line::{Pace, VendorLine, seat};
use andon_model::policy::Person;
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::{Digest, HostId, LineId, Millis, PersonId, Time, VendorId};
use andon_rollout::StateName;
use andon_rollout::lines::Standing;
use andon_server::config::VendorLineAt;
use andon_server::member::Member;
use andon_server::serve::Server;
use axum::Router;
use axum::extract::Request;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tower::ServiceExt as _;

pub(crate) struct Operator {
    name: &'static str,
    pub(crate) line: Line,
    pub(crate) server: Server,
    member: Member,
    hosts: u64,
    /// hosts that run the release, or tried to
    pub(crate) reached: BTreeSet<u64>,
    dead: BTreeSet<u64>,
    /// what each host runs, by version and digest
    pub(crate) run: BTreeMap<u64, (u32, Digest)>,
}

pub(crate) struct World {
    pub(crate) vendor: Line,
    pub(crate) server: Server,
    /// what the vendor line's address answers with: another after a restart
    front: Arc<Mutex<Router>>,
    pub(crate) operators: Vec<Operator>,
    /// the rollout on the vendor line, and of what
    name: &'static str,
    pub(crate) version: u32,
    pub(crate) release: Digest,
    at: VendorLineAt,
    /// the vendor line's newest ticket; a halt takes it away and nobody's host with it
    pooled: Option<Ticket>,
    /// an operator whose server does not reach the vendor line
    away: Option<usize>,
}

fn acme() -> LineId {
    LineId::Vendor(VendorId::new("acme").unwrap())
}

/// An operator's line with an online key of its own, inside acme's line.
fn operator_line(name: &str, number: u8, pace: Pace) -> Line {
    let vera = Person { person: PersonId::new("ada").unwrap(), key: key(6).public() };
    let inside = VendorLine {
        vendor: VendorId::new("acme").unwrap(),
        people: vec![vera],
        threshold: 1,
        pace,
    };
    let mut line = Line::made(&format!("operator:{name}"), |policy| {
        policy.online = key(number).public();
        policy.vendor_lines = vec![inside];
    });
    line.inputs.online = key(number);
    line
}

impl World {
    pub(crate) async fn new(operators: &[(&'static str, u64, Pace)]) -> World {
        let member = |(at, (name, hosts, _)): (u8, &(&'static str, u64, Pace))| {
            let hosts = usize::try_from(*hosts).unwrap();
            crate::pooled::member::Member::new(name, 50 + at, hosts)
        };
        let named: Vec<_> = (0..).zip(operators).map(member).collect();
        let vendor = line_sharing(&named, 50_000);
        let mut server = vendor.open(START).await.unwrap();
        let release = vendor.publish(&mut server, 1).await;
        let front = Arc::new(Mutex::new(andon_server::api::router(Arc::clone(&server.app))));
        let url = serve(Arc::clone(&front)).await;
        let at = VendorLineAt { vendor: VendorId::new("acme").unwrap(), url };
        let (pooled, away) = (None, None);
        let (name, version) = ("r1", 1);
        let mut world = World {
            vendor,
            server,
            front,
            operators: vec![],
            name,
            version,
            release,
            at,
            pooled,
            away,
        };
        for (number, (name, hosts, pace)) in (50..).zip(operators) {
            world.add(name, number, *hosts, *pace).await;
        }
        world
    }

    async fn add(&mut self, name: &'static str, number: u8, hosts: u64, pace: Pace) {
        let line = operator_line(name, number, pace);
        let mut server = line.open(START).await.unwrap();
        enrol(&mut server, hosts).await;
        assert_eq!(line.publish(&mut server, 1).await, self.release, "one release on both lines");
        let member = Member::new(Arc::clone(&server.app), &self.at).unwrap().unwrap();
        let (reached, dead, run) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        self.operators.push(Operator { name, line, server, member, hosts, reached, dead, run });
        let last = self.operators.len() - 1;
        self.turn(last).await;
    }

    /// One turn of an operator's server with the vendor line; both servers' drivers answer meanwhile.
    pub(crate) async fn turn(&mut self, at: usize) {
        let Operator { server, member, .. } = &mut self.operators[at];
        let work = server.driver.during(member.turn(Millis::ZERO));
        self.server.driver.during(work).await.unwrap().unwrap().unwrap();
    }

    async fn start(&mut self) {
        self.start_as("r1", 1, self.release).await;
    }

    /// The next rollout on the vendor line.
    pub(crate) async fn start_as(&mut self, name: &'static str, version: u32, release: Digest) {
        (self.name, self.version, self.release, self.pooled) = (name, version, release, None);
        for operator in &mut self.operators {
            operator.reached.clear();
        }
        let now = self.server.app.now();
        let command = self.vendor.command(name, now, start(name, self.release));
        let (status, answer) = post(&mut self.server, "/v1/commands", &command).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// One second. Hosts that are covered take the release; if it is `bad`, that was their last word.
    pub(crate) async fn second(&mut self, second: u64, bad: bool) {
        let now = Time(START.0 + second * 1000);
        self.server.app.clock.set(now);
        let (name, of) = (format!("acme.{}", self.name), (self.version, self.release));
        for operator in &mut self.operators {
            operator.live(second, now, (&name, of), bad).await;
        }
        self.server.driver.tick().await.unwrap();
        for at in (0..self.operators.len()).filter(|at| self.away != Some(*at)).collect::<Vec<_>>()
        {
            self.turn(at).await;
        }
        self.nobody_is_ahead_of_the_vendor_line().await;
    }

    /// Whoever has the release is covered by the vendor line's ticket too.
    async fn nobody_is_ahead_of_the_vendor_line(&mut self) {
        let served = ticket(&mut self.server, "vendor:acme", self.name).await;
        self.pooled = served.or(self.pooled.take());
        let stratum = class(&[]).stratum();
        for operator in &self.operators {
            let blocks = operator.server.app.core().state.lines[&acme()].blocks.clone();
            for host in &operator.reached {
                let seat = seat(&blocks, HostId::new(*host).unwrap()).unwrap();
                let covered =
                    self.pooled.as_ref().is_some_and(|pooled| pooled.reaches(seat, &stratum));
                assert!(covered, "host {host} of {} is ahead", operator.name);
            }
        }
    }

    pub(crate) fn states(&self) -> Vec<StateName> {
        let state = |server: &Server, name: &str| {
            let core = server.app.core();
            let found = core.state.rollouts.iter().find(|(known, _)| known.as_str() == name);
            found.map_or(StateName::Planned, |it| it.1.explain(server.app.now()).state)
        };
        let own = format!("acme.{}", self.name);
        let own = self.operators.iter().map(|operator| state(&operator.server, &own));
        std::iter::once(state(&self.server, self.name)).chain(own).collect()
    }

    /// Power is lost at all three at once.
    pub(crate) async fn restart(mut self) -> World {
        self.server = self.vendor.restart(self.server).await;
        *self.front.lock().unwrap() = andon_server::api::router(Arc::clone(&self.server.app));
        let mut operators = Vec::new();
        for operator in self.operators {
            let server = operator.line.restart(operator.server).await;
            let member = Member::new(Arc::clone(&server.app), &self.at).unwrap().unwrap();
            operators.push(Operator { server, member, ..operator });
        }
        self.operators = operators;
        self
    }
}

impl Operator {
    async fn live(&mut self, second: u64, now: Time, of: (&str, (u32, Digest)), bad: bool) {
        self.server.app.clock.set(now);
        let (rollout, of) = of;
        let line = self.line_name();
        let current = ticket(&mut self.server, &line, rollout).await;
        let dead = self.dead.clone();
        for number in (1..=self.hosts).filter(|number| !dead.contains(number)) {
            let mut beat = quiet_beat(number, second + 1, now);
            let host = HostId::new(number).unwrap();
            if current.as_ref().is_some_and(|ticket| ticket.covers(host, &class(&[]))) {
                self.reached.insert(number);
                if bad {
                    self.dead.insert(number);
                    continue;
                }
                self.run.insert(number, of);
            }
            let run = self.run.get(&number);
            let runs = |(version, release)| running(version, release, ComponentState::Confirmed);
            beat.components = run.copied().map(runs).into_iter().collect();
            assert_eq!(tell(&mut self.server, &beat).await.0, 200);
        }
        self.server.driver.tick().await.unwrap();
    }

    pub(crate) fn line_name(&self) -> String {
        format!("operator:{}", self.name)
    }

    async fn freezes(&mut self) -> usize {
        let line = self.line_name();
        index(&mut self.server, &line).await.stops.len()
    }
}

pub(crate) async fn index(server: &mut Server, line: &str) -> Index {
    Index::parse(&get(server, &format!("/v1/lines/{line}/index.json")).await).unwrap()
}

/// The ticket that a line serves for a rollout, if it does.
async fn ticket(server: &mut Server, line: &str, rollout: &str) -> Option<Ticket> {
    let listed = index(server, line).await.tickets.iter().any(|t| t.rollout.as_str() == rollout);
    if !listed {
        return None;
    }
    let bytes = get(server, &format!("/v1/lines/{line}/tickets/{rollout}.json")).await;
    Some(Ticket::parse(&Envelope::parse(&bytes).unwrap().payload).unwrap())
}

/// Serves whatever the front is now, at one address.
async fn serve(front: Arc<Mutex<Router>>) -> String {
    let router = Router::new().fallback(move |request: Request| {
        let now = front.lock().unwrap().clone();
        async move { now.oneshot(request).await }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn a_good_release_reaches_every_host_of_both_operators_through_restarts_of_all_servers() {
    let mut world = World::new(&[("clinic", 50, Pace::Own), ("farm", 12, Pace::Vendor)]).await;
    world.start().await;
    for second in 1..400 {
        world.second(second, false).await;
        if second % 17 == 0 {
            world = world.restart().await;
        }
        if world.states().iter().all(|state| *state == StateName::Completed) {
            break;
        }
    }
    let reached: Vec<usize> =
        world.operators.iter().map(|operator| operator.reached.len()).collect();
    assert_eq!(reached, [50, 12], "{:?}", world.states());
    for operator in &mut world.operators {
        let line = format!("operator:{}", operator.name);
        let last = ticket(&mut operator.server, &line, "acme.r1").await.unwrap();
        assert_eq!(last.newcomers, Newcomers::Included, "{line}");
    }
}

#[tokio::test]
async fn a_release_that_kills_stops_at_the_vendor_lines_first_wave_for_all_operators_together() {
    let mut world = World::new(&[("clinic", 50, Pace::Own), ("farm", 12, Pace::Vendor)]).await;
    world.start().await;
    let mut halted_at = None;
    for second in 1..60 {
        world.second(second, true).await;
        let all = world.states().iter().all(|state| *state == StateName::Halted);
        halted_at = halted_at.or(all.then_some(second));
    }
    assert!(halted_at.is_some_and(|second| second < 20), "{halted_at:?} {:?}", world.states());
    let dead: usize = world.operators.iter().map(|operator| operator.dead.len()).sum();
    assert!((1..=16).contains(&dead), "{dead} hosts of both operators");
    for operator in &mut world.operators {
        assert!(operator.freezes().await > 0, "{} hears of no freeze", operator.name);
    }
}

/// Three of sixty hosts are within the share; their operator's server is away at the beginning.
#[tokio::test]
async fn a_member_that_comes_back_goes_on_inside_though_it_is_not_counted_again() {
    let mut world = World::new(&[("clinic", 57, Pace::Own), ("farm", 3, Pace::Own)]).await;
    world.start().await;
    world.away = Some(1);
    let absent = |world: &World| {
        let core = world.server.app.core();
        let rollout = core.state.rollouts.values().next().unwrap();
        rollout.members.as_deref().unwrap().standing(&"farm".parse().unwrap())
    };
    let mut second = 0;
    while absent(&world) != Some(Standing::Absent) {
        second += 1;
        assert!(second < 30, "the line waits for a member within the share");
        world.second(second, false).await;
    }
    let farm = |world: &World| world.operators[1].reached.len();
    assert_eq!(farm(&world), 0, "it never heard of the rollout");
    world.away = None;
    for second in second + 1..400 {
        world.second(second, false).await;
        if world.states().iter().all(|state| *state == StateName::Completed) {
            break;
        }
    }
    assert_eq!((world.operators[0].reached.len(), farm(&world)), (57, 3), "{:?}", world.states());
    assert_eq!(absent(&world), Some(Standing::Absent));
}
