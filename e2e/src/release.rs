//! Releases made and published the way a vendor does it: objects and manifest first, then the
//! vendor's signed role.
use crate::http::{Answer, Http};
use crate::line::Line;
use crate::{now, wait};
use andon_model::command::{Approval, Command, Verb};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::policy::Lane;
use andon_model::release::{
    Activation, ComponentKind, FileEntry, Hooks, Manifest, Mode, Version, target_path,
};
use andon_model::text::Text;
use andon_model::{ComponentId, Digest, Millis, RolloutId};
use andon_trust::repository::{self, SignedMetadata};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::time::Duration;

/// A release ready to be published.
#[derive(Clone, Debug)]
pub struct Release {
    /// what it is
    pub manifest: Manifest,
    /// all files' bytes
    pub bundle: Vec<u8>,
}

/// A release of kind `files` with one file; it needs no service.
/// # Panics
/// When the component's name is not a valid one.
#[must_use]
pub fn files(line: &Line, component: &str, version: u32, content: &[u8]) -> Release {
    make(line, component, version, ComponentKind::Files, &[("file", content, false)])
}

/// A release with these files: path, bytes, executable. Sorted here.
/// # Panics
/// When the component's name is not a valid one.
#[must_use]
pub fn make(
    line: &Line,
    component: &str,
    version: u32,
    kind: ComponentKind,
    files: &[(&str, &[u8], bool)],
) -> Release {
    let mut files = files.to_vec();
    files.sort_by_key(|(path, ..)| *path);
    let bundle: Vec<u8> = files.iter().flat_map(|(_, bytes, _)| bytes.iter().copied()).collect();
    let entry = |(path, bytes, executable): &(&str, &[u8], bool)| FileEntry {
        path: (*path).to_owned(),
        digest: Digest::of(bytes),
        length: bytes.len() as u64,
        executable: *executable,
    };
    let manifest = Manifest {
        schema: 1,
        vendor: line.vendor(),
        component: ComponentId::new(component).expect("a valid name"),
        version: Version(version),
        kind,
        mode: Mode::Enforce,
        consumer: None,
        activation: Activation::Restart,
        exec: vec![],
        hooks: Hooks::default(),
        probes: vec![],
        soak: Millis::from_secs(1),
        architectures: vec![],
        origin: Text::default(),
        files: files.iter().map(entry).collect(),
        bundle: Digest::of(&bundle),
    };
    Release { manifest, bundle }
}

impl Release {
    /// The manifest's bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.manifest).unwrap_or_default()
    }
    /// The release's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes())
    }
}

/// A service that ends by a signal as soon as it is started, as the vendor's did in July 2024.
/// # Panics
/// When the component's name is not a valid one.
#[must_use]
pub fn killing(line: &Line, component: &str, version: u32) -> Release {
    let files: [(&str, &[u8], bool); 1] = [("service", b"#!/bin/sh\nkill -SEGV $$\n", true)];
    let mut killing = make(line, component, version, ComponentKind::Service, &files);
    killing.manifest.exec = vec!["service".to_owned()];
    killing
}

/// The role of the release's vendor with this release added, signed by as many as it takes.
/// # Errors
/// When a key is missing.
pub fn role(line: &Line, previous: Option<&[u8]>, release: &Release) -> Result<SignedMetadata> {
    let manifest = &release.manifest;
    let path = target_path(&manifest.vendor, &manifest.component, manifest.version);
    let added = [(path, release.digest(), release.bytes().len() as u64)];
    let expires = now().plus(Millis::from_secs(86_400));
    let mut role = repository::vendor_role(previous, expires, &added)?;
    for key in line.release_keys(&manifest.vendor)? {
        role.sign(&key)?;
    }
    Ok(role)
}

/// Publishes a release; gives the role's bytes, which the next one extends.
/// # Errors
/// When the server does not take it.
pub fn publish(
    http: &Http,
    line: &Line,
    previous: Option<&[u8]>,
    release: &Release,
) -> Result<Vec<u8>> {
    let role = role(line, previous, release)?.to_bytes();
    let bundle = format!("/v1/objects/{}", release.manifest.bundle);
    took(&http.put(&bundle, &release.bundle)?, &bundle)?;
    let manifest = format!("/v1/manifests/{}", release.digest());
    took(&http.put(&manifest, &release.bytes())?, &manifest)?;
    let path = format!("/v1/releases/{}/metadata", release.manifest.vendor);
    took(&http.post(&path, &role)?, &path)?;
    Ok(role)
}

fn took(answer: &Answer, path: &str) -> Result<()> {
    ensure!(answer.well(), "{path} refused with {}: {}", answer.status, answer.text());
    Ok(())
}

/// A command signed by one of the line's people.
/// # Errors
/// When the key is missing.
pub fn command(line: &Line, person: &str, nonce: u64, verb: Verb) -> Result<Envelope> {
    let (person, key) = line.person(person)?;
    let nonce = Digest::of(format!("{} {nonce}", now().0).as_bytes());
    let command = Command { schema: 1, line: line.id(), person, nonce, issued: now(), verb };
    let payload = serde_json::to_vec(&command).context("encode command")?;
    Ok(key.seal(PayloadType::Command, &payload))
}

/// A person's signed consent.
/// # Errors
/// When the key is missing.
pub fn approval(line: &Line, person: &str, release: Digest, lane: Lane) -> Result<Envelope> {
    let (person, key) = line.person(person)?;
    let (issued, expires) = (now(), now().plus(Millis::from_secs(3600)));
    let approval = Approval { schema: 1, line: line.id(), person, release, lane, issued, expires };
    let payload = serde_json::to_vec(&approval).context("encode approval")?;
    Ok(key.seal(PayloadType::Approval, &payload))
}

/// Starts an emergency rollout with two approvals.
/// # Errors
/// When the server does not take it.
pub fn start(http: &Http, line: &Line, rollout: &str, release: &Release) -> Result<()> {
    start_in(http, line, (rollout, Lane::Emergency), release, &["alice", "bob"])
}

/// Starts a rollout in the usual lane, which by default asks nobody.
/// # Errors
/// When the server does not take it.
pub fn start_routine(http: &Http, line: &Line, rollout: &str, release: &Release) -> Result<()> {
    start_in(http, line, (rollout, Lane::Routine), release, &[])
}

fn start_in(
    http: &Http,
    line: &Line,
    (rollout, lane): (&str, Lane),
    release: &Release,
    approvers: &[&str],
) -> Result<()> {
    let approve = |person: &&str| approval(line, person, release.digest(), lane);
    let verb = Verb::Start {
        rollout: RolloutId::new(rollout)?,
        release: release.digest(),
        component: release.manifest.component.clone(),
        lane,
        approvals: approvers.iter().map(approve).collect::<Result<_>>()?,
        seed: None,
    };
    let answer = http.post("/v1/commands", &command(line, "alice", 1, verb)?.to_bytes())?;
    took(&answer, "/v1/commands")
}

/// Waits until a rollout is over and gives its explanation.
/// # Errors
/// When it is not over in time; the message says where it stands.
pub fn ended(http: &Http, rollout: &str, within: Duration) -> Result<Value> {
    let path = format!("/v1/rollouts/{rollout}");
    let over = wait::until(&format!("{rollout} to be over"), within, || {
        let now = http.get(&path).ok()?.json();
        (now["state"] == "completed" || now["state"] == "halted").then_some(now)
    });
    over.with_context(|| http.get(&path).map(|now| now.text()).unwrap_or_default())
}
