//! Who takes part in one rollout of a vendor line, and where each member's hosts stand in it. Made when
//! the plan is; folded on by what the journal says of rounds. It counts nothing itself.
use crate::pooled::seats::Seats;
use crate::record::Record;
use crate::rollout_state::{Place, RolloutState, Wave};
use crate::state::column;
use andon_model::line::Places;
use andon_model::policy::Policy;
use andon_model::position::Position;
use andon_model::text::Text;
use andon_model::{Digest, HostId, OperatorId, Time};
use andon_rollout::lines::{OperatorTally, Pool, PoolError, Standing};
use andon_rollout::{Plan, StratumTally, Window};
use std::collections::BTreeMap;

/// A rank that nobody has: the seat's member is not in the plan.
const NO_RANK: u32 = u32::MAX;
/// A stratum that the plan does not have.
const NO_STRATUM: u16 = u16::MAX;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Members {
    /// who is counted, how they stand, and the round that is due
    pub pool: Pool,
    /// digest of the plan's payload, as members fetch it
    pub plan: Digest,
    /// most seats whose members may stand absent, by the policy that the plan was made under: a later
    /// one is for later plans, as budgets are
    pub absent_max: u64,
    /// what members said whose own line has halted
    pub halted: BTreeMap<OperatorId, Text>,
    /// when the last round was pooled
    pub pooled_at: Option<Time>,
    /// per seat: its rank in its stratum of the plan
    ranks: Vec<u32>,
    /// per stratum of the seats: its index in the plan
    strata: Vec<u16>,
}

/// Hosts of each stratum in order of their positions, and who they are, by the policy that the plan was
/// made under.
/// # Errors
/// [`PoolError`].
pub fn seated(
    plan: &Plan,
    seats: &Seats,
    policy: &Policy,
) -> Result<(Vec<Vec<HostId>>, Members), PoolError> {
    let at = |name| plan.strata.binary_search_by(|stratum| stratum.stratum.cmp(name)).ok();
    let index = |name| at(name).and_then(|at| u16::try_from(at).ok()).unwrap_or(NO_STRATUM);
    let strata: Vec<u16> = seats.strata().iter().map(index).collect();
    let mut order: Vec<Vec<(Position, HostId)>> = vec![Vec::new(); plan.strata.len()];
    let mut counts: BTreeMap<OperatorId, Vec<u32>> = BTreeMap::new();
    for member in &policy.members {
        for seat in seats.of(&member.operator, plan.enrolled_max) {
            let stratum = seats.stratum(seat).and_then(|at| strata.get(usize::from(at)));
            let Some(hosts) = stratum.and_then(|at| order.get_mut(usize::from(*at))) else {
                continue;
            };
            hosts.push((Position::of(&plan.seed, &plan.release, seat), seat));
            let none = || vec![0; plan.strata.len()];
            let counts = counts.entry(member.operator.clone()).or_insert_with(none);
            counts[stratum.map_or(0, |at| usize::from(*at))] += 1;
        }
    }
    let mut ranks = vec![NO_RANK; usize::try_from(seats.len()).unwrap_or(usize::MAX)];
    let sorted = |mut hosts: Vec<(Position, HostId)>| -> Vec<HostId> {
        hosts.sort_unstable();
        hosts.into_iter().map(|(_, seat)| seat).collect()
    };
    let order: Vec<Vec<HostId>> = order.into_iter().map(sorted).collect();
    for hosts in &order {
        for (rank, seat) in (0..).zip(hosts) {
            ranks[column(*seat)] = rank;
        }
    }
    let names = plan.strata.iter().map(|stratum| stratum.stratum.clone()).collect();
    let payload = serde_json::to_vec(plan).unwrap_or_default();
    let members = Members {
        pool: Pool::new(names, counts)?,
        plan: Digest::of(&payload),
        absent_max: policy.absent_max(plan.hosts()),
        halted: BTreeMap::new(),
        pooled_at: None,
        ranks,
        strata,
    };
    Ok((order, members))
}

impl Members {
    /// Members whose tallies are awaited in every round.
    pub fn awaited(&self) -> impl Iterator<Item = &OperatorId> {
        let awaited = self.pool.standings().filter(|(_, how)| match how {
            Standing::Consenting | Standing::Halted => true,
            Standing::Absent | Standing::Withdrawn => false,
        });
        awaited.map(|(name, _)| name)
    }

    /// How one member stands; `None`: it has no hosts in the plan.
    #[must_use]
    pub fn standing(&self, operator: &OperatorId) -> Option<Standing> {
        self.pool.standings().find(|(name, _)| *name == operator).map(|(_, how)| how)
    }

    /// Takes what the journal says of who takes part.
    pub fn apply(&mut self, at: Time, record: &Record) {
        match record {
            Record::TalliesPooled { round, halted, .. } => self.pooled(at, *round, halted),
            Record::MembersAbsent { operators, .. } => self.absent(operators),
            Record::MemberHalted { operator, why, .. } => self.halts(operator, why),
            Record::MemberWithdrawn { operator, .. } => {
                self.pool.set_standing(operator, Standing::Withdrawn);
            }
            // All others are the state's, or its rollout's.
            _ => (),
        }
    }

    /// A round is in the journal.
    fn pooled(&mut self, at: Time, round: u64, halted: &[(OperatorId, Text)]) {
        self.pool.pooled(round);
        self.pooled_at = Some(at);
        for (operator, why) in halted {
            self.halts(operator, why);
        }
    }

    /// The line goes on without members that did not answer. Never without one that has said that its
    /// line halted: what it has to tell is what the line is there for.
    fn absent(&mut self, operators: &[OperatorId]) {
        for operator in operators.iter().filter(|operator| !self.halted.contains_key(*operator)) {
            self.pool.set_standing(operator, Standing::Absent);
        }
    }

    /// A member said that its own line has halted. One that is absent stays so.
    fn halts(&mut self, operator: &OperatorId, why: &Text) {
        if self.standing(operator) == Some(Standing::Consenting) {
            self.pool.set_standing(operator, Standing::Halted);
        }
        self.halted.insert(operator.clone(), why.clone());
    }

    /// Seats of one member in the plan.
    #[must_use]
    pub fn seats_of(&self, operator: &OperatorId) -> u64 {
        let hosts = self.pool.hosts_of(operator).unwrap_or_default();
        hosts.iter().map(|hosts| u64::from(*hosts)).sum()
    }

    /// A seat's place in the plan.
    fn place(&self, seats: &Seats, seat: HostId) -> Option<Place> {
        let rank = *self.ranks.get(column(seat)).filter(|rank| **rank != NO_RANK)?;
        let stratum = *self.strata.get(usize::from(seats.stratum(seat)?))?;
        (stratum != NO_STRATUM).then_some(Place { stratum, rank })
    }

    fn places_of<'a>(
        &'a self,
        plan: &Plan,
        seats: &'a Seats,
        operator: &OperatorId,
    ) -> impl Iterator<Item = Place> + use<'a> {
        let last = plan.enrolled_max.filter(|_| self.standing(operator).is_some());
        let own: Vec<HostId> = seats.of(operator, last).collect();
        own.into_iter().filter_map(move |seat| self.place(seats, seat))
    }

    /// Where a member's hosts stand, to be signed; `None`: it has none in the plan.
    #[must_use]
    pub fn places(&self, plan: &Plan, seats: &Seats, operator: &OperatorId) -> Option<Places> {
        self.standing(operator)?;
        let (strata, ranks) =
            self.places_of(plan, seats, operator).map(|place| (place.stratum, place.rank)).unzip();
        Some(Places {
            schema: 1,
            line: plan.line.clone(),
            operator: operator.clone(),
            rollout: plan.rollout.clone(),
            strata,
            ranks,
        })
    }

    /// How many hosts of one member are in each arm now: in every wave, the controls, the gauge. Nothing
    /// else of them is known here, so it is also what stands in for a member that left.
    #[must_use]
    pub fn arms(
        &self,
        rollout: &RolloutState,
        seats: &Seats,
        operator: &OperatorId,
    ) -> OperatorTally {
        let (plan, waves) = (&rollout.plan, rollout.waves.as_slice());
        let empty = StratumTally {
            waves: vec![Default::default(); waves.len()],
            windows: vec![Window::default(); plan.budget.len()],
            wave_windows: vec![Window::default(); plan.budget.len() * waves.len()],
            ..StratumTally::default()
        };
        let mut tally =
            OperatorTally { round: self.pool.round(), strata: vec![empty; plan.strata.len()] };
        for place in self.places_of(plan, seats, operator) {
            let stratum = usize::from(place.stratum);
            let arms = &mut tally.strata[stratum];
            let covered = |wave: &Wave| place.rank < wave.handed[stratum];
            let handed = rollout.handed().get(stratum).copied().unwrap_or(0);
            let sizes = &plan.strata[stratum];
            let arm = match waves.iter().position(covered) {
                Some(wave) => &mut arms.waves[wave],
                None if place.rank < sizes.sampled_from(handed) => continue,
                None if sizes.gauges(place.rank) => &mut arms.gauge,
                None => &mut arms.controls,
            };
            arm.hosts += 1;
        }
        tally
    }
}
