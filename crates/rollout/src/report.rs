//! What a person should know before the start: what the gate cannot see on this fleet, and how long
//! even a good update must take. It changes no decision.
use crate::event::{ArmTally, Count, Observation, StratumTally};
use crate::gate::{Gate, Verdict, hand_outs_min};
use crate::plan::{Plan, StratumPlan};
use andon_model::{Millis, StratumId, Time};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;

/// Below so many hosts a stratum cannot halt a rollout by itself at the default α and holdback.
const BLIND_BELOW: u32 = 20;
/// A good update that must take longer than this is a finding: the routine lane promises less.
const SLOW_BEYOND: Millis = Millis::from_secs(45 * 60);

/// What a person should know before the start: above all what the gate can not see here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanReport {
    /// hosts of the plan
    pub hosts: u64,
    /// hosts held back
    pub holdback: u64,
    /// hosts of the first wave
    pub first_wave: u32,
    /// so many of the first wave must go bad in one channel for a halt; `None`: it cannot halt
    pub crashes_to_halt: Option<u32>,
    /// what is weak on this fleet
    pub findings: Vec<Finding>,
}

/// Something the gate cannot do on this fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// the line has no hosts: the release becomes its baseline without any evidence
    Baseline,
    /// too few hosts for controls of its own: a fault of this stratum alone shows only through others
    StratumBlind {
        /// which
        stratum: StratumId,
        /// its hosts
        size: u32,
    },
    /// the budget allows for all hosts: it bounds nothing
    BudgetCoversAll {
        /// D, milliseconds
        after_ms: u64,
        /// B(D)
        hosts: u64,
    },
    /// even a first wave that goes bad whole would not halt it
    FirstWaveCannotHalt,
    /// faults that hide for longer than this are outside the promise
    HorizonEnds {
        /// the longest D, milliseconds
        after_ms: u64,
    },
    /// hosts of a stratum install it in the first wave only, or not at all: no rig has shown that it runs
    /// on their class
    Unattested {
        /// how many of which, until when, and why, in words
        what: String,
    },
    /// so few hosts may be lost that even a good update takes long
    Slow {
        /// D, milliseconds
        after_ms: u64,
        /// B(D)
        hosts: u64,
        /// from the first ticket to the last, if nothing goes wrong, at least; milliseconds
        takes_at_least_ms: u64,
    },
}

impl Plan {
    pub(crate) fn report(&self) -> PlanReport {
        let first: u32 = self.first_wave(self.earliest()).iter().sum();
        let crashes_to_halt = self.crashes_to_halt(first);
        let mut findings = Vec::new();
        if self.hosts() == 0 {
            findings.push(Finding::Baseline);
        } else if crashes_to_halt.is_none() {
            findings.push(Finding::FirstWaveCannotHalt);
        }
        for (after, hosts) in &self.budget {
            if self.hosts() > 0 && *hosts >= self.hosts() {
                findings.push(Finding::BudgetCoversAll { after_ms: after.0, hosts: *hosts });
            }
        }
        let slow = self.budget.iter().map(|point| self.forecast(*point));
        if let Some(slowest) = slow.max_by_key(|(_, takes)| *takes)
            && slowest.1 > SLOW_BEYOND
        {
            let ((after, hosts), takes) = slowest;
            findings.push(Finding::Slow { after_ms: after.0, hosts, takes_at_least_ms: takes.0 });
        }
        // Each treated host of a stratum that goes bad multiplies E by at most its size: two hosts
        // of ten, whatever controls there are, stay below 1/α = 1,000.
        for StratumPlan { stratum, size, .. } in self.strata.iter().filter(|s| s.size < BLIND_BELOW)
        {
            findings.push(Finding::StratumBlind { stratum: stratum.clone(), size: *size });
        }
        if let Some((after, _)) = self.budget.last() {
            findings.push(Finding::HorizonEnds { after_ms: after.0 });
        }
        PlanReport {
            hosts: self.hosts(),
            holdback: self.strata.iter().map(|s| u64::from(s.holdback)).sum(),
            first_wave: first,
            crashes_to_halt,
            findings,
        }
    }

    /// How long a good update takes under one point of the budget alone, at least.
    fn forecast(&self, point: (Millis, u64)) -> ((Millis, u64), Millis) {
        let rounds = hand_outs_min(self, point);
        let each = self.generation().plus(point.0);
        (point, Millis(each.0.saturating_mul(rounds.saturating_sub(1))))
    }

    /// When the first wave can go.
    pub(crate) fn earliest(&self) -> Time {
        let openings = (0..self.strata.len()).map(|at| self.opening(at, self.created));
        openings.min().unwrap_or(self.created)
    }

    /// The fewest of the first wave whose silence, all in one tick, halts it: by the gate itself.
    fn crashes_to_halt(&self, first: u32) -> Option<u32> {
        let wave = self.first_wave(self.earliest());
        let halts = |crashed: u32| {
            let bad = self.spread(u64::from(crashed), self.earliest());
            let tally = |at: usize| {
                let arm = |hosts: u32, new: u32| ArmTally {
                    silence: Count::of(new, hosts),
                    bad_new: new,
                    hosts,
                    ..ArmTally::default()
                };
                let new = bad[at].min(wave[at]);
                let (controls, gauge) = self.strata[at].sample(wave[at]);
                let (controls, gauge) = (arm(controls, 0), arm(gauge, 0));
                let waves = vec![arm(wave[at], new)];
                StratumTally { waves, controls, gauge, ..StratumTally::default() }
            };
            let seen = Observation { strata: (0..wave.len()).map(tally).collect() };
            let mut gate = Gate::new(self);
            gate.add_wave(&wave);
            let sums = |(at, tally): (usize, &StratumTally)| {
                gate.sums(at, &tally.waves, &[true], |_, _| Ok::<(), Infallible>(()))
            };
            let Ok(sums) = seen.strata.iter().enumerate().map(sums).collect::<Result<Vec<_>, _>>();
            let read = gate.observe(self.created, &seen, &sums);
            read.is_some() && gate.verdict(self) == Verdict::Fail
        };
        if first == 0 || !halts(first) {
            return None;
        }
        let (mut low, mut high) = (0, first);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if halts(middle) { high = middle } else { low = middle }
        }
        Some(high)
    }
}

impl PlanReport {
    /// The findings in words, the most important first. `strata`: how many the plan has.
    #[must_use]
    pub fn cannot_see(&self, strata: usize) -> Vec<String> {
        let first = self.first_wave;
        let mut out = vec![match self.crashes_to_halt {
            Some(0 | 1) => format!("what fails none of the first {first} hosts, in that wave"),
            Some(crashes) => format!(
                "fewer than {crashes} of the first {first} hosts failing at once halt nothing by \
                 themselves"
            ),
            None if first == 0 => {
                "anything: no host is here yet, and whoever enrols later takes it unwatched"
                    .to_owned()
            }
            None => format!("even all of the first {first} hosts failing halt nothing"),
        }];
        let blind = |finding: &&Finding| matches!(finding, Finding::StratumBlind { .. });
        let blind = self.findings.iter().filter(blind).count();
        if blind > 0 {
            out.push(format!(
                "a fault of one stratum alone in {blind} of {strata} strata (too small)"
            ));
        }
        out.extend(self.findings.iter().filter_map(Finding::words));
        out
    }
}

impl Finding {
    /// What is not said together with others.
    fn words(&self) -> Option<String> {
        match self {
            Finding::BudgetCoversAll { after_ms, hosts } => Some(format!(
                "its budget of {hosts} hosts for {} s covers everybody and so bounds nothing",
                after_ms / 1000
            )),
            Finding::HorizonEnds { after_ms } => Some(format!(
                "faults that show later than {} s after load and soak",
                after_ms / 1000
            )),
            Finding::Slow { after_ms, hosts, takes_at_least_ms } => Some(format!(
                "with {hosts} hosts at stake for {} s even a good update takes {} or more, and \
                 stands when that many fail by chance",
                after_ms / 1000,
                at_least(*takes_at_least_ms)
            )),
            Finding::Unattested { what } => {
                Some(format!("anything where it does not come: {what}"))
            }
            Finding::Baseline | Finding::FirstWaveCannotHalt | Finding::StratumBlind { .. } => None,
        }
    }
}

/// A lower bound in words, rounded down so that it stays one.
fn at_least(ms: u64) -> String {
    let minutes = ms / 60_000;
    match minutes {
        0..120 => format!("{minutes} min"),
        _ => format!("{} h", minutes / 60),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_forecast_is_never_longer_than_the_bound_it_says() {
        let said = [45, 46, 119, 120, 179, 180].map(|minutes| super::at_least(minutes * 60_000));
        assert_eq!(said, ["45 min", "46 min", "119 min", "2 h", "2 h", "3 h"]);
    }
}
