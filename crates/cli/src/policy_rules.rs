//! Rules on who may take what when, as people write them in `policy.toml`: rings, windows, holds, pins,
//! one behind; budgets of groups have their own file. What they do is [`andon_model::eligible`]'s.
use crate::policy_budgets::BudgetForm;
use crate::span::Span;
use andon_model::budget::GroupBudget;
use andon_model::eligible::{Behind, Hold, KindRules, Pin, Ring, Rules, Weekly, WindowRule};
use andon_model::release::{ComponentKind, Version};
use andon_model::{ComponentId, GroupId, Millis, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A ring: a group that begins later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RingForm {
    group: GroupId,
    after: Span,
}

/// A maintenance window that comes back every week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<GroupId>,
    opens: WeekMinute,
    open_for: Span,
}

/// Nothing new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<GroupId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    component: Option<ComponentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Moment>,
}

/// One version and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PinForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<GroupId>,
    component: ComponentId,
    version: Version,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Moment>,
}

/// Never the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BehindForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<GroupId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    component: Option<ComponentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Moment>,
}

/// All of them; part of the policy form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RulesForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delay: Option<Span>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ring: Vec<RingForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    window: Vec<WindowForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hold: Vec<HoldForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pin: Vec<PinForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    behind: Vec<BehindForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    budget: Vec<BudgetForm>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    kind: BTreeMap<ComponentKind, KindForm>,
}

/// The same for components of one kind; budgets count hosts, whatever the kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KindForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delay: Option<Span>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ring: Vec<RingForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    window: Vec<WindowForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hold: Vec<HoldForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pin: Vec<PinForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    behind: Vec<BehindForm>,
}

/// What stands above the rules in `policy.toml`.
pub(crate) const COMMENT: &str = "
# Who may take what when. Hosts name their groups in host.toml; without `group` a rule is for all.
# Rings and windows are a matter of pace: the emergency lane ignores them. Holds, pins and `behind` are
# a no: nothing overrides them; nor a budget, which says how many members of a group may have been
# handed a release and not be proven yet. For example:
#   [[rules.ring]]
#   group = \"hospital\"
#   after = \"24h\"
#   [[rules.window]]
#   group = \"till\"
#   opens = \"sun 02:00\"   # UTC
#   open_for = \"4h\"
#   [[rules.hold]]
#   group = \"till\"
#   until = \"2026-12-27T00:00:00Z\"
#   [[rules.pin]]
#   group = \"lab\"
#   component = \"rules\"
#   version = 41
#   [[rules.behind]]
#   group = \"hospital\"
#   component = \"rules\"
#   [[rules.budget]]
#   group = \"ward-3\"
#   limit = \"25 %\"          # or a number of hosts, or \"quorum\"
# For components of one kind (content, service, files): the same below [rules.kind.NAME], but for
# budgets. `delay` is a ring for every host; a hold is \"pause\", taking it out is \"allow\".
#   [rules.kind.service]
#   delay = \"24h\"
#   [[rules.kind.content.hold]]
#   group = \"hospital\"";

/// Rules as people write them, of one table.
struct Written<'f> {
    delay: Option<Span>,
    ring: &'f [RingForm],
    window: &'f [WindowForm],
    hold: &'f [HoldForm],
    pin: &'f [PinForm],
    behind: &'f [BehindForm],
}

impl Written<'_> {
    fn rules(&self) -> Rules {
        let until = |until: Option<Moment>| until.map(|moment| moment.0);
        let ring = |ring: &RingForm| Ring { group: ring.group.clone(), after: ring.after.0 };
        let window = |window: &WindowForm| WindowRule {
            group: window.group.clone(),
            weekly: Weekly {
                opens_minute: window.opens.0,
                open_minutes: u32::try_from(window.open_for.0.0 / 60_000).unwrap_or(u32::MAX),
            },
        };
        let hold = |hold: &HoldForm| Hold {
            group: hold.group.clone(),
            component: hold.component.clone(),
            until: until(hold.until),
        };
        let pin = |pin: &PinForm| Pin {
            group: pin.group.clone(),
            component: pin.component.clone(),
            version: pin.version,
            until: until(pin.until),
        };
        let behind = |behind: &BehindForm| Behind {
            group: behind.group.clone(),
            component: behind.component.clone(),
            until: until(behind.until),
        };
        Rules {
            rings: self.ring.iter().map(ring).collect(),
            windows: self.window.iter().map(window).collect(),
            holds: self.hold.iter().map(hold).collect(),
            pins: self.pin.iter().map(pin).collect(),
            behind: self.behind.iter().map(behind).collect(),
            delay: self.delay.map_or(Millis::ZERO, |delay| delay.0),
            kinds: Vec::new(),
        }
    }
}

impl KindForm {
    fn rules(&self) -> Rules {
        let KindForm { delay, ring, window, hold, pin, behind } = self;
        Written { delay: *delay, ring, window, hold, pin, behind }.rules()
    }
}

impl RulesForm {
    /// The rules that this form asks for.
    pub(crate) fn rules(&self) -> Rules {
        let RulesForm { delay, ring, window, hold, pin, behind, .. } = self;
        let all = Written { delay: *delay, ring, window, hold, pin, behind }.rules();
        let of = |(kind, form): (&ComponentKind, &KindForm)| KindRules {
            kind: *kind,
            rules: form.rules(),
        };
        Rules { kinds: self.kind.iter().map(of).collect(), ..all }
    }

    /// The budgets that this form asks for.
    pub(crate) fn budgets(&self) -> Vec<GroupBudget> {
        self.budget.iter().map(BudgetForm::budget).collect()
    }
}

impl RulesForm {
    /// As tables of `policy.toml`.
    pub(crate) fn write(&self) -> String {
        #[derive(Serialize)]
        struct Tables<'a> {
            rules: &'a RulesForm,
        }
        toml::to_string(&Tables { rules: self }).unwrap_or_default().replace("[rules]\n", "")
    }
}

/// The rules in sentences, for `andon policy show`.
pub(crate) fn words(rules: &Rules) -> Vec<String> {
    let mut words = words_of(rules, "");
    for of in &rules.kinds {
        words.extend(words_of(&of.rules, &format!("{}: ", kind_word(of.kind))));
    }
    words
}

pub(crate) fn kind_word(kind: ComponentKind) -> String {
    let word = serde_json::to_value(kind).ok();
    word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn words_of(rules: &Rules, of: &str) -> Vec<String> {
    let whose = |group: &Option<GroupId>| match group {
        Some(group) => group.to_string(),
        None => "every host".to_owned(),
    };
    let ends = |until: &Option<Time>| until.map(|at| format!(", until {at}")).unwrap_or_default();
    let delay = (rules.delay > Millis::ZERO)
        .then(|| format!("every host: begins {} after the start", Span(rules.delay)));
    let rings = rules.rings.iter();
    let rings = rings.map(|it| format!("{}: begins {} after the start", it.group, Span(it.after)));
    let windows = rules.windows.iter().map(|it| {
        let (opens, open) = (WeekMinute(it.weekly.opens_minute), it.weekly.open_minutes);
        let open = Span(Millis(u64::from(open) * 60_000));
        format!("{}: changes from {opens} UTC for {open}", whose(&it.group))
    });
    let holds = rules.holds.iter().map(|it| {
        let what = it.component.as_ref().map_or("nothing".to_owned(), |of| format!("no {of}"));
        format!("{}: {what} new{}", whose(&it.group), ends(&it.until))
    });
    let pins = rules.pins.iter().map(|it| {
        let who = whose(&it.group);
        format!("{who}: {} {} and no other{}", it.component, it.version, ends(&it.until))
    });
    let behind = rules.behind.iter().map(|it| {
        let what = it.component.as_ref().map_or("version".to_owned(), ToString::to_string);
        format!("{}: never the newest {what}{}", whose(&it.group), ends(&it.until))
    });
    let all = delay.into_iter().chain(rings).chain(windows).chain(holds).chain(pins).chain(behind);
    all.map(|words| format!("{of}{words}")).collect()
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A minute of the week, as `sun 02:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct WeekMinute(u32);

/// Why a text is no moment.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not {1}")]
pub(crate) struct MomentError(String, &'static str);

impl FromStr for WeekMinute {
    type Err = MomentError;
    fn from_str(text: &str) -> Result<WeekMinute, MomentError> {
        let read = || {
            let (day, clock) = text.trim().split_once(' ')?;
            let day = DAYS.iter().position(|name| *name == day)?;
            let (hour, minute) = clock.split_once(':')?;
            let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour < 24 && minute < 60).then_some(())?;
            Some(WeekMinute(u32::try_from(day).ok()? * 1440 + hour * 60 + minute))
        };
        let wrong = || {
            let text = text.chars().take(40).collect();
            MomentError(text, "a day and a time, for example \"sun 02:00\" (UTC)")
        };
        read().ok_or_else(wrong)
    }
}

impl fmt::Display for WeekMinute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = DAYS[(self.0 / 1440 % 7) as usize];
        write!(f, "{day} {:02}:{:02}", self.0 / 60 % 24, self.0 % 60)
    }
}

/// A moment, as RFC 3339 writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Moment(pub(crate) Time);

impl FromStr for Moment {
    type Err = MomentError;
    fn from_str(text: &str) -> Result<Moment, MomentError> {
        let at = text.parse::<jiff::Timestamp>().ok();
        let at = at.and_then(|at| u64::try_from(at.as_millisecond()).ok());
        let wrong = || {
            let text = text.chars().take(40).collect();
            MomentError(text, "a date and time, for example \"2026-12-27T00:00:00Z\"")
        };
        at.map(|ms| Moment(Time(ms))).ok_or_else(wrong)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! text_form {
    ($type:ident) => {
        impl TryFrom<String> for $type {
            type Error = MomentError;
            fn try_from(text: String) -> Result<$type, MomentError> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(it: $type) -> String {
                it.to_string()
            }
        }
    };
}
text_form!(WeekMinute);
text_form!(Moment);

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "
[[ring]]
group = \"hospital\"
after = \"1d\"

[[window]]
group = \"till\"
opens = \"sun 02:00\"
open_for = \"4h\"

[[hold]]
group = \"till\"
until = \"2026-12-27T00:00:00Z\"

[[pin]]
component = \"rules\"
version = 41

[[behind]]
group = \"hospital\"
component = \"rules\"

[[budget]]
group = \"ward-3\"
limit = \"25 %\"
canaries_capped = true
size = 12

[[budget]]
group = \"db\"
limit = \"quorum\"

[[kind.content.hold]]
group = \"lab\"

[[kind.content.behind]]

[kind.service]
delay = \"1d\"
";

    #[test]
    fn rules_read_as_they_are_written_and_are_said_in_words() {
        let form: RulesForm = toml::from_str(ALL).unwrap();
        assert_eq!(toml::to_string(&form).unwrap().trim(), ALL.trim());
        let rules = form.rules();
        rules.check().unwrap();
        let weekly = Weekly { opens_minute: 6 * 1440 + 120, open_minutes: 240 };
        assert_eq!(rules.windows[0].weekly, weekly);
        andon_model::budget::check(&form.budgets()).unwrap();
        assert_eq!(
            crate::policy_budgets::words(&form.budgets()),
            [
                "ward-3: at most 25 % of its members unproven at once; it has 12 in all; its share \
                 of the canaries is capped",
                "db: always less than half of its members unproven at once",
            ]
        );
        assert_eq!(
            words(&rules),
            [
                "hospital: begins 1d after the start",
                "till: changes from sun 02:00 UTC for 4h",
                "till: nothing new, until 2026-12-27T00:00:00Z",
                "every host: rules 41 and no other",
                "hospital: never the newest rules",
                "content: lab: nothing new",
                "content: every host: never the newest version",
                "service: every host: begins 1d after the start",
            ]
        );
    }

    #[test]
    fn moments_that_are_none_are_refused_with_an_example() {
        for (text, said) in [
            ("[[window]]\nopens = \"sunday 2\"\nopen_for = \"4h\"", "sun 02:00"),
            ("[[window]]\nopens = \"sun 24:00\"\nopen_for = \"4h\"", "sun 02:00"),
            ("[[hold]]\nuntil = \"tomorrow\"", "2026-12-27T00:00:00Z"),
            ("[[ring]]\nafter = \"4h\"", "group"),
        ] {
            let why = toml::from_str::<RulesForm>(text).unwrap_err().to_string();
            assert!(why.contains(said), "{why}");
        }
    }
}
