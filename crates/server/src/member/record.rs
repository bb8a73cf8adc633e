//! What the journal holds of a vendor line that this line takes part in. What was verified is kept as
//! signed, so that a stranger can verify it again.
use crate::record::Counted;
use andon_model::envelope::Envelope;
use andon_model::line::{LineStanding, SeatBlock};
use andon_model::ticket::Ceiling;
use andon_model::{HostId, LineId, RolloutId};
use serde::{Deserialize, Serialize};

/// One fact about a vendor line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case", deny_unknown_fields)]
pub enum LineFact {
    /// this line's hosts have these seats: all of them so far
    SeatsGiven {
        /// sorted by host
        blocks: Vec<SeatBlock>,
    },
    /// the same, as the vendor line has signed it for this line's hosts to read
    SeatsSigned {
        /// as signed
        envelope: Envelope,
    },
    /// the vendor line's policy was verified against the people whom our own policy names
    PolicyTaken {
        /// as signed
        envelope: Envelope,
    },
    /// a rollout's plan and our hosts' places in it were verified: from now on they are counted
    Joined {
        /// which rollout
        rollout: RolloutId,
        /// its plan, as signed
        plan: Envelope,
        /// our hosts' places, as signed
        places: Envelope,
        /// silent already, so never counted
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        silent: Vec<HostId>,
    },
    /// a ticket was verified
    TicketTaken {
        /// of which rollout
        rollout: RolloutId,
        /// as signed
        envelope: Envelope,
        /// all its ceilings, if it commits to them
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ceilings: Vec<Ceiling>,
    },
    /// the newest ticket covers newcomers by now: it was issued again, and the rounds say so
    NewcomersCovered {
        /// of which rollout
        rollout: RolloutId,
        /// the ticket that covers them, as signed, for this line's hosts to read
        #[serde(default, skip_serializing_if = "Option::is_none")]
        envelope: Option<Envelope>,
    },
    /// a tally is about to be sent. What it counts as new is pending until a later round is seen
    TallySent {
        /// of which rollout
        rollout: RolloutId,
        /// which round it answers
        round: u64,
        /// newest ticket in it
        generation: u32,
        /// hosts behind its counts
        #[serde(default, skip_serializing_if = "Counted::is_empty")]
        counted: Counted,
        /// as signed: the same bytes are sent when asked again
        tally: Envelope,
    },
    /// a later round was seen: what was pending is counted for good
    TallyPooled {
        /// of which rollout
        rollout: RolloutId,
        /// which round was pooled
        round: u64,
    },
    /// the vendor line's rollout is over; what follows here is staged with it
    Over {
        /// which rollout
        rollout: RolloutId,
        /// how it ended
        standing: LineStanding,
    },
}

impl LineFact {
    /// Whether this line's hosts read what it holds.
    #[must_use]
    pub fn is_for_hosts(&self) -> bool {
        matches!(
            self,
            LineFact::SeatsSigned { .. }
                | LineFact::PolicyTaken { .. }
                | LineFact::TicketTaken { .. }
                | LineFact::NewcomersCovered { .. }
        )
    }

    /// Its column `subject` in the journal.
    #[must_use]
    pub fn subject(&self, line: &LineId) -> String {
        match self {
            LineFact::SeatsGiven { .. }
            | LineFact::SeatsSigned { .. }
            | LineFact::PolicyTaken { .. } => line.to_string(),
            LineFact::Joined { rollout, .. }
            | LineFact::TicketTaken { rollout, .. }
            | LineFact::NewcomersCovered { rollout, .. }
            | LineFact::TallySent { rollout, .. }
            | LineFact::TallyPooled { rollout, .. }
            | LineFact::Over { rollout, .. } => format!("{line}/{rollout}"),
        }
    }
}
