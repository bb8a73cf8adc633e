//! One operator's line in a folder of its own, laid out by the real `andon init`, with the keys at
//! hand that its people would hold.
use crate::programs;
use andon_model::enrol::Anchor;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::policy::Policy;
use andon_model::{LineId, OperatorId, PersonId, VendorId};
use andon_trust::sign::{KeyFile, SigningKey};
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The operator of every test line; also its vendor of record.
pub const OPERATOR: &str = "hospital";
/// Its people, as `andon init` names them unless told otherwise.
pub const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// A laid-out line. The folder goes with it.
#[derive(Debug)]
pub struct Line {
    keep: TempDir,
    /// the folder that `andon init` made
    pub folder: PathBuf,
    /// what admits hosts
    pub token: String,
}

impl Line {
    /// A fresh line whose server listens on any free port.
    /// # Errors
    /// When `andon init` fails.
    pub fn new() -> Result<Line> {
        let keep =
            tempfile::Builder::new().prefix("andon-e2e-").tempdir().context("make folder")?;
        let folder = keep.path().join("line");
        let mut command = Command::new(programs::path("andon")?);
        command.arg("--dir").arg(&folder).args(["init", "--operator", OPERATOR]);
        command.args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null());
        let out = command.output().context("start andon init")?;
        let said = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "{command:?} ended with {}: {said}", out.status);
        let token = text(&folder.join("join-token"))?.trim().to_owned();
        Ok(Line { keep, folder, token })
    }

    /// A place for files beside the line.
    #[must_use]
    pub fn aside(&self) -> &Path {
        self.keep.path()
    }

    /// `operator:hospital`.
    /// # Panics
    /// Never: the name is a valid one.
    #[must_use]
    pub fn id(&self) -> LineId {
        LineId::Operator(OperatorId::new(OPERATOR).expect("a valid name"))
    }

    /// The vendor of record.
    /// # Panics
    /// Never: the name is a valid one.
    #[must_use]
    pub fn vendor(&self) -> VendorId {
        VendorId::new(OPERATOR).expect("a valid name")
    }

    /// The server's configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.join("server/andond.toml")
    }

    /// The journal's database.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.folder.join("server/data/journal.db")
    }

    /// What hosts trust.
    /// # Errors
    /// When the file is missing or wrong.
    pub fn anchor(&self) -> Result<Anchor> {
        serde_json::from_str(&text(&self.folder.join("anchor.json"))?).context("parse anchor")
    }

    /// A key by its path below `keys/`, without `.json`.
    /// # Errors
    /// When the file is missing or wrong.
    pub fn key(&self, name: &str) -> Result<SigningKey> {
        let path = self.folder.join("keys").join(format!("{name}.json"));
        let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(KeyFile::parse(&bytes).with_context(|| format!("read {}", path.display()))?.1)
    }

    /// A person's daily key.
    /// # Errors
    /// When the file is missing or wrong.
    pub fn person(&self, name: &str) -> Result<(PersonId, SigningKey)> {
        Ok((PersonId::new(name)?, self.key(&format!("people/{name}"))?))
    }

    /// The policy that the server begins with.
    /// # Errors
    /// When the file is missing or wrong.
    pub fn policy(&self) -> Result<Policy> {
        let path = self.folder.join("server/policy.json");
        let envelope = Envelope::parse(&std::fs::read(&path).context("read policy")?)?;
        Ok(Policy::parse(&envelope.payload)?)
    }

    /// Changes the policy before the server's first start, signed again by two people.
    /// # Errors
    /// When files are missing, or the changed policy makes no sense.
    pub fn change_policy(&self, change: impl FnOnce(&mut Policy)) -> Result<()> {
        let mut policy = self.policy()?;
        change(&mut policy);
        policy.check()?;
        let envelope = self.sign_policy(&policy)?;
        let path = self.folder.join("server/policy.json");
        std::fs::write(&path, envelope.to_bytes()).context("write policy")
    }

    /// A policy signed by two of the operator's root.
    /// # Errors
    /// When a key is missing.
    pub fn sign_policy(&self, policy: &Policy) -> Result<Envelope> {
        let payload = serde_json::to_vec(policy).context("encode policy")?;
        let mut envelope = self.key("operator-root/alice")?.seal(PayloadType::Policy, &payload);
        self.key("operator-root/bob")?.add(&mut envelope);
        Ok(envelope)
    }
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}
