//! What a schedule costs: expected host-hours lost to the attack and to a faulty update.
//! It prices a given schedule; choosing one is in `search`.
use super::attack::Shares;
use super::schedule::{Schedule, ScheduleError, WAVES_MAX};
use super::world::{World, threshold};

/// A wave due within this of the halt is stopped: 60 microseconds, above what sums of times lose.
const INSTANT_MIN: f64 = 1e-6;

/// What a schedule costs in a world.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// J, expected loss, host-hours
    pub loss_host_hours: f64,
    /// of it lost to the attack, whether the update is good or not
    pub attack_host_hours: f64,
    /// of it lost to crashes
    pub crash_host_hours: f64,
    /// expected crashed hosts if the update is faulty
    pub crashed_if_faulty: f64,
    /// probability that the update is faulty and crashes more hosts than the budget B
    pub over_budget_probability: f64,
}

/// Prices a schedule.
/// # Errors
/// [`ScheduleError::Fleet`] when its last wave does not reach exactly the world's hosts.
pub fn outcome(world: &World, schedule: &Schedule) -> Result<Outcome, ScheduleError> {
    if schedule.last().hosts_total != world.hosts {
        return Err(ScheduleError::Fleet);
    }
    Ok(priced(world, schedule))
}

/// The same for a schedule that was made for this world.
pub(crate) fn priced(world: &World, schedule: &Schedule) -> Outcome {
    let trail = Trail::new(world, schedule);
    let mut attack = (1.0 - world.faulty) * trail.end.fresh;
    let (mut crash, mut crashed, mut over) = (0.0, 0.0, 0.0);
    trail.each_fault(|fault| {
        attack += world.faulty * fault.fresh();
        crash += world.faulty * fault.crash_loss(world);
        crashed += fault.crashed();
        over += world.faulty * fault.over(world.budget);
    });
    let attack = attack * world.infected_cost * world.hosts;
    Outcome {
        // not attack + crash: to the last bit what the search compared
        loss_host_hours: loss(world, schedule),
        attack_host_hours: attack,
        crash_host_hours: crash,
        crashed_if_faulty: crashed,
        over_budget_probability: over,
    }
}

/// J alone, for the search.
pub(crate) fn loss(world: &World, schedule: &Schedule) -> f64 {
    let trail = Trail::new(world, schedule);
    let scale = world.infected_cost * world.hosts;
    let mut faulty = 0.0;
    if world.faulty > 0.0 {
        trail.each_fault(|fault| faulty += fault.crash_loss(world) + scale * fault.fresh());
    }
    (1.0 - world.faulty) * scale * trail.end.fresh + world.faulty * faulty
}

/// What faults that are first seen by the same wave and show after the same delay do together: one
/// halt, one number of updated hosts, only the share that crashes differs.
struct Fault<'a> {
    /// (q, probability of q)
    kills: &'a [(f64, f64)],
    /// sums over them
    sums: Moments,
    /// probability of the delay
    p: f64,
    /// hosts that have the update when the halt comes
    updated: f64,
    /// share freshly infected in the end
    infected: f64,
}

impl Fault<'_> {
    /// Host-hours lost to crashes, times their probability. Hosts that do not heal wait in the
    /// repair queue, half of it on average: the square.
    fn crash_loss(&self, world: &World) -> f64 {
        let linear = world.crash_linear * self.sums.q * self.updated;
        let square = world.crash_square * self.sums.q_square * self.updated * self.updated;
        self.p * (linear + square)
    }
    /// Share freshly infected, times its probability.
    fn fresh(&self) -> f64 {
        self.p * self.sums.p * self.infected
    }
    /// Crashed hosts, times their probability.
    fn crashed(&self) -> f64 {
        self.p * self.sums.q * self.updated
    }
    /// Probability of more than `budget` crashed hosts.
    fn over(&self, budget: f64) -> f64 {
        let over = self.kills.iter().filter(|(q, _)| q * self.updated > budget);
        self.p * over.map(|(_, p)| p).sum::<f64>()
    }
}

/// Sums over kill fractions, each times its probability.
#[derive(Clone, Copy, Default)]
struct Moments {
    p: f64,
    q: f64,
    q_square: f64,
}

impl Moments {
    fn of(kills: &[(f64, f64)]) -> Moments {
        kills.iter().fold(Moments::default(), |sum, (q, p)| Moments {
            p: sum.p + p,
            q: sum.q + p * q,
            q_square: sum.q_square + p * q * q,
        })
    }
}

/// The attack's state right after each wave, if no halt comes.
struct Trail<'a> {
    world: &'a World,
    schedule: &'a Schedule,
    after_wave: [Shares; WAVES_MAX],
    end: Shares,
}

impl<'a> Trail<'a> {
    fn new(world: &'a World, schedule: &'a Schedule) -> Trail<'a> {
        let mut after_wave = [Shares::default(); WAVES_MAX];
        let mut state = Shares::at_start(world);
        let (mut time, mut updated) = (0.0, 0.0);
        for (wave, slot) in schedule.waves().iter().zip(&mut after_wave) {
            state = state.after(world, wave.at_min - time);
            state = state.protect((world.hosts - wave.hosts_total) / (world.hosts - updated));
            (time, updated) = (wave.at_min, wave.hosts_total);
            *slot = state;
        }
        Trail { world, schedule, after_wave, end: state }
    }

    /// Calls `tell` for every fault that there may be.
    fn each_fault(&self, mut tell: impl FnMut(&Fault<'_>)) {
        let waves = self.schedule.waves();
        let mut kills = self.world.kills.as_slice();
        for (seen_by, seen) in waves.iter().enumerate() {
            let crashes = self.world.verdict_crashes;
            let sees = |(q, _): &&(f64, f64)| threshold(crashes, *q) <= seen.hosts_total;
            let count = kills.iter().take_while(sees).count();
            if count > 0 {
                let (seen_kills, rest) = kills.split_at(count);
                self.each_delay(seen_by, seen_kills, &mut tell);
                kills = rest;
            }
        }
        // Too rare for a verdict on this fleet: nobody ever stops them.
        let (updated, infected) = (self.world.hosts, self.end.fresh);
        tell(&Fault { kills, sums: Moments::of(kills), p: 1.0, updated, infected });
    }

    /// Faults first seen by wave `seen_by`, one delay after the other.
    fn each_delay(&self, seen_by: usize, kills: &[(f64, f64)], tell: &mut impl FnMut(&Fault<'_>)) {
        let waves = self.schedule.waves();
        let sums = Moments::of(kills);
        let mut last = seen_by;
        for (lag, p) in &self.world.lags {
            let halt = waves[seen_by].at_min + lag;
            while waves.get(last + 1).is_some_and(|wave| wave.at_min < halt - INSTANT_MIN) {
                last += 1;
            }
            let until_fix = halt + self.world.fix - waves[last].at_min;
            let infected = self.after_wave[last].after(self.world, until_fix).fresh;
            tell(&Fault { kills, sums, p: *p, updated: waves[last].hosts_total, infected });
        }
    }
}
