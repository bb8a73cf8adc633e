//! Observations: counts must add up, then the gate reads them, then it is decided what to do.
use super::{Phase, Rollout, total};
use crate::action::{Action, CountRule, Decision, Exposure, HaltReason, HoldReason};
use crate::event::{ArmTally, Count, Observation, StratumTally, Window};
use crate::gate::{CHANNELS, Verdict, count, threshold};
use crate::machine::widen::Next;
use crate::plan::StratumPlan;
use andon_model::ticket::{Newcomers, Step};

impl Rollout {
    pub(super) fn on_observed(&mut self, seen: &Observation) -> Vec<Action> {
        if matches!(self.phase, Phase::Planned | Phase::AwaitingApproval) {
            return Vec::new();
        }
        if let Err(reason) = self.adds_up(seen) {
            return self.hold(reason);
        }
        self.late.observe(&seen.strata);
        self.late_charges = self.late.charges(self.late.covered());
        let fresh = self.fresh();
        if self.gate.observe(self.clock, seen, &fresh).is_none() {
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
            Next::Expose { handed, late, newcomers, asked_again } => {
                self.expose_now(handed, late, newcomers, asked_again)
            }
        }
    }

    fn expose_now(
        &mut self,
        handed: Vec<u32>,
        mut late: Vec<u32>,
        newcomers: Newcomers,
        asked_again: bool,
    ) -> Vec<Action> {
        let mut generation = self.generation();
        let mut steps = self.steps();
        let wider = steps.last().is_none_or(|last| last.handed < total(&handed));
        if wider {
            generation = generation.saturating_add(1);
            steps.push(Step { generation, handed: total(&handed), at: self.clock });
        }
        let evidence = self.gate.evidence(&self.view());
        let told = if wider || newcomers != self.newcomers {
            self.probes = if asked_again { self.probes.saturating_add(1) } else { 0 };
            Decision::Widened { generation, handed: total(&handed), asked_again }
        } else {
            Decision::LateWidened { generation, late: total(&late) }
        };
        if late.iter().all(|hosts| *hosts == 0) {
            late.clear();
        }
        let exposure = Exposure { generation, handed, late, newcomers, steps, evidence };
        self.pending = Some(exposure.clone());
        vec![Action::Expose(exposure), self.decide(told)]
    }

    /// Which waves are fresh: handed so lately that a fault with D = 0 may still be showing.
    fn fresh(&self) -> Vec<bool> {
        let fresh = self.plan.generation().plus(self.plan.watch.silent_after);
        self.waves.iter().map(|(at, _)| self.clock.since(*at) <= fresh).collect()
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
            self.stratum_adds_up(at, tally, plan)?;
        }
        Ok(())
    }

    fn stratum_adds_up(
        &self,
        at: usize,
        tally: &StratumTally,
        plan: &StratumPlan,
    ) -> Result<(), HoldReason> {
        let broken = |rule| HoldReason::CountsDoNotAddUp { stratum: plan.stratum.clone(), rule };
        let mut handed = 0;
        for (arm, cell) in tally.waves.iter().zip(self.gate.cells(at)) {
            arm_adds_up(arm, cell.hosts).map_err(broken)?;
            if cell.bad + u64::from(arm.bad_new) > u64::from(arm.hosts) {
                return Err(broken(CountRule::BadWithinHosts));
            }
            handed += cell.hosts;
        }
        let (controls, gauge) = plan.sample(handed);
        arm_adds_up(&tally.controls, controls).map_err(broken)?;
        arm_adds_up(&tally.gauge, gauge).map_err(broken)?;
        if !self.late.adds_up(at, tally) {
            return Err(broken(CountRule::LateWithinCovered));
        }
        windows_add_up(tally, self.plan.budget.len(), handed).map_err(broken)
    }
}

/// One window per horizon, and none of more hosts than were handed.
fn windows_add_up(tally: &StratumTally, horizons: usize, handed: u32) -> Result<(), CountRule> {
    if tally.windows.len() != horizons {
        return Err(CountRule::OneWindowPerHorizon);
    }
    let within = |window: &Window| {
        window.at_risk.max(window.clean) <= handed
            && window.bad <= window.at_risk.max(handed - window.clean)
    };
    if !tally.windows.iter().all(within) {
        return Err(CountRule::WindowsWithinHanded);
    }
    if tally.wave_windows.is_empty() {
        return Ok(());
    }
    let sum = |of: fn(&Window) -> u32, row: &[Window]| {
        row.iter().map(|window| u64::from(of(window))).sum::<u64>()
    };
    let agrees = |(at, all): (usize, &Window)| {
        let of: [fn(&Window) -> u32; 3] = [|w| w.at_risk, |w| w.bad, |w| w.clean];
        let row = tally.by_wave(at).unwrap_or(&[]);
        of.iter().all(|of| sum(*of, row) == u64::from(of(all)))
    };
    let complete = tally.wave_windows.len() == horizons * tally.waves.len();
    if complete && tally.windows.iter().enumerate().all(agrees) {
        Ok(())
    } else {
        Err(CountRule::WavesMakeTheWindow)
    }
}

/// The rules that honest counts of one arm of `hosts` hosts keep.
fn arm_adds_up(arm: &ArmTally, hosts: u32) -> Result<(), CountRule> {
    let counts = CHANNELS.map(|channel| count(arm, channel));
    let new: u64 = counts.iter().map(|count| u64::from(count.new)).sum();
    // Thousands of strata times dozens of waves are checked at every tick, and nearly all are well:
    // all rules at once, and which of them is broken only when one is.
    let well = counts.iter().fold(arm.hosts == hosts, |well, count| {
        well & (count.new <= count.at_risk) & (count.at_risk <= hosts)
    }) & (arm.confirmed <= hosts)
        & (arm.fell_back <= hosts)
        & (u64::from(arm.bad_new) <= new)
        & (arm.bad_new <= hosts);
    if well { Ok(()) } else { Err(broken_rule(arm, hosts, counts)) }
}

/// The first rule that is broken.
fn broken_rule(arm: &ArmTally, hosts: u32, counts: [Count; 3]) -> CountRule {
    if arm.hosts != hosts {
        CountRule::HostsWithinHanded
    } else if counts.iter().any(|count| count.new > count.at_risk) {
        CountRule::NewWithinAtRisk
    } else if counts.iter().any(|count| count.at_risk > hosts) {
        CountRule::AtRiskWithinHosts
    } else if arm.confirmed > hosts || arm.fell_back > hosts {
        CountRule::OutcomesWithinHosts
    } else {
        CountRule::BadWithinChannels
    }
}
