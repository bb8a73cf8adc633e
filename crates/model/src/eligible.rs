//! May this host take this release now? Rings, maintenance windows, holds, version pins and "stay
//! one version behind", as one pure function that server and host both call.
//!
//! What is a matter of pace (rings, windows) makes strata of their own: their hosts are compared with
//! each other, and handed nothing before their time ([`Schedule`]). What is a "no" (holds, pins, one
//! behind) takes hosts out of the plan. The emergency lane ignores the first and never the second: a
//! fast channel that overrides its owner's no is a weapon.
//! What it is not: the gate, the budget, or the ticket's own check.
use crate::class::HostClass;
use crate::id::{ComponentId, GroupId};
use crate::limits::{ELIGIBILITY_RULES_MAX, RINGS_MAX, WINDOWS_MAX};
use crate::policy::Lane;
use crate::release::{ComponentKind, Version};
use crate::time::{Millis, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Minutes of a week.
const WEEK_MINUTES: u64 = 7 * 24 * 60;
/// The epoch was a Thursday; weeks begin on Monday, 00:00 UTC.
const EPOCH_MINUTE: u64 = 3 * 24 * 60;
/// Milliseconds of a minute.
const MINUTE: u64 = 60_000;

/// What an operator says of who may take what when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// groups that begin later than the rest
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rings: Vec<Ring>,
    /// hosts of a group with windows change in one of these only; of no such group, at any time
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowRule>,
    /// nothing new for these
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// one version and no other for these
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<Pin>,
    /// never the newest version for these
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<Behind>,
    /// no host begins before so long after a rollout's start (default 0)
    #[serde(default, skip_serializing_if = "is_at_once")]
    pub delay: Millis,
    /// beside these, for components of one kind only; sorted by kind
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<KindRules>,
}

/// Rules for components of one kind: what content may do at once, a service may have to wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindRules {
    /// which
    pub kind: ComponentKind,
    /// hold beside those for all kinds; of no kinds of their own
    pub rules: Rules,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_at_once(delay: &Millis) -> bool {
    *delay == Millis::ZERO
}

/// A group that begins so long after a rollout's start. A host of two rings is in the later one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// whose
    pub group: GroupId,
    /// after the start
    pub after: Millis,
}

/// A maintenance window that comes back every week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowRule {
    /// whose; `None`: every host's
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// when in the week
    pub weekly: Weekly,
}

/// A stretch of every week, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weekly {
    /// minute of the week in which it opens, from Monday 00:00 UTC; under 10,080
    pub opens_minute: u32,
    /// how long it is open, minutes, 1 to 10,080; it may reach into the next week
    pub open_minutes: u32,
}

/// Nothing new for a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// whose; `None`: every host's
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// of which component; `None`: of any
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentId>,
    /// from then on it is over; `None`: until it is taken back
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// One version and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// whose; `None`: every host's
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// of which component
    pub component: ComponentId,
    /// the version
    pub version: Version,
    /// from then on it is over; `None`: until it is taken back
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// N − 1: the newest version is for others to try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behind {
    /// whose; `None`: every host's
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// of which component; `None`: of any
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentId>,
    /// from then on it is over; `None`: until it is taken back
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// When the hosts of one stratum may change. The default: at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// not before so long after the rollout's start
    #[serde(default)]
    pub after: Millis,
    /// then in one of these; none: at any time
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Weekly>,
}

/// What is known of the release.
#[derive(Clone, Copy, Debug)]
pub struct ReleaseFacts<'a> {
    /// its component
    pub component: &'a ComponentId,
    /// its version
    pub version: Version,
    /// the component's newest published version
    pub newest: Version,
    /// speed class
    pub lane: Lane,
    /// when its rollout began
    pub started: Time,
}

/// May it?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eligibility {
    /// yes
    Now,
    /// not before this moment; from then on yes, under the same rules
    Later {
        /// the first moment
        at: Time,
        /// what is in the way until then, or longest
        why: NotYet,
    },
    /// not under these rules, however long one waits
    Never(No),
}

/// What passes with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotYet {
    /// its ring has not begun
    #[error("its ring has not begun")]
    Ring,
    /// no maintenance window is open
    #[error("no maintenance window of it is open")]
    Window,
    /// its group is held
    #[error("its group is on hold")]
    Held,
    /// its group is pinned to another version
    #[error("its group is pinned to another version")]
    Pinned,
    /// its group stays one version behind
    #[error("its group stays one version behind")]
    OneBehind,
}

/// What does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum No {
    /// its group is held until somebody takes that back
    #[error("its group is on hold")]
    Held,
    /// its group is pinned to this version
    #[error("its group is pinned to version {0}")]
    Pinned(Version),
    /// its group stays one version behind this one
    #[error("its group stays one version behind the newest, {0}")]
    OneBehind(Version),
}

/// Why rules make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("eligibility rule {0} {1}")]
pub struct RulesError(pub &'static str, pub &'static str);

impl Rules {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Rules::default()
    }

    /// The rules that hold for components of this kind.
    #[must_use]
    pub fn of(&self, kind: ComponentKind) -> Rules {
        let mut all = Rules { kinds: Vec::new(), ..self.clone() };
        for more in self.kinds.iter().filter(|more| more.kind == kind).map(|more| &more.rules) {
            all.rings.extend_from_slice(&more.rings);
            all.windows.extend_from_slice(&more.windows);
            all.holds.extend_from_slice(&more.holds);
            all.pins.extend_from_slice(&more.pins);
            all.behind.extend_from_slice(&more.behind);
            all.delay = all.delay.max(more.delay);
        }
        all
    }

    /// Whether the rules are within their limits.
    /// # Errors
    /// [`RulesError`] naming the first rule that is not.
    pub fn check(&self) -> Result<(), RulesError> {
        self.check_lists()?;
        let sorted = self.kinds.windows(2).all(|pair| pair[0].kind < pair[1].kind);
        let rule = |holds: bool, problem| {
            if holds { Ok(()) } else { Err(RulesError("kinds", problem)) }
        };
        rule(sorted, "is not sorted by kind, or names one twice")?;
        for of in &self.kinds {
            rule(of.rules.kinds.is_empty(), "has rules for kinds inside those for one")?;
            of.rules.check_lists()?;
            // What holds together is within the limits of one list too.
            self.of(of.kind).check_lengths()?;
        }
        Ok(())
    }

    fn check_lists(&self) -> Result<(), RulesError> {
        self.check_lengths()?;
        let rule = |holds: bool, field, problem| {
            if holds { Ok(()) } else { Err(RulesError(field, problem)) }
        };
        let ringed: BTreeSet<&GroupId> = self.rings.iter().map(|ring| &ring.group).collect();
        rule(ringed.len() == self.rings.len(), "rings", "names a group twice")?;
        let opens = |w: &WindowRule| u64::from(w.weekly.opens_minute) < WEEK_MINUTES;
        rule(self.windows.iter().all(opens), "windows", "opens beyond the week")?;
        let open = |w: &WindowRule| (1..=WEEK_MINUTES).contains(&u64::from(w.weekly.open_minutes));
        rule(self.windows.iter().all(open), "windows", "is open for 0 minutes or over a week")
    }

    fn check_lengths(&self) -> Result<(), RulesError> {
        let rule =
            |holds: bool, field| if holds { Ok(()) } else { Err(RulesError(field, "is too long")) };
        rule(self.rings.len() <= RINGS_MAX, "rings")?;
        rule(self.windows.len() <= WINDOWS_MAX, "windows")?;
        let lists = [self.holds.len(), self.pins.len(), self.behind.len()];
        rule(lists.iter().all(|length| *length <= ELIGIBILITY_RULES_MAX), "holds, pins or behind")
    }

    /// Groups whose hosts are on a schedule of their own in this lane, sorted.
    #[must_use]
    pub fn scheduled(&self, lane: Lane) -> Vec<GroupId> {
        if lane == Lane::Emergency {
            return Vec::new();
        }
        let rings = self.rings.iter().map(|ring| &ring.group);
        let windows = self.windows.iter().filter_map(|window| window.group.as_ref());
        rings.chain(windows).cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// When hosts of this class may change in this lane.
    #[must_use]
    pub fn schedule(&self, class: &HostClass, lane: Lane) -> Schedule {
        if lane == Lane::Emergency {
            return Schedule::default();
        }
        let rings = self.rings.iter().filter(|ring| class.groups.contains(&ring.group));
        let windows = self.windows.iter().filter(|window| class.is_in(window.group.as_ref()));
        Schedule {
            after: rings.map(|ring| ring.after).max().unwrap_or_default().max(self.delay),
            windows: windows.map(|window| window.weekly).collect(),
        }
    }

    /// Groups that these rules say "no" for, sorted; `None`: they say it for every host.
    #[must_use]
    pub fn excluded(&self, release: &ReleaseFacts<'_>, now: Time) -> Option<Vec<GroupId>> {
        let mut out = BTreeSet::new();
        for (group, until, ..) in self.noes(release) {
            if until.is_none_or(|until| until > now) {
                out.insert(group?.clone());
            }
        }
        Some(out.into_iter().collect())
    }

    /// Every "no" for this release: whose, until when, and in which words.
    fn noes<'a>(
        &'a self,
        release: &'a ReleaseFacts<'a>,
    ) -> impl Iterator<Item = (Option<&'a GroupId>, Option<Time>, NotYet, No)> {
        let of = |component: &ComponentId| component == release.component;
        let holds = self.holds.iter().filter(move |hold| hold.component.as_ref().is_none_or(of));
        let holds = holds.map(|hold| (hold.group.as_ref(), hold.until, NotYet::Held, No::Held));
        let pins = self.pins.iter().filter(move |pin| of(&pin.component));
        let pins = pins
            .filter(|pin| pin.version != release.version)
            .map(|pin| (pin.group.as_ref(), pin.until, NotYet::Pinned, No::Pinned(pin.version)));
        let newest = release.newest;
        let behind = self.behind.iter();
        let behind = behind.filter(move |behind| behind.component.as_ref().is_none_or(of));
        let behind = behind.filter(|_| release.version >= release.newest).map(move |behind| {
            (behind.group.as_ref(), behind.until, NotYet::OneBehind, No::OneBehind(newest))
        });
        holds.chain(pins).chain(behind)
    }

    /// Decides. A host under several rules waits for the last of them.
    #[must_use]
    pub fn decide(&self, class: &HostClass, release: &ReleaseFacts<'_>, now: Time) -> Eligibility {
        let mut wait = Wait { at: now, why: None, never: None };
        for (group, until, why, never) in self.noes(release) {
            if class.is_in(group) {
                wait.until(until, why, never);
            }
        }
        let schedule = self.schedule(class, release.lane);
        if schedule.after > Millis::ZERO {
            wait.at_least(release.started.plus(schedule.after), NotYet::Ring);
        }
        wait.at_least(schedule.opening(release.started, wait.at), NotYet::Window);
        wait.decision()
    }
}

impl Schedule {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_always(&self) -> bool {
        *self == Schedule::default()
    }

    /// The first moment, at or after `from`, at which hosts may change in a rollout that began at
    /// `started`.
    #[must_use]
    pub fn opening(&self, started: Time, from: Time) -> Time {
        let from =
            if self.after == Millis::ZERO { from } else { from.max(started.plus(self.after)) };
        self.windows.iter().map(|window| window.opening(from)).min().unwrap_or(from)
    }
}

impl Weekly {
    fn opening(&self, from: Time) -> Time {
        let minute = (from.0 / MINUTE + EPOCH_MINUTE) % WEEK_MINUTES;
        let opens = u64::from(self.opens_minute);
        let since = (minute + WEEK_MINUTES - opens) % WEEK_MINUTES;
        if since < u64::from(self.open_minutes) {
            return from;
        }
        let start = (from.0 / MINUTE).saturating_add(WEEK_MINUTES - since);
        Time(start.saturating_mul(MINUTE))
    }
}

/// The moment at which the last obstacle has gone, as far as is known.
struct Wait {
    at: Time,
    why: Option<NotYet>,
    never: Option<No>,
}

impl Wait {
    fn until(&mut self, end: Option<Time>, why: NotYet, never: No) {
        match end {
            Some(end) => self.at_least(end, why),
            None => self.never = self.never.or(Some(never)),
        }
    }

    fn at_least(&mut self, end: Time, why: NotYet) {
        if end > self.at {
            (self.at, self.why) = (end, Some(why));
        }
    }

    fn decision(self) -> Eligibility {
        match (self.never, self.why) {
            (Some(no), _) => Eligibility::Never(no),
            (None, Some(why)) => Eligibility::Later { at: self.at, why },
            (None, None) => Eligibility::Now,
        }
    }
}
