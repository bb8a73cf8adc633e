//! Verifies a proof bundle offline: a release is authentic, in force, and logged where the operator's
//! policy demands it, by the same steps in which a host comes to believe it.
//!
//! What it is not: permission. Whether a host may install the release stands in tickets, and whether
//! somebody has stopped it in freezes; neither is in a proof bundle, because both change by the minute.
use super::catalogue::Catalogue;
use super::need::Need;
use super::release::{self, ManifestRefusal, Unlogged};
use super::take::{manifest_code, policy_code, tuf_code};
use super::{RefusalCode, ViewError, trusted_root};
use crate::attestation::{AttestationRefusal, Standing, Words};
use crate::log::verified::Verified;
use crate::policy::{self, PolicyRefusal};
use crate::tuf::TufError;
use andon_model::enrol::Anchor;
use andon_model::envelope::Envelope;
use andon_model::facts::HostNow;
use andon_model::policy::Policy;
use andon_model::proof_bundle::{Believed, ProofBundle, ProofBundleError};
use andon_model::release::{Manifest, Version};
use andon_model::{ComponentId, Digest, Time, VendorId};
use std::collections::BTreeMap;

/// What a proof bundle is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'t> {
    /// what is trusted from the start
    pub anchor: &'t Anchor,
    /// the operator's signed policy: says which logs must hold a release. Without one logging is not judged
    pub policy: Option<&'t Envelope>,
    /// what the reader's clock says
    pub now: Time,
    /// what was believed before; nothing older is
    pub believed: &'t Believed,
}

/// A release that was proven. Nothing else makes one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProvenRelease {
    /// digest of the manifest: the release's name
    pub release: Digest,
    /// whose, what, which version, which files
    pub manifest: Manifest,
    /// the newest version of the component that the vendor's role lists
    pub newest: Version,
    /// when the first of the metadata that prove it expires
    pub expires: Time,
    /// what was shown about public logs
    pub logging: Logging,
    /// by what time it was judged: the reader's clock, or later if a quorum of witnesses vouched for that
    pub judged_at: Time,
    /// to be kept, and given with the next bundle
    pub believed: Believed,
    /// what others say about the release, as it came; [`ProvenRelease::standing`] judges it
    pub attestations: Vec<Envelope>,
    policy: Option<Policy>,
}

/// What a bundle shows about public logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Logging {
    /// no policy was given to judge it by
    NotJudged {
        /// whether the bundle carries a proof of logging
        carried: bool,
    },
    /// the policy demands none
    NotDemanded,
    /// a log of the policy holds the release, and its quorum of witnesses has seen that
    Logged(Verified),
}

/// Why a proof bundle proves nothing here.
#[derive(Debug, thiserror::Error)]
pub enum ProofRefusal {
    /// nothing can be trusted by it
    #[error("use the anchor")]
    Anchor(#[from] ViewError),
    /// beyond a limit
    #[error("read the proof bundle")]
    Text(#[from] ProofBundleError),
    /// the operator's policy itself
    #[error("believe the policy")]
    Policy(#[from] PolicyRefusal),
    /// the chain from the anchor's root is broken
    #[error("the proof bundle lacks root {0}, which follows the one that is trusted")]
    Root(u64),
    /// a piece of TUF metadata
    #[error("believe {0} of the proof bundle")]
    Metadata(String, #[source] TufError),
    /// metadata that does not belong together
    #[error("the targets of the proof bundle are not those that its snapshot names")]
    Targets,
    /// older than what was believed before
    #[error("{what} has version {got}, version {seen} was believed before")]
    Rollback {
        /// what
        what: String,
        /// its version
        got: u64,
        /// the newest believed
        seen: u64,
    },
    /// by another vendor, or by nobody
    #[error("role of vendor {0} does not list this manifest as that release")]
    Unlisted(VendorId),
    /// the manifest itself
    #[error("believe the manifest")]
    Manifest(#[from] ManifestRefusal),
    /// the policy demands a proof of logging
    #[error("the policy demands a proof of logging, and the proof bundle has none")]
    NoLogProof,
    /// and this is none
    #[error("believe that the log which the policy demands holds the release")]
    Unlogged(#[from] Unlogged),
    /// over
    #[error("{what} expired at {at}, and it is {now}")]
    Expired {
        /// what
        what: String,
        /// when
        at: Time,
        /// by what it was judged
        now: Time,
    },
}

impl ProofRefusal {
    /// For machines, in the words that hosts use.
    #[must_use]
    pub fn code(&self) -> RefusalCode {
        match self {
            ProofRefusal::Anchor(_) | ProofRefusal::Text(_) => RefusalCode::Malformed,
            ProofRefusal::Policy(why) => policy_code(why),
            ProofRefusal::Root(_) => RefusalCode::Missing,
            ProofRefusal::Metadata(_, why) => tuf_code(why),
            ProofRefusal::Targets => RefusalCode::Digest,
            ProofRefusal::Rollback { .. } => RefusalCode::Rollback,
            ProofRefusal::Unlisted(_) => RefusalCode::Signature,
            ProofRefusal::Manifest(why) => manifest_code(why),
            ProofRefusal::NoLogProof | ProofRefusal::Unlogged(_) => RefusalCode::Unlogged,
            ProofRefusal::Expired { .. } => RefusalCode::Expired,
        }
    }
}

/// Whether the bundle proves its release under these terms.
/// # Errors
/// [`ProofRefusal`]; nothing is believed then.
pub fn verify(bundle: &ProofBundle, terms: &Terms<'_>) -> Result<ProvenRelease, ProofRefusal> {
    bundle.check()?;
    let clock = terms.now.max(terms.believed.witnessed);
    let (root, set) = trusted_root(terms.anchor)?;
    let seen = terms.believed.policy;
    let policy = terms.policy.map(|signed| policy::verify(signed, terms.anchor, clock, seen));
    let policy = policy.transpose()?;
    let mut catalogue = Catalogue::refreshing(root, set);
    believe_metadata(&mut catalogue, bundle, clock)?;
    let mut believed = versions(&catalogue, &bundle.vendor, policy.as_ref());
    not_older(&believed, terms.believed)?;
    // What the manifest says of itself only leads to its place in the role, where its digest stands.
    let bytes = bundle.manifest.as_bytes();
    let claimed = Manifest::parse(bytes).map_err(ManifestRefusal::Text)?;
    let release = Digest::of(bytes);
    let listed = catalogue.find(&release, &claimed.component, claimed.version);
    let listed = listed.ok_or_else(|| ProofRefusal::Unlisted(bundle.vendor.clone()))?;
    let manifest = release::manifest(&listed, release, bytes)?;
    let (logging, vouched) = logging(bundle, release, &manifest, policy.as_ref())?;
    believed.witnessed = vouched;
    let now = clock.max(vouched);
    in_force("the metadata above the vendor", catalogue.expires(), now)?;
    in_force(&format!("the role of vendor {}", listed.vendor), listed.expires, now)?;
    if let Some(policy) = &policy {
        in_force("the policy", policy.expires, now)?;
    }
    Ok(ProvenRelease {
        release,
        manifest,
        newest: listed.newest,
        expires: catalogue.expires().min(listed.expires),
        logging,
        judged_at: now,
        believed: believed.joined(terms.believed),
        attestations: bundle.attestations.clone(),
        policy,
    })
}

/// Feeds the bundle's files to a host's own catalogue, in the order in which a host asks for them.
fn believe_metadata(
    catalogue: &mut Catalogue,
    bundle: &ProofBundle,
    now: Time,
) -> Result<(), ProofRefusal> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |why| ProofRefusal::Metadata(what, why)
    };
    let bytes = |text: &String| text.as_bytes().to_vec();
    for signed in &bundle.roots {
        match catalogue.need(None) {
            Some(Need::Root(next)) if signed.version < next => {}
            Some(Need::Root(next)) if signed.version > next => {
                return Err(ProofRefusal::Root(next));
            }
            _ => {
                let what = format!("root {}", signed.version);
                catalogue.take_root(bytes(&signed.root)).map_err(failed(&what))?;
            }
        }
    }
    catalogue.no_more_roots();
    catalogue.take_timestamp(bytes(&bundle.timestamp), now).map_err(failed("timestamp"))?;
    catalogue.take_snapshot(bytes(&bundle.snapshot), now).map_err(failed("snapshot"))?;
    if !catalogue.take_targets(bytes(&bundle.targets), now).map_err(failed("targets"))? {
        return Err(ProofRefusal::Targets);
    }
    let vendor = &bundle.vendor;
    let taken = catalogue.take_vendor(vendor, bundle.role.as_bytes(), now);
    taken.map_err(failed(&format!("role of vendor {vendor}")))
}

fn versions(catalogue: &Catalogue, vendor: &VendorId, policy: Option<&Policy>) -> Believed {
    let [root, timestamp, snapshot, targets] = catalogue.versions();
    Believed {
        root,
        timestamp,
        snapshot,
        targets,
        roles: BTreeMap::from([(vendor.clone(), catalogue.role_version(vendor))]),
        policy: policy.map_or(0, |policy| policy.version),
        witnessed: Time(0),
    }
}

/// The policy's version is judged where its signatures are.
fn not_older(got: &Believed, seen: &Believed) -> Result<(), ProofRefusal> {
    let mut pairs = vec![
        ("root".to_owned(), got.root, seen.root),
        ("timestamp".to_owned(), got.timestamp, seen.timestamp),
        ("snapshot".to_owned(), got.snapshot, seen.snapshot),
        ("targets".to_owned(), got.targets, seen.targets),
    ];
    for (vendor, version) in &got.roles {
        let seen = seen.roles.get(vendor).copied().unwrap_or(0);
        pairs.push((format!("role of vendor {vendor}"), *version, seen));
    }
    match pairs.into_iter().find(|(_, got, seen)| got < seen) {
        Some((what, got, seen)) => Err(ProofRefusal::Rollback { what, got, seen }),
        None => Ok(()),
    }
}

/// What the bundle shows about public logs, and the time that a quorum of witnesses vouches for by it.
fn logging(
    bundle: &ProofBundle,
    release: Digest,
    manifest: &Manifest,
    policy: Option<&Policy>,
) -> Result<(Logging, Time), ProofRefusal> {
    let Some(policy) = policy else {
        let carried = bundle.log_proof.is_some();
        return Ok((Logging::NotJudged { carried }, Time(0)));
    };
    let Some(demanded) = policy::demanded_log(policy).map_err(PolicyRefusal::Log)? else {
        return Ok((Logging::NotDemanded, Time(0)));
    };
    let proof = bundle.log_proof.as_ref().ok_or(ProofRefusal::NoLogProof)?;
    let verified = release::logged(proof.as_bytes(), release, manifest, &demanded)?;
    let vouched = release::vouched(verified.checkpoint(), &demanded);
    Ok((Logging::Logged(verified), vouched))
}

fn in_force(what: &str, at: Time, now: Time) -> Result<(), ProofRefusal> {
    if at <= now {
        return Err(ProofRefusal::Expired { what: what.to_owned(), at, now });
    }
    Ok(())
}

impl ProvenRelease {
    /// Which waves a host like this one may take part in by what rigs and people have signed, as the host
    /// itself judges it; `None`: no policy was given, which is what names rigs and demands.
    /// # Errors
    /// [`AttestationRefusal`]: an accredited signer garbled one; then a host takes none of them.
    pub fn standing<'h>(
        &self,
        host: impl Into<HostNow<'h>>,
    ) -> Result<Option<Standing>, AttestationRefusal> {
        let Some(policy) = &self.policy else { return Ok(None) };
        let words = Words::of(&self.attestations, &self.release, policy)?;
        Ok(Some(words.judge(policy, Some(self.manifest.kind), host, self.judged_at)))
    }
    /// Whose.
    #[must_use]
    pub fn vendor(&self) -> &VendorId {
        &self.manifest.vendor
    }
    /// What it updates.
    #[must_use]
    pub fn component(&self) -> &ComponentId {
        &self.manifest.component
    }
}
