//! Counts against what the journal says of hosts. Who fell silent is the server's word, because beats
//! are not in the journal; everything else is counted again, and nothing may look better than it is.
use crate::fleet::Heard;
use crate::record::Counted;
use crate::rollout_state::RolloutState;
use crate::state::{HostState, column};
use crate::tally::observe_own;
use andon_model::beat::Presence;
use andon_model::{Millis, Time};
use andon_rollout::{ArmTally, Observation, RestartTally, StratumTally, Window};

/// Whether these counts are borne out. On a vendor line they are members' tallies, which the next record
/// names: [`super::tallies`].
/// # Errors
/// What is wrong.
pub(super) fn check(
    rollout: &RolloutState,
    hosts: &[HostState],
    (seen, counted): (&Observation, &Counted),
    at: Time,
) -> Result<(), &'static str> {
    if rollout.members.is_some() {
        return Ok(());
    }
    let mut heard = vec![Heard::here(at, 0, true); hosts.len()];
    // As late as can be: how much earlier is the server's word.
    let last = at.minus(rollout.plan.watch.silent_after);
    for host in &counted.silent {
        let row = heard.get_mut(column(*host)).ok_or("an unknown host fell silent")?;
        row.at = last;
    }
    for host in &counted.restarted {
        let row = heard.get_mut(column(*host)).ok_or("an unknown host restarted")?;
        (row.promised, row.restarts) = (last, row.restarts.saturating_add(1));
    }
    for host in &counted.missed {
        let row = heard.get_mut(column(*host)).ok_or("an unknown host did not come back")?;
        (row.at, row.presence) = (last, Presence::Restart { back_within: Millis::ZERO });
    }
    let (made, recounted) = observe_own(rollout, hosts, &heard, at);
    let rule = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
    rule(recounted == *counted, "its hosts are not those that went bad")?;
    rule(made.strata.len() == seen.strata.len(), "it has other strata than the plan")?;
    let strata = || made.strata.iter().zip(&seen.strata);
    rule(strata().all(|(made, seen)| arms(made, seen)), "its arms are not those of the hosts")?;
    rule(strata().all(|(made, seen)| through(made, seen)), "more hosts are through than confirmed")
}

fn arms(made: &StratumTally, seen: &StratumTally) -> bool {
    let pairs = [(&made.controls, &seen.controls), (&made.gauge, &seen.gauge)];
    let restarts = RestartTally {
        treated_away: seen.restarts.treated_away,
        controls_away: seen.restarts.controls_away,
        ..made.restarts
    };
    restarts == seen.restarts
        && made.waves.len() == seen.waves.len()
        && made.waves.iter().zip(&seen.waves).chain(pairs).all(|(made, seen)| arm(made, seen))
}

/// The same arm but for who is away by its own word: that is the server's to say.
fn arm(made: &ArmTally, seen: &ArmTally) -> bool {
    let away = seen.silence.at_risk <= made.silence.at_risk;
    let mut told = *seen;
    told.silence.at_risk = made.silence.at_risk;
    away && told == *made
}

/// Between the count and its record a moment passes, in which a host may come through: fewer may be
/// through than counted again, never more. Who is away is not in it.
fn through(made: &StratumTally, seen: &StratumTally) -> bool {
    let window = |(made, seen): (&Window, &Window)| {
        let hosts = |it: &Window| u64::from(it.clean) + u64::from(it.at_risk);
        seen.clean <= made.clean && seen.bad >= made.bad && hosts(seen) <= hosts(made)
    };
    let late = seen.late.hosts <= made.late.hosts
        && seen.late.clean.len() <= made.late.clean.len()
        && seen.late.clean.iter().zip(&made.late.clean).all(|(seen, made)| seen <= made);
    let wide = made.windows.len() == seen.windows.len()
        && made.wave_windows.len() == seen.wave_windows.len();
    late && wide
        && made.windows.iter().zip(&seen.windows).all(window)
        && made.wave_windows.iter().zip(&seen.wave_windows).all(window)
}
