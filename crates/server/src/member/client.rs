//! One turn with one vendor line: it asks, has the answers verified, stages what follows,
//! and sends what is due. It decides nothing: that is the other files' here, and the core's.
//!
//! Its contract:
//! - what was not verified is neither staged nor acted upon, and it is said once;
//! - whatever is sent, or acted upon, is durable before;
//! - told twice is done once: every step compares the journal with what the line says;
//! - one rollout's doubt does not stop another's;
//! - what permits or begins anything was said freshly ([`MESSAGE_AGE_MAX`]); what ends something need
//!   not be.
use super::http::{HttpError, LineHttp, Polled};
use super::record::LineFact;
use super::state::{Followed, LineState};
use super::verify::{self, LineDoubt};
use super::{begin, permit, seats, tally};
use crate::app::{App, Core};
use crate::config::VendorLineAt;
use crate::driver::say;
use crate::record::Record;
use crate::store::{Receipt, StoreError};
use crate::tally::silent_before;
use andon_model::envelope::{Envelope, EnvelopeError, PayloadType};
use andon_model::limits::{ENVELOPE_BYTES_MAX, MESSAGE_AGE_MAX, PLACES_BYTES_MAX};
use andon_model::line::{LineStanding, Roster, Round, Rounds, SeatBlock, VendorLine};
use andon_model::ticket::Newcomers;
use andon_model::{LineId, Millis, OperatorId, RolloutId, Time, VendorId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;

/// Pause after a roster that was refused: somebody has to change a policy first.
const ROSTER_RETRY: Millis = Millis::from_secs(600);
/// Why a turn ended early. All but the first pass, or are looked at again after a pause.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// the journal failed: the server must restart
    #[error("journal what a vendor line says")]
    Store(#[from] StoreError),
    /// no answer
    #[error("ask the vendor line")]
    Http(#[from] HttpError),
    /// an answer that is no envelope
    #[error("read the vendor line's answer")]
    Envelope(#[from] EnvelopeError),
    /// an answer that is not the JSON we expect
    #[error("read the vendor line's answer")]
    Json(#[from] serde_json::Error),
    /// an answer that is not believed
    #[error("the vendor line is not believed")]
    Doubt(#[from] LineDoubt),
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// the policy in force does not name this line: it is left alone
    NoConsent,
    /// the line said something new, or something here woke us
    News,
    /// nothing new
    Quiet,
}

/// Attends to one vendor line.
#[derive(Debug)]
pub struct Member {
    app: Arc<App>,
    vendor: VendorId,
    line: LineId,
    operator: OperatorId,
    http: LineHttp,
    bell: watch::Receiver<u64>,
    /// what the line said last, verified, and which version that was
    rounds: Option<(Rounds, Option<String>)>,
    /// rounds that were answered since the line was last silent or out of reach
    answered: BTreeMap<RolloutId, (u64, u32)>,
    /// rollouts that none of our hosts is in
    outside: BTreeSet<RolloutId>,
    /// what the line said last when it did not take a tally
    refused: BTreeMap<RolloutId, String>,
    /// why our own rollout has not begun
    why_not: BTreeMap<RolloutId, String>,
    policy_due: bool,
    /// no roster is sent before
    roster_after: Time,
}

impl Member {
    /// For a configured line; `None`: this server's own line is no operator's.
    /// # Errors
    /// [`HttpError`].
    pub fn new(app: Arc<App>, at: &VendorLineAt) -> Result<Option<Member>, HttpError> {
        let LineId::Operator(operator) = app.line().clone() else { return Ok(None) };
        Ok(Some(Member {
            vendor: at.vendor.clone(),
            line: LineId::Vendor(at.vendor.clone()),
            operator,
            http: LineHttp::new(&at.url)?,
            bell: app.bell.subscribe(),
            rounds: None,
            answered: BTreeMap::new(),
            outside: BTreeSet::new(),
            refused: BTreeMap::new(),
            why_not: BTreeMap::new(),
            policy_due: true,
            roster_after: Time(0),
            app,
        }))
    }

    /// Until something here may have changed what is due.
    pub(super) async fn woken(&mut self) {
        // An error means that the server is gone; its closing says so too.
        let _ = self.bell.changed().await;
    }

    /// One turn: policy and seats where due, then what the line says of its rollouts, waited for at the
    /// line for at most `wait`, and what follows.
    /// # Errors
    /// [`TurnError`].
    pub async fn turn(&mut self, wait: Millis) -> Result<Turn, TurnError> {
        let Some(consent) = self.consent() else { return Ok(Turn::NoConsent) };
        let turn = self.turn_with(&consent, wait).await;
        if !matches!(turn, Ok(Turn::News)) {
            // It may have another policy by now, or have lost what it was sent.
            self.policy_due = true;
            self.answered.clear();
        }
        turn
    }

    async fn turn_with(&mut self, consent: &VendorLine, wait: Millis) -> Result<Turn, TurnError> {
        // A policy that is not there, or no seats for more hosts, must not keep a halt from being heard.
        let mut early = Ok(());
        if self.policy_due {
            early = self.take_policy(consent).await;
            self.policy_due = early.is_err();
        }
        if let Err(why) = self.show_hosts().await {
            early = early.and(Err(why));
        }
        if matches!(early, Err(TurnError::Store(_))) {
            return early.map(|()| Turn::Quiet);
        }
        let turn = match self.listen(wait).await {
            Ok(turn) => self.follow(consent).await.map(|()| turn),
            failed => failed,
        };
        early.and(turn)
    }

    /// What the policy in force says of this line.
    fn consent(&self) -> Option<VendorLine> {
        let core = self.app.core();
        let policy = core.policy(self.app.now())?;
        policy.policy.vendor_lines.iter().find(|line| line.vendor == self.vendor).cloned()
    }

    fn state<'c>(&self, core: &'c Core) -> Option<&'c LineState> {
        core.state.lines.get(&self.line)
    }

    fn followed<'c>(&self, core: &'c Core, rollout: &RolloutId) -> Option<&'c Followed> {
        self.state(core)?.rollouts.get(rollout)
    }

    fn blocks<'c>(&self, core: &'c Core) -> &'c [SeatBlock] {
        self.state(core).map_or(&[], |line| &line.blocks)
    }

    fn fact(&self, fact: LineFact) -> Record {
        Record::VendorLine { line: self.line.clone(), fact: Box::new(fact) }
    }

    /// The vendor line's policy, if it still names us.
    fn vendor_policy<'c>(
        &self,
        core: &'c Core,
        now: Time,
    ) -> Result<&'c andon_model::policy::Policy, LineDoubt> {
        let online = self.app.inputs.online.public();
        verify::in_force(self.state(core), &self.operator, &online, now)
    }

    async fn envelope(&self, path: &str, limit: usize) -> Result<Envelope, TurnError> {
        let bytes = self.http.get(path, limit).await?;
        Ok(Envelope::parse_limited(&bytes, limit)?)
    }

    async fn take_policy(&mut self, consent: &VendorLine) -> Result<(), TurnError> {
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

    /// Shows hosts that have no seat, piece by piece, and takes the seats down.
    async fn show_hosts(&mut self) -> Result<(), TurnError> {
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

    /// Hears what the line says of its rollouts, if it is new.
    async fn listen(&mut self, wait: Millis) -> Result<Turn, TurnError> {
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

    async fn follow(&mut self, consent: &VendorLine) -> Result<(), TurnError> {
        let Some((rounds, _)) = self.rounds.clone() else { return Ok(()) };
        let fresh = self.app.now().since(rounds.issued) <= MESSAGE_AGE_MAX;
        let mut first = Ok(());
        for round in &rounds.rounds {
            match self.follow_one(consent, round, fresh).await {
                Err(why @ TurnError::Store(_)) => return Err(why),
                // The others' turn comes all the same.
                Err(why) if first.is_ok() => first = Err(why),
                Err(_) | Ok(()) => {}
            }
        }
        first
    }

    async fn follow_one(
        &mut self,
        consent: &VendorLine,
        round: &Round,
        fresh: bool,
    ) -> Result<(), TurnError> {
        let known = self.followed(&self.app.core(), &round.rollout).is_some();
        if !known && !self.join(round).await? {
            return Ok(());
        }
        let same = |known: &Followed| known.digest == round.plan;
        if !self.followed(&self.app.core(), &round.rollout).is_some_and(same) {
            return Err(LineDoubt::Odd("plan", "is another than the one it named before").into());
        }
        self.end(consent, round).await?;
        self.take_tickets(round).await?;
        self.go_inside(consent, round, fresh).await?;
        self.answer(round).await
    }

    /// Takes a rollout's plan and our hosts' places in it down; false: we have no part in it.
    async fn join(&mut self, round: &Round) -> Result<bool, TurnError> {
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

    /// Passes the end of the vendor line's rollout on to ours, once.
    async fn end(&self, consent: &VendorLine, round: &Round) -> Result<(), TurnError> {
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
            if let Some(own) = own.filter(|own| !own.halted())
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

    /// Takes down every ticket up to the round's, each as it was first issued.
    async fn take_tickets(&self, round: &Round) -> Result<(), TurnError> {
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

    /// Begins our own rollout inside, and tells it what the vendor line covers.
    async fn go_inside(
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

    /// Sends what is due for a round: counted now, or the same bytes as before.
    async fn answer(&mut self, round: &Round) -> Result<(), TurnError> {
        let key = (round.round, round.generation);
        let again = self.answered.get(&round.rollout) == Some(&key);
        let Some((tally, receipt)) = self.stage_tally(round)? else { return Ok(()) };
        receipt.durable().await?;
        if again {
            return Ok(());
        }
        let (taken, answer) = self.http.post("/v1/line/tallies", tally.to_bytes()).await?;
        if !taken {
            let words = String::from_utf8_lossy(&answer).chars().take(200).collect::<String>();
            self.not_taken(round, words);
        }
        self.answered.insert(round.rollout.clone(), key);
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
