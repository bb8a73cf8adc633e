//! What the vendor line tells its members of its rollouts: one signed text, renewed when something
//! changes and often enough that an old one is noticed. Nobody hears of a round before it is on disk.
use crate::app::App;
use crate::directives;
use crate::driver::AFTERWARDS;
use crate::pooled::start::pools;
use crate::rollout_state::{RolloutState, Wish};
use crate::state::State;
use crate::store::StoreError;
use andon_model::envelope::PayloadType;
use andon_model::line::{LineStanding, Round, Rounds};
use andon_model::text::Text;
use andon_model::ticket::Newcomers;
use andon_model::{ComponentId, Digest, LineId, Millis, OperatorId, Time};
use andon_rollout::lines::{Lines, Order, on_halt};
use andon_rollout::{HaltReason, HoldReason, Reason, StateName};
use axum::body::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A text that is older was said by somebody who cannot sign a newer one.
pub const RENEW_AFTER: Millis = Millis::from_secs(60);

/// What is said now.
#[derive(Clone, Debug)]
pub struct Posted {
    rounds: Vec<Round>,
    directives: Vec<Digest>,
    at: Time,
    /// the envelope
    pub bytes: Bytes,
    /// its digest, and so its version
    pub digest: Digest,
}

/// Says what has changed, and lets everybody know who waits. Nothing on a line without members.
/// # Errors
/// [`StoreError`]: the server must restart.
pub async fn post(app: &Arc<App>) -> Result<(), StoreError> {
    let now = app.now();
    let (rounds, directives, receipt) = {
        let mut core = app.core();
        let Some(rounds) = rounds(&core.state, now) else { return Ok(()) };
        let directives = directives::in_force(&core.state, now).collect();
        (rounds, directives, app.stage(&mut core, &[])?)
    };
    receipt.durable().await?;
    let same = |posted: &Posted| {
        let news = posted.rounds != rounds || posted.directives != directives;
        !news && now.since(posted.at) < RENEW_AFTER
    };
    if app.rounds.borrow().as_ref().is_some_and(same) {
        return Ok(());
    }
    let line = app.line().clone();
    let said = Rounds { schema: 1, line, issued: now, rounds, directives };
    let payload = serde_json::to_vec(&said).unwrap_or_default();
    let bytes = app.inputs.online.seal(PayloadType::Rounds, &payload).to_bytes();
    let digest = Digest::of(&bytes);
    let (rounds, directives) = (said.rounds, said.directives);
    let posted = Posted { rounds, directives, at: now, bytes: bytes.into(), digest };
    app.rounds.send_replace(Some(posted));
    Ok(())
}

/// One per rollout that members must know of: running, over not long ago, or the newest of its
/// component (a member that was away for longer must learn of the halt too). `None`: no members.
fn rounds(state: &State, now: Time) -> Option<Vec<Round>> {
    let pooled = state.policy.as_ref().is_some_and(|policy| pools(&policy.policy));
    let of_members = state.rollouts.values().any(|rollout| rollout.members.is_some());
    if !pooled && !of_members {
        return None;
    }
    let mut newest: BTreeMap<&ComponentId, u64> = BTreeMap::new();
    for rollout in state.rollouts.values() {
        let last = newest.entry(&rollout.plan.component).or_default();
        *last = rollout.started_seq.max(*last);
    }
    let told = |rollout: &&RolloutState| {
        let recent = rollout.ended.is_some_and(|ended| now.since(ended) <= AFTERWARDS);
        let followed = newest.get(&rollout.plan.component) > Some(&rollout.started_seq);
        rollout.live() || recent || !followed
    };
    Some(state.rollouts.values().filter(told).filter_map(|rollout| round(rollout, now)).collect())
}

fn round(rollout: &RolloutState, now: Time) -> Option<Round> {
    let members = rollout.members.as_deref()?;
    let issued = rollout.issued.as_ref();
    Some(Round {
        rollout: rollout.plan.rollout.clone(),
        release: rollout.plan.release,
        round: members.pool.round(),
        generation: rollout.waves.last().map_or(0, |wave| wave.generation),
        newcomers: issued.map_or(Newcomers::Excluded, |issued| issued.newcomers),
        plan: members.plan,
        standing: standing(rollout, now),
    })
}

fn standing(rollout: &RolloutState, now: Time) -> LineStanding {
    match &rollout.wish {
        Wish::Complete => LineStanding::Completed,
        Wish::Stop(reason) => halted(&rollout.plan.line, reason),
        Wish::Serve if rollout.machine.state() == StateName::Held => {
            let why = match rollout.machine.explain(now).reason {
                Reason::Held(reason) => held(&reason),
                _ => Text::default(),
            };
            LineStanding::Held { why }
        }
        Wish::Serve => LineStanding::Live,
    }
}

/// As the coupling of the two lines has it: evidence and freezes end it for members too, what a person
/// ended is for their own people to decide.
fn halted(line: &LineId, reason: &HaltReason) -> LineStanding {
    let evidence = Digest::of(&serde_json::to_vec(reason).unwrap_or_default());
    let vendor = match line {
        LineId::Vendor(vendor) => Some(vendor.clone()),
        LineId::Operator(_) => None,
    };
    let anybody = OperatorId::new("member").into_iter().collect();
    let orders = on_halt(line, reason, evidence, &Lines { vendor, operators: anybody });
    match orders.into_iter().next().map(|order| order.order) {
        Some(Order::Halt { by, digest }) => {
            LineStanding::Halted { by: Text::clipped(&by), digest, by_person: false }
        }
        Some(Order::Hold { why }) => {
            LineStanding::Halted { by: why, digest: evidence, by_person: true }
        }
        Some(Order::Count { .. }) | None => {
            let by = Text::clipped("the vendor line has halted");
            LineStanding::Halted { by, digest: evidence, by_person: true }
        }
    }
}

fn held(reason: &HoldReason) -> Text {
    match reason {
        HoldReason::ActionFailed { what, .. } => what.clone(),
        HoldReason::Person { by, reason } => Text::clipped(&format!("{by}: {}", reason.as_str())),
        reason => Text::clipped(&serde_json::to_string(reason).unwrap_or_default()),
    }
}
