//! Observations: counts must add up, then the gate reads them, then it is decided what to do.
use super::{Phase, Rollout, total};
use crate::action::{Action, CountRule, Decision, Exposure, HaltReason, HoldReason};
use crate::event::{ArmTally, Observation, StratumTally};
use crate::gate::{CHANNELS, Verdict, WaveAge, count, threshold};
use crate::machine::widen::Next;
use andon_model::ticket::Step;
use andon_model::{Millis, StratumId};

impl Rollout {
    pub(super) fn on_observed(&mut self, seen: &Observation) -> Vec<Action> {
        if matches!(self.phase, Phase::Planned | Phase::AwaitingApproval) {
            return Vec::new();
        }
        if let Err(reason) = self.adds_up(seen) {
            return self.hold(reason);
        }
        let ages = self.ages();
        if self.gate.observe(self.clock, seen, &ages).is_none() {
            return self.hold(HoldReason::Overflow);
        }
        self.observed = Some(self.clock);
        let verdict = self.gate.verdict(&self.plan);
        match (&self.phase, verdict) {
            (Phase::Exposing | Phase::Held(_), Verdict::Fail) => self.halt_by_gate(),
            (Phase::Exposing, _) => self.advance(),
            _ => Vec::new(),
        }
    }

    fn halt_by_gate(&mut self) -> Vec<Action> {
        let (channel, stratum) = self.gate.suspects();
        let stratum = stratum.and_then(|at| self.plan.strata.get(at));
        self.halt(HaltReason::Gate {
            e: self.gate.evidence(&self.view()).e,
            threshold: threshold(&self.plan),
            channel,
            stratum: stratum.map(|plan| plan.stratum.clone()),
        })
    }

    /// Does what is next: widens, completes, or waits.
    pub(super) fn advance(&mut self) -> Vec<Action> {
        match self.next() {
            Next::Wait(_) => Vec::new(),
            Next::Complete => {
                self.phase = Phase::Completed(self.clock);
                let (confirmed, _, _) = self.gate.outcomes();
                let hosts = self.plan.hosts();
                vec![Action::Complete, self.decide(Decision::Completed { confirmed, hosts })]
            }
            Next::Overflow => self.hold(HoldReason::Overflow),
            Next::Expose { handed, newcomers, asked_again } => {
                let before = self.steps();
                let mut generation = self.generation();
                let mut steps = before;
                if steps.last().is_none_or(|last| last.handed < total(&handed)) {
                    generation = generation.saturating_add(1);
                    steps.push(Step { generation, handed: total(&handed), at: self.clock });
                }
                self.probes = if asked_again { self.probes.saturating_add(1) } else { 0 };
                let evidence = self.gate.evidence(&self.view());
                let told = Decision::Widened { generation, handed: total(&handed), asked_again };
                let exposure = Exposure { generation, handed, newcomers, steps, evidence };
                self.pending = Some(exposure.clone());
                vec![Action::Expose(exposure), self.decide(told)]
            }
        }
    }

    /// Which waves are fresh, and which horizons a failure in them counts against. The longest
    /// horizon counts every age: a fault later than promised must not look like none.
    fn ages(&self) -> Vec<WaveAge> {
        let generation = self.plan.generation();
        let fresh = generation.plus(self.plan.watch.silent_after);
        let last = self.plan.budget.len().saturating_sub(1);
        let age = |(at, _): &(andon_model::Time, Vec<u32>)| {
            let age = self.clock.since(*at);
            let within = |(horizon, (after, _)): (usize, &(Millis, u64))| {
                horizon == last || age <= generation.plus(*after)
            };
            WaveAge {
                fresh: age <= fresh,
                counts: self.plan.budget.iter().enumerate().map(within).collect(),
            }
        };
        self.waves.iter().map(age).collect()
    }

    fn adds_up(&self, seen: &Observation) -> Result<(), HoldReason> {
        let short = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let want = self.plan.strata.len();
        if seen.strata.len() != want {
            let got = short(seen.strata.len());
            return Err(HoldReason::StrataMissing { got, want: short(want) });
        }
        for (at, (tally, plan)) in seen.strata.iter().zip(&self.plan.strata).enumerate() {
            if tally.waves.len() != self.waves.len() {
                return Err(HoldReason::WavesMissing {
                    stratum: plan.stratum.clone(),
                    got: short(tally.waves.len()),
                    want: short(self.waves.len()),
                });
            }
            self.stratum_adds_up(at, tally, &plan.stratum, plan.size)?;
        }
        Ok(())
    }

    fn stratum_adds_up(
        &self,
        at: usize,
        tally: &StratumTally,
        stratum: &StratumId,
        size: u32,
    ) -> Result<(), HoldReason> {
        let broken = |rule| HoldReason::CountsDoNotAddUp { stratum: stratum.clone(), rule };
        let mut before = 0;
        for (wave, (arm, (_, handed))) in tally.waves.iter().zip(&self.waves).enumerate() {
            let handed = handed.get(at).copied().unwrap_or(0);
            arm_adds_up(arm, handed - before).map_err(broken)?;
            if self.gate.bad(at, wave) + u64::from(arm.bad_new) > u64::from(arm.hosts) {
                return Err(broken(CountRule::BadWithinHosts));
            }
            before = handed;
        }
        arm_adds_up(&tally.controls, size - before).map_err(broken)
    }
}

/// The rules that honest counts of one arm of `hosts` hosts keep.
fn arm_adds_up(arm: &ArmTally, hosts: u32) -> Result<(), CountRule> {
    if arm.hosts != hosts {
        return Err(CountRule::HostsWithinHanded);
    }
    let mut new = 0_u64;
    for count in CHANNELS.map(|channel| count(arm, channel)) {
        if count.new > count.at_risk {
            return Err(CountRule::NewWithinAtRisk);
        }
        if count.at_risk > hosts {
            return Err(CountRule::AtRiskWithinHosts);
        }
        new += u64::from(count.new);
    }
    if arm.confirmed > hosts || arm.fell_back > hosts {
        return Err(CountRule::OutcomesWithinHosts);
    }
    if u64::from(arm.bad_new) > new || arm.bad_new > hosts {
        return Err(CountRule::BadWithinChannels);
    }
    Ok(())
}
