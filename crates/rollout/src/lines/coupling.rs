//! What one line's halt means for the others, as values. Nothing is carried out here.
//!
//! The vendor line has seen more hosts than any operator: what its gate or a freeze ended is ended
//! for every operator. What a *person* of the vendor ended may have other reasons than evidence, so
//! operators hold and their own people decide. The other way round an operator may be right or may
//! have trouble of its own: the vendor line holds, asks its people, and goes on counting.
use crate::action::HaltReason;
use crate::event::Event;
use crate::lines::Standing;
use andon_model::text::Text;
use andon_model::{Digest, LineId, OperatorId, VendorId};
use std::collections::BTreeSet;

/// The lines that carry one release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// the vendor's, if there is one
    pub vendor: Option<VendorId>,
    /// the operators' inside it; without a vendor line they know nothing of each other
    pub operators: BTreeSet<OperatorId>,
}

/// One order to one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineOrder {
    /// to whom
    pub line: LineId,
    /// what
    pub order: Order,
}

/// What a line is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// over for good, as if the freeze had been pulled on this line
    Halt {
        /// whose halt it was, in words
        by: String,
        /// digest of the freeze, or of the evidence that the halt rests on
        digest: Digest,
    },
    /// no widening until a person of that line resumes
    Hold {
        /// why, in words
        why: Text,
    },
    /// count this operator's tallies so from now on
    Count {
        /// whose
        operator: OperatorId,
        /// how
        standing: Standing,
    },
}

impl LineOrder {
    /// What to tell that line's rollout; `None` if the order is for its [`crate::lines::Pool`].
    #[must_use]
    pub fn event(&self) -> Option<Event> {
        match &self.order {
            Order::Halt { by, digest } => Some(Event::Frozen { by: by.clone(), digest: *digest }),
            Order::Hold { why } => Some(Event::ActionFailed { generation: 0, what: why.clone() }),
            Order::Count { .. } => None,
        }
    }
}

/// What follows for the other lines when `line` has halted for `reason`. `digest` names the freeze
/// that its halt issued. Orders to the line itself, or to lines it has nothing to do with, never.
#[must_use]
pub fn on_halt(
    line: &LineId,
    reason: &HaltReason,
    digest: Digest,
    lines: &Lines,
) -> Vec<LineOrder> {
    let Some(vendor) = &lines.vendor else { return Vec::new() };
    match line {
        LineId::Vendor(name) if name == vendor => {
            let order = to_operators(line, reason, digest);
            let to = |operator: &OperatorId| LineOrder {
                line: LineId::Operator(operator.clone()),
                order: order.clone(),
            };
            lines.operators.iter().map(to).collect()
        }
        LineId::Operator(name) if lines.operators.contains(name) => {
            on_member_halt(vendor, name, &words(reason))
        }
        _ => Vec::new(),
    }
}

/// What follows for the vendor line when a member of it says, in these words, that its own line has
/// halted.
#[must_use]
pub fn on_member_halt(vendor: &VendorId, member: &OperatorId, words: &str) -> Vec<LineOrder> {
    let line = LineId::Vendor(vendor.clone());
    let why = Text::clipped(&format!("operator {member} has halted: {words}"));
    let count = Order::Count { operator: member.clone(), standing: Standing::Halted };
    vec![
        LineOrder { line: line.clone(), order: Order::Hold { why } },
        LineOrder { line, order: count },
    ]
}

fn to_operators(line: &LineId, reason: &HaltReason, digest: Digest) -> Order {
    match reason {
        HaltReason::Gate { .. } => Order::Halt { by: format!("gate of {line}"), digest },
        HaltReason::Frozen { by, digest } => Order::Halt { by: by.clone(), digest: *digest },
        HaltReason::Person { .. } => {
            let why = Text::clipped(&format!("{line} has halted: {}", words(reason)));
            Order::Hold { why }
        }
    }
}

/// A halt in words, shorter than an explanation.
fn words(reason: &HaltReason) -> String {
    match reason {
        HaltReason::Gate { e, threshold, channel, .. } => {
            format!("evidence {e:.0} of {threshold:.0}, mostly {channel:?}").to_lowercase()
        }
        HaltReason::Person { by, reason } => format!("{by}: {}", reason.as_str()),
        HaltReason::Frozen { by, .. } => format!("freeze by {by}"),
    }
}
