//! The two questions: is the plan allowed, and is what was handed out?
use super::waves::{Handed, judge};
use super::{Facts, Finding, RolloutRules, Row};
use andon_model::Digest;
use std::collections::BTreeMap;

/// Judges a plan; nothing found: it is allowed.
#[must_use]
pub fn plan(facts: &Facts, rules: &RolloutRules, seed: &Digest, rows: &[Row]) -> Vec<Finding> {
    let mut found = Vec::new();
    if Digest::of(&seed.0) != rules.seed_committed {
        found.push(Finding::SeedMismatch);
    }
    let rows = known(facts, rows, &mut found);
    order(&rows, &mut found);
    let generation = |row: &Row| Some(row.generation);
    judge(facts, rules, &handed(&rows, generation), &mut found);
    found.sort();
    found
}

/// Judges what was handed out under a plan that is allowed: `waves` says, ticket after ticket, how
/// many hosts of each stratum were covered in all.
#[must_use]
pub fn tickets(
    facts: &Facts,
    rules: &RolloutRules,
    rows: &[Row],
    waves: &[Vec<u32>],
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut sizes: BTreeMap<u16, u32> = BTreeMap::new();
    for (_, stratum) in &facts.hosts {
        *sizes.entry(*stratum).or_default() += 1;
    }
    let mut before: &[u32] = &[];
    for (wave, generation) in waves.iter().zip(1..) {
        for (hosts, stratum) in wave.iter().zip(0..) {
            if before.get(usize::from(stratum)).is_some_and(|earlier| hosts < earlier) {
                found.push(Finding::HandedLess { generation, stratum });
            }
            if *hosts > sizes.get(&stratum).copied().unwrap_or(0) {
                found.push(Finding::HandedBeyond { generation, stratum });
            }
        }
        before = wave;
    }
    let rows = known(facts, rows, &mut found);
    let first = |row: &Row| {
        let covers = |wave: &Vec<u32>| wave.get(usize::from(row.stratum)) > Some(&row.rank);
        let at = waves.iter().position(covers)?;
        u32::try_from(at + 1).ok()
    };
    judge(facts, rules, &handed(&rows, first), &mut found);
    found.sort();
    found
}

fn handed(rows: &[Row], wave: impl Fn(&Row) -> Option<u32>) -> Vec<Handed> {
    let one = |row: &Row| Handed {
        host: row.host,
        stratum: row.stratum,
        rank: row.rank,
        wave: wave(row),
    };
    rows.iter().map(one).collect()
}

/// One row per host of the fleet, by number; what is wrong with the others.
fn known(facts: &Facts, rows: &[Row], found: &mut Vec<Finding>) -> Vec<Row> {
    let strata: BTreeMap<u32, u16> = facts.hosts.iter().copied().collect();
    let mut out: BTreeMap<u32, Row> = BTreeMap::new();
    for row in rows {
        let Some(stratum) = strata.get(&row.host) else {
            found.push(Finding::HostUnknown { host: row.host });
            continue;
        };
        if *stratum != row.stratum {
            found.push(Finding::StratumWrong { host: row.host });
        }
        if out.insert(row.host, *row).is_some() {
            found.push(Finding::HostTwice { host: row.host });
        }
    }
    for host in strata.keys().filter(|host| !out.contains_key(host)) {
        found.push(Finding::HostMissing { host: *host });
    }
    out.into_values().collect()
}

/// Every stratum's ranks are 0, 1, 2 … and no wave comes after a later one.
fn order(rows: &[Row], found: &mut Vec<Finding>) {
    let mut strata: BTreeMap<u16, Vec<(u32, u32)>> = BTreeMap::new();
    for row in rows {
        strata.entry(row.stratum).or_default().push((row.rank, row.generation));
    }
    for (stratum, mut hosts) in strata {
        hosts.sort_unstable();
        if let Some((_, rank)) = hosts.iter().zip(0..).find(|((rank, _), at)| rank != at) {
            found.push(Finding::OrderBroken { stratum, rank });
        }
        if let Some(pair) = hosts.windows(2).find(|pair| pair[0].1 > pair[1].1) {
            found.push(Finding::WaveNotPrefix { stratum, generation: pair[1].1 });
        }
    }
}
