//! Typed names and numbers. A swapped argument is a compile error; a strange one is refused here.
use crate::limits::{HOSTS_MAX, NAME_LENGTH_MAX};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a name or id was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// empty or too long
    #[error("name has {0} bytes; 1 to {NAME_LENGTH_MAX} are allowed")]
    Length(usize),
    /// a character that file names, URLs or terminals would treat specially
    #[error(
        "name {0:?} has a character other than a-z, 0-9, '-', '_', '.', or begins with '.' or '-'"
    )]
    Character(String),
    /// not a host id
    #[error("host id {0:?} is not 'h' and ten digits, within 1 to {HOSTS_MAX}")]
    Host(String),
    /// not a line id
    #[error("line {0:?} is not vendor:NAME or operator:NAME")]
    Line(String),
}

fn checked(name: &str) -> Result<(), IdError> {
    if name.is_empty() || name.len() > NAME_LENGTH_MAX {
        return Err(IdError::Length(name.len()));
    }
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if !name.chars().all(fine) || name.starts_with(['.', '-']) {
        return Err(IdError::Character(name.chars().take(NAME_LENGTH_MAX).collect()));
    }
    Ok(())
}

/// A name is shared, not copied: a ticket's evidence names thousands of strata, at every widening.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks and takes a name.
            /// # Errors
            /// [`IdError`] when it is empty, too long, or has other characters than `a-z0-9-_.`.
            pub fn new(name: &str) -> Result<Self, IdError> {
                checked(name)?;
                Ok(Self(name.into()))
            }
            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $type {
            type Error = IdError;
            fn try_from(name: String) -> Result<Self, IdError> {
                Self::new(&name)
            }
        }
        impl From<$type> for String {
            fn from(id: $type) -> String {
                id.0.to_string()
            }
        }
        impl FromStr for $type {
            type Err = IdError;
            fn from_str(name: &str) -> Result<Self, IdError> {
                Self::new(name)
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(/** Who makes content; holds a delegated TUF role of the same name. */ VendorId);
name!(/** Who owns the fleet and decides for it. */ OperatorId);
name!(/** One human being: thresholds count people, not keys. */ PersonId);
name!(/** Who recomputes a gate's verdicts and cosigns its tickets. */ VerifierId);
name!(/** Who runs releases on machines of a class and signs what came of it. */ RigId);
name!(/** The unit of update on a host. */ ComponentId);
name!(/** One plan carried out for one release. */ RolloutId);
name!(/** Hosts that must not fail together: a service, a quorum, a rack, a site, a tenant. */ GroupId);
name!(/** Like-for-like class of hosts: `arch.os.model` plus what else may change a fault's odds. */ StratumId);

/// A host's id: assigned by the server, in order of enrolment, before any seed is revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostId(u64);

impl HostId {
    /// From the server's enrolment counter (starts at 1).
    /// # Errors
    /// [`IdError::Host`] outside 1 to [`HOSTS_MAX`].
    pub fn new(number: u64) -> Result<HostId, IdError> {
        if number == 0 || number > HOSTS_MAX {
            return Err(IdError::Host(number.to_string()));
        }
        Ok(HostId(number))
    }
    /// The enrolment number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl FromStr for HostId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<HostId, IdError> {
        let wrong = || IdError::Host(text.chars().take(NAME_LENGTH_MAX).collect());
        let digits = text.strip_prefix('h').ok_or_else(wrong)?;
        if digits.len() != 10 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        HostId::new(digits.parse().map_err(|_| wrong())?)
    }
}
impl TryFrom<String> for HostId {
    type Error = IdError;
    fn try_from(text: String) -> Result<HostId, IdError> {
        text.parse()
    }
}
impl From<HostId> for String {
    fn from(id: HostId) -> String {
        id.to_string()
    }
}
impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h{:010}", self.0)
    }
}

/// Which budget a rollout runs under: the vendor's line over all consenting operators, or one
/// operator's own line inside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LineId {
    /// `vendor:NAME`
    Vendor(VendorId),
    /// `operator:NAME`
    Operator(OperatorId),
}

impl FromStr for LineId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<LineId, IdError> {
        match text.split_once(':') {
            Some(("vendor", name)) => Ok(LineId::Vendor(VendorId::new(name)?)),
            Some(("operator", name)) => Ok(LineId::Operator(OperatorId::new(name)?)),
            _ => Err(IdError::Line(text.chars().take(NAME_LENGTH_MAX).collect())),
        }
    }
}
impl TryFrom<String> for LineId {
    type Error = IdError;
    fn try_from(text: String) -> Result<LineId, IdError> {
        text.parse()
    }
}
impl From<LineId> for String {
    fn from(id: LineId) -> String {
        id.to_string()
    }
}
impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineId::Vendor(name) => write!(f, "vendor:{name}"),
            LineId::Operator(name) => write!(f, "operator:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_paths_and_terminals_would_misread() {
        for bad in ["", ".", "..", "-x", "A", "a/b", "a b", "a\u{1b}[2J", &"x".repeat(64)] {
            assert!(ComponentId::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(ComponentId::new("sigma-rules_1.2").unwrap().as_str(), "sigma-rules_1.2");
    }

    #[test]
    fn host_and_line_ids_read_back_as_written() {
        let host = HostId::new(17).unwrap();
        assert_eq!(host.to_string(), "h0000000017");
        assert_eq!(host.to_string().parse::<HostId>().unwrap(), host);
        for bad in ["h17", "17", "h0000000000", "h+000000017", "h99999999999"] {
            assert!(bad.parse::<HostId>().is_err(), "{bad} was accepted");
        }
        for line in ["vendor:acme", "operator:hospital"] {
            assert_eq!(line.parse::<LineId>().unwrap().to_string(), line);
        }
        assert!("acme".parse::<LineId>().is_err());
    }
}
