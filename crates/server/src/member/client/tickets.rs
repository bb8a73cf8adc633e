//! The line's tickets, as first issued, and that it covers newcomers.
use super::{Member, TurnError};
use crate::member::http::HttpError;
use crate::member::record::LineFact;
use crate::member::verify::{self, LineDoubt};
use andon_model::RolloutId;
use andon_model::ceilings;
use andon_model::envelope::Envelope;
use andon_model::limits::{CEILINGS_BYTES_MAX, ENVELOPE_BYTES_MAX};
use andon_model::line::Round;
use andon_model::ticket::{Ceiling, Newcomers, Ticket};

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
            let ceilings = self.ceilings(name, next, &envelope).await?;
            let receipt = {
                let mut core = self.app.core();
                let now = self.app.now();
                let policy = self.vendor_policy(&core, now)?;
                let Some(followed) = self.followed(&core, name) else { break };
                let brought = (&envelope, &ceilings[..]);
                verify::ticket(brought, policy, followed, self.blocks(&core), now)?;
                let rollout = name.clone();
                let fact = LineFact::TicketTaken { rollout, envelope, ceilings };
                self.app.stage(&mut core, &[self.fact(fact)])?
            };
            receipt.durable().await?;
        }
        self.take_newcomers(round).await
    }

    /// All ceilings of a ticket that only commits to them: whether it covers as many of our hosts as it
    /// says in every stratum, only all of them show.
    async fn ceilings(
        &self,
        name: &RolloutId,
        generation: u32,
        envelope: &Envelope,
    ) -> Result<Vec<Ceiling>, TurnError> {
        // Unread, or without: verification says what there is to say.
        let ticket = Ticket::parse(&envelope.payload).ok();
        if ticket.is_none_or(|ticket| ticket.committed.is_none()) {
            return Ok(Vec::new());
        }
        let path = format!("/v1/line/ceilings/{name}/{generation}");
        let bytes = self.http.get(&path, CEILINGS_BYTES_MAX).await?;
        Ok(ceilings::parse_list(&bytes).map_err(LineDoubt::from)?)
    }

    /// The newest ticket once more, when it covers newcomers: our hosts want to see it themselves.
    async fn take_newcomers(&self, round: &Round) -> Result<(), TurnError> {
        let name = &round.rollout;
        let news = self.followed(&self.app.core(), name).is_some_and(|followed| {
            round.newcomers == Newcomers::Included
                && followed.newcomers == Newcomers::Excluded
                && followed.generation() == round.generation
        });
        if !news || round.generation == 0 {
            return Ok(());
        }
        let Some(envelope) = self.current(name).await? else { return Ok(()) };
        let receipt = {
            let mut core = self.app.core();
            let now = self.app.now();
            let policy = self.vendor_policy(&core, now)?;
            let Some(followed) = self.followed(&core, name) else { return Ok(()) };
            verify::newcomers(&envelope, policy, followed, now)?;
            let rollout = name.clone();
            let fact = LineFact::NewcomersCovered { rollout, envelope: Some(envelope) };
            self.app.stage(&mut core, &[self.fact(fact)])?
        };
        Ok(receipt.durable().await?)
    }

    /// Of a rollout that none of our hosts is in: the ticket that covers newcomers, once there is one.
    pub(super) async fn take_vouched(&self, round: &Round) -> Result<(), TurnError> {
        let name = &round.rollout;
        let known =
            self.state(&self.app.core()).is_some_and(|line| line.vouched.contains_key(name));
        let Some(envelope) = (match round.newcomers {
            Newcomers::Included if !known => self.current(name).await?,
            Newcomers::Included | Newcomers::Excluded => None,
        }) else {
            return Ok(());
        };
        let receipt = {
            let mut core = self.app.core();
            let now = self.app.now();
            verify::vouched(&envelope, self.vendor_policy(&core, now)?, round, now)?;
            let rollout = name.clone();
            let fact = LineFact::NewcomersCovered { rollout, envelope: Some(envelope) };
            self.app.stage(&mut core, &[self.fact(fact)])?
        };
        Ok(receipt.durable().await?)
    }

    /// The ticket that the line serves now; `None`: it was withdrawn, and covers nobody any more.
    async fn current(&self, rollout: &RolloutId) -> Result<Option<Envelope>, TurnError> {
        let path = format!("/v1/lines/{}/tickets/{rollout}.json", self.line);
        match self.envelope(&path, ENVELOPE_BYTES_MAX).await {
            Err(TurnError::Http(HttpError::Refused { status: 404, .. })) => Ok(None),
            envelope => envelope.map(Some),
        }
    }
}
