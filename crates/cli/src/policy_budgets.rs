//! Disruption budgets of groups, as people write them in `policy.toml`: `[[rules.budget]]`. What they
//! do is [`andon_rollout::groups`]'s.
use andon_model::GroupId;
use andon_model::budget::{BudgetLimit, GroupBudget};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One group's budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetForm {
    group: GroupId,
    limit: LimitText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alone_consents: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    canaries_capped: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u32>,
}

impl BudgetForm {
    /// The budget that this form asks for.
    pub(crate) fn budget(&self) -> GroupBudget {
        GroupBudget {
            group: self.group.clone(),
            limit: self.limit.0,
            alone_consents: self.alone_consents.unwrap_or_default(),
            canaries_capped: self.canaries_capped.unwrap_or_default(),
            size: self.size,
        }
    }
}

/// The budgets in sentences, for `andon policy show`.
pub(crate) fn words(budgets: &[GroupBudget]) -> Vec<String> {
    let say = |it: &GroupBudget| {
        let limit = match it.limit {
            BudgetLimit::Share(_) => format!("at most {} of its members", LimitText(it.limit)),
            BudgetLimit::Count(hosts) => format!("at most {hosts} members"),
            BudgetLimit::Quorum => "always less than half of its members".to_owned(),
        };
        let size = it.size.map(|size| format!("; it has {size} in all")).unwrap_or_default();
        let alone = if it.alone_consents { "; an only member need not go last" } else { "" };
        let canaries =
            if it.canaries_capped { "; its share of the canaries is capped" } else { "" };
        format!("{}: {limit} unproven at once{size}{alone}{canaries}", it.group)
    };
    budgets.iter().map(say).collect()
}

/// How many, as `25 %`, `2` or `quorum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct LimitText(BudgetLimit);

/// Why a text is no limit.
#[derive(Debug, thiserror::Error)]
#[error("budget {0:?} is no share (\"25 %\"), number of hosts (\"2\") or \"quorum\"")]
struct LimitError(String);

impl FromStr for LimitText {
    type Err = LimitError;
    fn from_str(text: &str) -> Result<LimitText, LimitError> {
        let wrong = || LimitError(text.chars().take(40).collect());
        let trimmed = text.trim();
        if trimmed == "quorum" {
            return Ok(LimitText(BudgetLimit::Quorum));
        }
        let Some(percent) = trimmed.strip_suffix('%') else {
            let hosts = trimmed.parse().map_err(|_| wrong())?;
            return Ok(LimitText(BudgetLimit::Count(hosts)));
        };
        let percent = percent.trim();
        let (whole, tenth) = percent.split_once('.').unwrap_or((percent, "0"));
        if tenth.len() != 1 {
            return Err(wrong());
        }
        let whole: u16 = whole.parse().map_err(|_| wrong())?;
        let tenth: u16 = tenth.parse().map_err(|_| wrong())?;
        let permille = whole.checked_mul(10).and_then(|permille| permille.checked_add(tenth));
        permille.map(|permille| LimitText(BudgetLimit::Share(permille))).ok_or_else(wrong)
    }
}

impl fmt::Display for LimitText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            BudgetLimit::Share(permille) if permille % 10 == 0 => write!(f, "{} %", permille / 10),
            BudgetLimit::Share(permille) => write!(f, "{}.{} %", permille / 10, permille % 10),
            BudgetLimit::Count(hosts) => write!(f, "{hosts}"),
            BudgetLimit::Quorum => f.write_str("quorum"),
        }
    }
}

impl TryFrom<String> for LimitText {
    type Error = LimitError;
    fn try_from(text: String) -> Result<LimitText, LimitError> {
        text.parse()
    }
}

impl From<LimitText> for String {
    fn from(it: LimitText) -> String {
        it.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_as_they_are_written() {
        for (text, limit) in [
            ("25 %", Some(BudgetLimit::Share(250))),
            ("2.5 %", Some(BudgetLimit::Share(25))),
            ("2", Some(BudgetLimit::Count(2))),
            ("quorum", Some(BudgetLimit::Quorum)),
            ("half", None),
            ("2.55 %", None),
            ("99999 %", None),
            ("-1", None),
            ("", None),
        ] {
            let read = text.parse::<LimitText>().ok();
            assert_eq!(read.map(|it| it.0), limit, "{text}");
            if let Some(read) = read {
                assert_eq!(read.to_string(), text);
            }
        }
    }
}
