//! What any sequence of waves must keep to, planned or handed out.
use super::{Allowed, Facts, Finding, GroupRule, RolloutRules};
use std::collections::{BTreeMap, BTreeSet};

/// A host and the wave that covers it first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handed {
    pub(super) host: u32,
    pub(super) stratum: u16,
    pub(super) rank: u32,
    /// from 1; `None`: not yet
    pub(super) wave: Option<u32>,
}

/// A wave later than any: the host is not handed yet.
const NOT_YET: u32 = u32::MAX;

pub(super) fn judge(
    facts: &Facts,
    rules: &RolloutRules,
    hosts: &[Handed],
    found: &mut Vec<Finding>,
) {
    growth(rules, hosts, found);
    let waves: BTreeMap<u32, u32> =
        hosts.iter().filter_map(|host| Some((host.host, host.wave?))).collect();
    let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (host, group) in &facts.members {
        if let Some(wave) = waves.get(host) {
            members.entry(*group).or_default().push(*wave);
        }
    }
    let canaries = waves.values().filter(|wave| **wave == 1).count() as u64;
    for (group, mut waves) in members {
        let Some(rule) = facts.groups.get(group as usize) else {
            found.push(Finding::GroupUnknown { group });
            continue;
        };
        waves.sort_unstable();
        share(rules, group, rule, &waves, canaries, found);
        budget(rules, group, rule, &waves, found);
    }
    last(facts, rules, hosts, found);
}

fn growth(rules: &RolloutRules, hosts: &[Handed], found: &mut Vec<Finding>) {
    let mut sizes: BTreeMap<u32, u64> = BTreeMap::new();
    for wave in hosts.iter().filter_map(|host| host.wave) {
        *sizes.entry(wave).or_default() += 1;
    }
    let mut before = 0_u64;
    for (generation, size) in sizes {
        let hosts = before + size;
        if before == 0 {
            let allowed = rules.first_wave_max;
            if hosts > allowed {
                found.push(Finding::FirstWaveTooLarge { hosts, allowed });
            }
        } else {
            let allowed = u128::from(before) * u128::from(rules.growth_max_permille) / 1000;
            let allowed = u64::try_from(allowed).unwrap_or(u64::MAX);
            if hosts > allowed {
                found.push(Finding::GrowthExceeded { generation, hosts, allowed });
            }
        }
        before = hosts;
    }
}

fn share(
    rules: &RolloutRules,
    group: u32,
    rule: &GroupRule,
    waves: &[u32],
    canaries: u64,
    found: &mut Vec<Finding>,
) {
    let hosts = waves.iter().filter(|wave| **wave == 1).count() as u64;
    let part = u128::from(canaries) * u128::from(rules.canary_share_permille);
    let allowed = u64::try_from(part.div_ceil(1000)).unwrap_or(u64::MAX).max(1);
    if rule.canaries_capped && hosts > allowed {
        found.push(Finding::CanaryShareExceeded { group, hosts, allowed });
    }
}

/// `waves` of the members, sorted: between the first and the last wave that count at one moment lie
/// fewer than the window; the longest such stretch is the most members un-vouched at once.
fn budget(
    rules: &RolloutRules,
    group: u32,
    rule: &GroupRule,
    waves: &[u32],
    found: &mut Vec<Finding>,
) {
    let allowed = most(rule);
    let mut oldest = 0;
    for (at, generation) in waves.iter().enumerate() {
        while generation - waves[oldest] >= rules.unvouched_generations {
            oldest += 1;
        }
        let last_of_wave = waves.get(at + 1) != Some(generation);
        let hosts = (at + 1 - oldest) as u64;
        if last_of_wave && hosts > allowed {
            found.push(Finding::BudgetExceeded { group, generation: *generation, hosts, allowed });
            return;
        }
    }
}

fn most(rule: &GroupRule) -> u64 {
    let size = u64::from(rule.size);
    let most = match rule.allowed {
        Allowed::Permille(share) => size * u64::from(share) / 1000,
        Allowed::Hosts(hosts) => u64::from(hosts),
        // the fewest that are more than half must stay: ⌊m / 2⌋ + 1
        Allowed::KeepMajority => size.saturating_sub(size / 2 + 1),
        Allowed::Any => u64::MAX,
    };
    most.max(1)
}

/// Only members after everybody who is not; the holdback after everybody else.
fn last(facts: &Facts, rules: &RolloutRules, hosts: &[Handed], found: &mut Vec<Finding>) {
    let alone = |group: u32| {
        let rule = facts.groups.get(group as usize);
        rule.is_some_and(|rule| rule.size <= 1 && !rule.consent && rule.allowed != Allowed::Any)
    };
    let waiting: BTreeSet<u32> =
        facts.members.iter().filter(|(_, group)| alone(*group)).map(|(host, _)| *host).collect();
    let mut sizes: BTreeMap<u16, u32> = BTreeMap::new();
    for (_, stratum) in &facts.hosts {
        *sizes.entry(*stratum).or_default() += 1;
    }
    let held = |host: &&Handed| {
        let size = sizes.get(&host.stratum).copied().unwrap_or(0);
        let holdback = rules.holdback.get(usize::from(host.stratum)).copied().unwrap_or(0);
        host.rank >= size.saturating_sub(holdback)
    };
    let wave = |host: &Handed| host.wave.unwrap_or(NOT_YET);
    let open = || hosts.iter().filter(|host| !held(host));
    let others = open().filter(|host| !waiting.contains(&host.host)).map(wave).max().unwrap_or(0);
    for host in open().filter(|host| waiting.contains(&host.host)) {
        if let Some(generation) = host.wave.filter(|wave| *wave <= others) {
            found.push(Finding::OnlyMemberEarly { host: host.host, generation });
        }
    }
    let everybody = open().map(wave).max().unwrap_or(0);
    let mut early: BTreeMap<u16, u32> = BTreeMap::new();
    for host in hosts.iter().filter(held) {
        if let Some(wave) = host.wave.filter(|wave| *wave <= everybody) {
            let first = early.entry(host.stratum).or_insert(wave);
            *first = wave.min(*first);
        }
    }
    for (stratum, generation) in early {
        found.push(Finding::HoldbackEarly { stratum, generation });
    }
}
