//! An operator's machine inside a vendor line: whatever that line says and whatever the pace, nothing
//! is handed that its tickets do not cover.
use crate::world::{Random, Trouble, World, at, exposures, person, plan, policy, well};
use andon_model::line::{Pace, SeatBlock};
use andon_model::policy::Lane;
use andon_model::text::Text;
use andon_model::ticket::Newcomers;
use andon_model::{Digest, RolloutId};
use andon_rollout::plan::Inside;
use andon_rollout::{Event, HaltReason, HoldReason, Plan, Reason, Rollout, StateName};
use proptest::prelude::*;

const SIZES: [u32; 3] = [60, 30, 10];
const ALL: [u32; 3] = SIZES;

fn inside_of(mut plan: Plan, pace: Pace) -> Plan {
    let hosts = u32::try_from(plan.hosts()).unwrap();
    let seats = match hosts {
        0 => vec![],
        count => vec![SeatBlock { host_first: 1, seat_first: 501, count }],
    };
    plan.inside = Some(Inside {
        line: "vendor:acme".parse().unwrap(),
        rollout: RolloutId::new("v1").unwrap(),
        plan: Digest::of(b"the vendor line's plan"),
        pace,
        seats,
    });
    plan.check().unwrap();
    plan
}

fn world(pace: Pace, budget: &[(u64, u64)]) -> World {
    let (plan, _) = crate::world::plan_with(&policy(budget), Lane::Routine, &SIZES);
    World::new(inside_of(plan, pace), Trouble::NONE, 7)
}

fn permit(generation: u32, handed: [u32; 3], newcomers: Newcomers) -> Event {
    Event::Permitted { generation, handed: handed.to_vec(), newcomers }
}

fn handed(rollout: &Rollout) -> Vec<u32> {
    rollout.waves().last().map_or(vec![0; SIZES.len()], |wave| wave.to_vec())
}

fn reason(world: &World) -> Reason {
    world.rollout.explain(world.now()).reason
}

#[test]
fn nothing_is_handed_before_the_vendor_line_covers_somebody() {
    for pace in [Pace::Own, Pace::Vendor] {
        let mut world = world(pace, &[(0, 100)]);
        world.run(60);
        assert_eq!(world.rollout.waves().len(), 0, "{pace:?}");
        assert_eq!(reason(&world), Reason::AwaitingVendorLine { generation: 0 });
        assert_eq!(world.rollout.deadline(), None, "only that line's ticket changes anything");
        world.apply(permit(1, [0, 0, 0], Newcomers::Excluded));
        assert_eq!(world.rollout.waves().len(), 0, "a ticket that covers none of ours");
        assert_eq!(reason(&world), Reason::AwaitingVendorLine { generation: 1 });
        world.apply(permit(2, [2, 1, 0], Newcomers::Excluded));
        assert_eq!(handed(&world.rollout), [2, 1, 0], "{pace:?}");
    }
}

#[test]
fn own_pace_keeps_its_own_budget_and_its_own_waiting() {
    // The vendor line covers everybody at once; the own budget is 3 hosts at any moment.
    let mut own = world(Pace::Own, &[(0, 3)]);
    let mut vendor = world(Pace::Vendor, &[(0, 3)]);
    let sum = |world: &World| handed(&world.rollout).iter().sum::<u32>();
    for world in [&mut own, &mut vendor] {
        world.apply(permit(1, ALL, Newcomers::Included));
    }
    assert_eq!((sum(&own), sum(&vendor)), (3, 16), "B(0 s) = 3; the first wave that hosts accept");
    // A generation is 8 s: before it is over its own evidence speaks for nobody else.
    for second in 1..8 {
        own.run(second);
        assert_eq!(sum(&own), 3, "second {second}");
    }
    vendor.run(7);
    assert_eq!(sum(&vendor), 85, "all but the holdback: growth and soak allow it");
    own.run(20);
    assert!(sum(&own) < 85, "its budget is kept for longer than that");
    own.run(4000);
    assert_eq!(own.rollout.state(), StateName::Completed);
}

#[test]
fn the_vendors_pace_is_followed_within_growth_and_soak() {
    let mut world = world(Pace::Vendor, &[(0, 20)]);
    world.apply(permit(1, ALL, Newcomers::Included));
    assert_eq!(handed(&world.rollout).iter().sum::<u32>(), 16, "the first wave that hosts accept");
    world.run(200);
    assert_eq!(world.rollout.state(), StateName::Completed);
    let steps = world.rollout.steps();
    let lane = policy(&[(0, 20)]).routine;
    for pair in steps.windows(2) {
        assert!(pair[1].at.since(pair[0].at) >= lane.soak_min, "{pair:?}");
        let most = pair[0].handed * lane.growth_max_permille / 1000;
        assert!(pair[1].handed <= most, "{pair:?}");
    }
    // B(0 s) = 20 would have taken generations: it is the vendor line's evidence that is gone by.
    assert!(steps[1].at.since(steps[0].at).0 < 2 * lane.soak_min.0, "{steps:?}");
    assert!(steps[1].handed > 20, "{steps:?}");
}

#[test]
fn newcomers_are_covered_only_once_the_vendor_line_covers_newcomers() {
    for pace in [Pace::Own, Pace::Vendor] {
        let mut world = world(pace, &[(0, 100)]);
        world.apply(permit(1, ALL, Newcomers::Excluded));
        world.run(300);
        assert_eq!(handed(&world.rollout), ALL, "{pace:?}");
        assert_ne!(world.rollout.state(), StateName::Completed, "{pace:?}");
        let included = |world: &World| {
            let mut issued = world.actions.iter().flat_map(|actions| exposures(actions));
            issued.any(|exposure| exposure.newcomers == Newcomers::Included)
        };
        assert!(!included(&world), "{pace:?}");
        assert_eq!(reason(&world), Reason::AwaitingVendorLine { generation: 1 });
        world.apply(permit(1, ALL, Newcomers::Included));
        world.run(700);
        assert!(included(&world), "{pace:?}");
        assert_eq!(world.rollout.state(), StateName::Completed, "{pace:?}");
    }
}

#[test]
fn a_line_of_newcomers_only_waits_for_the_vendor_line_too() {
    let plan = inside_of(plan(&[]), Pace::Own);
    let (mut rollout, first) = Rollout::start(plan, at(0));
    assert!(exposures(&first).is_empty(), "newcomers were covered before the vendor line did");
    let told = rollout.explain(at(0)).reason;
    assert_eq!(told, Reason::AwaitingVendorLine { generation: 0 });
    let nobody = |newcomers| Event::Permitted { generation: 1, handed: vec![], newcomers };
    assert!(exposures(&rollout.apply(at(1000), nobody(Newcomers::Excluded))).is_empty());
    let actions = rollout.apply(at(2000), nobody(Newcomers::Included));
    assert_eq!(exposures(&actions)[0].newcomers, Newcomers::Included);
}

#[test]
fn its_own_gate_halts_it_at_either_pace() {
    for pace in [Pace::Own, Pace::Vendor] {
        let (plan, _) =
            crate::world::plan_with(&policy(&[(0, 100)]), Lane::Routine, &[600, 300, 101]);
        let trouble = Trouble { q: 1.0, ..Trouble::NONE };
        let mut world = World::new(inside_of(plan, pace), trouble, 7);
        world.apply(permit(1, [600, 300, 101], Newcomers::Included));
        world.run(60);
        let halted = reason(&world);
        assert!(matches!(halted, Reason::Halted(HaltReason::Gate { .. })), "{pace:?}: {halted:?}");
        assert_eq!(world.crashed(), 16, "{pace:?}");
    }
}

#[test]
fn a_ticket_that_does_not_fit_the_plan_holds() {
    let wrong = [
        ("a stratum is missing", vec![1, 1]),
        ("more hosts than there are", vec![61, 0, 0]),
        ("a stratum too many", vec![1, 1, 1, 1]),
    ];
    for (what, handed) in wrong {
        let mut world = world(Pace::Own, &[(0, 100)]);
        world.apply(Event::Permitted { generation: 1, handed, newcomers: Newcomers::Excluded });
        let held = matches!(reason(&world), Reason::Held(HoldReason::ActionFailed { .. }));
        assert!(held, "{what}: {:?}", reason(&world));
        assert_eq!(world.rollout.waves().len(), 0, "{what}");
    }
    // A line that is alone is inside none.
    let mut alone = World::new(plan(&SIZES), Trouble::NONE, 7);
    alone.apply(permit(1, [1, 1, 1], Newcomers::Excluded));
    assert_eq!(alone.rollout.state(), StateName::Held);
}

#[test]
fn a_smaller_or_older_ticket_takes_nothing_back() {
    let mut world = world(Pace::Vendor, &[(0, 100)]);
    world.apply(permit(2, [20, 10, 5], Newcomers::Excluded));
    world.apply(permit(3, [4, 4, 4], Newcomers::Excluded)); // smaller
    world.apply(permit(1, [60, 30, 10], Newcomers::Included)); // older, however wide
    world.run(120);
    assert_eq!(handed(&world.rollout), [20, 10, 5]);
    assert_eq!(reason(&world), Reason::AwaitingVendorLine { generation: 2 });
}

#[test]
fn what_was_permitted_during_a_hold_counts_once_somebody_resumes() {
    let mut world = world(Pace::Vendor, &[(0, 100)]);
    let by = || person("ada");
    world.apply(Event::Held { by: by(), reason: Text::clipped("not now") });
    world.apply(permit(1, [5, 5, 5], Newcomers::Excluded));
    assert_eq!(world.rollout.waves().len(), 0);
    world.apply(Event::Resumed { by: by() });
    assert_eq!(handed(&world.rollout), [5, 5, 5]);
}

#[test]
fn the_same_journal_inside_a_vendor_line_gives_the_same_decisions() {
    let mut world = world(Pace::Own, &[(0, 100)]);
    for (generation, second) in (1..).zip([10, 40, 41, 90]) {
        world.run(second);
        let covered = SIZES.map(|size| size.min(8_u32.pow(generation)));
        world.apply(permit(generation, covered, Newcomers::Excluded));
    }
    world.run(200);
    let again = Rollout::replay(world.rollout.plan().clone(), &world.journal);
    let told = |rollout: &Rollout| rollout.explain(world.now());
    assert_eq!(told(&again), told(&world.rollout));
    assert!(!again.waves().is_empty());
}

/// What the vendor line or the world may do next.
#[derive(Clone, Debug)]
enum Move {
    Tick(u64),
    Permit { generation: u32, seed: u64, newcomers: bool },
    Crash,
    Hold,
    Resume,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let permit = (1..6_u32, any::<u64>(), any::<bool>())
        .prop_map(|(generation, seed, newcomers)| Move::Permit { generation, seed, newcomers });
    let one = prop_oneof![
        20 => (1..30_u64).prop_map(Move::Tick),
        8 => permit,
        1 => Just(Move::Crash),
        1 => Just(Move::Hold),
        2 => Just(Move::Resume),
    ];
    proptest::collection::vec(one, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Never more than the widest ticket seen covers in each stratum, and no newcomers before it says so.
    #[test]
    fn no_ticket_ever_covers_more_than_was_permitted(
        moves in moves(), follow in any::<bool>(), budget in 1..200_u64,
    ) {
        let pace = if follow { Pace::Vendor } else { Pace::Own };
        let (plan, _) = crate::world::plan_with(&policy(&[(0, budget)]), Lane::Routine, &SIZES);
        let (mut rollout, mut actions) = Rollout::start(inside_of(plan, pace), at(0));
        let (mut now, mut most, mut newcomers) = (0, [0; 3], false);
        for step in moves {
            let event = match step {
                Move::Tick(seconds) => {
                    now += seconds * 1000;
                    Event::Observed(well(&rollout, at(now)))
                }
                Move::Permit { generation, seed, newcomers: all } => {
                    let mut random = Random(seed);
                    let covered = SIZES.map(|size| {
                        u32::try_from(random.below(usize::try_from(size).unwrap() + 1)).unwrap()
                    });
                    for (most, covered) in most.iter_mut().zip(covered) {
                        *most = (*most).max(covered);
                    }
                    newcomers |= all;
                    let all = if all { Newcomers::Included } else { Newcomers::Excluded };
                    permit(generation, covered, all)
                }
                Move::Crash => {
                    let mut seen = well(&rollout, at(now));
                    if let Some(arm) = seen.strata[0].waves.first_mut().filter(|arm| arm.hosts > 0) {
                        (arm.report.new, arm.bad_new) = (1, 1);
                    }
                    Event::Observed(seen)
                }
                Move::Hold => Event::Held { by: person("ada"), reason: Text::clipped("why") },
                Move::Resume => Event::Resumed { by: person("ada") },
            };
            actions.extend(rollout.apply(at(now), event));
            for exposure in exposures(&std::mem::take(&mut actions)) {
                for (handed, most) in exposure.handed.iter().zip(most) {
                    prop_assert!(*handed <= most, "{:?} of {most:?}", exposure.handed);
                }
                prop_assert!(newcomers || exposure.newcomers == Newcomers::Excluded);
                let issued = Event::TicketIssued { generation: exposure.generation, at: at(now) };
                actions.extend(rollout.apply(at(now), issued));
            }
        }
    }
}
