//! Entries of a line's own public log: what its hosts may install, by which rules, and what was stopped.
//! An entry has one spelling, so whoever knows the fact knows the hash that the log must hold.
//! What it is not: the log itself (`andon_trust::log`), or a reason to believe an entry.
use crate::digest::Digest;
use crate::directive::Demand;
use crate::id::{ComponentId, LineId, VendorId};
use crate::limits::LINE_ENTRY_BYTES_MAX;
use crate::merkle;
use crate::release::{Manifest, Version};
use crate::stop::{Party, Scope};
use serde::{Deserialize, Serialize};

/// One entry, JSON without white space, fields in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", deny_unknown_fields)]
pub enum LogEntry {
    /// a release that hosts may be offered
    #[serde(rename = "release.v1")]
    Release {
        /// who made it
        vendor: VendorId,
        /// its component
        component: ComponentId,
        /// its version
        version: Version,
        /// digest of its manifest: the release's name
        manifest: Digest,
        /// digest of its bundle
        bundle: Digest,
    },
    /// a policy that was accepted
    #[serde(rename = "policy.v1")]
    Policy {
        /// whose line
        line: LineId,
        /// its version
        version: u64,
        /// digest of its payload as signed
        policy: Digest,
    },
    /// a stop that was accepted: a freeze or a directive
    #[serde(rename = "stop.v2")]
    Stop {
        /// digest of its envelope's bytes: its name on the static plane
        stop: Digest,
        /// who signs
        by: Party,
        /// what it stops
        of: Stopped,
    },
    /// a waiver that was accepted: people let a release into canary waves without a rig's word
    #[serde(rename = "waiver.v1")]
    Waiver {
        /// whose line
        line: LineId,
        /// digest of the release's manifest
        release: Digest,
        /// digest of the waiver's payload as signed
        waiver: Digest,
    },
}

/// What a stop is about, so that a vendor sees from the log alone whether it is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Stopped {
    /// one release, by its manifest's digest
    Release(Digest),
    /// everything of a vendor
    Vendor(VendorId),
    /// older versions of a component
    Component(ComponentId),
    /// everything
    All,
}

impl From<Scope> for Stopped {
    fn from(scope: Scope) -> Stopped {
        match scope {
            Scope::Release(release) => Stopped::Release(release),
            Scope::Vendor(vendor) => Stopped::Vendor(vendor),
            Scope::All => Stopped::All,
        }
    }
}

impl From<Demand> for Stopped {
    fn from(demand: Demand) -> Stopped {
        match demand {
            Demand::Recall { release, .. } | Demand::Park { release, .. } => {
                Stopped::Release(release)
            }
            Demand::Minimum { component, .. } => Stopped::Component(component),
        }
    }
}

/// Why bytes are no entry.
#[derive(Debug, thiserror::Error)]
pub enum LogEntryError {
    /// larger than any
    #[error("entry has {0} bytes, at most {LINE_ENTRY_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// not the JSON we expect
    #[error("parse entry")]
    Parse(#[source] serde_json::Error),
    /// the same fact in another spelling
    #[error("entry is not spelled as its hash is made of it")]
    Spelling,
}

impl LogEntry {
    /// The entry of a release.
    #[must_use]
    pub fn release(release: Digest, manifest: &Manifest) -> LogEntry {
        LogEntry::Release {
            vendor: manifest.vendor.clone(),
            component: manifest.component.clone(),
            version: manifest.version,
            manifest: release,
            bundle: manifest.bundle,
        }
    }
    /// Reads an entry; no other spelling than [`LogEntry::to_bytes`].
    /// # Errors
    /// [`LogEntryError`].
    pub fn parse(bytes: &[u8]) -> Result<LogEntry, LogEntryError> {
        if bytes.len() > LINE_ENTRY_BYTES_MAX {
            return Err(LogEntryError::TooLarge(bytes.len()));
        }
        let entry: LogEntry = serde_json::from_slice(bytes).map_err(LogEntryError::Parse)?;
        if entry.to_bytes() != bytes {
            return Err(LogEntryError::Spelling);
        }
        Ok(entry)
    }
    /// As logged.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
    /// The hash that a log's tree has for it.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        merkle::leaf(&self.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::NAME_LENGTH_MAX;

    fn entries() -> Vec<(LogEntry, String)> {
        let (one, two) = (Digest([1; 32]), Digest([2; 32]));
        let release = LogEntry::Release {
            vendor: VendorId::new("acme").unwrap(),
            component: ComponentId::new("rules").unwrap(),
            version: Version(7),
            manifest: one,
            bundle: two,
        };
        let line = "operator:clinic".parse().unwrap();
        let policy = LogEntry::Policy { line, version: 3, policy: one };
        let stop = |by, of| LogEntry::Stop { stop: one, by, of };
        let acme = VendorId::new("acme").unwrap();
        let rules = ComponentId::new("rules").unwrap();
        let own = stop(Party::Vendor(acme.clone()), Scope::Release(two).into());
        let all = stop(Party::Platform, Scope::All.into());
        let vendor = stop(Party::Platform, Scope::Vendor(acme.clone()).into());
        let demand = Demand::Minimum { component: rules, version: Version(3) };
        let minimum = stop(Party::Vendor(acme), demand.into());
        vec![
            (
                release,
                format!(
                    r#"{{"entry":"release.v1","vendor":"acme","component":"rules","version":7,"manifest":"{one}","bundle":"{two}"}}"#
                ),
            ),
            (
                policy,
                format!(
                    r#"{{"entry":"policy.v1","line":"operator:clinic","version":3,"policy":"{one}"}}"#
                ),
            ),
            (
                own,
                format!(
                    r#"{{"entry":"stop.v2","stop":"{one}","by":{{"vendor":"acme"}},"of":{{"release":"{two}"}}}}"#
                ),
            ),
            (all, format!(r#"{{"entry":"stop.v2","stop":"{one}","by":"platform","of":"all"}}"#)),
            (
                vendor,
                format!(
                    r#"{{"entry":"stop.v2","stop":"{one}","by":"platform","of":{{"vendor":"acme"}}}}"#
                ),
            ),
            (
                minimum,
                format!(
                    r#"{{"entry":"stop.v2","stop":"{one}","by":{{"vendor":"acme"}},"of":{{"component":"rules"}}}}"#
                ),
            ),
            (
                LogEntry::Waiver {
                    line: "operator:clinic".parse().unwrap(),
                    release: one,
                    waiver: two,
                },
                format!(
                    r#"{{"entry":"waiver.v1","line":"operator:clinic","release":"{one}","waiver":"{two}"}}"#
                ),
            ),
        ]
    }

    #[test]
    fn an_entry_has_one_spelling() {
        for (entry, text) in entries() {
            assert_eq!(String::from_utf8(entry.to_bytes()).unwrap(), text);
            assert_eq!(LogEntry::parse(text.as_bytes()).unwrap(), entry);
            assert_eq!(entry.leaf(), merkle::leaf(text.as_bytes()));
            for other in [format!("{text} "), text.replacen(':', ": ", 1), text.replace('}', ",}")]
            {
                LogEntry::parse(other.as_bytes()).unwrap_err();
            }
            let more = text.replacen('{', r#"{"more":1,"#, 1);
            assert!(matches!(LogEntry::parse(more.as_bytes()), Err(LogEntryError::Parse(_))));
        }
        let swapped = format!(
            r#"{{"entry":"stop.v2","by":"platform","stop":"{}","of":"all"}}"#,
            Digest([1; 32])
        );
        assert!(matches!(LogEntry::parse(swapped.as_bytes()), Err(LogEntryError::Spelling)));
        assert!(matches!(LogEntry::parse(&[b' '; 1025]), Err(LogEntryError::TooLarge(1025))));
    }

    #[test]
    fn the_largest_entry_fits_its_limit() {
        let name = "x".repeat(NAME_LENGTH_MAX);
        let entry = LogEntry::Release {
            vendor: VendorId::new(&name).unwrap(),
            component: ComponentId::new(&name).unwrap(),
            version: Version(u32::MAX),
            manifest: Digest([0; 32]),
            bundle: Digest([0; 32]),
        };
        assert!(entry.to_bytes().len() * 2 < LINE_ENTRY_BYTES_MAX);
    }
}
