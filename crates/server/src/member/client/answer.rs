//! Tallies: staged, sent, and what the line says of them.
use super::{Member, TurnError};
use crate::driver::say;
use crate::member::record::LineFact;
use crate::member::tally;
use crate::store::Receipt;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::line::Round;

impl Member {
    /// Sends what is due for a round: counted now, or the same bytes as before.
    pub(super) async fn answer(&mut self, round: &Round) -> Result<(), TurnError> {
        let key = (round.round, round.generation);
        let again = self.answered.get(&round.rollout) == Some(&key);
        let Some((tally, receipt)) = self.stage_tally(round)? else { return Ok(()) };
        receipt.durable().await?;
        if again {
            return Ok(());
        }
        let (taken, answer) = self.http.post("/v1/line/tallies", tally.to_bytes()).await?;
        if taken {
            self.answered.insert(round.rollout.clone(), key);
        } else {
            // While a ticket waits for its verifiers no round is open, and the same one may be due after it:
            // whatever the line says next, it is asked again.
            let words = String::from_utf8_lossy(&answer).chars().take(200).collect::<String>();
            self.not_taken(round, words);
        }
        Ok(())
    }

    /// Says why a tally was not taken; once, where the line says the same in every round: of a rollout
    /// that goes on without us it does. It hears us all the same, should our own line halt.
    fn not_taken(&mut self, round: &Round, words: String) {
        let rollout = &round.rollout;
        if self.refused.get(rollout) != Some(&words) {
            say(&format!(
                "{} does not take round {} of {rollout}: {words}",
                self.line, round.round
            ));
            self.refused.insert(rollout.clone(), words);
        }
    }

    fn stage_tally(&self, round: &Round) -> Result<Option<(Envelope, Receipt)>, TurnError> {
        let mut core = self.app.core();
        let (name, now) = (&round.rollout, self.app.now());
        let Some(followed) = self.followed(&core, name) else { return Ok(None) };
        let pending = followed.pending.as_ref();
        match tally::due(followed, round) {
            tally::Due::Nothing => return Ok(None),
            tally::Due::Again => {
                let Some(tally) = pending.map(|pending| pending.tally.clone()) else {
                    return Ok(None);
                };
                return Ok(Some((tally, self.app.stage(&mut core, &[])?)));
            }
            tally::Due::Count => {}
        }
        // Whatever an earlier round counted as new is counted for good: a later one is seen.
        if let Some(earlier) = pending.map(|p| p.round).filter(|earlier| *earlier < round.round) {
            let fact = LineFact::TallyPooled { rollout: name.clone(), round: earlier };
            // The receipt that is waited for is the tally's, which is later.
            let _earlier = self.app.stage(&mut core, &[self.fact(fact)])?;
        }
        let Some(followed) = self.followed(&core, name) else { return Ok(None) };
        let why = self.why_not.get(name).map_or("it has not begun here", String::as_str);
        let standing = tally::standing(&core.state, &self.line, round, why);
        let (hosts, heard) = (&core.state.hosts, core.fleet.rows());
        let names = (&self.line, &self.operator);
        let (tally, counted) = tally::count(names, followed, round, standing, (hosts, heard), now);
        let payload = serde_json::to_vec(&tally)?;
        let tally = self.app.inputs.online.seal(PayloadType::Tally, &payload);
        let fact = LineFact::TallySent {
            rollout: name.clone(),
            round: round.round,
            generation: round.generation,
            counted,
            tally: tally.clone(),
        };
        let receipt = self.app.stage(&mut core, &[self.fact(fact)])?;
        Ok(Some((tally, receipt)))
    }
}
