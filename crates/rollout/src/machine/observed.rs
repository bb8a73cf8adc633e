//! Observations: counts must add up, then the gate reads them, then it is decided what to do.
use super::{Phase, Rollout, total};
use crate::action::{Action, CountRule, Decision, Exposure, HaltReason, HoldReason};
use crate::event::{ArmTally, Count, Observation, StratumTally, Window};
use crate::gate::{Cell, Sums, Verdict, counts};
use crate::machine::widen::Next;
use crate::plan::StratumPlan;
use andon_model::ticket::{Newcomers, Step};

impl Rollout {
    pub(super) fn on_observed(&mut self, seen: &Observation) -> Vec<Action> {
        if matches!(self.phase, Phase::Planned | Phase::AwaitingApproval) {
            return Vec::new();
        }
        let sums = match self.adds_up(seen) {
            Ok(sums) => sums,
            Err(reason) => return self.hold(reason),
        };
        self.late.observe(&seen.strata);
        self.late_charges = self.late.charges(self.late.covered());
        if self.gate.observe(self.clock, seen, &sums).is_none() {
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
        let (e, threshold, channel, stratum) = self.gate.charge(&self.plan);
        let stratum = stratum.and_then(|at| self.plan.strata.get(at));
        let stratum = stratum.map(|plan| plan.stratum.clone());
        self.halt(HaltReason::Gate { e, threshold, channel, stratum })
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

    /// Whether honest counts could be these; and what each stratum's waves come to.
    fn adds_up(&self, seen: &Observation) -> Result<Vec<Sums>, HoldReason> {
        let short = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let want = self.plan.strata.len();
        if seen.strata.len() != want {
            let got = short(seen.strata.len());
            return Err(HoldReason::StrataMissing { got, want: short(want) });
        }
        let fresh = self.fresh();
        let mut sums = Vec::with_capacity(want);
        for (at, (tally, plan)) in seen.strata.iter().zip(&self.plan.strata).enumerate() {
            if tally.waves.len() != self.waves.len() {
                return Err(HoldReason::WavesMissing {
                    stratum: plan.stratum.clone(),
                    got: short(tally.waves.len()),
                    want: short(self.waves.len()),
                });
            }
            sums.push(self.stratum_adds_up(at, tally, plan, &fresh)?);
        }
        Ok(sums)
    }

    fn stratum_adds_up(
        &self,
        at: usize,
        tally: &StratumTally,
        plan: &StratumPlan,
        fresh: &[bool],
    ) -> Result<Sums, HoldReason> {
        let broken = |rule| HoldReason::CountsDoNotAddUp { stratum: plan.stratum.clone(), rule };
        let (mut handed, restarts) = (0, tally.restarts);
        let check = |arm: &ArmTally, cell: Cell| {
            arm_adds_up(arm, cell.hosts, restarts.treated)?;
            if u64::from(cell.bad) + u64::from(arm.bad_new) > u64::from(arm.hosts) {
                return Err(CountRule::BadWithinHosts);
            }
            handed += cell.hosts;
            Ok(())
        };
        let sums = self.gate.sums(at, &tally.waves, fresh, check).map_err(broken)?;
        let (controls, gauge) = plan.sample(handed);
        arm_adds_up(&tally.controls, controls, restarts.controls).map_err(broken)?;
        arm_adds_up(&tally.gauge, gauge, restarts.controls).map_err(broken)?;
        let within = |count: Count, hosts| count.new <= count.at_risk.min(hosts);
        let sampled = controls.saturating_add(gauge);
        let away = restarts.treated_away <= handed && restarts.controls_away <= sampled;
        if !away || !within(restarts.treated, handed) || !within(restarts.controls, sampled) {
            return Err(broken(CountRule::RestartsWithinHosts));
        }
        if !self.late.adds_up(at, tally) {
            return Err(broken(CountRule::LateWithinCovered));
        }
        windows_add_up(tally, self.plan.budget.len(), handed).map_err(broken)?;
        Ok(sums)
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
    let agrees = |(at, all): (usize, &Window)| {
        let row = tally.by_wave(at).unwrap_or(&[]);
        let sums = row.iter().fold((0, 0, 0), |(at_risk, bad, clean), wave| {
            let [r, b, c] = [wave.at_risk, wave.bad, wave.clean].map(u64::from);
            (at_risk + r, bad + b, clean + c)
        });
        sums == (u64::from(all.at_risk), u64::from(all.bad), u64::from(all.clean))
    };
    let complete = tally.wave_windows.len() == horizons * tally.waves.len();
    if complete && tally.windows.iter().enumerate().all(agrees) {
        Ok(())
    } else {
        Err(CountRule::WavesMakeTheWindow)
    }
}

/// The rules that honest counts of one arm of `hosts` hosts keep; `restarts`: those of this arm and of
/// others like it.
fn arm_adds_up(arm: &ArmTally, hosts: u32, restarts: Count) -> Result<(), CountRule> {
    let counts = counts(arm);
    let new: u64 = counts.iter().map(|count| u64::from(count.new)).sum();
    let new = new + u64::from(restarts.new);
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
