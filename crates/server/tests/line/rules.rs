//! Rings, windows, holds and pins: what the server plans, what its tickets say, over the API.
use crate::rig::*;
use crate::rollouts::ticket;
use andon_model::beat::ComponentState;
use andon_model::command::Verb;
use andon_model::eligible::{Hold, KindRules, Pin, Ring, Rules};
use andon_model::envelope::PayloadType;
use andon_model::fast_lane::{FastLane, FastLaneEntry};
use andon_model::policy::Lane;
use andon_model::release::{ComponentKind, Version};
use andon_model::stop::{Freeze, FreezeOverride, Party, Scope};
use andon_model::text::Text;
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::{ComponentId, Digest, GroupId, HostId, Millis, RolloutId, Time, VendorId};
use andon_server::serve::Server;

/// Hosts 1 to 20 are in no group, 21 to 30 in `till`, 31 to 40 in `late`.
fn groups_of(host: u64) -> &'static [&'static str] {
    match host {
        ..=20 => &[],
        21..=30 => &["till"],
        _ => &["late"],
    }
}

async fn fleet(server: &mut Server) {
    for number in 1..=40 {
        enrol_in(server, number, groups_of(number)).await;
    }
}

fn covered(ticket: &Ticket, number: u64) -> bool {
    ticket.covers(HostId::new(number).unwrap(), &class(groups_of(number)))
}

/// How many of each group are covered.
fn reached(ticket: &Ticket) -> [usize; 3] {
    [1..=20, 21..=30, 31..=40].map(|hosts| hosts.filter(|host| covered(ticket, *host)).count())
}

/// One second: every host beats, covered ones run the release, then the driver ticks.
async fn second(server: &mut Server, release: Digest, at: u64) {
    let now = Time(START.0 + at * 1000);
    server.app.clock.set(now);
    let served = { server.app.core().state.rollouts.values().any(|r| !r.waves.is_empty()) };
    let current = if served { Some(ticket(server, "r1").await) } else { None };
    for number in 1..=40 {
        let mut beat = quiet_beat(number, at + 1, now);
        if current.as_ref().is_some_and(|ticket| covered(ticket, number)) {
            beat.components = vec![running(1, release, ComponentState::Confirmed)];
        }
        assert_eq!(tell(server, &beat).await.0, 200);
    }
    server.driver.tick().await.unwrap();
}

fn hold_till(until: Option<Time>) -> Hold {
    Hold { group: GroupId::new("till").ok(), component: None, until }
}

#[tokio::test]
async fn held_hosts_are_left_out_and_a_ring_gets_nothing_before_its_time() {
    let mut line = Line::new();
    let mut server = line.open(START).await.unwrap();
    fleet(&mut server).await;
    let release = line.publish(&mut server, 1).await;
    let ring = Ring { group: GroupId::new("late").unwrap(), after: Millis::from_secs(600) };
    let rules = Rules { rings: vec![ring], holds: vec![hold_till(None)], ..Rules::default() };
    line.set_rules(&mut server, rules).await;
    let command = line.command("1", START, start("r1", release));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    for at in 1..200 {
        second(&mut server, release, at).await;
        let [plain, till, late] = reached(&ticket(&mut server, "r1").await);
        assert!(plain <= 20 && till == 0 && late == 0, "second {at}: {plain} {till} {late}");
    }
    let told = ticket(&mut server, "r1").await;
    assert_eq!(reached(&told), [19, 0, 0], "all of the first, but for the holdback");
    assert_eq!(told.ceilings.iter().map(|c| c.handed).sum::<u32>(), 19, "16 means 16");
    // A restart in the middle, and the rules are taken back: neither moves anybody.
    server = line.restart(server).await;
    line.set_rules(&mut server, Rules::default()).await;
    for at in 200..210 {
        second(&mut server, release, at).await;
    }
    assert_eq!(reached(&ticket(&mut server, "r1").await), [19, 0, 0]);
    for at in (210..600).step_by(13).chain(600..900) {
        second(&mut server, release, at).await;
        let [_, till, late] = reached(&ticket(&mut server, "r1").await);
        let included = ticket(&mut server, "r1").await.newcomers == Newcomers::Included;
        assert!(included || till == 0, "second {at}: {till} of a group that was left out");
        assert!(at >= 600 || late == 0, "second {at}: {late} of a ring before its time");
    }
    // Vouched by everybody else, it is for those who were left out too: the rule is gone.
    assert_eq!(reached(&ticket(&mut server, "r1").await), [20, 10, 10]);
}

#[tokio::test]
async fn a_rollout_that_the_rules_keep_from_every_host_is_refused() {
    let mut line = Line::new();
    let mut server = line.open(START).await.unwrap();
    fleet(&mut server).await;
    let release = line.publish(&mut server, 1).await;
    let component = ComponentId::new("rules").unwrap();
    let pin = Pin { group: None, component, version: Version(7), until: None };
    line.set_rules(&mut server, Rules { pins: vec![pin], ..Rules::default() }).await;
    let command = line.command("1", START, start("r1", release));
    let (status, answer) = post(&mut server, "/v1/commands", &command).await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer.to_string().contains("keeps version 1 of rules from every host"), "{answer}");
    assert!(server.app.core().state.rollouts.is_empty(), "something was left half-applied");
}

#[tokio::test]
async fn what_is_not_on_the_fast_lane_list_is_not_started_in_the_emergency_lane() {
    let mut line = Line::new();
    let mut server = line.open(START).await.unwrap();
    fleet(&mut server).await;
    let release = line.publish(&mut server, 1).await;
    let expires = START.plus(Millis::from_secs(86_400));
    line.policy.fast_lane = Some(FastLane { expires, components: vec![] });
    line.set_policy(&mut server).await;
    let emergency = |release| match start("r1", release) {
        Verb::Start { rollout, release, component, approvals, seed, .. } => {
            let lane = Lane::Emergency;
            Verb::Start { rollout, release, component, lane, approvals, seed }
        }
        other => other,
    };
    let command = line.command("1", START, emergency(release));
    let (status, answer) = post(&mut server, "/v1/commands", &command).await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer.to_string().contains("it is not on the fast-lane list"), "{answer}");
    assert!(server.app.core().state.rollouts.is_empty(), "something was left half-applied");
    let entry = FastLaneEntry {
        vendor: VendorId::new("acme").unwrap(),
        component: ComponentId::new("rules").unwrap(),
    };
    line.policy.fast_lane = Some(FastLane { expires, components: vec![entry] });
    line.set_policy(&mut server).await;
    let command = line.command("2", START, emergency(release));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
}

/// A hold for services keeps no content back; one for content does.
#[tokio::test]
async fn rules_for_one_kind_are_no_rules_for_another() {
    let mut line = Line::new();
    let mut server = line.open(START).await.unwrap();
    fleet(&mut server).await;
    let release = line.publish(&mut server, 1).await;
    let hold = Hold { group: None, component: None, until: None };
    let of = |kind| {
        let rules = Rules { holds: vec![hold.clone()], ..Rules::default() };
        Rules { kinds: vec![KindRules { kind, rules }], ..Rules::default() }
    };
    line.set_rules(&mut server, of(ComponentKind::Content)).await;
    let command = line.command("1", START, start("r1", release));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 409);
    line.set_rules(&mut server, of(ComponentKind::Service)).await;
    let command = line.command("2", START, start("r1", release));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
}

#[tokio::test]
async fn a_first_wave_waits_for_its_ring() {
    let mut line = Line::new();
    let mut server = line.open(START).await.unwrap();
    for number in 1..=20 {
        enrol_in(&mut server, number, &["late"]).await;
    }
    let release = line.publish(&mut server, 1).await;
    let ring = Ring { group: GroupId::new("late").unwrap(), after: Millis::from_secs(30) };
    line.set_rules(&mut server, Rules { rings: vec![ring], ..Rules::default() }).await;
    let command = line.command("1", START, start("r1", release));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    for (at, wave) in [(29, 0), (30, 1)] {
        server.app.clock.set(Time(START.0 + at * 1000));
        server.driver.tick().await.unwrap();
        let waves = { server.app.core().state.rollouts.values().next().unwrap().waves.len() };
        assert_eq!(waves, wave, "second {at}");
    }
}

/// A vendor freezes its release for a reason that does not concern this line's hosts.
#[tokio::test]
async fn a_freeze_that_the_policy_overrides_stops_nothing_here() {
    let mut line = Line::new();
    let mut server = line.open(START).await.unwrap();
    fleet(&mut server).await;
    let release = line.publish(&mut server, 1).await;
    let freeze = Freeze {
        schema: 1,
        by: Party::Vendor(acme()),
        scope: Scope::Release(release),
        reason: Text::clipped("slow on another system"),
        issued: START,
        expires: START.plus(Millis::from_secs(86_400)),
    };
    let payload = serde_json::to_vec(&freeze).unwrap();
    let pulled = line.vendor.seal(PayloadType::Freeze, &payload);
    assert_eq!(post(&mut server, "/v1/stops", &pulled).await.0, 200);
    let command = line.command("1", START, start("r1", release));
    let (status, answer) = post(&mut server, "/v1/commands", &command).await;
    let (named, said) = (Digest::of(&payload), answer.to_string());
    assert!(status == 409 && said.contains(&named.to_string()), "{said}");
    let until = START.plus(Millis::from_secs(3600));
    let reason = Text::clipped("not on ours");
    line.policy.overrides = vec![FreezeOverride { freeze: named, reason, until }];
    line.set_policy(&mut server).await;
    let command = line.command("2", START, start("r1", release));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    // Told once more, by another of its keys or the same, it still does not hold here.
    assert_eq!(post(&mut server, "/v1/stops", &pulled).await.0, 200);
    server.driver.tick().await.unwrap();
    let rollout = RolloutId::new("r1").unwrap();
    assert!(server.app.core().state.rollouts[&rollout].live());
    // But for as long as the policy says only.
    server.app.clock.set(until);
    assert!(server.app.core().state.frozen(&acme(), &release, until).is_some());
}

fn acme() -> VendorId {
    VendorId::new("acme").unwrap()
}
