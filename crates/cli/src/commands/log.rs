//! `andon log`: checks of public logs. `verify` believes a proof offline; `audit` downloads a whole log
//! and builds it again. Neither asks a witness anything, and neither writes to a log.
use crate::client::Client;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access};
use crate::output;
use andon_model::limits::{
    LOG_AUDIT_ENTRIES_MAX, LOG_ENTRY_BYTES_MAX, LOG_POLICY_BYTES_MAX, LOG_PROOF_BYTES_MAX,
    NOTE_BYTES_MAX,
};
use andon_model::merkle::{Head, leaf};
use andon_trust::log::tiled::{RecoverError, TileFile};
use andon_trust::log::tiles::{TILE_LEVELS, TILE_WIDTH};
use andon_trust::log::{
    KeyKind, LogProof, Policy, SignedCheckpoint, Tile, TileKind, TiledLog, VerifierKey, verified,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Largest tile, bytes: a bundle of the largest entries.
const TILE_BYTES_MAX: usize = TILE_WIDTH * (LOG_ENTRY_BYTES_MAX + 2);

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
}

/// What an audit found wrong with a log.
#[derive(Debug, thiserror::Error)]
enum AuditError {
    /// neither the tile nor the full one that replaced it
    #[error("{0} is not served")]
    Missing(Tile),
    /// other bytes than its entries give
    #[error("{0} does not hold the hashes of the log's entries")]
    Tile(Tile),
    /// the unfilled tiles
    #[error("read the edge of the log")]
    Edge(#[source] RecoverError),
    /// the entries are not those that were signed
    #[error("entries do not have the root of the checkpoint at size {0}")]
    Root(u64),
    /// smaller, or another history
    #[error("log of {size} entries does not continue the known checkpoint at size {known}")]
    Fork {
        /// now
        size: u64,
        /// at the last audit
        known: u64,
    },
    /// the known checkpoint is of another log
    #[error("the known checkpoint is of log {0:?}")]
    OtherLog(String),
    /// more than we would wait for
    #[error("log has {0} entries, an audit takes at most {LOG_AUDIT_ENTRIES_MAX}")]
    TooLarge(u64),
}

pub(crate) async fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Verify { proof, policy, data } => verify(context, &proof, &policy, &data),
        Command::Audit { url, log, policy, known } => {
            if log.kind() != KeyKind::Log {
                return Err(Failure::usage("--log needs the verifier key of a log (type 0x01)"));
            }
            let policy = policy.map(|path| read_policy(&path)).transpose()?;
            audit(context, &Client::new(&url)?, log, policy, known.as_deref()).await
        }
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

async fn audit(
    context: &Context,
    client: &Client,
    log: VerifierKey,
    policy: Option<Policy>,
    known: Option<&Path>,
) -> Outcome {
    let ours = Policy::unwitnessed(vec![log]);
    let served = client.bytes("/checkpoint", NOTE_BYTES_MAX).await?;
    let served = SignedCheckpoint::parse(&served)?;
    let checkpoint = verified::checkpoint(&served, &ours).map_err(refused)?;
    let cosigned = match &policy {
        Some(policy) => verified::checkpoint(&served, policy).map_err(refused)?.cosigned().len(),
        None => 0,
    };
    let head = checkpoint.head();
    let before = match known.filter(|path| path.exists()) {
        Some(path) => Some(read_known(path, &ours)?),
        None => None,
    };
    let tiles = rebuild(client, head, before).await?;
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

/// Appends every entry to a log of our own and compares the tiles that it fills with those served,
/// then the unfilled ones at the edge; how many tiles of hashes were compared.
async fn rebuild(client: &Client, head: Head, before: Option<Head>) -> Result<u64, Failure> {
    if head.size > LOG_AUDIT_ENTRIES_MAX {
        return Err(AuditError::TooLarge(head.size).into());
    }
    let forked = |before: Head| AuditError::Fork { size: head.size, known: before.size };
    let (mut log, mut tiles) = (TiledLog::new(), 0);
    let differs =
        |log: &TiledLog| before.filter(|b| b.size == log.size() && *b != log.head()).map(forked);
    if let Some(before) = before.filter(|before| before.size > head.size) {
        return Err(forked(before).into());
    }
    for at in 0.. {
        let Some(bundle) = Tile::of(TileKind::Entries, at, head.size) else { break };
        let (from, bytes) = fetch(client, &bundle).await?;
        for entry in from.entries(&bytes)?.into_iter().take(bundle.width()) {
            log.append(entry)?;
            if let Some(fork) = differs(&log) {
                return Err(fork.into());
            }
        }
        let filled = |file: &TileFile| file.tile.is_full() && file.tile.kind() != TileKind::Entries;
        for file in log.unwritten().into_iter().filter(filled) {
            let (_, bytes) = fetch(client, &file.tile).await?;
            if bytes != file.bytes {
                return Err(AuditError::Tile(file.tile).into());
            }
            tiles += 1;
        }
        log.mark_written();
    }
    if log.head() != head {
        return Err(AuditError::Root(head.size).into());
    }
    Ok(tiles + edge(client, head).await?)
}

/// Checks that the unfilled tiles lead to the root, as a log that goes on from them would.
async fn edge(client: &Client, head: Head) -> Result<u64, Failure> {
    let kinds = (0..TILE_LEVELS).map(TileKind::Hashes).chain([TileKind::Entries]);
    let mut there = BTreeMap::new();
    for kind in kinds {
        let level = if let TileKind::Hashes(level) = kind { u32::from(level) } else { 0 };
        if let Some(tile) = Tile::of(kind, head.size >> (8 * level) >> 8, head.size) {
            let (from, bytes) = fetch(client, &tile).await?;
            there.insert(from, bytes);
        }
    }
    TiledLog::recover(head, |tile| there.get(tile).cloned()).map_err(AuditError::Edge)?;
    let hashes = there.keys().filter(|tile| tile.kind() != TileKind::Entries);
    Ok(hashes.count() as u64)
}

/// A tile, or the full one that has replaced it meanwhile.
async fn fetch(client: &Client, tile: &Tile) -> Result<(Tile, Vec<u8>), Failure> {
    for from in [*tile, tile.full()] {
        if let Some(bytes) = client.bytes_if_there(&format!("/{from}"), TILE_BYTES_MAX).await? {
            return Ok((from, bytes));
        }
    }
    Err(AuditError::Missing(*tile).into())
}
