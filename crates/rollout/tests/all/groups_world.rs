//! Small fleets with groups, made here, and how the auditor and the promises see them.
use andon_model::Digest;
use andon_rollout::audit::{Allowed, Facts, GroupRule, Row};
use andon_rollout::groups::{
    Alone, Assignment, CanaryShare, Fleet, Group, Growth, Limit, OrderKey, Rules, assign,
};
use std::collections::BTreeMap;

/// A fleet that owns its columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) numbers: Vec<u32>,
    pub(crate) strata: Vec<u16>,
    pub(crate) offsets: Vec<u32>,
    pub(crate) memberships: Vec<u32>,
    pub(crate) groups: Vec<Group>,
    pub(crate) strata_count: usize,
}

impl World {
    /// Hosts 1, 2, 3 … each with its stratum and groups; every group counts its members.
    pub(crate) fn new(strata_count: usize, hosts: &[(u16, Vec<u32>)], limits: &[Limit]) -> World {
        let mut world = World { offsets: vec![0], strata_count, ..World::default() };
        let mut sizes = vec![0; limits.len()];
        for ((stratum, row), number) in hosts.iter().zip(1..) {
            world.numbers.push(number);
            world.strata.push(*stratum);
            world.memberships.extend(row);
            world.offsets.push(u32::try_from(world.memberships.len()).unwrap());
            row.iter().for_each(|group| sizes[*group as usize] += 1);
        }
        let group = |(limit, size): (&Limit, u32)| Group {
            size,
            limit: *limit,
            alone: Alone::Last,
            canaries: CanaryShare::Free,
        };
        world.groups = limits.iter().zip(sizes).map(group).collect();
        world
    }

    /// Hosts of one stratum without groups.
    pub(crate) fn plain(hosts: usize) -> World {
        World::new(1, &vec![(0, vec![]); hosts], &[])
    }

    /// Services of mixed sizes and limits, racks of eight, three tenants, three strata.
    pub(crate) fn mixed(hosts: u32, seed: u64) -> World {
        let mut random = Random(seed);
        let mut rows: Vec<(u16, Vec<u32>)> = Vec::new();
        let mut limits = Vec::new();
        while rows.len() < hosts as usize {
            let size = 1 + random.below(random.clone().below(12) + 1);
            let service = u32::try_from(limits.len()).unwrap();
            limits.push(match random.below(4) {
                0 => Limit::Quorum,
                1 => Limit::Count(u32::try_from(random.below(4)).unwrap()),
                2 => Limit::Share { permille: 250 },
                _ => Limit::Share { permille: 500 },
            });
            for _ in 0..size {
                rows.push((u16::try_from(random.below(3)).unwrap(), vec![service]));
            }
        }
        let services = limits.len();
        let racks = rows.len().div_ceil(8);
        limits.resize(services + racks, Limit::Count(2));
        limits.resize(services + racks + 3, Limit::Unlimited);
        for host in (1..rows.len()).rev() {
            let other = random.below(host as u64 + 1);
            let swapped = rows[usize::try_from(other).unwrap()].1.clone();
            rows[usize::try_from(other).unwrap()].1 = std::mem::replace(&mut rows[host].1, swapped);
        }
        for (host, row) in rows.iter_mut().enumerate() {
            row.1.push(u32::try_from(services + host / 8).unwrap());
            row.1.push(u32::try_from(services + racks + host % 3).unwrap());
        }
        World::new(3, &rows, &limits)
    }

    pub(crate) fn fleet(&self) -> Fleet<'_> {
        Fleet {
            numbers: &self.numbers,
            strata: &self.strata,
            offsets: &self.offsets,
            memberships: &self.memberships,
            groups: &self.groups,
        }
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules {
            unvouched_generations: 1,
            canary_share_permille: 1000,
            first_wave: vec![u32::MAX; self.strata_count],
            holdback: vec![0; self.strata_count],
        }
    }

    pub(crate) fn assign(&self, rules: &Rules, seed: u64, growth: Growth) -> Assignment {
        let plan = assign(&self.fleet(), rules, &key(seed), &|_, handed| growth.total(handed));
        plan.unwrap()
    }

    pub(crate) fn row(&self, host: usize) -> &[u32] {
        &self.memberships[self.offsets[host] as usize..self.offsets[host + 1] as usize]
    }

    /// The same for the auditor.
    pub(crate) fn facts(&self) -> Facts {
        let members =
            |host: usize| self.row(host).iter().map(move |group| (self.numbers[host], *group));
        let rule = |group: &Group| GroupRule {
            size: group.size,
            allowed: match group.limit {
                Limit::Share { permille } => Allowed::Permille(permille),
                Limit::Count(hosts) => Allowed::Hosts(hosts),
                Limit::Quorum => Allowed::KeepMajority,
                Limit::Unlimited => Allowed::Any,
            },
            consent: group.alone == Alone::Consents,
            canaries_capped: group.canaries == CanaryShare::Capped,
        };
        Facts {
            hosts: self.numbers.iter().copied().zip(self.strata.iter().copied()).collect(),
            members: (0..self.numbers.len()).flat_map(members).collect(),
            groups: self.groups.iter().map(rule).collect(),
        }
    }

    pub(crate) fn rows(&self, plan: &Assignment) -> Vec<Row> {
        let row = |(host, place): (&u32, &andon_rollout::groups::Place)| Row {
            host: *host,
            stratum: place.stratum,
            rank: place.rank,
            generation: u32::from(place.generation),
        };
        self.numbers.iter().zip(&plan.places).map(row).collect()
    }

    /// (group, generation, un-vouched members) of the worst moment of each group over its budget.
    pub(crate) fn over_budget(&self, plan: &Assignment, window: u16) -> Vec<(u32, u16, usize)> {
        let mut members: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
        for (host, place) in plan.places.iter().enumerate() {
            for group in self.row(host) {
                members.entry(*group).or_default().push(place.generation);
            }
        }
        let mut out = Vec::new();
        for (group, generations) in members {
            for now in 1..=u16::try_from(plan.generations()).unwrap() {
                let counts = |at: &&u16| **at <= now && **at + window > now;
                let unvouched = generations.iter().filter(counts).count();
                if unvouched > self.groups[group as usize].budget() as usize {
                    out.push((group, now, unvouched));
                }
            }
        }
        out
    }
}

pub(crate) fn key(seed: u64) -> OrderKey {
    OrderKey::new(&Digest::of(&seed.to_be_bytes()), &Digest::of(b"release"))
}

pub(crate) fn growth(first: u64, factor: u64) -> Growth {
    Growth { first, factor_permille: 1000 * factor }
}

/// `SplitMix64`: the same worlds in every run.
#[derive(Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
