//! Tallies as they come: which are due, whether one may be counted, and those that wait for the rest of
//! their round. Memory only: what is here is also on disk ([`super::kept`]), and only the journal
//! says what was counted.
use crate::app::Core;
use crate::pooled::members::Members;
use crate::rollout_state::RolloutState;
use crate::state::State;
use andon_model::{Digest, OperatorId, RolloutId, StratumId, Time};
use andon_rollout::StratumTally;
use andon_rollout::lines::{LineTally, OperatorTally, PoolDoubt, Standing, TallyError};
use std::collections::BTreeMap;

/// Which tallies are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// the round
    pub round: u64,
    /// generation of the newest ticket
    pub generation: u32,
}

/// What is due in a rollout; `None`: it is not of a vendor line, is over, or a ticket is being issued.
#[must_use]
pub fn due(rollout: &RolloutState) -> Option<Due> {
    let members = rollout.members.as_deref()?;
    let generation = rollout.waves.last()?.generation;
    let open = rollout.live() && !rollout.issue_due();
    open.then(|| Due { round: members.pool.round(), generation })
}

/// Why a tally is not taken. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// no such rollout, or it has no members
    #[error("no rollout {0} of a vendor line")]
    Rollout(RolloutId),
    /// no hosts of it are in the plan
    #[error("operator {0} has no hosts in this rollout")]
    Stranger(OperatorId),
    /// it did not answer in time, and the policy lets the rollout go on without it
    #[error("operator {0} did not answer in time: this rollout goes on without it")]
    Absent(OperatorId),
    /// a person lets the rollout go on without it
    #[error("operator {0} was withdrawn from this rollout")]
    Withdrawn(OperatorId),
    /// late, early, or told twice
    #[error("tally of round {got:?}, due is {due:?}")]
    NotDue {
        /// what it answers
        got: Due,
        /// what is due
        due: Option<Due>,
    },
    /// its own text
    #[error("read tally")]
    Text(#[from] TallyError),
    /// it does not fit the pool
    #[error("check tally")]
    Doubt(#[from] PoolDoubt),
    /// not the hosts that the member has there
    #[error("operator {operator} counts {got} hosts in {arm} of stratum {stratum}, it has {want}")]
    Hosts {
        /// whose
        operator: OperatorId,
        /// where
        stratum: StratumId,
        /// which arm
        arm: &'static str,
        /// hosts in the tally
        got: u32,
        /// hosts by the plan's order
        want: u32,
    },
    /// windows that do not fit the plan's horizons
    #[error("operator {0} tells other windows of stratum {1} than the plan has horizons and waves")]
    Windows(OperatorId, StratumId),
    /// what was acknowledged stands
    #[error("another tally of operator {0} was taken for this round")]
    Taken(OperatorId),
}

/// Whether a verified tally may be counted now.
/// # Errors
/// [`IntakeError`].
pub fn check(state: &State, tally: &LineTally) -> Result<Due, IntakeError> {
    let none = || IntakeError::Rollout(tally.rollout.clone());
    let rollout = state.rollouts.get(&tally.rollout).ok_or_else(none)?;
    let members = rollout.members.as_deref().ok_or_else(none)?;
    match members.standing(&tally.operator) {
        None => return Err(IntakeError::Stranger(tally.operator.clone())),
        Some(Standing::Absent) => {
            // Its text is checked all the same: a halt in it is heard.
            tally.clone().spread(rollout.plan.strata.len(), rollout.waves.len())?;
            return Err(IntakeError::Absent(tally.operator.clone()));
        }
        Some(Standing::Withdrawn) => return Err(IntakeError::Withdrawn(tally.operator.clone())),
        Some(Standing::Consenting | Standing::Halted) => (),
    }
    let (got, due) = (Due { round: tally.round, generation: tally.generation }, due(rollout));
    if due != Some(got) {
        return Err(IntakeError::NotDue { got, due });
    }
    counts(state, rollout, members, tally)?;
    Ok(got)
}

/// Whether a tally of the round that the pool has next counts exactly the hosts that its member has in
/// each arm.
/// # Errors
/// [`IntakeError`].
pub fn counts(
    state: &State,
    rollout: &RolloutState,
    members: &Members,
    tally: &LineTally,
) -> Result<(), IntakeError> {
    let waves = rollout.waves.len();
    let report = tally.clone().spread(rollout.plan.strata.len(), waves)?;
    members.pool.accepts(&tally.operator, &report, waves)?;
    fits(state, rollout, members, &tally.operator, &report)
}

/// Checks a verified tally and reserves its place.
/// # Errors
/// [`IntakeError`].
pub fn take(
    core: &mut Core,
    tally: &LineTally,
    digest: Digest,
    now: Time,
) -> Result<(Due, Reserved), IntakeError> {
    let due = check(&core.state, tally)?;
    Ok((due, core.collected.reserve(tally, due, digest, now)?))
}

/// Every arm has exactly the hosts that the order puts there: what is wrong is refused where it comes
/// from, and does not make the whole line hold without a name.
fn fits(
    state: &State,
    rollout: &RolloutState,
    members: &Members,
    operator: &OperatorId,
    report: &OperatorTally,
) -> Result<(), IntakeError> {
    let arms = members.arms(rollout, &state.seats, operator);
    let own = members.pool.hosts_of(operator).unwrap_or_default();
    let strata = report.strata.iter().zip(&arms.strata).zip(&rollout.plan.strata).zip(own);
    for (((told, known), plan), hosts) in strata {
        let wrong = |arm, got, want| {
            let (operator, stratum) = (operator.clone(), plan.stratum.clone());
            IntakeError::Hosts { operator, stratum, arm, got, want }
        };
        for (told, known) in told.waves.iter().zip(&known.waves) {
            if told.hosts != known.hosts {
                return Err(wrong("a wave", told.hosts, known.hosts));
            }
        }
        if told.controls.hosts != known.controls.hosts {
            return Err(wrong("the controls", told.controls.hosts, known.controls.hosts));
        }
        if told.gauge.hosts != known.gauge.hosts {
            return Err(wrong("the gauge", told.gauge.hosts, known.gauge.hosts));
        }
        if *hosts > 0 && !windows_fit(told, known) {
            return Err(IntakeError::Windows(operator.clone(), plan.stratum.clone()));
        }
    }
    Ok(())
}

fn windows_fit(told: &StratumTally, known: &StratumTally) -> bool {
    let rows = told.wave_windows.len();
    told.windows.len() == known.windows.len() && (rows == 0 || rows == known.wave_windows.len())
}

/// A tally on its way.
#[derive(Clone, Debug)]
enum Taken {
    /// being written to disk
    Writing(Digest),
    /// on disk
    Kept(Digest, Box<LineTally>),
}

impl Taken {
    const fn digest(&self) -> Digest {
        match self {
            Taken::Writing(digest) | Taken::Kept(digest, _) => *digest,
        }
    }
}

/// One round that is open.
#[derive(Clone, Debug)]
pub struct Open {
    due: Due,
    /// since when its members are waited for
    pub since: Time,
    taken: BTreeMap<OperatorId, Taken>,
}

impl Open {
    /// The tally of a member, once it is on disk.
    #[must_use]
    pub fn tally(&self, operator: &OperatorId) -> Option<(Digest, &LineTally)> {
        match self.taken.get(operator)? {
            Taken::Kept(digest, tally) => Some((*digest, tally)),
            Taken::Writing(_) => None,
        }
    }
}

/// What becomes of a tally that may be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// the caller writes it and says [`Collected::keep`] or [`Collected::forget`]
    Write,
    /// the same bytes are on disk already
    Known,
    /// another request is writing the same bytes: ask again
    Underway,
}

/// The open rounds of all rollouts.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    open: BTreeMap<RolloutId, Open>,
}

impl Collected {
    /// The round that is due, opened now if it was another before.
    pub fn open(&mut self, rollout: &RolloutId, due: Due, now: Time) -> &mut Open {
        let fresh = || Open { due, since: now, taken: BTreeMap::new() };
        let open = self.open.entry(rollout.clone()).or_insert_with(fresh);
        if open.due != due {
            *open = fresh();
        }
        open
    }

    /// The round as it stands, if it is the one that is due.
    #[must_use]
    pub fn at(&self, rollout: &RolloutId, due: Due) -> Option<&Open> {
        self.open.get(rollout).filter(|open| open.due == due)
    }

    /// A round was pooled, or its rollout is over.
    pub fn close(&mut self, rollout: &RolloutId) {
        self.open.remove(rollout);
    }

    /// Reserves the place of a tally of the round that is due. The first one stands: two that were both
    /// acknowledged could not both be counted.
    /// # Errors
    /// [`IntakeError::Taken`].
    pub fn reserve(
        &mut self,
        tally: &LineTally,
        due: Due,
        digest: Digest,
        now: Time,
    ) -> Result<Reserved, IntakeError> {
        let open = self.open(&tally.rollout, due, now);
        match open.taken.get(&tally.operator) {
            None => {
                open.taken.insert(tally.operator.clone(), Taken::Writing(digest));
                Ok(Reserved::Write)
            }
            Some(taken) if taken.digest() != digest => {
                Err(IntakeError::Taken(tally.operator.clone()))
            }
            Some(Taken::Kept(..)) => Ok(Reserved::Known),
            Some(Taken::Writing(_)) => Ok(Reserved::Underway),
        }
    }

    /// It is on disk. False: its round is not due any more.
    pub fn keep(&mut self, due: Due, digest: Digest, tally: LineTally) -> bool {
        let open = self.open.get_mut(&tally.rollout).filter(|open| open.due == due);
        let taken = open.and_then(|open| open.taken.get_mut(&tally.operator));
        taken.filter(|taken| taken.digest() == digest).is_some_and(|taken| {
            *taken = Taken::Kept(digest, Box::new(tally));
            true
        })
    }

    /// It could not be written.
    pub fn forget(&mut self, due: Due, digest: Digest, tally: &LineTally) {
        if let Some(open) = self.open.get_mut(&tally.rollout).filter(|open| open.due == due)
            && matches!(open.taken.get(&tally.operator), Some(Taken::Writing(of)) if *of == digest)
        {
            open.taken.remove(&tally.operator);
        }
    }
}
