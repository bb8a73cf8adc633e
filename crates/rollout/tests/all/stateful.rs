//! Long random lives of a rollout against a reference that knows only what people were told.
//!
//! Abstract moves are drawn without knowledge of the rollout; each is made concrete from the state
//! it meets, or skipped and counted, so that a generator that mostly does nothing is noticed. After
//! every event the named invariants look at the event, the actions and the rollout.
use crate::invariants;
use crate::world::{at, exposures, person, plan_with, policy, well};
use andon_model::policy::Lane;
use andon_model::text::Text;
use andon_model::{Digest, Millis, Time};
use andon_rollout::windows;
use andon_rollout::{
    Action, ArmTally, Count, Event, Observation, Plan, Rollout, StateName, StratumTally,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What may happen next, whatever the rollout is doing.
#[derive(Clone, Debug)]
pub(crate) enum Move {
    /// time passes, then the fleet is tallied
    Tick {
        seconds: u64,
    },
    /// so many hosts of one arm fail in one channel, found by the next tally
    Trouble {
        channel: u8,
        stratum: usize,
        arm: usize,
        hosts: u32,
    },
    /// a tally that contradicts itself or the plan
    Spoilt {
        how: u8,
    },
    /// the ticket that is asked for is issued
    Issue,
    /// a ticket nobody asked for is reported
    Stray {
        generation: u32,
    },
    ActionFails,
    Approve {
        who: u8,
    },
    Hold,
    Resume,
    Halt,
    Freeze,
    /// the clock steps back by more than a beat
    Rewind {
        seconds: u64,
    },
    /// the server dies and reads its journal again
    Restart,
}

/// What people know: enough to say what must never happen, too little to do the rollout's work.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    lane: Lane,
    people: BTreeSet<u8>,
    /// somebody ended it
    ended: bool,
}

pub(crate) struct Reference;

impl ReferenceStateMachine for Reference {
    type State = Known;
    type Transition = Move;

    fn init_state() -> BoxedStrategy<Known> {
        let lane = prop_oneof![Just(Lane::Routine), Just(Lane::Emergency)];
        lane.prop_map(|lane| Known { lane, people: BTreeSet::new(), ended: false }).boxed()
    }

    fn transitions(known: &Known) -> BoxedStrategy<Move> {
        // What ends everything is rare until the end, or no life would be long.
        let end = if known.ended { 12 } else { 1 };
        prop_oneof![
            240 => (4..12_u64).prop_map(|seconds| Move::Tick { seconds }),
            120 => Just(Move::Issue),
            20 => (0..3_u8, 0..3_usize, 0..5_usize, 1..4_u32).prop_map(
                |(channel, stratum, arm, hosts)| Move::Trouble { channel, stratum, arm, hosts }
            ),
            8 => (0..6_u8).prop_map(|how| Move::Spoilt { how }),
            3 => (0..9_u32).prop_map(|generation| Move::Stray { generation }),
            5 => Just(Move::ActionFails),
            40 => (0..3_u8).prop_map(|who| Move::Approve { who }),
            5 => Just(Move::Hold),
            60 => Just(Move::Resume),
            end => Just(Move::Halt),
            end => Just(Move::Freeze),
            4 => (2..20_u64).prop_map(|seconds| Move::Rewind { seconds }),
            8 => Just(Move::Restart),
        ]
        .boxed()
    }

    fn apply(mut known: Known, what: &Move) -> Known {
        match what {
            Move::Approve { who } => drop(known.people.insert(*who)),
            Move::Halt | Move::Freeze => known.ended = true,
            _ => (),
        }
        known
    }
}

/// The rollout and the fleet's history that honest tallies need.
pub(crate) struct Line {
    pub(crate) rollout: Rollout,
    pub(crate) journal: Vec<(Time, Event)>,
    pub(crate) actions: Vec<Vec<Action>>,
    pub(crate) now: u64,
    pub(crate) people: BTreeSet<u8>,
    pub(crate) lane: Lane,
    /// hosts gone bad per stratum and arm, controls under `usize::MAX`
    pub(crate) bad: BTreeMap<(usize, usize), u32>,
    /// per horizon of the budget: hosts whose outcome for it the latest tally has shown
    pub(crate) known: Vec<u32>,
    /// trouble that the next tally finds
    due: Vec<(u8, usize, usize, u32)>,
}

/// What was true before an event.
pub(crate) struct Before {
    pub(crate) state: StateName,
    pub(crate) waves: Vec<Vec<u32>>,
    pub(crate) spoilt: bool,
}

thread_local! {
    /// moves taken and skipped, and ends reached, over all cases of the test
    static MOVES: RefCell<BTreeMap<&'static str, (u64, u64)>> = const { RefCell::new(BTreeMap::new()) };
    static ENDS: RefCell<BTreeMap<String, u64>> = const { RefCell::new(BTreeMap::new()) };
}

impl StateMachineTest for Line {
    type SystemUnderTest = Line;
    type Reference = Reference;

    fn init_test(known: &Known) -> Line {
        let plan = plan(known.lane);
        let (rollout, first) = Rollout::start(plan, at(0));
        Line {
            rollout,
            journal: vec![(at(0), Event::Started)],
            actions: vec![first],
            now: 0,
            people: BTreeSet::new(),
            lane: known.lane,
            bad: BTreeMap::new(),
            known: Vec::new(),
            due: Vec::new(),
        }
    }

    fn apply(mut line: Line, known: &Known, what: Move) -> Line {
        line.people.clone_from(&known.people);
        let taken = line.take(&what);
        MOVES.with_borrow_mut(|moves| {
            let count = moves.entry(name(&what)).or_default();
            if taken { count.0 += 1 } else { count.1 += 1 }
        });
        line
    }

    fn check_invariants(line: &Line, known: &Known) {
        let state = line.state();
        let over = matches!(state, StateName::Halted | StateName::Completed);
        assert!(!known.ended || over, "somebody ended it, and it is {state:?}");
        assert!(line.lane == known.lane && line.people == known.people);
    }

    fn teardown(line: Line, _: Known) {
        invariants::replay_gives_same_actions(&line);
        let state = format!("{:?}", line.state());
        ENDS.with_borrow_mut(|ends| *ends.entry(state).or_default() += 1);
    }
}

fn plan(lane: Lane) -> Plan {
    plan_with(&policy(&[(0, 30), (20_000, 60)]), lane, &[200, 90, 7]).0
}

impl Line {
    pub(crate) fn state(&self) -> StateName {
        self.rollout.explain(at(self.now)).state
    }

    /// True: something was said to the rollout. False: there was nothing to say.
    fn take(&mut self, what: &Move) -> bool {
        match *what {
            Move::Tick { seconds } => {
                self.now += seconds * 1000;
                let seen = self.tally();
                self.say(Event::Observed(seen), false);
            }
            Move::Trouble { channel, stratum, arm, hosts } => {
                let there = arm < self.rollout.waves().len() || arm == 4;
                if there {
                    self.due.push((channel, stratum, arm, hosts));
                }
                return there;
            }
            Move::Spoilt { how } => {
                let mut seen = well(&self.rollout, at(self.now));
                spoil(&mut seen, how);
                self.say(Event::Observed(seen), true);
            }
            Move::Issue => {
                let Some(exposure) = exposures(&self.rollout.pending()).pop() else { return false };
                self.issued(exposure.generation);
            }
            Move::Stray { generation } => self.issued(generation),
            Move::ActionFails => {
                let what = Text::clipped("disk full");
                self.say(Event::ActionFailed { generation: 1, what }, false);
            }
            Move::Approve { who } => {
                self.say(Event::ApprovalGranted { person: person(&format!("p{who}")) }, false);
            }
            Move::Hold => {
                self.say(Event::Held { by: person("ada"), reason: Text::default() }, false);
            }
            Move::Resume => {
                // Nothing leads out of a halt, so somebody must try.
                if !matches!(self.state(), StateName::Held | StateName::Halted) {
                    return false;
                }
                self.say(Event::Resumed { by: person("ada") }, false);
            }
            Move::Halt => {
                let reason = Text::default();
                self.say(Event::HaltedByPerson { by: person("ada"), reason }, false);
            }
            Move::Freeze => {
                let digest = Digest::of(b"freeze");
                self.say(Event::Frozen { by: "platform".to_owned(), digest }, false);
            }
            Move::Rewind { seconds } => {
                let back = self.now.min(seconds * 1000);
                let real = self.now;
                self.now -= back;
                let seen = self.tally();
                self.say(Event::Observed(seen), back > 1000);
                self.now = real;
            }
            Move::Restart => invariants::replay_gives_same_actions(self),
        }
        true
    }

    fn issued(&mut self, generation: u32) {
        self.say(Event::TicketIssued { generation, at: at(self.now) }, false);
    }

    /// Says it, then looks at what came of it through every invariant.
    fn say(&mut self, event: Event, spoilt: bool) {
        let waves = self.rollout.waves().iter().map(|wave| wave.to_vec()).collect();
        let before = Before { state: self.state(), waves, spoilt };
        self.journal.push((at(self.now), event.clone()));
        let actions = self.rollout.apply(at(self.now), event);
        invariants::check(self, &before, &actions);
        self.actions.push(actions);
    }

    /// An honest tally: each host's first failure once, whatever was due since the last one.
    fn tally(&mut self) -> Observation {
        let mut seen = well(&self.rollout, at(self.now));
        let waves = self.rollout.waves().len();
        for (stratum, tally) in seen.strata.iter_mut().enumerate() {
            let arms = tally.waves.iter_mut().enumerate();
            for (number, arm) in arms.chain([(usize::MAX, &mut tally.controls)]) {
                let before = self.bad.get(&(stratum, number)).copied().unwrap_or(0).min(arm.hosts);
                arm.silence.at_risk -= before;
                arm.confirmed = arm.confirmed.saturating_sub(before);
            }
        }
        for (channel, stratum, number, hosts) in std::mem::take(&mut self.due) {
            let number = if number < waves { number } else { usize::MAX };
            let tally = &mut seen.strata[stratum];
            let arm = if number < waves { &mut tally.waves[number] } else { &mut tally.controls };
            let bad = self.bad.entry((stratum, number)).or_default();
            fail(arm, channel, hosts.min(arm.hosts.saturating_sub(*bad)), bad);
        }
        windows::by_wave(&self.rollout, at(self.now), &mut seen);
        self.known = self.known_now(&seen);
        seen
    }

    /// Per horizon: confirmed or failed hosts of waves that have had the time of that horizon.
    fn known_now(&self, seen: &Observation) -> Vec<u32> {
        let (plan, steps) = (self.rollout.plan(), self.rollout.steps());
        let of_wave = |wave: usize| -> u32 {
            let of_stratum = |(stratum, tally): (usize, &StratumTally)| {
                let bad = self.bad.get(&(stratum, wave)).copied().unwrap_or(0);
                (tally.waves[wave].confirmed + bad).min(tally.waves[wave].hosts)
            };
            seen.strata.iter().enumerate().map(of_stratum).sum()
        };
        let of_horizon = |after: Millis| -> u32 {
            let age = plan.generation().plus(after);
            let ripe = (0..steps.len()).filter(|wave| at(self.now) >= steps[*wave].at.plus(age));
            ripe.map(of_wave).sum()
        };
        plan.budget.iter().map(|(after, _)| of_horizon(*after)).collect()
    }
}

/// `hosts` of an arm fail for the first time, in one channel.
fn fail(arm: &mut ArmTally, channel: u8, hosts: u32, bad: &mut u32) {
    let count = match channel {
        0 => &mut arm.silence,
        1 => &mut arm.report,
        _ => &mut arm.probe,
    };
    let hosts = hosts.min(count.at_risk - count.new);
    *count = Count::of(count.new + hosts, count.at_risk);
    arm.bad_new += hosts;
    arm.confirmed = arm.confirmed.saturating_sub(hosts);
    *bad += hosts;
}

fn spoil(seen: &mut Observation, how: u8) {
    match how {
        0 => seen.strata.clear(),
        1 => seen.strata[0].waves.push(ArmTally::default()),
        2 => seen.strata[0].controls.silence.new = u32::MAX,
        3 => seen.strata[1].controls.hosts += 1,
        4 => seen.strata[2].controls.confirmed = u32::MAX,
        _ => drop(seen.strata.pop()),
    }
}

fn name(what: &Move) -> &'static str {
    match what {
        Move::Tick { .. } => "tick",
        Move::Trouble { .. } => "trouble",
        Move::Spoilt { .. } => "spoilt",
        Move::Issue => "issue",
        Move::Stray { .. } => "stray",
        Move::ActionFails => "action fails",
        Move::Approve { .. } => "approve",
        Move::Hold => "hold",
        Move::Resume => "resume",
        Move::Halt => "halt",
        Move::Freeze => "freeze",
        Move::Rewind { .. } => "rewind",
        Move::Restart => "restart",
    }
}

/// Deterministic: the same lives each time. A life that once broke an invariant is kept as a test.
#[test]
fn named_invariants_hold_over_long_lives() {
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config.clone(), random);
    let lives = Reference::sequential_strategy(20..120);
    let run = runner.run(&lives, |(known, moves, seen)| {
        Line::test_sequential(config.clone(), known, moves, seen);
        Ok(())
    });
    if let Err(why) = run {
        panic!("{why}");
    }
    let moves = MOVES.with_borrow(Clone::clone);
    for (name, (taken, skipped)) in &moves {
        println!("{name}: {taken} taken, {skipped} skipped");
        // A life has some ten tickets to issue and often nothing to resume.
        assert!(taken * 12 >= *skipped && *taken > 50, "{name} is hardly ever taken");
    }
    assert_eq!(moves.len(), 13, "{moves:?}");
    let ends = ENDS.with_borrow(Clone::clone);
    println!("{ends:?}");
    for end in ["Completed", "Halted", "Held", "Exposing"] {
        assert!(
            ends.get(end).is_some_and(|lives| *lives >= 5),
            "{end} is hardly reached: {ends:?}"
        );
    }
}
