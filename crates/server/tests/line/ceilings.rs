//! Plans of many strata: tickets that commit to their ceilings, the shards in which hosts find theirs,
//! and whoever must see all of them.
use crate::member::{at, handed, joined, turn};
use crate::pooled::member::Member as Answering;
use crate::pooled::world::World;
use crate::rig::*;
use crate::rollouts::{get, ticket};
use andon_model::ceilings::{self, Shard};
use andon_model::class::HostClass;
use andon_model::command::Verb;
use andon_model::enrol::EnrolRequest;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::line::{LineStanding, Pace};
use andon_model::position::Position;
use andon_model::text::Text;
use andon_model::ticket::{Ceiling, Newcomers, Ticket};
use andon_model::verifiers::Verifier as Named;
use andon_model::{Digest, HostId, RolloutId, StratumId, VerifierId};
use andon_server::member::client::TurnError;
use andon_server::serve::Server;
use andon_server::verifier::record::{Asked, AskedTicket, Memory};
use andon_server::verifier::{Refused, Verifier};
use axum::http::Method;
use std::collections::BTreeSet;

const HOSTS: u64 = 140;
const STRATA: u64 = 70;
const LINE: &str = "/v1/lines/operator:clinic";

fn class_of(host: u64) -> HostClass {
    let model = StratumId::new(&format!("m{:03}", host % STRATA)).unwrap();
    HostClass { model, ..class(&[]) }
}

async fn enrol_all(server: &mut Server) {
    for number in 1..=HOSTS {
        let (key, class) = (host_key(number), class_of(number));
        let token = "let me in".to_owned();
        let at = server.app.now();
        let request = EnrolRequest { schema: 1, token, key: key.public(), class, at };
        let envelope = key.seal(PayloadType::Enrol, &serde_json::to_vec(&request).unwrap());
        assert_eq!(post(server, "/v1/enrol", &envelope).await.0, 200);
    }
}

/// The shard of a host's stratum, where the ticket says that it is.
fn shard_path(ticket: &Ticket, host: u64) -> String {
    let signed = ticket.committed.unwrap();
    let number = ceilings::shard_of(&class_of(host).stratum(), signed.shards);
    format!("{LINE}/{}", ceilings::path(&ticket.rollout, &signed.root, number))
}

/// Whom a ticket covers, as each host reads it.
async fn covered(server: &mut Server, ticket: &Ticket) -> BTreeSet<u64> {
    assert!(ticket.ceilings.is_empty());
    let signed = ticket.committed.unwrap();
    assert_eq!(u64::from(signed.strata), STRATA);
    let mut covered = BTreeSet::new();
    for number in 1..=HOSTS {
        let class = class_of(number);
        let shard = Shard::parse(&get(server, &shard_path(ticket, number)).await).unwrap();
        let own = shard.ceiling(&signed, &class.stratum()).unwrap().cloned();
        let open =
            Ticket { ceilings: own.into_iter().collect(), committed: None, ..ticket.clone() };
        if open.covers(HostId::new(number).unwrap(), &class) {
            covered.insert(number);
        }
    }
    covered
}

async fn is_there(server: &mut Server, path: &str) -> bool {
    send(server, Method::GET, path, vec![]).await.0 == 200
}

/// A gate verifier that looks at whatever waits.
struct Watcher(Verifier);

impl Watcher {
    async fn asked(&mut self, server: &mut Server) -> Option<AskedTicket> {
        let asked = get(server, &format!("{LINE}/waiting")).await;
        let asked: Asked = serde_json::from_slice(&asked).unwrap();
        loop {
            let page = get(server, &format!("/v1/journal?after={}", self.0.seq())).await;
            let page = String::from_utf8(page).unwrap();
            if page.is_empty() {
                return asked.tickets.into_iter().next();
            }
            page.lines().for_each(|row| self.0.follow(row, server.app.now()).unwrap());
        }
    }

    async fn cosign(&mut self, server: &mut Server) {
        let Some(asked) = self.asked(server).await else { return };
        match self.0.judge(&asked, server.app.now()) {
            Err(Refused::TooSoon(_)) => return,
            judged => judged.unwrap(),
        };
        let mut envelope = asked.envelope;
        envelope.signatures.clear();
        key(101).add(&mut envelope);
        let (status, answer) = post(server, &format!("{LINE}/cosignatures"), &envelope).await;
        assert_eq!(status, 200, "{answer}");
    }
}

fn line() -> Line {
    Line::made("operator:clinic", |policy| {
        let name = VerifierId::new("v1").unwrap();
        policy.verifiers.keys = vec![Named { name, key: key(101).public() }];
        policy.verifiers.needed = 1;
    })
}

fn watcher(line: &Line) -> Watcher {
    let memory = Memory::new(line.policy.line.clone());
    Watcher(Verifier::new(line.inputs.anchor.clone(), memory))
}

async fn begin(line: &Line) -> (Server, Digest) {
    let mut server = line.open(START).await.unwrap();
    enrol_all(&mut server).await;
    let release = line.publish(&mut server, 1).await;
    let command = line.command("1", START, start("r1", release));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    (server, release)
}

#[tokio::test]
async fn sixteen_means_sixteen_over_seventy_strata_through_waves_restarts_and_a_halt() {
    let line = line();
    let (mut server, release) = begin(&line).await;
    let mut watcher = watcher(&line);
    watcher.cosign(&mut server).await;
    let first = ticket(&mut server, "r1").await;
    assert_eq!(covered(&mut server, &first).await.len(), 16);
    let (mut tickets, mut second) = (vec![first], 0);
    while tickets.len() < 3 {
        second += 1;
        assert!(second < 100, "it does not widen");
        let now = at(second);
        server.app.clock.set(now);
        let last = tickets.last().unwrap().clone();
        let running_it = covered(&mut server, &last).await;
        for number in 1..=HOSTS {
            let mut beat = quiet_beat(number, second + 1, now);
            if running_it.contains(&number) {
                let state = andon_model::beat::ComponentState::Confirmed;
                beat.components = vec![running(1, release, state)];
            }
            assert_eq!(tell(&mut server, &beat).await.0, 200);
        }
        server.driver.tick().await.unwrap();
        watcher.cosign(&mut server).await;
        let now = ticket(&mut server, "r1").await;
        if now.generation > last.generation {
            let wave = covered(&mut server, &now).await;
            assert_eq!(wave.len() as u64, now.steps.last().unwrap().handed);
            assert!(wave.is_superset(&running_it) && wave.len() > running_it.len());
            // Who has just fetched the ticket before still finds what belongs to it.
            assert!(is_there(&mut server, &shard_path(&last, 1)).await);
            tickets.push(now);
        }
    }
    assert!(!is_there(&mut server, &shard_path(&tickets[0], 1)).await, "kept for good");
    let folder = line.folder.path().join("static").join(LINE.trim_start_matches('/'));
    let on_disk = || std::fs::read_dir(folder.join("ceilings/r1")).map_or(0, Iterator::count);
    assert_eq!(on_disk(), 2 * 5, "five shards for each of two tickets");
    let mut server = line.restart(server).await;
    server.driver.tick().await.unwrap();
    watcher.cosign(&mut server).await;
    let again = ticket(&mut server, "r1").await;
    assert_eq!(again.committed, tickets[2].committed);
    covered(&mut server, &again).await;
    assert_eq!(on_disk(), 5, "an earlier run's are taken away");
    let halt = Verb::Halt { rollout: RolloutId::new("r1").unwrap(), reason: Text::clipped("no") };
    let command = line.command("2", server.app.now(), halt);
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    assert!(!is_there(&mut server, &shard_path(&again, 1)).await, "a halt takes them away");
    assert_eq!(on_disk(), 0);
}

/// Mutant: verifier-ceilings-unchecked.
#[tokio::test]
async fn a_verifier_makes_all_ceilings_again_before_it_cosigns_a_root() {
    let line = line();
    let (mut server, _) = begin(&line).await;
    let mut watcher = watcher(&line);
    let asked = watcher.asked(&mut server).await.unwrap();
    let honest = watcher.0.judge(&asked, at(0)).unwrap();
    assert!(!is_there(&mut server, &shard_path(&honest, 1)).await, "served to nobody yet");
    let changes: [fn(&mut ceilings::Commitment); 3] = [
        |it| it.root = Digest::of(b"sixteen other hosts, or everybody"),
        |it| it.late_max = HostId::new(HOSTS + 1).ok(),
        |it| it.strata += 1,
    ];
    for change in changes {
        let mut ticket = honest.clone();
        change(ticket.committed.as_mut().unwrap());
        let text = serde_json::to_vec(&ticket).unwrap();
        let envelope = line.inputs.online.seal(PayloadType::Ticket, &text);
        let forged = AskedTicket { envelope, ..asked.clone() };
        match watcher.0.judge(&forged, at(0)) {
            Err(Refused::Differs("ceilings") | Refused::Ticket(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Takes a ticket's ceilings out whatever their number, as a server does with many.
fn sealed(mut ticket: Ticket) -> (Ticket, Vec<Shard>, Vec<Ceiling>) {
    let (committed, shards) = ceilings::commit(&ticket.ceilings).unwrap();
    let all = std::mem::take(&mut ticket.ceilings);
    ticket.committed = Some(committed);
    (ticket, shards, all)
}

/// Mutant: line-ceilings-unchecked.
#[tokio::test]
async fn a_member_believes_a_vendors_root_with_all_its_ceilings_only_and_shows_them_to_its_hosts() {
    let (line, mut server, mut vendor, mut member, _) = joined(Pace::Vendor).await;
    let open = vendor.ticket(16, at(1));
    let (ticket, shards, all) = sealed(open.clone());
    server.app.clock.set(at(1));
    vendor.say_as(1, 1, Newcomers::Excluded, LineStanding::Live, at(1));
    let put = |ticket: &Ticket, all: Option<&[Ceiling]>| {
        vendor.show_ticket(ticket, vendor.seal(PayloadType::Ticket, ticket));
        match all {
            Some(all) => vendor.put("/v1/line/ceilings/v1/1", serde_json::to_vec(all).unwrap()),
            None => drop(vendor.script.lock().unwrap().files.remove("/v1/line/ceilings/v1/1")),
        }
    };
    let mut wide = all.clone();
    wide[0].position_max = Some(Position::MAX);
    let mut late = all.clone();
    late[0].late_max = HostId::new(10_000).ok();
    let mut understated = open.clone();
    understated.ceilings[0].position_max = Some(vendor.order[90].0);
    let (lying, _, its) = sealed(understated);
    put(&ticket, None);
    let missing = turn(&mut server, &mut member).await;
    assert!(matches!(missing, Err(TurnError::Http(_))), "{missing:?}");
    for (what, ticket, all) in [
        ("a late host that the root does not know of", &ticket, &late),
        ("other ceilings than those of the root", &ticket, &wide),
        ("none", &ticket, &vec![]),
        ("a root over positions of more hosts than it counts", &lying, &its),
    ] {
        put(ticket, Some(all));
        let refused = turn(&mut server, &mut member).await;
        assert!(matches!(refused, Err(TurnError::Doubt(_))), "{what}: {refused:?}");
        server.driver.tick().await.unwrap();
        assert_eq!(handed(&server), 0, "{what}");
    }
    put(&ticket, Some(&all));
    let signed = vendor.seal(PayloadType::Ticket, &ticket);
    vendor.steps.clone_from(&ticket.steps);
    turn(&mut server, &mut member).await.unwrap();
    server.driver.tick().await.unwrap();
    assert!(handed(&server) > 0);
    for restarts in 0..2 {
        let below = ceilings::path(&ticket.rollout, &ticket.committed.unwrap().root, 0);
        let path = format!("{LINE}/vendor/acme/{below}");
        let shard = Shard::parse(&get(&mut server, &path).await).unwrap();
        assert_eq!(shard, shards[0], "after {restarts} restarts");
        let path = format!("{LINE}/vendor/acme/tickets/v1.json");
        let passed = Envelope::parse(&get(&mut server, &path).await).unwrap();
        assert_eq!(passed.to_bytes(), signed);
        server = line.restart(server).await;
        server.driver.tick().await.unwrap();
    }
}

#[tokio::test]
async fn a_vendor_line_of_seventy_strata_gives_its_members_every_ceiling() {
    let names = (0..70).map(|n| StratumId::new(&format!("x86_64.debian12.m{n:02}")).unwrap());
    let mut members = vec![Answering::new("a", 21, 70), Answering::new("b", 22, 70)];
    let names: Vec<_> = names.collect();
    for member in &mut members {
        member.strata.clone_from(&names);
    }
    let mut world = World::seated(members).await;
    world.start("r1").await;
    for _ in 0..40 {
        world.second(&[0, 1]).await;
        if world.round().await.generation >= 2 {
            break;
        }
    }
    let generation = world.round().await.generation;
    assert!(generation >= 2, "it does not widen");
    let path = format!("/v1/line/tickets/r1/{generation}");
    let ticket: Ticket = world.signed(&path, PayloadType::Ticket).await;
    let handed: Vec<u32> = world.waves(generation).await.pop().unwrap();
    let committed = ticket.committed.unwrap();
    assert_eq!((handed.len(), committed.strata), (70, 70));
    assert_eq!(handed.iter().map(|hosts| u64::from(*hosts)).sum::<u64>(), committed.handed);
    let none = format!("/v1/line/ceilings/r1/{}", generation + 1);
    assert!(!is_there(&mut world.server, &none).await);
}
