//! Random journals: whatever is said in whatever order, the named invariants hold.
use crate::world::{at, exposures, person, plan_with, policy, well};
use andon_model::policy::Lane;
use andon_model::text::Text;
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::{Digest, Time};
use andon_rollout::{Action, Event, Observation, Rollout, StateName};
use proptest::prelude::*;

/// What may happen next; concrete events are made from the state that the rollout is in.
#[derive(Clone, Debug)]
enum Move {
    Tick { seconds: u64 },
    Crash { stratum: usize, wave: usize, hosts: u32 },
    Spoil { which: u8 },
    Issue,
    Fail,
    StrayTicket { generation: u32 },
    Approve { who: u8 },
    Hold,
    Resume,
    Halt,
    Freeze,
    Back { seconds: u64 },
    Restart,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        20 => (1..12_u64).prop_map(|seconds| Move::Tick { seconds }),
        12 => Just(Move::Issue),
        3 => (0..3_usize, 0..4_usize, 1..4_u32)
            .prop_map(|(stratum, wave, hosts)| Move::Crash { stratum, wave, hosts }),
        1 => (0..4_u8).prop_map(|which| Move::Spoil { which }),
        1 => Just(Move::Fail),
        1 => (0..9_u32).prop_map(|generation| Move::StrayTicket { generation }),
        4 => (0..3_u8).prop_map(|who| Move::Approve { who }),
        1 => Just(Move::Hold),
        4 => Just(Move::Resume),
        1 => Just(Move::Halt),
        1 => Just(Move::Freeze),
        1 => (0..20_u64).prop_map(|seconds| Move::Back { seconds }),
        1 => Just(Move::Restart),
    ];
    proptest::collection::vec(one, 1..120)
}

struct Run {
    rollout: Rollout,
    journal: Vec<(Time, Event)>,
    now: u64,
    halted: bool,
    people: Vec<u8>,
    lane: Lane,
}

impl Run {
    fn say(&mut self, event: Event) {
        self.journal.push((at(self.now), event.clone()));
        let before = self.rollout.steps();
        let positive = matches!(event, Event::Observed(_));
        let actions = self.rollout.apply(at(self.now), event);
        let state = self.rollout.explain(at(self.now)).state;
        for exposure in exposures(&actions) {
            assert!(!self.halted, "no_new_exposure_after_halt");
            assert_eq!(state, StateName::Exposing, "nothing is handed out on hold");
            self.exposure_never_exceeds_cap(&exposure.handed, exposure.newcomers);
            let people = self.people.len();
            assert!(self.lane == Lane::Routine || people >= 2, "emergency_needs_two_people");
            let again = before.len() + 1 == exposure.steps.len() || !positive;
            assert!(again || exposure.newcomers == Newcomers::Included);
            if let [.., last, new] = &exposure.steps[..] {
                let plan = self.rollout.plan();
                assert!(new.handed * 1000 <= last.handed * plan.growth_max_permille, "growth");
                assert!(at(self.now).since(last.at) >= plan.soak_min || !positive, "soak");
            }
        }
        self.halted |= actions.iter().any(|action| matches!(action, Action::Freeze { .. }));
        assert_eq!(self.halted, state == StateName::Halted, "halted_stays_halted");
    }

    fn exposure_never_exceeds_cap(&self, handed: &[u32], newcomers: Newcomers) {
        let plan = self.rollout.plan();
        for (stratum, handed) in plan.strata.iter().zip(handed) {
            assert!(*handed <= stratum.size, "exposure_never_exceeds_cap");
        }
        let beyond = |(s, h): (&andon_rollout::StratumPlan, &u32)| *h > s.size - s.holdback;
        let held_back = plan.strata.iter().zip(handed).any(beyond);
        let before = self.rollout.waves().last().map(|wave| wave.to_vec());
        if held_back {
            let rest = before.unwrap_or_default();
            let all = |(s, h): (&andon_rollout::StratumPlan, &u32)| *h >= s.size - s.holdback;
            assert!(plan.strata.iter().zip(&rest).all(all), "holdback_is_last");
        }
        let whole = plan.strata.iter().zip(handed).all(|(s, h)| s.size == *h);
        assert!(newcomers == Newcomers::Excluded || whole, "newcomers_only_at_the_end");
    }

    fn observe(&mut self, change: impl FnOnce(&mut Observation)) {
        let mut seen = well(&self.rollout, at(self.now));
        change(&mut seen);
        self.say(Event::Observed(seen));
    }

    fn take(&mut self, what: &Move) {
        match *what {
            Move::Tick { seconds } => {
                self.now += seconds * 1000;
                self.observe(|_| ());
            }
            Move::Crash { stratum, wave, hosts } => self.observe(|seen| {
                if let Some(arm) = seen.strata[stratum].waves.get_mut(wave) {
                    let hosts = hosts.min(arm.hosts);
                    arm.report.new = hosts;
                    arm.bad_new = hosts;
                    arm.fell_back = hosts;
                }
            }),
            Move::Spoil { which } => self.observe(|seen| match which {
                0 => seen.strata.clear(),
                1 => seen.strata[0].waves.push(andon_rollout::ArmTally::default()),
                2 => seen.strata[0].controls.silence.new = u32::MAX,
                _ => seen.strata[1].controls.hosts = 0,
            }),
            Move::Issue => {
                if let Some(exposure) = exposures(&self.rollout.pending()).pop() {
                    let generation = exposure.generation;
                    self.say(Event::TicketIssued { generation, at: at(self.now) });
                }
            }
            Move::Fail => {
                self.say(Event::ActionFailed { generation: 1, what: Text::clipped("disk full") });
            }
            Move::StrayTicket { generation } => {
                self.say(Event::TicketIssued { generation, at: at(self.now) });
            }
            Move::Approve { who } => {
                if !self.people.contains(&who) {
                    self.people.push(who);
                }
                self.say(Event::ApprovalGranted { person: person(&format!("p{who}")) });
            }
            Move::Hold => self.say(Event::Held { by: person("ada"), reason: Text::default() }),
            Move::Resume => self.say(Event::Resumed { by: person("ada") }),
            Move::Halt => {
                self.say(Event::HaltedByPerson { by: person("ada"), reason: Text::default() });
            }
            Move::Freeze => {
                let digest = Digest::of(b"freeze");
                self.say(Event::Frozen { by: "platform".to_owned(), digest });
            }
            Move::Back { seconds } => self.now = self.now.saturating_sub(seconds * 1000),
            Move::Restart => self.replay_gives_same_state(),
        }
        self.steps_make_a_ticket();
    }

    fn replay_gives_same_state(&mut self) {
        let again = Rollout::replay(self.rollout.plan().clone(), &self.journal);
        let text = |rollout: &Rollout| {
            let explained = rollout.explain(at(self.now));
            serde_json::to_string(&(explained, rollout.pending())).unwrap()
        };
        assert_eq!(text(&again), text(&self.rollout), "replay_gives_same_actions");
        self.rollout = again;
    }

    /// What a host's own ticket reader demands of the steps.
    fn steps_make_a_ticket(&self) {
        let steps = self.rollout.steps();
        for pair in steps.windows(2) {
            assert_eq!(pair[1].generation, pair[0].generation + 1);
            assert!(pair[0].handed < pair[1].handed && pair[0].at <= pair[1].at);
        }
        assert!(steps.first().is_none_or(|step| step.generation == 1));
        let _ = Ticket::parse;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn invariants_hold_in_every_order_of_events(moves in moves(), emergency: bool) {
        let lane = if emergency { Lane::Emergency } else { Lane::Routine };
        let plan = plan_with(&policy(&[(0, 30), (20_000, 60)]), lane, &[200, 90, 7]).0;
        let (rollout, actions) = Rollout::start(plan, at(0));
        prop_assert!(emergency == exposures(&actions).is_empty());
        let journal = vec![(at(0), Event::Started)];
        let mut run =
            Run { rollout, journal, now: 0, halted: false, people: Vec::new(), lane };
        for what in &moves {
            run.take(what);
        }
        run.replay_gives_same_state();
    }
}
