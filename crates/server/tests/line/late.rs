//! Hosts that enrol while a rollout runs: they go at the pace of the plan's vouched hosts, first come
//! first served, before it has reached everybody; until then they run the last vouched release.
use crate::rig::*;
use crate::rollouts::{get, ticket};
use andon_model::Digest;
use andon_model::beat::{ComponentState, Presence};
use andon_model::envelope::Envelope;
use andon_model::policy::Horizon;
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::{HostId, Millis, Time};
use andon_rollout::{Event, Observation};
use andon_server::record::Record;
use andon_server::serve::Server;
use andon_trust::ticket::SeenTicket;

/// Hosts of the plan; whoever has a higher number is late.
const KNOWN: u64 = 200;
const LATE: u64 = 40;

fn covers(ticket: &Ticket, number: u64) -> bool {
    ticket.covers(HostId::new(number).unwrap(), &class(&[]))
}

/// A line whose lanes also promise something of the first minute, so that a rollout takes its time.
fn patient() -> Line {
    let mut line = Line::new();
    let minute = Horizon { after: Millis(60_000), hosts_max: 160, share_max_ppm: 1_000_000 };
    line.policy.routine.budget.push(minute);
    line
}

/// Who of `hosts` runs what: covered by r1 but for the `deaf`, else by the baseline. Then a tick.
async fn second(server: &mut Server, hosts: u64, deaf: bool, releases: [Digest; 2], at: u64) {
    let now = Time(START.0 + at * 1000);
    server.app.clock.set(now);
    let first = ticket(server, "base").await;
    let next = ticket(server, "r1").await;
    for number in 1..=hosts {
        let mut beat = quiet_beat(number, at + 1, now);
        if covers(&next, number) && !(deaf && number > KNOWN) {
            beat.components = vec![running(2, releases[1], ComponentState::Confirmed)];
        } else if covers(&first, number) {
            beat.components = vec![running(1, releases[0], ComponentState::Confirmed)];
        }
        assert_eq!(tell(server, &beat).await.0, 200);
    }
    server.driver.tick().await.unwrap();
}

/// A baseline on the empty line, the plan's hosts, and a rollout of the next release.
async fn begin(line: &mut Line) -> (Server, [Digest; 2]) {
    let mut server = line.open(START).await.unwrap();
    line.set_policy(&mut server).await;
    let baseline = line.publish(&mut server, 1).await;
    let command = line.command("1", START, start("base", baseline));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    server.driver.tick().await.unwrap();
    for number in 1..=KNOWN {
        enrol_in(&mut server, number, &[]).await;
    }
    let release = line.publish(&mut server, 2).await;
    let command = line.command("2", START, start("r1", release));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    (server, [baseline, release])
}

fn late_of(ticket: &Ticket) -> u64 {
    (KNOWN + 1..=KNOWN + LATE).filter(|number| covers(ticket, *number)).count() as u64
}

#[tokio::test]
async fn hosts_that_enrol_in_mid_rollout_go_at_the_vouched_pace_and_run_the_last_vouched_meanwhile()
{
    let mut line = patient();
    let (mut server, releases) = begin(&mut line).await;
    let (mut hosts, mut early, mut moves, mut seen) = (KNOWN, 0, Vec::new(), None);
    for at in 1..900 {
        second(&mut server, hosts, false, releases, at).await;
        if at == 5 {
            for number in KNOWN + 1..=KNOWN + LATE {
                enrol_in(&mut server, number, &[]).await;
            }
            hosts += LATE;
        }
        // A host that saw every ticket so far accepts this one.
        let path = "/v1/lines/operator:clinic/tickets/r1.json";
        let signed = Envelope::parse(&get(&mut server, path).await).unwrap();
        let now = server.app.now();
        let told = andon_trust::ticket::verify(&signed, &line.policy, now, seen.as_ref()).unwrap();
        seen = Some(SeenTicket::of(&told));
        if told.newcomers == Newcomers::Included {
            break;
        }
        let (late, handed) = (late_of(&told), u64::from(told.ceilings[0].handed));
        assert!(late * (KNOWN - 1) <= LATE * handed, "second {at}: {late} beside {handed}");
        let first = (KNOWN + 1..=KNOWN + LATE).take_while(|number| covers(&told, *number)).count();
        assert_eq!(first as u64, late, "second {at}: not first come first served");
        assert!(late >= early, "second {at}: a late host was left out again");
        if late > early {
            moves.push(at);
        }
        early = late;
        // The vouched release is there beside it, for the others at once.
        let baseline = ticket(&mut server, "base").await;
        assert!(covers(&baseline, KNOWN + LATE), "second {at}");
        if at % 20 == 0 {
            let before = words(&server);
            server = line.restart(server).await;
            assert_eq!(words(&server), before, "replay differs in second {at}");
            assert_eq!(late_of(&ticket(&mut server, "r1").await), late, "second {at}");
        }
    }
    assert!(early >= LATE / 2, "{early} of {LATE} late hosts went before the end");
    assert!(moves.len() > 2, "all at once: {moves:?}");
    assert_eq!(late_of(&ticket(&mut server, "r1").await), LATE);
}

#[tokio::test]
async fn late_hosts_that_never_answer_are_charged_and_stop_at_a_quarter_of_the_budget() {
    let mut line = patient();
    let (mut server, releases) = begin(&mut line).await;
    for number in KNOWN + 1..=KNOWN + LATE {
        enrol_in(&mut server, number, &[]).await;
    }
    let mut most = 0;
    for at in 1..900 {
        second(&mut server, KNOWN + LATE, true, releases, at).await;
        let told = ticket(&mut server, "r1").await;
        if told.newcomers == Newcomers::Included {
            break;
        }
        most = late_of(&told);
    }
    // B(0) = 100: 25 of them.
    assert_eq!(most, 25);
    let clean = |seen: &Observation| seen.strata[0].late.clean.iter().sum::<u32>();
    let mut told = Vec::new();
    for entry in line.journal.rows() {
        let record: Record = serde_json::from_str(&entry.json).unwrap();
        if let Record::Rollout { event: Event::Observed(seen), .. } = record {
            told.extend(seen.strata.first().map(|_| clean(&seen)));
        }
    }
    assert!(told.len() > 50 && told.iter().all(|clean| *clean == 0), "nobody came through");
}

/// A restart is no proof of health before it is over, whatever the host confirmed before.
#[tokio::test]
async fn a_late_host_that_restarts_is_not_through_while_it_is_away() {
    let through = async |leaves: bool| {
        let mut line = patient();
        let (mut server, releases) = begin(&mut line).await;
        for number in KNOWN + 1..=KNOWN + LATE {
            enrol_in(&mut server, number, &[]).await;
        }
        let first = KNOWN + 1;
        let mut at = 0;
        while !covers(&ticket(&mut server, "r1").await, first) {
            at += 1;
            assert!(at < 300, "no late host was ever covered");
            second(&mut server, KNOWN + LATE, false, releases, at).await;
        }
        second(&mut server, KNOWN + LATE, false, releases, at + 1).await;
        let confirmed = server.app.now();
        if leaves {
            let mut beat = quiet_beat(first, 1_000, confirmed);
            beat.components = vec![running(2, releases[1], ComponentState::Confirmed)];
            beat.presence = Presence::Restart { back_within: Millis(60_000) };
            assert_eq!(tell(&mut server, &beat).await.0, 200);
        }
        let now = confirmed.plus(Millis(6_000));
        server.app.clock.set(now);
        for number in KNOWN + 1..=KNOWN + LATE {
            if number != first || !leaves {
                let mut beat = quiet_beat(number, 2_000, now);
                beat.components = vec![running(2, releases[1], ComponentState::Confirmed)];
                assert_eq!(tell(&mut server, &beat).await.0, 200);
            }
        }
        let core = server.app.core();
        let of = |r: &&andon_server::rollout_state::RolloutState| r.plan.rollout.as_str() == "r1";
        let rollout = core.state.rollouts.values().find(of).unwrap();
        let (seen, _) =
            andon_server::tally::observe_own(rollout, &core.state.hosts, core.fleet.rows(), now);
        seen.strata.iter().map(|stratum| stratum.late.clean[0]).sum::<u32>()
    };
    let (stays, leaves) = (through(false).await, through(true).await);
    assert!(stays >= 1 && leaves == stays - 1, "{leaves} of {stays} are through");
}

#[tokio::test]
async fn a_late_host_that_fell_back_is_never_through() {
    let mut line = patient();
    let (mut server, releases) = begin(&mut line).await;
    for number in KNOWN + 1..=KNOWN + LATE {
        enrol_in(&mut server, number, &[]).await;
    }
    let first = KNOWN + 1;
    let mut at = 0;
    while !covers(&ticket(&mut server, "r1").await, first) {
        at += 1;
        assert!(at < 300, "no late host was ever covered");
        second(&mut server, KNOWN + LATE, false, releases, at).await;
    }
    second(&mut server, KNOWN + LATE, false, releases, at + 1).await;
    // It confirmed in that second, and goes back in the next.
    let now = server.app.now();
    let mut beat = quiet_beat(first, 1_000, now);
    beat.components = vec![running(1, releases[0], ComponentState::FellBack)];
    beat.charges = vec![charge(1, releases[1], now)];
    assert_eq!(tell(&mut server, &beat).await.0, 200);
    // Until the others that tickets cover have confirmed: none was issued for three seconds.
    let mut covered = Vec::new();
    for later in 1..60 {
        let now = Time(now.0 + later * 1000);
        server.app.clock.set(now);
        let told = ticket(&mut server, "r1").await;
        for number in (1..=KNOWN + LATE).filter(|number| *number != first) {
            let mut beat = quiet_beat(number, 1_000 + later, now);
            if covers(&told, number) {
                beat.components = vec![running(2, releases[1], ComponentState::Confirmed)];
            }
            assert_eq!(tell(&mut server, &beat).await.0, 200);
        }
        assert_eq!(tell(&mut server, &quiet_again(&beat, 1_000 + later, now)).await.0, 200);
        server.driver.tick().await.unwrap();
        covered.push(late_of(&ticket(&mut server, "r1").await));
        if covered.len() > 8 && covered.iter().rev().take(4).all(|now| covered.last() == Some(now))
        {
            break;
        }
    }
    let core = server.app.core();
    let rollout = core.state.rollouts.values().find(|r| r.plan.rollout.as_str() == "r1").unwrap();
    let issued = rollout.issued.as_ref().unwrap().late.iter().sum::<u32>();
    let heard = core.fleet.rows();
    let soon = core.fleet.row(HostId::new(1).unwrap()).unwrap().at.plus(Millis(3_999));
    let (seen, _) = andon_server::tally::observe_own(rollout, &core.state.hosts, heard, soon);
    assert!(issued > 1, "others went beside it");
    assert_eq!(seen.strata[0].late.clean[0], issued - 1, "all but the one that went back");
}

/// The same host, still where it was.
fn quiet_again(
    beat: &andon_model::beat::Beat,
    sequence: u64,
    now: Time,
) -> andon_model::beat::Beat {
    let components = beat.components.clone();
    andon_model::beat::Beat { components, ..quiet_beat(beat.host.number(), sequence, now) }
}
