//! The demo's people at work: vendors sign and publish, two persons approve, one pulls the cord. All
//! through the same functions as the commands `andon release`, `rollout` and `pull`.
use super::attested;
use super::public;
use super::report::{LogFigures, RigFigures};
use super::setting::{RIG, order_seed};
use crate::client::Client;
use crate::keys::{self, Passphrases};
use crate::layout::Layout;
use crate::ops::release::{self, Draft, Release};
use crate::ops::rollout::{self, APPROVAL_VALID, Signer, StartRequest};
use crate::ops::{init::Made, role, stop};
use crate::sources::SourceFile;
use andon_model::enrol::Anchor;
use andon_model::envelope::Envelope;
use andon_model::limits::PROOF_BUNDLE_BYTES_MAX;
use andon_model::policy::Lane;
use andon_model::stop::{Party, Scope};
use andon_model::{Digest, HostId, Millis, RigId, RolloutId, Time, VendorId};
use andon_rollout::Explanation;
use andon_trust::sign::SigningKey;
use anyhow::Context;
use std::path::Path;

/// How long the vendor's cord holds unless a threshold confirms it.
const CORD_VALID: Millis = Millis::from_secs(3600);

/// Everybody who acts, and the server they speak to.
#[derive(Debug)]
pub(super) struct Line {
    client: Client,
    layout: Layout,
    anchor: Anchor,
    approvers: Vec<Signer>,
    seed: u64,
    published: Vec<Release>,
    /// none: no rig works on this machine
    rig: Option<SigningKey>,
    rig_figures: RigFigures,
}

/// A cord that was pulled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulled {
    /// digest of the freeze, as hosts note it
    pub(super) freeze: Digest,
    /// when the server had it
    pub(super) at: Time,
}

impl Line {
    /// On the server at `address`; `without`: why there is no rig.
    /// # Errors
    /// When keys cannot be read.
    pub(super) fn new(
        made: &Made,
        address: &str,
        seed: u64,
        without: Option<String>,
    ) -> anyhow::Result<Line> {
        let rig = match &without {
            Some(_) => None,
            None => Some(
                keys::read(&made.layout.rig_key(&RigId::new(RIG)?), &Passphrases::default())?.key,
            ),
        };
        let approver = |person: &andon_model::policy::Person| {
            let path = made.layout.person_key(&person.person);
            let key = keys::read(&path, &Passphrases::default())?.key;
            Ok(Signer { person: person.person.clone(), line: made.anchor.line.clone(), key })
        };
        let approvers: anyhow::Result<Vec<Signer>> =
            made.anchor.operators.iter().take(2).map(approver).collect();
        Ok(Line {
            client: Client::new(address)?,
            layout: made.layout.clone(),
            anchor: made.anchor.clone(),
            approvers: approvers?,
            seed,
            published: Vec::new(),
            rig,
            rig_figures: RigFigures { left_out: without, ..RigFigures::default() },
        })
    }

    /// Runs a release on the rig, which signs that it passed.
    /// # Errors
    /// When it failed, or was refused.
    pub(super) async fn attest(&mut self, release: &Release) -> anyhow::Result<()> {
        let Some(key) = &self.rig else { return Ok(()) };
        attested::attest(&self.client, key, release).await.context("attest a release")?;
        self.rig_figures.attested.push(release.digest().to_string());
        Ok(())
    }

    /// Two people waive the rig for a release: for the canary wave, no further. False: there is no rig.
    /// # Errors
    /// When it was refused.
    pub(super) async fn waive(&mut self, release: &Release) -> anyhow::Result<bool> {
        if self.rig.is_none() {
            return Ok(false);
        }
        attested::waive(&self.client, &self.approvers, release).await.context("waive the rig")?;
        self.rig_figures.waived.push(release.digest().to_string());
        Ok(true)
    }

    /// The proof bundle of a release.
    /// # Errors
    /// When the server has none.
    pub(super) async fn proof_bundle(&self, release: &Digest) -> anyhow::Result<Vec<u8>> {
        let path = format!("/v1/proof-bundles/{release}");
        Ok(self.client.bytes(&path, PROOF_BUNDLE_BYTES_MAX).await?)
    }

    /// Every published release proven as a stranger would; the files are left in `folder`.
    /// # Errors
    /// When one is not believed.
    pub(super) async fn prove(&self, folder: &Path) -> anyhow::Result<LogFigures> {
        let policy = Envelope::parse(&std::fs::read(self.layout.policy())?)?;
        public::prove(self, (&self.anchor, &policy), &self.published, folder).await
    }

    /// What the rig has run, and what was waived.
    pub(super) fn rig_figures(&self) -> RigFigures {
        self.rig_figures.clone()
    }

    fn vendor_key(&self, vendor: &VendorId, number: u32) -> anyhow::Result<SigningKey> {
        let path = self.layout.vendor_key(vendor, number);
        Ok(keys::read(&path, &Passphrases::default())?.key)
    }

    /// Makes a release, signs it by two of its vendor's keys, publishes it.
    /// # Errors
    /// What was refused.
    pub(super) async fn publish(
        &mut self,
        draft: Draft,
        files: Vec<SourceFile>,
    ) -> anyhow::Result<Release> {
        let vendor = draft.vendor.clone();
        let release = release::make(draft, files)?;
        let held = [self.vendor_key(&vendor, 1)?, self.vendor_key(&vendor, 2)?];
        let signers: Vec<&SigningKey> = held.iter().collect();
        let root = &self.anchor.tuf_root;
        let now = crate::clock::now();
        role::sign_and_publish(&self.client, root, &release, &signers, now)
            .await
            .with_context(|| format!("publish {}", release.manifest.target_path()))?;
        self.published.push(release.clone());
        Ok(release)
    }

    /// Starts a rollout in the emergency lane with two people's approvals.
    /// # Errors
    /// What was refused.
    pub(super) async fn start(&self, name: &str, release: &Release) -> anyhow::Result<Started> {
        let now = crate::clock::now();
        let digest = release.digest();
        let approve = |who: &Signer| who.approval(digest, Lane::Emergency, now, APPROVAL_VALID);
        let seed = order_seed(self.seed, name);
        let request = StartRequest {
            rollout: RolloutId::new(name)?,
            release: digest,
            component: release.manifest.component.clone(),
            lane: Lane::Emergency,
            approvals: self.approvers.iter().map(approve).collect::<Result<_, _>>()?,
            seed: Some(seed),
        };
        let first = self.approvers.first().context("find a person to start the rollout")?;
        let rollout = rollout::start(&self.client, first, request, now)
            .await
            .with_context(|| format!("start rollout {name}"))?;
        Ok(Started { rollout, release: digest, seed, at: now })
    }

    /// The vendor stops its own release.
    /// # Errors
    /// What was refused.
    pub(super) async fn cord(&self, release: &Release) -> anyhow::Result<Pulled> {
        let vendor = &release.manifest.vendor;
        let now = crate::clock::now();
        let freeze = stop::freeze(
            Party::Vendor(vendor.clone()),
            Scope::Release(release.digest()),
            "input 21 of 20: our content crashes our sensor",
            (&self.vendor_key(vendor, 3)?, &[]),
            now,
            CORD_VALID,
        )?;
        stop::pull(&self.client, &freeze).await.context("pull the cord")?;
        Ok(Pulled { freeze: Digest::of(&freeze.payload), at: crate::clock::now() })
    }

    /// Where a rollout stands.
    /// # Errors
    /// When the server does not say.
    pub(super) async fn get(&self, rollout: &RolloutId) -> anyhow::Result<Explanation> {
        rollout::get(&self.client, rollout)
            .await
            .with_context(|| format!("ask for rollout {rollout}"))
    }

    /// Leaves the server's journal of a rollout, and its explanation, in `folder`.
    /// # Errors
    /// When they cannot be fetched or written.
    pub(super) async fn export(&self, rollout: &RolloutId, folder: &Path) -> anyhow::Result<()> {
        let journal = rollout::journal(&self.client, rollout).await?;
        std::fs::write(folder.join(format!("{rollout}.jsonl")), journal)?;
        let explained = serde_json::to_vec_pretty(&self.get(rollout).await?)?;
        Ok(std::fs::write(folder.join(format!("{rollout}.explained.json")), explained)?)
    }

    /// Whether the server hears a host.
    /// # Errors
    /// When the server does not say.
    pub(super) async fn hears(&self, host: HostId) -> anyhow::Result<bool> {
        let why: serde_json::Value = self.client.json(&format!("/v1/hosts/{host}")).await?;
        Ok(why["presence"] == "alive")
    }

    /// Alerts as the server shows them to people.
    /// # Errors
    /// When the server does not say.
    pub(super) async fn alerts(&self) -> anyhow::Result<serde_json::Value> {
        Ok(self.client.json("/v1/alerts").await?)
    }
}

/// A rollout under way.
#[derive(Clone, Debug)]
pub(super) struct Started {
    /// its name
    pub(super) rollout: RolloutId,
    /// what it rolls out
    pub(super) release: Digest,
    /// its random order
    pub(super) seed: Digest,
    /// when it was asked for
    pub(super) at: Time,
}
