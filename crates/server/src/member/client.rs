//! One turn with one vendor line: it asks, has the answers verified, stages what follows,
//! and sends what is due; the order of it is here, each thing that it asks for in a file of its own. It
//! decides nothing: that is the other files' beside it, and the core's.
//!
//! Its contract:
//! - what was not verified is neither staged nor acted upon, and it is said once;
//! - whatever is sent, or acted upon, is durable before;
//! - told twice is done once: every step compares the journal with what the line says;
//! - one rollout's doubt does not stop another's;
//! - what permits or begins anything was said freshly ([`MESSAGE_AGE_MAX`]); what ends something need
//!   not be.
mod answer;
mod directives;
mod inside;
mod join;
mod roster;
mod rounds;
mod tickets;

use super::http::{HttpError, LineHttp};
use super::record::LineFact;
use super::state::{Followed, LineState};
use super::verify::{self, LineDoubt};
use crate::app::{App, Core};
use crate::config::VendorLineAt;
use crate::record::Record;
use crate::store::StoreError;
use andon_model::envelope::{Envelope, EnvelopeError};
use andon_model::limits::MESSAGE_AGE_MAX;
use andon_model::line::{Round, Rounds, SeatBlock, VendorLine};
use andon_model::{LineId, Millis, OperatorId, RolloutId, Time, VendorId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;

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
    /// directives that the line names, and what became of each
    directives: directives::Named,
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
            directives: directives::Named::default(),
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
        if let Err(why) = self.take_seating().await {
            early = early.and(Err(why));
        }
        if matches!(early, Err(TurnError::Store(_))) {
            return early.map(|()| Turn::Quiet);
        }
        let turn = match self.listen(wait).await {
            Ok(turn) => self.hear(consent).await.map(|()| turn),
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

    /// Directives before rollouts: of a halt that one is behind, our hosts hear from the directive.
    async fn hear(&mut self, consent: &VendorLine) -> Result<(), TurnError> {
        let directed = self.take_directives().await;
        if matches!(directed, Err(TurnError::Store(_))) {
            return directed;
        }
        directed.and(self.follow(consent).await)
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
            return self.take_vouched(round).await;
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
}
