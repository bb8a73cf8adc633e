//! The gate verifier: follows a line's journal on another machine, with a key of its own, folds it as
//! the server does, and says whether a ticket is the one that the journal, the signed policy and the
//! gate call for. Pure; `andon verifier` fetches, keeps and signs.
//!
//! What it adds to the server's own word: the journal that it has seen cannot be told differently
//! later; a plan is the policy's, over all hosts; the hosts behind a ceiling are as many as it says;
//! counts are no better than what the journal says of hosts, or on a vendor line what its members'
//! kept tallies add up to; and a widening takes its soak on this
//! machine's clock. What it does not add: it cannot tell hosts that the server invented from others,
//! and it runs the same gate, so a mistake there is shared (docs/adr/0011).
mod judge;
mod plan;
pub mod record;
mod recount;
mod tallies;

use crate::app::Core;
use crate::record::Record;
use andon_model::enrol::Anchor;
use andon_model::limits::MESSAGE_SKEW_MAX;
use andon_model::{Digest, RolloutId, Time};
use andon_rollout::Event;
use andon_rollout::lines::PoolDoubt;
use andon_trust::policy::PolicyRefusal;
use record::{Line, Memory};
use tallies::Rounds;

pub use judge::Refused;
pub use tallies::{Named, TallyDoubt};

/// Why this journal is not believed any more. Nothing is cosigned after that: a person has to look.
#[derive(Debug, thiserror::Error)]
pub enum Doubt {
    /// not a line of a journal
    #[error("read the journal's line after record {0}")]
    Line(u64, #[source] serde_json::Error),
    /// a record is missing or comes twice
    #[error("journal record {got} follows record {last}")]
    Gap {
        /// the last one
        last: u64,
        /// the one that came
        got: u64,
    },
    /// what was seen before stands there differently now
    #[error("journal has been rewritten: up to record {0} it is not the one that was seen before")]
    Rewritten(u64),
    /// the end of what was seen is gone
    #[error("journal ends with record {got}, it was seen up to {seen}")]
    Shorter {
        /// its last record
        got: u64,
        /// last record seen
        seen: u64,
    },
    /// time goes back, or ahead of ours
    #[error(
        "journal record {0} is dated before the one before it, or over a minute ahead of this clock"
    )]
    Time(u64),
    /// a policy that hosts would not obey
    #[error("check the policy in journal record {0}")]
    Policy(u64, #[source] PolicyRefusal),
    /// a plan that is not what the policy and the hosts call for
    #[error("plan of rollout {rollout}: {what}")]
    Plan {
        /// whose
        rollout: RolloutId,
        /// what is wrong
        what: String,
    },
    /// counts that the journal does not bear out
    #[error("counts of rollout {rollout} in journal record {seq}: {what}")]
    Counts {
        /// whose
        rollout: RolloutId,
        /// which record
        seq: u64,
        /// what is wrong
        what: &'static str,
    },
    /// a member's tally that the line could not have counted
    #[error(
        "tally of operator {} for rollout {}, round {}",
        named.operator, named.rollout, named.due.round
    )]
    Tally {
        /// which
        named: Box<Named>,
        /// what is wrong
        #[source]
        why: TallyDoubt,
    },
    /// tallies that cannot be added up
    #[error("add up the tallies of rollout {rollout} in journal record {seq}")]
    Pool {
        /// whose
        rollout: RolloutId,
        /// which record
        seq: u64,
        /// what is wrong
        #[source]
        why: PoolDoubt,
    },
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Verifier {
    anchor: Anchor,
    /// the fold, as the server has it; nobody's beats
    core: Core,
    chain: Digest,
    memory: Memory,
    /// a vendor line's round on its way
    rounds: Rounds,
}

impl Verifier {
    /// One that has read nothing yet and remembers `memory`.
    #[must_use]
    pub fn new(anchor: Anchor, memory: Memory) -> Verifier {
        let (core, rounds) = (Core::default(), Rounds::default());
        Verifier { anchor, core, chain: Digest::of(b""), memory, rounds }
    }

    /// Number of the last record read.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.core.state.seq
    }

    /// What must be on disk before anything is cosigned.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The tallies of members that the journal's next line rests on: each is to be brought before the
    /// line is taken. None of what was checked before the memory was written.
    /// # Errors
    /// [`Doubt::Line`].
    pub fn rests_on(&self, line: &str) -> Result<Vec<Named>, Doubt> {
        let last = self.seq();
        let read: Line = serde_json::from_str(line).map_err(|why| Doubt::Line(last, why))?;
        let known = read.seq <= self.memory.seq;
        Ok(if known { Vec::new() } else { Rounds::rests_on(&read.record) })
    }

    /// Takes a tally that the next line rests on, as served.
    /// # Errors
    /// [`Doubt::Tally`].
    pub fn bring(&mut self, named: &Named, bytes: &[u8]) -> Result<(), Doubt> {
        let brought = self.rounds.bring(&self.core.state, named, bytes);
        brought.map_err(|why| Doubt::Tally { named: Box::new(named.clone()), why })
    }

    /// Takes the journal's next line, as served. What it rests on was brought before.
    /// # Errors
    /// [`Doubt`].
    pub fn follow(&mut self, line: &str, now: Time) -> Result<(), Doubt> {
        let last = self.seq();
        let read: Line = serde_json::from_str(line).map_err(|why| Doubt::Line(last, why))?;
        let Line { seq, at, kind: _, record } = read;
        if seq != last + 1 {
            return Err(Doubt::Gap { last, got: seq });
        }
        if at < self.core.state.at || at > now.plus(MESSAGE_SKEW_MAX) {
            return Err(Doubt::Time(seq));
        }
        self.check(seq, at, &record)?;
        let known = seq <= self.memory.seq;
        self.rounds.check(&self.core.state, (seq, &record), known)?;
        self.core.state.apply(seq, at, &record);
        self.rounds.note(&self.core.state, at, &record);
        let mut linked = self.chain.0.to_vec();
        linked.extend_from_slice(line.as_bytes());
        self.chain = Digest::of(&linked);
        if seq == self.memory.seq && self.chain != self.memory.chain {
            return Err(Doubt::Rewritten(seq));
        }
        if seq > self.memory.seq {
            (self.memory.seq, self.memory.chain) = (seq, self.chain);
        }
        self.note(&record, now);
        Ok(())
    }

    /// The journal has no more lines now.
    /// # Errors
    /// [`Doubt::Shorter`].
    pub fn at_end(&self) -> Result<(), Doubt> {
        let (got, seen) = (self.seq(), self.memory.seq);
        if got < seen { Err(Doubt::Shorter { got, seen }) } else { Ok(()) }
    }

    fn check(&self, seq: u64, at: Time, record: &Record) -> Result<(), Doubt> {
        let state = &self.core.state;
        match record {
            Record::PolicyAccepted { envelope } => {
                let seen = state.policy.as_ref().map_or(0, |policy| policy.policy.version);
                let verified = andon_trust::policy::verify(envelope, &self.anchor, at, seen);
                verified.map(|_| ()).map_err(|why| Doubt::Policy(seq, why))
            }
            Record::RolloutStarted { plan, .. } => {
                let rollout = || plan.rollout.clone();
                plan::check(&self.core, plan, at)
                    .map_err(|what| Doubt::Plan { rollout: rollout(), what })
            }
            Record::Rollout { rollout, event: Event::Observed(seen), counted, .. } => {
                let Some(known) = state.rollouts.get(rollout) else { return Ok(()) };
                recount::check(known, &state.hosts, (seen, counted), at)
                    .map_err(|what| Doubt::Counts { rollout: rollout.clone(), seq, what })
            }
            _ => Ok(()),
        }
    }

    /// Notes when a ticket was seen to be issued, by this machine's clock; of rollouts that go on.
    fn note(&mut self, record: &Record, now: Time) {
        let Record::Rollout { rollout, event, .. } = record else { return };
        let live = self.core.state.rollouts.get(rollout).is_some_and(|known| known.live());
        if !live {
            self.memory.issued.remove(rollout);
        } else if let Event::TicketIssued { generation, .. } = event {
            let issued = self.memory.issued.entry(rollout.clone()).or_default();
            issued.entry(*generation).or_insert(now);
        }
    }
}
