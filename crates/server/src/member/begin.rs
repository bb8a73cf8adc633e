//! Our own rollout inside a vendor line's, begun without a person: consent stands in the policy. Rules
//! and approvals of our own line hold as ever. Pure.
use super::permit;
use super::seats;
use super::state::Followed;
use crate::api::Refusal;
use crate::api::commands::{Start, begin};
use crate::app::Core;
use crate::directives;
use crate::record::Record;
use crate::state::State;
use andon_model::line::{LineStanding, Round, VendorLine};
use andon_model::policy::{Lane, Policy};
use andon_model::text::Text;
use andon_model::{Digest, RolloutId, Time};
use andon_rollout::Event;
use andon_rollout::plan::Inside;

/// Most rollouts of one vendor's name that are told apart by a number.
const NAMES_MAX: u32 = 99;

/// The records that begin it; empty: it has begun before, or the vendor line does not go on.
/// # Errors
/// [`Refusal`]: it cannot begin now, and why.
pub fn inside(
    core: &Core,
    policy: &Policy,
    consent: &VendorLine,
    (followed, round): (&Followed, &Round),
    now: Time,
) -> Result<Vec<Record>, Refusal> {
    let line = consent.line();
    let begun = permit::own(&core.state, &line, &round.rollout).is_some();
    if begun || round.standing != LineStanding::Live || followed.over.is_some() {
        return Ok(Vec::new());
    }
    let plan = &followed.plan;
    let facts = core.state.releases.get(&plan.release).filter(|facts| {
        facts.vendor == consent.vendor
            && facts.component == plan.component
            && facts.version == plan.version
    });
    if facts.is_none() {
        return Err(Refusal::not_found("the release is not published here"));
    }
    if let (Some(facts), Lane::Emergency) = (facts, plan.lane)
        && let Some(listed) = &policy.fast_lane
        && let Err(why) = listed.allows(&facts.vendor, &facts.component, now)
    {
        // Its hosts would refuse it; started all the same, it would wait for them for ever.
        let what = format!("{} may not use the emergency lane here: {why}", facts.component);
        let next = "put it on [fast_lane] in policy.toml, or start it in the routine lane";
        return Err(Refusal::conflict(&what, next));
    }
    if let Some(recall) = directives::recall_lifted(&core.state, &plan.release, now) {
        // No host of ours would go back to it.
        let what = format!("the policy overrides the recall to it (directive {recall})");
        return Err(Refusal::conflict(&what, "take the override out of policy.toml"));
    }
    let hosts = followed.places.len();
    let blocks = core.state.lines.get(&line).map_or(&[][..], |line| &line.blocks);
    let start = Start {
        by: None,
        rollout: name(core, consent, &round.rollout)?,
        release: plan.release,
        component: plan.component.clone(),
        lane: plan.lane,
        seed: plan.seed,
        hosts,
        inside: Some(Inside {
            line,
            rollout: round.rollout.clone(),
            plan: followed.digest,
            pace: consent.pace,
            seats: seats::first(blocks, hosts as u64),
        }),
    };
    begin(core, policy, start, now)
}

/// `acme.R`, or `acme.R.2` where that is taken; a name too long is cut, with a digest at its end.
fn name(core: &Core, consent: &VendorLine, rollout: &RolloutId) -> Result<RolloutId, Refusal> {
    let long = format!("{}.{rollout}", consent.vendor);
    let names = (1..=NAMES_MAX).map(|number| match number {
        1 => long.clone(),
        number => format!("{long}.{number}"),
    });
    let digest = Digest::of(long.as_bytes()).to_string();
    let short = |name: &String| {
        let end = name.len().min(andon_model::limits::NAME_LENGTH_MAX - 17);
        RolloutId::new(&format!("{}.{}", &name[..end], &digest[..16]))
    };
    let mut free = names
        .filter_map(|name| RolloutId::new(&name).or_else(|_| short(&name)).ok())
        .filter(|name| !core.state.rollouts.contains_key(name));
    let next = "archive the journal";
    free.next().ok_or_else(|| Refusal::conflict("all names for it are taken", next))
}

/// Whether a directive is behind the halt that our own people have overridden: here it holds for nothing.
/// A halt by evidence, or by a freeze, is not overridden so.
#[must_use]
pub fn lifted(state: &State, standing: &LineStanding, now: Time) -> bool {
    let LineStanding::Halted { digest, by_person: false, .. } = standing else { return false };
    directives::is_known(state, digest) && state.overrides(digest, now)
}

/// What our own rollout is told when the vendor line's is over: evidence and freezes there end it, a
/// person's halt there makes it hold, until our own people decide.
#[must_use]
pub fn told(consent: &VendorLine, standing: &LineStanding) -> Option<Event> {
    let LineStanding::Halted { by, digest, by_person } = standing else { return None };
    if !by_person {
        return Some(Event::Frozen { by: by.as_str().to_owned(), digest: *digest });
    }
    let what = Text::clipped(&format!("{} has halted: {by}", consent.line()));
    Some(Event::ActionFailed { generation: 0, what })
}
