//! One member's answer to a vendor line's round, as signed and sent.
use crate::event::StratumTally;
use crate::lines::OperatorTally;
use andon_model::text::Text;
use andon_model::{LineId, OperatorId, RolloutId, Time};
use serde::{Deserialize, Serialize};

/// A member's tallies of one round of a vendor line's rollout, signed by its online key. What it
/// counts as new is counted for good once that round was pooled, which a later round tells; until then
/// the member sends the same bytes again when asked again, and counts afresh if the line has issued a
/// ticket in between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineTally {
    /// format of this object; 1
    pub schema: u32,
    /// the vendor line
    pub line: LineId,
    /// whose hosts
    pub operator: OperatorId,
    /// the vendor line's rollout
    pub rollout: RolloutId,
    /// which round it answers
    pub round: u64,
    /// the vendor line's newest ticket in it: the tallies have so many waves
    pub generation: u32,
    /// when the hosts were looked at
    pub at: Time,
    /// what the member's own line does about the release
    pub standing: MemberStanding,
    /// the strata where it has hosts, by index in the plan, rising
    pub strata: Vec<MemberStratum>,
}

/// One stratum of a [`LineTally`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberStratum {
    /// index in the vendor line's plan
    pub stratum: u16,
    /// what was counted
    pub tally: StratumTally,
}

/// What a member's own line does about the release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "snake_case", deny_unknown_fields)]
pub enum MemberStanding {
    /// it goes on inside the vendor line
    Live,
    /// it has not begun, or holds: its hosts wait
    Waiting {
        /// for what
        why: Text,
    },
    /// it is over for good
    Halted {
        /// why
        why: Text,
    },
    /// all its hosts have it
    Completed,
}

/// Why a tally makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TallyError {
    /// a format that we do not know
    #[error("tally has schema {0}, 1 is known")]
    Schema(u32),
    /// strata out of order, twice, or beyond the plan's
    #[error("tally's strata are out of order, or not of the plan")]
    Strata,
}

impl LineTally {
    /// One tally per stratum of a plan of `strata` strata, as [`crate::lines::Pool`] takes it; `waves`
    /// tickets were issued so far.
    /// # Errors
    /// [`TallyError`].
    pub fn spread(self, strata: usize, waves: usize) -> Result<OperatorTally, TallyError> {
        if self.schema != 1 {
            return Err(TallyError::Schema(self.schema));
        }
        let rising = self.strata.windows(2).all(|pair| pair[0].stratum < pair[1].stratum);
        let known = self.strata.last().is_none_or(|last| usize::from(last.stratum) < strata);
        if !rising || !known {
            return Err(TallyError::Strata);
        }
        let nobody =
            StratumTally { waves: vec![Default::default(); waves], ..StratumTally::default() };
        let mut out = OperatorTally { round: self.round, strata: vec![nobody; strata] };
        for MemberStratum { stratum, tally } in self.strata {
            out.strata[usize::from(stratum)] = tally;
        }
        Ok(out)
    }
}
