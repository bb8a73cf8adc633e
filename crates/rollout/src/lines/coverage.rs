//! Whether a host may activate: only where the tickets of *both* lines cover it. Signatures, windows
//! and pace of each ticket are checked before, by `andon-trust`; stops are checked beside it.
use andon_model::ticket::Ticket;
use andon_model::{HostId, StratumId};

/// A host's place on one line. A host has a number on each line it belongs to: positions are drawn
/// from the number, and two operators' first hosts must not stand side by side in the vendor's order.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    /// its number on that line
    pub host: HostId,
    /// its stratum there
    pub stratum: &'a StratumId,
}

/// What one line says to a host.
#[derive(Clone, Copy, Debug)]
pub enum Permit<'a> {
    /// the host does not belong to such a line: adopted software and air gaps have no vendor line
    NoLine,
    /// it belongs to it, and holds no verified ticket of it
    NoTicket,
    /// its newest verified ticket, and the host's place on that line
    Ticket(&'a Ticket, Seat<'a>),
}

/// Whether the host may activate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covered {
    /// both lines cover it
    ByBoth,
    /// its operator's line covers it, and there is no vendor line
    ByOperatorAlone,
    /// not yet
    Not(Waits),
}

/// What it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// every host has an operator: without its ticket nothing activates
    OperatorTicket,
    /// the vendor line has issued none yet, or withdrew it
    VendorTicket,
    /// the operator's ticket does not reach its position yet
    OperatorWave,
    /// the vendor's ticket does not reach its position yet
    VendorWave,
    /// the tickets are for different releases
    SameRelease,
}

impl Covered {
    /// Whether the host may activate.
    #[must_use]
    pub const fn allows(self) -> bool {
        matches!(self, Covered::ByBoth | Covered::ByOperatorAlone)
    }
}

/// Whether both tickets cover the host; the first thing it waits for, if not.
#[must_use]
pub fn covered(vendor: Permit<'_>, operator: Permit<'_>) -> Covered {
    let Permit::Ticket(own, seat) = operator else {
        return Covered::Not(Waits::OperatorTicket);
    };
    if !own.reaches(seat.host, seat.stratum) {
        return Covered::Not(Waits::OperatorWave);
    }
    match vendor {
        Permit::NoLine => Covered::ByOperatorAlone,
        Permit::NoTicket => Covered::Not(Waits::VendorTicket),
        Permit::Ticket(pooled, _) if !same_release(pooled, own) => Covered::Not(Waits::SameRelease),
        Permit::Ticket(pooled, seat) if pooled.reaches(seat.host, seat.stratum) => Covered::ByBoth,
        Permit::Ticket(..) => Covered::Not(Waits::VendorWave),
    }
}

fn same_release(one: &Ticket, other: &Ticket) -> bool {
    one.release == other.release && one.component == other.component && one.version == other.version
}
