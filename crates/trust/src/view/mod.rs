//! A host's whole client workflow without I/O: say what to fetch, take bytes, end with offers.
mod outcome;
pub use outcome::{Answer, Fetch, FreezeInForce, Offer, Outcome, Refusal, RefusalCode, Step};

use andon_model::class::HostClass;
use andon_model::enrol::Anchor;
use andon_model::{HostId, Time};

/// Why a view could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// the anchor contradicts itself
    #[error("anchor field {0} {1}")]
    Anchor(&'static str, &'static str),
    /// the anchor's TUF root is not to be trusted
    #[error("read the anchor's TUF root")]
    Root(#[source] crate::tuf::TufError),
    /// the record is damaged
    #[error("parse view record")]
    Record(#[source] serde_json::Error),
    /// the record's metadata does not verify under the anchor
    #[error("verify view record")]
    RecordTuf(#[source] crate::tuf::TufError),
    /// the record is larger than allowed
    #[error("view record has {0} bytes, too many")]
    RecordTooLarge(usize),
}

/// The client workflow of one host.
#[derive(Debug)]
pub struct View {
    outcome: Outcome,
}

impl View {
    /// A view that has seen nothing but its anchor.
    /// # Errors
    /// [`ViewError`].
    pub fn new(_anchor: Anchor, _host: HostId, _class: HostClass) -> Result<View, ViewError> {
        Ok(View { outcome: Outcome::default() })
    }
    /// A view that remembers what an earlier one's [`View::record`] said.
    /// # Errors
    /// [`ViewError`].
    pub fn restore(
        anchor: Anchor,
        host: HostId,
        class: HostClass,
        _record: &[u8],
    ) -> Result<View, ViewError> {
        View::new(anchor, host, class)
    }
    /// What must survive a restart so that nothing can be rolled back: write it durably.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        Vec::new()
    }
    /// Begins a round.
    pub fn begin(&mut self, _now: Time) {}
    /// What to do next.
    #[expect(clippy::should_implement_trait, reason = "not an iterator: answers go in between")]
    pub fn next(&mut self) -> Step {
        Step::Done
    }
    /// Takes the answer to the last [`Step::Fetch`].
    pub fn supply(&mut self, _now: Time, _answer: Answer) {}
    /// Where the host stands; current after [`Step::Done`].
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}
