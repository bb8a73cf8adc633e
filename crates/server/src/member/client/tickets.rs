//! The line's tickets, as first issued, and that it covers newcomers.
use super::{Member, TurnError};
use crate::member::record::LineFact;
use crate::member::verify;
use andon_model::limits::ENVELOPE_BYTES_MAX;
use andon_model::line::Round;
use andon_model::ticket::Newcomers;

impl Member {
    /// Takes down every ticket up to the round's, each as it was first issued.
    pub(super) async fn take_tickets(&self, round: &Round) -> Result<(), TurnError> {
        let name = &round.rollout;
        loop {
            let next = match self.followed(&self.app.core(), name) {
                Some(followed) if followed.generation() < round.generation => {
                    followed.generation() + 1
                }
                _ => break,
            };
            let path = format!("/v1/line/tickets/{name}/{next}");
            let envelope = self.envelope(&path, ENVELOPE_BYTES_MAX).await?;
            let receipt = {
                let mut core = self.app.core();
                let now = self.app.now();
                let policy = self.vendor_policy(&core, now)?;
                let Some(followed) = self.followed(&core, name) else { break };
                verify::ticket(&envelope, policy, followed, self.blocks(&core), now)?;
                let rollout = name.clone();
                let fact = LineFact::TicketTaken { rollout, envelope };
                self.app.stage(&mut core, &[self.fact(fact)])?
            };
            receipt.durable().await?;
        }
        self.take_newcomers(round).await
    }

    async fn take_newcomers(&self, round: &Round) -> Result<(), TurnError> {
        let receipt = {
            let mut core = self.app.core();
            let Some(followed) = self.followed(&core, &round.rollout) else { return Ok(()) };
            let news = round.newcomers == Newcomers::Included
                && followed.newcomers == Newcomers::Excluded
                && followed.generation() == round.generation;
            if !news || round.generation == 0 {
                return Ok(());
            }
            let fact = LineFact::NewcomersCovered { rollout: round.rollout.clone() };
            self.app.stage(&mut core, &[self.fact(fact)])?
        };
        Ok(receipt.durable().await?)
    }
}
