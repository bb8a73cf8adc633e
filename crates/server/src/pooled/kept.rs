//! What a vendor line keeps on disk beside its journal: every tally that was acknowledged, under the
//! name by which the journal's digests are recounted, and every ticket as first issued, with all its
//! ceilings where it only commits to them. Whole or not at
//! all, synced, before anybody is told.
use crate::app::App;
use crate::durable;
use crate::pooled::intake::{self, Due};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::{CEILINGS_BYTES_MAX, ENVELOPE_BYTES_MAX, TALLY_BYTES_MAX};
use andon_model::policy::Policy;
use andon_model::ticket::{Ceiling, Ticket};
use andon_model::{Digest, OperatorId, PublicKey, RolloutId};
use andon_rollout::lines::LineTally;
use andon_trust::envelope::{VerifyError, verify_one};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest envelope of a tally, bytes: base64 of the largest tally, and the signature.
pub const TALLY_ENVELOPE_MAX: usize = TALLY_BYTES_MAX * 4 / 3 + 1024;

/// Where a round's tallies lie. The generation is in the name: a tally that comes while a new ticket is
/// issued must not take the place of its successor.
fn round_folder(data: &Path, rollout: &RolloutId, due: Due) -> PathBuf {
    data.join("tallies").join(rollout.as_str()).join(format!("{}-{}", due.round, due.generation))
}

/// Where one tally lies.
#[must_use]
pub fn tally_path(data: &Path, rollout: &RolloutId, due: Due, operator: &OperatorId) -> PathBuf {
    round_folder(data, rollout, due).join(format!("{operator}.json"))
}

/// Keeps a tally as it came.
/// # Errors
/// The disk's.
pub async fn keep_tally(
    app: &Arc<App>,
    due: Due,
    tally: &LineTally,
    bytes: Vec<u8>,
) -> io::Result<()> {
    let path = tally_path(&app.inputs.data, &tally.rollout, due, &tally.operator);
    written(tokio::task::spawn_blocking(move || durable::write(&path, &bytes)).await)
}

/// Keeps a tally that is not counted, for the halt that it tells of: by its digest, so that it takes
/// the place of no tally of a round.
/// # Errors
/// The disk's.
pub async fn keep_halt(app: &Arc<App>, rollout: &RolloutId, bytes: Vec<u8>) -> io::Result<()> {
    let data = app.inputs.data.clone();
    let folder = data.join("tallies").join(rollout.as_str()).join("halted");
    let path = folder.join(format!("{}.json", Digest::of(&bytes)));
    written(tokio::task::spawn_blocking(move || durable::write(&path, &bytes)).await)
}

/// Keeps a ticket of a vendor line as first issued: a renewal of the same generation leaves it alone.
/// # Errors
/// The disk's.
pub async fn keep_ticket(
    app: &Arc<App>,
    ticket: &Ticket,
    envelope: &Envelope,
    ceilings: &[Ceiling],
) -> io::Result<()> {
    let rollout = &ticket.rollout;
    if app.core().state.rollouts.get(rollout).is_none_or(|rollout| rollout.members.is_none()) {
        return Ok(());
    }
    let path = ticket_path(&app.inputs.data, rollout, ticket.generation);
    let beside = ceilings_path(&app.inputs.data, rollout, ticket.generation);
    let bytes = envelope.to_bytes();
    let all = ticket.committed.map(|_| serde_json::to_vec(ceilings).unwrap_or_default());
    let write = move || match path.try_exists()? {
        true => Ok(()),
        // The ticket last: where it is, what it commits to is there too.
        false => {
            if let Some(all) = all {
                durable::write(&beside, &all)?;
            }
            durable::write(&path, &bytes)
        }
    };
    written(tokio::task::spawn_blocking(write).await)
}

/// The ticket of a generation as first issued, as signed.
#[must_use]
pub fn ticket(app: &App, rollout: &RolloutId, generation: u32) -> Option<Vec<u8>> {
    read(&ticket_path(&app.inputs.data, rollout, generation), ENVELOPE_BYTES_MAX)
}

/// A tally that was acknowledged, as it came.
#[must_use]
pub fn tally(app: &App, rollout: &RolloutId, due: Due, operator: &OperatorId) -> Option<Vec<u8>> {
    read(&tally_path(&app.inputs.data, rollout, due, operator), TALLY_ENVELOPE_MAX)
}

/// All ceilings of that ticket, if it commits to them.
#[must_use]
pub fn ceilings(app: &App, rollout: &RolloutId, generation: u32) -> Option<Vec<u8>> {
    read(&ceilings_path(&app.inputs.data, rollout, generation), CEILINGS_BYTES_MAX)
}

fn ceilings_path(data: &Path, rollout: &RolloutId, generation: u32) -> PathBuf {
    data.join("issued").join(rollout.as_str()).join(format!("{generation}.ceilings.json"))
}

fn ticket_path(data: &Path, rollout: &RolloutId, generation: u32) -> PathBuf {
    data.join("issued").join(rollout.as_str()).join(format!("{generation}.json"))
}

fn read(path: &Path, limit: usize) -> Option<Vec<u8>> {
    let length = std::fs::metadata(path).ok()?.len();
    (length <= limit as u64).then(|| std::fs::read(path).ok()).flatten()
}

fn written(done: Result<io::Result<()>, tokio::task::JoinError>) -> io::Result<()> {
    done.unwrap_or_else(|why| Err(io::Error::other(why)))
}

/// Why an envelope is no tally of a member.
#[derive(Debug, thiserror::Error)]
pub enum TallyRefusal {
    /// not the JSON we expect
    #[error("parse tally")]
    Parse(#[source] serde_json::Error),
    /// for another line
    #[error("the tally is for another line")]
    Line,
    /// nobody of that name in the policy in force
    #[error("the policy knows no member named {0}")]
    Stranger(OperatorId),
    /// not signed by it
    #[error("verify signature of {0}")]
    Signature(OperatorId, #[source] VerifyError),
}

/// The tally in an envelope; nobody has verified it yet.
/// # Errors
/// [`TallyRefusal::Parse`].
pub fn unverified(envelope: &Envelope) -> Result<LineTally, TallyRefusal> {
    serde_json::from_slice(&envelope.payload).map_err(TallyRefusal::Parse)
}

/// The key that the policy in force names for the member that a tally names.
/// # Errors
/// [`TallyRefusal`].
pub fn key_of(policy: &Policy, tally: &LineTally) -> Result<PublicKey, TallyRefusal> {
    let member = policy.members.iter().find(|member| member.operator == tally.operator);
    let member = member.ok_or_else(|| TallyRefusal::Stranger(tally.operator.clone()))?;
    if tally.line == policy.line { Ok(member.key) } else { Err(TallyRefusal::Line) }
}

/// Whether this key signed the tally in the envelope. It reads all of it: not under a lock.
/// # Errors
/// [`TallyRefusal::Signature`].
pub fn verify(envelope: &Envelope, tally: &LineTally, key: &PublicKey) -> Result<(), TallyRefusal> {
    verify_one(envelope, PayloadType::Tally, key)
        .map_err(|why| TallyRefusal::Signature(tally.operator.clone(), why))?;
    Ok(())
}

fn verified(envelope: &Envelope, policy: &Policy) -> Result<LineTally, TallyRefusal> {
    let tally = unverified(envelope)?;
    verify(envelope, &tally, &key_of(policy, &tally)?)?;
    Ok(tally)
}

/// After a restart: whatever was acknowledged of the rounds that are due is counted again from disk, so
/// that no member has to know of our restart. Each is checked as if it came now.
pub fn restore(app: &App) {
    let mut core = app.core();
    let now = app.now();
    let Some(policy) = core.policy(now).map(|policy| policy.policy.clone()) else { return };
    let due: Vec<(RolloutId, Due)> = core
        .state
        .rollouts
        .iter()
        .filter_map(|(name, rollout)| Some((name.clone(), intake::due(rollout)?)))
        .collect();
    for (rollout, due) in due {
        let listed = std::fs::read_dir(round_folder(&app.inputs.data, &rollout, due));
        for entry in listed.into_iter().flatten().flatten() {
            let bytes = read(&entry.path(), TALLY_ENVELOPE_MAX).unwrap_or_default();
            let Ok(envelope) = Envelope::parse_limited(&bytes, TALLY_ENVELOPE_MAX) else {
                continue;
            };
            let Ok(tally) = verified(&envelope, &policy) else { continue };
            let digest = Digest::of(&bytes);
            if tally.rollout == rollout
                && intake::take(&mut core, &tally, digest, now).is_ok_and(|(of, _)| of == due)
            {
                core.collected.keep(due, digest, tally);
            }
        }
    }
}
