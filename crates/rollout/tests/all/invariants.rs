//! What must hold after every event, each by its name. They share no code with the rollout: what
//! they need of arithmetic they do by a simpler rule of their own.
use crate::stateful::{Before, Line};
use crate::world::{at, exposures};
use andon_model::Millis;
use andon_model::policy::Lane;
use andon_rollout::{Action, Exposure, Rollout, StateName};

/// All that look at one event. Replay is looked at when a server restarts, and at the end.
pub(crate) fn check(line: &Line, before: &Before, actions: &[Action]) {
    no_new_exposure_after_halt(before, actions);
    halted_stays_halted(line, before);
    doubt_holds(line, before, actions);
    for exposure in exposures(actions) {
        exposure_never_exceeds_cap(line, before, &exposure);
        budget_is_never_overdrawn(line, before, &exposure);
        holdback_is_last(line, before, &exposure);
        emergency_needs_two_people(line);
    }
}

/// Once halted, nothing is handed out, whatever is said.
fn no_new_exposure_after_halt(before: &Before, actions: &[Action]) {
    assert!(before.state != StateName::Halted || exposures(actions).is_empty(), "{actions:?}");
}

/// Nothing leads out of a halt.
fn halted_stays_halted(line: &Line, before: &Before) {
    assert!(before.state != StateName::Halted || line.state() == StateName::Halted);
}

/// A tally that cannot be right stops the widening at once and hands out nothing.
fn doubt_holds(line: &Line, before: &Before, actions: &[Action]) {
    if before.spoilt && before.state == StateName::Exposing {
        assert_eq!(line.state(), StateName::Held);
        assert_eq!(actions.first(), Some(&Action::Withdraw));
        assert!(exposures(actions).is_empty());
    }
}

/// Within the strata, the first wave, the growth that hosts accept and the soak they demand.
fn exposure_never_exceeds_cap(line: &Line, before: &Before, exposure: &Exposure) {
    let plan = line.rollout.plan();
    for (handed, stratum) in exposure.handed.iter().zip(&plan.strata) {
        assert!(*handed <= stratum.size, "{exposure:?}");
    }
    let sum = |handed: &[u32]| -> u64 { handed.iter().map(|hosts| u64::from(*hosts)).sum() };
    let Some(last) = before.waves.last() else {
        assert!(sum(&exposure.handed) <= u64::from(plan.first_wave_max));
        return;
    };
    assert!(sum(&exposure.handed) * 1000 <= sum(last) * plan.growth_max_permille, "{exposure:?}");
    if let [.., one, other] = &exposure.steps[..] {
        assert!(other.at.since(one.at) >= plan.soak_min, "{exposure:?}");
    }
}

/// After v hosts that took the release nothing rejects a failure rate q more firmly than (1 − q)^v,
/// even if none of them failed. Whatever q is, more failures than the budget has left must be
/// unlikely among what is handed and not known, by so much as v hosts have not ruled q out.
fn budget_is_never_overdrawn(line: &Line, before: &Before, exposure: &Exposure) {
    let plan = line.rollout.plan();
    let handed: u32 = exposure.handed.iter().sum();
    let treated = line.bad.iter().filter(|((_, arm), _)| *arm != usize::MAX);
    let failed: u32 = treated.map(|(_, hosts)| hosts).sum();
    let explained = line.bad.iter().any(|((_, arm), hosts)| *arm == usize::MAX && *hosts > 0);
    let longest = plan.budget.last().map_or(Millis::ZERO, |point| point.0);
    let again = before.waves.last() == Some(&exposure.handed);
    for (at, (after, budget)) in plan.budget.iter().enumerate() {
        let known = line.known.get(at).copied().unwrap_or(0);
        // Only the longest horizon counts failures of every age; controls may explain some.
        let spent = if *after == longest && !explained { failed } else { 0 };
        let left = u32::try_from(*budget).unwrap().saturating_sub(spent);
        if again || handed <= u32::try_from(*budget).unwrap() {
            continue;
        }
        for step in 1..400 {
            let q = (f64::from(step) / -40.0).exp2();
            let open = f64::from(handed.saturating_sub(known)) * q;
            let ruled_out = (1.0 - q).powi(i32::try_from(known).unwrap());
            let most = f64::from(plan.delta_ppm) / 1e6 / ruled_out.max(1e-300);
            assert!(more_than(left, open) <= 1.001 * most, "{left} left, q = {q}: {exposure:?}");
        }
    }
}

/// P(Poisson(mean) > count), summed term by term.
fn more_than(count: u32, mean: f64) -> f64 {
    let (mut term, mut sum) = ((-mean).exp(), 0.0);
    for k in 0..=count {
        sum += term;
        term *= mean / f64::from(k + 1);
    }
    1.0 - sum
}

/// The comparison is given up last: nobody of the holdback before everybody else is covered.
fn holdback_is_last(line: &Line, before: &Before, exposure: &Exposure) {
    let strata = &line.rollout.plan().strata;
    let beyond = exposure.handed.iter().zip(strata).any(|(h, s)| *h > s.size - s.holdback);
    if beyond {
        let last = before.waves.last().cloned().unwrap_or_default();
        assert_eq!(last.len(), strata.len(), "{exposure:?}");
        assert!(last.iter().zip(strata).all(|(h, s)| *h >= s.size - s.holdback), "{exposure:?}");
    }
}

/// By the test's own list of who approved.
fn emergency_needs_two_people(line: &Line) {
    assert!(line.lane == Lane::Routine || line.people.len() >= 2, "{:?} approved", line.people);
}

/// The journal alone, read by a server that knows nothing else, asks for the very same actions.
pub(crate) fn replay_gives_same_actions(line: &Line) {
    let (first, rest) = line.journal.split_first().unwrap();
    let (mut again, actions) = Rollout::start(line.rollout.plan().clone(), first.0);
    assert_eq!(actions, line.actions[0]);
    for ((now, event), wanted) in rest.iter().zip(&line.actions[1..]) {
        assert_eq!(again.apply(*now, event.clone()), *wanted, "{event:?}");
    }
    let now = at(line.now);
    assert_eq!(again.explain(now), line.rollout.explain(now));
    assert_eq!(again.pending(), line.rollout.pending());
}
