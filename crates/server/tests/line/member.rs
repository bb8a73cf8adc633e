//! An operator's server inside a vendor line: seats, its own rollout inside, exact tallies, halts, and
//! a vendor line that lies.
use crate::member_rules::start_outside;
use crate::rig::*;
use crate::rollouts::{get, second_without, ticket};
use crate::vendor::Vendor;
use andon_model::beat::ComponentState;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::index::Index;
use andon_model::line::{LineStanding, Pace, Roster};
use andon_model::stop::Freeze;
use andon_model::text::Text;
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::verifiers::{Verifier, Verifiers};
use andon_model::{Digest, Millis, Time, VerifierId};
use andon_rollout::lines::MemberStanding;
use andon_rollout::{ArmTally, Count, Reason};
use andon_server::config::{ConfigError, Inputs};
use andon_server::member::client::TurnError;
use andon_server::member::{Member, client::Turn};
use andon_server::serve::Server;

const HOSTS: u64 = 60;

pub(crate) fn at(second: u64) -> Time {
    Time(START.0 + second * 1000)
}

pub(crate) async fn turn(server: &mut Server, member: &mut Member) -> Result<Turn, TurnError> {
    server.driver.during(member.turn(Millis::ZERO)).await.unwrap()
}

/// A clinic of 60 hosts that have seats on acme's line, where `v1` has been started.
pub(crate) async fn joined(pace: Pace) -> (Line, Server, Vendor, Member, Digest) {
    let mut line = Line::new();
    let mut vendor = Vendor::of(&mut line, pace).await;
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, HOSTS).await;
    let release = line.publish(&mut server, 1).await;
    let mut member = vendor.member(&server);
    turn(&mut server, &mut member).await.unwrap();
    vendor.start(release, START);
    vendor.say(1, LineStanding::Live, START);
    turn(&mut server, &mut member).await.unwrap();
    (line, server, vendor, member, release)
}

fn explained(server: &Server, name: &str) -> Option<andon_rollout::Explanation> {
    let core = server.app.core();
    let rollouts = &core.state.rollouts;
    let found = rollouts.iter().find(|(known, _)| known.as_str() == name);
    found.map(|(_, rollout)| rollout.explain(server.app.now()))
}

pub(crate) fn handed(server: &Server) -> u64 {
    explained(server, "acme.v1").unwrap().handed
}

#[tokio::test]
async fn a_member_goes_inside_by_itself_and_hands_out_nothing_that_the_vendor_line_does_not_cover()
{
    for pace in [Pace::Own, Pace::Vendor] {
        let (_line, mut server, mut vendor, mut member, release) = joined(pace).await;
        let told = explained(&server, "acme.v1").unwrap();
        assert_eq!(told.reason, Reason::AwaitingVendorLine { generation: 0 });
        let roster = {
            let script = vendor.script.lock().unwrap();
            assert_eq!(script.rosters.len(), 1, "only once");
            Roster::parse(&script.rosters[0].payload).unwrap()
        };
        assert_eq!((roster.host_first, roster.hosts.len()), (1, 60));
        // Enrolled after: no seat, so a newcomer here until the vendor line covers newcomers.
        enrol_in(&mut server, 61, &[]).await;
        let (mut round, mut issued_at) = (1, 0);
        let waves = [(2, 16_u64), (12, 40), (24, 100)];
        for second in 1..200 {
            if let Some((_, wave)) = waves.iter().find(|(when, _)| *when == second) {
                vendor.issue(*wave, at(second));
                issued_at = second;
            }
            let covered = vendor.steps.last().map_or(0, |step| step.handed);
            let newcomers = if second > 60 { Newcomers::Included } else { Newcomers::Excluded };
            if second > issued_at {
                round += 1;
            }
            let generation = vendor.steps.len();
            vendor.say_as(round, generation, newcomers, LineStanding::Live, at(second));
            second_without(&mut server, 61, &[], (release, "acme.v1"), second).await;
            turn(&mut server, &mut member).await.unwrap();
            let listed = index(&mut server).await.tickets.len();
            assert_eq!(listed > 0, handed(&server) > 0, "second {second}");
            if listed > 0 {
                let ticket = ticket(&mut server, "acme.v1").await;
                for host in 1..=HOSTS {
                    let id = andon_model::HostId::new(host).unwrap();
                    if ticket.covers(id, &class(&[])) {
                        assert!(vendor.reaches(host, covered), "h{host} in second {second}");
                    }
                }
                let late = andon_model::HostId::new(61).unwrap();
                assert!(second > 60 || !ticket.covers(late, &class(&[])), "second {second}");
            }
            if explained(&server, "acme.v1").unwrap().state == andon_rollout::StateName::Completed {
                break;
            }
        }
        assert_eq!(handed(&server), HOSTS, "{pace:?}");
        let last = ticket(&mut server, "acme.v1").await;
        assert_eq!(last.newcomers, Newcomers::Included, "{pace:?}");
        let standing = vendor.tallies().last().unwrap().standing.clone();
        assert!(matches!(standing, MemberStanding::Live | MemberStanding::Completed));
    }
}

async fn index(server: &mut Server) -> Index {
    Index::parse(&get(server, "/v1/lines/operator:clinic/index.json").await).unwrap()
}

/// A vendor line that covers 16 hosts; ours among them run the release in second 3. Host `silent`
/// has said nothing since second 0, and `charged`, one of the covered, goes back in second 4.
async fn with_trouble() -> (Line, Server, Vendor, Member, u64, u64) {
    let (line, mut server, mut vendor, mut member, release) = joined(Pace::Vendor).await;
    vendor.issue(16, at(1));
    vendor.say(1, LineStanding::Live, at(1));
    turn(&mut server, &mut member).await.unwrap();
    let silent = (1..=HOSTS).find(|host| !vendor.reaches(*host, 16)).unwrap();
    let charged = (1..=HOSTS).find(|host| vendor.reaches(*host, 16)).unwrap();
    for second in 1..5 {
        let away = [silent, charged];
        second_without(&mut server, HOSTS, &away, (release, "acme.v1"), second).await;
        let mut beat = quiet_beat(charged, second + 1, at(second));
        if second == 3 {
            beat.components = vec![running(1, release, ComponentState::Probation)];
        }
        if second == 4 {
            beat.components = vec![running(0, Digest::of(b"old"), ComponentState::FellBack)];
            beat.charges = vec![charge(1, release, at(4))];
        }
        assert_eq!(tell(&mut server, &beat).await.0, 200);
    }
    (line, server, vendor, member, silent, charged)
}

fn arms(vendor: &Vendor) -> (ArmTally, ArmTally) {
    let last = vendor.tallies().pop().unwrap();
    assert_eq!(last.strata.len(), 1);
    let tally = &last.strata[0].tally;
    let mut rest = tally.controls;
    let (one, other) = (&mut rest, tally.gauge);
    for (into, more) in [
        (&mut one.silence, other.silence),
        (&mut one.report, other.report),
        (&mut one.probe, other.probe),
    ] {
        *into = Count::of(into.new + more.new, into.at_risk + more.at_risk);
    }
    (one.hosts, one.bad_new) = (one.hosts + other.hosts, one.bad_new + other.bad_new);
    (tally.waves[0], rest)
}

#[tokio::test]
async fn tallies_are_exact_and_what_is_new_is_counted_once() {
    let (line, mut server, vendor, mut member, _, _) = with_trouble().await;
    let ours = u32::try_from((1..=HOSTS).filter(|h| vendor.reaches(*h, 16)).count()).unwrap();
    assert!(ours > 3);
    vendor.say(2, LineStanding::Live, at(4));
    turn(&mut server, &mut member).await.unwrap();
    let (wave, rest) = arms(&vendor);
    assert_eq!((wave.hosts, rest.hosts), (ours, 60 - ours));
    assert_eq!((wave.report, wave.silence), (Count::of(1, ours), Count::of(0, ours)));
    assert_eq!((wave.confirmed, wave.fell_back, wave.bad_new), (ours - 1, 1, 1));
    assert_eq!((rest.silence, rest.bad_new), (Count::of(1, 60 - ours), 1));
    // Asked again, and after a restart: the same bytes.
    let first = vendor.sent().pop().unwrap();
    turn(&mut server, &mut member).await.unwrap(); // 304: it may have lost what it was sent
    turn(&mut server, &mut member).await.unwrap();
    assert_eq!(vendor.sent().last(), Some(&first));
    let sent = vendor.sent().len();
    let mut server = line.restart(server).await;
    let mut member = vendor.member(&server);
    turn(&mut server, &mut member).await.unwrap();
    assert_eq!((vendor.sent().len(), vendor.sent().last()), (sent + 1, Some(&first)));
    // A later round: what was new is counted for good.
    vendor.say(3, LineStanding::Live, at(4));
    turn(&mut server, &mut member).await.unwrap();
    let (wave, rest) = arms(&vendor);
    assert_eq!((wave.report, wave.bad_new), (Count::of(0, ours - 1), 0));
    assert_eq!((rest.silence, rest.bad_new), (Count::of(0, 60 - ours - 1), 0));
    assert_eq!((wave.fell_back, vendor.tallies().pop().unwrap().round), (1, 3));
    // An old answer of the line changes nothing.
    let sent = vendor.sent().len();
    vendor.say(2, LineStanding::Live, at(4));
    turn(&mut server, &mut member).await.unwrap();
    assert_eq!(vendor.sent().len(), sent);
}

#[tokio::test]
async fn another_generation_of_the_same_round_is_counted_afresh() {
    let (_line, mut server, mut vendor, mut member, _, _) = with_trouble().await;
    vendor.say(2, LineStanding::Live, at(4));
    turn(&mut server, &mut member).await.unwrap();
    let before = arms(&vendor).0;
    vendor.issue(17, at(5));
    vendor.say(2, LineStanding::Live, at(5));
    turn(&mut server, &mut member).await.unwrap();
    let last = vendor.tallies().pop().unwrap();
    assert_eq!((last.round, last.generation, last.strata[0].tally.waves.len()), (2, 2, 2));
    assert_eq!(arms(&vendor).0, before, "what was pending is new still");
}

#[tokio::test]
async fn who_was_silent_before_the_start_is_never_counted() {
    let mut line = Line::new();
    let mut vendor = Vendor::of(&mut line, Pace::Vendor).await;
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, 20).await;
    let release = line.publish(&mut server, 1).await;
    let mut member = vendor.member(&server);
    turn(&mut server, &mut member).await.unwrap();
    second_without(&mut server, 20, &[5], (release, "acme.v1"), 10).await;
    vendor.start(release, at(10));
    vendor.issue(3, at(10));
    vendor.say(1, LineStanding::Live, at(10));
    turn(&mut server, &mut member).await.unwrap();
    let (wave, rest) = arms(&vendor);
    assert_eq!(wave.silence.new + rest.silence.new, 0);
    assert_eq!(wave.silence.at_risk + rest.silence.at_risk, 19);
}

fn halted(by_person: bool) -> LineStanding {
    let by = Text::clipped("gate of vendor:acme");
    LineStanding::Halted { by, digest: Digest::of(b"evidence there"), by_person }
}

#[tokio::test]
async fn a_halt_by_evidence_there_halts_here_and_this_lines_own_freeze_is_served() {
    let (line, mut server, mut vendor, mut member, release) = joined(Pace::Vendor).await;
    vendor.issue(16, at(1));
    vendor.say(1, LineStanding::Live, at(1));
    turn(&mut server, &mut member).await.unwrap();
    assert!(handed(&server) > 0);
    vendor.say(2, halted(false), at(2));
    turn(&mut server, &mut member).await.unwrap();
    let told = explained(&server, "acme.v1").unwrap();
    assert!(matches!(told.reason, Reason::Halted(_)), "{:?}", told.reason);
    let now = index(&mut server).await;
    assert!(now.tickets.is_empty());
    let path = format!("/v1/lines/operator:clinic/stops/{}.json", now.stops[0]);
    let envelope = andon_model::envelope::Envelope::parse(&get(&mut server, &path).await).unwrap();
    let key = line.inputs.online.public();
    let payload = andon_trust::envelope::verify_one(&envelope, PayloadType::Freeze, &key).unwrap();
    let freeze = Freeze::parse(payload).unwrap();
    assert!(freeze.concerns(&vendor.at.vendor, &release));
    assert!(freeze.reason.as_str().contains("gate of vendor:acme"), "{}", freeze.reason);
    // Told again, and after a restart: one freeze.
    let mut server = line.restart(server).await;
    let mut member = vendor.member(&server);
    turn(&mut server, &mut member).await.unwrap();
    assert_eq!(index(&mut server).await.stops.len(), 1);
    let standing = vendor.tallies().pop().unwrap().standing;
    assert!(matches!(standing, MemberStanding::Halted { .. }), "{standing:?}");
}

#[tokio::test]
async fn a_persons_halt_there_holds_here_until_our_people_decide() {
    let (line, mut server, mut vendor, mut member, _) = joined(Pace::Vendor).await;
    vendor.issue(16, at(1));
    vendor.say(1, LineStanding::Live, at(1));
    turn(&mut server, &mut member).await.unwrap();
    vendor.say(2, halted(true), at(2));
    turn(&mut server, &mut member).await.unwrap();
    let state = |server: &Server| explained(server, "acme.v1").unwrap().state;
    assert_eq!(state(&server), andon_rollout::StateName::Held);
    assert!(index(&mut server).await.stops.is_empty());
    let rollout = andon_model::RolloutId::new("acme.v1").unwrap();
    let resume = andon_model::command::Verb::Resume { rollout };
    let resume = line.command("resume", START, resume);
    assert_eq!(post(&mut server, "/v1/commands", &resume).await.0, 200);
    turn(&mut server, &mut member).await.unwrap();
    assert_eq!(state(&server), andon_rollout::StateName::Exposing, "held once, not again");
}

type Lie = fn(&Vendor, Ticket) -> Vec<u8>;

fn sealed_ticket(vendor: &Vendor, ticket: &Ticket) -> Vec<u8> {
    vendor.seal(PayloadType::Ticket, ticket)
}

#[tokio::test]
async fn a_ticket_that_does_not_verify_permits_nothing() {
    let (line, mut server, mut vendor, mut member, _) = joined(Pace::Vendor).await;
    vendor.issue(16, at(1));
    vendor.say(1, LineStanding::Live, at(1));
    turn(&mut server, &mut member).await.unwrap();
    let before = handed(&server);
    let lies: [(&str, u64, u64, Lie); 8] = [
        ("another key's", 64, 3, |_, ticket| {
            let text = serde_json::to_vec(&ticket).unwrap();
            key(99).seal(PayloadType::Ticket, &text).to_bytes()
        }),
        ("wider than the vendor's policy allows", 65, 3, |v, ticket| sealed_ticket(v, &ticket)),
        ("sooner than its soak", 64, 1, |v, mut ticket| {
            ticket.steps[1].at = Time(ticket.steps[0].at.0 + 999);
            sealed_ticket(v, &ticket)
        }),
        ("another past", 64, 3, |v, mut ticket| {
            ticket.steps[0].handed = 17;
            sealed_ticket(v, &ticket)
        }),
        ("positions of more hosts than it counts", 20, 3, |v, mut ticket| {
            ticket.ceilings[0].position_max = Some(v.order[90].0);
            sealed_ticket(v, &ticket)
        }),
        ("another seed", 64, 3, |v, mut ticket| {
            ticket.seed = Digest::of(b"another");
            sealed_ticket(v, &ticket)
        }),
        ("another rollout", 64, 3, |v, mut ticket| {
            ticket.rollout = andon_model::RolloutId::new("v2").unwrap();
            sealed_ticket(v, &ticket)
        }),
        ("the future", 64, 3600, |v, ticket| sealed_ticket(v, &ticket)),
    ];
    let facts = |line: &Line| {
        let taken = |json: &str| json.contains("ticket_taken") || json.contains("permitted");
        line.journal.rows().iter().filter(|row| taken(&row.json)).count()
    };
    let journalled = facts(&line);
    server.app.clock.set(at(3));
    for (what, wide, when, lie) in lies {
        let ticket = vendor.ticket(wide, at(when));
        vendor.show_ticket(&ticket, lie(&vendor, ticket.clone()));
        vendor.say_as(2, 2, Newcomers::Excluded, LineStanding::Live, at(3));
        let refused = turn(&mut server, &mut member).await;
        assert!(matches!(refused, Err(TurnError::Doubt(_))), "{what}: {refused:?}");
        assert_eq!((handed(&server), facts(&line)), (before, journalled), "{what}");
    }
    // What the lies were made of, told truly, is taken.
    vendor.issue(64, at(3));
    vendor.say(2, LineStanding::Live, at(3));
    turn(&mut server, &mut member).await.unwrap();
    assert!(facts(&line) > journalled);
}

#[tokio::test]
async fn a_vendors_ticket_without_its_gate_verifiers_permits_nothing() {
    let (_line, mut server, mut vendor, mut member, _) = joined(Pace::Vendor).await;
    let name = VerifierId::new("v1").unwrap();
    let keys = vec![Verifier { name, key: key(42).public() }];
    vendor.policy.verifiers = Verifiers { needed: 1, keys };
    vendor.policy.version += 1;
    vendor.show_policy();
    let ticket = vendor.ticket(16, at(1));
    let mut signed = Envelope::parse(&sealed_ticket(&vendor, &ticket)).unwrap();
    server.app.clock.set(at(1));
    for (bytes, permitted) in [(signed.to_bytes(), false), (cosigned(&mut signed), true)] {
        vendor.show_ticket(&ticket, bytes);
        vendor.say_as(1, 1, Newcomers::Excluded, LineStanding::Live, at(1));
        let done = turn(&mut server, &mut member).await;
        assert_eq!(done.is_ok(), permitted, "{done:?}");
        server.driver.tick().await.unwrap();
        assert_eq!(handed(&server) > 0, permitted);
    }
}

fn cosigned(signed: &mut Envelope) -> Vec<u8> {
    key(42).add(signed);
    signed.to_bytes()
}

#[tokio::test]
async fn what_is_signed_by_nobody_we_named_is_not_even_taken_down() {
    let mut line = Line::new();
    let mut vendor = Vendor::of(&mut line, Pace::Own).await;
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, 3).await;
    let mut member = vendor.member(&server);
    // The policy: by strangers, without us, and back behind one that was seen.
    let text = serde_json::to_vec(&vendor.policy).unwrap();
    let strange = key(77).seal(PayloadType::Policy, &text).to_bytes();
    vendor.put("/v1/lines/vendor:acme/policy.json", strange);
    let refused = turn(&mut server, &mut member).await;
    assert!(matches!(refused, Err(TurnError::Doubt(_))), "{refused:?}");
    let members = std::mem::take(&mut vendor.policy.members);
    vendor.policy.version = 6;
    vendor.show_policy();
    let refused = turn(&mut server, &mut member).await;
    assert!(matches!(refused, Err(TurnError::Doubt(_))), "{refused:?}");
    assert!(vendor.script.lock().unwrap().rosters.is_empty(), "shown to a line that has no place");
    vendor.policy.members = members;
    vendor.policy.version = 5;
    vendor.show_policy();
    let refused = turn(&mut server, &mut member).await;
    assert!(matches!(refused, Err(TurnError::Doubt(_))), "{refused:?}");
    vendor.policy.version = 7;
    vendor.show_policy();
    turn(&mut server, &mut member).await.unwrap();
    let mut server = line.restart(server).await;
    let mut member = vendor.member(&server);
    vendor.policy.version = 6;
    vendor.show_policy();
    let refused = turn(&mut server, &mut member).await;
    assert!(matches!(refused, Err(TurnError::Doubt(_))), "after a restart: {refused:?}");
}

#[tokio::test]
async fn a_member_without_the_release_counts_and_waits_and_follows_once_it_is_published() {
    let mut line = Line::new();
    let mut vendor = Vendor::of(&mut line, Pace::Vendor).await;
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, 20).await;
    let mut member = vendor.member(&server);
    turn(&mut server, &mut member).await.unwrap();
    let bytes = b"rules 1";
    let release = Digest::of(&serde_json::to_vec(&manifest(1, bytes)).unwrap());
    vendor.start(release, START);
    vendor.issue(16, at(1));
    vendor.say(1, LineStanding::Live, at(1));
    turn(&mut server, &mut member).await.unwrap();
    let MemberStanding::Waiting { why } = vendor.tallies().pop().unwrap().standing else {
        panic!("it has not begun");
    };
    assert_eq!(why.as_str(), "the release is not published here");
    assert_eq!(line.publish(&mut server, 1).await, release);
    // The name is taken by somebody else's rollout, which is over.
    start_outside(&mut line, &mut server, "acme.v1", release).await;
    turn(&mut server, &mut member).await.unwrap();
    assert!(explained(&server, "acme.v1.2").is_none(), "one rollout moves a component");
}

#[tokio::test]
async fn the_servers_own_task_calls_the_line_and_ends_with_the_server() {
    let mut line = Line::new();
    let vendor = Vendor::of(&mut line, Pace::Own).await;
    line.inputs.vendor_lines = vec![vendor.at.clone()];
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, 5).await;
    let (listener, _) = andon_server::serve::bind("127.0.0.1:0").await.unwrap();
    let script = std::sync::Arc::clone(&vendor.script);
    let called = std::sync::Arc::clone(&vendor.called);
    let end = async move {
        while !script.lock().unwrap().calls.iter().any(|call| call == "GET /v1/line/rounds") {
            called.notified().await;
        }
    };
    server.serve(listener, end).await.unwrap();
    let script = vendor.script.lock().unwrap();
    assert_eq!(script.seats.iter().map(|block| block.count).sum::<u32>(), 5);
}

#[test]
fn an_address_that_cannot_be_called_is_refused_by_its_field() {
    let line = Line::new();
    let folder = line.folder.path();
    std::fs::write(folder.join("anchor.json"), serde_json::to_vec(&line.inputs.anchor).unwrap())
        .unwrap();
    let text = |lines: &str| {
        format!(
            "listen = '127.0.0.1:0'\ndata = 'd'\nanchor = 'anchor.json'\npolicy = 'p'\n\
             online_key = 'o'\ntimestamp_key = 't'\nsnapshot_key = 's'\n{lines}"
        )
    };
    let entry = |url: &str| format!("[[vendor_line]]\nvendor = 'acme'\nurl = '{url}'\n");
    let once = entry("http://127.0.0.1:8080");
    let cases = [
        (entry("https://acme.example"), "vendor_line.url"),
        (entry("http://acme.example/line"), "vendor_line.url"),
        (entry("acme.example"), "vendor_line.url"),
        (format!("{once}{once}"), "vendor_line.vendor"),
    ];
    let file = folder.join("andond.toml");
    for (lines, want) in cases {
        std::fs::write(&file, text(&lines)).unwrap();
        match Inputs::read(&file) {
            Err(ConfigError::Field { field, .. }) => assert_eq!(field, want, "{lines}"),
            other => panic!("{lines}: {other:?}"),
        }
    }
    std::fs::write(&file, text(&once)).unwrap();
    let next = Inputs::read(&file);
    assert!(matches!(next, Err(ConfigError::Read(..))), "past its check: {next:?}");
}
