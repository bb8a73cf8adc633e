//! Our hosts shown to the line: rosters out, seats taken down.
use super::{Member, TurnError};
use crate::member::http::HttpError;
use crate::member::record::LineFact;
use crate::member::seats;
use crate::member::state::LineState;
use crate::member::verify::{self, LineDoubt};
use andon_model::Millis;
use andon_model::envelope::PayloadType;
use andon_model::limits::ENVELOPE_BYTES_MAX;
use andon_model::line::{Roster, SeatBlock};

/// Pause after a roster that was refused: somebody has to change a policy first.
const ROSTER_RETRY: Millis = Millis::from_secs(600);

impl Member {
    /// Shows hosts that have no seat, piece by piece, and takes the seats down.
    pub(super) async fn show_hosts(&mut self) -> Result<(), TurnError> {
        let nobody = LineState::default();
        let all = {
            let core = self.app.core();
            self.vendor_policy(&core, self.app.now())?;
            let all = core.state.hosts.len() as u64;
            let line = self.state(&core).unwrap_or(&nobody);
            let now = self.app.now();
            if now < self.roster_after || !seats::due(line, all, now) {
                return Ok(());
            }
            all
        };
        loop {
            let roster = {
                let core = self.app.core();
                let seated = self.state(&core).map_or(0, LineState::seated);
                if seated >= all {
                    return Ok(());
                }
                seats::roster(&self.line, &self.operator, seated, &core.state.hosts)
            };
            let Some(roster) = roster else { return Ok(()) };
            let shown = self.show(&roster).await;
            // Only an answer is a refusal; a line out of reach is asked again as soon as it is there.
            let unheard = matches!(shown, Err(TurnError::Http(HttpError::Call(..))));
            if shown.is_err() && !unheard {
                self.roster_after = self.app.now().plus(ROSTER_RETRY);
            }
            shown?;
        }
    }

    /// What the line has signed of our seats: taken down whenever they, or its key, are others.
    pub(super) async fn take_seating(&self) -> Result<(), TurnError> {
        let due = {
            let core = self.app.core();
            let policy = self.vendor_policy(&core, self.app.now())?;
            let blocks = self.blocks(&core);
            let held = self.state(&core).and_then(|line| line.signed_seats.as_ref());
            let good = held
                .is_some_and(|held| verify::seating(held, policy, &self.operator, blocks).is_ok());
            !blocks.is_empty() && !good
        };
        if !due {
            return Ok(());
        }
        let path = format!("/v1/line/seats/{}", self.operator);
        let envelope = self.envelope(&path, ENVELOPE_BYTES_MAX).await?;
        let receipt = {
            let mut core = self.app.core();
            let policy = self.vendor_policy(&core, self.app.now())?;
            verify::seating(&envelope, policy, &self.operator, self.blocks(&core))?;
            self.app.stage(&mut core, &[self.fact(LineFact::SeatsSigned { envelope })])?
        };
        Ok(receipt.durable().await?)
    }

    async fn show(&self, roster: &Roster) -> Result<(), TurnError> {
        let payload = serde_json::to_vec(roster)?;
        let body = self.app.inputs.online.seal(PayloadType::Roster, &payload).to_bytes();
        let (_, answer) = self.http.post("/v1/line/roster", body).await?;
        self.take_seats(roster.host_first, &answer).await
    }

    /// All seats so far, also where a roster began elsewhere than after the last one (409).
    async fn take_seats(&self, asked: u64, answer: &[u8]) -> Result<(), TurnError> {
        let mut answer: serde_json::Value = serde_json::from_slice(answer)?;
        let blocks: Vec<SeatBlock> = serde_json::from_value(answer["seats"].take())?;
        let receipt = {
            let mut core = self.app.core();
            let hosts = core.state.hosts.len() as u64;
            verify::seats(self.blocks(&core), &blocks, hosts)?;
            let given = LineState { blocks: blocks.clone(), ..LineState::default() };
            if given.seated() < asked {
                return Err(LineDoubt::Odd("seats", "are not those of the roster").into());
            }
            self.app.stage(&mut core, &[self.fact(LineFact::SeatsGiven { blocks })])?
        };
        Ok(receipt.durable().await?)
    }
}
