//! The demo's rig, and the two people who waive it: what has been run by a rig may reach everybody, what two
//! people have waived the canary wave. Through the same functions as `andon rig run`, `andon release attest`
//! and `andon release waive`.
use super::setting::RIG;
use crate::client::Client;
use crate::clock;
use crate::ops::release::{self, Draft, Release};
use crate::ops::rollout::Signer;
use crate::rig::{self, Means};
use crate::sources::SourceFile;
use andon_model::attestation::AttestedClass;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::facts::Facts;
use andon_model::release::{ComponentKind, Hook, Version};
use andon_model::text::Text;
use andon_model::waiver::Waiver;
use andon_model::{ComponentId, Millis, StratumId, VendorId};
use andon_trust::attestation::to_file;
use andon_trust::sign::SigningKey;
use anyhow::Context;
use std::time::Duration;

/// Least and most that a component may use on the rig.
const MEANS: Means = Means { memory: 1024 * 1024 * 1024, time: Duration::from_secs(30) };
/// How long the waiver holds.
const WAIVED_FOR: Millis = Millis::from_secs(3600);

/// This machine as the rig names it: hosts of all models are like it.
fn class() -> anyhow::Result<AttestedClass> {
    let arch = rustix::system::uname().machine().to_string_lossy().into_owned();
    let (arch, model) = (StratumId::new(&arch)?, StratumId::new("model-1")?);
    let own = AttestedClass { arch, os: crate::fleet::os(), model, facts: Facts::default() };
    Ok(rig::class(&own, (&None, &None))?)
}

/// Whether a rig can work on this machine; why not, if not (its walls need Linux 6.7).
/// # Errors
/// When not even the trial could be made.
pub(super) fn trial() -> anyhow::Result<Option<String>> {
    let (vendor, component) = (VendorId::new("trial")?, ComponentId::new("trial")?);
    let mut draft = Draft::new(vendor, component, Version(1), ComponentKind::Files);
    draft.hooks.validate = Some(present("trial"));
    let file = SourceFile { path: "trial".to_owned(), bytes: b"trial".to_vec(), executable: false };
    let release = release::make(draft, vec![file])?;
    Ok(match rig::run(&release, &class()?, MEANS) {
        Ok(report) => report.failed.map(|(name, why)| format!("{name}: {why}")),
        Err(why) => Some(format!("{:#}", anyhow::Error::new(why))),
    })
}

/// A vendor's own check that its file is there and not empty. It knows as little of what the file asks for as
/// the validator of July 2024 did.
pub(super) fn present(file: &str) -> Hook {
    let argv = ["/usr/bin/test", "-s", &format!("{{slot}}/{file}")].map(str::to_owned).to_vec();
    Hook { argv, timeout: Millis::from_secs(5) }
}

/// Runs a release on the rig and brings what it signed to the server.
/// # Errors
/// When it fails, or was refused.
pub(super) async fn attest(
    client: &Client,
    key: &SigningKey,
    release: &Release,
) -> anyhow::Result<()> {
    let class = class()?;
    let report = tokio::task::block_in_place(|| rig::run(release, &class, MEANS))?;
    if let Some((name, why)) = &report.failed {
        anyhow::bail!("the rig saw {} fail: {name}: {why}", release.manifest.target_path());
    }
    let statements = rig::statements(release, &class, &report, RIG, clock::now());
    let envelopes: Vec<Envelope> =
        statements.iter().map(|s| key.seal(PayloadType::Statement, &s.to_bytes())).collect();
    send(client, release, &envelopes).await
}

/// Two people waive the rig for a release, and bring that to the server.
/// # Errors
/// When it was refused.
pub(super) async fn waive(
    client: &Client,
    people: &[Signer],
    release: &Release,
) -> anyhow::Result<()> {
    let AttestedClass { arch, os, .. } = class()?;
    let (first, others) = people.split_first().context("find two people")?;
    let issued = clock::now();
    let waiver = Waiver {
        schema: 1,
        line: first.line.clone(),
        release: release.digest(),
        arch,
        os,
        model: None,
        reason: Text::clipped("it is urgent, the rig comes later"),
        issued,
        expires: issued.plus(WAIVED_FOR),
    };
    waiver.check()?;
    let mut envelope = first.key.seal(PayloadType::Waiver, &serde_json::to_vec(&waiver)?);
    others.iter().for_each(|other| other.key.add(&mut envelope));
    send(client, release, &[envelope]).await
}

async fn send(client: &Client, release: &Release, all: &[Envelope]) -> anyhow::Result<()> {
    let path = format!("/v1/attestations/{}", release.digest());
    let answer: serde_json::Value = client.post_bytes(&path, to_file(all)).await?;
    let taken = answer["taken"].as_u64().unwrap_or(0);
    anyhow::ensure!(taken == all.len() as u64, "the server took {taken} of {}", all.len());
    Ok(())
}
