//! The scenarios and policies that come with the program, and files of others. It judges none of them:
//! reading and checking is for [`crate::scenario_file`] and [`crate::policy`].
use crate::file::{FILE_BYTES_MAX, FileError};
use crate::policy::{self, PolicySpec};
use crate::scenario::Scenario;
use crate::scenario_file;
use std::path::{Path, PathBuf};

macro_rules! embedded {
    ($folder:literal: $($name:literal)*) => {
        &[$(($name, include_str!(concat!("../", $folder, "/", $name, ".toml")))),*]
    };
}

/// Name and text of every scenario, in the order in which they are told.
pub const SCENARIOS: &[(&str, &str)] = embedded!("scenarios":
    "july-2024" "july-2024-no-vendor-line" "one-model" "random-0.1pct" "rare-stratum" "sleeper-10min"
    "next-boot" "good" "good-outage-5pct" "good-site-outages" "good-flapping" "laptops" "small-50"
    "small-200" "small-1000" "small-5000" "law" "worm" "campaign" "stolen-online-key"
    "sybil-canaries" "healer-broken");

/// Name and text of every policy, ours first.
pub const POLICIES: &[(&str, &str)] = embedded!("policies":
    "andon" "andon-850" "andon-10min-8500" "andon-10min-850" "andon-routine" "all-at-once" "rings-24h"
    "hawkbit" "bottlerocket-default" "bottlerocket-ohno" "aws-exponential" "fcos-linear"
    "nebraska-safe" "vendor-rings-now");

/// Why there is no such scenario or policy.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// neither a name that we know nor a path
    #[error("find {kind} {word:?}: give a path ending in .toml, or one of {}", known.join(", "))]
    Unknown {
        /// scenario or policy
        kind: &'static str,
        /// as it was asked for
        word: String,
        /// every name
        known: Vec<&'static str>,
    },
    /// file trouble
    #[error("read {kind} file {path}")]
    Read {
        /// scenario or policy
        kind: &'static str,
        /// which
        path: PathBuf,
        /// why
        source: std::io::Error,
    },
    /// a field is wrong
    #[error(transparent)]
    File(#[from] FileError),
}

/// A scenario by name or path.
/// # Errors
/// [`FindError`].
pub fn scenario(word: &str) -> Result<Scenario, FindError> {
    let text = text("scenario", word, SCENARIOS)?;
    Ok(scenario_file::parse(word, &text)?)
}

/// A policy by name or path.
/// # Errors
/// [`FindError`].
pub fn policy(word: &str) -> Result<PolicySpec, FindError> {
    let text = text("policy", word, POLICIES)?;
    Ok(policy::parse(word, &text)?)
}

fn text(kind: &'static str, word: &str, own: &[(&'static str, &str)]) -> Result<String, FindError> {
    if let Some((_, text)) = own.iter().find(|(name, _)| *name == word) {
        return Ok((*text).to_owned());
    }
    let path = Path::new(word);
    if path.components().count() < 2 && path.extension().is_none_or(|ending| ending != "toml") {
        let known = own.iter().map(|(name, _)| *name).collect();
        return Err(FindError::Unknown { kind, word: word.chars().take(80).collect(), known });
    }
    bounded(path).map_err(|source| FindError::Read { kind, path: path.to_owned(), source })
}

/// Reads at most one byte more than a file may have: its size is judged with its text.
fn bounded(path: &Path) -> Result<String, std::io::Error> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Place, Rate};

    #[test]
    fn every_scenario_and_policy_of_the_program_reads_and_bears_its_name() {
        for (name, _) in SCENARIOS {
            let read = scenario(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(read.name, *name);
        }
        for (name, _) in POLICIES {
            let read = policy(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(read.name, *name);
        }
    }

    #[test]
    fn figures_of_the_scenarios_are_those_of_their_words() {
        let share = |word: &str, rank: usize| {
            let sizes = scenario(word).unwrap().sizes();
            f64::from(sizes[rank - 1]) / 8_500_000.0
        };
        assert!((share("one-model", 1) - 0.25).abs() < 0.003);
        assert!((share("one-model", 2) - 0.117).abs() < 0.001);
        let smallest = scenario("rare-stratum").unwrap().sizes()[63];
        assert!((22_000..23_000).contains(&smallest), "{smallest}");
        let law = scenario("law").unwrap().fault.unwrap();
        assert_eq!(law.rate, Rate::LogUniform { low: 1e-6, high: 1.0 });
        assert_eq!(law.place, Place::AnyStratumOrAll { hosts_min: 20_000 });
    }

    #[test]
    fn a_word_that_is_neither_name_nor_path_is_answered_with_the_names() {
        let error = scenario("july").unwrap_err().to_string();
        assert!(
            error.contains("\"july\"") && error.contains("july-2024, july-2024-no-"),
            "{error}"
        );
        let error = policy("./no-such.toml").unwrap_err();
        assert!(matches!(error, FindError::Read { .. }), "{error}");
    }
}
