//! Windows and gauge for whoever counts waves and controls but knows no host's activation: a wave's
//! hosts are through once its ticket is a generation and D old and they have confirmed. Not for a
//! server that knows its hosts: that one counts each by its own times.
use crate::event::{ArmTally, Count, Observation, Window};
use crate::machine::Rollout;
use andon_model::ticket::Step;
use andon_model::{Millis, Time};

/// Completes tallies of whole waves and of all sampled controls. Twice is as good as once.
pub fn by_wave(rollout: &Rollout, now: Time, seen: &mut Observation) {
    let (plan, steps) = (rollout.plan(), rollout.steps());
    for (tally, stratum) in seen.strata.iter_mut().zip(&plan.strata) {
        let handed = tally.waves.iter().map(|wave| wave.hosts).sum();
        let (_, gauge) = stratum.sample(handed);
        (tally.controls, tally.gauge) = split(together(tally.controls, tally.gauge), gauge);
        tally.windows.clear();
        tally.wave_windows.clear();
        for (after, _) in &plan.budget {
            let age = plan.generation().plus(*after);
            let window = |(wave, step): (&ArmTally, &Step)| {
                let through = now >= step.at.plus(age);
                let clean = if through { wave.confirmed } else { 0 };
                let open = wave.hosts - clean;
                let bad = if through { wave.bad_new.min(open) } else { wave.bad_new };
                Window { at_risk: open, bad, clean, alike: open }
            };
            let each: Vec<Window> = tally.waves.iter().zip(&steps).map(window).collect();
            tally.windows.push(each.iter().fold(Window::default(), |sum, wave| Window {
                at_risk: sum.at_risk + wave.at_risk,
                bad: sum.bad + wave.bad,
                clean: sum.clean + wave.clean,
                alike: sum.alike.max(wave.alike),
            }));
            tally.wave_windows.extend(each);
        }
        if plan.budget.iter().all(|(after, _)| *after == Millis::ZERO) {
            tally.wave_windows.clear();
        }
    }
}

fn together(one: ArmTally, other: ArmTally) -> ArmTally {
    let count = |a: Count, b: Count| Count {
        at_risk: a.at_risk.saturating_add(b.at_risk),
        new: a.new.saturating_add(b.new),
    };
    ArmTally {
        silence: count(one.silence, other.silence),
        report: count(one.report, other.report),
        probe: count(one.probe, other.probe),
        bad_new: one.bad_new.saturating_add(other.bad_new),
        confirmed: one.confirmed.saturating_add(other.confirmed),
        fell_back: one.fell_back.saturating_add(other.fell_back),
        hosts: one.hosts.saturating_add(other.hosts),
    }
}

/// Splits an arm: `hosts` of it, with their share of what happened, are the gauge.
fn split(arm: ArmTally, hosts: u32) -> (ArmTally, ArmTally) {
    let part = |of: u32| {
        let share = u64::from(of) * u64::from(hosts) / u64::from(arm.hosts.max(1));
        u32::try_from(share).unwrap_or(of).min(of)
    };
    let count = |of: Count| Count { at_risk: part(of.at_risk), new: part(of.new) };
    let gauge = ArmTally {
        silence: count(arm.silence),
        report: count(arm.report),
        probe: count(arm.probe),
        bad_new: part(arm.bad_new),
        confirmed: part(arm.confirmed),
        fell_back: part(arm.fell_back),
        hosts,
    };
    let rest = |all: Count, part: Count| Count {
        at_risk: all.at_risk - part.at_risk,
        new: all.new - part.new,
    };
    let compared = ArmTally {
        silence: rest(arm.silence, gauge.silence),
        report: rest(arm.report, gauge.report),
        probe: rest(arm.probe, gauge.probe),
        bad_new: arm.bad_new - gauge.bad_new,
        confirmed: arm.confirmed - gauge.confirmed,
        fell_back: arm.fell_back - gauge.fell_back,
        hosts: arm.hosts.saturating_sub(hosts),
    };
    (compared, gauge)
}
