//! A line, an operator's or a vendor's, in a folder of its own, laid out by the real `andon init`, with
//! the keys at hand that its people would hold.
use crate::programs;
use andon_model::enrol::Anchor;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::policy::Policy;
use andon_model::{LineId, PersonId, PublicKey, VendorId};
use andon_trust::sign::{KeyFile, SigningKey};
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The operator of a test line, unless told otherwise; also its vendor of record.
pub const OPERATOR: &str = "hospital";
/// Its people, as `andon init` names them unless told otherwise.
pub const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// Times so short that a rollout takes seconds, and nobody held back.
const QUICK: &str = r#"
holdback_permille = 0
holdback_min = 0
[watch]
beat = "300ms"
silent_after = "1500ms"
[timing]
delivery = "500ms"
window = "500ms"
[routine]
soak_min = "500ms"
[emergency]
soak_min = "500ms"
"#;

/// A laid-out line. The folder goes with it.
#[derive(Debug)]
pub struct Line {
    keep: TempDir,
    /// the folder that `andon init` made
    pub folder: PathBuf,
    /// what admits hosts
    pub token: String,
    id: LineId,
}

impl Line {
    /// A fresh operator's line whose server listens on any free port.
    /// # Errors
    /// When `andon init` fails.
    pub fn new() -> Result<Line> {
        Line::laid_out(&["--operator", OPERATOR])
    }

    /// A fresh line as `andon init` lays it out with these words more.
    /// # Errors
    /// When `andon init` fails.
    pub fn laid_out(words: &[&str]) -> Result<Line> {
        let keep =
            tempfile::Builder::new().prefix("andon-e2e-").tempdir().context("make folder")?;
        let folder = keep.path().join("line");
        let mut command = Command::new(programs::path("andon")?);
        command.arg("--dir").arg(&folder).arg("init").args(words);
        // Most tests are about something else than tickets made twice: those name their verifier.
        if !words.contains(&"--verifier") {
            command.arg("--no-verifier");
        }
        command.args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null());
        let out = command.output().context("start andon init")?;
        let said = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "{command:?} ended with {}: {said}", out.status);
        let token = text(&folder.join("join-token"))?.trim().to_owned();
        let id = anchor(&folder)?.line;
        Ok(Line { keep, folder, token, id })
    }

    /// A place for files beside the line.
    #[must_use]
    pub fn aside(&self) -> &Path {
        self.keep.path()
    }

    /// Whose line: `operator:hospital`, for example.
    #[must_use]
    pub fn id(&self) -> LineId {
        self.id.clone()
    }

    /// The vendor of record: the operator under its own name; on a vendor's line that vendor.
    /// # Panics
    /// Never: the name is a valid one.
    #[must_use]
    pub fn vendor(&self) -> VendorId {
        match &self.id {
            LineId::Operator(name) => VendorId::new(name.as_str()).expect("a valid name"),
            LineId::Vendor(vendor) => vendor.clone(),
        }
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
        anchor(&self.folder)
    }

    /// A key by its path below `keys/`, without `.json`.
    /// # Errors
    /// When the file is missing or wrong.
    pub fn key(&self, name: &str) -> Result<SigningKey> {
        key_in(&self.folder.join("keys").join(format!("{name}.json")))
    }

    /// A person's daily key.
    /// # Errors
    /// When the file is missing or wrong.
    pub fn person(&self, name: &str) -> Result<(PersonId, SigningKey)> {
        Ok((PersonId::new(name)?, self.key(&format!("people/{name}"))?))
    }

    /// The key that signs this line's tickets, and its tallies for a vendor line.
    /// # Errors
    /// When the file is missing or wrong.
    pub fn online(&self) -> Result<PublicKey> {
        Ok(key_in(&self.folder.join("server/keys/online.json"))?.public())
    }

    /// The keys that sign a vendor's releases here, as many as it takes: an operator's own releases are
    /// signed by its people.
    /// # Errors
    /// When a key is missing.
    pub fn release_keys(&self, vendor: &VendorId) -> Result<[SigningKey; 2]> {
        let name = |person: usize| match &self.id {
            LineId::Operator(_) if *vendor == self.vendor() => format!("people/{}", PEOPLE[person]),
            LineId::Operator(_) | LineId::Vendor(_) => format!("vendors/{vendor}/{}", person + 1),
        };
        Ok([self.key(&name(0))?, self.key(&name(1))?])
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

    /// Changes `policy.toml` as people do, who then sign it ([`crate::tool::sign_policy`]): tables are
    /// laid over those that are there, all else replaces what is there.
    /// # Errors
    /// When the file is missing, or either text is no TOML.
    pub fn edit_policy_form(&self, over: &str) -> Result<()> {
        edit(&self.folder.join("policy.toml"), over)
    }

    /// The same over a policy whose rollouts take seconds.
    /// # Errors
    /// When the file is missing, or the text is no TOML.
    pub fn quick_policy_form(&self, over: &str) -> Result<()> {
        self.edit_policy_form(QUICK)?;
        self.edit_policy_form(over)
    }

    /// The same with the server's configuration, which it reads at its start.
    /// # Errors
    /// When the file is missing, or either text is no TOML.
    pub fn edit_config(&self, over: &str) -> Result<()> {
        edit(&self.config(), over)
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

fn anchor(folder: &Path) -> Result<Anchor> {
    serde_json::from_str(&text(&folder.join("anchor.json"))?).context("parse anchor")
}

fn key_in(path: &Path) -> Result<SigningKey> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    Ok(KeyFile::parse(&bytes).with_context(|| format!("read {}", path.display()))?.1)
}

fn edit(path: &Path, over: &str) -> Result<()> {
    let mut under: toml::Table =
        text(path)?.parse().with_context(|| format!("read {}", path.display()))?;
    lay_over(&mut under, over.parse().context("read what is laid over it")?);
    std::fs::write(path, under.to_string()).with_context(|| format!("write {}", path.display()))
}

fn lay_over(under: &mut toml::Table, over: toml::Table) {
    for (name, over) in over {
        match (under.get_mut(&name), over) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => lay_over(under, over),
            (_, over) => {
                under.insert(name, over);
            }
        }
    }
}
