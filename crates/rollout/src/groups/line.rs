//! The order of one operator's line: from the hosts' groups and the policy's budgets to what a plan
//! binds ([`GroupOrder`]), judged by the auditor before anybody uses it. Deterministic: whoever has the
//! plan and the hosts in order of enrolment gets the same root. Not the serving of its shards.
use super::{Alone, Assignment, CanaryShare, Fleet, Group, GroupsError, Growth, Limit, OrderKey};
use super::{Rules, assign};
use crate::audit::{self, Allowed, Facts, Finding, GroupRule, RolloutRules, Row};
use crate::plan::{GroupOrder, Plan};
use andon_model::budget::{BudgetLimit, GroupBudget};
use andon_model::limits::{GENERATIONS_MAX, UNVOUCHED_GENERATIONS_MAX};
use andon_model::order::{self, ShardError};
use andon_model::{Digest, GroupId, Millis, StratumId};
use std::collections::BTreeMap;

/// Most of a first wave in one group whose canaries are capped, in thousandths, at least one host: a
/// tenth, so that a fault of ten tenants' shared part is not one tenant's alone.
pub const CANARY_SHARE_PERMILLE: u16 = 100;

/// A host of the line, in order of enrolment.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    /// index of its stratum in the plan; `None`: the plan leaves it out
    pub stratum: Option<u16>,
    /// the groups it names
    pub groups: &'a [GroupId],
}

/// A line's order, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineOrder {
    /// what the plan binds
    pub order: GroupOrder,
    /// every host's place, in order of enrolment; `None`: it has none
    pub places: Vec<Option<order::Place>>,
}

/// Why a line has no order that keeps its budgets.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// the planner cannot
    #[error("plan the groups' budgets: {names}")]
    Plan {
        /// groups by index, for the reader of the source
        names: String,
        /// why
        #[source]
        why: GroupsError,
    },
    /// the auditor found the planner's work wanting
    #[error("the auditor finds fault with the groups' plan: {0}")]
    Audit(String),
    /// too many hosts or strata
    #[error("commit to the order")]
    Commit(#[source] ShardError),
}

impl GroupOrder {
    /// Whether it fits the strata of a plan: (size, holdback) each.
    #[must_use]
    pub(crate) fn fits(&self, plan: &Plan) -> bool {
        let sizes: Vec<u32> = plan.strata.iter().map(|stratum| stratum.size).collect();
        let wide = self.generations.iter().all(|ends| ends.len() == sizes.len());
        let rising = |pair: &[Vec<u32>]| pair[0].iter().zip(&pair[1]).all(|(a, b)| a <= b);
        let total = |ends: &Vec<u32>| ends.iter().map(|hosts| u64::from(*hosts)).sum::<u64>();
        let first = self.generations.first().map(total);
        wide && (1..=GENERATIONS_MAX).contains(&self.generations.len())
            && self.generations.windows(2).all(rising)
            && self.generations.last() == Some(&sizes)
            && first.is_some_and(|first| (1..=u64::from(plan.first_wave_max)).contains(&first))
            && (1..=UNVOUCHED_GENERATIONS_MAX).contains(&self.unvouched_generations)
    }
}

/// The order of a plan's hosts under these budgets, audited; `None`: no host is in a group that has one.
/// # Errors
/// [`OrderError`].
pub fn line_order(
    plan: &Plan,
    budgets: &[GroupBudget],
    seats: &[Seat<'_>],
) -> Result<Option<LineOrder>, OrderError> {
    let columns = Columns::new(budgets, seats);
    if columns.memberships.is_empty() {
        return Ok(None);
    }
    let unvouched_generations = unvouched_generations(plan);
    let first_wave = plan.first_wave(plan.earliest());
    let first: u64 = first_wave.iter().map(|hosts| u64::from(*hosts)).sum();
    let growth = Growth { first, factor_permille: plan.growth_max_permille };
    let rules = Rules {
        unvouched_generations,
        canary_share_permille: CANARY_SHARE_PERMILLE,
        first_wave,
        holdback: plan.strata.iter().map(|stratum| stratum.holdback).collect(),
    };
    let key = OrderKey::new(&plan.seed, &plan.release);
    let assigned = assign(&columns.fleet(), &rules, &key, &|_, handed| growth.total(handed));
    let assigned = assigned.map_err(|why| OrderError::Plan { names: named(budgets, &why), why })?;
    columns.audit(plan, growth, &rules, &assigned, budgets)?;
    let mut places = vec![None; seats.len()];
    for (number, place) in columns.numbers.iter().zip(&assigned.places) {
        places[*number as usize - 1] = Some((place.stratum, place.rank));
    }
    let strata = strata(plan);
    let (commitment, _) = order::commit(&strata, &places).map_err(OrderError::Commit)?;
    let order = GroupOrder {
        commitment,
        budgets: budgets.to_vec(),
        unvouched_generations,
        generations: assigned.ceilings,
    };
    Ok(Some(LineOrder { order, places }))
}

/// The names of a plan's strata, in its order: what shards list.
#[must_use]
pub fn strata(plan: &Plan) -> Vec<StratumId> {
    plan.strata.iter().map(|stratum| stratum.stratum.clone()).collect()
}

/// ⌈(longest horizon + window) / generation⌉, clamped to its limit: where that binds the machine's
/// clock makes up for it.
fn unvouched_generations(plan: &Plan) -> u32 {
    let longest = plan.budget.last().map_or(Millis::ZERO, |point| point.0);
    let whole = longest.plus(plan.timing.window).0;
    let generations = whole.div_ceil(plan.generation().0.max(1));
    u32::try_from(generations).unwrap_or(u32::MAX).clamp(1, UNVOUCHED_GENERATIONS_MAX)
}

/// The planner's error speaks of groups by index.
fn named(budgets: &[GroupBudget], why: &GroupsError) -> String {
    let group = match why {
        GroupsError::Group { group, .. }
        | GroupsError::GroupTwice { group, .. }
        | GroupsError::GroupSize { group, .. } => budgets.get(*group as usize),
        _ => None,
    };
    group.map_or_else(|| "all of them".to_owned(), |budget| format!("group {}", budget.group))
}

/// The line's hosts as the planner reads them.
struct Columns {
    numbers: Vec<u32>,
    strata: Vec<u16>,
    offsets: Vec<u32>,
    memberships: Vec<u32>,
    groups: Vec<Group>,
}

impl Columns {
    fn new(budgets: &[GroupBudget], seats: &[Seat<'_>]) -> Columns {
        let named = budgets.iter().map(|budget| &budget.group).zip(0_u32..);
        let index: BTreeMap<&GroupId, u32> = named.collect();
        let mut sizes = vec![0_u32; budgets.len()];
        let mut out = Columns {
            numbers: vec![],
            strata: vec![],
            offsets: vec![0],
            memberships: vec![],
            groups: vec![],
        };
        for (seat, number) in seats.iter().zip(1_u32..) {
            let of: Vec<u32> = seat.groups.iter().filter_map(|g| index.get(g).copied()).collect();
            // Who is left out of the plan is a member all the same: it is up.
            of.iter().for_each(|group| sizes[*group as usize] += 1);
            let Some(stratum) = seat.stratum else { continue };
            out.numbers.push(number);
            out.strata.push(stratum);
            out.memberships.extend(of);
            out.offsets.push(u32::try_from(out.memberships.len()).unwrap_or(u32::MAX));
        }
        out.groups = budgets.iter().zip(sizes).map(|(budget, here)| group(budget, here)).collect();
        out
    }

    fn fleet(&self) -> Fleet<'_> {
        Fleet {
            numbers: &self.numbers,
            strata: &self.strata,
            offsets: &self.offsets,
            memberships: &self.memberships,
            groups: &self.groups,
        }
    }

    /// Asks the auditor, in its own words.
    fn audit(
        &self,
        plan: &Plan,
        growth: Growth,
        rules: &Rules,
        assigned: &Assignment,
        budgets: &[GroupBudget],
    ) -> Result<(), OrderError> {
        let members = self.numbers.iter().zip(self.offsets.windows(2)).flat_map(|(host, ends)| {
            let row = &self.memberships[ends[0] as usize..ends[1] as usize];
            row.iter().map(|group| (*host, *group))
        });
        let rule = |(budget, group): (&GroupBudget, &Group)| GroupRule {
            size: group.size,
            allowed: match budget.limit {
                BudgetLimit::Share(permille) => Allowed::Permille(permille),
                BudgetLimit::Count(hosts) => Allowed::Hosts(hosts),
                BudgetLimit::Quorum => Allowed::KeepMajority,
            },
            consent: budget.alone_consents,
            canaries_capped: budget.canaries_capped,
        };
        let facts = Facts {
            hosts: self.numbers.iter().copied().zip(self.strata.iter().copied()).collect(),
            members: members.collect(),
            groups: budgets.iter().zip(&self.groups).map(rule).collect(),
        };
        let rules = RolloutRules {
            first_wave_max: growth.first,
            growth_max_permille: growth.factor_permille,
            canary_share_permille: rules.canary_share_permille,
            unvouched_generations: rules.unvouched_generations,
            holdback: rules.holdback.clone(),
            seed_committed: Digest::of(&plan.seed.0),
        };
        let row = |(host, place): (&u32, &super::Place)| Row {
            host: *host,
            stratum: place.stratum,
            rank: place.rank,
            generation: u32::from(place.generation),
        };
        let rows: Vec<Row> = self.numbers.iter().zip(&assigned.places).map(row).collect();
        match audit::plan(&facts, &rules, &plan.seed, &rows).first() {
            None => Ok(()),
            Some(finding) => Err(OrderError::Audit(said(finding, budgets))),
        }
    }
}

/// A finding with the group's name.
fn said(finding: &Finding, budgets: &[GroupBudget]) -> String {
    let name = match finding {
        Finding::BudgetExceeded { group, .. }
        | Finding::CanaryShareExceeded { group, .. }
        | Finding::GroupUnknown { group } => budgets.get(*group as usize),
        _ => None,
    };
    let name = name.map(|budget| format!(" (group {})", budget.group)).unwrap_or_default();
    format!("{finding:?}{name}")
}

fn group(budget: &GroupBudget, here: u32) -> Group {
    Group {
        size: budget.size.unwrap_or(here),
        limit: match budget.limit {
            BudgetLimit::Share(permille) => Limit::Share { permille },
            BudgetLimit::Count(hosts) => Limit::Count(hosts),
            BudgetLimit::Quorum => Limit::Quorum,
        },
        alone: if budget.alone_consents { Alone::Consents } else { Alone::Last },
        canaries: if budget.canaries_capped { CanaryShare::Capped } else { CanaryShare::Free },
    }
}
