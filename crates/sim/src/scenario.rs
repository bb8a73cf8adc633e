//! What happens to a fleet, as data. It says nothing about how updates are handed out: that is a
//! policy.
use serde::{Deserialize, Serialize};

/// One scenario file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// its name: the file's, without ending
    pub name: String,
    /// what it shows, one line
    pub about: String,
    /// hosts of the fleet
    pub hosts: u64,
    /// operators that own them, sizes Pareto-distributed
    #[serde(default = "one")]
    pub operators: u32,
    /// how many operators' worth of hosts are pooled on the vendor line
    #[serde(default = "yes")]
    pub vendor_line: bool,
    /// strata: sizes fall as rank^-exponent
    #[serde(default)]
    pub strata: Strata,
    /// hosts falling silent for reasons of their own, share per hour
    #[serde(default = "background_per_h")]
    pub background_per_h: f64,
    /// how tickets reach hosts
    #[serde(default)]
    pub delivery: Delivery,
    /// what is wrong with the update; nothing if absent
    #[serde(default)]
    pub fault: Option<Fault>,
    /// unrelated trouble
    #[serde(default)]
    pub outages: Vec<Outage>,
    /// hosts that come and go
    #[serde(default)]
    pub presence: Presence,
    /// how crashed hosts come back
    #[serde(default)]
    pub healing: Healing,
    /// what spreads while hosts are unprotected
    #[serde(default)]
    pub attack: Option<Attack>,
    /// who cheats
    #[serde(default)]
    pub theft: Option<Theft>,
    /// the run ends then at the latest, seconds
    #[serde(default = "ends_s")]
    pub ends_s: f64,
}

/// Strata and their sizes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strata {
    /// how many
    pub count: u16,
    /// size of rank r is proportional to r^-exponent; 0: all alike
    pub exponent: f64,
}

impl Default for Strata {
    /// 64 strata: the largest 25 % of the hosts, the second 11.7 %, the smallest 0.26 %.
    fn default() -> Strata {
        Strata { count: 64, exponent: 1.095 }
    }
}

/// How tickets and content reach hosts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// most hosts that can fetch in one second, fleet-wide
    pub hosts_per_s: u32,
    /// a host activates uniformly within so many seconds of being covered
    pub within_s: f64,
}

impl Default for Delivery {
    fn default() -> Delivery {
        Delivery { hosts_per_s: 50_000, within_s: 15.0 }
    }
}

/// What is wrong with the update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// share of the hosts in its place that crash
    pub rate: Rate,
    /// which hosts it concerns
    #[serde(default)]
    pub place: Place,
    /// when a concerned host crashes
    #[serde(default)]
    pub shows: Shows,
    /// share of the crashed hosts that can still report at once (the rest is silent until healed)
    #[serde(default)]
    pub reports_share: f64,
}

/// A share, or how to draw one anew in every run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Rate {
    /// always this
    Fixed(f64),
    /// log-uniform between both
    LogUniform {
        /// smallest
        low: f64,
        /// largest
        high: f64,
    },
}

/// Which hosts a fault concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Place {
    /// all strata
    #[default]
    Everywhere,
    /// the stratum of this size rank, 1 for the largest
    StratumRank(u16),
    /// one stratum drawn anew in every run, among those of at least so many hosts; or, as often as
    /// any one of them, everywhere
    AnyStratumOrAll {
        /// least hosts of the stratum
        hosts_min: u64,
    },
}

/// When a concerned host crashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shows {
    /// while loading
    #[default]
    AtLoad,
    /// so many seconds after activation
    After(f64),
    /// at the next boot; hosts reboot on their own so often per hour
    NextBoot {
        /// boots per host and hour
        boots_per_h: f64,
    },
}

/// Trouble that has nothing to do with the update.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outage {
    /// a share of all hosts, drawn at random, falls silent for good at once
    Common {
        /// seconds after the first activation; drawn within the first so many if negative
        at_s: f64,
        /// share of the hosts
        share: f64,
    },
    /// whole sites fall silent: every site independently, so often per hour
    Sites {
        /// number of sites, equal sizes; each holds its share of every stratum
        sites: u32,
        /// outages per site and hour
        per_h: f64,
    },
}

/// Hosts that come and go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    /// share that falls silent and returns again and again
    #[serde(default)]
    pub flapping_share: f64,
    /// mean time between two such silences, seconds
    #[serde(default)]
    pub flapping_every_s: f64,
    /// share asleep at the start (laptops): they said goodbye
    #[serde(default)]
    pub asleep_share: f64,
    /// share of the sleeping that wake per hour
    #[serde(default)]
    pub wakes_per_h: f64,
    /// largest difference of a host's clock, seconds
    #[serde(default)]
    pub clock_skew_s: f64,
}

/// How crashed hosts come back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Healing {
    /// share of crashed hosts that fall back by themselves
    pub share: f64,
    /// how long that takes, seconds
    pub after_s: f64,
    /// whether the fallback itself is broken, in all hosts alike
    pub broken: bool,
}

impl Default for Healing {
    /// Every crashed host comes back after two boots of a minute and a half.
    fn default() -> Healing {
        Healing { share: 1.0, after_s: 180.0, broken: false }
    }
}

/// What spreads while hosts are unprotected.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Attack {
    /// every unprotected host is hit so often per minute
    Hazard {
        /// per minute
        per_min: f64,
    },
    /// infected hosts infect others: dI/dt = beta I S / N
    Spreads {
        /// per minute
        per_min: f64,
        /// hosts infected at the start
        infected: u64,
    },
}

/// Who cheats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Theft {
    /// a thief signs tickets with the line's online key: hosts check pace and ceiling themselves
    OnlineKey,
    /// so many enrolled hosts lie: they claim health whatever happens, and crash reports at will
    Sybils {
        /// share of the fleet
        share: f64,
        /// whether they fake crashes (else they fake health)
        fake_crashes: bool,
    },
}

/// A thief comes so long after the first activation, seconds.
pub(crate) const THEFT_AFTER_S: f64 = 60.0;

const fn one() -> u32 {
    1
}
const fn yes() -> bool {
    true
}
const fn background_per_h() -> f64 {
    0.0072
}
const fn ends_s() -> f64 {
    7200.0
}

impl Scenario {
    /// Hosts per stratum, largest first: proportional to rank^-exponent, every host somewhere. Hosts that
    /// sleep are among them: a plan reserves their places.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares of hosts")]
    #[expect(clippy::cast_precision_loss, reason = "hosts are far below 2^53")]
    pub fn sizes(&self) -> Vec<u32> {
        let count = self.strata.count.max(1);
        let weight = |rank: u16| f64::from(rank).powf(-self.strata.exponent);
        let all: f64 = (1..=count).map(weight).sum();
        let mut sizes: Vec<u32> = (1..=count)
            .map(|rank| (self.hosts as f64 * weight(rank) / all).floor() as u32)
            .collect();
        let given: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
        sizes[0] += u32::try_from(self.hosts.saturating_sub(given)).unwrap_or(0);
        sizes.retain(|size| *size > 0);
        sizes
    }
}
