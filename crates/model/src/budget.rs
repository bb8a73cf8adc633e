//! Disruption budgets of groups, as an operator's policy says them: how many members of a service, a
//! quorum or a rack may be un-vouched at once. Not the planning: that is `andon_rollout::groups`.
use crate::id::GroupId;
use crate::limits::{GROUP_BUDGETS_MAX, HOSTS_MAX};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One group's budget. It holds in every lane: it is a no, not a matter of pace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupBudget {
    /// whose
    pub group: GroupId,
    /// how many members
    pub limit: BudgetLimit,
    /// the owner of an only member lets it go before the others
    #[serde(default, skip_serializing_if = "is_false")]
    pub alone_consents: bool,
    /// the group's share of the first wave is bounded: a tenant, a site
    #[serde(default, skip_serializing_if = "is_false")]
    pub canaries_capped: bool,
    /// members in all, when some are outside this fleet; `None`: as many as have enrolled
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
}

/// How many members of a group may be un-vouched at once; never less than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetLimit {
    /// this share of them, rounded down, in thousandths
    Share(u16),
    /// so many
    Count(u32),
    /// as many as leave a majority
    Quorum,
}

/// Why budgets make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// over [`GROUP_BUDGETS_MAX`]
    #[error("policy has budgets of {0} groups; {GROUP_BUDGETS_MAX} are allowed")]
    TooMany(usize),
    /// one group, two budgets
    #[error("group {0} has two budgets")]
    Twice(GroupId),
    /// a value outside its range
    #[error("budget of group {0}: {1}")]
    Value(GroupId, &'static str),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_false(it: &bool) -> bool {
    !*it
}

/// Whether budgets are within their limits.
/// # Errors
/// [`BudgetError`] naming the first that is not.
pub fn check(budgets: &[GroupBudget]) -> Result<(), BudgetError> {
    if budgets.len() > GROUP_BUDGETS_MAX {
        return Err(BudgetError::TooMany(budgets.len()));
    }
    let mut known = BTreeSet::new();
    for budget in budgets {
        let wrong = |problem| Err(BudgetError::Value(budget.group.clone(), problem));
        if !known.insert(&budget.group) {
            return Err(BudgetError::Twice(budget.group.clone()));
        }
        match budget.limit {
            BudgetLimit::Share(permille) if !(1..=1000).contains(&permille) => {
                return wrong("its share is not within 1 to 1000 thousandths");
            }
            BudgetLimit::Count(0) => return wrong("its count is 0"),
            _ => {}
        }
        if budget.size.is_some_and(|size| size == 0 || u64::from(size) > HOSTS_MAX) {
            return wrong("its size is 0 or over the most hosts of a line");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(name: &str, limit: BudgetLimit) -> GroupBudget {
        let group = GroupId::new(name).unwrap();
        GroupBudget { group, limit, alone_consents: false, canaries_capped: false, size: None }
    }

    #[test]
    fn budgets_that_make_no_sense_are_refused_by_name() {
        let share = |permille| budget("shop", BudgetLimit::Share(permille));
        let sized = |size| GroupBudget { size: Some(size), ..share(250) };
        let many = |n| (0..n).map(|n| budget(&format!("g{n}"), BudgetLimit::Quorum)).collect();
        for (budgets, said) in [
            (vec![share(250), share(500)], Some("group shop has two budgets")),
            (vec![share(0)], Some("budget of group shop: its share is not within")),
            (vec![share(1001)], Some("budget of group shop: its share is not within")),
            (vec![budget("db", BudgetLimit::Count(0))], Some("budget of group db: its count is 0")),
            (vec![sized(0)], Some("budget of group shop: its size is 0")),
            (vec![sized(u32::MAX)], Some("budget of group shop: its size is 0 or over")),
            (many(GROUP_BUDGETS_MAX + 1), Some("policy has budgets of")),
            (many(GROUP_BUDGETS_MAX), None),
            (vec![share(1), budget("db", BudgetLimit::Count(1)), sized(1)], Some("two budgets")),
            (vec![share(1000), budget("db", BudgetLimit::Count(1))], None),
        ] {
            let told = check(&budgets).map_err(|why| why.to_string());
            let fits = match (&told, said) {
                (Ok(()), None) => true,
                (Err(why), Some(said)) => why.contains(said),
                _ => false,
            };
            assert!(fits, "{told:?} for {said:?}");
        }
    }

    #[test]
    fn a_budget_is_written_as_people_would_say_it() {
        let text = |budget: &GroupBudget| serde_json::to_string(budget).unwrap();
        let shop = budget("shop", BudgetLimit::Share(250));
        assert_eq!(text(&shop), r#"{"group":"shop","limit":{"share":250}}"#);
        let db = GroupBudget { size: Some(5), ..budget("db", BudgetLimit::Quorum) };
        assert_eq!(text(&db), r#"{"group":"db","limit":"quorum","size":5}"#);
        assert_eq!(serde_json::from_str::<GroupBudget>(&text(&db)).unwrap(), db);
        assert!(serde_json::from_str::<GroupBudget>(r#"{"group":"db","limit":"none"}"#).is_err());
    }
}
