//! What a host keeps for the time before it has a network, a clock and verified metadata: whose stops it
//! obeys. Written by the supervisor whenever verification says something newer, read by the guard at boot.
use crate::digest::Digest;
use crate::id::{HostId, LineId, OperatorId, VendorId};
use crate::key::PublicKey;
use crate::limits::{INDEX_ITEMS_MAX, KEYS_MAX, PINS_BYTES_MAX, VENDORS_MAX};
use crate::policy::Person;
use crate::stop::FreezeOverride;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The keys of a vendor's delegated role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedVendor {
    /// which
    pub vendor: VendorId,
    /// keys that may stop what is theirs
    pub keys: Vec<PublicKey>,
    /// of these, the keys that publish for it
    pub role: Vec<PublicKey>,
    /// how many of them publish, and sign directives
    pub threshold: u32,
}

/// Pinned keys, as of the newest policy and metadata that this host has verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// format of this object; 1
    pub schema: u32,
    /// which line
    pub line: LineId,
    /// this host, once it has enrolled
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// it is no earlier: the newest time that a quorum of witnesses has vouched for
    pub vouched: Time,
    /// keys of the platform
    pub platform: Vec<PublicKey>,
    /// every vendor's
    pub vendors: Vec<PinnedVendor>,
    /// the operator, on an operator's line
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorId>,
    /// keys of its people and of the line: one of them may freeze
    pub operators: Vec<PublicKey>,
    /// keys of its people alone
    pub people: Vec<PublicKey>,
    /// the people of its root
    pub roots: Vec<Person>,
    /// how many of these sign a policy or a directive
    pub roots_threshold: u32,
    /// stops that the operator's policy overrides
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<FreezeOverride>,
    /// when that policy ends, and its overrides with it
    pub policy_expires: Time,
}

/// Why pins were refused.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// larger than allowed
    #[error("pins have {0} bytes, at most {PINS_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// not the JSON we expect
    #[error("parse pins")]
    Parse(#[source] serde_json::Error),
    /// a field outside its range
    #[error("pins field {0} {1}")]
    Field(&'static str, &'static str),
}

impl Pins {
    /// Reads pins.
    /// # Errors
    /// [`PinsError`].
    pub fn parse(bytes: &[u8]) -> Result<Pins, PinsError> {
        if bytes.len() > PINS_BYTES_MAX {
            return Err(PinsError::TooLarge(bytes.len()));
        }
        let pins: Pins = serde_json::from_slice(bytes).map_err(PinsError::Parse)?;
        if pins.schema != 1 {
            return Err(PinsError::Field("schema", "is not 1"));
        }
        if pins.roots_threshold == 0 {
            return Err(PinsError::Field("roots_threshold", "is 0"));
        }
        let many = |keys: &[PublicKey]| keys.len() > 4 * KEYS_MAX;
        if many(&pins.platform) || many(&pins.operators) || many(&pins.people) {
            return Err(PinsError::Field("keys", "are too many"));
        }
        if pins.overrides.len() > INDEX_ITEMS_MAX {
            return Err(PinsError::Field("overrides", "are too many"));
        }
        if pins.vendors.len() > VENDORS_MAX {
            return Err(PinsError::Field("vendors", "are too many"));
        }
        if pins.vendors.iter().any(|vendor| vendor.threshold == 0) {
            return Err(PinsError::Field("threshold", "is 0"));
        }
        Ok(pins)
    }

    /// Whether the operator's policy overrides this stop now.
    #[must_use]
    pub fn overridden(&self, stop: &Digest, now: Time) -> bool {
        let lifted = |one: &FreezeOverride| one.freeze == *stop && now < one.until;
        now < self.policy_expires && self.overrides.iter().any(lifted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pins() -> Pins {
        let key = PublicKey([7; 32]);
        Pins {
            schema: 1,
            line: LineId::Operator(OperatorId::new("clinic").unwrap()),
            host: None,
            vouched: Time(1),
            platform: vec![key],
            vendors: vec![],
            operator: OperatorId::new("clinic").ok(),
            operators: vec![key],
            people: vec![key],
            roots: vec![],
            roots_threshold: 2,
            overrides: vec![],
            policy_expires: Time(10),
        }
    }

    fn read(pins: &Pins) -> Result<Pins, PinsError> {
        Pins::parse(&serde_json::to_vec(pins).unwrap())
    }

    #[test]
    fn every_limit_holds_at_the_limit_and_not_beyond() {
        let mut bytes = serde_json::to_vec(&pins()).unwrap();
        bytes.resize(PINS_BYTES_MAX, b' ');
        assert_eq!(Pins::parse(&bytes).unwrap(), pins());
        bytes.push(b' ');
        assert!(matches!(Pins::parse(&bytes), Err(PinsError::TooLarge(_))));

        let vendor = |at: usize| PinnedVendor {
            vendor: VendorId::new(&format!("v{at}")).unwrap(),
            keys: vec![],
            role: vec![],
            threshold: 1,
        };
        let with = |count: usize| Pins { vendors: (0..count).map(vendor).collect(), ..pins() };
        read(&with(VENDORS_MAX)).unwrap();
        assert!(matches!(read(&with(VENDORS_MAX + 1)), Err(PinsError::Field("vendors", _))));
    }

    /// A threshold of nothing would let anybody switch protection off.
    #[test]
    fn a_threshold_of_nobody_is_refused() {
        assert!(read(&Pins { roots_threshold: 0, ..pins() }).is_err());
        let vendor = VendorId::new("acme").unwrap();
        let nobody = PinnedVendor { vendor, keys: vec![], role: vec![], threshold: 0 };
        assert!(read(&Pins { vendors: vec![nobody], ..pins() }).is_err());
    }

    #[test]
    fn an_override_ends_by_itself_and_with_its_policy() {
        let stop = Digest::of(b"stop");
        let of = |until: u64| {
            let reason = crate::text::Text::clipped("ours is well");
            let overrides = vec![FreezeOverride { freeze: stop, reason, until: Time(until) }];
            Pins { overrides, ..pins() }
        };
        assert!(of(8).overridden(&stop, Time(7)) && !of(8).overridden(&stop, Time(8)));
        assert!(of(99).overridden(&stop, Time(9)) && !of(99).overridden(&stop, Time(10)));
        assert!(!of(8).overridden(&Digest::of(b"another"), Time(7)));
    }
}
