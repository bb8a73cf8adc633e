//! The world of a plan: fleet, attack, fault prior, costs; checked once, then trusted.
//! It holds numbers only; what follows from them is in `loss`.
use andon_model::limits::{HORIZONS_MAX, HOSTS_MAX};

/// Most entries of a mixture: one point of the budget B(D) belongs to each fault delay.
pub const MIXTURE_MAX: usize = HORIZONS_MAX;

/// Repaired by hand per minute and host of the fleet: in July 2024 97 % of 8.5 million hosts were
/// back after six days, which is about 950 a minute.
const REPAIRS_PER_MIN_PER_HOST: f64 = 950.0 / 8.5e6;

/// The gate's evidence starts from one third (pooled) of one tenth (one of ten hazard ratios) …
const EVIDENCE_START: f64 = 30.0;
/// … and each crash among the treated alone multiplies it by about 1 / (treated share), while the
/// treated are at most a hundredth of the fleet.
const EVIDENCE_PER_CRASH: f64 = 100.0;

/// A value and its weight. Weights of a mixture need not add up to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighted {
    /// the value, in the unit of its mixture
    pub value: f64,
    /// how likely, relative to the others
    pub weight: f64,
}

impl Weighted {
    /// A pair.
    #[must_use]
    pub const fn new(value: f64, weight: f64) -> Weighted {
        Weighted { value, weight }
    }
}

/// What infects hosts that do not have the update yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Attack {
    /// every open host runs the same risk at every moment
    Hazard {
        /// compromised per open host and minute
        rate_per_min: f64,
    },
    /// infected hosts infect open ones (Kermack and McKendrick's SI model)
    Spread {
        /// infections per infected host and minute while nearly all hosts are open
        rate_per_min: f64,
        /// share of the fleet infected when the plan starts, 0 to 1
        infected_share: f64,
    },
}

/// Everything that the planner is told. [`Inputs::of_fleet`] has the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs {
    /// N, hosts of the fleet
    pub hosts: u64,
    /// the attack
    pub attack: Attack,
    /// c_i, host-hours lost per compromised host
    pub infected_cost_host_hours: f64,
    /// ε, probability that the update is faulty, after preflight; see [`crate::tradeoff::Prior`]
    pub faulty_probability: f64,
    /// π(D), minutes from activation to crash, if the update is faulty
    pub fault_delays: Vec<Weighted>,
    /// P(q), share of updated hosts that a faulty update crashes, over 0 to 1
    pub kill_fractions: Vec<Weighted>,
    /// share of the crashes that hosts heal by themselves, 0 to 1. One draw holds for all crashes of
    /// an update: a fallback that does not work fails everywhere at once
    pub heal: Vec<Weighted>,
    /// ρ, hosts that people repair per minute, the whole fleet together
    pub repairs_per_min: f64,
    /// host-hours lost at least per host repaired by hand, waiting apart
    pub repair_host_hours: f64,
    /// minutes lost per host that falls back by itself
    pub fallback_min: f64,
    /// d, minutes from the crash that decides to the last host that hears of the halt: delivery,
    /// silence, verdict
    pub detection_min: f64,
    /// minutes from the halt to a corrected update, which then goes everywhere at once
    pub fix_min: f64,
    /// α, the gate's false-alarm bound: decides how many crashes make a verdict
    pub alpha: f64,
    /// δ, the gate's budget-overrun bound: decides which B(D) fits the plan
    pub delta: f64,
    /// B, hosts: how many crashed hosts count as too many
    pub budget_hosts: u64,
}

impl Inputs {
    /// Defaults for a fleet of `hosts`: a campaign that takes one open host in ten thousand per hour,
    /// one update in a hundred faulty, nothing heals by itself, repairs and fix as fast as in 2024.
    #[must_use]
    pub fn of_fleet(hosts: u64) -> Inputs {
        Inputs {
            hosts,
            attack: Attack::Hazard { rate_per_min: 1e-4 / 60.0 },
            infected_cost_host_hours: 80.0,
            faulty_probability: 0.01,
            fault_delays: pairs(&[
                (0.0, 0.70),
                (1.0, 0.10),
                (5.0, 0.08),
                (15.0, 0.06),
                (60.0, 0.04),
                (360.0, 0.02),
            ]),
            kill_fractions: pairs(&[(1.0, 0.4), (0.1, 0.2), (0.01, 0.2), (0.001, 0.2)]),
            heal: pairs(&[(0.0, 1.0)]),
            repairs_per_min: (hosts as f64 * REPAIRS_PER_MIN_PER_HOST).max(0.01),
            repair_host_hours: 0.5,
            fallback_min: 3.0,
            detection_min: 1.0,
            fix_min: 78.0,
            alpha: 0.001,
            delta: 0.001,
            budget_hosts: (hosts / 1000).max(1),
        }
    }
}

fn pairs(list: &[(f64, f64)]) -> Vec<Weighted> {
    list.iter().map(|(value, weight)| Weighted::new(*value, *weight)).collect()
}

/// Why inputs were refused. Ranges are wide enough for every fleet and narrow enough that no
/// result overflows.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InputError {
    /// infinite, or not a number
    #[error("trade-off input {field} is not a finite number")]
    NotFinite {
        /// name of the input
        field: &'static str,
    },
    /// outside its range
    #[error("trade-off input {field} is {value}, not within {least} to {most}")]
    Range {
        /// name of the input
        field: &'static str,
        /// what was given
        value: f64,
        /// least allowed
        least: f64,
        /// most allowed
        most: f64,
    },
    /// a mixture with no entry, or with too many
    #[error("trade-off input {field} has {count} entries, not 1 to {most}")]
    Entries {
        /// name of the input
        field: &'static str,
        /// how many were given
        count: usize,
        /// most allowed
        most: usize,
    },
    /// a mixture whose weights are all 0
    #[error("trade-off input {field} has no weight above 0")]
    Weightless {
        /// name of the input
        field: &'static str,
    },
}

/// Inputs that make sense, in the form the loss is computed from.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// N
    pub(crate) hosts: f64,
    /// compromised per open host and minute, infected or not
    pub(crate) hazard: f64,
    /// infections per infected host and minute
    pub(crate) spread: f64,
    /// share infected at the start
    pub(crate) infected_share: f64,
    /// c_i
    pub(crate) infected_cost: f64,
    /// ε
    pub(crate) faulty: f64,
    /// (D + d, probability), sorted by delay: minutes from an activation to its halt
    pub(crate) lags: Vec<(f64, f64)>,
    /// (q, probability), largest first
    pub(crate) kills: Vec<(f64, f64)>,
    /// loss of K crashed hosts is K · this …
    pub(crate) crash_linear: f64,
    /// … + K² · this, host-hours
    pub(crate) crash_square: f64,
    /// d
    pub(crate) detection: f64,
    /// minutes from halt to fix
    pub(crate) fix: f64,
    /// m, crashes that make a verdict
    pub(crate) verdict_crashes: f64,
    /// ln(1/δ)
    pub(crate) doubt: f64,
    /// B
    pub(crate) budget: f64,
}

impl World {
    /// Checks the inputs.
    /// # Errors
    /// [`InputError`] naming the first field that is infinite, not a number, or out of its range.
    pub fn new(inputs: &Inputs) -> Result<World, InputError> {
        let most = HOSTS_MAX as f64;
        let hosts = within("hosts", inputs.hosts as f64, 1.0, most)?;
        let (hazard, spread, infected_share) = attack(inputs.attack)?;
        let delays = mixture("fault_delays", &inputs.fault_delays, 0.0, 1e6)?;
        let mut kills = mixture("kill_fractions", &inputs.kill_fractions, 1e-9, 1.0)?;
        kills.reverse();
        let heal = mixture("heal", &inputs.heal, 0.0, 1.0)?;
        let repairs = within("repairs_per_min", inputs.repairs_per_min, 1e-6, 1e9)?;
        let by_hand = within("repair_host_hours", inputs.repair_host_hours, 0.0, 1e6)?;
        let alone = within("fallback_min", inputs.fallback_min, 0.0, 1e6)? / 60.0;
        let detection = within("detection_min", inputs.detection_min, 0.001, 1e6)?;
        let alpha = within("alpha", inputs.alpha, 1e-9, 0.5)?;
        let expected = |of: &dyn Fn(f64) -> f64| heal.iter().map(|(h, p)| p * of(*h)).sum::<f64>();
        Ok(World {
            hosts,
            hazard,
            spread,
            infected_share,
            infected_cost: within(
                "infected_cost_host_hours",
                inputs.infected_cost_host_hours,
                0.0,
                1e9,
            )?,
            faulty: within("faulty_probability", inputs.faulty_probability, 0.0, 1.0)?,
            lags: delays.into_iter().map(|(delay, p)| (delay + detection, p)).collect(),
            kills,
            crash_linear: expected(&|h| by_hand * (1.0 - h) + h * alone),
            crash_square: expected(&|h| (1.0 - h) * (1.0 - h)) / (2.0 * repairs * 60.0),
            detection,
            fix: within("fix_min", inputs.fix_min, 0.0, 1e7)?,
            verdict_crashes: ((EVIDENCE_START / alpha).ln() / EVIDENCE_PER_CRASH.ln()).ceil(),
            doubt: -within("delta", inputs.delta, 1e-9, 0.5)?.ln(),
            budget: within("budget_hosts", inputs.budget_hosts as f64, 1.0, most)?,
        })
    }

    /// m, crashes that make a verdict at this α.
    #[must_use]
    pub fn verdict_crashes(&self) -> f64 {
        self.verdict_crashes
    }

    /// The same world with ε times `factor`, at most 1.
    pub(crate) fn with_faulty(&self, factor: f64) -> World {
        World { faulty: (self.faulty * factor).min(1.0), ..self.clone() }
    }

    /// The same world with c_i times `factor`.
    pub(crate) fn with_cost(&self, factor: f64) -> World {
        World { infected_cost: self.infected_cost * factor, ..self.clone() }
    }

    /// The same world with every fault delay D times `factor`.
    pub(crate) fn with_delays(&self, factor: f64) -> World {
        let scaled = |lag: &f64| (lag - self.detection) * factor + self.detection;
        World { lags: self.lags.iter().map(|(lag, p)| (scaled(lag), *p)).collect(), ..self.clone() }
    }

    /// Hosts that must have the update before a fault of each kill fraction makes a verdict.
    pub(crate) fn thresholds(&self) -> impl Iterator<Item = f64> + '_ {
        self.kills.iter().map(|(q, _)| threshold(self.verdict_crashes, *q))
    }
}

/// Least whole number of hosts among which a fault of kill fraction `q` crashes `crashes`.
pub(crate) fn threshold(crashes: f64, q: f64) -> f64 {
    // 3 / 0.001 is 3000.0000000000005 or so: no host more for that.
    (crashes / q * (1.0 - 1e-12)).ceil()
}

fn attack(attack: Attack) -> Result<(f64, f64, f64), InputError> {
    match attack {
        Attack::Hazard { rate_per_min } => {
            Ok((within("attack_rate_per_min", rate_per_min, 0.0, 1e6)?, 0.0, 0.0))
        }
        Attack::Spread { rate_per_min, infected_share } => Ok((
            0.0,
            within("spread_per_min", rate_per_min, 0.0, 1e6)?,
            within("infected_share", infected_share, 0.0, 1.0)?,
        )),
    }
}

fn within(field: &'static str, value: f64, least: f64, most: f64) -> Result<f64, InputError> {
    if !value.is_finite() {
        return Err(InputError::NotFinite { field });
    }
    if !(least..=most).contains(&value) {
        return Err(InputError::Range { field, value, least, most });
    }
    Ok(value)
}

/// Sorted by value, weights made probabilities, entries without weight left out.
fn mixture(
    field: &'static str,
    list: &[Weighted],
    least: f64,
    most: f64,
) -> Result<Vec<(f64, f64)>, InputError> {
    if !(1..=MIXTURE_MAX).contains(&list.len()) {
        return Err(InputError::Entries { field, count: list.len(), most: MIXTURE_MAX });
    }
    let mut out = Vec::with_capacity(list.len());
    for Weighted { value, weight } in list {
        out.push((within(field, *value, least, most)?, within(field, *weight, 0.0, 1e9)?));
    }
    out.retain(|(_, weight)| *weight > 0.0);
    let sum: f64 = out.iter().map(|(_, weight)| weight).sum();
    if out.is_empty() {
        return Err(InputError::Weightless { field });
    }
    out.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(out.into_iter().map(|(value, weight)| (value, weight / sum)).collect())
}
