//! A proof bundle: one release's manifest and everything that proves it, in one object, so that whoever
//! holds an anchor can check the release without asking anybody.
//!
//! Signed files are carried as text, byte for byte as they were signed. Nothing here is believed:
//! `andon_trust::proof_bundle` reads the file and verifies it. What it is not: the release's *bundle*,
//! which is its files' bytes ([`crate::release`]), and permission to install, which only tickets give.
use crate::envelope::Envelope;
use crate::id::VendorId;
use crate::limits::{
    ATTESTATIONS_MAX, PROOF_BUNDLE_PLAIN_BYTES_MAX, PROOF_BUNDLE_VENDORS_MAX, SIGNATURES_MAX,
    TUF_ROOT_ROTATIONS_MAX,
};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofBundle {
    /// format of this object; 1
    pub schema: u32,
    /// whose release; the name of the role in `role`
    pub vendor: VendorId,
    /// TUF roots that follow the reader's, oldest first; those it has are passed over
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roots: Vec<SignedRoot>,
    /// TUF timestamp
    pub timestamp: String,
    /// the snapshot that it names
    pub snapshot: String,
    /// the top-level targets that the snapshot names
    pub targets: String,
    /// the vendor's role that the snapshot names
    pub role: String,
    /// the release's manifest, which the role lists
    pub manifest: String,
    /// proof of logging (C2SP tlog-proof), if there is one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_proof: Option<String>,
    /// what others say about the release, each signed by itself; verified by those who demand it
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attestations: Vec<Envelope>,
}

/// A TUF root and its version, by which a reader finds the first one that it lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedRoot {
    /// the version that the root itself states
    pub version: u64,
    /// as signed
    pub root: String,
}

/// What was believed last: a later proof bundle must not be older. A reader keeps it beside its anchor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Believed {
    /// version of the TUF root
    pub root: u64,
    /// version of the timestamp
    pub timestamp: u64,
    /// version of the snapshot
    pub snapshot: u64,
    /// version of the top-level targets
    pub targets: u64,
    /// version of each vendor's role
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<VendorId, u64>,
    /// version of the operator's policy; 0: none was shown
    pub policy: u64,
    /// the newest time that a quorum of witnesses has vouched for: it is never earlier; 0: none
    pub witnessed: Time,
}

/// Why bytes are no proof bundle.
#[derive(Debug, thiserror::Error)]
pub enum ProofBundleError {
    /// larger than allowed
    #[error(
        "proof bundle has {0} bytes unpacked, at most {PROOF_BUNDLE_PLAIN_BYTES_MAX} are allowed"
    )]
    TooLarge(usize),
    /// not the JSON we expect
    #[error("parse proof bundle")]
    Parse(#[source] serde_json::Error),
    /// from another time
    #[error("proof bundle has schema {0}, this version reads 1")]
    Schema(u32),
    /// more than a refresh walks
    #[error("proof bundle has {0} roots, at most {TUF_ROOT_ROTATIONS_MAX} are allowed")]
    Roots(usize),
    /// more than anybody needs
    #[error("proof bundle has {0} attestations, at most {ATTESTATIONS_MAX} are allowed")]
    Attestations(usize),
    /// an attestation without a signature, or with too many
    #[error("attestation {0} has {1} signatures, 1 to {SIGNATURES_MAX} are allowed")]
    Signatures(usize, usize),
}

impl ProofBundle {
    /// Reads one; checks form and limits only.
    /// # Errors
    /// [`ProofBundleError`].
    pub fn parse(plain: &[u8]) -> Result<ProofBundle, ProofBundleError> {
        if plain.len() > PROOF_BUNDLE_PLAIN_BYTES_MAX {
            return Err(ProofBundleError::TooLarge(plain.len()));
        }
        let bundle: ProofBundle = serde_json::from_slice(plain).map_err(ProofBundleError::Parse)?;
        bundle.check()?;
        Ok(bundle)
    }

    /// The limits that JSON cannot express.
    /// # Errors
    /// [`ProofBundleError`].
    pub fn check(&self) -> Result<(), ProofBundleError> {
        if self.schema != 1 {
            return Err(ProofBundleError::Schema(self.schema));
        }
        if self.roots.len() > TUF_ROOT_ROTATIONS_MAX as usize {
            return Err(ProofBundleError::Roots(self.roots.len()));
        }
        if self.attestations.len() > ATTESTATIONS_MAX {
            return Err(ProofBundleError::Attestations(self.attestations.len()));
        }
        for (at, attestation) in self.attestations.iter().enumerate() {
            let signatures = attestation.signatures.len();
            if !(1..=SIGNATURES_MAX).contains(&signatures) {
                return Err(ProofBundleError::Signatures(at + 1, signatures));
            }
        }
        Ok(())
    }

    /// Its bytes, unpacked.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Believed {
    /// Both together, the newer of each: what may be forgotten is which vendors were seen beyond the limit.
    #[must_use]
    pub fn joined(mut self, other: &Believed) -> Believed {
        self.root = self.root.max(other.root);
        self.timestamp = self.timestamp.max(other.timestamp);
        self.snapshot = self.snapshot.max(other.snapshot);
        self.targets = self.targets.max(other.targets);
        self.policy = self.policy.max(other.policy);
        self.witnessed = self.witnessed.max(other.witnessed);
        for (vendor, version) in &other.roles {
            if self.roles.len() < PROOF_BUNDLE_VENDORS_MAX || self.roles.contains_key(vendor) {
                let known = self.roles.entry(vendor.clone()).or_default();
                *known = (*known).max(*version);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{EnvelopeSignature, PayloadType};
    use crate::key::{KeyId, Signature};

    fn bundle() -> ProofBundle {
        ProofBundle {
            schema: 1,
            vendor: VendorId::new("acme").unwrap(),
            roots: vec![],
            timestamp: "{\"t\":1}".to_owned(),
            snapshot: "{}".to_owned(),
            targets: "{}".to_owned(),
            role: "{}".to_owned(),
            manifest: "{}".to_owned(),
            log_proof: None,
            attestations: vec![],
        }
    }

    fn signed(signatures: usize) -> Envelope {
        let one =
            EnvelopeSignature { keyid: KeyId(crate::Digest([1; 32])), sig: Signature([2; 64]) };
        let signatures = vec![one; signatures];
        Envelope { payload_type: PayloadType::Approval, payload: b"x".to_vec(), signatures }
    }

    #[test]
    fn what_is_not_there_takes_no_room_and_nothing_unknown_is_read() {
        let text = String::from_utf8(bundle().to_bytes()).unwrap();
        let short = r#"{"schema":1,"vendor":"acme","timestamp":"{\"t\":1}","snapshot":"{}","targets":"{}","role":"{}","manifest":"{}"}"#;
        assert_eq!(text, short);
        assert_eq!(ProofBundle::parse(text.as_bytes()).unwrap(), bundle());
        for other in [
            text.replacen("{\"schema\"", "{\"more\":1,\"schema\"", 1),
            text.replacen("{\"schema\":1,", "{\"schema\":1,\"schema\":1,", 1),
            text.replacen("\"role\":\"{}\",", "", 1),
            format!("{text}x"),
        ] {
            let refused = ProofBundle::parse(other.as_bytes());
            assert!(matches!(refused, Err(ProofBundleError::Parse(_))), "{other}");
        }
        let other = text.replacen(":1", ":2", 1);
        let refused = ProofBundle::parse(other.as_bytes());
        assert!(matches!(refused, Err(ProofBundleError::Schema(2))));
    }

    #[test]
    fn every_limit_holds_at_the_limit_and_not_beyond() {
        let parsed = |bundle: &ProofBundle| ProofBundle::parse(&bundle.to_bytes());
        let mut full = bundle();
        let roots = TUF_ROOT_ROTATIONS_MAX as usize;
        full.roots = vec![SignedRoot { version: 2, root: "{}".to_owned() }; roots];
        full.attestations = vec![signed(SIGNATURES_MAX); ATTESTATIONS_MAX];
        assert_eq!(parsed(&full).unwrap(), full);
        let mut more = full.clone();
        more.roots.push(more.roots[0].clone());
        assert!(matches!(parsed(&more), Err(ProofBundleError::Roots(65))));
        let mut more = full.clone();
        more.attestations.push(signed(1));
        assert!(matches!(parsed(&more), Err(ProofBundleError::Attestations(65))));
        for (signatures, at) in [(0, 2), (SIGNATURES_MAX + 1, 1)] {
            let mut more = bundle();
            more.attestations = vec![signed(1); 2];
            more.attestations[at - 1] = signed(signatures);
            let refused = parsed(&more);
            assert!(
                matches!(refused, Err(ProofBundleError::Signatures(a, s)) if (a, s) == (at, signatures))
            );
        }
        let mut text = bundle().to_bytes();
        text.resize(PROOF_BUNDLE_PLAIN_BYTES_MAX, b' ');
        assert_eq!(ProofBundle::parse(&text).unwrap(), bundle());
        text.push(b' ');
        assert!(matches!(ProofBundle::parse(&text), Err(ProofBundleError::TooLarge(_))));
    }

    #[test]
    fn of_two_that_were_believed_the_newer_of_each_counts() {
        let (one, two) = (VendorId::new("one").unwrap(), VendorId::new("two").unwrap());
        let roles = BTreeMap::from([(one.clone(), 5)]);
        let a =
            Believed { root: 1, timestamp: 9, roles, witnessed: Time(3), ..Believed::default() };
        let roles = BTreeMap::from([(one.clone(), 4), (two.clone(), 7)]);
        let b = Believed { root: 2, timestamp: 8, roles, policy: 6, ..Believed::default() };
        let joined = a.joined(&b);
        assert_eq!((joined.root, joined.timestamp, joined.policy), (2, 9, 6));
        assert_eq!(joined.roles, BTreeMap::from([(one, 5), (two, 7)]));
        assert_eq!(joined.witnessed, Time(3));
    }
}
