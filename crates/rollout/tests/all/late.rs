//! The late queue: no credit for missed exposure, the stratum's vouched pace, the budget's room; and
//! the machine that obeys it.
use crate::world::{at, exposures, plan, plan_with, policy, well};
use andon_model::policy::Lane;
use andon_model::{Digest, Time};
use andon_rollout::late::{LateQueue, Pace};
use andon_rollout::{
    Action, Decision, Event, Exposure, LateTally, Observation, Rollout, StateName, StratumTally,
};
use proptest::prelude::*;

fn pace(vouched: u64, size: u64) -> Pace {
    Pace { vouched, size }
}

/// A stratum's late hosts; `clean` of them are through the only horizon.
fn tally(hosts: u32, clean: u32) -> StratumTally {
    StratumTally { late: LateTally { hosts, clean: vec![clean] }, ..StratumTally::default() }
}

/// A queue of two strata with so many late hosts.
fn queue(hosts: [u32; 2]) -> LateQueue {
    let mut queue = LateQueue::new(2, 1);
    queue.observe(&hosts.map(|hosts| tally(hosts, 0)));
    queue
}

#[test]
fn as_large_a_share_goes_as_of_the_plans_hosts_is_vouched_for() {
    for (vouched, sizes, budget, goes) in [
        ([0, 0], [1000, 1000], 4000, [0, 0]),
        ([9, 0], [1000, 1000], 4000, [0, 0]),
        ([10, 0], [1000, 1000], 4000, [1, 0]),
        ([500, 100], [1000, 1000], 4000, [50, 5]),
        ([1000, 1000], [1000, 1000], 4000, [100, 50]),
        // a stratum of which hosts are lost one by one never vouches for more than it has
        ([2000, 1000], [1000, 1000], 4000, [100, 50]),
        // more late hosts than hosts of the plan: one for one
        ([10, 10], [10, 10], 4000, [10, 10]),
        // a quarter of the budget in all, in proportion
        ([1000, 1000], [1000, 1000], 120, [20, 10]),
        ([1000, 1000], [1000, 1000], 3, [0, 0]),
        // closed, or none of the plan's
        ([1000, 1000], [0, 1000], 4000, [0, 50]),
    ] {
        let paces = [0, 1].map(|at| pace(vouched[at], sizes[at]));
        assert_eq!(queue([100, 50]).next(&paces, &[budget]), goes, "{vouched:?} of {sizes:?}");
    }
}

#[test]
fn whoever_is_not_through_uses_up_the_room_and_nobody_saves_up_credit() {
    let mut queue = queue([100, 100]);
    let whole = [pace(100, 100); 2];
    assert_eq!(queue.next(&whole, &[80]), [10, 10]);
    queue.cover(&[10, 10], Time(5));
    assert_eq!((queue.moved(), queue.charges(&[10, 10])), (Some(Time(5)), vec![20]));
    assert_eq!(queue.next(&whole, &[80]), [10, 10], "the room is taken");
    queue.observe(&[tally(100, 6), tally(100, 0)]);
    assert_eq!(queue.charges(queue.covered()), [14]);
    assert_eq!(queue.next(&whole, &[80]), [13, 13]);
    // One that was through has gone bad: nobody else takes its place.
    queue.observe(&[tally(100, 5), tally(100, 0)]);
    assert_eq!(queue.charges(queue.covered()), [14]);
    // Covered stays covered, whatever a tally says later.
    queue.observe(&[tally(0, 0), tally(0, 0)]);
    assert_eq!(queue.next(&[pace(0, 100); 2], &[80]), [10, 10]);
    queue.cover(&[3, 3], Time(9));
    assert_eq!((queue.covered(), queue.moved()), (&[10, 10][..], Some(Time(5))));
}

#[test]
fn a_tally_that_contradicts_the_tickets_does_not_add_up() {
    let mut queue = queue([9, 9]);
    queue.cover(&[2, 0], Time(5));
    let told = |clean: Vec<u32>| {
        let late = LateTally { hosts: 9, clean };
        StratumTally { late, ..StratumTally::default() }
    };
    for (stratum, clean, sound) in [
        (0, vec![2], true),
        (0, vec![3], false),
        (0, vec![], false),
        (0, vec![2, 2], false),
        (1, vec![0], true),
        (1, vec![1], false),
        (1, vec![], true),
    ] {
        assert_eq!(queue.adds_up(stratum, &told(clean.clone())), sound, "{stratum}: {clean:?}");
    }
}

proptest! {
    /// Whatever is tallied in whatever order: late hosts covered never outrun the share of their
    /// stratum that is vouched for, nor their number, nor what the budget leaves them.
    #[test]
    fn late_hosts_never_outrun_the_vouched_pace(
        ticks in proptest::collection::vec(
            (proptest::array::uniform3((0..500_u32, 0..400_u64, 0..60_u32)), 0..600_u64),
            1..40,
        ),
    ) {
        let mut queue = LateQueue::new(3, 1);
        let mut most = [0; 3];
        for (strata, budget) in ticks {
            let clean = |at: usize| strata[at].2.min(queue.covered()[at]);
            let seen = [0, 1, 2].map(|at| tally(strata[at].0, clean(at)));
            queue.observe(&seen);
            let next = queue.next(&strata.map(|(_, vouched, _)| pace(vouched, 300)), &[budget]);
            for (at, (hosts, vouched, _)) in strata.into_iter().enumerate() {
                let vouched = vouched.min(300);
                most[at] = most[at].max(vouched.min(u64::from(hosts) * vouched / 300));
                prop_assert!(u64::from(next[at]) <= most[at], "{next:?}");
                prop_assert!(next[at] >= queue.covered()[at], "covered stays covered");
            }
            let charged = queue.charges(&next)[0];
            prop_assert!(next == queue.covered() || charged <= budget / 4);
            queue.cover(&next, Time(1));
        }
    }
}

/// A rollout of 900 and 100 hosts beside which `late` others have enrolled.
struct Beside {
    rollout: Rollout,
    journal: Vec<(Time, Event)>,
    late: [u32; 2],
    /// whether covered late hosts come through
    well: bool,
    now: u64,
    issued: Vec<Exposure>,
}

impl Beside {
    fn new(late: [u32; 2], well: bool) -> Beside {
        Beside::under(&[(0, 100)], late, well)
    }

    fn under(budget: &[(u64, u64)], late: [u32; 2], well: bool) -> Beside {
        let plan = plan_with(&policy(budget), Lane::Routine, &[900, 100]).0;
        let (rollout, first) = Rollout::start(plan, at(0));
        let journal = vec![(at(0), Event::Started)];
        let mut beside = Beside { rollout, journal, late, well, now: 0, issued: Vec::new() };
        beside.issue(&first);
        beside
    }

    fn say(&mut self, event: Event) -> Vec<Action> {
        self.journal.push((at(self.now), event.clone()));
        self.rollout.apply(at(self.now), event)
    }

    fn issue(&mut self, actions: &[Action]) {
        for exposure in exposures(actions) {
            let generation = exposure.generation;
            self.issued.push(exposure);
            self.say(Event::TicketIssued { generation, at: at(self.now) });
        }
    }

    fn covered(&self) -> Vec<u32> {
        let last = self.issued.last().map(|exposure| exposure.late.clone());
        last.filter(|late| !late.is_empty()).unwrap_or_else(|| vec![0, 0])
    }

    /// One second; the plan's hosts are all well.
    fn tick(&mut self, spoil: impl FnOnce(&mut Observation)) {
        self.now += 1000;
        let mut seen = well(&self.rollout, at(self.now));
        let covered = self.covered();
        let horizons = self.rollout.plan().budget.len();
        for (at, tally) in seen.strata.iter_mut().enumerate() {
            let clean = vec![if self.well { covered[at] } else { 0 }; horizons];
            tally.late = LateTally { hosts: self.late[at], clean };
        }
        spoil(&mut seen);
        let actions = self.say(Event::Observed(seen));
        self.issue(&actions);
    }

    fn run(&mut self) {
        for _ in 0..400 {
            self.tick(|_| ());
        }
    }
}

#[test]
fn late_hosts_are_covered_beside_the_plan_and_never_beyond_its_vouched_hosts() {
    let mut beside = Beside::new([90, 10], true);
    let mut early = 0;
    while !beside.rollout.ended() && beside.now < 400_000 {
        beside.tick(|_| ());
        let handed = beside.rollout.waves().last().map_or(vec![0, 0], |wave| wave.to_vec());
        let late = beside.covered();
        let whole = handed == [900, 100];
        for at in 0..2 {
            // 16 hosts of 1,000 are vouched, so one of 100 may go: a tenth of all are late hosts
            assert!(late[at] * 10 <= handed[at] + handed[at] / 50, "{late:?} beside {handed:?}");
        }
        early = if whole { early } else { early.max(late[0] + late[1]) };
    }
    assert_eq!(beside.rollout.state(), StateName::Completed);
    assert!(early > 20, "{early} late hosts went before the plan's last");
    assert_eq!(beside.issued[0].late, Vec::<u32>::new());
}

#[test]
fn late_hosts_that_do_not_answer_stay_charged_and_do_not_stop_the_plan() {
    let mut beside = Beside::new([400, 50], false);
    beside.run();
    assert_eq!(beside.rollout.state(), StateName::Completed);
    // A quarter of B = 100, and not one more.
    let covered: u32 = beside.covered().iter().sum();
    assert_eq!(covered, 25);
    let evidence = beside.rollout.explain(at(beside.now)).evidence;
    assert!(evidence.horizons[0].spent >= 25.0, "{:?}", evidence.horizons);
    assert!(beside.rollout.explain(at(beside.now)).worst_case.hosts >= 25);
    // What they may cost is not there for the plan's hosts.
    let mut alone = Beside::new([0, 0], true);
    alone.run();
    let without = alone.rollout.explain(at(alone.now)).evidence;
    assert_eq!(without.horizons[0].ucb.to_bits(), evidence.horizons[0].ucb.to_bits());
    assert!(evidence.horizons[0].room < without.horizons[0].room, "{:?}", evidence.horizons);
}

#[test]
fn doubt_and_holds_move_no_late_host_and_a_halt_withdraws_all() {
    let mut beside = Beside::new([90, 10], true);
    while beside.covered() == [0, 0] {
        beside.tick(|_| ());
    }
    let covered = beside.covered();
    beside.tick(|seen| seen.strata[0].late.clean = vec![u32::MAX]);
    assert_eq!(beside.rollout.state(), StateName::Held, "a tally that does not add up");
    for _ in 0..60 {
        beside.tick(|_| ());
    }
    assert_eq!(beside.covered(), covered);
    let by = crate::world::person("ada");
    let reason = andon_model::text::Text::default();
    beside.say(Event::Resumed { by: by.clone() });
    let halted = beside.say(Event::HaltedByPerson { by, reason });
    assert!(halted.iter().any(|action| matches!(action, Action::Freeze { .. })));
    beside.run();
    assert_eq!(beside.covered(), covered);
}

#[test]
fn a_replay_gives_the_same_late_queue_and_own_tickets_come_once_a_generation() {
    let mut beside = Beside::under(&[(0, 100), (20_000, 60)], [900, 100], true);
    let generation = beside.rollout.plan().generation();
    let mut moved = Vec::new();
    while !beside.rollout.ended() && beside.now < 400_000 {
        let before = beside.issued.len();
        beside.tick(|_| ());
        if let [own] = &beside.issued[before..]
            && own.generation == beside.issued[before - 1].generation
            && own.newcomers == beside.issued[before - 1].newcomers
        {
            moved.push(beside.now);
        }
        let again = Rollout::replay(beside.rollout.plan().clone(), &beside.journal);
        let text = |rollout: &Rollout| {
            let told = (rollout.explain(at(beside.now)), rollout.pending());
            Digest::of(&serde_json::to_vec(&told).unwrap())
        };
        assert_eq!(text(&again), text(&beside.rollout));
    }
    assert!(moved.len() > 1, "{moved:?}");
    assert!(moved.windows(2).all(|pair| pair[1] - pair[0] >= generation.0), "{moved:?}");
    let told = beside.rollout.explain(at(beside.now)).decisions;
    let own = told.iter().filter(|d| matches!(d.decision, Decision::LateWidened { .. })).count();
    assert_eq!(own, moved.len());
}

#[test]
fn a_journal_from_before_late_hosts_reads_as_one_without_them() {
    let arm = r#"{"silence":{"at_risk":0,"new":0},"report":{"at_risk":0,"new":0},
        "probe":{"at_risk":0,"new":0},"bad_new":0,"confirmed":0,"fell_back":0,"hosts":0}"#;
    let old = format!(r#"{{"event":"observed","strata":[{{"waves":[],"controls":{arm}}}]}}"#);
    let event: Event = serde_json::from_str(&old).unwrap();
    let seen = Observation { strata: vec![StratumTally::default()] };
    assert_eq!(event, Event::Observed(seen));
    assert!(!serde_json::to_string(&event).unwrap().contains("late"));
    let (_, actions) = Rollout::start(plan(&[60]), at(0));
    let exposure = serde_json::to_string(&exposures(&actions)[0]).unwrap();
    assert!(!exposure.contains("late"), "{exposure}");
    assert_eq!(serde_json::from_str::<Exposure>(&exposure).unwrap(), exposures(&actions)[0]);
}
