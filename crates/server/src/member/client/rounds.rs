//! What the line says of itself and of its rollouts: its policy, its rounds, and that one is over.
use super::{Member, Turn, TurnError};
use crate::member::http::Polled;
use crate::member::record::LineFact;
use crate::member::{begin, permit, verify};
use crate::record::Record;
use andon_model::Millis;
use andon_model::envelope::Envelope;
use andon_model::limits::ENVELOPE_BYTES_MAX;
use andon_model::line::{LineStanding, Round, VendorLine};

impl Member {
    pub(super) async fn take_policy(&mut self, consent: &VendorLine) -> Result<(), TurnError> {
        let path = format!("/v1/lines/{}/policy.json", self.line);
        let envelope = self.envelope(&path, ENVELOPE_BYTES_MAX).await?;
        let receipt = {
            let mut core = self.app.core();
            let policy = verify::policy(&envelope, consent, self.state(&core), self.app.now())?;
            let known = self.state(&core).and_then(|line| line.policy.as_ref());
            if known.is_some_and(|known| known.policy == policy) {
                return Ok(());
            }
            self.app.stage(&mut core, &[self.fact(LineFact::PolicyTaken { envelope })])?
        };
        Ok(receipt.durable().await?)
    }

    /// Hears what the line says of its rollouts, if it is new.
    pub(super) async fn listen(&mut self, wait: Millis) -> Result<Turn, TurnError> {
        let round = self.rounds.iter().flat_map(|(rounds, _)| &rounds.rounds);
        let round = round.map(|round| round.round).max().unwrap_or(0);
        let path = format!("/v1/line/rounds?round={round}&wait_ms={}", wait.0);
        let version = self.rounds.as_ref().and_then(|(_, version)| version.clone());
        let poll = self.http.poll(&path, version.as_deref(), wait, ENVELOPE_BYTES_MAX);
        let polled = tokio::select! {
            polled = poll => polled?,
            _ = self.bell.changed(), if wait > Millis::ZERO => return Ok(Turn::News),
        };
        let Polled::New { bytes, version } = polled else { return Ok(Turn::Quiet) };
        let envelope = Envelope::parse(&bytes)?;
        let now = self.app.now();
        let before = self.rounds.as_ref().map(|(rounds, _)| rounds);
        let rounds = {
            let core = self.app.core();
            let policy = self.vendor_policy(&core, now)?;
            verify::rounds(&envelope, policy, now, before.map(|before| before.issued))?
        };
        let same = before == Some(&rounds);
        self.rounds = Some((rounds, version));
        Ok(if same { Turn::Quiet } else { Turn::News })
    }

    /// Passes the end of the vendor line's rollout on to ours, once.
    pub(super) async fn end(&self, consent: &VendorLine, round: &Round) -> Result<(), TurnError> {
        let staged = {
            let mut core = self.app.core();
            let Some(followed) = self.followed(&core, &round.rollout) else { return Ok(()) };
            let halted = matches!(followed.over, Some(LineStanding::Halted { .. }));
            let open = matches!(round.standing, LineStanding::Live | LineStanding::Held { .. });
            if open || halted || followed.over.as_ref() == Some(&round.standing) {
                return Ok(());
            }
            let (rollout, standing) = (round.rollout.clone(), round.standing.clone());
            let mut records = vec![self.fact(LineFact::Over { rollout, standing })];
            let own = permit::own(&core.state, &self.line, &round.rollout);
            let lifted = begin::lifted(&core.state, &round.standing, self.app.now());
            if let Some(own) = own.filter(|own| !own.halted() && !lifted)
                && let Some(event) = begin::told(consent, &round.standing)
            {
                records.push(Record::event(&own.plan.rollout, event));
            }
            self.app.stage(&mut core, &records)?
        };
        staged.durable().await?;
        self.app.drive().await;
        Ok(())
    }
}
