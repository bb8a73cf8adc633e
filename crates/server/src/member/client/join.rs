//! A rollout's plan and our hosts' places in it.
use super::{Member, TurnError};
use crate::member::http::HttpError;
use crate::member::record::LineFact;
use crate::member::verify;
use crate::tally::silent_before;
use andon_model::limits::PLACES_BYTES_MAX;
use andon_model::line::{LineStanding, Round};

impl Member {
    /// Takes a rollout's plan and our hosts' places in it down; false: we have no part in it.
    pub(super) async fn join(&mut self, round: &Round) -> Result<bool, TurnError> {
        let name = &round.rollout;
        let open = matches!(round.standing, LineStanding::Live | LineStanding::Held { .. });
        if !open || self.outside.contains(name) || self.blocks(&self.app.core()).is_empty() {
            return Ok(false);
        }
        let plan = self.envelope(&format!("/v1/line/plans/{name}"), PLACES_BYTES_MAX).await?;
        let path = format!("/v1/line/places/{name}/{}", self.operator);
        let places = match self.envelope(&path, PLACES_BYTES_MAX).await {
            Err(TurnError::Http(HttpError::Refused { status: 404, .. })) => {
                self.outside.insert(name.clone());
                return Ok(false);
            }
            places => places?,
        };
        let staged = {
            let mut core = self.app.core();
            let now = self.app.now();
            let policy = self.vendor_policy(&core, now)?;
            let read = verify::plan(&plan, policy, round)?;
            let (blocks, hosts) = (self.blocks(&core), &core.state.hosts);
            let ours = verify::places(&places, policy, &self.operator, &read, blocks, hosts)?;
            let known = ours.strata.len();
            if known == 0 {
                None
            } else {
                let heard = &core.fleet.rows()[..known.min(core.fleet.rows().len())];
                let silent = silent_before(&read.watch, heard, now);
                let rollout = name.clone();
                let fact = LineFact::Joined { rollout, plan, places, silent };
                Some(self.app.stage(&mut core, &[self.fact(fact)])?)
            }
        };
        match staged {
            Some(receipt) => receipt.durable().await.map(|()| true).map_err(TurnError::Store),
            None => {
                self.outside.insert(name.clone());
                Ok(false)
            }
        }
    }
}
