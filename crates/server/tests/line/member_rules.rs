//! Inside a vendor line: the operator's own rules still hold, seats are appended, and places or plans
//! that do not fit are not believed.
use crate::member::{at, joined};
use crate::rig::*;
use crate::rollouts::ticket;
use crate::vendor::Vendor;
use andon_model::budget::{BudgetLimit, GroupBudget};
use andon_model::command::Verb;
use andon_model::eligible::{Hold, Ring, Rules};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::fast_lane::{FastLane, FastLaneEntry};
use andon_model::line::{LineStanding, Pace, Places, SeatBlock};
use andon_model::policy::Lane;
use andon_model::text::Text;
use andon_model::{Digest, GroupId, HostId, Millis, RolloutId, Time};
use andon_rollout::lines::MemberStanding;
use andon_rollout::{Event, Plan, Reason};
use andon_server::member::client::{Turn, TurnError};
use andon_server::member::{Member, permit};
use andon_server::serve::Server;

async fn turn(server: &mut Server, member: &mut Member) -> Result<Turn, TurnError> {
    server.driver.during(member.turn(Millis::ZERO)).await.unwrap()
}

/// Hosts 1 to 20 are in no group, 21 to 30 in `till`, 31 to 40 in `late`.
fn groups_of(host: u64) -> &'static [&'static str] {
    match host {
        ..=20 => &[],
        21..=30 => &["till"],
        _ => &["late"],
    }
}

/// Forty hosts that have seats, and the release published; the vendor line has started nothing.
async fn clinic(rules: Rules, budgets: Vec<GroupBudget>) -> (Line, Server, Vendor, Member, Digest) {
    let mut line = Line::new();
    line.policy.eligibility = rules;
    line.policy.budgets = budgets;
    let mut vendor = Vendor::of(&mut line, Pace::Vendor).await;
    (vendor.policy.eligibility, vendor.policy.budgets) = (Rules::default(), vec![]);
    vendor.show_policy();
    let mut server = line.open(START).await.unwrap();
    for number in 1..=40 {
        enrol_in(&mut server, number, groups_of(number)).await;
    }
    let release = line.publish(&mut server, 1).await;
    let mut member = vendor.member(&server);
    turn(&mut server, &mut member).await.unwrap();
    (line, server, vendor, member, release)
}

fn waits(vendor: &Vendor) -> String {
    match vendor.tallies().pop().unwrap().standing {
        MemberStanding::Waiting { why } => why.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

fn permitted(line: &Line) -> Vec<Vec<u32>> {
    let read = |json: &str| serde_json::from_str(json).unwrap();
    let events = line.journal.rows().into_iter().filter_map(|row| match read(&row.json) {
        andon_server::record::Record::Rollout {
            event: Event::Permitted { handed, .. }, ..
        } => Some(handed),
        _ => None,
    });
    events.collect()
}

#[tokio::test]
async fn a_ring_makes_other_strata_here_and_what_is_permitted_is_counted_host_by_host() {
    let ring = Ring { group: GroupId::new("late").unwrap(), after: Millis::from_secs(600) };
    let hold = Hold { group: GroupId::new("till").ok(), component: None, until: None };
    let rules = Rules { rings: vec![ring], holds: vec![hold], ..Rules::default() };
    let (line, mut server, mut vendor, mut member, release) = clinic(rules, vec![]).await;
    vendor.start(release, START);
    vendor.issue(16, Time(START.0 + 1000));
    vendor.issue(60, Time(START.0 + 2000));
    vendor.say(1, LineStanding::Live, START);
    turn(&mut server, &mut member).await.unwrap();
    let reached = |hosts: std::ops::RangeInclusive<u64>| {
        u32::try_from(hosts.filter(|host| vendor.reaches(*host, 60)).count()).unwrap()
    };
    let (plain, till, late) = (reached(1..=20), reached(21..=30), reached(31..=40));
    assert!(
        plain > 0 && till > 0 && late > 0,
        "{plain} {till} {late}: the vendor line knows no groups"
    );
    let mut told = permitted(&line).pop().unwrap();
    told.sort_unstable();
    let mut want = vec![plain, late];
    want.sort_unstable();
    assert_eq!(told, want, "held hosts are in no stratum here");
    let served = ticket(&mut server, "acme.v1").await;
    let covers = |host: &u64| served.covers(HostId::new(*host).unwrap(), &class(groups_of(*host)));
    let open: Vec<u64> = (1..=40).filter(covers).collect();
    assert!(!open.is_empty(), "the stratum without a ring is handed");
    let may = |host: &u64| *host <= 20 && vendor.reaches(*host, 60);
    assert!(open.iter().all(may), "{open:?}: a ring that has not begun, or not covered there");
    // Its hosts count there all the same: the vendor line's evidence is over all seats.
    let tally = vendor.tallies().pop().unwrap();
    let waves = &tally.strata[0].tally.waves;
    assert_eq!(waves.iter().map(|wave| wave.hosts).sum::<u32>(), plain + till + late);
}

#[tokio::test]
async fn budgets_of_groups_and_a_vendor_line_exclude_each_other_and_it_says_so() {
    let budget = GroupBudget {
        group: GroupId::new("till").unwrap(),
        limit: BudgetLimit::Count(2),
        alone_consents: false,
        canaries_capped: false,
        size: None,
    };
    let (_line, mut server, mut vendor, mut member, release) =
        clinic(Rules::default(), vec![budget]).await;
    vendor.start(release, START);
    vendor.issue(16, Time(START.0 + 1000));
    vendor.say(1, LineStanding::Live, START);
    turn(&mut server, &mut member).await.unwrap();
    assert!(server.app.core().state.rollouts.is_empty());
    assert!(waits(&vendor).starts_with("budgets of groups"), "{}", waits(&vendor));
}

/// Hosts would refuse it, and the rollout would wait for them for ever.
#[tokio::test]
async fn what_may_not_use_the_emergency_lane_here_does_not_begin_by_itself() {
    let (mut line, mut server, mut vendor, mut member, release) =
        clinic(Rules::default(), vec![]).await;
    let expires = START.plus(Millis::from_secs(3600));
    line.policy.fast_lane = Some(FastLane { expires, components: vec![] });
    line.set_policy(&mut server).await;
    vendor.lane = Lane::Emergency;
    vendor.start(release, START);
    vendor.say(1, LineStanding::Live, START);
    turn(&mut server, &mut member).await.unwrap();
    assert!(server.app.core().state.rollouts.is_empty());
    assert!(waits(&vendor).contains("emergency lane"), "{}", waits(&vendor));
    let (vendor_id, component) = ("acme".parse().unwrap(), "rules".parse().unwrap());
    let entry = FastLaneEntry { vendor: vendor_id, component };
    line.policy.fast_lane = Some(FastLane { expires, components: vec![entry] });
    line.set_policy(&mut server).await;
    turn(&mut server, &mut member).await.unwrap();
    assert_eq!(server.app.core().state.rollouts.len(), 1, "{}", waits(&vendor));
}

/// Starts a rollout by hand while the policy names no vendor line.
pub(crate) async fn start_outside(
    line: &mut Line,
    server: &mut Server,
    name: &str,
    release: Digest,
) {
    let named = std::mem::take(&mut line.policy.vendor_lines);
    line.set_policy(server).await;
    let command = line.command(name, START, start(name, release));
    assert_eq!(post(server, "/v1/commands", &command).await.0, 200);
    line.policy.vendor_lines = named;
    line.set_policy(server).await;
}

#[tokio::test]
async fn a_taken_name_gets_a_number_and_a_restart_finds_its_own_again() {
    let (mut line, mut server, mut vendor, mut member, release) =
        clinic(Rules::default(), vec![]).await;
    let name = || RolloutId::new("acme.v1").unwrap();
    start_outside(&mut line, &mut server, "acme.v1", release).await;
    vendor.start(release, START);
    vendor.say(1, LineStanding::Live, START);
    turn(&mut server, &mut member).await.unwrap();
    assert_eq!(waits(&vendor), "rollout acme.v1 of rules still runs");
    let halt = Verb::Halt { rollout: name(), reason: Text::clipped("ours") };
    let command = line.command("2", START, halt);
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    turn(&mut server, &mut member).await.unwrap();
    assert_eq!(server.app.core().state.rollouts.len(), 1, "the release is frozen here");
    // Another release; the vendor line says the same name again: a plan is never exchanged under it.
    let second = line.publish(&mut server, 2).await;
    vendor.start_as("v1", second, 2, START);
    let mut server = line.restart(server).await;
    let mut member = vendor.member(&server);
    vendor.say(1, LineStanding::Live, START);
    let refused = turn(&mut server, &mut member).await;
    assert!(matches!(refused, Err(TurnError::Doubt(_))), "{refused:?}");
    assert_eq!(server.app.core().state.rollouts.len(), 1);
    // Under its own name it begins, and where ours is taken it has a number.
    start_outside(&mut line, &mut server, "acme.v2", second).await;
    let name = RolloutId::new("acme.v2").unwrap();
    let halt = Verb::Halt { rollout: name, reason: Text::clipped("ours") };
    let command = line.command("4", START, halt);
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    let third = line.publish(&mut server, 3).await;
    vendor.start_as("v2", third, 3, START);
    vendor.say(1, LineStanding::Live, START);
    turn(&mut server, &mut member).await.unwrap();
    let numbered = RolloutId::new("acme.v2.2").unwrap();
    assert!(server.app.core().state.rollouts.contains_key(&numbered));
    let mut server = line.restart(server).await;
    let mut member = vendor.member(&server);
    turn(&mut server, &mut member).await.unwrap();
    let core = server.app.core();
    let vendors = RolloutId::new("v2").unwrap();
    let own = permit::own(&core.state, &vendor.policy.line, &vendors).unwrap();
    assert_eq!((&own.plan.rollout, core.state.rollouts.len()), (&numbered, 3));
}

#[tokio::test]
async fn later_hosts_get_seats_of_their_own_and_nobodys_seat_changes() {
    let (line, mut server, vendor, mut member, _) = clinic(Rules::default(), vec![]).await;
    for number in 41..=43 {
        enrol_in(&mut server, number, &[]).await;
    }
    turn(&mut server, &mut member).await.unwrap();
    let rosters = |vendor: &Vendor| vendor.script.lock().unwrap().rosters.len();
    assert_eq!(rosters(&vendor), 1, "three of forty wait for a day");
    server.app.clock.set(START.plus(Millis::from_secs(86_400)));
    turn(&mut server, &mut member).await.unwrap();
    let block = |host_first, seat_first, count| SeatBlock { host_first, seat_first, count };
    let want = [block(1, 1001, 40), block(41, 2001, 3)];
    let known =
        |server: &Server| server.app.core().state.lines.values().next().unwrap().blocks.clone();
    assert_eq!(known(&server), want);
    // Seats that change, or leave a host out, are not taken down.
    let lies = [
        vec![block(1, 1001, 40), block(41, 2002, 3), block(44, 3001, 5)],
        vec![block(1, 1001, 40), block(44, 3001, 5)],
        vec![block(1, 1001, 40), block(41, 2001, 3), block(44, 3001, 99)],
    ];
    for number in 44..=48 {
        enrol_in(&mut server, number, &[]).await;
    }
    for (number, lie) in (1..).zip(lies) {
        let ten_minutes = Millis::from_secs(86_400 + 600 * number);
        server.app.clock.set(START.plus(ten_minutes));
        vendor.script.lock().unwrap().seats = lie;
        let refused = turn(&mut server, &mut member).await;
        assert!(matches!(refused, Err(TurnError::Doubt(_))), "{refused:?}");
        assert_eq!(known(&server), want);
    }
    server.app.clock.set(START.plus(Millis::from_secs(90_000)));
    // The vendor line knows more than our journal does: its 409 says what it gave.
    vendor.script.lock().unwrap().seats = [want.to_vec(), vec![block(44, 3001, 5)]].concat();
    turn(&mut server, &mut member).await.unwrap();
    assert_eq!(known(&server).len(), 3);
    let server = line.restart(server).await;
    assert_eq!(known(&server).len(), 3);
}

#[tokio::test]
async fn a_line_without_seats_for_more_hosts_is_heard_and_answered_all_the_same() {
    let (_line, mut server, mut vendor, mut member, release) =
        clinic(Rules::default(), vec![]).await;
    vendor.start(release, START);
    vendor.issue(16, Time(START.0 + 1000));
    for number in 41..=50 {
        enrol_in(&mut server, number, &[]).await;
    }
    vendor.script.lock().unwrap().full = true;
    vendor.say(1, LineStanding::Live, START);
    let refused = turn(&mut server, &mut member).await;
    assert!(matches!(refused, Err(TurnError::Http(_))), "it is said: {refused:?}");
    assert_eq!((vendor.sent().len(), server.app.core().state.rollouts.len()), (1, 1));
    vendor.say(2, LineStanding::Live, START);
    turn(&mut server, &mut member).await.unwrap();
    assert_eq!(vendor.sent().len(), 2, "and it is not asked again at every turn");
}

/// Found by starting the servers by hand: the operator's came up first, and showed no hosts for ten
/// minutes.
#[tokio::test]
async fn a_line_that_was_not_there_at_first_is_shown_the_hosts_as_soon_as_it_is() {
    let mut line = Line::new();
    let vendor = Vendor::of(&mut line, Pace::Own).await;
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, 5).await;
    let mut member = vendor.member(&server);
    vendor.script.lock().unwrap().files.clear();
    assert!(turn(&mut server, &mut member).await.is_err());
    vendor.show_policy();
    // The script has no rounds yet: that turn fails too, after the hosts were shown.
    let _no_rounds = turn(&mut server, &mut member).await;
    assert_eq!(vendor.script.lock().unwrap().rosters.len(), 1);
}

type Lie = fn(&Vendor, Plan, Places) -> (Plan, Places);

#[tokio::test]
async fn a_plan_or_places_that_do_not_fit_are_not_believed() {
    let (_line, mut server, mut vendor, mut member, release) =
        clinic(Rules::default(), vec![]).await;
    vendor.start(release, START);
    let read = |path: &str| {
        let script = vendor.script.lock().unwrap();
        Envelope::parse(&script.files[path]).unwrap().payload
    };
    let plan: Plan = serde_json::from_slice(&read("/v1/line/plans/v1")).unwrap();
    let places = Places::parse(&read("/v1/line/places/v1/clinic")).unwrap();
    let lies: [(&str, Lie); 7] = [
        ("another seed than the rounds' digest says", |_, mut plan, places| {
            plan.seed = Digest::of(b"another");
            (plan, places)
        }),
        ("ranks in another order than the seats", |_, plan, mut places| {
            places.ranks.swap(0, 1);
            (plan, places)
        }),
        ("a rank beyond the stratum", |_, plan, mut places| {
            places.ranks[0] = 5000;
            (plan, places)
        }),
        ("a stratum beyond the plan", |_, plan, mut places| {
            places.strata[0] = 1;
            (plan, places)
        }),
        ("another operator's", |_, plan, mut places| {
            places.operator = andon_model::OperatorId::new("other").unwrap();
            (plan, places)
        }),
        ("more hosts than have seats", |_, plan, mut places| {
            places.strata.push(0);
            places.ranks.push(79);
            (plan, places)
        }),
        ("another rollout's", |_, plan, mut places| {
            places.rollout = RolloutId::new("v0").unwrap();
            (plan, places)
        }),
    ];
    for (what, lie) in lies {
        let (false_plan, false_places) = lie(&vendor, plan.clone(), places.clone());
        vendor.put("/v1/line/plans/v1", vendor.seal(PayloadType::Plan, &false_plan));
        let sealed = vendor.seal(PayloadType::Places, &false_places);
        vendor.put("/v1/line/places/v1/clinic", sealed);
        vendor.say(1, LineStanding::Live, START);
        let refused = turn(&mut server, &mut member).await;
        assert!(matches!(refused, Err(TurnError::Doubt(_))), "{what}: {refused:?}");
        let core = server.app.core();
        assert!(core.state.rollouts.is_empty(), "{what}");
        assert!(core.state.lines.values().all(|line| line.rollouts.is_empty()), "{what}");
    }
    vendor.put("/v1/line/plans/v1", vendor.seal(PayloadType::Plan, &plan));
    vendor.put("/v1/line/places/v1/clinic", vendor.seal(PayloadType::Places, &places));
    vendor.say(1, LineStanding::Live, START);
    turn(&mut server, &mut member).await.unwrap();
    let core = server.app.core();
    let own = &core.state.rollouts[&RolloutId::new("acme.v1").unwrap()];
    assert_eq!(own.explain(START).reason, Reason::AwaitingVendorLine { generation: 0 });
}

#[tokio::test]
async fn old_words_of_a_vendor_line_begin_and_permit_nothing() {
    let (_line, mut server, mut vendor, mut member, release) =
        clinic(Rules::default(), vec![]).await;
    server.app.clock.set(Time(START.0 + 400_000));
    vendor.start(release, START);
    vendor.issue(16, Time(START.0 + 1000));
    vendor.say(1, LineStanding::Live, Time(START.0 + 1000));
    turn(&mut server, &mut member).await.unwrap();
    assert!(server.app.core().state.rollouts.is_empty(), "six minutes old: somebody may replay it");
    assert!(waits(&vendor).contains("not fresh"), "{}", waits(&vendor));
    vendor.say(1, LineStanding::Live, Time(START.0 + 400_000));
    turn(&mut server, &mut member).await.unwrap();
    assert_eq!(server.app.core().state.rollouts.len(), 1);
}

/// On a line with gate verifiers the round that came before the last ticket is the one after it too.
#[tokio::test]
async fn a_tally_that_came_while_a_ticket_waited_is_sent_again_afterwards() {
    let (_line, mut server, mut vendor, mut member, _) = joined(Pace::Vendor).await;
    vendor.issue(16, at(1));
    server.app.clock.set(at(1));
    vendor.script.lock().unwrap().closed = true;
    vendor.say(2, LineStanding::Live, at(1));
    turn(&mut server, &mut member).await.unwrap();
    assert!(vendor.tallies().iter().all(|tally| tally.round < 2), "it is not taken");
    vendor.script.lock().unwrap().closed = false;
    server.app.clock.set(at(2));
    vendor.say(2, LineStanding::Live, at(2));
    turn(&mut server, &mut member).await.unwrap();
    assert_eq!(vendor.tallies().last().map(|tally| tally.round), Some(2), "the line waits for it");
}
