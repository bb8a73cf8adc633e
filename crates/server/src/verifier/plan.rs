//! A plan against the policy in force and the hosts enrolled before it: made anew, and compared.
use crate::api::commands::{Start, begin};
use crate::app::Core;
use crate::member::seats;
use crate::pooled::start::pools;
use crate::record::Record;
use andon_model::policy::Policy;
use andon_model::{Digest, Time};
use andon_rollout::Plan;
use andon_rollout::plan::Inside;

/// Whether this is the plan that the server had to make.
/// # Errors
/// What is wrong.
pub(super) fn check(core: &Core, plan: &Plan, at: Time) -> Result<(), String> {
    let rule = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    rule(plan.created <= at, "it is dated after its record")?;
    let committed = core.state.commitments.get(&plan.rollout);
    rule(committed == Some(&Digest::of(&plan.seed.0)), "its seed was not committed before it")?;
    let policy = core.policy(at).ok_or("no policy is in force")?;
    let hosts = match &plan.inside {
        Some(inside) => inside_hosts(core, &policy.policy, plan, inside)?,
        None => core.state.hosts.len(),
    };
    let start = Start {
        by: None,
        rollout: plan.rollout.clone(),
        release: plan.release,
        component: plan.component.clone(),
        lane: plan.lane,
        seed: plan.seed,
        hosts,
        inside: plan.inside.clone(),
    };
    let made = begin(core, &policy.policy, start, plan.created)
        .map_err(|why| format!("it cannot be begun: {}", why.message))?;
    let same = made.iter().any(
        |record| matches!(record, Record::RolloutStarted { plan: made, .. } if **made == *plan),
    );
    rule(same, "it is not what the policy and the hosts enrolled call for")
}

/// How many hosts are in a plan inside a vendor line's; what it says of that line must be what the
/// journal holds of it.
fn inside_hosts(
    core: &Core,
    policy: &Policy,
    plan: &Plan,
    inside: &Inside,
) -> Result<usize, String> {
    let consent = policy.vendor_lines.iter().find(|line| line.line() == inside.line);
    let line = core.state.lines.get(&inside.line);
    let followed = line.and_then(|line| line.rollouts.get(&inside.rollout));
    let (Some(consent), Some(line), Some(followed)) = (consent, line, followed) else {
        return Err("the journal knows no such vendor line's rollout".to_owned());
    };
    let hosts = followed.places.len();
    let same = !pools(policy)
        && inside.plan == followed.digest
        && inside.pace == consent.pace
        && inside.seats == seats::first(&line.blocks, hosts as u64)
        && plan.seed == followed.plan.seed;
    if same { Ok(hosts) } else { Err("it is not what the vendor line's plan calls for".to_owned()) }
}
