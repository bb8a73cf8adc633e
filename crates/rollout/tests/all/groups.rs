//! Disruption budgets: what a plan with groups promises, on small fleets made here.
use crate::groups_world::{Random, World, growth, key};
use andon_model::Digest;
use andon_rollout::audit::{self, RolloutRules};
use andon_rollout::groups::{
    Alone, Assignment, CanaryShare, Group, GroupsError, Limit, Rules, assign,
};
use std::collections::BTreeMap;

#[test]
fn budgets_of_each_kind_leave_at_least_one_member_to_begin_with() {
    let table = [
        (
            Limit::Quorum,
            [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (6, 2), (7, 3), (101, 50)],
        ),
        (
            Limit::Share { permille: 250 },
            [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (8, 2), (11, 2), (400, 100)],
        ),
        (
            Limit::Count(3),
            [(0, 1), (1, 1), (2, 2), (3, 3), (4, 3), (5, 3), (6, 3), (7, 3), (40, 3)],
        ),
        (
            Limit::Count(0),
            [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (40, 1)],
        ),
        (
            Limit::Unlimited,
            [(0, 1), (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (40, 40)],
        ),
    ];
    for (limit, cases) in table {
        for (size, budget) in cases {
            let group = Group { size, limit, alone: Alone::Last, canaries: CanaryShare::Free };
            assert_eq!(group.budget(), budget, "{limit:?} of {size}");
        }
    }
}

#[test]
fn no_group_ever_has_more_unvouched_members_than_its_budget() {
    for seed in 0..40 {
        let world = World::mixed(300, seed);
        for window in [1, 2, 5] {
            let rules = Rules { unvouched_generations: u32::from(window), ..world.rules() };
            let plan = world.assign(&rules, seed, growth(8, 4));
            assert_eq!(world.over_budget(&plan, window), [], "seed {seed}, window {window}");
        }
    }
}

#[test]
fn the_auditor_finds_nothing_in_the_planners_work_nor_in_any_pace_of_handing_it_out() {
    for seed in 0..30_u8 {
        let mut world = World::mixed(200, u64::from(seed));
        world
            .groups
            .iter_mut()
            .rev()
            .take(3)
            .for_each(|group| group.canaries = CanaryShare::Capped);
        let window = 1 + u32::from(seed % 3);
        let share = 340 + 200 * u16::from(seed % 2);
        let rules = Rules {
            unvouched_generations: window,
            canary_share_permille: share,
            first_wave: vec![4, 3, 1],
            holdback: vec![2, 3, 1],
        };
        let plan = world.assign(&rules, u64::from(seed), growth(8, 3));
        let allowed = RolloutRules {
            first_wave_max: 8,
            growth_max_permille: 3000,
            canary_share_permille: share,
            unvouched_generations: window,
            holdback: rules.holdback.clone(),
            seed_committed: Digest::of(&Digest::of(&[seed]).0),
        };
        let (facts, rows) = (world.facts(), world.rows(&plan));
        assert_eq!(audit::plan(&facts, &allowed, &Digest::of(&[seed]), &rows), [], "seed {seed}");
        // a gate that gives each stratum as much as it likes at a time
        let mut random = Random(u64::from(seed));
        let mut waves = vec![plan.ceilings[0].clone()];
        for _ in 0..1000 {
            let handed = waves.last().unwrap();
            let mut wanted = handed.clone();
            wanted.iter_mut().for_each(|hosts| *hosts += u32::try_from(random.below(9)).unwrap());
            let next = plan.clamp(handed, &wanted);
            waves.push(next);
        }
        assert_eq!(waves.last(), plan.ceilings.last(), "it ends");
        waves.dedup();
        let slow =
            RolloutRules { growth_max_permille: 1_000_000, unvouched_generations: 1, ..allowed };
        assert_eq!(audit::tickets(&facts, &slow, &rows, &waves), [], "seed {seed}");
    }
}

#[test]
fn every_wave_is_a_stretch_of_each_stratums_order() {
    for seed in 0..10 {
        let world = World::mixed(300, seed);
        let plan = world.assign(&world.rules(), seed, growth(8, 4));
        let mut order: BTreeMap<(u16, u32), u16> = BTreeMap::new();
        for (host, place) in plan.places.iter().enumerate() {
            assert_eq!(place.stratum, world.strata[host]);
            let before = order.insert((place.stratum, place.rank), place.generation);
            assert_eq!(before, None, "two hosts in one place");
        }
        for stratum in 0..3_u16 {
            let hosts: Vec<(u32, u16)> = order
                .range((stratum, 0)..=(stratum, u32::MAX))
                .map(|((_, rank), generation)| (*rank, *generation))
                .collect();
            assert!(hosts.iter().map(|host| host.0).eq(0..u32::try_from(hosts.len()).unwrap()));
            assert!(
                hosts.iter().map(|host| host.1).is_sorted(),
                "a later wave before an earlier one"
            );
            for (ends, generation) in plan.ceilings.iter().zip(1..) {
                let handed = hosts.iter().filter(|host| host.1 <= generation).count();
                assert_eq!(ends[usize::from(stratum)] as usize, handed);
            }
        }
    }
}

#[test]
fn no_generation_hands_out_more_than_the_growth_law_says() {
    let (world, law) = (World::mixed(500, 7), growth(4, 3));
    let plan = world.assign(&world.rules(), 7, law);
    let mut handed = 0;
    for (ends, generation) in plan.ceilings.iter().zip(1..) {
        let now: u64 = ends.iter().map(|hosts| u64::from(*hosts)).sum();
        assert!(now <= law.total(handed), "generation {generation}: {now}");
        handed = now;
    }
    assert_eq!(handed, world.numbers.len() as u64);
}

#[test]
fn an_only_member_goes_after_everybody_else_unless_its_owner_consents() {
    let rows: Vec<(u16, Vec<u32>)> = (0..40).map(|host| (0, vec![host.min(20)])).collect();
    let mut world = World::new(1, &rows, &[Limit::Quorum; 21]);
    let alone = |plan: &Assignment| plan.places[..20].iter().map(|at| at.generation).min().unwrap();
    let others =
        |plan: &Assignment| plan.places[20..].iter().map(|at| at.generation).max().unwrap();
    for seed in 0..10 {
        let plan = world.assign(&world.rules(), seed, growth(100, 2));
        assert!(alone(&plan) > others(&plan));
    }
    world.groups.iter_mut().for_each(|group| group.alone = Alone::Consents);
    assert_eq!(alone(&world.assign(&world.rules(), 1, growth(100, 2))), 1);
}

#[test]
fn the_holdback_is_handed_last_and_drawn_by_lot() {
    let world = World::mixed(300, 3);
    let held = |seed| {
        let rules = Rules { holdback: vec![5, 9, 1000], ..world.rules() };
        let plan = world.assign(&rules, seed, growth(8, 4));
        let mut first = [u16::MAX; 3];
        let mut chosen = Vec::new();
        for stratum in [0_u16, 1] {
            let mut hosts: Vec<(u32, usize)> = (0..plan.places.len())
                .filter(|host| plan.places[*host].stratum == stratum)
                .map(|host| (plan.places[host].rank, host))
                .collect();
            hosts.sort_unstable();
            let holdback =
                hosts.split_off(hosts.len() - rules.holdback[usize::from(stratum)] as usize);
            for (_, host) in &holdback {
                let first = &mut first[usize::from(stratum)];
                *first = plan.places[*host].generation.min(*first);
            }
            let rest = hosts.iter().map(|(_, host)| plan.places[*host].generation).max().unwrap();
            assert!(first[usize::from(stratum)] > rest);
            chosen.extend(holdback.iter().map(|(_, host)| *host));
        }
        // a holdback larger than its stratum: the whole of it waits
        let whole = plan.places.iter().filter(|place| place.stratum == 2);
        let rest = plan.places.iter().filter(|place| place.stratum == 0 && place.rank == 0);
        assert!(whole.map(|p| p.generation).min() > rest.map(|p| p.generation).max());
        chosen
    };
    assert_ne!(held(1), held(2));
}

#[test]
fn no_tenant_has_more_canaries_than_its_share_and_each_may_have_one() {
    // 90 hosts of one tenant, 10 of another: without the cap, about 14 of 16 canaries were the first's
    let rows: Vec<(u16, Vec<u32>)> =
        (0..100).map(|host| (0, vec![u32::from(host >= 90)])).collect();
    let mut world = World::new(1, &rows, &[Limit::Unlimited; 2]);
    world.groups.iter_mut().for_each(|group| group.canaries = CanaryShare::Capped);
    for (first, share, most) in [(16, 250, 4), (16, 500, 8), (3, 10, 1), (5, 300, 2)] {
        let rules = Rules { canary_share_permille: share, ..world.rules() };
        for seed in 0..20 {
            let plan = world.assign(&rules, seed, growth(first, 4));
            let canaries = |of: &[_]| -> usize {
                let first = |at: &&andon_rollout::groups::Place| at.generation == 1;
                of.iter().filter(first).count()
            };
            assert!(canaries(&plan.places[..90]) <= most, "wave of {first}, {share} permille");
            assert!(canaries(&plan.places[90..]) <= most);
            assert_eq!(canaries(&plan.places), (2 * most).min(usize::try_from(first).unwrap()));
        }
    }
}

#[test]
fn the_first_wave_is_spread_over_the_strata_as_asked() {
    let world = World::mixed(300, 5);
    let rules = Rules { first_wave: vec![3, 0, 2], ..world.rules() };
    assert_eq!(world.assign(&rules, 5, growth(100, 2)).ceilings[0], [3, 0, 2]);
}

#[test]
fn the_order_is_that_of_the_keyed_hash_whatever_the_fleets_size() {
    for hosts in [0, 1, 2, 1000, 40_000] {
        let world = World::plain(hosts);
        let plan = world.assign(&world.rules(), 1, growth(1, 9));
        let mut expected: Vec<usize> = (0..hosts).collect();
        expected.sort_by_key(|host| key(1).hash(world.numbers[*host]));
        for (rank, host) in (0..).zip(expected) {
            assert_eq!(plan.places[host].rank, rank, "{hosts} hosts");
        }
    }
}

#[test]
fn every_host_is_a_canary_equally_often() {
    // 16 of 64 hosts in 2,000 rollouts: 500 times each, standard deviation 19.4; a sixth of that many
    // worlds with a bias of 20 % would already fail
    let world = World::plain(64);
    let mut times = vec![0; 64];
    for seed in 0..2000 {
        for (times, place) in
            times.iter_mut().zip(world.assign(&world.rules(), seed, growth(16, 4)).places)
        {
            *times += u32::from(place.generation == 1);
        }
    }
    assert!(times.iter().all(|times| (420..=580).contains(times)), "{times:?}");
}

#[test]
fn members_of_long_groups_go_first_so_that_the_plan_ends_in_time() {
    // 200 services of seven, one at a time, among 10,000 hosts in racks of 40 by ten. Growth from one
    // by eight: the fifth generation is the first of which every service must have a member, and it
    // takes a third of the fleet: by lot alone one service in twenty would have none.
    let mut random = Random(11);
    let mut racks: Vec<u32> = (0..10_000).map(|host| host / 40).collect();
    for at in (1..racks.len()).rev() {
        racks.swap(at, usize::try_from(random.below(at as u64 + 1)).unwrap());
    }
    let row = |(host, rack): (u32, &u32)| {
        let service = if host < 1400 { vec![250 + host / 7] } else { vec![] };
        (0, [vec![*rack], service].concat())
    };
    let rows: Vec<(u16, Vec<u32>)> = (0..10_000).zip(&racks).map(row).collect();
    let mut limits = vec![Limit::Count(10); 250];
    limits.resize(450, Limit::Count(1));
    let world = World::new(1, &rows, &limits);
    for seed in 0..5 {
        let plan = world.assign(&world.rules(), seed, growth(1, 8));
        assert!(plan.generations() <= 7 + 4, "{} generations", plan.generations());
        assert_eq!(world.over_budget(&plan, 1), []);
    }
}

#[test]
fn a_group_of_thousands_uses_its_whole_budget() {
    let world = World::new(1, &vec![(0, vec![0]); 30_000], &[Limit::Count(20_000)]);
    let plan = world.assign(&world.rules(), 1, growth(30_000, 2));
    assert_eq!(plan.ceilings, [[20_000], [30_000]]);
}

#[test]
fn a_hand_out_never_reaches_beyond_the_generation_under_way() {
    let plan = Assignment { places: vec![], ceilings: vec![vec![4, 2], vec![4, 2], vec![10, 6]] };
    let table = [
        ([0, 0], [100, 100], [4, 2]),
        ([0, 0], [3, 1], [3, 1]),
        ([4, 1], [9, 9], [4, 2]),
        ([4, 2], [9, 9], [9, 6]),
        ([5, 2], [3, 4], [5, 4]),
        ([10, 6], [20, 20], [10, 6]),
    ];
    for (handed, wanted, clamped) in table {
        assert_eq!(plan.clamp(&handed, &wanted), clamped, "{handed:?} handed, {wanted:?} wanted");
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let good = World::new(2, &[(0, vec![0, 1]), (1, vec![1]), (0, vec![])], &[Limit::Quorum; 2]);
    type Change = fn(&mut World, &mut Rules);
    let table: [(Change, GroupsError); 15] = [
        (|w, _| w.strata.truncate(2), GroupsError::Column("strata")),
        (|w, _| w.offsets.truncate(3), GroupsError::Column("offsets")),
        (|w, _| w.offsets[0] = 1, GroupsError::Column("offsets")),
        (|w, _| w.offsets[1] = 4, GroupsError::Column("offsets")),
        (|w, _| w.memberships.push(0), GroupsError::Column("offsets")),
        (|w, _| w.numbers[1] = 1, GroupsError::HostOrder { host: 1 }),
        (|w, _| w.strata[2] = 2, GroupsError::Stratum { host: 3, stratum: 2 }),
        (|w, _| w.memberships[2] = 9, GroupsError::Group { host: 2, group: 9 }),
        (|w, _| w.memberships[1] = 0, GroupsError::GroupTwice { host: 1, group: 0 }),
        (|w, _| w.groups[1].size = 1, GroupsError::GroupSize { group: 1, size: 1, members: 2 }),
        (
            |w, _| {
                w.memberships = (0..17).collect();
                w.offsets = vec![0, 17, 17, 17];
                w.groups = vec![w.groups[0]; 17];
            },
            GroupsError::GroupsPerHost { host: 1 },
        ),
        (
            |_, r| r.unvouched_generations = 0,
            GroupsError::Rule("unvouched_generations", "is 0 or too large"),
        ),
        (
            |_, r| r.canary_share_permille = 0,
            GroupsError::Rule("canary_share_permille", "is not within 1 to 1000"),
        ),
        (
            |_, r| r.holdback.truncate(1),
            GroupsError::Rule("holdback", "has not one entry per stratum"),
        ),
        (|_, r| r.first_wave.resize(5000, 0), GroupsError::Rule("first_wave", "is too long")),
    ];
    for (change, expected) in table {
        let (mut world, mut rules) = (good.clone(), good.rules());
        change(&mut world, &mut rules);
        let plan = assign(&world.fleet(), &rules, &key(1), &|_, handed| handed + 1);
        assert_eq!(plan, Err(expected));
    }
    let still = assign(&good.fleet(), &good.rules(), &key(1), &|_, _| 1);
    assert_eq!(still, Err(GroupsError::Growth { generation: 2 }));
    let long = World::plain(5000);
    let endless = assign(&long.fleet(), &long.rules(), &key(1), &|_, handed| handed + 1);
    assert_eq!(endless, Err(GroupsError::Generations));
}
