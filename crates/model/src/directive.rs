//! What only a threshold of a party may say, for healthy hosts obey it too: RECALL, PARK, raise minimum.
//! Anyone may stop something new (`stop`); nobody alone may take away what runs well.
use crate::digest::Digest;
use crate::id::{ComponentId, VendorId};
use crate::limits::{
    DIRECTIVE_BYTES_MAX, DIRECTIVE_REASON_MAX, DIRECTIVE_VALID_MAX, PARK_OVER_MAX,
};
use crate::release::Version;
use crate::stop::Party;
use crate::text::Text;
use crate::time::{Millis, Time};
use serde::{Deserialize, Serialize};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Demand {
    /// RECALL: nobody starts `release` any more, and hosts may go back from it to the older `to`. They do
    /// so as tickets cover them: a recall is a rollout like any other, and the gate may halt it.
    Recall {
        /// digest of the manifest of what is recalled
        release: Digest,
        /// digest of the manifest of what takes its place
        to: Digest,
    },
    /// PARK: nobody starts `release` any more, and hosts that run it switch its component off, each at
    /// its own moment within `over` of the issue. The host stays up; another release starts again.
    Park {
        /// digest of the manifest
        release: Digest,
        /// in how much time all hosts have obeyed; the policy may lift it meanwhile
        over: Millis,
    },
    /// Raise minimum: a host that has confirmed this version never again installs or falls back to an
    /// older one. On a host whose confirmed version is older, that one is the minimum.
    Minimum {
        /// which component
        component: ComponentId,
        /// its oldest version from now on
        version: Version,
    },
}

/// Signed by a threshold of one party: the people of the operator's root, or a vendor's delegated keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directive {
    /// format of this object; 1
    pub schema: u32,
    /// who
    pub by: Party,
    /// what
    pub demand: Demand,
    /// why, at most [`DIRECTIVE_REASON_MAX`] bytes
    pub reason: Text,
    /// when
    pub issued: Time,
    /// ends by itself then; a minimum that a host has taken over stays
    pub expires: Time,
}

/// Why a directive's own text makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum DirectiveError {
    /// larger than any
    #[error("directive has {0} bytes, at most {DIRECTIVE_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// not the JSON we expect
    #[error("parse directive")]
    Parse(#[source] serde_json::Error),
    /// a field outside its range
    #[error("directive field {0} {1}")]
    Field(&'static str, &'static str),
}

impl Directive {
    /// Reads a directive payload.
    /// # Errors
    /// [`DirectiveError`].
    pub fn parse(bytes: &[u8]) -> Result<Directive, DirectiveError> {
        if bytes.len() > DIRECTIVE_BYTES_MAX {
            return Err(DirectiveError::TooLarge(bytes.len()));
        }
        let directive: Directive = serde_json::from_slice(bytes).map_err(DirectiveError::Parse)?;
        let Directive { schema, reason, issued, expires, demand, .. } = &directive;
        let wrong = |field, why| Err(DirectiveError::Field(field, why));
        if *schema != 1 {
            return wrong("schema", "is not 1");
        }
        if expires <= issued {
            return wrong("expires", "is not after issued");
        }
        if expires.since(*issued) > DIRECTIVE_VALID_MAX {
            return wrong("expires", "is over 366 days after issued");
        }
        if reason.as_str().len() > DIRECTIVE_REASON_MAX {
            return wrong("reason", "is over 120 bytes");
        }
        match demand {
            Demand::Recall { release, to } if release == to => {
                wrong("to", "is the recalled release itself")
            }
            Demand::Park { over, .. } if *over > PARK_OVER_MAX => wrong("over", "is over a day"),
            _ => Ok(directive),
        }
    }

    /// The release that nobody starts any more while it holds.
    #[must_use]
    pub fn bars(&self) -> Option<&Digest> {
        match &self.demand {
            Demand::Recall { release, .. } | Demand::Park { release, .. } => Some(release),
            Demand::Minimum { .. } => None,
        }
    }

    /// Whether a host that runs `from` may go back to `to`.
    #[must_use]
    pub fn lets_back(&self, from: &Digest, to: &Digest) -> bool {
        matches!(&self.demand, Demand::Recall { release, to: older } if release == from && older == to)
    }

    /// Whether it may speak for components of this vendor: an operator for all, a vendor for its own.
    #[must_use]
    pub fn speaks_for(&self, vendor: &VendorId) -> bool {
        match &self.by {
            Party::Operator(_) => true,
            Party::Vendor(by) => by == vendor,
            Party::Platform => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directive(demand: Demand) -> Directive {
        Directive {
            schema: 1,
            by: Party::Vendor(VendorId::new("v").unwrap()),
            demand,
            reason: Text::clipped("why"),
            issued: Time(1000),
            expires: Time(2000),
        }
    }
    fn read(directive: &Directive) -> Result<Directive, DirectiveError> {
        Directive::parse(&serde_json::to_vec(directive).unwrap())
    }
    fn park(over: Millis) -> Directive {
        directive(Demand::Park { release: Digest::of(b"r"), over })
    }

    #[test]
    fn fields_are_held_to_their_limits_and_not_below() {
        let good = park(PARK_OVER_MAX);
        assert_eq!(read(&good).unwrap(), good);
        assert!(read(&park(Millis(PARK_OVER_MAX.0 + 1))).is_err());
        let valid = |for_ms: u64| Directive { expires: Time(1000 + for_ms), ..good.clone() };
        assert!(read(&valid(DIRECTIVE_VALID_MAX.0)).is_ok());
        assert!(read(&valid(DIRECTIVE_VALID_MAX.0 + 1)).is_err());
        assert!(read(&valid(0)).is_err());
        let words = |n: usize| Directive { reason: Text::clipped(&"x".repeat(n)), ..good.clone() };
        assert!(read(&words(DIRECTIVE_REASON_MAX)).is_ok());
        assert!(read(&words(DIRECTIVE_REASON_MAX + 1)).is_err());
        assert!(read(&Directive { schema: 2, ..good }).is_err());
        let same = Digest::of(b"r");
        assert!(read(&directive(Demand::Recall { release: same, to: same })).is_err());
        let mut long = serde_json::to_vec(&park(Millis(0))).unwrap();
        long.resize(DIRECTIVE_BYTES_MAX, b' ');
        assert!(Directive::parse(&long).is_ok());
        long.push(b' ');
        assert!(matches!(Directive::parse(&long), Err(DirectiveError::TooLarge(_))));
    }

    #[test]
    fn a_recall_lets_back_from_the_one_to_the_other_only() {
        let (bad, old, other) = (Digest::of(b"bad"), Digest::of(b"old"), Digest::of(b"other"));
        let recall = directive(Demand::Recall { release: bad, to: old });
        assert!(recall.lets_back(&bad, &old));
        assert!(!recall.lets_back(&old, &bad) && !recall.lets_back(&other, &old));
        assert_eq!(recall.bars(), Some(&bad));
        assert!(!park(Millis(0)).lets_back(&bad, &old));
    }
}
