//! Asking the server for a rollout: every request is an object signed by a person.
use crate::client::{Client, ClientError};
use crate::keys::{self, KeyError};
use andon_model::command::{Approval, Command, Verb};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::policy::Lane;
use andon_model::{ComponentId, Digest, LineId, Millis, PersonId, RolloutId, Time};
use andon_rollout::explain::Explanation;
use andon_trust::sign::SigningKey;
use serde::Deserialize;

/// How long an approval holds unless said otherwise: one working day.
pub(crate) const APPROVAL_VALID: Millis = Millis::from_secs(8 * 3600);

/// Why nothing was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RolloutError {
    /// no nonce
    #[error("draw a nonce")]
    Random(#[from] KeyError),
    /// could not be written as JSON
    #[error("encode request")]
    Encode(#[source] serde_json::Error),
    /// a journal row that is none
    #[error("read the journal's last row")]
    Journal(#[source] serde_json::Error),
    /// the server
    #[error("ask the server")]
    Client(#[from] ClientError),
}

/// Who asks, for which line.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    /// the person
    pub(crate) person: PersonId,
    /// the line
    pub(crate) line: LineId,
    /// their key
    pub(crate) key: SigningKey,
}

/// What is to be rolled out.
#[derive(Clone, Debug)]
pub(crate) struct StartRequest {
    /// a new name
    pub(crate) rollout: RolloutId,
    /// digest of the manifest
    pub(crate) release: Digest,
    /// its component
    pub(crate) component: ComponentId,
    /// speed class
    pub(crate) lane: Lane,
    /// signed approvals
    pub(crate) approvals: Vec<Envelope>,
    /// seed of the random order
    pub(crate) seed: Option<Digest>,
}

/// The server's word that a command is in its journal.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Accepted {
    /// which rollout it concerns
    pub(crate) rollout: RolloutId,
}

impl Signer {
    /// A signed approval of `release` in `lane`.
    /// # Errors
    /// [`RolloutError::Encode`].
    pub(crate) fn approval(
        &self,
        release: Digest,
        lane: Lane,
        now: Time,
        valid: Millis,
    ) -> Result<Envelope, RolloutError> {
        let approval = Approval {
            schema: 1,
            line: self.line.clone(),
            person: self.person.clone(),
            release,
            lane,
            issued: now,
            expires: now.plus(valid),
        };
        let payload = serde_json::to_vec(&approval).map_err(RolloutError::Encode)?;
        Ok(self.key.seal(PayloadType::Approval, &payload))
    }

    /// A signed command.
    /// # Errors
    /// [`RolloutError`].
    pub(crate) fn command(&self, verb: Verb, now: Time) -> Result<Envelope, RolloutError> {
        let command = Command {
            schema: 1,
            line: self.line.clone(),
            person: self.person.clone(),
            nonce: Digest(keys::random()?),
            issued: now,
            verb,
        };
        let payload = serde_json::to_vec(&command).map_err(RolloutError::Encode)?;
        Ok(self.key.seal(PayloadType::Command, &payload))
    }
}

/// Asks for anything a person may ask; returns when the server has it durably.
/// # Errors
/// [`RolloutError`].
pub(crate) async fn ask(
    client: &Client,
    signer: &Signer,
    verb: Verb,
    now: Time,
) -> Result<Accepted, RolloutError> {
    Ok(client.post("/v1/commands", &signer.command(verb, now)?).await?)
}

/// Starts a rollout of a published release.
/// # Errors
/// [`RolloutError`].
pub(crate) async fn start(
    client: &Client,
    signer: &Signer,
    request: StartRequest,
    now: Time,
) -> Result<RolloutId, RolloutError> {
    let StartRequest { rollout, release, component, lane, approvals, seed } = request;
    let verb = Verb::Start { rollout, release, component, lane, approvals, seed };
    Ok(ask(client, signer, verb, now).await?.rollout)
}

/// Approves a waiting rollout: looks up what it is, signs exactly that.
/// # Errors
/// [`RolloutError`].
pub(crate) async fn approve(
    client: &Client,
    signer: &Signer,
    rollout: &RolloutId,
    now: Time,
) -> Result<Accepted, RolloutError> {
    let known = get(client, rollout).await?;
    let approval = signer.approval(known.release, known.lane, now, APPROVAL_VALID)?;
    ask(client, signer, Verb::Approve { rollout: rollout.clone(), approval }, now).await
}

/// Where a rollout stands and why.
/// # Errors
/// [`RolloutError::Client`].
pub(crate) async fn get(client: &Client, rollout: &RolloutId) -> Result<Explanation, RolloutError> {
    Ok(client.json(&format!("/v1/rollouts/{rollout}")).await?)
}

/// All rollouts of the line.
/// # Errors
/// [`RolloutError::Client`].
pub(crate) async fn list(client: &Client) -> Result<serde_json::Value, RolloutError> {
    Ok(client.json("/v1/rollouts").await?)
}

/// One row of a journal, for its number only.
#[derive(Deserialize)]
struct Row {
    seq: u64,
}

/// A page of a rollout's journal, as JSON lines: everything recorded after row `after`, and the
/// number of the last row there (`None` when nothing came after).
/// # Errors
/// [`RolloutError`].
pub(crate) async fn journal_page(
    client: &Client,
    id: &RolloutId,
    after: u64,
) -> Result<(Vec<u8>, Option<u64>), RolloutError> {
    let path = format!("/v1/rollouts/{id}/journal?after={after}");
    let bytes = client.bytes(&path, crate::client::ANSWER_BYTES_MAX).await?;
    let last = bytes.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
    let last: Option<Row> =
        last.map(serde_json::from_slice).transpose().map_err(RolloutError::Journal)?;
    Ok((bytes, last.map(|row| row.seq).filter(|seq| *seq > after)))
}

/// A rollout's whole journal, as JSON lines.
/// # Errors
/// [`RolloutError`].
pub(crate) async fn journal(client: &Client, id: &RolloutId) -> Result<Vec<u8>, RolloutError> {
    let (mut all, mut after) = (Vec::new(), Some(0));
    while let Some(from) = after {
        let (page, last) = journal_page(client, id, from).await?;
        all.extend_from_slice(&page);
        after = last;
    }
    Ok(all)
}
