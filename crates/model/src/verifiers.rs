//! Gate verifiers: programs beside the server, with keys of their own, that follow its journal,
//! recompute the gate's verdicts and the tickets, and cosign what they find right. Named by the policy.
use crate::id::VerifierId;
use crate::key::PublicKey;
use crate::limits::VERIFIERS_MAX;
use crate::policy::Policy;
use serde::{Deserialize, Serialize};

/// One gate verifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verifier {
    /// its name
    pub name: VerifierId,
    /// its key; it signs cosignatures of tickets, nothing else
    pub key: PublicKey,
}

/// The verifiers of a line and how many of them it takes: k of n.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verifiers {
    /// how many must have cosigned every ticket; 0 only if there are none
    pub needed: u32,
    /// sorted by name
    pub keys: Vec<Verifier>,
}

impl Verifiers {
    /// Whether the line's online key alone makes tickets.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.needed == 0 && self.keys.is_empty()
    }

    /// Whether they make sense beside the rest of their policy. A key that stands for two parties would
    /// let one thief speak for both.
    pub(crate) fn check(&self, policy: &Policy) -> Result<(), &'static str> {
        let rule = |holds: bool, problem| if holds { Ok(()) } else { Err(problem) };
        rule(self.keys.len() <= VERIFIERS_MAX, "has over 16 keys")?;
        let sorted = self.keys.windows(2).all(|pair| pair[0].name < pair[1].name);
        rule(sorted, "is not sorted by name, or names one twice")?;
        let count = |key: &PublicKey| self.keys.iter().filter(|other| other.key == *key).count();
        let once = self.keys.iter().all(|verifier| count(&verifier.key) == 1);
        rule(once, "names one key twice")?;
        let apart = |key: &PublicKey| {
            *key != policy.online && policy.people.iter().all(|person| person.key != *key)
        };
        let apart = self.keys.iter().all(|verifier| apart(&verifier.key));
        rule(apart, "has the online key or a person's key among its keys")?;
        let few = self.needed as usize <= self.keys.len();
        rule(few, "needs more verifiers than it names")?;
        rule(self.needed >= 1 || self.keys.is_empty(), "names verifiers and needs none of them")
    }
}
