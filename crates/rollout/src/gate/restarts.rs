//! Announced restarts that do not end: the reboot that never comes back. An update may make its hosts
//! restart while the controls stay up, so a missed return is no first silence like any other: it is held
//! against restarts. It knows counts only.
//!
//! Two e-values, half each, and both are 1 until the first restart of a treated host was due:
//!
//! * **Restarts against restarts.** Treated hosts and controls whose restart was due in the same tick are
//!   compared as in [`super::eprocess`], whatever a restart's risk may be.
//! * **Restarts against the baseline.** *Assumption:* a restart fails by itself with probability at most
//!   r ([`andon_model::policy::Watch::restart_missed_ppm`]), independently of everything else. Give every
//!   control such a restart in thought. If the update changes nothing then the U treated hosts and the C
//!   controls are alike: each is bad if the background took it (power cuts, lost regions, dependent in
//!   any way) or its restart failed. So of all bad ones the number x of treated is hypergeometric, and
//!   with p = U / (U + C), θ^x / (1 + p (θ − 1))^(x + y) has expectation at most 1, y being the bad
//!   controls. Taking the mean over the imagined restarts of the controls that are well,
//!
//!   ```text
//!   e(θ) = θ^x (1 + p (θ − 1))^−(x + K) (1 − r + r / (1 + p (θ − 1)))^(C − K)
//!   ```
//!
//!   has it too, K being the controls that have been bad at any time (counting more of them only makes
//!   it smaller). What a host that is away goes through shows later than it does in controls, so this is
//!   no martingale: it is looked at when 1, 2, 4, 8, … treated restarts were due, and look j = 0, 1, …
//!   weighs 1 / ((j + 1) (j + 2)). The weighted e-values sum up to an expectation of at most 1, and the
//!   sum only rises: by Markov P(ever ≥ c) ≤ 1 / c.
//!
//! If the controls' own restarts show that r is too low, the second part is left out for good.
//!
//! Evidence comes when restarts are due, minutes after they were announced, and an update reaches a whole
//! fleet in minutes. So while more treated hosts are away for a restart than controls let expect
//! ([`Restarts::away`]), nothing is handed out: a release that makes its hosts restart waits for them.
use super::eprocess::{Mixture, Pair, THETA, ln_mean_exp};
use super::tally::as_f64;
use crate::event::StratumTally;
use serde::{Deserialize, Serialize};

/// Evidence at which the controls' own restarts refute the assumption. It happens to a true one in a
/// twentieth of all rollouts at most, and costs power only.
const REFUTED: f64 = 20.0;

/// Sums over one stratum, a whole rollout long.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    /// treated: restarts that were due, and missed
    due: u64,
    missed: u64,
    /// sampled controls after the latest tick, and those that have ever been bad
    controls: u64,
    controls_bad: u64,
}

/// Sums over all strata of one tick.
#[derive(Clone, Copy, Debug, Default)]
struct Tick {
    /// sampled controls
    controls: u64,
    /// away for a restart
    treated_away: u64,
    controls_away: u64,
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct Restarts {
    /// r
    risk: f64,
    cells: Vec<Cell>,
    concurrent: Mixture,
    /// sum of the looks' weighted e-values
    baseline: f64,
    looks: u32,
    /// of controls: restarts due and missed
    controls: (u64, u64),
    /// ln of the evidence against the assumption, its largest
    against: f64,
    /// of treated hosts: restarts due so far
    due: u64,
    /// of the tick that is being taken
    tick: Tick,
    /// see [`Restarts::away`]
    away: u64,
}

/// What announced restarts have shown, as told in tickets and to people.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestartEvidence {
    /// evidence that the update keeps hosts from coming back; capped as [`super::Evidence::e`]
    pub e: f64,
    /// halt when it reaches this: 10/α
    pub threshold: f64,
    /// restarts of treated hosts that should be over
    pub due: u64,
    /// of these, hosts that did not come back in time
    pub missed: u64,
    /// the same of controls
    pub controls_due: u64,
    /// … that did not come back
    pub controls_missed: u64,
    /// restarts that may fail by themselves, as the policy says
    pub assumed_ppm: u32,
    /// whether the controls' own restarts speak against that; then only concurrent restarts are compared
    pub refuted: bool,
}

impl Restarts {
    pub(crate) fn new(strata: usize, missed_ppm: u32) -> Restarts {
        Restarts {
            risk: f64::from(missed_ppm.min(1_000_000)) / 1e6,
            cells: vec![Cell::default(); strata],
            concurrent: Mixture::default(),
            baseline: 0.0,
            looks: 0,
            controls: (0, 0),
            against: 0.0,
            due: 0,
            tick: Tick::default(),
            away: 0,
        }
    }

    /// Takes one stratum's tick; `controls_bad`: controls that have been bad so far. `None`: overflow.
    pub(crate) fn observe(
        &mut self,
        at: usize,
        tally: &StratumTally,
        controls_bad: u64,
    ) -> Option<()> {
        let cell = self.cells.get_mut(at)?;
        cell.controls = u64::from(tally.controls.hosts) + u64::from(tally.gauge.hosts);
        cell.controls_bad = controls_bad;
        self.tick.controls += cell.controls;
        self.tick.treated_away += u64::from(tally.restarts.treated_away);
        self.tick.controls_away += u64::from(tally.restarts.controls_away);
        let (treated, controls) = (tally.restarts.treated, tally.restarts.controls);
        if treated.at_risk == 0 && controls.at_risk == 0 {
            return Some(());
        }
        cell.due = cell.due.checked_add(u64::from(treated.at_risk))?;
        self.due = self.due.checked_add(u64::from(treated.at_risk))?;
        cell.missed = cell.missed.checked_add(u64::from(treated.new))?;
        let (due, missed) = self.controls;
        self.controls.0 = due.checked_add(u64::from(controls.at_risk))?;
        self.controls.1 = missed.checked_add(u64::from(controls.new))?;
        self.concurrent.observe(Pair {
            x: treated.new,
            u: treated.at_risk,
            y: controls.new,
            c: controls.at_risk,
        });
        Some(())
    }

    /// All strata's ticks are in; `treated`: hosts that were handed the release.
    pub(crate) fn close(&mut self, treated: u64) {
        self.away = away(std::mem::take(&mut self.tick), treated);
        let (due, missed) = (as_f64(self.controls.0), as_f64(self.controls.1));
        if missed > 0.0 {
            let ln =
                THETA.map(|theta| missed * theta.ln() - due * (self.risk * (theta - 1.0)).ln_1p());
            self.against = self.against.max(ln_mean_exp(ln.into_iter()));
        }
        // One look at a time, however many restarts a tick brings: a later look sees more.
        let all = self.due;
        let due = |look: u32| 1_u64.checked_shl(look).is_some_and(|next| all >= next);
        if due(self.looks) {
            while due(self.looks + 1) {
                self.looks += 1;
            }
            let weight = f64::from((self.looks + 1) * (self.looks + 2));
            self.baseline += self.ln_look().exp().min(f64::MAX / 2.0) / weight;
            self.looks += 1;
        }
    }

    /// Treated hosts that are away for a restart beyond one, what the controls let expect, and four
    /// standard deviations: by chance a good update waits once in thousands of looks, and not for long.
    pub(crate) const fn away(&self) -> u64 {
        self.away
    }

    /// ln of the baseline's e-value over all strata, as of now.
    fn ln_look(&self) -> f64 {
        let told = || self.cells.iter().filter(|cell| cell.due > 0);
        let ln = THETA.map(|theta| {
            let of = |cell: &Cell| {
                let (due, controls) = (as_f64(cell.due), as_f64(cell.controls));
                let bad = as_f64(cell.controls_bad.min(cell.controls));
                let each = (due / (due + controls) * (theta - 1.0)).ln_1p();
                let missed = as_f64(cell.missed);
                let well = (self.risk * (-each).exp_m1()).ln_1p();
                missed * theta.ln() - (missed + bad) * each + (controls - bad) * well
            };
            told().map(of).sum()
        });
        ln_mean_exp(ln.into_iter())
    }

    /// Whether the controls' own restarts speak against the assumption.
    fn refuted(&self) -> bool {
        self.against >= REFUTED.ln()
    }

    /// The evidence, its logarithm; 0 while no restart of a treated host was due.
    pub(crate) fn ln_e(&self) -> f64 {
        if self.due == 0 {
            return 0.0;
        }
        let baseline = if self.refuted() { 0.0 } else { self.baseline };
        let parts = [self.concurrent.ln_e(), baseline.ln()];
        ln_mean_exp(parts.into_iter())
    }

    /// What there is to tell, once there is anything. `threshold`: 10/α; `shown`: e of its logarithm.
    pub(crate) fn evidence(
        &self,
        threshold: f64,
        missed_ppm: u32,
        shown: impl Fn(f64) -> f64,
    ) -> Option<RestartEvidence> {
        let missed = self.cells.iter().map(|cell| cell.missed).sum();
        let due = self.due;
        let (controls_due, controls_missed) = self.controls;
        (due > 0).then(|| RestartEvidence {
            e: shown(self.ln_e()),
            threshold,
            due,
            missed,
            controls_due,
            controls_missed,
            assumed_ppm: missed_ppm,
            refuted: self.refuted(),
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and at most the fleet"
)]
fn away(tick: Tick, treated: u64) -> u64 {
    if tick.treated_away == 0 {
        return 0;
    }
    let each = as_f64(treated) / as_f64(tick.controls).max(1.0);
    let expected = (as_f64(tick.controls_away) + 1.0) * each;
    let noise = 4.0 * (expected * (1.0 + each)).sqrt();
    (as_f64(tick.treated_away) - expected - noise - 1.0).max(0.0).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{ArmTally, Count, RestartTally};

    fn choose(n: u32, k: u32) -> f64 {
        (0..k).map(|i| f64::from(n - i) / f64::from(k - i)).product()
    }

    fn one_look(risk_ppm: u32, (due, missed): (u32, u32), (controls, bad): (u32, u32)) -> f64 {
        let mut restarts = Restarts::new(1, risk_ppm);
        let arm = ArmTally { hosts: controls, ..ArmTally::default() };
        let treated = Count::of(missed, due);
        let tally = StratumTally {
            controls: arm,
            restarts: RestartTally { treated, ..RestartTally::default() },
            ..StratumTally::default()
        };
        restarts.observe(0, &tally, u64::from(bad)).unwrap();
        restarts.ln_look().exp()
    }

    /// The claim of the module's documentation, over every outcome: which hosts the background took, and
    /// which restarts failed.
    #[test]
    fn expectation_of_a_look_is_at_most_one_whatever_the_background_takes() {
        let mut least: f64 = 1.0;
        for (due, controls) in [(1, 5), (4, 12), (8, 8), (12, 3)] {
            for struck in 0..=(due + controls) {
                for (assumed, real) in [(20_000, 0.02_f64), (20_000, 0.0), (300_000, 0.3)] {
                    let mut mean = 0.0;
                    for of_due in struck.max(controls) - controls..=struck.min(due) {
                        let ways = choose(due, of_due) * choose(controls, struck - of_due);
                        let left = due - of_due;
                        for failed in 0..=left {
                            let (f, w): (f64, f64) = (failed.into(), (left - failed).into());
                            let chance = choose(left, failed) * real.powf(f) * (1.0 - real).powf(w);
                            let bad = struck - of_due;
                            let e = one_look(assumed, (due, of_due + failed), (controls, bad));
                            mean += ways / choose(due + controls, struck) * chance * e;
                        }
                    }
                    assert!(mean <= 1.0 + 1e-9, "{due} {controls} {struck} {real}: {mean}");
                    least = least.min(mean);
                }
            }
        }
        assert!(least > 1e-6, "a mean of {least} means that it can never speak");
    }

    #[test]
    fn eight_of_eight_that_do_not_come_back_are_enough_and_two_are_not() {
        assert!(one_look(20_000, (8, 8), (985, 0)) / 20.0 > 20_000.0);
        assert!(one_look(20_000, (2, 2), (985, 0)) / 6.0 < 20_000.0);
    }

    #[test]
    fn looks_weigh_one_together_and_none_is_taken_twice() {
        let mut restarts = Restarts::new(1, 20_000);
        let tally = StratumTally {
            controls: ArmTally { hosts: 1000, ..ArmTally::default() },
            restarts: RestartTally { treated: Count::of(0, 1), ..RestartTally::default() },
            ..StratumTally::default()
        };
        let mut taken = Vec::new();
        for due in 1..=64_u32 {
            let before = restarts.looks;
            restarts.observe(0, &tally, 0).unwrap();
            restarts.close(64);
            if restarts.looks != before {
                taken.push(due);
            }
        }
        assert_eq!(taken, [1, 2, 4, 8, 16, 32, 64]);
        assert!(restarts.baseline < 1.0, "{}", restarts.baseline);
    }
}
