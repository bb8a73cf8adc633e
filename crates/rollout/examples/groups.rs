//! Measures the planner of disruption budgets on a fleet of 8.5 million hosts made here. Not a test:
//! it prints seconds, generations and broken budgets, and fails when a budget was broken.
//!
//! `cargo run --release -p andon-rollout --example groups [HOSTS] [CASES]`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "figures are what this program is for")]
#![expect(clippy::disallowed_methods, reason = "a measurement needs a clock; the planner has none")]
use andon_model::{Digest, StratumId, order};
use andon_rollout::audit::{self, Allowed, Facts, GroupRule, RolloutRules, Row};
use andon_rollout::groups::{
    Alone, Assignment, CanaryShare, Fleet, Group, GroupsError, Growth, Limit, OrderKey, Place,
    Rules, assign,
};
use std::time::Instant;

const HOSTS: u32 = 8_500_000;
const STRATA: u16 = 64;
const RACK: u32 = 40;
const RACK_BUDGET: u32 = 10;
const SERVICE_MAX: f64 = 20_000.0;
const PARETO: f64 = 1.1;

/// Hosts, their strata, services and racks.
struct World {
    numbers: Vec<u32>,
    strata: Vec<u16>,
    offsets: Vec<u32>,
    memberships: Vec<u32>,
    /// members of each service, then of each rack
    sizes: Vec<u32>,
    services: usize,
}

/// One line of the table.
struct Case {
    name: &'static str,
    permille: u16,
    growth: Growth,
    alone: Alone,
    unvouched: u32,
}

fn main() -> Result<(), GroupsError> {
    let word = |at| std::env::args().nth(at).and_then(|word| word.parse::<u32>().ok());
    let world = World::new(word(1).unwrap_or(HOSTS));
    let racks = world.sizes.len() - world.services;
    println!("{} hosts, {} services, {racks} racks", world.numbers.len(), world.services);
    println!(
        "budget   first  growth  alone     w   cpu s  wall  generations  bound+4  floor  over \
         budget  90 %  99 %"
    );
    let mut broken = 0;
    for case in cases().into_iter().take(word(2).unwrap_or(u32::MAX) as usize) {
        broken += world.measure(&case)?;
    }
    world.judge_and_commit(&cases()[0])?;
    assert!(broken == 0, "{broken} budgets were broken");
    Ok(())
}

/// The contract's case first: a quarter of each service, as Kubernetes' own default has it.
fn cases() -> Vec<Case> {
    let mut out = Vec::new();
    for alone in [Alone::Consents, Alone::Last] {
        for (first, factor_permille) in [(16, 25_000), (528, 14_000)] {
            for (name, permille) in [("25 %", 250), ("10 %", 100), ("34 %", 340), ("50 %", 500)] {
                let growth = Growth { first, factor_permille };
                out.push(Case { name, permille, growth, alone, unvouched: 1 });
            }
        }
    }
    let growth = Growth { first: 16, factor_permille: 25_000 };
    out.push(Case { name: "25 %", permille: 250, growth, alone: Alone::Consents, unvouched: 4 });
    out
}

impl World {
    fn new(hosts: u32) -> World {
        let mut random = Random(3);
        let mut sizes = Vec::new();
        let mut service = Vec::with_capacity(hosts as usize);
        while service.len() < hosts as usize {
            let size = random.unit().powf(-1.0 / PARETO).floor().min(SERVICE_MAX);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "1 to 20,000"
            )]
            let size = (size as u32).min(hosts - u32::try_from(service.len()).unwrap_or(0));
            let name = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
            service.extend(std::iter::repeat_n(name, size as usize));
            sizes.push(size);
        }
        let services = sizes.len();
        let mut rack: Vec<u32> = (0..hosts).map(|host| host / RACK).collect();
        for at in (1..rack.len()).rev() {
            rack.swap(at, random.below(at as u64 + 1));
        }
        sizes.resize(services + hosts.div_ceil(RACK) as usize, RACK);
        if !hosts.is_multiple_of(RACK) {
            sizes.pop();
            sizes.push(hosts % RACK);
        }
        let mut memberships = Vec::with_capacity(2 * hosts as usize);
        for (service, rack) in service.iter().zip(&rack) {
            memberships.push(*service);
            memberships.push(u32::try_from(services).unwrap_or(u32::MAX) + rack);
        }
        // Zipf: the k-th largest stratum has a share of about 1 / k
        let harmonic: f64 = (1..=STRATA).map(|k| 1.0 / f64::from(k)).sum();
        let strata = (0..hosts).map(|_| {
            let mut left = random.unit() * harmonic;
            let past = |k: &u16| {
                left -= 1.0 / f64::from(*k);
                left < 0.0
            };
            (1..=STRATA).find(past).unwrap_or(STRATA) - 1
        });
        World {
            numbers: (1..=hosts).collect(),
            strata: strata.collect(),
            offsets: (0..=hosts).map(|host| 2 * host).collect(),
            memberships,
            sizes,
            services,
        }
    }

    fn groups(&self, case: &Case) -> Vec<Group> {
        let group = |(at, size): (usize, &u32)| Group {
            size: *size,
            limit: if at < self.services {
                Limit::Share { permille: case.permille }
            } else {
                Limit::Count(RACK_BUDGET)
            },
            alone: case.alone,
            canaries: CanaryShare::Free,
        };
        self.sizes.iter().enumerate().map(group).collect()
    }

    fn fleet<'a>(&'a self, groups: &'a [Group]) -> Fleet<'a> {
        Fleet {
            numbers: &self.numbers,
            strata: &self.strata,
            offsets: &self.offsets,
            memberships: &self.memberships,
            groups,
        }
    }

    fn plan(fleet: &Fleet<'_>, case: &Case) -> Result<Assignment, GroupsError> {
        let rules = Rules {
            unvouched_generations: case.unvouched,
            canary_share_permille: 1000,
            first_wave: vec![u32::MAX; usize::from(STRATA)],
            holdback: vec![0; usize::from(STRATA)],
        };
        let key = OrderKey::new(&Digest::of(b"seed"), &Digest::of(b"release"));
        assign(fleet, &rules, &key, &|_, handed| case.growth.total(handed))
    }

    /// The auditor's opinion of one plan, and the time it takes to commit to it.
    fn judge_and_commit(&self, case: &Case) -> Result<(), GroupsError> {
        let groups = self.groups(case);
        let plan = World::plan(&self.fleet(&groups), case)?;
        let name = |at| StratumId::new(&format!("stratum-{at:04}"));
        let strata: Result<Vec<StratumId>, _> = (0..STRATA).map(name).collect();
        let places: Vec<_> = plan.places.iter().map(|at| Some((at.stratum, at.rank))).collect();
        let before = on_cpu();
        if let Ok(Ok((signed, shards))) = strata.map(|strata| order::commit(&strata, &places)) {
            let (seconds, shards) = (on_cpu() - before, shards.len());
            println!("committed to {} in {shards} shards: {seconds:.2} cpu s", signed.root.short());
        }
        let row = |(host, at): (&u32, &Place)| Row {
            host: *host,
            stratum: at.stratum,
            rank: at.rank,
            generation: u32::from(at.generation),
        };
        let rows: Vec<Row> = self.numbers.iter().zip(&plan.places).map(row).collect();
        let before = on_cpu();
        let found = audit::plan(&self.facts(case), &audited(case), &Digest::of(b"seed"), &rows);
        println!("audited: {} findings, {:.2} cpu s", found.len(), on_cpu() - before);
        assert!(found.is_empty(), "{:?}", found.first());
        Ok(())
    }

    /// The same fleet for the auditor.
    fn facts(&self, case: &Case) -> Facts {
        let rule = |(at, size): (usize, &u32)| GroupRule {
            size: *size,
            allowed: if at < self.services {
                Allowed::Permille(case.permille)
            } else {
                Allowed::Hosts(RACK_BUDGET)
            },
            consent: case.alone == Alone::Consents,
            canaries_capped: false,
        };
        let member = |(at, group): (usize, &u32)| (self.numbers[at / 2], *group);
        Facts {
            hosts: self.numbers.iter().copied().zip(self.strata.iter().copied()).collect(),
            members: self.memberships.iter().enumerate().map(member).collect(),
            groups: self.sizes.iter().enumerate().map(rule).collect(),
        }
    }

    fn measure(&self, case: &Case) -> Result<usize, GroupsError> {
        let groups = self.groups(case);
        let fleet = self.fleet(&groups);
        let (started, before) = (Instant::now(), on_cpu());
        let plan = World::plan(&fleet, case)?;
        let (wall, seconds) = (started.elapsed().as_secs_f64(), on_cpu() - before);
        let turns = groups.iter().map(|group| group.size.div_ceil(group.budget())).max();
        // turns of one group lie as far apart as its members count as un-vouched
        let bound = (turns.unwrap_or(1) - 1) * case.unvouched + 1;
        let broken = broken(&fleet, &plan, case.unvouched as usize);
        let part = |of: f64| {
            let hosts = self.numbers.len() as f64 * of;
            let handed = |ends: &Vec<u32>| ends.iter().map(|end| f64::from(*end)).sum::<f64>();
            plan.ceilings.iter().position(|ends| handed(ends) >= hosts).map_or(0, |at| at + 1)
        };
        let alone = if case.alone == Alone::Last { "last" } else { "consents" };
        println!(
            "{:<7}{:>7}{:>8}  {alone:<9}{:>2}{seconds:>6.2}{wall:>6.2}{:>13}{:>9}{:>7}{broken:>13}{:>6}{:>6}",
            case.name,
            case.growth.first,
            case.growth.factor_permille as f64 / 1000.0,
            case.unvouched,
            plan.generations(),
            bound + 4,
            self.floor(case),
            part(0.9),
            part(0.99),
        );
        Ok(broken)
    }

    /// Fewer generations than this no plan can have, whatever its order: what the growth law and all
    /// racks together leave room for.
    fn floor(&self, case: &Case) -> usize {
        let hosts = self.numbers.len() as u64;
        let racks = (self.sizes.len() - self.services) as u64 * u64::from(RACK_BUDGET);
        let (mut handed, mut generations) = (0, 0);
        while handed < hosts {
            generations += 1;
            handed = case.growth.total(handed).min(handed + racks).min(hosts);
        }
        generations
    }
}

fn audited(case: &Case) -> RolloutRules {
    RolloutRules {
        first_wave_max: case.growth.first,
        growth_max_permille: case.growth.factor_permille,
        canary_share_permille: 1000,
        unvouched_generations: case.unvouched,
        holdback: vec![],
        seed_committed: Digest::of(&Digest::of(b"seed").0),
    }
}

/// Seconds this process has spent on a processor: what a shared machine does not distort as much
/// as it does the clock on the wall.
fn on_cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
    nanoseconds / 1e9
}

/// Counted again from the plan alone: (group, generation) pairs over the group's budget.
fn broken(fleet: &Fleet<'_>, plan: &Assignment, window: usize) -> usize {
    let mut pairs: Vec<u64> = Vec::with_capacity(fleet.memberships.len());
    for (host, place) in plan.places.iter().enumerate() {
        for group in
            &fleet.memberships[fleet.offsets[host] as usize..fleet.offsets[host + 1] as usize]
        {
            for at in 0..window {
                pairs.push(u64::from(*group) << 32 | (u64::from(place.generation) + at as u64));
            }
        }
    }
    pairs.sort_unstable();
    let over = |run: &&[u64]| {
        let group = fleet.groups[(run[0] >> 32) as usize];
        run.len() > group.budget() as usize
    };
    pairs.chunk_by(|a, b| a == b).filter(over).count()
}

/// `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014): the same world on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Within (0, 1].
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, end: u64) -> usize {
        usize::try_from((u128::from(self.next()) * u128::from(end)) >> 64).unwrap_or(0)
    }
}
