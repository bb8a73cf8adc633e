//! Which sets of keys reach further than the wave that is signed: all the smallest ones, found by
//! measuring. Whatever is found wanting a key is asked again with every other key beside it, so that
//! nothing is left out: for each way of keeping one key of every known set away from a thief, a thief of
//! all the others is measured; who gets through holds a set that was not known.
//!
//! It takes for granted that a further key never costs a thief anything.
use super::lab::{Lab, LabError};
use super::line::Key;
use std::collections::{BTreeMap, BTreeSet};

/// A smallest set: how many keys of which class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Breach(pub BTreeMap<String, usize>);

/// Most sets that are written out for one thief.
const SETS_MAX: usize = 32;

/// All smallest sets of keys that reach further than the wave that is signed.
/// # Errors
/// [`LabError`].
pub fn breaches(lab: &Lab) -> Result<Vec<Breach>, LabError> {
    let mut classes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for key in lab.keys() {
        classes.entry(&key.class).or_default().push(&key.name);
    }
    let beyond = |counts: &BTreeMap<&str, usize>| {
        let names: Vec<&str> = counts
            .iter()
            .flat_map(|(class, count)| classes.get(class).into_iter().flatten().take(*count))
            .copied()
            .collect();
        lab.is_beyond(&names)
    };
    let whole: BTreeMap<&str, usize> =
        classes.iter().map(|(class, keys)| (*class, keys.len())).collect();
    let mut found: Vec<BTreeMap<&str, usize>> = Vec::new();
    'again: loop {
        for candidate in kept_away(&whole, &found) {
            if !beyond(&candidate)? {
                continue;
            }
            let mut least = candidate;
            for class in whole.keys() {
                let had = least.get(class).copied().unwrap_or(0);
                for fewer in 0..had {
                    least.insert(class, fewer);
                    if beyond(&least)? {
                        break;
                    }
                    least.insert(class, had);
                }
            }
            least.retain(|_, count| *count > 0);
            found.push(least);
            continue 'again;
        }
        break;
    }
    let own = |set: &BTreeMap<&str, usize>| {
        Breach(set.iter().map(|(class, count)| ((*class).to_owned(), *count)).collect())
    };
    let mut out: Vec<Breach> = found.iter().map(own).collect();
    out.sort();
    Ok(out)
}

/// The largest sets that hold none of the known ones.
fn kept_away<'c>(
    whole: &BTreeMap<&'c str, usize>,
    known: &[BTreeMap<&'c str, usize>],
) -> BTreeSet<BTreeMap<&'c str, usize>> {
    let mut sets = BTreeSet::from([whole.clone()]);
    for set in known {
        let mut next = BTreeSet::new();
        for before in &sets {
            for (class, count) in set {
                let mut less = before.clone();
                let cap = less.get(class).copied().unwrap_or(0).min(count - 1);
                less.insert(class, cap);
                next.insert(less);
            }
        }
        sets = next;
    }
    sets
}

/// The smallest sets of further keys with which a thief of `stolen` reaches further than the wave that
/// is signed, smallest first; none if it does already.
#[must_use]
pub fn needs_also<'k>(breaches: &[Breach], keys: &'k [Key], stolen: &[&str]) -> Vec<Vec<String>> {
    let mut out: BTreeSet<BTreeSet<&'k str>> = BTreeSet::new();
    for Breach(counts) in breaches {
        let mut sets: Vec<BTreeSet<&'k str>> = vec![BTreeSet::new()];
        for (class, count) in counts {
            let of = keys.iter().filter(|key| key.class == *class).map(|key| key.name.as_str());
            let (held, left): (Vec<&'k str>, Vec<&'k str>) = of.partition(|it| stolen.contains(it));
            let ways = choose(&left, count.saturating_sub(held.len()));
            let mut wider = Vec::new();
            for set in &sets {
                let with = |way: &Vec<&'k str>| set.iter().chain(way).copied().collect();
                wider.extend(ways.iter().map(with));
            }
            wider.truncate(SETS_MAX);
            sets = wider;
        }
        out.extend(sets);
    }
    if out.contains(&BTreeSet::new()) {
        return Vec::new();
    }
    let least = |set: &&BTreeSet<&str>| !out.iter().any(|it| it != *set && it.is_subset(set));
    let mut least: Vec<Vec<String>> = out
        .iter()
        .filter(least)
        .map(|set| set.iter().map(|name| (*name).to_owned()).collect())
        .collect();
    least.sort_by_key(|set| (set.len(), set.clone()));
    least.truncate(SETS_MAX);
    least
}

/// Every way to take `count` of these.
fn choose<'k>(from: &[&'k str], count: usize) -> Vec<Vec<&'k str>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut out = Vec::new();
    for (at, first) in from.iter().enumerate() {
        for mut rest in choose(&from[at + 1..], count - 1) {
            rest.insert(0, first);
            out.push(rest);
            if out.len() >= SETS_MAX {
                return out;
            }
        }
    }
    out
}
