//! Hosts that announce a restart: back in time they are nobody's silence, and those that never come
//! back are held against restarts. Each journal is read by a gate verifier, as everywhere here.
use crate::rig::*;
use crate::rollouts::{get, ticket};
use andon_model::beat::{Beat, ComponentState, Presence};
use andon_model::{Digest, Millis, Time};
use andon_rollout::action::HaltReason;
use andon_rollout::gate::Channel;
use andon_rollout::{Event, Reason};
use andon_server::record::Record;
use andon_server::serve::Server;
use std::collections::BTreeMap;

const HOSTS: u64 = 120;
/// What a restarting host asks for, and how long it takes if it ends.
const ASKS: Millis = Millis(9000);
const TAKES: u64 = 6;

/// When each host restarts for the release's sake.
#[derive(Clone, Copy)]
enum When {
    /// as soon as it is covered; it confirms when it is back
    AtOnce,
    /// after it has confirmed
    Confirmed,
}

struct Fleet {
    server: Server,
    release: Digest,
    when: When,
    /// of so many restarts of covered hosts one ends; 0: none does
    ends_every: u64,
    /// second in which a host announced
    restarted: BTreeMap<u64, u64>,
    confirmed: BTreeMap<u64, u64>,
}

impl Fleet {
    async fn start(line: &Line, when: When, ends_every: u64) -> Fleet {
        let mut server = line.open(START).await.unwrap();
        enrol(&mut server, HOSTS).await;
        let release = line.publish(&mut server, 1).await;
        let command = line.command("1", START, start("r1", release));
        assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
        let (restarted, confirmed) = (BTreeMap::new(), BTreeMap::new());
        Fleet { server, release, when, ends_every, restarted, confirmed }
    }

    async fn second(&mut self, at: u64) {
        let now = Time(START.0 + at * 1000);
        self.server.app.clock.set(now);
        let listed = self.server.app.core().state.rollouts.values().any(|r| r.live());
        let ticket = if listed { Some(ticket(&mut self.server, "r1").await) } else { None };
        for number in 1..=HOSTS {
            let beat = quiet_beat(number, at + 1, now);
            let covers = ticket.as_ref().is_some_and(|t| t.covers(beat.host, &class(&[])));
            if let Some(beat) = self.beat(beat, covers, at) {
                assert_eq!(tell(&mut self.server, &beat).await.0, 200);
            }
        }
        self.server.driver.tick().await.unwrap();
    }

    fn beat(&mut self, mut beat: Beat, covers: bool, at: u64) -> Option<Beat> {
        let number = beat.host.number();
        let confirmed = self.confirmed.contains_key(&number);
        match self.restarted.get(&number) {
            Some(then) if !self.ends(number) || at < then + TAKES => return None,
            Some(_) => _ = self.confirmed.entry(number).or_insert(at),
            None => {
                let starts = match self.when {
                    When::AtOnce => covers,
                    When::Confirmed => confirmed,
                };
                if starts {
                    self.restarted.insert(number, at);
                    beat.presence = Presence::Restart { back_within: ASKS };
                } else if covers {
                    self.confirmed.insert(number, at);
                }
            }
        }
        if self.confirmed.contains_key(&number) {
            beat.components = vec![running(1, self.release, ComponentState::Confirmed)];
        }
        Some(beat)
    }

    fn ends(&self, number: u64) -> bool {
        self.ends_every > 0 && number.is_multiple_of(self.ends_every)
    }

    fn lost(&self) -> usize {
        self.restarted.keys().filter(|number| !self.ends(**number)).count()
    }

    fn halt(&self) -> Option<HaltReason> {
        let core = self.server.app.core();
        let rollout = core.state.rollouts.values().next().unwrap();
        match rollout.machine.explain(core.state.at).reason {
            Reason::Halted(reason) => Some(reason),
            _ => None,
        }
    }
}

/// Of all observations: hosts told as silent, as restarted, as not back; and each count's sum.
fn told(line: &Line) -> ([Vec<u64>; 3], [u32; 3]) {
    let (mut lists, mut sums) = (<[Vec<u64>; 3]>::default(), [0; 3]);
    for entry in line.journal.rows() {
        let record: Record = serde_json::from_str(&entry.json).unwrap();
        let Record::Rollout { counted, event: Event::Observed(seen), .. } = record else {
            continue;
        };
        let hosts = [&counted.silent, &counted.restarted, &counted.missed];
        for (list, hosts) in lists.iter_mut().zip(hosts) {
            list.extend(hosts.iter().map(|host| host.number()));
        }
        for stratum in &seen.strata {
            let arms = stratum.waves.iter().chain([&stratum.controls, &stratum.gauge]);
            sums[0] += arms.map(|arm| arm.silence.new).sum::<u32>();
            let restarts = &stratum.restarts;
            sums[1] += restarts.treated.at_risk + restarts.controls.at_risk;
            sums[2] += restarts.treated.new + restarts.controls.new;
        }
    }
    (lists, sums)
}

#[tokio::test]
async fn hosts_that_do_not_come_back_from_their_restart_halt_the_release() {
    for (when, ends_every) in [(When::AtOnce, 0), (When::Confirmed, 0), (When::AtOnce, 4)] {
        let line = Line::new();
        let mut fleet = Fleet::start(&line, when, ends_every).await;
        let mut halted = None;
        for at in 1..40 {
            fleet.second(at).await;
            if at == 8 {
                // Who is away is known to the journal; the promise begins anew with the server.
                fleet.server = line.restart(fleet.server).await;
            }
            if let Some(halt) = fleet.halt() {
                halted = Some((at, halt));
                break;
            }
        }
        let (at, halt) = halted.expect("halt");
        let HaltReason::Gate { channel, threshold, .. } = halt else { panic!("{halt:?}") };
        assert_eq!(channel, Channel::Restart);
        assert!(threshold > 9999.0, "{threshold}");
        assert!((14..=40).contains(&at), "halted after {at} s");
        assert!(fleet.lost() <= 100, "{} hosts", fleet.lost());
        let ([silent, restarted, missed], [silences, due, not_back]) = told(&line);
        assert!(silent.is_empty() && silences == 0, "{silent:?}");
        assert_eq!((missed.len(), restarted.len()), (not_back as usize, due as usize));
        assert!(missed.iter().all(|host| restarted.contains(host) && !fleet.ends(*host)));
        let why = get(&mut fleet.server, "/v1/rollouts/r1").await;
        let why: serde_json::Value = serde_json::from_slice(&why).unwrap();
        assert_eq!(why["evidence"]["restarts"]["missed"], missed.len(), "{why}");
        assert_eq!(why["crashed"], missed.len(), "{why}");
    }
}

#[tokio::test]
async fn a_release_that_restarts_its_hosts_completes_and_each_restart_is_counted_once() {
    let line = Line::new();
    let mut fleet = Fleet::start(&line, When::AtOnce, 1).await;
    let done = |fleet: &Fleet| {
        let core = fleet.server.app.core();
        core.state.rollouts.values().all(|rollout| rollout.completed())
    };
    let mut at = 0;
    while !done(&fleet) {
        at += 1;
        assert!(at < 200, "not done");
        fleet.second(at).await;
    }
    // The last ones' restarts may be counted after the end, or never.
    let ([silent, mut restarted, missed], [_, due, _]) = told(&line);
    assert!(silent.is_empty() && missed.is_empty(), "{silent:?} {missed:?}");
    assert_eq!(restarted.len(), due as usize);
    restarted.sort_unstable();
    restarted.dedup();
    assert_eq!(restarted.len(), due as usize, "a restart was counted twice");
    assert!(restarted.len() >= 60, "{} of {HOSTS}", restarted.len());
}

/// Those that come back are back before it is known who will not: were they through at once, a release
/// that takes down every second host would look as if it took down nobody.
#[tokio::test]
async fn nobody_is_through_before_it_is_known_who_did_not_come_back() {
    let line = Line::new();
    let mut fleet = Fleet::start(&line, When::AtOnce, 1).await;
    for at in 1..30 {
        fleet.second(at).await;
    }
    let first = *fleet.restarted.values().min().unwrap();
    assert_eq!(fleet.confirmed.values().min(), Some(&(first + TAKES)));
    let due = START.plus(Millis(first * 1000)).plus(ASKS).plus(Millis(4000));
    let mut clean = BTreeMap::new();
    for entry in line.journal.rows() {
        let record: Record = serde_json::from_str(&entry.json).unwrap();
        let Record::Rollout { event: Event::Observed(seen), .. } = record else { continue };
        let through: u32 = seen.strata.iter().map(|stratum| stratum.windows[0].clean).sum();
        clean.insert(entry.at, through);
    }
    assert!(clean.iter().all(|(at, through)| *at >= due || *through == 0), "{clean:?} {due:?}");
    assert!(clean[&due] >= 16, "{clean:?}");
}
