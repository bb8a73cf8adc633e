//! The world of `andon plan`: from options and a file to the planner's inputs, and its advice as a
//! document. What is not said has the planner's default; the planner itself is in `andon-rollout`.
use andon_model::release::ComponentKind;
use andon_rollout::tradeoff::{Advice, Attack, InputError, Inputs, Prior, PriorError, Weighted};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::str::FromStr;

/// Hosts of the fleet if nothing is said.
const HOSTS: u64 = 10_000;
/// Share infected at the start if only the speed of spreading is said.
const INFECTED_SHARE: f64 = 1e-4;
/// Certainty of the upper bound on the fault probability that is shown.
const UPPER: f64 = 0.95;

/// A list of values with weights; on the command line `VALUE:WEIGHT,...`, in a file pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Mixture(Vec<(f64, f64)>);

/// Why a text is no mixture.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not VALUE:WEIGHT,... for example 0:0.9,10:0.1")]
pub(crate) struct MixtureError(String);

impl FromStr for Mixture {
    type Err = MixtureError;
    fn from_str(text: &str) -> Result<Mixture, MixtureError> {
        let pair = |word: &str| {
            let (value, weight) = word.split_once(':')?;
            Some((value.trim().parse().ok()?, weight.trim().parse().ok()?))
        };
        let all = text.split(',').map(pair).collect::<Option<Vec<_>>>();
        all.map(Mixture).ok_or_else(|| MixtureError(text.to_owned()))
    }
}

impl Mixture {
    fn weighted(&self) -> Vec<Weighted> {
        self.0.iter().map(|(value, weight)| Weighted::new(*value, *weight)).collect()
    }
    fn of(list: &[Weighted]) -> Mixture {
        Mixture(list.iter().map(|entry| (entry.value, entry.weight)).collect())
    }
}

/// What is said about the world: each field an option of the command and a key of the file.
#[derive(Clone, Debug, Default, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    /// Hosts of the fleet [default: 10000]
    #[arg(long, value_name = "N")]
    pub(crate) hosts: Option<u64>,
    /// Attack at a constant rate: compromised per open host and minute [default: 1e-4 per hour]
    #[arg(long, value_name = "RATE", conflicts_with_all = ["spread_per_min", "infected_share"])]
    pub(crate) attack_rate_per_min: Option<f64>,
    /// Attack that spreads: infections per infected host and minute, at first
    #[arg(long, value_name = "RATE")]
    pub(crate) spread_per_min: Option<f64>,
    /// Share of the fleet infected when the plan starts [default: 0.0001]
    #[arg(long, value_name = "SHARE", requires = "spread_per_min")]
    pub(crate) infected_share: Option<f64>,
    /// Host-hours lost per compromised host [default: 80]
    #[arg(long, value_name = "HOURS")]
    pub(crate) infected_cost_host_hours: Option<f64>,
    /// Probability that the update is faulty, after preflight [default: 0.01]
    #[arg(long, value_name = "SHARE",
        conflicts_with_all = ["vendor_faults", "vendor_clean", "update_kind"])]
    pub(crate) faulty_probability: Option<f64>,
    /// Or from the vendor's record: its faulty updates of this kind so far
    #[arg(long, value_name = "COUNT")]
    pub(crate) vendor_faults: Option<u64>,
    /// and its clean ones
    #[arg(long, value_name = "COUNT")]
    pub(crate) vendor_clean: Option<u64>,
    /// Kind of update that the record counts [default: content]
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub(crate) update_kind: Option<ComponentKind>,
    /// Hosts that people repair per minute [default: as in 2024, 97 % of the fleet in six days]
    #[arg(long, value_name = "RATE")]
    pub(crate) repairs_per_min: Option<f64>,
    /// Host-hours lost at least per host repaired by hand [default: 0.5]
    #[arg(long, value_name = "HOURS")]
    pub(crate) repair_host_hours: Option<f64>,
    /// Share of crashes that hosts heal by themselves, with probabilities; count only what is
    /// tested [default: 0:1]
    #[arg(long, value_name = "SHARE:PROBABILITY,...")]
    pub(crate) heal: Option<Mixture>,
    /// Minutes lost per host that heals itself [default: 3]
    #[arg(long, value_name = "MINUTES")]
    pub(crate) fallback_min: Option<f64>,
    /// Minutes from activation to crash of a faulty update, with weights
    /// [default: 0:70,1:10,5:8,15:6,60:4,360:2]
    #[arg(long, value_name = "MINUTES:WEIGHT,...")]
    pub(crate) fault_delays: Option<Mixture>,
    /// Share of updated hosts that a faulty update crashes, with weights
    /// [default: 1:4,0.1:2,0.01:2,0.001:2]
    #[arg(long, value_name = "SHARE:WEIGHT,...")]
    pub(crate) kill_fractions: Option<Mixture>,
    /// Minutes from the deciding crash until no host starts the update any more [default: 1]
    #[arg(long, value_name = "MINUTES")]
    pub(crate) detection_min: Option<f64>,
    /// Minutes from the halt to a corrected update [default: 78]
    #[arg(long, value_name = "MINUTES")]
    pub(crate) fix_min: Option<f64>,
    /// Crashed hosts that are too many [default: one in a thousand]
    #[arg(long, value_name = "HOSTS")]
    pub(crate) budget: Option<u64>,
    /// The gate's false-alarm bound: decides how many crashes make a verdict [default: 0.001]
    #[arg(long, value_name = "SHARE")]
    pub(crate) alpha: Option<f64>,
    /// The gate's bound on overrunning its budget: decides which B(D) fits [default: 0.001]
    #[arg(long, value_name = "SHARE")]
    pub(crate) delta: Option<f64>,
}

pub(crate) fn kind(text: &str) -> Result<ComponentKind, &'static str> {
    match text {
        "content" => Ok(ComponentKind::Content),
        "service" => Ok(ComponentKind::Service),
        "files" => Ok(ComponentKind::Files),
        "kmod" => Ok(ComponentKind::Kmod),
        _ => Err("not content, service, files or kmod"),
    }
}

/// Why there is no world to plan in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorldError {
    /// not the TOML we expect
    #[error("parse world file")]
    Parse(#[source] Box<toml::de::Error>),
    /// two ways to say the same thing
    #[error("{0} and {1} exclude each other")]
    Both(&'static str, &'static str),
    /// one thing makes no sense without another
    #[error("{0} needs {1}")]
    Alone(&'static str, &'static str),
    /// the vendor's record
    #[error("judge vendor by its record")]
    Prior(#[source] PriorError),
    /// a number that makes no sense
    #[error("check world")]
    Input(#[source] InputError),
}

impl Said {
    /// Reads a world file.
    /// # Errors
    /// [`WorldError::Parse`].
    pub(crate) fn parse(text: &str) -> Result<Said, WorldError> {
        toml::from_str(text).map_err(|e| WorldError::Parse(Box::new(e)))
    }

    /// This, and what `file` says where this says nothing. Attack and fault probability are one
    /// thing each, said in several fields: the file's fields count only if none is said here.
    pub(crate) fn over(self, file: Said) -> Said {
        let attack = self.attack_rate_per_min.is_some() || self.spread_per_min.is_some();
        let from = |said: Option<f64>, file| if attack { said } else { said.or(file) };
        let prior = self.faulty_probability.is_some()
            || self.vendor_faults.is_some()
            || self.vendor_clean.is_some();
        let count = |said: Option<u64>, file| if prior { said } else { said.or(file) };
        Said {
            hosts: self.hosts.or(file.hosts),
            attack_rate_per_min: from(self.attack_rate_per_min, file.attack_rate_per_min),
            spread_per_min: from(self.spread_per_min, file.spread_per_min),
            infected_share: from(self.infected_share, file.infected_share),
            infected_cost_host_hours: self
                .infected_cost_host_hours
                .or(file.infected_cost_host_hours),
            faulty_probability: self.faulty_probability.or(if prior {
                None
            } else {
                file.faulty_probability
            }),
            vendor_faults: count(self.vendor_faults, file.vendor_faults),
            vendor_clean: count(self.vendor_clean, file.vendor_clean),
            update_kind: self.update_kind.or(if prior { None } else { file.update_kind }),
            repairs_per_min: self.repairs_per_min.or(file.repairs_per_min),
            repair_host_hours: self.repair_host_hours.or(file.repair_host_hours),
            heal: self.heal.or(file.heal),
            fallback_min: self.fallback_min.or(file.fallback_min),
            fault_delays: self.fault_delays.or(file.fault_delays),
            kill_fractions: self.kill_fractions.or(file.kill_fractions),
            detection_min: self.detection_min.or(file.detection_min),
            fix_min: self.fix_min.or(file.fix_min),
            budget: self.budget.or(file.budget),
            alpha: self.alpha.or(file.alpha),
            delta: self.delta.or(file.delta),
        }
    }

    /// The planner's inputs, and the fault probability that the vendor's record stays below with
    /// 95 % certainty, where a record was given.
    /// # Errors
    /// [`WorldError`]; numbers out of range are for the planner to refuse.
    pub(crate) fn inputs(&self) -> Result<(Inputs, Option<f64>), WorldError> {
        let defaults = Inputs::of_fleet(self.hosts.unwrap_or(HOSTS));
        let prior = self.prior()?;
        let refused = WorldError::Prior;
        let mean = prior.map(|prior| prior.mean().map_err(refused)).transpose()?;
        let upper = prior.map(|prior| prior.quantile(UPPER).map_err(refused)).transpose()?;
        let mixture =
            |said: &Option<Mixture>, default| said.as_ref().map_or(default, Mixture::weighted);
        let inputs = Inputs {
            hosts: defaults.hosts,
            attack: self.attack()?.unwrap_or(defaults.attack),
            infected_cost_host_hours: self
                .infected_cost_host_hours
                .unwrap_or(defaults.infected_cost_host_hours),
            faulty_probability: self
                .faulty_probability
                .or(mean)
                .unwrap_or(defaults.faulty_probability),
            fault_delays: mixture(&self.fault_delays, defaults.fault_delays),
            kill_fractions: mixture(&self.kill_fractions, defaults.kill_fractions),
            heal: mixture(&self.heal, defaults.heal),
            repairs_per_min: self.repairs_per_min.unwrap_or(defaults.repairs_per_min),
            repair_host_hours: self.repair_host_hours.unwrap_or(defaults.repair_host_hours),
            fallback_min: self.fallback_min.unwrap_or(defaults.fallback_min),
            detection_min: self.detection_min.unwrap_or(defaults.detection_min),
            fix_min: self.fix_min.unwrap_or(defaults.fix_min),
            alpha: self.alpha.unwrap_or(defaults.alpha),
            delta: self.delta.unwrap_or(defaults.delta),
            budget_hosts: self.budget.unwrap_or(defaults.budget_hosts),
        };
        Ok((inputs, upper))
    }

    fn attack(&self) -> Result<Option<Attack>, WorldError> {
        match (self.attack_rate_per_min, self.spread_per_min, self.infected_share) {
            (Some(_), Some(_), _) => Err(WorldError::Both("attack_rate_per_min", "spread_per_min")),
            (_, None, Some(_)) => Err(WorldError::Alone("infected_share", "spread_per_min")),
            (Some(rate_per_min), None, None) => Ok(Some(Attack::Hazard { rate_per_min })),
            (None, Some(rate_per_min), share) => Ok(Some(Attack::Spread {
                rate_per_min,
                infected_share: share.unwrap_or(INFECTED_SHARE),
            })),
            (None, None, None) => Ok(None),
        }
    }

    fn prior(&self) -> Result<Option<Prior>, WorldError> {
        let record = (self.vendor_faults, self.vendor_clean);
        match (self.faulty_probability, record, self.update_kind) {
            (Some(_), (Some(_), _) | (_, Some(_)), _) | (Some(_), _, Some(_)) => {
                Err(WorldError::Both("faulty_probability", "the vendor's record"))
            }
            (_, (None, None), None) => Ok(None),
            (_, (faults, clean), kind) => Ok(Some(Prior {
                kind: kind.unwrap_or(ComponentKind::Content),
                faults: faults.unwrap_or(0),
                clean: clean.unwrap_or(0),
            })),
        }
    }
}

/// The advice as the one document that scripts read; its fields are stable.
pub(crate) fn document(inputs: &Inputs, upper: Option<f64>, advice: &Advice) -> Value {
    let fleet = inputs.hosts as f64;
    let mut before = 0;
    let waves = advice.waves().iter().map(|wave| {
        let (total, hosts) = (wave.hosts(), wave.hosts() - before);
        before = total;
        json!({"hosts": hosts, "share": hosts as f64 / fleet, "hosts_total": total,
            "share_total": total as f64 / fleet, "at_min": wave.at_min})
    });
    let waves: Vec<Value> = waves.collect();
    let budget =
        advice.budget.iter().map(|(after_s, hosts)| json!({"after_s": after_s, "hosts": hosts}));
    let alternatives = advice.alternatives.iter().map(|other| {
        json!({"policy": other.policy.name(), "loss_host_hours": other.loss_host_hours,
            "ratio": other.ratio})
    });
    let sensitivity = advice.sensitivity.iter().map(|there| {
        json!({"input": there.input.name(), "factor": there.factor,
            "loss_host_hours": there.loss_host_hours,
            "best_loss_host_hours": there.best_loss_host_hours, "ratio": there.ratio})
    });
    json!({
        "plan": {"waves": waves, "budget": budget.collect::<Vec<_>>()},
        "expected_loss_host_hours": advice.outcome.loss_host_hours,
        "attack_loss_host_hours": advice.outcome.attack_host_hours,
        "crash_loss_host_hours": advice.outcome.crash_host_hours,
        "crashed_hosts_if_faulty": advice.outcome.crashed_if_faulty,
        "t99_min": advice.t99_min,
        "blast_over_budget_probability": advice.outcome.over_budget_probability,
        "price_of_a_minute_host_hours": advice.minute_host_hours,
        "alternatives": alternatives.collect::<Vec<_>>(),
        "sensitivity": sensitivity.collect::<Vec<_>>(),
        "inputs": inputs_document(inputs),
        "faulty_probability_upper_95": upper,
    })
}

/// The inputs with defaults filled in, under the names of the world file: written as TOML they give
/// the same advice again.
fn inputs_document(inputs: &Inputs) -> Value {
    let mut out = json!({
        "hosts": inputs.hosts,
        "infected_cost_host_hours": inputs.infected_cost_host_hours,
        "faulty_probability": inputs.faulty_probability,
        "fault_delays": Mixture::of(&inputs.fault_delays),
        "kill_fractions": Mixture::of(&inputs.kill_fractions),
        "heal": Mixture::of(&inputs.heal),
        "repairs_per_min": inputs.repairs_per_min,
        "repair_host_hours": inputs.repair_host_hours,
        "fallback_min": inputs.fallback_min,
        "detection_min": inputs.detection_min,
        "fix_min": inputs.fix_min,
        "budget": inputs.budget_hosts,
        "alpha": inputs.alpha,
        "delta": inputs.delta,
    });
    match inputs.attack {
        Attack::Hazard { rate_per_min } => out["attack_rate_per_min"] = rate_per_min.into(),
        Attack::Spread { rate_per_min, infected_share } => {
            out["spread_per_min"] = rate_per_min.into();
            out["infected_share"] = infected_share.into();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixtures_are_pairs_and_nothing_else() {
        let cases = [
            ("0:1", vec![(0.0, 1.0)]),
            ("0:0.9, 10:0.1", vec![(0.0, 0.9), (10.0, 0.1)]),
            ("1e-3:2", vec![(0.001, 2.0)]),
        ];
        for (text, want) in cases {
            assert_eq!(text.parse::<Mixture>().unwrap(), Mixture(want), "{text}");
        }
        for bad in ["", "1", "1:", ":1", "1:2,", "a:1", "1:2:3", "1;2"] {
            assert!(bad.parse::<Mixture>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn options_win_over_the_file_and_an_attack_is_taken_whole() {
        let file = "hosts = 500\nspread_per_min = 0.1\ninfected_share = 0.01\n\
            vendor_faults = 1\nupdate_kind = 'service'\nheal = [[0.9, 1], [0.0, 1.5]]\n";
        let file = Said::parse(file).unwrap();
        let inputs = |said: Said| said.over(file.clone()).inputs().unwrap().0;
        let from_file = inputs(Said::default());
        assert_eq!(from_file.hosts, 500);
        assert_eq!(from_file.attack, Attack::Spread { rate_per_min: 0.1, infected_share: 0.01 });
        assert_eq!(from_file.faulty_probability, 2.0 / 51.0);
        assert_eq!(from_file.heal, [Weighted::new(0.9, 1.0), Weighted::new(0.0, 1.5)]);
        let said = Said {
            hosts: Some(700),
            attack_rate_per_min: Some(0.5),
            faulty_probability: Some(0.25),
            ..Said::default()
        };
        let both = inputs(said);
        assert_eq!((both.hosts, both.faulty_probability), (700, 0.25));
        assert_eq!(both.attack, Attack::Hazard { rate_per_min: 0.5 });
    }

    #[test]
    fn world_files_that_contradict_themselves_are_refused() {
        let cases = [
            ("hosts = 'many'", "parse world file"),
            ("host = 5", "parse world file"),
            ("attack_rate_per_min = 1.0\nspread_per_min = 1.0", "exclude each other"),
            ("infected_share = 0.5", "needs spread_per_min"),
            ("faulty_probability = 0.5\nvendor_clean = 5", "exclude each other"),
            ("vendor_clean = 2000000000", "judge vendor by its record"),
        ];
        for (text, want) in cases {
            let refused = Said::parse(text).and_then(|said| said.inputs());
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(want), "{text}: {refused}");
        }
    }
}
