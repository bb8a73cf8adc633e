//! Our own rollout inside the line's: begun, and told what the line covers.
use super::{Member, TurnError};
use crate::driver::say;
use crate::member::{begin, permit};
use crate::record::Record;
use crate::store::Receipt;
use andon_model::line::{Round, VendorLine};

impl Member {
    /// Begins our own rollout inside, and tells it what the vendor line covers.
    pub(super) async fn go_inside(
        &mut self,
        consent: &VendorLine,
        round: &Round,
        fresh: bool,
    ) -> Result<(), TurnError> {
        if !fresh {
            let why = "what the vendor line says is not fresh: its clock, or ours, or nothing new";
            self.explain(round, why);
            return Ok(());
        }
        let (receipts, why) = {
            let mut core = self.app.core();
            let now = self.app.now();
            let Some(policy) = core.policy(now).map(|policy| policy.policy.clone()) else {
                return Ok(());
            };
            let Some(followed) = self.followed(&core, &round.rollout) else { return Ok(()) };
            let (records, why) =
                match begin::inside(&core, &policy, consent, (followed, round), now) {
                    Ok(records) => (records, None),
                    Err(refusal) => (Vec::new(), Some(refusal.message)),
                };
            let mut receipts: Vec<Receipt> = Vec::new();
            if !records.is_empty() {
                receipts.push(self.app.stage(&mut core, &records)?);
            }
            let own = permit::own(&core.state, &self.line, &round.rollout);
            let followed = self.followed(&core, &round.rollout);
            if let Some((own, followed)) = own.zip(followed)
                && let Some(event) = permit::due(followed, own)
            {
                let record = Record::event(&own.plan.rollout, event);
                receipts.push(self.app.stage(&mut core, &[record])?);
            }
            (receipts, why)
        };
        if let Some(why) = why {
            self.explain(round, &why);
        }
        let driven = !receipts.is_empty();
        for receipt in receipts {
            receipt.durable().await?;
        }
        if driven {
            self.app.drive().await;
        }
        Ok(())
    }

    /// Says, once, why our own rollout has not begun; the next tally says it too.
    fn explain(&mut self, round: &Round, why: &str) {
        let name = &round.rollout;
        if self.why_not.get(name).is_none_or(|said| said != why) {
            say(&format!("rollout {name} of {} waits here: {why}", self.line));
            self.why_not.insert(name.clone(), why.to_owned());
        }
    }
}
