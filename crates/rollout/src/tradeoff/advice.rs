//! What the planner says: the plan, what it costs, what others cost, and how much hangs on guesses.
//! It prints nothing; `andon plan` does.
use super::budget::curve;
use super::loss::{loss, priced};
use super::policies::FixedPolicy;
use super::schedule::Schedule;
use super::search::{best, least_loss};
use super::world::World;
use super::{Outcome, Wave};

/// The plan of least expected loss and what to know about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// its waves
    pub schedule: Schedule,
    /// B(D), (D in seconds, hosts): under this budget the gate lets a good update keep this pace
    pub budget: Vec<(u64, u64)>,
    /// what it costs
    pub outcome: Outcome,
    /// minutes until 99 % of the hosts have a good update
    pub t99_min: f64,
    /// host-hours that one more minute before the start costs
    pub minute_host_hours: f64,
    /// the six fixed policies in the same world
    pub alternatives: Vec<Alternative>,
    /// the same plan where a guess was wrong
    pub sensitivity: Vec<Sensitivity>,
}

/// A fixed policy's cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alternative {
    /// which
    pub policy: FixedPolicy,
    /// its expected loss, host-hours
    pub loss_host_hours: f64,
    /// its loss over the plan's; `None` where the plan costs nothing and it does not
    pub ratio: Option<f64>,
}

/// An input that is a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// ε
    FaultyProbability,
    /// c_i
    InfectedCost,
    /// every delay of π(D)
    FaultDelays,
}

impl Input {
    /// All of them.
    pub const ALL: [Input; 3] = [Input::FaultyProbability, Input::InfectedCost, Input::FaultDelays];

    /// Its name among the inputs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Input::FaultyProbability => "faulty_probability",
            Input::InfectedCost => "infected_cost_host_hours",
            Input::FaultDelays => "fault_delays",
        }
    }

    fn scaled(self, world: &World, factor: f64) -> World {
        match self {
            Input::FaultyProbability => world.with_faulty(factor),
            Input::InfectedCost => world.with_cost(factor),
            Input::FaultDelays => world.with_delays(factor),
        }
    }
}

/// The plan's cost where one input is another than was said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sensitivity {
    /// the input
    pub input: Input,
    /// it is in truth so many times what was said (a probability at most 1)
    pub factor: f64,
    /// the plan's loss there, host-hours
    pub loss_host_hours: f64,
    /// loss of the plan that would be best there
    pub best_loss_host_hours: f64,
    /// the first over the second; `None` where the best plan costs nothing and this one does not
    pub ratio: Option<f64>,
}

/// Finds the plan and prices everything around it.
#[must_use]
pub fn advise(world: &World) -> Advice {
    let schedule = best(world);
    let cost = loss(world, &schedule);
    let alternatives = FixedPolicy::ALL.map(|policy| {
        let loss_host_hours = loss(world, &policy.schedule(world.hosts));
        Alternative { policy, loss_host_hours, ratio: ratio(loss_host_hours, cost) }
    });
    let mut sensitivity = Vec::with_capacity(2 * Input::ALL.len());
    for input in Input::ALL {
        for factor in [0.1, 10.0] {
            let there = input.scaled(world, factor);
            let loss_host_hours = loss(&there, &schedule);
            let best_loss_host_hours = least_loss(&there, &schedule);
            let ratio = ratio(loss_host_hours, best_loss_host_hours);
            sensitivity.push(Sensitivity {
                input,
                factor,
                loss_host_hours,
                best_loss_host_hours,
                ratio,
            });
        }
    }
    Advice {
        budget: curve(world, &schedule),
        outcome: priced(world, &schedule),
        t99_min: schedule.t99_min(),
        minute_host_hours: loss(world, &schedule.later(1.0)) - cost,
        alternatives: alternatives.into(),
        sensitivity,
        schedule,
    }
}

fn ratio(loss: f64, best: f64) -> Option<f64> {
    match (loss > 0.0, best > 0.0) {
        (_, true) => Some(loss / best),
        (false, false) => Some(1.0),
        (true, false) => None,
    }
}

impl Advice {
    /// The waves: so many hosts in all from this minute on.
    #[must_use]
    pub fn waves(&self) -> &[Wave] {
        self.schedule.waves()
    }
}
