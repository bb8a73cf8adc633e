//! May this host take this release now? Rings, maintenance windows, holds, version pins and "stay
//! one version behind", as one pure function. A host that may not yet is in nobody's wave: it joins
//! the late queue ([`crate::late`]) when its time comes.
//!
//! The emergency lane ignores what is a matter of pace (windows, ring offsets). It never ignores what
//! is a "no" (holds, pins, one behind): a fast channel that overrides its owner's no is a weapon.
//! What it is not: the gate, the budget, or the host's own check.
use andon_model::limits::{ELIGIBILITY_RULES_MAX, RINGS_MAX, WINDOWS_MAX};
use andon_model::policy::Lane;
use andon_model::release::Version;
use andon_model::{ComponentId, GroupId, Millis, Time};

/// Minutes of a week.
const WEEK_MINUTES: u64 = 7 * 24 * 60;
/// The epoch was a Thursday; weeks begin on Monday, 00:00 UTC.
const EPOCH_MINUTE: u64 = 3 * 24 * 60;
/// Milliseconds of a minute.
const MINUTE: u64 = 60_000;

/// What an operator says of who may take what when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// for each ring, how long after the rollout's start its hosts may begin; never shrinking
    pub rings: Vec<Millis>,
    /// hosts of a group with windows change in one of these only; of no such group, at any time
    pub windows: Vec<WindowRule>,
    /// nothing new for these
    pub holds: Vec<Hold>,
    /// one version and no other for these
    pub pins: Vec<Pin>,
    /// never the newest version for these
    pub behind: Vec<Behind>,
}

/// A maintenance window that comes back every week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRule {
    /// whose; `None`: every host's
    pub group: Option<GroupId>,
    /// minute of the week in which it opens, from Monday 00:00 UTC; under 10,080
    pub opens_minute: u32,
    /// how long it is open, minutes, 1 to 10,080; it may reach into the next week
    pub open_minutes: u32,
}

/// Nothing new for a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// whose; `None`: every host's
    pub group: Option<GroupId>,
    /// of which component; `None`: of any
    pub component: Option<ComponentId>,
    /// from then on it is over; `None`: until it is taken back
    pub until: Option<Time>,
}

/// One version and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// whose; `None`: every host's
    pub group: Option<GroupId>,
    /// of which component
    pub component: ComponentId,
    /// the version
    pub version: Version,
    /// from then on it is over; `None`: until it is taken back
    pub until: Option<Time>,
}

/// N − 1: the newest version is for others to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// whose; `None`: every host's
    pub group: Option<GroupId>,
    /// of which component
    pub component: ComponentId,
    /// from then on it is over; `None`: until it is taken back
    pub until: Option<Time>,
}

/// What is known of the host.
#[derive(Clone, Copy, Debug)]
pub struct HostFacts<'a> {
    /// its ring, from 0
    pub ring: usize,
    /// groups it is in
    pub groups: &'a [GroupId],
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotYet {
    /// earlier rings go first
    Ring,
    /// no maintenance window is open
    Window,
    /// its group is held
    Held,
    /// its group is pinned to another version
    Pinned,
    /// its group stays one version behind
    OneBehind,
}

/// What does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    /// the policy has no such ring
    RingUnknown,
    /// its group is held until somebody takes that back
    Held,
    /// its group is pinned to this version
    Pinned(Version),
    /// its group stays one version behind this one
    OneBehind(Version),
}

/// Why rules make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("eligibility rule {0} {1}")]
pub struct RulesError(pub &'static str, pub &'static str);

impl Rules {
    /// Whether the rules are within their limits.
    /// # Errors
    /// [`RulesError`] naming the first rule that is not.
    pub fn check(&self) -> Result<(), RulesError> {
        let rule = |holds: bool, field, problem| {
            if holds { Ok(()) } else { Err(RulesError(field, problem)) }
        };
        rule((1..=RINGS_MAX).contains(&self.rings.len()), "rings", "is empty or too long")?;
        rule(self.rings.is_sorted(), "rings", "lets a later ring begin before an earlier one")?;
        rule(self.windows.len() <= WINDOWS_MAX, "windows", "is too long")?;
        let lists = [self.holds.len(), self.pins.len(), self.behind.len()];
        let short = lists.iter().all(|length| *length <= ELIGIBILITY_RULES_MAX);
        rule(short, "holds, pins or behind", "is too long")?;
        let opens = |w: &WindowRule| u64::from(w.opens_minute) < WEEK_MINUTES;
        rule(self.windows.iter().all(opens), "windows", "opens beyond the week")?;
        let open = |w: &WindowRule| (1..=WEEK_MINUTES).contains(&u64::from(w.open_minutes));
        rule(self.windows.iter().all(open), "windows", "is open for 0 minutes or over a week")
    }
}

/// Decides. A host under several rules waits for the last of them.
#[must_use]
pub fn decide(
    rules: &Rules,
    host: &HostFacts<'_>,
    release: &ReleaseFacts<'_>,
    now: Time,
) -> Eligibility {
    let mut wait = Wait { at: now, why: None, never: None };
    for hold in &rules.holds {
        let of = hold.component.as_ref().is_none_or(|of| of == release.component);
        if of && host.is_in(hold.group.as_ref()) {
            wait.until(hold.until, NotYet::Held, No::Held);
        }
    }
    for pin in rules.pins.iter().filter(|pin| pin.component == *release.component) {
        if pin.version != release.version && host.is_in(pin.group.as_ref()) {
            wait.until(pin.until, NotYet::Pinned, No::Pinned(pin.version));
        }
    }
    for behind in rules.behind.iter().filter(|behind| behind.component == *release.component) {
        if release.version >= release.newest && host.is_in(behind.group.as_ref()) {
            wait.until(behind.until, NotYet::OneBehind, No::OneBehind(release.newest));
        }
    }
    if release.lane != Lane::Emergency {
        match rules.rings.get(host.ring) {
            Some(offset) => {
                wait.until(Some(release.started.plus(*offset)), NotYet::Ring, No::RingUnknown);
            }
            None => wait.until(None, NotYet::Ring, No::RingUnknown),
        }
        let open = opening(rules, host, wait.at);
        wait.until(Some(open), NotYet::Window, No::Held);
    }
    wait.decision()
}

/// The first moment, at or after `from`, at which one of the host's windows is open; `from` itself for
/// a host without any.
fn opening(rules: &Rules, host: &HostFacts<'_>, from: Time) -> Time {
    let mine = rules.windows.iter().filter(|window| host.is_in(window.group.as_ref()));
    mine.map(|window| window.opening(from)).min().unwrap_or(from)
}

impl WindowRule {
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

impl HostFacts<'_> {
    fn is_in(&self, group: Option<&GroupId>) -> bool {
        group.is_none_or(|group| self.groups.contains(group))
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
            Some(end) if end > self.at => (self.at, self.why) = (end, Some(why)),
            Some(_) => {}
            None => self.never = self.never.or(Some(never)),
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
