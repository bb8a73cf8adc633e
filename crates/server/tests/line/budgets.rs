//! Disruption budgets of groups, from the signed policy to the served tickets and shards.
use crate::rig::*;
use crate::rollouts::{get, ticket};
use andon_model::beat::ComponentState;
use andon_model::budget::{BudgetLimit, GroupBudget};
use andon_model::eligible::{Hold, Rules};
use andon_model::order::{Shard, shard_of};
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::{Digest, GroupId, HostId, Time};
use andon_server::rollout_state::RolloutState;
use andon_server::serve::Server;
use andon_server::ticketing::{self, TicketingError};
use axum::http::Method;
use std::collections::BTreeMap;

const SERVICES: [&str; 4] = ["shop", "mail", "wiki", "till"];
/// Seconds of a generation in the tests' policy: delivery, window, silence.
const GENERATION: u64 = 8;

/// Ten hosts in each of four services.
fn service(host: u64) -> &'static str {
    SERVICES[(host % 4) as usize]
}

async fn fleet(server: &mut Server) {
    for number in 1..=40 {
        enrol_in(server, number, &[service(number)]).await;
    }
}

fn budgets(limit: BudgetLimit) -> Vec<GroupBudget> {
    let of = |name: &str| GroupBudget {
        group: GroupId::new(name).unwrap(),
        limit,
        alone_consents: false,
        canaries_capped: false,
        size: None,
    };
    SERVICES.map(of).into()
}

/// As a host finds out: from the ticket and its own shard.
async fn covered(server: &mut Server, ticket: &Ticket, number: u64) -> bool {
    let host = HostId::new(number).unwrap();
    let class = class(&[service(number)]);
    let Some(signed) = ticket.order_of(host) else { return ticket.covers(host, &class) };
    let path = format!("/v1/lines/operator:clinic/orders/r1/{}.json", shard_of(host));
    let shard = Shard::parse(&get(server, &path).await).unwrap();
    ticket.covers_place(&class, shard.place(&signed, host).unwrap())
}

async fn all_covered(server: &mut Server, ticket: &Ticket) -> Vec<u64> {
    let mut out = Vec::new();
    for number in 1..=40 {
        if covered(server, ticket, number).await {
            out.push(number);
        }
    }
    out
}

/// Covered hosts: since when, and since when confirmed.
#[derive(Default)]
struct Seen(BTreeMap<u64, (u64, Option<u64>)>);

impl Seen {
    /// One second: covered hosts run the release, confirm after three seconds (host 7 after thirty),
    /// everybody beats, the driver ticks.
    async fn second(&mut self, server: &mut Server, release: Digest, at: u64) -> Option<Ticket> {
        let now = Time(START.0 + at * 1000);
        server.app.clock.set(now);
        for number in 1..=40 {
            let mut beat = quiet_beat(number, at + 1, now);
            if let Some((since, confirmed)) = self.0.get_mut(&number) {
                let after = if number == 7 { 30 } else { 3 };
                if at >= *since + after {
                    confirmed.get_or_insert(at);
                }
                let done = confirmed.is_some();
                let state =
                    if done { ComponentState::Confirmed } else { ComponentState::Probation };
                beat.components = vec![running(1, release, state)];
            }
            assert_eq!(tell(server, &beat).await.0, 200);
        }
        server.driver.tick().await.unwrap();
        let live = { server.app.core().state.rollouts.values().any(|r| !r.waves.is_empty()) };
        if !live {
            return None;
        }
        let ticket = ticket(server, "r1").await;
        for host in all_covered(server, &ticket).await {
            self.0.entry(host).or_insert((at, None));
        }
        Some(ticket)
    }

    /// The most members of one service that are not yet vouched for.
    fn most_unvouched(&self, at: u64) -> usize {
        let open = |service: &str| {
            let members = self.0.iter().filter(|(host, _)| self::service(**host) == service);
            let open = members.filter(|(_, (since, done))| {
                at < since + GENERATION || done.is_none_or(|done| done > at)
            });
            open.count()
        };
        SERVICES.map(open).into_iter().max().unwrap_or(0)
    }
}

async fn start_r1(line: &Line, server: &mut Server, release: Digest) -> serde_json::Value {
    let command = line.command("1", START, start("r1", release));
    let (status, answer) = post(server, "/v1/commands", &command).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn no_service_ever_has_more_unvouched_members_than_its_budget() {
    for (limit, most) in [(BudgetLimit::Count(1), 1), (BudgetLimit::Share(250), 2)] {
        let mut line = Line::new();
        let mut server = line.open(START).await.unwrap();
        fleet(&mut server).await;
        let release = line.publish(&mut server, 1).await;
        line.policy.budgets = budgets(limit);
        line.set_policy(&mut server).await;
        start_r1(&line, &mut server, release).await;
        let mut seen = Seen::default();
        let first = ticket(&mut server, "r1").await;
        for host in all_covered(&mut server, &first).await {
            seen.0.insert(host, (0, None));
        }
        for at in 1..400 {
            let told = seen.second(&mut server, release, at).await.unwrap();
            let handed: u32 = told.ceilings.iter().map(|ceiling| ceiling.handed).sum();
            assert_eq!(seen.0.len(), handed as usize, "second {at}: 16 means 16");
            let now = seen.most_unvouched(at);
            assert!(now <= most, "second {at}: {now} of {most}");
            if at % 31 == 0 {
                let before = words(&server);
                server = line.restart(server).await;
                assert_eq!(words(&server), before, "replay differs in second {at}");
                assert_eq!(ticket(&mut server, "r1").await.order, told.order);
            }
            if server.app.core().state.rollouts.values().all(RolloutState::completed) {
                break;
            }
        }
        assert_eq!(seen.0.len(), 40, "{limit:?}: the rollout did not reach everybody");
    }
}

#[tokio::test]
async fn hosts_that_the_rules_leave_out_have_no_place_and_are_newcomers() {
    let mut line = Line::new();
    let mut server = line.open(START).await.unwrap();
    fleet(&mut server).await;
    let release = line.publish(&mut server, 1).await;
    line.policy.budgets = budgets(BudgetLimit::Count(5));
    let hold = Hold { group: GroupId::new("till").ok(), component: None, until: None };
    line.set_rules(&mut server, Rules { holds: vec![hold], ..Rules::default() }).await;
    start_r1(&line, &mut server, release).await;
    let mut seen = Seen::default();
    let mut last = None;
    for at in 1..200 {
        let told = seen.second(&mut server, release, at).await.unwrap();
        let included = told.newcomers == Newcomers::Included;
        let tills = seen.0.keys().filter(|host| service(**host) == "till").count();
        assert!(included || tills == 0, "second {at}: {tills} without a place");
        last = Some(told);
    }
    assert_eq!((last.unwrap().newcomers, seen.0.len()), (Newcomers::Included, 40));
}

#[tokio::test]
async fn budgets_of_groups_that_nobody_is_in_change_nothing() {
    let mut line = Line::new();
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, 40).await;
    let release = line.publish(&mut server, 1).await;
    line.policy.budgets = budgets(BudgetLimit::Quorum);
    line.set_policy(&mut server).await;
    start_r1(&line, &mut server, release).await;
    let told = ticket(&mut server, "r1").await;
    assert_eq!((told.order, told.ceilings[0].handed), (None, 16));
}

#[tokio::test]
async fn a_budget_that_cannot_be_kept_is_refused_by_name() {
    let mut line = Line::new();
    let mut server = line.open(START).await.unwrap();
    fleet(&mut server).await;
    let release = line.publish(&mut server, 1).await;
    line.policy.budgets = budgets(BudgetLimit::Count(1));
    line.policy.budgets[2].size = Some(3);
    line.set_policy(&mut server).await;
    let command = line.command("1", START, start("r1", release));
    let (status, answer) = post(&mut server, "/v1/commands", &command).await;
    let said = "group wiki: group 2 says it has 3 hosts and has 10";
    assert!(status == 409 && answer.to_string().contains(said), "{status} {answer}");
    assert!(server.app.core().state.rollouts.is_empty(), "something was left half-applied");
}

#[tokio::test]
async fn shards_leave_with_the_ticket_and_another_order_makes_no_ticket() {
    let mut line = Line::new();
    let mut server = line.open(START).await.unwrap();
    fleet(&mut server).await;
    let release = line.publish(&mut server, 1).await;
    line.policy.budgets = budgets(BudgetLimit::Count(1));
    line.set_policy(&mut server).await;
    start_r1(&line, &mut server, release).await;
    let path = "/v1/lines/operator:clinic/orders/r1/0.json";
    get(&mut server, path).await;
    {
        let core = server.app.core();
        let state = core.state.rollouts.values().next().unwrap();
        let mut plan = state.plan.clone();
        plan.order.as_mut().unwrap().commitment.root.0[0] ^= 1;
        let other = RolloutState::new(
            plan,
            state.report.clone(),
            state.vendor.clone(),
            state.started_seq,
            &core.state.hosts,
        );
        assert_eq!(other.recomputed, None);
        let told = ticketing::ceilings(&other, state.handed());
        assert_eq!(told, Err(TicketingError::Order));
    }
    let envelope = crate::faults::freeze(&line, release, START);
    assert_eq!(post(&mut server, "/v1/stops", &envelope).await.0, 200);
    assert_eq!(send(&mut server, Method::GET, path, Vec::new()).await.0, 404);
}
