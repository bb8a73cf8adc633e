//! Budgets of groups through whole rollouts: the machine hands out along the plan's generations.
use crate::world::*;
use andon_model::budget::{BudgetLimit, GroupBudget};
use andon_model::policy::Lane;
use andon_model::{GroupId, Time};
use andon_rollout::groups::{LineOrder, OrderError, Seat, line_order};
use andon_rollout::{Event, HoldReason, Plan, Reason, Rollout, StateName};

fn group(n: usize) -> GroupId {
    GroupId::new(&format!("g{n:03}")).unwrap()
}

fn budget(n: usize, limit: BudgetLimit) -> GroupBudget {
    GroupBudget { group: group(n), limit, alone_consents: true, canaries_capped: false, size: None }
}

/// Services of ten hosts each, over all strata alike; every fourth host is in none.
fn services(hosts: u32) -> Vec<Vec<GroupId>> {
    let services = (hosts as usize).div_ceil(10);
    let of =
        |host: usize| if host.is_multiple_of(4) { vec![] } else { vec![group(host % services)] };
    (0..hosts as usize).map(of).collect()
}

fn seats<'a>(sizes: &[u32], groups: &'a [Vec<GroupId>]) -> Vec<Seat<'a>> {
    let strata = sizes.iter().zip(0_u16..).flat_map(|(size, at)| (0..*size).map(move |_| at));
    strata.zip(groups).map(|(stratum, groups)| Seat { stratum: Some(stratum), groups }).collect()
}

/// A plan whose services may miss one host each, and everybody's place.
fn ordered(mut plan: Plan, groups: &[Vec<GroupId>], limit: BudgetLimit) -> (Plan, LineOrder) {
    let sizes: Vec<u32> = plan.strata.iter().map(|stratum| stratum.size).collect();
    let budgets: Vec<GroupBudget> =
        (0..groups.len().div_ceil(10)).map(|n| budget(n, limit)).collect();
    let made = line_order(&plan, &budgets, &seats(&sizes, groups)).unwrap().unwrap();
    plan.order = Some(made.order.clone());
    plan.check().unwrap();
    (plan, made)
}

/// Most members of one group that were handed so lately that they are not yet vouched for.
fn most_unvouched(
    waves: &[(Time, Vec<u32>)],
    plan: &Plan,
    made: &LineOrder,
    groups: &[Vec<GroupId>],
    now: Time,
) -> usize {
    let longest = plan.budget.last().unwrap().0;
    let span = plan.generation().plus(longest);
    let mut counts = std::collections::BTreeMap::new();
    for (place, groups) in made.places.iter().zip(groups) {
        let (stratum, rank) = place.unwrap();
        let wave = waves.iter().find(|(_, handed)| rank < handed[usize::from(stratum)]);
        if wave.is_some_and(|(at, _)| now < at.plus(span)) {
            groups.iter().for_each(|group| *counts.entry(group.clone()).or_insert(0) += 1);
        }
    }
    counts.into_values().max().unwrap_or(0)
}

#[test]
fn no_group_ever_has_more_unvouched_members_than_its_budget_whatever_the_gates_pace() {
    let slow = &[(0, 5)][..];
    let later = &[(0, 100), (30_000, 40)][..];
    let hour = &[(0, 100), (3_600_000, 100)][..];
    for (points, lane, growth, limit, most) in [
        (&[(0, 100)][..], Lane::Routine, 15_500, BudgetLimit::Count(1), 1),
        (&[(0, 100)][..], Lane::Emergency, 15_500, BudgetLimit::Share(250), 2),
        (slow, Lane::Routine, 2000, BudgetLimit::Count(1), 1),
        (later, Lane::Routine, 15_500, BudgetLimit::Count(2), 2),
        (hour, Lane::Routine, 15_500, BudgetLimit::Quorum, 4),
    ] {
        let mut policy = policy(points);
        policy.routine.growth_max_permille = growth;
        policy.emergency.approvals_min = 0;
        let sizes = [120, 60, 21];
        let groups = services(sizes.iter().sum());
        let (plan, made) = ordered(plan_with(&policy, lane, &sizes).0, &groups, limit);
        let mut world = World::new(plan.clone(), Trouble::NONE, 11);
        let mut waves: Vec<(Time, Vec<u32>)> = Vec::new();
        let note = |world: &World, waves: &mut Vec<(Time, Vec<u32>)>| {
            for wave in &world.rollout.waves()[waves.len()..] {
                waves.push((world.now(), wave.to_vec()));
            }
        };
        note(&world, &mut waves);
        while world.tick < 40_000 && !world.rollout.ended() {
            let before = waves.len();
            world.step();
            note(&world, &mut waves);
            if waves.len() > before {
                let now = most_unvouched(&waves, &plan, &made, &groups, world.now());
                assert!(now <= most, "{now} of {most} in second {} of {points:?}", world.tick);
            }
        }
        let state = world.rollout.state();
        assert_eq!(state, StateName::Completed, "{points:?}: {:?}", waves.last());
        assert_eq!(waves.last().unwrap().1, sizes, "{points:?}");
    }
}

#[test]
fn the_next_generation_waits_for_confirmations_and_not_forever() {
    let sizes = [40];
    let groups = services(40);
    let (plan, made) = ordered(plan(&sizes), &groups, BudgetLimit::Count(1));
    let (mut rollout, actions) = Rollout::start(plan, at(0));
    let issue = |rollout: &mut Rollout, actions: &[andon_rollout::Action], now| {
        for exposure in exposures(actions) {
            let generation = exposure.generation;
            rollout.apply(now, Event::TicketIssued { generation, at: now });
        }
    };
    issue(&mut rollout, &actions, at(0));
    assert_eq!(rollout.waves()[0], made.order.generations[0]);
    for second in 1..80 {
        let now = at(second * 1000);
        let mut seen = well(&rollout, now);
        // One covered host says nothing of itself; it is not silent either.
        seen.strata[0].waves[0].confirmed -= 1;
        let actions = rollout.apply(now, Event::Observed(seen));
        assert!(exposures(&actions).is_empty(), "second {second}");
        let reason = rollout.explain(now).reason;
        let awaited = reason == Reason::AwaitingConfirmations { missing: 1 };
        assert!(awaited == (second >= 8), "second {second}: {reason:?}");
    }
    let now = at(80_000);
    let mut seen = well(&rollout, now);
    seen.strata[0].waves[0].confirmed -= 1;
    let actions = rollout.apply(now, Event::Observed(seen));
    assert_eq!(exposures(&actions).len(), 1, "a host that is away stops nobody for good");
}

#[test]
fn a_plan_whose_generations_do_not_fit_it_is_held() {
    let groups = services(40);
    let (good, _) = ordered(plan(&[40]), &groups, BudgetLimit::Count(1));
    let changes: [fn(&mut Plan); 6] = [
        |plan| plan.order.as_mut().unwrap().generations.clear(),
        |plan| plan.order.as_mut().unwrap().generations.last_mut().unwrap()[0] += 1,
        |plan| plan.order.as_mut().unwrap().generations[1].push(1),
        |plan| plan.order.as_mut().unwrap().generations.swap(0, 1),
        |plan| plan.order.as_mut().unwrap().generations[0][0] = 17,
        |plan| plan.order.as_mut().unwrap().unvouched_generations = 0,
    ];
    for (nth, change) in changes.into_iter().enumerate() {
        let mut plan = good.clone();
        change(&mut plan);
        let (rollout, _) = Rollout::start(plan, at(0));
        let reason = rollout.explain(at(0)).reason;
        assert_eq!(reason, Reason::Held(HoldReason::PlanUnsound), "change {nth}");
    }
}

#[test]
fn an_order_is_the_same_again_and_has_no_place_for_who_is_left_out() {
    let groups = services(40);
    let plan = plan(&[39]);
    let mut seats = seats(&[40], &groups);
    seats[6].stratum = None;
    let budgets: Vec<_> = (0..4).map(|n| budget(n, BudgetLimit::Count(1))).collect();
    let made = line_order(&plan, &budgets, &seats).unwrap().unwrap();
    assert_eq!(line_order(&plan, &budgets, &seats).unwrap().unwrap(), made);
    assert_eq!(made.places.iter().position(Option::is_none), Some(6));
    assert_eq!(made.order.commitment.hosts, 40);
    let nobody = vec![budget(900, BudgetLimit::Quorum)];
    assert!(line_order(&plan, &nobody, &seats).unwrap().is_none());
    // Fewer members than there are: the budget would be reckoned from a wrong size.
    let mut small = budgets;
    small[1].size = Some(3);
    let why = line_order(&plan, &small, &seats).unwrap_err();
    assert!(matches!(why, OrderError::Plan { .. }), "{why}");
    assert!(why.to_string().contains("g001"), "{why}");
}
