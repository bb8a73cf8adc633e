//! The pool: every consenting operator's tallies added up to the vendor line's observation. It
//! judges nothing; the gate of the vendor line's rollout does. What is missing is doubt, and doubt
//! holds: a sum that leaves an operator out would look healthier than the fleet is.
use crate::event::{ArmTally, Count, Event, LateTally, Observation, StratumTally, Window};
use crate::plan::StratumPlan;
use andon_model::text::Text;
use andon_model::{OperatorId, StratumId};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One operator's tallies of one round, in the order of the pool's strata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorTally {
    /// which round of the vendor line it answers; counts up by one
    pub round: u64,
    /// one per stratum of the pool, an empty one where the operator has no hosts
    pub strata: Vec<StratumTally>,
}

/// Whether an operator still takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// its tally is awaited in every round
    Consenting,
    /// its own line has halted: a tally that comes is evidence, one that does not is missing
    Halted,
    /// it did not answer in time, and the vendor's policy lets the line go on without so many hosts:
    /// they stay unvouched, and it is not counted again in this rollout
    Absent,
    /// a person let the vendor line go on without it: its handed hosts stay unvouched for good
    Withdrawn,
}

/// Why a round makes no observation. The vendor line holds on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolDoubt {
    /// a consenting (or halted) operator has not reported
    #[error("operator {0} has not reported")]
    OperatorMissing(OperatorId),
    /// somebody reports who is not of the pool
    #[error("operator {0} is not of this line")]
    OperatorUnknown(OperatorId),
    /// a tally of another round: late, or told twice
    #[error("operator {operator} reports round {got}, round {want} is due")]
    Round {
        /// whose
        operator: OperatorId,
        /// round of the tally
        got: u64,
        /// round that is due
        want: u64,
    },
    /// not one tally per stratum
    #[error("operator {operator} reports {got} strata, the line has {want}")]
    StrataMissing {
        /// whose
        operator: OperatorId,
        /// strata there
        got: usize,
        /// strata of the pool
        want: usize,
    },
    /// operators disagree about how many tickets were issued
    #[error("operator {operator} reports {got} waves of stratum {stratum}, the line has {want}")]
    WavesMissing {
        /// whose
        operator: OperatorId,
        /// where
        stratum: StratumId,
        /// waves there
        got: usize,
        /// tickets issued by the vendor line
        want: usize,
    },
    /// an operator counts more hosts than it joined with; fewer do not add up to the vendor's waves
    #[error("operator {operator} counts {got} hosts of stratum {stratum}, it joined with {want}")]
    HostsExceed {
        /// whose
        operator: OperatorId,
        /// where
        stratum: StratumId,
        /// hosts in the tally
        got: u64,
        /// hosts at joining
        want: u32,
    },
    /// a sum left its range
    #[error("a sum over operators leaves its range")]
    Overflow,
}

impl PoolDoubt {
    /// What to tell the vendor line's rollout: it holds and gives this reason.
    #[must_use]
    pub fn event(&self) -> Event {
        Event::ActionFailed { generation: 0, what: Text::clipped(&format!("pool tallies: {self}")) }
    }
}

/// Why operators make no pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// not one number per stratum
    #[error("operator {operator} joins with {got} strata, the line has {want}")]
    Strata {
        /// whose
        operator: OperatorId,
        /// numbers there
        got: usize,
        /// strata of the line
        want: usize,
    },
    /// more hosts in one stratum than can be counted
    #[error("stratum {0} has too many hosts")]
    Hosts(StratumId),
}

#[derive(Clone, Debug)]
struct Member {
    hosts: Vec<u32>,
    standing: Standing,
}

/// Who takes part, with how many hosts, and the round that is due.
#[derive(Clone, Debug)]
pub struct Pool {
    strata: Vec<StratumId>,
    members: BTreeMap<OperatorId, Member>,
    round: u64,
}

impl Pool {
    /// A pool of operators with their hosts per stratum, in the order of `strata`.
    /// # Errors
    /// [`PoolError`].
    pub fn new(
        strata: Vec<StratumId>,
        operators: BTreeMap<OperatorId, Vec<u32>>,
    ) -> Result<Pool, PoolError> {
        let want = strata.len();
        for (operator, hosts) in &operators {
            if hosts.len() != want {
                let operator = operator.clone();
                return Err(PoolError::Strata { operator, got: hosts.len(), want });
            }
        }
        for (at, stratum) in strata.iter().enumerate() {
            let sum: u64 = operators.values().map(|hosts| u64::from(hosts[at])).sum();
            u32::try_from(sum).map_err(|_| PoolError::Hosts(stratum.clone()))?;
        }
        let member = |hosts: Vec<u32>| Member { hosts, standing: Standing::Consenting };
        let members = operators.into_iter().map(|(name, hosts)| (name, member(hosts))).collect();
        Ok(Pool { strata, members, round: 1 })
    }

    /// Hosts per stratum over all operators: what the vendor line's plan is made of.
    #[must_use]
    pub fn sizes(&self) -> BTreeMap<StratumId, u32> {
        let sum = |at: usize| self.members.values().map(|member| member.hosts[at]).sum();
        self.strata.iter().enumerate().map(|(at, name)| (name.clone(), sum(at))).collect()
    }

    /// Hosts of every operator in one stratum, by operator.
    #[must_use]
    pub fn hosts(&self, stratum: &StratumPlan) -> BTreeMap<OperatorId, u32> {
        let at = self.strata.iter().position(|name| *name == stratum.stratum);
        let of = |(name, member): (&OperatorId, &Member)| {
            (name.clone(), at.map_or(0, |at| member.hosts[at]))
        };
        self.members.iter().map(of).collect()
    }

    /// The round whose tallies are due.
    #[must_use]
    pub fn round(&self) -> u64 {
        self.round
    }

    /// Changes an operator's standing; withdrawing is a person's decision, being absent the vendor line's
    /// within its policy. False: not of this pool.
    pub fn set_standing(&mut self, operator: &OperatorId, standing: Standing) -> bool {
        let member = self.members.get_mut(operator);
        member.is_some_and(|member| {
            member.standing = standing;
            true
        })
    }

    /// A round of this number was pooled (the journal says so): the next one is due. Never back.
    pub fn pooled(&mut self, round: u64) {
        self.round = self.round.max(round.saturating_add(1));
    }

    /// Everybody of the pool, and how each stands.
    pub fn standings(&self) -> impl Iterator<Item = (&OperatorId, Standing)> {
        self.members.iter().map(|(name, member)| (name, member.standing))
    }

    /// Hosts of one operator, in the order of the pool's strata; `None`: not of this pool.
    #[must_use]
    pub fn hosts_of(&self, operator: &OperatorId) -> Option<&[u32]> {
        self.members.get(operator).map(|member| member.hosts.as_slice())
    }

    /// Whether one operator's report of the round that is due may be added, after `waves` tickets: so
    /// that it is refused where it comes from, and the line does not have to hold for it.
    /// # Errors
    /// [`PoolDoubt`].
    pub fn accepts(
        &self,
        operator: &OperatorId,
        report: &OperatorTally,
        waves: usize,
    ) -> Result<(), PoolDoubt> {
        let member = self.members.get(operator);
        let member = member.ok_or_else(|| PoolDoubt::OperatorUnknown(operator.clone()))?;
        self.check(operator, member, report, waves)
    }

    /// Adds one round up; `handed` as [`crate::Rollout::waves`] of the vendor line. All or nothing: on
    /// doubt the round stays due.
    /// # Errors
    /// [`PoolDoubt`]; [`PoolDoubt::event`] makes the vendor line hold.
    pub fn merge(
        &mut self,
        handed: &[&[u32]],
        reports: &BTreeMap<OperatorId, OperatorTally>,
    ) -> Result<Observation, PoolDoubt> {
        if let Some(name) = reports.keys().find(|name| !self.members.contains_key(*name)) {
            return Err(PoolDoubt::OperatorUnknown(name.clone()));
        }
        let find = |name: &OperatorId, standing| match standing {
            Standing::Absent | Standing::Withdrawn => None,
            Standing::Consenting | Standing::Halted => reports.get(name),
        };
        let sum = self.sum(handed, find, |_, report| Cow::Borrowed(report))?;
        self.pooled(self.round);
        Ok(sum)
    }

    /// As [`Pool::merge`], one operator's report at a time, and the round stays due until
    /// [`Pool::pooled`] says that the sum is on disk. `find` says whether there is a report, `read`
    /// reads it once all are there. Of an operator that left, a report says where its hosts stand, for
    /// whoever knows each host's rank: without one only the waves are known, and its other hosts are
    /// taken for controls.
    /// # Errors
    /// [`PoolDoubt`].
    pub fn sum<'r, R>(
        &self,
        handed: &[&[u32]],
        mut find: impl FnMut(&OperatorId, Standing) -> Option<R>,
        mut read: impl FnMut(&OperatorId, R) -> Cow<'r, OperatorTally>,
    ) -> Result<Observation, PoolDoubt> {
        let mut found = Vec::with_capacity(self.members.len());
        let mut left = vec![0; self.strata.len()];
        for (name, member) in &self.members {
            match (find(name, member.standing), member.standing) {
                (Some(report), _) => found.push((name, member, report)),
                (None, Standing::Absent | Standing::Withdrawn) => {
                    left.iter_mut().zip(&member.hosts).for_each(|(left, hosts)| *left += hosts);
                }
                (None, _) => return Err(PoolDoubt::OperatorMissing(name.clone())),
            }
        }
        let waves = vec![ArmTally::default(); handed.len()];
        let mut sum = vec![StratumTally { waves, ..StratumTally::default() }; self.strata.len()];
        // What only some tell per wave is no sum.
        let mut told = vec![true; self.strata.len()];
        for (name, member, report) in found {
            let report = read(name, report);
            self.check(name, member, &report, handed.len())?;
            for (at, (into, tally)) in sum.iter_mut().zip(&report.strata).enumerate() {
                add(into, tally).ok_or(PoolDoubt::Overflow)?;
                let rows = tally.windows.len() * tally.waves.len();
                told[at] &= tally.wave_windows.len() == rows;
            }
        }
        for (at, (tally, left)) in sum.iter_mut().zip(left).enumerate() {
            add_left(at, tally, handed, left).ok_or(PoolDoubt::Overflow)?;
            if !told[at] {
                tally.wave_windows.clear();
            }
        }
        Ok(Observation { strata: sum })
    }

    fn check(
        &self,
        name: &OperatorId,
        member: &Member,
        report: &OperatorTally,
        waves: usize,
    ) -> Result<(), PoolDoubt> {
        let operator = || name.clone();
        if report.round != self.round {
            let (got, want) = (report.round, self.round);
            return Err(PoolDoubt::Round { operator: operator(), got, want });
        }
        let (got, want) = (report.strata.len(), self.strata.len());
        if got != want {
            return Err(PoolDoubt::StrataMissing { operator: operator(), got, want });
        }
        for ((tally, stratum), want) in report.strata.iter().zip(&self.strata).zip(&member.hosts) {
            let stratum = stratum.clone();
            if tally.waves.len() != waves {
                let got = tally.waves.len();
                let operator = operator();
                return Err(PoolDoubt::WavesMissing { operator, stratum, got, want: waves });
            }
            let arms = tally.waves.iter().chain([&tally.controls, &tally.gauge]);
            let got: u64 = arms.map(|arm| u64::from(arm.hosts)).sum();
            if got > u64::from(*want) {
                let (operator, want) = (operator(), *want);
                return Err(PoolDoubt::HostsExceed { operator, stratum, got, want });
            }
        }
        Ok(())
    }
}

/// The `left` hosts of operators that are gone stand where the pooled order puts them. Nothing of them
/// is new, none is at risk, none has confirmed: they are no controls and are never vouched.
fn add_left(at: usize, tally: &mut StratumTally, handed: &[&[u32]], mut left: u32) -> Option<()> {
    let mut before = 0;
    for (arm, handed) in tally.waves.iter_mut().zip(handed) {
        let now = handed.get(at).copied().unwrap_or(before);
        let absent = now.saturating_sub(before).saturating_sub(arm.hosts).min(left);
        (left, before) = (left - absent, now);
        arm.hosts += absent;
    }
    tally.controls.hosts = tally.controls.hosts.checked_add(left)?;
    Some(())
}

/// Adds one operator's tally to the sum. Both are taken apart field by field, without `..`: a field
/// that is added to a tally must be added here too, or this does not compile.
fn add(into: &mut StratumTally, tally: &StratumTally) -> Option<()> {
    let StratumTally { waves, controls, gauge, windows, wave_windows, late, restarts } = into;
    let StratumTally {
        waves: more,
        controls: more_controls,
        gauge: more_gauge,
        windows: wider,
        wave_windows: more_windows,
        late: more_late,
        restarts: more_restarts,
    } = tally;
    for (into, arm) in waves.iter_mut().zip(more) {
        add_arm(into, arm)?;
    }
    add_windows(windows, wider)?;
    add_windows(wave_windows, more_windows)?;
    add_late(late, more_late)?;
    restarts.treated = add_count(restarts.treated, more_restarts.treated)?;
    restarts.controls = add_count(restarts.controls, more_restarts.controls)?;
    restarts.treated_away = restarts.treated_away.checked_add(more_restarts.treated_away)?;
    restarts.controls_away = restarts.controls_away.checked_add(more_restarts.controls_away)?;
    add_arm(gauge, more_gauge)?;
    add_arm(controls, more_controls)
}

fn add_late(into: &mut LateTally, late: &LateTally) -> Option<()> {
    let LateTally { hosts, clean } = late;
    into.hosts = into.hosts.checked_add(*hosts)?;
    into.clean.resize(into.clean.len().max(clean.len()), 0);
    for (into, clean) in into.clean.iter_mut().zip(clean) {
        *into = into.checked_add(*clean)?;
    }
    Some(())
}

fn add_windows(into: &mut Vec<Window>, more: &[Window]) -> Option<()> {
    into.resize(into.len().max(more.len()), Window::default());
    for (into, window) in into.iter_mut().zip(more) {
        let Window { at_risk, bad, clean, alike } = *window;
        *into = Window {
            at_risk: into.at_risk.checked_add(at_risk)?,
            bad: into.bad.checked_add(bad)?,
            clean: into.clean.checked_add(clean)?,
            alike: into.alike.checked_add(alike)?,
        };
    }
    Some(())
}

fn add_arm(into: &mut ArmTally, arm: &ArmTally) -> Option<()> {
    let ArmTally { silence, report, probe, bad_new, confirmed, fell_back, hosts } = *arm;
    *into = ArmTally {
        silence: add_count(into.silence, silence)?,
        report: add_count(into.report, report)?,
        probe: add_count(into.probe, probe)?,
        bad_new: into.bad_new.checked_add(bad_new)?,
        confirmed: into.confirmed.checked_add(confirmed)?,
        fell_back: into.fell_back.checked_add(fell_back)?,
        hosts: into.hosts.checked_add(hosts)?,
    };
    Some(())
}

fn add_count(one: Count, other: Count) -> Option<Count> {
    let Count { at_risk, new } = other;
    Some(Count { at_risk: one.at_risk.checked_add(at_risk)?, new: one.new.checked_add(new)? })
}
