//! The auditor: a good plan has no findings; each single corruption has exactly its own.
use andon_model::Digest;
use andon_rollout::audit::{Allowed, Facts, Finding, GroupRule, RolloutRules, Row, plan, tickets};

/// Strata of 12 and 6 hosts. Group 0: hosts 2, 3, 5, 6, at most two at once. Group 1: host 11 alone.
/// Group 2: a tenant with hosts 1 and 4, whose canaries are capped.
#[derive(Clone)]
struct Case {
    facts: Facts,
    rules: RolloutRules,
    seed: Digest,
    rows: Vec<Row>,
    waves: Vec<Vec<u32>>,
}

fn good() -> Case {
    let rule = |size, allowed, canaries_capped| GroupRule {
        size,
        allowed,
        consent: false,
        canaries_capped,
    };
    let hosts = (1..=18).map(|host| (host, u16::from(host > 12))).collect();
    let seed = Digest::of(b"seed");
    let generations: [&[u32]; 2] = [&[1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 4, 5], &[1, 2, 3, 3, 5, 5]];
    let mut rows = Vec::new();
    for (stratum, generations) in (0..).zip(generations) {
        for (generation, rank) in generations.iter().zip(0..) {
            let host = 1 + rank + 12 * u32::from(stratum);
            rows.push(Row { host, stratum, rank, generation: *generation });
        }
    }
    Case {
        facts: Facts {
            hosts,
            members: vec![(2, 0), (3, 0), (5, 0), (6, 0), (11, 1), (1, 2), (4, 2)],
            groups: vec![
                rule(5, Allowed::KeepMajority, false),
                rule(1, Allowed::Hosts(1), false),
                rule(2, Allowed::Any, true),
            ],
        },
        rules: RolloutRules {
            first_wave_max: 2,
            growth_max_permille: 3000,
            canary_share_permille: 500,
            unvouched_generations: 1,
            holdback: vec![1, 2],
            seed_committed: Digest::of(&seed.0),
        },
        seed,
        rows,
        waves: vec![vec![1, 1], vec![4, 2], vec![10, 4], vec![11, 4], vec![12, 6]],
    }
}

impl Case {
    fn row(&mut self, host: u32) -> &mut Row {
        self.rows.iter_mut().find(|row| row.host == host).unwrap()
    }

    fn plan(&self) -> Vec<Finding> {
        plan(&self.facts, &self.rules, &self.seed, &self.rows)
    }

    fn tickets(&self) -> Vec<Finding> {
        tickets(&self.facts, &self.rules, &self.rows, &self.waves)
    }
}

#[test]
fn each_corruption_of_a_good_plan_is_found_and_nothing_else_is() {
    assert_eq!(good().plan(), []);
    let budget = |generation, hosts, allowed| Finding::BudgetExceeded {
        group: 0,
        generation,
        hosts,
        allowed,
    };
    type Change = fn(&mut Case);
    let table: [(Change, Finding); 18] = [
        (|c| c.seed = Digest::of(b"other"), Finding::SeedMismatch),
        (|c| c.rows.push(c.rows[4]), Finding::HostTwice { host: 5 }),
        (|c| c.rows.truncate(17), Finding::HostMissing { host: 18 }),
        (
            |c| c.rows.push(Row { host: 99, stratum: 1, rank: 6, generation: 5 }),
            Finding::HostUnknown { host: 99 },
        ),
        (
            |c| *c.row(18) = Row { host: 18, stratum: 0, rank: 12, generation: 5 },
            Finding::StratumWrong { host: 18 },
        ),
        (|c| c.facts.members.push((7, 9)), Finding::GroupUnknown { group: 9 }),
        (|c| c.row(18).rank = 6, Finding::OrderBroken { stratum: 1, rank: 5 }),
        (|c| c.row(8).rank = 6, Finding::OrderBroken { stratum: 0, rank: 7 }),
        (
            |c| {
                c.row(4).generation = 3;
                c.row(7).generation = 2;
            },
            Finding::WaveNotPrefix { stratum: 0, generation: 2 },
        ),
        (|c| c.rules.first_wave_max = 1, Finding::FirstWaveTooLarge { hosts: 2, allowed: 1 }),
        (
            |c| c.rules.growth_max_permille = 2500,
            Finding::GrowthExceeded { generation: 2, hosts: 6, allowed: 5 },
        ),
        (
            |c| c.facts.members.push((13, 2)),
            Finding::CanaryShareExceeded { group: 2, hosts: 2, allowed: 1 },
        ),
        (|c| c.facts.members.push((7, 0)), budget(3, 3, 2)),
        (|c| c.facts.groups[0].size = 4, budget(2, 2, 1)),
        (|c| c.facts.groups[0].allowed = Allowed::Permille(399), budget(2, 2, 1)),
        (|c| c.rules.unvouched_generations = 2, budget(3, 4, 2)),
        (
            |c| {
                (c.row(10).rank, c.row(11).rank) = (10, 9);
                (c.row(10).generation, c.row(11).generation) = (4, 3);
            },
            Finding::OnlyMemberEarly { host: 11, generation: 3 },
        ),
        (|c| c.rules.holdback[1] = 3, Finding::HoldbackEarly { stratum: 1, generation: 3 }),
    ];
    for (change, expected) in table {
        let mut case = good();
        change(&mut case);
        assert_eq!(case.plan(), [expected]);
    }
}

#[test]
fn each_ticket_that_goes_too_far_is_found_and_nothing_else_is() {
    for tickets_so_far in 0..=5 {
        let mut case = good();
        case.waves.truncate(tickets_so_far);
        assert_eq!(case.tickets(), [], "after {tickets_so_far} tickets");
    }
    type Change = fn(&mut Case);
    let table: [(Change, Finding); 8] = [
        (|c| c.waves[0] = vec![2, 1], Finding::FirstWaveTooLarge { hosts: 3, allowed: 2 }),
        (
            |c| c.waves[1] = vec![4, 3],
            Finding::GrowthExceeded { generation: 2, hosts: 7, allowed: 6 },
        ),
        // half of one generation and half of the next, each small enough
        (
            |c| c.waves[1] = vec![5, 1],
            Finding::BudgetExceeded { group: 0, generation: 2, hosts: 3, allowed: 2 },
        ),
        (|c| c.waves[2] = vec![11, 4], Finding::OnlyMemberEarly { host: 11, generation: 3 }),
        (
            |c| (c.waves[2][1], c.waves[3][1]) = (5, 5),
            Finding::HoldbackEarly { stratum: 1, generation: 3 },
        ),
        (|c| c.waves[3] = vec![11, 3], Finding::HandedLess { generation: 4, stratum: 1 }),
        (|c| c.waves[4] = vec![13, 6], Finding::HandedBeyond { generation: 5, stratum: 0 }),
        (
            |c| {
                // canaries of one tenant only: both of the first stratum's first two hosts are its
                c.facts.members = vec![(1, 2), (2, 2)];
                c.waves[0] = vec![2, 0];
            },
            Finding::CanaryShareExceeded { group: 2, hosts: 2, allowed: 1 },
        ),
    ];
    for (change, expected) in table {
        let mut case = good();
        change(&mut case);
        assert_eq!(case.tickets(), [expected]);
    }
}
