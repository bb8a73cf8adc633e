//! A member's hosts check both lines' tickets themselves: real views over what the member's server
//! serves, beside a vendor line by script.
use crate::rig::*;
use crate::rollouts::{get, second_without};
use crate::vendor::Vendor;
use andon_model::index::Index;
use andon_model::line::{LineStanding, Pace};
use andon_model::ticket::Newcomers;
use andon_model::{Digest, HostId, Millis, RolloutId, Time};
use andon_server::member::Member;
use andon_server::serve::Server;
use andon_trust::view::{Answer, Outcome, RefusalCode, Step, View};
use axum::http::Method;

const HOSTS: u64 = 40;

fn at(second: u64) -> Time {
    Time(START.0 + second * 1000)
}

struct Clinic {
    line: Line,
    server: Server,
    vendor: Vendor,
    member: Member,
    release: Digest,
}

impl Clinic {
    /// 40 hosts that have seats on acme's line.
    async fn new() -> Clinic {
        let mut line = Line::new();
        let vendor = Vendor::of(&mut line, Pace::Vendor).await;
        let mut server = line.open(START).await.unwrap();
        enrol(&mut server, HOSTS).await;
        let release = line.publish(&mut server, 1).await;
        let member = vendor.member(&server);
        let mut clinic = Clinic { line, server, vendor, member, release };
        clinic.turn().await;
        clinic
    }

    async fn turn(&mut self) {
        let work = self.server.driver.during(self.member.turn(Millis::ZERO));
        work.await.unwrap().unwrap();
        self.server.driver.tick().await.unwrap();
    }

    async fn second(&mut self, second: u64) {
        let of = (self.release, "acme.v1");
        second_without(&mut self.server, HOSTS, &[], of, second).await;
        self.turn().await;
    }

    /// What a host that has seen nothing yet makes of what is served now.
    async fn told(&mut self, host: u64) -> Outcome {
        let id = HostId::new(host).unwrap();
        let mut view = View::new(self.line.inputs.anchor.clone(), id, class(&[])).unwrap();
        view.begin(self.server.app.now());
        while let Step::Fetch(fetch) = view.next() {
            let (status, body) = send(&mut self.server, Method::GET, &fetch.path, Vec::new()).await;
            let answer = if status == 200 { Answer::Bytes(body) } else { Answer::Missing };
            view.supply(answer);
        }
        view.outcome().clone()
    }

    async fn offered(&mut self, hosts: u64) -> Vec<u64> {
        let mut offered = Vec::new();
        for host in 1..=hosts {
            let outcome = self.told(host).await;
            assert!(outcome.offers.len() <= 1);
            if !outcome.offers.is_empty() {
                offered.push(host);
            }
        }
        offered
    }

    async fn index(&mut self) -> Index {
        let path = "/v1/lines/operator:clinic/index.json";
        Index::parse(&get(&mut self.server, path).await).unwrap()
    }

    async fn start_by_hand(&mut self, nonce: &str) -> (u16, String) {
        let now = self.server.app.now();
        let command = self.line.command(nonce, now, start("by-hand", self.release));
        let (status, answer) = post(&mut self.server, "/v1/commands", &command).await;
        (status.as_u16(), answer.to_string())
    }
}

#[tokio::test]
async fn what_the_vendor_line_has_signed_is_passed_on_to_hosts_over_restarts_too() {
    let mut clinic = Clinic::new().await;
    let listed = &clinic.index().await.vendor_lines[0];
    assert!(listed.seats.is_some() && listed.tickets.is_empty(), "{listed:?}");
    clinic.vendor.start(clinic.release, START);
    clinic.vendor.issue(16, at(1));
    clinic.vendor.say(1, LineStanding::Live, at(1));
    clinic.second(1).await;
    clinic.second(2).await;
    let want: Vec<u64> = (1..=HOSTS).filter(|host| clinic.vendor.reaches(*host, 16)).collect();
    assert!(!want.is_empty() && want.len() < 16, "{want:?}");
    assert_eq!(clinic.offered(HOSTS).await, want);

    // To the byte as the vendor line has signed it.
    let path = "/v1/lines/operator:clinic/vendor/acme/tickets/v1.json";
    let passed = get(&mut clinic.server, path).await;
    assert_eq!(passed, clinic.vendor.script.lock().unwrap().files["/v1/line/tickets/v1/1"]);
    let before = clinic.index().await.vendor_lines;
    clinic.server = clinic.line.restart(clinic.server).await;
    clinic.member = clinic.vendor.member(&clinic.server);
    clinic.server.driver.tick().await.unwrap();
    assert_eq!(clinic.index().await.vendor_lines, before);
    assert_eq!(clinic.offered(HOSTS).await, want);

    // Whoever enrols later has no seat until the vendor's line covers newcomers.
    enrol_in(&mut clinic.server, HOSTS + 1, &[]).await;
    for second in 12..50 {
        if let Some((_, wave)) = [(12, 60), (24, 80)].iter().find(|(when, _)| *when == second) {
            clinic.vendor.issue(*wave, at(second));
        }
        let newcomers = if second > 35 { Newcomers::Included } else { Newcomers::Excluded };
        let generation = clinic.vendor.steps.len();
        clinic.vendor.say_as(second, generation, newcomers, LineStanding::Live, at(second));
        clinic.second(second).await;
    }
    assert_eq!(clinic.offered(HOSTS + 1).await, (1..=HOSTS + 1).collect::<Vec<_>>());

    // A policy that names the vendor line no more takes it off the shelf.
    clinic.line.policy.vendor_lines.clear();
    clinic.line.set_policy(&mut clinic.server).await;
    clinic.server.driver.tick().await.unwrap();
    assert_eq!(clinic.index().await.vendor_lines, []);
    let (status, _) = send(&mut clinic.server, Method::GET, path, vec![]).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_release_started_by_people_waits_until_the_vendor_line_has_vouched_for_it() {
    let mut clinic = Clinic::new().await;
    let (status, said) = clinic.start_by_hand("1").await;
    assert!(status == 409 && said.contains("vendor:acme, which has not vouched for it"), "{said}");
    // The vendor line's rollout is over before this line ever had a part in it.
    clinic.vendor.start(clinic.release, START);
    for second in [1, 12, 24] {
        clinic.vendor.issue([16, 60, 80][usize::try_from(second).unwrap() / 12], at(second));
    }
    clinic.server.app.clock.set(at(60));
    let generation = clinic.vendor.steps.len();
    let (done, newcomers) = (LineStanding::Completed, Newcomers::Included);
    clinic.vendor.say_as(9, generation, newcomers, done, at(60));
    clinic.turn().await;
    assert!(clinic.server.app.core().state.rollouts.is_empty(), "it does not begin by itself");
    let (status, said) = clinic.start_by_hand("2").await;
    assert_eq!(status, 200, "{said}");
    clinic.turn().await;
    let rollout = RolloutId::new("v1").unwrap();
    let listed = clinic.index().await.vendor_lines.remove(0);
    assert_eq!((listed.tickets.len(), &listed.tickets[0].rollout), (1, &rollout));
    let offered = clinic.offered(HOSTS).await;
    assert_eq!(offered.len(), 16, "the first wave of its own line: {offered:?}");

    // A forged one would not have been believed, and is not now.
    clinic.vendor.put("/v1/lines/vendor:acme/tickets/v2.json", b"{}".to_vec());
    let outcome = clinic.told(offered[0]).await;
    assert!(!outcome.refusals.iter().any(|told| told.code == RefusalCode::VendorLine));
}
