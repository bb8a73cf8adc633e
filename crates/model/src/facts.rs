//! What a host runs now: its kernel, the build of its sensor, what that sensor can do here. It stands beside
//! the class of its enrolment, because a reboot or an update changes it. A host finds it out by itself.
//! What it is not: believed by anybody else. A rig signs what it ran, a host compares that with its own.
use crate::class::HostClass;
use crate::digest::Digest;
use crate::id::StratumId;
use crate::limits::{FACT_LENGTH_MAX, NAME_LENGTH_MAX};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// One fact's word: a kernel release as `uname -r` gives it, a digest in hexadecimal, a name. Nothing is
/// folded together: two kernels that differ by a capital letter are two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FactName(Arc<str>);

/// Why a word is no fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("fact is not 1 to {FACT_LENGTH_MAX} of A-Z, a-z, 0-9, '.', '-', '_', '+', '~'")]
pub struct FactError;

impl FactName {
    /// Checks and takes a word.
    /// # Errors
    /// [`FactError`] when it is empty, too long, or has other characters than letters, digits and `.-_+~`.
    pub fn new(word: &str) -> Result<FactName, FactError> {
        let fine = |c: char| c.is_ascii_alphanumeric() || ".-_+~".contains(c);
        if word.is_empty() || word.len() > FACT_LENGTH_MAX || !word.chars().all(fine) {
            return Err(FactError);
        }
        Ok(FactName(word.into()))
    }
    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FactName {
    type Error = FactError;
    fn try_from(word: String) -> Result<FactName, FactError> {
        FactName::new(&word)
    }
}
impl From<FactName> for String {
    fn from(fact: FactName) -> String {
        fact.0.to_string()
    }
}
impl std::str::FromStr for FactName {
    type Err = FactError;
    fn from_str(word: &str) -> Result<FactName, FactError> {
        FactName::new(word)
    }
}
impl fmt::Display for FactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known of a host, or of the machine that a rig ran a release on. Absent: not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// release of the running kernel, as `uname -r`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<FactName>,
    /// build of the running sensor: the digest of its release's manifest; of a sensor that came with the
    /// host's own packages, of its program
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensor: Option<FactName>,
    /// the highest rung of capabilities that the sensor found here, in its own word
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<FactName>,
}

static UNKNOWN: Facts = Facts { kernel: None, sensor: None, rung: None };

/// What a demand may want to be the host's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactKind {
    /// the very release of the kernel: `6.1.0-18-amd64`
    Kernel,
    /// its first two numbers: `6.1`
    KernelSeries,
    /// the build of the sensor
    Sensor,
    /// the rung of its capabilities
    Rung,
}

impl FactKind {
    /// All of them, sorted.
    pub const ALL: [FactKind; 4] =
        [FactKind::Kernel, FactKind::KernelSeries, FactKind::Sensor, FactKind::Rung];

    /// Its name in a policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FactKind::Kernel => "kernel",
            FactKind::KernelSeries => "kernel_series",
            FactKind::Sensor => "sensor",
            FactKind::Rung => "rung",
        }
    }

    /// Whether telling this apart tells the other apart, too.
    #[must_use]
    pub fn implies(self, other: FactKind) -> bool {
        self == other || (self == FactKind::Kernel && other == FactKind::KernelSeries)
    }

    /// What it is here; `None`: not known.
    #[must_use]
    pub fn of(self, facts: &Facts) -> Option<&str> {
        match self {
            FactKind::Kernel => facts.kernel.as_ref().map(FactName::as_str),
            FactKind::KernelSeries => facts.kernel.as_ref().and_then(|it| series(it.as_str())),
            FactKind::Sensor => facts.sensor.as_ref().map(FactName::as_str),
            FactKind::Rung => facts.rung.as_ref().map(FactName::as_str),
        }
    }

    /// Whether it is the same in both; `None`: one of them does not know.
    #[must_use]
    pub fn same(self, one: &Facts, other: &Facts) -> Option<bool> {
        Some(self.of(one)? == self.of(other)?)
    }
}

/// The two numbers that a kernel release begins with.
fn series(release: &str) -> Option<&str> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let major = digits(release);
    let rest = release.get(major..)?.strip_prefix('.')?;
    let minor = digits(rest);
    if major == 0 || minor == 0 { None } else { release.get(..major + 1 + minor) }
}

impl Facts {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == UNKNOWN
    }

    /// The facts by name, those that are known, in order.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &FactName)> {
        let all = [("kernel", &self.kernel), ("sensor", &self.sensor), ("rung", &self.rung)];
        all.into_iter().filter_map(|(name, fact)| Some((name, fact.as_ref()?)))
    }

    /// These kinds as one text, the same for two hosts exactly if they do not differ in them. `?`, which no
    /// fact can be, stands for what is not known.
    #[must_use]
    pub fn told(&self, kinds: &[FactKind]) -> String {
        let one = |kind: &FactKind| format!("{}={}", kind.name(), kind.of(self).unwrap_or("?"));
        kinds.iter().map(one).collect::<Vec<String>>().join(" ")
    }
}

/// A host as it is judged: what it is, and what it runs now.
#[derive(Clone, Copy, Debug)]
pub struct HostNow<'a> {
    /// what it is
    pub class: &'a HostClass,
    /// what it runs
    pub facts: &'a Facts,
}

/// A host of which nothing but its class is known.
impl<'a> From<&'a HostClass> for HostNow<'a> {
    fn from(class: &'a HostClass) -> HostNow<'a> {
        HostNow { class, facts: &UNKNOWN }
    }
}

impl<'a> From<(&'a HostClass, &'a Facts)> for HostNow<'a> {
    fn from((class, facts): (&'a HostClass, &'a Facts)) -> HostNow<'a> {
        HostNow { class, facts }
    }
}

/// A stratum cut by facts: hosts that differ in them are compared apart, and one that changes them is of
/// another stratum from then on. Nothing changes without kinds.
#[must_use]
pub fn stratum_by(stratum: StratumId, facts: &Facts, kinds: &[FactKind]) -> StratumId {
    if kinds.is_empty() {
        return stratum;
    }
    let digest = Digest::of(format!("{stratum} {}", facts.told(kinds)).as_bytes()).to_string();
    let short: String = digest.chars().take(12).collect();
    let cut: String = stratum.as_str().chars().take(NAME_LENGTH_MAX - 16).collect();
    StratumId::new(&format!("{cut}..f-{short}")).unwrap_or(stratum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(kernel: &str) -> Facts {
        Facts { kernel: FactName::new(kernel).ok(), ..Facts::default() }
    }

    #[test]
    fn a_kernels_series_is_its_first_two_numbers() {
        for (release, want) in [
            ("6.1.0-18-amd64", Some("6.1")),
            ("6.12", Some("6.12")),
            ("5.15.167.4-microsoft-standard-WSL2", Some("5.15")),
            ("6.8-rc1+", Some("6.8")),
            ("6", None),
            ("6.", None),
            (".6", None),
            ("next-20260101", None),
        ] {
            assert_eq!(FactKind::KernelSeries.of(&facts(release)), want, "{release}");
        }
        let (old, new) = (facts("6.1.0-17-amd64"), facts("6.1.0-18-amd64"));
        assert_eq!(FactKind::Kernel.same(&old, &new), Some(false));
        assert_eq!(FactKind::KernelSeries.same(&old, &new), Some(true));
        assert_eq!(FactKind::KernelSeries.same(&old, &facts("next")), None);
        assert_eq!(FactKind::Kernel.same(&old, &Facts::default()), None);
    }

    #[test]
    fn strata_are_cut_exactly_where_the_facts_that_count_differ() {
        let base = StratumId::new("x86_64.debian12.m1").unwrap();
        let by = |kernel: &str, kinds: &[FactKind]| stratum_by(base.clone(), &facts(kernel), kinds);
        assert_eq!(by("6.1.0", &[]), base);
        assert_eq!(by("6.1.0", &[FactKind::Rung]), by("6.6.0", &[FactKind::Rung]));
        let kernel = [FactKind::Kernel];
        assert_eq!(by("6.1.0", &kernel), by("6.1.0", &kernel));
        assert_ne!(by("6.1.0", &kernel), by("6.1.1", &kernel));
        assert_ne!(by("6.1.0", &kernel), by("?", &kernel), "not known is another one");
        let long = StratumId::new(&"m".repeat(NAME_LENGTH_MAX)).unwrap();
        let other = StratumId::new(&format!("{}n", "m".repeat(NAME_LENGTH_MAX - 1))).unwrap();
        let cut = |stratum: &StratumId| stratum_by(stratum.clone(), &facts("6.1.0"), &kernel);
        assert!(cut(&long) != long && cut(&long) != cut(&other));
    }

    #[test]
    fn a_fact_is_a_short_plain_word() {
        for good in ["6.1.0-18-amd64", "5.15.0-WSL2+", "a~b", &"f".repeat(FACT_LENGTH_MAX)] {
            assert_eq!(FactName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "?", "a b", "a/b", "a=b", "é", &"f".repeat(FACT_LENGTH_MAX + 1)] {
            assert_eq!(FactName::new(bad), Err(FactError), "{bad}");
        }
    }
}
