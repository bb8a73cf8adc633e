//! What may use the emergency lane, as people write it: `vendor/component`. In `policy.toml` it narrows
//! the platform's list; `andon init --fast-lane` writes the platform's.
use crate::policy_rules::Moment;
use andon_model::fast_lane::{FastLane, FastLaneEntry};
use andon_model::{ComponentId, VendorId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// See [`FastLane`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FastLaneForm {
    /// nothing may use it from then on
    until: Moment,
    /// what may
    components: BTreeSet<Listed>,
}

/// A component on the list, written `vendor/component`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Listed(pub(crate) FastLaneEntry);

/// Why a text names no component.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a vendor and its component, for example \"acme/rules\"")]
pub(crate) struct ListedError(String);

impl FromStr for Listed {
    type Err = ListedError;
    fn from_str(text: &str) -> Result<Listed, ListedError> {
        let read = || {
            let (vendor, component) = text.split_once('/')?;
            let vendor = VendorId::new(vendor).ok()?;
            Some(Listed(FastLaneEntry { vendor, component: ComponentId::new(component).ok()? }))
        };
        read().ok_or_else(|| ListedError(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for Listed {
    type Error = ListedError;
    fn try_from(text: String) -> Result<Listed, ListedError> {
        text.parse()
    }
}

impl From<Listed> for String {
    fn from(listed: Listed) -> String {
        listed.to_string()
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0.vendor, self.0.component)
    }
}

/// What stands above it in `policy.toml`, and in its place when there is none.
const COMMENT: &str = "
# Which components may use the emergency lane here, until when; without it: all that the platform's own
# list lets. Everything else takes the routine lane, whatever a ticket says.";
const EXAMPLE: &str = "
#   [fast_lane]
#   until = \"2027-06-30T00:00:00Z\"
#   components = [\"acme/rules\"]";

impl FastLaneForm {
    /// The list that this form asks for.
    pub(crate) fn list(&self) -> FastLane {
        let components = self.components.iter().map(|listed| listed.0.clone()).collect();
        FastLane { expires: self.until.0, components }
    }
}

/// Its lines in `policy.toml`.
pub(crate) fn write(form: Option<&FastLaneForm>) -> String {
    #[derive(Serialize)]
    struct Tables<'a> {
        fast_lane: &'a FastLaneForm,
    }
    let table = form.map(|fast_lane| toml::to_string(&Tables { fast_lane }).unwrap_or_default());
    match table {
        Some(table) => format!("{COMMENT}\n{}", table.trim_end()),
        None => format!("{COMMENT}{EXAMPLE}"),
    }
}

/// The list in a sentence, for `andon policy show`.
pub(crate) fn words(list: &FastLane) -> String {
    let names = list.components.iter().map(|it| Listed(it.clone()).to_string());
    let names: Vec<String> = names.collect();
    let names = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    format!("{names}, until {}", list.expires)
}

#[cfg(test)]
mod tests {
    use super::*;
    use andon_model::Time;

    #[test]
    fn a_list_reads_as_it_is_written_sorted_and_in_words() {
        let text = "[fast_lane]\nuntil = \"2027-06-30T00:00:00Z\"\ncomponents = [\"zeta/x\", \"acme/rules\"]";
        #[derive(Deserialize)]
        struct Tables {
            fast_lane: FastLaneForm,
        }
        let Tables { fast_lane: form } = toml::from_str(text).unwrap();
        let list = form.list();
        assert!(list.is_sane());
        assert_eq!(list.expires, Time(1_814_313_600_000));
        assert_eq!(words(&list), "acme/rules, zeta/x, until 2027-06-30T00:00:00Z");
        let Tables { fast_lane: again } = toml::from_str(&write(Some(&form))).unwrap();
        assert_eq!(again, form);
        assert!(toml::from_str::<toml::Table>(&write(None)).unwrap().is_empty());
        for bad in ["acme", "acme/", "/rules", "acme/rules/1", "a b/c"] {
            assert!(bad.parse::<Listed>().is_err(), "{bad}");
        }
    }
}
