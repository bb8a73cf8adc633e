//! Releases made and published the way a vendor does it: objects and manifest first, then the
//! vendor's signed role.
use crate::http::{Answer, Http};
use crate::line::Line;
use crate::now;
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

/// The vendor of record's role with this release added, signed by two people.
/// # Errors
/// When a key is missing.
pub fn role(line: &Line, previous: Option<&[u8]>, release: &Release) -> Result<SignedMetadata> {
    let manifest = &release.manifest;
    let path = target_path(&manifest.vendor, &manifest.component, manifest.version);
    let added = [(path, release.digest(), release.bytes().len() as u64)];
    let expires = now().plus(Millis::from_secs(86_400));
    let mut role = repository::vendor_role(previous, expires, &added)?;
    role.sign(&line.key("people/alice")?)?;
    role.sign(&line.key("people/bob")?)?;
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
    let path = format!("/v1/releases/{}/metadata", line.vendor());
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
    let lane = Lane::Emergency;
    let verb = Verb::Start {
        rollout: RolloutId::new(rollout)?,
        release: release.digest(),
        component: release.manifest.component.clone(),
        lane,
        approvals: vec![
            approval(line, "alice", release.digest(), lane)?,
            approval(line, "bob", release.digest(), lane)?,
        ],
        seed: None,
    };
    let answer = http.post("/v1/commands", &command(line, "alice", 1, verb)?.to_bytes())?;
    took(&answer, "/v1/commands")
}
