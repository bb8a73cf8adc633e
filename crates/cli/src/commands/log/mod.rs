//! `andon log`: checks of public logs. `verify` believes a proof offline; `audit` downloads a whole log
//! and builds it again; `monitor` does that for a vendor, who knows what it has released. None asks a
//! witness anything, and none writes to a log.
mod fairness;
mod monitor;
mod rebuild;
mod times;

use crate::client::Client;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access};
use crate::output;
use andon_model::Time;
use andon_model::limits::{
    LOG_ENTRY_BYTES_MAX, LOG_POLICY_BYTES_MAX, LOG_PROOF_BYTES_MAX, NOTE_BYTES_MAX,
};
use andon_model::merkle::{Head, leaf};
use andon_trust::log::verified::VerifiedCheckpoint;
use andon_trust::log::{KeyKind, LogProof, Policy, SignedCheckpoint, VerifierKey, verified};
use rebuild::{AuditError, Rebuilt};
use serde_json::json;
use std::path::{Path, PathBuf};

/// What `andon log` does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Check offline that a file is an entry of a log, by its .tlog-proof
    Verify {
        /// The proof
        #[arg(value_name = "PROOF")]
        proof: PathBuf,
        /// Logs and witnesses that are trusted (C2SP tlog-policy)
        #[arg(long, value_name = "FILE")]
        policy: PathBuf,
        /// The entry, byte for byte
        #[arg(long, value_name = "FILE")]
        data: PathBuf,
    },
    /// Download a whole log, build its tree again and compare
    Audit {
        /// Address of the log, below which checkpoint and tile/ lie
        #[arg(long, value_name = "URL")]
        url: String,
        /// Its verifier key
        #[arg(long, value_name = "VKEY")]
        log: VerifierKey,
        /// Demand the quorum of this policy too
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// Checkpoint of the last audit: the log must continue it; replaced by the new one
        #[arg(long, value_name = "FILE")]
        known: Option<PathBuf>,
    },
    /// Watch a log for releases under a vendor's name that the vendor has not announced
    Monitor(monitor::Args),
}

pub(crate) async fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Verify { proof, policy, data } => verify(context, &proof, &policy, &data),
        Command::Audit { url, log, policy, known } => {
            let served = Served::new(&url, log, policy.as_deref())?;
            audit(context, &served, known.as_deref()).await
        }
        Command::Monitor(args) => monitor::run(context, args).await,
    }
}

fn verify(context: &Context, proof: &Path, policy: &Path, data: &Path) -> Outcome {
    let proof = LogProof::parse(&files::read(proof, LOG_PROOF_BYTES_MAX as u64)?)?;
    let entry = files::read(data, LOG_ENTRY_BYTES_MAX as u64)?;
    let verified = proof.verify(leaf(&entry), &read_policy(policy)?).map_err(refused)?;
    let checkpoint = verified.checkpoint();
    let names: Vec<&str> = checkpoint.cosigned().iter().map(|(name, _)| name.as_str()).collect();
    let value = json!({
        "log": checkpoint.origin(), "index": verified.index(), "size": checkpoint.head().size,
        "witnesses": names, "quorum_time": checkpoint.quorum_time(),
        "newest_cosigned": verified.newest_cosigned(),
    });
    output::either(context.form(), &value, || {
        output::line(format_args!(
            "logged: entry {} of {} in {}, seen by {} of the policy's witnesses",
            verified.index(),
            checkpoint.head().size,
            checkpoint.origin(),
            names.len()
        ));
    })?;
    Ok(Exit::Ok)
}

fn refused(why: verified::LogRefusal) -> Failure {
    Failure { exit: Exit::Refused, cause: why.into(), next: None }
}

fn read_policy(path: &Path) -> Result<Policy, Failure> {
    Ok(Policy::parse(&files::read(path, LOG_POLICY_BYTES_MAX as u64)?)?)
}

/// A log to download, and what its checkpoints are believed by.
struct Served {
    client: Client,
    ours: Policy,
    policy: Option<Policy>,
}

impl Served {
    fn new(url: &str, log: VerifierKey, policy: Option<&Path>) -> Result<Served, Failure> {
        if log.kind() != KeyKind::Log {
            return Err(Failure::usage("--log needs the verifier key of a log (type 0x01)"));
        }
        let policy = policy.map(read_policy).transpose()?;
        Ok(Served { client: Client::new(url)?, ours: Policy::unwitnessed(vec![log]), policy })
    }

    /// The checkpoint that is served now, and how many witnesses of the policy have cosigned it.
    async fn checkpoint(&self) -> Result<(SignedCheckpoint, VerifiedCheckpoint, usize), Failure> {
        let served = self.client.bytes("/checkpoint", NOTE_BYTES_MAX).await?;
        let served = SignedCheckpoint::parse(&served)?;
        let checkpoint = verified::checkpoint(&served, &self.ours).map_err(refused)?;
        let cosigned = match &self.policy {
            Some(policy) => {
                verified::checkpoint(&served, policy).map_err(refused)?.cosigned().len()
            }
            None => 0,
        };
        Ok((served, checkpoint, cosigned))
    }

    /// By when a quorum of the policy's witnesses had seen this checkpoint; `None` without a policy.
    fn vouched(&self, served: &SignedCheckpoint) -> Result<Option<Time>, Failure> {
        let Some(policy) = &self.policy else { return Ok(None) };
        Ok(verified::checkpoint(served, policy).map_err(refused)?.quorum_time())
    }

    /// Head of the checkpoint that was kept in this file, if it is there.
    fn known(&self, path: Option<&Path>) -> Result<Option<Head>, Failure> {
        let there = path.filter(|path| path.exists());
        there.map(|path| read_known(path, &self.ours)).transpose()
    }
}

async fn audit(context: &Context, log: &Served, known: Option<&Path>) -> Outcome {
    let (served, checkpoint, cosigned) = log.checkpoint().await?;
    let head = checkpoint.head();
    let before = log.known(known)?;
    let mut rebuilt = Rebuilt::default();
    rebuilt.grow(&log.client, head, before, |_, _| ()).await?;
    let tiles = rebuilt.tiles();
    if let Some(path) = known {
        files::replace(path, served.to_text().as_bytes(), Access::Public)?;
    }
    let value = json!({
        "log": checkpoint.origin(), "size": head.size, "root": head.root, "tiles": tiles,
        "witnesses": cosigned, "known_size": before.map(|before| before.size),
    });
    output::either(context.form(), &value, || {
        output::line(format_args!(
            "{}: {} entries and {tiles} tiles have the signed root {}",
            checkpoint.origin(),
            head.size,
            head.root
        ));
    })?;
    Ok(Exit::Ok)
}

/// Head of the last audit's checkpoint; its signature is checked again.
fn read_known(path: &Path, ours: &Policy) -> Result<Head, Failure> {
    let known = SignedCheckpoint::parse(&files::read(path, NOTE_BYTES_MAX as u64)?)?;
    match verified::checkpoint(&known, ours) {
        Ok(checkpoint) => Ok(checkpoint.head()),
        Err(verified::LogRefusal::Origin(origin)) => Err(AuditError::OtherLog(origin).into()),
        Err(why) => Err(refused(why)),
    }
}
